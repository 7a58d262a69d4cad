//! What response headers say about time: how long a body may be kept (RFC 9111), when to come back and the server's clock (RFC 9110).

use std::time::Duration;

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL, DATE, RETRY_AFTER};

use crate::base::time::Timestamp;

/// How long an answer may be kept, less the time a cache on the way already kept it.
///
/// `None`: the server says nothing. Zero: it must not be kept (`no-store`, `no-cache`) or the value makes no sense.
pub(crate) fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let mut found: Option<u64> = None;
    for line in headers.get_all(CACHE_CONTROL) {
        let Ok(line) = line.to_str() else { return Some(Duration::ZERO) };
        for directive in line.split(',') {
            let (name, value) = match directive.split_once('=') {
                Some((name, value)) => (name.trim(), value.trim().trim_matches('"')),
                None => (directive.trim(), ""),
            };
            if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
                return Some(Duration::ZERO);
            }
            if name.eq_ignore_ascii_case("max-age") {
                let seconds = delta_seconds(value).unwrap_or(0);
                found = Some(found.map_or(seconds, |earlier| earlier.min(seconds)));
            }
        }
    }
    let age = headers.get(AGE).and_then(|value| value.to_str().ok()).and_then(delta_seconds).unwrap_or(0);
    found.map(|seconds| Duration::from_secs(seconds.saturating_sub(age)))
}

/// How long the server asks to be left alone (RFC 9110 section 10.2.3): seconds, or a date held against its own `Date`.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match delta_seconds(text) {
        Some(seconds) => Some(Duration::from_secs(seconds)),
        None => Some(Timestamp::from(httpdate::parse_http_date(text).ok()?).since(server_time(headers)?)),
    }
}

/// The server's clock when it answered (`Date`, RFC 9110 section 6.6.1).
pub(crate) fn server_time(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    httpdate::parse_http_date(text).ok().map(Timestamp::from)
}

/// `delta-seconds` (RFC 9111 section 1.2.2): digits only; what is larger than 2^31 counts as 2^31.
fn delta_seconds(text: &str) -> Option<u64> {
    const CEILING: u64 = 1 << 31;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse::<u64>().unwrap_or(CEILING).min(CEILING))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn cache_control_becomes_a_duration() {
        for (lines, expected) in [
            (vec![], None),
            (vec![("cache-control", "public, max-age=3600, stale-if-error=86400")], Some(3600)),
            (vec![("cache-control", "MAX-AGE=\"60\"")], Some(60)),
            (vec![("cache-control", "no-store")], Some(0)),
            (vec![("cache-control", "max-age=3600, No-Cache")], Some(0)),
            (vec![("cache-control", "max-age=600"), ("cache-control", "max-age=60")], Some(60)),
            (vec![("cache-control", "max-age=600"), ("cache-control", "no-store")], Some(0)),
            (vec![("cache-control", "max-age=-5")], Some(0)),
            (vec![("cache-control", "max-age=soon")], Some(0)),
            (vec![("cache-control", "max-age=99999999999999999999999")], Some(1 << 31)),
            (vec![("cache-control", "s-maxage=60, private")], None),
            (vec![("cache-control", "max-age=600"), ("age", "500")], Some(100)),
            (vec![("cache-control", "max-age=600"), ("age", "700")], Some(0)),
            (vec![("cache-control", "max-age=600"), ("age", "old")], Some(600)),
            (vec![("age", "500")], None),
        ] {
            let map = lines.iter().fold(HeaderMap::new(), |mut map, (name, value)| {
                map.append(*name, HeaderValue::from_static(value));
                map
            });
            assert_eq!(max_age(&map), expected.map(Duration::from_secs), "{lines:?}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        for (value, expected) in [
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:40:00 GMT", Some(0)),
            ("later", None),
            ("-1", None),
            ("", None),
        ] {
            let map = headers(&[date, ("retry-after", value)]);
            assert_eq!(retry_after(&map), expected.map(Duration::from_secs), "{value:?}");
        }
        assert_eq!(retry_after(&headers(&[date])), None);
        assert_eq!(
            retry_after(&headers(&[("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT")])),
            None,
            "against which clock?"
        );
    }

    #[test]
    fn the_date_of_the_server_is_read() {
        assert_eq!(
            server_time(&headers(&[("date", "Sun, 06 Nov 1994 08:49:37 GMT")])),
            Some(Timestamp::from_secs(784_111_777))
        );
        assert_eq!(server_time(&headers(&[("date", "yesterday")])), None);
    }
}
