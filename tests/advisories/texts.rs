//! Attacks on the text of a token: its parts, its JSON, its claims.

use std::time::{Duration, Instant};

use serde_json::json;
use token_core::{ErrorKind, Issuer, Presented, ResourceServer};

use super::{Place, shown};

const UNREADABLE: &[ErrorKind] = &[ErrorKind::Malformed, ErrorKind::InvalidRequest];

#[tokio::test]
async fn refuses_a_missing_signature() {
    let place = Place::new().await;
    let good = place.issuer.token().mint();
    let signed = good.rsplit_once('.').unwrap().0;
    for ending in ["", ".", ".AA", ".AAAA", "..", ". "] {
        let verdict = place.verdict(&format!("{signed}{ending}")).await;
        let kinds = [ErrorKind::BadSignature, ErrorKind::Malformed, ErrorKind::InvalidRequest];
        Place::assert_one_of(&verdict, &kinds, ending);
    }
    shown("refuses_a_missing_signature");
}

#[tokio::test]
async fn refuses_every_critical_extension() {
    let place = Place::new().await;
    for crit in [
        json!(["b64"]),
        json!(["exp"]),
        json!(["alg"]),
        json!(["http://example.com/extension"]),
        json!([]),
        json!([""]),
        json!([1]),
        json!("exp"),
        json!({}),
        json!(null),
        json!(false),
    ] {
        let token = place.issuer.token().header("crit", crit.clone()).header("b64", true).header("exp", 1);
        Place::assert_one_of(&place.verdict(&token.mint()).await, &[ErrorKind::Malformed], &crit.to_string());
    }
    shown("refuses_every_critical_extension");
}

#[tokio::test]
async fn refuses_claims_of_the_wrong_type() {
    let place = Place::new().await;
    for claim in ["exp", "nbf", "iat", "sub", "jti", "iss", "aud", "client_id"] {
        for value in [json!("x"), json!(null), json!(true), json!({}), json!([]), json!([1]), json!(1.5e300), json!(-7)]
        {
            let right = match claim {
                "exp" | "nbf" | "iat" => false,
                // Any string is a subject; an audience or issuer has to be the right one and is not.
                "sub" | "jti" | "client_id" => value.is_string(),
                _ => false,
            };
            let verdict = place.verdict(&place.issuer.token().claim(claim, value.clone()).mint()).await;
            assert_eq!(verdict.is_ok(), right, "{claim} {value}: {verdict:?}");
        }
    }
    shown("refuses_claims_of_the_wrong_type");
}

