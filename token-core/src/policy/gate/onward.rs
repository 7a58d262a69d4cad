//! What the service gets instead of the client's token, as data: a token obtained on the caller's behalf (RFC 8693), or
//! one that the gate signs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::HeaderPolicy;
use crate::base::config_error::ConfigError;
use crate::base::file;
use crate::base::time::text;
use crate::jose::Algorithm;
use crate::jose::signing::SigningKey;
use crate::opaque::client_authentication::ClientAuthentication;
#[cfg(feature = "schema")]
use crate::policy::schema;
use crate::policy::secret::KeptSecret;
use crate::policy::{AuthenticationMethod, is_default, is_false, one_or_more};

/// The largest private key file that is read, in bytes.
const LONGEST: u64 = 64 * 1024;
/// The longest lifetime of a token that the gate signs; it cannot be revoked.
const LONGEST_LIFE: Duration = Duration::from_secs(3600);
/// The most keys that are published at once.
const MOST_KEYS: usize = 8;

/// The token endpoint that exchanges the caller's token for one for the service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ExchangePolicy {
    /// The URL of the token endpoint.
    pub token_endpoint: String,
    /// The `client_id` of the gate.
    pub client_id: String,
    /// The secret of that client.
    pub client_secret: KeptSecret,
    /// How the client authenticates. Default: `client_secret_basic`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub authentication: AuthenticationMethod,
    /// The kind of exchange. Default: `token_exchange`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub style: ExchangeStyle,
    /// The `audience` parameter: the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The `resource` parameter (RFC 8707), for servers that expect it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The requested scopes, separated by spaces. Default: none are requested, and the server decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// How long an exchange may take. Default: 3 s, at most 10 s.
    #[serde(default = "timeout", with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::base::time::schema::Span"))]
    pub timeout: Duration,
    /// Allows the endpoint to be on this machine, over plain http.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allow_loopback_http: bool,
    /// Allows the endpoint to have a private or link-local address.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allow_private_addresses: bool,
}

/// The request by which a token endpoint issues a token on behalf of a caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExchangeStyle {
    /// Token exchange (RFC 8693), with the caller's access token as `subject_token`.
    #[default]
    TokenExchange,
    /// Microsoft Entra's on-behalf-of flow (RFC 7523 with `requested_token_use`). Here `scope` names the service.
    OnBehalfOf,
}

/// The tokens that the gate signs for the service: their claims, lifetime and keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SignPolicy {
    /// `iss`: an identifier of the gate's own. It must not be one of the trusted issuers.
    pub issuer: String,
    /// `aud`: the services that accept the token.
    #[serde(with = "one_or_more")]
    #[cfg_attr(feature = "schema", schemars(with = "schema::OneOrMore"))]
    pub audience: Vec<String>,
    /// The lifetime of a token. It never exceeds that of the caller's token. Default: 60 s, at most 1 h.
    #[serde(default = "life", with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::base::time::schema::Span"))]
    pub life: Duration,
    /// The keys. The first one signs, and all of them are published. To rotate: add the new key at the end, wait until
    /// the services have fetched it, move it to the front, and remove the old key once its last token has expired.
    pub keys: Vec<SignKeyPolicy>,
    /// Claims in addition to `iss`, `aud`, `sub`, `client_id`, `iat`, `exp` and `jti`, taken from the caller's token:
    /// `tenant = "org_id"`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, HeaderPolicy>,
}

/// One key of [`SignPolicy::keys`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SignKeyPolicy {
    /// The path of the private key in PEM (PKCS#8, `PRIVATE KEY`, unencrypted). Relative to the policy file.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub file: PathBuf,
    /// The signature algorithm. Default: ES256.
    #[serde(default = "algorithm", skip_serializing_if = "is_es256")]
    #[cfg_attr(feature = "schema", schemars(with = "schema::AlgorithmName"))]
    pub algorithm: Algorithm,
    /// The `kid` in the JWK Set. Default: the thumbprint of the key (RFC 7638).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
}

fn timeout() -> Duration {
    Duration::from_secs(3)
}

fn life() -> Duration {
    Duration::from_secs(60)
}

