//! Claims that do not fit a type, and serde's error, in; which claim it is and what was expected out. Never a value.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// A name longer than this is not repeated.
const LONGEST: usize = 64;

/// Says where `json` does not fit `wanted`, a type's name, and how, without a value of it. `error` is what serde_json said.
pub(crate) fn describe(json: &str, wanted: &str, error: &serde_json::Error) -> String {
    let text = error.to_string();
    if let Some(name) = quoted(&text, "missing field ") {
        return format!("the claims have no {name}, which {wanted} asks for (an Option<T> would leave it open)");
    }
    if let Some(name) = quoted(&text, "duplicate field ") {
        return format!("the claims hold what {wanted} calls {name} twice, perhaps by an alias");
    }
    let expected = expectation(&text).unwrap_or("another type");
    match claim_at(json, offset(json, error)) {
        Some((name, found)) => format!("the claim {name} is {found}, {wanted} expected {expected}"),
        None => format!("the claims do not fit {wanted}, which expected {expected}"),
    }
}

/// The name behind one of serde's own beginnings: one of the type's fields, and so no text of the token's.
fn quoted<'a>(text: &'a str, beginning: &str) -> Option<&'a str> {
    text.strip_prefix(beginning)?.strip_prefix('`')?.split('`').next()
}

/// What serde's own messages say behind the last "expected": the words of the type. What a type says in words of its own may quote values.
fn expectation(text: &str) -> Option<&str> {
    const OWN: [&str; 5] =
        ["invalid type: ", "invalid value: ", "invalid length ", "unknown variant ", "unknown field "];
    OWN.iter().find(|own| text.starts_with(*own))?;
    let (_, expected) = text.rsplit_once(", expected ")?;
    Some(expected.rsplit_once(" at line ").map_or(expected, |(expected, _)| expected))
}

/// Where the error was noticed, in bytes.
fn offset(json: &str, error: &serde_json::Error) -> usize {
    let before = json.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
    before + error.column()
}

/// The claim in which, or right behind which, this place is; and of which JSON type it is.
fn claim_at(json: &str, offset: usize) -> Option<(&str, &'static str)> {
    let claims = serde_json::Deserializer::from_str(json).deserialize_map(Members).ok()?;
    let start = json.as_ptr().addr();
    let (name, value) = claims.into_iter().rfind(|(_, value)| value.get().as_ptr().addr() - start < offset)?;
    // Behind the last claim: it is of the object as a whole.
    let end = value.get().as_ptr().addr() - start + value.get().len();
    if offset > end + 1 || name.len() > LONGEST || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    Some((name, json_type(value)))
}

