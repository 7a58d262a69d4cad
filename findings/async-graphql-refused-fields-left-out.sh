#!/usr/bin/env bash
# async-graphql 7.2.1 (crates.io): a field that ends with an error is missing from `data`, where the GraphQL specification has `null`.
#
# Seen: where the resolver or the guard of a nullable field returns an error, its key is left out of `data`; where it is the only field, `data`
# is `null` as a whole. A field that must not be null is left out in the same way, and its parent stays. The specification (October 2021,
# section 6.4.4, "Handling Field Errors") sets a nullable field to null, and a parent of one that is not nullable. So a client that goes by the
# schema finds no key where it is promised one; clients have to take a missing key for null.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat > "$folder/Cargo.toml" <<'TOML'
[package]
name = "seen"
version = "0.0.0"
edition = "2024"

[dependencies]
async-graphql = { version = "=7.2.1", default-features = false }
serde_json = "1"
TOML
cat > "$folder/src/main.rs" <<'RS'
use async_graphql::futures_util::FutureExt;
use async_graphql::{EmptyMutation, EmptySubscription, Object, Result, Schema};

struct Query;

#[Object]
impl Query {
    async fn good(&self) -> i32 { 1 }
    async fn nullable(&self) -> Result<Option<i32>> { Err("refused".into()) }
    async fn required(&self) -> Result<i32> { Err("refused".into()) }
}

fn main() {
    let schema = Schema::new(Query, EmptyMutation, EmptySubscription);
    for query in ["{ good nullable }", "{ nullable }", "{ good required }"] {
        let response = schema.execute(query).now_or_never().unwrap();
        println!("{query}: {} {}", serde_json::to_string(&response.data).unwrap(), response.errors.len());
    }
}
RS
seen=$(cargo run --quiet --manifest-path "$folder/Cargo.toml")
expected='{ good nullable }: {"good":1} 1
{ nullable }: null 1
{ good required }: {"good":1} 1'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { echo "async-graphql behaves otherwise now" >&2; exit 1; }
