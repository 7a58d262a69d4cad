//! The gate: credentials of a request go in once, a `Verified` or an `Error` comes out once.

mod asking;
mod possession;
pub(crate) mod resolving;
mod revocation;
mod status;
pub(crate) mod tenants;
pub(crate) mod ticket;
mod trusting;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Weak};

use crate::answer::challenge::Protection;
use crate::answer::check::Check;
use crate::answer::error::{Error, ErrorKind};
use crate::answer::maybe_ready::MaybeReady;
use crate::base::config_error::ConfigError;
use crate::base::runtime::NoRuntime;
use crate::base::sync::ArcSwap;
use crate::base::telemetry;
use crate::base::time::{Clock, Timestamp};
use crate::gate::explain::Explain;
use crate::gate::possession::Possession;
use crate::gate::server::resolving::Resolving;
use crate::gate::server::tenants::Tenants;
use crate::gate::tickets::TicketOffice;
use crate::gate::token_cache::{Key, TokenCache};
use crate::gate::verdicts;
use crate::jose::encryption::{self, EncryptedTokens, NotOpened};
use crate::jose::signing::SigningKey;
use crate::keys::{Answer, Fetched, KeyFetch, KeyState, Looked, Missing};
use crate::opaque::OpaqueState;
use crate::policy::Policy;
use crate::request::bearer::{self, Candidate};
use crate::request::choice::Agreed;
use crate::request::presented::Presented;
use crate::stores::{DenyList, WhenUnreachable};
use crate::token::rule::Rule;
use crate::trust::compiler::{Compiler, Purpose};
use crate::trust::home::Home;
use crate::trust::registry::Registry;
use crate::trust::resolver::{self, Landed, Lookup};
use crate::trust::trusted::TrustedIssuer;
use crate::verify::jwt::{self, Hurdle, Lacking};
use crate::verify::verified::{Facts, Verified};

/// A resource server (RFC 6749 section 1.1): decides for each request whether its token is accepted. Build one when the program starts and share it; a clone is
/// the same server and costs one `Arc`.
///
/// ```
/// use token_core::{Issuer, ResourceServer};
///
/// # fn main() -> Result<(), token_core::ConfigError> {
/// let api = ResourceServer::builder("https://api.example.com")       // the audience: the name of this API in `aud`
///     .trust(Issuer::discover("https://login.example.com/")?)        // the issuer whose tokens are accepted
///     .build()?;
/// # Ok(()) }
/// ```
///
/// With axum, actix-web or tower, give it to the layer of the adapter. Elsewhere, call [`authenticate`](Self::authenticate).
///
/// # What is checked
/// * The form: size, encoding, JSON without duplicate members, no `crit` that is not understood.
/// * The issuer: `iss` must be one of those that were configured. A token never chooses where keys come from.
/// * The signature: with a key of that issuer, by an algorithm that is allowed for the issuer and for the key.
/// * The claims: the type of token, the audience, `exp` and `nbf`, and the rules that were configured.
/// * The binding: a token with `cnf` is refused, unless [DPoP](crate::ResourceServerBuilder::dpop) or [mutual TLS](crate::ResourceServerBuilder::mutual_tls) is
///   configured and the request proves possession.
///
/// # What is not checked
/// * Whether a JWT was revoked before its `exp`, unless there is a [deny-list](crate::ResourceServerBuilder::deny_list), a
///   [status list](crate::Issuer::status_lists) or [introspection](crate::opaque::OpaqueTokens::introspect_jwts).
/// * Whether a bearer token was sent by the client that it was issued to.
#[derive(Clone)]
pub struct ResourceServer(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) registry: ArcSwap<Registry>,
    pub(crate) compiler: Arc<Compiler>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) protection: Arc<Protection>,
    /// Where tokens are looked for, if not in the `Authorization` header alone.
    pub(crate) sources: Option<Arc<Agreed>>,
    /// What encrypted tokens are opened with, where they are taken.
    pub(crate) encrypted: Option<Arc<EncryptedTokens>>,
    pub(crate) max_token: usize,
    pub(crate) keep_tokens: bool,
    pub(crate) cache: Option<Arc<TokenCache>>,
    pub(crate) policy: Arc<Policy>,
    /// What its issuers know it by.
    pub(crate) home: Arc<Home>,
    /// What every token is held to.
    pub(crate) require: Option<Arc<Rule>>,
    /// What signs the metadata document.
    pub(crate) metadata_key: Option<Arc<SigningKey>>,
    pub(crate) explain: Explain,
    /// The server to ask in place of this one, which is then only a name for it; set for servers that follow a policy file.
    pub(crate) follows: Option<ArcSwap<Inner>>,
    pub(crate) resolving: Option<Resolving>,
    /// Who looks tenants up by request; the registry of such a server is empty.
    pub(crate) tenants: Option<Tenants>,
    /// The tenant whose server this is.
    pub(crate) tenant: Option<Arc<str>>,
    /// Where tickets are sold and redeemed, where they are.
    pub(crate) tickets: Option<Arc<TicketOffice>>,
    /// Whether more than a token is looked for in a request: proofs, or tickets. One question for both on the way of every request.
    pub(crate) looks_further: bool,
    /// How proofs of possession are checked, where they are.
    pub(crate) possession: Option<Arc<Possession>>,
    pub(crate) deny_list: Option<Arc<dyn DenyList>>,
    pub(crate) when_unreachable: WhenUnreachable,
}

