//! The token of a request's caller in, a token for the next service out (RFC 8693, RFC 7523), cached while both are
//! valid.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use token_core::http::BoxFuture;
use token_core::{Timestamp, Verified};

use crate::acquire::Acquire;
use crate::cells::Cells;
use crate::client::TokenClient;
use crate::error::TokenError;
use crate::error::misconfigured;
use crate::flight::{Cell, Fetch, GRACE};
use crate::grant::TokenRequest;
use crate::identity::ClientIdentity;
use crate::secret::Assertion;
use crate::source::{CachedSource, TokenSource};
use crate::telemetry::Asks;
use crate::token::Token;
use crate::token_type::TokenType;

/// A service that is called on behalf of users, as a type, so that a handler's signature says which service it calls.
///
/// ```
/// struct Billing;
/// impl token_client::Downstream for Billing {
///     const AUDIENCE: &'static str = "https://billing.example.com";
///     const SCOPE: &'static str = "read:invoices";
/// }
/// ```
pub trait Downstream: Send + Sync + 'static {
    /// The requested audience. Empty: none, for servers such as Entra where the scopes name the service.
    const AUDIENCE: &'static str;
    /// The requested scopes, separated by spaces. Empty: the server decides.
    const SCOPE: &'static str = "";
}

/// Exchanges callers' tokens for tokens of the service `D`. Cheap to clone; clones share the cache.
///
/// Each caller's token is exchanged once, however many requests use it, and the result is never used longer than that
/// token is valid. At most 10 000 results are kept.
///
/// ```no_run
/// # use token_client::{Delegation, Downstream, TokenClient, TokenRequest};
/// # struct Billing;
/// # impl Downstream for Billing { const AUDIENCE: &'static str = "https://billing.example.com"; }
/// # fn example(client: TokenClient) {
/// let ourselves = client.source(TokenRequest::client_credentials());
/// let billing = Delegation::<Billing>::exchange(client).actor(ourselves);
/// # }
/// ```
pub struct Delegation<D>(Arc<Inner>, PhantomData<fn() -> D>);

type Shape = dyn Fn(TokenRequest) -> TokenRequest + Send + Sync;

#[derive(Clone)]
struct Inner {
    client: TokenClient,
    style: Style,
    shape: Option<Arc<Shape>>,
    actor: Option<Arc<dyn TokenSource>>,
    cells: Arc<Cells>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Exchange,
    OnBehalfOf,
}

impl<D: Downstream> Delegation<D> {
    /// Uses token exchange (RFC 8693), with the caller's access token as `subject_token`.
    #[must_use]
    pub fn exchange(client: TokenClient) -> Self {
        Self::new(client, Style::Exchange)
    }

    /// Uses Entra's on-behalf-of flow (RFC 7523 with `requested_token_use`).
    #[must_use]
    pub fn on_behalf_of(client: TokenClient) -> Self {
        Self::new(client, Style::OnBehalfOf)
    }

    fn new(client: TokenClient, style: Style) -> Self {
        let cells = Arc::new(Cells::new());
        Self(Arc::new(Inner { client, style, shape: None, actor: None, cells }), PhantomData)
    }

    /// Sends our own token as the actor of the exchange, so that the service sees both user and actor. Has no effect
    /// with [`on_behalf_of`](Self::on_behalf_of).
    #[must_use]
    pub fn actor(self, source: impl TokenSource) -> Self {
        self.change(|inner| inner.actor = Some(Arc::new(source)))
    }

    /// Changes each request before it is sent, for example to add a resource, a requested type or a tenant.
    #[must_use]
    pub fn shape(self, shape: impl Fn(TokenRequest) -> TokenRequest + Send + Sync + 'static) -> Self {
        self.change(|inner| inner.shape = Some(Arc::new(shape)))
    }

    fn change(self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = (*self.0).clone();
        // Other settings, other tokens.
        inner.cells = Arc::new(Cells::new());
        change(&mut inner);
        Self(Arc::new(inner), PhantomData)
    }

    /// Obtains a token for `D` on behalf of a verified caller.
    ///
    /// # Errors
    /// [`Misconfigured`](crate::TokenErrorKind::Misconfigured) if the resource server does not keep tokens; otherwise
    /// the error of the token endpoint, which is reused for a short time.
    pub async fn for_caller(&self, caller: &Verified) -> Result<Delegated<D>, TokenError> {
        let Some(text) = caller.token() else {
            return Err(misconfigured(
                "the resource server keeps no tokens, and one is needed to call on behalf of its bearer",
            ));
        };
        self.for_token(text, caller.expires_at()).await
    }

