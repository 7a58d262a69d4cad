//! Each setting of a server is data: read, built from, written again, and no secret among it.

use super::*;

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
    folder.write("ca.pem", include_bytes!("../../base/http/reqwest/testdata/ca.crt.pem"));
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

#[test]
fn what_a_gate_and_every_token_are_asked_for_is_shown_beside_what_is_accepted() {
    let gated = |more: &str| {
        json(&format!(r#"{{"audience": "a", "issuers": [{{"issuer": "https://a.example"}}]{more}}}"#)).to_string()
    };
    let plain = gated("");
    assert!(!plain.contains("token-gate") && !plain.contains("holds each"), "{plain}");
    let routes = r#"{"path": "/health", "access": "public"},
        {"path": "/orders/**", "methods": ["GET", "POST"], "hosts": "a.example", "require": "read"}"#;
    let upstream = r#"{"token": "remove", "headers": {"X-Token-Subject": "sub"}}"#;
    let shown = gated(&format!(r#", "require": "api", "gate": {{"routes": [{routes}], "upstream": {upstream}}}"#));
    for line in [
        "  and holds each of them to \"api\"",
        "behind token-gate, by the first that matches:",
        "  /health                  everybody, no token is looked at",
        "  GET POST a.example/orders/** a good token: \"read\"",
        "  all else                 nobody",
        "  the service sees         no token, X-Token-Subject",
    ] {
        assert!(shown.lines().any(|seen| seen == line), "expected {line:?} in\n{shown}");
    }
    assert!(gated(r#", "gate": {"otherwise": "optional"}"#).contains("all else                 everybody without"));
}
