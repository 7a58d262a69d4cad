//! DER in (X.690), the few structures keys travel in out: SPKI (RFC 5280 4.1), PKCS#1 (RFC 8017 A.1), PKCS#8 (RFC 5958).

use super::algorithm::{Curve, Level};
use super::material::Material;
use super::unusable::UnusableKey;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// The version of a certificate, `[0] EXPLICIT`.
const VERSION: u8 = 0xa0;

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const X25519: &[u8] = &[0x2b, 0x65, 0x6e];
const NULL: u8 = 0x05;

/// The arc of the parameter sets of ML-DSA (RFC 9881 section 2), less its last number.
const ML_DSA: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03];

const BROKEN: UnusableKey = UnusableKey::because("the key is not well-formed DER");

/// What is left to read.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The next element, whatever it is: its tag and its contents. Definite, minimal lengths below 64 KiB only.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81 => {
                let (&length, rest) = rest.split_first()?;
                (usize::from(length).checked_sub(0x80)? + 0x80, rest)
            }
            0x82 => {
                let (length, rest) = rest.split_first_chunk::<2>()?;
                (usize::from(u16::from_be_bytes(*length).checked_sub(0x100)?) + 0x100, rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, contents))
    }

    fn take(&mut self, expected: u8) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let (tag, contents) = ahead.next()?;
        (tag == expected).then(|| {
            *self = ahead;
            contents
        })
    }

    fn sequence(&mut self) -> Option<Self> {
        self.take(SEQUENCE).map(Reader)
    }

    /// The one sequence `der` consists of.
    fn only(der: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(der);
        let inner = reader.sequence()?;
        reader.0.is_empty().then_some(inner)
    }

    /// A number that is not negative, without the zero byte that keeps it so.
    fn number(&mut self) -> Option<&'a [u8]> {
        match self.take(INTEGER)? {
            [] | [0x80..=0xff, ..] => None,
            [0, rest @ ..] if !rest.is_empty() => (rest[0] >= 0x80).then_some(rest),
            bytes => Some(bytes),
        }
    }

    /// An algorithm identifier: the object identifier, and the rest as its parameters.
    fn identifier(&mut self) -> Option<(&'a [u8], Self)> {
        let mut inner = self.sequence()?;
        Some((inner.take(OBJECT_IDENTIFIER)?, inner))
    }
}

/// A public key from `SubjectPublicKeyInfo`.
pub(super) fn subject_public_key_info(der: &[u8]) -> Result<Material, UnusableKey> {
    read_spki(Reader::only(der).ok_or(BROKEN)?)
}

/// A public key from PKCS#1 `RSAPublicKey`.
pub(super) fn rsa_public_key(der: &[u8]) -> Result<Material, UnusableKey> {
    let read = || {
        let mut key = Reader::only(der)?;
        let (n, e) = (key.number()?, key.number()?);
        key.0.is_empty().then_some((n, e))
    };
    let (n, e) = read().ok_or(BROKEN)?;
    Material::rsa(n, e)
}

/// The public key of an X.509 certificate. Neither its signature nor its validity is looked at: whoever configured the
/// certificate trusts the key in it.
pub(super) fn certificate(der: &[u8]) -> Result<Material, UnusableKey> {
    let read = || {
        let mut body = Reader::only(der)?.sequence()?;
        body.take(VERSION);
        body.take(INTEGER)?; // serial number
        for _signature_issuer_validity_subject in 0..4 {
            body.sequence()?;
        }
        body.sequence()
    };
    read_spki(read().ok_or(BROKEN)?)
}

fn read_spki(mut spki: Reader<'_>) -> Result<Material, UnusableKey> {
    let (algorithm, mut parameters) = spki.identifier().ok_or(BROKEN)?;
    let Some([0, key @ ..]) = spki.take(BIT_STRING) else { return Err(BROKEN) };
    match algorithm {
        RSA => rsa_public_key(key),
        EC => Material::ec(curve(parameters.take(OBJECT_IDENTIFIER).ok_or(BROKEN)?)?, key),
        ED25519 => Material::ed25519(key),
        other => match level(other) {
            Some(level) => Material::ml_dsa(level, key),
            None => Err(UnusableKey::because("the key is of a kind no algorithm here uses")),
        },
    }
}

fn level(identifier: &[u8]) -> Option<Level> {
    match identifier.strip_prefix(ML_DSA)? {
        [17] => Some(Level::L44),
        [18] => Some(Level::L65),
        [19] => Some(Level::L87),
        _ => None,
    }
}

fn curve(identifier: &[u8]) -> Result<Curve, UnusableKey> {
    match identifier {
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07] => Ok(Curve::P256),
        [0x2b, 0x81, 0x04, 0x00, 0x22] => Ok(Curve::P384),
        [0x2b, 0x81, 0x04, 0x00, 0x23] => Ok(Curve::P521),
        _ => Err(UnusableKey::because("the curve is none of P-256, P-384 and P-521")),
    }
}

/// What kind of private key a PKCS#8 document holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PrivateKind<'a> {
    /// With the PKCS#1 `RSAPrivateKey` inside.
    Rsa(&'a [u8]),
    Ec(Curve),
    Ed25519,
    MlDsa(Level),
}