    /// Like [`for_caller`](Self::for_caller), for a token that was verified elsewhere and is valid until `expires_at`.
    ///
    /// # Errors
    /// As for [`for_caller`](Self::for_caller).
    pub async fn for_token(&self, text: &str, expires_at: Option<Timestamp>) -> Result<Delegated<D>, TokenError> {
        self.cell(text, expires_at).ask().await.map(|token| Delegated(token, PhantomData))
    }

    /// A source of tokens for `D` on behalf of one caller, for use with a [`BearerLayer`](crate::BearerLayer).
    #[must_use]
    pub fn source(&self, text: &str, expires_at: Option<Timestamp>) -> DelegatedSource {
        DelegatedSource(CachedSource::of(self.cell(text, expires_at), self.0.client.identity().cloned()))
    }

    fn cell(&self, text: &str, expires_at: Option<Timestamp>) -> Arc<Cell> {
        let inner = &self.0;
        let subject = Assertion::new(text);
        let mut request = match inner.style {
            Style::Exchange => TokenRequest::exchange(subject, TokenType::ACCESS_TOKEN),
            Style::OnBehalfOf => TokenRequest::on_behalf_of(subject),
        };
        if !D::AUDIENCE.is_empty() {
            request = request.audience(D::AUDIENCE);
        }
        let request = request.scope(D::SCOPE);
        let request = match &inner.shape {
            Some(shape) => shape(request),
            None => request,
        };
        // The actor is the same for all of them, whatever its token is today: it needs no place in the key.
        inner.cells.get(inner.client.cache_key(&request), || {
            let exchange =
                Exchange { client: inner.client.clone(), request, actor: inner.actor.clone(), cap: expires_at };
            Cell::new(exchange, Arc::clone(inner.client.clock()), inner.client.renewal().clone())
        })
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("client", &self.client)
            .field("style", &self.style)
            .field("actor", &self.actor)
            .field("cells", &self.cells)
            .finish_non_exhaustive()
    }
}

impl<D> Clone for Delegation<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0), PhantomData)
    }
}

impl<D> fmt::Debug for Delegation<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delegation<{}>({:?})", std::any::type_name::<D>(), self.0)
    }
}

/// A token for the service `D` on behalf of a caller.
pub struct Delegated<D>(Token, PhantomData<fn() -> D>);

impl<D> Delegated<D> {
    /// The token.
    #[must_use]
    pub fn into_token(self) -> Token {
        self.0
    }
}

impl<D> Deref for Delegated<D> {
    type Target = Token;

    fn deref(&self) -> &Token {
        &self.0
    }
}

impl<D> Clone for Delegated<D> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<D> fmt::Debug for Delegated<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delegated<{}>({:?})", std::any::type_name::<D>(), self.0)
    }
}

/// A source of tokens for one service on behalf of one caller.
#[derive(Clone, Debug)]
pub struct DelegatedSource(CachedSource);

impl TokenSource for DelegatedSource {
    fn token(&self) -> Acquire<'_> {
        self.0.token()
    }

    fn renew(&self, refused: &Token) -> Acquire<'_> {
        self.0.renew(refused)
    }

    fn identity(&self) -> Option<&ClientIdentity> {
        self.0.identity()
    }
}

#[derive(Debug)]
struct Exchange {
    client: TokenClient,
    request: TokenRequest,
    actor: Option<Arc<dyn TokenSource>>,
    cap: Option<Timestamp>,
}

impl Fetch for Exchange {
    fn fetch(&self, _: Option<Token>) -> BoxFuture<'_, Result<Token, TokenError>> {
        Box::pin(async {
            let mut request = self.request.clone();
            if let Some(actor) = &self.actor {
                let token = actor.token().await?;
                request = request.actor(token.access_token().clone(), TokenType::ACCESS_TOKEN);
            }
            Token::issued(self.client.obtain(&request).await?, self.cap, self.client.prover())
        })
    }

    fn patience(&self) -> Option<Duration> {
        // The actor's own token may have to be asked for first, for as long as its source takes.
        self.actor.is_none().then(|| self.client.longest().saturating_add(GRACE))
    }

    fn asks(&self) -> Asks<'_> {
        Asks { client: self.client.client_id(), grant: self.request.grant_name() }
    }
}
