//! What the linter finds, and that what it passes can be built.

use super::*;

#[test]
fn each_trap_is_found_by_its_rule() {
    let issuer = |more: &str| {
        format!(r#"{{"audience": "https://api.example", "issuers": [{{"issuer": "https://a.example", {more}}}]}}"#)
    };
    let named = |name: &str| format!(r#"{{"audience": "https://api.example", "issuers": [{{"issuer": "{name}"}}]}}"#);
    for (text, rule, severity) in [
        (r#"{"audience": "a", "issuers": []}"#.to_owned(), "no-issuer", Severity::Error),
        (
            r#"{"audience": "a", "several_tokens": "first_location", "issuers": [{"issuer": "https://a.example"}]}"#
                .to_owned(),
            "one-location",
            Severity::Warning,
        ),
        (r#"{"issuers": [{"issuer": "https://a.example"}]}"#.to_owned(), "no-audience", Severity::Error),
        (
            r#"{"dangerously_unchecked_audience": true, "issuers": [{"issuer": "https://a.example"}]}"#.to_owned(),
            "unchecked-audience",
            Severity::Warning,
        ),
        (
            r#"{"audience": "account", "issuers": [{"issuer": "https://a.example"}]}"#.to_owned(),
            "account-audience",
            Severity::Warning,
        ),
        (issuer(r#""audience": "account""#), "account-audience", Severity::Warning),
        (issuer(r#""audience": " x""#), "blank-audience", Severity::Error),
        (issuer(r#""audience": """#), "empty-audience", Severity::Error),
        (issuer(r#""leeway": 120"#), "leeway", Severity::Warning),
        (issuer(r#""strict": true, "rfc9068": true"#), "strict-twice", Severity::Warning),
        (
            r#"{"audience": "a", "issuers": [{"issuer": "https://shop.eu.auth0.com/", "strict": true}]}"#.to_owned(),
            "strict-unmarked",
            Severity::Warning,
        ),
        (issuer(r#""leeway": 301"#), "leeway", Severity::Error),
        (issuer(r#""algorithms": ["HS256"]"#), "hmac-fetched", Severity::Error),
        (issuer(r#""algorithms": ["HS256", "RS256"]"#), "mixed-algorithms", Severity::Error),
        (issuer(r#""algorithms": []"#), "no-algorithm", Severity::Error),
        (issuer(r#""jwks_uri": "http://a.example/keys""#), "http", Severity::Error),
        (named("http://127.0.0.1:1"), "http", Severity::Error),
        (issuer(r#""jwks_uri": "http://127.0.0.1/keys", "allow_loopback_http": true"#), "http", Severity::Warning),
        (issuer(r#""allow_private_addresses": true"#), "private-addresses", Severity::Warning),
        (issuer(r#""dangerously_allow_plain_http": true"#), "plain-http", Severity::Warning),
        (issuer(r#""reached_at": "http://keycloak:8080""#), "http", Severity::Error),
        (
            issuer(r#""reached_at": "http://keycloak:8080", "dangerously_allow_plain_http": true"#),
            "http",
            Severity::Warning,
        ),
        (issuer(r#""metadata_url": "http://keycloak:8080/m""#), "http", Severity::Error),
        (issuer(r#""reached_at": "https://keycloak/realms""#), "cannot-be-built", Severity::Error),
        (
            issuer(r#""reached_at": "https://keycloak", "jwks_uri": "https://a.example/keys""#),
            "cannot-be-built",
            Severity::Error,
        ),
        (issuer(r#""dangerously_accept_tokens_without_expiry": true"#), "no-expiry", Severity::Warning),
        (issuer(r#""secret": {"algorithm": "HS256", "value": "x"}"#), "secret-in-policy", Severity::Warning),
        (
            issuer(
                r#""introspection": {"endpoint": "http://127.0.0.1/i", "client_id": "a", "client_secret": {"env": "A"}}, "allow_loopback_http": true"#,
            ),
            "http",
            Severity::Warning,
        ),
        (
            issuer(
                r#""introspection": {"endpoint": "https://a.example/i", "client_id": "a", "client_secret": {"env": "A"}, "active_life": "1h"}"#,
            ),
            "long-answers",
            Severity::Warning,
        ),
        (issuer(r#""jwks": {"stale_if_error": 0}"#), "no-outage", Severity::Warning),
        (issuer(r#""jwks": {"wait": 0}"#), "jwks", Severity::Error),
        (named("https://tenant.eu.auth0.com"), "auth0-slash", Severity::Warning),
        (named("https://login.microsoftonline.com/common/v2.0"), "entra-common", Severity::Warning),
        (named("https://a.example/.well-known/openid-configuration"), "well-known", Severity::Error),
        (named("a.example"), "not-a-url", Severity::Error),
        (
            r#"{"audience": "a", "issuers": [{"issuer": "https://a.example"}, {"issuer": "https://a.example/"}]}"#
                .to_owned(),
            "slash-twins",
            Severity::Warning,
        ),
        (
            r#"{"audience": "a", "issuers": [{"issuer": "https://a.example"}, {"issuer": "https://a.example"}]}"#
                .to_owned(),
            "twice",
            Severity::Error,
        ),
        (
            r#"{"audience": "a", "max_token_bytes": 100, "issuers": [{"issuer": "https://a.example"}]}"#.to_owned(),
            "small-tokens",
            Severity::Warning,
        ),
        (
            r#"{"audience": "a", "token_cache": {"life": "2h"}, "issuers": [{"issuer": "https://a.example"}]}"#
                .to_owned(),
            "long-cache",
            Severity::Warning,
        ),
    ] {
        let found = json(&text).lint();
        assert!(found.iter().any(|finding| finding.rule == rule && finding.severity == severity), "{text}: {found:?}");
    }
    assert_eq!(json(&named("https://a.example")).lint(), []);
}

#[test]
fn what_cannot_be_built_is_an_error_of_the_linter_and_what_is_no_error_can_be_built() {
    let folder = Folder::new("buildable");
    folder.write(
        "keys.json",
        r#"{"keys": [{"kty": "oct", "alg": "HS256", "k": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}"#,
    );
    let issuer = |more: &str| format!(r#"{{"audience": "api", "issuers": [{{"issuer": "https://a.example"{more}}}]}}"#);
    let server = |more: &str| format!(r#"{{"audience": "api", "issuers": [{{"issuer": "https://a.example"}}]{more}}}"#);
    let asked = |more: &str| {
        format!(
            r#", "introspection": {{"endpoint": "https://a.example/i", "client_id": "api", "client_secret": {{"value": "s"}}{more}}}"#
        )
    };
    for (text, good) in [
        (issuer(""), true),
        (issuer(r#", "jwks_file": "keys.json", "algorithms": ["HS256"]"#), true),
        (issuer(r#", "secret": {"algorithm": "HS256", "value": "thirty-two bytes or more of a secret"}"#), true),
        (issuer(r#", "dangerously_unchecked_audience": true"#), true),
        (issuer(r#", "jwks_uri": "https://a.example/k", "jwks_file": "keys.json""#), false),
        (issuer(r#", "secret": {"algorithm": "HS256"}"#), false),
        (issuer(r#", "secret": {"algorithm": "RS256", "env": "PATH"}"#), false),
        (issuer(r#", "audience": "x", "dangerously_unchecked_audience": true"#), false),
        (issuer(r#", "tenants": ["72f988bf-86f1-41af-91ab-2d7cd011db47"]"#), false),
        (issuer(r#", "require_claims": [{"claims": []}]"#), false),
        (issuer(r#", "require_claims": [{"claims": ["a"], "or_absent": true}]"#), false),
        (issuer(r#", "require_claims": [{"claims": ["a"], "one_of": []}]"#), false),
        (issuer(r#", "accept_id_tokens_for": []"#), true),
        (issuer(r#", "jwks_uri": "nonsense""#), false),
        (issuer(r#", "jwks_uri": "https://user:password@a.example/""#), false),
        (issuer(r#", "jwks": {"fresh_for": 1, "max_fresh": 0}"#), false),
        (issuer("").replace("https://a.example", "https://a.example/?tenant=x"), false),
        (issuer("").replace("https://a.example", ""), false),
        (issuer(r#", "jwks_uri": "https://a.example/k""#).replace("//a.example\"", "//a.example/{tenantid}\""), true),
        (issuer(r#", "jwks_uri": "https://a.example/k""#).replace("//a.example\"", "//a.example/x{tenantid}\""), false),
        (issuer(&asked("")), true),
        (issuer(&format!("{}, \"without_keys\": true", asked(""))), true),
        (issuer(r#", "without_keys": true"#), false),
        (issuer(&format!("{}, \"without_keys\": true, \"jwks_uri\": \"https://a.example/k\"", asked(""))), false),
        (issuer(&format!("{}, \"without_keys\": true", asked(r#", "require_signed_answers": true"#))), false),
        (issuer(&asked(r#", "timeout": 0"#)), false),
        (issuer(&asked(r#", "audience": "x", "dangerously_unchecked_audience": true"#)), false),
        (issuer(&asked("").replace("https://a.example/i", "http://a.example/i")), false),
        (issuer(&asked("").replace("https://a.example/i", "nonsense")), false),
        (issuer(&asked("").replace(r#""value": "s""#, "")), false),
        (issuer(&asked("").replace(r#""client_id": "api""#, r#""client_id": """#)), false),
        (server(r#", "token_locations": ["authorization", {"header": {"name": "Cf-Access-Jwt-Assertion"}}]"#), true),
        (server(r#", "token_locations": []"#), false),
        (server(r#", "token_locations": [{"header": {"name": "Authorization"}}]"#), false),
        (server(r#", "token_locations": [{"cookie": {"name": "a;b", "csrf": {"origins": []}}}]"#), false),
        (server(r#", "dangerously_unchecked_audience": true"#), false),
    ] {
        let policy = Policy::from_json(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let found = policy.lint();
        let built = policy.relative_to(&folder.0).server();
        assert_eq!(built.is_ok(), good, "{text}: {:?}", built.err());
        assert_eq!(found.iter().all(|finding| finding.severity != Severity::Error), good, "{text}: {found:?}");
    }
}
