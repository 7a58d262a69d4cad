//! A token's `status` claim in, the place of its status out; the claims of a status list token in, the status at a
//! place out (draft-ietf-oauth-status-list-21).

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::answer::check::Check;
use crate::answer::error::{Error, ErrorKind};
use crate::base::object::object;
use crate::base::time::Timestamp;
use crate::jose::base64url;

/// The most that a list may inflate to: 32 million tokens of one bit each.
pub(crate) const LARGEST: usize = 4 * 1024 * 1024;

/// The place of a token's status: a list and an index (section 6.2).
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) index: u64,
    pub(crate) uri: Box<str>,
}

#[derive(Deserialize)]
struct Referring {
    #[serde(default, deserialize_with = "present")]
    status: Option<Mechanisms>,
}

/// A member that is present must have its type; `null` does not count as absent.
fn not_null<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A member that is present must be an object, neither `null` nor an array of the object's members.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    object(deserializer).map(Some)
}

/// The mechanisms named in `status`. Others than `status_list` are unknown here and ignored.
#[derive(Deserialize)]
struct Mechanisms {
    #[serde(default, deserialize_with = "present")]
    status_list: Option<Place>,
}

#[derive(Deserialize)]
struct Place {
    idx: u64,
    uri: Box<str>,
}

impl Reference {
    /// Reads the claim `status` of a signed claims set; `None` where there is none.
    ///
    /// # Errors
    /// [`ErrorKind::ClaimsMismatch`] if the claim is present but names no place in a list. A status that cannot be
    /// looked up is not a valid one.
    pub(crate) fn read(json: &str) -> Result<Option<Self>, Error> {
        let wrong = |why: &'static str| Error::new(ErrorKind::ClaimsMismatch, why).at(Check::Demands);
        let claims: Referring = serde_json::from_str(json)
            .map_err(|_| wrong("expected status.status_list to have idx, a whole number from 0, and uri"))?;
        let Some(mechanisms) = claims.status else { return Ok(None) };
        let place = mechanisms.status_list.ok_or_else(|| {
            wrong("the token's status is kept in a way that is not known here, expected status.status_list")
        })?;
        Ok(Some(Self { index: place.idx, uri: place.uri }))
    }
}

// Where a status stands tells one token from all others.
impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reference")
    }
}

/// The claims of a status list token, apart from the list (section 5.1).
#[derive(Deserialize)]
struct Claims {
    #[serde(default, deserialize_with = "not_null")]
    iss: Option<Box<str>>,
    sub: Box<str>,
    #[serde(default, deserialize_with = "not_null")]
    ttl: Option<f64>,
    #[serde(deserialize_with = "object")]
    status_list: Encoded,
}

#[derive(Deserialize)]
struct Encoded {
    bits: u8,
    lst: Box<str>,
}

/// A list whose signature was valid and that passed the checks of section 8.3.
pub(crate) struct StatusList {
    /// The issuer named by the list, if any. The list then applies to tokens of that issuer only.
    pub(crate) issuer: Option<Box<str>>,
    pub(crate) issued: Timestamp,
    pub(crate) expires: Option<Timestamp>,
    /// The longest time that the list may be kept.
    pub(crate) ttl: Option<Duration>,
    bits: u8,
    bytes: Box<[u8]>,
}

