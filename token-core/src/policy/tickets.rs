//! The policy for tickets (event streams and WebSockets) as data.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::time::text;

/// One-time tickets for `EventSource` and `WebSocket`. Each is valid for one path and one origin; see
/// [`Tickets`](crate::streams::Tickets).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TicketsPolicy {
    /// How long a ticket is valid. Default: 30 s; from 1 s to 5 min.
    #[serde(
        serialize_with = "text::optional::serialize",
        deserialize_with = "text::optional::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::base::time::schema::Span>"))]
    pub life: Option<Duration>,
    /// Where tickets are stored. Default: `own`.
    #[serde(skip_serializing_if = "super::is_default")]
    pub store: TicketStorePolicy,
}

/// Where tickets are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TicketStorePolicy {
    /// In the memory of this process. A ticket is valid only at the instance that issued it.
    #[default]
    Own,
    /// In a store that instances share. Code passes it with `ticket_store`; without one, the server fails to build.
    Shared,
}
