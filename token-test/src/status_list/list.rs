//! What the issuer remembers of a status list.

use std::collections::BTreeMap;

/// What is known of one list.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) bits: u8,
    pub(crate) statuses: BTreeMap<usize, u8>,
    pub(crate) ttl: Option<u64>,
    /// What is served in place of it.
    pub(crate) text: Option<String>,
}
