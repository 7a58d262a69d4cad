//! A public JWK in, the digest that names it out (RFC 7638); and an access token in, the digest that a proof carries of it out (RFC 9449 section 4.2).

use std::fmt;
use std::hint::black_box;

use serde_json::{Map, Value};

use super::base64url;
use super::jwk_set::Origin;
use super::signature::sha256;
use super::unusable::UnusableKey;
use super::verification_key::VerificationKey;

/// The SHA-256 thumbprint of a public key (RFC 7638): what `cnf.jkt` of a bound token holds (RFC 9449 section 6.1).
///
/// Written as 43 characters of base64url. Two thumbprints are compared in constant time.
///
/// ```
/// use token_core::possession::Thumbprint;
///
/// // RFC 7638 section 3.1; alg and kid do not count
/// let jwk = serde_json::json!({
///     "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "1",
///     "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
///     "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
/// });
/// let thumbprint = Thumbprint::of(&jwk)?;
/// assert_eq!(thumbprint.to_string(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
/// assert_eq!(thumbprint.to_string().parse(), Ok(thumbprint));
/// # Ok::<(), token_core::jose::UnusableKey>(())
/// ```
#[derive(Clone, Copy, Eq)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// The thumbprint of a public key: RSA, EC, OKP or AKP. Members that are not required, such as `alg`, `kid` and `use`, do not count.
    ///
    /// # Errors
    /// [`UnusableKey`] for a shared secret, a key with its private half, and whatever could not verify a signature.
    pub fn of(public_jwk: &Value) -> Result<Self, UnusableKey> {
        VerificationKey::from_jwk(public_jwk, Origin::Fetched, None)?;
        let members = public_jwk.as_object().ok_or(NO_KEY)?;
        Self::of_members(members)
    }

    /// The same of a key that has been read already.
    pub(crate) fn of_members(members: &Map<String, Value>) -> Result<Self, UnusableKey> {
        let text = |name| members.get(name).and_then(Value::as_str).ok_or(NO_KEY);
        // RFC 7638 section 3.2, in the order of their names. The values hold nothing that JSON would escape: base64url, and names out of our tables.
        let required: &[&str] = match text("kty")? {
            "EC" => &["crv", "kty", "x", "y"],
            "OKP" => &["crv", "kty", "x"],
            "RSA" => &["e", "kty", "n"],
            // RFC 9964 section 6.
            "AKP" => &["alg", "kty", "pub"],
            _ => return Err(NO_KEY),
        };
        let mut json = String::with_capacity(256);
        for name in required {
            let value = text(name)?;
            if value.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
                return Err(NO_KEY);
            }
            json.push_str(if json.is_empty() { "{\"" } else { ",\"" });
            json.push_str(name);
            json.push_str("\":\"");
            json.push_str(value);
            json.push('"');
        }
        json.push('}');
        Ok(Self(sha256(json.as_bytes())))
    }

    /// The digest itself.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

const NO_KEY: UnusableKey = UnusableKey::because("expected the members of a public key: kty RSA, EC, OKP or AKP");

/// Compared in constant time.
impl PartialEq for Thumbprint {
    fn eq(&self, other: &Self) -> bool {
        same(&self.0, &other.0)
    }
}

/// Whether two digests are the same, in a time that does not tell where they differ.
pub(crate) fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    black_box(one.iter().zip(other).fold(0, |difference, (a, b)| difference | (a ^ b))) == 0
}

impl std::hash::Hash for Thumbprint {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url::encode(&self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

impl std::str::FromStr for Thumbprint {
    type Err = NoThumbprint;

    /// # Errors
    /// [`NoThumbprint`] for anything but the one spelling of 32 bytes in base64url without padding.
    fn from_str(text: &str) -> Result<Self, NoThumbprint> {
        digest_of_text(text).map(Self).ok_or(NoThumbprint(()))
    }
}

/// The 32 bytes behind 43 characters of base64url.
pub(crate) fn digest_of_text(text: &str) -> Option<[u8; 32]> {
    if text.len() != 43 {
        return None;
    }
    let mut buffer = base64url::Buffer::<32>::new();
    buffer.decode(text.as_bytes())?.try_into().ok()
}

/// The text is not the thumbprint of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoThumbprint(());

impl fmt::Display for NoThumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a SHA-256 thumbprint: expected 43 characters of base64url")
    }
}

impl std::error::Error for NoThumbprint {}

/// What a proof carries as `ath`: base64url of the SHA-256 of the access token, as it is sent (RFC 9449 section 4.2).
///
/// ```
/// // RFC 9449 section 7.1
/// let token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
/// assert_eq!(token_core::possession::access_token_hash(token), "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
/// ```
#[must_use]
pub fn access_token_hash(token: &str) -> String {
    base64url::encode(&sha256(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_thumbprints_of_the_rfcs_come_out() {
        let rsa = json!({
            "kty": "RSA",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
            "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
        });
        let okp = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
        for (jwk, expected) in
            [(rsa, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"), (okp, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")]
        {
            assert_eq!(Thumbprint::of(&jwk).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_is_no_public_key_has_no_thumbprint() {
        let good = json!({
            "kty": "EC", "crv": "P-256",
            "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs", "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
        });
        assert!(Thumbprint::of(&good).is_ok());
        let with = |name: &str, value: Value| {
            let mut jwk = good.clone();
            jwk[name] = value;
            jwk
        };
        for (what, jwk) in [
            ("no object", json!("key")),
            ("a secret", json!({"kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"})),
            ("the private half", with("d", "AA".into())),
            ("another curve", with("crv", "secp256k1".into())),
            ("a coordinate of another type", with("x", 7.into())),
            ("a coordinate that is not base64url", with("x", "l8tFrhx+34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs".into())),
            ("a point off its curve", with("y", "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs".into())),
        ] {
            assert!(Thumbprint::of(&jwk).is_err(), "{what}");
        }
    }

    #[test]
    fn a_thumbprint_has_one_spelling() {
        let text = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
        assert!(text.parse::<Thumbprint>().is_ok());
        for other in ["", "0ZcO", &text[1..], &text.replace('-', "+"), &format!("{text}="), &text.replace("A4I", "A4J")]
        {
            assert!(other.parse::<Thumbprint>().is_err(), "{other}");
        }
    }
}