impl ResourceServer {
    pub(crate) fn new(inner: Inner) -> Self {
        let server = Arc::new(inner);
        server.home.is(Arc::downgrade(&server) as Weak<dyn Any + Send + Sync>);
        Self(server)
    }

    /// Verifies the credentials of a request. The returned future is usually ready at once; it waits for the network only for a key that is not cached, or for an
    /// endpoint that has to be asked.
    ///
    /// # Errors
    /// Any [`ErrorKind`]. Those of insufficient scope, details or authentication come only from a rule for
    /// [every token](crate::ResourceServerBuilder::require). [`ErrorKind::Misconfigured`] comes only for a bare token where
    /// [tenants](crate::ResourceServerBuilder::tenants) are determined from the request.
    pub fn authenticate(&self, presented: Presented<'_>) -> MaybeReady<Verified> {
        match (&self.0.follows, self.0.explain) {
            (Some(current), _) => Self(current.load_full()).authenticate(presented),
            (None, Explain::Off) => verdicts::judged(|| self.judge(presented)),
            (None, Explain::Log | Explain::LogAndHeader) => verdicts::judged(|| self.judge_and_explain(presented)),
        }
    }

    /// The road of every token: from the credentials to the verdict.
    pub(crate) fn judge(&self, presented: Presented<'_>) -> MaybeReady<Verified> {
        if self.0.looks_further || presented.1.policy.is_some() {
            return self.judge_further(presented);
        }
        self.judge_plainly(presented)
    }

    /// The road of a request in which more than a token counts.
    fn judge_further(&self, presented: Presented<'_>) -> MaybeReady<Verified> {
        if let Some(verdict) = self.judge_ticket(presented) {
            return verdict;
        }
        if self.0.possession.is_some() || presented.1.policy.is_some() {
            return self.judge_with_proof(presented);
        }
        self.judge_plainly(presented)
    }

    #[inline]
    fn judge_plainly(&self, presented: Presented<'_>) -> MaybeReady<Verified> {
        let candidate = match bearer::find(presented, self.0.sources.as_deref()) {
            Ok(candidate) => candidate,
            Err(error) => return MaybeReady::ready(Err(self.refusal(error))),
        };
        self.judge_token(presented, candidate)
    }

    /// The road of the token alone. Whether it is bound to its sender, and who has sent it, is not looked at here.
    #[inline]
    fn judge_token(&self, presented: Presented<'_>, candidate: Candidate<'_>) -> MaybeReady<Verified> {
        match &self.0.tenants {
            Some(tenants) => self.judge_for_tenant(tenants, presented, candidate),
            None => self.judge_candidate(candidate),
        }
    }

    pub(crate) fn judge_candidate(&self, candidate: Candidate<'_>) -> MaybeReady<Verified> {
        let now = self.0.clock.now();
        let key = match self.0.remembered(candidate, now) {
            Ok(verified) => return self.admit(verified, now),
            Err(key) => key,
        };
        verdicts::verification(|| self.judge_anew(candidate, key, now))
    }

    /// The road of a token that is not remembered.
    #[inline]
    fn judge_anew(&self, candidate: Candidate<'_>, key: Option<Key>, now: Timestamp) -> MaybeReady<Verified> {
        let step = match self.0.verify(candidate.bytes(), key, now) {
            // A JWT whose every part was decoded is of good grammar, but for padding.
            Ok(verified) if candidate.may_be_padded() || !verified.shared_facts().issuer.padded => {
                return self.admit(verified, now);
            }
            step => step,
        };
        // Whatever else may be wrong, or has to be asked: what is no bearer token at all is said first (RFC 6750 section 3.1).
        match candidate.check() {
            Ok(()) => self.go_on(step, candidate, now),
            Err(error) => MaybeReady::ready(Err(self.refusal(error))),
        }
    }

