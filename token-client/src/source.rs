//! Where a sender gets its token from: an object-safe trait, and the source that remembers one token of one request.

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

/// A token whenever one is needed.
///
/// Implementations remember: asking is cheap while a token is good, and however many ask while there is none, the server is asked once.
pub trait TokenSource: fmt::Debug + Send + Sync + 'static {
    /// A token that is good now.
    ///
    /// The future fails with any [`TokenError`]; failures are remembered for a short back-off only.
    fn token(&self) -> Acquire<'_>;

    /// A token to send after `refused` was answered with 401. It is the same token where the source has no other one
    /// or was asked for one only moments ago: then there is no use in sending it again. The call itself sets the renewal off: the
    /// future may be dropped.
    fn renew(&self, refused: &Token) -> Acquire<'_>;

    /// The certificate that has to be shown where the tokens are sent to, if they may be bound to one (RFC 8705 section 3).
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

/// The token of one request, remembered: renewed early and in the background, by a task that no caller owns.
///
/// A single-use grant (a code, a refresh token) does not belong here: see [`RefreshSource`](crate::RefreshSource).
#[derive(Clone, Debug)]
pub struct CachedSource {
    cell: Arc<Cell>,
    identity: Option<ClientIdentity>,
}

impl TokenClient {
    /// A source of the token this request asks for: cached, renewed early, asked for once however many want it.
    #[must_use]
    pub fn source(&self, request: TokenRequest) -> CachedSource {
        CachedSource::new(self.clone(), request)
    }
}

impl CachedSource {
    pub(crate) fn new(client: TokenClient, request: TokenRequest) -> Self {
        let (clock, renewal) = (Arc::clone(client.clock()), client.renewal().clone());
        let identity = client.identity().cloned();
        Self { cell: Cell::new(Ask { client, request }, clock, renewal), identity }
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

/// One token that never changes: for a test, or for a token that somebody else looks after.
#[derive(Clone, Debug)]
pub struct FixedSource(Token);

impl FixedSource {
    /// A source of this token.
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
