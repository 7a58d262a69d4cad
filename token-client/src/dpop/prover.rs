//! Method, URL and token of a request in, its proof out; the nonce of the response in, whether to try again out (RFC
//! 9449 sections 4.2, 8 and 9).

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use serde::Serialize;
use token_core::Clock;
use token_core::possession::access_token_hash;

use super::key::DpopKey;
use super::nonces::{Nonce, Nonces};
use crate::error::{TokenError, misconfigured};
use crate::random;

/// The header that contains a proof.
pub(crate) const DPOP: HeaderName = HeaderName::from_static("dpop");

/// A key with what it needs to make proofs: a clock, and the nonces of servers.
pub(crate) struct Prover {
    key: DpopKey,
    clock: Arc<dyn Clock>,
    nonces: Nonces,
}

/// A proof, valid for one request.
#[derive(Debug)]
pub(crate) struct Proof {
    pub(crate) field: HeaderValue,
    /// The origin that the proof is for.
    origin: Box<str>,
    nonce: Option<Nonce>,
}

#[derive(Serialize)]
struct Claims<'a> {
    jti: String,
    htm: &'a str,
    htu: &'a str,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

impl Prover {
    pub(crate) fn new(key: DpopKey, clock: Arc<dyn Clock>) -> Self {
        Self { key, clock, nonces: Nonces::default() }
    }

    pub(crate) fn key(&self) -> &DpopKey {
        &self.key
    }

    /// Makes a proof for one request: without a token for a token endpoint, with it for other servers (RFC 9449 section
    /// 4.2).
    pub(crate) fn proof(&self, method: &Method, uri: &Uri, token: Option<&str>) -> Result<Proof, TokenError> {
        let target = Target::of(uri).ok_or_else(|| misconfigured("a proof is for a request to an absolute URL"))?;
        let nonce = self.nonces.of(&target.origin);
        let claims = Claims {
            jti: random::text::<16>()?,
            htm: method.as_str(),
            htu: &target.htu,
            iat: self.clock.now().as_secs(),
            ath: token.map(access_token_hash),
            nonce: nonce.as_deref(),
        };
        let claims = serde_json::to_string(&claims).map_err(|_| misconfigured("a proof is no JSON"))?;
        let mut field = HeaderValue::try_from(self.key.sign(&claims)?)
            .map_err(|_| misconfigured("a proof does not fit into a header field"))?;
        field.set_sensitive(true);
        Ok(Proof { field, origin: target.origin, nonce })
    }

    /// Stores the nonce of a response, if there is one. Returns whether it differs from the one in the proof, so that a
    /// request that was refused for its nonce should be repeated.
    pub(crate) fn learn(&self, proof: &Proof, answer: &HeaderMap) -> bool {
        self.nonces.learn(&proof.origin, answer).is_some_and(|nonce| proof.nonce.as_ref() != Some(&nonce))
    }

    /// Like `learn`, without a proof to compare with.
    pub(crate) fn learn_from(&self, uri: &Uri, answer: &HeaderMap) -> bool {
        Target::of(uri).is_some_and(|target| {
            let before = self.nonces.of(&target.origin);
            self.nonces.learn(&target.origin, answer).is_some_and(|nonce| before != Some(nonce))
        })
    }
}

/// The destination of a request, in the two forms that are needed.
struct Target {
    /// Scheme, host and port (RFC 6454), by which nonces are stored.
    origin: Box<str>,
    /// The origin and the path, without query and fragment. The path is signed as it is sent, including its escapes.
    htu: String,
}

impl Target {
    fn of(uri: &Uri) -> Option<Self> {
        let (scheme, authority) = (uri.scheme_str()?.to_ascii_lowercase(), uri.authority()?);
        let default = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return None,
        };
        let mut origin = format!("{scheme}://{}", authority.host().to_ascii_lowercase());
        // The form without a default port is the normal one (RFC 3986 section 6.2.3), and the one that URL parsers write.
        if let Some(port) = authority.port_u16().filter(|port| *port != default) {
            origin.push_str(&format!(":{port}"));
        }
        let path = if uri.path().is_empty() { "/" } else { uri.path() };
        Some(Self { htu: format!("{origin}{path}"), origin: origin.into() })
    }
}

impl fmt::Debug for Prover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prover").field("key", &self.key).field("nonces", &self.nonces).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};
    use token_core::{Algorithm, Timestamp};
    use token_test::ManualClock;

    use super::*;

    fn prover() -> Prover {
        let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        Prover::new(DpopKey::generate(Algorithm::ES256).unwrap(), Arc::new(clock))
    }

    fn claims(proof: &Proof) -> Value {
        let part = proof.field.to_str().unwrap().split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    fn gives(nonce: &str) -> HeaderMap {
        [(HeaderName::from_static("dpop-nonce"), nonce.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn htu_is_the_url_as_it_is_sent_without_query_in_its_normal_form() {
        for (uri, expected) in [
            ("https://api.example.com", Some("https://api.example.com/")),
            ("https://api.example.com/a?q=1", Some("https://api.example.com/a")),
            ("https://API.Example.COM:443/A", Some("https://api.example.com/A")),
            ("http://127.0.0.1:80/a/", Some("http://127.0.0.1/a/")),
            ("https://api.example.com:8443/%7euser/%C3%A4", Some("https://api.example.com:8443/%7euser/%C3%A4")),
            ("http://[::1]:8080/", Some("http://[::1]:8080/")),
            ("http://api.example.com:443/", Some("http://api.example.com:443/")),
            ("/a", None),
            ("ftp://api.example.com/", None),
        ] {
            let proof = prover().proof(&Method::GET, &uri.parse().unwrap(), None);
            let seen = proof.ok().map(|proof| claims(&proof)["htu"].clone());
            assert_eq!(seen, expected.map(|htu| json!(htu)), "{uri}");
        }
    }

    #[test]
    fn a_proof_says_what_it_is_for_and_is_never_the_same() {
        let (prover, uri) = (prover(), "https://api.example.com/a".parse().unwrap());
        // RFC 9449 section 7.1, figure 12.
        let token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
        let proof = prover.proof(&Method::POST, &uri, Some(token)).unwrap();
        let seen = claims(&proof);
        assert_eq!((&seen["htm"], &seen["iat"]), (&json!("POST"), &json!(1_700_000_000)));
        assert_eq!(seen["ath"], "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
        assert_eq!(seen.get("nonce"), None);
        let other = prover.proof(&Method::POST, &uri, None).unwrap();
        assert_eq!(claims(&other).get("ath"), None);
        assert_ne!(seen["jti"], claims(&other)["jti"]);
        assert!(proof.field.is_sensitive());
        assert!(!format!("{prover:?} {proof:?}").contains(proof.field.to_str().unwrap()));
    }

    #[test]
    fn a_nonce_is_for_the_origin_that_gave_it_and_is_news_once() {
        let prover = prover();
        let (here, there): (Uri, Uri) = ("https://a.example/x".parse().unwrap(), "https://b.example/".parse().unwrap());
        let proof = prover.proof(&Method::GET, &here, None).unwrap();
        assert!(prover.learn(&proof, &gives("n1")));
        for (uri, expected) in [(&here, json!("n1")), (&there, Value::Null)] {
            assert_eq!(claims(&prover.proof(&Method::GET, uri, None).unwrap())["nonce"], expected, "{uri}");
        }
        let again = prover.proof(&Method::GET, &here, None).unwrap();
        assert!(!prover.learn(&again, &gives("n1")), "the very nonce that was sent");
        assert!(!prover.learn(&again, &HeaderMap::new()));
        assert!(prover.learn(&again, &gives("n2")));
    }
}
