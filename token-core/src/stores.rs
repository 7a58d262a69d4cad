//! What outlives one request and may be shared by many instances: deny-lists, answers of endpoints, tokens that are good once.
//!
//! Each store is a small trait with an implementation in memory; `token-redis` shares them between instances. Deny-lists are on the page
//! [`revocation`](crate::revocation).

mod answers;
pub(crate) mod deny_list;
mod dropped;
pub(crate) mod evict;
pub(crate) mod followed;
mod memory_answers;
pub(crate) mod memory_deny_list;
mod replay;
mod tickets;
mod token_cache_settings;

use std::fmt;

pub(crate) use answers::NameMark;
pub use answers::{AnswerKey, AnswerStore, AnswerTag, StoredAnswer};
pub(crate) use deny_list::{Deny, DenyList, DenyLookup, WhenUnreachable};
pub(crate) use evict::{Evict, LocalCaches, Named, Told, What};
pub use memory_answers::MemoryAnswers;
pub use replay::{FirstTime, MemoryReplays, ReplayMemory};
pub use tickets::{MemoryTickets, TicketStore};
pub use token_cache_settings::TokenCacheSettings;

/// A store could not do what it was asked. The text is for the operator; it holds no token and no claim.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// The store does not answer, or not with what was expected.
    Unreachable(String),
    /// There is no room: forgetting an older entry would let a denied token in.
    Full {
        /// How many entries there is room for.
        capacity: usize,
    },
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "the store is out of reach: {why}"),
            Self::Full { capacity } => write!(f, "the store is full: it has room for {capacity} entries"),
        }
    }
}

impl std::error::Error for StoreError {}
