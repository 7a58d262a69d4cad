use super::*;
use crate::trust::static_keys::StaticKeys;

fn all() -> Vec<Preset> {
    samples().into_iter().map(|(_, preset)| preset).collect()
}

#[test]
fn every_preset_has_its_sample() {
    let source = include_str!("../provider.rs");
    let mut functions: Vec<String> = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub use ")?.split_once("::"))
        .flat_map(|(_, names)| names.trim_end_matches(';').trim_matches(['{', '}']).split(", "))
        // The preset `kubernetes` with what a pod finds out by itself: issuers, and no presets.
        .filter(|name| !matches!(*name, "samples" | "kubernetes_at" | "kubernetes_in_cluster"))
        .map(|name| name.replace('_', "-"))
        .collect();
    functions.sort();
    let names: Vec<_> = samples().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, functions);
}

#[test]
fn every_preset_is_data_and_makes_an_issuer() {
    for preset in all() {
        let json = serde_json::to_string(&preset).unwrap();
        assert_eq!(serde_json::from_str::<Preset>(&json).unwrap(), preset, "{}", preset.name);
        assert!(
            [&preset.source].into_iter().chain(&preset.more_sources).all(|source| source.starts_with("https://"))
                && !preset.sample.near_misses.is_empty()
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
        builder
            .token_locations(preset.token_locations)
            .build()
            .unwrap_or_else(|error| panic!("{}: {error}", preset.name));
    }
}

#[test]
fn a_preset_without_audience_and_without_rules_makes_nothing() {
    let mut preset = cognito("eu-west-1", "eu-west-1_example", ["client"]);
    preset.claims.clear();
    assert!(preset.issuer().unwrap_err().to_string().contains("whom a token is for"));
}

#[test]
fn a_preset_that_is_told_its_audience_asks_for_it() {
    let preset = cognito("eu-west-1", "eu-west-1_example", ["client"]);
    assert!(preset.claims.contains(&ClaimRule::absent("aud")));
    let bound = preset.audience(["https://api.example.com"]);
    assert_eq!(bound.audience, AudienceRule::Names(vec!["https://api.example.com".to_owned()]));
    assert!(!bound.claims.contains(&ClaimRule::absent("aud")));
    assert!(bound.claims.contains(&ClaimRule::one_of("token_use", ["access"])));
}

#[test]
fn the_issuer_that_google_sometimes_names_without_a_scheme_can_be_trusted_beside_the_other() {
    let with_scheme = google(["client"]);
    let mut without = with_scheme.clone();
    without.issuer = IssuerName::Exact("accounts.google.com".to_owned());
    let builder = crate::ResourceServer::builder("api").trust(with_scheme.issuer().unwrap());
    builder.trust(without.issuer().unwrap()).build().unwrap();
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
        // Those without iss are only for code.
        assert!(policy.keys_from_code || read.issuer().is_ok(), "{}: {:?}", preset.name, read.issuer().err());
        let server = crate::policy::Policy::new("https://api.example.com").trust(read);
        assert_eq!(server.lint(), [], "{}", preset.name);
        let unchecked = preset.audience == AudienceRule::ClaimsInstead;
        assert_eq!(server.to_string().contains("anybody (not checked!)"), unchecked, "{}: {server}", preset.name);
    }
}
