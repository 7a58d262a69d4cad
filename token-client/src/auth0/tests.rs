//! Auth0's dialect and the three ways to an identity provider's token, against answers as tenants give them.

use std::sync::Mutex;

use bytes::Bytes;
use http::{Request, Response};
use token_core::http::{BoxFuture, HttpError, Limits};

use super::*;
use crate::error::TokenErrorKind as Kind;
use crate::source::FixedSource;
use crate::{
    Auth0Identities, Auth0TokenVault, Fault, FederatedTokens, FederatedUser, IdToken, KeycloakBroker, RefreshToken,
    TokenSource,
};

/// Gives one answer to everything and notes what was asked.
#[derive(Clone, Debug)]
struct Wire(Arc<(u16, String, Mutex<Vec<String>>)>);

impl Wire {
    fn answers(status: u16, body: &str) -> Self {
        Self(Arc::new((status, body.to_owned(), Mutex::default())))
    }

    fn asked(&self) -> Vec<String> {
        self.0.2.lock().unwrap().clone()
    }
}

impl HttpClient for Wire {
    fn send(&self, request: Request<Bytes>, _: Limits) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        let bearer = request.headers().get("authorization").map(|value| value.to_str().unwrap()).unwrap_or("-");
        let body = String::from_utf8(request.body().to_vec()).unwrap();
        let line = format!("{} {} {bearer} {body}", request.method(), request.uri());
        self.0.2.lock().unwrap().push(line.trim_end().to_owned());
        let response = Response::builder().status(self.0.0).body(Bytes::from(self.0.1.clone())).unwrap();
        Box::pin(std::future::ready(Ok(response)))
    }
}

fn tenant(wire: &Wire) -> Auth0Tenant {
    Auth0Tenant::new("https://t.example/", wire.clone()).unwrap()
}

fn fixed(text: &str) -> FixedSource {
    FixedSource::new(Token::bearer(text, None).unwrap())
}

fn identities(wire: &Wire) -> Auth0Identities<FixedSource> {
    Auth0Identities::new(tenant(wire), fixed("mgmt"))
}

fn vault(wire: &Wire) -> Auth0TokenVault {
    Auth0TokenVault::new(tenant(wire).client("me").secret("s").build().unwrap())
}

fn broker(wire: &Wire) -> KeycloakBroker {
    KeycloakBroker::new("https://k.example/realms/x", wire.clone()).unwrap()
}

