//! The guide's pages in, their Rust blocks compiled and run out, as doctests. The book itself is built by `cargo xtask guide`.

#[doc(hidden)]
#[allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "it is the hidden end of examples, which are tests"
)]
pub mod mutual_tls;

/// The tests of one page, under the page's name.
#[cfg(doctest)]
macro_rules! pages {
    ($($name:ident = $path:literal),+ $(,)?) => {$(
        #[doc = include_str!(concat!("src/", $path))]
        pub mod $name {}
    )+};
}

#[cfg(doctest)]
pages! {
    start_axum = "start/axum.md",
    start_actix = "start/actix.md",
    start_tower = "start/tower.md",
    start_tonic = "start/tonic.md",
    provider = "provider.md",
    network = "network.md",
    kubernetes = "kubernetes.md",
    bent_rules = "bent-rules.md",
    two_addresses = "two-addresses.md",
    edge = "edge.md",
    encrypted = "encrypted.md",
    possession = "possession.md",
    opaque = "opaque.md",
    scopes = "scopes.md",
    answers = "answers.md",
    caller = "caller.md",
    graphql = "graphql.md",
    rate_limits = "rate-limits.md",
    layers = "layers.md",
    openapi = "openapi.md",
    public = "public.md",
    browser = "browser.md",
    streams = "streams.md",
    tickets = "tickets.md",
    mcp = "mcp.md",
    tenants = "tenants.md",
    revocation = "revocation.md",
    sending = "sending.md",
    fleet = "fleet.md",
    status_lists = "status-lists.md",
    testing = "testing.md",
    drill = "drill.md",
    operating = "operating.md",
    where_it_runs = "where.md",
    performance = "performance.md",
    policy = "policy.md",
    from_jsonwebtoken = "coming-from/jsonwebtoken.md",
    from_oauth_resource_server = "coming-from/oauth-resource-server.md",
    from_jwt_authorizer = "coming-from/jwt-authorizer.md",
    from_axum_jwt_auth = "coming-from/axum-jwt-auth.md",
    from_actix_web_httpauth = "coming-from/actix-web-httpauth.md",
    from_spring_security = "coming-from/spring-security.md",
    from_express = "coming-from/express.md",
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    /// Every page under `folder`, by its path from there.
    fn pages(folder: &Path, from: &Path, into: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pages(&path, from, into);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                into.insert(path.strip_prefix(from).unwrap().to_str().unwrap().replace('\\', "/"));
            }
        }
    }

    fn book() -> (std::path::PathBuf, BTreeSet<String>) {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut all = BTreeSet::new();
        pages(&src, &src, &mut all);
        (src, all)
    }

    #[test]
    fn every_page_is_in_the_table_of_contents_and_every_page_with_rust_is_compiled() {
        let (src, mut all) = book();
        let contents = std::fs::read_to_string(src.join("SUMMARY.md")).unwrap();
        all.remove("SUMMARY.md");
        assert!(all.len() > 20, "{all:?}");
        for page in &all {
            assert!(contents.contains(&format!("({page})")), "SUMMARY.md does not lead to {page}");
            if std::fs::read_to_string(src.join(page)).unwrap().contains("```rust") {
                assert!(include_str!("lib.rs").contains(&format!("= \"{page}\"")), "nobody compiles {page}");
            }
        }
    }

    #[test]
    fn files_that_pages_show_are_there_with_the_part_that_is_shown() {
        let (src, all) = book();
        let mut looked = 0;
        for page in &all {
            let text = std::fs::read_to_string(src.join(page)).unwrap();
            let folder = src.join(Path::new(page).parent().unwrap());
            for include in text.split("{{#include ").skip(1).filter_map(|rest| rest.split("}}").next()) {
                looked += 1;
                let (file, part) = include.split_once(':').unwrap_or((include, ""));
                let shown = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
                let found =
                    if part.is_empty() { !shown.is_empty() } else { shown.contains(&format!("ANCHOR: {part}\n")) };
                let found = found || shown.contains(&format!("ANCHOR: {part} -->"));
                assert!(found, "{page} shows {include}, which is not there");
            }
        }
        assert!(looked > 5, "{looked}");
    }

    #[test]
    fn links_between_pages_lead_somewhere() {
        let (src, all) = book();
        let mut looked = 0;
        for page in &all {
            let text = std::fs::read_to_string(src.join(page)).unwrap();
            let folder = Path::new(page).parent().unwrap();
            for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let target = link.split('#').next().unwrap();
                if target.ends_with(".md") && !target.contains("://") {
                    looked += 1;
                    assert!(src.join(folder).join(target).exists(), "{page} leads to {link}, which is not there");
                }
            }
        }
        assert!(looked > 40, "{looked}");
    }
}