impl StatusList {
    /// Reads the claims of a status list token that was fetched from `uri`, and whose signature and type are good. `issued` and `expires` are its `iat` and
    /// `exp`.
    ///
    /// # Errors
    /// What is wrong, as text that contains no claim value.
    pub(crate) fn read(
        json: &str,
        uri: &str,
        (issued, expires): (Option<Timestamp>, Option<Timestamp>),
        (now, leeway): (Timestamp, Duration),
    ) -> Result<Self, &'static str> {
        let claims: Claims = serde_json::from_str(json)
            .map_err(|_| "expected the claims sub, status_list.bits and status_list.lst, and ttl to be a number")?;
        // 8.3, 3: the list that was asked for and no other, of now.
        if *claims.sub != *uri {
            return Err("its sub is not the address it was fetched from");
        }
        let issued = issued.ok_or("it has no iat")?;
        if issued.since(now) > leeway {
            return Err("its iat is ahead");
        }
        if expires.is_some_and(|expires| expires <= now) {
            return Err("it has expired");
        }
        let ttl = match claims.ttl {
            Some(seconds) if seconds.is_finite() && seconds > 0.0 => {
                Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
            }
            Some(_) => return Err("expected ttl to be a positive number"),
            None => None,
        };
        let Encoded { bits, lst } = claims.status_list;
        if ![1, 2, 4, 8].contains(&bits) {
            return Err("expected bits to be 1, 2, 4 or 8");
        }
        // 8.3, 4: DEFLATE in the ZLIB format, and never more than fits.
        let packed = base64url::decode(lst.as_bytes()).ok_or("lst is not base64url without padding")?;
        let bytes = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(&packed, LARGEST)
            .map_err(|_| "lst is not ZLIB, or inflates to more than 4 MiB")?;
        Ok(Self { issuer: claims.iss, issued, expires, ttl, bits, bytes: bytes.into() })
    }

    /// The status at this index, or `None` if the list is shorter. The first entries of a byte are in its lowest bits
    /// (section 4.1).
    pub(crate) fn status(&self, index: u64) -> Option<u8> {
        let per_byte = u64::from(8 / self.bits);
        let byte = *self.bytes.get(usize::try_from(index / per_byte).ok()?)?;
        let shift = u8::try_from(index % per_byte).ok()? * self.bits;
        let mask = u8::MAX >> (8 - self.bits);
        Some(byte >> shift & mask)
    }

    /// The memory that the list occupies, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len() + size_of::<Self>()
    }
}

