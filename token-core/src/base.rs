//! The ground: time, locks, files, HTTP and the names of metrics. Nothing here knows what a token is.

pub(crate) mod bucket;
pub(crate) mod chance;
pub(crate) mod config_error;
pub(crate) mod file;
pub mod http;
pub(crate) mod limits;
pub(crate) mod object;
pub(crate) mod patience;
pub(crate) mod runtime;
pub(crate) mod sync;
pub(crate) mod telemetry;
pub(crate) mod time;
