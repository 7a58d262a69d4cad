//! A request of the list in, the same with a proof of possession out, for a route that takes bound tokens alone (RFC 9449 section 7.1).

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{Request, Response, StatusCode};
use token_core::Algorithm;

use super::class::Class;
use super::list::Attack;
use crate::TestKey;
use crate::proof::ProofBuilder;

pub(super) const DPOP: HeaderName = HeaderName::from_static("dpop");
const NONCE: &str = "dpop-nonce";

/// The client whose key good tokens are bound to.
#[derive(Debug)]
pub(super) struct Prover {
    key: TestKey,
    /// Where clients reach the API, without a slash at the end.
    base: String,
    /// What the API gave last.
    nonce: Option<String>,
    /// Credentials and proof of the last request that had to be let in.
    pub(super) spent: Option<(HeaderValue, HeaderValue)>,
}

impl Prover {
    pub(super) fn at(external_url: &str) -> Self {
        let base = external_url.trim_end_matches('/').to_owned();
        Self { key: TestKey::client(Algorithm::ES256), base, nonce: None, spent: None }
    }

    pub(super) fn key(&self) -> &TestKey {
        &self.key
    }

    /// A proof for this method and target with this token, and with the nonce that the API gave last.
    pub(super) fn proof(&self, method: &str, target: &str, token: &str) -> ProofBuilder {
        let proof = self.key.proof(method, &format!("{}{target}", self.base), token);
        match &self.nonce {
            Some(nonce) => proof.nonce(nonce),
            None => proof,
        }
    }

    /// The request, its bearer token sent with the scheme `DPoP` and a proof. One that has no bearer token, or several, stays as it is, and so
    /// does one that is about proofs.
    pub(super) fn dress(&mut self, attack: &Attack) -> Request<Bytes> {
        let mut request = attack.request();
        if attack.class == Class::Binding {
            return request;
        }
        let Some((scheme, token)) = one_bearer(&request) else { return request };
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let proof = self.proof(request.method().as_str(), target, &token).mint();
        let scheme = if scheme == scheme.to_ascii_lowercase() { "dpop" } else { "DPoP" };
        let values = (HeaderValue::try_from(format!("{scheme} {token}")), HeaderValue::try_from(proof));
        if let (Ok(credentials), Ok(proof)) = values {
            request.headers_mut().insert(AUTHORIZATION, credentials.clone());
            request.headers_mut().insert(DPOP, proof.clone());
            if attack.class == Class::Good {
                self.spent = Some((credentials, proof));
            }
        }
        request
    }

    /// Keeps the nonce of an answer. Whether the request has to be sent once more for it.
    pub(super) fn learn(&mut self, answer: &Response<Bytes>) -> bool {
        let given = answer.headers().get(NONCE).and_then(|nonce| nonce.to_str().ok()).map(str::to_owned);
        let is_new = given.is_some() && given != self.nonce;
        self.nonce = given.or(self.nonce.take());
        let challenge = answer.headers().get(WWW_AUTHENTICATE).and_then(|challenge| challenge.to_str().ok());
        is_new
            && answer.status() == StatusCode::UNAUTHORIZED
            && challenge.is_some_and(|challenge| challenge.contains("use_dpop_nonce"))
    }
}

/// Scheme and token, where there is one field with a bearer token.
fn one_bearer(request: &Request<Bytes>) -> Option<(String, String)> {
    let mut fields = request.headers().get_all(AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return None };
    let (scheme, token) = field.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| (scheme.to_owned(), token.to_owned()))
}
