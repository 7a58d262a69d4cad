//! aliri_oauth2: its authority over a given JWK Set; RSA only. And aliri_actix, whose extractor asks that authority.

use std::sync::LazyLock;

use actix_web::{App, HttpServer, web};
use aliri::jwa::Algorithm;
use aliri::jwt::{Audience, CoreValidator, Issuer};
use aliri::{Jwks, JwtRef};
use aliri_actix::jwt::{ScopeGuard, Scoped};
use aliri_oauth2::scope::BasicClaimsWithScope;
use aliri_oauth2::{Authority, ScopePolicy};
use harness::peer::{Task, announce};
use harness::{AUDIENCE, Alg, Fixture, ISSUER, fixture::jwk_set};

/// Any token will do, whatever its scopes.
struct Anybody;

impl ScopeGuard for Anybody {
    type Claims = BasicClaimsWithScope;

    fn scope_policy() -> &'static ScopePolicy {
        static POLICY: LazyLock<ScopePolicy> = LazyLock::new(ScopePolicy::allow_any);
        &POLICY
    }
}

fn main() {
    match Task::from_args() {
        Task::Verify => harness::peer::compare("aliri_oauth2 0.10.2", |fixture, alg, token| {
            let (authority, policy) = (authority(fixture, alg)?, ScopePolicy::allow_any());
            let token = token.to_owned();
            Some(Box::new(move || {
                authority.verify_token::<BasicClaimsWithScope>(JwtRef::from_str(&token), &policy).is_ok()
            }))
        }),
        Task::Serve { port, layer } => actix_web::rt::System::new().block_on(serve(port, layer)),
    }
}

/// The authority over the fixture's key of this algorithm, if it is one of those that it knows.
fn authority(fixture: &Fixture, alg: Alg) -> Option<Authority> {
    let algorithm = match alg {
        Alg::RS256 => Algorithm::RS256,
        Alg::PS256 => Algorithm::PS256,
        _ => return None,
    };
    let jwks: Jwks = serde_json::from_str(&jwk_set(&[fixture.jwk(alg)])).expect("a JWK Set");
    let rules = CoreValidator::default()
        .check_expiration()
        .add_approved_algorithm(algorithm)
        .add_allowed_audience(Audience::from_static(AUDIENCE))
        .require_issuer(Issuer::from_static(ISSUER));
    Some(Authority::new(jwks, rules))
}

async fn serve(port: u16, layer: bool) {
    let fixture = Fixture::new();
    let authority = authority(&fixture, Alg::RS256).expect("it knows RS256");
    let server = HttpServer::new(move || {
        let hello = if layer {
            web::get().to(async |_: Scoped<Anybody>| "hello")
        } else {
            web::get().to(async || "hello")
        };
        App::new().app_data(authority.clone()).route("/", hello)
    });
    let server = server.workers(1).bind(("127.0.0.1", port)).expect("the port is free");
    announce(&fixture.token(Alg::RS256, 1));
    server.run().await.expect("actix-web serves");
}
