//! An endpoint that vouches for a token says how it is bound (RFC 9449 section 6.2).

use super::*;
use crate::base::http::BoxFuture;
use crate::opaque::{OpaqueAnswer, OpaqueError, OpaqueTokens, OpaqueVerifier};

/// An endpoint that says of every token that it is bound to our key, or to none.
#[derive(Debug)]
struct Endpoint(Option<String>);

impl OpaqueVerifier for Endpoint {
    fn ask<'a>(&'a self, _: &'a str, _: Timestamp) -> BoxFuture<'a, Result<OpaqueAnswer, OpaqueError>> {
        let mut claims = json!({"active": true, "aud": AUDIENCE, "sub": "ada", "token_type": "DPoP"});
        match &self.0 {
            Some(jkt) => claims["cnf"] = json!({"jkt": jkt}),
            None => claims["token_type"] = "bearer".into(),
        }
        Box::pin(async move { Ok(OpaqueAnswer::Claims(claims.to_string())) })
    }
    fn identity(&self) -> &str {
        "endpoint"
    }
}

#[tokio::test]
async fn an_opaque_token_is_bound_by_what_its_endpoint_says() {
    let jkt = || Some(key().thumbprint().unwrap().to_string());
    for (said, as_dpop, expected) in [
        (jkt(), true, None),
        (jkt(), false, Some(ErrorKind::SenderConstrained)),
        (None, true, Some(ErrorKind::Unbound)),
        (None, false, None),
    ] {
        let trusted = issuer().opaque_tokens(OpaqueTokens::verifier(Endpoint(said)));
        let gate = Gate::with(trusted, |builder| builder.dpop(here()));
        for temperature in ["cold", "warm"] {
            let request = match as_dpop {
                true => proved("opaque", &proof("opaque")),
                false => Request::get("/users").field("authorization", "Bearer opaque"),
            };
            let verdict = gate.api.authenticate(Presented::request(&request)).await;
            assert_eq!(verdict.as_ref().err().map(Error::kind), expected, "{temperature}: {verdict:?}");
            if as_dpop && expected.is_none() {
                let again = gate.api.authenticate(Presented::request(&request)).await;
                assert_eq!(again.unwrap_err().kind(), ErrorKind::InvalidDpopProof, "{temperature}");
            }
        }
    }
}

#[tokio::test]
async fn what_an_endpoint_says_of_a_jwt_takes_no_binding_away_and_adds_none() {
    let jkt = key().thumbprint().unwrap().to_string();
    for (of_token, said, expected) in [
        (true, Some(jkt.clone()), None),
        (true, None, None),
        (false, Some(jkt), Some(ErrorKind::SenderConstrained)),
        (true, Some(other_key().thumbprint().unwrap().to_string()), Some(ErrorKind::SenderConstrained)),
    ] {
        let trusted = issuer().opaque_tokens(OpaqueTokens::verifier(Endpoint(said.clone())).introspect_jwts());
        let gate = Gate::with(trusted, |builder| builder.dpop(here()));
        let request = match of_token {
            true => proved(&bound_token(), &proof(&bound_token())),
            false => Request::get("/users").field("authorization", format!("Bearer {}", token(json!({})))),
        };
        let verdict = gate.api.authenticate(Presented::request(&request)).await;
        assert_eq!(verdict.as_ref().err().map(Error::kind), expected, "{of_token} {said:?}: {verdict:?}");
    }
}

#[tokio::test]
async fn what_the_endpoint_says_of_a_token_is_judged_before_its_proof() {
    let issuer = Issuer::with_keys(ISSUER, StaticKeys::secret(Algorithm::HS256, SECRET).unwrap()).unwrap();
    let slow = issuer.opaque_tokens(OpaqueTokens::verifier(Endpoint(None)));
    let gate = Gate::with(slow, |builder| builder.dpop(here()));
    let request = proved("opaque", &"x".repeat(proof::LONGEST + 1));
    let error = gate.api.authenticate(Presented::request(&request)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unbound, "the token comes first");
    let challenge = error.challenge().unwrap();
    assert!(challenge.starts_with("DPoP"), "{challenge}");
}
