//! Claims as they come, good and bad, as rows of tables.

use super::*;

fn verdict(json: &str) -> Result<(Text, Claims), ClaimsError> {
    parse(json.to_owned(), "")
}

#[test]
fn registered_claims_are_read_as_they_were_written() {
    let json =
        r#"{"iss":"https://a/","sub":"a\"b","aud":["x","y\u00e9"],"exp":1.5,"nbf":1,"scope":"a  b","z":{"iss":[]}}"#;
    let (text, claims) = verdict(json).unwrap();
    assert_eq!(text.json(), json);
    assert_eq!(claims.issuer.map(|span| text.get(span)), Some("https://a/"));
    assert_eq!(claims.subject.map(|span| text.get(span)), Some("a\"b"));
    let audience: Vec<_> = crate::claims::Names::new(&text, &claims.audience).iter().collect();
    assert_eq!(audience, ["x", "y\u{e9}"]);
    let scope: Vec<_> = crate::claims::Names::new(&text, &claims.scope).iter().collect();
    assert_eq!(scope, ["a", "b"]);
    assert_eq!(claims.expires, Some(Timestamp::from_millis(1500)));
}

#[test]
fn a_list_is_its_names_however_they_were_written() {
    let table: &[(&str, &[&str])] = &[
        (r#"[]"#, &[]),
        (r#"[""]"#, &[""]),
        (r#"["",""]"#, &["", ""]),
        (r#"["a"]"#, &["a"]),
        (r#"["a","b","c"]"#, &["a", "b", "c"]),
        ("[ \"a\" ,\n\"b\"\t, \"\" ]", &["a", "b", ""]),
        (r#"["a, b","]"]"#, &["a, b", "]"]),
        (r#"["\"","b"]"#, &["\"", "b"]),
        (r#"["a","\"b","c","\",\""]"#, &["a", "\"b", "c", "\",\""]),
        (r#"["a","","\u00e9","1:x"]"#, &["a", "", "\u{e9}", "1:x"]),
        (r#"["\u0061","2:b"]"#, &["a", "2:b"]),
        (r#""a b""#, &["a b"]),
        (r#""""#, &[""]),
        (r#""\"a\" b""#, &["\"a\" b"]),
    ];
    for (list, names) in table {
        let (text, claims) =
            verdict(&format!(r#"{{"sub":"\u0062","aud":{list},"iss":"\u0063","permissions":{list}}}"#)).unwrap();
        for list in [&claims.audience, &claims.permissions] {
            let found: Vec<_> = crate::claims::Names::new(&text, list).iter().collect();
            // A lone string grants what stands between its blanks.
            let spaced = matches!(list, List::Spaced(_));
            assert!(spaced || found == *names, "{found:?} {names:?}");
        }
        assert_eq!(claims.subject.map(|span| text.get(span)), Some("b"));
        assert_eq!(claims.issuer.map(|span| text.get(span)), Some("c"));
    }
}

#[test]
fn a_lone_audience_is_one_name_even_with_a_blank_in_it() {
    let (text, claims) = verdict(r#"{"aud":"a b"}"#).unwrap();
    assert_eq!(crate::claims::Names::new(&text, &claims.audience).iter().collect::<Vec<_>>(), ["a b"]);
}

#[test]
fn what_is_not_a_claims_set_is_refused() {
    const DATE: &str = "a number of seconds between 1970 and 9999";
    const LIST: &str = "a string or an array of strings";
    let table = [
        ("", ClaimsError::NotAnObject),
        ("[]", ClaimsError::NotAnObject),
        ("{} {}", ClaimsError::NotAnObject),
        (r#"{"a":1,}"#, ClaimsError::NotAnObject),
        (r#"{"a":1,"a":1}"#, ClaimsError::Duplicate),
        (r#"{"iss":"a","iss":"a"}"#, ClaimsError::Duplicate),
        (r#"{"iss":"a","\u0069ss":"a"}"#, ClaimsError::Duplicate),
        (r#"{"iss":["a"]}"#, ClaimsError::WrongType("iss", "a string")),
        (r#"{"iss":null}"#, ClaimsError::WrongType("iss", "a string")),
        (r#"{"sub":1}"#, ClaimsError::WrongType("sub", "a string")),
        (r#"{"aud":1}"#, ClaimsError::WrongType("aud", LIST)),
        (r#"{"aud":["a",1]}"#, ClaimsError::WrongType("aud", LIST)),
        (r#"{"aud":{"a":1}}"#, ClaimsError::WrongType("aud", LIST)),
        (r#"{"scope":{"a":1}}"#, ClaimsError::WrongType("scope", LIST)),
        (r#"{"exp":"1"}"#, ClaimsError::WrongType("exp", DATE)),
        (r#"{"exp":null}"#, ClaimsError::WrongType("exp", DATE)),
        (r#"{"exp":-1}"#, ClaimsError::WrongType("exp", DATE)),
        (r#"{"exp":-0.5}"#, ClaimsError::WrongType("exp", DATE)),
        (r#"{"exp":1e300}"#, ClaimsError::WrongType("exp", DATE)),
        (r#"{"exp":253402300800}"#, ClaimsError::WrongType("exp", DATE)),
        (r#"{"exp":18446744073709551616}"#, ClaimsError::WrongType("exp", DATE)),
        (r#"{"nbf":true}"#, ClaimsError::WrongType("nbf", DATE)),
        (r#"{"iat":[1]}"#, ClaimsError::WrongType("iat", DATE)),
    ];
    for (json, expected) in table {
        assert_eq!(verdict(json).err(), Some(expected), "{json}");
    }
    // An infinity is not JSON; serde_json refuses a number that overflows to one.
    assert!(verdict(r#"{"exp":1e999}"#).is_err());
}

#[test]
fn claims_without_a_registered_shape_grant_nothing_when_they_are_odd() {
    for json in [r#"{"roles":{"a":{}}}"#, r#"{"roles":["a",1]}"#, r#"{"groups":3}"#, r#"{"permissions":null}"#] {
        let (_, claims) = verdict(json).unwrap();
        assert_eq!((claims.roles, claims.groups, claims.permissions), Default::default(), "{json}");
    }
}

#[test]
fn a_duplicate_is_found_among_many_names() {
    let many: Vec<String> = (0..200).map(|n| format!("\"n{n}\":0")).collect();
    let good = format!("{{{}}}", many.join(","));
    assert!(verdict(&good).is_ok());
    for again in [0, 15, 16, 199] {
        let bad = format!("{{{},\"n{again}\":0}}", many.join(","));
        assert_eq!(verdict(&bad).err(), Some(ClaimsError::Duplicate), "{again}");
    }
}
