//! A client's key on P-256, a token that is bound to it, and as many proofs of possession as are asked for, made before anything is timed.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;

use crate::floor;
use crate::peer::Check;
use crate::{Alg, Case, Fixture, Rounds};

/// What every proof here is for.
pub const METHOD: &str = "GET";
pub const URL: &str = "https://api.example.com/v1/orders";

/// A client that proves a key.
pub struct Prover {
    key: EcdsaKeyPair,
    random: SystemRandom,
    jwk: String,
    header: String,
}

impl Prover {
    pub fn new() -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("P-256 keys can be made");
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        let jwk = format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, B64.encode(x), B64.encode(y));
        let header = B64.encode(format!(r#"{{"alg":"ES256","typ":"dpop+jwt","jwk":{jwk}}}"#));
        Self { key, random: SystemRandom::new(), jwk, header }
    }

    /// A token of the fixture, bound to the key (RFC 9449 section 6.1).
    pub fn token(&self, fixture: &Fixture, alg: Alg, n: usize) -> String {
        let claims = fixture.claims(n);
        let thumbprint = B64.encode(digest(&SHA256, self.jwk.as_bytes()));
        let claims = format!(r#"{{"cnf":{{"jkt":"{thumbprint}"}},{}"#, &claims[1..]);
        fixture.sign(alg, alg.kid(), &claims)
    }

    /// So many proofs for `GET` of [`URL`] with this token, each with a UUID of its own, and more claims where there are any (`,"nonce":"…"`).
    pub fn proofs(&self, token: &str, count: usize, more: &str) -> Vec<String> {
        let ath = B64.encode(digest(&SHA256, token.as_bytes()));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is past 1970").as_secs();
        let proof = |_| {
            let mut id = [0_u8; 16];
            aws_lc_rs::rand::fill(&mut id).expect("the system has random bytes");
            let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
            let jti = format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
            let claims = format!(r#"{{"jti":"{jti}","htm":"{METHOD}","htu":"{URL}","iat":{now},"ath":"{ath}"{more}}}"#);
            let mut proof = format!("{}.{}", self.header, B64.encode(claims));
            let signature = self.key.sign(&self.random, proof.as_bytes()).expect("ECDSA signs");
            proof.push('.');
            B64.encode_string(signature.as_ref(), &mut proof);
            proof
        };
        (0..count).map(proof).collect()
    }

    /// The bare check of a signature with a key that is prepared, of another one of these proofs each time: how long a check of ECDSA takes depends on
    /// the signature, and a processor learns one that comes again and again.
    pub fn floor(&self, proofs: &[String]) -> impl FnMut() -> bool + use<> {
        let key = floor::p256(self.key.public_key().as_ref());
        let signed: Vec<_> = proofs.iter().take(1024).map(|proof| floor::message_and_der(proof)).collect();
        let mut next = 0;
        move || {
            next = (next + 1) % signed.len();
            let (message, signature) = &signed[next];
            key.verify_digest_sig(&digest(&SHA256, message), signature).is_ok()
        }
    }
}

impl Default for Prover {
    fn default() -> Self {
        Self::new()
    }
}

/// How many fresh proofs a case of a table uses up at most.
pub fn enough() -> usize {
    Rounds::from_env().rounds * 40 + 4000
}

/// Times a peer with a bound token and fresh proofs against the floor in the same process, and prints the result. `make` gets the token and its
/// proofs; each call of its check takes the next one.
pub fn compare(peer: &str, make: impl FnOnce(&Fixture, String, Vec<String>) -> Check) {
    let (fixture, prover) = (Fixture::new(), Prover::new());
    let token = prover.token(&fixture, Alg::ES256, 1);
    let proofs = prover.proofs(&token, enough(), "");
    let floor = prover.floor(&proofs);
    let mut check = make(&fixture, token, proofs);
    assert!(check(), "{peer} accepts a good proof");
    let table = Rounds::from_env().run(vec![Case::new("floor", floor), Case::new("peer", check)]);
    println!(
        "{}",
        serde_json::json!({
            "peer": peer, "alg": "proof", "floor_ns": table.ns("floor"), "ns": table.ns("peer"),
            "ratio": table.ratio("peer", "floor"), "extra_ns": table.extra("peer", "floor"),
        })
    );
}
