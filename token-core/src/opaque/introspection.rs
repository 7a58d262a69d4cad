//! The introspection endpoint: a token in, what the issuer says of it out (RFC 7662 section 2).

mod answer;

use std::fmt;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use url::form_urlencoded::Serializer;

use crate::base::http::BoxFuture;
use crate::base::time::Timestamp;
use crate::opaque::client_authentication::ClientAuthentication;
use crate::opaque::{Exchange, OpaqueAnswer, OpaqueError, OpaqueVerifier};

pub(crate) use answer::{judge, process_answer};

/// Asks an introspection endpoint in the name of one client.
pub(crate) struct Introspection {
    exchange: Exchange,
    identity: String,
    client_id: String,
    authentication: ClientAuthentication,
    signed_only: bool,
}

impl Introspection {
    pub(crate) fn new(
        exchange: Exchange,
        client_id: String,
        authentication: ClientAuthentication,
        signed_only: bool,
    ) -> Self {
        let method = authentication.method();
        let identity = format!("introspection {} {method} {client_id} {signed_only}", exchange.uri);
        Self { exchange, identity, client_id, authentication, signed_only }
    }

    async fn exchange(&self, token: &str, now: Timestamp) -> Result<OpaqueAnswer, OpaqueError> {
        let request = self.request(token, now)?;
        let accept = if self.signed_only {
            "application/token-introspection+jwt"
        } else {
            "application/json, application/token-introspection+jwt;q=0.9"
        };
        let response = self.exchange.send(request, accept).await?;
        let answer = process_answer(response.status(), response.headers(), response.body(), self.signed_only);
        answer.map_err(|error| match (&error, self.authentication.refusal_hint(&self.client_id)) {
            // 400 is how some say `invalid_client`.
            (OpaqueError::Status { status: status @ (400 | 401 | 403), .. }, Some(hint)) => {
                OpaqueError::ClientRefused { status: *status, hint }
            }
            _ => error,
        })
    }

    /// RFC 7662 section 2.1: always a POST, so that the token is in no log of addresses.
    fn request(&self, token: &str, now: Timestamp) -> Result<Request<Bytes>, OpaqueError> {
        let credentials = self
            .authentication
            .credentials(&self.client_id, &self.exchange.uri.to_string(), now)
            .map_err(|_| OpaqueError::Misconfigured("no credentials could be made for the introspection endpoint"))?;
        let mut form = Serializer::new(String::new());
        form.append_pair("token", token).append_pair("token_type_hint", "access_token");
        for (name, value) in &credentials.form {
            form.append_pair(name, value.expose());
        }
        let mut request = Request::new(Bytes::from(form.finish()));
        *request.method_mut() = Method::POST;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        if let Some(header) = credentials.header {
            headers.insert(AUTHORIZATION, header);
        }
        Ok(request)
    }
}

impl OpaqueVerifier for Introspection {
    fn identity(&self) -> &str {
        &self.identity
    }

    fn ask<'a>(&'a self, token: &'a str, now: Timestamp) -> BoxFuture<'a, Result<OpaqueAnswer, OpaqueError>> {
        Box::pin(self.exchange(token, now))
    }
}

impl fmt::Debug for Introspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspection")
            .field("endpoint", &self.exchange.uri)
            .field("client", &self.client_id)
            .field("authentication", &self.authentication.method())
            .finish_non_exhaustive()
    }
}
