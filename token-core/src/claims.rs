//! From the JSON text of a claims set to the registered claims in it, in one pass (RFC 7519 sections 4 and 7.2).
//!
//! Nothing is copied: every claim is a span of the text it was read from, so that a verified token is one buffer and a few
//! numbers. The types of registered claims are checked here, before anything asks whether they are present: a claim
//! of the wrong type is refused, never taken for absent.

mod members;
mod names;
pub(crate) mod number;
mod parse;
mod scan;
mod spans;

pub(crate) use members::{IdTokenMark, KindClaim};
pub(crate) use names::Names;
pub(crate) use parse::{Claims, ClaimsError, Reading, parse};
pub(crate) use scan::{members, read, scan};
pub(crate) use spans::{List, Span, Text};
