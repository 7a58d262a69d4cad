//! What to ask of a user in, the URL to send them to out; the URL they came back with in, a code out (RFC 6749 sections
//! 4.1.1 and 4.1.2, RFC 7636, RFC 8707 section 2.1, RFC 9207 section 2.4). Pure, apart from random bytes.

use std::fmt;

use url::Url;

use super::documents;
use super::server_metadata::ServerMetadata;
use crate::error::{TokenError, TokenErrorKind, misconfigured};
use crate::pkce::PkceVerifier;
use crate::random;
use crate::secret::{AuthorizationCode, Secret};

/// An authorization request that was sent. Keep it until the user comes back.
pub struct AuthorizationRequest {
    url: Url,
    redirect_uri: String,
    state: Secret,
    verifier: PkceVerifier,
    issuer: String,
    says_iss: bool,
}

/// The content of an authorization request. All of it becomes part of the URL.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking<'a> {
    pub(super) client_id: &'a str,
    pub(super) redirect_uri: &'a str,
    pub(super) scope: &'a str,
    pub(super) resource: &'a str,
    /// The thumbprint of the key that the code will be bound to (RFC 9449 section 10).
    pub(super) dpop_jkt: Option<&'a str>,
}

impl AuthorizationRequest {
    /// # Errors
    /// [`Misconfigured`](TokenErrorKind::Misconfigured): the server has no authorization endpoint, or does not support
    /// PKCE with S256.
    pub(super) fn new(server: &ServerMetadata, asking: Asking<'_>) -> Result<Self, TokenError> {
        let endpoint = server.authorization_endpoint.as_deref().ok_or_else(|| {
            misconfigured("the authorization server has no authorization_endpoint: users cannot sign in there")
        })?;
        let methods = server.code_challenge_methods_supported.as_deref().unwrap_or_default();
        if !methods.iter().any(|method| method == "S256") {
            return Err(misconfigured(
                "the authorization server does not say that it supports PKCE with S256 (code_challenge_methods_supported)",
            ));
        }
        let (state, verifier) = (random::text::<16>()?, PkceVerifier::generate()?);
        let mut url = documents::address(endpoint, "authorization_endpoint", Url::parse(&server.issuer).ok().as_ref())?;
        {
            let mut query = url.query_pairs_mut();
            query
                .append_pair("response_type", "code")
                .append_pair("client_id", asking.client_id)
                .append_pair("redirect_uri", asking.redirect_uri)
                .append_pair("state", &state)
                .append_pair("code_challenge", &verifier.challenge())
                .append_pair("code_challenge_method", "S256")
                .append_pair("resource", asking.resource);
            if let Some(thumbprint) = asking.dpop_jkt {
                query.append_pair("dpop_jkt", thumbprint);
            }
            if !asking.scope.is_empty() {
                query.append_pair("scope", asking.scope);
            }
            if asking.scope.split(' ').any(|scope| scope == "offline_access") {
                // OpenID Connect Core section 11: without it the scope is to be ignored.
                query.append_pair("prompt", "consent");
            }
        }
        Ok(Self {
            url,
            redirect_uri: asking.redirect_uri.to_owned(),
            state: Secret::new(state),
            verifier,
            issuer: server.issuer.clone(),
            says_iss: server.authorization_response_iss_parameter_supported,
        })
    }

    /// The URL to open in the user's browser.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The URL to which the user will come back.
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// The code in the URL with which the user came back, and the matching PKCE verifier.
    ///
    /// # Errors
    /// [`UntrustedMetadata`](TokenErrorKind::UntrustedMetadata): the response does not belong to this request, or is
    /// from another issuer; nothing else in it is read. Otherwise the server's error, such as
    /// [`AccessDenied`](TokenErrorKind::AccessDenied).
    pub(super) fn code(self, came_back: &str) -> Result<(AuthorizationCode, PkceVerifier), TokenError> {
        let not_ours = |detail| TokenError::new(TokenErrorKind::UntrustedMetadata, detail);
        let url = Url::parse(came_back).map_err(|_| not_ours("what the user came back with is not a URL"))?;
        let one = |name: &str| {
            let mut values = url.query_pairs().filter(|(known, _)| known == name).map(|(_, value)| value.into_owned());
            match (values.next(), values.next()) {
                (value, None) => Ok(value),
                (_, Some(_)) => Err(not_ours("a parameter of the authorization response is there twice")),
            }
        };
        if one("state")?.map(Secret::new) != Some(self.state) {
            return Err(not_ours("state is not that of the authorization request"));
        }
        // RFC 9207 section 2.4: to the letter, whether the server has announced it or not.
        match one("iss")? {
            Some(issuer) if issuer == self.issuer => {}
            Some(_) => return Err(not_ours("iss of the authorization response is another issuer than was asked")),
            None if self.says_iss => {
                return Err(not_ours("the authorization response has no iss, and the server promised one"));
            }
            None => {}
        }
        match (one("error")?, one("code")?) {
            (Some(error), _) => Err(refusal(&error)),
            (None, Some(code)) => Ok((AuthorizationCode::new(code), self.verifier)),
            (None, None) => Err(TokenError::new(
                TokenErrorKind::Malformed,
                "the authorization response holds neither code nor error",
            )),
        }
    }
}

/// RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6.
fn refusal(code: &str) -> TokenError {
    let (kind, detail) = match code {
        "access_denied" => (TokenErrorKind::AccessDenied, "the user or the server said no"),
        "login_required" | "consent_required" | "interaction_required" | "account_selection_required" => {
            (TokenErrorKind::InteractionRequired, "the user has to be asked")
        }
        "invalid_scope" => (TokenErrorKind::InvalidScope, "the server does not know a scope that was asked for"),
        "invalid_target" => (TokenErrorKind::InvalidTarget, "the server does not know the resource"),
        "invalid_request" => (TokenErrorKind::InvalidRequest, "the server does not like the authorization request"),
        "unauthorized_client" => (TokenErrorKind::UnauthorizedClient, "the client may not sign users in"),
        "server_error" | "temporarily_unavailable" => (TokenErrorKind::ServerError, "the server could not answer"),
        _ => (TokenErrorKind::Refused, "the authorization request was refused with an error code that is not known"),
    };
    TokenError::new(kind, detail)
}

// The URL holds state, which is as good as a secret until the user is back.
impl fmt::Debug for AuthorizationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationRequest")
            .field("issuer", &self.issuer)
            .field("redirect_uri", &self.redirect_uri)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(says_iss: bool) -> ServerMetadata {
        let body = serde_json::json!({
            "issuer": "https://id.example",
            "authorization_endpoint": "https://id.example/authorize?tenant=1",
            "code_challenge_methods_supported": ["plain", "S256"],
            "authorization_response_iss_parameter_supported": says_iss,
        });
        serde_json::from_value(body).unwrap()
    }

    const ASKING: Asking<'_> = Asking {
        client_id: "me",
        redirect_uri: "http://127.0.0.1/cb",
        scope: "a b",
        resource: "https://api.example/mcp",
        dpop_jkt: None,
    };

    #[test]
    fn the_url_says_all_that_is_asked() {
        let request = AuthorizationRequest::new(&server(true), ASKING).unwrap();
        let pairs: Vec<_> = request.url.query_pairs().into_owned().collect();
        let expected = [
            ("tenant", "1"),
            ("response_type", "code"),
            ("client_id", "me"),
            ("redirect_uri", "http://127.0.0.1/cb"),
            ("state", request.state.expose()),
            ("code_challenge", &request.verifier.challenge()),
            ("code_challenge_method", "S256"),
            ("resource", "https://api.example/mcp"),
            ("scope", "a b"),
        ];
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(!format!("{request:?}").contains(request.state.expose()));
    }

    #[test]
    fn a_code_is_bound_to_the_key_of_the_client() {
        let asking = Asking { dpop_jkt: Some("the thumbprint"), ..ASKING };
        let request = AuthorizationRequest::new(&server(true), asking).unwrap();
        assert!(request.url().contains("dpop_jkt=the+thumbprint"), "{}", request.url());
    }

    #[test]
    fn an_answer_counts_only_if_it_is_to_this_request_and_of_this_issuer() {
        use TokenErrorKind as Kind;
        const ISS: &str = "iss=https%3A%2F%2Fid.example";
        let table = [
            (true, format!("code=c&state=S&{ISS}"), None),
            (false, format!("code=c&state=S&{ISS}"), None),
            (false, "code=c&state=S".to_owned(), None),
            (true, "code=c&state=S".to_owned(), Some(Kind::UntrustedMetadata)),
            (true, "code=c&state=S&iss=https%3A%2F%2Fevil.example".to_owned(), Some(Kind::UntrustedMetadata)),
            (false, "code=c&state=S&iss=https%3A%2F%2Fevil.example".to_owned(), Some(Kind::UntrustedMetadata)),
            (false, "code=c&state=S&iss=https%3A%2F%2Fid.example%2F".to_owned(), Some(Kind::UntrustedMetadata)),
            (false, "code=c&state=S&iss=HTTPS%3A%2F%2Fid.example".to_owned(), Some(Kind::UntrustedMetadata)),
            (true, format!("code=c&state=S&{ISS}&{ISS}"), Some(Kind::UntrustedMetadata)),
            (true, format!("code=c&code=d&state=S&{ISS}"), Some(Kind::UntrustedMetadata)),
            (true, format!("code=c&state=T&{ISS}"), Some(Kind::UntrustedMetadata)),
            (true, format!("code=c&{ISS}"), Some(Kind::UntrustedMetadata)),
            // An error of somebody else is not looked at either.
            (
                true,
                "error=access_denied&state=S&iss=https%3A%2F%2Fevil.example".to_owned(),
                Some(Kind::UntrustedMetadata),
            ),
            (true, format!("error=access_denied&state=S&{ISS}"), Some(Kind::AccessDenied)),
            (true, format!("error=who_knows&state=S&{ISS}"), Some(Kind::Refused)),
            (true, format!("state=S&{ISS}"), Some(Kind::Malformed)),
        ];
        for (says_iss, query, expected) in table {
            let request = AuthorizationRequest::new(&server(says_iss), ASKING).unwrap();
            let query = query.replace("state=S", &format!("state={}", request.state.expose()));
            let outcome = request.code(&format!("http://127.0.0.1:4000/cb?{query}"));
            assert_eq!(outcome.as_ref().err().map(TokenError::kind), expected, "{says_iss} {query}");
        }
    }

    #[test]
    fn without_pkce_nobody_is_sent_anywhere() {
        for methods in [None, Some(vec![]), Some(vec!["plain".to_owned()])] {
            let server = ServerMetadata { code_challenge_methods_supported: methods, ..server(true) };
            assert_eq!(AuthorizationRequest::new(&server, ASKING).unwrap_err().kind(), TokenErrorKind::Misconfigured);
        }
        let evil = ServerMetadata { authorization_endpoint: Some("javascript:alert(1)".to_owned()), ..server(true) };
        assert_eq!(AuthorizationRequest::new(&evil, ASKING).unwrap_err().kind(), TokenErrorKind::UntrustedMetadata);
    }
}
