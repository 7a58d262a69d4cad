//! The same doors where the backend aws-lc-rs is not built in: none opens, since no key can be made.

use std::convert::Infallible;

use zeroize::Zeroizing;

use super::header::PublicPoint;
use crate::jose::unusable::UnusableKey;

const ABSENT: UnusableKey =
    UnusableKey::because("encrypted tokens need the feature aws-lc-rs: the rust-crypto backend does not open them");

pub(super) const fn offered() -> Result<(), UnusableKey> {
    Err(ABSENT)
}

pub(super) fn fill(_: &mut [u8]) -> bool {
    false
}

pub(super) fn are_equal(_: &[u8], _: &[u8]) -> bool {
    false
}

pub(super) fn hmac(half: usize, _: &[u8], _: [&[u8]; 4]) -> Vec<u8> {
    vec![0; half]
}

pub(super) fn gcm_open(_: &[u8], _: &[u8], _: &[u8], _: &[u8], _: &[u8]) -> Option<Vec<u8>> {
    None
}

pub(super) fn gcm_seal(_: &[u8], _: &[u8], _: &[u8], _: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    None
}

pub(super) fn cbc_open(_: &[u8], _: &[u8], _: &[u8]) -> Option<Vec<u8>> {
    None
}

pub(super) fn cbc_seal(_: &[u8], _: &[u8], _: &[u8]) -> Option<Vec<u8>> {
    None
}

pub(super) struct RsaPrivate(Infallible);

impl RsaPrivate {
    pub(super) fn from_pkcs8(_: &[u8]) -> Result<Self, UnusableKey> {
        Err(ABSENT)
    }

    pub(super) fn generate() -> Result<Self, UnusableKey> {
        Err(ABSENT)
    }

    pub(super) fn decrypt(&self, _: bool, _: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match self.0 {}
    }

    pub(super) fn public(&self) -> Option<Vec<u8>> {
        match self.0 {}
    }
}

pub(super) fn rsa_encrypt(_: &[u8], _: bool, _: &[u8]) -> Option<Vec<u8>> {
    None
}

pub(super) struct AgreementPrivate(Infallible);

impl AgreementPrivate {
    pub(super) fn p256_from_pkcs8(_: &[u8]) -> Result<Self, UnusableKey> {
        Err(ABSENT)
    }

    pub(super) fn p256(_: &[u8]) -> Result<Self, UnusableKey> {
        Err(ABSENT)
    }

    pub(super) fn x25519(_: &[u8]) -> Result<Self, UnusableKey> {
        Err(ABSENT)
    }

    pub(super) fn generate(_: &PublicPoint) -> Result<Self, UnusableKey> {
        Err(ABSENT)
    }

    pub(super) fn public(&self) -> Option<PublicPoint> {
        match self.0 {}
    }

    pub(super) fn agree<T>(&self, _: &PublicPoint, _: impl FnOnce(&[u8]) -> T) -> Option<T> {
        match self.0 {}
    }
}
