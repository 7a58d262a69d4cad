//! What went wrong in other libraries, tried against ours: one test for each class, listed with its advisories in `SECURITY.md`.

mod keys;
mod texts;

use std::path::Path;

use serde_json::json;
use token_core::{
    Audience, ErrorKind, Issuer, Presented, ResourceServer, StaticKeys, adapter::RequestView,
    revocation::LogoutVerifier,
};
use token_test::{ManualClock, TestIssuer};
use token_tests::evidence::note;
use token_tests::{Ask, Via, ask};

/// Advisories, their class, and the test of it with the file that holds it.
const LIST: &[(&str, &str, &str, &str)] = &[
    (
        "CVE-2015-9235, CVE-2015-2951, CVE-2022-23540",
        "`alg` is `none`, in whatever spelling",
        "tests/advisories/keys.rs",
        "refuses_none_in_every_spelling",
    ),
    (
        "CVE-2016-10555, CVE-2022-29217, CVE-2023-48223, CVE-2024-33663, CVE-2024-37568, CVE-2024-54150, CVE-2026-34950, CVE-2026-48526",
        "a public key taken for an HMAC secret",
        "tests/advisories/keys.rs",
        "refuses_public_keys_as_hmac_secrets",
    ),
    (
        "CVE-2022-29217, CVE-2026-34950, GHSA-ww5h-9m49-7xx4",
        "a public key configured as a secret, behind any prefix",
        "tests/advisories/keys.rs",
        "refuses_to_be_configured_with_a_public_key_as_the_secret",
    ),
    (
        "CVE-2026-22817, CVE-2026-22818, CVE-2026-33322",
        "the token's `alg` chooses, where the key names none",
        "tests/advisories/keys.rs",
        "binds_keys_without_alg_to_their_own_kind",
    ),
    (
        "CVE-2026-44351, CVE-2026-45363, CVE-2026-49852",
        "an empty or short HMAC secret",
        "tests/advisories/keys.rs",
        "refuses_empty_and_short_secrets",
    ),
    (
        "CVE-2018-0114, CVE-2026-27962",
        "the key comes out of the token",
        "tests/advisories/keys.rs",
        "never_takes_a_key_or_an_address_from_a_token",
    ),
    (
        "CVE-2025-65945",
        "the secret is looked up by unverified content",
        "tests/advisories/keys.rs",
        "treats_a_kid_as_a_name_and_nothing_else",
    ),
    (
        "CVE-2022-21449",
        "psychic signatures: r and s of zero",
        "tests/advisories/keys.rs",
        "refuses_signatures_of_zeros_and_of_the_order",
    ),
    (
        "CVE-2006-4339, CVE-2014-1568, CVE-2022-24771",
        "lax padding of PKCS#1 v1.5",
        "token-core/src/verify/jwt/vectors.rs",
        "judges_published_rsa_signatures_as_their_authors_do",
    ),
    (
        "CVE-2023-29409",
        "the price of oversized RSA keys",
        "tests/advisories/keys.rs",
        "passes_over_keys_that_are_too_large_too_small_or_public_secrets",
    ),
    ("CVE-2020-28042", "a missing signature", "tests/advisories/texts.rs", "refuses_a_missing_signature"),
    (
        "CVE-2025-59420, CVE-2026-32597, CVE-2026-35042",
        "`crit` is ignored",
        "tests/advisories/texts.rs",
        "refuses_every_critical_extension",
    ),
    (
        "CVE-2026-25537",
        "a claim of the wrong type counts as absent",
        "tests/advisories/texts.rs",
        "refuses_claims_of_the_wrong_type",
    ),
    ("jsonwebtoken issue 388", "absurd times overflow", "tests/advisories/texts.rs", "survives_absurd_numbers"),
    ("CVE-2025-30144", "`iss` as an array", "tests/advisories/texts.rs", "refuses_an_issuer_that_is_no_string"),
    ("CVE-2024-53861", "the issuer compared by parts", "tests/advisories/texts.rs", "compares_the_issuer_byte_by_byte"),
    ("CVE-2020-26160", "`aud` of odd shapes", "tests/advisories/texts.rs", "refuses_audiences_of_odd_shapes"),
    (
        "CVE-2025-62610",
        "no audience is checked unless one asks for it",
        "tests/advisories.rs",
        "cannot_be_built_without_an_audience_or_an_issuer",
    ),
    (
        "CVE-2022-39227, CVE-2024-21664",
        "compact and JSON serialization read by two parsers",
        "tests/advisories/texts.rs",
        "refuses_every_serialization_but_the_compact_one",
    ),
    (
        "CVE-2026-29000, GHSA-c8v6-786g-vjx6",
        "encryption taken for authentication",
        "tests/advisories/texts.rs",
        "refuses_encrypted_tokens_whatever_is_inside",
    ),
    (
        "CVE-2024-28176, CVE-2024-28180, CVE-2024-33664, CVE-2024-21319",
        "compressed bombs",
        "tests/advisories/texts.rs",
        "refuses_compressed_tokens",
    ),
    (
        "CVE-2022-36083, CVE-2023-52428, CVE-2023-6681, CVE-2023-49290",
        "PBES2 with millions of rounds",
        "tests/advisories/texts.rs",
        "refuses_password_based_encryption_without_working_for_it",
    ),
    (
        "CVE-2025-27144, CVE-2025-30204, CVE-2025-61920",
        "memory and time for endless parts",
        "tests/advisories/texts.rs",
        "refuses_a_million_dots_at_once",
    ),
    ("CVE-2025-53864", "deep nesting", "tests/advisories/texts.rs", "refuses_deep_nesting_without_a_deep_stack"),
    (
        "CVE-2019-12995",
        "a crash on a malformed token",
        "tests/advisories/texts.rs",
        "refuses_every_cut_and_every_changed_letter_of_a_good_token",
    ),
    (
        "CVE-2025-64527",
        "a crash in the fetch of keys under load",
        "tests/advisories.rs",
        "answers_a_crowd_while_the_keys_cannot_be_had",
    ),
    (
        "GHSA-rp9m-7r4c-75qg, CVE-2025-59936",
        "a cache returns what belongs to another token",
        "tests/advisories.rs",
        "never_gives_one_token_the_claims_of_another",
    ),
    (
        "heimdall issue 3452",
        "a cached decision outlives its reasons",
        "tests/advisories.rs",
        "asks_again_whether_a_cached_token_may_pass",
    ),
    (
        "field report",
        "a built-in key that verifies when the real ones are missing",
        "tests/advisories.rs",
        "trusts_nothing_while_the_issuer_publishes_no_key",
    ),
    (
        "CVE-2026-26308",
        "the first of several header fields",
        "tests/advisories.rs",
        "refuses_several_authorization_fields",
    ),
    (
        "RFC 7800, RFC 9449",
        "a token bound to a sender passes as a bearer token",
        "tests/advisories.rs",
        "refuses_bound_tokens_however_the_bond_is_written",
    ),
    (
        "CVE-2021-21378",
        "a check is skipped where several are configured",
        "tests/cases.rs",
        "every_row_gets_the_same_answer_in_every_framework",
    ),
    (
        "CVE-2020-8595, CVE-2021-29492, CVE-2025-54576",
        "another spelling of the path passes the guard",
        "tests/advisories.rs",
        "lets_no_spelling_of_a_path_past_the_guard",
    ),
    (
        "field report",
        "the issuer answers about tokens of other audiences",
        "tests/opaque.rs",
        "every_row_of_opaque_tokens_gets_the_same_answer_in_every_framework",
    ),
    (
        "field report",
        "a hash of an unknown algorithm counts as right",
        "token-core/src/gate/id_token/tests.rs",
        "the_hash_is_that_of_the_signature_algorithm",
    ),
    (
        "Microsoft advisory 3214296",
        "HMAC tags are not checked at all",
        "token-core/src/verify/jwt/vectors.rs",
        "judges_published_hmac_tags_as_their_authors_do",
    ),
    (
        "field report",
        "what was seen once is forgotten before it ends",
        "tests/advisories.rs",
        "remembers_a_logout_token_for_as_long_as_it_is_good",
    ),
    ("RUSTSEC-2022-0086", "secrets in logs", "tests/canary.rs", ""),
];

