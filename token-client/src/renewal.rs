//! The state of one token and the time in; use, renew or refuse out. Pure; no RFC prescribes it.

use std::time::Duration;

use token_core::Timestamp;

use crate::error::TokenError;
use crate::token::Token;

/// When tokens are renewed, and the pauses after failures.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct RenewalSettings {
    ahead: Duration,
    ahead_fraction: f64,
    assumed_life: Duration,
    first_wait: Duration,
    longest_wait: Duration,
}

impl Default for RenewalSettings {
    fn default() -> Self {
        Self {
            ahead: Duration::from_secs(60),
            ahead_fraction: 0.1,
            assumed_life: Duration::from_secs(60),
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(30),
        }
    }
}

impl RenewalSettings {
    /// Sets how long before its expiry a token is renewed. Default: 60 s; never more than a tenth of its lifetime.
    pub fn ahead(mut self, duration: Duration) -> Self {
        self.ahead = duration;
        self
    }

    /// Sets the assumed lifetime of a token whose server names none. Default: 60 s.
    pub fn assumed_life(mut self, duration: Duration) -> Self {
        self.assumed_life = duration;
        self
    }

    /// Sets the pause after a failure: the first one, and the longest. It doubles with each failure. Default: 1 s and
    /// 30 s.
    pub fn back_off(mut self, first: Duration, longest: Duration) -> Self {
        self.first_wait = first;
        self.longest_wait = longest;
        self
    }
}

/// A token, with the two times that matter.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) token: Token,
    pub(crate) obtained: Timestamp,
    /// From then on, a request starts a renewal in the background.
    pub(crate) renew_at: Timestamp,
    /// From then on, the token is no longer used. This is slightly before it expires, since the request still has to
    /// travel.
    pub(crate) usable_until: Timestamp,
}

/// The failures since the last success.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) error: TokenError,
    pub(crate) since: Timestamp,
    pub(crate) until: Timestamp,
    pub(crate) attempts: u32,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Serve,
    ServeAndRenew,
    Renew,
    Refuse,
}

/// The tolerance when two readings of the clock are compared to detect that it was set back.
const SLACK: Duration = Duration::from_secs(1);

/// Whether the clock was set back since `then`. If so, times that were planned before mean nothing.
pub(crate) fn was_set_back(then: Timestamp, now: Timestamp) -> bool {
    now.saturating_add(SLACK) < then
}

pub(crate) fn next(held: Option<&Held>, failed: Option<&Failed>, now: Timestamp) -> Next {
    let backing_off = failed.is_some_and(|failed| now < failed.until && !was_set_back(failed.since, now));
    match held {
        // It may have ended; the server knows. Until it has said so, the token is the best there is.
        Some(held) if was_set_back(held.obtained, now) && backing_off => Next::Serve,
        Some(held) if was_set_back(held.obtained, now) => Next::ServeAndRenew,
        Some(held) if now < held.renew_at => Next::Serve,
        Some(held) if now < held.usable_until && backing_off => Next::Serve,
        Some(held) if now < held.usable_until => Next::ServeAndRenew,
        _ if backing_off => Next::Refuse,
        _ => Next::Renew,
    }
}

/// Plans the renewal of a new token. `jitter` in [0, 1) spreads instances over the last fifth of the early period.
pub(crate) fn hold(token: Token, now: Timestamp, settings: &RenewalSettings, jitter: f64) -> Held {
    let life = token.expires_at().map_or(settings.assumed_life, |end| end.since(now));
    let ahead = settings.ahead.min(life.mul_f64(settings.ahead_fraction)).mul_f64(1.0 + 0.2 * jitter);
    let travel = Duration::from_secs(5).min(life.mul_f64(0.05));
    let end = now.saturating_add(life);
    Held {
        obtained: now,
        renew_at: end.saturating_sub(ahead.max(travel)),
        usable_until: end.saturating_sub(travel),
        token,
    }
}

