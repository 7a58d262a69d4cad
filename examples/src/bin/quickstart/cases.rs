//! An issuer goes in, the requests worth seeing come out, and the lines to send them by hand.

use std::time::Duration;

use token_test::TestIssuer;

/// One request and the status it must get.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) what: &'static str,
    pub(crate) path: &'static str,
    pub(crate) token: Option<String>,
    pub(crate) status: u16,
}

/// What can be tried without a token of the issuer.
pub(crate) fn without_tokens() -> Vec<Case> {
    vec![
        Case { what: "no token", path: "/me", token: None, status: 401 },
        Case { what: "not a token", path: "/me", token: Some("not-a-token".to_owned()), status: 401 },
    ]
}

/// What can be tried with an issuer that mints whatever it is asked for.
pub(crate) fn with_tokens(issuer: &TestIssuer) -> Vec<Case> {
    let ada = || issuer.token().subject("ada").scope("read:users");
    let case = |what, path, token: String, status| Case { what, path, token: Some(token), status };
    let mut cases = vec![
        case("good", "/me", ada().mint(), 200),
        case("good, with the scope", "/users", ada().mint(), 200),
        case("expired", "/me", ada().expired().mint(), 401),
        case("wrong audience", "/me", ada().audience("https://another.example").mint(), 401),
        case("missing scope", "/users", ada().scope("write:users").mint(), 403),
        case("forged", "/me", ada().forged().mint(), 401),
    ];
    cases.extend(without_tokens());
    cases
}

/// Prints requests to paste into a shell while the APIs stay up.
pub(crate) fn print_curl_lines(axum: &str, actix: &str, issuer: Option<&TestIssuer>) {
    println!("\nTo paste, until Ctrl-C:\n");
    if let Some(issuer) = issuer {
        let day = Duration::from_secs(24 * 3600);
        println!("TOKEN={}", issuer.token().subject("ada").scope("read:users").expires_in(day).mint());
        println!(
            "curl -s -u test-client:test-secret -d 'grant_type=client_credentials&scope=read:users' {}",
            issuer.token_endpoint()
        );
    } else {
        println!("TOKEN=<an access token of your issuer for this audience>");
    }
    for api in [axum, actix] {
        println!("curl -i {api}/me");
        println!("curl -i -H \"Authorization: Bearer $TOKEN\" {api}/me");
        println!("curl -i -H \"Authorization: Bearer $TOKEN\" {api}/users");
    }
}
