//! One hot path a thousand times: `bench-counts PATH` under callgrind, which counts inside `measured` only.
//!
//! Keys, tokens and clock are fixed, so that a count moves only when code does. The bare signature is a path of its own to be subtracted:
//! how many instructions it takes depends on what the processor offers. `sealed` is a table of its own: see `sealed.rs`.

mod sealed;
mod signed;

use std::hint::black_box;
use std::process::ExitCode;

use self::signed::{SIGNED, Signed};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use token_core::{
    Algorithm, Clock, Issuer, Presented, ResourceServer, ResourceServerBuilder, StaticKeys, SystemClock, Timestamp,
    adapter::RequestView,
    login::{IdTokenVerifier, Login},
    stores::TokenCacheSettings,
};

const TIMES: usize = 1000;
const SECRET: &[u8] = b"a secret of the benchmarks, as long as SHA-256 wants it at least";
const CLIENT: &str = "mZ8qTj0rYVb4xX7LkPnWc2";
const CLAIMS: &str = r#"{"iss":"https://tenant-7f3a.eu.login.example.com/","sub":"auth0|65f1c0ffee00000000000001","aud":["https://api.example.com/v1","https://tenant-7f3a.eu.login.example.com/userinfo"],"iat":1800000000,"exp":1800086400,"azp":"mZ8qTj0rYVb4xX7LkPnWc2","client_id":"mZ8qTj0rYVb4xX7LkPnWc2","jti":"0000000000000000000001","scope":"openid profile email read:orders write:orders read:users","permissions":["read:orders","write:orders","read:users","read:items","write:items","admin:none"]}"#;

