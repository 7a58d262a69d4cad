use std::collections::HashMap;

use http::{HeaderMap, Response, StatusCode};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::base::http::BoxFuture;
use crate::keys::{DiscoveryKeySource, FetchError, KeySource};

const ISSUER: &str = "https://id.example/realms/a";
const JWKS: &str = "https://id.example/realms/a/keys";

fn process(issuer: &str, document: &Value) -> Result<Metadata, DiscoveryError> {
    process_metadata(issuer, StatusCode::OK, &HeaderMap::new(), document.to_string().as_bytes())
}

#[test]
fn the_well_known_places_follow_both_specifications() {
    const OIDC: &str = ".well-known/openid-configuration";
    const OAUTH: &str = ".well-known/oauth-authorization-server";
    for (issuer, expected) in [
        ("https://id.example", vec![format!("https://id.example/{OIDC}"), format!("https://id.example/{OAUTH}")]),
        ("https://id.example/", vec![format!("https://id.example/{OIDC}"), format!("https://id.example/{OAUTH}")]),
        (
            "https://id.example:8443/a/b",
            vec![
                format!("https://id.example:8443/a/b/{OIDC}"),
                format!("https://id.example:8443/{OAUTH}/a/b"),
                format!("https://id.example:8443/{OIDC}/a/b"),
                format!("https://id.example:8443/a/b/{OAUTH}"),
            ],
        ),
        (
            "https://id.example/a/",
            vec![
                format!("https://id.example/a/{OIDC}"),
                format!("https://id.example/{OAUTH}/a"),
                format!("https://id.example/{OIDC}/a"),
                format!("https://id.example/a/{OAUTH}"),
            ],
        ),
        ("http://127.0.0.1:9/", vec![format!("http://127.0.0.1:9/{OIDC}"), format!("http://127.0.0.1:9/{OAUTH}")]),
    ] {
        let urls: Vec<String> = well_known_urls(issuer).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(urls, expected, "{issuer}");
    }
}

#[test]
fn the_address_of_a_metadata_document_is_not_taken_for_an_issuer() {
    for (url, issuer) in [
        ("https://id.example/.well-known/openid-configuration", "https://id.example,"),
        ("https://id.example/realms/a/.well-known/openid-configuration", "https://id.example/realms/a,"),
        ("https://id.example/.well-known/oauth-authorization-server/realms/a", "https://id.example/realms/a,"),
    ] {
        let refused = [
            well_known_urls(url).unwrap_err().to_string(),
            crate::Issuer::discover(url).unwrap_err().to_string(),
            crate::policy::IssuerPolicy::discover(url).issuer().unwrap_err().to_string(),
        ];
        for why in refused {
            assert!(why.contains(&format!("write the issuer, {issuer}")), "{url}: {why}");
        }
    }
    assert!(crate::Issuer::discover("https://id.example/well-known/openid-configuration").is_ok());
}

