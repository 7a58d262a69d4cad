//! A stored refresh token in, access tokens out, renewed by one process at a time (RFC 6749 section 6, RFC 9700 section
//! 4.14.2).

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use token_core::http::BoxFuture;
use token_core::{Clock, Timestamp, stores::StoreError};

use crate::acquire::Acquire;
use crate::client::TokenClient;
use crate::error::misconfigured;
use crate::error::{Fault, TokenError, TokenErrorKind};
use crate::flight::{Cell, Fetch};
use crate::grant::TokenRequest;
use crate::identity::ClientIdentity;
use crate::random;
use crate::record::{Access, Record};
use crate::response::TokenResponse;
use crate::secret::{AccessToken, IdToken, RefreshToken};
use crate::source::TokenSource;
use crate::store::SwapStore;
use crate::sync::{Instant, Mutex, MutexGuard, sleep};
use crate::telemetry::Asks;
use crate::token::Token;

/// How long one process may hold a claim on a record; three times the longest request, if that is more.
const CLAIM: Duration = Duration::from_secs(30);

/// Is told of every rotation, before anyone gets the access token that came with it.
pub trait OnRotate: fmt::Debug + Send + Sync + 'static {
    /// Called when `new` has replaced `old`, which is used up. Nobody gets the new access token until this succeeds; it
    /// is retried.
    ///
    /// # Errors
    /// [`StoreError`] if the new token could not be saved.
    fn rotated<'a>(&'a self, old: &'a RefreshToken, new: &'a RefreshToken) -> BoxFuture<'a, Result<(), StoreError>>;
}

/// The access tokens of one user's grant, renewed with a refresh token that lives in a [`SwapStore`].
///
/// Any number of processes may have a source for the same record. One of them claims the record, sends the request and
/// writes the result; the others wait, and take the access token from the record. So a used refresh token is never sent
/// again. A claim lasts 30 s, or three times the client's timeout if that is longer; the clocks of the processes must
/// agree within a few seconds.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use token_client::{MemoryStore, RefreshSource, TokenClient, TokenResponse, TokenSource};
/// # async fn example(client: TokenClient, signed_in: TokenResponse) -> Result<(), Box<dyn std::error::Error>> {
/// let store = Arc::new(MemoryStore::new());
/// let source = RefreshSource::builder(client, store, "session 17").build();
/// source.sign_in(&signed_in).await?;
/// let token = source.token().await?;
/// # let _ = token; Ok(()) }
/// ```
///
/// # Errors
/// A public client's refresh token is bound to its [`DpopKey`](crate::DpopKey) (RFC 9449 section 5), and the record
/// says to which one. A process with another key, or none, gets [`TokenErrorKind::Misconfigured`] and sends nothing.
/// Give all processes the same key.
///
/// `invalid_grant` is [terminal](Fault::Terminal): the record is marked as used up until a new
/// [`sign_in`](Self::sign_in). After a network error it is unknown whether the server has used the token; it is sent
/// again.
#[derive(Clone, Debug)]
pub struct RefreshSource {
    cell: Arc<Cell>,
    renewer: Arc<Renewer>,
}

impl RefreshSource {
    /// Settings for a source with the record of this name.
    pub fn builder(client: TokenClient, store: Arc<dyn SwapStore>, name: impl Into<String>) -> RefreshSourceBuilder {
        RefreshSourceBuilder { client, store, name: name.into(), shape: TokenRequest::refresh(""), on_rotate: None }
    }

    /// Stores the tokens of a new sign-in, replacing the previous record. Storing the refresh token that is already in the record
    /// changes nothing: a process that is renewing with it goes on.
    ///
    /// # Errors
    /// [`TokenErrorKind::Misconfigured`] if there is no refresh token among them; [`TokenErrorKind::Store`].
    pub async fn sign_in(&self, tokens: &TokenResponse) -> Result<(), TokenError> {
        let Some(refresh_token) = &tokens.refresh_token else {
            return Err(misconfigured("the sign-in brought no refresh token; was offline_access among its scopes?"));
        };
        self.put(refresh_token, tokens.dpop_bound).await
    }

    /// Stores a refresh token obtained in another way. It is taken to be bound to the client's proof key if the client
    /// is public and has one.
    ///
    /// # Errors
    /// [`TokenErrorKind::Store`].
    pub async fn keep(&self, refresh_token: &RefreshToken) -> Result<(), TokenError> {
        self.put(refresh_token, true).await
    }

