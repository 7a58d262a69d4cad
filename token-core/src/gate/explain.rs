//! How much a server tells of a refusal. The report itself is made above the gate, in `operate`.

/// How much a server tells about refusals while it is being developed. Off unless the operator says otherwise in code; nothing that a
/// request holds can switch it on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Explain {
    /// Nothing beyond the error itself.
    #[default]
    Off,
    /// One event `token.explained` per refusal, with the likely cause.
    Log,
    /// The event, and the same words in the response header `token-explanation`.
    LogAndHeader,
}
