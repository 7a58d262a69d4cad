//! A port in, a development issuer on it out: with a page that mints tokens, rotates keys and switches faults on.

mod page;
pub(crate) mod shape;
pub(crate) mod wrong;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use token_test::TestIssuer;

use crate::args::Issuer;
use crate::end::{End, Failure};

pub(crate) use page::MINT;

pub(crate) async fn run(options: &Issuer) -> Result<End, Failure> {
    let address = SocketAddr::from((options.address, options.port));
    let issuer = start(address, &options.audience).await?;
    let url = issuer.url();
    {
        let mut out = io::stdout().lock();
        writeln!(out, "issuer    {url}")?;
        writeln!(out, "page      {url}/")?;
        writeln!(out, "keys      {}", issuer.jwks_uri())?;
        writeln!(out, "audience  {}", issuer.audience())?;
        writeln!(out, "client    test-client, with the secret test-secret: gets tokens, asks about them")?;
        writeln!(out, "mint      token mint --issuer {url}")?;
        if !options.address.is_loopback() {
            writeln!(out, "warning   it listens beyond this machine, and everybody has its private keys")?;
        }
        out.flush()?;
    }
    tokio::signal::ctrl_c().await.map_err(|error| Failure::input(format!("cannot wait for ctrl-c: {error}")))?;
    Ok(End::Yes)
}

/// Starts the issuer with its page.
pub(crate) async fn start(address: SocketAddr, audience: &str) -> Result<Arc<TestIssuer>, Failure> {
    let (routes, install) = page::routes();
    let issuer = TestIssuer::builder()
        .bind(address)
        .audience(audience)
        .also(routes)
        .try_start()
        .await
        .map_err(|error| Failure::unreachable(format!("cannot listen on {address}: {error}{}", hint(&error))))?;
    Ok(install(issuer))
}

/// `token attack` and `token drill` are the issuer while they run.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; if it is a `token issuer` of yours, stop it first: `token attack` and `token drill` are the issuer while they run"
        }
        _ => "",
    }
}
