//! A key and an endpoint's answer about a token in; the same answer out until it expires.

use std::fmt;
use std::time::Duration;

use super::StoreError;
use crate::base::http::BoxFuture;
use crate::base::time::Timestamp;
use crate::jose::signature::sha256;

/// The first half of the SHA-256 of a configured name: what stands for it in keys and tags, which are digests of one block thereby. It is computed once.
#[derive(Clone, Copy)]
pub(crate) struct NameMark([u8; 16]);

impl From<&str> for NameMark {
    fn from(name: &str) -> Self {
        let digest = sha256(name.as_bytes());
        Self(std::array::from_fn(|at| digest[at]))
    }
}

/// The key under which an answer is stored: a digest of the endpoint, the client that asked, and the SHA-256 of the
/// token. The token cannot be recovered from it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AnswerKey([u8; 32]);

impl AnswerKey {
    /// The key of `token` at the endpoint, for the client, that `identity` names.
    #[must_use]
    pub fn new(identity: &str, token: &str) -> Self {
        Self::of(identity.into(), token)
    }

    pub(crate) fn of(identity: NameMark, token: &str) -> Self {
        Self::of_digest(identity, &sha256(token.as_bytes()))
    }

    /// The same, from the SHA-256 of the token.
    pub(crate) fn of_digest(identity: NameMark, token: &[u8; 32]) -> Self {
        let mut text = [0; 48];
        text[..32].copy_from_slice(token);
        text[32..].copy_from_slice(&identity.0);
        Self(sha256(&text))
    }

    /// The digest as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A label that several answers share: a subject, session or client of one issuer. It is a digest: claims cannot be
/// read from it, but someone who knows them can recompute it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AnswerTag([u8; 32]);

impl AnswerTag {
    /// Kind and issuer are of one length, which keeps ("a", "bc") and ("ab", "c") apart.
    fn new(kind: u8, issuer: NameMark, name: &str) -> Self {
        Self(sha256(&[&[kind], &issuer.0[..], name.as_bytes()].concat()))
    }

    pub(crate) fn subject(issuer: impl Into<NameMark>, subject: &str) -> Self {
        Self::new(b'u', issuer.into(), subject)
    }

    pub(crate) fn session(issuer: impl Into<NameMark>, session: &str) -> Self {
        Self::new(b's', issuer.into(), session)
    }

    pub(crate) fn client(issuer: impl Into<NameMark>, client: &str) -> Self {
        Self::new(b'c', issuer.into(), client)
    }

    pub(crate) fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A stored answer: what the endpoint said, not what was decided from it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredAnswer {
    /// The claims as one JSON object; `None` if the token is not active.
    pub claims: Option<String>,
    /// When the answer expires.
    pub until: Timestamp,
    /// The labels by which the answer can be evicted.
    pub tags: Vec<AnswerTag>,
    /// The store's [generation](AnswerStore::generation) just before the endpoint was asked. 0 means before any drop.
    pub generation: u64,
}

impl StoredAnswer {
    /// An answer that expires at `until`, without labels.
    #[must_use]
    pub fn new(claims: Option<String>, until: Timestamp) -> Self {
        Self { claims, until, tags: Vec::new(), generation: 0 }
    }
}

/// A store for the answers of endpoints. [`MemoryAnswers`](super::MemoryAnswers) is the default. A store on the network
/// can be shared by several instances.
///
/// Anyone who can write to the store decides which tokens are active. Protect it like the issuer's own database.
pub trait AnswerStore: fmt::Debug + Send + Sync + 'static {
    /// Returns the answer if there is one that has not expired at `now`.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be reached. The endpoint is asked in that case.
    fn find(&self, key: AnswerKey, now: Timestamp) -> BoxFuture<'_, Result<Option<StoredAnswer>, StoreError>>;

