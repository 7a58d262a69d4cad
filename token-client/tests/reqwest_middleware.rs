//! The `reqwest-middleware` client against a real server: which requests carry which token.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Mutex;

use token_client::{Acquire, BearerClient, Origins, Token, TokenError, TokenErrorKind, TokenSource};
use token_test::{Endpoint, TestIssuer};

/// Hands out these tokens, one after the other with each renewal; fails when there is none.
#[derive(Debug)]
struct Source(Mutex<Vec<String>>);

impl Source {
    fn of<const N: usize>(tokens: [&str; N]) -> Self {
        Self(Mutex::new(tokens.iter().rev().map(|token| (*token).to_owned()).collect()))
    }
}

impl TokenSource for Source {
    fn token(&self) -> Acquire<'_> {
        Acquire::ready(match self.0.lock().unwrap().last() {
            Some(text) => Token::bearer(text.as_str(), None),
            None => Err(TokenError::new(TokenErrorKind::Timeout, "no answer")),
        })
    }

    fn renew(&self, _: &Token) -> Acquire<'_> {
        self.0.lock().unwrap().pop();
        self.token()
    }
}

/// Asks a server that wants a token for a user that does not exist: 404 means that the token was taken.
async fn ask(issuer: &TestIssuer, source: Source, origin: &str) -> Result<u16, reqwest_middleware::Error> {
    let client = BearerClient::new(source, Origins::of([origin]).unwrap()).client(reqwest::Client::builder())?.build();
    let answer = client.get(format!("{}/api/v2/users/nobody", issuer.url())).send().await?;
    Ok(answer.status().as_u16())
}

#[tokio::test]
async fn a_listed_origin_gets_the_token_and_a_new_one_after_a_401() {
    let issuer = TestIssuer::start().await;
    let good = issuer.token().scope("read:users").mint();
    let bad = issuer.token().scope("read:users").expired().mint();
    for (tokens, status, requests) in [
        ([good.as_str(), "unused"], 404, 1),
        ([&bad, &good], 404, 2),
        ([&bad, &bad], 401, 1), // the same text again is of no use
        ([&bad, "also bad"], 401, 2),
    ] {
        issuer.forget_hits();
        assert_eq!(ask(&issuer, Source::of(tokens), issuer.url()).await.unwrap(), status, "{requests}");
        assert_eq!(issuer.hits(Endpoint::Management), requests);
    }
}

#[tokio::test]
async fn an_origin_that_is_not_listed_gets_no_token() {
    let issuer = TestIssuer::start().await;
    let good = issuer.token().scope("read:users").mint();
    assert_eq!(ask(&issuer, Source::of([good.as_str()]), "https://elsewhere.example").await.unwrap(), 401);
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let issuer = TestIssuer::start().await;
    let error = ask(&issuer, Source::of([]), issuer.url()).await.unwrap_err();
    assert!(error.is_middleware(), "{error:?}");
    assert_eq!(issuer.hits(Endpoint::Management), 0);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_a_way() {
    let (issuer, other) = (TestIssuer::start().await, TestIssuer::start().await);
    issuer.faults().at(Endpoint::Management).redirect(&format!("{}/api/v2/users/nobody", other.url()));
    let good = issuer.token().scope("read:users").mint();
    assert_eq!(ask(&issuer, Source::of([good.as_str()]), issuer.url()).await.unwrap(), 307);
    assert_eq!(other.hits(Endpoint::Management), 0);
}
