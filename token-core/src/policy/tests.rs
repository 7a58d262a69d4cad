//! A policy reads the same from JSON, TOML and the environment, and says where a mistake stands.

mod lint;
mod reload;
#[cfg(feature = "schema")]
mod schema;
mod settings;

use std::time::Duration;

use super::*;
use crate::gate::server::ResourceServer;
use crate::jose::Algorithm;
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
