//! From one URL to an API's answer, over real HTTP: the API's challenges, its metadata, the embedded issuer behind it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use token_client::{
    AuthorizationRequest, ClientAuthentication, ClientMetadata, CrossApp, FixedSource, ProtectedApi,
    ProtectedApiBuilder, Token, TokenClient, TokenError, TokenErrorKind as Kind, TokenSource, UserAgent,
};
use token_core::Algorithm;
use token_core::http::{BoxFuture, Limits, ReqwestClient};
use token_core::jose::signing::SigningKey;
use token_test::{Endpoint, TestIssuer};

/// Made for this test, and good for nothing else.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg2y0qwWJAUj4bnvde\n\
    nUODy3HLNa+NY8VCxecnnP5ADp6hRANCAAQyEpffAQGhxS+wSi1P/8iFJpojt8Ep\n\
    sb4E+wJMXotU88tu4ItaLNI+hn16rdBYo5g0TCWSnHF4h6lwmOCvQE5E\n\
    -----END PRIVATE KEY-----";

/// What the API under test says and has seen.
#[derive(Default)]
struct Said {
    /// Its metadata, where it has some.
    metadata: Mutex<Value>,
    /// Further parameters of its 401.
    challenge: Mutex<String>,
    /// The scope that each path asks for.
    scopes: Mutex<Vec<(&'static str, String)>>,
    /// The claims of each token that it got.
    seen: Mutex<Vec<Value>>,
    requests: AtomicUsize,
    /// How often the metadata was asked for.
    looks: AtomicUsize,
    /// What a good request is answered with.
    answer: Mutex<String>,
    /// Tokens of this issuer are taken.
    issuer: Mutex<String>,
}

struct Api {
    url: String,
    said: Arc<Said>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Api {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Api {
    /// An API at `/mcp` of a host of its own, whose tokens `issuer` makes.
    async fn of(issuer: &TestIssuer) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let said = Arc::new(Said::default());
        *said.metadata.lock().unwrap() = json!({ "resource": url, "authorization_servers": [issuer.url()] });
        *said.issuer.lock().unwrap() = issuer.url().to_owned();
        let document = |State(said): State<Arc<Said>>| async move {
            said.looks.fetch_add(1, Ordering::Relaxed);
            let metadata = said.metadata.lock().unwrap().clone();
            if metadata.is_null() {
                StatusCode::NOT_FOUND.into_response()
            } else {
                metadata.to_string().into_response()
            }
        };
        let routes = Router::new()
            .route("/.well-known/oauth-protected-resource/mcp", get(document))
            .route("/mcp", any(call))
            .route("/mcp/open", get(async || "for everybody"))
            .route("/mcp/{*rest}", any(call))
            .with_state(Arc::clone(&said));
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, said, server }
    }

    fn asks_for(&self, path: &'static str, scope: &str) {
        let mut scopes = self.said.scopes.lock().unwrap();
        scopes.retain(|(known, _)| *known != path);
        scopes.push((path, scope.to_owned()));
    }

    fn last_token(&self) -> Value {
        self.said.seen.lock().unwrap().last().unwrap().clone()
    }
}

/// Takes tokens of its issuer that are for it; their signatures are not its affair here.
async fn call(State(said): State<Arc<Said>>, headers: HeaderMap, request: Request) -> Response {
    let count = said.requests.fetch_add(1, Ordering::Relaxed);
    let token = headers.get("authorization").and_then(|field| field.to_str().ok()?.strip_prefix("Bearer "));
    let claims: Option<Value> = token
        .and_then(|token| URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok())
        .and_then(|json| serde_json::from_slice(&json).ok());
    let issuer = said.issuer.lock().unwrap().clone();
    let Some(claims) = claims.filter(|claims| claims["iss"] == issuer) else {
        let challenge = format!("Bearer realm=\"test\"{}", said.challenge.lock().unwrap());
        return (StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)]).into_response();
    };
    said.seen.lock().unwrap().push(claims.clone());
    let path = request.uri().path();
    let needed = said.scopes.lock().unwrap().iter().find(|(known, _)| *known == path).map(|(_, scope)| scope.clone());
    let needed = needed.map(|scope| scope.replace("{count}", &count.to_string()));
    let granted = claims["scope"].as_str().unwrap_or_default();
    let missing = |needed: &String| needed.split(' ').any(|one| !granted.split(' ').any(|scope| scope == one));
    match needed.filter(missing) {
        Some(scope) => {
            let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
            (StatusCode::FORBIDDEN, [("www-authenticate", challenge)]).into_response()
        }
        None => said.answer.lock().unwrap().clone().into_response(),
    }
}

