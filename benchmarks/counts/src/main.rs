//! One hot path a thousand times: `bench-counts PATH` under callgrind, which counts inside `measured` only.
//!
//! Secret, token and clock are fixed, so that a count moves only when code does. Only HMAC is computed here, and the bare HMAC is
//! a path of its own to be subtracted: how many instructions a signature takes depends on what the processor offers.

use std::hint::black_box;
use std::process::ExitCode;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use token_core::{adapter::RequestView, stores::TokenCacheSettings, Algorithm, Clock, Issuer, Presented, ResourceServer, StaticKeys, SystemClock, Timestamp};

const TIMES: usize = 1000;
const SECRET: &[u8] = b"a secret of the benchmarks, as long as SHA-256 wants it at least";
const CLAIMS: &str = r#"{"iss":"https://tenant-7f3a.eu.login.example.com/","sub":"auth0|65f1c0ffee00000000000001","aud":["https://api.example.com/v1","https://tenant-7f3a.eu.login.example.com/userinfo"],"iat":1800000000,"exp":1800086400,"azp":"mZ8qTj0rYVb4xX7LkPnWc2","client_id":"mZ8qTj0rYVb4xX7LkPnWc2","jti":"0000000000000000000001","scope":"openid profile email read:orders write:orders read:users","permissions":["read:orders","write:orders","read:users","read:items","write:items","admin:none"]}"#;

/// An hour after the token was issued, for ever.
#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_800_003_600)
    }
}

/// A request with one authorization header.
struct Asking(Vec<u8>);

impl RequestView for Asking {
    fn method(&self) -> &str {
        "GET"
    }
    fn path_and_query(&self) -> &str {
        "/"
    }
    fn header<'a>(&'a self, name: &str, each: &mut dyn FnMut(&'a [u8])) {
        if name == "authorization" {
            each(&self.0);
        }
    }
}

/// The only part that is counted.
#[inline(never)]
fn measured(run: &mut dyn FnMut() -> bool, times: usize) -> bool {
    let mut good = true;
    for _ in 0..times {
        good &= black_box(run());
    }
    good
}

fn main() -> ExitCode {
    let path = std::env::args().nth(1).unwrap_or_default();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    let sign = |kid: &str, claims: &str| {
        let header = format!(r#"{{"alg":"HS256","typ":"at+jwt","kid":"{kid}"}}"#);
        let message = format!("{}.{}", B64.encode(header), B64.encode(claims));
        let signature = hmac::sign(&key, message.as_bytes());
        (format!("{message}.{}", B64.encode(&signature)), message, signature)
    };
    let (token, message, signature) = sign("hmac-2026", CLAIMS);
    let cache = TokenCacheSettings::default().entries(if path == "warm" { 64 } else { 0 });
    let server = server(cache);
    let field = match path.as_str() {
        "malformed" => "a".repeat(1000),
        "bad_claims" => token.replace('.', ".!"),
        "unknown_kid" => sign("made-up-by-someone", CLAIMS).0,
        "unknown_issuer" => sign("hmac-2026", &CLAIMS.replace("7f3a.eu", "9c1b.eu")).0,
        _ => token,
    };
    let request = Asking(format!("Bearer {field}").into_bytes());
    let accepted = || server.authenticate(Presented::request(&request)).now().is_ok_and(|outcome| outcome.is_ok());
    let mut run: Box<dyn FnMut() -> bool> = match path.as_str() {
        "mac" => Box::new(|| hmac::verify(&key, message.as_bytes(), signature.as_ref()).is_ok()),
        // Not for its count, which is the kernel's: to see that the clock of every server can be read where this one runs.
        "clock" => Box::new(|| SystemClock.now() > Timestamp::EPOCH),
        "cold" | "warm" => Box::new(accepted),
        "malformed" | "bad_claims" | "unknown_kid" | "unknown_issuer" => Box::new(|| !accepted()),
        _ => return ExitCode::FAILURE,
    };
    // What is only done once is done before.
    let ready = (0..100).all(|_| run());
    if ready && measured(&mut *run, TIMES) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Trusts one issuer with one named secret.
fn server(cache: TokenCacheSettings) -> ResourceServer {
    let jwk = format!(r#"{{"keys":[{{"kty":"oct","alg":"HS256","kid":"hmac-2026","k":"{}"}}]}}"#, B64.encode(SECRET));
    let keys = StaticKeys::jwk_set(&jwk).expect("the secret is long enough");
    let issuer = Issuer::with_keys("https://tenant-7f3a.eu.login.example.com/", keys).expect("the issuer has a name");
    ResourceServer::builder("https://api.example.com/v1")
        .trust(issuer.algorithms([Algorithm::HS256]))
        .clock(Stopped)
        .token_cache(cache)
        .build()
        .expect("the settings are sound")
}
