//! Handlers that ask for a token to send on: the same rows in axum and actix-web, against a real token endpoint.

use ::axum::body::Body;
use ::axum::extract::Extension;
use ::axum::routing::get;
use ::tower::ServiceExt;
use actix_web::{App, test, web};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use token_client::{
    Auth0TokenVault, BearerLayer, Delegation, Downstream, FederatedSource, Google, Origins, TokenClient, TokenRequest,
};
use token_core::http::ReqwestClient;
use token_core::{Issuer, ResourceServer};
use token_test::{Endpoint, TestIssuer};

struct Billing;
impl Downstream for Billing {
    const AUDIENCE: &'static str = "https://billing.example.com";
    const SCOPE: &'static str = "read:invoices";
}

fn client(issuer: &TestIssuer) -> TokenClient {
    TokenClient::builder(issuer.token_endpoint(), "test-client")
        .secret("test-secret")
        .http(ReqwestClient::builder().allow_loopback_http().build().unwrap())
        .build()
        .unwrap()
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    challenge: bool,
    retry_after: bool,
    body: String,
}

struct Parts {
    api: ResourceServer,
    delegation: Option<Delegation<Billing>>,
    federated: Option<FederatedSource>,
}

/// Fresh parts for each framework, so that neither profits from what the other has cached.
fn parts(issuer: &TestIssuer, wired: bool) -> Parts {
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let api = ResourceServer::builder(issuer.audience()).trust(trusted).build().unwrap();
    let actor = client(issuer).source(TokenRequest::client_credentials());
    Parts {
        api,
        delegation: wired.then(|| Delegation::exchange(client(issuer)).actor(actor)),
        federated: wired.then(|| FederatedSource::new(Auth0TokenVault::new(client(issuer)))),
    }
}

fn describe(expires: bool, authorization: &str) -> String {
    let claims = authorization.split('.').nth(1).map(|part| {
        use base64::Engine;
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap();
        serde_json::from_slice::<serde_json::Value>(&bytes).unwrap()
    });
    let claims = claims.unwrap_or_default();
    format!("{} {} {} {} {expires}", claims["sub"], claims["aud"], claims["act"]["sub"], claims["scope"])
}

