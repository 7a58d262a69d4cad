//! Fields that a client writes to look like somebody else, through each proxy: the gate does not believe them, the service does not see them.

use super::client;
use super::proxy::Kind;
use super::stage::Stage;

/// What a client writes to be judged by another request than its own.
const OTHER_REQUEST: &[(&str, &[u8])] = &[
    ("X-Original-URI", b"/public/x"),
    ("X-Original-Method", b"OPTIONS"),
    ("X-Original-URL", b"/public/x"),
    ("X-Rewrite-URL", b"/public/x"),
    ("X-Forwarded-Uri", b"/public/x"),
    ("X-Forwarded-Method", b"OPTIONS"),
    ("X-Forwarded-Path", b"/public/x"),
    ("X-Envoy-Original-Path", b"/public/x"),
    ("X-HTTP-Method-Override", b"OPTIONS"),
];

/// What a client writes to be somebody.
const SOMEBODY: &[(&str, &[u8])] = &[
    ("X-Token-Subject", b"root"),
    ("x-token-subject", b"admin"),
    ("X-Token-Scope", b"admin"),
    ("X-Forwarded-Client-Cert", b"By=spiffe://a;URI=spiffe://root"),
    ("Forwarded", b"for=127.0.0.1;host=internal"),
    ("Client-Cert", b":MIIB:"),
    ("X-Real-IP", b"203.0.113.7"),
    ("X-Forwarded-For", b"203.0.113.7"),
    ("X-Forwarded-Host", b"203.0.113.7"),
    ("X-Forwarded-Proto", b"203.0.113.7"),
    ("X-Forwarded-Port", b"203.0.113.7"),
    ("X-Forwarded-Prefix", b"203.0.113.7"),
    ("X-Forwarded-Server", b"203.0.113.7"),
    ("X-Forwarded-Ssl", b"203.0.113.7"),
    ("X-Forwarded-Scheme", b"203.0.113.7"),
    ("X-Forwarded-User", b"203.0.113.7"),
    ("X-Forwarded-Email", b"203.0.113.7"),
    ("X-Forwarded-Groups", b"203.0.113.7"),
];

#[tokio::test]
async fn a_request_is_judged_by_itself_whatever_its_fields_say() {
    for kind in Kind::ALL {
        let stage = Stage::of(kind).await;
        for field in OTHER_REQUEST {
            let answer = client::get(stage.address(), "/admin/keys", &[*field]).await;
            assert!(answer.status == 401 && answer.seen().is_none(), "{kind:?} {field:?}: {answer:?}");
        }
        let answer = client::get(stage.address(), "/admin/keys", OTHER_REQUEST).await;
        assert!(answer.status == 401 && answer.seen().is_none(), "{kind:?}: {answer:?}");
    }
}

#[tokio::test]
async fn the_service_hears_who_calls_from_the_gate_alone() {
    for kind in Kind::ALL {
        let stage = Stage::of(kind).await;
        let token = stage.bearer("read:users profile");
        for (target, token, expected) in [
            ("/echo", Some(&token), ("ada", "read:users profile")),
            ("/public/x", None, ("", "")),
            // A route that is open does not look at the token.
            ("/public/x", Some(&token), ("", "")),
        ] {
            let mut fields = SOMEBODY.to_vec();
            fields.extend(OTHER_REQUEST);
            fields.extend(token.map(|token| ("authorization", token.as_slice())));
            let answer = client::get(stage.address(), target, &fields).await;
            let seen = answer.seen().unwrap_or_else(|| panic!("{kind:?} {target}: {answer:?}"));
            let place = format!("{kind:?} {target}: {seen:?}");
            for (name, expected) in [("x-token-subject", expected.0), ("x-token-scope", expected.1)] {
                let values = seen.field(name);
                assert!(values == [expected] || (expected.is_empty() && values.is_empty()), "{name} {place}");
            }
            for name in [
                "authorization",
                "forwarded",
                "x-original-uri",
                "x-original-url",
                "x-rewrite-url",
                "x-http-method-override",
                "x-forwarded-uri",
                "x-forwarded-method",
                "x-forwarded-path",
                "x-forwarded-client-cert",
                "client-cert",
            ] {
                assert_eq!(seen.field(name), Vec::<&str>::new(), "{name} {place}");
            }
            let envoy = matches!(kind, Kind::EnvoyGrpc | Kind::EnvoyHttp);
            assert!(!envoy || seen.field("x-envoy-original-path").is_empty(), "{place}");
            // What the proxy itself says under such names may be there; what the client says may not.
            assert!(!place.contains("203.0.113.7"), "{place}");
            assert_eq!(seen.field("x-forwarded-for"), ["127.0.0.1"], "{place}");
        }
    }
}

#[tokio::test]
async fn a_field_that_the_client_names_in_connection_is_not_taken_off_once_the_gate_has_written_it() {
    for kind in Kind::ALL {
        let stage = Stage::of(kind).await;
        let token = stage.bearer("profile");
        for named in ["X-Token-Subject", "close, x-token-subject", "close, X-Token-Scope,X-Token-Subject"] {
            let head = format!("GET /echo HTTP/1.1\r\nhost: api.example.com\r\nconnection: {named}\r\nauthorization: ");
            let request = [head.as_bytes(), &token, b"\r\n\r\n"].concat();
            let answer = client::raw(stage.address(), &request).await;
            match answer.seen() {
                Some(seen) => assert_eq!(seen.field("x-token-subject"), ["ada"], "{kind:?} {named}: {seen:?}"),
                None => assert_eq!(answer.status, 400, "{kind:?} {named}: {answer:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_field_that_differs_only_in_its_dashes_does_not_reach_the_service() {
    for kind in Kind::ALL {
        let stage = Stage::of(kind).await;
        let token = stage.bearer("profile");
        for name in ["X_Token_Subject", "x-token_subject"] {
            let fields: [(&str, &[u8]); 2] = [("authorization", &token), (name, b"root")];
            let answer = client::get(stage.address(), "/echo", &fields).await;
            if let Some(seen) = answer.seen() {
                assert!(seen.field(&name.to_ascii_lowercase()).is_empty(), "{kind:?}: {seen:?}");
            } else {
                assert_eq!(answer.status, 400, "{kind:?}: {answer:?}");
            }
        }
    }
}
