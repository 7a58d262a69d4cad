//! Ciphertext, tag and the key of the content in, the content out, or nothing (RFC 7518 section 5).

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::backend;

/// How the content is encrypted: the `enc` of a JWE (RFC 7518 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum ContentEncryption {
    /// AES-GCM with a key of 128 bits (section 5.3).
    #[serde(rename = "A128GCM")]
    A128Gcm,
    /// AES-GCM with a key of 256 bits (section 5.3).
    #[serde(rename = "A256GCM")]
    A256Gcm,
    /// AES-CBC with HMAC SHA-256, 128 bits of key for each (section 5.2.3).
    #[serde(rename = "A128CBC-HS256")]
    A128CbcHs256,
    /// AES-CBC with HMAC SHA-512, 256 bits of key for each (section 5.2.5).
    #[serde(rename = "A256CBC-HS512")]
    A256CbcHs512,
}

/// The two ways, with what the crypto library has to be told.
#[derive(Clone, Copy)]
enum Mode {
    Gcm,
    /// The length of the MAC key, which is that of the cipher's key and of the tag.
    CbcHmac(usize),
}

/// The length of a block of AES, and of the IV of CBC.
const BLOCK: usize = 16;

impl ContentEncryption {
    pub(crate) const ALL: [Self; 4] = [Self::A128Gcm, Self::A256Gcm, Self::A128CbcHs256, Self::A256CbcHs512];

    /// The name in the registry, which is what `enc` says.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::A128Gcm => "A128GCM",
            Self::A256Gcm => "A256GCM",
            Self::A128CbcHs256 => "A128CBC-HS256",
            Self::A256CbcHs512 => "A256CBC-HS512",
        }
    }

    /// The length of the key of the content, in bytes: 16, 32, 32, 64.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::A128Gcm => 16,
            Self::A256Gcm | Self::A128CbcHs256 => 32,
            Self::A256CbcHs512 => 64,
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    const fn mode(self) -> Mode {
        match self {
            Self::A128Gcm | Self::A256Gcm => Mode::Gcm,
            Self::A128CbcHs256 => Mode::CbcHmac(16),
            Self::A256CbcHs512 => Mode::CbcHmac(32),
        }
    }

    pub(super) const fn iv_len(self) -> usize {
        match self.mode() {
            Mode::Gcm => 12,
            Mode::CbcHmac(_) => BLOCK,
        }
    }

    pub(super) const fn tag_len(self) -> usize {
        match self.mode() {
            Mode::Gcm => 16,
            Mode::CbcHmac(half) => half,
        }
    }

    /// Whether a ciphertext may have this length. Nothing that is encrypted here is empty.
    pub(super) const fn fits(self, length: usize) -> bool {
        match self.mode() {
            Mode::Gcm => length > 0,
            Mode::CbcHmac(_) => length > 0 && length.is_multiple_of(BLOCK),
        }
    }

    /// The content, if the tag is good. Key, IV and tag have the lengths that are asked for.
    pub(super) fn open(self, key: &[u8], iv: &[u8], aad: &[u8], ciphertext: &[u8], tag: &[u8]) -> Option<Vec<u8>> {
        match self.mode() {
            Mode::Gcm => backend::gcm_open(key, iv, aad, ciphertext, tag),
            // RFC 7518 5.2.2.2: the tag first, in constant time, and nothing is decrypted that it does not vouch for.
            Mode::CbcHmac(half) => {
                let (mac_key, cipher_key) = key.split_at(half);
                let expected = mac(half, mac_key, aad, iv, ciphertext);
                if !backend::are_equal(&expected[..half], tag) {
                    return None;
                }
                backend::cbc_open(cipher_key, iv, ciphertext)
            }
        }
    }

    /// The ciphertext and the tag.
    pub(super) fn seal(self, key: &[u8], iv: &[u8], aad: &[u8], content: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        match self.mode() {
            Mode::Gcm => backend::gcm_seal(key, iv, aad, content),
            Mode::CbcHmac(half) => {
                let (mac_key, cipher_key) = key.split_at(half);
                let ciphertext = backend::cbc_seal(cipher_key, iv, content)?;
                let tag = mac(half, mac_key, aad, iv, &ciphertext)[..half].to_vec();
                Some((ciphertext, tag))
            }
        }
    }
}

/// RFC 7518 5.2.2.1, step 5: over AAD, IV, ciphertext, and the length of the AAD in bits.
fn mac(half: usize, key: &[u8], aad: &[u8], iv: &[u8], ciphertext: &[u8]) -> Zeroizing<Vec<u8>> {
    let bits = (aad.len() as u64 * 8).to_be_bytes();
    Zeroizing::new(backend::hmac(half, key, [aad, iv, ciphertext, &bits]))
}

impl fmt::Display for ContentEncryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