impl fmt::Debug for StatusList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusList").field("bits", &self.bits).field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const URI: &str = "https://issuer.example/lists/1";
    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn packed(bytes: &[u8]) -> String {
        base64url::encode(&miniz_oxide::deflate::compress_to_vec_zlib(bytes, 9))
    }

    fn list(json: &str) -> Result<StatusList, &'static str> {
        StatusList::read(json, URI, (Some(NOW), None), (NOW, Duration::from_secs(30)))
    }

    fn of(bits: u8, lst: &str) -> Result<StatusList, &'static str> {
        list(&format!(r#"{{"sub":"{URI}","status_list":{{"bits":{bits},"lst":"{lst}"}}}}"#))
    }

    #[test]
    fn the_examples_of_the_draft_are_read() {
        let one = of(1, "eNrbuRgAAhcBXQ").unwrap();
        let expected = [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1];
        assert_eq!((0..16).map(|index| one.status(index).unwrap()).collect::<Vec<_>>(), expected);
        assert_eq!((one.status(16), one.status(u64::MAX)), (None, None), "beyond its end it says nothing");
        let two = of(2, "eNo76fITAAPfAgc").unwrap();
        let expected = [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3];
        assert_eq!((0..12).map(|index| two.status(index).unwrap()).collect::<Vec<_>>(), expected);
        assert_eq!(two.status(12), None);
    }

    #[test]
    fn a_list_is_an_object_and_no_array_of_its_members() {
        let json = format!(r#"{{"sub":"{URI}","status_list":[1,"{}"]}}"#, packed(&[0]));
        assert!(list(&json).unwrap_err().contains("status_list"));
    }

    #[test]
    fn every_number_of_bits_has_its_places() {
        for (bits, expected) in [(1, vec![0, 1, 1, 0]), (2, vec![2, 1, 3, 0]), (4, vec![6, 3]), (8, vec![0x36])] {
            let list = of(bits, &packed(&[0x36])).unwrap();
            let found: Vec<_> = (0..expected.len() as u64).map(|index| list.status(index).unwrap()).collect();
            assert_eq!(found, expected, "{bits} bits");
            assert_eq!(list.status(u64::from(8 / bits)), None);
        }
    }

    #[test]
    fn a_list_that_keeps_no_rule_is_refused_with_the_rule() {
        let good = packed(&[0]);
        let bomb = packed(&vec![0; LARGEST + 1]);
        assert!(bomb.len() < 8 * 1024, "{}", bomb.len());
        assert!(of(1, &packed(&vec![0; LARGEST])).is_ok());
        let cut = &good[..good.len() - 2];
        let mut damaged = miniz_oxide::deflate::compress_to_vec_zlib(&[7; 100], 9);
        *damaged.last_mut().unwrap() ^= 1;
        for (bits, lst, why) in [
            (3, good.as_str(), "bits"),
            (0, &good, "bits"),
            (16, &good, "bits"),
            (1, &bomb, "inflates"),
            (1, cut, "ZLIB"),
            (1, &base64url::encode(&damaged), "ZLIB"),
            (1, "", "ZLIB"),
            (1, "AAAA", "ZLIB"),
            (1, "e+/=", "base64url"),
        ] {
            assert!(of(bits, lst).unwrap_err().contains(why), "{bits} {lst}");
        }
        let with = |more: &str| format!(r#"{{{more}"status_list":{{"bits":1,"lst":"{good}"}}}}"#);
        let sub = format!(r#""sub":"{URI}","#);
        for (json, why) in [
            (with(r#""sub":"https://issuer.example/lists/2","#), "sub"),
            (with(""), "sub"),
            (with(&format!(r#"{sub}"ttl":0,"#)), "ttl"),
            (with(&format!(r#"{sub}"ttl":-1,"#)), "ttl"),
            (with(&format!(r#"{sub}"ttl":"60","#)), "ttl"),
            (with(&format!(r#"{sub}"ttl":null,"#)), "ttl"),
            (format!(r#"{{"sub":"{URI}"}}"#), "status_list"),
            (format!(r#"{{"sub":"{URI}","status_list":{{"bits":1,"bits":2,"lst":"{good}"}}}}"#), "bits"),
        ] {
            assert!(list(&json).unwrap_err().contains(why), "{json}");
        }
        let json = with(&sub);
        let read = |times, now| StatusList::read(&json, URI, times, (now, Duration::from_secs(30)));
        assert_eq!(read((None, None), NOW).unwrap_err(), "it has no iat");
        assert_eq!(read((Some(NOW), None), Timestamp::from_secs(969)).unwrap_err(), "its iat is ahead");
        assert!(read((Some(NOW), None), Timestamp::from_secs(970)).is_ok());
        assert_eq!(read((Some(NOW), Some(NOW)), NOW).unwrap_err(), "it has expired");
    }

    #[test]
    fn a_status_that_says_no_place_is_refused_and_none_is_none() {
        let at = |json: &str| Reference::read(json).map(|found| found.map(|place| (place.index, place.uri)));
        assert_eq!(at(r#"{"sub":"ada"}"#).unwrap(), None);
        assert_eq!(
            at(r#"{"status":{"status_list":{"idx":7,"uri":"https://a.example/1","more":[]},"other":1}}"#).unwrap(),
            Some((7, "https://a.example/1".into()))
        );
        for json in [
            r#"{"status":{}}"#,
            r#"{"status":{"identifier_list":{"id":"a","uri":"b"}}}"#,
            r#"{"status":"valid"}"#,
            r#"{"status":[]}"#,
            r#"{"status":null}"#,
            r#"{"status":[{"idx":7,"uri":"https://a.example"}]}"#,
            r#"{"status":{"status_list":[7,"https://a.example"]}}"#,
            r#"{"status":{"status_list":null}}"#,
            r#"{"status":{"status_list":{"idx":-1,"uri":"https://a.example"}}}"#,
            r#"{"status":{"status_list":{"idx":1.5,"uri":"https://a.example"}}}"#,
            r#"{"status":{"status_list":{"idx":"1","uri":"https://a.example"}}}"#,
            r#"{"status":{"status_list":{"idx":18446744073709551616,"uri":"https://a.example"}}}"#,
            r#"{"status":{"status_list":{"uri":"https://a.example"}}}"#,
            r#"{"status":{"status_list":{"idx":1}}}"#,
            r#"{"status":{"status_list":{"idx":1,"idx":2,"uri":"https://a.example"}}}"#,
        ] {
            assert_eq!(at(json).unwrap_err().kind(), ErrorKind::ClaimsMismatch, "{json}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_sent_as_a_list_is_read_or_refused(bits: u8, lst in "[A-Za-z0-9_-]{0,80}", index: u64) {
            if let Ok(list) = of(bits, &lst) {
                prop_assert!(list.status(index).is_none_or(|status| u32::from(status) < 1 << bits));
            }
        }

        #[test]
        fn a_list_says_what_was_written(bytes in prop::collection::vec(any::<u8>(), 0..200), bits in prop::sample::select(vec![1u8, 2, 4, 8])) {
            let list = of(bits, &packed(&bytes)).unwrap();
            let per_byte = u64::from(8 / bits);
            for index in 0..bytes.len() as u64 * per_byte {
                let mut expected = 0;
                for bit in 0..u64::from(bits) {
                    let at = index * u64::from(bits) + bit;
                    expected |= (bytes[(at / 8) as usize] >> (at % 8) & 1) << bit;
                }
                prop_assert_eq!(list.status(index), Some(expected));
            }
        }
    }
}
