//! Every rule of headers as a row of a table.

use proptest::prelude::*;

use super::*;
use crate::jose::base64url::{HeaderBuffer, encode};

const MALFORMED: Result<(), HeaderError> = Err(HeaderError::Malformed(""));
const NOT_ALLOWED: Result<(), HeaderError> = Err(HeaderError::AlgorithmNotAllowed(""));

/// The verdict without its explanation, which is free to change.
fn verdict(json: &[u8]) -> Result<(), HeaderError> {
    match parse(encode(json).as_bytes(), &mut HeaderBuffer::new()) {
        Ok(_) => Ok(()),
        Err(HeaderError::Malformed(_)) => MALFORMED,
        Err(HeaderError::AlgorithmNotAllowed(_)) => NOT_ALLOWED,
        Err(other) => Err(other),
    }
}

fn members(count: usize) -> String {
    let others: String = (0..count - 1).map(|at| format!(r#","{at}":0"#)).collect();
    format!(r#"{{"alg":"RS256"{others}}}"#)
}

#[test]
fn reads_what_it_needs_and_leaves_the_rest() {
    let encoded =
        encode(br#" {"typ":"at+jwt","alg":"ES256","kid":"\u0061 1","x5t":"q","jku":"https://evil.example","n":[{}]} "#);
    let mut buffer = HeaderBuffer::new();
    let header = parse(encoded.as_bytes(), &mut buffer).unwrap();
    assert_eq!(header, Header { alg: Algorithm::ES256, kid: Some("a 1".into()), typ: TokenType::AccessToken });
}

#[test]
fn a_plain_kid_is_borrowed() {
    let mut buffer = HeaderBuffer::new();
    let encoded = encode(br#"{"alg":"RS256","kid":"a"}"#);
    let header = parse(encoded.as_bytes(), &mut buffer).unwrap();
    assert!(matches!(header.kid, Some(Cow::Borrowed("a"))));
}

#[test]
fn holds_every_rule() {
    let kid = |length| format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(length));
    let nested = |depth: usize| format!(r#"{{"alg":"RS256","x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    for (json, expected, why) in [
        (r#"{"alg":"RS256"}"#, Ok(()), "the least"),
        (r#"{"alg":"Ed25519"}"#, Ok(()), "RFC 9864"),
        (r#"{"alg":"RS256","kid":""}"#, Ok(()), "an empty name is a name"),
        (r#"{"alg":"RS256","b64":true}"#, Ok(()), "what holds anyway"),
        (r#"{"alg":"RS256","jwk":{"kty":"oct","k":"AA"},"x5c":["AA"],"x5u":1}"#, Ok(()), "keys in a token are skipped"),
        (r#"{"alg":"RS256","Alg":"none"}"#, Ok(()), "names are case-sensitive"),
        // algorithms
        (r#"{"alg":"none"}"#, NOT_ALLOWED, "unsigned"),
        (r#"{"alg":"nOnE"}"#, NOT_ALLOWED, "unsigned, spelt oddly"),
        (r#"{"alg":"rs256"}"#, NOT_ALLOWED, "names are case-sensitive"),
        (r#"{"alg":"RS1"}"#, NOT_ALLOWED, "nobody's"),
        (r#"{"alg":""}"#, NOT_ALLOWED, "empty"),
        (r#"{"alg":null}"#, MALFORMED, "null"),
        (r#"{"alg":1}"#, MALFORMED, "a number"),
        (r#"{"alg":["RS256"]}"#, MALFORMED, "a list"),
        (r#"{"alg":{"RS256":1}}"#, MALFORMED, "an object"),
        (r#"{"kid":"a"}"#, MALFORMED, "no alg"),
        (r"{}", MALFORMED, "nothing"),
        // wrong types
        (r#"{"alg":"RS256","kid":1}"#, MALFORMED, "a numeric kid"),
        (r#"{"alg":"RS256","kid":null}"#, MALFORMED, "a null kid"),
        (r#"{"alg":"RS256","typ":true}"#, MALFORMED, "a boolean typ"),
        (r#"{"alg":"RS256","typ":null}"#, MALFORMED, "a null typ"),
        (&kid(LONGEST_KID), Ok(()), "the longest kid"),
        (&kid(LONGEST_KID + 1), MALFORMED, "a longer kid"),
        // extensions
        (r#"{"alg":"RS256","crit":["exp"],"exp":1}"#, Err(HeaderError::Critical), "an extension"),
        (r#"{"alg":"RS256","crit":["b64"],"b64":false}"#, Err(HeaderError::Critical), "RFC 7797"),
        (r#"{"alg":"RS256","crit":["alg"]}"#, Err(HeaderError::Critical), "a name of the RFC itself"),
        (r#"{"alg":"RS256","crit":[]}"#, MALFORMED, "an empty list"),
        (r#"{"alg":"RS256","crit":null}"#, MALFORMED, "null"),
        (r#"{"alg":"RS256","crit":"exp"}"#, MALFORMED, "a string"),
        (r#"{"alg":"RS256","crit":[1]}"#, MALFORMED, "a list of numbers"),
        (r#"{"alg":"RS256","crit":["exp",1]}"#, MALFORMED, "a list of both"),
        (r#"{"alg":"RS256","b64":false}"#, MALFORMED, "unencoded without crit"),
        (r#"{"alg":"RS256","b64":"false"}"#, MALFORMED, "a string"),
        (r#"{"alg":"RS256","zip":"DEF"}"#, MALFORMED, "compressed"),
        (r#"{"alg":"RS256","zip":null}"#, MALFORMED, "zip at all"),
        (r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#, Err(HeaderError::Encrypted), "a JWE"),
        (r#"{"alg":"dir","enc":"A256GCM","zip":"DEF","crit":["x"]}"#, Err(HeaderError::Encrypted), "a JWE with more"),
        (r#"{"enc":1}"#, Err(HeaderError::Encrypted), "an odd JWE"),
        // one object, no name twice
        (r#"{"alg":"RS256","alg":"RS256"}"#, MALFORMED, "alg twice"),
        (r#"{"alg":"RS256","\u0061lg":"none"}"#, MALFORMED, "alg twice, spelt differently"),
        (r#"{"alg":"RS256","kid":"a","kid":"b"}"#, MALFORMED, "kid twice"),
        (r#"{"alg":"RS256","x":1,"x":1}"#, MALFORMED, "an unknown name twice"),
        (r#"{"alg":"RS256","x5c":1,"x5c":1}"#, MALFORMED, "a skipped name twice"),
        (r#"{"alg":"RS256"}{}"#, MALFORMED, "two objects"),
        (r#"{"alg":"RS256"} x"#, MALFORMED, "something behind"),
        (r#"[{"alg":"RS256"}]"#, MALFORMED, "a list"),
        (r#"["RS256","kid","JWT"]"#, MALFORMED, "a list of values"),
        (r#""RS256""#, MALFORMED, "a string"),
        ("null", MALFORMED, "null"),
        ("", MALFORMED, "nothing at all"),
        (r#"{"alg":"RS256",}"#, MALFORMED, "a comma too many"),
        (r#"{'alg':'RS256'}"#, MALFORMED, "other quotes"),
        (r#"{"alg":"RS256","x":1e999999}"#, MALFORMED, "a number beyond numbers"),
        (r#"{"alg":"RS256","x":"\ud800"}"#, MALFORMED, "half a character"),
        ("\u{feff}{\"alg\":\"RS256\"}", MALFORMED, "a byte order mark"),
        (&members(MOST_MEMBERS), Ok(()), "the most members"),
        (&members(MOST_MEMBERS + 1), MALFORMED, "more members"),
        (&nested(100), Ok(()), "nested"),
        (&nested(10_000), MALFORMED, "nested beyond reason"),
        (&"[".repeat(10_000), MALFORMED, "ten thousand brackets"),
        (&r#"{"a":"#.repeat(10_000), MALFORMED, "ten thousand braces"),
    ] {
        assert_eq!(verdict(json.as_bytes()), expected, "{why}");
    }
}

#[test]
fn refuses_text_that_is_not_base64url_of_utf8() {
    let good = encode(br#"{"alg":"RS256"}"#);
    for encoded in [format!("{good}="), format!(" {good}"), format!("{good}\n"), good.replace('e', "+"), String::new()]
    {
        assert!(parse(encoded.as_bytes(), &mut HeaderBuffer::new()).is_err(), "{encoded}");
    }
    assert_eq!(verdict(b"{\"alg\":\"RS256\",\"x\":\"\xff\"}"), MALFORMED);
}

#[test]
fn ten_thousand_brackets_cost_no_more_than_the_first_hundred() {
    let deep = encode(format!(r#"{{"alg":"RS256","x":{}"#, "[".repeat(10_000)).as_bytes());
    // The quickest of a hundred: a busy machine may take long over any of them, and not over all.
    let quickest = (0..100).map(|_| {
        let started = std::time::Instant::now();
        assert!(parse(deep.as_bytes(), &mut HeaderBuffer::new()).is_err());
        started.elapsed()
    });
    assert!(quickest.min().is_some_and(|quickest| quickest < std::time::Duration::from_millis(10)));
}

#[test]
fn the_verdict_never_holds_text_of_the_token() {
    for json in [r#"{"alg":"canary"}"#, r#"{"canary":1,"canary":1}"#, r#"{"alg":"RS256","crit":["canary"]}"#, "canary"]
    {
        let error = parse(encode(json.as_bytes()).as_bytes(), &mut HeaderBuffer::new()).unwrap_err();
        assert!(!format!("{error:?}").contains("canary"));
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(encoded in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&encoded, &mut HeaderBuffer::new());
    }

    #[test]
    fn no_bytes_make_it_panic(json in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = verdict(&json);
    }

    #[test]
    fn no_near_miss_makes_it_panic(
        json in r#"\{("(alg|kid|typ|crit|b64|enc|x)":("RS256"|"none"|1|null|\[("a"|1)?\]|true|\{\}),?){0,5}\}"#
    ) {
        let _ = verdict(json.as_bytes());
    }
}
