//! Proof of possession for outgoing requests (RFC 9449): the key, its proofs, the nonces of servers, and what a refusal
//! asks for.

pub(crate) mod challenge;
pub(crate) mod key;
pub(crate) mod nonces;
pub(crate) mod prover;

/// The kind of token that a client asks its token endpoint for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Binding {
    /// Bearer tokens: the client has no proof key.
    #[default]
    Bearer,
    /// Only tokens that are bound to the proof key.
    Dpop,
    /// Tokens that are bound to the proof key, or bearer tokens from a server that does not bind them.
    DpopOrBearer,
}