#[tokio::test]
async fn every_outcome_of_the_three_ways_is_typed() {
    let linked = r#"{"identities":[{"connection":"Username-Password-Authentication","provider":"auth0"},
        {"connection":"google-oauth2","provider":"google-oauth2","access_token":"ya29.x","expires_in":3599}]}"#;
    let no_token = r#"{"identities":[{"connection":"google-oauth2","provider":"google-oauth2"}]}"#;
    let other = r#"{"identities":[{"connection":"github","provider":"github","access_token":"canary"}]}"#;
    let issued = "http://auth0.com/oauth/token-type/federated-connection-access-token";
    let from_vault = format!(r#"{{"access_token":"ya29.x","expires_in":3599,"issued_token_type":"{issued}"}}"#);
    let wrong_type = r#"{"access_token":"canary","token_type":"Bearer","issued_token_type":"urn:x"}"#;
    for (way, status, body, expected) in [
        ("identities", 200, linked, Ok("ya29.x")),
        ("identities", 200, other, Err(Kind::NeedsConnection)),
        ("identities", 200, r#"{"user_id":"canary"}"#, Err(Kind::NeedsConnection)),
        ("identities", 200, no_token, Err(Kind::InvalidScope)),
        ("identities", 200, "<html>canary", Err(Kind::Malformed)),
        ("identities", 200, r#"{"identities":"canary"}"#, Err(Kind::Malformed)),
        ("identities", 401, "canary", Err(Kind::InvalidClient)),
        ("identities", 403, r#"{"errorCode":"insufficient_scope","message":"canary"}"#, Err(Kind::InvalidScope)),
        ("identities", 404, r#"{"errorCode":"inexistent_user"}"#, Err(Kind::InvalidGrant)),
        ("identities", 429, "", Err(Kind::RateLimited)),
        ("identities", 503, "", Err(Kind::ServerError)),
        ("identities", 302, "", Err(Kind::Redirected)),
        ("vault", 200, &from_vault, Ok("ya29.x")),
        ("vault", 200, r#"{"access_token":"ya29.x"}"#, Ok("ya29.x")),
        ("vault", 200, wrong_type, Err(Kind::WrongIssuedType)),
        ("vault", 401, r#"{"error":"federated_connection_refresh_token_not_found"}"#, Err(Kind::NeedsConnection)),
        ("vault", 401, r#"{"error":"access_denied"}"#, Err(Kind::NeedsConnection)),
        ("vault", 401, r#"{"error":"invalid_client"}"#, Err(Kind::InvalidClient)),
        ("vault", 403, r#"{"error":"access_denied"}"#, Err(Kind::AccessDenied)),
        ("vault", 403, r#"{"error":"invalid_grant"}"#, Err(Kind::InvalidGrant)),
        ("vault", 500, "", Err(Kind::ServerError)),
        ("broker", 200, r#"{"access_token":"ya29.x","token_type":"Bearer"}"#, Ok("ya29.x")),
        ("broker", 200, "access_token=ya29.x&scope=repo&token_type=bearer", Ok("ya29.x")),
        ("broker", 200, "<html>canary", Err(Kind::Malformed)),
        ("broker", 200, r#"{"scope":"canary"}"#, Err(Kind::NeedsConnection)),
        ("broker", 400, "User [canary] is not associated with identity provider [google].", Err(Kind::NeedsConnection)),
        ("broker", 400, "Identity Provider [google] does not support this operation.", Err(Kind::Refused)),
        ("broker", 401, "", Err(Kind::InvalidGrant)),
        ("broker", 403, "canary", Err(Kind::InvalidScope)),
        ("broker", 404, "", Err(Kind::Misconfigured)),
        ("broker", 502, "", Err(Kind::ServerError)),
    ] {
        let wire = Wire::answers(status, body);
        let (subject, access) = (FederatedUser::subject("auth0|1"), FederatedUser::access_token("user"));
        let outcome = match way {
            "identities" => identities(&wire).obtain(subject, "google").await,
            "vault" => vault(&wire).obtain(access, "google").await,
            _ => broker(&wire).obtain(access, "google").await,
        };
        if let Err(error) = &outcome {
            assert!(!format!("{error} {error:?}").contains("canary"), "{way} {status}: {error}");
            assert_eq!(
                error.connection().is_some(),
                error.fault() == Fault::User && error.kind() != Kind::AccessDenied
            );
        }
        let outcome = outcome.as_ref().map(Token::expose).map_err(|error| error.kind());
        assert_eq!(outcome, expected, "{way} {status} {body}");
    }
}

#[tokio::test]
async fn each_way_asks_where_and_with_what_its_server_wants() {
    let wire = Wire::answers(503, "");
    let _ = identities(&wire).obtain(FederatedUser::subject("auth0|1/2"), "google").await;
    let refresh = RefreshToken::new("rt");
    let _ = vault(&wire).obtain(FederatedUser::refresh_token(&refresh), "microsoft").await;
    let _ = broker(&wire).obtain(FederatedUser::access_token("user"), "google").await;
    let asked = wire.asked();
    assert_eq!(asked[0], "GET https://t.example/api/v2/users/auth0%7C1%2F2 Bearer mgmt");
    assert!(asked[1].starts_with("POST https://t.example/oauth/token Basic "), "{}", asked[1]);
    for part in ["connection=windowslive", "subject_token=rt", "token-type%3Arefresh_token"] {
        assert!(asked[1].contains(part), "{} lacks {part}", asked[1]);
    }
    assert_eq!(asked[2], "GET https://k.example/realms/x/broker/google/token Bearer user");
}

#[tokio::test]
async fn a_user_without_what_the_way_needs_is_our_mistake_and_costs_no_request() {
    let wire = Wire::answers(200, "{}");
    let nobody = FederatedUser::default();
    let ways: [Box<dyn FederatedTokens>; 3] =
        [Box::new(identities(&wire)), Box::new(vault(&wire)), Box::new(broker(&wire))];
    for way in ways {
        assert_eq!(way.obtain(nobody, "google").await.unwrap_err().kind(), Kind::Misconfigured, "{way:?}");
    }
    assert_eq!(wire.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn delegation_sends_one_proof_and_takes_the_id_token() {
    let wire = Wire::answers(200, r#"{"token_type":"Bearer","expires_in":36000,"id_token":"it"}"#);
    let proof = DelegationProof::IdToken(IdToken::new("mine"));
    let token = tenant(&wire).delegate(&DelegationRequest::new("me", proof).target("them")).await.unwrap();
    assert_eq!(token.expose(), "it");
    let (line, body) = wire.asked()[0].split_once(" - ").map(|(l, b)| (l.to_owned(), b.to_owned())).unwrap();
    assert_eq!(line, "POST https://t.example/delegation");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&body["id_token"], &body["target"], &body["api_type"]),
        (&"mine".into(), &"them".into(), &"app".into())
    );
    assert!(body.get("refresh_token").is_none());

    let wire = Wire::answers(200, r#"{"Credentials":{"SecretAccessKey":"canary"}}"#);
    let proof = DelegationProof::RefreshToken(RefreshToken::new("rt"));
    let request = DelegationRequest::new("me", proof);
    let add_on = tenant(&wire).delegate_to_add_on(&request, "aws").await.unwrap();
    assert_eq!(add_on.members()["Credentials"]["SecretAccessKey"], "canary");
    assert!(!format!("{add_on:?}").contains("canary"));
    assert!(wire.asked()[0].contains(r#""api_type":"aws""#));

    let wire = Wire::answers(429, r#"{"error":"too_many_requests"}"#);
    assert_eq!(tenant(&wire).delegate(&request).await.unwrap_err().kind(), Kind::RateLimited);
}

#[tokio::test]
async fn the_management_api_lists_deletes_and_denies() {
    let wire =
        Wire::answers(200, r#"[{"id":"dcr_1","device_name":"phone","client_id":"c","user_id":"auth0|1","x":1}]"#);
    let listed = Management::new(tenant(&wire), fixed("mgmt")).refresh_tokens("auth0|1", Some("c")).await.unwrap();
    assert_eq!(listed[0].id, "dcr_1");
    let expected =
        "GET https://t.example/api/v2/device-credentials?type=refresh_token&user_id=auth0%7C1&client_id=c Bearer mgmt";
    assert_eq!(wire.asked(), [expected]);

    let wire = Wire::answers(204, "");
    let management = Management::new(tenant(&wire), fixed("mgmt"));
    management.delete_refresh_token("dcr_1").await.unwrap();
    management.deny("key", "j1").await.unwrap();
    assert_eq!(wire.asked()[0], "DELETE https://t.example/api/v2/device-credentials/dcr_1 Bearer mgmt");
    assert!(wire.asked()[1].starts_with("POST https://t.example/api/v2/blacklists/tokens Bearer mgmt {"));

    for (status, kind) in [(403, Kind::InvalidScope), (500, Kind::ServerError)] {
        let management = Management::new(tenant(&Wire::answers(status, "")), fixed("mgmt"));
        assert_eq!(management.delete_refresh_token("x").await.unwrap_err().kind(), kind);
    }
}

#[tokio::test]
async fn userinfo_is_the_profile_or_a_refused_token() {
    let wire = Wire::answers(200, r#"{"sub":"auth0|1"}"#);
    let token = Token::bearer("opaque", None).unwrap();
    assert_eq!(tenant(&wire).userinfo(&token).await.unwrap()["sub"], "auth0|1");
    assert_eq!(wire.asked(), ["GET https://t.example/userinfo Bearer opaque"]);
    let refused = tenant(&Wire::answers(401, "Unauthorized")).userinfo(&token).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::InvalidGrant);
}

#[tokio::test]
async fn a_management_token_is_bought_for_the_managements_audience() {
    let wire = Wire::answers(200, r#"{"access_token":"at","token_type":"Bearer","expires_in":86400}"#);
    let tenant = tenant(&wire);
    let client = tenant.client("me").secret("s").build().unwrap();
    tenant.management_source(&client).token().await.unwrap();
    assert!(wire.asked()[0].contains("audience=https%3A%2F%2Ft.example%2Fapi%2Fv2%2F"), "{}", wire.asked()[0]);
}

#[test]
fn a_minted_management_token_holds_what_the_old_api_looks_for() {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let key = ManagementKey::new("the key", &URL_SAFE_NO_PAD.encode([7; 48])).unwrap();
    let scopes: &[(&str, &[&str])] = &[("users", &["read"]), ("users", &["update"]), ("stats", &["read"])];
    let clock = token_test::ManualClock::default();
    let token = key.mint_at(scopes, std::time::Duration::from_secs(60), &clock).unwrap();
    let part = token.expose().split('.').nth(1).unwrap();
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    assert!(claims.as_object_mut().unwrap().remove("jti").unwrap().as_str().unwrap().len() > 20);
    let expected = serde_json::json!({
        "aud": "the key", "iat": 1_800_000_000, "exp": 1_800_000_060,
        "scopes": { "users": { "actions": ["read", "update"] }, "stats": { "actions": ["read"] } },
    });
    assert_eq!(claims, expected);
    for secret in ["short", "not base64url!", ""] {
        assert_eq!(ManagementKey::new("k", secret).unwrap_err().kind(), Kind::Misconfigured);
    }
}
