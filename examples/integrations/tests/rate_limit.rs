//! One caller's burst and the others: each has a limit of its own; strangers share one by address. Refills take an hour, or a clock that the test holds.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use actix_governor::{Governor, GovernorConfigBuilder as ActixConfigBuilder, SimpleKeyExtractionError};
use actix_web::dev::ServiceRequest;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpMessage as _, web};
use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use governor::Quota;
use governor::clock::FakeRelativeClock;
use token_core::ResourceServer;
use token_core::adapter::Outcome;
use token_integrations::rate_limit::actix::{Limiter, limit};
use token_integrations::rate_limit::key::Key;
use token_integrations::rate_limit::tower::ByCaller;
use tower::ServiceExt as _;
use tower_governor::GovernorLayer;
use tower_governor::governor::GovernorConfigBuilder;
use tower_governor::key_extractor::PeerIpKeyExtractor;

use crate::trusted;

const BURST: u32 = 3;
const HOUR: Duration = Duration::from_secs(3600);

/// By caller inside of the token layer, by address outside of it.
fn app(api: &ResourceServer, strangers: u32) -> Router {
    let by_caller = GovernorConfigBuilder::default().period(HOUR).burst_size(BURST).key_extractor(ByCaller).finish();
    let by_address =
        GovernorConfigBuilder::default().period(HOUR).burst_size(strangers).key_extractor(PeerIpKeyExtractor).finish();
    Router::new()
        .route("/", get(async || "served"))
        .layer(GovernorLayer::new(by_caller.unwrap()))
        .layer(axum_token::TokenLayer::new(api.clone()).allow_anonymous())
        .layer(GovernorLayer::new(by_address.unwrap()))
}

