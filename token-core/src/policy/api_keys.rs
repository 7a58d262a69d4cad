//! The policy for API keys in, the builder's settings out, and the reverse.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base::config_error::ConfigError;
use crate::base::time::Timestamp;
use crate::opaque::api_keys::{ApiKey, MemoryApiKeys, is_id};

/// API keys that are listed in the policy, as digests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ApiKeysPolicy {
    /// The prefix of every key, such as `acme_`. Tokens that begin with it are looked up here and never sent to an
    /// endpoint.
    pub prefix: String,
    /// The keys.
    pub keys: Vec<ApiKeyPolicy>,
}

/// One API key: `acme_ci_…` with the prefix `acme_` and the id `ci`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ApiKeyPolicy {
    /// The name of the key: the part between the prefix and the underscore before the secret. Letters, digits, dashes
    /// and dots, at most 64.
    pub id: String,
    /// The subject (`sub`) that requests with this key have.
    pub subject: String,
    /// The scopes that the key grants. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// The accepted secrets. During a rotation there are two.
    pub secrets: Vec<ApiKeySecretPolicy>,
    /// When the key expires, in seconds since 1970 or as `2027-01-31T00:00:00Z`. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Date>,
}

/// One accepted secret of an API key.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ApiKeySecretPolicy {
    /// The SHA-256 of the whole key in hexadecimal: `printf %s "$KEY" | sha256sum`.
    pub sha256: String,
    /// When the secret expires, in seconds since 1970 or as `2027-01-31T00:00:00Z`; set it for the old secret during a
    /// rotation. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Date>,
}

impl fmt::Debug for ApiKeySecretPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeySecretPolicy").field("expires", &self.expires).finish_non_exhaustive()
    }
}

impl ApiKeysPolicy {
    /// The keys as the builder accepts them.
    pub(crate) fn keys(&self) -> Result<MemoryApiKeys, ConfigError> {
        let mut keys: Vec<ApiKey> = Vec::with_capacity(self.keys.len());
        for key in &self.keys {
            let refuse = |why: &str| Err(ConfigError::new(format!("api_keys[{}]: {why}", key.id)));
            if !is_id(&key.id) {
                return refuse("expected an id of letters, digits, dashes and dots, at most 64");
            }
            if keys.iter().any(|known| known.id() == key.id) {
                return refuse("the id is there twice");
            }
            if key.subject.is_empty() {
                return refuse("expected a subject: whose key it is");
            }
            if key.secrets.is_empty() {
                return refuse("expected one secret at least, or that the key is left out");
            }
            let mut made =
                ApiKey::new(key.id.as_str(), key.subject.as_str()).scopes(key.scopes.iter().map(String::as_str));
            for secret in &key.secrets {
                let Some(digest) = from_hex(&secret.sha256) else {
                    return refuse("expected sha256 to be 64 hexadecimal digits: printf %s \"$KEY\" | sha256sum");
                };
                made = match secret.expires {
                    Some(Date(end)) => made.secret_until(digest, end),
                    None => made.secret(digest),
                };
            }
            keys.push(match key.expires {
                Some(Date(end)) => made.expires(end),
                None => made,
            });
        }
        Ok(MemoryApiKeys::new(keys))
    }
}

impl ApiKeysPolicy {
    /// The keys as data; `None` if one has claims, which only code can set.
    pub(super) fn of(prefix: &str, keys: &MemoryApiKeys) -> Option<Self> {
        let keys = keys.all();
        let keys = keys.iter().map(|key| {
            let said = key.said()?;
            let secret = |(digest, expires): ([u8; 32], Option<_>)| ApiKeySecretPolicy {
                sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
                expires: expires.map(Date),
            };
            Some(ApiKeyPolicy {
                id: key.id().to_owned(),
                subject: said.subject.to_owned(),
                scopes: said.scopes.iter().map(|scope| String::from(&**scope)).collect(),
                secrets: said.secrets.into_iter().map(secret).collect(),
                expires: said.expires.map(Date),
            })
        });
        Some(Self { prefix: prefix.to_owned(), keys: keys.collect::<Option<_>>()? })
    }
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// A point in time, as seconds since 1970 or RFC 3339 text in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date(pub Timestamp);

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0.as_secs())
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected seconds since 1970 or a text such as \"2027-01-31T00:00:00Z\"")]
        enum Written {
            Seconds(u32),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Seconds(seconds) => Ok(Self(Timestamp::from_secs(seconds.into()))),
            Written::Text(text) => date(&text).map(Self).ok_or_else(|| {
                serde::de::Error::custom(format!("{text:?}: expected a time in UTC such as \"2027-01-31T00:00:00Z\""))
            }),
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Date {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Date".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "integer", "minimum": 0}]})
    }
}

/// `2027-01-31T00:00:00Z` (RFC 3339), in UTC and without fractions.
fn date(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'Z')];
    if bytes.len() != 20 || marks.iter().any(|(at, mark)| bytes[*at] != *mark) {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *lengths.get(usize::try_from(month.checked_sub(1)?).ok()?)?;
    if year < 1970 || day < 1 || day > length || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let leap_years = |year: i64| year / 4 - year / 100 + year / 400;
    let before = (year - 1970) * 365 + leap_years(year - 1) - leap_years(1969);
    let months: i64 = lengths.iter().take(usize::try_from(month - 1).ok()?).sum();
    Some(Timestamp::from_secs((((before + months + day - 1) * 24 + hour) * 60 + minute) * 60 + second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_the_calendar_has_them() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T12:00:00Z", Some(951_825_600)),
            ("2027-01-31T00:00:00Z", Some(1_801_353_600)),
            ("2100-03-01T00:00:00Z", Some(4_107_542_400)),
            ("9999-12-31T23:59:59Z", Some(253_402_300_799)),
            ("2100-02-29T00:00:00Z", None),
            ("2027-13-01T00:00:00Z", None),
            ("2027-00-01T00:00:00Z", None),
            ("2027-01-31T24:00:00Z", None),
            ("2027-01-31 00:00:00Z", None),
            ("2027-01-31T00:00:00+01:00", None),
            ("2027-01-31T00:00:00", None),
            ("+027-01-31T00:00:00Z", None),
            ("2027-01-31", None),
            ("", None),
        ] {
            assert_eq!(date(text).map(Timestamp::as_secs), seconds, "{text}");
        }
    }

    #[test]
    fn a_key_that_would_never_work_or_is_nobodys_is_refused_by_its_id() {
        let digest = "ab".repeat(32);
        for (key, why) in [
            (format!(r#"{{"id":"c_i","subject":"a","secrets":[{{"sha256":"{digest}"}}]}}"#), "letters, digits"),
            (format!(r#"{{"id":"ci","subject":"","secrets":[{{"sha256":"{digest}"}}]}}"#), "whose key"),
            (r#"{"id":"ci","subject":"a","secrets":[]}"#.to_owned(), "one secret at least"),
            (r#"{"id":"ci","subject":"a","secrets":[{"sha256":"acme_ci_canary"}]}"#.to_owned(), "64 hexadecimal"),
        ] {
            let policy: ApiKeysPolicy =
                serde_json::from_str(&format!(r#"{{"prefix":"acme_","keys":[{key}]}}"#)).unwrap();
            let error = policy.keys().unwrap_err().to_string();
            assert!(error.starts_with("api_keys[c") && error.contains(why) && !error.contains("canary"), "{error}");
        }
    }
}
