//! Requests in, answers out, through the whole layer and with services that notice when they are not treated as tower demands.

mod answers;
mod readiness;
mod support;
