//! How the client shows who it is: parameters and header of one request (RFC 6749 section 2.3.1, RFC 7523 section 2.2, RFC 8705 section 2).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use serde_json::json;
use token_core::Timestamp;
use token_core::signing::SigningKey;
use url::form_urlencoded::byte_serialize;

use crate::error::{TokenError, TokenErrorKind};
use crate::random;
use crate::secret::ClientSecret;

/// How long a client assertion is good for.
const ASSERTION_LIFE: Duration = Duration::from_secs(60);

/// How a client authenticates at the token endpoint.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// Not at all: a public client. Its `client_id` goes into the form.
    None,
    /// `client_secret_basic`: id and secret, each form-encoded, in the `Authorization` header.
    Basic(ClientSecret),
    /// `client_secret_post`: id and secret in the form.
    Post(ClientSecret),
    /// `private_key_jwt`: a fresh assertion of one minute, signed with this key. With a key of an HS algorithm it is `client_secret_jwt`.
    PrivateKeyJwt {
        /// The key; its `kid` goes into the assertion's header.
        key: Arc<SigningKey>,
        /// `aud` of the assertion: the issuer identifier, where the server wants that. `None`: the token endpoint's URL.
        audience: Option<String>,
    },
    /// `tls_client_auth` or `self_signed_tls_client_auth`: the HTTP client shows its certificate, the form names the client. See
    /// `client_identity_pem` of the HTTP client's builder.
    MutualTls,
}

/// What authentication adds to a request.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    pub(crate) header: Option<HeaderValue>,
    pub(crate) form: Vec<(&'static str, String)>,
}

impl ClientAuthentication {
    /// The method's name in the registry of token endpoint authentication methods.
    pub(crate) fn method(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic(_) => "client_secret_basic",
            Self::Post(_) => "client_secret_post",
            Self::PrivateKeyJwt { .. } => "private_key_jwt",
            Self::MutualTls => "tls_client_auth",
        }
    }

    pub(crate) fn credentials(
        &self,
        client_id: &str,
        endpoint: &str,
        now: Timestamp,
    ) -> Result<Credentials, TokenError> {
        let id = ("client_id", client_id.to_owned());
        let mut credentials = Credentials::default();
        match self {
            Self::None | Self::MutualTls => credentials.form.push(id),
            Self::Basic(secret) => credentials.header = Some(basic(client_id, secret)?),
            Self::Post(secret) => {
                credentials.form = vec![id, ("client_secret", secret.expose().to_owned())];
            }
            Self::PrivateKeyJwt { key, audience } => {
                let assertion = assertion(key, client_id, audience.as_deref().unwrap_or(endpoint), now)?;
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned();
                credentials.form = vec![id, ("client_assertion_type", kind), ("client_assertion", assertion)];
            }
        }
        Ok(credentials)
    }
}

fn basic(client_id: &str, secret: &ClientSecret) -> Result<HeaderValue, TokenError> {
    let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let joined = format!("{}:{}", encode(client_id), encode(secret.expose()));
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(joined)))
        .map_err(|_| TokenError::new(TokenErrorKind::Misconfigured, "the client's credentials do not fit a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// RFC 7523 section 3: iss and sub name the client, aud the server; jti makes it good for one use.
fn assertion(key: &SigningKey, client_id: &str, audience: &str, now: Timestamp) -> Result<String, TokenError> {
    let mut header = json!({ "alg": key.algorithm().name(), "typ": "JWT" });
    if let Some(kid) = key.kid() {
        header["kid"] = json!(kid);
    }
    let claims = json!({
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "jti": random::text::<16>()?,
        "iat": now.as_secs(),
        "exp": now.saturating_add(ASSERTION_LIFE).as_secs(),
    });
    key.sign_jwt(&header.to_string(), &claims.to_string())
        .map_err(|_| TokenError::new(TokenErrorKind::Misconfigured, "the client assertion could not be signed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use token_core::Algorithm;

    fn credentials(authentication: &ClientAuthentication, id: &str) -> Credentials {
        authentication.credentials(id, "https://as/token", Timestamp::from_secs(1000)).unwrap()
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
    fn each_method_sends_what_its_rfc_says_and_no_more() {
        for (method, expected) in [
            (ClientAuthentication::None, vec![("client_id", "me")]),
            (ClientAuthentication::MutualTls, vec![("client_id", "me")]),
            (ClientAuthentication::Post("s".into()), vec![("client_id", "me"), ("client_secret", "s")]),
        ] {
            let sent = credentials(&method, "me");
            let form: Vec<_> = sent.form.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!((form, sent.header), (expected, None), "{}", method.method());
        }
    }

    #[test]
    fn an_assertion_names_the_client_the_server_and_a_minute() {
        let key = Arc::new(SigningKey::from_secret(Algorithm::HS256, Some("k1"), &[7; 32]).unwrap());
        for (audience, expected) in [(None, "https://as/token"), (Some("https://as/".to_owned()), "https://as/")] {
            let method = ClientAuthentication::PrivateKeyJwt { key: Arc::clone(&key), audience };
            let (sent, again) = (credentials(&method, "me"), credentials(&method, "me"));
            let part = |credentials: &Credentials, index: usize| -> serde_json::Value {
                let (name, assertion) = &credentials.form[2];
                assert_eq!(*name, "client_assertion");
                let bytes = URL_SAFE_NO_PAD.decode(assertion.split('.').nth(index).unwrap()).unwrap();
                serde_json::from_slice(&bytes).unwrap()
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
}
