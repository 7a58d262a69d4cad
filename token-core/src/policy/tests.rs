use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::gate::reload::{Reload, Reloaded};
use crate::gate::server::ResourceServer;
use crate::jose::Algorithm;
use crate::request::presented::Presented;
use crate::token::audience::Audience;
use crate::trust::issuer::Issuer;

const SECRET: &str = "canary-secret-of-more-than-thirty-two-bytes";

fn json(text: &str) -> Policy {
    Policy::from_json(text).unwrap()
}

/// A folder of its own for one test, gone afterwards.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("token-policy-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> std::path::PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_policy_says_the_same_in_json_as_in_the_environment() {
    let text = r#"{"audience": "https://api.example", "max_token_bytes": 4096, "issuers": [
        {"issuer": "https://a.example/", "leeway": "5s", "algorithms": ["ES256"], "jwks": {"wait": "2s"}},
        {"issuer": "https://b.example", "jwks_uri": "https://b.example/keys", "audience": ["x", "y"], "rfc9068": true}]}"#;
    let variables = [
        ("API_AUDIENCE", "https://api.example"),
        ("API_MAX_TOKEN_BYTES", "4096"),
        ("API_ISSUERS__0__ISSUER", "https://a.example/"),
        ("API_ISSUERS__0__LEEWAY", "5s"),
        ("API_ISSUERS__0__ALGORITHMS", r#"["ES256"]"#),
        ("API_ISSUERS__0__JWKS__WAIT", "2s"),
        ("API_ISSUERS__1__ISSUER", "https://b.example"),
        ("API_ISSUERS__1__JWKS_URI", "https://b.example/keys"),
        ("API_ISSUERS__1__AUDIENCE__0", "x"),
        ("API_ISSUERS__1__AUDIENCE__1", "y"),
        ("API_ISSUERS__1__RFC9068", "true"),
        ("OTHER_AUDIENCE", "not ours"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let policy = json(text);
    assert_eq!(Policy::from_variables("API_", variables).unwrap(), policy);
    assert_eq!(json(&serde_json::to_string(&policy).unwrap()), policy);
    assert_eq!(policy.issuers[0].leeway, Duration::from_secs(5));
    assert!(policy.server().is_ok());
}

#[cfg(feature = "policy-toml")]
#[test]
fn toml_says_the_same() {
    let toml = "audience = \"https://api.example\"\n[[issuers]]\nissuer = \"https://a.example/\"\nleeway = \"5s\"\n";
    let expected =
        json(r#"{"audience": "https://api.example", "issuers": [{"issuer": "https://a.example/", "leeway": 5}]}"#);
    assert_eq!(Policy::from_toml(toml).unwrap(), expected);
}

#[test]
fn a_mistake_in_json_is_reported_with_its_place() {
    for (text, place, why) in [
        ("{\n  \"audiense\": \"x\"}", (2, 12), "unknown field `audiense`"),
        ("{\"audience\": 5}", (1, 14), "expected a text or a list of texts"),
        ("{\n\n\"issuers\": [{}]}", (3, 14), "missing field `issuer`"),
        ("{\"issuers\": [{\"issuer\": \"a\", \"leeway\": \"5 parsecs\"}]}", (1, 50), "not a span of time"),
        ("{\"issuers\": [{\"issuer\": \"a\", \"algorithms\": [\"none\"]}]}", (1, 51), "unknown signature algorithm"),
        ("{\"issuers\": [{\"issuer\": \"a\", \"jwks\": {\"wat\": 1}}]}", (1, 45), "unknown field `wat`"),
        ("", (1, 1), "EOF"),
        ("[", (1, 1), "EOF"),
        ("{} x", (1, 4), "trailing"),
    ] {
        let error = Policy::from_json(text).unwrap_err();
        assert!(error.to_string().contains(why), "{text}: {error}");
        let (line, column) = error.place().unwrap();
        assert_eq!(line, place.0, "{text}: {error}");
        assert!(column.abs_diff(place.1) <= 2, "{text}: {error}");
    }
}

#[cfg(feature = "policy-toml")]
#[test]
fn a_mistake_in_toml_is_reported_with_its_place() {
    for (text, line, why) in [
        ("audience = \"a\"\naudiense = 1\n", 2, "unknown field `audiense`"),
        ("audience = \n", 1, ""),
        ("[[issuers]]\nissuer = \"a\"\nleeway = \"5 parsecs\"\n", 3, "not a span of time"),
        ("[[issuers]]\nissuer = 5\n", 2, "string"),
        ("[issuers]\nissuer = \"a\"\n", 1, "sequence"),
        ("audience = \"a\"\naudience = \"b\"\n", 2, "duplicate"),
    ] {
        let error = Policy::from_toml(text).unwrap_err();
        assert_eq!(error.place().unwrap().0, line, "{text}: {error}");
        assert!(error.to_string().contains(why), "{text}: {error}");
    }
}

#[test]
fn a_mistake_in_the_environment_names_the_variable() {
    for (bad, value, why) in [
        ("T_AUDIENSE", "x", "unknown field `audiense`"),
        ("T_ISSUERS__0__LEEWAY", "soon", "not a span of time"),
        ("T_ISSUERS__2__ISSUER", "https://c.example", "gap"),
        ("T_ISSUERS__0____", "x", "empty step"),
        ("T_MAX_TOKEN_BYTES", "many", "invalid type"),
    ] {
        let good = [("T_AUDIENCE", "a"), ("T_ISSUERS__0__ISSUER", "https://a.example"), (bad, value)];
        let variables = good.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let error = Policy::from_variables("T_", variables).unwrap_err().to_string();
        assert!(error.contains(bad) && error.contains(why), "{error}");
    }
}

#[test]
fn a_file_that_is_no_policy_is_refused_with_its_name() {
    let folder = Folder::new("bad-files");
    let long = folder.write("long.json", vec![b' '; 5 << 20]);
    let binary = folder.write("binary.json", b"{\n\xff\xfe\x00");
    for (path, why) in [
        (folder.0.join("absent.json"), "cannot be read"),
        (folder.0.clone(), "cannot be read"),
        (long, "larger than 4 MiB"),
        (binary, "line 2, column 1: not UTF-8"),
    ] {
        let error = Policy::from_file(&path).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains(path.to_str().unwrap()), "{error}");
    }
}

#[test]
fn what_the_builder_was_told_is_a_policy_and_builds_the_same_server() {
    let issuer = Issuer::with_jwks_uri("https://a.example/", "https://a.example/keys").unwrap();
    let issuer = issuer.leeway(Duration::from_secs(7)).rfc9068().algorithms([Algorithm::ES256]).audience("own");
    let builder = ResourceServer::builder(Audience::any_of(["x", "y"])).realm("r").max_token_bytes(5000).trust(issuer);
    let policy = builder.policy();
    assert_eq!(policy.audience, ["x", "y"]);
    assert_eq!(policy.issuers[0].leeway, Duration::from_secs(7));
    let again = json(&serde_json::to_string(&policy).unwrap());
    assert_eq!(again, policy);
    assert_eq!(again.builder().unwrap().policy(), policy);
    assert_eq!(*again.server().unwrap().policy(), policy);
}

#[test]
fn keys_come_from_one_place_and_secrets_are_never_written() {
    let folder = Folder::new("secrets");
    let file = folder.write("secret.txt", format!("{SECRET}\n"));
    let secret = |more: &str| {
        let text = format!(
            r#"{{"audience": "a", "issuers": [{{"issuer": "https://a.example", "secret": {{"algorithm": "HS256", {more}}}}}]}}"#
        );
        json(&text)
    };
    let by_value = secret(&format!(r#""value": "{SECRET}""#));
    let by_file = secret(&format!(r#""file": {:?}"#, file.to_str().unwrap()));
    for policy in [&by_value, &by_file] {
        assert!(policy.server().is_ok());
        let printed = format!("{policy} {policy:?} {}", serde_json::to_string(policy).unwrap());
        assert!(!printed.contains("canary"), "{printed}");
    }
    let redacted = json(&serde_json::to_string(&by_value).unwrap());
    assert!(redacted.server().unwrap_err().to_string().contains("redacted"));
    for (policy, why) in [
        (secret(r#""value": "a", "env": "B""#), "exactly one of env, file and value"),
        (secret(r#""env": "TOKEN_TEST_SURELY_UNSET""#), "TOKEN_TEST_SURELY_UNSET is not set"),
        (secret(r#""value": "short""#), "HS256"),
        (
            json(
                r#"{"audience": "a", "issuers": [{"issuer": "https://a.example", "jwks_uri": "https://a.example/k", "jwks_file": "k"}]}"#,
            ),
            "at most one of",
        ),
        (json(r#"{"audience": "a", "issuers": [{"issuer": "https://a.example", "jwks_file": "/absent"}]}"#), "/absent"),
        (json(r#"{"audience": "a", "issuers": []}"#), "no issuer"),
        (json(r#"{"issuers": [{"issuer": "https://a.example"}]}"#), "no audience"),
        (
            json(
                r#"{"audience": "a", "dangerously_unchecked_audience": true, "issuers": [{"issuer": "https://a.example"}]}"#,
            ),
            "contradict",
        ),
    ] {
        let error = policy.server().unwrap_err().to_string();
        assert!(error.contains(why) && !error.contains("canary"), "{error}");
    }
    // The mistakes that put the secret itself where it does not belong: the text of the error must not hold it.
    for wrong in [
        r#"{"issuers": [{"issuer": "a", "secret": "canary"}]}"#,
        r#"{"issuers": [{"issuer": "a", "secret": ["canary"]}]}"#,
        r#"{"issuers": [{"issuer": "a", "secret": 4711}]}"#,
        r#"{"issuers": [{"issuer": "a", "introspection": {"endpoint": "a", "client_id": "b", "client_secret": "canary"}}]}"#,
        r#"{"issuers": [{"issuer": "a", "secret": {"algorithm": "HS256", "value": 4711}}]}"#,
        r#"{"issuers": [{"issuer": "a", "secret": {"algorithm": "HS256", "value": ["canary"]}}]}"#,
    ] {
        let error = Policy::from_json(wrong).unwrap_err();
        assert!(error.place().is_some(), "{error}");
        assert!(error.to_string().contains("secret") || error.to_string().contains("a table"), "{wrong}: {error}");
        assert!(!error.to_string().contains("canary") && !error.to_string().contains("4711"), "{wrong}: {error}");
    }
    let variables = [("T_ISSUERS__0__ISSUER", "a"), ("T_ISSUERS__0__SECRET", "canary")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let error = Policy::from_variables("T_", variables).unwrap_err().to_string();
    assert!(error.contains("T_ISSUERS__0__SECRET") && !error.contains("canary"), "{error}");
    let newer = secret(r#""value": "another-secret-of-more-than-thirty-two-bytes""#);
    let changes = by_value.diff(&newer);
    assert_eq!(changes.len(), 1);
    assert!(!changes[0].to_string().contains("secret-of"), "{}", changes[0]);
}

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

#[test]
fn opaque_tokens_are_data_too_and_their_secret_is_never_written() {
    let text = r#"{"audience": "api", "issuers": [{"issuer": "https://a.example", "introspection": {
        "endpoint": "https://a.example/introspect", "client_id": "api", "client_secret": {"value": "canary"},
        "authentication": "client_secret_post", "prefixes": ["at_"], "active_life": "20s", "introspect_jwts": true}}]}"#;
    let policy = json(text);
    let server = policy.server().unwrap();
    assert_eq!(*server.policy(), policy, "what was built says the same");
    let printed = format!("{policy} {policy:?} {}", serde_json::to_string(&policy).unwrap());
    assert!(!printed.contains("canary"), "{printed}");
    assert!(
        printed.contains(
            "asked       https://a.example/introspect about JWTs and tokens that begin with at_, in the name of api"
        ),
        "{printed}"
    );
    assert!(printed.contains("revoked     such a token still works for 20 s"), "{printed}");
    let newer = json(&text.replace("canary", "another canary"));
    let changes: Vec<_> = policy.diff(&newer).iter().map(ToString::to_string).collect();
    let path = "issuers[https://a.example].introspection.client_secret.value";
    assert_eq!(changes, [format!(r#"~ {path}: "(redacted)" -> "(redacted)""#)]);

    // The builder says it in the same words; what only code can say is noted.
    let asked = |authentication| {
        crate::opaque::OpaqueTokens::introspection("https://a.example/i", "api", authentication).unwrap()
    };
    let basic = crate::opaque::client_authentication::ClientAuthentication::Basic("canary".into());
    let bearer = crate::opaque::client_authentication::ClientAuthentication::Bearer("canary".into());
    let of = |issuer: Issuer| ResourceServer::builder("api").trust(issuer).policy().issuers.remove(0);
    let data = of(Issuer::without_keys("https://a.example", asked(basic)).unwrap());
    assert!(data.without_keys && !data.keys_from_code && data.introspection.is_some());
    let again = Policy::new("api").trust(data);
    assert_eq!(again.builder().unwrap().policy(), again);
    assert!(again.to_string().contains("keys        none: every token is asked about"), "{again}");
    let code = of(Issuer::discover("https://a.example").unwrap().opaque_tokens(asked(bearer)));
    assert!(code.keys_from_code && code.introspection.is_none());
}

#[tokio::test]
async fn the_longest_token_to_ask_about_and_the_plain_form_of_basic_are_data() {
    let text = |more: &str| {
        format!(
            r#"{{"audience": "api", "issuers": [{{"issuer": "https://a.example", "introspection": {{
                "endpoint": "https://a.example/introspect", "client_id": "api", "client_secret": {{"value": "canary!"}}{more}}}}}]}}"#
        )
    };
    let policy = json(&text(r#", "max_token_bytes": 100, "authentication": "client_secret_basic_unencoded""#));
    let server = policy.server().unwrap();
    assert_eq!(*server.policy(), policy, "what was built says the same");
    let longer = "a".repeat(101);
    let refused = server.authenticate(crate::Presented::token(&longer)).await.unwrap_err();
    assert_eq!(refused.kind(), crate::ErrorKind::Malformed, "and nobody was asked: {refused}");
    let plain = json(&text("")).server().unwrap();
    assert!(!serde_json::to_string(&*plain.policy()).unwrap().contains("max_token_bytes"), "the default goes unsaid");
}

#[test]
fn roots_and_proxy_of_an_issuer_are_data_and_the_logging_of_refusals_is() {
    let folder = Folder::new("network");
    folder.write("ca.pem", include_bytes!("../base/http/reqwest/testdata/ca.crt.pem"));
    let text = |more: &str| {
        format!(r#"{{"audience": "api", "log_refusals": 100, "issuers": [{{"issuer": "https://a.example"{more}}}]}}"#)
    };
    let read = |more: &str| json(&text(more)).relative_to(&folder.0);
    let policy = read(r#", "ca_file": "ca.pem", "proxy": "http://proxy.internal:3128""#);
    let server = policy.server().unwrap();
    assert_eq!(*server.policy(), policy, "what was built says the same");
    let printed = policy.to_string();
    assert!(printed.contains("proxy       http://proxy.internal:3128") && printed.contains("ca.pem"), "{printed}");
    let (text, again) = (serde_json::to_string(&policy).unwrap(), &policy);
    assert_eq!(json(&text), *again);
    for (more, why) in [
        (r#", "ca_file": "absent.pem""#, "ca_file"),
        (r#", "proxy": "http://canary:canary@proxy.internal:3128""#, "credentials"),
        (r#", "proxy": "proxy.internal""#, "expected http://host:port"),
        (r#", "proxy": "socks5://proxy.internal""#, "expected http://host:port"),
    ] {
        let refused = read(more).server().unwrap_err().to_string();
        assert!(refused.contains("https://a.example") && refused.contains(why), "{more}: {refused}");
        assert!(!refused.contains("canary"), "{refused}");
    }
    folder.write("junk.pem", "no certificate");
    let refused = read(r#", "ca_file": "junk.pem""#).server().unwrap_err().to_string();
    assert!(refused.contains("no certificate in the root certificates"), "{refused}");
    let found = policy.lint();
    assert!(found.iter().any(|finding| finding.rule == "blind-proxy"), "{found:?}");
}

#[test]
fn where_an_issuer_is_reached_is_data_and_plain_http_is_printed_with_a_mark() {
    let text = |more: &str| format!(r#"{{"audience": "api", "issuers": [{{"issuer": "https://a.example/r"{more}}}]}}"#);
    let policy = json(&text(
        r#", "reached_at": "http://keycloak:8080", "metadata_url": "http://keycloak:8080/m", "dangerously_allow_plain_http": true"#,
    ));
    let server = policy.server().unwrap();
    assert_eq!(*server.policy(), policy, "what was built says the same");
    assert_eq!(json(&serde_json::to_string(&policy).unwrap()), policy);
    let printed = policy.to_string();
    for line in [
        "metadata    http://keycloak:8080/m\n",
        "reached at  http://keycloak:8080, for metadata and keys\n",
        "network     plain http to private addresses (!)\n",
    ] {
        assert!(printed.contains(line), "{printed}");
    }
    let printed = json(&text("")).to_string();
    assert!(!printed.contains("network") && !printed.contains("reached"), "{printed}");
    let ours = json(&text(r#", "dangerously_allow_plain_http": true"#));
    let found = ours.lint();
    assert!(found.iter().all(|finding| finding.why.contains("replace the issuer's keys")), "what it costs: {found:?}");
}

#[test]
fn nothing_in_a_policy_can_play_tricks_with_a_terminal() {
    let mut issuer = IssuerPolicy::discover("https://a.example/\u{1b}[2J\u{202e}\nrefuses: nothing");
    issuer.audience = vec!["one\r\n  access tokens of everybody".to_owned()];
    issuer.proxy = Some("http://a\u{7}".to_owned());
    let text = Policy::new("api").trust(issuer).to_string();
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()) && !text.contains('\u{202e}'), "{text:?}");
    assert!(!text.contains("\nrefuses: nothing") && !text.contains("\n  access tokens of everybody"), "{text}");
    assert!(text.contains(r"\u{1b}[2J\u{202e}\u{a}refuses: nothing"), "{text}");
}

#[test]
fn status_lists_are_data_too_and_off_unless_they_are_named() {
    let text = r#"{"audience": "api", "issuers": [{"issuer": "https://a.example", "status_lists": {
        "required": true, "at": ["https://status.example/lists/"], "fresh_for": "60s"}}]}"#;
    let policy = json(text);
    let server = policy.server().unwrap();
    assert_eq!(*server.policy(), policy, "what was built says the same");
    let said = "status      looked up in its status lists; tokens that name none are refused";
    assert!(policy.to_string().contains(said), "{policy}");
    let short = json(r#"{"audience": "api", "issuers": [{"issuer": "https://a.example", "status_lists": {}}]}"#);
    assert_eq!(short.issuers[0].status_lists, Some(crate::revocation::StatusLists::new()));
    let off = json(r#"{"audience": "api", "issuers": [{"issuer": "https://a.example"}]}"#);
    assert!(off.issuers[0].status_lists.is_none() && !off.to_string().contains("status"));
    for (lists, why) in
        [(r#"{"at": ["http://status.example/"]}"#, "expected https"), (r#"{"at": ["lists"]}"#, "status lists lists")]
    {
        let text = format!(
            r#"{{"audience": "api", "issuers": [{{"issuer": "https://a.example", "status_lists": {lists}}}]}}"#
        );
        let error = json(&text).server().unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn an_unknown_member_is_an_error_at_every_depth() {
    let issuer =
        |more: &str| format!(r#"{{"audience": "api", "issuers": [{{"issuer": "https://a.example", {more}}}]}}"#);
    let server = |more: &str| format!(r#"{{"audience": "api", "issuers": [], {more}}}"#);
    for text in [
        server(r#""oops": 1"#),
        server(r#""token_cache": {"oops": 1}"#),
        server(r#""token_locations": [{"header": {"name": "x", "oops": 1}}]"#),
        server(r#""token_locations": [{"cookie": {"name": "x", "csrf": {"origins": [], "oops": 1}}}]"#),
        issuer(r#""oops": 1"#),
        issuer(r#""status_lists": {"oops": 1}"#),
        issuer(r#""jwks": {"oops": 1}"#),
        issuer(r#""secret": {"algorithm": "HS256", "env": "A", "oops": 1}"#),
        issuer(r#""introspection": {"endpoint": "a", "client_id": "b", "client_secret": {"env": "A"}, "oops": 1}"#),
        issuer(r#""introspection": {"endpoint": "a", "client_id": "b", "client_secret": {"env": "A", "oops": 1}}"#),
        issuer(r#""mapping": {"oops": 1}"#),
        issuer(r#""mapping": {"scopes": [{"claim": "scope", "oops": 1}]}"#),
        issuer(r#""require_claims": [{"claims": ["a"], "oops": 1}]"#),
    ] {
        let error = Policy::from_json(&text).expect_err(&text);
        assert!(error.to_string().contains("unknown field `oops`"), "{text}: {error}");
        assert_eq!(error.place().map(|(line, _)| line), Some(1), "{text}: {error}");
    }
}

#[test]
fn an_audience_that_one_issuer_need_not_name_is_data_and_is_said() {
    let keys = crate::StaticKeys::secret(Algorithm::HS256, &[7; 32]).unwrap();
    let issuer = Issuer::with_keys("https://a.example", keys).unwrap().audience(Audience::dangerously_unchecked());
    let policy = ResourceServer::builder("https://api.example").trust(issuer).policy();
    assert!(policy.issuers[0].dangerously_unchecked_audience);
    assert!(policy.to_string().contains("for         anybody (not checked!)"), "{policy}");
    let text =
        r#"{"audience": "api", "issuers": [{"issuer": "https://a.example", "dangerously_unchecked_audience": true}]}"#;
    assert!(json(text).lint().iter().any(|finding| finding.rule == "unchecked-audience"));
    assert_eq!(json(text).builder().unwrap().policy(), json(text));
}

#[test]
fn a_difference_names_the_member_and_both_values() {
    let old =
        json(r#"{"audience": "a", "issuers": [{"issuer": "https://a.example"}, {"issuer": "https://b.example"}]}"#);
    let new = json(r#"{"audience": ["a", "b"], "issuers": [{"issuer": "https://b.example", "leeway": 60}]}"#);
    let lines: Vec<_> = old.diff(&new).iter().map(ToString::to_string).collect();
    let expected = [
        r#"~ audience: "a" -> ["a","b"]"#,
        r#"- issuers[https://a.example].issuer: "https://a.example""#,
        "- issuers[https://a.example].leeway: 30",
        "~ issuers[https://b.example].leeway: 30 -> 60",
    ];
    assert_eq!(lines, expected);
    assert_eq!(old.diff(&old), []);
}

#[test]
fn people_can_read_what_is_accepted() {
    let text = json(r#"{"audience": "https://api.example", "issuers": [{"issuer": "https://a.example"}]}"#).to_string();
    for line in [
        "access tokens of https://a.example\n",
        "for         https://api.example\n",
        "keys        discovered, fresh for 10 min, up to 1 h more in an outage\n",
        "algorithms  ",
        "exp required, 30 s of leeway\n",
        "refuses:\n",
    ] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
}

#[tokio::test]
async fn a_bad_file_keeps_the_old_policy_and_a_good_one_takes_over() {
    let folder = Folder::new("reload");
    let policy = |issuer: &str| {
        format!(
            r#"{{"audience": "https://api.example", "issuers": [{{"issuer": "{issuer}", "secret": {{"algorithm": "HS256", "value": "{SECRET}"}}}}]}}"#
        )
    };
    let path = folder.write("policy.json", policy("https://a.example"));
    let reload = Arc::new(Reload::start(&path, |builder| builder).unwrap());
    let server = reload.server();
    let sign = |issuer: &str| {
        let key = crate::jose::signing::SigningKey::from_secret(Algorithm::HS256, None, SECRET.as_bytes()).unwrap();
        let claims = format!(r#"{{"iss": "{issuer}", "aud": "https://api.example", "exp": 4000000000}}"#);
        key.sign_jwt(r#"{"alg": "HS256"}"#, &claims).unwrap()
    };
    let accepts = |issuer: &str| server.authenticate(Presented::token(&sign(issuer))).now().unwrap().is_ok();
    let verdicts = || (accepts("https://a.example"), accepts("https://b.example"));

    assert_eq!(reload.check().await, Reloaded::Unchanged);
    assert_eq!(verdicts(), (true, false));
    for bad in ["", "{", r#"{"audience": "x"}"#, r#"{"audience": "x", "issuers": [{"issuer": "http://c.example"}]}"#] {
        folder.write("policy.json", bad);
        assert!(matches!(reload.check().await, Reloaded::Kept(_)), "{bad}");
        assert_eq!(verdicts(), (true, false), "{bad}");
    }
    folder.write("policy.json", policy("https://b.example"));
    assert!(matches!(reload.check().await, Reloaded::Changed(changes) if !changes.is_empty()));
    assert_eq!(verdicts(), (false, true));
    assert_eq!(server.policy().issuers[0].issuer, "https://b.example");
    assert_eq!(server.health().len(), 1);
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(reload.check().await, Reloaded::Kept(_)));
    assert_eq!(verdicts(), (false, true));
}

/// An issuer whose keys do not come.
#[derive(Debug)]
struct Silent;

impl crate::base::http::HttpClient for Silent {
    fn send(
        &self,
        _: http::Request<bytes::Bytes>,
        _: crate::base::http::Limits,
    ) -> crate::base::http::BoxFuture<'_, Result<http::Response<bytes::Bytes>, crate::base::http::HttpError>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_looks_at_the_file_the_one_that_read_an_older_text_does_not_have_the_last_word() {
    let folder = Folder::new("two-looks");
    let policy = |issuer: &str, more: &str| {
        format!(r#"{{"audience": "https://api.example", "issuers": [{{"issuer": "{issuer}"{more}}}]}}"#)
    };
    let secret = format!(r#", "secret": {{"algorithm": "HS256", "value": "{SECRET}"}}"#);
    let path = folder.write("policy.json", policy("https://first.example", &secret));
    let silent: Arc<dyn crate::base::http::HttpClient> = Arc::new(Silent);
    let reload = Reload::start(&path, move |builder| builder.asking(&silent)).unwrap();
    // Its keys are waited for; meanwhile the file is written once more, and looked at on a signal.
    folder.write("policy.json", policy("https://second.example", ""));
    let (_, last) = tokio::join!(reload.check(), async {
        folder.write("policy.json", policy("https://third.example", &secret));
        reload.check().await
    });
    assert!(matches!(last, Reloaded::Changed(_)), "{last:?}");
    assert_eq!(reload.policy().issuers[0].issuer, "https://third.example");
    assert_eq!(reload.server().policy().issuers[0].issuer, "https://third.example");
    assert_eq!(reload.check().await, Reloaded::Unchanged);
}

#[tokio::test]
async fn a_secret_or_a_key_set_that_was_replaced_takes_over_although_the_policy_is_the_same() {
    let folder = Folder::new("named-files");
    let text = r#"{"audience": "api", "issuers": [{"issuer": "https://a.example", "secret": {"algorithm": "HS256", "file": "secret"}}]}"#;
    let path = folder.write("policy.json", text);
    folder.write("secret", SECRET);
    let reload = Reload::start(&path, |builder| builder).unwrap();
    let server = reload.server();
    let accepts = |secret: &str| {
        let key = crate::jose::signing::SigningKey::from_secret(Algorithm::HS256, None, secret.as_bytes()).unwrap();
        let claims = r#"{"iss": "https://a.example", "aud": "api", "exp": 4000000000}"#;
        let token = key.sign_jwt(r#"{"alg": "HS256"}"#, claims).unwrap();
        server.authenticate(Presented::token(&token)).now().unwrap().is_ok()
    };
    let newer = "another-secret-of-more-than-thirty-two-bytes";
    assert_eq!(reload.check().await, Reloaded::Unchanged);
    folder.write("secret", newer);
    let Reloaded::Changed(changes) = reload.check().await else { panic!("the secret is another") };
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].to_string(), r#"~ issuers[https://a.example].secret: "(old content)" -> "(new content)""#);
    assert_eq!((accepts(SECRET), accepts(newer)), (false, true));
    assert_eq!(reload.check().await, Reloaded::Unchanged);
    folder.write("secret", "short");
    assert!(matches!(reload.check().await, Reloaded::Kept(_)));
    std::fs::remove_file(folder.0.join("secret")).unwrap();
    assert!(matches!(reload.check().await, Reloaded::Kept(_)));
    assert_eq!((accepts(SECRET), accepts(newer)), (false, true));
}

#[cfg(feature = "schema")]
#[test]
fn the_schema_that_is_shipped_is_that_of_the_code() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("policy.schema.json");
    let current = Policy::json_schema();
    if std::env::var_os("TOKEN_WRITE_SCHEMA").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), current, "run this test with TOKEN_WRITE_SCHEMA=1");
    let schema: serde_json::Value = serde_json::from_str(&current).unwrap();
    for member in ["audience", "issuers", "token_cache"] {
        assert!(schema["properties"].get(member).is_some(), "{member}");
    }
    assert_eq!(schema["additionalProperties"], false);
    assert!(!current.contains("```"), "no code of ours in the hints of an editor");
}

/// As much of JSON Schema (draft 2020-12) as the schema of a policy uses.
#[cfg(feature = "schema")]
fn fits(value: &serde_json::Value, schema: &serde_json::Value, root: &serde_json::Value) -> bool {
    use serde_json::Value;
    let one = |schema: &Value| fits(value, schema, root);
    let Some(rules) = schema.as_object() else { return schema == true };
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("type {other}"),
    };
    rules.iter().all(|(rule, says)| match rule.as_str() {
        "$ref" => one(root.pointer(says.as_str().unwrap().trim_start_matches('#')).unwrap()),
        "type" => {
            says.as_str().map_or_else(|| says.as_array().unwrap().iter().any(|name| is(name.as_str().unwrap())), is)
        }
        "enum" => says.as_array().unwrap().contains(value),
        "const" => says == value,
        "anyOf" => says.as_array().unwrap().iter().any(one),
        "oneOf" => says.as_array().unwrap().iter().filter(|schema| one(schema)).count() == 1,
        "required" => value.as_object().is_none_or(|members| {
            says.as_array().unwrap().iter().all(|name| members.contains_key(name.as_str().unwrap()))
        }),
        "properties" => value.as_object().is_none_or(|members| {
            members.iter().all(|(name, value)| says.get(name).is_none_or(|schema| fits(value, schema, root)))
        }),
        "additionalProperties" => value.as_object().is_none_or(|members| {
            members
                .iter()
                .filter(|(name, _)| rules.get("properties").is_none_or(|known| known.get(name.as_str()).is_none()))
                .all(|(_, value)| fits(value, says, root))
        }),
        "items" => value.as_array().is_none_or(|all| all.iter().all(|value| fits(value, says, root))),
        "minItems" => value.as_array().is_none_or(|all| all.len() as u64 >= says.as_u64().unwrap()),
        "minimum" => value.as_f64().is_none_or(|number| number >= says.as_f64().unwrap()),
        // What is said to people, and the spelling of spans, which the reader knows more of.
        "$schema" | "$defs" | "title" | "description" | "default" | "format" | "pattern" | "uniqueItems" => true,
        other => panic!("rule {other}"),
    })
}

#[cfg(feature = "schema")]
#[test]
fn the_schema_takes_what_the_reader_takes_and_refuses_what_it_refuses() {
    let schema: serde_json::Value = serde_json::from_str(&Policy::json_schema()).unwrap();
    let mut rows = vec![
        (r#"{"audience": "a", "issuers": []}"#.to_owned(), true),
        (r#"{"audience": ["a", "b"], "issuers": [{"issuer": "a", "leeway": "5s"}, {"issuer": "b", "leeway": 5}]}"#.to_owned(), true),
        (r#"{"token_locations": ["authorization", {"header": {"name": "x"}}, {"cookie": {"name": "x", "csrf": {"origins": []}}}, {"websocket_protocol": {"prefix": "bearer."}}]}"#.to_owned(), true),
        (r#"{"implies": {"write": ["read"]}, "token_cache": {"entries": 0}}"#.to_owned(), true),
        (r#"{"several_tokens": "first_location"}"#.to_owned(), true),
        (r#"{"several_tokens": "last"}"#.to_owned(), false),
        (r#"{"tickets": {}}"#.to_owned(), true),
        (r#"{"tickets": {"life": "20s", "store": "shared"}}"#.to_owned(), true),
        (r#"{"tickets": {"store": "redis"}}"#.to_owned(), false),
        (r#"{"tickets": {"oops": 1}}"#.to_owned(), false),
        (r#"{"encrypted_tokens": {"keys": [{"algorithm": "ECDH-ES", "kid": "1", "file": "k.pem"}], "content_encryption": ["A256GCM"]}}"#.to_owned(), true),
        (r#"{"encrypted_tokens": {"keys": [{"algorithm": "dir", "content_encryption": "A128CBC-HS256", "env": "K"}]}}"#.to_owned(), true),
        (r#"{"encrypted_tokens": {"keys": [{"algorithm": "RSA1_5", "file": "k.pem"}]}}"#.to_owned(), false),
        (r#"{"encrypted_tokens": {"keys": [{"file": "k.pem"}]}}"#.to_owned(), false),
        (r#"{"encrypted_tokens": {"keys": [{"algorithm": "ECDH-ES", "file": "k.pem", "oops": 1}]}}"#.to_owned(), false),
        (r#"{"encrypted_tokens": {"content_encryption": ["A192GCM"]}}"#.to_owned(), false),
        (r#"{"dpop": {"schemes": "required", "external_url": "https://a.example", "algorithms": ["ES256"], "max_age": "300s", "require_nonces": true}}"#.to_owned(), true),
        (r#"{"dpop": {}}"#.to_owned(), true),
        (r#"{"dpop": {"schemes": "dpop"}}"#.to_owned(), false),
        (r#"{"dpop": {"oops": 1}}"#.to_owned(), false),
        (r#"{"issuers": [{"issuer": "a", "algorithms": ["ES256"], "jwks_file": "k", "mapping": {"roles": [{"claim": ["a", "b"], "shape": "keys", "prefix": "x:"}]}}]}"#.to_owned(), true),
        (r#"{"issuers": [{"issuer": "a", "require_claims": [{"claims": ["a", ["b", "c"]], "one_of": ["x"], "header": true}]}]}"#.to_owned(), true),
        (r#"{"issuers": [{"issuer": "a", "secret": {"algorithm": "HS256", "env": "A"}}]}"#.to_owned(), true),
        (r#"{"issuers": [{"issuer": "a", "introspection": {"endpoint": "a", "client_id": "b", "client_secret": {"file": "f"}, "authentication": "client_secret_post"}}]}"#.to_owned(), true),
        (r#"{"issuers": [{"issuer": "a", "introspection": {"endpoint": "a", "client_id": "b", "client_secret": "s"}}]}"#.to_owned(), false),
        (r#"{"issuers": [{"issuer": "a", "introspection": {"endpoint": "a"}}]}"#.to_owned(), false),
        (r#"{"issuers": [{}]}"#.to_owned(), false),
        (r#"{"issuers": {}}"#.to_owned(), false),
        (r#"{"audience": 5}"#.to_owned(), false),
        (r#"{"token_locations": ["somewhere"]}"#.to_owned(), false),
        (r#"{"token_locations": [{"header": {}}]}"#.to_owned(), false),
        (r#"{"token_locations": [{"header": {"name": "x", "oops": 1}}]}"#.to_owned(), false),
        (r#"{"issuers": [{"issuer": "a", "algorithms": ["none"]}]}"#.to_owned(), false),
        (r#"{"issuers": [{"issuer": "a", "secret": "x"}]}"#.to_owned(), false),
        (r#"{"issuers": [{"issuer": "a", "mapping": {"roles": [{"shape": "keys"}]}}]}"#.to_owned(), false),
        (r#"{"issuers": [{"issuer": "a", "require_claims": [{"claims": "a"}]}]}"#.to_owned(), false),
        (r#"{"issuers": [{"issuer": "a", "require_claims": [{"claims": ["a"], "one_of": null}]}]}"#.to_owned(), false),
        // All are meant where such a list is left out: an empty one is a mistake.
        (r#"{"issuers": [{"issuer": "a", "tenants": []}]}"#.to_owned(), false),
        (r#"{"gate": {"routes": [{"path": "/a", "hosts": []}]}}"#.to_owned(), false),
        (r#"{"gate": {"routes": [{"path": "/a", "methods": []}]}}"#.to_owned(), false),
        (r#"{"issuers": [{"issuer": "a", "oops": 1}]}"#.to_owned(), false),
    ];
    // And whatever the program itself writes.
    for (_, preset) in crate::provider::samples() {
        if let Ok(issuer) = preset.policy() {
            rows.push((serde_json::to_string(&Policy::new("api").trust(issuer)).unwrap(), true));
        }
    }
    assert!(rows.len() > 35);
    for (text, good) in rows {
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(Policy::from_json(&text).is_ok(), good, "the reader: {text}");
        assert_eq!(fits(&value, &schema, &schema), good, "the schema: {text}");
    }
}

#[test]
fn a_policy_says_how_proofs_of_possession_are_checked() {
    let with = |dpop: &str| {
        let text = format!(
            r#"{{"audience": "a", "dpop": {dpop}, "issuers": [{{"issuer": "https://a.example", "jwks_uri": "https://a.example/k"}}]}}"#
        );
        Policy::from_json(&text)
    };
    for (text, says) in [
        (r#"{"external_url": "https://api.example"}"#, "proofs for another place than https://api.example"),
        (r#"{"schemes": "required", "require_nonces": true, "max_age": "300s"}"#, "not bound to a key"),
        (
            r#"{"schemes": "bearer", "algorithms": ["ES256"], "max_proofs_per_key": 50000}"#,
            "except where a layer takes it",
        ),
    ] {
        let policy = with(text).unwrap();
        assert_eq!(policy.builder().unwrap().policy().dpop, policy.dpop, "{text}");
        assert!(policy.server().is_ok(), "{text}");
        assert!(policy.to_string().contains(says), "{policy}");
        assert_eq!(
            policy.lint().iter().any(|finding| finding.path == "dpop.external_url"),
            !text.contains("external_url")
        );
    }
    for (text, why) in [
        (r#"{"external_url": "api.example"}"#, "external_url"),
        (r#"{"external_url": "https://a.example", "algorithms": ["HS256"]}"#, "HS256"),
        (r#"{"max_age": "1h"}"#, "10 min"),
        (r#"{"nonce_secrets": [{"value": "short"}]}"#, "at least 32"),
        (
            r#"{"nonce_secrets": [{"env": "TOKEN_CORE_TESTS_NO_SUCH_VARIABLE"}]}"#,
            "dpop.nonce_secrets: the environment variable",
        ),
        (r#"{"replay_memory": "shared"}"#, "hand one over"),
        (
            r#"{"external_url": "https://a.example", "forwarded": {"field": "forwarded", "proxies": ["10.0.0.7"]}}"#,
            "remove forwarded",
        ),
        (r#"{"forwarded": {"field": "forwarded", "proxies": []}}"#, "name the addresses"),
    ] {
        let error = with(text).unwrap().server().unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    let unread = with(r#"{"forwarded": {"field": "x_forwarded", "proxies": ["proxy.example"]}}"#).unwrap_err();
    assert!(unread.to_string().contains("10.1.0.0/16"), "{unread}");
}

#[test]
fn a_policy_says_what_instances_share_and_whom_they_believe() {
    const SECRET: &str = "canary, and at least 32 bytes of it";
    let text = |from: &str, nonce: &str| {
        format!(
            r#"{{"audience": "a", "issuers": [{{"issuer": "https://a.example", "jwks_uri": "https://a.example/k"}}],
            "dpop": {{"nonce_secrets": [{{"file": "{nonce}"}}, {{"value": "{SECRET}"}}], "replay_memory": "shared",
                "when_replay_memory_is_unreachable": "admit",
                "forwarded": {{"field": "x_forwarded", "proxies": ["10.1.0.0/16", "fd00::7"]}}}},
            "mutual_tls": {from}}}"#
        )
    };
    let folder = std::env::temp_dir().join(format!("token-core-nonces-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("nonce.key"), "another one, of at least 32 bytes\n").unwrap();
    for (from, says) in [
        (r#"{"from": "connection"}"#, "that is not the connection's"),
        (r#"{"from": "client_cert", "proxies": ["10.1.0.0/16"]}"#, "client-cert of the proxy at 10.1.0.0/16"),
        (r#"{"from": "xfcc", "proxies": ["10.1.0.7"]}"#, "x-forwarded-client-cert of the proxy at 10.1.0.7"),
        (
            r#"{"from": "x_forwarded_tls_client_cert", "proxies": ["10.1.0.7"]}"#,
            "x-forwarded-tls-client-cert of the proxy at 10.1.0.7",
        ),
        (r#"{"from": "escaped_pem", "field": "x-cert", "proxies": ["::1"]}"#, "x-cert of the proxy at ::1"),
    ] {
        std::fs::write(folder.join("policy.json"), text(from, "nonce.key")).unwrap();
        let policy = Policy::from_file(folder.join("policy.json")).unwrap();
        let memory = crate::stores::MemoryReplays::new();
        let builder = policy.builder().unwrap().adjust_dpop(|dpop| dpop.replay_memory(memory));
        let again = builder.policy();
        assert_eq!((&again.dpop, &again.mutual_tls), (&policy.dpop, &policy.mutual_tls), "{from}");
        let server = builder.build().unwrap();
        assert!(policy.server().unwrap_err().to_string().contains("replay_memory"));
        for printed in [policy.to_string(), format!("{policy:?}"), serde_json::to_string(&policy).unwrap()] {
            assert!(!printed.contains("canary") && !printed.contains("another one"), "{printed}");
        }
        let shown = policy.to_string();
        for says in [says, "the proxy at 10.1.0.0/16 or fd00::7", "2 shared secrets", "to whichever instance", "(!)"] {
            assert!(shown.contains(says), "{says}: {shown}");
        }
        let found: Vec<_> = policy.lint().iter().map(|finding| finding.rule).collect();
        assert_eq!(found, ["secret-in-policy"], "{from}");
        drop(server);
    }
    std::fs::remove_dir_all(&folder).unwrap();
    for (from, why) in [
        (r#"{"from": "client_cert"}"#, "name the addresses"),
        (r#"{"from": "connection", "proxies": ["10.0.0.7"]}"#, "remove field and proxies"),
        (r#"{"from": "escaped_pem", "proxies": ["10.0.0.7"]}"#, "field: expected"),
        (r#"{"from": "xfcc", "field": "x-cert", "proxies": ["10.0.0.7"]}"#, "escaped_pem alone"),
        (r#"{"from": "client_cert", "proxies": ["0.0.0.0/0"]}"#, "everybody"),
    ] {
        let policy = Policy::from_json(&text(from, "nonce.key").replace(r#"{"file": "nonce.key"}, "#, "")).unwrap();
        let found = policy.lint();
        assert!(found.iter().any(|finding| finding.why.contains(why)), "{from}: {found:?}");
    }
    let old = Policy::from_json(&text(r#"{"from": "connection"}"#, "a")).unwrap();
    let new = Policy::from_json(&text(r#"{"from": "connection"}"#, "a").replace(SECRET, "another")).unwrap();
    assert_eq!(old.diff(&new).iter().map(|change| &*change.path).collect::<Vec<_>>(), ["dpop.nonce_secrets[1].value"]);
}
