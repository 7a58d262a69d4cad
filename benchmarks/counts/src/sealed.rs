//! Encrypted tokens with one fault each: what refusing them takes must not say which fault it was (RFC 7516 section 11.5).
//!
//! `bench-counts sealed` runs all of them, each under `measured` by itself, and writes a line for each before it: what it is compared within, a tab,
//! the fault; `bench-counts sealed-clock` times them instead. A fault whose line ends in `, known` is one that its sender knows of without us: a cost of its own tells him nothing.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde_json::{Map, Value};
use token_core::jose::encryption::ContentEncryption::{A256CbcHs512, A256Gcm};
use token_core::jose::encryption::{ContentEncryption, DecryptionKey, EncryptedTokens, EncryptionKey, KeyManagement};
use token_core::{Error, ErrorKind};

use crate::measured;

/// As many as the uses of one blinding of an RSA key: each fault pays for one new blinding.
const TIMES: usize = 32;
/// How often each is timed.
const ROUNDS: usize = 3000;
const OAEP: &str = include_str!("../../../tests/vectors/oaep/faults.json");
const RSA: &[u8] = include_bytes!("../../../token-core/src/jose/testdata/rsa2048.pem");

struct Case {
    within: String,
    fault: String,
    token: String,
    refused: Option<ErrorKind>,
}

/// Asks about a token: why it is refused, if it is; or `None` where nothing could be said at once.
pub(crate) type Ask = Box<dyn Fn(&str) -> Option<Option<Error>>>;

/// Counts all of them, or with `by_clock` takes the time of each; `false` where one is answered otherwise than it should be. Within is a good token,
/// or one with a wrong signature.
pub(crate) fn run(
    whose: &str,
    opening: &dyn Fn(EncryptedTokens) -> Ask,
    (signed, forged): (&str, &str),
    by_clock: bool,
) -> bool {
    let keys = [
        (DecryptionKey::from_pem(KeyManagement::RsaOaep256, None, RSA), &[A256Gcm, A256CbcHs512][..]),
        (DecryptionKey::from_pem(KeyManagement::RsaOaep, None, RSA), &[A256Gcm]),
        (DecryptionKey::generate(KeyManagement::EcdhEs, None), &[A256Gcm, A256CbcHs512]),
        (DecryptionKey::generate_x25519(None), &[A256Gcm]),
        (DecryptionKey::direct(A256Gcm, None, &[7; 32]), &[A256Gcm]),
        (DecryptionKey::direct(A256CbcHs512, None, &[7; 64]), &[A256CbcHs512]),
    ];
    let mut good = true;
    for (index, (key, encs)) in keys.into_iter().enumerate() {
        let key = key.expect("a key of the list");
        let ask = opening(EncryptedTokens::with([key.clone()]));
        for enc in encs {
            // The same code opens both: of the second, one of each kind of key is enough.
            if !whose.is_empty() && (*enc != A256Gcm || key.algorithm() == KeyManagement::RsaOaep) {
                continue;
            }
            let within = format!("{whose}{}{} {enc}", key.algorithm(), if index == 3 { " X25519" } else { "" });
            let cases = cases(&key, *enc, &within, signed, forged);
            let is_expected =
                |case: &Case| ask(&case.token).is_some_and(|refused| refused.map(|error| error.kind()) == case.refused);
            if by_clock {
                clocked(&cases, &is_expected);
                continue;
            }
            for case in &cases {
                good &= (0..TIMES).all(|_| is_expected(case));
                println!("{}\t{}", case.within, case.fault);
                good &= measured(&mut || is_expected(case), TIMES);
            }
        }
    }
    good
}

/// Times the faults of a group in turn, so that what else the machine does falls on all of them, and writes the median of each.
fn clocked(cases: &[Case], ask: &dyn Fn(&Case) -> bool) {
    let mut times = vec![Vec::with_capacity(ROUNDS); cases.len()];
    for _ in 0..ROUNDS {
        for (case, times) in cases.iter().zip(&mut times) {
            let start = Instant::now();
            std::hint::black_box(ask(case));
            times.push(start.elapsed());
        }
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e6
    };
    let medians: Vec<f64> = times.iter_mut().map(median).collect();
    for (case, time) in cases.iter().zip(&medians) {
        println!("{}\t{}\t{time:.2} us\t{:.4}", case.within, case.fault, time / medians[0]);
    }
}

fn cases(key: &DecryptionKey, enc: ContentEncryption, within: &str, signed: &str, forged: &str) -> Vec<Case> {
    let to = key.encryption_key().expect("the key's public half");
    let sealed = |content: &str| encrypt(&to, enc, &Map::new(), content);
    let token = sealed(signed);
    let mut cases = Vec::new();
    let mut add = |fault: &str, token: String, refused: Option<ErrorKind>| {
        cases.push(Case { within: within.to_owned(), fault: fault.to_owned(), token, refused });
    };
    const SHUT: Option<ErrorKind> = Some(ErrorKind::Undecryptable);
    for (fault, at) in [("another tag", 4), ("another ciphertext", 3), ("another initialization vector", 2)] {
        add(fault, with_part(&token, at, flipped(&token, at)), SHUT);
    }
    match key.algorithm() {
        KeyManagement::RsaOaep | KeyManagement::RsaOaep256 => {
            add("another encrypted key", with_part(&token, 1, flipped(&token, 1)), SHUT);
            for row in rows(key.algorithm()) {
                add(&row.0, with_part(&token, 1, row.1), SHUT);
            }
            add("an encrypted key beyond the modulus, known", with_part(&token, 1, B64.encode([0xff; 256])), SHUT);
            add("an encrypted key of another length, known", with_part(&token, 1, B64.encode([1; 255])), SHUT);
        }
        KeyManagement::EcdhEs => {
            let other = sealed(signed);
            add("the sender's key of another token", with_part(&token, 0, part(&other, 0).to_owned()), SHUT);
            if !within.contains("X25519") {
                let n = B64.encode([1; 32]);
                let epk = serde_json::json!({"epk": {"kty": "EC", "crv": "P-256", "x": n, "y": n}});
                let off = encrypt(&to, enc, epk.as_object().expect("an object"), signed);
                add("a point off the curve, known", off, SHUT);
            }
        }
        _ => {}
    }
    add("no signed token within, known", sealed(&"x".repeat(signed.len())), SHUT);
    add("a wrong signature within, known", sealed(forged), Some(ErrorKind::BadSignature));
    add("nothing, known", token, None);
    cases
}

fn encrypt(to: &EncryptionKey, enc: ContentEncryption, header: &Map<String, Value>, content: &str) -> String {
    to.encrypt(enc, header, content.as_bytes()).expect("the key goes with this enc")
}

/// Encrypted keys whose padding has one fault.
fn rows(algorithm: KeyManagement) -> Vec<(String, String)> {
    let file: Value = serde_json::from_str(OAEP).expect("the file of vectors");
    let rows = file["rows"].as_array().cloned().unwrap_or_default();
    let text = |row: &Value, name: &str| row[name].as_str().expect("a text").to_owned();
    let ours = rows.iter().filter(|row| row["alg"] == algorithm.name());
    ours.map(|row| (text(row, "fault"), text(row, "encrypted_key"))).collect()
}

fn part(token: &str, at: usize) -> &str {
    token.split('.').nth(at).unwrap_or_default()
}

fn with_part(token: &str, at: usize, part: String) -> String {
    let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    parts[at] = part;
    parts.join(".")
}

fn flipped(token: &str, at: usize) -> String {
    let mut bytes = B64.decode(part(token, at)).expect("base64url");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    B64.encode(bytes)
}
