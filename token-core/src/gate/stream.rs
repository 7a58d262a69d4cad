//! A verified token in, a future out that is done when the gate would refuse it; and streams that end with it.

#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use pin_project_lite::pin_project;

use crate::answer::error::{Error, ErrorKind};
use crate::base::runtime::NoRuntime;
use crate::base::sync::sleep;
use crate::base::time::Timestamp;
use crate::gate::server::{Inner, ResourceServer, grounded};
use crate::verify::verified::Verified;

/// How often a token is judged again while a stream goes on.
const EVERY: Duration = Duration::from_secs(30);
/// More often than this nobody could tell the difference, and a store would.
const AT_MOST: Duration = Duration::from_secs(1);

impl Verified {
    /// Is done when the gate would refuse this token: at `exp` and the issuer's leeway, or earlier when it is denied, when its issuer is trusted no more, when its
    /// key is withdrawn, or when the endpoint that vouches for it says so no longer. For answers that outlive a request: server-sent events, WebSockets.
    ///
    /// The end is where the gate's own is. So a client that comes back with the same token is refused with 401, and not served and cut off again.
    ///
    /// The token is judged again every 30 s ([`checking_every`](UntilExpiry::checking_every)); its `exp` is met to the moment. While a deny-list or an endpoint is out of
    /// reach the stream goes on, to `exp` at the latest. When a policy file was replaced, it ends: the caller is judged anew when it comes back. Of a server that
    /// keeps no tokens ([`keep_digests`](crate::stores::TokenCacheSettings::keep_digests)) an endpoint cannot be asked again. A proof of possession is not asked for again.
    ///
    /// ```
    /// # async fn handler(token: token_core::Verified) {
    /// # async fn next_event() {}
    /// let mut ended = std::pin::pin!(token.until_expiry());
    /// loop {
    ///     tokio::select! {
    ///         end = &mut ended => break println!("{}", end.reason()),
    ///         () = next_event() => { /* … */ }
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Panics
    /// When it is awaited outside of a tokio runtime.
    pub fn until_expiry(&self) -> UntilExpiry {
        let issuer = &self.shared_facts().issuer;
        // A tenant that has to make room for others goes on being judged by its own server while somebody listens.
        let tenant = issuer.tenant.as_ref().and_then(|_| issuer.home.server::<Inner>()).map(ResourceServer);
        UntilExpiry { token: self.clone(), every: EVERY, tenant, watch: None }
    }

    /// The items of `stream`, until the token ends: see [`until_expiry`](Self::until_expiry). Fits server-sent events of axum and actix-web alike.
    pub fn while_valid<S: Stream>(&self, stream: S) -> WhileValid<S> {
        WhileValid { stream, end: Some(self.until_expiry()), last: None }
    }
}

/// Why a stream had to end.
#[derive(Clone, Debug)]
pub struct StreamEnd(Error);

impl StreamEnd {
    /// The code of a WebSocket's closing frame: 3000, unauthorized (IANA, WebSocket Close Code Numbers).
    pub const CLOSE_CODE: u16 = 3000;

    /// What the gate says of the token now.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.0
    }

    /// The sentence for the client: [`ErrorKind::public_text`]. Short enough for a WebSocket's closing frame.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.0.kind().public_text()
    }
}

/// A future that is done when the gate would refuse the token. See [`Verified::until_expiry`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct UntilExpiry {
    token: Verified,
    every: Duration,
    tenant: Option<ResourceServer>,
    watch: Option<Pin<Box<dyn Future<Output = StreamEnd> + Send>>>,
}

impl UntilExpiry {
    /// Judges the token again so often. Default 30 s, at least 1 s. It is what a revocation takes to end a stream at the longest; each look costs what it costs a
    /// request, a shared deny-list's round trip say.
    pub fn checking_every(mut self, interval: Duration) -> Self {
        self.every = interval.max(AT_MOST);
        self
    }
}

impl Future for UntilExpiry {
    type Output = StreamEnd;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<StreamEnd> {
        let this = self.get_mut();
        let (token, every, tenant) = (&this.token, this.every, &mut this.tenant);
        this.watch.get_or_insert_with(|| Box::pin(watch(token.clone(), every, tenant.take()))).as_mut().poll(context)
    }
}

