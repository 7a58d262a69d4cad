//! What an integration with a web framework needs beside the gate itself.
//!
//! An adapter makes two conversions and no decision:
//!
//! 1. It shows the framework's request to the gate as a [`RequestView`], and asks [`Admission::admit`]. The answer is a
//!    [`MaybeReady`]: usually it is there at once, so the adapter needs to box a future only when a network is awaited.
//! 2. It puts the [`Outcome`] into the request's extensions and calls the inner service, or turns an [`Error`](crate::Error) into a response by its
//!    [`Answer`](crate::Answer).
//!
//! `tower-token` and `actix-token` are written with nothing else.

pub use crate::answer::maybe_ready::MaybeReady;
pub use crate::gate::outcome::{Admission, Outcome, Refusals};
pub use crate::request::presented::{ClientCertificate, PeerAddress, ProofMark, RequestView};
