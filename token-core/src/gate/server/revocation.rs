//! The end of a token before its `exp`: what is denied, what is forgotten. A verified token goes in, it or a refusal comes out.

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use super::asking::tags;
use super::{Inner, ResourceServer};
use crate::answer::check::Check;
use crate::answer::error::{Error, ErrorKind};
use crate::answer::maybe_ready::MaybeReady;
use crate::base::sync::Handle;
use crate::base::time::Timestamp;
use crate::gate::server::tenants::Tenants;
use crate::stores::{
    AnswerKey, AnswerStore, Deny, DenyLookup, Evict, LocalCaches, Named, StoreError, Told, What, WhenUnreachable,
};
use crate::verify::verified::{Facts, Verified};

/// What a client is told to wait while a store is out of reach.
const SOON: Duration = Duration::from_secs(1);
/// The most leeway that an issuer can have: for so long after its `exp` a token still passes.
const MOST_LEEWAY: Duration = Duration::from_secs(300);

impl ResourceServer {
    /// Turns tokens away from the next request on, until `until`: the latest `exp` that such a token can have, and the leeway.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`] without a [deny-list](crate::ResourceServerBuilder::deny_list); [`ErrorKind::Unavailable`] when the
    /// list could not be written. Nothing is denied then.
    pub fn deny(&self, what: Deny, until: Timestamp) -> MaybeReady<()> {
        let server = self.current();
        let Some(list) = &server.0.deny_list else {
            let error =
                Error::new(ErrorKind::Misconfigured, "there is no deny-list: hand one to deny_list() of the builder");
            return MaybeReady::ready(Err(error));
        };
        let written = list.deny(what, until);
        MaybeReady::waiting(async move { written.await.map_err(|error| out_of_reach("the deny-list", &error)) })
    }

    /// On the word of an issuer: turns away what `deny` names, where there is a deny-list, until no such token can pass any more, and forgets what is
    /// cached of it.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when a list or a store is out of reach, or full.
    pub(crate) async fn end_early(
        &self,
        deny: Option<Deny>,
        evict: Evict,
        now: Timestamp,
        longest_life: Duration,
    ) -> Result<(), Error> {
        if let Some(deny) = deny {
            let until = now.saturating_add(longest_life).saturating_add(MOST_LEEWAY);
            match self.deny(deny, until).await {
                // Nobody asked for a deny-list: a JWT is good until it ends.
                Err(error) if error.kind() == ErrorKind::Misconfigured => {}
                outcome => outcome?,
            }
        }
        self.evict(evict).await.map(drop)
    }

    /// Forgets what is cached of these tokens. Verified tokens are gone when this returns, and no answer that was asked for before is
    /// kept or given to a request that comes after; the stores of answers have been gone through when the answer has been awaited. The
    /// answer is how many entries were dropped here. Other instances are told where the deny-list reaches them.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when a shared store is out of reach.
    pub fn evict(&self, what: Evict) -> MaybeReady<usize> {
        let server = self.current();
        let dropped = server.evict_here(Some(&what), |_| true);
        let Some(told) = server.0.deny_list.as_ref().and_then(|list| list.announce(&what)) else { return dropped };
        // Last, when nobody finds it in a shared store any more.
        MaybeReady::waiting(async move {
            let dropped = dropped.await?;
            told.await.map_err(|error| out_of_reach("the other instances", &error))?;
            Ok(dropped)
        })
    }

    /// The same for the caches of this instance and those of its stores that are meant; nobody is told. `None` is everything.
    fn evict_here(&self, what: Option<&Evict>, is_meant: impl Fn(&dyn AnswerStore) -> bool) -> MaybeReady<usize> {
        let server = self;
        let tenants = server.0.tenants.as_ref().map(Tenants::all).unwrap_or_default();
        let servers = || [server].into_iter().chain(&tenants);
        let endpoints: Vec<_> = servers()
            .flat_map(|one| one.0.registry.load().iter().filter_map(|issuer| issuer.opaque.clone()).collect::<Vec<_>>())
            .collect();
        // From before the caches are swept until the stores are: what is found meanwhile may be of before.
        let under_way: Vec<_> = endpoints.iter().map(|opaque| opaque.evictions.begin()).collect();
        let dropped = server.0.cache.as_ref().map_or(0, |cache| match what.map(|what| &what.0) {
            Some(What::Token(token)) => servers().map(|one| cache.evict_token(token, one.0.tenant.as_ref())).sum(),
            Some(What::Named(Named::Token(digest))) => cache.evict_digest(digest),
            Some(What::Named(Named::Tag(tag))) => cache.evict(|facts| tags(facts).contains(tag)),
            Some(what) => cache.evict(|facts| concerns(what, facts)),
            None => cache.evict(|_| true),
        });
        let endpoints: Vec<_> = endpoints.into_iter().filter(|opaque| is_meant(&*opaque.settings.store)).collect();
        if endpoints.is_empty() {
            return MaybeReady::ready(Ok(dropped));
        }
        let named = what.map(|what| Named::of(&what.0));
        MaybeReady::waiting(async move {
            let (mut total, mut failed) = (dropped, None);
            for opaque in endpoints {
                let store = &opaque.settings.store;
                let stored = match named {
                    Some(Named::Token(digest)) => store.drop_key(AnswerKey::of_digest(opaque.identity, &digest)).await,
                    Some(Named::Tag(tag)) => store.drop_tagged(tag).await,
                    None => store.drop_all().await,
                };
                // One store that is out of reach keeps nothing in the others.
                match stored {
                    Ok(count) => total += count,
                    Err(error) => failed = Some(out_of_reach("the store of answers", &error)),
                }
            }
            drop(under_way);
            failed.map_or(Ok(total), Err)
        })
    }