async fn watch(token: Verified, every: Duration, tenant: Option<ResourceServer>) -> StreamEnd {
    let issuer = Arc::clone(&token.shared_facts().issuer);
    let end = token.served_until().unwrap_or(Timestamp::MAX);
    loop {
        // A clock that runs behind the timer by a tick is asked again in a moment.
        let left = end.since(issuer.clock.now()).max(Duration::from_millis(1));
        if let Some(missing) = NoRuntime::find() {
            return StreamEnd(grounded(missing));
        }
        sleep(left.min(every)).await;
        match judge_again(&token, tenant.as_ref()).await {
            Ok(()) => {}
            // Our trouble, not the caller's fault.
            Err(error) if error.kind() == ErrorKind::Unavailable && issuer.clock.now() < end => {}
            Err(error) => return StreamEnd(error),
        }
    }
}

/// What the gate says of a token that it has let in before. `tenant` is the server of its tenant, where there are tenants.
async fn judge_again(token: &Verified, tenant: Option<&ResourceServer>) -> Result<(), Error> {
    let in_force = match tenant {
        // It holds for as long as the server whose tenant it is.
        Some(tenant) => tenant.0.compiler.home.server::<Inner>().map(|_| tenant.clone()),
        None => token.shared_facts().issuer.home.server::<Inner>().map(ResourceServer),
    };
    let Some(server) = in_force else {
        return Err(Error::new(
            ErrorKind::Inactive,
            "the server's policy was replaced: the caller is judged anew when it comes back",
        ));
    };
    server.still(token).await
}

impl ResourceServer {
    async fn still(&self, token: &Verified) -> Result<(), Error> {
        let (facts, now) = (token.shared_facts(), self.0.clock.now());
        let issuer = &facts.issuer;
        let refuse = |kind, why: &'static str| Err(self.refusal(Error::new(kind, why).about(&issuer.identifier)));
        if issuer.is_removed() {
            return refuse(ErrorKind::UnknownIssuer, "the issuer is trusted no more");
        }
        match (&facts.key, &issuer.opaque) {
            (Some(key), _) if key.is_retired() => return refuse(ErrorKind::UnknownKey, "the key was withdrawn"),
            (Some(_), _) => {
                issuer.check_claims(facts.kind, &facts.text, &facts.claims, now).map_err(|error| self.refusal(error))?
            }
            (None, Some(opaque)) => {
                issuer.check_answer(opaque, &facts.text, &facts.claims, now).map_err(|error| self.refusal(error))?;
            }
            (None, None) => {}
        }
        match (&issuer.opaque, token.token()) {
            (Some(opaque), Some(text)) if opaque.jwts_too || facts.key.is_none() => {
                let jwt = facts.key.as_ref().map(|_| token.clone());
                self.ask(issuer, text, jwt).await.map(drop)
            }
            _ => self.admit(token.clone(), now).await.map(drop),
        }
    }
}

impl fmt::Debug for UntilExpiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UntilExpiry").field("every", &self.every).finish_non_exhaustive()
    }
}

type Last<S> = Box<dyn FnOnce(&StreamEnd) -> <S as Stream>::Item + Send>;

pin_project! {
    /// A stream that ends with its token. See [`Verified::while_valid`].
    #[must_use = "streams do nothing unless they are polled"]
    pub struct WhileValid<S: Stream> {
        #[pin]
        stream: S,
        end: Option<UntilExpiry>,
        last: Option<Last<S>>,
    }
}

impl<S: Stream> WhileValid<S> {
    /// One more item when the token ends, so that a client can tell it from the end of what there was to say and get a new token before it comes back. When the
    /// stream ends of its own accord there is none.
    pub fn and_last(mut self, item: impl FnOnce(&StreamEnd) -> S::Item + Send + 'static) -> Self {
        self.last = Some(Box::new(item));
        self
    }

    /// As [`UntilExpiry::checking_every`].
    pub fn checking_every(mut self, interval: Duration) -> Self {
        self.end = self.end.map(|end| end.checking_every(interval));
        self
    }
}

impl<S: Stream> Stream for WhileValid<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let Some(end) = this.end.as_mut() else { return Poll::Ready(None) };
        if let Poll::Ready(end) = Pin::new(end).poll(context) {
            *this.end = None;
            return Poll::Ready(this.last.take().map(|last| last(&end)));
        }
        let item = ready!(this.stream.poll_next(context));
        if item.is_none() {
            *this.end = None;
        }
        Poll::Ready(item)
    }
}

impl<S: Stream> fmt::Debug for WhileValid<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.end.is_some() { "WhileValid(open)" } else { "WhileValid(ended)" })
    }
}