    /// From where the first look at a token has led: to a verdict, or to what has to be awaited for one.
    fn go_on(&self, step: Result<Verified, Step>, candidate: Candidate<'_>, now: Timestamp) -> MaybeReady<Verified> {
        // Of good grammar, and so text.
        let owned = || (self.clone(), Box::<str>::from(candidate.text().unwrap_or_default()));
        match step {
            Ok(verified) => self.admit(verified, now),
            Err(Step::Refused(error)) => MaybeReady::ready(Err(self.refusal(error))),
            Err(Step::Wait(fetch, _, issuer)) => {
                let (server, token) = owned();
                MaybeReady::waiting(async move { server.after(fetch, &issuer, &token).await })
            }
            Err(Step::Ask(issuer, jwt)) => {
                let (server, token) = owned();
                MaybeReady::waiting(async move { server.ask(&issuer, &token, jwt).await })
            }
            Err(Step::Resolve(issuer)) => match self.look_up(&issuer, now) {
                // Nobody is here to carry it out; whoever awaits the outcome may do so inside of a runtime.
                Lookup::Known(Landed::Grounded(_)) => {
                    let (server, token) = owned();
                    MaybeReady::waiting(async move {
                        let landed = server.look_up(&issuer, server.now()).landed().await;
                        server.resolved(landed, &token).await
                    })
                }
                Lookup::Known(landed) if landed != Landed::Trusted => {
                    MaybeReady::ready(Err(self.refusal(unresolved(landed))))
                }
                lookup => {
                    let (server, token) = owned();
                    MaybeReady::waiting(async move { server.resolved(lookup.landed().await, &token).await })
                }
            },
        }
    }

    /// The second and last look, with the keys that a fetch has brought.
    async fn after(&self, fetch: KeyFetch, issuer: &Arc<str>, token: &str) -> Result<Verified, Error> {
        match fetch.await {
            Fetched::Updated => {}
            Fetched::Unavailable { retry_after } => return Err(self.refusal(no_keys(retry_after).about(issuer))),
            Fetched::Grounded(missing) => {
                return Err(self.refusal(grounded(missing).at(Check::Key).about(issuer)));
            }
        }
        let now = self.0.clock.now();
        match self.0.look_again(token, now) {
            Ok(verified) => self.admit(verified, now).await,
            Err(Step::Refused(error)) => Err(self.refusal(error)),
            Err(Step::Wait(_, why, issuer)) => Err(self.refusal(no_such_key(why).about(&issuer))),
            Err(Step::Ask(issuer, jwt)) => self.ask(&issuer, token, jwt).await,
            // Trusted a moment ago, and no more.
            Err(Step::Resolve(_)) => Err(self.refusal(no_such_issuer())),
        }
    }

    /// The error in this server's name: its challenge carries realm and metadata.
    #[must_use]
    pub fn refusal(&self, error: Error) -> Error {
        match &self.0.follows {
            Some(current) => error.within(&current.load().protection),
            None => error.within(&self.0.protection),
        }
    }

    /// Waits until the keys of every issuer are at hand: for a start that fails fast, or a probe.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] naming the first issuer whose keys cannot be had; all are tried.
    pub fn ready(&self) -> impl Future<Output = Result<(), Error>> + Send + 'static {
        let registry = self.current().0.registry.load();
        let waiting: Vec<_> = registry.iter().map(|issuer| issuer.keys.ready()).collect();
        async move {
            let mut outcome = Ok(());
            for ready in waiting {
                if let Err(unavailable) = ready.await {
                    let error = Error::unavailable(unavailable.to_string(), unavailable.retry_after());
                    outcome = outcome.and(Err(error));
                }
            }
            outcome
        }
    }

    /// The state of each issuer's keys, in the order of their identifiers: what a readiness endpoint shows.
    #[must_use]
    pub fn health(&self) -> Vec<(String, KeyState)> {
        let now = self.current().0.clock.now();
        let registry = self.current().0.registry.load();
        let mut states: Vec<_> =
            registry.iter().map(|issuer| (issuer.identifier.to_string(), issuer.keys.state(now))).collect();
        states.sort_by(|a, b| a.0.cmp(&b.0));
        states
    }
}