fn json_type(value: &RawValue) -> &'static str {
    match value.get().as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// The members of an object in their order, values unread.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(&'de str, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde::de::DeserializeOwned;

    use super::*;

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its shape counts")]
    struct User {
        sub: String,
        age: Option<u8>,
        #[serde(default)]
        verified: bool,
        role: Option<Role>,
        address: Option<Address>,
        groups: Option<Vec<String>>,
        #[serde(alias = "mail")]
        email: Option<String>,
    }

    #[derive(Deserialize)]
    enum Role {
        #[serde(rename = "admin")]
        Admin,
    }

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its shape counts")]
    struct Address {
        street: String,
    }

    fn said<T: DeserializeOwned>(json: &str) -> String {
        let error = serde_json::from_str::<T>(json).err().expect("it does not fit");
        describe(json, "User", &error)
    }

    #[test]
    fn the_claim_and_what_was_expected_are_named_and_no_value_is() {
        for (json, expected) in [
            (r#"{"sub": 77777}"#, "the claim sub is a number, User expected a string"),
            (r#"{"sub": true}"#, "the claim sub is a boolean, User expected a string"),
            (r#"{"sub": null}"#, "the claim sub is null, User expected a string"),
            ("{\n \"sub\": \"a\",\n \"age\": \"canary\"\n}", "the claim age is a string, User expected u8"),
            (r#"{"sub":"a","age":77777}"#, "the claim age is a number, User expected u8"),
            (r#"{"sub":"a","age":-1.5,"verified":true}"#, "the claim age is a number, User expected u8"),
            (
                r#"{"sub":"a","verified":"canary, expected b"}"#,
                "the claim verified is a string, User expected a boolean",
            ),
            (r#"{"sub":"a","verified":null}"#, "the claim verified is null, User expected a boolean"),
            (r#"{"sub":"a","role":"canary"}"#, "the claim role is a string, User expected `admin`"),
            (r#"{"address":{"street":7},"sub":"a"}"#, "the claim address is an object, User expected a string"),
            (r#"{"sub":"a","address":[7]}"#, "the claim address is an array, User expected a string"),
            (r#"{"sub":"a","groups":"canary"}"#, "the claim groups is a string, User expected a sequence"),
            (r#"{"sub":"a","groups":["a",{}]}"#, "the claim groups is an array, User expected a string"),
            (r#"{"age":7}"#, "the claims have no sub, which User asks for (an Option<T> would leave it open)"),
            (
                r#"{"sub":"a","email":"x","mail":"y"}"#,
                "the claims hold what User calls email twice, perhaps by an alias",
            ),
        ] {
            let seen = said::<User>(json);
            assert_eq!(seen, expected, "{json}");
            assert!(!seen.contains("canary") && !seen.contains("777"), "{seen}");
        }
    }

    #[test]
    fn a_place_is_of_the_claim_whose_value_it_is_in_or_right_behind() {
        let json = r#" {"a": 1, "bc" : "xyz" }"#;
        // By the byte: nothing up to the first value, then the first up to the beginning of the second, and one byte behind the last.
        let (first, second) = (json.find('1').unwrap(), json.find("\"xyz").unwrap());
        for offset in 0..=json.len() + 2 {
            let expected = match offset {
                at if at <= first => None,
                // It ends where it has begun, one byte further; whatever is more than one byte behind it is of the whole.
                at if at <= first + 2 => Some(("a", "a number")),
                at if at <= second => None,
                at if at <= second + "\"xyz\"".len() + 1 => Some(("bc", "a string")),
                _ => None,
            };
            assert_eq!(claim_at(json, offset), expected, "{offset}");
        }
        for none in ["", "[]", "{}", "7", r#"{"a":"#] {
            assert_eq!(claim_at(none, 3), None, "{none}");
        }
    }

    #[test]
    fn what_a_type_says_in_words_of_its_own_is_not_repeated() {
        #[derive(Debug)]
        struct Even;
        impl<'de> Deserialize<'de> for Even {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let number = u32::deserialize(deserializer)?;
                Err(serde::de::Error::custom(format!("{number} is odd, expected another than {number}")))
            }
        }
        let seen = said::<BTreeMap<String, Even>>(r#"{"age": 77777}"#);
        assert_eq!(seen, "the claim age is a number, User expected another type");
    }

    #[test]
    fn names_that_are_no_words_are_not_repeated() {
        for name in ["a b".to_owned(), "\u{202e}".to_owned(), "x".repeat(65)] {
            let seen = said::<BTreeMap<String, u8>>(&format!("{{\"{name}\": \"canary\"}}"));
            assert_eq!(seen, "the claims do not fit User, which expected u8");
        }
        let longest = "x".repeat(LONGEST);
        let seen = said::<BTreeMap<String, u8>>(&format!("{{\"{longest}\": \"canary\"}}"));
        assert_eq!(seen, format!("the claim {longest} is a string, User expected u8"));
    }

    #[test]
    fn what_is_wrong_with_the_claims_as_a_whole_is_no_single_ones_fault() {
        #[derive(Debug)]
        struct Two;
        impl<'de> Deserialize<'de> for Two {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Pair;
                impl<'de> Visitor<'de> for Pair {
                    type Value = Two;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("two claims")
                    }

                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Two, A::Error> {
                        while map.next_entry::<String, u8>()?.is_some() {}
                        Err(serde::de::Error::custom("one is missing"))
                    }
                }
                deserializer.deserialize_map(Pair)
            }
        }
        let seen = said::<Two>("{\"age\": 7    \n    }");
        assert_eq!(seen, "the claims do not fit User, which expected another type");
    }
}
