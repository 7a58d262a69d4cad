//! aliri_oauth2: its authority over a given JWK Set; RSA only.

use aliri::jwa::Algorithm;
use aliri::jwt::{Audience, CoreValidator, Issuer};
use aliri::{Jwks, JwtRef};

use aliri_oauth2::scope::BasicClaimsWithScope;
use aliri_oauth2::{Authority, ScopePolicy};
use harness::{AUDIENCE, Alg, ISSUER, fixture::jwk_set};

fn main() {
    harness::peer::compare("aliri_oauth2 0.10.2", |fixture, alg, token| {
        let algorithm = match alg {
            Alg::RS256 => Algorithm::RS256,
            Alg::PS256 => Algorithm::PS256,
            _ => return None,
        };
        let jwks: Jwks = serde_json::from_str(&jwk_set(&[fixture.jwk(alg)])).expect("a JWK Set");
        let rules = CoreValidator::default()
            .check_expiration()
            .add_approved_algorithm(algorithm)
            .add_allowed_audience(Audience::from_static(AUDIENCE))
            .require_issuer(Issuer::from_static(ISSUER));
        let (authority, policy) = (Authority::new(jwks, rules), ScopePolicy::allow_any());
        let token = token.to_owned();
        Some(Box::new(move || {
            authority.verify_token::<BasicClaimsWithScope>(JwtRef::from_str(&token), &policy).is_ok()
        }))
    });
}
