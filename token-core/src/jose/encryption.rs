//! Encrypted tokens: a nested JWT in, the signed token within out (RFC 7516, RFC 7519 section 5.2), by a closed list of algorithms.
//!
//! [`EncryptedTokens`] is what they are opened with: access tokens by
//! [`ResourceServerBuilder::encrypted_tokens`](crate::ResourceServerBuilder::encrypted_tokens), ID tokens by
//! [`IdTokenVerifier::encrypted`](crate::login::IdTokenVerifier::encrypted), logout tokens by
//! [`LogoutVerifier::encrypted`](crate::revocation::LogoutVerifier::encrypted). Without it every encrypted token is refused. Encryption
//! says nothing about who made a token: whoever knows the public key can encrypt. The token within is signed, and verified as any other.
//!
//! | `alg` | key | RFC 7518 |
//! | --- | --- | --- |
//! | `dir` | a secret as long as `enc` needs it, for that `enc` alone | 4.5 |
//! | `RSA-OAEP-256` | RSA, 2048 to 8192 bits | 4.3 |
//! | `RSA-OAEP` | the same with SHA-1, which is sound here: for OpenIddict and others on .NET, which know no other | 4.3 |
//! | `ECDH-ES` | P-256 or X25519 (RFC 8037) | 4.6 |
//!
//! `enc` is `A128GCM`, `A256GCM`, `A128CBC-HS256` or `A256CBC-HS512`. Never: `RSA1_5`, PBES2, key wrapping, compression (`zip`), `crit`, another JWE
//! within. It takes the backend `aws-lc-rs`; with `rust-crypto` alone no key can be made, and the error says so.
//!
//! # What is not checked
//! The claims that a header may repeat (RFC 7519 section 5.3) and its `typ`: nothing in the header is signed, so nothing of it is believed.

#[cfg(feature = "aws-lc-rs")]
#[path = "encryption/aws_lc.rs"]
mod backend;
#[cfg(not(feature = "aws-lc-rs"))]
#[path = "encryption/absent.rs"]
mod backend;
mod content;
mod header;
mod key;
mod open;
mod recipient;
mod seal;
#[cfg(feature = "aws-lc-rs")]
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use content::ContentEncryption;
pub use key::DecryptionKey;
pub(crate) use open::{NotOpened, is_sealed};
pub use recipient::EncryptionKey;
pub use seal::EncryptionError;

/// How the key of the content reaches the recipient: the `alg` of a JWE (RFC 7518 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum KeyManagement {
    /// A secret that both sides have is the key of the content (section 4.5).
    #[serde(rename = "dir")]
    Direct,
    /// RSAES OAEP with SHA-1 (section 4.3): for issuers that know no other.
    #[serde(rename = "RSA-OAEP")]
    RsaOaep,
    /// RSAES OAEP with SHA-256 (section 4.3).
    #[serde(rename = "RSA-OAEP-256")]
    RsaOaep256,
    /// A key agreed by Diffie-Hellman on P-256 or X25519 is the key of the content (section 4.6).
    #[serde(rename = "ECDH-ES")]
    EcdhEs,
}

impl KeyManagement {
    const ALL: [Self; 4] = [Self::Direct, Self::RsaOaep, Self::RsaOaep256, Self::EcdhEs];

    /// The name in the registry, which is what `alg` says.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "dir",
            Self::RsaOaep => "RSA-OAEP",
            Self::RsaOaep256 => "RSA-OAEP-256",
            Self::EcdhEs => "ECDH-ES",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

impl fmt::Display for KeyManagement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for KeyManagement {
    type Err = UnknownKeyManagement;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::from_name(name).ok_or(UnknownKeyManagement(()))
    }
}

/// The name is none of the four that are known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownKeyManagement(());

impl fmt::Display for UnknownKeyManagement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected dir, RSA-OAEP-256, RSA-OAEP or ECDH-ES")
    }
}