    async fn put(&self, refresh_token: &RefreshToken, bound: bool) -> Result<(), TokenError> {
        let jkt = self.renewer.jkt().filter(|_| bound);
        self.replace(Some((refresh_token, jkt))).await
    }

    /// However it ends, also where it is dropped: whoever asks next goes by what stands in the store.
    async fn replace(&self, refresh_token: Option<(&RefreshToken, Option<String>)>) -> Result<(), TokenError> {
        let _forgets = Forgets(&self.cell);
        self.renewer.replace(refresh_token).await
    }

    /// Removes the record from the store, as at a sign-out. The server is not told; see [`TokenClient::revoke`]. Other
    /// processes use the access token they hold until it expires.
    ///
    /// # Errors
    /// [`TokenErrorKind::Store`].
    pub async fn forget(&self) -> Result<(), TokenError> {
        self.replace(None).await
    }
}

/// Forgets the access token when it is dropped.
struct Forgets<'a>(&'a Cell);

impl Drop for Forgets<'_> {
    fn drop(&mut self) {
        self.0.clear();
    }
}

impl TokenSource for RefreshSource {
    fn token(&self) -> Acquire<'_> {
        self.cell.ask()
    }

    fn renew(&self, refused: &Token) -> Acquire<'_> {
        self.cell.ask_again(refused)
    }

    fn identity(&self) -> Option<&ClientIdentity> {
        self.renewer.client.identity()
    }
}

/// The settings of a [`RefreshSource`].
#[must_use]
pub struct RefreshSourceBuilder {
    client: TokenClient,
    store: Arc<dyn SwapStore>,
    name: String,
    shape: TokenRequest,
    on_rotate: Option<Arc<dyn OnRotate>>,
}

// The name may be that of a session: whoever knows it should not have it from a log.
impl fmt::Debug for RefreshSourceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshSourceBuilder")
            .field("client", &self.client)
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}

impl RefreshSourceBuilder {
    /// Sets what the refresh request contains besides the grant: scopes, an audience, a resource.
    pub fn shape(mut self, shape: impl FnOnce(TokenRequest) -> TokenRequest) -> Self {
        self.shape = shape(self.shape);
        self
    }

    /// Sets a hook that is told of every rotation, after the store was updated and before the new token is used.
    pub fn on_rotate(mut self, hook: impl OnRotate) -> Self {
        self.on_rotate = Some(Arc::new(hook));
        self
    }

    /// Builds the source. Nothing is read yet.
    pub fn build(self) -> RefreshSource {
        let (clock, settings) = (Arc::clone(self.client.clock()), self.client.renewal().clone());
        let key = self.client.cache_key(&self.shape);
        let renewer = Arc::new(Renewer {
            shape_name: key.iter().take(16).map(|byte| format!("{byte:02x}")).collect(),
            claim: CLAIM.max(self.client.timeout().saturating_mul(3)),
            client: self.client,
            store: self.store,
            name: self.name,
            shape: self.shape,
            on_rotate: self.on_rotate,
            unwritten: Mutex::default(),
            unreported: Mutex::default(),
        });
        RefreshSource { cell: Cell::new(Arc::clone(&renewer), clock, settings), renewer }
    }
}

struct Renewer {
    client: TokenClient,
    store: Arc<dyn SwapStore>,
    name: String,
    shape: TokenRequest,
    shape_name: String,
    claim: Duration,
    on_rotate: Option<Arc<dyn OnRotate>>,
    /// Results of refreshes that could not be written yet. They are written first the next time. There are several only if
    /// somebody signed in during a refresh.
    unwritten: Mutex<Vec<Unwritten>>,
    /// A rotation that the hook has not accepted yet.
    unreported: Mutex<Option<(RefreshToken, RefreshToken)>>,
}

#[derive(Clone)]
struct Unwritten {
    claimed: Record,
    renewed: Record,
}

/// One step on the way to a token.
enum Step {
    Done(Token),
    Again,
    Wait,
}