#[tokio::test]
async fn survives_absurd_numbers() {
    let place = Place::new().await;
    let numbers = [
        "0",
        "-0",
        "-1",
        "1e-400",
        "1e400",
        "-1e400",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551616",
        "9007199254740993",
        "1e18",
        "1.7976931348623157e308",
        "253402300800",
        "99999999999999999999999999999999999999",
    ];
    for number in numbers {
        for claim in ["exp", "nbf", "iat"] {
            let (issuer, audience) = (place.issuer.url(), place.issuer.audience());
            let exp = if claim == "exp" { "" } else { r#","exp":32503680000"# };
            let text = format!(r#"{{"iss":"{issuer}","aud":"{audience}","sub":"a"{exp},"{claim}":{number}}}"#);
            // Whatever it says, it is said in words and not in a panic; what lies in the past or is no number never passes.
            let verdict = place.verdict(&place.issuer.token().raw_claims(text).mint()).await;
            if claim == "exp" && (number.starts_with('-') || ["0", "1e-400", "1e400"].contains(&number)) {
                assert!(verdict.is_err(), "{claim} {number}: {verdict:?}");
            }
            if claim == "nbf" && ["253402300800", "9007199254740993", "9223372036854775807"].contains(&number) {
                assert!(verdict.is_err(), "{claim} {number}: {verdict:?}");
            }
        }
    }
    shown("survives_absurd_numbers");
}

#[tokio::test]
async fn refuses_an_issuer_that_is_no_string() {
    let place = Place::new().await;
    let url = place.issuer.url();
    for issuer in
        [json!([url]), json!([url, "https://evil.example"]), json!({ "0": url }), json!(null), json!(1), json!(true)]
    {
        let verdict = place.verdict(&place.issuer.token().claim("iss", issuer.clone()).mint()).await;
        let kinds = [ErrorKind::Malformed, ErrorKind::UnknownIssuer, ErrorKind::ClaimsMismatch];
        Place::assert_one_of(&verdict, &kinds, &issuer.to_string());
    }
    shown("refuses_an_issuer_that_is_no_string");
}

#[tokio::test]
async fn compares_the_issuer_byte_by_byte() {
    let place = Place::new().await;
    let url = place.issuer.url().to_owned();
    let shorter = &url[..url.len() - 1];
    for issuer in [
        "",
        "h",
        "http://",
        shorter,
        &format!("{url}/"),
        &format!("{url} "),
        &format!(" {url}"),
        &url.to_uppercase(),
        &format!("{url}@evil.example"),
        &format!("{url}\u{0}"),
        &url.replace("127.0.0.1", "localhost"),
        &format!("{url}.evil.example"),
    ] {
        let verdict = place.verdict(&place.issuer.token().issuer(issuer).mint()).await;
        Place::assert_one_of(&verdict, &[ErrorKind::UnknownIssuer], issuer);
    }
    shown("compares_the_issuer_byte_by_byte");
}

#[tokio::test]
async fn refuses_audiences_of_odd_shapes() {
    let place = Place::new().await;
    let ours = place.issuer.audience().to_owned();
    for audience in [
        json!([]),
        json!([""]),
        json!(""),
        json!(null),
        json!([null]),
        json!([[ours.clone()]]),
        json!({ ours.clone(): 1 }),
        json!(1),
        json!([1, ours.clone()]),
        json!(format!("{ours}/")),
        json!(format!("{ours} https://other.example")),
        json!(&ours[..ours.len() - 1]),
        json!(ours.to_uppercase()),
        json!(["https://other.example"]),
        json!(format!("[\"{ours}\"]")),
    ] {
        let verdict = place.verdict(&place.issuer.token().claim("aud", audience.clone()).mint()).await;
        Place::assert_one_of(&verdict, &[ErrorKind::WrongAudience, ErrorKind::Malformed], &audience.to_string());
    }
    let several = json!(["https://other.example", ours]);
    assert!(place.verdict(&place.issuer.token().claim("aud", several).mint()).await.is_ok());
    shown("refuses_audiences_of_odd_shapes");
}

#[tokio::test]
async fn refuses_every_serialization_but_the_compact_one() {
    let place = Place::new().await;
    let good = place.issuer.token().mint();
    let parts: Vec<_> = good.split('.').collect();
    let flat = json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]}).to_string();
    let general =
        json!({"payload": parts[1], "signatures": [{"protected": parts[0], "signature": parts[2]}]}).to_string();
    let polyglot = format!(
        r#"{{"  {}.{}.":"","protected":"{}","payload":"e30","signature":"{}"}}"#,
        parts[0], parts[1], parts[0], parts[2]
    );
    for text in [
        flat,
        general,
        polyglot,
        format!("{good}\n"),
        format!(" {good}"),
        format!("\"{good}\""),
        good.replace('.', "%2E"),
    ] {
        Place::assert_one_of(&place.verdict(&text).await, UNREADABLE, &text);
    }
    shown("refuses_every_serialization_but_the_compact_one");
}

#[tokio::test]
async fn refuses_encrypted_tokens_whatever_is_inside() {
    let place = Place::new().await;
    let plain = place.issuer.token().alg_none().mint();
    let header = r#"{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWT"}"#;
    let three = place.issuer.token().raw_header(header).mint();
    let encoded = three.split('.').next().unwrap();
    let five = format!("{encoded}.AAAA.AAAA.{}.AAAA", plain.replace('.', "A"));
    for token in [three, five] {
        Place::assert_one_of(&place.verdict(&token).await, &[ErrorKind::WrongType], "JWE");
    }
    shown("refuses_encrypted_tokens_whatever_is_inside");
}

