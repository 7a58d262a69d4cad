//! Answers that outlive a request end with their token: server-sent events, WebSockets. [`Verified::until_expiry`](crate::Verified::until_expiry) and
//! [`Verified::while_valid`](crate::Verified::while_valid) make these.

pub use crate::gate::stream::{StreamEnd, UntilExpiry, WhileValid};
