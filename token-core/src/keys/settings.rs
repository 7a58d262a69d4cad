//! Settings for the JWK Set cache: configuration (serde or code) in, checked settings out.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::time::text;

/// How long the JWK Set of an issuer is cached, and when it is fetched again.
///
/// In configuration, each duration is a number of seconds or a text such as `"250ms"`, `"30s"`, `"10m"`, `"1h"`,
/// `"1d"`. A member that is left out has its default, and an unknown member is an error.
///
/// ```
/// use std::time::Duration;
/// use token_core::keys::JwksSettings;
///
/// let mut settings = JwksSettings::default();
/// settings.stale_if_error = Duration::from_secs(4 * 3600);
/// assert!(settings.check().is_ok());
///
/// settings.min_fresh = Duration::from_secs(2 * 3600);
/// assert!(settings.check().is_err()); // the minimum is above the maximum
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct JwksSettings {
    /// How long a set is fresh if the response has no `Cache-Control`. Default: 10 min.
    #[serde(with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::base::time::schema::Span"))]
    pub fresh_for: Duration,
    /// The minimum fresh time, whatever `Cache-Control` says, even `no-store`. Default: 1 min.
    #[serde(with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::base::time::schema::Span"))]
    pub min_fresh: Duration,
    /// The maximum fresh time, whatever `Cache-Control` says. Default: 1 h.
    #[serde(with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::base::time::schema::Span"))]
    pub max_fresh: Duration,
    /// The fraction of the fresh time after which a request starts a background refresh. Default: 0.8.
    pub refresh_at: f64,
    /// How much `refresh_at` varies at random, as a fraction of itself, so that instances do not refresh at the same
    /// moment. Default: 0.1.
    pub jitter: f64,
    /// How long past its fresh time a set is still used while the issuer is unreachable;
    /// [`FetchError::is_outage`](crate::keys::FetchError::is_outage) has a table of what counts as such. Default: 1 h,
    /// at most 24 h; 0 turns it off.
    #[serde(with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::base::time::schema::Span"))]
    pub stale_if_error: Duration,
    /// How many fetches for unknown keys may follow each other without a pause. Default: 2.
    pub unknown_kid_burst: u32,
    /// The interval at which one more fetch for an unknown key is allowed. Default: 30 s.
    #[serde(with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::base::time::schema::Span"))]
    pub unknown_kid_interval: Duration,
    /// How long a `kid` that was not in a fetched set is remembered as unknown. Default: 30 s; 0 turns it off.
    #[serde(with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::base::time::schema::Span"))]
    pub negative_for: Duration,
    /// How many unknown `kid`s are remembered, as keyed hashes. Default: 1024.
    pub negative_kids: usize,
    /// How long requests wait for a fetch before they are answered with 503, counted from the start of the fetch.
    /// Default: 5 s.
    #[serde(with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::base::time::schema::Span"))]
    pub wait: Duration,
    /// How long a fetch may take in all, including discovery. Default: 15 s. (A single HTTP exchange has its own limit
    /// of 5 s.)
    #[serde(with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::base::time::schema::Span"))]
    pub fetch_timeout: Duration,
    /// The pause after a failed fetch; doubled after each further one. Default: 1 s.
    #[serde(with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::base::time::schema::Span"))]
    pub backoff_min: Duration,
    /// The longest such pause, even if `Retry-After` asks for more. Default: 60 s.
    #[serde(with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::base::time::schema::Span"))]
    pub backoff_max: Duration,
}

impl Default for JwksSettings {
    fn default() -> Self {
        Self {
            fresh_for: Duration::from_secs(600),
            min_fresh: Duration::from_secs(60),
            max_fresh: Duration::from_secs(3600),
            refresh_at: 0.8,
            jitter: 0.1,
            stale_if_error: Duration::from_secs(3600),
            unknown_kid_burst: 2,
            unknown_kid_interval: Duration::from_secs(30),
            negative_for: Duration::from_secs(30),
            negative_kids: 1024,
            wait: Duration::from_secs(5),
            fetch_timeout: Duration::from_secs(15),
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
        }
    }
}

