//! How and when the user signed in, as a token says it: `acr`, `amr`, `auth_time` (RFC 9068 section 2.2.1, RFC 9470 section 6).

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::base::time::Timestamp;
use crate::claims::number::NumericDate;

/// How and when the user signed in. What a token does not say is `None` or empty.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Authentication {
    /// `acr`: the class of the authentication, in the issuer's words (OpenID Connect Core section 2).
    pub acr: Option<String>,
    /// `amr`: the methods that were used, such as `pwd` and `hwk` (RFC 8176).
    pub amr: Vec<String>,
    /// `auth_time`: when the user last took part in it.
    #[serde(deserialize_with = "date")]
    pub auth_time: Option<Timestamp>,
}

impl Authentication {
    /// Whether its class is one of these, compared whole and with regard to case.
    pub fn is_of(&self, acr_values: impl IntoIterator<Item = impl AsRef<str>>) -> bool {
        let Some(acr) = &self.acr else { return false };
        acr_values.into_iter().any(|wanted| wanted.as_ref() == acr)
    }

    /// Whether the user took part in it at `now` or at most `max_age` before, give or take `leeway`. Not where the token says no time, or one ahead.
    #[must_use]
    pub fn is_within(&self, max_age: Duration, leeway: Duration, now: Timestamp) -> bool {
        self.auth_time.is_some_and(|then| {
            then <= now.saturating_add(leeway) && now <= then.saturating_add(max_age).saturating_add(leeway)
        })
    }
}

fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    deserializer.deserialize_any(NumericDate).map(Some)
}

// How somebody signed in is personal data.
impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authentication(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authentication_is_judged_by_class_and_by_age_and_silence_is_neither() {
        let read = |json: &str| serde_json::from_str::<Authentication>(json).unwrap();
        let strong = read(r#"{"acr":"phr","amr":["hwk","pin"],"auth_time":1000.5,"sub":"ada"}"#);
        assert!(strong.is_of(["mfa", "phr"]) && !strong.is_of(["PHR", "ph", "phrh"]) && !strong.is_of([""; 0]));
        let (leeway, minute) = (Duration::from_secs(30), Duration::from_secs(60));
        for (now, within) in [(1000, true), (1060, true), (1090, true), (1091, false), (971, true), (970, false)] {
            assert_eq!(strong.is_within(minute, leeway, Timestamp::from_secs(now)), within, "{now}");
        }
        assert!(strong.is_within(Duration::MAX, leeway, Timestamp::MAX));
        let silent = read("{}");
        assert!(!silent.is_of(["phr", ""]) && !silent.is_within(Duration::MAX, leeway, Timestamp::EPOCH));
    }

    #[test]
    fn claims_of_another_type_are_an_error_and_not_silence() {
        for json in [
            r#"{"acr":1}"#,
            r#"{"acr":["phr"]}"#,
            r#"{"auth_time":"1000"}"#,
            r#"{"auth_time":null}"#,
            r#"{"amr":"pwd"}"#,
        ] {
            assert!(serde_json::from_str::<Authentication>(json).is_err(), "{json}");
        }
    }
}