fn builder(api: &Api) -> ProtectedApiBuilder {
    ProtectedApi::builder(&api.url).http(ReqwestClient::builder().allow_loopback_http().build().unwrap())
}

fn by_secret(api: &Api, issuer: &TestIssuer) -> ProtectedApi {
    let secret = ClientAuthentication::Basic("test-secret".into());
    builder(api).registered(issuer.url(), "test-client", secret).build().unwrap()
}

async fn get_it(client: &ProtectedApi, url: &str) -> Result<StatusCode, TokenError> {
    let request = http::Request::get(url).body(bytes::Bytes::new()).unwrap();
    client.send(request).await.map(|answer| answer.status())
}

/// Users who say yes to everything, as [`TestIssuer::consent_at_once`] has it.
#[derive(Debug)]
struct Browser;

impl UserAgent for Browser {
    fn redirect_uri(&self) -> &str {
        "http://127.0.0.1/callback"
    }

    fn sign_in<'a>(&'a self, request: &'a AuthorizationRequest) -> BoxFuture<'a, Result<String, TokenError>> {
        Box::pin(async {
            let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
            let answer = http.get(request.url()).send().await.unwrap();
            Ok(answer.headers()["location"].to_str().unwrap().to_owned())
        })
    }
}

#[tokio::test]
async fn a_backend_needs_one_url() {
    let issuer = TestIssuer::start().await;
    let api = Api::of(&issuer).await;
    *api.said.challenge.lock().unwrap() = ", scope=\"read\"".to_owned();
    let client = by_secret(&api, &issuer);

    assert_eq!(get_it(&client, &api.url).await.unwrap(), 200);
    let claims = api.last_token();
    assert_eq!((&claims["aud"], &claims["scope"]), (&json!(api.url), &json!("read")));
    assert_eq!(get_it(&client, &api.url).await.unwrap(), 200);
    assert_eq!(issuer.hits(Endpoint::Token), 1, "it remembers");
    assert_eq!(api.said.requests.load(Ordering::Relaxed), 3, "the 401, and two good ones");
}

#[tokio::test]
async fn a_step_up_keeps_the_scopes_of_before() {
    let issuer = TestIssuer::start().await;
    let api = Api::of(&issuer).await;
    api.asks_for("/mcp", "read");
    api.asks_for("/mcp/write", "write");
    let client = by_secret(&api, &issuer);
    let write = format!("{}/write", api.url);
    for (url, scope) in [(&api.url, "read"), (&write, "read write"), (&api.url, "read write")] {
        assert_eq!(get_it(&client, url).await.unwrap(), 200, "{url}");
        assert_eq!(api.last_token()["scope"], scope, "{url}");
    }
}

#[tokio::test]
async fn an_api_that_is_never_content_gets_three_more_attempts() {
    let issuer = TestIssuer::start().await;
    let api = Api::of(&issuer).await;
    let client = by_secret(&api, &issuer);
    client.token().await.unwrap();
    // Each answer asks for a scope that nobody has heard of.
    api.asks_for("/mcp", "step:{count}");
    assert_eq!(get_it(&client, &api.url).await.unwrap(), 403);
    assert_eq!(api.said.requests.load(Ordering::Relaxed), 4);
    assert_eq!(issuer.hits(Endpoint::Token), 4);

    // A receiver that refuses whatever it gets: no token is asked for each time.
    *api.said.issuer.lock().unwrap() = "https://nobody.example".to_owned();
    client.token().await.unwrap();
    let before = (api.said.requests.load(Ordering::Relaxed), issuer.hits(Endpoint::Token));
    for _ in 0..5 {
        assert_eq!(get_it(&client, &api.url).await.unwrap(), 401);
    }
    let after = (api.said.requests.load(Ordering::Relaxed), issuer.hits(Endpoint::Token));
    assert_eq!((after.0 - before.0, after.1 - before.1), (5, 0));
}

