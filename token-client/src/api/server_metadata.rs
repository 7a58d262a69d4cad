//! An issuer in, the URLs of its metadata and their content out (RFC 8414 sections 2 and 3, OpenID Connect Discovery
//! section 4). Pure.

use serde::Deserialize;
use url::{Position, Url};

use super::documents;
use crate::error::{TokenError, TokenErrorKind};

/// The metadata of an authorization server (RFC 8414 section 2), as far as a client needs it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ServerMetadata {
    /// The issuer identifier.
    pub issuer: String,
    /// The authorization endpoint, where users sign in.
    pub authorization_endpoint: Option<String>,
    /// The token endpoint.
    pub token_endpoint: Option<String>,
    /// The registration endpoint (RFC 7591).
    pub registration_endpoint: Option<String>,
    /// The revocation endpoint (RFC 7009).
    pub revocation_endpoint: Option<String>,
    /// Scopes that the server supports. The list may be incomplete.
    pub scopes_supported: Option<Vec<String>>,
    /// The authentication methods for clients. `None` means `client_secret_basic`.
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// The PKCE methods (RFC 7636). `None`: PKCE is not supported.
    pub code_challenge_methods_supported: Option<Vec<String>>,
    /// Whether a client may be identified by the URL of its metadata document.
    #[serde(default)]
    pub client_id_metadata_document_supported: bool,
    /// Whether every authorization response names its issuer (RFC 9207).
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

/// The URLs at which the metadata of an issuer may be, in the order that the Model Context Protocol prescribes: RFC
/// 8414's, then OpenID Connect's file name at RFC 8414's location, then OpenID Connect's own.
///
/// ```
/// let urls = token_client::server_metadata_urls("https://id.example.com/t1")?;
/// assert_eq!(urls[0].as_str(), "https://id.example.com/.well-known/oauth-authorization-server/t1");
/// assert_eq!(urls[1].as_str(), "https://id.example.com/.well-known/openid-configuration/t1");
/// assert_eq!(urls[2].as_str(), "https://id.example.com/t1/.well-known/openid-configuration");
/// # Ok::<(), token_client::TokenError>(())
/// ```
///
/// # Errors
/// [`UntrustedMetadata`](TokenErrorKind::UntrustedMetadata) unless the issuer is an https URL (or http to this machine)
/// without query, fragment and credentials.
pub fn server_metadata_urls(issuer: &str) -> Result<Vec<Url>, TokenError> {
    const OAUTH: &str = "/.well-known/oauth-authorization-server";
    const OPENID: &str = "/.well-known/openid-configuration";
    let url = documents::address(issuer, "the issuer", None)?;
    if url.query().is_some() {
        return Err(TokenError::new(TokenErrorKind::UntrustedMetadata, "the issuer is expected to have no query"));
    }
    let origin = &url[..Position::BeforePath];
    let path = url.path().trim_end_matches('/');
    let mut places = vec![format!("{origin}{OAUTH}{path}"), format!("{origin}{OPENID}{path}")];
    if !path.is_empty() {
        places.push(format!("{origin}{path}{OPENID}"));
    }
    Ok(places.iter().filter_map(|place| Url::parse(place).ok()).collect())
}

/// Reads the metadata of an issuer. Its `issuer` must be equal byte by byte (RFC 8414 section 3.3).
///
/// # Errors
/// [`Malformed`](TokenErrorKind::Malformed): not a JSON object of this form.
/// [`UntrustedMetadata`](TokenErrorKind::UntrustedMetadata): it belongs to another issuer.
pub fn process_server_metadata(issuer: &str, body: &[u8]) -> Result<ServerMetadata, TokenError> {
    let metadata: ServerMetadata = documents::object(body)?;
    if metadata.issuer == issuer {
        Ok(metadata)
    } else {
        let detail = "the metadata is of another issuer than the one it was read for; both must be equal byte by byte";
        Err(TokenError::new(TokenErrorKind::UntrustedMetadata, detail))
    }
}

impl ServerMetadata {
    /// Whether the server supports this authentication method. One that lists none supports `client_secret_basic` (RFC
    /// 8414 section 2).
    pub(super) fn takes(&self, method: &str) -> bool {
        match &self.token_endpoint_auth_methods_supported {
            Some(methods) => methods.iter().any(|known| known == method),
            None => method == "client_secret_basic",
        }
    }

    pub(super) fn knows_scope(&self, scope: &str) -> bool {
        self.scopes_supported.as_ref().is_some_and(|scopes| scopes.iter().any(|known| known == scope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_that_is_no_plain_https_url_is_asked_nothing() {
        for (issuer, places) in [
            ("https://id.example", Some(2)),
            ("https://id.example/", Some(2)),
            ("https://id.example/t", Some(3)),
            ("http://127.0.0.1:8080", Some(2)),
            ("http://id.example", None),
            ("https://id.example?x=1", None),
            ("https://id.example#x", None),
            ("https://user@id.example", None),
            ("file:///etc/passwd", None),
            ("javascript:alert(1)", None),
            ("id.example", None),
        ] {
            assert_eq!(server_metadata_urls(issuer).ok().map(|places| places.len()), places, "{issuer}");
        }
    }

    #[test]
    fn metadata_of_another_issuer_is_refused() {
        for (named, expected) in [
            ("https://id.example", None),
            ("https://id.example/", Some(TokenErrorKind::UntrustedMetadata)),
            ("https://ID.example", Some(TokenErrorKind::UntrustedMetadata)),
            ("https://evil.example", Some(TokenErrorKind::UntrustedMetadata)),
        ] {
            let body = serde_json::json!({ "issuer": named, "token_endpoint": "https://id.example/token" }).to_string();
            let kind = process_server_metadata("https://id.example", body.as_bytes()).err().map(|error| error.kind());
            assert_eq!(kind, expected, "{named}");
        }
        let unnamed = process_server_metadata("https://id.example", b"{}").unwrap_err();
        assert_eq!(unnamed.kind(), TokenErrorKind::Malformed);
    }
}
