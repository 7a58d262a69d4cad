//! What a client is told about proofs: which schemes a route takes, where it lies, and the nonce to use next (RFC 9449 sections 7.1 and 9).

use super::*;

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
        let with_proof = ask(&proved(&bound, &proof(&bound)));
        assert_eq!(with_proof.is_ok(), takes_bound, "{server:?} {route:?}: {with_proof:?}");
        let bearer = ask(&Request::get("/users").field("authorization", format!("Bearer {unbound}")));
        assert_eq!(bearer.is_ok(), takes_bearer, "{server:?} {route:?}: {bearer:?}");
        let downgraded = ask(&Request::get("/users").field("authorization", format!("Bearer {bound}")));
        assert!(downgraded.is_err(), "{server:?} {route:?}");
    }
    let deaf = Gate::new(TokenCacheSettings::default());
    let request = proved(&bound, &proof(&bound));
    let error = deaf.api.authenticate(Presented::request(&request).dpop(Required)).now().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    assert!(error.detail().contains("dpop()"), "{error}");
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
        let request = proved(&bound, &for_address(htu))
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
            proved(&bound, "junk"),
            format!(r#"DPoP realm="r", {ALGS}, {}, Bearer realm="r""#, text(ErrorKind::InvalidDpopProof)),
        ),
        (
            here().required(),
            proved(&bound, "junk"),
            format!(r#"DPoP realm="r", {ALGS}, {}"#, text(ErrorKind::InvalidDpopProof)),
        ),
        (
            here(),
            proved("a.b", "junk"),
            format!(r#"DPoP realm="r", {ALGS}, {}, Bearer realm="r""#, text(ErrorKind::Malformed)),
        ),
        (
            here(),
            proved(&unbound, &proof(&unbound)),
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
    let verified = verdict(&gate, &proved(&bound, &proof(&bound))).unwrap();
    let challenge = verified.require(&"admin".into()).unwrap_err().challenge().unwrap();
    assert!(challenge.starts_with("DPoP") && challenge.contains(r#"scope="admin", Bearer"#), "{challenge}");
}

#[test]
fn a_nonce_comes_with_each_refusal_and_each_answer_to_a_bound_token() {
    let bound = bound_token();
    let shared = || crate::verify::possession::nonce::NonceKeys::new(&[7; 32]).unwrap();
    let gate = gate(here().nonce_keys(shared()));
    let with = |nonce: &str| proved(&bound, &proof_by(&key(), &bound, json!({"nonce": nonce})));
    let first = verdict(&gate, &proved(&bound, &proof(&bound))).unwrap_err();
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
    gate.clock.set(NOW + 59);
    let verified = verdict(&gate, &with(&nonce)).unwrap();
    assert_ne!(crate::gate::outcome::Outcome::Verified(verified).dpop_nonce(), Some(nonce), "renewed on success");
    let bearer = Request::get("/users").field("authorization", format!("Bearer {}", token(json!({}))));
    let outcome = crate::gate::outcome::Outcome::Verified(verdict(&gate, &bearer).unwrap());
    assert_eq!(outcome.dpop_nonce(), None, "whoever shows no proofs needs none");
}
