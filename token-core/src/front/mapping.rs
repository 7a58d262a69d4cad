//! Where an issuer writes scopes, roles and permissions, and which scope implies which.
//!
//! A [`ClaimMapping`] is set per issuer with [`Issuer::mapping`](crate::Issuer::mapping): it says by [`ClaimPath`] where grants stand
//! in the claims, and by [`GrantShape`] how they are written. [`Implications`] say that a scope brings others with it.

pub use crate::answer::implications::Implications;
pub use crate::token::mapping::{ClaimMapping, ClaimPath, GrantShape, GrantSource};