fn shown(test: &str) {
    let (ids, class, ..) = LIST.iter().find(|row| row.3 == test).expect("every test of an advisory is in the list");
    note("advisories", test, &[ids, class, &format!("`{test}`")]);
}

struct Place {
    issuer: TestIssuer,
    clock: ManualClock,
    api: ResourceServer,
}

impl Place {
    async fn new() -> Self {
        let clock = ManualClock::default();
        let issuer = TestIssuer::builder().clock(clock.clone()).start().await;
        let api = Self::server(&issuer, &clock);
        Self { issuer, clock, api }
    }

    fn server(issuer: &TestIssuer, clock: &ManualClock) -> ResourceServer {
        let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
        ResourceServer::builder(issuer.audience()).trust(trusted).clock(clock.clone()).build().unwrap()
    }

    async fn verdict(&self, token: &str) -> Result<String, ErrorKind> {
        let verified = self.api.authenticate(Presented::token(token)).await.map_err(|error| error.kind())?;
        Ok(verified.subject().unwrap_or_default().to_owned())
    }

    /// Refused, and by one of these checks.
    #[track_caller]
    fn assert_one_of(verdict: &Result<String, ErrorKind>, kinds: &[ErrorKind], what: &str) {
        assert!(
            verdict.as_ref().is_err_and(|kind| kinds.contains(kind)),
            "{what}: {verdict:?}, expected one of {kinds:?}"
        );
    }
}