/// Plans the pause after a failure: what the server asks for, or 1 s, 2 s, 4 s …, plus up to a fifth.
pub(crate) fn fail(
    before: Option<&Failed>,
    error: TokenError,
    now: Timestamp,
    settings: &RenewalSettings,
    jitter: f64,
) -> Failed {
    let attempts = before.map_or(0, |failed| failed.attempts).saturating_add(1);
    let doubled = settings.first_wait.saturating_mul(1 << (attempts - 1).min(16)).min(settings.longest_wait);
    let asked = error.wait().unwrap_or_default().min(Duration::from_secs(60));
    let until = now.saturating_add(doubled.mul_f64(1.0 + 0.2 * jitter).max(asked));
    Failed { error, since: now, until, attempts }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::TokenErrorKind;

    const START: Timestamp = Timestamp::from_secs(1_000_000);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(1_000_000 + seconds)
    }

    fn token(life: i64) -> Token {
        Token::bearer("t", Some(at(life))).unwrap()
    }

    fn failed(until: i64) -> Failed {
        let error = TokenError::new(TokenErrorKind::Timeout, "x");
        Failed { error, since: at(until - 1), until: at(until), attempts: 1 }
    }

    #[test]
    fn a_token_is_served_then_served_and_renewed_then_waited_for() {
        let held = hold(token(3600), START, &RenewalSettings::default(), 0.0);
        for (second, failed, expected) in [
            (0, None, Next::Serve),
            (3539, None, Next::Serve),
            (3540, None, Next::ServeAndRenew),
            (3540, Some(failed(3541)), Next::Serve),
            (3541, Some(failed(3541)), Next::ServeAndRenew),
            (3594, None, Next::ServeAndRenew),
            (3595, None, Next::Renew),
            (3595, Some(failed(3596)), Next::Refuse),
            (3596, Some(failed(3596)), Next::Renew),
        ] {
            assert_eq!(next(Some(&held), failed.as_ref(), at(second)), expected, "{second}");
        }
        assert_eq!(next(None, None, START), Next::Renew);
        assert_eq!(next(None, Some(&failed(1)), START), Next::Refuse);
    }

    #[test]
    fn a_clock_set_back_renews_what_it_may_have_outlived_and_ends_what_is_waited_for() {
        let held = hold(token(3600), START, &RenewalSettings::default(), 0.0);
        for (second, failed, expected) in [
            (-1, None, Next::Serve),
            (-2, None, Next::ServeAndRenew),
            (-86_400, None, Next::ServeAndRenew),
            (-86_400, Some(failed(-86_399)), Next::Serve),
            (-86_400, Some(failed(3601)), Next::ServeAndRenew),
        ] {
            assert_eq!(next(Some(&held), failed.as_ref(), at(second)), expected, "{second}");
        }
        assert_eq!(
            next(None, Some(&failed(3601)), START),
            Next::Renew,
            "no pause is longer for a clock that was set back"
        );
    }

    #[test]
    fn the_early_time_is_a_tenth_of_a_short_life_and_jitter_makes_it_longer() {
        for (life, jitter, renew_at) in
            [(3600, 0.0, 3540), (3600, 1.0, 3528), (300, 0.0, 270), (300, 1.0, 264), (0, 0.0, 0)]
        {
            let held = hold(token(life), START, &RenewalSettings::default(), jitter);
            assert_eq!(held.renew_at, at(renew_at), "{life} {jitter}");
            assert!(held.renew_at <= held.usable_until && held.usable_until <= at(life));
        }
    }

    #[test]
    fn a_token_without_a_lifetime_is_kept_for_the_assumed_one() {
        let unsaid = Token::bearer("t", None).unwrap();
        let held = hold(unsaid, START, &RenewalSettings::default().assumed_life(Duration::from_secs(100)), 0.0);
        assert_eq!((held.renew_at, held.usable_until), (at(90), at(95)));
    }

    #[test]
    fn failures_double_their_wait_up_to_a_limit_and_heed_the_server() {
        let settings = RenewalSettings::default();
        let error = TokenError::new(TokenErrorKind::Timeout, "x");
        let mut before = None;
        for expected in [1, 2, 4, 8, 16, 30, 30] {
            let failed = fail(before.as_ref(), error.clone(), START, &settings, 0.0);
            assert_eq!(failed.until, at(expected));
            before = Some(failed);
        }
        let asked = error.clone().retry_after(Duration::from_secs(45));
        assert_eq!(fail(None, asked, START, &settings, 0.0).until, at(45));
        let absurd = error.retry_after(Duration::from_secs(3600));
        assert_eq!(fail(None, absurd, START, &settings, 0.0).until, at(60));
    }
}