async fn status(app: &Router, from: &str, token: Option<&str>) -> u16 {
    let peer: IpAddr = from.parse().unwrap();
    let app = app.clone().layer(axum::Extension(ConnectInfo(SocketAddr::from((peer, 40_000)))));
    let mut request = http::Request::get("/");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let response = app.oneshot(request.body(axum::body::Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status() == 429, response.headers().contains_key("retry-after"));
    response.status().as_u16()
}

#[tokio::test]
async fn in_axum_one_callers_burst_does_not_limit_another_even_from_one_address() {
    let (issuer, api) = trusted().await;
    let app = app(&api, 1000);
    let [ada, ada_again] = [(); 2].map(|()| issuer.token().subject("ada").mint());
    let ben = issuer.token().subject("ben").mint();
    for _ in 0..BURST {
        assert_eq!(status(&app, "192.0.2.1", Some(&ada)).await, 200);
    }
    // Neither a new token nor another address makes another caller.
    assert_ne!(ada, ada_again);
    for (from, token, expected) in [
        ("192.0.2.1", Some(&ada), 429),
        ("192.0.2.1", Some(&ada_again), 429),
        ("192.0.2.2", Some(&ada), 429),
        ("192.0.2.1", Some(&ben), 200),
        ("192.0.2.1", None, 200),
    ] {
        assert_eq!(status(&app, from, token.map(String::as_str)).await, expected, "{from}");
    }
}

#[tokio::test]
async fn in_axum_anonymous_callers_share_a_limit_by_address() {
    let (issuer, api) = trusted().await;
    let app = app(&api, 1000);
    // One network of IPv6 is one stranger.
    for (addresses, another) in
        [(["192.0.2.1"; 3], "192.0.2.2"), (["2001:db8::1", "2001:db8::2", "2001:db8::3"], "2001:db8:0:1::1")]
    {
        for from in addresses {
            assert_eq!(status(&app, from, None).await, 200);
        }
        assert_eq!(status(&app, addresses[0], None).await, 429);
        assert_eq!(status(&app, another, None).await, 200);
        assert_eq!(status(&app, addresses[0], Some(&issuer.token().subject(another).mint())).await, 200);
    }
}

#[tokio::test]
async fn in_axum_a_flood_of_bad_tokens_is_bounded_by_its_address() {
    let (issuer, api) = trusted().await;
    let app = app(&api, 2);
    for expected in [401, 401, 429, 429] {
        assert_eq!(status(&app, "192.0.2.1", Some("junk")).await, expected);
    }
    assert_eq!(status(&app, "192.0.2.2", Some(&issuer.token().mint())).await, 200);
}

#[tokio::test]
async fn in_axum_a_limit_by_caller_outside_of_the_token_layer_serves_nobody() {
    let (issuer, api) = trusted().await;
    let config = GovernorConfigBuilder::default().key_extractor(ByCaller).finish().unwrap();
    let app = Router::new()
        .route("/", get(async || "served"))
        .layer(axum_token::TokenLayer::new(api))
        .layer(GovernorLayer::new(config));
    assert_eq!(status(&app, "192.0.2.1", Some(&issuer.token().mint())).await, 500);
}

async fn actix_status<S, B>(app: &S, from: &str, token: Option<&str>) -> u16
where
    S: actix_web::dev::Service<
            actix_http::Request,
            Response = actix_web::dev::ServiceResponse<B>,
            Error = actix_web::Error,
        >,
{
    let mut request = actix_web::test::TestRequest::get()
        .uri("/")
        .peer_addr(SocketAddr::from((from.parse::<IpAddr>().unwrap(), 40_000)));
    if let Some(token) = token {
        request = request.insert_header(("authorization", format!("Bearer {token}")));
    }
    match app.call(request.to_request()).await {
        Ok(response) => response.status().as_u16(),
        Err(error) => error.as_response_error().status_code().as_u16(),
    }
}

#[actix_web::test]
async fn in_actix_web_callers_have_limits_of_their_own_and_are_served_again_in_time() {
    let (issuer, api) = trusted().await;
    let clock = FakeRelativeClock::default();
    let quota = Quota::with_period(HOUR).unwrap().allow_burst(NonZeroU32::new(BURST).unwrap());
    let limiter = web::Data::new(Limiter::dashmap_with_clock(quota, clock.clone()));
    let app = App::new()
        .app_data(limiter)
        .route("/", web::get().to(async || "served"))
        .wrap(from_fn(limit::<FakeRelativeClock, _>))
        .wrap(actix_token::TokenMiddleware::new(api).allow_anonymous());
    let app = actix_web::test::init_service(app).await;
    let [ada, ben] = ["ada", "ben"].map(|who| issuer.token().subject(who).mint());
    for _ in 0..BURST {
        assert_eq!(actix_status(&app, "192.0.2.1", Some(&ada)).await, 200);
        assert_eq!(actix_status(&app, "192.0.2.1", None).await, 200);
    }
    for (from, token, expected) in [
        ("192.0.2.2", Some(&ada), 429),
        ("192.0.2.1", None, 429),
        ("192.0.2.1", Some(&ben), 200),
        ("192.0.2.2", None, 200),
    ] {
        assert_eq!(actix_status(&app, from, token.map(String::as_str)).await, expected, "{from}");
    }
    clock.advance(HOUR);
    assert_eq!(actix_status(&app, "192.0.2.1", Some(&ada)).await, 200);
    assert_eq!(actix_status(&app, "192.0.2.1", Some(&ada)).await, 429);
}

/// The same key for `actix-governor`.
#[derive(Clone, Copy, Debug)]
struct ByCallerInActix;

impl actix_governor::KeyExtractor for ByCallerInActix {
    type Key = Key;
    type KeyExtractionError = SimpleKeyExtractionError<&'static str>;

    fn extract(&self, request: &ServiceRequest) -> Result<Key, Self::KeyExtractionError> {
        let peer = request.peer_addr().map(|peer| peer.ip());
        let unknown = || SimpleKeyExtractionError::new("nobody to count this request for");
        let outcome = request.extensions().get::<Outcome>().cloned().ok_or_else(unknown)?;
        Key::of(Some(&outcome), peer).ok_or_else(unknown)
    }
}

#[actix_web::test]
async fn with_actix_governor_one_callers_burst_does_not_limit_another() {
    let (issuer, api) = trusted().await;
    let config =
        ActixConfigBuilder::default().period(HOUR).burst_size(BURST).key_extractor(ByCallerInActix).finish().unwrap();
    let inside = App::new()
        .route("/", web::get().to(async || "served"))
        .wrap(Governor::new(&config))
        .wrap(actix_token::TokenMiddleware::new(api.clone()).allow_anonymous());
    let inside = actix_web::test::init_service(inside).await;
    let [ada, ben] = ["ada", "ben"].map(|who| issuer.token().subject(who).mint());
    for _ in 0..BURST {
        assert_eq!(actix_status(&inside, "192.0.2.1", Some(&ada)).await, 200);
    }
    assert_eq!(actix_status(&inside, "192.0.2.2", Some(&ada)).await, 429);
    assert_eq!(actix_status(&inside, "192.0.2.1", Some(&ben)).await, 200);
    assert_eq!(actix_status(&inside, "192.0.2.1", None).await, 200);

    // Outside of the token middleware it would count nobody by name, and says so.
    let outside = App::new()
        .route("/", web::get().to(async || "served"))
        .wrap(actix_token::TokenMiddleware::new(api))
        .wrap(Governor::new(&config));
    let outside = actix_web::test::init_service(outside).await;
    assert_eq!(actix_status(&outside, "192.0.2.1", Some(&ben)).await, 500);
}

#[test]
fn a_key_is_the_issuer_and_the_subject_and_a_program_without_one_is_its_client() {
    let token = |issuer: &str, subject: &str| {
        Outcome::Verified(token_test::verified().claim("iss", issuer).subject(subject).build())
    };
    let peer = Some([192, 0, 2, 1].into());
    let key = |outcome: &Outcome| Key::of(Some(outcome), peer);
    let ada = token("https://issuer.example", "ada");
    assert_eq!(key(&ada), key(&token("https://issuer.example", "ada")));
    assert_ne!(key(&ada), key(&token("https://issuer.example", "ben")));
    let Outcome::Verified(verified) = &ada else { panic!("a token") };
    assert_eq!(key(&ada), Some(Key::Caller(verified.issuer().to_owned(), "ada".to_owned())));
    assert_eq!(Key::of(None, peer), Some(Key::Address([192, 0, 2, 1].into())));
    // A server that listens on IPv6 writes addresses of IPv4 in the other way.
    assert_eq!(Key::of(None, Some("::ffff:192.0.2.1".parse().unwrap())), Key::of(None, peer));
    assert_eq!(Key::of(None, None), None);
    assert_eq!(format!("{:?} {:?}", key(&ada).unwrap(), Key::of(None, peer).unwrap()), "Caller(..) Address(..)");
}
