//! Ending tokens and sessions before they expire: deny-lists, eviction of cached answers, and logout tokens (OpenID Connect Back-Channel Logout 1.0).
//!
//! A JWT is good until its `exp` unless somebody says otherwise. [`Deny`] names what is denied: one token by its `jti`, a session, or all tokens of a
//! subject issued before a moment. A [`DenyList`] holds it, in memory or shared; [`WhenUnreachable`] says what happens when it cannot be asked.
//! A [`LogoutEndpoint`] takes the issuer's word that a session has ended and writes it there.
//!
//! Many instances share a list either by asking it on each request, or by [following](followed) it: each holds it whole in memory.
//!
//! Where the issuer publishes the status of its JWTs in lists, [`StatusLists`] looks them up.
//!
//! An [`Evict`] forgets cached answers about opaque tokens, so that the next request asks the endpoint anew.

pub use crate::gate::logout::{Logout, LogoutAnswer, LogoutEndpoint, LogoutVerifier};
pub use crate::opaque::status_lists::StatusLists;
pub use crate::stores::deny_list::{Deny, DenyList, DenyLookup, WhenUnreachable};
pub use crate::stores::evict::{Evict, LocalCaches};
pub use crate::stores::memory_deny_list::MemoryDenyList;
pub use crate::token::marks::Marks;

pub mod followed {
    //! A deny-list that this process holds whole and keeps up with others: a million entries in memory, and no question per request.
    //!
    //! `token-redis` makes one that follows Redis or Valkey. Another log is an implementation of [`ChangeLog`], and a task that reads it and
    //! drives a [`Follower`].

    pub use crate::stores::followed::{
        Change, ChangeLog, DenyEntry, EvictDigest, FollowedDenyList, FollowedSettings, FollowedState, Follower, Mark,
        Next, Place, Position,
    };
}
