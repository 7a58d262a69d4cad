//! The first part of a JWE in, what it says of how it is encrypted out (RFC 7516 section 4): one object, no name twice, nothing believed.

use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{ContentEncryption, KeyManagement, NotOpened};
use crate::jose::base64url;
use crate::jose::header::LONGEST_KID;

/// The longest header, in characters. Those in use have 60 to 400.
const LONGEST: usize = 4096;
/// The longest `apu` and `apv`, in characters. They go into a hash with each token.
const LONGEST_PARTY: usize = 512;
/// The most members of a header, and of the key in it.
const MOST_MEMBERS: usize = 32;

/// A header that asks for nothing that is not known here.
pub(super) struct Header {
    pub(super) alg: KeyManagement,
    pub(super) enc: ContentEncryption,
    pub(super) kid: Option<String>,
    /// Whether it says that a JWT is within (RFC 7519 section 5.2).
    pub(super) nested: bool,
    /// The sender's key, for `ECDH-ES` alone.
    pub(super) agreement: Option<Agreement>,
}

/// What `ECDH-ES` agrees on (RFC 7518 section 4.6.1).
pub(super) struct Agreement {
    pub(super) epk: PublicPoint,
    pub(super) apu: Vec<u8>,
    pub(super) apv: Vec<u8>,
}

/// A public key as a header or a JWK writes it. Whether it lies on its curve is for the crypto library to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PublicPoint {
    /// `04 || x || y`.
    P256([u8; 65]),
    X25519([u8; 32]),
}

impl PublicPoint {
    pub(super) fn p256(x: &[u8], y: &[u8]) -> Option<Self> {
        let mut point = [4; 65];
        (x.len() == 32 && y.len() == 32).then(|| {
            point[1..33].copy_from_slice(x);
            point[33..].copy_from_slice(y);
            Self::P256(point)
        })
    }
}

/// Names that are read or refused here; all others are ignored, but none may be there twice.
pub(super) fn parse(encoded: &[u8]) -> Result<Header, NotOpened> {
    use NotOpened::{Locked, Malformed};
    if encoded.len() > LONGEST {
        return Err(Malformed("the header of the encrypted token is longer than 4096 characters"));
    }
    // RFC 7516 5.2, steps 2 and 3.
    let json = base64url::decode(encoded).ok_or(Malformed("the header of the encrypted token is not base64url"))?;
    let object: Object<'_> = serde_json::from_slice(&json).map_err(|_| {
        Malformed("the header of the encrypted token is not one JSON object whose members are there once")
    })?;
    // Step 5: nothing critical is known here.
    if object.get("crit").is_some() {
        return Err(Malformed("the header demands an extension (crit), and none is implemented"));
    }
    // What is small as it comes may be huge inside.
    if object.get("zip").is_some() {
        return Err(Locked("the content is compressed (zip), which is not accepted"));
    }
    let text = |name| object.text(name);
    let alg = text("alg")?.ok_or(Malformed("alg is missing"))?;
    let alg = KeyManagement::from_name(&alg)
        .ok_or(Locked("alg is none of dir, RSA-OAEP-256, RSA-OAEP and ECDH-ES, which alone are accepted"))?;
    let enc = text("enc")?.ok_or(Malformed("enc is missing"))?;
    let enc = ContentEncryption::from_name(&enc)
        .ok_or(Locked("enc is none of A128GCM, A256GCM, A128CBC-HS256 and A256CBC-HS512, which alone are accepted"))?;
    let nested = text("cty")?.is_some_and(|cty| {
        // RFC 7515 4.1.10: what has no slash is meant with `application/` before it. Some say which JWT it is (RFC 9068 section 4).
        let cty = cty.to_ascii_lowercase();
        matches!(cty.strip_prefix("application/").unwrap_or(&cty), "jwt" | "at+jwt")
    });
    let kid = text("kid")?;
    if kid.as_ref().is_some_and(|kid| kid.len() > LONGEST_KID) {
        return Err(Malformed("kid is longer than 512 bytes"));
    }
    let agreement = match alg {
        KeyManagement::EcdhEs => Some(agreement(&object)?),
        _ => None,
    };
    Ok(Header { alg, enc, kid, nested, agreement })
}

