//! A Kubernetes cluster as an issuer: keys from its API server with a token that rotates, reviews, pods that go. The API server is a stand-in made
//! of documented shapes, over real HTTP.

use std::time::Duration;

use serde_json::json;
use token_core::opaque::OpaqueTokens;
use token_core::policy::Policy;
use token_core::{Error, ErrorKind, Issuer, Presented, ResourceServer, Verified, provider};
use token_test::TestCluster;

use crate::faults::tls;

const API: &str = "https://orders.shop.svc";

fn trusted(cluster: &TestCluster) -> Issuer {
    provider::kubernetes_at(cluster.api_server(), cluster.service_account(), ["shop"]).unwrap().allow_loopback_http()
}

fn build(issuer: Issuer) -> ResourceServer {
    ResourceServer::builder(API).trust(issuer).build().unwrap()
}

async fn ask(api: &ResourceServer, token: &str) -> Result<Verified, Error> {
    api.authenticate(Presented::token(token)).await
}

async fn kind(api: &ResourceServer, token: &str) -> Option<ErrorKind> {
    ask(api, token).await.err().map(|error| error.kind())
}

fn reviewed(cluster: &TestCluster) -> OpaqueTokens {
    OpaqueTokens::token_review(cluster.api_server())
        .unwrap()
        .introspect_jwts()
        .active_life(Duration::ZERO)
        .inactive_life(Duration::ZERO)
}

#[tokio::test]
async fn a_pod_of_a_trusted_namespace_is_let_in_by_the_clusters_keys() {
    let cluster = TestCluster::start().await;
    let api = build(trusted(&cluster));
    let verified = ask(&api, &cluster.token("shop", "web", API)).await.unwrap();
    assert_eq!(verified.subject(), Some("system:serviceaccount:shop:web"));
    assert_eq!(verified.issuer(), cluster.issuer());
    assert_eq!(kind(&api, &cluster.token("other", "web", API)).await, Some(ErrorKind::ClaimsMismatch));
    assert_eq!(kind(&api, &cluster.token("shop", "web", "https://another.svc")).await, Some(ErrorKind::WrongAudience));
    assert_eq!(kind(&api, &cluster.token("shop", "web", cluster.issuer())).await, Some(ErrorKind::WrongAudience));
    assert_eq!(cluster.asked().0, 0, "nobody asked for reviews");
}

#[tokio::test]
async fn the_token_that_asks_for_keys_is_read_anew_when_it_was_rotated() {
    let cluster = TestCluster::start().await;
    let api = build(trusted(&cluster));
    assert!(ask(&api, &cluster.token("shop", "web", API)).await.is_ok());
    cluster.rotate();
    cluster.signer().rotate();
    assert!(ask(&api, &cluster.token("shop", "web", API)).await.is_ok(), "a new key was fetched with the new token");
    assert_eq!(cluster.asked().1, 2);
}

#[tokio::test]
async fn without_the_token_nobody_answers_and_what_is_missing_is_said() {
    let cluster = TestCluster::start().await;
    let keys = format!("{}/openid/v1/jwks", cluster.api_server());
    let anonymous = || Issuer::with_jwks_uri(cluster.issuer(), &keys).unwrap().allow_loopback_http();
    let token = cluster.token("shop", "web", API);
    for (issuer, words) in [
        (anonymous(), "status 401"),
        (anonymous().bearer_token_file(cluster.service_account().join("absent")), "absent: cannot be read"),
        (anonymous().bearer_token_file(cluster.service_account().join("ca.crt")), "expected a token and nothing else"),
        (
            Issuer::discover(cluster.issuer()).unwrap().reached_at(cluster.api_server()).unwrap().allow_loopback_http(),
            "status 401",
        ),
    ] {
        let api = build(issuer);
        assert_eq!(kind(&api, &token).await, Some(ErrorKind::Unavailable));
        let said = api.health()[0].1.last_error.clone().unwrap();
        assert!(said.contains(words) && !said.contains("BEGIN"), "{said}");
    }
    let report = build(anonymous()).explain(Presented::token(&token)).await.text();
    assert!(report.contains("bearer_token_file"), "{report}");
    // Discovery where anonymous access is off, by an API server whose document names another address.
    let discovered = Issuer::discover(cluster.issuer()).unwrap().reached_at(cluster.api_server()).unwrap();
    let discovered = discovered.allow_loopback_http().bearer_token_file(cluster.service_account().join("token"));
    assert!(ask(&build(discovered), &token).await.is_ok());
}

