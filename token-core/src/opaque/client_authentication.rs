//! How a client authenticates: the header and form members of one request (RFC 6749 section 2.3.1, RFC 7523 section
//! 2.2, RFC 8705 section 2).
//!
//! Used for every endpoint of an issuer that is called as a client: introspection, token endpoint, revocation.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use serde_json::json;
use url::form_urlencoded::byte_serialize;

use crate::base::time::Timestamp;
use crate::jose::base64url;
use crate::jose::signature::sha256;
use crate::jose::signing::SigningKey;

/// How long a client assertion is good for.
const ASSERTION_LIFE: Duration = Duration::from_secs(60);

/// How a client authenticates.
///
/// ```
/// use token_core::opaque::client_authentication::ClientAuthentication;
///
/// let basic = ClientAuthentication::Basic("the secret".into());
/// assert_eq!(basic.method(), "client_secret_basic");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// No authentication (a public client). The form contains the `client_id`.
    None,
    /// `client_secret_basic`: id and secret, each form-encoded, in the `Authorization` header.
    Basic(ClientSecret),
    /// `client_secret_basic` as many servers implement it: id and secret in the `Authorization` header as they are (RFC
    /// 7617), without form encoding. For servers that do not decode them and therefore refuse a secret with `!` or `+`.
    /// [`method`](Self::method) returns `client_secret_basic_unencoded`. The id must not contain a colon.
    BasicUnencoded(ClientSecret),
    /// `client_secret_post`: id and secret in the form.
    Post(ClientSecret),
    /// `private_key_jwt`: a new assertion for each request, valid for one minute and signed with this key. With an HS
    /// algorithm it is `client_secret_jwt`.
    PrivateKeyJwt {
        /// The key; its `kid` goes into the assertion's header.
        key: Arc<SigningKey>,
        /// The `aud` of the assertion, for servers that expect their issuer identifier. `None`: the URL of the
        /// endpoint.
        audience: Option<String>,
    },
    /// `tls_client_auth` or `self_signed_tls_client_auth`: the HTTP client presents its certificate, and the form
    /// contains the `client_id`. See `client_identity_pem` of the HTTP client's builder.
    MutualTls,
    /// An access token of the client in the `Authorization` header, as some introspection endpoints require (RFC 7662
    /// section 2.1).
    Bearer(ClientSecret),
}

/// The authentication to add to a request.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Credentials {
    /// The `Authorization` header, marked as sensitive.
    pub header: Option<HeaderValue>,
    /// Form members, not encoded yet. They contain secrets.
    pub form: Vec<(&'static str, ClientSecret)>,
}

impl ClientAuthentication {
    /// The name of the method in the IANA registry of token endpoint authentication methods. `bearer` and
    /// `client_secret_basic_unencoded` are not registered.
    #[must_use]
    pub fn method(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic(_) => "client_secret_basic",
            Self::BasicUnencoded(_) => "client_secret_basic_unencoded",
            Self::Post(_) => "client_secret_post",
            Self::PrivateKeyJwt { .. } => "private_key_jwt",
            Self::MutualTls => "tls_client_auth",
            Self::Bearer(_) => "bearer",
        }
    }

    /// Returns what to add to a request to `endpoint` at `now`. An assertion is valid for one request only.
    ///
    /// # Errors
    /// [`CredentialsError`] if a secret is not valid in a header, or the key cannot sign.
    pub fn credentials(
        &self,
        client_id: &str,
        endpoint: &str,
        now: Timestamp,
    ) -> Result<Credentials, CredentialsError> {
        let id = ("client_id", ClientSecret::new(client_id));
        let mut credentials = Credentials::default();
        match self {
            Self::None | Self::MutualTls => credentials.form.push(id),
            Self::Basic(secret) => {
                credentials.header = Some(basic(&encoded(client_id), &encoded(secret.expose()))?);
            }
            Self::BasicUnencoded(_) if client_id.contains(':') => {
                return Err(CredentialsError("a client id with a colon cannot be sent unencoded (RFC 7617 section 2)"));
            }
            Self::BasicUnencoded(secret) => credentials.header = Some(basic(client_id, secret.expose())?),
            Self::Post(secret) => credentials.form = vec![id, ("client_secret", secret.clone())],
            Self::PrivateKeyJwt { key, audience } => {
                let assertion = assertion(key, client_id, audience.as_deref().unwrap_or(endpoint), now)?;
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".into();
                credentials.form = vec![id, ("client_assertion_type", kind), ("client_assertion", assertion.into())];
            }
            Self::Bearer(token) => credentials.header = Some(header(&format!("Bearer {}", token.expose()))?),
        }
        Ok(credentials)
    }
}

