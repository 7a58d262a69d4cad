//! An actix-web API on opaque tokens: introspected once, remembered, and with REDIS_URL shared by every instance.
//!
//! ISSUER, INTROSPECTION_ENDPOINT, CLIENT_ID, CLIENT_SECRET, AUDIENCE; REDIS_URL and PORT if you like.

#![allow(clippy::print_stdout, reason = "where it listens, for whoever started it")]

use std::env::var;
use std::time::Duration;

use actix_token::{Authenticated, Claims, Issuer, Rejection, ResourceServer, TokenMiddleware};
use actix_web::{App, HttpResponse, HttpServer, delete, get, web};
use token_core::opaque::client_authentication::ClientAuthentication;
use token_core::{
    Timestamp,
    opaque::OpaqueTokens,
    revocation::{Deny, Evict, MemoryDenyList},
};
use token_redis::Redis;

#[derive(serde::Deserialize)]
struct User {
    sub: String,
}

/// Whether the token was a JWT or opaque makes no difference here.
#[get("/me")]
async fn me(Claims(user): Claims<User>) -> String {
    user.sub.clone()
}

/// Signs out: the token is refused everywhere from the next request on, whatever its issuer says.
#[delete("/session")]
async fn sign_out(
    api: web::Data<ResourceServer>,
    Authenticated(token): Authenticated,
) -> Result<HttpResponse, Rejection> {
    if let Some(id) = token.token_id() {
        let end = token.expires_at().unwrap_or(Timestamp::MAX).saturating_add(Duration::from_secs(60));
        api.deny(Deny::token_id(token.issuer(), id), end).await?;
    }
    api.evict(Evict::token(token.token().unwrap_or_default())).await?;
    Ok(HttpResponse::NoContent().finish())
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

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let api = api()?;
    let port = var("PORT").unwrap_or_else(|_| "8080".to_owned()).parse::<u16>()?;
    let server = HttpServer::new(move || {
        let data = web::Data::new(api.clone());
        App::new().app_data(data).wrap(TokenMiddleware::new(api.clone())).service(me).service(sign_out)
    })
    .bind(("127.0.0.1", port))?;
    println!("http://{}", server.addrs()[0]);
    Ok(server.run().await?)
}
