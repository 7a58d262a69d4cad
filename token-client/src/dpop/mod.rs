//! Proof of possession on the way out (RFC 9449): the key, its proofs, the nonces of servers, and what a refusal asks for.

pub(crate) mod challenge;
pub(crate) mod key;
pub(crate) mod nonces;
pub(crate) mod prover;

/// What a client wants of its token endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Binding {
    /// Bearer tokens: the client has no proof key.
    #[default]
    Bearer,
    /// Tokens that are bound to the proof key, and no other.
    Dpop,
    /// Tokens that are bound to the proof key; bearer tokens from a server that binds none.
    DpopOrBearer,
}
