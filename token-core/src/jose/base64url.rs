//! Base64url text in, bytes out, and back: the one spelling RFC 7515 section 2 allows, and no other.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

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
        let room = base64::decoded_len_estimate(encoded.len());
        let out = if room <= N {
            &mut self.stack[..]
        } else {
            self.heap.resize(room, 0);
            &mut self.heap[..]
        };
        decode_into(encoded, out)
    }
}

/// Decodes into `out`; `None` when the text is not the one spelling of some bytes or `out` is too small.
#[inline]
pub(crate) fn decode_into<'out>(encoded: &[u8], out: &'out mut [u8]) -> Option<&'out [u8]> {
    let length = URL_SAFE_NO_PAD.decode_slice(encoded, out).ok()?;
    out.get(..length)
}

/// The bytes behind `encoded`, on the heap.
pub(crate) fn decode(encoded: &[u8]) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(encoded).ok()
}

/// The one spelling of `bytes`.
pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
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

    proptest! {
        #[test]
        fn whatever_decodes_has_one_spelling(text in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some(bytes) = decode(&text) {
                prop_assert_eq!(encode(&bytes).into_bytes(), text);
            }
        }

        #[test]
        fn bytes_come_back(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let encoded = encode(&bytes);
            prop_assert_eq!(decode(encoded.as_bytes()), Some(bytes));
        }
    }
}
