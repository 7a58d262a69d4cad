//! Metadata of protected resources through tower, axum and actix-web: the right place and no other, whatever `Host` says, for several resources of one process.

use actix_web::test as actix;
use axum::body::Body;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use token_core::policy::Metadata;
use token_core::{Issuer, ResourceServer};
use token_test::TestIssuer;
use token_tests::Via;
use tower::ServiceExt;

const BOOKS: &str = "https://api.example.com/books";
const SHELVES: &str = "https://api.example.com/shelves?wing=2";
const PLACE: &str = "/.well-known/oauth-protected-resource/books";

struct Asked {
    method: &'static str,
    target: &'static str,
    fields: Vec<(&'static str, String)>,
}

fn asked(method: &'static str, target: &'static str) -> Asked {
    Asked { method, target, fields: Vec::new() }
}

impl Asked {
    fn field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Got {
    status: u16,
    fields: Vec<(String, String)>,
    body: String,
}

impl Got {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }
}

/// Two resources of one process, each guarded by its own server, their metadata outside of both.
async fn ask(via: Via, servers: &[ResourceServer; 2], asked: &Asked) -> Got {
    let [books, shelves] = servers;
    let mut request = http::Request::builder().method(asked.method).uri(asked.target);
    for (name, value) in &asked.fields {
        request = request.header(*name, value);
    }
    let (status, mut fields, body) = match via {
        Via::Tower | Via::Axum => {
            let guarded = |path, server: &ResourceServer| {
                let route = axum::Router::new().route(path, axum::routing::any(async || "served"));
                route.route_layer(axum_token::TokenLayer::new(server.clone()))
            };
            let app = guarded("/books", books).merge(guarded("/shelves", shelves));
            let metadata = axum_token::Metadata::of(servers).unwrap();
            let request = request.body(Body::empty()).unwrap();
            let response = match via {
                // The service on its own answers for its places, and 404 else.
                Via::Tower if asked.target.contains(".well-known") => {
                    metadata.oneshot(request).await.unwrap().map(Body::new)
                }
                _ => app.layer(metadata).oneshot(request).await.unwrap(),
            };
            let (parts, body) = response.into_parts();
            let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
            let fields = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect::<Vec<_>>();
            (parts.status.as_u16(), fields, body.collect().await.unwrap().to_bytes())
        }
        Via::Actix => {
            use actix_web::web;
            let guarded = |path, server: &ResourceServer| {
                web::resource(path).wrap(actix_token::TokenMiddleware::new(server.clone())).to(async || "served")
            };
            let app = actix_web::App::new()
                .service(actix_token::Metadata::of(servers).unwrap())
                .service(guarded("/books", books))
                .service(guarded("/shelves", shelves));
            let app = actix::init_service(app).await;
            let mut request = actix::TestRequest::with_uri(asked.target).method(asked.method.parse().unwrap());
            for (name, value) in &asked.fields {
                request = request.append_header((*name, value.as_str()));
            }
            let response = actix::call_service(&app, request.to_request()).await;
            let text = |value: &actix_web::http::header::HeaderValue| value.to_str().unwrap().to_owned();
            let fields = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
            (response.status().as_u16(), fields, actix::read_body(response).await)
        }
    };
    fields.sort();
    Got { status, fields, body: String::from_utf8(body.to_vec()).unwrap() }
}

fn servers(issuer: &TestIssuer) -> [ResourceServer; 2] {
    [BOOKS, SHELVES].map(|uri| {
        let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
        let metadata = Metadata::default().scopes(["books:read"]);
        ResourceServer::resource(uri).metadata(metadata).trust(trusted).build().unwrap()
    })
}

#[actix_web::test]
async fn a_document_is_found_where_its_resource_says_and_nowhere_else_in_every_framework() {
    let issuer = TestIssuer::start().await;
    let servers = servers(&issuer);
    let document = |uri: &str| {
        json!({
            "resource": uri, "authorization_servers": [issuer.url()], "scopes_supported": ["books:read"],
            "bearer_methods_supported": ["header"],
        })
    };
    let shelves = "/.well-known/oauth-protected-resource/shelves?wing=2";
    let rows = [
        (asked("GET", PLACE), 200, Some(document(BOOKS))),
        (asked("GET", shelves), 200, Some(document(SHELVES))),
        (asked("GET", PLACE).field("host", "evil.example"), 200, Some(document(BOOKS))),
        (
            asked("GET", PLACE).field("x-forwarded-host", "evil.example").field("forwarded", "host=evil.example"),
            200,
            Some(document(BOOKS)),
        ),
        (asked("GET", "http://evil.example/.well-known/oauth-protected-resource/books"), 200, Some(document(BOOKS))),
        (asked("GET", PLACE).field("authorization", "Bearer junk"), 200, Some(document(BOOKS))),
        (asked("GET", PLACE).field("origin", "https://page.example"), 200, Some(document(BOOKS))),
        (asked("HEAD", PLACE), 200, None),
        (
            asked("OPTIONS", PLACE)
                .field("origin", "https://page.example")
                .field("access-control-request-method", "GET"),
            204,
            None,
        ),
        (asked("POST", PLACE), 405, None),
        (asked("GET", "/.well-known/oauth-protected-resource"), 404, None),
        (asked("GET", "/.well-known/oauth-protected-resource/"), 404, None),
        (asked("GET", "/.well-known/oauth-protected-resource/none"), 404, None),
        (asked("GET", "/.well-known/oauth-protected-resource/books?wing=2"), 404, None),
        (asked("GET", "/.well-known/oauth-protected-resource/shelves"), 404, None),
        (asked("GET", "/.well-known/oauth-protected-resource/books/"), 404, None),
        (asked("GET", "/.well-known/oauth-protected-resource//books"), 404, None),
        (asked("GET", "/.well-known/oauth-protected-resource/Books").field("host", "evil.example"), 404, None),
    ];
    for (row, status, expected) in rows {
        let place = format!("{} {} {:?}", row.method, row.target, row.fields);
        let mut answers = Vec::new();
        for via in Via::ALL {
            let got = ask(via, &servers, &row).await;
            assert_eq!(got.status, status, "{place} through {via:?}: {got:?}");
            assert_eq!(got.field("access-control-allow-origin"), Some("*"), "{place} through {via:?}");
            assert!(!format!("{got:?}").contains("evil"), "{place} through {via:?}: {got:?}");
            if let Some(document) = &expected {
                assert_eq!(&serde_json::from_str::<Value>(&got.body).unwrap(), document, "{place} through {via:?}");
                assert_eq!(got.field("cache-control"), Some("public, max-age=300"), "{place} through {via:?}");
            }
            if row.method == "HEAD" && via != Via::Actix {
                let length = serde_json::to_string(&document(BOOKS)).unwrap().len().to_string();
                assert_eq!((got.field("content-length"), &*got.body), (Some(&*length), ""), "{place} through {via:?}");
            }
            answers.push(got);
        }
        let [tower, axum, actix] = &answers[..] else { panic!("three frameworks") };
        // actix-web takes the body away on the wire: the last test below.
        assert!(axum.body == actix.body || row.method == "HEAD", "{place}");
        assert_eq!((&tower.fields, &tower.body), (&axum.fields, &axum.body), "{place}");
        let ours =
            |got: &Got| got.fields.iter().filter(|(name, _)| name != "content-length").cloned().collect::<Vec<_>>();
        assert_eq!(ours(axum), ours(actix), "{place}");
    }
}

#[actix_web::test]
async fn a_client_that_has_the_document_is_not_sent_it_again() {
    let issuer = TestIssuer::start().await;
    let servers = servers(&issuer);
    for via in Via::ALL {
        let got = ask(via, &servers, &asked("GET", PLACE)).await;
        let etag = got.field("etag").unwrap().to_owned();
        assert!(etag.len() == 34 && etag.starts_with('"') && etag.ends_with('"'), "{etag}");
        let other = ask(via, &servers, &asked("GET", "/.well-known/oauth-protected-resource/shelves?wing=2")).await;
        assert_ne!(other.field("etag"), Some(&*etag), "{via:?}");
        for (method, tags, status) in [
            ("GET", etag.clone(), 304),
            ("HEAD", etag.clone(), 304),
            ("GET", format!("W/{etag}"), 304),
            ("GET", format!("\"a,b\", {etag}"), 304),
            ("GET", "*".to_owned(), 304),
            ("GET", "\"another\"".to_owned(), 200),
            ("GET", etag.trim_matches('"').to_owned(), 200),
            ("POST", etag.clone(), 405),
        ] {
            let got = ask(via, &servers, &asked(method, PLACE).field("if-none-match", &tags)).await;
            assert_eq!(got.status, status, "{method} {tags} through {via:?}");
            if status == 304 {
                assert_eq!((&*got.body, got.field("content-type")), ("", None), "{via:?}");
                assert_eq!(got.field("etag"), Some(&*etag), "{via:?}");
                assert_eq!(got.field("cache-control"), Some("public, max-age=300"), "{via:?}");
            }
        }
    }
}

#[actix_web::test]
async fn a_token_for_another_resource_of_the_same_process_is_refused_and_told_where_to_ask() {
    let issuer = TestIssuer::start().await;
    let servers = servers(&issuer);
    let token = |uri: &str| format!("Bearer {}", issuer.token().audience(uri).mint());
    let at = |path: &str| {
        format!(r#"resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/{path}""#)
    };
    for via in Via::ALL {
        for (target, uri, refused) in [
            ("/books", BOOKS, None),
            ("/shelves", SHELVES, None),
            ("/books", SHELVES, Some(at("books"))),
            ("/shelves", BOOKS, Some(at("shelves?wing=2"))),
        ] {
            let got = ask(via, &servers, &asked("GET", target).field("authorization", token(uri))).await;
            let challenge = got.field("www-authenticate").unwrap_or_default();
            match refused {
                None => assert_eq!((got.status, &*got.body), (200, "served"), "{target} {via:?}"),
                Some(pointed) => {
                    assert_eq!(got.status, 401, "{target} {via:?}");
                    assert!(
                        challenge.starts_with(&format!("Bearer {pointed}, error=\"invalid_token\"")),
                        "{challenge}"
                    );
                }
            }
        }
        let got = ask(via, &servers, &asked("GET", "/books")).await;
        assert_eq!(got.field("www-authenticate"), Some(&*format!("Bearer {}", at("books"))), "{via:?}");
    }
}

#[actix_web::test]
async fn a_document_is_served_over_http_with_head_and_in_front_of_the_guard_of_a_whole_app() {
    let issuer = TestIssuer::start().await;
    let [books, _] = servers(&issuer);
    let axum = axum::Router::new()
        .route("/books", axum::routing::get(async || "served"))
        .layer(axum_token::TokenLayer::new(books.clone()))
        .layer(axum_token::Metadata::of([&books]).unwrap());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let axum_at = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { axum::serve(listener, axum).await.unwrap() });
    let served = books.clone();
    let server = actix_web::HttpServer::new(move || {
        actix_web::App::new()
            .wrap(actix_token::TokenMiddleware::new(served.clone()))
            .wrap(actix_token::Metadata::of([&served]).unwrap())
            .route("/books", actix_web::web::get().to(async || "served"))
    });
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let actix_at = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    let running = actix_web::rt::spawn(server);
    let client = reqwest::Client::new();
    for at in [axum_at, actix_at] {
        let url = format!("http://{at}{PLACE}");
        let got = client.get(&url).send().await.unwrap();
        assert_eq!(got.status(), 200, "{url}");
        let body = got.text().await.unwrap();
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["resource"], BOOKS, "{url}");
        let head = client.head(&url).send().await.unwrap();
        assert_eq!(head.headers()["content-length"], body.len().to_string().as_str(), "{url}");
        assert_eq!(head.text().await.unwrap(), "", "{url}");
        let refused = client.get(format!("http://{at}/books")).send().await.unwrap();
        assert_eq!(refused.status(), 401, "{url}");
    }
    handle.stop(false).await;
    running.await.unwrap().unwrap();
    serving.abort();
}
