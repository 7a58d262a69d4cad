//! The primitives of encryption through aws-lc-rs: keys in, bytes out. Its key objects wipe themselves when they are dropped.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, ECDH_P256, UnparsedPublicKey, X25519};
use aws_lc_rs::cipher::{
    self, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey,
    OaepPublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
};
use aws_lc_rs::{constant_time, hmac as mac, rand};
use zeroize::Zeroizing;

use super::header::PublicPoint;
use crate::jose::unusable::UnusableKey;

const REFUSED: UnusableKey = UnusableKey::because("the crypto backend refuses the key");

/// Whether keys can be made at all.
pub(super) const fn offered() -> Result<(), UnusableKey> {
    Ok(())
}

/// Fills `bytes` with what nobody can guess; `false` where the system has none.
pub(super) fn fill(bytes: &mut [u8]) -> bool {
    rand::fill(bytes).is_ok()
}

/// Whether both are the same, in a time that says nothing of where they differ.
pub(super) fn are_equal(one: &[u8], other: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(one, other).is_ok()
}

/// HMAC with SHA-256 where `half` is 16, with SHA-512 where it is 32.
pub(super) fn hmac(half: usize, key: &[u8], parts: [&[u8]; 4]) -> Vec<u8> {
    let algorithm = if half == 16 { mac::HMAC_SHA256 } else { mac::HMAC_SHA512 };
    let mut context = mac::Context::with_key(&mac::Key::new(algorithm, key));
    parts.iter().for_each(|part| context.update(part));
    context.sign().as_ref().to_vec()
}

fn gcm(key: &[u8]) -> Option<LessSafeKey> {
    let algorithm = if key.len() == 16 { &aead::AES_128_GCM } else { &aead::AES_256_GCM };
    UnboundKey::new(algorithm, key).ok().map(LessSafeKey::new)
}

pub(super) fn gcm_open(key: &[u8], iv: &[u8], aad: &[u8], ciphertext: &[u8], tag: &[u8]) -> Option<Vec<u8>> {
    let nonce = Nonce::try_assume_unique_for_key(iv).ok()?;
    let mut content = vec![0; ciphertext.len()];
    gcm(key)?.open_separate_gather(nonce, Aad::from(aad), ciphertext, tag, &mut content).ok()?;
    Some(content)
}

pub(super) fn gcm_seal(key: &[u8], iv: &[u8], aad: &[u8], content: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let nonce = Nonce::try_assume_unique_for_key(iv).ok()?;
    let mut ciphertext = content.to_vec();
    let tag = gcm(key)?.seal_in_place_separate_tag(nonce, Aad::from(aad), &mut ciphertext).ok()?;
    Some((ciphertext, tag.as_ref().to_vec()))
}

fn cbc(key: &[u8]) -> Option<UnboundCipherKey> {
    let algorithm = if key.len() == 16 { &cipher::AES_128 } else { &cipher::AES_256 };
    UnboundCipherKey::new(algorithm, key).ok()
}

/// Padding off (RFC 5652 section 6.3). The tag was checked before.
pub(super) fn cbc_open(key: &[u8], iv: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
    let iv = FixedLength::from(<[u8; 16]>::try_from(iv).ok()?);
    let mut content = ciphertext.to_vec();
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(cbc(key)?).ok()?;
    let length = key.decrypt(&mut content, DecryptionContext::Iv128(iv)).ok()?.len();
    content.truncate(length);
    Some(content)
}

pub(super) fn cbc_seal(key: &[u8], iv: &[u8], content: &[u8]) -> Option<Vec<u8>> {
    let iv = FixedLength::from(<[u8; 16]>::try_from(iv).ok()?);
    let mut ciphertext = content.to_vec();
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(cbc(key)?).ok()?;
    key.less_safe_encrypt(&mut ciphertext, EncryptionContext::Iv128(iv)).ok()?;
    Some(ciphertext)
}

/// An RSA key that decrypts.
pub(super) struct RsaPrivate(OaepPrivateDecryptingKey, PublicEncryptingKey);

