//! An axum API on opaque tokens: introspected once, remembered, and with REDIS_URL shared by every instance.
//!
//! ISSUER, INTROSPECTION_ENDPOINT, CLIENT_ID, CLIENT_SECRET, AUDIENCE; REDIS_URL and PORT if you like.

#![allow(clippy::print_stdout, reason = "where it listens, for whoever started it")]

use std::env::var;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{delete, get};
use axum_token::{Authenticated, Claims, Issuer, Rejection, ResourceServer, TokenLayer};
use token_core::opaque::client_authentication::ClientAuthentication;
use token_core::{
    Timestamp,
    opaque::OpaqueTokens,
    revocation::{Deny, Evict, MemoryDenyList},
};
use token_redis::Redis;
use tokio::net::TcpListener;

#[derive(serde::Deserialize)]
struct User {
    sub: String,
}

/// Whether the token was a JWT or opaque makes no difference here.
async fn me(Claims(user): Claims<User>) -> String {
    user.sub.clone()
}

/// Signs out: the token is refused everywhere from the next request on, whatever its issuer says.
async fn sign_out(
    State(api): State<ResourceServer>,
    Authenticated(token): Authenticated,
) -> Result<StatusCode, Rejection> {
    if let Some(id) = token.token_id() {
        let end = token.expires_at().unwrap_or(Timestamp::MAX).saturating_add(Duration::from_secs(60));
        api.deny(Deny::token_id(token.issuer(), id), end).await?;
    }
    api.evict(Evict::token(token.token().unwrap_or_default())).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn api() -> Result<ResourceServer, Box<dyn std::error::Error>> {
    let secret = ClientAuthentication::Basic(var("CLIENT_SECRET")?.into());
    let tokens = OpaqueTokens::introspection(var("INTROSPECTION_ENDPOINT")?, var("CLIENT_ID")?, secret)?;
    // For a development issuer on this machine; leave it out elsewhere.
    let issuer = Issuer::discover(var("ISSUER")?)?.allow_loopback_http();
    let api = ResourceServer::builder(var("AUDIENCE")?);
    Ok(match var("REDIS_URL") {
        Ok(url) => {
            let redis = Redis::new(&url)?;
            api.trust(issuer.opaque_tokens(tokens.store(redis.answers()))).deny_list(redis.deny_list()).build()?
        }
        Err(_) => api.trust(issuer.opaque_tokens(tokens)).deny_list(MemoryDenyList::new()).build()?,
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let api = api()?;
    let app = Router::new().route("/me", get(me)).route("/session", delete(sign_out));
    let app = app.layer(TokenLayer::new(api.clone())).with_state(api);
    let port = var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = TcpListener::bind(("127.0.0.1", port.parse::<u16>()?)).await?;
    println!("http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}
