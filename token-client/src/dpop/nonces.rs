//! The last nonce of each server, by origin (RFC 9449 sections 8 and 9): read from responses, limited in number,
//! separate for each key.

use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::sync::{Arc, PoisonError};

use http::HeaderMap;

use crate::sync::Mutex;

/// The header in which a server sends its next nonce.
const FIELD: &str = "dpop-nonce";

/// The most origins per generation. There are two generations at a time, and recently used origins are kept.
const GENERATION: usize = 128;

/// The longest nonce that is remembered, in bytes. It is sent with each request; real ones have 20 to 300.
const LONGEST: usize = 2048;

/// A nonce, as the server sent it.
pub(crate) type Nonce = Arc<str>;

/// The known nonces.
#[derive(Default)]
pub(crate) struct Nonces(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<Box<str>, Nonce>,
    old: HashMap<Box<str>, Nonce>,
}

impl Nonces {
    /// The last nonce of this origin.
    pub(crate) fn of(&self, origin: &str) -> Option<Nonce> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(nonce) = known.young.get(origin) {
            return Some(Arc::clone(nonce));
        }
        let nonce = known.old.remove(origin)?;
        known.keep(origin, Arc::clone(&nonce));
        Some(nonce)
    }

    /// Stores the nonce of a response from this origin, and returns it.
    pub(crate) fn learn(&self, origin: &str, headers: &HeaderMap) -> Option<Nonce> {
        let nonce = nonce(headers)?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = known.young.get(origin).filter(|kept| ***kept == *nonce) {
            return Some(Arc::clone(same));
        }
        let nonce = Nonce::from(nonce);
        known.keep(origin, Arc::clone(&nonce));
        Some(nonce)
    }
}

impl Generations {
    fn keep(&mut self, origin: &str, nonce: Nonce) {
        if self.young.len() >= GENERATION && !self.young.contains_key(origin) {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(origin.into(), nonce);
    }
}

/// The nonce of a response, if there is exactly one valid header (RFC 9449 section 8.1).
fn nonce(headers: &HeaderMap) -> Option<&str> {
    let mut fields = headers.get_all(FIELD).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return None };
    let text = field.to_str().ok()?;
    let allowed = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    ((1..=LONGEST).contains(&text.len()) && text.bytes().all(allowed)).then_some(text)
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        write!(f, "Nonces({} young, {} old)", known.young.len(), known.old.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(nonces: &[&str]) -> HeaderMap {
        nonces.iter().map(|nonce| (http::HeaderName::from_static(FIELD), nonce.parse().unwrap())).collect()
    }

    #[test]
    fn each_origin_has_its_own_and_the_last_one_counts() {
        let nonces = Nonces::default();
        nonces.learn("https://a", &answer(&["one"]));
        nonces.learn("https://b", &answer(&["two"]));
        nonces.learn("https://a", &answer(&["three"]));
        assert_eq!(nonces.of("https://a").as_deref(), Some("three"));
        assert_eq!(nonces.of("https://b").as_deref(), Some("two"));
        assert_eq!(nonces.of("https://c"), None);
        assert_eq!(nonces.learn("https://a", &answer(&[])), None);
        assert_eq!(nonces.of("https://a").as_deref(), Some("three"), "an answer without one changes nothing");
    }

    #[test]
    fn what_is_no_nonce_is_not_remembered() {
        let long = "n".repeat(LONGEST + 1);
        for fields in [&["one", "two"][..], &[""], &["a b"], &["a\"b"], &["a\\b"], &[&long], &["a\tb"]] {
            assert_eq!(Nonces::default().learn("https://a", &answer(fields)), None, "{fields:?}");
        }
        let not_ascii = [(http::HeaderName::from_static(FIELD), http::HeaderValue::from_bytes(b"\xff").unwrap())];
        assert_eq!(Nonces::default().learn("https://a", &not_ascii.into_iter().collect()), None);
        assert!(Nonces::default().learn("https://a", &answer(&[&long[1..]])).is_some());
    }

    #[test]
    fn the_memory_is_bounded_and_what_is_used_stays() {
        let nonces = Nonces::default();
        nonces.learn("https://hot", &answer(&["hot"]));
        for number in 0..10 * GENERATION {
            nonces.learn(&format!("https://{number}"), &answer(&["cold"]));
            if number % 50 == 0 {
                assert_eq!(nonces.of("https://hot").as_deref(), Some("hot"), "{number}");
            }
        }
        let known = nonces.0.lock().unwrap();
        assert!(known.young.len() + known.old.len() <= 2 * GENERATION);
    }
}
