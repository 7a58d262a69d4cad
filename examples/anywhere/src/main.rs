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
    #[cfg(feature = "forking")]
    if let Some(word) = std::env::args().nth(1) {
        let otherwise = forked::try_it(&word, &rows)?;
        return Ok(ExitCode::from(u8::try_from(otherwise).unwrap_or(u8::MAX)));
    }
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
    use token_core::{ConfigError, Issuer, Presented, ResourceServer, Verified};

    use super::{ISSUER, KEYS, Rows, ThatSecond, others};

    /// A listener on the loopback address that this machine has.
    pub(crate) fn listen() -> io::Result<TcpListener> {
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).or_else(|_| TcpListener::bind((Ipv6Addr::LOCALHOST, 0)))
    }

    /// Serves the key set to whoever asks.
    pub(crate) fn serve(listener: &TcpListener) {
        for stream in listener.incoming() {
            let answer = || -> io::Result<()> {
                let mut stream = stream?;
                let _ = stream.read(&mut [0; 4096])?;
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", KEYS.len());
                stream.write_all(head.as_bytes())?;
                stream.write_all(KEYS.as_bytes())
            };
            let _ = answer();
        }
    }

    /// A gate that fetches its keys from there.
    pub(crate) fn gate(address: SocketAddr) -> Result<ResourceServer, ConfigError> {
        let issuer = Issuer::with_jwks_uri(ISSUER, format!("http://{address}/jwks"))?.allow_loopback_http();
        ResourceServer::builder("https://api.example.com").clock(ThatSecond).trust(issuer).build()
    }

    /// The first token of the table that is let in.
    pub(crate) fn good(rows: &Rows) -> &str {
        rows.iter().find(|[_, expected, _]| expected == "accepted").map_or("", |[.., token]| token)
    }

    pub(crate) fn in_a_runtime(asked: MaybeReady<Verified>) -> Result<bool, io::Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(asked).inspect_err(|error| println!("{error}")).is_ok())
    }

    pub(crate) fn try_it(rows: &Rows) -> Result<usize, Box<dyn Error>> {
        println!(
            "root certificates: {}",
            ReqwestClient::new().map_or_else(|error| error.to_string(), |_| "found".to_owned())
        );
        let listener = listen()?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || serve(&listener));
        let (api, token) = (gate(address)?, good(rows));
        let mut otherwise = 0;
        let mut hold = |what: &str, holds: bool| {
            println!("{what}: {}", if holds { "yes" } else { "NO" });
            otherwise += usize::from(!holds);
        };
        let asked = api.authenticate(Presented::token(token));
        hold("asked outside of a runtime, awaited in one", in_a_runtime(asked)?);
        let another = gate(address)?;
        hold("in another runtime", in_a_runtime(another.authenticate(Presented::token(token)))?);
        hold("and the first gate there, too", in_a_runtime(api.authenticate(Presented::token(token)))?);
        println!("fetched from {address}");
        // From synchronous code, now that the keys are at hand.
        let good: Rows = rows.iter().filter(|[_, expected, _]| expected == "accepted").cloned().collect();
        Ok(otherwise + others(&api, &good))
    }
}

/// A process that forks, as servers with worker processes do. At that moment it has one thread: whoever forks with more leaves locks behind that nobody opens.
#[cfg(feature = "forking")]
mod forked {
    use std::error::Error;
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::process::{Child, Command, Stdio};

    use fork::{Fork, fork, waitpid};
    use token_core::{Presented, ResourceServer};

    use super::fetched::{gate, good, in_a_runtime, listen, serve};
    use super::{Rows, others};

    pub(crate) fn try_it(word: &str, rows: &Rows) -> Result<usize, Box<dyn Error>> {
        if word == "serve" {
            let listener = listen()?;
            println!("{}", listener.local_addr()?);
            std::io::stdout().flush()?;
            serve(&listener);
        }
        let mut issuer = Command::new(std::env::current_exe()?).arg("serve").stdout(Stdio::piped()).spawn()?;
        let otherwise = beside(&mut issuer, rows);
        issuer.kill()?;
        issuer.wait()?;
        otherwise
    }

    fn beside(issuer: &mut Child, rows: &Rows) -> Result<usize, Box<dyn Error>> {
        let mut address = String::new();
        BufReader::new(issuer.stdout.take().ok_or("its output is piped")?).read_line(&mut address)?;
        let address = address.trim().parse()?;
        // One has its keys before the fork, one looks for them after it.
        let (knows, looks) = (gate(address)?, gate(address)?);
        let asked = |gate: &ResourceServer| in_a_runtime(gate.authenticate(Presented::token(good(rows))));
        let mut otherwise = usize::from(!asked(&knows)?);
        let kept: Rows = rows.iter().filter(|[_, expected, _]| expected == "accepted").cloned().collect();
        match fork()? {
            Fork::Child => {
                otherwise += others(&knows, &kept);
                for gate in [&looks, &gate(address)?, &knows] {
                    otherwise += usize::from(!asked(gate)?);
                }
                println!("in the child: {otherwise} other than expected");
                std::process::exit(i32::try_from(otherwise).unwrap_or(1));
            }
            Fork::Parent(child) => {
                otherwise += usize::from(waitpid(child)? != 0);
                otherwise += others(&knows, &kept) + usize::from(!asked(&looks)?);
                println!("in the parent, the child's outcome included: {otherwise} other than expected");
                Ok(otherwise)
            }
        }
    }
}
