//! A signed answer of an endpoint in, what it says out, once its signature holds (RFC 9701 section 5, OpenID Connect Core section 5.3.2).

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::base::time::Timestamp;
use crate::claims::{Claims, Names, Text};
use crate::gate::server::Inner;
use crate::jose::header::TokenType;
use crate::keys::{Answer, Fetched, Missing};
use crate::opaque::{Opaque, OpaqueError};
use crate::trust::trusted::TrustedIssuer;
use crate::verify::jwt::{self, Hurdle, Lacking};

/// How old a signed answer may be, beside the leeway: it was made for this question.
const ANSWER_LIFE: Duration = Duration::from_secs(60);

impl Inner {
    /// Verifies a signed answer with the issuer's keys, fetched if they have to be.
    pub(in crate::gate::server) async fn signed(
        &self,
        issuer: &Arc<TrustedIssuer>,
        jwt: &str,
        fits: impl Fn(TokenType) -> bool,
    ) -> Result<(Text, Claims), OpaqueError> {
        const UNVERIFIED: OpaqueError = OpaqueError::Unusable("its signature, algorithm or type does not hold");
        let now = self.clock.now();
        let (lacking, looked) = match jwt::verify_statement(jwt, issuer, now, &fits) {
            Ok(statement) => return Ok(statement),
            Err(Hurdle::Key { lacking, looked, .. }) => (lacking, looked),
            Err(_) => return Err(UNVERIFIED),
        };
        let what = match &lacking {
            Lacking::Set => Missing::Set,
            Lacking::Kid(kid) => Missing::Kid(kid),
            Lacking::NoKid => Missing::NoKid,
            Lacking::SameKid(kid) => Missing::SameKid(kid),
        };
        let Answer::Wait(fetch) = issuer.keys.missing(what, looked, now) else { return Err(UNVERIFIED) };
        if let Fetched::Unavailable { .. } | Fetched::Grounded(_) = fetch.await {
            return Err(OpaqueError::Unusable("the keys that its signature needs are out of reach"));
        }
        jwt::verify_statement(jwt, issuer, self.clock.now(), fits).map_err(|_| UNVERIFIED)
    }
}

/// RFC 9701 section 5: iss is the issuer, aud this server or its client, iat of now; the answer is inside, `sub` and `exp` are not outside.
pub(super) fn unwrap_introspection(
    issuer: &TrustedIssuer,
    opaque: &Opaque,
    text: &Text,
    claims: &Claims,
    now: Timestamp,
) -> Result<String, OpaqueError> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        token_introspection: &'a RawValue,
    }
    let unusable = |why| Err(OpaqueError::Unusable(why));
    if claims.issuer.map(|span| text.get(span)) != Some(&*issuer.identifier) {
        return unusable("the signed answer is of another issuer");
    }
    let names = Names::new(text, &claims.audience);
    let for_client = opaque.client_id.as_deref().is_some_and(|id| names.iter().any(|name| name == id));
    if !for_client && !opaque.audience.accepts(names) {
        return unusable("the signed answer is for another audience");
    }
    let Some(issued) = claims.issued else { return unusable("the signed answer has no iat") };
    if now.since(issued) > ANSWER_LIFE + issuer.leeway || issued.since(now) > issuer.leeway {
        return unusable("the signed answer is not of now");
    }
    if claims.subject.is_some() || claims.expires.is_some() {
        return unusable("the signed answer looks like a token: it has sub or exp of its own");
    }
    match serde_json::from_str::<Envelope<'_>>(text.json()) {
        Ok(envelope) => Ok(envelope.token_introspection.get().to_owned()),
        Err(_) => unusable("the signed answer has no token_introspection"),
    }
}
