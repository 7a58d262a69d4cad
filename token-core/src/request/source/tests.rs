use super::*;
use crate::request::sent::Sent;

/// A place of each kind.
pub(crate) fn everywhere() -> Vec<TokenLocation> {
    vec![
        TokenLocation::authorization(),
        TokenLocation::header("X-Token"),
        TokenLocation::cookie("__session", CsrfRule::same_origin()),
        TokenLocation::websocket_protocol("bearer."),
        TokenLocation::dangerously_query("access_token"),
    ]
}

#[test]
fn what_is_left_without_a_token_is_all_the_rest() {
    for (at, text, expected) in [
        (0, "Bearer a.b.c", Some("")),
        (0, "Basic x", Some("")),
        (1, "a.b.c", Some("")),
        (2, "theme=dark; __session=a.b.c; x=y", Some("theme=dark; x=y")),
        (2, "__session=a.b.c;__session=d", Some("")),
        (2, "theme=dark; __sessionx=y", None),
        (2, "", None),
        (3, "graphql-ws, bearer.a.b.c", Some("graphql-ws")),
        (3, "graphql-ws", None),
        (4, "page=2&access_token=a.b.c&x=y", Some("page=2&x=y")),
        (4, "access_token=a", Some("")),
        (4, "xaccess_token=a", None),
    ] {
        let left = everywhere()[at].without_token(text.as_bytes());
        assert_eq!(left.as_deref(), expected.map(str::as_bytes), "{text}");
    }
    let names = ["authorization", "x-token", "cookie", "sec-websocket-protocol"].map(Some);
    assert!(everywhere().iter().map(TokenLocation::field_name).eq(names.into_iter().chain([None])));
}

#[test]
fn a_cookie_is_believed_only_where_the_user_means_it() {
    let rule = CsrfRule::origins(["https://app.example.com"]);
    let app = ("origin", "https://app.example.com");
    let evil = ("origin", "https://evil.example");
    let site = |value| ("sec-fetch-site", value);
    for (method, fields, expected) in [
        ("GET", vec![], true),
        ("GET", vec![site("cross-site")], true),
        ("GET", vec![("upgrade", "websocket")], false),
        ("GET", vec![("upgrade", "websocket"), evil], false),
        ("GET", vec![("upgrade", "websocket"), app], true),
        ("GET", vec![evil], false),
        ("GET", vec![site("none")], true),
        ("POST", vec![], false),
        ("POST", vec![site("none")], false),
        ("POST", vec![site("same-origin")], true),
        ("POST", vec![site("same-origin"), evil], true),
        ("POST", vec![site("same-site")], false),
        ("POST", vec![site("cross-site")], false),
        ("POST", vec![site("cross-site"), evil], false),
        ("POST", vec![site("cross-site"), app], true),
        ("POST", vec![site("same-origin"), site("cross-site")], false),
        ("POST", vec![app], true),
        ("POST", vec![evil], false),
        ("POST", vec![app, evil], false),
        ("POST", vec![("origin", "https://app.example.com.evil.example")], false),
        ("POST", vec![("origin", "null")], false),
        ("DELETE", vec![], false),
    ] {
        let request = Sent::get("/").method(method).fields(fields.clone());
        assert_eq!(rule.check(&request).is_ok(), expected, "{method} {fields:?}");
    }
}

#[test]
fn a_source_that_cannot_be_meant_is_refused() {
    for source in [
        TokenLocation::header("authorization"),
        TokenLocation::header(""),
        TokenLocation::header("a b"),
        TokenLocation::cookie("a=b", CsrfRule::same_origin()),
        TokenLocation::cookie("a", CsrfRule::origins(["https://app.example.com/"])),
        TokenLocation::cookie("a", CsrfRule::origins(["*"])),
        TokenLocation::websocket_protocol(""),
        TokenLocation::dangerously_query("a&b"),
    ] {
        assert!(source.flaw().is_some(), "{source:?}");
    }
    assert!(everywhere().iter().all(|source| source.flaw().is_none()));
}
