//! A client's key and a request go in, a proof of possession comes out: good, or bad in one way (RFC 9449 section 4.2).

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use token_core::possession::access_token_hash;
use token_core::{Algorithm, Clock, SystemClock};

use crate::draft::{Draft, says_what_a_draft_holds};
use crate::keys::TestKey;
use crate::pre_made;

/// A DPoP proof to be made. Returned by [`TestKey::proof`].
///
/// Without further calls, the proof is valid. Each method changes one thing. Nothing is checked, so a proof can be
/// invalid in any way.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use token_core::Algorithm;
/// use token_test::{TestIssuer, TestKey};
///
/// let (issuer, key) = (TestIssuer::start().await, TestKey::client(Algorithm::ES256));
/// let token = issuer.token().bound_to(&key).mint();
/// let proof = key.proof("GET", "https://api.example.com/users", &token);
/// // The request: `Authorization: DPoP {token}` and `DPoP: {proof}`.
/// assert_eq!(proof.mint().split('.').count(), 3);
/// for (what, near_miss) in proof.near_misses() {
///     assert_ne!(near_miss, proof.mint(), "{what}");
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "no proof is made until `mint` is called"]
pub struct ProofBuilder {
    key: TestKey,
    draft: Draft,
}

impl TestKey {
    /// A client's key for proofs of possession. No issuer publishes it. Every call with the same algorithm returns the
    /// same key.
    ///
    /// # Panics
    /// For HMAC, since a shared secret cannot prove possession.
    #[must_use]
    pub fn client(algorithm: Algorithm) -> Self {
        let pair = pre_made::family(algorithm).forger;
        Self::from_pem(algorithm, None, pair.private)
    }

    /// The thumbprint for `cnf.jkt` of a token that is bound to this key (RFC 7638).
    ///
    /// # Panics
    /// For a shared secret.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let jwk = self.public_jwk().expect("a key with a public half");
        token_core::possession::Thumbprint::of(&jwk).expect("a sound key").to_string()
    }

    /// A proof for one request, with its method, its URL, and its access token. Each minted proof has a new `jti`.
    pub fn proof(&self, method: &str, url: &str, token: &str) -> ProofBuilder {
        let url = url.split(['?', '#']).next().unwrap_or_default();
        let mut jwk = self.public_jwk().unwrap_or_else(|| json!({"kty": "oct"}));
        if let Some(members) = jwk.as_object_mut() {
            members.retain(|name, _| !matches!(name.as_str(), "use" | "alg" | "kid"));
        }
        let header = json!({"typ": "dpop+jwt", "alg": self.algorithm().name(), "jwk": jwk});
        let claims = json!({"htm": method, "htu": url, "ath": access_token_hash(token)});
        ProofBuilder { key: self.clone(), draft: Draft::of(header, claims) }
    }
}

impl ProofBuilder {
    /// Sets `nonce`, which the server sent as `DPoP-Nonce`.
    pub fn nonce(self, nonce: &str) -> Self {
        self.claim("nonce", nonce)
    }

    /// Sets `jti`. Default: a new one each time the proof is minted.
    pub fn id(self, id: &str) -> Self {
        self.claim("jti", id)
    }

    /// Sets `iat` this many seconds into the past; negative for the future.
    pub fn issued_ago(self, seconds: i64) -> Self {
        let now = SystemClock.now().as_secs();
        self.claim("iat", now.saturating_sub(seconds))
    }

    says_what_a_draft_holds!();

    /// Signs with another key, while the header contains the original one.
    pub fn signed_by(mut self, key: &TestKey) -> Self {
        self.key = key.clone();
        self
    }