#[tokio::test]
async fn a_key_in_place_of_a_secret() {
    let issuer = TestIssuer::start().await;
    let api = Api::of(&issuer).await;
    let signing = SigningKey::from_pem(Algorithm::ES256, Some("k1"), KEY.as_bytes()).unwrap();
    issuer.client("robot", "unused").keys([&signing.public_jwk().unwrap()]);
    let key = ClientAuthentication::PrivateKeyJwt { key: Arc::new(signing), audience: None };
    let client = builder(&api).registered(issuer.url(), "robot", key).build().unwrap();
    assert_eq!(get_it(&client, &api.url).await.unwrap(), 200);
    assert_eq!(api.last_token()["sub"], "robot");
}

#[tokio::test]
async fn what_is_good_at_more_than_one_server_is_shown_to_none_that_only_the_api_names() {
    let issuer = TestIssuer::start().await;
    let api = Api::of(&issuer).await;
    let platform = || FixedSource::new(Token::bearer("platform", None).unwrap());
    let document = "https://client.example.com/client.json";
    let bare = || builder(&api).document(document, ClientAuthentication::None);
    for (name, built) in [
        ("a platform's token", bare().workload(platform()).build()),
        (
            "the same beside a registration",
            bare().registered(issuer.url(), "c", ClientAuthentication::None).workload(platform()).build(),
        ),
        ("a secret", builder(&api).document(document, ClientAuthentication::Basic("canary".into())).build()),
        ("a secret in the form", builder(&api).document(document, ClientAuthentication::Post("canary".into())).build()),
    ] {
        let error = built.map(drop).expect_err(name);
        assert_eq!(error.kind(), Kind::Misconfigured, "{name}");
        assert!(!error.to_string().contains("canary"));
    }
}

#[tokio::test]
async fn a_workload_shows_the_token_of_its_platform() {
    let issuer = TestIssuer::start().await;
    let api = Api::of(&issuer).await;
    api.asks_for("/mcp", "read");
    issuer.client("workload", "").public();
    let platform = |token: String| FixedSource::new(Token::bearer(token, None).unwrap());
    let build = |token: String| {
        let registered = builder(&api).registered(issuer.url(), "workload", ClientAuthentication::None);
        registered.workload(platform(token)).build().unwrap()
    };
    let client = build(issuer.token().subject("pod-7").mint());
    assert_eq!(get_it(&client, &api.url).await.unwrap(), 200);
    let claims = api.last_token();
    assert_eq!((&claims["sub"], &claims["aud"], &claims["scope"]), (&json!("pod-7"), &json!(api.url), &json!("read")));
    let before = issuer.hits(Endpoint::Token);
    let refused = get_it(&build(issuer.token().expired().mint()), &api.url).await.unwrap_err();
    assert_eq!(
        (refused.kind(), issuer.hits(Endpoint::Token) - before),
        (Kind::InvalidGrant, 1),
        "and nothing else is tried"
    );
}

#[tokio::test]
async fn a_user_signs_in_through_a_client_that_registered_itself_or_has_a_document() {
    let issuer = TestIssuer::start().await;
    issuer.consent_at_once("ada");
    let api = Api::of(&issuer).await;
    let metadata = ClientMetadata::new("Agent").redirect_uri("http://127.0.0.1/callback");

    let client = builder(&api).register(metadata.clone()).user_agent(Browser).build().unwrap();
    assert_eq!(get_it(&client, &api.url).await.unwrap(), 200);
    let claims = api.last_token();
    assert_eq!((&claims["sub"], &claims["aud"]), (&json!("ada"), &json!(api.url)));
    assert_eq!(claims["scope"], "offline_access", "the server knows the scope, and the user may be away later");
    assert_eq!(issuer.hits(Endpoint::Registration), 1);

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let id = format!("http://{}/client.json", listener.local_addr().unwrap());
    let document = metadata.document(&id).to_string();
    let routes = Router::new().route("/client.json", get(async move || document));
    let server = tokio::spawn(async move { axum::serve(listener, routes).await });
    let both = builder(&api).document(&id, ClientAuthentication::None).register(metadata).user_agent(Browser);
    assert_eq!(get_it(&both.build().unwrap(), &api.url).await.unwrap(), 200);
    assert_eq!(api.last_token()["client_id"], id);
    assert_eq!(issuer.hits(Endpoint::Registration), 1, "a document comes before a registration");
    server.abort();
}

