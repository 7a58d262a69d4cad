//! Tokens of identity providers: for which user, from which provider, sent to which hosts. Three implementations of one
//! trait.

mod broker;
mod identities;
mod provider;
mod vault;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Uri};
use token_core::http::BoxFuture;
use token_core::{Timestamp, Verified};

use crate::error::{TokenError, TokenErrorKind};
use crate::secret::RefreshToken;
use crate::token::Token;

pub use broker::KeycloakBroker;
pub use identities::Auth0Identities;
pub use provider::{Facebook, GitHub, Google, Microsoft, Provider};
pub use vault::Auth0TokenVault;

/// The user whose account at an identity provider is meant. Which members are required depends on the implementation.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct FederatedUser<'a> {
    subject: Option<&'a str>,
    access_token: Option<Secretly<'a>>,
    refresh_token: Option<&'a RefreshToken>,
}

#[derive(Clone, Copy)]
struct Secretly<'a>(&'a str);

impl fmt::Debug for Secretly<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl<'a> FederatedUser<'a> {
    /// The caller of a request: the subject and the text of the verified token.
    #[must_use]
    pub fn caller(verified: &'a Verified) -> Self {
        Self { subject: verified.subject(), access_token: verified.token().map(Secretly), refresh_token: None }
    }

    /// A user of whom only the subject identifier is known.
    #[must_use]
    pub fn subject(subject: &'a str) -> Self {
        Self { subject: Some(subject), ..Self::default() }
    }

    /// A user whose refresh token is known.
    #[must_use]
    pub fn refresh_token(token: &'a RefreshToken) -> Self {
        Self { refresh_token: Some(token), ..Self::default() }
    }

    /// A user whose access token is known.
    #[must_use]
    pub fn access_token(token: &'a str) -> Self {
        Self { access_token: Some(Secretly(token)), ..Self::default() }
    }
}

/// A source of identity providers' tokens.
pub trait FederatedTokens: fmt::Debug + Send + Sync + 'static {
    /// Obtains the token of `user` at the provider with the name `provider` ([`Provider::NAME`]).
    ///
    /// # Errors
    /// [`TokenErrorKind::NeedsConnection`] with the connection's name if the user has not connected such an account;
    /// otherwise see [`Fault`](crate::Fault).
    fn obtain<'a>(&'a self, user: FederatedUser<'a>, provider: &'a str) -> BoxFuture<'a, Result<Token, TokenError>>;
}

/// Obtains identity providers' tokens, each as a type of its own. Cheap to clone.
///
/// Nothing is cached here: the authorization server stores and renews the provider's token.
///
/// ```no_run
/// # use token_client::{FederatedSource, FederatedTokens, FederatedUser, Google};
/// # async fn example(way: impl FederatedTokens) -> Result<(), token_client::TokenError> {
/// let source = FederatedSource::new(way);
/// let token = source.obtain::<Google>(FederatedUser::subject("auth0|17")).await?;
/// let mut request = http::Request::get("https://www.googleapis.com/calendar/v3/users/me/calendarList").body(()).unwrap();
/// token.authorize(&mut request)?; // an error for any other host
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct FederatedSource(Arc<dyn FederatedTokens>);

impl FederatedSource {
    /// Uses this source of tokens.
    #[must_use]
    pub fn new(way: impl FederatedTokens) -> Self {
        Self(Arc::new(way))
    }

    /// Obtains the token of `user` at the provider `P`.
    ///
    /// # Errors
    /// As for [`FederatedTokens::obtain`].
    pub async fn obtain<P: Provider>(&self, user: FederatedUser<'_>) -> Result<Federated<P>, TokenError> {
        Ok(Federated(self.0.obtain(user, P::NAME).await?, PhantomData))
    }
}

/// A token of the identity provider `P`. It can only be sent to that provider's hosts: its text is not accessible.
pub struct Federated<P>(Token, PhantomData<fn() -> P>);

impl<P: Provider> Federated<P> {
    /// The hosts to which it may be sent. A name that begins with a dot includes all its subdomains.
    #[must_use]
    pub fn hosts(&self) -> &'static [&'static str] {
        P::HOSTS
    }

    /// The `Authorization` header for a request to this URI.
    ///
    /// # Errors
    /// [`TokenErrorKind::WrongHost`] for any other host, and for plain http to anything but loopback.
    pub fn header_for(&self, uri: &Uri) -> Result<HeaderValue, TokenError> {
        if is_for(P::HOSTS, uri) {
            return Ok(self.0.header());
        }
        Err(TokenError::new(
            TokenErrorKind::WrongHost,
            format!("a token of {} is sent to https at its own hosts only", P::NAME),
        ))
    }

    /// Adds the token to a request.
    ///
    /// # Errors
    /// As for [`header_for`](Self::header_for); the request is then unchanged.
    pub fn authorize<B>(&self, request: &mut Request<B>) -> Result<(), TokenError> {
        let header = self.header_for(request.uri())?;
        request.headers_mut().insert(AUTHORIZATION, header);
        Ok(())
    }

    /// When the token expires, if known.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.0.expires_at()
    }

    /// The scopes that the user granted, if known.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.0.scope()
    }
}

fn is_for(hosts: &[&str], uri: &Uri) -> bool {
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return false };
    let host = authority.host();
    let loopback = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    let default_port = authority.port_u16().is_none_or(|port| port == 443);
    let transport = (scheme == "https" && default_port) || (scheme == "http" && loopback);
    let listed = hosts.iter().any(|listed| match listed.strip_prefix('.') {
        Some(parent) => {
            host.len() > listed.len()
                && host.get(host.len() - parent.len()..).is_some_and(|end| end.eq_ignore_ascii_case(parent))
                && host.as_bytes()[host.len() - listed.len()] == b'.'
        }
        None => host.eq_ignore_ascii_case(listed),
    });
    transport && listed && !authority.as_str().contains('@')
}

impl<P> Clone for Federated<P> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<P> fmt::Debug for Federated<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Federated<{}>({:?})", std::any::type_name::<P>(), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_to_its_providers_hosts_over_https_and_nowhere_else() {
        let token = Federated::<Google>(Token::bearer("canary", None).unwrap(), PhantomData);
        for (url, allowed) in [
            ("https://www.googleapis.com/calendar/v3", true),
            ("https://WWW.googleapis.COM/", true),
            ("https://gmail.googleapis.com:443/", true),
            ("https://googleapis.com/", false),
            ("https://evilgoogleapis.com/", false),
            ("https://.googleapis.com/", false),
            ("https://googleapis.com.evil.example/", false),
            ("https://www.googleapis.com@evil.example/", false),
            ("https://x@www.googleapis.com/", false),
            ("https://www.googleapis.com:8443/", false),
            ("http://www.googleapis.com/", false),
            ("https://api.github.com/", false),
            ("/calendar", false),
        ] {
            let Ok(uri) = url.parse::<Uri>() else {
                assert!(!allowed, "{url}");
                continue;
            };
            let mut request = Request::get(uri).body(()).unwrap();
            let outcome = token.authorize(&mut request).map_err(|error| error.kind());
            assert_eq!(outcome, if allowed { Ok(()) } else { Err(TokenErrorKind::WrongHost) }, "{url}");
            assert_eq!(request.headers().contains_key(AUTHORIZATION), allowed, "{url}");
        }
        assert!(!format!("{token:?}").contains("canary"));
    }
}