impl JwksSettings {
    /// Checks for settings that contradict each other or disable a protection.
    ///
    /// # Errors
    /// [`JwksSettingsError`] with the setting and the reason.
    pub fn check(&self) -> Result<(), JwksSettingsError> {
        let second = Duration::from_secs(1);
        let day = Duration::from_secs(86_400);
        let rules = [
            (self.min_fresh >= second, "min_fresh", "less than 1 s"),
            (self.min_fresh <= self.fresh_for, "fresh_for", "less than min_fresh"),
            (self.fresh_for <= self.max_fresh, "fresh_for", "more than max_fresh"),
            (self.max_fresh <= day, "max_fresh", "more than 24 h"),
            ((0.1..=1.0).contains(&self.refresh_at), "refresh_at", "outside 0.1 to 1.0"),
            ((0.0..=0.5).contains(&self.jitter), "jitter", "outside 0.0 to 0.5"),
            (self.refresh_at * (1.0 + self.jitter) <= 1.0, "jitter", "moves the refresh past the fresh time"),
            (self.stale_if_error <= day, "stale_if_error", "more than 24 h"),
            (self.unknown_kid_burst <= 100, "unknown_kid_burst", "more than 100"),
            (self.unknown_kid_interval >= second, "unknown_kid_interval", "less than 1 s"),
            (self.negative_for <= Duration::from_secs(3600), "negative_for", "more than 1 h"),
            (self.negative_kids <= 65_536, "negative_kids", "more than 65536"),
            (self.wait > Duration::ZERO, "wait", "zero: no token of a new key could be served"),
            (self.wait <= self.fetch_timeout, "wait", "more than fetch_timeout"),
            (self.fetch_timeout <= Duration::from_secs(300), "fetch_timeout", "more than 5 min"),
            (self.backoff_min >= Duration::from_millis(100), "backoff_min", "less than 100 ms"),
            (self.backoff_min <= self.backoff_max, "backoff_min", "more than backoff_max"),
            (self.backoff_max <= Duration::from_secs(3600), "backoff_max", "more than 1 h"),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, setting, why)) => Err(JwksSettingsError { setting, why }),
            None => Ok(()),
        }
    }
}

/// A setting of [`JwksSettings`] that contradicts another one or disables a protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JwksSettingsError {
    setting: &'static str,
    why: &'static str,
}

impl JwksSettingsError {
    /// The name of the setting.
    #[must_use]
    pub fn setting(&self) -> &'static str {
        self.setting
    }
}

impl fmt::Display for JwksSettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}", self.setting, self.why)
    }
}

impl std::error::Error for JwksSettingsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_what_the_documentation_promises_and_hold_together() {
        let json = serde_json::to_value(JwksSettings::default()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "fresh_for": 600, "min_fresh": 60, "max_fresh": 3600, "refresh_at": 0.8, "jitter": 0.1, "stale_if_error": 3600,
                "unknown_kid_burst": 2, "unknown_kid_interval": 30, "negative_for": 30, "negative_kids": 1024,
                "wait": 5, "fetch_timeout": 15, "backoff_min": 1, "backoff_max": 60,
            })
        );
        assert_eq!(JwksSettings::default().check(), Ok(()));
    }

    #[test]
    fn spans_are_seconds_or_text() {
        let read = |json: &str| serde_json::from_str::<JwksSettings>(json);
        let settings = read(r#"{"fresh_for": "5m", "backoff_min": 0.5, "stale_if_error": 0}"#).unwrap();
        assert_eq!(settings.fresh_for, Duration::from_secs(300));
        assert_eq!(settings.backoff_min, Duration::from_millis(500));
        assert_eq!(settings.stale_if_error, Duration::ZERO);
        assert_eq!(settings.max_fresh, Duration::from_secs(3600));
        for wrong in [r#"{"fresh": 5}"#, r#"{"fresh_for": "5 minutes"}"#, r#"{"fresh_for": -1}"#, r#"{"wait": null}"#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn contradictions_are_named() {
        type Change = fn(&mut JwksSettings);
        let cases: [(Change, &str); 10] = [
            (|s| s.min_fresh = Duration::ZERO, "min_fresh"),
            (|s| s.min_fresh = Duration::from_secs(601), "fresh_for"),
            (|s| s.max_fresh = Duration::from_secs(599), "fresh_for"),
            (|s| s.refresh_at = f64::NAN, "refresh_at"),
            (|s| s.jitter = 0.3, "jitter"),
            (|s| s.stale_if_error = Duration::from_secs(86_401), "stale_if_error"),
            (|s| s.unknown_kid_interval = Duration::ZERO, "unknown_kid_interval"),
            (|s| s.wait = Duration::ZERO, "wait"),
            (|s| s.wait = Duration::from_secs(16), "wait"),
            (|s| s.backoff_max = Duration::from_millis(500), "backoff_min"),
        ];
        for (change, setting) in cases {
            let mut settings = JwksSettings::default();
            change(&mut settings);
            assert_eq!(settings.check().map_err(|error| error.setting()), Err(setting));
        }
    }
}