    /// Returns how many drops there have been. The number is read before an endpoint is asked, and is stored with the
    /// answer: see [`keep`](Self::keep). A store that only one server writes to may return 0, the default.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be reached. The answer is not stored in that case.
    fn generation(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(std::future::ready(Ok(0)))
    }

    /// Stores an answer, replacing an older one, unless its key or one of its tags was dropped after the answer's
    /// `generation`. The endpoint may have answered before the revocation that caused the drop, and storing the answer
    /// would undo it. The check and the write must be atomic with respect to drops.
    ///
    /// # Errors
    /// [`StoreError`] if the answer could not be written. This costs speed only.
    fn keep(&self, key: AnswerKey, answer: StoredAnswer, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Drops one answer. Returns how many were dropped.
    ///
    /// # Errors
    /// [`StoreError`] if the answer could not be dropped.
    fn drop_key(&self, key: AnswerKey) -> BoxFuture<'_, Result<usize, StoreError>>;

    /// Drops every answer with this tag. Returns how many were dropped.
    ///
    /// # Errors
    /// [`StoreError`] if the answers could not be dropped.
    fn drop_tagged(&self, tag: AnswerTag) -> BoxFuture<'_, Result<usize, StoreError>>;

    /// Drops every answer, and records the drop for [`keep`](Self::keep). Returns how many were dropped. A server calls
    /// this on a store that is not [shared](Self::is_shared) when it may have missed evictions by other instances.
    ///
    /// # Errors
    /// [`StoreError`] if the answers could not be dropped. The default implementation always returns an error.
    fn drop_all(&self) -> BoxFuture<'_, Result<usize, StoreError>> {
        let why = "it does not say how to drop everything: drop_all() of AnswerStore does";
        Box::pin(std::future::ready(Err(StoreError::Unreachable(why.to_owned()))))
    }

    /// Claims the question about a token for the duration of `lease`: `true` for the first caller, `false` while
    /// another holds the claim. `claim` is a random number that tells this claim from all others, also from those of
    /// the same process. The default implementation returns `true` to everyone.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be reached. The endpoint is asked in that case.
    fn claim(&self, key: AnswerKey, claim: u64, lease: Duration) -> BoxFuture<'_, Result<bool, StoreError>> {
        let _ = (key, claim, lease);
        Box::pin(std::future::ready(Ok(true)))
    }

    /// Releases this claim and no other, once its answer is stored or will not come, so that another caller may ask.
    /// The default implementation does nothing; claims then end with their lease.
    ///
    /// # Errors
    /// [`StoreError`] if the claim could not be released.
    fn release(&self, key: AnswerKey, claim: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        let _ = (key, claim);
        Box::pin(std::future::ready(Ok(())))
    }

    /// Whether other instances write to this store, too. If so, answers are not cached in this process as well unless
    /// the operator asks for it, and a revocation by one instance takes effect everywhere at the next request.
    fn is_shared(&self) -> bool {
        true
    }
}

impl fmt::Debug for AnswerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerKey")
    }
}

impl fmt::Debug for AnswerTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerTag")
    }
}

impl fmt::Debug for StoredAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (active, tags) = (self.claims.is_some(), self.tags.len());
        f.debug_struct("StoredAnswer")
            .field("active", &active)
            .field("until", &self.until)
            .field("tags", &tags)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_covers_endpoint_client_and_token_and_a_tag_kind_issuer_and_name() {
        let one = AnswerKey::new("https://as/introspect app", "token");
        assert_eq!(one, AnswerKey::new("https://as/introspect app", "token"));
        assert_ne!(one, AnswerKey::new("https://as/introspect other", "token"));
        assert_ne!(one, AnswerKey::new("https://as/introspect app", "token2"));
        let tags = [
            AnswerTag::subject("a", "b c"),
            AnswerTag::subject("a b", "c"),
            AnswerTag::session("a", "b c"),
            AnswerTag::client("a", "b c"),
        ];
        let different: std::collections::HashSet<_> = tags.iter().collect();
        assert_eq!(different.len(), tags.len());
    }
}