fn agreement(header: &Object<'_>) -> Result<Agreement, NotOpened> {
    use NotOpened::Malformed;
    let party = |name| match header.text(name)? {
        None => Ok(Vec::new()),
        Some(text) if text.len() > LONGEST_PARTY => Err(Malformed("apu or apv is longer than 512 characters")),
        Some(text) => base64url::decode(text.as_bytes()).ok_or(Malformed("apu or apv is not base64url")),
    };
    let epk = header.get("epk").ok_or(Malformed("epk, the sender's key, is missing"))?;
    let epk: Object<'_> = serde_json::from_str(epk.get()).map_err(|_| Malformed("epk is not one JSON object"))?;
    Ok(Agreement { epk: point(&epk)?, apu: party("apu")?, apv: party("apv")? })
}

/// The point of a JWK of type `EC` on P-256, or `OKP` on X25519 (RFC 7518 section 6.2, RFC 8037 section 2).
fn point(jwk: &Object<'_>) -> Result<PublicPoint, NotOpened> {
    let unfit = NotOpened::Malformed("epk is no key on P-256 or X25519 whose coordinates have 32 bytes");
    let bytes = |name| Ok::<_, NotOpened>(jwk.text(name)?.and_then(|text| base64url::decode(text.as_bytes())));
    let point = match (jwk.text("kty")?.as_deref(), jwk.text("crv")?.as_deref()) {
        (Some("EC"), Some("P-256")) => match (bytes("x")?, bytes("y")?) {
            (Some(x), Some(y)) => PublicPoint::p256(&x, &y),
            _ => None,
        },
        (Some("OKP"), Some("X25519")) => bytes("x")?.and_then(|x| x.try_into().ok()).map(PublicPoint::X25519),
        _ => None,
    };
    point.ok_or(unfit)
}

/// The members of an object, none of them twice.
struct Object<'a>(Vec<(String, &'a RawValue)>);

impl Object<'_> {
    fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(member, _)| member == name).map(|(_, value)| *value)
    }

    fn text(&self, name: &str) -> Result<Option<String>, NotOpened> {
        let wrong = |_| NotOpened::Malformed("a member of the header has the wrong JSON type");
        self.get(name).map(|value| serde_json::from_str(value.get()).map_err(wrong)).transpose()
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members: Vec<(String, &'de RawValue)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    if members.len() == MOST_MEMBERS || members.iter().any(|(member, _)| *member == name) {
                        return Err(A::Error::custom(""));
                    }
                    members.push((name, value));
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A header of `ECDH-ES` with one more member.
    fn header(name: &str, value: impl Into<Value>) -> Vec<u8> {
        let epk = json!({"kty": "OKP", "crv": "X25519", "x": base64url::encode(&[9; 32])});
        let mut header = json!({"alg": "ECDH-ES", "enc": "A256GCM", "epk": epk});
        header[name] = value.into();
        header.to_string().into_bytes()
    }

    #[test]
    fn the_longest_of_everything_is_taken_and_what_is_longer_is_not() {
        let bare = header("x", "").len();
        for (name, longest, over) in [
            ("kid", header("kid", "k".repeat(512)), header("kid", "k".repeat(513))),
            // 514: of 513 characters, none is base64url.
            ("apu", header("apu", "A".repeat(512)), header("apu", "A".repeat(514))),
            ("apv", header("apv", "A".repeat(512)), header("apv", "A".repeat(514))),
            ("all of it", header("x", "x".repeat(3072 - bare)), header("x", "x".repeat(3073 - bare))),
        ] {
            assert!(parse(base64url::encode(&longest).as_bytes()).is_ok(), "{name}");
            let refused = parse(base64url::encode(&over).as_bytes()).err();
            assert!(matches!(refused, Some(NotOpened::Malformed(why)) if why.contains("longer than")), "{name}");
        }
    }
}
