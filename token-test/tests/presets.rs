//! Every preset against an issuer of its shape: the good token passes, each near miss is refused.

use token_core::provider::{self, IssuerName, Preset};
use token_core::{ClaimRule, CsrfRule, ErrorKind, Issuer, Presented, ResourceServer, Rule, TokenKind, Verified};
use token_test::{Lookalike, TestIssuer};

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

fn presets() -> Vec<(Preset, Option<Rule>)> {
    let scope = |name: &'static str| Some(Rule::scope(name));
    let role = |name: &'static str| Some(Rule::role(name));
    vec![
        (provider::auth0("example.eu.auth0.com"), scope("read:users")),
        (provider::auth0_delegation("example.auth0.com", "target"), None),
        (provider::auth0_management_legacy("API-KEY"), scope("read:users")),
        (provider::keycloak("https://login.example.com/realms/shop", "api"), role("api:admin")),
        (provider::entra_v2(TENANT), scope("read:users")),
        (provider::entra_v1(TENANT), scope("read:users")),
        (provider::entra_multi_tenant(), scope("read:users")),
        (provider::cognito("eu-west-1", "eu-west-1_example", ["client"]), role("staff")),
        (provider::aws_alb("eu-west-1", "arn:aws:elasticloadbalancing:x", "https://idp.example", "client"), None),
        (provider::okta("example.okta.com", "default"), scope("read:users")),
        (provider::google(["client"]), None),
        (provider::firebase("project"), None),
        (provider::firebase_session_cookie("project", CsrfRule::same_origin()), None),
        (provider::google_iap("/projects/1/apps/x"), None),
        (provider::supabase("abcdefgh"), role("authenticated")),
        (provider::clerk("https://clerk.example.com", ["https://app.example.com"]), role("admin")),
        (provider::zitadel("https://example.zitadel.cloud", "1234"), role("admin")),
        (provider::logto("https://example.logto.app"), scope("read:users")),
        (provider::kinde("https://example.kinde.com"), scope("read:users")),
        (provider::apple(["com.example.app"]), None),
        (provider::ory_hydra("https://hydra.example.com"), scope("read:users")),
        (provider::authentik("https://login.example.com/application/o/shop/"), role("staff")),
        (provider::github_actions(["2"]), None),
        (provider::kubernetes("https://kubernetes.example", ["prod"]), None),
        (provider::spiffe("example.org", "https://spire.example/bundle"), None),
        (provider::cloudflare_access("team", "tag"), None),
    ]
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