#[tokio::test]
async fn the_token_goes_to_the_configured_origin_alone_and_never_in_the_clear() {
    let (cluster, other) = (TestCluster::start().await, TestCluster::start().await);
    let metadata = format!("{}/.well-known/openid-configuration", cluster.api_server());
    // The document leads to the other server, which is shown no token.
    let signer = cluster.signer();
    signer.set_metadata("jwks_uri", format!("{}/openid/v1/jwks", other.api_server()));
    let led = Issuer::discover(cluster.issuer()).unwrap();
    let at = format!("{}/.well-known/openid-configuration", signer.address());
    let led =
        led.metadata_url(at).unwrap().allow_loopback_http().bearer_token_file(other.service_account().join("token"));
    let api = build(led);
    assert_eq!(kind(&api, &cluster.token("shop", "web", API)).await, Some(ErrorKind::Unavailable));
    assert!(api.health()[0].1.last_error.clone().unwrap().contains("401"), "asked, and without a token");
    assert_eq!(other.asked().1, 1);

    let clear = Issuer::with_jwks_uri(cluster.issuer(), "http://kubernetes:8080/keys").unwrap();
    let clear = clear.dangerously_allow_plain_http().bearer_token_file(cluster.service_account().join("token"));
    let why = ResourceServer::builder(API).trust(clear).build().unwrap_err().to_string();
    assert!(why.contains("bearer_token_file") && why.contains("plain http"), "{why}");
    assert!(metadata.starts_with("http://127.0.0.1"));
}

#[tokio::test]
async fn a_deleted_pods_token_is_refused_by_a_review_and_not_by_its_signature() {
    let cluster = TestCluster::start().await;
    let (by_keys, by_review) = (build(trusted(&cluster)), build(trusted(&cluster).opaque_tokens(reviewed(&cluster))));
    let only_reviewed = Issuer::without_keys(cluster.issuer(), reviewed(&cluster)).unwrap();
    let only_reviewed = only_reviewed.allow_loopback_http().bearer_token_file(cluster.service_account().join("token"));
    let only_reviewed = build(only_reviewed);
    let (token, neighbour) = (cluster.token("shop", "web", API), cluster.token("shop", "web", API));
    for api in [&by_keys, &by_review, &only_reviewed] {
        let verified = ask(api, &token).await.unwrap();
        assert_eq!(verified.subject(), Some("system:serviceaccount:shop:web"));
    }
    cluster.delete_pod_of(&token);
    assert!(ask(&by_keys, &token).await.is_ok(), "what signatures cannot know");
    for api in [&by_review, &only_reviewed] {
        assert_eq!(kind(api, &token).await, Some(ErrorKind::Inactive));
        assert!(ask(api, &neighbour).await.is_ok(), "another pod of the same account");
        assert!(kind(api, &cluster.token("shop", "web", "https://another.svc")).await.is_some());
    }
}

#[tokio::test]
async fn a_review_that_cannot_be_had_is_our_trouble_and_one_without_audiences_is_none() {
    let cluster = TestCluster::start().await;
    let api = build(trusted(&cluster).opaque_tokens(reviewed(&cluster)));
    let token = || cluster.token("shop", "web", API);
    assert!(ask(&api, &token()).await.is_ok());
    cluster.rotate();
    assert!(ask(&api, &token()).await.is_ok(), "asked with the new token");
    cluster.forbid_reviews(true);
    assert_eq!(kind(&api, &token()).await, Some(ErrorKind::Unavailable));
    let said = api.opaque_health()[0].1.last_error.clone().unwrap();
    assert!(said.contains("system:auth-delegator"), "{said}");
    cluster.forbid_reviews(false);

    let aware = TestCluster::start().await;
    let api = build(trusted(&aware).opaque_tokens(reviewed(&aware)));
    aware.forget_audiences();
    assert_eq!(kind(&api, &aware.token("shop", "web", API)).await, Some(ErrorKind::Inactive));
}

