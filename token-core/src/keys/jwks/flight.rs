//! One fetch under way: carried out in a detached task, watched by requests, booked exactly once however it ends.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use tracing::Instrument;

use super::{FetchError, Fetched, FetchedKeys, FlightId, JwksCache, JwksSettings, KeySource, Read, SOON};
use crate::base::limits::FetchLimits;
use crate::base::patience::within;
use crate::base::sync::{sleep, timeout, watch};
use crate::base::telemetry;

/// How a fetch goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    UnderWay,
    /// For longer than requests wait.
    Slow,
    Ended(Fetched),
}

/// A fetch as those see it who wait for it.
#[derive(Clone)]
pub(super) struct UnderWay {
    id: FlightId,
    progress: watch::Receiver<Progress>,
}

impl UnderWay {
    pub(super) fn begin(id: FlightId) -> (watch::Sender<Progress>, Self) {
        let (sender, progress) = watch::channel(Progress::UnderWay);
        (sender, Self { id, progress })
    }
}

/// By so much who waits is more patient than the one who carries the fetch out.
const GRACE: Duration = Duration::from_millis(250);

/// Waits until a fetch has ended or has become slow. Who carries it out says so after `patience`, so that one who joins late waits no
/// longer than those before. Where that runtime stands still it says nothing: each who waits has a bound on its own runtime, and the first
/// to meet it has the keys fetched there.
pub(super) async fn wait(cache: Weak<JwksCache>, fetch: UnderWay, patience: Duration) -> Fetched {
    let UnderWay { id, mut progress } = fetch;
    let landed = within(patience.saturating_add(GRACE), progress.wait_for(|progress| *progress != Progress::UnderWay));
    match landed.await.as_ref().map(Result::as_deref) {
        Some(Ok(Progress::Ended(fetched))) => return *fetched,
        // Slow; or the sender is gone, and so is the runtime the fetch was running on.
        Some(Ok(_) | Err(_)) => {}
        None => {
            if let Some(cache) = cache.upgrade() {
                cache.take_over(id);
            }
        }
    }
    Fetched::Unavailable { retry_after: SOON }
}

/// The right to carry out one fetch, and the duty to book its end: dropped in between, it books the fetch as lost.
pub(super) struct Flight {
    cache: Weak<JwksCache>,
    id: FlightId,
    progress: watch::Sender<Progress>,
    /// The fetch before this one failed.
    is_troubled: bool,
    booked: bool,
}

impl Flight {
    pub(super) fn new(
        cache: Weak<JwksCache>,
        id: FlightId,
        progress: watch::Sender<Progress>,
        is_troubled: bool,
    ) -> Self {
        Self { cache, id, progress, is_troubled, booked: false }
    }

    /// Fetches; while there is no set to serve with, again after each pause, until there is one or the cache is gone.
    pub(super) async fn carry_out(mut self, source: Arc<dyn KeySource>, settings: JwksSettings, limits: FetchLimits) {
        loop {
            let Some(span) = self.cache.upgrade().map(|cache| telemetry::fetch_span(&cache.issuer)) else { return };
            let end = self.fetch(&*source, &settings, &limits).instrument(span.clone()).await;
            span.record("outcome", end.as_ref().map_or_else(|error| error.outcome(), |(read, _)| read.outcome()));
            let Some(cache) = self.cache.upgrade() else { return };
            let pause = self.book(&cache, Some(end));
            // No strong reference across the pause: it must not keep the cache alive.
            drop(cache);
            let Some(pause) = pause else { return };
            sleep(pause).await;
            let Some(next) = self.cache.upgrade().and_then(|cache| cache.woke(self.id)) else { return };
            self = next;
        }
    }

    /// Those who wait do so for `wait`, for the turn and the fetch together; the fetch itself has its time from its turn on.
    async fn fetch(
        &self,
        source: &dyn KeySource,
        settings: &JwksSettings,
        limits: &FetchLimits,
    ) -> Result<(Read, FetchedKeys), FetchError> {
        let fetching = unpanicking(async {
            let fetched = source.fetch().await?;
            let cache = self.cache.upgrade().ok_or(FetchError::Timeout)?;
            match cache.read(&fetched) {
                Ok(read) => Ok((read, fetched)),
                Err(error) => {
                    source.rejected();
                    Err(error)
                }
            }
        });
        let mut in_turn = pin!(async {
            let _turn = limits.fetch_turn(self.is_troubled).await;
            timeout(settings.fetch_timeout, fetching).await.unwrap_or(Err(FetchError::Timeout))
        });
        if let Ok(end) = timeout(settings.wait, &mut in_turn).await {
            return end;
        }
        if let Some(cache) = self.cache.upgrade() {
            cache.slow(self.id);
        }
        self.progress.send_replace(Progress::Slow);
        in_turn.await
    }

    fn book(&mut self, cache: &JwksCache, end: Option<Result<(Read, FetchedKeys), FetchError>>) -> Option<Duration> {
        self.booked = true;
        let (fetched, pause) = cache.land(self.id, end);
        self.progress.send_replace(Progress::Ended(fetched));
        pause
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.booked
            && let Some(cache) = self.cache.upgrade()
        {
            let end = std::thread::panicking().then_some(Err(FetchError::Panicked));
            self.book(&cache, end);
        }
    }
}

/// The same future, with a panic in a source as an error: one bad source must not end the healing of its cache.
async fn unpanicking<T>(future: impl Future<Output = Result<T, FetchError>>) -> Result<T, FetchError> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))).unwrap_or(Poll::Ready(Err(FetchError::Panicked)))
    })
    .await
}
