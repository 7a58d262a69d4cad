//! An issuer on loopback in a thread of its own, told over standard input to rotate its keys or to fall silent.

use std::io::{BufRead, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use harness::fixture::jwk_set;
use harness::{AUDIENCE, Alg, Fixture, ISSUER};
use token_core::{Issuer, ResourceServer, keys::JwksSettings};

struct State {
    keys: Vec<String>,
    silent: bool,
    /// Requests that were never answered are kept open, as a hanging server does.
    held: Vec<TcpStream>,
}

/// A resource server that fetches its keys from such an issuer, and often.
pub fn behind(fixture: &Fixture) -> ResourceServer {
    let keys = [Alg::RS256, Alg::ES256].map(|alg| fixture.jwk(alg)).into();
    let state = Arc::new(Mutex::new(State { keys, silent: false, held: Vec::new() }));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    let port = listener.local_addr().expect("a bound listener has an address").port();
    let answering = Arc::clone(&state);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(stream, &mut answering.lock().unwrap_or_else(PoisonError::into_inner));
        }
    });
    // One key under ever new names: making keys takes long, and a real issuer does not do it on our processor.
    let spare = fixture.jwk(Alg::EdDSA);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            match line.as_str() {
                // Another key in front of those that stay.
                "rotate" => {
                    let name = format!("rotated-{}", state.keys.len());
                    state.keys.insert(0, spare.replace(Alg::EdDSA.kid(), &name));
                }
                "silent" => state.silent = true,
                _ => {}
            }
        }
    });
    let mut settings = JwksSettings::default();
    settings.fresh_for = Duration::from_secs(1);
    settings.min_fresh = Duration::from_secs(1);
    let issuer = Issuer::with_jwks_uri(ISSUER, format!("http://127.0.0.1:{port}/jwks")).expect("a URL");
    let issuer = issuer.allow_loopback_http().jwks_settings(settings);
    ResourceServer::builder(AUDIENCE).trust(issuer).build().expect("the settings are sound")
}

fn answer(mut stream: TcpStream, state: &mut State) {
    let _ = stream.read(&mut [0; 4096]);
    if state.silent {
        state.held.push(stream);
        return;
    }
    let body = jwk_set(&state.keys);
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
}
