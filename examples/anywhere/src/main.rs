//! Tries where the verifier runs: judges a table of tokens, with keys given and, where it is compiled with `fetching`, with keys fetched from `127.0.0.1` or `::1`:
//! asked outside of a runtime, awaited in one and then in another. Prints what it did; its exit code is the number of things that went otherwise than expected.
//!
//! `cargo xtask where` compiles and starts it in every way it knows.

#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use std::pin::pin;
use std::process::ExitCode;
use std::task::{Context, Poll, Waker};

use token_core::{Clock, Issuer, Presented, ResourceServer, StaticKeys, Timestamp};

const KEYS: &str = include_str!("../../edge/src/keys.json");
const TOKENS: &str = include_str!("../../edge/src/tokens.json");
const ISSUER: &str = "https://issuer.example";

/// The second that the table's tokens are good in.
#[derive(Debug)]
struct ThatSecond;

impl Clock for ThatSecond {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_800_000_000)
    }
}

type Rows = Vec<[String; 3]>;

/// What the first poll says, without a runtime.
fn at_once(api: &ResourceServer, token: &str) -> &'static str {
    match pin!(api.authenticate(Presented::token(token))).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(_)) => "accepted",
        Poll::Ready(Err(error)) => error.kind().name(),
        Poll::Pending => "not at once",
    }
}

/// The rows that get another verdict than they should.
fn others(api: &ResourceServer, rows: &Rows) -> usize {
    let others = rows.iter().filter(|[name, expected, token]| {
        let seen = at_once(api, token);
        let is_other = seen != expected;
        if is_other {
            println!("{name}: {seen}, expected {expected}");
        }
        is_other
    });
    others.count()
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let rows: Rows = serde_json::from_str(TOKENS)?;
    let api = ResourceServer::builder("https://api.example.com")
        .clock(ThatSecond)
        .trust(Issuer::with_keys(ISSUER, StaticKeys::jwk_set(KEYS)?)?)
        .build()?;
    let mut otherwise = others(&api, &rows);
    println!("given keys: {} verdicts, {otherwise} other than expected", rows.len());
    #[cfg(feature = "fetching")]
    {
        otherwise += fetched::try_it(&rows)?;
    }
    Ok(ExitCode::from(u8::try_from(otherwise).unwrap_or(u8::MAX)))
}

#[cfg(feature = "fetching")]
mod fetched {
    use std::error::Error;
    use std::io::{self, Read as _, Write as _};
    use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

    use token_core::adapter::MaybeReady;
    use token_core::http::ReqwestClient;
    use token_core::{Issuer, Presented, ResourceServer, Verified};

    use super::{ISSUER, KEYS, Rows, ThatSecond, others};

    /// Serves the key set to whoever asks, on the loopback address that this machine has.
    fn serve() -> io::Result<SocketAddr> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).or_else(|_| TcpListener::bind((Ipv6Addr::LOCALHOST, 0)))?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let answer = || -> io::Result<()> {
                    let mut stream = stream?;
                    let _ = stream.read(&mut [0; 4096])?;
                    let head =
                        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", KEYS.len());
                    stream.write_all(head.as_bytes())?;
                    stream.write_all(KEYS.as_bytes())
                };
                let _ = answer();
            }
        });
        Ok(address)
    }

    fn in_a_runtime(asked: MaybeReady<Verified>) -> Result<bool, io::Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(asked).inspect_err(|error| println!("{error}")).is_ok())
    }

    pub(crate) fn try_it(rows: &Rows) -> Result<usize, Box<dyn Error>> {
        println!(
            "root certificates: {}",
            ReqwestClient::new().map_or_else(|error| error.to_string(), |_| "found".to_owned())
        );
        let address = serve()?;
        let server = || {
            let issuer = Issuer::with_jwks_uri(ISSUER, format!("http://{address}/jwks"))?.allow_loopback_http();
            ResourceServer::builder("https://api.example.com").clock(ThatSecond).trust(issuer).build()
        };
        let token = rows.iter().find(|[_, expected, _]| expected == "accepted").map_or("", |[.., token]| token);
        let api = server()?;
        let mut otherwise = 0;
        let mut hold = |what: &str, holds: bool| {
            println!("{what}: {}", if holds { "yes" } else { "NO" });
            otherwise += usize::from(!holds);
        };
        let asked = api.authenticate(Presented::token(token));
        hold("asked outside of a runtime, awaited in one", in_a_runtime(asked)?);
        let another = server()?;
        hold("in another runtime", in_a_runtime(another.authenticate(Presented::token(token)))?);
        hold("and the first gate there, too", in_a_runtime(api.authenticate(Presented::token(token)))?);
        println!("fetched from {address}");
        // From synchronous code, now that the keys are at hand.
        let good: Rows = rows.iter().filter(|[_, expected, _]| expected == "accepted").cloned().collect();
        Ok(otherwise + others(&api, &good))
    }
}
