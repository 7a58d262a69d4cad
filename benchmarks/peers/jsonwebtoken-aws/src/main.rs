//! jsonwebtoken 11 on aws-lc-rs: decoding keys and validation made once, one decode per token.

use harness::{AUDIENCE, Alg, Claims, ISSUER, fixture::SECRET};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};

fn main() {
    harness::peer::compare("jsonwebtoken 11.1.0, aws-lc-rs", |fixture, alg, token| {
        let key = match alg {
            Alg::HS256 => DecodingKey::from_secret(SECRET),
            alg => {
                let jwk: Jwk = serde_json::from_str(&fixture.jwk(alg)).expect("a JWK");
                DecodingKey::from_jwk(&jwk).expect("a usable key")
            }
        };
        let mut validation = Validation::new(alg.name().parse::<Algorithm>().expect("a known algorithm"));
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        let token = token.to_owned();
        Some(Box::new(move || decode::<Claims>(&token, &key, &validation).is_ok()))
    });
}
