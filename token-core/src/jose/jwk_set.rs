//! A JWK Set in, exactly one key for a token out (RFC 7517 section 5), and what is remembered of good headers.

mod memo;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

pub(crate) use memo::Remembered;

use super::algorithm::Algorithm;
use super::header::Header;
use super::unusable::UnusableKey;
use super::verification_key::VerificationKey;
use memo::Memos;

/// How many members of a set are looked at; those behind are skipped. Issuers publish two to five.
pub(crate) const MOST_KEYS: usize = 100;
/// No token is worth more signatures: of keys that could all be meant, those behind are not tried.
const MOST_TRIED: usize = 4;
/// Up to here a scan is faster than hashing.
const SCANNED: usize = 16;
/// The longest `kid` that is repeated to operators.
const LONGEST_SHOWN: usize = 64;

/// Where a set comes from, and so what may be in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// From the network: a shared secret in it is never used. A token that names a key must find that name.
    Fetched,
    /// From the operator: shared secrets are allowed, and a key without a name serves tokens that name one.
    Given,
}

/// What an operator said of an issuer whose keys are not as RFC 7517 has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leniency {
    /// Their numbers may be in base64, padded or not.
    pub(crate) base64: bool,
    /// Several may have one name, and are tried in turn.
    pub(crate) several_of_a_kid: bool,
}

/// An immutable set of keys. A refresh makes a new one that succeeds it.
pub(crate) struct KeySet {
    origin: Origin,
    leniency: Leniency,
    keys: Vec<Arc<VerificationKey>>,
    /// Only for more keys than are scanned.
    by_kid: Option<HashMap<Box<str>, Vec<usize>>>,
    skipped: Vec<SkippedKey>,
    memos: Memos,
}

/// A member of a set that is not used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedKey {
    kid: Option<Box<str>>,
    reason: UnusableKey,
}

impl SkippedKey {
    /// The key's name, if it has one that is printable ASCII of at most 64 characters.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Why the key is not used.
    #[must_use]
    pub fn reason(&self) -> UnusableKey {
        self.reason
    }

    fn new(jwk: &Value, reason: UnusableKey) -> Self {
        let kid = jwk.get("kid").and_then(Value::as_str);
        let shown = kid.filter(|kid| kid.len() <= LONGEST_SHOWN && kid.bytes().all(|byte| byte.is_ascii_graphic()));
        Self { kid: shown.map(Into::into), reason }
    }
}

/// Each key of a set that is not used, by name and reason: the first ten.
pub(crate) fn skipped_keys(skipped: &[SkippedKey]) -> String {
    const MOST: usize = 10;
    let named = |key: &SkippedKey| match key.kid() {
        Some(kid) => format!("key {kid}: {}", key.reason()),
        None => format!("a key without a name that can be shown: {}", key.reason()),
    };
    let mut texts: Vec<_> = skipped.iter().take(MOST).map(named).collect();
    if skipped.len() > MOST {
        texts.push(format!("and {} more", skipped.len() - MOST));
    }
    texts.join("; ")
}

/// The document is no JWK Set at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeySetError {
    NotJson,
    NoKeys,
}

impl fmt::Display for KeySetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotJson => "the document is not JSON",
            Self::NoKeys => "the document has no list called keys",
        })
    }
}

impl std::error::Error for KeySetError {}

/// No key, or not exactly one, is the one a token was signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoKey {
    /// No key has the name, or none without one does the algorithm: a newer set may have it.
    Unknown,
    /// Several keys could be meant, and none is tried on the off chance.
    Ambiguous,
    /// The named key is for another algorithm.
    WrongAlgorithm,
}

impl KeySet {
    /// Reads a set key by key: what cannot be used is skipped with a reason and never costs the others. A set of which
    /// nothing is usable is empty, and it is the caller who decides what that means. The caller caps the document's length.
    pub(crate) fn parse(json: &[u8], origin: Origin) -> Result<Self, KeySetError> {
        Self::parse_as(json, origin, Leniency::default())
    }

    /// The same, with what an operator said of the issuer.
    pub(crate) fn parse_as(json: &[u8], origin: Origin, leniency: Leniency) -> Result<Self, KeySetError> {
        let document: Value = serde_json::from_slice(json).map_err(|_| KeySetError::NotJson)?;
        let jwks = document.get("keys").and_then(Value::as_array).ok_or(KeySetError::NoKeys)?;
        let (mut keys, mut skipped) = (Vec::new(), Vec::new());
        for jwk in jwks.iter().take(MOST_KEYS) {
            match VerificationKey::from_jwk_as(jwk, origin, None, leniency.base64) {
                Ok(key) => keys.push(Arc::new(key)),
                Err(reason) => skipped.push(SkippedKey::new(jwk, reason)),
            }
        }
        if jwks.len() > MOST_KEYS {
            skipped.push(SkippedKey { kid: None, reason: UnusableKey::because("all keys behind the hundredth") });
        }
        Ok(Self { leniency, ..Self::new(origin, keys, skipped) })
    }

    /// The same set, judged by what an operator said of the issuer.
    #[must_use]
    pub(crate) fn lenient(self, leniency: Leniency) -> Self {
        Self { leniency, ..self }
    }

    /// A set of keys that were read before.
    pub(crate) fn from_keys(origin: Origin, keys: Vec<Arc<VerificationKey>>) -> Self {
        Self::new(origin, keys, Vec::new())
    }

