//! Which endpoint a token is shown to, and which tokens are shown to nobody.

use super::*;

#[tokio::test]
async fn a_token_that_no_header_has_room_for_is_refused_without_asking() {
    let endpoint = Endpoint::new();
    let small = gate(&endpoint, |tokens| tokens.max_token_bytes(16));
    let usual = gate(&endpoint, |tokens| tokens);
    assert_eq!(small.refusal(&"a".repeat(17)).await, Some(ErrorKind::Malformed));
    assert_eq!(usual.refusal(&"a".repeat(8 * 1024 + 1)).await, Some(ErrorKind::Malformed));
    assert_eq!(endpoint.hits(), 0);
    assert_eq!(small.refusal(&"a".repeat(16)).await, Some(ErrorKind::Unavailable), "nobody answers, but it was asked");
    assert_eq!(endpoint.hits(), 1);
}

#[tokio::test]
async fn a_jwt_is_shown_to_nobody_but_its_own_issuer() {
    let endpoint = Endpoint::new();
    let gate = gate(&endpoint, |tokens| tokens);
    let foreign = token(json!({"iss": "https://other.example"}));
    let nameless = sign(&json!({"alg": "HS256"}), &json!({"aud": AUDIENCE, "sub": "ada", "exp": NOW + 600}));
    let forged = format!("{}AAAA", &token(json!({}))[..80]);
    for text in [&foreign, &nameless, &forged, &format!("{foreign}.x"), &format!("{foreign}.x.y")] {
        assert!(gate.verdict(text).await.is_err());
    }
    assert_eq!(endpoint.hits(), 0);
}

#[tokio::test]
async fn prefixes_pick_the_endpoint_and_what_has_none_is_refused() {
    let (eu, us) = (Endpoint::new(), Endpoint::new());
    eu.says("ory_at_eu_1", &active(json!({"iss": "https://eu.example"})));
    us.says("ory_at_1", &active(json!({"iss": "https://us.example"})));
    let of = |name: &str, endpoint: &Endpoint, prefix: &str| {
        Issuer::without_keys(name, introspection(endpoint).prefix(prefix)).unwrap()
    };
    let gate = Gate::with(of("https://us.example", &us, "ory_at_"), |builder| {
        builder.trust(of("https://eu.example", &eu, "ory_at_eu_"))
    });
    assert_eq!(gate.verdict("ory_at_eu_1").await.unwrap().issuer(), "https://eu.example");
    assert_eq!(gate.verdict("ory_at_1").await.unwrap().issuer(), "https://us.example");
    assert_eq!(gate.refusal("other_1").await, Some(ErrorKind::Malformed));
    assert_eq!((eu.hits(), us.hits()), (1, 1));
}

#[tokio::test]
async fn what_another_service_marked_as_its_own_is_not_shown_around_unless_told_so() {
    let endpoint = Endpoint::new();
    let rest = gate(&endpoint, |tokens| tokens);
    for foreign in ["ya29.1", "gho_1", "github_pat_1", "ory_rt_1"] {
        assert_eq!(rest.refusal(foreign).await, Some(ErrorKind::WrongType), "{foreign}");
    }
    assert_eq!(endpoint.hits(), 0);
    endpoint.says("ya29.1", &active(json!({})));
    assert_eq!(gate(&endpoint, |tokens| tokens.prefix("ya29.")).refusal("ya29.1").await, None);
}

#[tokio::test]
async fn an_issuer_that_is_trusted_no_more_is_not_asked_and_its_warm_tokens_die() {
    let endpoint = Endpoint::new();
    endpoint.says("opaque", &active(json!({})));
    let gate = gate(&endpoint, |tokens| tokens);
    gate.api.trust(Issuer::without_keys("https://other.example", introspection(&endpoint)).unwrap()).unwrap_err();
    assert_eq!(gate.refusal("opaque").await, None);
    assert!(gate.api.distrust(ISSUER));
    assert_eq!(gate.refusal("opaque").await, Some(ErrorKind::Malformed));
    gate.api.trust(Issuer::without_keys(ISSUER, introspection(&endpoint)).unwrap()).unwrap();
    assert_eq!(gate.refusal("opaque").await, None);
    assert_eq!(endpoint.hits(), 2);
}

#[tokio::test]
async fn an_issuer_without_keys_is_asked_about_its_jwts_and_one_with_keys_only_where_told_so() {
    let endpoint = Endpoint::new();
    let text = token(json!({"jti": "7"}));
    let tampered = format!("{}A", text.strip_suffix(text.chars().last().unwrap()).unwrap());
    endpoint.says(&text, &active(json!({})));
    let keyless = Gate::new_with(Issuer::without_keys(ISSUER, introspection(&endpoint)).unwrap());
    assert_eq!(keyless.refusal(&text).await, None);
    assert_eq!(endpoint.hits(), 1);

    let both = gate(&endpoint, |tokens| tokens.introspect_jwts());
    let verified = both.verdict(&text).await.unwrap();
    assert_eq!((verified.token_id(), endpoint.hits()), (Some("7"), 2), "the JWT's own claims");
    assert!(both.verdict(&tampered).await.is_err());
    assert_eq!(endpoint.hits(), 2, "what is not signed well is shown to nobody");
    endpoint.says(&text, &json!({"active": false}));
    both.at(60);
    assert_eq!(both.refusal(&text).await, Some(ErrorKind::Inactive), "revoked");
}

#[tokio::test]
async fn an_encrypted_token_is_shown_to_the_issuer_it_names_and_to_no_other() {
    let endpoint = Endpoint::new();
    let jwe = |issuer: &str| {
        let header = json!({"alg": "dir", "enc": "A256GCM", "iss": issuer}).to_string();
        format!("{}..a.b.c", crate::jose::base64url::encode(header.as_bytes()))
    };
    endpoint.says(&jwe(ISSUER), &active(json!({})));
    let gate = gate(&endpoint, |tokens| tokens);
    assert_eq!(gate.refusal(&jwe(ISSUER)).await, None);
    assert_eq!(gate.refusal(&jwe("https://other.example")).await, Some(ErrorKind::WrongType));
    assert_eq!(endpoint.hits(), 1);
}
