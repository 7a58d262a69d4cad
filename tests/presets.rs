//! Each provider's good token and its near misses as rows of the case table: the same answer through tower, axum and actix-web, and by name.

use token_core::provider::{self, AudienceRule, IssuerName, KeysAt, Preset};
use token_core::{ErrorKind, ResourceServer, TokenKind};
use token_test::TestIssuer;
use token_tests::{Ask, Via, ask};

use crate::cases::{Case, case, check};

fn presets() -> impl Iterator<Item = Preset> {
    provider::samples().into_iter().map(|(_, preset)| preset)
}

/// The request that carries a token where this provider's come: what `token_locations` says, as plain data.
fn request(preset: &Preset, token: &str) -> Ask {
    let path = if preset.kind == TokenKind::Id { "/id" } else { "/any" };
    let source = serde_json::to_value(&preset.token_locations[0]).unwrap();
    if let Some(name) = source["header"]["name"].as_str() {
        return Ask::of(path).header(name, token);
    }
    if let Some(name) = source["cookie"]["name"].as_str() {
        return Ask::of(path).header("cookie", format!("{name}={token}")).header("sec-fetch-site", "same-origin");
    }
    assert_eq!(source, "authorization");
    Ask::of(path).bearer(token)
}

/// What a near miss is refused as.
fn expected(preset: &Preset, miss: &str) -> ErrorKind {
    // Its audience is all the name that the issuer has.
    let known_by_audience = matches!(preset.issuer, provider::IssuerName::Nameless(_));
    match miss {
        "another issuer"
        | "another trust domain"
        | "a trust domain that begins alike"
        | "the key of another tenant"
        | "a token of the org server"
        | "a token of the shared issuer"
        | "the farm's ID token"
        | "the issuer of a policy"
        | "the issuer by name"
        | "another route"
        | "the session cookie of the same login" => ErrorKind::UnknownIssuer,
        "another audience" | "no audience" if known_by_audience => ErrorKind::UnknownIssuer,
        // A key that was handed over has no name that a fetch could look for again.
        "another tenant's key" | "claims changed after signing" => ErrorKind::BadSignature,
        "a token that expired" => ErrorKind::Expired,
        "no signature" | "the public key as a secret" => ErrorKind::AlgorithmNotAllowed,
        "a logout token"
        | "a refresh token"
        | "the refresh token of the same login"
        | "an offline token"
        | "an ID token"
        | "the ID token of the same login"
        | "an ID token that names the API" => ErrorKind::WrongType,
        // Where ID tokens are taken, an access token is one for the API, and this one is for the client.
        "another audience"
        | "no audience"
        | "an access token"
        | "the ID token of another app"
        | "the ID token of another client"
        | "a token for the management API"
        | "the token replayed at the source client"
        | "the token of another provider"
        | "another application of the team"
        | "another project's audience"
        | "another project"
        | "another application of the cluster"
        | "another backend"
        | "another workload's audience"
        | "the default audience"
        | "the token for the API server itself"
        | "a token for Graph"
        | "a token for every client of the realm"
        | "a token for nobody"
        | "a token for an organisation"
        | "the anonymous key of the project" => ErrorKind::WrongAudience,
        // What the provider says beside the audience, or in place of it.
        "another balancer of the region"
        | "no word of the balancer"
        | "another client of the identity provider"
        | "a page of another origin"
        | "no word of the page"
        | "a session that is pending"
        | "a token from a template, for another service"
        | "the session token of the whole team"
        | "another app client"
        | "a token of the same client bound to another API"
        | "no word about its use"
        | "an ID token without a nonce"
        | "another tenant in tid than in iss"
        | "a token without its issuer"
        | "somebody else's repository"
        | "somebody else's project"
        | "somebody else's organization"
        | "another organization"
        | "no word of the organization"
        | "another role of the account"
        | "another identity of the tenant"
        | "a program of the project"
        | "a user who is not registered"
        | "the refresh token of the same session"
        | "no address"
        | "another namespace" => ErrorKind::ClaimsMismatch,
        _ => panic!("{}: say what {miss} is to be refused as", preset.name),
    }
}

#[actix_web::test]
async fn every_preset_gets_the_same_answers_in_every_framework() {
    let (mut rows, mut wrong) = (0, Vec::new());
    for preset in presets() {
        let like = TestIssuer::like(&preset).await;
        let api = ResourceServer::builder(like.issuer().audience())
            .token_locations(preset.token_locations.clone())
            .trust(like.trusted().unwrap())
            .realm("tests")
            .build()
            .unwrap();
        api.ready().await.unwrap();
        let mut cases = vec![case("the good token", request(&preset, &like.token().mint()), Ok("somebody"))];
        let misses = like.near_misses();
        for (miss, token) in &misses {
            let refused = api.authenticate(token_core::Presented::token(token)).await;
            let error = refused.err().unwrap_or_else(|| panic!("{}: took {miss}", preset.name));
            let kind = expected(&preset, miss);
            if error.kind() != kind {
                wrong.push(format!("{}, {miss}: expected {kind}, got {error}", preset.name));
            }
            let leaked: &'static str = Box::leak(miss.clone().into_boxed_str());
            cases.push(Case { name: leaked, ask: request(&preset, token), anonymous: false, expect: Err(kind) });
        }
        for case in cases {
            let mut replies = Vec::new();
            for via in Via::ALL {
                let reply = ask(via, &api, false, &case.ask).await;
                if wrong.is_empty() {
                    check(&case, via, &reply);
                }
                replies.push(reply);
            }
            assert!(replies.windows(2).all(|two| two[0].status == two[1].status), "{}, {}", preset.name, case.name);
            rows += 1;
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(rows > 620, "{rows} rows");
}

/// What has to be among the near misses of every preset, in one shape or another.
#[tokio::test]
async fn every_preset_has_the_near_misses_that_matter() {
    for preset in presets() {
        let name = &preset.name;
        let misses: Vec<String> =
            TestIssuer::like(&preset).await.near_misses().into_iter().map(|(miss, _)| miss).collect();
        let has = |words: &[&str]| misses.iter().any(|miss| words.iter().any(|word| miss.contains(word)));
        assert!(has(&["another tenant's key"]), "{name}: {misses:?}");
        let other_kind = if preset.kind == TokenKind::Id { "an access token" } else { "ID token" };
        assert!(has(&[other_kind]), "{name}: {misses:?}");
        match preset.audience {
            // The audience is in a claim, or in the header, of the provider's own.
            AudienceRule::ClaimsInstead if matches!(preset.keys, KeysAt::PemPerKid(_)) => {
                assert!(has(&["another balancer"]) && has(&["another client"]), "{name}: {misses:?}");
            }
            // The issuer is one project and nothing else: no other one's token names it.
            AudienceRule::ClaimsInstead if matches!(&preset.issuer, IssuerName::Exact(name) if !name.contains("://")) =>
            {
                assert!(has(&["another issuer"]) && has(&["another service"]), "{name}: {misses:?}");
            }
            AudienceRule::ClaimsInstead => {
                assert!(has(&["another app client", "another origin"]), "{name}: {misses:?}");
                assert!(has(&["another API", "another service"]), "{name}: {misses:?}");
            }
            _ => assert!(has(&["another audience"]), "{name}: {misses:?}"),
        }
    }
}
