//! The attack list as rows of the case table: for each attack the refusal that it gets, through tower, axum, actix-web and gRPC alike.

use std::cell::RefCell;
use std::collections::BTreeSet;

use bytes::Bytes;
use http::{Method, Request, Response};
use token_core::ErrorKind::{
    self, AlgorithmNotAllowed, BadSignature, ClaimsMismatch, Expired, Inactive, InsufficientScope, InvalidRequest,
    Malformed, MissingToken, NotYetValid, SenderConstrained, Undecryptable, UnknownIssuer, UnknownKey, WrongAudience,
    WrongType,
};
use token_core::jose::encryption::{ContentEncryption, DecryptionKey, EncryptedTokens, KeyManagement};
use token_core::revocation::StatusLists;
use token_core::{Issuer, ResourceServer};
use token_test::TestIssuer;
use token_test::attacks::{Attacks, Class, Row, attacks};
use token_tests::{Ask, Reply, Via, ask};

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
    ("an encrypted token in JSON, with a header that nothing covers", InvalidRequest),
];

/// Where encrypted tokens are opened. Some are tried with some keys alone.
const SEALED: &[(&str, ErrorKind)] = &[
    ("encrypted to another key", Undecryptable),
    ("an encrypted token in JSON, with a header that nothing covers", InvalidRequest),
    ("claims that nobody signed, encrypted", Undecryptable),
    ("alg none within", AlgorithmNotAllowed),
    ("a forged signature within", BadSignature),
    ("other claims under the signature within", BadSignature),
    ("an expired token within", Expired),
    ("a token for somebody else within", WrongAudience),
    ("a stranger's token within", UnknownIssuer),
    ("a logout token within", WrongType),
    ("an encrypted token within", Undecryptable),
    ("nothing within", Undecryptable),
    ("a signed token in JSON within", Undecryptable),
    ("encrypted three times", Undecryptable),
    ("a blank before the token within", Undecryptable),
    ("compressed content", Undecryptable),
    ("RSA1_5", Undecryptable),
    ("alg none around it", Undecryptable),
    ("a signature algorithm around it", Undecryptable),
    ("another way to wrap the key", Undecryptable),
    ("agreement with key wrapping", Undecryptable),
    ("two thousand million rounds of PBES2", Undecryptable),
    ("an enc of 192 bits", Undecryptable),
    ("an enc that nobody knows", Undecryptable),
    ("enc is a number", Malformed),
    ("no cty", Undecryptable),
    ("another cty", Undecryptable),
    ("cty is a list", Malformed),
    ("a critical extension around it", Malformed),
    ("an empty list of critical extensions around it", Malformed),
    ("a kid of 4 KiB around it", Malformed),
    ("a kid that nobody has", Undecryptable),
    ("forty members around it", Malformed),
    ("encrypted to another key under our name", Undecryptable),
    ("its own key around it (jwk)", Undecryptable),
    ("an address of keys around it (jku)", Undecryptable),
    ("dir, with the public key as its secret", Undecryptable),
    ("another initialization vector", Undecryptable),
    ("another ciphertext", Undecryptable),
    ("another tag", Undecryptable),
    ("another encrypted key", Undecryptable),
    ("a tag of four bytes", Malformed),
    ("no initialization vector", Malformed),
    ("no ciphertext", Malformed),
    ("no tag", Malformed),
    ("an encrypted key of 4 KiB", Malformed),
    ("an initialization vector of 4 KiB", Malformed),
    ("a tag of 4 KiB", Malformed),
    ("an encrypted key where none belongs", Malformed),
    ("no encrypted key", Malformed),
    ("an encrypted key beyond the modulus", Undecryptable),
    ("a sixth part", Malformed),
    ("only four of its parts", Malformed),
    ("four dots", Malformed),
    ("alg twice around it", Malformed),
    ("the header of another token", Undecryptable),
    ("a point off the curve", Undecryptable),
    ("the point of zeros", Undecryptable),
    ("a point beyond the field", Undecryptable),
    ("a point of small order", Undecryptable),
    ("no point", Malformed),
    ("a point on another curve", Malformed),
    ("a point with a short coordinate", Malformed),
    ("a point that is a text", Malformed),
    ("an apu of 3 KB", Malformed),
    ("an apv of 3 KB", Malformed),
    ("an apv that is a number", Malformed),
];

