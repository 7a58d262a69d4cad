//! The introspection endpoint: a token in, what the issuer says of it out (RFC 7662 section 2).

mod answer;

use std::fmt;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use url::form_urlencoded::{Serializer, byte_serialize};

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
    /// What goes with every token, where that is always the same.
    beside: Option<Beside>,
    signed_only: bool,
}

/// What a request holds beside the token.
struct Beside {
    authorization: Option<HeaderValue>,
    /// The rest of the form, encoded. It may hold a secret.
    form: String,
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
        let mut this = Self { exchange, identity, client_id, authentication, beside: None, signed_only };
        if !matches!(this.authentication, ClientAuthentication::PrivateKeyJwt { .. }) {
            // What cannot be made now cannot be made later, and is said then.
            this.beside = this.beside(Timestamp::EPOCH).ok();
        }
        this
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
        let made;
        let beside = match &self.beside {
            Some(beside) => beside,
            None => {
                made = self.beside(now)?;
                &made
            }
        };
        let mut form = String::with_capacity("token=&".len() + token.len() + beside.form.len());
        form.push_str("token=");
        form.extend(byte_serialize(token.as_bytes()));
        form.push('&');
        form.push_str(&beside.form);
        let mut request = Request::new(Bytes::from(form));
        *request.method_mut() = Method::POST;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        if let Some(header) = &beside.authorization {
            headers.insert(AUTHORIZATION, header.clone());
        }
        Ok(request)
    }

    /// What shows who asks, and what is asked for.
    fn beside(&self, now: Timestamp) -> Result<Beside, OpaqueError> {
        let credentials = self
            .authentication
            .credentials(&self.client_id, &self.exchange.uri.to_string(), now)
            .map_err(|_| OpaqueError::Misconfigured("no credentials could be made for the introspection endpoint"))?;
        let mut form = Serializer::new(String::new());
        form.append_pair("token_type_hint", "access_token");
        for (name, value) in &credentials.form {
            form.append_pair(name, value.expose());
        }
        Ok(Beside { authorization: credentials.header, form: form.finish() })
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::base::http::{HttpClient, HttpError, Limits};
    use crate::jose::Algorithm;
    use crate::jose::signing::SigningKey;

    #[derive(Debug)]
    struct Nobody;

    impl HttpClient for Nobody {
        fn send(&self, _: Request<Bytes>, _: Limits) -> BoxFuture<'_, Result<http::Response<Bytes>, HttpError>> {
            Box::pin(std::future::ready(Err(HttpError::Timeout)))
        }
    }

    fn asking(authentication: ClientAuthentication) -> Introspection {
        let (client, uri) = (Arc::new(Nobody), "https://as/introspect".parse().unwrap());
        let exchange = Exchange { client, uri, timeout: Duration::from_secs(1) };
        Introspection::new(exchange, "me & you".to_owned(), authentication, false)
    }

    #[test]
    fn an_assertion_is_made_for_each_request_and_all_else_once() {
        let key = Arc::new(SigningKey::from_secret(Algorithm::HS256, None, &[7; 32]).unwrap());
        for (method, form, header) in [
            (ClientAuthentication::None, "&client_id=me+%26+you", None),
            (ClientAuthentication::Post("s=&".into()), "&client_id=me+%26+you&client_secret=s%3D%26", None),
            (ClientAuthentication::Basic("s".into()), "", Some("Basic bWUrJTI2K3lvdTpz")),
            (ClientAuthentication::Bearer("t".into()), "", Some("Bearer t")),
            (
                ClientAuthentication::PrivateKeyJwt { key, audience: None },
                "&client_id=me+%26+you&client_assertion_type=",
                None,
            ),
        ] {
            let (name, is_fresh) = (method.method(), matches!(method, ClientAuthentication::PrivateKeyJwt { .. }));
            let introspection = asking(method);
            let [one, other] = [(), ()].map(|()| introspection.request("a+b/~=", Timestamp::from_secs(1000)).unwrap());
            let expected = format!("token=a%2Bb%2F%7E%3D&token_type_hint=access_token{form}");
            let body = std::str::from_utf8(one.body()).unwrap();
            assert!(if is_fresh { body.starts_with(&expected) } else { body == expected }, "{name}: {body}");
            assert_eq!(one.body() != other.body(), is_fresh, "{name}");
            let seen = one.headers().get(AUTHORIZATION);
            assert_eq!(seen.map(|value| value.to_str().unwrap()), header, "{name}");
            assert!(seen.is_none_or(HeaderValue::is_sensitive) && one.method() == Method::POST, "{name}");
        }
    }

    #[test]
    fn credentials_that_cannot_be_made_are_said_with_each_question() {
        let introspection = asking(ClientAuthentication::Bearer("line\nbreak".into()));
        for _ in 0..2 {
            let asked = introspection.request("t", Timestamp::EPOCH);
            assert!(matches!(asked, Err(OpaqueError::Misconfigured(_))));
        }
    }
}
