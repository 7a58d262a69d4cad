//! Opaque tokens through tower, axum and actix-web: the same answers as for JWTs, and every fault of an endpoint is our trouble.

use std::time::Duration;

use token_core::opaque::client_authentication::ClientAuthentication;
use token_core::{
    Audience, ErrorKind, Issuer, Presented, ResourceServer, Timestamp,
    opaque::OpaqueTokens,
    revocation::{Deny, MemoryDenyList},
};
use token_test::{Endpoint, Faults, TestIssuer};
use token_tests::{Ask, Via, ask};

use crate::cases::{CANARY, Case, case, check};

fn introspection(issuer: &TestIssuer) -> OpaqueTokens {
    let secret = ClientAuthentication::Basic("test-secret".into());
    OpaqueTokens::introspection(issuer.introspection_endpoint(), "test-client", secret).unwrap()
}

fn userinfo(issuer: &TestIssuer) -> OpaqueTokens {
    OpaqueTokens::userinfo(issuer.userinfo_endpoint()).unwrap().audience(Audience::dangerously_unchecked())
}

fn server(issuer: &TestIssuer, tokens: OpaqueTokens) -> ResourceServer {
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http().opaque_tokens(tokens);
    ResourceServer::builder(issuer.audience()).trust(trusted).realm("tests").build().unwrap()
}

/// Rows that hold for an opaque token as for a JWT. Every token carries the canary in a claim.
fn table(issuer: &TestIssuer) -> Vec<Case> {
    use ErrorKind::*;
    let token = || issuer.token().subject("ada").scope("read:users profile").claim("note", CANARY);
    let me = |token: &str| Ask::of("/me").bearer(token);
    let revoked = token().mint_opaque();
    issuer.revoke(&revoked);
    let good = token().mint_opaque();
    vec![
        case("opaque: claims", me(&good), Ok("ada")),
        case("opaque: any", Ask::of("/any").bearer(&good), Ok("somebody")),
        case("opaque: scope", Ask::of("/users").bearer(&good), Ok("everybody")),
        case("JWT beside it", me(&token().mint()), Ok("ada")),
        case("JWT beside it, forged", me(&token().forged().mint()), Err(BadSignature)),
        case("JWT of a stranger", me(&token().issuer("https://stranger.example").mint()), Err(UnknownIssuer)),
        case(
            "opaque: missing scope",
            Ask::of("/users").bearer(&token().scope("profile").mint_opaque()),
            Err(InsufficientScope),
        ),
        case("opaque: unknown", me("nobody-knows-it"), Err(Inactive)),
        case("opaque: with dots", me("nobody.knows.it"), Err(Inactive)),
        case("opaque: revoked", me(&revoked), Err(Inactive)),
        case("opaque: expired", me(&token().expired().mint_opaque()), Err(Inactive)),
        case(
            "opaque: not yet valid",
            me(&token().not_before_in(Duration::from_secs(600)).mint_opaque()),
            Err(NotYetValid),
        ),
        case(
            "opaque: wrong audience",
            me(&token().audience("https://other.example").mint_opaque()),
            Err(WrongAudience),
        ),
        case("opaque: no audience", me(&token().without("aud").mint_opaque()), Err(WrongAudience)),
        case(
            "opaque: another issuer's",
            me(&token().issuer("https://other.example").mint_opaque()),
            Err(UnknownIssuer),
        ),
        case(
            "opaque: bound to a sender",
            me(&token().claim("cnf", serde_json::json!({"jkt": CANARY})).mint_opaque()),
            Err(SenderConstrained),
        ),
        case("opaque: a refresh token", me(&token().claim("typ", "Refresh").mint_opaque()), Err(WrongType)),
        case(
            "opaque: a refresh token by token_type",
            me(&token().claim("token_type", "refresh_token").mint_opaque()),
            Err(Inactive),
        ),
        case("opaque: exp as text", me(&token().claim("exp", "tomorrow").mint_opaque()), Err(Inactive)),
        case("opaque: iat as text", me(&token().claim("iat", "yesterday").mint_opaque()), Err(Malformed)),
        case("opaque: no expiry", me(&token().without("exp").mint_opaque()), Ok("ada")),
        case("opaque: no issuer", me(&token().without("iss").mint_opaque()), Ok("ada")),
    ]
}