impl std::error::Error for UnknownKeyManagement {}

/// The most keys at once. A token without `kid` costs one operation for each key of its `alg`.
pub(crate) const MOST_KEYS: usize = 8;

/// What encrypted tokens are opened with: keys of the operator's, and the content encryption that is agreed.
///
/// Several keys serve at once, so that they can be replaced: add the new one, have the issuer encrypt to it, remove the old one once its tokens have
/// expired. A token's `kid` names the key; keys without a name, and all of them for a token without `kid`, are tried in order.
///
/// ```
/// use token_core::jose::encryption::{DecryptionKey, EncryptedTokens, KeyManagement};
/// use token_core::{Issuer, ResourceServer};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # if cfg!(not(feature = "aws-lc-rs")) { return Ok(()) }
/// let key = DecryptionKey::generate(KeyManagement::EcdhEs, Some("2026-11"))?; // or from_pem, from_jwk, direct
/// let api = ResourceServer::builder("https://api.example.com")
///     .trust(Issuer::discover("https://login.example.com/")?)
///     .encrypted_tokens(EncryptedTokens::with([key]))
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct EncryptedTokens {
    keys: Vec<DecryptionKey>,
    agreed: Vec<ContentEncryption>,
    /// Whether tokens that are signed only are refused, where that was said.
    required: Option<bool>,
}

impl EncryptedTokens {
    /// Takes tokens encrypted to one of these keys, with any content encryption of the list above. At least one key, at most eight.
    #[must_use]
    pub fn with(keys: impl IntoIterator<Item = DecryptionKey>) -> Self {
        Self { keys: keys.into_iter().collect(), agreed: ContentEncryption::ALL.to_vec(), required: None }
    }

    /// Only these.
    #[must_use]
    pub fn content_encryption(mut self, agreed: impl IntoIterator<Item = ContentEncryption>) -> Self {
        self.agreed = agreed.into_iter().collect();
        self
    }

    /// Refuses tokens that are signed and not encrypted: those come from before the issuer was told to encrypt, or from another client of it. Opaque tokens
    /// are no concern of this.
    ///
    /// Where neither this nor [`optional`](Self::optional) is called: a client that verifies ID or logout tokens requires encryption, since it has registered
    /// for it (OpenID Connect Core section 3.1.3.7, step 1); a [`ResourceServer`](crate::ResourceServer) takes both.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = Some(true);
        self
    }

    /// Takes tokens that are signed only, too: while the issuer is being told to encrypt.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.required = Some(false);
        self
    }

    /// Whether tokens that are signed only are refused.
    pub(crate) fn is_required(&self) -> bool {
        self.required == Some(true)
    }

    /// As a client has registered for it, unless something else was said.
    pub(crate) fn registered(mut self) -> Self {
        self.required = self.required.or(Some(true));
        self
    }

    /// The keys, in the order in which they are tried.
    #[must_use]
    pub fn keys(&self) -> &[DecryptionKey] {
        &self.keys
    }

    /// What is agreed.
    pub(crate) fn agreed(&self) -> &[ContentEncryption] {
        &self.agreed
    }

    /// Why nothing could be opened with it, or not what is meant.
    pub(crate) fn flaw(&self) -> Option<String> {
        if self.keys.is_empty() {
            return Some("no key is named, so no encrypted token could be opened".to_owned());
        }
        if self.keys.len() > MOST_KEYS {
            return Some(format!("{} keys, at most {MOST_KEYS}: each may be tried for each token", self.keys.len()));
        }
        if self.agreed.is_empty() {
            return Some("no content encryption is agreed, so every encrypted token is refused".to_owned());
        }
        self.keys.iter().find_map(|key| {
            let enc = key.bound_to()?;
            (!self.agreed.contains(&enc))
                .then(|| format!("a secret for {enc} is among the keys, and {enc} is not agreed"))
        })
    }
}
