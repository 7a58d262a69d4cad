//! What a [`Rule`](crate::Rule) may ask for beside scopes and roles: how the user signed in (RFC 9470), authorization details (RFC 9396).

#[doc(inline)]
pub use crate::answer::challenge::ScopeChallenge;
#[doc(inline)]
pub use crate::token::authentication::Authentication;
#[doc(inline)]
pub use crate::token::authorization_details::{AuthorizationDetail, AuthorizationDetails, DetailRule};
