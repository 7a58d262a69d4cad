//! The gate with proofs of possession: a bound token passes with its proof and no other way.

mod certificates;
mod challenges;
mod opaque;
mod replays;

use serde_json::{Value, json};

use super::*;
use crate::base::time::hands::Hands;
use crate::gate::builder::ResourceServerBuilder;
use crate::gate::possession::Dpop;
use crate::gate::server::tests::{AUDIENCE, Gate, ISSUER, NOW, SECRET, issuer, sign, token};
use crate::jose::Algorithm;
use crate::jose::signing::SigningKey;
use crate::request::sent::Sent as Request;
use crate::request::source::{CsrfRule, TokenLocation};
use crate::stores::TokenCacheSettings;
use crate::stores::memory_deny_list::MemoryDenyList;
use crate::trust::issuer::Issuer;
use crate::trust::static_keys::StaticKeys;

const HERE: &str = "https://api.example";

/// `GET /users` with a bound token and its proof.
fn proved(token: &str, proof: &str) -> Request {
    Request::get("/users").field("authorization", format!("DPoP {token}")).field("dpop", proof)
}

fn key() -> SigningKey {
    SigningKey::from_pem(Algorithm::ES256, None, include_bytes!("../../../jose/testdata/p256.pem")).unwrap()
}

fn other_key() -> SigningKey {
    SigningKey::from_pem(Algorithm::EdDSA, None, include_bytes!("../../../jose/testdata/ed25519.pem")).unwrap()
}

fn bound_token() -> String {
    token(json!({"cnf": {"jkt": key().thumbprint().unwrap().to_string()}}))
}

/// A proof for `GET /users` with this token, and `more`.
fn proof_by(key: &SigningKey, token: &str, more: Value) -> String {
    static SERIAL: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let jti = SERIAL.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let header = json!({"typ": "dpop+jwt", "alg": key.algorithm().name(), "jwk": key.public_jwk()});
    let mut claims = json!({
        "jti": format!("proof {jti}"), "htm": "GET", "htu": format!("{HERE}/users"), "iat": NOW,
        "ath": crate::jose::thumbprint::access_token_hash(token),
    });
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    key.sign_jwt(&header.to_string(), &claims.to_string()).unwrap()
}

fn proof(token: &str) -> String {
    proof_by(&key(), token, json!({}))
}

fn gate(dpop: Dpop) -> Gate {
    Gate::with(issuer(), |builder| builder.dpop(dpop))
}

fn here() -> Dpop {
    Dpop::at(HERE).unwrap()
}

fn verdict(gate: &Gate, request: &Request) -> Result<Verified, Error> {
    gate.api.authenticate(Presented::request(request)).now().expect("nothing to wait for")
}

fn kind(gate: &Gate, request: &Request) -> Option<ErrorKind> {
    verdict(gate, request).err().map(|error| error.kind())
}

