//! The attack list as rows of the case table: for each attack the refusal that it gets, through tower, axum, actix-web and gRPC alike.

use std::cell::RefCell;

use bytes::Bytes;
use http::{Method, Request, Response};
use token_core::ErrorKind::{
    self, AlgorithmNotAllowed, BadSignature, ClaimsMismatch, Expired, Inactive, InsufficientScope, InvalidRequest,
    Malformed, MissingToken, NotYetValid, SenderConstrained, UnknownIssuer, UnknownKey, WrongAudience, WrongType,
};
use token_core::revocation::StatusLists;
use token_core::{Issuer, ResourceServer};
use token_test::TestIssuer;
use token_test::attacks::{Class, attacks};
use token_tests::{Ask, Via, ask};

use crate::cases::{case, check};

const ROWS: &[(&str, ErrorKind)] = &[
    ("alg none, no signature", AlgorithmNotAllowed),
    ("alg None, no signature", AlgorithmNotAllowed),
    ("alg NONE, no signature", AlgorithmNotAllowed),
    ("alg nOnE, no signature", AlgorithmNotAllowed),
    ("an empty alg, no signature", AlgorithmNotAllowed),
    ("alg none with a signature that is good for another header", AlgorithmNotAllowed),
    ("no alg", Malformed),
    ("alg is a number", Malformed),
    ("alg is null", Malformed),
    ("alg in small letters", AlgorithmNotAllowed),
    ("the public key as PEM for an HS256 secret", AlgorithmNotAllowed),
    ("the same without the last line break", AlgorithmNotAllowed),
    ("the public key as PEM for an HS512 secret", AlgorithmNotAllowed),
    ("an empty HS256 secret", AlgorithmNotAllowed),
    ("a guessed HS256 secret", AlgorithmNotAllowed),
    ("another algorithm under the name of a published key", AlgorithmNotAllowed),
    ("signed by somebody else under a published name", BadSignature),
    ("signed by somebody else, no kid", UnknownKey),
    ("signed by somebody else, a kid nobody published", UnknownKey),
    ("a kid that is a path", UnknownKey),
    ("a kid that is a query", UnknownKey),
    ("a kid that is an address", UnknownKey),
    ("a kid that is a number", Malformed),
    ("its own key in the header (jwk)", BadSignature),
    ("an address of keys in the header (jku)", BadSignature),
    ("an address of certificates in the header (x5u)", BadSignature),
    ("certificates in the header (x5c)", BadSignature),
    ("no signature", BadSignature),
    ("half of the signature", BadSignature),
    ("a signature of zeros", BadSignature),
    ("the signature of another token", BadSignature),
    ("claims changed after signing", BadSignature),
    ("another issuer", UnknownIssuer),
    ("no issuer", ClaimsMismatch),
    ("an empty issuer", UnknownIssuer),
    ("the issuer with another end", UnknownIssuer),
    ("the issuer in capitals", UnknownIssuer),
    ("the issuer as a prefix", UnknownIssuer),
    ("a part of the issuer", UnknownIssuer),
    ("the issuer in a list", Malformed),
    ("the issuer in an object", Malformed),
    ("another audience", WrongAudience),
    ("other audiences", WrongAudience),
    ("an empty audience", WrongAudience),
    ("no audience in the list", WrongAudience),
    ("the audience is null", Malformed),
    ("the audience in an object", Malformed),
    ("the audience in a list in a list", Malformed),
    ("the audience as a prefix", WrongAudience),
    ("a part of the audience", WrongAudience),
    ("the audience among others in one text", WrongAudience),
    ("no audience", WrongAudience),
    ("an ID token", WrongAudience),
    ("an ID token that names this API", WrongType),
    ("a logout token", WrongType),
    ("a refresh token that is a JWT", WrongType),
    ("a proof of possession", WrongType),
    ("a security event", WrongType),
    ("a status list token", WrongType),
    ("an introspection answer", WrongType),
    ("a client's assertion", WrongType),
    ("an authorization request", WrongType),
    ("no expiry", ClaimsMismatch),
    ("an expiry that is a text", Malformed),
    ("an expiry that is null", Malformed),
    ("an expiry that is true", Malformed),
    ("an expiry that is a list", Malformed),
    ("an expiry that is an object", Malformed),
    ("an expiry before the epoch", Malformed),
    ("a start that is a text", Malformed),
    ("a start that is a list", Malformed),
    ("a subject that is a list", Malformed),
    ("a subject twice", Malformed),
    ("an expiry twice, the later one in the future", Malformed),
    ("claims that are a list", Malformed),
    ("claims that are null", Malformed),
    ("claims that are a text", Malformed),
    ("something after the claims", Malformed),
    ("claims without an end", Malformed),
    ("claims four thousand lists deep", BadSignature),
    ("an expiry beyond all numbers", Malformed),
    ("expired an hour ago", Expired),
    ("expired a second past the leeway", Expired),
    ("not good for another hour", NotYetValid),
    ("expired since the epoch", Expired),
    ("padded parts", InvalidRequest),
    ("the alphabet of plain Base64", Malformed),
    ("a blank in the claims", InvalidRequest),
    ("one part", Malformed),
    ("two parts", Malformed),
    ("four parts", Malformed),
    ("five parts, as if encrypted", WrongType),
    ("a dot before it", Malformed),
    ("a thousand dots", Malformed),
    ("one odd letter at the end", InvalidRequest),
    ("a header that is not UTF-8", Malformed),
    ("a header with a byte order mark", Malformed),
    ("the JSON serialization", InvalidRequest),
    ("a token of 64 KiB", Malformed),
    ("a token of a megabyte", Malformed),
    ("a critical extension that nobody knows", Malformed),
    ("an empty list of critical extensions", Malformed),
    ("critical extensions that are a text", Malformed),
    ("a payload that is not encoded", Malformed),
    ("a compressed payload", Malformed),
    ("an algorithm twice", Malformed),
    ("a header that is a list", Malformed),
    ("no credentials", MissingToken),
    ("an empty field", MissingToken),
    ("the scheme alone", InvalidRequest),
    ("the token alone", MissingToken),
    ("another scheme", MissingToken),
    ("Basic credentials", MissingToken),
    ("a scheme that begins alike", MissingToken),
    ("a good field and a forged one", InvalidRequest),
    ("a forged field and a good one", InvalidRequest),
    ("two tokens in one field", InvalidRequest),
    ("something after the token", InvalidRequest),
    ("a good token in a field of a proxy", MissingToken),
    ("a good token in another field", MissingToken),
    ("a good token in Proxy-Authorization", MissingToken),
    ("a good token in a cookie", MissingToken),
    ("who they are, said by themselves", MissingToken),
    ("a good token in the query", MissingToken),
    ("no credentials, a slash twice", MissingToken),
    ("no credentials, a slash at the end", MissingToken),
    ("no credentials, a dot segment", MissingToken),
    ("no credentials, up and down again", MissingToken),
    ("no credentials, a letter as an escape", MissingToken),
    ("no credentials, in capitals", MissingToken),
    ("no credentials, a slash as an escape", MissingToken),
    ("no credentials, a parameter in the path", MissingToken),
    ("no credentials, an empty query", MissingToken),
    ("no credentials, a page's ending", MissingToken),
    ("no credentials, HEAD", MissingToken),
    ("no credentials, fields that say another path and method", MissingToken),
    ("no credentials, fields that say it comes from here", MissingToken),
    ("no scope", InsufficientScope),
    ("an empty scope", InsufficientScope),
    ("another scope", InsufficientScope),
    ("the scope in capitals", InsufficientScope),
    ("a part of the scope", InsufficientScope),
    ("the scope as a prefix", InsufficientScope),
    ("the scope as a suffix", InsufficientScope),
    ("the scope among others, joined by commas", InsufficientScope),
    ("a star", InsufficientScope),
    ("the scope in an object", Malformed),
    ("bound to a key, sent as a bearer token", SenderConstrained),
    ("bound to a certificate, sent without it", SenderConstrained),
    ("bound by a method that nobody knows", SenderConstrained),
    ("bound by something that is no object", SenderConstrained),
    ("bound to nothing", SenderConstrained),
    ("bound to a key, without a proof", MissingToken),
    ("not bound, sent as if it were", MissingToken),
    ("bound to a key, with a token for a proof", MissingToken),
    ("bound to a certificate that the client itself names", SenderConstrained),
    ("another subject under a header and signature seen before", BadSignature),
    ("a signature seen before, backwards", BadSignature),
    ("a token seen before, one letter longer", BadSignature),
    ("a token seen before, one letter shorter", Malformed),
    ("a token that was revoked", Inactive),
    ("a token that is suspended", Inactive),
    ("a token with a status of an application", Inactive),
    ("a place beyond the end of the list", ClaimsMismatch),
    ("a place before the start of the list", ClaimsMismatch),
    ("a place that is a text", ClaimsMismatch),
    ("a place that is a fraction", ClaimsMismatch),
    ("a place that is null", ClaimsMismatch),
    ("a place past all numbers", ClaimsMismatch),
    ("a list at a stranger's", ClaimsMismatch),
    ("a list at the address of a cloud's metadata", ClaimsMismatch),
    ("a list that is a file", ClaimsMismatch),
    ("a list of no address", ClaimsMismatch),
    ("a status that is null", ClaimsMismatch),
    ("a status that is a text", ClaimsMismatch),
    ("a status of another kind", ClaimsMismatch),
    ("a status list token with an access token's claims", WrongType),
    ("encrypted to another key", WrongType),
];

