//! Every preset against an issuer of its shape: the good token passes, each near miss is refused.

use token_core::provider::{self, IssuerName, Preset};
use token_core::{ClaimRule, ErrorKind, Issuer, Presented, ResourceServer, Rule, TokenKind, Verified};
use token_test::{Lookalike, TestIssuer};

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

/// Every preset, and what its sample grants where it grants something.
fn presets() -> Vec<(Preset, Option<Rule>)> {
    let rule = |name: &str| match name {
        "auth0"
        | "auth0-management-legacy"
        | "entra-v2"
        | "entra-v1"
        | "entra-multi-tenant"
        | "okta"
        | "logto"
        | "kinde"
        | "ory-hydra" => Some(Rule::scope("read:users")),
        "keycloak" => Some(Rule::role("api:admin")),
        "cognito" | "authentik" => Some(Rule::role("staff")),
        "supabase" => Some(Rule::role("authenticated")),
        "clerk" | "zitadel" => Some(Rule::role("admin")),
        _ => None,
    };
    provider::samples().into_iter().map(|(name, preset)| (preset, rule(name))).collect()
}

fn api(like: &Lookalike, trusted: Issuer) -> ResourceServer {
    ResourceServer::builder(like.issuer().audience()).trust(trusted).build().expect("one issuer is enough")
}

async fn ask(api: &ResourceServer, token: &str) -> Result<Verified, token_core::Error> {
    api.authenticate(Presented::token(token)).await
}

#[tokio::test]
async fn every_preset_takes_its_own_tokens_and_refuses_what_is_nearly_one() {
    let mut misses = 0;
    for (preset, rule) in presets() {
        let name = &preset.name;
        let like = TestIssuer::like(&preset).await;
        let api = api(&like, like.trusted().unwrap());
        let verified = ask(&api, &like.token().mint()).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(verified.kind() == TokenKind::Id, preset.kind == TokenKind::Id, "{name}");
        if let Some(rule) = rule {
            verified.require(&rule).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        for (what, token) in like.near_misses() {
            let error = ask(&api, &token).await.err().unwrap_or_else(|| panic!("{name} took {what}"));
            assert_eq!(error.kind().status(), 401, "{name}, {what}: {error}");
            misses += 1;
        }
    }
    assert!(misses > 250, "{misses} near misses");
}

#[tokio::test]
async fn a_key_of_one_tenant_vouches_for_no_other() {
    let like = TestIssuer::like(&provider::entra_multi_tenant()).await;
    let IssuerName::Template(pattern) = &like.preset().issuer else { panic!("a template") };
    let key = like.issuer().signing_key();
    let mut jwk = key.public_jwk().unwrap();
    let token = like.token().mint();
    for (named, expected) in [
        (pattern.clone(), None),
        (pattern.replace("{tenantid}", TENANT), None),
        (pattern.replace("{tenantid}", "9188040d-6c67-4c5b-b112-36a304b66dad"), Some(ErrorKind::UnknownKey)),
        ("https://evil.example/{tenantid}/v2.0".to_owned(), Some(ErrorKind::UnknownKey)),
    ] {
        like.issuer().withdraw(key.kid().unwrap());
        jwk["issuer"] = named.clone().into();
        like.issuer().publish_jwk(jwk.clone());
        let api = api(&like, like.trusted().unwrap());
        assert_eq!(ask(&api, &token).await.err().map(|error| error.kind()), expected, "{named}");
    }
}

#[tokio::test]
async fn a_closed_list_of_tenants_is_closed() {
    let like = TestIssuer::like(&provider::entra_multi_tenant()).await;
    let token = like.token().mint();
    let open = api(&like, like.trusted().unwrap().tenants([TENANT]).unwrap());
    let verified = ask(&open, &token).await.unwrap();
    assert!(verified.issuer().contains(TENANT), "the tenant's own issuer, not the pattern");
    let closed = api(&like, like.trusted().unwrap().tenants(["9188040d-6c67-4c5b-b112-36a304b66dad"]).unwrap());
    assert_eq!(ask(&closed, &token).await.unwrap_err().kind(), ErrorKind::UnknownIssuer);
}

#[tokio::test]
async fn what_the_operator_adds_to_a_preset_holds() {
    let preset = provider::google(["client"]).require_claim(ClaimRule::one_of("hd", ["example.com"]));
    let like = TestIssuer::like(&preset).await;
    let api = api(&like, like.trusted().unwrap());
    assert!(ask(&api, &like.token().claim("hd", "example.com").mint()).await.is_ok());
    assert!(ask(&api, &like.token().claim("hd", "evil.example").mint()).await.is_err());
    assert!(ask(&api, &like.token().mint()).await.is_err());
}

#[tokio::test]
async fn any_issuer_writes_tokens_in_the_shape_of_any_preset() {
    let issuer = TestIssuer::start().await;
    for (name, preset) in provider::samples() {
        let token = issuer.token_like(&preset).mint();
        let parts: Vec<_> = token.split('.').map(|part| part.trim_end_matches('=')).collect();
        let decoded = |part: &str| -> serde_json::Value {
            let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, part).unwrap();
            serde_json::from_slice(&bytes).unwrap()
        };
        let (header, claims) = (decoded(parts[0]), decoded(parts[1]));
        for (member, value) in preset.sample.claims.as_object().unwrap() {
            assert_eq!(claims.get(member), Some(value), "{name}: {member}");
        }
        for (member, value) in preset.sample.header.as_object().unwrap() {
            assert_eq!(header.get(member), Some(value), "{name}: {member}");
        }
        assert!(preset.algorithms.iter().any(|algorithm| header["alg"] == algorithm.name()), "{name}: {header}");
        match preset.issuer {
            IssuerName::Exact(_) | IssuerName::Template(_) => assert_eq!(claims["iss"], issuer.url(), "{name}"),
            _ => assert_eq!(claims.get("iss"), None, "{name}"),
        }
    }
}