impl ClientAuthentication {
    /// Suggests why a server may refuse correct credentials because of their encoding. Show it next to an
    /// `invalid_client` error or a 401.
    ///
    /// `Some` for `client_secret_basic` with an id or secret that form encoding changes (RFC 6749 section 2.3.1). The
    /// text contains neither.
    #[must_use]
    pub fn refusal_hint(&self, client_id: &str) -> Option<&'static str> {
        let changes = |text: &str| encoded(text) != text;
        match self {
            Self::Basic(secret) if changes(client_id) || changes(secret.expose()) => Some(
                "id or secret hold characters that client_secret_basic encodes (RFC 6749 section 2.3.1), and some servers do not decode them: \
                 if the secret is right, authenticate by client_secret_basic_unencoded or client_secret_post",
            ),
            _ => None,
        }
    }
}

fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

fn basic(id: &str, secret: &str) -> Result<HeaderValue, CredentialsError> {
    header(&format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))))
}

fn header(text: &str) -> Result<HeaderValue, CredentialsError> {
    let mut value =
        HeaderValue::from_str(text).map_err(|_| CredentialsError("the client's credentials do not fit a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// RFC 7523 section 3: iss and sub name the client, aud the server; jti makes it good for one use.
fn assertion(key: &SigningKey, client_id: &str, audience: &str, now: Timestamp) -> Result<String, CredentialsError> {
    let mut header = json!({ "alg": key.algorithm().name(), "typ": "JWT" });
    if let Some(kid) = key.kid() {
        header["kid"] = json!(kid);
    }
    let claims = json!({
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "jti": unique(now),
        "iat": now.as_secs(),
        "exp": now.saturating_add(ASSERTION_LIFE).as_secs(),
    });
    key.sign_jwt(&header.to_string(), &claims.to_string())
        .map_err(|_| CredentialsError("the client assertion could not be signed"))
}

/// A `jti`: 128 bits that have not been used before by this process or another. It must be unique, but need not be
/// secret.
fn unique(now: Timestamp) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut seed = [0; 24];
    for (salt, part) in (0_u8..).zip(seed.chunks_exact_mut(8)) {
        // The keys of a `RandomState` come from the operating system.
        let random = RandomState::new().hash_one((salt, count, now, std::process::id()));
        part.copy_from_slice(&random.to_le_bytes());
    }
    base64url::encode(&sha256(&seed)[..16])
}

/// A client secret (RFC 6749 section 2.3.1), or another credential of the client.
///
/// Neither `Debug` nor any error shows it. Clones share the text.
#[derive(Clone)]
pub struct ClientSecret(Arc<str>);

impl ClientSecret {
    /// Wraps the text as it was issued. It is not checked.
    #[must_use]
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// Returns the text. Take care not to log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for ClientSecret {
    /// The time taken does not depend on where two texts of the same length differ.
    fn eq(&self, other: &Self) -> bool {
        let (one, two) = (self.0.as_bytes(), other.0.as_bytes());
        one.len() == two.len() && one.iter().zip(two).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
    }
}

impl Eq for ClientSecret {}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret(…)")
    }
}

impl From<&str> for ClientSecret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for ClientSecret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// Credentials could not be made. The text contains none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialsError(&'static str);