/// A server that takes every question and answers none.
#[derive(Debug)]
struct Silent;
impl HttpClient for Silent {
    fn send(&self, _: Request<Bytes>, _: Limits) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn metadata_is_waited_for_no_longer_than_fifteen_seconds_whatever_the_client_does() {
    let discovery = Discovery::new(ISSUER, Arc::new(Silent)).unwrap();
    let start = Instant::now();
    // The clock of the test goes on by itself while everybody waits; without a bound it would reach the hour.
    let ended = tokio::time::timeout(Duration::from_secs(3600), discovery.metadata()).await;
    assert_eq!(ended.expect("an end"), Err(DiscoveryError::Http(HttpError::Timeout)));
    let waited = start.elapsed();
    assert!((14..=16).contains(&waited.as_secs()), "{waited:?}");
}

#[test]
fn an_issuer_that_is_no_plain_https_url_is_refused() {
    for issuer in [
        "",
        "id.example",
        "/realms/a",
        "http://id.example",
        "http://10.0.0.1",
        "ftp://id.example",
        "https://id.example?tenant=a",
        "https://id.example?",
        "https://id.example#",
        "https://user@id.example",
        "https://",
        "accounts.google.com",
    ] {
        assert!(matches!(well_known_urls(issuer), Err(DiscoveryError::Insecure { what: "issuer", .. })), "{issuer:?}");
    }
}

#[test]
fn the_issuer_of_the_document_is_compared_byte_by_byte() {
    for other in [
        "https://id.example/realms/a/",
        "https://id.example/realms/A",
        "https://ID.example/realms/a",
        "https://id.example:443/realms/a",
        "https://id.example/realms/%61",
        "https://id.example/realms/a ",
        "https://id.example/realms/ab",
        "https://id.example/realms",
        "",
    ] {
        let answer = process(ISSUER, &json!({"issuer": other, "jwks_uri": JWKS}));
        assert!(matches!(answer, Err(DiscoveryError::IssuerMismatch { .. })), "{other:?}");
    }
    assert_eq!(process(ISSUER, &json!({"issuer": ISSUER, "jwks_uri": JWKS})).unwrap().jwks_uri.as_deref(), Some(JWKS));
}

#[test]
fn a_jwks_uri_is_https_unless_the_issuer_itself_is_on_loopback() {
    let local = "http://localhost:8080";
    for (issuer, jwks_uri, allowed) in [
        (ISSUER, "https://keys.example/set", true),
        (ISSUER, "http://id.example/keys", false),
        (ISSUER, "http://127.0.0.1/keys", false),
        (ISSUER, "http://localhost/keys", false),
        (ISSUER, "file:///etc/keys", false),
        (ISSUER, "/keys", false),
        (ISSUER, "https://user:secret@id.example/keys", false),
        (local, "http://localhost:8080/keys", true),
        (local, "http://[::1]:8080/keys", true),
        (local, "http://id.example/keys", false),
    ] {
        let answer = process(issuer, &json!({"issuer": issuer, "jwks_uri": jwks_uri}));
        assert_eq!(answer.is_ok(), allowed, "{issuer} {jwks_uri}: {answer:?}");
    }
}

#[test]
fn another_endpoint_that_is_not_https_is_left_out_and_named() {
    let metadata = process(
        ISSUER,
        &json!({
            "issuer": ISSUER, "jwks_uri": JWKS, "left_out": ["forged"],
            "introspection_endpoint": "http://id.example/introspect", "userinfo_endpoint": "https://id.example/userinfo",
        }),
    )
    .unwrap();
    assert_eq!(metadata.introspection_endpoint, None);
    assert_eq!(metadata.userinfo_endpoint.as_deref(), Some("https://id.example/userinfo"));
    assert_eq!(metadata.left_out, ["introspection_endpoint"]);
}

#[test]
fn aliases_for_mutual_tls_are_read_by_the_rules_of_other_endpoints() {
    let read = |aliases: serde_json::Value| {
        process(ISSUER, &json!({ "issuer": ISSUER, "jwks_uri": JWKS, "mtls_endpoint_aliases": aliases })).unwrap()
    };
    let metadata = read(json!({
        "token_endpoint": "https://mtls.id.example/token", "revocation_endpoint": "http://mtls.id.example/revoke",
        "userinfo_endpoint": 7, "something_else": "https://mtls.id.example/",
    }));
    let aliases = metadata.mtls_endpoint_aliases.unwrap();
    assert_eq!(aliases.token_endpoint.as_deref(), Some("https://mtls.id.example/token"));
    assert_eq!((aliases.revocation_endpoint, aliases.userinfo_endpoint), (None, None));
    assert_eq!(metadata.left_out, ["mtls_endpoint_aliases.revocation_endpoint"]);
    for nothing in [json!({}), json!([]), json!("https://x"), json!(null), json!({ "token_endpoint": 7 })] {
        assert_eq!(read(nothing.clone()).mtls_endpoint_aliases, None, "{nothing}");
    }
}

#[test]
fn odd_lists_and_unknown_members_cost_nothing() {
    let metadata = process(
        ISSUER,
        &json!({
            "issuer": ISSUER, "scopes_supported": "openid", "dpop_signing_alg_values_supported": ["ES256"],
            "grant_types_supported": [1], "mtls_endpoint_aliases": {}, "jwks_uri": null,
        }),
    )
    .unwrap();
    assert_eq!(metadata.scopes_supported, None);
    assert_eq!(metadata.grant_types_supported, None);
    assert_eq!(metadata.dpop_signing_alg_values_supported, Some(vec!["ES256".to_owned()]));
    assert_eq!(metadata.jwks_uri, None);
}

#[test]
fn what_is_no_metadata_is_unparsable() {
    for body in [
        "",
        "<html></html>",
        "[]",
        "null",
        "{}",
        r#"{"issuer": 7}"#,
        r#"{"issuer": ["https://id.example/realms/a"]}"#,
        r#"{"issuer": "https://id.example/realms/a", "issuer": "https://id.example/realms/a"}"#,
        r#"{"issuer": "https://id.example/realms/a", "jwks_uri": 7}"#,
        r#"{"issuer": "https://id.example/realms/a"} x"#,
    ] {
        let answer = process_metadata(ISSUER, StatusCode::OK, &HeaderMap::new(), body.as_bytes());
        assert_eq!(answer, Err(DiscoveryError::Unparsable), "{body}");
    }
    let deep = format!(r#"{{"issuer": "{ISSUER}", "x": {}"#, "[".repeat(10_000));
    assert_eq!(
        process_metadata(ISSUER, StatusCode::OK, &HeaderMap::new(), deep.as_bytes()),
        Err(DiscoveryError::Unparsable)
    );
}

#[test]
fn an_error_repeats_no_endless_or_unprintable_issuer() {
    let found = format!("{}\n\u{1b}[2J", "x".repeat(10_000));
    let error = process(ISSUER, &json!({"issuer": found})).unwrap_err().to_string();
    assert!(error.len() < 500, "{error}");
    let error = process(ISSUER, &json!({"issuer": "a\n\u{1b}[2J"})).unwrap_err().to_string();
    assert!(!error.contains(char::is_control), "{error:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_issuer_and_no_body_panics(issuer in "\\PC{0,60}", path in "[ -~]{0,30}", body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = well_known_urls(&issuer);
        let _ = well_known_urls(&format!("https://id.example/{path}"));
        prop_assert!(process_metadata(&issuer, StatusCode::OK, &HeaderMap::new(), &body).is_err());
    }
}

// ---- with a scripted client ------------------------------------------------------------------------------------------

type Page = Result<(u16, String), HttpError>;

#[derive(Debug, Default)]
struct Web {
    pages: Mutex<HashMap<String, Page>>,
    asked: Mutex<Vec<String>>,
}

impl Web {
    fn put(&self, url: &str, status: u16, body: &Value) {
        self.pages.lock().unwrap().insert(url.to_owned(), Ok((status, body.to_string())));
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl HttpClient for Web {
    fn send(&self, request: Request<Bytes>, _: Limits) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        let url = request.uri().to_string();
        self.asked.lock().unwrap().push(url.clone());
        let page = self.pages.lock().unwrap().get(&url).cloned().unwrap_or(Ok((404, String::new())));
        Box::pin(async move {
            let (status, body) = page?;
            Ok(Response::builder().status(status).body(body.into()).unwrap())
        })
    }
}

const PLACES: [&str; 4] = [
    "https://id.example/realms/a/.well-known/openid-configuration",
    "https://id.example/.well-known/oauth-authorization-server/realms/a",
    "https://id.example/.well-known/openid-configuration/realms/a",
    "https://id.example/realms/a/.well-known/oauth-authorization-server",
];

fn discovery(web: &Arc<Web>) -> Discovery {
    Discovery::new(ISSUER, Arc::clone(web) as Arc<dyn HttpClient>).unwrap()
}

#[tokio::test]
async fn each_place_is_found() {
    for (tried, place) in (1..).zip(PLACES) {
        let web = Arc::new(Web::default());
        web.put(place, 200, &json!({"issuer": ISSUER, "jwks_uri": JWKS}));
        assert_eq!(discovery(&web).metadata().await.unwrap().jwks_uri.as_deref(), Some(JWKS));
        assert_eq!(web.asked().len(), tried);
    }
}

#[tokio::test]
async fn a_place_with_the_wrong_document_does_not_hide_the_right_one() {
    let web = Arc::new(Web::default());
    web.put(PLACES[0], 200, &json!("a page for everything"));
    web.put(PLACES[1], 200, &json!({"issuer": "https://id.example"}));
    web.put(PLACES[2], 200, &json!({"issuer": ISSUER, "jwks_uri": JWKS}));
    assert!(discovery(&web).metadata().await.is_ok());
}

#[tokio::test]
async fn the_most_telling_error_is_reported() {
    let web = Arc::new(Web::default());
    assert_eq!(discovery(&web).metadata().await, Err(DiscoveryError::Status { status: 404, retry_after: None }));
    web.put(PLACES[2], 200, &json!({"issuer": "https://id.example/realms/a/"}));
    let error = discovery(&web).metadata().await.unwrap_err();
    assert!(matches!(error, DiscoveryError::IssuerMismatch { .. }), "{error}");
}

#[tokio::test]
async fn an_issuer_that_is_down_is_not_asked_at_every_place() {
    for answer in [Err(HttpError::Timeout), Ok((503, String::new())), Ok((429, String::new()))] {
        let web = Arc::new(Web::default());
        web.pages.lock().unwrap().insert(PLACES[0].to_owned(), answer);
        assert!(discovery(&web).metadata().await.is_err());
        assert_eq!(web.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_place_of_ones_own_replaces_the_others_and_not_the_comparison() {
    let web = Arc::new(Web::default());
    let place = "https://elsewhere.example/metadata?app=1";
    let own = || discovery(&web).read_from(place).unwrap();
    web.put(place, 200, &json!({"issuer": "https://elsewhere.example"}));
    assert!(matches!(own().metadata().await, Err(DiscoveryError::IssuerMismatch { .. })));
    web.put(place, 200, &json!({"issuer": ISSUER}));
    assert!(own().metadata().await.is_ok());
    assert!(web.asked().iter().all(|url| url == place));
}

#[tokio::test(start_paused = true)]
async fn the_document_is_kept_for_a_day() {
    let web = Arc::new(Web::default());
    web.put(PLACES[0], 200, &json!({"issuer": ISSUER, "jwks_uri": JWKS}));
    let discovery = discovery(&web);
    discovery.metadata().await.unwrap();
    tokio::time::advance(Duration::from_secs(86_399)).await;
    discovery.metadata().await.unwrap();
    assert_eq!(web.asked().len(), 1);
    tokio::time::advance(Duration::from_secs(1)).await;
    discovery.metadata().await.unwrap();
    assert_eq!(web.asked().len(), 1);
}

#[tokio::test]
async fn keys_are_fetched_from_where_the_metadata_says_and_moved_keys_are_found() {
    let web = Arc::new(Web::default());
    let document = |jwks_uri: &str| json!({"issuer": ISSUER, "jwks_uri": jwks_uri});
    web.put(PLACES[0], 200, &document(JWKS));
    web.put(JWKS, 200, &json!({"keys": []}));
    let source = DiscoveryKeySource::new(Arc::new(discovery(&web)));
    assert_eq!(source.fetch().await.unwrap().jwk_set, r#"{"keys":[]}"#);
    assert_eq!(source.fetch().await.unwrap().jwk_set, r#"{"keys":[]}"#);
    assert_eq!(web.asked(), [PLACES[0], JWKS, JWKS], "the metadata is read once");

    let moved = "https://id.example/new-keys";
    web.put(PLACES[0], 200, &document(moved));
    web.put(JWKS, 404, &json!(null));
    web.put(moved, 200, &json!({"keys": [1]}));
    assert_eq!(source.fetch().await, Err(FetchError::Status { status: 404, retry_after: None }));
    assert_eq!(source.fetch().await.unwrap().jwk_set, r#"{"keys":[1]}"#);
    web.asked();
    source.rejected();
    source.fetch().await.unwrap();
    assert_eq!(web.asked(), [PLACES[0], moved], "read anew after an unusable set");

    web.put(PLACES[0], 200, &json!({"issuer": ISSUER}));
    source.rejected();
    assert_eq!(source.fetch().await, Err(FetchError::Discovery(DiscoveryError::Missing("jwks_uri"))));
}
