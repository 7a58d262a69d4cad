//! What a policy says of tickets for event streams and WebSockets.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::base::time::text;

/// Tickets for `EventSource` and `WebSocket`: good once, for one path and one origin; see [`Tickets`](crate::streams::Tickets).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TicketsPolicy {
    /// How long a ticket is good. Default 30 s; from 1 s to 5 min.
    #[serde(
        serialize_with = "text::optional::serialize",
        deserialize_with = "some",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::base::time::schema::Span>"))]
    pub life: Option<Duration>,
    /// Where they are kept. Default `own`.
    #[serde(skip_serializing_if = "super::is_default")]
    pub store: TicketStorePolicy,
}

/// Where tickets are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TicketStorePolicy {
    /// In this process: a ticket is good at the instance that sold it.
    #[default]
    Own,
    /// In a store that instances share, which code hands over with `ticket_store`. A server that was given none is not built.
    Shared,
}

/// A span that is there; one that is left out is the default.
fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    text::deserialize(deserializer).map(Some)
}