async fn axum(parts: Parts, path: &str, token: &str) -> Answer {
    use axum_token::{FederatedToken, OnBehalfOf, TokenLayer};
    async fn bill(OnBehalfOf(token): OnBehalfOf<Billing>) -> String {
        describe(token.expires_at().is_some(), token.header().to_str().unwrap())
    }
    async fn calendar(FederatedToken(token): FederatedToken<Google>) -> String {
        let google = "https://www.googleapis.com/".parse().unwrap();
        token.header_for(&google).unwrap().to_str().unwrap().to_owned()
    }
    let mut app = ::axum::Router::new()
        .route("/bill", get(bill))
        .route("/calendar", get(calendar))
        .layer(TokenLayer::new(parts.api));
    if let (Some(delegation), Some(federated)) = (parts.delegation, parts.federated) {
        app = app.layer(Extension(delegation)).layer(Extension(federated));
    }
    let request = Request::get(path).header("authorization", format!("Bearer {token}")).body(Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    answer(head.status.as_u16(), &head.headers, &body.collect().await.unwrap().to_bytes())
}

async fn actix(parts: Parts, path: &str, token: &str) -> Answer {
    use actix_token::{FederatedToken, OnBehalfOf, TokenMiddleware};
    async fn bill(OnBehalfOf(token): OnBehalfOf<Billing>) -> String {
        describe(token.expires_at().is_some(), token.header().to_str().unwrap())
    }
    async fn calendar(FederatedToken(token): FederatedToken<Google>) -> String {
        let google = "https://www.googleapis.com/".parse().unwrap();
        token.header_for(&google).unwrap().to_str().unwrap().to_owned()
    }
    let mut app = App::new().wrap(TokenMiddleware::new(parts.api));
    if let (Some(delegation), Some(federated)) = (parts.delegation, parts.federated) {
        app = app.app_data(delegation).app_data(federated);
    }
    let app = app.route("/bill", web::get().to(bill)).route("/calendar", web::get().to(calendar));
    let app = test::init_service(app).await;
    let request = test::TestRequest::get().uri(path).insert_header(("authorization", format!("Bearer {token}")));
    let response = test::call_service(&app, request.to_request()).await;
    let mut headers = HeaderMap::new();
    for name in ["www-authenticate", "retry-after"] {
        if let Some(value) = response.headers().get(name) {
            headers.insert(name, value.as_bytes().try_into().unwrap());
        }
    }
    let status = response.status().as_u16();
    answer(status, &headers, &test::read_body(response).await)
}

fn answer(status: u16, headers: &HeaderMap, body: &[u8]) -> Answer {
    Answer {
        status,
        challenge: headers.contains_key("www-authenticate"),
        retry_after: headers.contains_key("retry-after"),
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// What is wrong with the world while a row is asked.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    Unwired,
    Down,
    Junk,
    Refuse(u16, &'static str),
}

#[actix_web::test]
async fn both_frameworks_hand_out_the_same_tokens_and_give_the_same_answers() {
    let billed = r#""ada" "https://billing.example.com" "test-client" "read:invoices" true"#;
    let connect = r#""connection":"google-oauth2""#;
    for (path, subject, fault, status, challenge, retry_after, body) in [
        ("/bill", "ada", Fault::None, 200, false, false, billed),
        ("/bill", "ada", Fault::Unwired, 500, false, false, "misconfigured"),
        ("/bill", "ada", Fault::Down, 503, false, true, "right now"),
        ("/bill", "ada", Fault::Junk, 503, false, true, "right now"),
        ("/bill", "ada", Fault::Refuse(429, "slow_down"), 503, false, true, "right now"),
        ("/bill", "ada", Fault::Refuse(400, "invalid_target"), 500, false, false, "misconfigured"),
        ("/bill", "ada", Fault::Refuse(401, "invalid_client"), 500, false, false, "misconfigured"),
        ("/bill", "ada", Fault::Refuse(400, "invalid_grant"), 401, true, false, "invalid_token"),
        ("/bill", "ada", Fault::Refuse(400, "interaction_required"), 403, false, false, "interaction_required"),
        ("/calendar", "ada", Fault::None, 200, false, false, "Bearer ya29.ada"),
        ("/calendar", "bob", Fault::None, 403, false, false, connect),
        ("/calendar", "ada", Fault::Unwired, 500, false, false, "misconfigured"),
        ("/calendar", "ada", Fault::Refuse(503, "server_error"), 503, false, true, "right now"),
    ] {
        let issuer = TestIssuer::start().await;
        issuer.connect("ada", "google-oauth2", "ya29.ada");
        let faults = issuer.faults().at(Endpoint::Token);
        match fault {
            Fault::None | Fault::Unwired => drop(faults),
            Fault::Down => drop(faults.down()),
            Fault::Junk => drop(faults.junk()),
            Fault::Refuse(status, error) => drop(faults.refuse(status, error, None)),
        }
        let wired = !matches!(fault, Fault::Unwired);
        let token = issuer.token().subject(subject).mint();
        let in_axum = axum(parts(&issuer, wired), path, &token).await;
        let in_actix = actix(parts(&issuer, wired), path, &token).await;
        assert_eq!(in_axum, in_actix, "{path} {subject} {fault:?}");
        assert_eq!(
            (in_axum.status, in_axum.challenge, in_axum.retry_after),
            (status, challenge, retry_after),
            "{path} {fault:?}"
        );
        assert!(in_axum.body.contains(body), "{path} {fault:?}: {}", in_axum.body);
    }
}

#[tokio::test]
async fn the_exchange_is_made_once_and_ends_with_the_callers_token() {
    let issuer = TestIssuer::start().await;
    let delegation = Delegation::<Billing>::exchange(client(&issuer));
    let api = parts(&issuer, false).api;
    let text = issuer.token().subject("ada").expires_in(std::time::Duration::from_secs(120)).mint();
    let caller = api.authenticate(token_core::Presented::token(&text)).await.unwrap();
    let asks: Vec<_> = (0..100)
        .map(|_| {
            let (delegation, caller) = (delegation.clone(), caller.clone());
            tokio::spawn(async move { delegation.for_caller(&caller).await.unwrap() })
        })
        .collect();
    for ask in asks {
        let token = ask.await.unwrap();
        assert!(token.expires_at() <= caller.expires_at() && token.expires_at().is_some());
    }
    assert_eq!(issuer.hits(Endpoint::Token), 1);

    let bob = issuer.token().subject("bob").mint();
    let bob = api.authenticate(token_core::Presented::token(&bob)).await.unwrap();
    assert_ne!(
        delegation.for_caller(&bob).await.unwrap().expose(),
        delegation.for_caller(&caller).await.unwrap().expose()
    );
    assert_eq!(issuer.hits(Endpoint::Token), 2);
}

#[tokio::test]
async fn a_tonic_client_sends_the_token_to_the_listed_origin_only() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    use tower_layer::Layer;

    let issuer = TestIssuer::start().await;
    let address = crate::grpc::serve(parts(&issuer, false).api).await;
    let channel = tonic::transport::Channel::from_shared(address.clone()).unwrap().connect().await.unwrap();
    let source = client(&issuer).source(TokenRequest::client_credentials().scope("health:read"));
    for (listed, outcome) in
        [(address.as_str(), Ok(1)), ("https://elsewhere.example", Err(tonic::Code::Unauthenticated))]
    {
        let layer = BearerLayer::new(source.clone(), Origins::of([listed]).unwrap());
        let mut health = HealthClient::with_origin(layer.layer(channel.clone()), address.parse().unwrap());
        for _ in 0..2 {
            let answer = health.check(HealthCheckRequest::default()).await;
            assert_eq!(
                answer.map(|answer| answer.into_inner().status).map_err(|status| status.code()),
                outcome,
                "{listed}"
            );
        }
    }
    assert_eq!(issuer.hits(Endpoint::Token), 1, "one token for all calls");
}
