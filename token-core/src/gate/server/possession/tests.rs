//! The gate with proofs of possession: schemes, policies, caches, replays, nonces, challenges.

use std::sync::Mutex;

use serde_json::{Value, json};

use super::*;
use crate::base::http::BoxFuture;
use crate::gate::builder::ResourceServerBuilder;
use crate::gate::possession::{Dpop, MutualTls};
use crate::gate::server::tests::{AUDIENCE, Gate, Hands, ISSUER, NOW, SECRET, issuer, sign, token};
use crate::jose::Algorithm;
use crate::jose::signing::SigningKey;
use crate::opaque::{OpaqueAnswer, OpaqueError, OpaqueTokens, OpaqueVerifier};
use crate::request::source::{CsrfRule, TokenLocation};
use crate::stores::memory_deny_list::MemoryDenyList;
use crate::stores::{ReplayMemory, TokenCacheSettings};
use crate::trust::issuer::Issuer;
use crate::trust::static_keys::StaticKeys;

const HERE: &str = "https://api.example";

/// A request as plain values.
#[derive(Clone, Default)]
struct Request {
    method: &'static str,
    target: &'static str,
    fields: Vec<(&'static str, String)>,
    mark: Option<ProofMark>,
    certificate: Option<&'static [u8]>,
    peer: Option<std::net::IpAddr>,
}

impl Request {
    fn get(target: &'static str) -> Self {
        Self { method: "GET", target, ..Self::default() }
    }