#[actix_web::test]
async fn every_row_of_opaque_tokens_gets_the_same_answer_in_every_framework() {
    let issuer = TestIssuer::start().await;
    for tokens in [introspection(&issuer), introspection(&issuer).require_signed_answers()] {
        let api = server(&issuer, tokens);
        api.ready().await.unwrap();
        for case in table(&issuer) {
            let mut replies = Vec::new();
            for via in Via::ALL {
                let reply = ask(via, &api, case.anonymous, &case.ask).await;
                check(&case, via, &reply);
                replies.push(reply);
            }
            if replies[0].status != 200 {
                assert_eq!(replies[0], replies[1], "tower and axum differ: {}", case.name);
                assert_eq!(replies[1], replies[2], "axum and actix-web differ: {}", case.name);
            }
        }
    }
}

#[actix_web::test]
async fn every_fault_of_an_endpoint_is_503_and_the_next_request_tries_again() {
    type Break = fn(Faults) -> Faults;
    let faults: [(&str, Break); 11] = [
        ("down", Faults::down),
        ("slow", |faults| faults.slow(Duration::from_secs(30))),
        ("500", |faults| faults.status(500)),
        ("503", |faults| faults.status(502)),
        ("403", |faults| faults.status(403)),
        ("HTML", Faults::junk),
        ("active as text", |faults| faults.body(r#"{"active":"true","error":"x"}"#)),
        ("nothing of its kind", |faults| faults.body("[]")),
        ("oversized", Faults::oversized),
        ("compressed", Faults::gzip),
        ("a redirect", |faults| faults.redirect("https://elsewhere.example/")),
    ];
    for (endpoint, tokens) in
        [(Endpoint::Introspection, introspection as fn(&TestIssuer) -> OpaqueTokens), (Endpoint::UserInfo, userinfo)]
    {
        for (name, fault) in faults {
            let issuer = TestIssuer::start().await;
            // Whoever is never answered waits for as long as he may; all others are answered, however busy the machine.
            let is_slow = name == "slow";
            let patience = if is_slow { Duration::from_millis(300) } else { Duration::from_secs(20) };
            let api = server(&issuer, tokens(&issuer).timeout(patience));
            let good = Ask::of("/me").bearer(&issuer.token().subject("ada").mint_opaque());
            fault(issuer.faults().at(endpoint));
            for via in Via::ALL {
                let reply = ask(via, &api, false, &good).await;
                assert_eq!((reply.status, reply.challenge.as_deref()), (503, None), "{name} {endpoint:?} {via:?}");
                let after = reply.retry_after.as_deref().unwrap_or_default().parse::<u32>();
                assert!(after.is_ok_and(|after| after >= 1), "{name} {via:?}");
            }
            assert!(issuer.hits(endpoint) == 3 || is_slow, "{name}: nothing is cached");
            issuer.heal();
            let mut reply = ask(Via::Axum, &api, false, &good).await;
            for _ in 0..200 {
                if !is_slow || reply.status == 200 {
                    break;
                }
                reply = ask(Via::Axum, &api, false, &good).await;
            }
            assert_eq!((reply.status, &*reply.body), (200, "ada"), "{name} {endpoint:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_requests_at_once_with_one_opaque_token_are_one_hit() {
    let issuer = TestIssuer::start().await;
    let api = server(&issuer, introspection(&issuer));
    let token = issuer.token().subject("ada").mint_opaque();
    issuer.faults().at(Endpoint::Introspection).hold();
    let requests: Vec<_> = (0..100)
        .map(|_| {
            let (api, token) = (api.clone(), token.clone());
            tokio::spawn(async move { api.authenticate(Presented::token(&token)).await })
        })
        .collect();
    issuer.wait_for_hits(Endpoint::Introspection, 1).await;
    issuer.heal();
    for request in requests {
        assert_eq!(request.await.unwrap().unwrap().subject(), Some("ada"));
    }
    assert_eq!(issuer.hits(Endpoint::Introspection), 1);
}

#[tokio::test]
async fn userinfo_vouches_for_a_token_and_its_claims_become_the_tokens() {
    let issuer = TestIssuer::start().await;
    let api = server(&issuer, userinfo(&issuer));
    let token = issuer.token().subject("ada").claim("email", "ada@example.com").mint_opaque();
    for _ in 0..3 {
        let verified = api.authenticate(Presented::token(&token)).await.unwrap();
        assert_eq!((verified.subject(), verified.issuer()), (Some("ada"), issuer.url()));
        assert_eq!(verified.claims::<serde_json::Value>().unwrap()["email"], "ada@example.com");
    }
    assert_eq!((issuer.hits(Endpoint::UserInfo), issuer.hits(Endpoint::Introspection)), (1, 0));
    let unknown = api.authenticate(Presented::token("nobody-knows-it")).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Inactive);
}

#[tokio::test]
async fn tokeninfo_vouches_for_an_id_token_of_this_client_only() {
    let issuer = TestIssuer::start().await;
    let tokens = OpaqueTokens::tokeninfo(issuer.tokeninfo_endpoint()).unwrap().audience("test-client");
    let trusted = Issuer::without_keys(issuer.url(), tokens).unwrap().allow_loopback_http();
    let api = ResourceServer::builder(issuer.audience()).trust(trusted).build().unwrap();
    let id_token = || issuer.id_token().subject("ada").claim("nickname", "countess");
    let verified = api.authenticate(Presented::token(&id_token().mint())).await.unwrap();
    assert_eq!((verified.subject(), verified.kind()), (Some("ada"), token_core::TokenKind::Id));
    assert_eq!(verified.claims::<serde_json::Value>().unwrap()["nickname"], "countess");
    for (token, expected) in [
        (id_token().audience("another-client").mint(), ErrorKind::WrongAudience),
        (id_token().expired().mint(), ErrorKind::Inactive),
    ] {
        assert_eq!(api.authenticate(Presented::token(&token)).await.unwrap_err().kind(), expected);
    }
}

#[tokio::test]
async fn a_revoked_jwt_is_refused_at_once_where_jwts_are_introspected() {
    let issuer = TestIssuer::start().await;
    let api = server(&issuer, introspection(&issuer).introspect_jwts().active_life(Duration::ZERO));
    let token = issuer.token().subject("ada").mint();
    for _ in 0..2 {
        assert!(api.authenticate(Presented::token(&token)).await.is_ok());
    }
    assert_eq!(issuer.hits(Endpoint::Introspection), 2);
    issuer.revoke(&token);
    assert_eq!(api.authenticate(Presented::token(&token)).await.unwrap_err().kind(), ErrorKind::Inactive);
}

#[actix_web::test]
async fn what_is_denied_is_refused_in_every_framework_though_it_is_warm() {
    let issuer = TestIssuer::start().await;
    let list = MemoryDenyList::new();
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http().opaque_tokens(introspection(&issuer));
    let api = ResourceServer::builder(issuer.audience()).trust(trusted).deny_list(list.clone()).build().unwrap();
    api.ready().await.unwrap();
    let (jwt, opaque) = (issuer.token().claim("jti", "7").mint(), issuer.token().claim("jti", "8").mint_opaque());
    for via in Via::ALL {
        for token in [&jwt, &opaque] {
            assert_eq!(ask(via, &api, false, &Ask::of("/any").bearer(token)).await.status, 200);
        }
    }
    for jti in ["7", "8"] {
        list.insert(Deny::token_id(issuer.url(), jti), Timestamp::MAX).unwrap();
    }
    for via in Via::ALL {
        for token in [&jwt, &opaque] {
            let reply = ask(via, &api, false, &Ask::of("/any").bearer(token)).await;
            assert_eq!(reply.status, 401, "{via:?}");
            assert!(reply.body.contains(ErrorKind::Inactive.public_text()), "{via:?}");
        }
    }
}