/// A request, and what came of it: by the names in `Via`, and the status of gRPC.
type Seen = (Row, Ask, Vec<Reply>, Result<u8, u16>);

/// The whole list against one server through everything.
async fn tried(api: &ResourceServer, list: Attacks<'_>) -> Vec<Seen> {
    let seen = RefCell::new(Vec::new());
    let send = |request: Request<Bytes>| {
        let seen = &seen;
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
    let report = list.route("GET /users").granted("read:users").run_against(send).await;
    let rows = report.rows().iter().cloned().zip(seen.take());
    rows.map(|(row, (asked, replies, grpc))| (row, asked, replies, grpc)).collect()
}

/// Good requests are let in everywhere, and each attack gets the answer of its row; the names of the attacks.
fn hold(tried: Vec<Seen>, rows: &[(&str, ErrorKind)]) -> Vec<&'static str> {
    let mut names = Vec::new();
    for (row, asked, replies, grpc) in tried {
        let expected = match rows.iter().find(|(name, _)| *name == row.name) {
            _ if row.class == Class::Good => Ok("everybody"),
            Some((_, kind)) => Err(*kind),
            None => panic!("{} has no row", row.name),
        };
        for (via, mut reply) in Via::ALL.into_iter().zip(replies.clone()) {
            if asked.method == Method::HEAD {
                // axum takes its body away before the wire does.
                reply.body.clone_from(&replies[0].body);
            }
            check(&case(row.name, asked.clone(), expected), via, &reply);
            if expected.is_err() {
                assert_eq!(reply, replies[0], "{} through {via:?} and tower", row.name);
            }
        }
        let status = expected.map_or_else(|kind| kind.grpc_status(), |_| 0);
        assert_eq!(grpc, Ok(status), "{} through gRPC", row.name);
        if row.class != Class::Good {
            names.push(row.name);
        }
    }
    names
}

#[actix_web::test]
async fn every_attack_gets_the_answer_of_its_row_in_every_framework() {
    let issuer = TestIssuer::start().await;
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let trusted = trusted.status_lists(StatusLists::new().required());
    let api = ResourceServer::builder(issuer.audience()).trust(trusted).realm("tests").build().unwrap();
    let tried = tried(&api, attacks(&issuer).status_lists()).await;
    assert_eq!(tried.iter().filter(|(row, ..)| row.class == Class::Good).count(), 6);
    let expected: Vec<_> = ROWS.iter().map(|(name, _)| *name).collect();
    assert_eq!(hold(tried, ROWS), expected, "each attack has a row, and each row an attack");
}

#[actix_web::test]
async fn so_does_every_attack_on_encrypted_tokens_with_every_kind_of_key() {
    let mut names = BTreeSet::new();
    for key in [
        DecryptionKey::generate(KeyManagement::EcdhEs, Some("p256")),
        DecryptionKey::generate_x25519(Some("x25519")),
        DecryptionKey::generate(KeyManagement::RsaOaep256, Some("rsa")),
        DecryptionKey::generate(KeyManagement::RsaOaep, None),
        DecryptionKey::direct(ContentEncryption::A256Gcm, Some("secret"), &[7; 32]),
        DecryptionKey::direct(ContentEncryption::A128CbcHs256, None, &[7; 32]),
    ] {
        let key = key.unwrap();
        let to = key.encryption_key().unwrap();
        // Its signing key changes with each run.
        let issuer = TestIssuer::start().await;
        let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
        let api = ResourceServer::builder(issuer.audience()).trust(trusted).realm("tests");
        let api = api.encrypted_tokens(EncryptedTokens::with([key])).build().unwrap();
        let tried = tried(&api, attacks(&issuer).encrypted_to(to).only(Class::Encryption)).await;
        names.extend(hold(tried, SEALED));
    }
    let expected: BTreeSet<_> = SEALED.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, expected, "each attack has a row, and each row an attack");
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
