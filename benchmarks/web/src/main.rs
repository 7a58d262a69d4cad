//! `web serve PORT axum|actix none|empty|warm|cold` or `web serve PORT axum issuer`: prints the token it takes, then serves "hello" on loopback.

mod issuer;

use actix_token::TokenMiddleware;
use actix_web::dev::Service as _;
use actix_web::middleware::Condition;
use axum_token::TokenLayer;
use harness::{AUDIENCE, Alg, Fixture, ISSUER};
use token_core::{Issuer, ResourceServer, StaticKeys, stores::TokenCacheSettings};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ["serve", port, framework, mode] = words[..] else { panic!("usage: web serve PORT axum|actix MODE") };
    let port = port.parse().expect("PORT is a number");
    let fixture = Fixture::new();
    let token = fixture.token(Alg::RS256, 1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let server = match mode {
        "none" | "empty" => None,
        "issuer" => {
            let server = issuer::behind(&fixture);
            runtime.block_on(server.ready()).expect("the issuer answers at the start");
            Some(server)
        }
        mode => Some(over(&fixture, mode == "warm")),
    };
    match framework {
        "axum" => runtime.block_on(axum_hello(port, server, mode == "empty", &token)),
        "actix" => actix_web::rt::System::new().block_on(actix_hello(port, server, mode == "empty", &token)),
        _ => panic!("usage: web serve PORT axum|actix MODE"),
    }
}

fn over(fixture: &Fixture, cached: bool) -> ResourceServer {
    let cache = TokenCacheSettings::default();
    let keys = StaticKeys::jwk_set(&fixture.jwks()).expect("the fixture's keys are good");
    ResourceServer::builder(AUDIENCE)
        .trust(Issuer::with_keys(ISSUER, keys).expect("the issuer has a name"))
        .token_cache(if cached { cache } else { cache.entries(0) })
        .build()
        .expect("the settings are sound")
}

async fn axum_hello(port: u16, server: Option<ResourceServer>, empty: bool, token: &str) {
    let mut app = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }));
    if empty {
        // What axum itself spends on having a layer at all.
        app = app.layer(tower_layer::Identity::new());
    }
    if let Some(server) = server {
        app = app.layer(TokenLayer::new(server));
    }
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
    println!("{token}");
    axum::serve(listener, app).await.expect("axum serves");
}

async fn actix_hello(port: u16, server: Option<ResourceServer>, empty: bool, token: &str) {
    let hello = || actix_web::web::get().to(async || "hello");
    let running = if empty {
        // What actix-web itself spends on having a middleware at all.
        let app = move || actix_web::App::new().wrap_fn(|request, next| next.call(request)).route("/", hello());
        actix_web::HttpServer::new(app).workers(1).bind(("127.0.0.1", port)).expect("the port is free").run()
    } else {
        let layered = server.is_some();
        let fallback = Fixture::new();
        let server = server.unwrap_or_else(|| over(&fallback, true));
        let app = move || {
            actix_web::App::new()
                .wrap(Condition::new(layered, TokenMiddleware::new(server.clone())))
                .route("/", hello())
        };
        actix_web::HttpServer::new(app).workers(1).bind(("127.0.0.1", port)).expect("the port is free").run()
    };
    println!("{token}");
    running.await.expect("actix-web serves");
}
