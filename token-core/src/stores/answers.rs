//! What endpoints said about tokens, kept for a while: a key and an answer go in, the same answer comes out until its time is over.

use std::fmt;
use std::time::Duration;

use super::StoreError;
use crate::base::http::BoxFuture;
use crate::base::time::Timestamp;
use crate::jose::signature::sha256;

/// What an answer is found by: a digest over the endpoint, the client that asked, and the SHA-256 of the token. No token can be
/// read out of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AnswerKey([u8; 32]);

impl AnswerKey {
    /// The key of `token` at the endpoint and for the client that `identity` names.
    #[must_use]
    pub fn new(identity: &str, token: &str) -> Self {
        Self::of_digest(identity, &sha256(token.as_bytes()))
    }

    /// The same for a token of which only the SHA-256 is known.
    pub(crate) fn of_digest(identity: &str, token: &[u8; 32]) -> Self {
        let mut text = token.to_vec();
        text.extend_from_slice(identity.as_bytes());
        Self(sha256(&text))
    }

    /// The digest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A name that several answers share: a subject, a session or a client of one issuer. A digest, so no claim can be read out of it
/// by looking; whoever knows the claims can tell.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AnswerTag([u8; 32]);

impl AnswerTag {
    fn new(kind: &str, issuer: &str, name: &str) -> Self {
        // Lengths keep ("a", "bc") and ("ab", "c") apart.
        Self(sha256(format!("{kind} {}:{issuer} {name}", issuer.len()).as_bytes()))
    }

    pub(crate) fn subject(issuer: &str, subject: &str) -> Self {
        Self::new("sub", issuer, subject)
    }

    pub(crate) fn session(issuer: &str, session: &str) -> Self {
        Self::new("sid", issuer, session)
    }

    pub(crate) fn client(issuer: &str, client: &str) -> Self {
        Self::new("client", issuer, client)
    }

    pub(crate) fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// An answer as it is kept: the fact, never the decision made on it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredAnswer {
    /// The claims as one JSON object; `None` where the token is not active.
    pub claims: Option<String>,
    /// From then on it says nothing.
    pub until: Timestamp,
    /// What it can be evicted by.
    pub tags: Vec<AnswerTag>,
    /// The store's [generation](AnswerStore::generation) when the question was about to be asked. 0: of before every drop.
    pub generation: u64,
}

impl StoredAnswer {
    /// An answer that holds until `until`, without tags.
    #[must_use]
    pub fn new(claims: Option<String>, until: Timestamp) -> Self {
        Self { claims, until, tags: Vec::new(), generation: 0 }
    }
}

/// A store for answers. [`MemoryAnswers`](super::MemoryAnswers) is the default; one behind a network is shared by many instances.
///
/// Whoever can write into the store decides which tokens are active: guard it like the issuer's own database.
pub trait AnswerStore: fmt::Debug + Send + Sync + 'static {
    /// The answer, if there is one that still holds at `now`.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be asked; the endpoint is asked then.
    fn find(&self, key: AnswerKey, now: Timestamp) -> BoxFuture<'_, Result<Option<StoredAnswer>, StoreError>>;

    /// How many drops there have been. It is read before an endpoint is asked, and comes back with the answer: see
    /// [`keep`](Self::keep). A store that one server alone writes into may leave it at 0, as it is by default.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be asked; the answer is not kept then.
    fn generation(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(std::future::ready(Ok(0)))
    }

    /// Keeps an answer in place of an older one, unless its key or one of its tags was dropped after the answer's `generation`: the
    /// endpoint may have answered before the revocation that another instance dropped it for, and the answer would undo that. To look
    /// and to write is one step, which no drop comes between.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be written; nothing depends on it but speed.
    fn keep(&self, key: AnswerKey, answer: StoredAnswer, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Drops one answer. How many were dropped.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be done.
    fn drop_key(&self, key: AnswerKey) -> BoxFuture<'_, Result<usize, StoreError>>;

    /// Drops every answer with this tag. How many were dropped.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be done.
    fn drop_tagged(&self, tag: AnswerTag) -> BoxFuture<'_, Result<usize, StoreError>>;

    /// Drops every answer, and remembers for [`keep`](Self::keep) that it did. How many were dropped. A server asks it of a store that is not
    /// [shared](Self::is_shared), when it may have missed what another instance evicted.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be done: always, where a store does not say how.
    fn drop_all(&self) -> BoxFuture<'_, Result<usize, StoreError>> {
        let why = "it does not say how to drop everything: drop_all() of AnswerStore does";
        Box::pin(std::future::ready(Err(StoreError::Unreachable(why.to_owned()))))
    }

    /// Claims the question about a token for so long: `true` for the first who asks, `false` while another has it. By default everybody is
    /// the first.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be said; the question is asked then.
    fn claim(&self, key: AnswerKey, lease: Duration) -> BoxFuture<'_, Result<bool, StoreError>> {
        let _ = (key, lease);
        Box::pin(std::future::ready(Ok(true)))
    }

    /// Gives back a claim of this process, when its answer is in the store or will not come: whoever waits may ask. By default nothing: a claim ends with its lease.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be done.
    fn release(&self, key: AnswerKey) -> BoxFuture<'_, Result<(), StoreError>> {
        let _ = key;
        Box::pin(std::future::ready(Ok(())))
    }

    /// Whether others write here too. Then nothing is remembered beside it unless the operator says so, and a revocation that one
    /// instance writes is seen by all at their next request.
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
