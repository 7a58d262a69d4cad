//! Key material goes in, keys that sign come out, and the set of those that the issuer publishes (RFC 7517 section 5).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use serde_json::Value;
use token_core::Algorithm;
use token_core::jose::signing::SigningKey;

use crate::pre_made;

/// A key that signs test tokens. Cheap to clone.
///
/// ```
/// use token_core::Algorithm;
/// use token_test::TestKey;
///
/// let key = TestKey::from_secret(Algorithm::HS256, Some("shared"), b"thirty-two bytes or more for HS256");
/// assert_eq!(key.kid(), Some("shared"));
/// assert_eq!(key.public_jwk(), None, "a shared secret is never published");
/// ```
#[derive(Clone, Debug)]
pub struct TestKey(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    algorithm: Algorithm,
    kid: Option<String>,
    signer: Signer,
}

enum Signer {
    Pair { key: Box<SigningKey>, public_pem: Option<&'static str> },
    Secret(Vec<u8>),
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pair { .. } => "Pair",
            Self::Secret(_) => "Secret",
        })
    }
}

impl TestKey {
    /// Reads a private key in PEM (PKCS #8), for an asymmetric algorithm.
    ///
    /// # Panics
    /// If the key does not fit the algorithm.
    #[must_use]
    pub fn from_pem(algorithm: Algorithm, kid: Option<&str>, pem: &str) -> Self {
        Self::pair(algorithm, kid, pem, None)
    }

    /// Uses a shared secret, for HS256, HS384 or HS512. It may be too short, and it may be the
    /// [`public_pem`](Self::public_pem) of the issuer's key, as in a known attack.
    ///
    /// # Panics
    /// If the algorithm is not an HMAC.
    #[must_use]
    pub fn from_secret(algorithm: Algorithm, kid: Option<&str>, secret: impl AsRef<[u8]>) -> Self {
        assert!(algorithm.is_symmetric(), "{algorithm} uses no shared secret");
        Self::new(algorithm, kid, Signer::Secret(secret.as_ref().to_vec()))
    }

    /// A key that no [`TestIssuer`](crate::TestIssuer) publishes, with any `kid`.
    #[must_use]
    pub fn forger(algorithm: Algorithm, kid: Option<&str>) -> Self {
        if algorithm.is_symmetric() {
            return Self::from_secret(algorithm, kid, format!("forged: {}", pre_made::SECRET));
        }
        Self::pre_made(algorithm, kid, pre_made::family(algorithm).forger)
    }

    fn pre_made(algorithm: Algorithm, kid: Option<&str>, pair: pre_made::Pair) -> Self {
        Self::pair(algorithm, kid, pair.private, Some(pair.public))
    }

    fn pair(algorithm: Algorithm, kid: Option<&str>, pem: &str, public_pem: Option<&'static str>) -> Self {
        let key = SigningKey::from_pem(algorithm, kid, pem.as_bytes()).expect("a private key that fits the algorithm");
        Self::new(algorithm, kid, Signer::Pair { key: Box::new(key), public_pem })
    }

    fn new(algorithm: Algorithm, kid: Option<&str>, signer: Signer) -> Self {
        Self(Arc::new(Inner { algorithm, kid: kid.map(Into::into), signer }))
    }

    /// The algorithm of the key.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// The `kid`, as in headers and the key set.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.0.kid.as_deref()
    }

    /// The public key as a JWK with `kid`, `alg` and `use`; `None` for a shared secret.
    #[must_use]
    pub fn public_jwk(&self) -> Option<Value> {
        match &self.0.signer {
            Signer::Pair { key, .. } => key.public_jwk(),
            Signer::Secret(_) => None,
        }
    }

    /// The public key as PEM (SubjectPublicKeyInfo), for keys of the issuer and forgers; `None` for your own keys.
    #[must_use]
    pub fn public_pem(&self) -> Option<&str> {
        match &self.0.signer {
            Signer::Pair { public_pem, .. } => *public_pem,
            Signer::Secret(_) => None,
        }
    }

    /// The shared secret of an HMAC key.
    #[must_use]
    pub fn secret(&self) -> Option<&[u8]> {
        match &self.0.signer {
            Signer::Pair { .. } => None,
            Signer::Secret(secret) => Some(secret),
        }
    }

    /// Signs `message` and returns the signature in JWS form (RFC 7518 section 3).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.0.signer {
            Signer::Pair { key, .. } => key.sign(message).expect("a key that was read can sign"),
            // Not through the core: it refuses the secrets that attackers use.
            Signer::Secret(secret) => {
                let hash = match self.algorithm() {
                    Algorithm::HS384 => hmac::HMAC_SHA384,
                    Algorithm::HS512 => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                hmac::sign(&hmac::Key::new(hash, secret), message).as_ref().to_vec()
            }
        }
    }
}

