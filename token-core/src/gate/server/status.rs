//! A verified token whose issuer keeps status lists in, its status's word on it out; and a list from its address to the cache (draft-ietf-oauth-status-list-21 section 8).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_ENCODING};
use http::{HeaderValue, Request, StatusCode, Uri};

use super::{ResourceServer, grounded};
use crate::answer::check::Check;
use crate::answer::error::{Error, ErrorKind};
use crate::answer::maybe_ready::MaybeReady;
use crate::base::chance::chance;
use crate::base::http::Limits;
use crate::base::http::freshness::{max_age, retry_after};
use crate::base::time::Timestamp;
use crate::jose::header::{OtherType, TokenType};
use crate::opaque::OpaqueError;
use crate::opaque::flight::Unanswered;
use crate::opaque::status_list::StatusList;
use crate::opaque::status_lists::{LARGEST_TOKEN, Lists, Look};
use crate::trust::trusted::TrustedIssuer;
use crate::verify::verified::Verified;

/// Nobody waits longer for a list: a fetch, and one of the key that it is signed with.
const PATIENCE: Duration = Duration::from_secs(8);
/// What a client is told to wait when nothing better is known.
const SOON: Duration = Duration::from_secs(1);
/// The types of section 7: what is neither of these is an application's own, and none of them says that a token is good.
const VALID: u8 = 0;
const INVALID: u8 = 1;
const SUSPENDED: u8 = 2;

impl ResourceServer {
    /// The word of the token's status list, at once where the list is at hand, and then the [last word](Self::admit).
    #[inline(never)]
    pub(super) fn admit_by_status(&self, verified: Verified, now: Timestamp) -> MaybeReady<Verified> {
        let facts = verified.shared_facts();
        let (Some(lists), Some(place)) = (&facts.issuer.status_lists, facts.status()) else {
            return self.admit_by_list(verified, now);
        };
        let (status, due) = match lists.look(place, facts.issuer_name(), now) {
            Look::Status { status, due } => (judged(status), due),
            Look::Nowhere(why) => (Err(mismatch(why)), false),
            Look::Paused(left) => (Err(out_of_reach(left)), false),
            Look::Missing => return self.fetch_and_admit(&Arc::clone(lists), verified),
        };
        if due {
            // Who asked does not wait for it.
            drop(self.fetch_list(lists, &facts.issuer, &place.uri));
        }
        match status {
            Ok(()) => self.admit_by_list(verified, now),
            Err(error) => MaybeReady::ready(Err(self.refused_late(&verified, error))),
        }
    }

    fn fetch_and_admit(&self, lists: &Arc<Lists>, verified: Verified) -> MaybeReady<Verified> {
        let facts = verified.shared_facts();
        let Some(place) = facts.status().cloned() else { return MaybeReady::ready(Ok(verified)) };
        let (server, lists) = (self.clone(), Arc::clone(lists));
        let begun = match self.fetch_list(&lists, &facts.issuer, &place.uri) {
            // Nobody is here to fetch it; there may be where this is awaited.
            Err(Unfetched::Unanswered(Unanswered::Grounded(_))) => None,
            Err(error) => return MaybeReady::ready(Err(self.refused_late(&verified, error.into()))),
            Ok(landed) => Some(landed),
        };
        MaybeReady::waiting(async move {
            let landed = match begun {
                Some(landed) => Ok(landed),
                None => server.fetch_list(&lists, &verified.shared_facts().issuer, &place.uri),
            };
            match landed {
                Ok(landed) => _ = landed.await,
                Err(error) => return Err(server.refused_late(&verified, error.into())),
            }
            let now = server.0.clock.now();
            let status = match lists.look(&place, verified.shared_facts().issuer_name(), now) {
                Look::Status { status, .. } => judged(status),
                Look::Nowhere(why) => Err(mismatch(why)),
                Look::Paused(left) => Err(out_of_reach(left)),
                Look::Missing => Err(out_of_reach(SOON)),
            };
            match status {
                Ok(()) => server.admit_by_list(verified, now).await,
                Err(error) => Err(server.refused_late(&verified, error)),
            }
        })
    }