#[test]
fn security_md_lists_every_advisory_and_every_test_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("SECURITY.md")).unwrap();
    for (ids, class, file, test) in LIST {
        let place = if test.is_empty() { format!("`{file}`") } else { format!("`{test}`") };
        let row = format!("| {ids} | {class} | {place} |");
        assert!(page.contains(&row), "SECURITY.md lacks this row:\n{row}");
        let code = std::fs::read_to_string(root.join(file)).unwrap();
        assert!(code.contains(&format!("fn {test}")), "{file} has no test {test}");
    }
}

#[test]
fn cannot_be_built_without_an_audience_or_an_issuer() {
    let keys = || StaticKeys::secret(token_core::Algorithm::HS256, &[7; 32]).unwrap();
    let trusted = || Issuer::with_keys("https://issuer.example", keys()).unwrap();
    assert!(ResourceServer::builder("https://api.example.com").build().is_err(), "no issuer");
    assert!(
        ResourceServer::builder(Audience::any_of(Vec::<String>::new())).trust(trusted()).build().is_err(),
        "no audience"
    );
    assert!(ResourceServer::builder("").trust(trusted()).build().is_err(), "an empty audience");
    assert!(ResourceServer::builder("https://api.example.com").trust(trusted()).build().is_ok());
    shown("cannot_be_built_without_an_audience_or_an_issuer");
}

#[tokio::test]
async fn answers_a_crowd_while_the_keys_cannot_be_had() {
    let place = Place::new().await;
    place.issuer.faults().at(token_test::Endpoint::Jwks).status(500);
    let token = place.issuer.token().mint();
    let crowd: Vec<_> = (0..200)
        .map(|_| {
            let (api, token) = (place.api.clone(), token.clone());
            tokio::spawn(async move { api.authenticate(Presented::token(&token)).await.map_err(|error| error.kind()) })
        })
        .collect();
    for caller in crowd {
        assert_eq!(caller.await.unwrap().err(), Some(ErrorKind::Unavailable));
    }
    assert_eq!(place.issuer.hits(token_test::Endpoint::Jwks), 1, "a crowd is one fetch");
    shown("answers_a_crowd_while_the_keys_cannot_be_had");
}

#[tokio::test]
async fn never_gives_one_token_the_claims_of_another() {
    let place = Place::new().await;
    let tokens: Vec<_> =
        (0..50).map(|n| (format!("user-{n}"), place.issuer.token().subject(&format!("user-{n}")).mint())).collect();
    for _ in 0..3 {
        for (subject, token) in &tokens {
            assert_eq!(place.verdict(token).await.as_ref(), Ok(subject));
        }
    }
    // The parts of two remembered tokens, put together anew.
    let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
    let (one, other) = (parts(&tokens[0].1), parts(&tokens[1].1));
    for mixed in [[&one[0], &other[1], &one[2]], [&one[0], &one[1], &other[2]]] {
        let verdict = place.verdict(&mixed.map(String::as_str).join(".")).await;
        Place::assert_one_of(&verdict, &[ErrorKind::BadSignature], "mixed");
    }
    shown("never_gives_one_token_the_claims_of_another");
}

#[tokio::test]
async fn asks_again_whether_a_cached_token_may_pass() {
    let place = Place::new().await;
    let token = place.issuer.token().subject("ada").mint();
    assert!(place.verdict(&token).await.is_ok());
    // Another audience is another server: what one remembers says nothing to the other.
    let trusted = Issuer::discover(place.issuer.url()).unwrap().allow_loopback_http();
    let other =
        ResourceServer::builder("https://other.example").trust(trusted).clock(place.clock.clone()).build().unwrap();
    let verdict = other.authenticate(Presented::token(&token)).await;
    assert_eq!(verdict.err().map(|error| error.kind()), Some(ErrorKind::WrongAudience));
    // Time passes for tokens that are remembered, too.
    place.clock.advance(std::time::Duration::from_secs(3600 + 31));
    assert_eq!(place.verdict(&token).await, Err(ErrorKind::Expired));
    shown("asks_again_whether_a_cached_token_may_pass");
}

