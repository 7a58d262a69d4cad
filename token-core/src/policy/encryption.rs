//! The policy for encrypted tokens in (keys by where they are stored, accepted encryptions); what decrypts them out
//! (RFC 7516).

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

use super::describe::line;
use super::secret::{KeptSecret, Secret, table};
use crate::base::config_error::ConfigError;
use crate::jose::base64url;
use crate::jose::encryption::{ContentEncryption, DecryptionKey, EncryptedTokens, KeyManagement, MOST_KEYS};

/// The keys that decrypt encrypted tokens. The signed token inside is verified like any other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct EncryptedTokensPolicy {
    /// Private keys and secrets, at most eight. A `kid` in the token selects the key of that name. Keys without a name
    /// are tried in this order; so are all keys if the token has no `kid`.
    pub keys: Vec<DecryptionKeyPolicy>,
    /// The accepted content encryptions: `A128GCM`, `A256GCM`, `A128CBC-HS256`, `A256CBC-HS512`. Default: all four.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encryption: Option<Vec<ContentEncryption>>,
    /// Refuses JWTs that are signed and not encrypted.
    #[serde(skip_serializing_if = "super::is_false")]
    pub required: bool,
}

/// One key of [`EncryptedTokensPolicy::keys`]: its algorithm, and exactly one of `env`, `file` and `value`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DecryptionKeyPolicy {
    /// The `alg` of the tokens: `dir`, `RSA-OAEP-256`, `RSA-OAEP` or `ECDH-ES`.
    pub algorithm: KeyManagement,
    /// For `dir` only: the content encryption that the secret is used with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_encryption: Option<ContentEncryption>,
    /// The `kid` by which tokens name this key. A JWK contains its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The name of the environment variable that contains the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// The path of the file that contains the key: a private key in PEM (PKCS#8, unencrypted) or as JWK; for `dir`, the
    /// secret in base64. Relative to the policy file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub file: Option<PathBuf>,
    /// The key itself. Anyone who can read the policy can then decrypt every token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Secret>,
    /// Set if the key was passed in code. Such a policy can be read and compared, but no server can be built from its
    /// text.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub from_code: bool,
}

impl<'de> Deserialize<'de> for DecryptionKeyPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Given {
            algorithm: KeyManagement,
            content_encryption: Option<ContentEncryption>,
            kid: Option<String>,
            env: Option<String>,
            file: Option<PathBuf>,
            value: Option<Secret>,
            #[serde(default)]
            from_code: bool,
        }
        let Given { algorithm, content_encryption, kid, env, file, value, from_code } = table(deserializer)?;
        Ok(Self { algorithm, content_encryption, kid, env, file, value, from_code })
    }
}

impl EncryptedTokensPolicy {
    /// Keys that were handed over in code are noted, not copied.
    pub(crate) fn of(tokens: &EncryptedTokens) -> Self {
        let agreed = tokens.agreed();
        let key = |key: &DecryptionKey| DecryptionKeyPolicy {
            algorithm: key.algorithm(),
            content_encryption: key.bound_to(),
            kid: key.kid().map(str::to_owned),
            env: None,
            file: None,
            value: None,
            from_code: true,
        };
        Self {
            keys: tokens.keys().iter().map(key).collect(),
            content_encryption: (agreed != ContentEncryption::ALL).then(|| agreed.to_vec()),
            required: tokens.is_required(),
        }
    }

    /// The keys, read from where they are: for a client's verifier of ID or logout tokens, where the policy is to serve that, too. Whether encryption is
    /// required is as [`required`](Self::required) says.
    ///
    /// # Errors
    /// A key that is not where it is said to be, or cannot be used.
    pub fn tokens(&self) -> Result<EncryptedTokens, ConfigError> {
        let read = |(at, key): (usize, &DecryptionKeyPolicy)| {
            key.key().map_err(|error| ConfigError::new(format!("encrypted_tokens.keys[{at}]: {error}")))
        };
        let tokens = EncryptedTokens::with(self.keys.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?);
        let tokens = match &self.content_encryption {
            Some(agreed) => tokens.content_encryption(agreed.iter().copied()),
            None => tokens,
        };
        Ok(if self.required { tokens.required() } else { tokens.optional() })
    }