fn algorithm() -> Algorithm {
    Algorithm::ES256
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_es256(algorithm: &Algorithm) -> bool {
    *algorithm == Algorithm::ES256
}

impl ExchangePolicy {
    /// The client authentication, with its secret read from where it is stored.
    ///
    /// # Errors
    /// [`ConfigError`] if the secret cannot be read, or is given in several places.
    pub fn client_authentication(&self) -> Result<ClientAuthentication, ConfigError> {
        self.authentication.with(&self.client_secret)
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        if self.timeout.is_zero() || self.timeout > Duration::from_secs(10) {
            return Err(
                "timeout: expected more than nothing and at most 10 s, which is as long as proxies wait".to_owned()
            );
        }
        if self.style == ExchangeStyle::OnBehalfOf && self.scope.is_none() {
            return Err("scope: on-behalf-of names the service by its scopes, such as api://orders/.default".to_owned());
        }
        if self.style == ExchangeStyle::TokenExchange && self.audience.is_none() && self.resource.is_none() {
            return Err("expected audience or resource: a token for anybody would do for nobody".to_owned());
        }
        Ok(())
    }
}

impl SignPolicy {
    /// The keys, in order: the first one signs.
    ///
    /// # Errors
    /// [`ConfigError`] if a file cannot be read or holds no such key, or if two keys have the same `kid`. Its text
    /// never contains anything from a file.
    pub fn signing_keys(&self) -> Result<Vec<SigningKey>, ConfigError> {
        let mut keys: Vec<SigningKey> = Vec::new();
        for written in &self.keys {
            let key = written.read().map_err(|why| ConfigError::new(format!("{}: {why}", written.file.display())))?;
            if keys.iter().any(|other| other.kid() == key.kid()) {
                return Err(ConfigError::new(format!("{}: its kid is that of an earlier key", written.file.display())));
            }
            keys.push(key);
        }
        Ok(keys)
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        const OUR_OWN: [&str; 9] = ["iss", "aud", "sub", "client_id", "iat", "nbf", "exp", "jti", "cnf"];
        if self.keys.is_empty() || self.keys.len() > MOST_KEYS {
            return Err(format!("keys: expected one to {MOST_KEYS}, the first of which signs"));
        }
        if self.issuer.is_empty() || self.audience.is_empty() {
            return Err("expected an issuer, the gate's own name, and an audience, the service's".to_owned());
        }
        if self.life < Duration::from_secs(1) || self.life > LONGEST_LIFE {
            return Err("life: expected 1 s to 1 h".to_owned());
        }
        if let Some(name) = self.claims.keys().find(|name| OUR_OWN.contains(&name.as_str())) {
            return Err(format!("claims.{name}: the gate itself says what stands there"));
        }
        Ok(())
    }
}

impl SignKeyPolicy {
    fn read(&self) -> Result<SigningKey, String> {
        let pem = file::read(&self.file, LONGEST).map_err(|unread| unread.to_string())?;
        let read = |kid: Option<&str>| {
            SigningKey::from_pem(self.algorithm, kid, &pem).map_err(|unusable| unusable.to_string())
        };
        match &self.kid {
            Some(kid) => read(Some(kid)),
            None => {
                let thumbprint = read(None)?.thumbprint().ok_or("no public half, and so no name of its own")?;
                read(Some(&thumbprint.to_string()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::Policy;

    #[test]
    fn what_goes_on_in_the_tokens_place_is_said_once_and_by_a_name_of_the_gates_own() {
        let exchange =
            r#""token_endpoint": "https://a.example/token", "client_id": "gate", "client_secret": {"env": "SECRET"}"#;
        let sign = r#""audience": "orders", "keys": [{"file": "one.pem"}]"#;
        for (upstream, expected) in [
            (r#""token": "remove""#.to_owned(), None),
            (format!(r#""token": "exchange", "exchange": {{{exchange}, "audience": "orders"}}"#), None),
            (format!(r#""token": "sign", "sign": {{"issuer": "https://gate.example", {sign}}}"#), None),
            (r#""token": "exchange""#.to_owned(), Some("gate.upstream.exchange")),
            (r#""token": "sign""#.to_owned(), Some("gate.upstream.sign")),
            (format!(r#""exchange": {{{exchange}, "audience": "orders"}}"#), Some("it is not used")),
            (format!(r#""token": "exchange", "exchange": {{{exchange}}}"#), Some("audience or resource")),
            (
                format!(r#""token": "exchange", "exchange": {{{exchange}, "audience": "orders", "timeout": "1m"}}"#),
                Some("at most 10 s"),
            ),
            (
                format!(r#""token": "exchange", "exchange": {{{exchange}, "style": "on_behalf_of"}}"#),
                Some("names the service by its scopes"),
            ),
            (
                format!(r#""token": "sign", "sign": {{"issuer": "https://a.example", {sign}}}"#),
                Some("signs-as-an-issuer"),
            ),
            (format!(r#""token": "sign", "sign": {{"issuer": "g", {sign}, "life": "2h"}}"#), Some("1 s to 1 h")),
            (
                format!(r#""token": "sign", "sign": {{"issuer": "g", {sign}, "claims": {{"exp": "exp"}}}}"#),
                Some("claims.exp"),
            ),
            (r#""token": "sign", "sign": {"issuer": "g", "audience": "orders", "keys": []}"#.to_owned(), Some("keys:")),
            (
                r#""token": "sign", "sign": {"issuer": "g", "audience": "api", "keys": [{"file": "one.pem"}]}"#
                    .to_owned(),
                Some("signs-for-itself"),
            ),
        ] {
            let text = format!(
                r#"{{"audience": "api", "issuers": [{{"issuer": "https://a.example"}}], "gate": {{"upstream": {{{upstream}}}}}}}"#
            );
            let found: Vec<_> = Policy::from_json(&text).unwrap().lint().iter().map(ToString::to_string).collect();
            match expected {
                None => assert!(found.is_empty(), "{upstream}: {found:?}"),
                Some(expected) => assert!(found.iter().any(|one| one.contains(expected)), "{upstream}: {found:?}"),
            }
        }
    }

    #[test]
    fn files_are_found_beside_the_policy_and_no_secret_is_written_again() {
        let text = r#"{"audience": "api", "issuers": [{"issuer": "https://a.example"}], "gate": {"upstream": {"token": "exchange",
            "exchange": {"token_endpoint": "https://a.example/token", "client_id": "gate", "client_secret": {"value": "canary"}, "audience": "b"},
            "sign": {"issuer": "g", "audience": "b", "keys": [{"file": "one.pem"}, {"file": "/two.pem"}]}}}}"#;
        let policy = Policy::from_json(text).unwrap().relative_to(std::path::Path::new("/etc/gate"));
        let files: Vec<_> =
            policy.gate.upstream.sign.iter().flat_map(|sign| &sign.keys).map(|key| key.file.clone()).collect();
        assert_eq!(files, [std::path::Path::new("/etc/gate/one.pem"), std::path::Path::new("/two.pem")]);
        let written = serde_json::to_string(&policy).unwrap();
        assert!(!written.contains("canary") && !format!("{policy:?}").contains("canary"), "{written}");
    }
}