#[actix_web::test]
async fn every_attack_gets_the_answer_of_its_row_in_every_framework() {
    let issuer = TestIssuer::start().await;
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let trusted = trusted.status_lists(StatusLists::new().required());
    let api = ResourceServer::builder(issuer.audience()).trust(trusted).realm("tests").build().unwrap();
    let seen = RefCell::new(Vec::new());
    let send = |request: Request<Bytes>| {
        let (api, seen) = (&api, &seen);
        async move {
            let mut replies = Vec::new();
            let asked = plain(&request);
            for via in Via::ALL {
                replies.push(ask(via, api, false, &asked).await);
            }
            let grpc = super::grpc(api, call(request)).await;
            let status = replies[0].status;
            seen.borrow_mut().push((asked, replies, grpc));
            Response::builder().status(status).body(Bytes::new()).map_err(|error| error.to_string())
        }
    };
    let report = attacks(&issuer).route("GET /users").granted("read:users").status_lists().run_against(send).await;
    let rows = report.rows().iter().zip(seen.take());
    let (good, tried): (Vec<_>, Vec<_>) = rows.partition(|(row, _)| row.class == Class::Good);
    assert_eq!(good.len(), 6);
    for (row, (asked, replies, grpc)) in good {
        for (via, reply) in Via::ALL.into_iter().zip(&replies) {
            check(&case(row.name, asked.clone(), Ok("everybody")), via, reply);
        }
        assert_eq!(grpc, Ok(0), "{}", row.name);
    }
    let names: Vec<_> = tried.iter().map(|(row, _)| row.name).collect();
    let expected: Vec<_> = ROWS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, expected, "each attack has a row, and each row an attack");
    for ((_, kind), (row, (asked, replies, grpc))) in ROWS.iter().zip(tried) {
        for (via, mut reply) in Via::ALL.into_iter().zip(replies.clone()) {
            if asked.method == Method::HEAD {
                // axum takes its body away before the wire does.
                reply.body.clone_from(&replies[0].body);
            }
            check(&case(row.name, asked.clone(), Err(*kind)), via, &reply);
            assert_eq!(reply, replies[0], "{} through {via:?} and tower", row.name);
        }
        assert_eq!(grpc, Ok(kind.grpc_status()), "{} through gRPC", row.name);
    }
}

/// The same credentials with a call.
fn call(request: Request<Bytes>) -> Request<Bytes> {
    let (mut parts, body) = request.into_parts();
    let query = parts.uri.query().map_or_else(String::new, |query| format!("?{query}"));
    (parts.method, parts.uri) = (Method::POST, format!("/health.v1/Check{query}").parse().unwrap());
    Request::from_parts(parts, body)
}

/// The request as plain values.
fn plain(request: &Request<Bytes>) -> Ask {
    let asked = Ask { method: request.method().clone(), ..Ask::of(request.uri().to_string()) };
    request.headers().iter().fold(asked, |asked, (name, value)| asked.header(name.as_str(), value))
}
