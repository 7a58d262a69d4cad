//! Where a sender gets its tokens: an object-safe trait, and the source that caches the token of one request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use token_core::http::BoxFuture;

use crate::acquire::Acquire;
use crate::client::TokenClient;
use crate::error::TokenError;
use crate::flight::{Cell, Fetch, GRACE};
use crate::grant::TokenRequest;
use crate::identity::ClientIdentity;
use crate::telemetry::Asks;
use crate::token::Token;

/// Provides a valid token whenever one is needed.
///
/// Implementations cache: a call is cheap while the token is valid, and concurrent calls without one share a single request to the server.
pub trait TokenSource: fmt::Debug + Send + Sync + 'static {
    /// A token that is valid now.
    ///
    /// The future may fail with any [`TokenError`]. After a failure, calls fail at once for a short time before the server is asked again.
    fn token(&self) -> Acquire<'_>;

    /// A token to use after `refused` was answered with 401. The call starts the renewal, so the future may be dropped.
    ///
    /// The result equals `refused` if the source has no other token or renewed it moments ago. Then do not send the request again.
    fn renew(&self, refused: &Token) -> Acquire<'_>;

    /// The client certificate to use where the tokens are sent, if they may be bound to one (RFC 8705 section 3).
    fn identity(&self) -> Option<&ClientIdentity> {
        None
    }
}

impl<S: TokenSource + ?Sized> TokenSource for Arc<S> {
    fn token(&self) -> Acquire<'_> {
        (**self).token()
    }

    fn renew(&self, refused: &Token) -> Acquire<'_> {
        (**self).renew(refused)
    }

    fn identity(&self) -> Option<&ClientIdentity> {
        (**self).identity()
    }
}

/// Caches the token of one request and renews it in the background before it expires. Made by [`TokenClient::source`].
///
/// Not for grants that can be used once (an authorization code, a refresh token): for those there is [`RefreshSource`](crate::RefreshSource).
#[derive(Clone, Debug)]
pub struct CachedSource {
    cell: Arc<Cell>,
    identity: Option<ClientIdentity>,
}

impl TokenClient {
    /// A source that caches the token for this request and renews it before it expires.
    #[must_use]
    pub fn source(&self, request: TokenRequest) -> CachedSource {
        CachedSource::new(self.clone(), request)
    }
}

impl CachedSource {
    pub(crate) fn new(client: TokenClient, request: TokenRequest) -> Self {
        let (clock, renewal) = (Arc::clone(client.clock()), client.renewal().clone());
        let identity = client.identity().cloned();
        Self::of(Cell::new(Ask { client, request }, clock, renewal), identity)
    }

    /// The tokens of this cell, sent with this certificate.
    pub(crate) fn of(cell: Arc<Cell>, identity: Option<ClientIdentity>) -> Self {
        Self { cell, identity }
    }

    /// Forgets the token, for example because its key was compromised.
    pub fn clear(&self) {
        self.cell.clear();
    }
}

impl TokenSource for CachedSource {
    fn token(&self) -> Acquire<'_> {
        self.cell.ask()
    }

    fn renew(&self, refused: &Token) -> Acquire<'_> {
        self.cell.ask_again(refused)
    }

    fn identity(&self) -> Option<&ClientIdentity> {
        self.identity.as_ref()
    }
}

#[derive(Debug)]
struct Ask {
    client: TokenClient,
    request: TokenRequest,
}

impl Fetch for Ask {
    fn fetch(&self, _: Option<Token>) -> BoxFuture<'_, Result<Token, TokenError>> {
        Box::pin(async {
            if self.request.is_single_use() {
                return Err(crate::error::misconfigured("a grant that is spent by its use cannot be asked for again"));
            }
            self.client.token(self.client.obtain(&self.request).await?)
        })
    }

    fn patience(&self) -> Option<Duration> {
        Some(self.client.longest().saturating_add(GRACE))
    }

    fn asks(&self) -> Asks<'_> {
        Asks { client: self.client.client_id(), grant: self.request.grant_name() }
    }
}

/// A token that never changes: for tests, or for tokens that are managed elsewhere.
#[derive(Clone, Debug)]
pub struct FixedSource(Token);

impl FixedSource {
    /// A source that always returns this token.
    #[must_use]
    pub fn new(token: Token) -> Self {
        Self(token)
    }
}

impl TokenSource for FixedSource {
    fn token(&self) -> Acquire<'_> {
        Acquire::ready(Ok(self.0.clone()))
    }

    fn renew(&self, _: &Token) -> Acquire<'_> {
        Acquire::ready(Ok(self.0.clone()))
    }
}