#[tokio::test]
async fn refuses_compressed_tokens() {
    let place = Place::new().await;
    for zip in [json!("DEF"), json!("GZIP"), json!(""), json!(null), json!(1)] {
        let verdict = place.verdict(&place.issuer.token().header("zip", zip.clone()).mint()).await;
        Place::assert_one_of(&verdict, &[ErrorKind::Malformed], &zip.to_string());
    }
    shown("refuses_compressed_tokens");
}

#[tokio::test]
async fn refuses_password_based_encryption_without_working_for_it() {
    let place = Place::new().await;
    let header = r#"{"alg":"PBES2-HS512+A256KW","p2c":2147483647,"p2s":"AAAA""#;
    let start = Instant::now();
    for header in [format!("{header}}}"), format!(r#"{header},"enc":"A256GCM"}}"#)] {
        let verdict = place.verdict(&place.issuer.token().raw_header(header).mint()).await;
        Place::assert_one_of(&verdict, &[ErrorKind::AlgorithmNotAllowed, ErrorKind::WrongType], "PBES2");
    }
    assert!(start.elapsed() < Duration::from_secs(60), "the work would take half an hour");
    shown("refuses_password_based_encryption_without_working_for_it");
}

#[tokio::test]
async fn refuses_a_million_dots_at_once() {
    let place = Place::new().await;
    let start = Instant::now();
    for text in [".".repeat(1_000_000), "a.".repeat(500_000), "a".repeat(1_000_000), "....".to_owned()] {
        let kinds = [ErrorKind::Malformed, ErrorKind::InvalidRequest, ErrorKind::WrongType];
        Place::assert_one_of(&place.verdict(&text).await, &kinds, "dots");
    }
    assert!(start.elapsed() < Duration::from_secs(60), "whoever looks at each pair of dots takes hours");
    shown("refuses_a_million_dots_at_once");
}

#[tokio::test]
async fn refuses_deep_nesting_without_a_deep_stack() {
    let place = Place::new().await;
    let trusted = Issuer::discover(place.issuer.url()).unwrap().allow_loopback_http();
    let roomy = ResourceServer::builder(place.issuer.audience()).trust(trusted).clock(place.clock.clone());
    let roomy = roomy.max_token_bytes(8 << 20).build().unwrap();
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        for closed in [true, false] {
            let end = if closed { close.repeat(200_000) } else { String::new() };
            let deep = format!(r#"{{"x":{}1{end}}}"#, open.repeat(200_000));
            for token in [place.issuer.token().raw_claims(&deep), place.issuer.token().raw_header(&deep)] {
                let verdict = roomy.authenticate(Presented::token(&token.mint())).await;
                let kind = verdict.expect_err("no claims, or no header").kind();
                assert!(matches!(kind, ErrorKind::Malformed | ErrorKind::ClaimsMismatch), "{kind}");
            }
        }
        // Signed by the issuer itself, and asked for as a value of any shape: still no crash.
        let deep = format!("{}1{}", open.repeat(200_000), close.repeat(200_000));
        let (issuer, audience) = (place.issuer.url(), place.issuer.audience());
        let claims = format!(r#"{{"iss":"{issuer}","aud":"{audience}","exp":32503680000,"x":{deep}}}"#);
        if let Ok(verified) =
            roomy.authenticate(Presented::token(&place.issuer.token().raw_claims(claims).mint())).await
        {
            assert!(verified.claims::<serde_json::Value>().is_err(), "{open}: deeper than can be read");
        }
    }
    shown("refuses_deep_nesting_without_a_deep_stack");
}

#[tokio::test]
async fn refuses_every_cut_and_every_changed_letter_of_a_good_token() {
    let place = Place::new().await;
    let good = place.issuer.token().subject("ada").mint();
    assert!(place.verdict(&good).await.is_ok());
    for end in 0..good.len() {
        assert!(place.verdict(&good[..end]).await.is_err(), "cut at {end}");
    }
    for at in 0..good.len() {
        for letter in ["A", "_", ".", "=", "%", " ", "\u{e9}"] {
            let changed = format!("{}{letter}{}", &good[..at], &good[at + 1..]);
            assert!(changed == good || place.verdict(&changed).await.is_err(), "{letter} at {at}");
        }
    }
    shown("refuses_every_cut_and_every_changed_letter_of_a_good_token");
}