#[test]
fn a_bound_token_passes_with_its_proof_and_no_other_way() {
    use ErrorKind::*;
    let bound = bound_token();
    let unbound = token(json!({}));
    let by_certificate = token(json!({"cnf": {"x5t#S256": key().thumbprint().unwrap().to_string()}}));
    let by_both = token(json!({"cnf": {
        "jkt": key().thumbprint().unwrap().to_string(), "x5t#S256": key().thumbprint().unwrap().to_string(),
    }}));
    let strange = token(json!({"cnf": {"kid": "1"}}));
    let expired = token(json!({"cnf": {"jkt": key().thumbprint().unwrap().to_string()}, "exp": NOW - 600}));
    let bearer = |token: &str| Request::get("/users").field("authorization", format!("Bearer {token}"));
    let naked = |token: &str| Request::get("/users").field("authorization", format!("DPoP {token}"));
    let twice = proved(&bound, &proof(&bound)).field("dpop", proof(&bound));
    let rows = [
        ("bound, with its proof", proved(&bound, &proof(&bound)), [None, None]),
        (
            "the scheme in lower case",
            {
                let mut request = proved(&bound, &proof(&bound));
                request.fields[0].1 = format!("dpop {bound}").into();
                request
            },
            [None, None],
        ),
        ("bound, as a bearer token", bearer(&bound), [Some(SenderConstrained); 2]),
        (
            "bound, as a bearer token with its proof",
            bearer(&bound).field("dpop", proof(&bound)),
            [Some(SenderConstrained); 2],
        ),
        ("bound, without a proof", naked(&bound), [Some(InvalidDpopProof); 2]),
        ("bound, with an empty proof", naked(&bound).field("dpop", ""), [Some(InvalidDpopProof); 2]),
        ("bound, with two proofs", twice, [Some(InvalidDpopProof); 2]),
        (
            "bound, with a proof of another key",
            proved(&bound, &proof_by(&other_key(), &bound, json!({}))),
            [Some(InvalidDpopProof); 2],
        ),
        ("bound, with a proof for another token", proved(&bound, &proof(&unbound)), [Some(InvalidDpopProof); 2]),
        ("bound, for another method", proved(&bound, &proof(&bound)).method("DELETE"), [Some(InvalidDpopProof); 2]),
        (
            "bound, for another path",
            Request { target: "/admin", ..proved(&bound, &proof(&bound)) },
            [Some(InvalidDpopProof); 2],
        ),
        ("unbound, with a proof", proved(&unbound, &proof(&unbound)), [Some(Unbound); 2]),
        ("unbound, as a bearer token", bearer(&unbound), [None, Some(SenderConstrained)]),
        (
            "unbound, as a bearer token with a proof",
            bearer(&unbound).field("dpop", proof(&unbound)),
            [None, Some(SenderConstrained)],
        ),
        (
            "bound to a certificate, with a proof",
            proved(&by_certificate, &proof(&by_certificate)),
            [Some(SenderConstrained); 2],
        ),
        ("bound to a certificate, as a bearer token", bearer(&by_certificate), [Some(SenderConstrained); 2]),
        ("bound to both, with a proof", proved(&by_both, &proof(&by_both)), [Some(SenderConstrained); 2]),
        ("bound in a way nobody knows", proved(&strange, &proof(&strange)), [Some(SenderConstrained); 2]),
        ("bound in a way nobody knows, as a bearer token", bearer(&strange), [Some(SenderConstrained); 2]),
        ("a bad token with a good proof", proved(&expired, &proof(&expired)), [Some(Expired); 2]),
        ("no token, a good proof", Request::get("/users").field("dpop", proof(&bound)), [Some(MissingToken); 2]),
        ("nothing", Request::get("/users"), [Some(MissingToken); 2]),
        ("the scheme alone", Request::get("/users").field("authorization", "DPoP"), [Some(InvalidRequest); 2]),
        ("two fields", bearer(&unbound).field("authorization", format!("DPoP {bound}")), [Some(InvalidRequest); 2]),
        ("another scheme", Request::get("/users").field("authorization", "DPoPx a"), [Some(MissingToken); 2]),
    ];
    for (name, request, [both, required]) in rows {
        for (dpop, expected) in [(here(), both), (here().required(), required)] {
            let gate = gate(dpop);
            assert_eq!(kind(&gate, &request), expected, "{name}: {:?}", verdict(&gate, &request));
            // The memory of proofs apart, a token that is remembered is judged like one that is not.
            if let (None, Some((_, proof_field))) = (expected, request.fields.get(1)) {
                assert_eq!(
                    kind(&gate, &request).is_some(),
                    request.fields[0].1.to_ascii_lowercase().starts_with(b"dpop"),
                    "{name} {}",
                    String::from_utf8_lossy(proof_field)
                );
            }
        }
        let deaf = Gate::new(TokenCacheSettings::default());
        let takes = kind(&deaf, &request);
        assert!(
            takes.is_some() || name.starts_with("unbound, as a bearer"),
            "{name}: a server that was told of no DPoP"
        );
    }
}

#[test]
fn no_proof_and_several_are_told_apart() {
    let (gate, bound) = (gate(here()), bound_token());
    let naked = Request::get("/users").field("authorization", format!("DPoP {bound}"));
    let twice = proved(&bound, &proof(&bound)).field("dpop", proof(&bound));
    for (request, expected) in [(naked, "the request has none"), (twice, "the request has several")] {
        let refused = format!("{:?}", verdict(&gate, &request).unwrap_err());
        assert!(refused.contains(expected), "{refused}");
    }
}