/// An hour after the token was issued, for ever.
#[derive(Clone, Copy, Debug)]
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
    let sign_as = |typ: &str, kid: &str, claims: &str| {
        let header = format!(r#"{{"alg":"HS256","typ":"{typ}","kid":"{kid}"}}"#);
        let message = format!("{}.{}", B64.encode(header), B64.encode(claims));
        let signature = hmac::sign(&key, message.as_bytes());
        (format!("{message}.{}", B64.encode(&signature)), message, signature)
    };
    let sign = |kid: &str, claims: &str| sign_as("at+jwt", kid, claims);
    let (token, message, signature) = sign("hmac-2026", CLAIMS);
    let other = |path: &str| SIGNED.iter().find(|signed| path.ends_with(&signed.algorithm.to_lowercase()));
    let cache = TokenCacheSettings::default().entries(match path.as_str() {
        "warm" => 64,
        "cold_full" => 256,
        _ => 0,
    });
    let (issuers, keys) = match path.as_str() {
        "cold_2_issuers" => (2, 1),
        "cold_1000_issuers" => (1000, 1),
        "cold_17_keys" => (1, 17),
        "cold_100_keys" => (1, 100),
        _ => (1, 1),
    };
    let builder = || match other(&path) {
        Some(signed) => builder(cache.clone(), signed.algorithm, &format!(r#"{{"keys":[{}]}}"#, signed.jwk), 1),
        None => builder(cache.clone(), "HS256", &secrets(keys), issuers),
    };
    let server = builder().build().expect("the settings are sound");
    if path.starts_with("sealed") {
        // Long enough for the content to be worth a look at the clock.
        let claims = CLAIMS.replace("{\"iss\"", &format!("{{\"x\":\"{}\",\"iss\"", "x".repeat(4096)));
        let (token, message, _) = sign("hmac-2026", &claims);
        let forged = |message: &str| format!("{message}.{}", B64.encode([1; 32]));
        let opening = |keys| {
            let server = builder().encrypted_tokens(keys).build().expect("the settings are sound");
            Box::new(move |token: &str| server.authenticate(Presented::token(token)).now().ok().map(Result::err)) as _
        };
        let mut good = sealed::run("", &opening, (&token, &forged(&message)), path == "sealed-clock");
        // The same of the ID tokens of a client, which opens them in the same place and then has questions of its own.
        let start = claims.find(r#""aud":["#).expect("the claims have an audience");
        let end = start + claims[start..].find(']').expect("an array ends");
        let aud = format!(r#""nonce":"n","aud":"{CLIENT}""#);
        let (token, message, _) =
            sign_as("JWT", "hmac-2026", &format!("{}{aud}{}", &claims[..start], &claims[end + 1..]));
        let opening = |keys| {
            let secrets = StaticKeys::jwk_set(&secrets(1)).expect("the keys are good");
            let issuer = Issuer::with_keys("https://tenant-7f3a.eu.login.example.com/", secrets).expect("a name");
            let issuer = issuer.algorithms([Algorithm::HS256]);
            let client = IdTokenVerifier::encrypted_with_clock(CLIENT, issuer, keys, Stopped).expect("sound");
            Box::new(move |token: &str| client.verify(token, Login::with_nonce("n")).now().ok().map(Result::err)) as _
        };
        good &= sealed::run("ID token, ", &opening, (&token, &forged(&message)), path == "sealed-clock");
        return if good { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let field = match path.as_str() {
        "malformed" => "a".repeat(1000),
        "bad_claims" => token.replace('.', ".!"),
        "unknown_kid" => sign("made-up-by-someone", CLAIMS).0,
        "unknown_issuer" => sign("hmac-2026", &CLAIMS.replace("7f3a.eu", "9c1b.eu")).0,
        path => other(path).map_or(token, |signed| signed.token.to_owned()),
    };
    let request = |token: &str| Asking(format!("Bearer {token}").into_bytes());
    // A thousand subjects that come in turn, and room for a quarter of them.
    let distinct = |subject: usize| sign("hmac-2026", &CLAIMS.replace("0000000001\"", &format!("{subject:010}\""))).0;
    let requests: Vec<Asking> = match path.as_str() {
        "cold_full" => (0..TIMES).map(|subject| request(&distinct(subject))).collect(),
        _ => vec![request(&field)],
    };
    let mut turn = 0;
    let mut next = || {
        turn = if turn + 1 < requests.len() { turn + 1 } else { 0 };
        &requests[turn]
    };
    let mut ask = || server.authenticate(Presented::request(next())).now();
    let mut accepted = || ask().is_ok_and(|outcome| outcome.is_ok());
    let mut run: Box<dyn FnMut() -> bool> = match path.as_str() {
        "mac" => Box::new(|| hmac::verify(&key, message.as_bytes(), signature.as_ref()).is_ok()),
        "bare_rs256" | "bare_es256" | "bare_eddsa" => bare(other(&path).expect("it is among them")),
        // Not for its count, which is the kernel's: to see that the clock of every server can be read where this one runs.
        "clock" => Box::new(|| SystemClock.now() > Timestamp::EPOCH),
        "malformed" | "bad_claims" | "unknown_kid" | "unknown_issuer" => Box::new(move || !accepted()),
        "typed" => Box::new(move || {
            ask().is_ok_and(|outcome| {
                outcome.is_ok_and(|verified| verified.claims::<Claims>().is_ok_and(|claims| claims.is_whole()))
            })
        }),
        path if path == "warm" || path.starts_with("cold") => Box::new(accepted),
        _ => return ExitCode::FAILURE,
    };
    // What is only done once is done before.
    let ready = (0..100.max(requests.len())).all(|_| run());
    if ready && measured(&mut *run, TIMES) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The claims as a user's own struct.
#[derive(serde::Deserialize)]
struct Claims {
    sub: String,
    client_id: String,
    scope: String,
    permissions: Vec<String>,
}

impl Claims {
    fn is_whole(&self) -> bool {
        !self.sub.is_empty() && !self.client_id.is_empty() && !self.scope.is_empty() && !self.permissions.is_empty()
    }
}

/// The check of the signature by the fastest way to it, and nothing else: with the digest made here and, for ECDSA, the signature in DER.
fn bare(signed: &'static Signed) -> Box<dyn FnMut() -> bool> {
    let decode = |text: &str| B64.decode(text).expect("it is base64url");
    let (message, signature) = signed.token.rsplit_once('.').expect("a JWS has dots");
    let (message, signature) = (message.as_bytes(), decode(signature));
    let [first, second] = signed.parts.map(decode);
    match signed.algorithm {
        "RS256" => {
            let components = RsaPublicKeyComponents { n: &first, e: &second };
            let key = components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).expect("the key is good");
            Box::new(move || key.verify_digest_sig(&digest(&SHA256, message), &signature).is_ok())
        }
        "ES256" => {
            let key =
                ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, [&[4], &*first, &*second].concat()).expect("it is good");
            let signature = der(&signature);
            Box::new(move || key.verify_digest_sig(&digest(&SHA256, message), &signature).is_ok())
        }
        _ => {
            let key = ParsedPublicKey::new(&ED25519, first).expect("the key is good");
            Box::new(move || key.verify_sig(message, &signature).is_ok())
        }
    }
}

/// `r || s` as a DER sequence.
fn der(fixed: &[u8]) -> Vec<u8> {
    let number = |bytes: &[u8]| {
        let bytes = &bytes[bytes.iter().position(|byte| *byte != 0).unwrap_or(0)..];
        let sign = usize::from(bytes[0] >= 0x80);
        [&[2, (bytes.len() + sign) as u8], &[0][..sign], bytes].concat()
    };
    let body = [number(&fixed[..32]), number(&fixed[32..])].concat();
    [vec![0x30, body.len() as u8], body].concat()
}

/// So many secrets, of which the last is the one that signs.
fn secrets(count: usize) -> String {
    let key = |kid: &str, secret: &[u8]| {
        format!(r#"{{"kty":"oct","alg":"HS256","kid":"{kid}","k":"{}"}}"#, B64.encode(secret))
    };
    let others = (1..count)
        .map(|n| key(&format!("hmac-{n:04}"), format!("{n:04} and {}", String::from_utf8_lossy(SECRET)).as_bytes()));
    let keys: Vec<_> = others.chain([key("hmac-2026", SECRET)]).collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

/// Trusts so many issuers, of which the last is the one that signs.
fn builder(cache: TokenCacheSettings, algorithm: &str, jwk_set: &str, issuers: usize) -> ResourceServerBuilder {
    let algorithm: Algorithm = algorithm.parse().expect("it is known");
    let names = (1..issuers).map(|n| format!("https://tenant-{n:04}.eu.login.example.com/"));
    let builder = ResourceServer::builder("https://api.example.com/v1").clock(Stopped).token_cache(cache);
    let issuers = names.chain(["https://tenant-7f3a.eu.login.example.com/".to_owned()]).map(|name| {
        let keys = StaticKeys::jwk_set(jwk_set).expect("the keys are good");
        Issuer::with_keys(name, keys).expect("the issuer has a name").algorithms([algorithm])
    });
    issuers.fold(builder, |builder, issuer| builder.trust(issuer))
}
