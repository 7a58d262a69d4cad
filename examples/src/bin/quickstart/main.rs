//! `cargo run --bin quickstart`: an issuer, an axum API and an actix-web API that trust it, and real requests to both.
//!
//! `--once` ends after the table. `--issuer URL --audience NAME` trusts a real issuer instead of the embedded one.

#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

mod actix_api;
mod axum_api;
mod cases;
mod options;
mod table;

use std::error::Error;

use axum_token::{Issuer, ResourceServer};
use token_test::TestIssuer;

use crate::cases::Case;
use crate::options::Options;

#[derive(serde::Deserialize)]
struct User {
    sub: String,
}

axum_token::scopes!(ReadUsers = "read:users");

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse(std::env::args().skip(1))?;
    let embedded = match options.real_issuer {
        Some(_) => None,
        None => Some(TestIssuer::start().await),
    };
    let (url, audience) = match (&options.real_issuer, &embedded) {
        (Some(real), _) => (real.url.as_str(), real.audience.as_str()),
        (None, Some(issuer)) => (issuer.url(), issuer.audience()),
        (None, None) => unreachable!("without a real issuer the embedded one was started"),
    };

    // The embedded issuer speaks plain http, as does one that you try out on your own machine.
    let issuer = Issuer::discover(url)?.allow_loopback_http();
    let api = ResourceServer::builder(audience).trust(issuer).build()?;
    api.ready().await?;

    let axum = axum_api::start(api.clone()).await?;
    let actix = actix_api::start(api)?;
    println!("issuer     {url}\naudience   {audience}\naxum       {axum}\nactix-web  {actix}\n");

    let cases = embedded.as_ref().map_or_else(cases::without_tokens, cases::with_tokens);
    let rows = table::send_all(&cases, &axum, &actix).await?;
    table::print(&rows);
    if let Some(row) = rows.iter().find(|row| !row.as_expected()) {
        return Err(format!("{}: not the answer that was expected", row.case.what).into());
    }

    if !options.once {
        cases::print_curl_lines(&axum, &actix, embedded.as_ref());
        tokio::signal::ctrl_c().await?;
    }
    Ok(())
}
