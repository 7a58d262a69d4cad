//! A client's metadata in, a registration request and the interpretation of its response out (RFC 7591 sections 2 and
//! 3, OAuth Client ID Metadata Document section 4). Pure.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use token_core::opaque::client_authentication::ClientAuthentication;

use super::documents;
use super::server_metadata::ServerMetadata;
use crate::error::{TokenError, TokenErrorKind, misconfigured};

/// The metadata of a client: what it tells a server that does not know it.
///
/// ```
/// use token_client::ClientMetadata;
///
/// // The document to be served at the URL that is the client's identifier:
/// let document = ClientMetadata::new("Reporter")
///     .redirect_uri("https://reporter.example.com/callback")
///     .member("logo_uri", "https://reporter.example.com/logo.png")
///     .document("https://reporter.example.com/client.json");
/// assert_eq!(document["client_id"], "https://reporter.example.com/client.json");
/// assert_eq!(document["token_endpoint_auth_method"], "none");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct ClientMetadata {
    name: String,
    redirect_uris: Vec<String>,
    members: Map<String, Value>,
}

/// The credentials that a server issued at registration.
#[derive(Clone, Debug)]
pub(super) struct Registration {
    pub(super) client_id: String,
    pub(super) authentication: ClientAuthentication,
}

impl ClientMetadata {
    /// The metadata of a client with this name, which users see on consent pages.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), redirect_uris: Vec::new(), members: Map::new() }
    }

    /// Adds a redirect URI; may be called several times.
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        self.redirect_uris.push(uri.into());
        self
    }

    /// Sets another member of RFC 7591 section 2, such as `client_uri`, `logo_uri` or `jwks`. It replaces the default
    /// value of that member.
    pub fn member(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.members.insert(name.into(), value.into());
        self
    }

    /// The client's metadata document, whose URL is the client identifier: `client_id` is exactly that URL. The
    /// document is public and contains no secret; its authentication method is `none` unless a [`member`](Self::member)
    /// sets `private_key_jwt`.
    #[must_use]
    pub fn document(&self, client_id: &str) -> Value {
        let mut document = self.members("none");
        document.insert("client_id".to_owned(), json!(client_id));
        Value::Object(document)
    }

    /// The body of a registration request to this server.
    pub(super) fn request(&self, server: &ServerMetadata, signs_in: bool) -> Result<String, TokenError> {
        // A client that signs users in needs no secret: PKCE ties the code to it. One that acts for itself does.
        let (first, others) = if signs_in {
            ("none", ["client_secret_basic", "client_secret_post"])
        } else {
            ("client_secret_basic", ["client_secret_post", "client_secret_basic"])
        };
        let method = [first].into_iter().chain(others).find(|method| server.takes(method)).ok_or_else(|| {
            misconfigured("the authorization server takes neither none, client_secret_basic nor client_secret_post of new clients")
        })?;
        let mut members = self.members(method);
        if !signs_in {
            members.insert("grant_types".to_owned(), json!(["client_credentials"]));
            members.remove("response_types");
            members.remove("redirect_uris");
        }
        Ok(Value::Object(members).to_string())
    }

    fn members(&self, method: &str) -> Map<String, Value> {
        // OpenID Connect Registration section 2: without it a client counts as one on the web, and loopback URIs are refused.
        let web = !self.redirect_uris.is_empty()
            && self
                .redirect_uris
                .iter()
                .all(|uri| uri.starts_with("https://") && !uri.starts_with("https://localhost"));
        let said = json!({
            "client_name": self.name,
            "redirect_uris": self.redirect_uris,
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": method,
            "application_type": if web { "web" } else { "native" },
        });
        let Value::Object(mut members) = said else { return Map::new() };
        members.extend(self.members.clone());
        members
    }
}

#[derive(Deserialize)]
struct Answer {
    client_id: String,
    client_secret: Option<String>,
    token_endpoint_auth_method: Option<String>,
}

#[derive(Default, Deserialize)]
struct Refused {
    error: Option<Value>,
}

