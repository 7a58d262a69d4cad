//! Every grant and every dialect over real HTTP, against the embedded issuer.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::time::Duration;

use token_client::auth0::{Auth0Tenant, DelegationProof, DelegationRequest, Management};
use token_client::{
    Auth0Identities, Auth0TokenVault, Delegation, Downstream, Fault, FederatedSource, FederatedUser, FixedSource,
    Google, IdToken, MemoryStore, RefreshSource, RefreshToken, Revoke, Token, TokenClient, TokenClientBuilder,
    TokenErrorKind as Kind, TokenRequest, TokenSource, TokenType,
};
use token_core::http::ReqwestClient;
use token_core::{Clock, SystemClock};
use token_test::{Endpoint, ManualClock, TestIssuer};

fn http() -> ReqwestClient {
    ReqwestClient::builder().allow_loopback_http().build().unwrap()
}

fn builder(issuer: &TestIssuer) -> TokenClientBuilder {
    TokenClient::builder(issuer.token_endpoint(), "test-client")
        .secret("test-secret")
        .revocation_endpoint(issuer.revocation_endpoint())
        .http(http())
}

fn client(issuer: &TestIssuer) -> TokenClient {
    builder(issuer).build().unwrap()
}

fn management(issuer: &TestIssuer, scopes: &str) -> FixedSource {
    FixedSource::new(Token::bearer(issuer.token().scope(scopes).mint(), None).unwrap())
}

#[tokio::test]
async fn a_thousand_callers_cost_one_request() {
    let issuer = TestIssuer::start().await;
    let clock = ManualClock::default();
    let source =
        builder(&issuer).clock(clock.clone()).build().unwrap().source(TokenRequest::client_credentials().scope("a"));
    source.token().await.unwrap();
    clock.advance(Duration::from_secs(4000));
    issuer.forget_hits();
    issuer.faults().at(Endpoint::Token).hold();
    let mut callers: Vec<_> = (0..1000)
        .map(|_| {
            let source = source.clone();
            tokio::spawn(async move { source.token().await })
        })
        .collect();
    issuer.wait_for_hits(Endpoint::Token, 1).await;
    let first = callers.remove(0);
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    issuer.heal();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    assert_eq!(issuer.hits(Endpoint::Token), 1);
}

