//! Claims that are missing, of wrong types, there twice or past their time, out (RFC 7519 sections 4 and 7.2).

use std::time::Duration;

use serde_json::json;

use super::super::class::Class;
use super::{Attack, Bait};
use crate::mint::TokenBuilder;

impl Bait<'_> {
    pub(super) fn claim(&self, all: &mut Vec<Attack>) {
        let mut add = |name, clause, advisory, token: &str| {
            all.push(Attack { advisory, ..self.bearer(Class::Claim, name, clause, token) });
        };
        const TYPES: &str = "CVE-2026-25537";
        add(
            "no expiry",
            "RFC 9068 2.2",
            "",
            &self
                .token()
                .raw_claims(self.claims(|claims| {
                    claims.remove("exp");
                }))
                .mint(),
        );
        for (name, value) in [
            ("an expiry that is a text", json!("4102444800")),
            ("an expiry that is null", json!(null)),
            ("an expiry that is true", json!(true)),
            ("an expiry that is a list", json!([4_102_444_800_i64])),
            ("an expiry that is an object", json!({"seconds": 4_102_444_800_i64})),
            ("an expiry before the epoch", json!(-1)),
        ] {
            add(name, "RFC 7519 4.1.4", TYPES, &self.token().claim("exp", value).mint());
        }
        for (name, value) in [("a start that is a text", json!("0")), ("a start that is a list", json!([0]))] {
            add(name, "RFC 7519 4.1.5", TYPES, &self.token().claim("nbf", value).mint());
        }
        add("a subject that is a list", "RFC 7519 4.1.2", "", &self.token().claim("sub", json!(["test-user"])).mint());
        let good = self.claims(|_| ());
        let twice = |member: &str| format!("{{{member},{}", good.trim_start_matches('{'));
        add(
            "a subject twice",
            "RFC 7519 4, RFC 8725 2.4",
            "",
            &self.token().raw_claims(twice(r#""sub":"admin""#)).mint(),
        );
        let expired = self.claims(|claims| {
            claims.insert("exp".to_owned(), json!(1));
        });
        let unclear = format!("{},\"exp\":4102444800}}", expired.trim_end_matches('}'));
        add("an expiry twice, the later one in the future", "RFC 7519 4", "", &self.token().raw_claims(unclear).mint());
        add("claims that are a list", "RFC 7519 7.2", "", &self.token().raw_claims(format!("[{good}]")).mint());
        add("claims that are null", "RFC 7519 7.2", "", &self.token().raw_claims("null").mint());
        add("claims that are a text", "RFC 7519 7.2", "", &self.token().raw_claims(json!(good).to_string()).mint());
        add("something after the claims", "RFC 7519 7.2", "", &self.token().raw_claims(format!("{good} {{}}")).mint());
        add(
            "claims without an end",
            "RFC 7519 7.2",
            "CVE-2019-12995",
            &self.token().raw_claims(good.trim_end_matches('}')).mint(),
        );
        let deep = format!("{},\"x\":{}1{}}}", good.trim_end_matches('}'), "[".repeat(4000), "]".repeat(4000));
        add(
            "claims four thousand lists deep",
            "RFC 8259 9",
            "CVE-2025-53864",
            &self.token().forged().raw_claims(deep).mint(),
        );
        let absurd = format!(
            "{},\"exp\":1e400}}",
            self.claims(|claims| {
                claims.remove("exp");
            })
            .trim_end_matches('}')
        );
        add("an expiry beyond all numbers", "RFC 7519 4.1.4", "", &self.token().raw_claims(absurd).mint());
    }

    pub(super) fn time(&self, all: &mut Vec<Attack>) {
        let mut add =
            |name, clause, token: TokenBuilder| all.push(self.bearer(Class::Time, name, clause, &token.mint()));
        add("expired an hour ago", "RFC 7519 4.1.4", self.token().expired());
        // A second more than the leeway: the request itself takes part of it.
        add(
            "expired a second past the leeway",
            "RFC 7519 4.1.4",
            self.token().expired_ago(Duration::from_secs(self.leeway.saturating_add(1))),
        );
        add("not good for another hour", "RFC 7519 4.1.5", self.token().not_before_in(Duration::from_secs(3600)));
        add("expired since the epoch", "RFC 7519 4.1.4", self.token().claim("exp", 0));
    }
}
