//! What operators see: the list of metrics, spans and events, and the health of each issuer.
//!
//! Names, labels and fields are stable: a release that changes one says so in its changelog. Labels come from closed lists or from the operator's
//! configuration. Nothing that a caller sends is ever a label, or a field of a span.
//!
//! Metrics are sent with the feature `metrics` of this crate and of `token-client`; spans and events through `tracing` always.

pub use crate::base::telemetry::*;
pub use crate::operate::health::{Health, IssuerHealth};