    /// Hands the caches to the deny-list, for what other instances evict.
    pub(in crate::gate) fn attach(&self) {
        let Some(list) = &self.0.deny_list else { return };
        let weak = Arc::downgrade(&self.0);
        list.attach(LocalCaches::new(move |told| {
            let server = ResourceServer(weak.upgrade()?);
            let what = match &told {
                Told::Nothing => return Some(()),
                Told::Drop(what) => Some(what),
                Told::DropAll => None,
            };
            // Who announced it has gone through the shared stores: the fleet does not do so once more each.
            let dropped = server.evict_here(what, |store| !store.is_shared());
            let mut done = Box::pin(async move {
                if let Err(error) = dropped.await {
                    tracing::warn!(name: "token.evict.incomplete", %error, "what another instance evicted could not be dropped everywhere");
                }
            });
            // A store in memory is done at once; another one goes on in a task of its own: who reads the log has more to read.
            let at_once = done.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            if at_once.is_pending()
                && let Ok(runtime) = Handle::try_current()
            {
                runtime.spawn(done);
            }
            Some(())
        }));
    }

    /// The last word on a verified token: its status list's where its issuer keeps some, and the deny-list's, at once where the list is at hand.
    pub(crate) fn admit(&self, verified: Verified, now: Timestamp) -> MaybeReady<Verified> {
        if let Some(rule) = &self.0.require
            && let Err(error) = verified.require(rule)
        {
            return MaybeReady::ready(Err(error.at(Check::Demands)));
        }
        if verified.shared_facts().issuer.status_lists.is_some() {
            return self.admit_by_status(verified, now);
        }
        self.admit_by_list(verified, now)
    }

    #[inline]
    pub(super) fn admit_by_list(&self, verified: Verified, now: Timestamp) -> MaybeReady<Verified> {
        let Some(list) = &self.0.deny_list else { return MaybeReady::ready(Ok(verified)) };
        match list.look_up(&verified.shared_facts().marks(), now) {
            DenyLookup::Absent => MaybeReady::ready(Ok(verified)),
            DenyLookup::Denied => MaybeReady::ready(Err(self.refused_late(&verified, denied()))),
            DenyLookup::Ask(question) => {
                let server = self.clone();
                MaybeReady::waiting(async move {
                    let answer = question.await;
                    match server.0.judge(answer) {
                        Ok(()) => Ok(verified),
                        Err(error) => Err(server.refused_late(&verified, error)),
                    }
                })
            }
        }
    }

    /// A token that was verified, and may not be used all the same.
    pub(super) fn refused_late(&self, verified: &Verified, error: Error) -> Error {
        self.refusal(error.about(&verified.shared_facts().issuer.identifier))
    }
}

impl Inner {
    fn judge(&self, answer: Result<bool, StoreError>) -> Result<(), Error> {
        match (answer, self.when_unreachable) {
            (Ok(false), _) => Ok(()),
            (Ok(true), _) => Err(denied()),
            (Err(error), WhenUnreachable::Admit) => {
                tracing::warn!(name: "token.deny_list.unreachable", admitted = true, error = %error, "a token passed without a look at the deny-list");
                Ok(())
            }
            (Err(error), WhenUnreachable::Refuse) => {
                tracing::warn!(name: "token.deny_list.unreachable", admitted = false, error = %error, "a token was refused for want of the deny-list");
                Err(out_of_reach("the deny-list", &error))
            }
        }
    }
}

fn denied() -> Error {
    Error::new(ErrorKind::Inactive, "the token, its session or its subject is on the deny-list")
}

pub(super) fn out_of_reach(what: &str, error: &StoreError) -> Error {
    Error::unavailable(format!("{what}: {error}"), SOON)
}

/// Whether the facts are among those to drop. A token is found by its text, not here.
fn concerns(what: &What, facts: &Facts) -> bool {
    let of =
        |issuer: &str, span, expected: &str| *facts.issuer_name() == *issuer && facts.claim(span) == Some(expected);
    let claims = &facts.claims;
    match what {
        // Found by their digests, above.
        What::Token(_) | What::Named(_) => false,
        What::Subject { issuer, subject } => of(issuer, claims.subject, subject),
        What::Session { issuer, session } => of(issuer, claims.session_id, session),
        What::Client { issuer, client } => of(issuer, claims.client_id.or(claims.authorized_party), client),
    }
}

#[cfg(test)]
mod tests;
