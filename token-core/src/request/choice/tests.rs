use super::*;
use crate::request::sent::Sent;
use crate::request::source::CsrfRule;
use crate::request::source::tests::everywhere;

/// In the letters of the tables: which token decides, or why none does.
fn choose(several: SeveralTokens, places: &[TokenLocation], request: &Sent) -> Result<(Scheme, String), ErrorKind> {
    let agreed = Agreed::new(places.to_vec(), several);
    let found = agreed.token(request, true);
    found.map(|(scheme, token)| (scheme, token.to_owned())).map_err(|error| error.kind())
}

fn verdict(
    sources: &[TokenLocation],
    target: &'static str,
    fields: &[(&'static str, &'static str)],
) -> Result<String, ErrorKind> {
    let request = Sent::get(target).fields(fields.iter().copied());
    choose(SeveralTokens::Refuse, sources, &request).map(|(_, token)| token)
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
        // A cookie that was taken back is none.
        ("/", vec![("cookie", "__session=")], Err(MissingToken)),
        ("/", vec![("cookie", "__session=\"\"; theme=dark")], Err(MissingToken)),
        ("/", vec![("cookie", "__session="), ("authorization", "Bearer a")], Ok("a")),
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
fn what_was_not_agreed_is_not_looked_at() {
    let header = [TokenLocation::authorization()];
    let all = [("x-token", "a"), ("cookie", "__session=a"), ("sec-websocket-protocol", "bearer.a")];
    assert_eq!(verdict(&header, "/?access_token=a", &all), Err(ErrorKind::MissingToken));
}

#[test]
fn two_tokens_are_a_bad_request_wherever_they_are() {
    let places = |token: &'static str| {
        [
            ("authorization", format!("Bearer {token}")),
            ("x-token", token.to_owned()),
            ("cookie", format!("__session={token}")),
            ("sec-websocket-protocol", format!("bearer.{token}")),
            ("", format!("/?access_token={token}")),
        ]
    };
    for first in places("a") {
        for second in places("b") {
            let of = |(field, text): &(&'static str, String)| (*field, &*text.clone().leak());
            let (first, second) = (of(&first), of(&second));
            let target = match (first, second) {
                (("", _), ("", _)) => "/?access_token=a&access_token=b",
                (("", target), _) | (_, ("", target)) => target,
                _ => "/",
            };
            let refused = verdict(&everywhere(), target, &[first, second]);
            assert_eq!(refused, Err(ErrorKind::InvalidRequest), "{first:?} {second:?}");
        }
    }
}

#[test]
fn several_in_one_place_are_refused_whichever_place_is_first() {
    let rows: &[&[(&'static str, &'static str)]] = &[
        &[("cookie", "c=a; c=b")],
        &[("cookie", "c=a; c=a")],
        &[("cookie", "c=a"), ("cookie", "c=b")],
        &[("authorization", "Bearer a"), ("authorization", "Bearer b")],
        &[("authorization", "Bearer a"), ("authorization", "Bearer a")],
        &[("authorization", "Bearer a"), ("authorization", "Basic b")],
        &[("authorization", "DPoP a"), ("authorization", "Bearer b")],
    ];
    for several in [SeveralTokens::Refuse, SeveralTokens::FirstLocation] {
        for fields in rows {
            let request = Sent::get("/").fields(fields.iter().copied());
            let refused = choose(several, &[header(), cookie()], &request);
            assert_eq!(refused, Err(ErrorKind::InvalidRequest), "{several:?} {fields:?}");
        }
    }
}

fn header() -> TokenLocation {
    TokenLocation::authorization()
}

fn cookie() -> TokenLocation {
    TokenLocation::cookie("c", CsrfRule::origins(["https://app.example.com"]))
}

#[test]
fn the_order_that_was_named_decides_between_header_and_cookie() {
    use ErrorKind::{CrossSite, InvalidRequest, MissingToken};
    use Scheme::{Bearer, Dpop};
    type Verdict = Result<(Scheme, &'static str), ErrorKind>;
    type Row = (&'static str, Option<&'static str>, Option<&'static str>, [Verdict; 3]);
    // Method, header, cookie; then: neither wins, the header wins, the cookie wins. No origin is told.
    let rows: &[Row] = &[
        ("GET", Some("Bearer h"), Some("c=c"), [Err(InvalidRequest), Ok((Bearer, "h")), Ok((Bearer, "c"))]),
        ("GET", Some("Bearer h"), None, [Ok((Bearer, "h")); 3]),
        ("GET", None, Some("c=c"), [Ok((Bearer, "c")); 3]),
        ("GET", None, None, [Err(MissingToken); 3]),
        ("GET", Some("Basic h"), Some("c=c"), [Ok((Bearer, "c")); 3]),
        ("GET", Some("Bearer h"), Some("c="), [Ok((Bearer, "h")); 3]),
        ("GET", Some("Bearer s"), Some("c=s"), [Ok((Bearer, "s")); 3]),
        ("GET", Some("DPoP h"), Some("c=c"), [Err(InvalidRequest), Ok((Dpop, "h")), Ok((Bearer, "c"))]),
        ("GET", Some("DPoP s"), Some("c=s"), [Ok((Dpop, "s")); 3]),
        // Whoever comes first and is malformed is refused, and nobody else is taken in its place.
        ("GET", Some("Bearer h h"), Some("c=c"), [Err(InvalidRequest), Err(InvalidRequest), Ok((Bearer, "c"))]),
        ("GET", Some("Bearer h"), Some("c=c c"), [Err(InvalidRequest), Ok((Bearer, "h")), Err(InvalidRequest)]),
        ("GET", Some("Bearer "), Some("c=c"), [Err(InvalidRequest), Err(InvalidRequest), Ok((Bearer, "c"))]),
        ("GET", Some("Bearer h"), Some("c=c; c=d"), [Err(InvalidRequest), Ok((Bearer, "h")), Err(InvalidRequest)]),
        // A cookie of nobody knows whose request is believed only where the header says the same.
        ("POST", None, Some("c=c"), [Err(CrossSite); 3]),
        ("POST", Some("Bearer s"), Some("c=s"), [Ok((Bearer, "s")); 3]),
        ("POST", Some("Bearer h"), Some("c=c"), [Err(InvalidRequest), Ok((Bearer, "h")), Err(CrossSite)]),
    ];
    for (method, in_header, in_cookie, expected) in rows {
        let fields = [("authorization", *in_header), ("cookie", *in_cookie)];
        let fields = fields.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let request = Sent::get("/").method(method).fields(fields);
        let ways = [
            (SeveralTokens::Refuse, [header(), cookie()]),
            (SeveralTokens::FirstLocation, [header(), cookie()]),
            (SeveralTokens::FirstLocation, [cookie(), header()]),
        ];
        for ((several, places), expected) in ways.into_iter().zip(expected) {
            let chosen = choose(several, &places, &request);
            let chosen = chosen.as_ref().map(|(scheme, token)| (*scheme, &**token)).map_err(|kind| *kind);
            assert_eq!(chosen, *expected, "{several:?} {places:?} {method} {in_header:?} {in_cookie:?}");
        }
    }
}

#[test]
fn a_cookie_that_is_not_believed_is_told_from_a_malformed_request() {
    let request = Sent::get("/").method("POST").field("cookie", "c=a");
    let error = Agreed::new(vec![cookie()], SeveralTokens::Refuse).token(&request, false).unwrap_err();
    assert_eq!((error.kind(), error.answer().status), (ErrorKind::CrossSite, 400));
    // Nothing about the credentials is malformed, and the client is not told so.
    assert!(error.answer().body.contains("from another site"), "{}", error.answer().body);
}