    fn field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// A bound token and its proof.
    fn bound(token: &str, proof: &str) -> Self {
        Self::get("/users").field("authorization", format!("DPoP {token}")).field("dpop", proof)
    }
}

impl RequestView for Request {
    fn method(&self) -> &str {
        self.method
    }
    fn path_and_query(&self) -> &str {
        self.target
    }
    fn header<'a>(&'a self, name: &str, each: &mut dyn FnMut(&'a [u8])) {
        self.fields.iter().filter(|(field, _)| *field == name).for_each(|(_, value)| each(value.as_bytes()));
    }
    fn proof_mark(&self) -> Option<&ProofMark> {
        self.mark.as_ref()
    }
    fn client_certificate(&self) -> Option<&[u8]> {
        self.certificate
    }
    fn peer(&self) -> Option<std::net::IpAddr> {
        self.peer
    }
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
    let twice = Request::bound(&bound, &proof(&bound)).field("dpop", proof(&bound));
    let rows = [
        ("bound, with its proof", Request::bound(&bound, &proof(&bound)), [None, None]),
        (
            "the scheme in lower case",
            {
                let mut request = Request::bound(&bound, &proof(&bound));
                request.fields[0].1 = format!("dpop {bound}");
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
            Request::bound(&bound, &proof_by(&other_key(), &bound, json!({}))),
            [Some(InvalidDpopProof); 2],
        ),
        (
            "bound, with a proof for another token",
            Request::bound(&bound, &proof(&unbound)),
            [Some(InvalidDpopProof); 2],
        ),
        (
            "bound, for another method",
            Request { method: "DELETE", ..Request::bound(&bound, &proof(&bound)) },
            [Some(InvalidDpopProof); 2],
        ),
        (
            "bound, for another path",
            Request { target: "/admin", ..Request::bound(&bound, &proof(&bound)) },
            [Some(InvalidDpopProof); 2],
        ),
        ("unbound, with a proof", Request::bound(&unbound, &proof(&unbound)), [Some(Unbound); 2]),
        ("unbound, as a bearer token", bearer(&unbound), [None, Some(SenderConstrained)]),
        (
            "unbound, as a bearer token with a proof",
            bearer(&unbound).field("dpop", proof(&unbound)),
            [None, Some(SenderConstrained)],
        ),
        (
            "bound to a certificate, with a proof",
            Request::bound(&by_certificate, &proof(&by_certificate)),
            [Some(SenderConstrained); 2],
        ),
        ("bound to a certificate, as a bearer token", bearer(&by_certificate), [Some(SenderConstrained); 2]),
        ("bound to both, with a proof", Request::bound(&by_both, &proof(&by_both)), [Some(SenderConstrained); 2]),
        ("bound in a way nobody knows", Request::bound(&strange, &proof(&strange)), [Some(SenderConstrained); 2]),
        ("a bad token with a good proof", Request::bound(&expired, &proof(&expired)), [Some(Expired); 2]),
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
                    request.fields[0].1.to_lowercase().starts_with("dpop"),
                    "{name} {proof_field}"
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
fn every_request_with_a_remembered_token_needs_a_proof_of_its_own() {
    for settings in [
        TokenCacheSettings::default(),
        TokenCacheSettings::default().entries(0),
        TokenCacheSettings::default().keep_digests(),
    ] {
        let gate = Gate::with(issuer(), |builder| builder.dpop(here()).token_cache(settings));
        let bound = bound_token();
        for _ in 0..3 {
            let request = Request::bound(&bound, &proof(&bound));
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
fn a_proof_is_remembered_for_as_long_as_it_would_be_taken() {
    let (gate, bound) = (gate(here()), bound_token());
    let request = Request::bound(&bound, &proof(&bound));
    assert_eq!(kind(&gate, &request), None);
    for later in [1, 30, 60, 61, 71, 72, 500] {
        gate.clock.0.store(NOW + later, std::sync::atomic::Ordering::Relaxed);
        let error = verdict(&gate, &request).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidDpopProof, "{later}");
        assert_eq!(error.detail().contains("jti"), later <= 60, "{later}: {error}");
    }
}

#[test]
fn two_layers_around_one_route_are_one_use_of_the_proof() {
    let (gate, bound) = (gate(here()), bound_token());
    let request = Request { mark: Some(ProofMark::default()), ..Request::bound(&bound, &proof(&bound)) };
    assert_eq!([kind(&gate, &request), kind(&gate, &request)], [None, None]);
    let replayed = Request { mark: Some(ProofMark::default()), ..request.clone() };
    assert_eq!(kind(&gate, &replayed), Some(ErrorKind::InvalidDpopProof), "another request");
    let stripped = Request { mark: None, ..request };
    assert_eq!(kind(&gate, &stripped), Some(ErrorKind::InvalidDpopProof));
}

#[test]
fn a_route_may_take_more_or_less_than_its_server() {
    use DpopPolicy::{Bearer, BearerOrDpop, Required};
    let (bound, unbound) = (bound_token(), token(json!({})));
    for (server, route, takes_bound, takes_bearer) in [
        (BearerOrDpop, None, true, true),
        (BearerOrDpop, Some(Required), true, false),
        (BearerOrDpop, Some(Bearer), false, true),
        (Required, None, true, false),
        (Required, Some(BearerOrDpop), true, true),
        (Bearer, None, false, true),
        (Bearer, Some(Required), true, false),
    ] {
        let gate = gate(here().policy(server));
        let ask = |request: &Request| {
            let presented = Presented::request(request);
            let presented = route.map_or(presented, |route| presented.dpop(route));
            gate.api.authenticate(presented).now().expect("nothing to wait for")
        };
        let with_proof = ask(&Request::bound(&bound, &proof(&bound)));
        assert_eq!(with_proof.is_ok(), takes_bound, "{server:?} {route:?}: {with_proof:?}");
        let bearer = ask(&Request::get("/users").field("authorization", format!("Bearer {unbound}")));
        assert_eq!(bearer.is_ok(), takes_bearer, "{server:?} {route:?}: {bearer:?}");
        let downgraded = ask(&Request::get("/users").field("authorization", format!("Bearer {bound}")));
        assert!(downgraded.is_err(), "{server:?} {route:?}");
    }
    let deaf = Gate::new(TokenCacheSettings::default());
    let request = Request::bound(&bound, &proof(&bound));
    let error = deaf.api.authenticate(Presented::request(&request).dpop(Required)).now().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    assert!(error.detail().contains("dpop()"), "{error}");
}

#[test]
fn a_bare_token_brings_no_proof() {
    let gate = gate(here());
    assert_eq!(gate.kind(&bound_token()), ErrorKind::SenderConstrained);
    assert!(gate.ask(&token(json!({}))).is_ok());
}

#[test]
fn the_address_is_the_routes_the_servers_or_the_requests() {
    let bound = bound_token();
    let for_address = |htu: &str| proof_by(&key(), &bound, json!({"htu": htu}));
    let mount = "https://example.com/api".parse().unwrap();
    for (dpop, route, host, htu, good) in [
        (here(), None, "evil.example", "https://api.example/users", true),
        (here(), None, "evil.example", "https://evil.example/users", false),
        (here(), Some(&mount), "api.example", "https://example.com/api/users", true),
        (here(), Some(&mount), "api.example", "https://api.example/users", false),
        (Dpop::at_requested_host(), None, "api.example:8443", "https://api.example:8443/users", true),
        (Dpop::at_requested_host(), None, "api.example", "https://other.example/users", false),
        (Dpop::at_requested_host(), None, "", "https://other.example/users", false),
    ] {
        let gate = gate(dpop);
        let request = Request::bound(&bound, &for_address(htu))
            .field("host", host)
            .field("x-forwarded-host", "other.example")
            .field("forwarded", "host=other.example");
        let presented = Presented::request(&request);
        let presented = route.map_or(presented, |url| presented.external_url(url));
        let verdict = gate.api.authenticate(presented).now().unwrap();
        assert_eq!(verdict.is_ok(), good, "{host} {htu}: {verdict:?}");
    }
}

#[test]
fn challenges_offer_what_is_taken_and_begin_with_what_was_used() {
    const ALGS: &str = r#"algs="RS256 PS256 ES256 ES384 ES512 Ed25519 EdDSA""#;
    let (bound, unbound) = (bound_token(), token(json!({})));
    let bearer = |token: &str| Request::get("/users").field("authorization", format!("Bearer {token}"));
    let text =
        |kind: ErrorKind| format!(r#"error="{}", error_description="{}""#, kind.code().unwrap(), kind.public_text());
    let rows = [
        (here(), Request::get("/users"), format!(r#"Bearer realm="r", DPoP realm="r", {ALGS}"#)),
        (here().required(), Request::get("/users"), format!(r#"DPoP realm="r", {ALGS}"#)),
        (here().policy(DpopPolicy::Bearer), Request::get("/users"), r#"Bearer realm="r""#.to_owned()),
        (
            here(),
            bearer(&bound),
            format!(r#"Bearer realm="r", {}, DPoP realm="r", {ALGS}"#, text(ErrorKind::SenderConstrained)),
        ),
        (here(), bearer("a.b"), format!(r#"Bearer realm="r", {}, DPoP realm="r", {ALGS}"#, text(ErrorKind::Malformed))),
        (
            here(),
            Request::bound(&bound, "junk"),
            format!(r#"DPoP realm="r", {ALGS}, {}, Bearer realm="r""#, text(ErrorKind::InvalidDpopProof)),
        ),
        (
            here().required(),
            Request::bound(&bound, "junk"),
            format!(r#"DPoP realm="r", {ALGS}, {}"#, text(ErrorKind::InvalidDpopProof)),
        ),
        (
            here(),
            Request::bound("a.b", "junk"),
            format!(r#"DPoP realm="r", {ALGS}, {}, Bearer realm="r""#, text(ErrorKind::Malformed)),
        ),
        (
            here(),
            Request::bound(&unbound, &proof(&unbound)),
            format!(r#"DPoP realm="r", {ALGS}, {}, Bearer realm="r""#, text(ErrorKind::Unbound)),
        ),
        (
            here().required(),
            bearer(&unbound),
            format!(r#"DPoP realm="r", {ALGS}, {}"#, text(ErrorKind::SenderConstrained)),
        ),
    ];
    for (dpop, request, expected) in rows {
        let gate = Gate::with(issuer(), |builder| builder.dpop(dpop).realm("r"));
        let answer = verdict(&gate, &request).unwrap_err().answer();
        assert_eq!(answer.www_authenticate.as_deref(), Some(expected.as_str()));
        assert_eq!(answer.exposed.is_some(), expected.contains("DPoP"));
        assert_eq!(answer.dpop_nonce, None, "nobody asked for nonces");
    }
    // A rule that a handler asks for is answered in the scheme that the token came with.
    let gate = Gate::with(issuer(), |builder| builder.dpop(here()).realm("r"));
    let verified = verdict(&gate, &Request::bound(&bound, &proof(&bound))).unwrap();
    let challenge = verified.require(&"admin".into()).unwrap_err().challenge().unwrap();
    assert!(challenge.starts_with("DPoP") && challenge.contains(r#"scope="admin", Bearer"#), "{challenge}");
}

#[test]
fn a_nonce_comes_with_each_refusal_and_each_answer_to_a_bound_token() {
    let bound = bound_token();
    let shared = || crate::verify::possession::nonce::NonceKeys::new(&[7; 32]).unwrap();
    let gate = gate(here().nonce_keys(shared()));
    let with = |nonce: &str| Request::bound(&bound, &proof_by(&key(), &bound, json!({"nonce": nonce})));
    let first = verdict(&gate, &Request::bound(&bound, &proof(&bound))).unwrap_err();
    assert_eq!(first.kind(), ErrorKind::DpopNonceRequired);
    let answer = first.answer();
    assert!(
        answer
            .www_authenticate
            .as_deref()
            .is_some_and(|challenge| challenge.starts_with("DPoP ") && challenge.contains(r#"error="use_dpop_nonce""#))
    );
    let nonce = answer.dpop_nonce.expect("a nonce to try again with");
    assert!(first.answer().fields().any(|(name, value)| name == "dpop-nonce" && value == nonce));
    let verified = verdict(&gate, &with(&nonce)).unwrap();
    let outcome = crate::gate::outcome::Outcome::Verified(verified);
    assert_eq!(outcome.dpop_nonce().as_ref(), Some(&nonce));
    let other = self::gate(here().nonce_keys(shared()));
    assert_eq!(kind(&other, &with(&nonce)), None, "another instance of the fleet");
    let stranger = self::gate(here().require_nonces());
    assert_eq!(kind(&stranger, &with(&nonce)), Some(ErrorKind::DpopNonceRequired), "another server");
    assert_eq!(kind(&gate, &with("garbage")), Some(ErrorKind::DpopNonceRequired));
    gate.clock.0.store(NOW + 59, std::sync::atomic::Ordering::Relaxed);
    let verified = verdict(&gate, &with(&nonce)).unwrap();
    assert_ne!(crate::gate::outcome::Outcome::Verified(verified).dpop_nonce(), Some(nonce), "renewed on success");
    let bearer = Request::get("/users").field("authorization", format!("Bearer {}", token(json!({}))));
    let outcome = crate::gate::outcome::Outcome::Verified(verdict(&gate, &bearer).unwrap());
    assert_eq!(outcome.dpop_nonce(), None, "whoever shows no proofs needs none");
}

/// A memory that others share.
#[derive(Debug)]
struct Shared(Mutex<Vec<Result<bool, StoreError>>>);

impl ReplayMemory for Shared {
    fn first_time(&self, _: [u8; 32], _: Timestamp, _: Timestamp) -> FirstTime {
        let answer = self.0.lock().unwrap().pop().expect("asked once");
        FirstTime::Ask(Box::pin(async move { answer }))
    }
}

#[tokio::test]
async fn a_memory_out_of_reach_is_the_operators_choice_and_a_full_one_is_not() {
    let down = || Err(StoreError::Unreachable("no route".to_owned()));
    for (answer, choice, expected) in [
        (Ok(true), WhenUnreachable::Refuse, None),
        (Ok(false), WhenUnreachable::Admit, Some(ErrorKind::InvalidDpopProof)),
        (down(), WhenUnreachable::Refuse, Some(ErrorKind::Unavailable)),
        (down(), WhenUnreachable::Admit, None),
        (Err(StoreError::Full { capacity: 1 }), WhenUnreachable::Admit, Some(ErrorKind::Unavailable)),
    ] {
        let memory = Shared(Mutex::new(vec![answer.clone()]));
        let gate = gate(here().replay_memory(memory).when_replay_memory_is_unreachable(choice));
        let bound = bound_token();
        let request = Request::bound(&bound, &proof(&bound));
        let verdict = gate.api.authenticate(Presented::request(&request)).await;
        assert_eq!(verdict.err().map(|error| error.kind()), expected, "{answer:?} {choice:?}");
    }
}

#[tokio::test]
async fn the_memory_is_asked_last() {
    // It would panic if it were asked.
    let memory = || Shared(Mutex::new(Vec::new()));
    let bound = bound_token();
    let denied = token(json!({"jti": "gone", "cnf": {"jkt": key().thumbprint().unwrap().to_string()}}));
    let list = MemoryDenyList::new();
    let gate = Gate::with(issuer(), |builder| builder.dpop(here().replay_memory(memory())).deny_list(list));
    gate.api.deny(crate::stores::Deny::token_id(ISSUER, "gone"), Timestamp::MAX).await.unwrap();
    for request in [
        Request::bound(&denied, &proof(&denied)),
        Request::bound(&bound, "junk"),
        Request::bound(&bound, &proof_by(&other_key(), &bound, json!({}))),
        Request::bound(&bound, &format!("{}A", proof(&bound))),
        Request::get("/users").field("authorization", format!("Bearer {bound}")),
    ] {
        assert!(verdict(&gate, &request).is_err());
    }
}

#[test]
fn a_memory_has_room_for_so_many_of_one_key() {
    let gate = gate(here().max_proofs_per_key(2));
    let bound = bound_token();
    let ask = || kind(&gate, &Request::bound(&bound, &proof(&bound)));
    assert_eq!([ask(), ask(), ask()], [None, None, Some(ErrorKind::Unavailable)]);
    gate.clock.0.store(NOW + 60, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(ask(), Some(ErrorKind::Unavailable), "they are still good");
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
        ("in its place", Request::bound(&bound, &proof(&bound)), None),
        ("bound, elsewhere", elsewhere(&bound), Some(ErrorKind::SenderConstrained)),
        ("unbound, elsewhere", elsewhere(&unbound), None),
        (
            "in two places",
            Request::bound(&bound, &proof(&bound)).field("x-token", &*unbound),
            Some(ErrorKind::InvalidRequest),
        ),
    ] {
        assert_eq!(kind(&gate, &request), expected, "{name}");
    }
    let headless =
        Gate::with(issuer(), |builder| builder.dpop(here()).token_locations([TokenLocation::header("x-token")]));
    assert_eq!(kind(&headless, &Request::bound(&bound, &proof(&bound))), Some(ErrorKind::MissingToken));
}

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
                true => Request::bound("opaque", &proof("opaque")),
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
            true => Request::bound(&bound_token(), &proof(&bound_token())),
            false => Request::get("/users").field("authorization", format!("Bearer {}", token(json!({})))),
        };
        let verdict = gate.api.authenticate(Presented::request(&request)).await;
        assert_eq!(verdict.as_ref().err().map(Error::kind), expected, "{of_token} {said:?}: {verdict:?}");
    }
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
        assert_eq!(kind(&gate, &Request::bound(&token, &proof(&token))), Some(expected));
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

/// A key that a fetch has to bring.
#[tokio::test]
async fn a_token_that_has_to_wait_for_its_key_is_judged_with_its_proof_all_the_same() {
    let issuer = Issuer::with_keys(ISSUER, StaticKeys::secret(Algorithm::HS256, SECRET).unwrap()).unwrap();
    let slow = issuer.opaque_tokens(OpaqueTokens::verifier(Endpoint(None)));
    let gate = Gate::with(slow, |builder| builder.dpop(here()));
    let request = Request::bound("opaque", &"x".repeat(proof::LONGEST + 1));
    let error = gate.api.authenticate(Presented::request(&request)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unbound, "the token comes first");
    let challenge = error.challenge().unwrap();
    assert!(challenge.starts_with("DPoP"), "{challenge}");
}

fn digest(der: &[u8]) -> String {
    crate::jose::base64url::encode(&sha256(der))
}

#[test]
fn a_token_that_is_bound_to_a_certificate_passes_with_that_certificate_alone() {
    use ErrorKind::{SenderConstrained, Unbound};
    let of_cert = token(json!({"cnf": {"x5t#S256": digest(b"certificate")}}));
    let of_both =
        token(json!({"cnf": {"x5t#S256": digest(b"certificate"), "jkt": key().thumbprint().unwrap().to_string()}}));
    let unbound = token(json!({}));
    let bearer = |token: &str| Request::get("/users").field("authorization", format!("Bearer {token}"));
    let shown = |request: Request, der: &'static [u8]| Request { certificate: Some(der), ..request };
    let mutual = || Gate::with(issuer(), |builder| builder.mutual_tls(MutualTls::from_connection()));
    let both = || Gate::with(issuer(), |builder| builder.mutual_tls(MutualTls::from_connection()).dpop(here()));
    for (name, gate, request, expected) in [
        ("its certificate", mutual(), shown(bearer(&of_cert), b"certificate"), None),
        ("another certificate", mutual(), shown(bearer(&of_cert), b"another"), Some(SenderConstrained)),
        ("an empty one", mutual(), shown(bearer(&of_cert), b""), Some(SenderConstrained)),
        ("no certificate", mutual(), bearer(&of_cert), Some(SenderConstrained)),
        (
            "a header that nobody asked for",
            mutual(),
            bearer(&of_cert).field("client-cert", ":Y2VydGlmaWNhdGU=:"),
            Some(SenderConstrained),
        ),
        ("an unbound token with a certificate", mutual(), shown(bearer(&unbound), b"certificate"), None),
        ("an unbound token", mutual(), bearer(&unbound), None),
        (
            "bound to a key, too, which nobody checks",
            mutual(),
            shown(bearer(&of_both), b"certificate"),
            Some(SenderConstrained),
        ),
        ("with DPoP on: its certificate", both(), shown(bearer(&of_cert), b"certificate"), None),
        ("certificate and proof", both(), shown(Request::bound(&of_both, &proof(&of_both)), b"certificate"), None),
        (
            "a proof without the certificate",
            both(),
            Request::bound(&of_both, &proof(&of_both)),
            Some(SenderConstrained),
        ),
        ("the certificate without a proof", both(), shown(bearer(&of_both), b"certificate"), Some(SenderConstrained)),
        (
            "the scheme DPoP for a certificate",
            both(),
            shown(Request::bound(&of_cert, &proof(&of_cert)), b"certificate"),
            Some(Unbound),
        ),
    ] {
        assert_eq!(kind(&gate, &request), expected, "{name}: {:?}", verdict(&gate, &request));
        if expected.is_none() && !name.contains("proof") {
            let again = verdict(&gate, &request).expect("a certificate is shown as often as one likes");
            assert_eq!(again.binding().is_some(), again.require_bound().is_ok(), "{name}");
            assert_eq!(again.binding().is_some(), !name.contains("unbound"), "{name}");
        }
        let bare = Request { certificate: None, ..request };
        assert!(
            name.contains("unbound") || verdict(&gate, &bare).is_err(),
            "{name}, remembered, without the certificate"
        );
    }
    let answer = verdict(&mutual(), &bearer(&of_cert)).unwrap_err().answer();
    assert!(answer.www_authenticate.unwrap().starts_with(r#"Bearer error="invalid_token""#));
}

#[test]
fn a_header_holds_a_certificate_when_a_named_proxy_has_written_it() {
    let proxy: std::net::IpAddr = "10.0.0.7".parse().unwrap();
    let of_cert = token(json!({"cnf": {"x5t#S256": digest(b"certificate")}}));
    let tls = MutualTls::behind(crate::verify::possession::certificate::CertificateField::ClientCert, [proxy.into()])
        .unwrap();
    let gate = Gate::with(issuer(), |builder| builder.mutual_tls(tls));
    let request = |peer: Option<&str>| Request {
        peer: peer.map(|peer| peer.parse().unwrap()),
        ..Request::get("/")
            .field("authorization", format!("Bearer {of_cert}"))
            .field("client-cert", ":Y2VydGlmaWNhdGU=:")
    };
    for (peer, good) in [
        (Some("10.0.0.7"), true),
        (Some("::ffff:10.0.0.7"), true),
        (Some("10.0.0.8"), false),
        (Some("127.0.0.1"), false),
        (None, false),
    ] {
        assert_eq!(kind(&gate, &request(peer)), (!good).then_some(ErrorKind::SenderConstrained), "{peer:?}");
        let admission = crate::gate::outcome::Admission::new(gate.api.clone());
        let peer = peer.map(|peer| peer.parse().unwrap());
        assert_eq!(admission.foreign_field(peer, |_| true).as_deref(), (!good).then_some("client-cert"));
        assert_eq!(admission.foreign_field(peer, |_| false), None);
    }
    // What the connection says does not count where a header is agreed.
    let own = Request {
        certificate: Some(b"certificate"),
        ..Request::get("/").field("authorization", format!("Bearer {of_cert}"))
    };
    assert_eq!(kind(&gate, &own), Some(ErrorKind::SenderConstrained));
    for (name, proxies) in [
        ("X-Cert", vec![proxy.into()]),
        ("", vec![proxy.into()]),
        ("authorization", vec![proxy.into()]),
        ("x-cert", vec![]),
    ] {
        let field = crate::verify::possession::certificate::CertificateField::EscapedPem(name.into());
        assert!(MutualTls::behind(field, proxies).is_err(), "{name}");
    }
}