/// Looks into a PKCS#8 `PrivateKeyInfo` as far as to say what it holds.
pub(super) fn private_key_info(der: &[u8]) -> Result<PrivateKind<'_>, UnusableKey> {
    let read = || {
        let mut info = Reader::only(der)?;
        info.take(INTEGER)?; // version
        let (algorithm, parameters) = info.identifier()?;
        Some((algorithm, parameters, info.take(OCTET_STRING)?))
    };
    let (algorithm, mut parameters, key) = read().ok_or(BROKEN)?;
    match algorithm {
        RSA => Ok(PrivateKind::Rsa(key)),
        EC => Ok(PrivateKind::Ec(curve(parameters.take(OBJECT_IDENTIFIER).ok_or(BROKEN)?)?)),
        ED25519 => Ok(PrivateKind::Ed25519),
        other => match level(other) {
            Some(level) => Ok(PrivateKind::MlDsa(level)),
            None => Err(UnusableKey::because("the key is of a kind no algorithm here uses")),
        },
    }
}

/// The public half of a PKCS#1 `RSAPrivateKey`.
pub(super) fn rsa_private_key(der: &[u8]) -> Result<Material, UnusableKey> {
    let read = || {
        let mut key = Reader::only(der)?;
        key.take(INTEGER)?; // version
        Some((key.number()?, key.number()?))
    };
    let (n, e) = read().ok_or(BROKEN)?;
    Material::rsa(n, e)
}

/// The 32 bytes of an X25519 key in PKCS#8 (RFC 8410 section 7); `None` for any other document.
pub(super) fn x25519_private_key(der: &[u8]) -> Option<&[u8]> {
    let mut info = Reader::only(der)?;
    info.take(INTEGER)?; // version
    let (algorithm, _) = info.identifier()?;
    let mut key = Reader(info.take(OCTET_STRING)?);
    let seed = key.take(OCTET_STRING)?;
    (algorithm == X25519 && key.0.is_empty() && seed.len() == 32).then_some(seed)
}

/// `SubjectPublicKeyInfo` of an RSA key with these numbers.
pub(super) fn rsa_spki(n: &[u8], e: &[u8]) -> Vec<u8> {
    let key = element(SEQUENCE, &[n, e].map(integer).concat());
    let bits = element(BIT_STRING, &[&[0], &*key].concat());
    element(SEQUENCE, &[rsa_identifier(), bits].concat())
}

/// PKCS#8 around a PKCS#1 `RSAPrivateKey` of these numbers: n, e, d, p, q, d mod p-1, d mod q-1, 1/q mod p.
pub(super) fn rsa_pkcs8<'a>(numbers: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut key = element(INTEGER, &[0]);
    key.extend(numbers.flat_map(integer));
    let identifier = rsa_identifier();
    let key = element(OCTET_STRING, &element(SEQUENCE, &key));
    element(SEQUENCE, &[element(INTEGER, &[0]), identifier, key].concat())
}

fn rsa_identifier() -> Vec<u8> {
    element(SEQUENCE, &[element(OBJECT_IDENTIFIER, RSA), vec![NULL, 0]].concat())
}

/// A number that is not negative.
fn integer(number: &[u8]) -> Vec<u8> {
    let number = &number[number.iter().take_while(|byte| **byte == 0).count()..];
    let sign: &[u8] = if number.first().is_none_or(|first| *first >= 0x80) { &[0] } else { &[] };
    element(INTEGER, &[sign, number].concat())
}

/// One element. Its contents are shorter than 64 KiB: RSA keys of 8192 bits have 5.
fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(contents.len()).unwrap_or(u16::MAX).to_be_bytes();
    let length: &[u8] = match (high, low) {
        (0, 0..=0x7f) => &[low],
        (0, _) => &[0x81, low],
        _ => &[0x82, high, low],
    };
    [&[tag], length, contents].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::jose::pem;

    #[test]
    fn lengths_have_one_spelling() {
        for (der, contents) in [
            (&[0x04, 0x01, 7][..], Some(&[7][..])),
            (&[0x04, 0x00], Some(&[])),
            (&[0x04, 0x81, 0x01, 7], None),
            (&[0x04, 0x82, 0x00, 0x01, 7], None),
            (&[0x04, 0x80, 7, 0, 0], None),
            (&[0x04, 0x84, 0, 0, 0, 1, 7], None),
            (&[0x04, 0x02, 7], None),
            (&[0x04], None),
            (&[], None),
        ] {
            assert_eq!(Reader(der).take(OCTET_STRING), contents, "{der:?}");
        }
    }

    #[test]
    fn numbers_are_minimal_and_not_negative() {
        for (der, number) in [
            (&[0x02, 0x01, 0x7f][..], Some(&[0x7f][..])),
            (&[0x02, 0x02, 0x00, 0x80], Some(&[0x80])),
            (&[0x02, 0x01, 0x80], None),
            (&[0x02, 0x02, 0x00, 0x01], None),
            (&[0x02, 0x00], None),
        ] {
            assert_eq!(Reader(der).number(), number, "{der:?}");
        }
    }

    #[test]
    fn a_key_with_something_behind_it_is_refused() {
        let (_, mut der) = pem::parse(include_bytes!("testdata/p256.pub.pem")).unwrap();
        assert!(subject_public_key_info(&der).is_ok());
        der.push(0);
        assert!(subject_public_key_info(&der).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(der in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (subject_public_key_info(&der), rsa_public_key(&der), certificate(&der));
            let _ = (private_key_info(&der), rsa_private_key(&der));
        }

        #[test]
        fn no_changed_byte_makes_it_panic(at in 0_usize..1200, to in any::<u8>()) {
            let (_, mut der) = pem::parse(include_bytes!("testdata/rsa2048.crt.pem")).unwrap();
            let length = der.len();
            der[at % length] = to;
            let _ = certificate(&der);
        }
    }
}
