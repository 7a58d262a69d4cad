//! NumericDate (RFC 7519 section 2): seconds since the epoch, fractions allowed, anything else refused.

use serde::de::{Error, Visitor};

use crate::base::time::Timestamp;

/// The last second of the year 9999: what lies beyond is a mistake or an attack, not a date.
pub(super) const LATEST: u64 = 253_402_300_799;

pub(crate) struct NumericDate;

impl Visitor<'_> for NumericDate {
    type Value = Timestamp;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a number of seconds between 1970 and 9999")
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<Timestamp, E> {
        match i64::try_from(seconds) {
            Ok(whole) if seconds <= LATEST => Ok(Timestamp::from_secs(whole)),
            _ => Err(E::custom("")),
        }
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<Timestamp, E> {
        // Also false for what is not a number. The cast cannot overflow: the range is checked.
        if (0.0..=LATEST as f64).contains(&seconds) {
            Ok(Timestamp::from_millis((seconds * 1000.0) as i64))
        } else {
            Err(E::custom(""))
        }
    }
}