    /// Returns the proof: the value of the `DPoP` header.
    #[must_use]
    pub fn mint(&self) -> String {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let now = SystemClock.now();
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}-{}-{serial}", std::process::id(), now.as_millis());
        let claims = self.draft.claims_json([("jti", id.into()), ("iat", now.as_secs().into())]);
        self.draft.signed([], &claims, |message| self.key.sign(message))
    }

    /// Proofs that are almost valid, each with a description. All of them must be refused.
    ///
    /// # Panics
    /// If the key is a shared secret.
    #[must_use]
    pub fn near_misses(&self) -> Vec<(String, String)> {
        let mut misses: Vec<(String, String)> = Vec::new();
        let mut add = |what: &str, proof: Self| misses.push((what.to_owned(), proof.mint()));
        let good = || self.clone();
        let text = |name: &str| self.draft.claims.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (method, url) = (text("htm"), text("htu"));
        let other = match self.key.algorithm() {
            Algorithm::ES256 => TestKey::client(Algorithm::EdDSA),
            _ => TestKey::client(Algorithm::ES256),
        };
        let jwk = self.draft.header.get("jwk").cloned().unwrap_or_default();
        let with = |name: &str, value: Value| {
            let mut jwk = jwk.clone();
            jwk[name] = value;
            jwk
        };
        for name in ["jti", "htm", "htu", "iat", "ath"] {
            add(&format!("no {name}"), good().without(name));
            add(&format!("{name} of another type"), good().claim(name, json!({})));
            add(&format!("{name} null"), good().claim(name, Value::Null));
        }
        for name in ["typ", "alg", "jwk"] {
            add(&format!("no {name}"), good().without_header(name));
            add(&format!("{name} of another type"), good().header(name, 7));
        }
        add("an empty jti", good().claim("jti", ""));
        add("another method", good().claim("htm", if method == "PUT" { "GET" } else { "PUT" }));
        add("the method in another case", good().claim("htm", method.to_ascii_lowercase()));
        add("another path", good().claim("htu", format!("{url}/more")));
        add("the path in another case", good().claim("htu", upper_path(&url)));
        add("another host", good().claim("htu", url.replacen("://", "://evil.", 1)));
        add("another port", good().claim("htu", with_port(&url, 4443)));
        let others = if url.starts_with("https") { 80 } else { 443 };
        add("the default port of the other scheme", good().claim("htu", with_port(&url, others)));
        add("an escaped slash more", good().claim("htu", format!("{url}%2F")));
        add("dot segments to another place", good().claim("htu", format!("{url}/../another")));
        add("a path without a host", good().claim("htu", "/"));
        add("another token", good().claim("ath", access_token_hash("another token")));
        add("too old", good().issued_ago(3600));
        add("from the future", good().issued_ago(-3600));
        add("an iat as text", good().claim("iat", SystemClock.now().as_secs().to_string()));
        add("another type", good().header("typ", "JWT"));
        add("no signature algorithm", good().header("alg", "none"));
        add("a shared secret", good().header("alg", "HS256").header("jwk", json!({"kty": "oct", "k": "AAAAAAAA"})));
        add("a private half", good().header("jwk", with("d", "AAAA".into())));
        add("a large RSA key", good().header("jwk", json!({"kty": "RSA", "e": "AQAB", "n": "_".repeat(1400)})));
        add("another curve", good().header("jwk", with("crv", "P-521".into())));
        add("a critical extension", good().header("crit", json!(["htm"])));
        add("a proof by another key", other.proof(&method, &url, "").claim("ath", text("ath")));
        add("another key's signature", good().signed_by(&other));
        add("claims changed after signing", good().tampered());
        add("more than 8 KiB", good().claim("more", "x".repeat(8192)));
        let claims = [("jti", "twice".into()), ("iat", SystemClock.now().as_secs().into())];
        let claims = self.draft.claims.with_defaults(claims);
        for name in ["jti", "htm", "htu", "iat", "ath", "nonce"] {
            let Some(value) = claims.get(name) else { continue };
            let twice = claims.to_json().replacen('{', &format!(r#"{{"{name}":{value},"#), 1);
            add(&format!("{name} twice"), good().raw_claims(twice));
        }
        let header = self.draft.header.to_json();
        add("a jwk member twice", good().raw_header(header.replacen(r#""jwk":{"#, r#""jwk":{"kty":"EC","#, 1)));
        add("a header member twice", good().raw_header(header.replacen('{', r#"{"typ":"dpop+jwt","#, 1)));
        let minted = self.mint();
        misses.push(("no proof at all".into(), String::new()));
        misses
            .push(("two parts".into(), minted.rsplit_once('.').map_or_else(String::new, |(signed, _)| signed.into())));
        misses.push(("padding".into(), format!("{minted}=")));
        misses
    }
}

fn upper_path(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    match url[start..].find('/') {
        Some(at) if url[start + at..].len() > 1 => {
            format!("{}{}", &url[..start + at], url[start + at..].to_ascii_uppercase())
        }
        _ => format!("{url}/UPPER"),
    }
}

fn with_port(url: &str, port: u16) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find('/').map_or(url.len(), |at| start + at);
    let host = url[start..end].rsplit_once(':').map_or(&url[start..end], |(host, _)| host);
    format!("{}{host}:{port}{}", &url[..start], &url[end..])
}