#[tokio::test]
async fn what_an_api_gives_to_everybody_sends_nobody_to_sign_in() {
    let issuer = TestIssuer::start().await;
    issuer.consent_at_once("ada");
    let api = Api::of(&issuer).await;
    *api.said.challenge.lock().unwrap() = ", scope=\"read\"".to_owned();
    let metadata = ClientMetadata::new("Agent").redirect_uri("http://127.0.0.1/callback");
    let client = builder(&api).register(metadata).user_agent(Browser).build().unwrap();
    // Each is a round trip: a sign-in that had begun behind the first would be over after the last.
    for _ in 0..20 {
        assert_eq!(get_it(&client, &format!("{}/open", api.url)).await.unwrap(), 200);
    }
    assert_eq!((api.said.looks.load(Ordering::Relaxed), issuer.hits(Endpoint::Authorization)), (0, 0));
    assert_eq!(get_it(&client, &api.url).await.unwrap(), 200);
    assert_eq!(api.last_token()["scope"], "offline_access read", "the challenge was heard before the user was asked");
    assert_eq!(issuer.hits(Endpoint::Authorization), 1);
}

#[tokio::test]
async fn a_user_is_asked_once_and_again_only_for_more() {
    let issuer = TestIssuer::start().await;
    issuer.consent_at_once("ada");
    let api = Api::of(&issuer).await;
    issuer.client("app", "").public().redirect_uri("http://127.0.0.1/callback");
    let registered = builder(&api).registered(issuer.url(), "app", ClientAuthentication::None);
    let client = registered.user_agent(Browser).build().unwrap();
    assert_eq!(get_it(&client, &api.url).await.unwrap(), 200);
    let token = client.token().await.unwrap();
    // The refresh token renews it; nobody sees a page.
    issuer.forget_hits();
    *api.said.challenge.lock().unwrap() = String::new();
    api.asks_for("/mcp", "write");
    assert_eq!(get_it(&client, &api.url).await.unwrap(), 200);
    assert_eq!(api.last_token()["scope"], "offline_access write");
    assert_eq!(issuer.hits(Endpoint::Authorization), 1, "more scopes are the user's to grant");
    assert_ne!(client.token().await.unwrap(), token);
}

#[tokio::test]
async fn cross_app_access_asks_the_user_nothing() {
    let (issuer, provider) = (TestIssuer::start().await, TestIssuer::start().await);
    issuer.trust(&provider);
    let api = Api::of(&issuer).await;
    api.asks_for("/mcp", "read");
    let ours = TokenClient::builder(provider.token_endpoint(), "test-client")
        .secret("test-secret")
        .http(ReqwestClient::builder().allow_loopback_http().build().unwrap())
        .build()
        .unwrap();
    let secret = ClientAuthentication::Basic("test-secret".into());
    let build = |id_token: String| {
        let cross_app = CrossApp::new(ours.clone(), id_token.as_str());
        builder(&api).registered(issuer.url(), "test-client", secret.clone()).cross_app(cross_app).build().unwrap()
    };
    let client = build(provider.id_token().subject("ada").mint());
    assert_eq!(get_it(&client, &api.url).await.unwrap(), 200);
    let claims = api.last_token();
    assert_eq!(
        (&claims["sub"], &claims["aud"], &claims["iss"]),
        (&json!("ada"), &json!(api.url), &json!(issuer.url()))
    );
    for bad in
        [provider.id_token().expired(), provider.id_token().forged(), provider.id_token().audience("another-client")]
    {
        assert_eq!(get_it(&build(bad.mint()), &api.url).await.unwrap_err().kind(), Kind::InvalidGrant);
    }
    let stranger = TestIssuer::start().await;
    *api.said.metadata.lock().unwrap() = json!({ "resource": api.url, "authorization_servers": [stranger.url()] });
    let refused = get_it(&build(provider.id_token().mint()), &api.url).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Misconfigured, "we are registered with another server");
}

