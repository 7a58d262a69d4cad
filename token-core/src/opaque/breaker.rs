//! Whether to ask an endpoint that has been failing: how the last questions went and the time in, go on or wait out. Does no I/O.

use std::time::Duration;

use crate::base::time::Timestamp;

/// Failures about so many different tokens in a row stop the questions.
const FAILURES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// For so long after a pause only a token that was good before may be the probe.
const STRANGERS: Duration = Duration::from_secs(1);
/// A probe that has not ended by then was lost with its runtime.
const PROBE: Duration = Duration::from_secs(15);

/// The state of one endpoint. Closed means that questions pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breaker {
    Closed { failed: Failed },
    Open { until: Timestamp, pause: Duration },
    Probing { since: Timestamp, pause: Duration },
}

/// The tokens whose questions failed since the last success, each by a mark of its own: one token is one failure, however often it comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Failed {
    marks: [u64; FAILURES as usize],
    count: u32,
}

impl Failed {
    fn with(mut self, mark: u64) -> Self {
        let count = self.count as usize;
        if count < self.marks.len() && !self.marks[..count].contains(&mark) {
            self.marks[count] = mark;
            self.count += 1;
        }
        self
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed { failed: Failed::default() }
    }
}

impl Breaker {
    /// Whether this question may be asked; else how long to wait. After each pause exactly one question passes as a probe: about a token
    /// that was good before the trouble, and only when none has come for as long again about whichever comes.
    pub(crate) fn permit(&mut self, now: Timestamp, was_good: bool) -> Result<(), Duration> {
        let (since, pause) = match *self {
            Self::Closed { .. } => return Ok(()),
            // A clock that was set back must not stop the questions for longer than any pause is.
            Self::Open { until, pause } if until.since(now) > LONGEST_PAUSE => (now, pause),
            Self::Open { until, pause } if now >= until && (was_good || now.since(until) >= STRANGERS) => (now, pause),
            Self::Open { until, .. } => return Err(until.since(now).max(Duration::from_millis(1))),
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

    /// The question about one token said nothing of the endpoint. Where it was the probe, somebody else's has to be.
    pub(crate) fn undecided(&mut self, now: Timestamp) {
        if let Self::Probing { pause, .. } = *self {
            *self = Self::Open { until: now, pause };
        }
    }

    /// It did not. `mark` tells the token from others; `retry_after` is what the endpoint asked for itself.
    pub(crate) fn failed(&mut self, now: Timestamp, mark: u64, retry_after: Option<Duration>) {
        let open = |pause: Duration| Self::Open {
            until: now.saturating_add(pause.max(retry_after.unwrap_or_default()).min(LONGEST_PAUSE)),
            pause: pause.saturating_mul(2).min(LONGEST_PAUSE),
        };
        *self = match *self {
            Self::Closed { failed } => {
                let failed = failed.with(mark);
                // An endpoint that asks for a pause gets it sooner, but not for one token alone.
                let most = if retry_after.is_some() { 2 } else { FAILURES };
                if failed.count < most { Self::Closed { failed } } else { open(FIRST_PAUSE) }
            }
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
        for token in 0..u64::from(FAILURES) {
            assert_eq!(breaker.permit(at(0), false), Ok(()));
            breaker.failed(at(0), token, None);
        }
        breaker
    }

    #[test]
    fn repeated_failures_stop_the_questions_and_one_probe_passes_after_each_pause() {
        let mut breaker = tripped();
        assert_eq!(breaker.permit(at(400), true), Err(Duration::from_millis(600)));
        assert_eq!(breaker.permit(at(1000), true), Ok(()), "the probe");
        assert_eq!(breaker.permit(at(1001), true), Err(FIRST_PAUSE), "only one");
        breaker.failed(at(1002), 1, None);
        assert_eq!(breaker.permit(at(2500), true), Err(Duration::from_millis(502)), "the pause has doubled");
        assert_eq!(breaker.permit(at(3002), true), Ok(()));
        breaker.succeeded();
        assert_eq!(breaker, Breaker::default());
    }

    #[test]
    fn a_success_in_between_starts_the_count_again() {
        let mut breaker = Breaker::default();
        for _ in 0..100 {
            for token in 1..u64::from(FAILURES) {
                breaker.failed(at(0), token, None);
            }
            breaker.succeeded();
            assert_eq!(breaker.permit(at(0), true), Ok(()));
        }
    }

    #[test]
    fn an_endpoint_that_asks_for_a_pause_gets_it_at_once_within_reason() {
        for (asked, given) in [(7, 7), (100_000, 30), (0, 1)] {
            let mut breaker = Breaker::default();
            breaker.failed(at(0), 1, Some(Duration::from_secs(asked)));
            assert_eq!(breaker.permit(at(0), false), Ok(()), "not for one token alone");
            breaker.failed(at(0), 2, Some(Duration::from_secs(asked)));
            assert_eq!(breaker.permit(at(0), true), Err(Duration::from_secs(given)));
        }
    }

    #[test]
    fn pauses_stop_growing_and_a_lost_probe_or_a_clock_set_back_strands_nobody() {
        let mut breaker = tripped();
        let mut now = 0;
        for _ in 0..20 {
            now += 40_000;
            assert_eq!(breaker.permit(at(now), true), Ok(()));
            breaker.failed(at(now), 1, None);
        }
        assert_eq!(breaker.permit(at(now), true), Err(LONGEST_PAUSE));
        assert_eq!(breaker.permit(at(0), true), Ok(()), "the clock was set back");
        assert_eq!(breaker.permit(at(14_999), true), Err(FIRST_PAUSE));
        assert_eq!(breaker.permit(at(15_000), true), Ok(()), "the probe was lost");
    }

    #[test]
    fn one_token_however_often_it_comes_stops_nobody_elses_questions() {
        let mut breaker = Breaker::default();
        for _ in 0..1000 {
            breaker.failed(at(0), 7, None);
            breaker.failed(at(0), 8, None);
            assert_eq!(breaker.permit(at(0), false), Ok(()));
        }
    }

    #[test]
    fn the_probe_is_a_token_that_was_good_and_a_strangers_only_when_no_such_token_comes() {
        let mut breaker = tripped();
        assert!(breaker.permit(at(1000), false).is_err(), "a stranger");
        assert!(breaker.permit(at(1999), false).is_err(), "a stranger, still");
        assert_eq!(breaker.permit(at(1999), true), Ok(()), "a token that was good");
        let mut breaker = tripped();
        assert_eq!(breaker.permit(at(2000), false), Ok(()), "nobody better came");
        breaker.undecided(at(2100));
        assert_eq!(breaker.permit(at(2100), true), Ok(()), "that probe said nothing: the next one at once");
    }
}