#[tokio::test]
async fn a_policy_says_the_same_and_is_linted() {
    let cluster = TestCluster::start().await;
    let folder = cluster.service_account();
    let policy = |more: serde_json::Value| {
        let mut issuer = json!({
            "issuer": cluster.issuer(), "jwks_uri": format!("{}/openid/v1/jwks", cluster.api_server()), "allow_loopback_http": true,
            "ca_file": folder.join("ca.crt"), "bearer_token_file": folder.join("token"),
            "token_review": {"api_server": cluster.api_server()},
        });
        for (member, value) in more.as_object().unwrap() {
            issuer[member] = value.clone();
        }
        Policy::from_json(&json!({ "audience": API, "issuers": [issuer] }).to_string()).unwrap()
    };
    let good = policy(json!({}));
    let api = good.server().unwrap();
    assert_eq!(*api.policy(), good, "what was built says the same");
    assert!(ask(&api, &cluster.token("shop", "web", API)).await.is_ok());
    assert_eq!(cluster.asked().0, 1, "reviewed");
    let printed = good.to_string();
    assert!(
        printed.contains("reviewed    by http://127.0.0.1") && printed.contains("asks with   the token in"),
        "{printed}"
    );
    for (more, rule) in [
        (json!({"bearer_token_file": null}), "nobody-asks"),
        (json!({"token_review": {"api_server": cluster.api_server(), "active_life": "1h"}}), "long-answers"),
        (json!({"token_review": {"api_server": "http://kubernetes"}, "allow_loopback_http": false}), "http"),
    ] {
        let found = policy(more).lint();
        assert!(found.iter().any(|finding| finding.rule == rule), "{rule}: {found:?}");
    }
    let unchecked = policy(json!({"dangerously_unchecked_audience": true}));
    assert!(unchecked.server().unwrap_err().to_string().contains("a review is for an audience"));
}

/// Over TLS, with the cluster's own authority in `ca.crt`: as `kubernetes_in_cluster` has it in a pod.
#[tokio::test]
async fn keys_and_reviews_come_over_tls_from_whom_the_clusters_own_authority_vouches_for() {
    for (name, certificate, authority, expected) in [
        ("the cluster's own", "loopback", "authority", None),
        ("an authority that is not the cluster's", "loopback", "another-client", Some(ErrorKind::Unavailable)),
        ("a certificate of another name", "stranger", "authority", Some(ErrorKind::Unavailable)),
        ("an expired certificate", "expired", "authority", Some(ErrorKind::Unavailable)),
    ] {
        let cluster = TestCluster::start().await;
        let folder = cluster.service_account();
        std::fs::write(folder.join("ca.crt"), tls::file(authority)).unwrap();
        let api_server = tls::in_front_of(certificate, cluster.api_server()).await;
        let trusted = || provider::kubernetes_at(&api_server, folder, ["shop"]).unwrap().allow_loopback_http();
        let review = OpaqueTokens::token_review(&api_server).unwrap().introspect_jwts();
        let token = cluster.token("shop", "web", API);
        for (how, issuer) in [("keys", trusted()), ("keys and reviews", trusted().opaque_tokens(review))] {
            let api = build(issuer);
            assert_eq!(kind(&api, &token).await, expected, "{name}, {how}: {:?}", api.health());
        }
        let (reviews, fetches) = cluster.asked();
        match expected {
            None => assert_eq!((reviews, fetches), (1, 2), "{name}"),
            Some(_) => assert_eq!((reviews, fetches), (0, 0), "{name}: the pod's own token was shown to nobody"),
        }
    }
}

/// What an image from scratch is like: no certificate of any authority but the cluster's.
#[test]
fn the_clusters_own_authority_is_enough_where_the_system_has_none() {
    let nowhere = std::env::temp_dir().join("no-such-certificates");
    let again = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "kubernetes::keys_and_reviews_come_over_tls_from_whom_the_clusters_own_authority_vouches_for",
        ])
        .envs([("SSL_CERT_FILE", &nowhere), ("SSL_CERT_DIR", &nowhere)])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(again.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&again.stderr));
}

#[test]
fn outside_of_a_cluster_it_is_said_what_was_looked_for() {
    let why = provider::kubernetes_at("https://kubernetes.default.svc", "/nonexistent/serviceaccount", ["shop"])
        .unwrap_err()
        .to_string();
    assert!(why.contains("/nonexistent/serviceaccount/token") && why.contains("automountServiceAccountToken"), "{why}");
}
