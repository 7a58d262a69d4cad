//! Answers that outlive a request end with their token: server-sent events, WebSockets. [`Verified::until_expiry`](crate::Verified::until_expiry) and
//! [`Verified::while_valid`](crate::Verified::while_valid) make these.
//!
//! [`Tickets`] open them where a browser cannot send a token.

#[doc(inline)]
pub use crate::gate::server::ticket::TicketAnswer;
pub use crate::gate::stream::{StreamEnd, UntilExpiry, WhileValid};
#[doc(inline)]
pub use crate::gate::tickets::{Ticket, Tickets};
