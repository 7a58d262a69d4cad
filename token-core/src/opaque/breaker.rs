//! Whether to ask an endpoint that has been failing: how the last questions went and the time in, go on or wait out. Does no I/O.

use std::time::Duration;

use crate::base::time::Timestamp;

/// So many failures in a row stop the questions.
const FAILURES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A probe that has not ended by then was lost with its runtime.
const PROBE: Duration = Duration::from_secs(15);

/// The state of one endpoint. Closed means that questions pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breaker {
    Closed { failures: u32 },
    Open { until: Timestamp, pause: Duration },
    Probing { since: Timestamp, pause: Duration },
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// Whether this question may be asked; else how long to wait. After each pause exactly one question passes as a probe.
    pub(crate) fn permit(&mut self, now: Timestamp) -> Result<(), Duration> {
        let (since, pause) = match *self {
            Self::Closed { .. } => return Ok(()),
            // A clock that was set back must not stop the questions for longer than any pause is.
            Self::Open { until, pause } if now >= until || until.since(now) > LONGEST_PAUSE => (now, pause),
            Self::Open { until, .. } => return Err(until.since(now)),
            Self::Probing { since, pause } if now.since(since) >= PROBE || now < since => (now, pause),
            Self::Probing { .. } => return Err(FIRST_PAUSE),
        };
        *self = Self::Probing { since, pause };
        Ok(())
    }

    /// The endpoint answered as it should.
    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// It did not. `retry_after` is what it asked for itself.
    pub(crate) fn failed(&mut self, now: Timestamp, retry_after: Option<Duration>) {
        let open = |pause: Duration| Self::Open {
            until: now.saturating_add(pause.max(retry_after.unwrap_or_default()).min(LONGEST_PAUSE)),
            pause: pause.saturating_mul(2).min(LONGEST_PAUSE),
        };
        *self = match *self {
            Self::Closed { failures } if failures + 1 < FAILURES && retry_after.is_none() => {
                Self::Closed { failures: failures + 1 }
            }
            Self::Closed { .. } => open(FIRST_PAUSE),
            Self::Probing { pause, .. } => open(pause),
            // A question that was under way when the others stopped.
            still_open @ Self::Open { .. } => still_open,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn tripped() -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES {
            assert_eq!(breaker.permit(at(0)), Ok(()));
            breaker.failed(at(0), None);
        }
        breaker
    }

    #[test]
    fn repeated_failures_stop_the_questions_and_one_probe_passes_after_each_pause() {
        let mut breaker = tripped();
        assert_eq!(breaker.permit(at(400)), Err(Duration::from_millis(600)));
        assert_eq!(breaker.permit(at(1000)), Ok(()), "the probe");
        assert_eq!(breaker.permit(at(1001)), Err(FIRST_PAUSE), "only one");
        breaker.failed(at(1002), None);
        assert_eq!(breaker.permit(at(2500)), Err(Duration::from_millis(502)), "the pause has doubled");
        assert_eq!(breaker.permit(at(3002)), Ok(()));
        breaker.succeeded();
        assert_eq!(breaker, Breaker::default());
    }

    #[test]
    fn a_success_in_between_starts_the_count_again() {
        let mut breaker = Breaker::default();
        for _ in 0..100 {
            for _ in 1..FAILURES {
                breaker.failed(at(0), None);
            }
            breaker.succeeded();
            assert_eq!(breaker.permit(at(0)), Ok(()));
        }
    }

    #[test]
    fn an_endpoint_that_asks_for_a_pause_gets_it_at_once_within_reason() {
        for (asked, given) in [(7, 7), (100_000, 30), (0, 1)] {
            let mut breaker = Breaker::default();
            breaker.failed(at(0), Some(Duration::from_secs(asked)));
            assert_eq!(breaker.permit(at(0)), Err(Duration::from_secs(given)));
        }
    }

    #[test]
    fn pauses_stop_growing_and_a_lost_probe_or_a_clock_set_back_strands_nobody() {
        let mut breaker = tripped();
        let mut now = 0;
        for _ in 0..20 {
            now += 40_000;
            assert_eq!(breaker.permit(at(now)), Ok(()));
            breaker.failed(at(now), None);
        }
        assert_eq!(breaker.permit(at(now)), Err(LONGEST_PAUSE));
        assert_eq!(breaker.permit(at(0)), Ok(()), "the clock was set back");
        assert_eq!(breaker.permit(at(14_999)), Err(FIRST_PAUSE));
        assert_eq!(breaker.permit(at(15_000)), Ok(()), "the probe was lost");
    }
}