#[tokio::test]
async fn an_api_that_moves_to_another_server_is_followed_without_the_old_ones_credentials() {
    let (old, new) = (TestIssuer::start().await, TestIssuer::start().await);
    let api = Api::of(&old).await;
    new.client("moved", "other-secret");
    let both = builder(&api)
        .registered(old.url(), "test-client", ClientAuthentication::Basic("test-secret".into()))
        .registered(new.url(), "moved", ClientAuthentication::Post("other-secret".into()));
    let client = both.build().unwrap();
    assert_eq!(get_it(&client, &api.url).await.unwrap(), 200);
    *api.said.metadata.lock().unwrap() = json!({ "resource": api.url, "authorization_servers": [new.url()] });
    *api.said.issuer.lock().unwrap() = new.url().to_owned();
    assert_eq!(get_it(&client, &api.url).await.unwrap(), 200);
    assert_eq!(api.last_token()["client_id"], "moved");
    assert_eq!((old.hits(Endpoint::Token), new.hits(Endpoint::Token)), (1, 1));
}

#[tokio::test]
async fn nothing_is_sent_to_a_server_that_the_metadata_may_not_name() {
    let issuer = TestIssuer::start().await;
    let other = TestIssuer::start().await;
    let api = Api::of(&issuer).await;
    let metadata = |resource: &str, issuer: &str| json!({ "resource": resource, "authorization_servers": [issuer] });
    let origin = api.url.strip_suffix("/mcp").unwrap();
    for (said, expected) in [
        (metadata(&api.url, issuer.url()), None),
        (metadata(origin, issuer.url()), Some(Kind::UntrustedMetadata)),
        (metadata("https://evil.example/mcp", issuer.url()), Some(Kind::UntrustedMetadata)),
        (metadata(&format!("{}/other", api.url), issuer.url()), Some(Kind::UntrustedMetadata)),
        (metadata(&api.url, other.url()), Some(Kind::Misconfigured)),
        (metadata(&api.url, "http://10.0.0.1"), Some(Kind::UntrustedMetadata)),
        (metadata(&api.url, "file:///etc/passwd"), Some(Kind::UntrustedMetadata)),
        (metadata(&api.url, &format!("{}/nowhere", issuer.url())), Some(Kind::NoMetadata)),
        (json!({ "resource": api.url }), Some(Kind::Malformed)),
        (json!("text"), Some(Kind::Malformed)),
        (Value::Null, Some(Kind::NoMetadata)),
    ] {
        *api.said.metadata.lock().unwrap() = said.clone();
        issuer.forget_hits();
        let kind = get_it(&by_secret(&api, &issuer), &api.url).await.err().map(|error| error.kind());
        assert_eq!(kind, expected, "{said}");
        assert_eq!(
            (issuer.hits(Endpoint::Token), other.hits(Endpoint::Token)),
            (usize::from(expected.is_none()), 0),
            "{said}"
        );
    }
    *api.said.metadata.lock().unwrap() = metadata(&api.url, issuer.url());
    issuer.set_metadata("issuer", "https://evil.example");
    let mixed_up = get_it(&by_secret(&api, &issuer), &api.url).await.unwrap_err();
    assert_eq!(mixed_up.kind(), Kind::UntrustedMetadata, "the server's document is of another issuer");
}

#[tokio::test]
async fn a_named_place_without_a_document_hides_no_other() {
    let issuer = TestIssuer::start().await;
    let api = Api::of(&issuer).await;
    let origin = api.url.strip_suffix("/mcp").unwrap();
    *api.said.challenge.lock().unwrap() = format!(", resource_metadata=\"{origin}/gone\"");
    assert_eq!(get_it(&by_secret(&api, &issuer), &api.url).await.unwrap(), 200);
}

