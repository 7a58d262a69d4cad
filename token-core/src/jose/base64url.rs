//! Base64url text in, bytes out, and back: the one spelling RFC 7515 section 2 allows, and no other.

use base64::Engine as _;
#[cfg(test)]
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::ENGINE;

/// Wide instructions where the processor has them: a quarter of the time, which a verification with a fast signature feels.
#[cfg(all(feature = "simd", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod engine {
    use std::sync::LazyLock;

    use base64::engine::general_purpose::NO_PAD;
    use base64::engine::simd::Simd;

    pub(super) static ENGINE: LazyLock<Simd> = LazyLock::new(|| Simd::url_safe(NO_PAD));
}

#[cfg(not(all(feature = "simd", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod engine {
    pub(super) use base64::engine::general_purpose::URL_SAFE_NO_PAD as ENGINE;
}

/// Room for decoded bytes: on the stack up to `N`, on the heap only for what is larger.
///
/// `N` is 512 for a header and 1024 for a signature (RSA with 8192 bits); both cover what is found in practice.
#[derive(Debug)]
pub(crate) struct Buffer<const N: usize> {
    stack: [u8; N],
    heap: Vec<u8>,
}

/// Room for a header.
pub(crate) type HeaderBuffer = Buffer<512>;
/// Room for a signature.
pub(crate) type SignatureBuffer = Buffer<1024>;

impl<const N: usize> Buffer<N> {
    pub(crate) const fn new() -> Self {
        Self { stack: [0; N], heap: Vec::new() }
    }

    /// The bytes behind `encoded`; `None` when it is not their one spelling. Never looks at more than the caller
    /// has capped.
    #[inline]
    pub(crate) fn decode(&mut self, encoded: &[u8]) -> Option<&[u8]> {
        let room = decoded_len(encoded.len())?;
        let out = if room <= N {
            &mut self.stack[..room]
        } else {
            self.heap.resize(room, 0);
            &mut self.heap[..]
        };
        decode_into(encoded, out).then_some(&*out)
    }
}

/// The bytes behind `encoded`, on the heap.
pub(crate) fn decode(encoded: &[u8]) -> Option<Vec<u8>> {
    decode_with_room(encoded, 0)
}

/// The same, with room for `more` bytes behind them.
pub(crate) fn decode_with_room(encoded: &[u8], more: usize) -> Option<Vec<u8>> {
    let length = decoded_len(encoded.len())?;
    let mut bytes = Vec::with_capacity(length + more);
    bytes.resize(length, 0);
    decode_into(encoded, &mut bytes).then_some(bytes)
}

/// The bytes behind a text in base64 or base64url, padded or not; `None` where it is empty, or bits at its end are odd.
pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let bare = text.trim_end_matches('=');
    if bare.is_empty() || text.len() - bare.len() > 2 {
        return None;
    }
    let url: String = bare
        .chars()
        .map(|c| {
            if c == '+' {
                '-'
            } else if c == '/' {
                '_'
            } else {
                c
            }
        })
        .collect();
    decode(url.as_bytes())
}

/// The one spelling of `bytes`.
pub(crate) fn encode(bytes: &[u8]) -> String {
    ENGINE.encode(bytes)
}

/// How many bytes so many characters stand for; `None` where no bytes are spelt in so many.
const fn decoded_len(characters: usize) -> Option<usize> {
    match characters % 4 {
        1 => None,
        rest => Some(characters / 4 * 3 + rest.saturating_sub(1)),
    }
}

/// Decodes into `out`, which is as long as what comes out; `false` when the text is not the one spelling of some bytes.
#[inline]
fn decode_into(encoded: &[u8], out: &mut [u8]) -> bool {
    ENGINE.decode_slice(encoded, out).is_ok_and(|length| length == out.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_every_second_spelling() {
        for (text, why) in [
            ("YQ==", "padding"),
            ("YWE=", "padding"),
            ("YR", "odd trailing bits"),
            ("YWF", "odd trailing bits"),
            (" YQ", "blank"),
            ("YQ ", "blank"),
            ("Y\nQ", "line break"),
            ("-+", "the other alphabet"),
            ("_/", "the other alphabet"),
            ("Y", "a lone character"),
            ("YWFhY", "a lone character at the end"),
            ("YQ\0", "a zero byte"),
            ("ÿÿ", "no ASCII"),
            ("Y.Q", "a dot"),
        ] {
            assert_eq!(decode(text.as_bytes()), None, "{why}");
            assert_eq!(Buffer::<4>::new().decode(text.as_bytes()), None, "{why}");
        }
    }

    #[test]
    fn what_is_too_large_for_the_stack_goes_to_the_heap() {
        for length in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1000] {
            let bytes = vec![7; length];
            assert_eq!(Buffer::<6>::new().decode(encode(&bytes).as_bytes()), Some(&bytes[..]));
        }
    }

    #[test]
    fn every_character_in_every_place_is_read_as_safe_code_reads_it() {
        for length in 0..80 {
            let text = "Aa0-_zZ9".repeat(10).into_bytes();
            for at in 0..length {
                for character in 0..=u8::MAX {
                    let mut text = text[..length].to_vec();
                    text[at] = character;
                    assert_eq!(decode(&text), URL_SAFE_NO_PAD.decode(&text).ok(), "{text:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_decodes_has_one_spelling(text in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some(bytes) = decode(&text) {
                prop_assert_eq!(encode(&bytes).into_bytes(), text);
            }
        }

        #[test]
        fn any_text_of_the_alphabet_is_read_as_safe_code_reads_it(text in "[A-Za-z0-9_-]{0,200}") {
            prop_assert_eq!(decode(text.as_bytes()), URL_SAFE_NO_PAD.decode(&text).ok());
        }

        #[test]
        fn bytes_come_back(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let encoded = encode(&bytes);
            prop_assert_eq!(decode(encoded.as_bytes()), Some(bytes));
        }
    }
}