impl ResourceServer {
    /// The state of each endpoint that opaque tokens are asked about, in the order of the issuers' identifiers.
    #[must_use]
    pub fn opaque_health(&self) -> Vec<(String, OpaqueState)> {
        let registry = self.current().0.registry.load();
        let states = registry.iter().filter_map(|issuer| {
            let opaque = issuer.opaque.as_ref()?;
            Some((issuer.identifier.to_string(), opaque.state()))
        });
        let mut states: Vec<_> = states.collect();
        states.sort_by(|a, b| a.0.cmp(&b.0));
        states
    }
}

/// Where one look at a token ends when it does not end in acceptance.
enum Step {
    Refused(Error),
    /// A fetch may bring the key of this issuer; the kind says what the token is if it does not.
    Wait(KeyFetch, ErrorKind, Arc<str>),
    /// An endpoint of the issuer has to say whether it is good; a JWT that was verified first is there already.
    Ask(Arc<TrustedIssuer>, Option<Verified>),
    /// The registry does not know this issuer; a resolver may.
    Resolve(Box<str>),
}

impl From<Error> for Step {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl Inner {
    /// The token, if these very bytes were verified before and it may be used now; else what to remember it by. Asked first: whatever
    /// equals a verified token has its size and its grammar.
    pub(crate) fn remembered(&self, candidate: Candidate<'_>, now: Timestamp) -> Result<Verified, Option<Key>> {
        let bytes = candidate.bytes();
        let Some(cache) = self.cache.as_ref().filter(|_| bytes.len() <= self.max_token) else { return Err(None) };
        let key = cache.key(bytes, self.tenant.as_ref());
        let found = cache.find(&key, candidate, now, |facts| self.is_ours(facts) && still_good(facts, now));
        telemetry::cache(found.is_some());
        found.ok_or(Some(key))
    }

    /// Whether the facts were found for the tenant whose server this is: what another one's issuer vouches for is nothing here.
    fn is_ours(&self, facts: &Facts) -> bool {
        match (&self.tenant, &facts.issuer.tenant) {
            (None, None) => true,
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            _ => false,
        }
    }

    /// At a token whose grammar is good; another request may have verified it meanwhile.
    fn look_again(&self, token: &str, now: Timestamp) -> Result<Verified, Step> {
        match self.remembered(Candidate::Checked(token), now) {
            Ok(verified) => Ok(verified),
            Err(key) => self.verify(token.as_bytes(), key, now),
        }
    }

    fn verify(&self, token: &[u8], key: Option<Key>, now: Timestamp) -> Result<Verified, Step> {
        if token.len() > self.max_token {
            let detail = format!("the token is longer than {} bytes", self.max_token);
            return Err(Error::new(ErrorKind::Malformed, detail).at(Check::Size).into());
        }
        let verified = self.verify_anew(token, now)?;
        if let (Some(cache), Some(key)) = (&self.cache, key) {
            cache.insert(key, token, &verified, now, Timestamp::MAX);
        }
        Ok(verified)
    }

    fn verify_anew(&self, token: &[u8], now: Timestamp) -> Result<Verified, Step> {
        let verified = match &self.encrypted {
            Some(keys) if encryption::is_sealed(token) => {
                // Whatever is in it is judged like a token that came without a cover, and remembered by what came. A client goes on with what was signed:
                // that is what its algorithm is read of, and what the issuer takes as a hint of whom to log out.
                let sealed =
                    std::str::from_utf8(token).map_err(|_| not_opened(NotOpened::Malformed("it is not text")))?;
                let signed = keys.open(sealed).map_err(not_opened)?;
                let kept = if self.compiler.purpose == Purpose::Api { token } else { signed.as_bytes() };
                self.verify_jwt(signed.as_bytes(), kept, now)?
            }
            keys => {
                if let Some(issuer) = self.registry.load().routes().find(token) {
                    return Err(Step::Ask(Arc::clone(issuer), None));
                }
                if keys.as_ref().is_some_and(|keys| keys.is_required()) {
                    return Err(not_encrypted().into());
                }
                self.verify_jwt(token, token, now)?
            }
        };
        let issuer = &verified.shared_facts().issuer;
        match &issuer.opaque {
            Some(opaque) if opaque.jwts_too => Err(Step::Ask(Arc::clone(issuer), Some(verified))),
            _ => Ok(verified),
        }
    }

    /// Verifies a signed token, of which this text is kept: its own, or that of the encrypted one that it came in.
    fn verify_jwt(&self, token: &[u8], presented: &[u8], now: Timestamp) -> Result<Verified, Step> {
        match jwt::verify(token, self.kept(presented), &self.registry.load(), now) {
            Ok(facts) => Ok(Verified::new(facts)),
            Err(Hurdle::Refused(error)) => Err(error.into()),
            Err(Hurdle::Stranger(issuer)) if self.resolving.is_some() => Err(Step::Resolve(issuer)),
            Err(Hurdle::Stranger(_)) => Err(no_such_issuer().into()),
            Err(Hurdle::Key { issuer, lacking, looked }) => Err(missing_key(&issuer, &lacking, looked, now)),
            Err(Hurdle::Ask { issuer }) => Err(Step::Ask(issuer, None)),
        }
    }