impl Renewer {
    async fn renew(&self, refused: Option<&Token>) -> Result<Token, TokenError> {
        let deadline = Instant::now() + self.claim + Duration::from_secs(5);
        let mut pause = Duration::from_millis(20);
        loop {
            match self.step(refused).await? {
                Step::Done(token) => {
                    self.report().await?;
                    return Ok(token);
                }
                Step::Again => {}
                Step::Wait => {
                    sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_millis(320));
                }
            }
            if Instant::now() > deadline {
                let detail = "another process keeps the refresh token claimed";
                return Err(TokenError::new(TokenErrorKind::Store, detail));
            }
        }
    }

    async fn step(&self, refused: Option<&Token>) -> Result<Step, TokenError> {
        self.write_what_is_unwritten().await?;
        let Some((bytes, record)) = self.load().await? else {
            return Err(gone("there is no refresh token in the store; the user has to sign in"));
        };
        if record.spent {
            return Err(gone("the refresh token was refused before; the user has to sign in"));
        }
        if record.jkt.is_some() && record.jkt != self.jkt() {
            return Err(misconfigured(
                "the refresh token is bound to another DPoP key than this client's; hand all processes the same key, as PEM",
            ));
        }
        let now = self.clock().now();
        if let Some(access) = &record.access
            && access.shape == self.shape_name
            && is_fresh(access, now)
            && refused.is_none_or(|refused| refused.expose() != access.token)
        {
            return self.token(access).map(Step::Done);
        }
        if record.claimed_at(now) {
            return Ok(Step::Wait);
        }
        let until = now.saturating_add(self.claim);
        let claimed = record.claimed(&random::text::<12>()?, until);
        if !self.swap(Some(&bytes), Some(&claimed.to_bytes())).await? {
            return Ok(Step::Again);
        }
        // A process that was stopped in between must not use a claim that has become somebody else's.
        if self.clock().now() >= now.saturating_add(self.claim / 2) {
            self.swap(Some(&claimed.to_bytes()), Some(&claimed.released().to_bytes())).await?;
            return Ok(Step::Again);
        }
        self.refresh(claimed).await.map(Step::Done)
    }

    /// Refreshes while holding the claim: sends the request, writes the result, and only then returns the token.
    async fn refresh(&self, claimed: Record) -> Result<Token, TokenError> {
        let request = self.shape.with_refresh_token(&claimed.refresh_token);
        match self.client.obtain(&request).await {
            Ok(response) => {
                let jkt = self.jkt().filter(|_| response.dpop_bound);
                let renewed = claimed.renewed(&response, &self.shape_name, jkt, self.clock().now());
                self.unwritten().push(Unwritten { claimed, renewed });
                self.write_what_is_unwritten().await?;
                self.client.token(response)
            }
            Err(error) => {
                let next = match error.fault() {
                    Fault::Terminal => claimed.spent(),
                    _ => claimed.released(),
                };
                // If the store does not take it, the claim ends by itself.
                if let Err(trouble) = self.swap(Some(&claimed.to_bytes()), Some(&next.to_bytes())).await {
                    tracing::warn!(name: "token.client.claim_kept", detail = trouble.detail(), "a claim could not be given back");
                }
                Err(error)
            }
        }
    }

    /// Writes the result of each refresh to the store. Nobody gets an access token before this has succeeded.
    async fn write_what_is_unwritten(&self) -> Result<(), TokenError> {
        loop {
            let first = self.unwritten().first().cloned();
            let Some(unwritten) = first else { return Ok(()) };
            let is_written = self.write(&unwritten).await?;
            let mut waiting = self.unwritten();
            let before = waiting.len();
            waiting.retain(|other| other.claimed != unwritten.claimed);
            // Two tasks may have written the same: one of them tells.
            if is_written && waiting.len() < before {
                self.note_rotation(unwritten);
            }
        }
    }

    /// Whether this stands in the store now. If not, somebody signed in anew or out, and that is later.
    async fn write(&self, Unwritten { claimed, renewed }: &Unwritten) -> Result<bool, TokenError> {
        let (mut expected, next) = (claimed.to_bytes(), renewed.to_bytes());
        // Our own claim, or that of a process that took over and still holds the token we have spent.
        while !self.swap(Some(&expected), Some(&next)).await? {
            match self.load().await? {
                Some((bytes, _)) if bytes == next => break,
                Some((bytes, record)) if record.refresh_token == claimed.refresh_token => expected = bytes,
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// For the hook, where there is one.
    fn note_rotation(&self, Unwritten { claimed, renewed }: Unwritten) {
        if claimed.refresh_token != renewed.refresh_token && self.on_rotate.is_some() {
            let new = RefreshToken::new(renewed.refresh_token);
            let mut unreported = self.unreported();
            // A rotation that the hook has not taken is still the one it knows.
            let old = unreported.take().map_or_else(|| RefreshToken::new(claimed.refresh_token), |(old, _)| old);
            *unreported = Some((old, new));
        }
    }

    async fn report(&self) -> Result<(), TokenError> {
        let Some(hook) = &self.on_rotate else { return Ok(()) };
        let waiting = self.unreported().clone();
        if let Some((old, new)) = waiting {
            hook.rotated(&old, &new).await.map_err(trouble)?;
            let mut unreported = self.unreported();
            // What came meanwhile goes on from what the hook has taken now.
            *unreported = unreported.take().filter(|(_, newest)| *newest != new).map(|(_, newest)| (new, newest));
        }
        Ok(())
    }

    async fn replace(&self, refresh_token: Option<(&RefreshToken, Option<String>)>) -> Result<(), TokenError> {
        loop {
            let present = self.load().await?;
            let next = refresh_token.as_ref().map(|(token, jkt)| {
                let serial = present.as_ref().map_or(0, |(_, record)| record.serial.wrapping_add(1));
                Record { serial, ..Record::first(token.expose(), jkt.clone()) }
            });
            // A second claim on one refresh token would spend it twice.
            if let (Some((_, present)), Some(next)) = (&present, &next)
                && present.refresh_token == next.refresh_token
                && present.jkt == next.jkt
                && !present.spent
            {
                return Ok(());
            }
            let next = next.map(|next| next.to_bytes());
            if self.swap(present.as_ref().map(|(bytes, _)| bytes.as_slice()), next.as_deref()).await? {
                // The hook is told of this grant's rotations, and of those of no other.
                *self.unreported() = None;
                return Ok(());
            }
        }
    }

    async fn load(&self) -> Result<Option<(Vec<u8>, Record)>, TokenError> {
        let Some(bytes) = self.store.load(&self.name).await.map_err(trouble)? else { return Ok(None) };
        Ok(Some((bytes.to_vec(), Record::parse(&bytes)?)))
    }

    async fn swap(&self, expected: Option<&[u8]>, next: Option<&[u8]>) -> Result<bool, TokenError> {
        self.store.swap(&self.name, expected, next).await.map_err(trouble)
    }

    /// The key that this client's refresh tokens are bound to.
    fn jkt(&self) -> Option<String> {
        let key = self.client.dpop_key().filter(|_| self.client.binds_refresh_tokens())?;
        Some(key.thumbprint().to_string())
    }

    /// The access token of the record.
    fn token(&self, access: &Access) -> Result<Token, TokenError> {
        self.client.token(TokenResponse {
            access_token: AccessToken::new(access.token.as_str()),
            expires_at: access.expires_at.map(Timestamp::from_millis),
            scope: access.scope.clone(),
            refresh_token: None,
            id_token: access.id_token.as_deref().map(IdToken::new),
            issued_token_type: None,
            dpop_bound: access.dpop,
        })
    }

    fn clock(&self) -> &dyn Clock {
        &**self.client.clock()
    }

    fn unwritten(&self) -> MutexGuard<'_, Vec<Unwritten>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unreported(&self) -> MutexGuard<'_, Option<(RefreshToken, RefreshToken)>> {
        self.unreported.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fetch for Arc<Renewer> {
    fn fetch(&self, refused: Option<Token>) -> BoxFuture<'_, Result<Token, TokenError>> {
        Box::pin(async move { self.renew(refused.as_ref()).await })
    }

    fn patience(&self) -> Option<Duration> {
        // Another process may have to be waited for; see the times of a claim.
        None
    }

    fn asks(&self) -> Asks<'_> {
        Asks { client: self.client.client_id(), grant: self.shape.grant_name() }
    }
}

/// Whether more than a tenth of the lifetime is left. A token that is about to expire is renewed, not returned.
fn is_fresh(access: &Access, now: Timestamp) -> bool {
    let Some(expires_at) = access.expires_at.map(Timestamp::from_millis) else { return false };
    let life = expires_at.since(Timestamp::from_millis(access.obtained_at));
    let ahead = Duration::from_secs(60).min(life.mul_f64(0.1)).mul_f64(1.2);
    now < expires_at.saturating_sub(ahead)
}

fn gone(detail: &'static str) -> TokenError {
    TokenError::new(TokenErrorKind::InvalidGrant, detail)
}

fn trouble(error: StoreError) -> TokenError {
    TokenError::new(TokenErrorKind::Store, error.to_string())
}

impl fmt::Debug for Renewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewer").field("client", &self.client).field("store", &self.store).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