    /// What is wrong with it, or risky, without reading a key: member, rule, why, and whether nothing could be built from it.
    pub(super) fn findings(&self) -> Vec<(String, &'static str, String, bool)> {
        let mut found = Vec::new();
        let mut add = |member: &str, rule, why: &str, error| {
            found.push((format!("encrypted_tokens.{member}"), rule, why.to_owned(), error));
        };
        match self.keys.len() {
            0 => add("keys", "no-key", "no key is named, so no encrypted token could be opened", true),
            1..=MOST_KEYS => {}
            _ => add("keys", "many-keys", "at most eight keys: each may be tried for each token", true),
        }
        if self.content_encryption.as_ref().is_some_and(Vec::is_empty) {
            add("content_encryption", "no-algorithm", "none is agreed, so every encrypted token is refused", true);
        }
        for (at, key) in self.keys.iter().enumerate() {
            let member = |name: &str| format!("keys[{at}].{name}");
            if !key.from_code && !key.kept().is_in_one_place() {
                add(&member("file"), "secret-place", "expected exactly one of env, file and value", true);
            }
            if key.value.is_some() {
                let why = "whoever reads this policy can read every token: use env or file";
                add(&member("value"), "secret-in-policy", why, false);
            }
            match (key.algorithm, key.content_encryption) {
                (KeyManagement::Direct, None) => add(&member("content_encryption"), "secret-algorithm", UNSAID, true),
                (KeyManagement::Direct, Some(enc))
                    if self.content_encryption.as_ref().is_some_and(|agreed| !agreed.contains(&enc)) =>
                {
                    let why =
                        "the secret is for a content encryption that is not agreed: no token could be opened with it";
                    add(&member("content_encryption"), "secret-algorithm", why, true);
                }
                (KeyManagement::RsaOaep | KeyManagement::RsaOaep256 | KeyManagement::EcdhEs, Some(_)) => {
                    let why = "content_encryption of a key is for dir: for all keys together, say it beside keys";
                    add(&member("content_encryption"), "secret-algorithm", why, true);
                }
                _ => {}
            }
        }
        found
    }

    pub(super) fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = |key: &DecryptionKeyPolicy| {
            let with = key.content_encryption.map_or_else(String::new, |enc| format!(" with {enc}"));
            let name = key.kid.as_ref().map_or_else(String::new, |kid| format!(" ({kid})"));
            format!("{}{with}{name}", key.algorithm)
        };
        let keys: Vec<_> = self.keys.iter().map(key).collect();
        let agreed = self.content_encryption.as_deref().unwrap_or(&ContentEncryption::ALL);
        let agreed: Vec<_> = agreed.iter().map(|enc| enc.name()).collect();
        let which = if self.required { "only encrypted" } else { "any of these encrypted" };
        line(f, format_args!("  {which} to a key of ours: {}", keys.join(", ")))?;
        line(f, format_args!("    content     {}", agreed.join(", ")))
    }
}

const UNSAID: &str = "a secret is for one content encryption: say which, A256GCM for one";

impl DecryptionKeyPolicy {
    fn kept(&self) -> KeptSecret {
        KeptSecret { env: self.env.clone(), file: self.file.clone(), value: self.value.clone() }
    }

    fn key(&self) -> Result<DecryptionKey, ConfigError> {
        let unusable = |error: crate::jose::UnusableKey| ConfigError::new(error.to_string());
        if self.from_code {
            return Err(ConfigError::new("it was handed over in code, the policy does not hold it"));
        }
        let bytes = Zeroizing::new(self.kept().read()?);
        let kid = self.kid.as_deref();
        let is_jwk = bytes.trim_ascii_start().first() == Some(&b'{');
        match (self.algorithm, self.content_encryption) {
            (KeyManagement::Direct, None) => return Err(ConfigError::new(UNSAID)),
            (KeyManagement::Direct, Some(enc)) if !is_jwk => {
                let secret = secret(&bytes).ok_or_else(|| ConfigError::new("the secret is not base64"))?;
                return DecryptionKey::direct(enc, kid, &secret).map_err(unusable);
            }
            (KeyManagement::RsaOaep | KeyManagement::RsaOaep256 | KeyManagement::EcdhEs, None) if !is_jwk => {
                return DecryptionKey::from_pem(self.algorithm, kid, &bytes).map_err(unusable);
            }
            _ => {}
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| ConfigError::new("the key is not text"))?;
        let key = DecryptionKey::from_jwk(text).map_err(unusable)?;
        if key.algorithm() != self.algorithm || key.bound_to() != self.content_encryption {
            return Err(ConfigError::new("the JWK is for another algorithm than this says"));
        }
        if kid.is_some() && kid != key.kid() {
            return Err(ConfigError::new("the JWK has another kid than this says"));
        }
        Ok(key)
    }
}

/// A secret in either alphabet of Base64, padded or not: as `openssl rand -base64 32` writes it.
fn secret(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let plain = text.iter().filter(|byte| !byte.is_ascii_whitespace() && **byte != b'=').map(|byte| match byte {
        b'+' => b'-',
        b'/' => b'_',
        byte => *byte,
    });
    let plain = Zeroizing::new(plain.collect::<Vec<_>>());
    base64url::decode(&plain).map(Zeroizing::new)
}