#[tokio::test]
async fn an_api_that_refuses_everything_is_asked_for_its_metadata_now_and_then_and_has_the_last_word() {
    let issuer = TestIssuer::start().await;
    let api = Api::of(&issuer).await;
    let clock = token_test::ManualClock::default();
    let secret = ClientAuthentication::Basic("test-secret".into());
    let client = builder(&api).registered(issuer.url(), "test-client", secret).clock(clock.clone()).build().unwrap();
    assert_eq!(get_it(&client, &api.url).await.unwrap(), 200);
    *api.said.issuer.lock().unwrap() = "https://another.example".to_owned();
    let metadata = api.said.metadata.lock().unwrap().take();
    let before = api.said.looks.load(Ordering::Relaxed);
    for _ in 0..20 {
        assert_eq!(
            get_it(&client, &api.url).await.unwrap(),
            401,
            "metadata that is gone is no reason to hide the answer"
        );
    }
    assert_eq!(api.said.looks.load(Ordering::Relaxed) - before, 1);
    assert_eq!(issuer.hits(Endpoint::Token), 1);
    *api.said.metadata.lock().unwrap() = metadata;
    clock.advance(std::time::Duration::from_secs(10));
    assert_eq!(get_it(&client, &api.url).await.unwrap(), 401);
    assert_eq!(api.said.looks.load(Ordering::Relaxed) - before, 2);
}

#[tokio::test]
async fn an_answer_of_the_api_may_be_large_up_to_what_was_agreed() {
    let issuer = TestIssuer::start().await;
    let api = Api::of(&issuer).await;
    *api.said.answer.lock().unwrap() = "x".repeat(1_000_000);
    let client = by_secret(&api, &issuer);
    let request = || http::Request::get(&api.url).body(bytes::Bytes::new()).unwrap();
    assert_eq!(client.send(request()).await.unwrap().body().len(), 1_000_000);
    let secret = ClientAuthentication::Basic("test-secret".into());
    let bounded = builder(&api).registered(issuer.url(), "test-client", secret);
    let bounded = bounded.answers(Limits::default().max_body(1000)).build().unwrap();
    assert!(bounded.send(request()).await.is_err());
}

#[tokio::test]
async fn a_server_that_has_forgotten_a_client_is_told_of_it_anew() {
    let issuer = TestIssuer::start().await;
    let api = Api::of(&issuer).await;
    let clock = token_test::ManualClock::default();
    let client = builder(&api).register(ClientMetadata::new("Agent")).clock(clock.clone()).build().unwrap();
    assert_eq!(get_it(&client, &api.url).await.unwrap(), 200);
    let id = api.last_token()["client_id"].as_str().unwrap().to_owned();
    issuer.client(&id, "another secret than it was told");
    api.asks_for("/mcp", "write");
    assert_eq!(get_it(&client, &api.url).await.unwrap_err().kind(), Kind::InvalidClient);
    assert_eq!(issuer.hits(Endpoint::Registration), 1, "not in the path of the request that found out");
    clock.advance(std::time::Duration::from_secs(2));
    assert_eq!(get_it(&client, &api.url).await.unwrap(), 200);
    assert_ne!(api.last_token()["client_id"], id);
    assert_eq!(issuer.hits(Endpoint::Registration), 2);
}

#[tokio::test]
async fn a_token_goes_nowhere_but_to_its_api() {
    let issuer = TestIssuer::start().await;
    let api = Api::of(&issuer).await;
    let client = by_secret(&api, &issuer);
    client.token().await.unwrap();
    for url in ["https://evil.example/mcp", &api.url.replace("/mcp", "/admin"), &api.url.replace("http:", "https:")] {
        assert_eq!(get_it(&client, url).await.unwrap_err().kind(), Kind::WrongHost, "{url}");
    }
}

#[tokio::test]
async fn a_setup_that_cannot_work_is_not_built() {
    let api = "https://api.example.com/mcp";
    for builder in [
        ProtectedApi::builder(api),
        ProtectedApi::builder("api.example.com").register(ClientMetadata::new("x")),
        ProtectedApi::builder("http://api.example.com").register(ClientMetadata::new("x")),
        ProtectedApi::builder(api).registered("https://id.example.com", "app", ClientAuthentication::None),
    ] {
        assert_eq!(builder.build().unwrap_err().kind(), Kind::Misconfigured);
    }
}