    fn new(origin: Origin, candidates: Vec<Arc<VerificationKey>>, skipped: Vec<SkippedKey>) -> Self {
        let mut keys: Vec<Arc<VerificationKey>> = Vec::with_capacity(candidates.len());
        for key in candidates {
            // the same key twice is one key, and not an ambiguity
            if !keys.iter().any(|earlier| earlier.identity() == key.identity()) {
                keys.push(key);
            }
        }
        let by_kid = (keys.len() > SCANNED).then(|| {
            let mut map: HashMap<Box<str>, Vec<usize>> = HashMap::new();
            for (at, key) in keys.iter().enumerate() {
                if let Some(kid) = key.kid() {
                    map.entry(kid.into()).or_default().push(at);
                }
            }
            map
        });
        let memos = Memos::new(keys.len());
        Self { origin, leniency: Leniency::default(), keys, by_kid, skipped, memos }
    }

    /// The one key for a token with this header. A name is compared exactly; without a name the key has to be the only one
    /// for the algorithm. Keys are never tried in turn.
    pub(crate) fn choose(&self, alg: Algorithm, kid: Option<&str>) -> Result<&Arc<VerificationKey>, NoKey> {
        let Some(kid) = kid else {
            // a newer set may have a key for the algorithm
            return only(self.keys.iter().filter(|key| key.can(alg)), alg);
        };
        let named = match &self.by_kid {
            Some(map) => only(map.get(kid).into_iter().flatten().map(|at| &self.keys[*at]), alg),
            None => only(self.keys.iter().filter(|key| key.kid() == Some(kid)), alg),
        };
        match (named, self.origin) {
            (Err(NoKey::Unknown), Origin::Given) => only(self.keys.iter().filter(|key| key.kid().is_none()), alg),
            (named, _) => named,
        }
    }

    /// The keys that are tried one after the other for a token that could mean several. Nameless ones for this algorithm that an operator handed
    /// over: while a secret is rotated there are two, and a token says of neither that it is the one. And those of the name that the token says,
    /// where an operator said that the issuer has several of one name; the first few of them. Of a published set there are no others.
    pub(crate) fn tried_in_turn(
        &self,
        alg: Algorithm,
        kid: Option<&str>,
    ) -> impl Iterator<Item = &Arc<VerificationKey>> {
        let (given, several) = (self.origin == Origin::Given, self.leniency.several_of_a_kid);
        let named = kid.filter(|kid| self.is_ambiguous_name(alg, kid));
        let is_meant = move |key: &VerificationKey| match named {
            Some(_) => several && key.kid() == named,
            None => given && key.kid().is_none(),
        };
        // How many secrets an operator hands over is the operator's to say; how often an issuer repeats a name is not.
        let most = if named.is_some() { MOST_TRIED } else { usize::MAX };
        self.keys.iter().filter(move |key| is_meant(key) && key.can(alg)).take(most)
    }

    fn is_ambiguous_name(&self, alg: Algorithm, kid: &str) -> bool {
        self.keys.iter().filter(|key| key.kid() == Some(kid) && key.can(alg)).nth(1).is_some()
    }

    /// This set in the place of `previous`. Keys that are the same in both are carried over, with all that hangs on them;
    /// keys that are gone are retired.
    #[must_use]
    pub(crate) fn succeed(mut self, previous: &Self) -> Self {
        for earlier in &previous.keys {
            match self.keys.iter_mut().find(|key| key.identity() == earlier.identity()) {
                Some(key) if !earlier.is_retired() => *key = Arc::clone(earlier),
                // one that was retired stays so: what was verified by it does not come back to life
                Some(_) => {}
                None => earlier.retire(),
            }
        }
        self
    }

    /// What was learnt of exactly these bytes from a token of good signature.
    #[inline]
    pub(crate) fn remembered(&self, encoded_header: &[u8]) -> Option<Remembered<'_>> {
        self.memos.find(encoded_header, &self.keys)
    }

    /// Remembers the header of a token that `key` has verified. It is for the caller to have verified it.
    ///
    /// Two headers are kept for each key, of at most 256 bytes; more are not. Never waits.
    pub(crate) fn remember(&self, key: &Arc<VerificationKey>, encoded_header: &[u8], header: &Header<'_>) {
        if let Some(at) = self.keys.iter().position(|one| Arc::ptr_eq(one, key)) {
            self.memos.keep(at, encoded_header, header);
        }
    }

    /// Whether several keys that could be meant have this name: a token that names it is refused, since none is tried on the off chance.
    pub(crate) fn is_ambiguous(&self, alg: Algorithm, kid: &str) -> bool {
        !self.leniency.several_of_a_kid && self.is_ambiguous_name(alg, kid)
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(crate) fn keys(&self) -> &[Arc<VerificationKey>] {
        &self.keys
    }

    pub(crate) fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }
}

/// The only one of `candidates` that can do `alg`.
fn only<'a>(
    candidates: impl Iterator<Item = &'a Arc<VerificationKey>>,
    alg: Algorithm,
) -> Result<&'a Arc<VerificationKey>, NoKey> {
    let (mut found, mut otherwise) = (None, NoKey::Unknown);
    for key in candidates {
        otherwise = NoKey::WrongAlgorithm;
        if key.can(alg) && found.replace(key).is_some() {
            return Err(NoKey::Ambiguous);
        }
    }
    found.ok_or(otherwise)
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet")
            .field("origin", &self.origin)
            .field("keys", &self.keys)
            .field("skipped", &self.skipped)
            .finish_non_exhaustive()
    }
}