/// The keys of one issuer: what is published, and what signs.
#[derive(Debug, Default)]
pub(crate) struct KeyRing {
    published: Vec<TestKey>,
    oddities: Vec<Value>,
    signing: HashMap<Algorithm, TestKey>,
    made: HashMap<String, usize>,
}

impl KeyRing {
    /// A key with a `kid` not used before. The material repeats when all pre-made pairs have had their turn.
    pub(crate) fn make(&mut self, algorithm: Algorithm) -> TestKey {
        let count = |made: &mut HashMap<String, usize>, name: &str| {
            let count = made.entry(name.to_owned()).or_default();
            *count += 1;
            *count
        };
        if algorithm.is_symmetric() {
            let turn = count(&mut self.made, "secret");
            let secret = format!("{} {turn}", pre_made::SECRET);
            return TestKey::from_secret(algorithm, Some(&format!("secret-{turn}")), secret);
        }
        let pairs = pre_made::family(algorithm).pairs;
        // The first pair of a family counts how many keys were made of it.
        let turn = count(&mut self.made, pairs[0].name) - 1;
        let (pair, round) = (pairs[turn % pairs.len()], turn / pairs.len());
        let kid = if round == 0 { pair.name.to_owned() } else { format!("{}-round-{}", pair.name, round + 1) };
        TestKey::pre_made(algorithm, Some(&kid), pair)
    }

    /// The key that signs with `algorithm`; made and published when there was none.
    pub(crate) fn signing(&mut self, algorithm: Algorithm) -> TestKey {
        match self.signing.get(&algorithm) {
            Some(key) => key.clone(),
            None => {
                let key = self.make(algorithm);
                self.sign_with(key.clone());
                key
            }
        }
    }

    pub(crate) fn sign_with(&mut self, key: TestKey) {
        self.publish(key.clone());
        self.signing.insert(key.algorithm(), key);
    }

    pub(crate) fn publish(&mut self, key: TestKey) {
        if !self.published.iter().any(|published| Arc::ptr_eq(&published.0, &key.0)) {
            self.published.push(key);
        }
    }

    pub(crate) fn publish_jwk(&mut self, jwk: Value) {
        self.oddities.push(jwk);
    }

    pub(crate) fn withdraw(&mut self, kid: &str) {
        self.published.retain(|key| key.kid() != Some(kid));
        self.oddities.retain(|jwk| jwk.get("kid").and_then(Value::as_str) != Some(kid));
    }

    pub(crate) fn withdraw_all(&mut self) {
        self.published.clear();
        self.oddities.clear();
        // What is withdrawn does not sign either: another algorithm gets a new key when it is next asked for.
        self.signing.clear();
    }

    /// The algorithms that keys are published for, without repetition, in the order of publication.
    pub(crate) fn algorithms(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        for key in self.published.iter().filter(|key| !key.algorithm().is_symmetric()) {
            if !names.contains(&key.algorithm().name()) {
                names.push(key.algorithm().name());
            }
        }
        names
    }

    /// The keys by which the issuer knows a token as its own.
    pub(crate) fn own(&self) -> Vec<TestKey> {
        self.published.iter().chain(self.signing.values()).cloned().collect()
    }

    /// The keys of the JWK Set, oldest first; shared secrets stay out of it.
    pub(crate) fn jwks(&self) -> Vec<Value> {
        self.published.iter().filter_map(TestKey::public_jwk).chain(self.oddities.iter().cloned()).collect()
    }
}
