//! Proofs of possession through tower, axum, actix-web and gRPC: one table of (token, proof, answer), a row that differs is a failure.

use std::time::Duration;

use serde_json::json;
use token_core::possession::{CertificateField, Dpop, DpopPolicy, MutualTls};
use token_core::{Algorithm, Clock as _, ErrorKind, Issuer, ResourceServer, Rule, SystemClock};
use token_test::{ManualClock, TestIssuer, TestKey};
use token_tests::{Ask, Reply, Via, ask};
use tonic::metadata::{AsciiMetadataKey, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::cases::CANARY;

const HERE: &str = "https://api.example.com";
/// What the gRPC service asks for.
const SCOPE: &str = "health:read";
/// And the path of its one method.
const CHECK: &str = "/grpc.health.v1.Health/Check";

fn api(issuer: &TestIssuer, dpop: Dpop) -> ResourceServer {
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    ResourceServer::builder(issuer.audience()).trust(trusted).realm("tests").dpop(dpop).build().unwrap()
}

fn here() -> Dpop {
    Dpop::at(HERE).unwrap()
}

/// A bound token and the value of the field `DPoP`, in a request for `/me`.
fn bound(token: &str, proof: &str) -> Ask {
    Ask::of("/me").header("authorization", format!("DPoP {token}")).header("dpop", proof)
}

struct Row {
    name: String,
    /// Made for each framework: a proof is good once.
    ask: Box<dyn Fn() -> Ask>,
    both: Option<ErrorKind>,
    required: Option<ErrorKind>,
}

/// The table, for requests with this method and path.
fn rows(issuer: &TestIssuer, key: &TestKey, method: &'static str, path: &'static str) -> Vec<Row> {
    use ErrorKind::*;
    let token = || issuer.token().subject("ada").scope(SCOPE).claim("note", CANARY);
    let good = token().bound_to(key).mint();
    let bearer = token().mint();
    let proof = {
        let (key, good) = (key.clone(), good.clone());
        move || key.proof(method, &format!("{HERE}{path}"), &good)
    };
    let mut rows = Vec::new();
    let mut row = |name: &str, ask: Box<dyn Fn() -> Ask>, both, required| {
        rows.push(Row { name: name.to_owned(), ask, both, required });
    };
    let asked = |token: &str| {
        let (token, proof) = (token.to_owned(), proof.clone());
        Box::new(move || bound(&token, &proof().mint()))
    };
    row("a good proof", asked(&good), None, None);
    let (first, rest) = (path.as_bytes()[1], &path[2..]);
    for (how, htu) in [
        ("case, default port, escapes and a query", format!("HTTPS://API.example.com:443/%{first:02x}{rest}?x=y")),
        ("dot segments", format!("{HERE}/./there/..{path}")),
        ("a fragment", format!("{HERE}{path}#here")),
    ] {
        let (token, proof) = (good.clone(), proof.clone());
        let ask = Box::new(move || bound(&token, &proof().claim("htu", htu.as_str()).mint()));
        row(&format!("a good proof as others write it: {how}"), ask, None, None);
    }
    for (which, ago) in [("slow", 30), ("fast", -5)] {
        let (token, proof) = (good.clone(), proof.clone());
        let ask = Box::new(move || bound(&token, &proof().issued_ago(ago).mint()));
        row(&format!("a good proof by a clock that is {which}"), ask, None, None);
    }
    let beside = [
        ("older than a minute", proof().issued_ago(75)),
        ("more than half a minute ahead", proof().issued_ago(-40)),
        ("the other scheme", proof().claim("htu", format!("http://api.example.com{path}"))),
    ];
    let beside = beside.map(|(what, proof)| (what.to_owned(), proof.mint()));
    for (what, near_miss) in proof().near_misses().into_iter().chain(beside) {
        let token = good.clone();
        row(&what, Box::new(move || bound(&token, &near_miss)), Some(InvalidDpopProof), Some(InvalidDpopProof));
    }
    let fields = |fields: Vec<(&'static str, String)>| {
        Box::new(move || fields.iter().fold(Ask::of("/me"), |ask, (name, value)| ask.header(name, value)))
    };
    let twice = Box::new({
        let (good, proof) = (good.clone(), proof.clone());
        move || bound(&good, &proof().mint()).header("dpop", proof().mint())
    });
    row("two proofs", twice, Some(InvalidDpopProof), Some(InvalidDpopProof));
    row(
        "no proof",
        fields(vec![("authorization", format!("DPoP {good}"))]),
        Some(InvalidDpopProof),
        Some(InvalidDpopProof),
    );
    row(
        "a bound token as a bearer token",
        fields(vec![("authorization", format!("Bearer {good}"))]),
        Some(SenderConstrained),
        Some(SenderConstrained),
    );
    row("a bearer token", fields(vec![("authorization", format!("Bearer {bearer}"))]), None, Some(SenderConstrained));
    row(
        "a bearer token with a proof",
        {
            let (bearer, key) = (bearer.clone(), key.clone());
            Box::new(move || bound(&bearer, &key.proof(method, &format!("{HERE}{path}"), &bearer).mint()))
        },
        Some(Unbound),
        Some(Unbound),
    );
    row(
        "a token bound to another key",
        {
            let other = TestKey::client(Algorithm::ES384);
            asked(&token().bound_to(&other).mint())
        },
        Some(InvalidDpopProof),
        Some(InvalidDpopProof),
    );
    row("a good proof, an expired token", asked(&token().bound_to(key).expired().mint()), Some(Expired), Some(Expired));
    row(
        "a good proof, a forged token",
        asked(&token().bound_to(key).forged().mint()),
        Some(BadSignature),
        Some(BadSignature),
    );
    row("a good proof, junk for a token", asked("junk"), Some(Malformed), Some(Malformed));
    row(
        "cnf that is not understood",
        asked(&token().claim("cnf", json!({"jkt": CANARY})).mint()),
        Some(SenderConstrained),
        Some(SenderConstrained),
    );
    row(
        "cnf null",
        asked(&token().claim("cnf", serde_json::Value::Null).mint()),
        Some(SenderConstrained),
        Some(SenderConstrained),
    );
    row(
        "bound to a certificate",
        asked(&token().bound_to_certificate(b"certificate").mint()),
        Some(SenderConstrained),
        Some(SenderConstrained),
    );
    row("nothing", fields(Vec::new()), Some(MissingToken), Some(MissingToken));
    row("a proof alone", fields(vec![("dpop", proof().mint())]), Some(MissingToken), Some(MissingToken));
    rows
}

fn check(name: &str, via: Via, reply: &Reply, expected: Option<ErrorKind>, required: bool) {
    let place = format!("{name} through {via:?}: {reply:?}");
    assert!(!format!("{reply:?}").contains(CANARY), "leaks: {place}");
    let Some(kind) = expected else {
        assert_eq!((reply.status, reply.body.as_str()), (200, "ada"), "{place}");
        return;
    };
    assert_eq!(reply.status, kind.status(), "{place}");
    assert!(reply.is_problem(), "{place}");
    let challenge = reply.challenge.as_deref().unwrap_or_default();
    assert!(
        challenge.contains("DPoP realm=\"tests\", algs=\"RS256 PS256 ES256 ES384 ES512 Ed25519 EdDSA\""),
        "{place}"
    );
    assert_eq!(challenge.contains("Bearer"), !required, "{place}");
    assert_eq!(kind.code().is_some(), challenge.contains("error="), "{place}");
    if let Some(code) = kind.code() {
        assert!(challenge.contains(&format!("error=\"{code}\"")), "{place}");
    }
}

#[actix_web::test]
async fn every_row_of_possession_gets_the_same_answer_in_every_framework() {
    let issuer = TestIssuer::start().await;
    for algorithm in [Algorithm::ES256, Algorithm::EdDSA] {
        let key = TestKey::client(algorithm);
        for required in [false, true] {
            let api = api(&issuer, if required { here().required() } else { here() });
            api.ready().await.unwrap();
            for row in rows(&issuer, &key, "GET", "/me") {
                let expected = if required { row.required } else { row.both };
                let mut replies = Vec::new();
                for via in Via::ALL {
                    let reply = ask(via, &api, false, &(row.ask)()).await;
                    check(&row.name, via, &reply, expected, required);
                    replies.push(reply);
                }
                if expected.is_some() {
                    assert_eq!(replies[0], replies[1], "tower and axum differ: {}", row.name);
                    assert_eq!(replies[1], replies[2], "axum and actix-web differ: {}", row.name);
                }
            }
        }
    }
}

#[actix_web::test]
async fn a_proof_is_good_once_whichever_framework_it_came_through() {
    let issuer = TestIssuer::start().await;
    let (api, key) = (api(&issuer, here()), TestKey::client(Algorithm::ES256));
    let token = issuer.token().subject("ada").bound_to(&key).mint();
    let request = bound(&token, &key.proof("GET", &format!("{HERE}/me"), &token).mint());
    for via in [Via::Axum, Via::Tower, Via::Axum, Via::Actix] {
        let reply = ask(via, &api, false, &request).await;
        let first = via == Via::Axum && reply.status == 200;
        assert!(first || reply.status == 401, "{via:?}: {reply:?}");
    }
}

#[actix_web::test]
async fn a_nonce_is_sent_with_refusals_and_with_answers_and_scripts_may_read_it() {
    let issuer = TestIssuer::start().await;
    let (api, key) = (api(&issuer, here().require_nonces()), TestKey::client(Algorithm::ES256));
    let token = issuer.token().subject("ada").bound_to(&key).mint();
    let proof = || key.proof("GET", &format!("{HERE}/me"), &token);
    for via in Via::ALL {
        let refused = ask(via, &api, false, &bound(&token, &proof().mint())).await;
        let challenge = refused.challenge.as_deref().unwrap_or_default();
        assert_eq!(refused.status, 401, "{via:?}");
        assert!(challenge.starts_with("DPoP ") && challenge.contains(r#"error="use_dpop_nonce""#), "{challenge}");
        let nonce = refused.dpop_nonce.expect("a nonce to try again with");
        assert_eq!(refused.exposed.as_deref(), Some("www-authenticate, dpop-nonce"), "{via:?}");
        let answered = ask(via, &api, false, &bound(&token, &proof().nonce(&nonce).mint())).await;
        assert_eq!((answered.status, answered.body.as_str()), (200, "ada"), "{via:?}");
        assert!(answered.dpop_nonce.is_some(), "{via:?}: a nonce for the next request");
        assert_eq!(answered.exposed.as_deref(), Some("www-authenticate, dpop-nonce"), "{via:?}");
        assert_eq!(
            answered.cache_control.as_deref(),
            Some("no-store"),
            "{via:?}: a cache would hand out the nonce again"
        );
        let plain = ask(via, &api, false, &Ask::of("/me").bearer(&issuer.token().subject("ada").mint())).await;
        assert_eq!((plain.status, plain.dpop_nonce, plain.exposed), (200, None, None), "{via:?}");
        assert_eq!(plain.cache_control, None, "{via:?}");
    }
}

#[actix_web::test]
async fn a_nonce_of_yesterday_of_another_server_or_made_up_is_answered_with_a_fresh_one() {
    let clock = ManualClock::new(SystemClock.now());
    let issuer = TestIssuer::builder().clock(clock.clone()).start().await;
    let key = TestKey::client(Algorithm::ES256);
    let server = || {
        let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
        let api = ResourceServer::builder(issuer.audience()).trust(trusted).clock(clock.clone());
        api.dpop(here().require_nonces()).build().unwrap()
    };
    let (api, other) = (server(), server());
    let request = |nonce: Option<&str>| {
        let token = issuer.token().subject("ada").bound_to(&key).mint();
        let proof = key.proof("GET", &format!("{HERE}/me"), &token).claim("iat", clock.now().as_secs());
        bound(&token, &nonce.map_or_else(|| proof.clone(), |nonce| proof.clone().nonce(nonce)).mint())
    };
    let fresh = async |api: &ResourceServer, via: Via| ask(via, api, false, &request(None)).await.dpop_nonce.unwrap();
    for via in Via::ALL {
        let yesterdays = fresh(&api, via).await;
        clock.advance(Duration::from_secs(24 * 60 * 60));
        let anothers = fresh(&other, via).await;
        for (name, nonce) in [("yesterday's", &*yesterdays), ("another server's", &*anothers), ("made up", "junk")] {
            let refused = ask(via, &api, false, &request(Some(nonce))).await;
            let challenge = refused.challenge.as_deref().unwrap_or_default();
            assert_eq!(refused.status, 401, "{name} {via:?}");
            assert!(challenge.contains(r#"error="use_dpop_nonce""#), "{name} {via:?}: {challenge}");
            let answered = ask(via, &api, false, &request(refused.dpop_nonce.as_deref())).await;
            assert_eq!(answered.status, 200, "{name} {via:?}");
        }
    }
}

#[actix_web::test]
async fn anonymous_callers_are_those_who_show_nothing() {
    let issuer = TestIssuer::start().await;
    let (api, key) = (api(&issuer, here().required()), TestKey::client(Algorithm::ES256));
    let token = issuer.token().subject("ada").bound_to(&key).mint();
    let url = format!("{HERE}/maybe");
    for via in Via::ALL {
        for (name, request, expected) in [
            ("nothing", Ask::of("/maybe"), Ok("nobody")),
            ("a proof", bound(&token, &key.proof("GET", &url, &token).mint()), Ok("somebody")),
            ("a bad proof", bound(&token, "junk"), Err(401)),
            ("a bearer token", Ask::of("/maybe").bearer(&token), Err(401)),
        ] {
            let request = Ask { path: "/maybe".into(), ..request };
            let reply = ask(via, &api, true, &request).await;
            match expected {
                Ok(body) => assert_eq!((reply.status, reply.body.as_str()), (200, body), "{name} {via:?}"),
                Err(status) => assert_eq!(reply.status, status, "{name} {via:?}: {reply:?}"),
            }
        }
    }
}

#[tokio::test]
async fn an_axum_router_that_takes_a_part_of_the_path_away_and_a_second_layer_change_nothing() {
    use axum::Router;
    use axum::routing::get;
    use axum_token::TokenLayer;
    use tower::ServiceExt;

    let issuer = TestIssuer::start().await;
    let (api, key) = (api(&issuer, here()), TestKey::client(Algorithm::ES256));
    let required = TokenLayer::new(api.clone()).dpop(DpopPolicy::Required);
    let nested = Router::new().route("/users/{id}", get(async || "yes")).layer(required);
    let app = Router::new().nest("/v1", nested).layer(TokenLayer::new(api));
    let token = issuer.token().bound_to(&key).mint();
    for (path, good) in [("/v1/users/7", 200), ("/users/7", 401)] {
        let proof = key.proof("GET", &format!("{HERE}{path}"), &token).mint();
        let request = http::Request::get("/v1/users/7?x=y").header("authorization", format!("DPoP {token}"));
        let request = request.header("dpop", proof).body(axum::body::Body::empty()).unwrap();
        assert_eq!(app.clone().oneshot(request).await.unwrap().status(), good, "{path}");
    }
    let plain = http::Request::get("/v1/users/7").header("authorization", format!("Bearer {}", issuer.token().mint()));
    let plain = app.oneshot(plain.body(axum::body::Body::empty()).unwrap()).await.unwrap();
    assert_eq!(plain.status(), 401, "the route takes no bearer tokens, the server does");
    assert!(plain.headers()["www-authenticate"].to_str().unwrap().starts_with("DPoP "));
}

#[actix_web::test]
async fn an_actix_scope_may_ask_for_more_than_the_app_around_it() {
    use actix_token::TokenMiddleware;
    use actix_web::{App, test, web};

    let issuer = TestIssuer::start().await;
    let (api, key) = (api(&issuer, here()), TestKey::client(Algorithm::ES256));
    let scope = web::scope("/v1").wrap(TokenMiddleware::new(api.clone()).dpop(DpopPolicy::Required));
    let app = App::new().wrap(TokenMiddleware::new(api)).service(scope.route("/users", web::get().to(async || "yes")));
    let app = test::init_service(app).await;
    let token = issuer.token().bound_to(&key).mint();
    let proof = key.proof("GET", &format!("{HERE}/v1/users"), &token).mint();
    let bearer = issuer.token().mint();
    for (authorization, proof, status) in [
        (format!("DPoP {token}"), &*proof, 200),
        (format!("DPoP {token}"), &*proof, 401),
        (format!("Bearer {bearer}"), "", 401),
    ] {
        let request = test::TestRequest::get().uri("/v1/users").insert_header(("authorization", authorization));
        let request = request.insert_header(("dpop", proof)).to_request();
        assert_eq!(test::call_service(&app, request).await.status(), status);
    }
}

/// The credentials of a request, as the metadata of a call.
async fn grpc(channel: &Channel, ask: &Ask) -> Result<(), Status> {
    let mut request = Request::new(HealthCheckRequest::default());
    for (name, value) in &ask.headers {
        let name = AsciiMetadataKey::from_bytes(name.as_bytes()).unwrap();
        request.metadata_mut().append(name, MetadataValue::try_from(value.as_slice()).unwrap());
    }
    HealthClient::new(channel.clone()).check(request).await.map(|_| ())
}

async fn connected(api: ResourceServer) -> Channel {
    Channel::from_shared(crate::grpc::serve(api).await).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn every_row_of_possession_gets_the_same_answer_in_grpc() {
    let issuer = TestIssuer::start().await;
    for algorithm in [Algorithm::ES256, Algorithm::EdDSA] {
        let key = TestKey::client(algorithm);
        for required in [false, true] {
            let api = api(&issuer, if required { here().required() } else { here() });
            api.ready().await.unwrap();
            let channel = connected(api).await;
            for row in rows(&issuer, &key, "POST", CHECK) {
                let expected = if required { row.required } else { row.both };
                let answer = grpc(&channel, &(row.ask)()).await;
                let place = format!("{}: {answer:?}", row.name);
                assert!(!place.contains(CANARY), "leaks: {place}");
                let (Some(kind), Err(status)) = (expected, &answer) else {
                    assert!(expected.is_none() && answer.is_ok(), "{place}");
                    continue;
                };
                // Metadata above 8 KiB hyper or tonic may refuse before anybody reads it.
                if row.name == "more than 8 KiB" && status.code() == Code::Internal {
                    continue;
                }
                assert_eq!((kind.status(), status.code()), (401, Code::Unauthenticated), "{place}");
                let challenge = status.metadata().get("www-authenticate").unwrap().to_str().unwrap();
                assert!(challenge.contains("DPoP realm") && challenge.contains("Bearer") != required, "{place}");
                let code = kind.code().map(|code| format!("error=\"{code}\""));
                assert_eq!(code.is_some(), challenge.contains("error="), "{place}");
                assert!(challenge.contains(&code.unwrap_or_default()), "{place}");
            }
        }
    }
}

#[tokio::test]
async fn a_grpc_call_is_proved_once_with_the_nonce_that_its_refusal_brings() {
    let issuer = TestIssuer::start().await;
    let key = TestKey::client(Algorithm::ES256);
    let channel = connected(api(&issuer, here().require_nonces())).await;
    let token = issuer.token().scope(SCOPE).bound_to(&key).mint();
    let proof = || key.proof("POST", &format!("{HERE}{CHECK}"), &token);

    let asked = grpc(&channel, &bound(&token, &proof().mint())).await.unwrap_err();
    assert_eq!(asked.code(), Code::Unauthenticated);
    let nonce = asked.metadata().get("dpop-nonce").expect("a nonce to try again with").to_str().unwrap();
    let once = bound(&token, &proof().nonce(nonce).mint());
    grpc(&channel, &once).await.unwrap();
    for (name, ask, error) in [
        ("a replay", once, "invalid_dpop_proof"),
        ("a made up nonce", bound(&token, &proof().nonce("junk").mint()), "use_dpop_nonce"),
    ] {
        let status = grpc(&channel, &ask).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{name}");
        assert!(status.metadata().get("www-authenticate").unwrap().to_str().unwrap().contains(error), "{name}");
    }
}

#[tokio::test]
async fn a_certificate_is_the_connections_or_a_named_proxys_and_anybody_elses_field_is_taken_out() {
    use axum::Router;
    use axum::extract::ConnectInfo;
    use axum::routing::get;
    use axum_token::TokenLayer;
    use token_core::adapter::ClientCertificate;
    use tower::ServiceExt;

    let issuer = TestIssuer::start().await;
    let token = issuer.token().bound_to_certificate(b"certificate").mint();
    let trusted = || Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let api =
        |tls: MutualTls| ResourceServer::builder(issuer.audience()).trust(trusted()).mutual_tls(tls).build().unwrap();
    let echo = async |headers: http::HeaderMap| format!("{}", headers.contains_key("client-cert"));
    let app = |tls: MutualTls| Router::new().route("/", get(echo)).layer(TokenLayer::new(api(tls)));
    let proxy = std::net::SocketAddr::from(([10, 0, 0, 7], 1));
    let stranger = std::net::SocketAddr::from(([10, 0, 0, 8], 1));
    let behind = || MutualTls::behind(CertificateField::ClientCert, [proxy.ip().into()]).unwrap();
    let unbound = issuer.token().mint();
    for (name, app, token, peer, certificate, field, expected) in [
        ("from the connection", app(MutualTls::from_connection()), &token, None, true, false, Ok("false")),
        ("none", app(MutualTls::from_connection()), &token, None, false, false, Err(401)),
        ("a field where the connection counts", app(MutualTls::from_connection()), &token, None, false, true, Err(401)),
        ("from the proxy", app(behind()), &token, Some(proxy), false, true, Ok("true")),
        ("from a stranger", app(behind()), &token, Some(stranger), false, true, Err(401)),
        ("from nobody knows where", app(behind()), &token, None, false, true, Err(401)),
        (
            "a stranger's field, which no handler sees",
            app(behind()),
            &unbound,
            Some(stranger),
            false,
            true,
            Ok("false"),
        ),
    ] {
        let mut request = http::Request::get("/").header("authorization", format!("Bearer {token}"));
        if field {
            request = request.header("client-cert", ":Y2VydGlmaWNhdGU=:");
        }
        if let Some(peer) = peer {
            request = request.extension(ConnectInfo(peer));
        }
        if certificate {
            request = request.extension(ClientCertificate::from_der(b"certificate"));
        }
        let response = app.oneshot(request.body(axum::body::Body::empty()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        match expected {
            Ok(seen) => assert_eq!((status, &body[..]), (200, seen.as_bytes()), "{name}"),
            Err(expected) => assert_eq!(status, expected, "{name}"),
        }
    }
}

#[actix_web::test]
async fn actix_takes_the_certificate_that_on_connect_has_kept_and_no_strangers_field() {
    use actix_token::TokenMiddleware;
    use actix_web::dev::Extensions;
    use actix_web::{App, HttpRequest, HttpServer, web};
    use token_core::adapter::ClientCertificate;

    let issuer = TestIssuer::start().await;
    let token = issuer.token().bound_to_certificate(b"certificate").mint();
    let unbound = issuer.token().mint();
    let api = |tls: MutualTls| {
        let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
        ResourceServer::builder(issuer.audience()).trust(trusted).mutual_tls(tls).build().unwrap()
    };
    let serve = |api: ResourceServer, certificate: Option<&'static [u8]>| {
        let server = HttpServer::new(move || {
            let echo = async |request: HttpRequest| format!("{}", request.headers().contains_key("client-cert"));
            App::new().wrap(TokenMiddleware::new(api.clone())).route("/", web::get().to(echo))
        });
        // With rustls this is where `peer_certificates` of the stream is asked.
        let server = server.workers(1).on_connect(move |_, data: &mut Extensions| {
            if let Some(der) = certificate {
                data.insert(ClientCertificate::from_der(der));
            }
        });
        let server = server.bind(("127.0.0.1", 0)).unwrap();
        let address = server.addrs()[0];
        let running = server.run();
        let handle = running.handle();
        actix_web::rt::spawn(running);
        (format!("http://{address}/"), handle)
    };
    let behind = |proxy: &str| MutualTls::behind(CertificateField::ClientCert, [proxy.parse().unwrap()]).unwrap();
    for (name, tls, certificate, token, expected) in [
        ("its certificate", MutualTls::from_connection(), Some(&b"certificate"[..]), &token, (200, "false")),
        ("another", MutualTls::from_connection(), Some(&b"another"[..]), &token, (401, "")),
        ("none", MutualTls::from_connection(), None, &token, (401, "")),
        ("the named proxy's field", behind("127.0.0.1"), None, &token, (200, "true")),
        ("a stranger's field", behind("10.0.0.7"), None, &token, (401, "")),
        ("a stranger's field, which no handler sees", behind("10.0.0.7"), None, &unbound, (200, "false")),
    ] {
        let sends_field = name.contains("field");
        let (url, handle) = serve(api(tls), certificate);
        let mut request = reqwest::Client::new().get(url).header("authorization", format!("Bearer {token}"));
        if sends_field {
            request = request.header("client-cert", ":Y2VydGlmaWNhdGU=:");
        }
        let response = request.send().await.unwrap();
        let (status, body) = (response.status().as_u16(), response.text().await.unwrap());
        assert_eq!(status, expected.0, "{name}");
        assert!(status != 200 || body == expected.1, "{name}: {body}");
        handle.stop(false).await;
    }
}

#[actix_web::test]
async fn a_handler_may_ask_for_a_bound_token_where_its_server_takes_both() {
    use actix_web::{App, test, web};
    use tower::ServiceExt;

    let issuer = TestIssuer::start().await;
    let (api, key) = (api(&issuer, here()), TestKey::client(Algorithm::ES256));
    let router = axum::Router::new().route("/pay", axum::routing::get(async |_: axum_token::Bound| "paid"));
    // The same as a rule, which every layer and guard takes.
    let guard = tower_token::ScopeLayer::new(Rule::bound());
    let by_rule = axum::Router::new().route("/rule", axum::routing::get(async || "paid")).route_layer(guard);
    let router = router.merge(by_rule).layer(axum_token::TokenLayer::new(api.clone()));
    let app = App::new().wrap(actix_token::TokenMiddleware::new(api));
    let app = app.route("/pay", web::get().to(async |_: actix_token::Bound| "paid"));
    let by_rule = web::resource("/rule").wrap(actix_token::require(Rule::bound())).get(async || "paid");
    let app = test::init_service(app.service(by_rule)).await;
    let (bearer, token) = (issuer.token().mint(), issuer.token().bound_to(&key).mint());
    let rows = [(format!("Bearer {bearer}"), 401), (format!("DPoP {token}"), 200)];
    for ((authorization, status), path) in rows.iter().flat_map(|row| [(row, "/pay"), (row, "/rule")]) {
        let proof = || key.proof("GET", &format!("{HERE}{path}"), &token).mint();
        let request = http::Request::get(path).header("authorization", authorization).header("dpop", proof());
        let response = router.clone().oneshot(request.body(axum::body::Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), *status, "axum, {path}, {authorization:.10}");
        let request = test::TestRequest::get().uri(path).insert_header(("authorization", authorization.clone()));
        let response = test::call_service(&app, request.insert_header(("dpop", proof())).to_request()).await;
        assert_eq!(response.status(), *status, "actix-web, {path}, {authorization:.10}");
    }
}

#[tokio::test]
async fn a_route_that_takes_bound_tokens_alone_withstands_every_attack_and_one_that_takes_others_too_is_found() {
    use axum::Router;
    use axum::routing::post;

    let issuer = TestIssuer::start().await;
    let attacks = || token_test::attacks::attacks(&issuer).route("POST /pay").granted("pay").dpop(HERE);
    for dpop in [here(), here().require_nonces()] {
        // One API for each: what strangers have cost one of them, the other has left.
        let app = async |policy| {
            let api = api(&issuer, dpop.clone());
            api.ready().await.unwrap();
            Router::new()
                .route("/pay", post(async || "paid").layer(axum_token::require("pay")))
                .layer(tower_token::TokenLayer::new(api).dpop(policy))
        };
        attacks().run(app(DpopPolicy::Required).await).await.assert_all_refused();
        let report = attacks().run(app(DpopPolicy::BearerOrDpop).await).await;
        let let_in: Vec<_> = report.findings().iter().map(|row| row.name).collect();
        assert_eq!(let_in, ["a token that is not bound, as a bearer token"]);
    }
}
