use super::*;
use crate::{CsrfRule, StaticKeys};

fn all() -> Vec<Preset> {
    const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
    vec![
        auth0("example.eu.auth0.com"),
        auth0_delegation("example.auth0.com", "target"),
        auth0_management_legacy("API-KEY"),
        keycloak("https://login.example.com/realms/shop", "api"),
        entra_v2(TENANT),
        entra_v1(TENANT),
        entra_multi_tenant(),
        cognito("eu-west-1", "eu-west-1_example", ["client"]),
        aws_alb("eu-west-1", "arn:aws:elasticloadbalancing:x", "https://idp.example", "client"),
        okta("example.okta.com", "default"),
        google(["client"]),
        firebase("project"),
        firebase_session_cookie("project", CsrfRule::same_origin()),
        google_iap("/projects/1/apps/x"),
        supabase("abcdefgh"),
        clerk("https://clerk.example.com", ["https://app.example.com"]),
        zitadel("https://example.zitadel.cloud", "1234"),
        logto("https://example.logto.app"),
        kinde("https://example.kinde.com"),
        apple(["com.example.app"]),
        ory_hydra("https://hydra.example.com"),
        authentik("https://login.example.com/application/o/shop/"),
        github_actions(["2"]),
        kubernetes("https://kubernetes.example", ["prod"]),
        spiffe("example.org", "https://spire.example/bundle"),
        cloudflare_access("team", "tag"),
    ]
}

#[test]
fn every_preset_is_data_and_makes_an_issuer() {
    for preset in all() {
        let json = serde_json::to_string(&preset).unwrap();
        assert_eq!(serde_json::from_str::<Preset>(&json).unwrap(), preset, "{}", preset.name);
        assert!(
            preset.source.starts_with("https://") && !preset.sample.near_misses.is_empty()
                || preset.padded
                || preset.name.contains("cookie"),
            "{}",
            preset.name
        );
        let issuer = match preset.keys {
            KeysAt::Discovery | KeysAt::JwksUri(_) | KeysAt::PemPerKid(_) | KeysAt::Certificates(_) => preset.issuer(),
            KeysAt::Secret => {
                assert!(preset.issuer().is_err(), "{}", preset.name);
                preset.issuer_with_keys(StaticKeys::secret(Algorithm::HS256, &[7; 32]).unwrap())
            }
        };
        let issuer = issuer.unwrap_or_else(|error| panic!("{}: {error}", preset.name));
        let builder = crate::ResourceServer::builder("https://api.example.com").trust(issuer);
        builder.token_sources(preset.token_sources).build().unwrap_or_else(|error| panic!("{}: {error}", preset.name));
    }
}

#[test]
fn a_preset_without_audience_and_without_rules_makes_nothing() {
    let mut preset = cognito("eu-west-1", "eu-west-1_example", ["client"]);
    preset.claims.clear();
    assert!(preset.issuer().unwrap_err().to_string().contains("whom a token is for"));
}

#[test]
fn a_preset_moves_with_its_path() {
    let moved = |preset: Preset| match preset.at("http://127.0.0.1:1", "http://127.0.0.1:1/jwks").issuer {
        IssuerName::Exact(name) | IssuerName::Template(name) => name,
        _ => String::new(),
    };
    assert_eq!(moved(auth0("example.eu.auth0.com")), "http://127.0.0.1:1/");
    assert_eq!(moved(google(["c"])), "http://127.0.0.1:1");
    assert_eq!(moved(keycloak("https://a/realms/x", "api")), "http://127.0.0.1:1/realms/x");
    assert_eq!(moved(entra_multi_tenant()), "http://127.0.0.1:1/{tenantid}/v2.0");
}

#[test]
fn a_preset_is_a_policy_that_can_be_kept_in_a_file() {
    for preset in all() {
        let Ok(policy) = preset.policy() else { continue };
        let json = serde_json::to_string(&policy).unwrap();
        let read: IssuerPolicy = serde_json::from_str(&json).unwrap();
        assert_eq!(read, policy, "{}", preset.name);
        // Those without an audience, or without iss, are only for code.
        let in_code = policy.keys_from_code || preset.audience == AudienceRule::ClaimsInstead;
        assert!(in_code || read.issuer().is_ok(), "{}: {:?}", preset.name, read.issuer().err());
    }
}
