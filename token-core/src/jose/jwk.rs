//! One member of a JWK Set in, a key bound to its algorithms out, or the reason why not (RFC 7517 section 4).

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use super::algorithm::{Algorithm, Algorithms, Curve, Scheme};
use super::base64url;
use super::header::LONGEST_KID;
use super::jwk_set::Origin;
use super::material::Material;
use super::unusable::UnusableKey;
use super::verification_key::VerificationKey;

/// The members that only a private key has (RFC 7518 sections 6.2.2 and 6.3.2, RFC 9964 section 3).
const PRIVATE: [&str; 8] = ["priv", "d", "p", "q", "dp", "dq", "qi", "oth"];

impl VerificationKey {
    /// A key from a JWK. `operator` is the algorithm the operator named for it, where the JWK need not name one.
    pub(crate) fn from_jwk(jwk: &Value, origin: Origin, operator: Option<Algorithm>) -> Result<Self, UnusableKey> {
        Self::from_jwk_as(jwk, origin, operator, false)
    }

    /// The same; `base64`: its numbers may be in base64, padded or not.
    pub(crate) fn from_jwk_as(
        jwk: &Value,
        origin: Origin,
        operator: Option<Algorithm>,
        base64: bool,
    ) -> Result<Self, UnusableKey> {
        let members = jwk.as_object().ok_or(UnusableKey::because("the key is not a JSON object"))?;
        let jwk = Jwk { members, base64 };
        let kid = jwk.text("kid", "kid is not a string")?;
        if kid.is_some_and(|kid| kid.len() > LONGEST_KID) {
            return Err(UnusableKey::because("kid is longer than 512 bytes"));
        }
        let issuer = jwk.text("issuer", "issuer is not a string")?;
        jwk.check_use()?;
        let algorithm = jwk.algorithm(operator)?;
        if PRIVATE.iter().any(|member| jwk.get(member).is_some()) {
            return Err(UnusableKey::because("the key is published with its private half"));
        }
        let material = jwk.material(origin, algorithm)?;
        let unsaid = || if matches!(material, Material::Secret(_)) { Algorithms::HMAC } else { Algorithms::ASYMMETRIC };
        let algorithms = algorithm.map_or_else(unsaid, Algorithms::from);
        Self::new(material, algorithms, kid, issuer)
    }
}

struct Jwk<'a> {
    members: &'a Map<String, Value>,
    base64: bool,
}

impl<'a> Jwk<'a> {
    /// A member, unless it is null: several frameworks write every member that a key could have.
    fn get(&self, member: &str) -> Option<&'a Value> {
        self.members.get(member).filter(|value| !value.is_null())
    }

    /// A member that is a string if it is there.
    fn text(&self, member: &str, otherwise: &'static str) -> Result<Option<&'a str>, UnusableKey> {
        self.get(member).map(|value| value.as_str().ok_or(UnusableKey::because(otherwise))).transpose()
    }

    /// A member that is there and is base64url.
    fn bytes(&self, member: &str) -> Result<Vec<u8>, UnusableKey> {
        let text = self.get(member).and_then(Value::as_str).unwrap_or_default();
        let missing = UnusableKey::because("a number of the key is missing or not base64url");
        match (base64url::decode(text.as_bytes()).filter(|bytes| !bytes.is_empty()), base64url::decode_base64(text)) {
            (Some(bytes), _) => Ok(bytes),
            (None, Some(bytes)) if self.base64 => Ok(bytes),
            (None, Some(_)) => Err(UnusableKey::because(
                "a number of the key is in base64 or padded, expected base64url: accept_keys_in_base64 takes such keys of an issuer",
            )),
            (None, None) => Err(missing),
        }
    }

    /// RFC 7517 sections 4.2 and 4.3. `jwt-svid` is how SPIFFE marks keys for tokens.
    fn check_use(&self) -> Result<(), UnusableKey> {
        if !matches!(self.text("use", "use is not a string")?, None | Some("sig" | "jwt-svid")) {
            return Err(UnusableKey::because("the key is not for signatures: use"));
        }
        match self.get("key_ops") {
            None => Ok(()),
            Some(Value::Array(uses)) if uses.iter().any(|one| one == "verify") => Ok(()),
            Some(_) => Err(UnusableKey::because("the key is not for verifying: key_ops")),
        }
    }

    /// The one algorithm the key is bound to: by itself, by the operator, or by both alike.
    fn algorithm(&self, operator: Option<Algorithm>) -> Result<Option<Algorithm>, UnusableKey> {
        let Some(name) = self.text("alg", "alg is not a string")? else { return Ok(operator) };
        let algorithm = Algorithm::from_name(name)
            .ok_or(UnusableKey::because("alg is not the name of a signature algorithm we know"))?;
        if operator.is_some_and(|operator| operator != algorithm) {
            return Err(UnusableKey::because("alg is not the algorithm that was configured"));
        }
        Ok(Some(algorithm))
    }

    fn material(&self, origin: Origin, algorithm: Option<Algorithm>) -> Result<Material, UnusableKey> {
        match self.text("kty", "kty is not a string")? {
            Some("RSA") => Material::rsa(&self.bytes("n")?, &self.bytes("e")?),
            Some("EC") => {
                let name = self.text("crv", "crv is not a string")?;
                let curve = Curve::ALL.into_iter().find(|curve| Some(curve.name()) == name);
                let curve = curve.ok_or(UnusableKey::because("the curve is none of P-256, P-384 and P-521"))?;
                Material::ec_coordinates(curve, &self.bytes("x")?, &self.bytes("y")?)
            }
            Some("OKP") if self.text("crv", "crv is not a string")? == Some("Ed25519") => {
                Material::ed25519(&self.bytes("x")?)
            }
            Some("OKP") => Err(UnusableKey::because("the curve is not Ed25519")),
            // RFC 9964 section 3: such a key is nothing without its alg.
            Some("AKP") => match algorithm.map(Algorithm::scheme) {
                Some(Scheme::MlDsa(level)) => Material::ml_dsa(level, &self.bytes("pub")?),
                Some(_) => Err(UnusableKey::because("alg is not one for kty AKP")),
                None => Err(UnusableKey::because("a key of kty AKP has to name its alg")),
            },
            Some("oct") if origin == Origin::Fetched => {
                // what everyone can fetch is no secret: whoever reads it could sign
                Err(UnusableKey::because("a fetched set holds no shared secrets"))
            }
            Some("oct") => {
                // RFC 7517 section 4.4: alg is optional. What the operator agrees on decides then.
                Material::secret(algorithm.unwrap_or(Algorithm::HS256), &self.bytes("k")?)
            }
            Some(_) => Err(UnusableKey::because("kty is none of RSA, EC, OKP, AKP and oct")),
            None => Err(UnusableKey::because("kty is missing")),
        }
    }
}