#[test]
fn every_request_with_a_remembered_token_needs_a_proof_of_its_own() {
    for settings in [
        TokenCacheSettings::default(),
        TokenCacheSettings::default().entries(0),
        TokenCacheSettings::default().keep_digests(),
    ] {
        let gate = Gate::with(issuer(), |builder| builder.dpop(here()).token_cache(settings));
        let bound = bound_token();
        for _ in 0..3 {
            let request = proved(&bound, &proof(&bound));
            let verified = verdict(&gate, &request).unwrap();
            assert_eq!(verified.binding().unwrap().key(), key().thumbprint().as_ref());
            let again = verdict(&gate, &request).unwrap_err();
            assert_eq!((again.kind(), again.check()), (ErrorKind::InvalidDpopProof, Some(Check::Proof)));
            assert!(again.detail().contains("jti"), "{again}");
            assert_eq!(
                kind(&gate, &Request::get("/users").field("authorization", format!("Bearer {bound}"))),
                Some(ErrorKind::SenderConstrained)
            );
        }
    }
}

#[test]
fn a_bare_token_brings_no_proof() {
    let gate = gate(here());
    assert_eq!(gate.kind(&bound_token()), ErrorKind::SenderConstrained);
    assert!(gate.ask(&token(json!({}))).is_ok());
}

#[test]
fn a_token_in_another_place_is_a_bearer_token() {
    let sources = [
        TokenLocation::authorization(),
        TokenLocation::header("x-token"),
        TokenLocation::cookie("t", CsrfRule::same_origin()),
    ];
    let gate = Gate::with(issuer(), |builder| builder.dpop(here()).token_locations(sources));
    let (bound, unbound) = (bound_token(), token(json!({})));
    let elsewhere = |token: &str| Request::get("/users").field("x-token", token).field("dpop", proof(token));
    for (name, request, expected) in [
        ("in its place", proved(&bound, &proof(&bound)), None),
        ("bound, elsewhere", elsewhere(&bound), Some(ErrorKind::SenderConstrained)),
        ("unbound, elsewhere", elsewhere(&unbound), None),
        ("in two places", proved(&bound, &proof(&bound)).field("x-token", &*unbound), Some(ErrorKind::InvalidRequest)),
    ] {
        assert_eq!(kind(&gate, &request), expected, "{name}");
    }
    let headless =
        Gate::with(issuer(), |builder| builder.dpop(here()).token_locations([TokenLocation::header("x-token")]));
    assert_eq!(kind(&headless, &proved(&bound, &proof(&bound))), Some(ErrorKind::MissingToken));
}

#[test]
fn an_id_token_is_never_bound() {
    let trusted = issuer().accept_id_tokens("app");
    let gate = Gate::with(trusted, |builder| builder.dpop(here()));
    let id = |more: Value| {
        let mut claims = json!({"iss": ISSUER, "aud": "app", "sub": "ada", "iat": NOW, "exp": NOW + 600, "nonce": "n"});
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        sign(&json!({"alg": "HS256"}), &claims)
    };
    let bound = id(json!({"cnf": {"jkt": key().thumbprint().unwrap().to_string()}}));
    for (token, expected) in [(bound, ErrorKind::SenderConstrained), (id(json!({})), ErrorKind::Unbound)] {
        assert_eq!(kind(&gate, &proved(&token, &proof(&token))), Some(expected));
    }
}

#[test]
fn settings_that_would_prove_nothing_are_refused() {
    let build = |dpop: Dpop| {
        let builder: ResourceServerBuilder = ResourceServer::builder(AUDIENCE).trust(issuer()).clock(Hands::at(NOW));
        builder.dpop(dpop).build()
    };
    assert!(build(here()).is_ok());
    let minutes = |n: u64| Duration::from_secs(60 * n);
    for (dpop, what) in [
        (here().algorithms([]), "no algorithm"),
        (here().algorithms([Algorithm::ES256, Algorithm::HS256]), "HS256"),
        (here().max_age(minutes(11)), "10 min"),
        (here().max_ahead(minutes(11)), "10 min"),
        (here().max_age(Duration::ZERO), "max_age"),
        (here().max_proofs(0), "room"),
        (here().max_proofs_per_key(0), "room"),
    ] {
        let error = build(dpop).unwrap_err().to_string();
        assert!(error.starts_with("dpop: ") && error.contains(what), "{error}");
    }
    assert!(Dpop::at("api.example").is_err());
}
