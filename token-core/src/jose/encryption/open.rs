//! The text of a JWE in, the signed token within out (RFC 7516 section 5.2), or one answer for all that may be wrong.
//!
//! A stranger must not learn from the answer, nor from the time it takes, how far a token of another's got that he has changed: whether the key came
//! out, the tag or the padding was wrong. A key that does not come out is replaced by chance, and the rest is done all the same (RFC 7516 section 11.5).

use zeroize::Zeroizing;

use super::header::{self, Header};
use super::{ContentEncryption, DecryptionKey, EncryptedTokens, KeyManagement, backend};
use crate::jose::base64url;

/// Why a token was not opened. No variant holds text of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotOpened {
    /// Not a JWE, or one whose header is not sound; with what is wrong.
    Malformed(&'static str),
    /// Not with these keys, or not by what is agreed; with what is known of it before a key was used.
    Locked(&'static str),
}

/// The longest encrypted key, in bytes.
const LONGEST_WRAPPED: usize = 1024;

const SHUT: NotOpened = NotOpened::Locked("none of the keys that may be meant opens the encrypted token");
const NO_TOKEN_WITHIN: NotOpened =
    NotOpened::Locked("the encrypted token was opened, and what is in it is no signed token");

/// Whether a text has the five parts of a JWE (RFC 7516 section 9).
pub(crate) fn is_sealed(token: &[u8]) -> bool {
    memchr::memchr_iter(b'.', token).count() == 4
}

/// The last four parts, decoded.
struct Parts {
    wrapped: Vec<u8>,
    iv: Vec<u8>,
    ciphertext: Vec<u8>,
    tag: Vec<u8>,
}

impl EncryptedTokens {
    /// Opens a token whose length the caller has capped.
    pub(crate) fn open(&self, token: &str) -> Result<String, NotOpened> {
        // RFC 7519 5.2: a nested JWT says so, before a key is used.
        const NOT_NESTED: NotOpened =
            NotOpened::Locked("cty is neither JWT nor at+jwt: a signed token is expected inside of the encrypted one");
        let content = self.decrypt(token, |header| if header.nested { Ok(()) } else { Err(NOT_NESTED) })?;
        // RFC 7519 7.2, step 7: what was encrypted is a JWS in its compact form. The checks of it are the gate's.
        let content = String::from_utf8(content).map_err(|_| NO_TOKEN_WITHIN)?;
        let is_of_parts = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.=".contains(&byte);
        let dots = content.bytes().filter(|byte| *byte == b'.').count();
        if dots == 2 && content.bytes().all(is_of_parts) { Ok(content) } else { Err(NO_TOKEN_WITHIN) }
    }

    /// Whatever was encrypted to one of the keys.
    pub(crate) fn open_any(&self, sealed: &str) -> Option<Vec<u8>> {
        self.decrypt(sealed, |_| Ok(())).ok()
    }

    /// RFC 7516 section 5.2.
    pub(super) fn decrypt(
        &self,
        token: &str,
        also: impl FnOnce(&Header) -> Result<(), NotOpened>,
    ) -> Result<Vec<u8>, NotOpened> {
        // 1: five parts. 2 to 5: strict base64url, a header that is one object and asks for nothing unknown.
        let mut parts = token.split('.');
        let mut part = || parts.next().map(str::as_bytes);
        let (Some(protected), Some(wrapped), Some(iv), Some(ciphertext), Some(tag), None) =
            (part(), part(), part(), part(), part(), part())
        else {
            return Err(NotOpened::Malformed("not an encrypted token: expected five parts"));
        };
        let header = header::parse(protected)?;
        let odd = NotOpened::Malformed("a part of the encrypted token is not base64url");
        let decode = |part| base64url::decode(part).ok_or(odd);
        let parts =
            Parts { wrapped: decode(wrapped)?, iv: decode(iv)?, ciphertext: decode(ciphertext)?, tag: decode(tag)? };
        self.check(&header, &parts)?;
        also(&header)?;

        // 6: the keys that may be meant. 7 to 12: the key of the content out of each. 13 to 17: the content.
        let mut candidates = self.keys().iter().filter(|key| may_be_meant(key, &header)).peekable();
        if candidates.peek().is_none() {
            return Err(NotOpened::Locked("no key here is one for the alg, enc and kid of the encrypted token"));
        }
        let opened = candidates.find_map(|key| {
            let content_key = content_key(key, &header, &parts)?;
            header.enc.open(&content_key, &parts.iv, protected, &parts.ciphertext, &parts.tag)
        });
        opened.ok_or(SHUT)
    }

    /// What can be refused before a key is used.
    fn check(&self, header: &Header, parts: &Parts) -> Result<(), NotOpened> {
        if !self.agreed().contains(&header.enc) {
            return Err(NotOpened::Locked("enc is not one of those agreed"));
        }
        // 10 and 11: where the key of the content is not sent, nothing stands in its place.
        let sends_key = matches!(header.alg, KeyManagement::RsaOaep | KeyManagement::RsaOaep256);
        if sends_key == parts.wrapped.is_empty() {
            return Err(NotOpened::Malformed("the encrypted key is missing, or is there where none belongs"));
        }
        if parts.wrapped.len() > LONGEST_WRAPPED {
            return Err(NotOpened::Malformed("the encrypted key is longer than an RSA key of 8192 bits makes it"));
        }
        if parts.iv.len() != header.enc.iv_len() || parts.tag.len() != header.enc.tag_len() {
            return Err(NotOpened::Malformed("initialization vector or tag have another length than enc asks for"));
        }
        if !header.enc.fits(parts.ciphertext.len()) {
            return Err(NotOpened::Malformed("the ciphertext has a length that enc does not know"));
        }
        Ok(())
    }
}

/// A key is bound to its algorithm, and a secret to its `enc`. One with a name is not tried for a token that names another.
fn may_be_meant(key: &DecryptionKey, header: &Header) -> bool {
    let named = match (key.kid(), &header.kid) {
        (Some(ours), Some(asked)) => ours == asked,
        _ => true,
    };
    named && key.algorithm() == header.alg && key.bound_to().is_none_or(|enc| enc == header.enc)
}

/// The key of the content, or another of its length; `None` where the system has no random bytes.
fn content_key(key: &DecryptionKey, header: &Header, parts: &Parts) -> Option<Zeroizing<Vec<u8>>> {
    let length = header.enc.key_len();
    // Before it is known whether it will be needed.
    let mut spare = Zeroizing::new(vec![0; length]);
    backend::fill(&mut spare).then_some(())?;
    let found = key.content_key(&parts.wrapped, header.agreement.as_ref(), header.enc);
    Some(found.filter(|found| found.len() == length).unwrap_or(spare))
}

/// RFC 7518 4.6.2: the key of the content out of the agreed secret, by the Concat KDF with SHA-256.
pub(super) fn derive(secret: &[u8], enc: ContentEncryption, apu: &[u8], apv: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut input = Zeroizing::new(vec![0; 4]);
    input.extend_from_slice(secret);
    let number = |length: usize| u32::try_from(length).expect("capped at 512 characters").to_be_bytes();
    for field in [enc.name().as_bytes(), apu, apv] {
        input.extend_from_slice(&number(field.len()));
        input.extend_from_slice(field);
    }
    input.extend_from_slice(&number(enc.key_len() * 8));
    let mut key = Zeroizing::new(Vec::with_capacity(64));
    for round in 1_u32.. {
        input[..4].copy_from_slice(&round.to_be_bytes());
        key.extend_from_slice(&crate::jose::signature::sha256(&input));
        if key.len() >= enc.key_len() {
            break;
        }
    }
    key.truncate(enc.key_len());
    key
}