fn oaep(with_sha1: bool) -> &'static OaepAlgorithm {
    if with_sha1 { &OAEP_SHA1_MGF1SHA1 } else { &OAEP_SHA256_MGF1SHA256 }
}

impl RsaPrivate {
    pub(super) fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, UnusableKey> {
        let key = PrivateDecryptingKey::from_pkcs8(pkcs8).map_err(|_| REFUSED)?;
        Self::new(key)
    }

    pub(super) fn generate() -> Result<Self, UnusableKey> {
        Self::new(PrivateDecryptingKey::generate(KeySize::Rsa2048).map_err(|_| REFUSED)?)
    }

    fn new(key: PrivateDecryptingKey) -> Result<Self, UnusableKey> {
        let public = key.public_key();
        Ok(Self(OaepPrivateDecryptingKey::new(key).map_err(|_| REFUSED)?, public))
    }

    pub(super) fn decrypt(&self, with_sha1: bool, wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        if wrapped.len() != self.0.key_size_bytes() {
            return None;
        }
        let mut room = Zeroizing::new(vec![0; self.0.min_output_size()]);
        let length = self.0.decrypt(oaep(with_sha1), wrapped, &mut room, None).ok()?.len();
        room.truncate(length);
        Some(room)
    }

    /// The public half as `SubjectPublicKeyInfo`.
    pub(super) fn public(&self) -> Option<Vec<u8>> {
        self.1.as_der().ok().map(|der| der.as_ref().to_vec())
    }
}

/// Encrypts to an RSA key in `SubjectPublicKeyInfo`.
pub(super) fn rsa_encrypt(spki: &[u8], with_sha1: bool, content_key: &[u8]) -> Option<Vec<u8>> {
    let key = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(spki).ok()?).ok()?;
    let mut wrapped = vec![0; key.ciphertext_size()];
    let length = key.encrypt(oaep(with_sha1), content_key, &mut wrapped, None).ok()?.len();
    wrapped.truncate(length);
    Some(wrapped)
}

/// A key on P-256 or X25519 that agrees on secrets.
pub(super) struct AgreementPrivate(agreement::PrivateKey);

impl AgreementPrivate {
    /// From PKCS#8, on P-256.
    pub(super) fn p256_from_pkcs8(pkcs8: &[u8]) -> Result<Self, UnusableKey> {
        agreement::PrivateKey::from_private_key_der(&ECDH_P256, pkcs8).map(Self).map_err(|_| REFUSED)
    }

    pub(super) fn p256(scalar: &[u8]) -> Result<Self, UnusableKey> {
        agreement::PrivateKey::from_private_key(&ECDH_P256, scalar).map(Self).map_err(|_| REFUSED)
    }

    pub(super) fn x25519(seed: &[u8]) -> Result<Self, UnusableKey> {
        agreement::PrivateKey::from_private_key(&X25519, seed).map(Self).map_err(|_| REFUSED)
    }

    /// A new key on the curve of `like`.
    pub(super) fn generate(like: &PublicPoint) -> Result<Self, UnusableKey> {
        agreement::PrivateKey::generate(curve(like)).map(Self).map_err(|_| REFUSED)
    }

    pub(super) fn public(&self) -> Option<PublicPoint> {
        let public = self.0.compute_public_key().ok()?;
        let bytes = public.as_ref();
        match bytes.len() {
            32 => bytes.try_into().ok().map(PublicPoint::X25519),
            _ => bytes.try_into().ok().map(PublicPoint::P256),
        }
    }

    /// What `derive` makes of the secret. `None` for a key of another curve, a point off the curve, or a secret of zeros (RFC 7748 section 6.1).
    pub(super) fn agree<T>(&self, peer: &PublicPoint, derive: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let bytes: &[u8] = match peer {
            PublicPoint::P256(point) => point,
            PublicPoint::X25519(point) => point,
        };
        let peer = UnparsedPublicKey::new(curve(peer), bytes);
        agreement::agree(&self.0, peer, (), |secret| Ok(derive(secret))).ok()
    }
}

fn curve(of: &PublicPoint) -> &'static agreement::Algorithm {
    match of {
        PublicPoint::P256(_) => &ECDH_P256,
        PublicPoint::X25519(_) => &X25519,
    }
}