    /// The token as far as it is kept: whole, or not at all.
    fn kept<'t>(&self, token: &'t [u8]) -> &'t [u8] {
        if self.keep_tokens { token } else { b"" }
    }
}

/// The decision that a cached fact does not spare: may this token be used now? Where the answer is no, the long way says why.
fn still_good(facts: &Facts, now: Timestamp) -> bool {
    if facts.issuer.is_removed() {
        return false;
    }
    match (&facts.key, &facts.issuer.opaque) {
        (Some(key), _) => {
            !key.is_retired()
                && facts.issuer.keys.alive(now)
                && facts.issuer.check_claims(facts.kind, &facts.text, &facts.claims, now).is_ok()
        }
        (None, Some(opaque)) => facts.issuer.check_answer(opaque, &facts.text, &facts.claims, now).is_ok(),
        (None, None) => false,
    }
}

fn missing_key(issuer: &TrustedIssuer, lacking: &Lacking, looked: Looked, now: Timestamp) -> Step {
    let (what, kind) = match lacking {
        Lacking::Set => (Missing::Set, ErrorKind::UnknownKey),
        Lacking::Kid(kid) => (Missing::Kid(kid), ErrorKind::UnknownKey),
        Lacking::NoKid => (Missing::NoKid, ErrorKind::UnknownKey),
        Lacking::SameKid(kid) => (Missing::SameKid(kid), ErrorKind::BadSignature),
    };
    match issuer.keys.missing(what, looked, now) {
        Answer::UnknownKey => Step::Refused(no_such_key(kind).about(&issuer.identifier)),
        Answer::Unavailable { retry_after } => Step::Refused(no_keys(retry_after).about(&issuer.identifier)),
        Answer::Wait(fetch) => Step::Wait(fetch, kind, Arc::clone(&issuer.identifier)),
    }
}

fn not_opened(why: NotOpened) -> Error {
    let (kind, detail) = match why {
        NotOpened::Malformed(detail) => (ErrorKind::Malformed, detail),
        NotOpened::Locked(detail) => (ErrorKind::Undecryptable, detail),
    };
    Error::new(kind, detail).at(Check::Form)
}

fn not_encrypted() -> Error {
    Error::new(ErrorKind::WrongType, "the token is not encrypted, and only encrypted ones are taken here")
        .at(Check::Form)
}

fn no_such_issuer() -> Error {
    Error::new(ErrorKind::UnknownIssuer, "iss is not in the registry").at(Check::Issuer)
}

fn unresolved(landed: Landed) -> Error {
    match landed {
        Landed::Unavailable => resolver::unavailable(),
        Landed::Grounded(missing) => grounded(missing),
        Landed::Trusted | Landed::Stranger => no_such_issuer(),
    }
}

fn no_such_key(kind: ErrorKind) -> Error {
    match kind {
        ErrorKind::BadSignature => jwt::bad_signature(),
        _ => {
            Error::new(ErrorKind::UnknownKey, "the issuer publishes no key that fits the token's header").at(Check::Key)
        }
    }
}

/// There is nobody to wait for a network with. It is not the issuer's fault, nor the token's, and will be the same the next time.
pub(crate) fn grounded(missing: NoRuntime) -> Error {
    missing.say("a request was answered with 500");
    Error::new(ErrorKind::Misconfigured, missing.to_string())
}

fn no_keys(retry_after: std::time::Duration) -> Error {
    Error::unavailable("the issuer's keys are out of reach", retry_after).at(Check::Key)
}

impl fmt::Debug for ResourceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let registry = self.current().0.registry.load();
        let issuers: Vec<_> = registry.iter().map(|issuer| &*issuer.identifier).collect();
        f.debug_struct("ResourceServer").field("issuers", &issuers).finish_non_exhaustive()
    }
}

// Keep the compiler's own proof that a gate can be shared by all threads of a server.
const _: fn() = || {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<ResourceServer>();
    shared::<Verified>();
    shared::<Error>();
    let _: Option<ConfigError> = None;
};

#[cfg(test)]
mod anew;
#[cfg(test)]
mod doors;
#[cfg(test)]
mod kinds;
#[cfg(test)]
pub(crate) mod tests;
