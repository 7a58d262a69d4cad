use super::*;

struct Request {
    method: &'static str,
    target: &'static str,
    fields: Vec<(&'static str, &'static str)>,
}

impl RequestView for Request {
    fn method(&self) -> &str {
        self.method
    }
    fn path_and_query(&self) -> &str {
        self.target
    }
    fn header<'a>(&'a self, name: &str, each: &mut dyn FnMut(&'a [u8])) {
        self.fields.iter().filter(|(field, _)| *field == name).for_each(|(_, value)| each(value.as_bytes()));
    }
}

fn verdict(
    sources: &[TokenLocation],
    target: &'static str,
    fields: &[(&'static str, &'static str)],
) -> Result<String, ErrorKind> {
    let request = Request { method: "GET", target, fields: fields.to_vec() };
    token(sources, &request).map(str::to_owned).map_err(|error| error.kind())
}

fn everywhere() -> Vec<TokenLocation> {
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
fn a_token_is_found_in_each_place_that_was_agreed() {
    use ErrorKind::*;
    for (target, fields, expected) in [
        ("/", vec![("authorization", "Bearer a.b.c")], Ok("a.b.c")),
        ("/", vec![("x-token", "a.b.c")], Ok("a.b.c")),
        ("/", vec![("x-token", "YQ==.Yg==.c")], Ok("YQ==.Yg==.c")),
        ("/", vec![("cookie", "theme=dark; __session=a.b.c; x=y")], Ok("a.b.c")),
        ("/", vec![("sec-websocket-protocol", "graphql-ws, bearer.a.b.c")], Ok("a.b.c")),
        ("/x?page=2&access_token=a.b.c", vec![], Ok("a.b.c")),
        ("/", vec![("authorization", "Basic x"), ("x-token", "a")], Ok("a")),
        ("/", vec![], Err(MissingToken)),
        ("/", vec![("authorization", "Basic x")], Err(MissingToken)),
        ("/", vec![("cookie", "session=a; __sessionx=b")], Err(MissingToken)),
        ("/access_token=a", vec![], Err(MissingToken)),
        ("/?xaccess_token=a", vec![], Err(MissingToken)),
        ("/", vec![("x-token", "Bearer a")], Err(InvalidRequest)),
        ("/", vec![("x-token", "")], Err(InvalidRequest)),
        ("/", vec![("cookie", "__session=\"a\"")], Err(InvalidRequest)),
        ("/?access_token=a%2Eb", vec![], Err(InvalidRequest)),
    ] {
        assert_eq!(
            verdict(&everywhere(), target, &fields).as_deref(),
            expected.as_ref().map(|token| *token),
            "{target} {fields:?}"
        );
    }
}

#[test]
fn two_tokens_are_a_bad_request_wherever_they_are() {
    let places = [
        ("/", ("authorization", "Bearer a")),
        ("/", ("x-token", "a")),
        ("/", ("cookie", "__session=a")),
        ("/", ("sec-websocket-protocol", "bearer.a")),
        ("/?access_token=a", ("x", "")),
    ];
    for (target, first) in places {
        for (other, second) in places {
            let target = if target == "/" { other } else { target };
            let twice = if target.contains('?') && first.0 == "x" && second.0 == "x" {
                "/?access_token=a&access_token=a"
            } else {
                target
            };
            assert_eq!(
                verdict(&everywhere(), twice, &[first, second]),
                Err(ErrorKind::InvalidRequest),
                "{first:?} {second:?}"
            );
        }
    }
    assert_eq!(verdict(&everywhere(), "/", &[("cookie", "__session=a; __session=b")]), Err(ErrorKind::InvalidRequest));
}

#[test]
fn what_was_not_agreed_is_not_looked_at() {
    let header = [TokenLocation::authorization()];
    let all = [("x-token", "a"), ("cookie", "__session=a"), ("sec-websocket-protocol", "bearer.a")];
    assert_eq!(verdict(&header, "/?access_token=a", &all), Err(ErrorKind::MissingToken));
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
        let request = Request { method, target: "/", fields: fields.clone() };
        assert_eq!(rule.check(&request).is_ok(), expected, "{method} {fields:?}");
    }
    let sources = [TokenLocation::cookie("c", rule)];
    let request = Request { method: "POST", target: "/", fields: vec![("cookie", "c=a")] };
    let error = token(&sources, &request).unwrap_err();
    assert_eq!((error.kind(), error.answer().status), (ErrorKind::CrossSite, 400));
    // Nothing about the credentials is malformed, and the client is not told so.
    assert!(error.answer().body.contains("from another site"), "{}", error.answer().body);
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