/// Interprets the response to a registration request (RFC 7591 section 3.2).
pub(super) fn process(server: &ServerMetadata, status: StatusCode, body: &[u8]) -> Result<Registration, TokenError> {
    match status.as_u16() {
        // 201 is what the RFC says; some servers say 200.
        200 | 201 => {}
        400..=499 => {
            let refused: Refused = serde_json::from_slice(body).unwrap_or_default();
            let code = refused.error.as_ref().and_then(Value::as_str);
            let known = [
                "invalid_redirect_uri",
                "invalid_client_metadata",
                "invalid_software_statement",
                "unapproved_software_statement",
            ];
            let code =
                code.and_then(|code| known.into_iter().find(|known| *known == code)).unwrap_or("no known error code");
            let detail = format!("the registration of the client was refused: status {status}, {code}");
            return Err(TokenError::new(TokenErrorKind::Refused, detail).answered(status));
        }
        300..=399 => {
            return Err(TokenError::new(TokenErrorKind::Redirected, "the registration was answered with a redirect"));
        }
        _ => {
            let detail = format!("the registration was answered with status {status}");
            return Err(TokenError::new(TokenErrorKind::ServerError, detail).answered(status));
        }
    }
    let answer: Answer = documents::object(body)?;
    let method = answer.token_endpoint_auth_method.as_deref().unwrap_or_else(|| match answer.client_secret {
        None => "none",
        Some(_) if server.takes("client_secret_basic") => "client_secret_basic",
        Some(_) => "client_secret_post",
    });
    let authentication = match (method, answer.client_secret) {
        ("none", _) => ClientAuthentication::None,
        ("client_secret_basic", Some(secret)) => ClientAuthentication::Basic(secret.into()),
        ("client_secret_post", Some(secret)) => ClientAuthentication::Post(secret.into()),
        _ => {
            let detail = "the registration yielded no secret, or a method that was not asked for";
            return Err(TokenError::new(TokenErrorKind::Malformed, detail));
        }
    };
    Ok(Registration { client_id: answer.client_id, authentication })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(methods: Option<&[&str]>) -> ServerMetadata {
        let mut body = json!({ "issuer": "https://id.example" });
        if let Some(methods) = methods {
            body["token_endpoint_auth_methods_supported"] = json!(methods);
        }
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn a_registration_asks_for_a_method_that_the_server_takes() {
        let metadata = ClientMetadata::new("Agent").redirect_uri("http://127.0.0.1:3000/cb");
        for (methods, signs_in, expected) in [
            (Some(&["none", "client_secret_basic"][..]), true, Some("none")),
            (Some(&["client_secret_post", "client_secret_basic"]), true, Some("client_secret_basic")),
            (Some(&["client_secret_post"]), true, Some("client_secret_post")),
            (None, true, Some("client_secret_basic")),
            (Some(&["none", "client_secret_post"]), false, Some("client_secret_post")),
            (Some(&["tls_client_auth"]), true, None),
        ] {
            let request = metadata.request(&server(methods), signs_in).ok();
            let request: Option<Value> = request.map(|body| serde_json::from_str(&body).unwrap());
            let method = request.as_ref().map(|request| request["token_endpoint_auth_method"].as_str().unwrap());
            assert_eq!(method, expected, "{methods:?}");
            if let Some(request) = &request {
                assert_eq!(request.get("redirect_uris").is_some(), signs_in);
            }
        }
    }

    #[test]
    fn a_program_on_this_machine_is_native_and_a_site_is_not() {
        for (uri, expected) in [
            ("http://127.0.0.1/cb", "native"),
            ("https://localhost/cb", "native"),
            ("com.example:/cb", "native"),
            ("https://app.example/cb", "web"),
        ] {
            let document = ClientMetadata::new("x").redirect_uri(uri).document("https://app.example/c.json");
            assert_eq!(document["application_type"], expected, "{uri}");
        }
    }

    #[test]
    fn the_answer_says_how_to_authenticate() {
        for (answer, methods, expected) in [
            (json!({ "client_id": "c" }), None, Ok("none")),
            (json!({ "client_id": "c", "client_secret": "s" }), None, Ok("client_secret_basic")),
            (
                json!({ "client_id": "c", "client_secret": "s" }),
                Some(&["client_secret_post"][..]),
                Ok("client_secret_post"),
            ),
            (
                json!({ "client_id": "c", "client_secret": "s", "token_endpoint_auth_method": "client_secret_post" }),
                None,
                Ok("client_secret_post"),
            ),
            (json!({ "client_id": "c", "client_secret": "s", "token_endpoint_auth_method": "none" }), None, Ok("none")),
            (
                json!({ "client_id": "c", "token_endpoint_auth_method": "client_secret_basic" }),
                None,
                Err(TokenErrorKind::Malformed),
            ),
            (json!({ "client_secret": "s" }), None, Err(TokenErrorKind::Malformed)),
            (json!(["c"]), None, Err(TokenErrorKind::Malformed)),
        ] {
            let outcome = process(&server(methods), StatusCode::CREATED, answer.to_string().as_bytes());
            let outcome = outcome.map(|found| found.authentication.method()).map_err(|error| error.kind());
            assert_eq!(outcome, expected, "{answer}");
        }
    }

    #[test]
    fn a_refusal_repeats_none_of_the_servers_words() {
        let body = br#"{"error":"invalid_redirect_uri","error_description":"canary"}"#;
        let error = process(&server(None), StatusCode::BAD_REQUEST, body).unwrap_err();
        assert_eq!(error.kind(), TokenErrorKind::Refused);
        assert!(error.to_string().contains("invalid_redirect_uri") && !error.to_string().contains("canary"), "{error}");
    }
}
