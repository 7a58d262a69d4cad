//! Ending tokens and sessions before they expire: deny-lists, eviction of cached answers, and logout tokens (OpenID Connect Back-Channel Logout 1.0).
//!
//! A JWT is good until its `exp` unless somebody says otherwise. [`Deny`] names what is denied: one token by its `jti`, a session, or all tokens of a
//! subject issued before a moment. A [`DenyList`] holds it, in memory or shared; [`WhenUnreachable`] says what happens when it cannot be asked.
//! A [`LogoutEndpoint`] takes the issuer's word that a session has ended and writes it there.
//!
//! An [`Evict`] forgets cached answers about opaque tokens, so that the next request asks the endpoint anew.

pub use crate::gate::logout::{Logout, LogoutAnswer, LogoutEndpoint, LogoutVerifier};
pub use crate::stores::deny_list::{Deny, DenyList, DenyLookup, WhenUnreachable};
pub use crate::stores::evict::Evict;
pub use crate::stores::memory_deny_list::MemoryDenyList;
pub use crate::token::marks::Marks;
