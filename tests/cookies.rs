//! Header and cookie in one request: 400, or the order that the operator has named; the same in tower, axum and actix-web.

use token_core::policy::{Policy, SeveralTokens};
use token_core::{CsrfRule, ErrorKind, Issuer, ResourceServer, TokenLocation};
use token_test::TestIssuer;
use token_tests::{Ask, Via, ask};

fn header() -> TokenLocation {
    TokenLocation::authorization()
}

fn cookie() -> TokenLocation {
    TokenLocation::cookie("__Host-access", CsrfRule::origins(["https://app.example.com"]))
}

#[actix_web::test]
async fn a_header_and_a_cookie_are_answered_as_the_operator_has_said_in_every_framework() {
    use ErrorKind::{Expired, InvalidRequest, MissingToken};
    let issuer = TestIssuer::start().await;
    let of = |subject: &str| issuer.token().subject(subject).mint();
    let (header_token, cookie_token) = (of("from the header"), of("from the cookie"));
    let old = issuer.token().subject("from the past").expired().mint();
    let in_cookie = |token: &str| Ask::of("/me").header("cookie", format!("theme=dark; __Host-access={token}"));
    let both = || in_cookie(&cookie_token).bearer(&header_token);

    type Verdict = Result<&'static str, ErrorKind>;
    // Then: neither wins, the header wins, the cookie wins.
    let rows: [(&str, Ask, [Verdict; 3]); 8] = [
        ("both", both(), [Err(InvalidRequest), Ok("from the header"), Ok("from the cookie")]),
        ("the cookie alone", in_cookie(&cookie_token), [Ok("from the cookie"); 3]),
        ("the header alone", Ask::of("/me").bearer(&header_token), [Ok("from the header"); 3]),
        ("the same in both", in_cookie(&header_token).bearer(&header_token), [Ok("from the header"); 3]),
        ("an empty cookie", in_cookie("").bearer(&header_token), [Ok("from the header"); 3]),
        ("an empty cookie alone", in_cookie(""), [Err(MissingToken); 3]),
        (
            "an expired header is not made good by a cookie",
            in_cookie(&cookie_token).bearer(&old),
            [Err(InvalidRequest), Err(Expired), Ok("from the cookie")],
        ),
        (
            "an expired cookie is not made good by a header",
            in_cookie(&old).bearer(&header_token),
            [Err(InvalidRequest), Ok("from the header"), Err(Expired)],
        ),
    ];
    let trusted = || Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let ways = [
        (SeveralTokens::Refuse, [header(), cookie()]),
        (SeveralTokens::FirstLocation, [header(), cookie()]),
        (SeveralTokens::FirstLocation, [cookie(), header()]),
    ];
    for (way, (several, places)) in ways.into_iter().enumerate() {
        let server = ResourceServer::builder(issuer.audience()).token_locations(places).several_tokens(several);
        let written = server.trust(trusted()).policy();
        // What a file says is what the builder was told.
        let api = Policy::from_json(&serde_json::to_string(&written).unwrap()).unwrap().server().unwrap();
        api.ready().await.unwrap();
        for (name, request, expected) in &rows {
            for via in Via::ALL {
                let reply = ask(via, &api, false, request).await;
                match expected[way] {
                    Ok(body) => assert_eq!((reply.status, &*reply.body), (200, body), "{name}, {several:?}, {via:?}"),
                    Err(kind) => {
                        assert_eq!(reply.status, kind.status(), "{name}, {several:?}, {via:?}");
                        assert!(reply.body.contains(kind.public_text()), "{name}, {via:?}: {}", reply.body);
                    }
                }
            }
        }
    }
}

#[actix_web::test]
async fn whose_cookie_is_not_believed_gets_in_by_a_header_of_the_same_token_alone() {
    let issuer = TestIssuer::start().await;
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let api = ResourceServer::builder(issuer.audience())
        .token_locations([cookie(), header()])
        .several_tokens(SeveralTokens::FirstLocation)
        .trust(trusted)
        .build()
        .unwrap();
    api.ready().await.unwrap();
    let (mine, other) = (issuer.token().subject("ada").mint(), issuer.token().subject("eve").mint());
    let from_elsewhere =
        Ask::of("/me").header("cookie", format!("__Host-access={mine}")).header("origin", "https://evil.example");
    for via in Via::ALL {
        let reply = ask(via, &api, false, &from_elsewhere).await;
        assert!(reply.status == 400 && reply.body.contains("another site"), "{via:?}: {reply:?}");
        let reply = ask(via, &api, false, &from_elsewhere.clone().bearer(&other)).await;
        assert!(reply.status == 400 && reply.body.contains("another site"), "{via:?}: {reply:?}");
        let reply = ask(via, &api, false, &from_elsewhere.clone().bearer(&mine)).await;
        assert_eq!((reply.status, &*reply.body), (200, "ada"), "{via:?}");
    }
}
