//! What every grant shares: how long its tokens live, the scopes a client gets, the resources it may name.

use std::time::Duration;

use url::Url;

use super::oauth_error::OAuthError;
use crate::client::Client;

pub(super) const LIFE: Duration = Duration::from_secs(3600);

/// RFC 8707 section 2: an absolute URI without a fragment.
pub(super) fn check_resource(resource: &str) -> Result<(), OAuthError> {
    match Url::parse(resource) {
        Ok(url) if url.fragment().is_none() => Ok(()),
        _ => Err(OAuthError::invalid_target()),
    }
}

/// The scope that the client gets: what it asks for, when it may; all that it may have, when it asks for nothing.
pub(super) fn granted(client: &Client, asked: Option<&str>) -> Result<String, OAuthError> {
    let Some(asked) = asked else {
        return Ok(client.scopes.as_ref().map(|scopes| scopes.join(" ")).unwrap_or_default());
    };
    // RFC 6749 section 3.3: printable ASCII but for the quote and the backslash.
    let well_formed =
        |scope: &str| !scope.is_empty() && scope.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    let may_have =
        |scope: &str| client.scopes.as_ref().is_none_or(|scopes| scopes.iter().any(|allowed| allowed == scope));
    if asked.split(' ').all(|scope| well_formed(scope) && may_have(scope)) {
        Ok(asked.to_owned())
    } else {
        Err(OAuthError::invalid_scope())
    }
}