#[tokio::test]
async fn trusts_nothing_while_the_issuer_publishes_no_key() {
    let place = Place::new().await;
    place.issuer.faults().at(token_test::Endpoint::Jwks).empty_set();
    let token = place.issuer.token();
    for token in [token.mint(), token.clone().forged().mint(), token.clone().without_header("kid").mint()] {
        assert_eq!(place.verdict(&token).await, Err(ErrorKind::Unavailable));
    }
    shown("trusts_nothing_while_the_issuer_publishes_no_key");
}

struct TwoFields(Vec<Vec<u8>>);

impl RequestView for TwoFields {
    fn method(&self) -> &str {
        "GET"
    }

    fn path_and_query(&self) -> &str {
        "/"
    }

    fn header<'a>(&'a self, name: &str, each: &mut dyn FnMut(&'a [u8])) {
        if name == "authorization" {
            self.0.iter().for_each(|value| each(value));
        }
    }
}

#[tokio::test]
async fn refuses_several_authorization_fields() {
    let place = Place::new().await;
    let good = format!("Bearer {}", place.issuer.token().mint()).into_bytes();
    assert!(place.api.authenticate(Presented::request(&TwoFields(vec![good.clone()]))).await.is_ok());
    for second in [good.clone(), b"Basic YTpi".to_vec(), b"Bearer x".to_vec(), Vec::new()] {
        for fields in [vec![good.clone(), second.clone()], vec![second.clone(), good.clone()]] {
            let verdict = place.api.authenticate(Presented::request(&TwoFields(fields))).await;
            assert_eq!(verdict.err().map(|error| error.kind()), Some(ErrorKind::InvalidRequest));
        }
    }
    shown("refuses_several_authorization_fields");
}

#[tokio::test]
async fn refuses_bound_tokens_however_the_bond_is_written() {
    let place = Place::new().await;
    let thumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
    for bond in [
        json!({"jkt": thumbprint}),
        json!({"x5t#S256": thumbprint}),
        json!({"jwk": {}}),
        json!({"unheard-of": 1}),
        json!({"jkt": 1}),
        json!({"jkt": null}),
        json!({}),
        json!([]),
        json!("jkt"),
        json!(false),
        json!(null),
    ] {
        let verdict = place.verdict(&place.issuer.token().claim("cnf", bond.clone()).mint()).await;
        Place::assert_one_of(&verdict, &[ErrorKind::SenderConstrained, ErrorKind::Malformed], &bond.to_string());
    }
    shown("refuses_bound_tokens_however_the_bond_is_written");
}

#[actix_web::test]
async fn lets_no_spelling_of_a_path_past_the_guard() {
    let place = Place::new().await;
    for via in Via::ALL {
        let good = Ask::of("/me").bearer(&place.issuer.token().subject("ada").mint());
        assert_eq!(ask(via, &place.api, false, &good).await.status, 200, "{via:?}");
        for path in [
            "/me",
            "/ME",
            "/me/",
            "//me",
            "/./me",
            "/any/../me",
            "/%6de",
            "/me%2f",
            "/%2e/me",
            "/me;a=b",
            "/me?next=/maybe",
            "/maybe/../me",
            "/nothing-here",
        ] {
            for request in [Ask::of(path), Ask::of(path).bearer("not.a.token")] {
                let status = ask(via, &place.api, false, &request).await.status;
                assert_eq!(status, 401, "{path} through {via:?}: the guard stands before every route");
            }
        }
    }
    shown("lets_no_spelling_of_a_path_past_the_guard");
}

#[tokio::test]
async fn remembers_a_logout_token_for_as_long_as_it_is_good() {
    let place = Place::new().await;
    let trusted = Issuer::discover(place.issuer.url()).unwrap().allow_loopback_http();
    let verifier = LogoutVerifier::with_clock("test-client", trusted, place.clock.clone()).unwrap();
    let token = place
        .issuer
        .id_token()
        .header("typ", "logout+jwt")
        .subject("ada")
        .claim("jti", "1")
        .claim("events", json!({"http://schemas.openid.net/event/backchannel-logout": {}}))
        .expires_in(std::time::Duration::from_secs(120))
        .mint();
    assert!(verifier.verify(&token).await.is_ok());
    // Once more at the start, before its end, and within the leeway after it: 30 s.
    for (seconds, kind) in
        [(0, ErrorKind::Inactive), (119, ErrorKind::Inactive), (30, ErrorKind::Inactive), (2, ErrorKind::Expired)]
    {
        place.clock.advance(std::time::Duration::from_secs(seconds));
        assert_eq!(verifier.verify(&token).await.err().map(|error| error.kind()), Some(kind), "after {seconds} s more");
    }
    shown("remembers_a_logout_token_for_as_long_as_it_is_good");
}