    /// Begins to fetch a list, or joins who has.
    ///
    /// # Errors
    /// It lies where no list is fetched from, or there is nobody to fetch it.
    fn fetch_list(
        &self,
        lists: &Arc<Lists>,
        issuer: &Arc<TrustedIssuer>,
        uri: &str,
    ) -> Result<impl Future<Output = Result<(), impl Sized + use<>>> + Send + 'static + use<>, Unfetched> {
        let at = lists.place(uri).ok_or(Unfetched::Elsewhere)?;
        let question = || {
            let (server, lists, issuer) = (self.clone(), Arc::clone(lists), Arc::clone(issuer));
            let uri = Box::<str>::from(uri);
            async move { server.fetch_and_keep(&lists, &issuer, &uri, at).await }
        };
        lists.fetch(uri, PATIENCE, question).map_err(Unfetched::Unanswered)
    }

    async fn fetch_and_keep(&self, lists: &Lists, issuer: &Arc<TrustedIssuer>, uri: &str, at: Uri) {
        let _turn = lists.limits.fetch_turn(false).await;
        let fetched = self.fetched(lists, issuer, uri, at).await;
        let now = self.0.clock.now();
        let kept = fetched
            .and_then(|(list, max_age)| lists.keep(uri, list, max_age, (now, chance())).map_err(OpaqueError::Unusable));
        if let Err(error) = kept {
            lists.failed(uri, error.retry_after(), now);
            tracing::warn!(name: "token.status_list.failed", issuer = &*issuer.identifier, outcome = error.outcome(), %error, "a status list could not be had");
        }
    }

    /// Section 8.1 and 8.2: by GET; the answer is a token, whatever its media type says.
    async fn fetched(
        &self,
        lists: &Lists,
        issuer: &Arc<TrustedIssuer>,
        uri: &str,
        at: Uri,
    ) -> Result<(StatusList, Option<Duration>), OpaqueError> {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = at;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/statuslist+jwt"));
        let limits = Limits::default().max_body(LARGEST_TOKEN);
        let answer = lists.client.send(request, limits).await.map_err(OpaqueError::Http)?;
        let headers = answer.headers();
        if answer.status() != StatusCode::OK {
            return Err(OpaqueError::Status { status: answer.status().as_u16(), retry_after: retry_after(headers) });
        }
        if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            return Err(OpaqueError::Unusable("it is compressed, which was not asked for"));
        }
        let max_age = max_age(headers);
        let token =
            std::str::from_utf8(answer.body()).map_err(|_| OpaqueError::Unusable("it is not text"))?.trim_ascii();
        let fits = |typ| typ == TokenType::Other(OtherType::StatusList);
        let (text, claims) = self.0.signed(issuer, token, fits).await?;
        let now = self.0.clock.now();
        let list = StatusList::read(text.json(), uri, (claims.issued, claims.expires), (now, issuer.leeway));
        Ok((list.map_err(OpaqueError::Unusable)?, max_age))
    }
}

/// Why no fetch of a list began.
enum Unfetched {
    Elsewhere,
    Unanswered(Unanswered),
}

impl From<Unfetched> for Error {
    fn from(unfetched: Unfetched) -> Self {
        match unfetched {
            Unfetched::Elsewhere => mismatch(
                "the token's status list lies elsewhere than its issuer: name its place with StatusLists::at(), or status_lists.at in a policy",
            ),
            Unfetched::Unanswered(Unanswered::Grounded(missing)) => grounded(missing).at(Check::Demands),
            Unfetched::Unanswered(Unanswered::Full | Unanswered::Lost) => out_of_reach(SOON),
        }
    }
}

fn judged(status: u8) -> Result<(), Error> {
    let why = match status {
        VALID => return Ok(()),
        INVALID => "the issuer's status list says that the token is invalid",
        SUSPENDED => "the issuer's status list says that the token is suspended",
        _ => "the issuer's status list has a status for the token that is not VALID",
    };
    Err(Error::new(ErrorKind::Inactive, why).at(Check::Demands))
}

fn mismatch(why: &'static str) -> Error {
    Error::new(ErrorKind::ClaimsMismatch, why).at(Check::Demands)
}

fn out_of_reach(left: Duration) -> Error {
    Error::unavailable("the status list that the token points to is out of reach", left.max(SOON)).at(Check::Demands)
}

#[cfg(test)]
mod tests;
