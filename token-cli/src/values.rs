//! Values as people write them among the arguments in, as the program uses them out.

use serde_json::Value;
use token_core::jose::encryption::ContentEncryption;

/// A span of time as people write it: seconds, or with m, h or d behind.
pub(crate) fn seconds(text: &str) -> Result<u32, String> {
    let (digits, unit) = match text.strip_suffix(['s', 'm', 'h', 'd']) {
        Some(digits) => (digits, &text[digits.len()..]),
        None => (text, "s"),
    };
    let factor = match unit {
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => 1,
    };
    let number: Option<u32> = digits.parse().ok();
    number
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(|| "expected seconds, or a number and s, m, h or d".to_owned())
}

/// A claim, `name=value`. What is JSON is taken as JSON, anything else as text.
pub(crate) fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("expected name=value")?;
    Ok((name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| value.into())))
}

/// How content is encrypted, as `enc` names it.
pub(crate) fn content_encryption(text: &str) -> Result<ContentEncryption, String> {
    serde_json::from_value(text.into())
        .map_err(|_| "expected A128GCM, A256GCM, A128CBC-HS256 or A256CBC-HS512".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_claims_are_read_as_people_write_them() {
        let spans = ["90", "90s", "15m", "2h", "1d", "", "h", "-1", "1w"].map(|text| seconds(text).ok());
        assert_eq!(spans, [Some(90), Some(90), Some(900), Some(7200), Some(86_400), None, None, None, None]);
        let read = |text| claim(text).ok().map(|(name, value)| (name, value.to_string()));
        assert_eq!(read("email=a=b"), Some(("email".to_owned(), r#""a=b""#.to_owned())));
        assert_eq!(read("groups=[\"staff\"]"), Some(("groups".to_owned(), r#"["staff"]"#.to_owned())));
        assert_eq!((read("email"), read("=x")), (None, None));
    }
}