impl fmt::Display for CredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for CredentialsError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::Algorithm;

    fn credentials(authentication: &ClientAuthentication, id: &str) -> Credentials {
        authentication.credentials(id, "https://as/introspect", Timestamp::from_secs(1000)).unwrap()
    }

    #[test]
    fn basic_encodes_id_and_secret_before_it_joins_them() {
        let sent = credentials(&ClientAuthentication::Basic("p%s:ä +".into()), "my:client");
        let header = sent.header.unwrap();
        assert!(header.is_sensitive() && sent.form.is_empty());
        let joined = STANDARD.decode(header.to_str().unwrap().strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(String::from_utf8(joined).unwrap(), "my%3Aclient:p%25s%3A%C3%A4+%2B");
    }

    #[test]
    fn the_unencoded_form_sends_id_and_secret_as_they_are() {
        let method = ClientAuthentication::BasicUnencoded("p%s:ä !+".into());
        let header = credentials(&method, "my-client").header.unwrap();
        assert!(header.is_sensitive());
        let joined = STANDARD.decode(header.to_str().unwrap().strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(String::from_utf8(joined).unwrap(), "my-client:p%s:ä !+");
        // RFC 7617 section 2: the first colon ends the id.
        assert!(method.credentials("my:client", "https://as/introspect", Timestamp::EPOCH).is_err());
    }

    #[test]
    fn the_form_is_suspected_only_where_it_changes_something() {
        for (method, id, expected) in [
            (ClientAuthentication::Basic("plain-secret_1.2".into()), "me", false),
            (ClientAuthentication::Basic("canary!".into()), "me", true),
            (ClientAuthentication::Basic("s:canary".into()), "me", true),
            (ClientAuthentication::Basic("s".into()), "https://me.canary", true),
            (ClientAuthentication::BasicUnencoded("canary!".into()), "me", false),
            (ClientAuthentication::Post("canary!".into()), "me", false),
        ] {
            let hint = method.refusal_hint(id);
            assert_eq!(hint.is_some(), expected, "{} {id}", method.method());
            assert!(!hint.unwrap_or_default().contains("canary"));
        }
    }

    #[test]
    fn each_method_sends_what_its_rfc_says_and_no_more() {
        for (method, form, header) in [
            (ClientAuthentication::None, vec![("client_id", "me")], None),
            (ClientAuthentication::MutualTls, vec![("client_id", "me")], None),
            (ClientAuthentication::Post("s".into()), vec![("client_id", "me"), ("client_secret", "s")], None),
            (ClientAuthentication::Bearer("t".into()), vec![], Some("Bearer t")),
        ] {
            let sent = credentials(&method, "me");
            let members: Vec<_> = sent.form.iter().map(|(name, value)| (*name, value.expose())).collect();
            let seen = sent.header.as_ref().map(|value| value.to_str().unwrap());
            assert_eq!((members, seen), (form, header), "{}", method.method());
        }
    }

    #[test]
    fn an_assertion_names_the_client_the_server_and_a_minute() {
        let key = Arc::new(SigningKey::from_secret(Algorithm::HS256, Some("k1"), &[7; 32]).unwrap());
        for (audience, expected) in [(None, "https://as/introspect"), (Some("https://as/".to_owned()), "https://as/")] {
            let method = ClientAuthentication::PrivateKeyJwt { key: Arc::clone(&key), audience };
            let (sent, again) = (credentials(&method, "me"), credentials(&method, "me"));
            let part = |credentials: &Credentials, index: usize| -> serde_json::Value {
                let (name, assertion) = &credentials.form[2];
                assert_eq!(*name, "client_assertion");
                let part = assertion.expose().split('.').nth(index).unwrap();
                serde_json::from_slice(&base64url::decode(part.as_bytes()).unwrap()).unwrap()
            };
            assert_eq!(part(&sent, 0), json!({ "alg": "HS256", "typ": "JWT", "kid": "k1" }));
            let claims = part(&sent, 1);
            assert_eq!(
                (&claims["iss"], &claims["sub"], &claims["aud"]),
                (&json!("me"), &json!("me"), &json!(expected))
            );
            assert_eq!((&claims["iat"], &claims["exp"]), (&json!(1000), &json!(1060)));
            assert_ne!(claims["jti"], part(&again, 1)["jti"]);
        }
    }

    #[test]
    fn what_does_not_fit_a_header_is_an_error_and_no_secret_is_printed() {
        let bad = ClientAuthentication::Bearer("line\nbreak".into());
        let error = bad.credentials("me", "https://as", Timestamp::EPOCH).unwrap_err();
        let printed = format!("{error} {bad:?} {:?}", credentials(&ClientAuthentication::Post("canary".into()), "me"));
        assert!(!printed.contains("canary") && !printed.contains("break"), "{printed}");
    }
}
