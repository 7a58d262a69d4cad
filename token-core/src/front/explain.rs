//! Why a token was refused: each check in order, how it ended, and the likely cause with its remedy.
//!
//! [`ResourceServer::explain`](crate::ResourceServer::explain) returns a [`Report`] of [`Step`]s. It is for operators and for development: a report names
//! claims and configuration, never the value of a secret. [`Explain`] says whether a server adds such explanations to its log or, during development,
//! to a response header.

pub use crate::answer::check::Check;
pub use crate::gate::explain::Explain;
pub use crate::operate::explain::{Report, Step, StepState};