#[tokio::test]
async fn every_fault_of_a_token_endpoint_is_typed() {
    let issuer = TestIssuer::start().await;
    // Only who is never answered is waited for as short a time as this; on a busy machine the others take longer.
    let [brief, patient] =
        [500, 60_000].map(|millis| builder(&issuer).timeout(Duration::from_millis(millis)).build().unwrap());
    type Switch = fn(&TestIssuer);
    let table: &[(Switch, Kind, Option<u64>)] = &[
        (|issuer| drop(issuer.faults().down()), Kind::Unreachable, None),
        (|issuer| drop(issuer.faults().hold()), Kind::Timeout, None),
        (|issuer| drop(issuer.faults().junk()), Kind::Malformed, None),
        (|issuer| drop(issuer.faults().body("{}")), Kind::Malformed, None),
        (|issuer| drop(issuer.faults().oversized()), Kind::TooLarge, None),
        (|issuer| drop(issuer.faults().gzip()), Kind::Unreachable, None),
        (|issuer| drop(issuer.faults().redirect("https://evil.example/")), Kind::Redirected, None),
        (|issuer| drop(issuer.faults().status(503)), Kind::ServerError, None),
        (|issuer| drop(issuer.faults().refuse(429, "slow_down", Some(9))), Kind::RateLimited, Some(9)),
        (|issuer| drop(issuer.faults().refuse(401, "invalid_client", None)), Kind::InvalidClient, None),
        (|issuer| drop(issuer.faults().refuse(400, "invalid_scope", None)), Kind::InvalidScope, None),
        (
            |issuer| drop(issuer.faults().body(r#"{"access_token":"canary","token_type":"mac"}"#)),
            Kind::WrongTokenType,
            None,
        ),
    ];
    for (number, (switch, kind, wait)) in table.iter().enumerate() {
        issuer.heal();
        switch(&issuer);
        let client = if *kind == Kind::Timeout { &brief } else { &patient };
        let error = client.obtain(&TokenRequest::client_credentials()).await.unwrap_err();
        assert_eq!(error.kind(), *kind, "row {number}: {error}");
        assert_eq!(error.wait(), wait.map(Duration::from_secs), "row {number}");
        for secret in ["canary", "test-secret"] {
            assert!(!format!("{error} {error:?} {client:?}").contains(secret), "row {number}");
        }
    }
}

#[tokio::test]
async fn a_wrong_secret_is_our_fault() {
    let issuer = TestIssuer::start().await;
    let client = builder(&issuer).secret("canary").build().unwrap();
    let error = client.obtain(&TokenRequest::client_credentials()).await.unwrap_err();
    assert_eq!((error.kind(), error.fault()), (Kind::InvalidClient, Fault::Ours));
}

#[tokio::test]
async fn replicas_share_a_rotating_refresh_token_and_a_revoked_one_is_the_end() {
    let issuer = TestIssuer::start().await;
    let clock = ManualClock::default();
    let store = Arc::new(MemoryStore::new());
    let replica = || {
        let client = builder(&issuer).clock(clock.clone()).build().unwrap();
        RefreshSource::builder(client, Arc::clone(&store) as _, "ada").build()
    };
    let (one, two) = (replica(), replica());
    let first = issuer.refresh_token("ada", "test-client", "openid read");
    one.keep(&RefreshToken::new(first.as_str())).await.unwrap();
    for round in 1..=5 {
        let (a, b) = tokio::join!(one.token(), two.token());
        assert_eq!(a.as_ref().unwrap(), b.as_ref().unwrap());
        assert!(a.unwrap().id_token().is_some(), "openid was granted");
        assert_eq!(issuer.hits(Endpoint::Token), round);
        clock.advance(Duration::from_secs(4000));
    }
    // The first one was spent long ago: whoever sends it ends the family.
    let thief = client(&issuer);
    assert_eq!(thief.obtain(&TokenRequest::refresh(first.as_str())).await.unwrap_err().kind(), Kind::Reused);
    assert_eq!(one.token().await.unwrap_err().kind(), Kind::InvalidGrant);
    assert_eq!(two.token().await.unwrap_err().fault(), Fault::Terminal);
    assert_eq!(issuer.hits(Endpoint::Token), 7, "the second replica knows without asking");
}

#[tokio::test]
async fn a_revoked_refresh_token_is_good_for_nothing() {
    let issuer = TestIssuer::start().await;
    let client = client(&issuer);
    let token = RefreshToken::new(issuer.refresh_token("ada", "test-client", "read"));
    client.revoke(Revoke::Refresh(&token)).await.unwrap();
    let refused = client.obtain(&TokenRequest::refresh(token.clone())).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::InvalidGrant);
    issuer.faults().at(Endpoint::Revocation).status(503);
    assert_eq!(client.revoke(Revoke::Refresh(&token)).await.unwrap_err().fault(), Fault::Outage);
}

#[tokio::test]
async fn an_exchange_carries_subject_and_actor_and_so_does_on_behalf_of() {
    let issuer = TestIssuer::start().await;
    let client = client(&issuer);
    let user = issuer.token().subject("ada").mint();
    let ourselves = client.obtain(&TokenRequest::client_credentials()).await.unwrap().access_token;
    let exchange = TokenRequest::exchange(user.as_str(), TokenType::ACCESS_TOKEN)
        .actor(ourselves, TokenType::ACCESS_TOKEN)
        .audience("https://billing.example.com")
        .scope("read:invoices");
    let exchanged = client.obtain(&exchange).await.unwrap();
    assert_eq!(exchanged.issued_token_type, Some(TokenType::ACCESS_TOKEN));
    assert_eq!(exchanged.scope.as_deref(), Some("read:invoices"));
    let delegated = client.obtain(&TokenRequest::on_behalf_of(user.as_str()).scope("read:invoices")).await.unwrap();
    for token in [exchanged, delegated] {
        let claims = claims(token.access_token.expose());
        assert_eq!((&claims["sub"], &claims["act"]["sub"]), (&"ada".into(), &"test-client".into()));
    }
    let forged = issuer.token().subject("ada").forged().mint();
    let refused = client.obtain(&TokenRequest::exchange(forged, TokenType::ACCESS_TOKEN)).await.unwrap_err();
    assert_eq!(refused.fault(), Fault::Terminal);
}

#[tokio::test]
async fn auth0s_own_endpoints_answer() {
    let issuer = TestIssuer::start().await;
    issuer.client("them", "the secret of the target");
    let tenant = Auth0Tenant::new(issuer.url(), http()).unwrap();
    let proof = DelegationProof::IdToken(IdToken::new(issuer.id_token().subject("ada").mint()));
    let token = tenant.delegate(&DelegationRequest::new("test-client", proof).target("them")).await.unwrap();
    let claims = claims(token.expose());
    assert_eq!((&claims["sub"], &claims["aud"]), (&"ada".into(), &"them".into()));

    let refresh = issuer.refresh_token("ada", "test-client", "read");
    let scopes = "read:device_credentials delete:device_credentials blacklist:tokens";
    let api = Management::new(tenant.clone(), management(&issuer, scopes));
    let listed = api.refresh_tokens("ada", Some("test-client")).await.unwrap();
    assert_eq!(listed.len(), 1);
    api.delete_refresh_token(&listed[0].id).await.unwrap();
    assert_eq!(api.refresh_tokens("ada", None).await.unwrap(), []);
    let refused = tenant.client("test-client").secret("test-secret").build().unwrap();
    assert_eq!(refused.obtain(&TokenRequest::refresh(refresh)).await.unwrap_err().kind(), Kind::InvalidGrant);

    let weak = Management::new(tenant, management(&issuer, "read:nothing"));
    assert_eq!(weak.deny("aud", "jti").await.unwrap_err().kind(), Kind::InvalidScope);
    api.deny("aud", "jti").await.unwrap();
}

#[tokio::test]
async fn a_connected_account_has_a_token_and_another_one_has_to_be_connected() {
    let issuer = TestIssuer::start().await;
    issuer.connect("ada", "google-oauth2", "ya29.ada");
    let tenant = Auth0Tenant::new(issuer.url(), http()).unwrap();
    let identities = |scopes| FederatedSource::new(Auth0Identities::new(tenant.clone(), management(&issuer, scopes)));
    let vault = FederatedSource::new(Auth0TokenVault::new(client(&issuer)));
    let google = "https://www.googleapis.com/drive/v3/files".parse().unwrap();
    let refresh = RefreshToken::new(issuer.refresh_token("ada", "test-client", "read"));
    let full = identities("read:users read:user_idp_tokens");
    for token in [
        full.obtain::<Google>(FederatedUser::subject("ada")).await.unwrap(),
        vault.obtain(FederatedUser::refresh_token(&refresh)).await.unwrap(),
    ] {
        assert_eq!(token.header_for(&google).unwrap(), "Bearer ya29.ada");
    }
    let refused = identities("read:users").obtain::<Google>(FederatedUser::subject("ada")).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::InvalidScope, "our own token lacks read:user_idp_tokens");

    issuer.disconnect("ada", "google-oauth2");
    let bob = issuer.token().subject("bob").mint();
    for error in [
        full.obtain::<Google>(FederatedUser::subject("ada")).await.unwrap_err(),
        vault.obtain::<Google>(FederatedUser::access_token(&bob)).await.unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.connection()), (Kind::NeedsConnection, Some("google-oauth2")));
    }
    issuer.faults().at(Endpoint::Management).refuse(429, "too_many_requests", Some(3));
    let limited = full.obtain::<Google>(FederatedUser::subject("ada")).await.unwrap_err();
    assert_eq!((limited.kind(), limited.wait()), (Kind::RateLimited, Some(Duration::from_secs(3))));
}

fn claims(token: &str) -> serde_json::Value {
    use base64::Engine;
    let part = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&part).unwrap()
}

#[tokio::test]
async fn a_token_on_behalf_of_a_caller_ends_with_the_callers_own() {
    struct Billing;
    impl Downstream for Billing {
        const AUDIENCE: &'static str = "https://billing.example.com";
    }
    let issuer = TestIssuer::start().await;
    let delegation = Delegation::<Billing>::exchange(client(&issuer));
    let now = SystemClock.now();
    let [soon, late] = [40, 1_000_000].map(|seconds| now.saturating_add(Duration::from_secs(seconds)));
    for end in [Some(soon), Some(late), None] {
        let caller = issuer.token().mint();
        let ends = [
            delegation.for_token(&caller, end).await.unwrap().expires_at(),
            delegation.source(&caller, end).token().await.unwrap().expires_at(),
        ];
        for seen in ends.map(|seen| seen.expect("the issuer says how long")) {
            if end == Some(soon) {
                assert_eq!(seen, soon);
            } else {
                assert!(soon < seen && seen < late, "the endpoint's word where it is the shorter one");
            }
        }
    }
}
