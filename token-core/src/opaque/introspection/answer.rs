//! Reads an introspection response: status, headers and body in, a verdict out (RFC 7662 section 2.2, RFC 9701 section 5). Sends nothing.

use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use crate::base::http::freshness::retry_after;
use crate::claims;
use crate::opaque::{OpaqueAnswer, OpaqueError, media_type};

/// The members that decide before anything else is looked at. Whether a member occurs twice, and the types of the
/// claims, are the gate's affair.
#[derive(Deserialize)]
struct Verdict {
    active: Option<Value>,
    token_type: Option<Value>,
    cnf: Option<Value>,
}

/// # Errors
/// [`OpaqueError`] for everything but an answer whose `active` is the boolean true or false.
pub(crate) fn process_answer(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    signed_only: bool,
) -> Result<OpaqueAnswer, OpaqueError> {
    if status != StatusCode::OK {
        return Err(OpaqueError::Status { status: status.as_u16(), retry_after: retry_after(headers) });
    }
    let text = std::str::from_utf8(body).map_err(|_| OpaqueError::Unusable("it is not UTF-8"))?;
    match media_type(headers).as_str() {
        "application/token-introspection+jwt" => Ok(OpaqueAnswer::SignedIntrospection(text.trim().to_owned())),
        "application/json" if signed_only => Err(OpaqueError::Unusable("it is not signed, and only signed ones count")),
        "application/json" => judge(text),
        _ => Err(OpaqueError::Unusable("its media type is not one of introspection")),
    }
}

/// Judges the JSON of an answer, whether it was signed or not.
pub(crate) fn judge(json: &str) -> Result<OpaqueAnswer, OpaqueError> {
    if is_plainly_active(json) == Some(true) {
        return Ok(OpaqueAnswer::Claims(json.to_owned()));
    }
    let not_its_kind = OpaqueError::Unusable("it is not a JSON object of its kind");
    if !json.trim_start().starts_with('{') {
        return Err(not_its_kind);
    }
    let verdict: Verdict = serde_json::from_str(json).map_err(|_| not_its_kind)?;
    match verdict.active {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return Ok(OpaqueAnswer::Inactive),
        Some(_) => return Err(OpaqueError::Unusable("active is not a boolean")),
        None => return Err(OpaqueError::Unusable("active is missing")),
    }
    if is_bearer(verdict.token_type.as_ref(), verdict.cnf.is_some())? {
        Ok(OpaqueAnswer::Claims(json.to_owned()))
    } else {
        tracing::warn!(name: "token.opaque.not_bearer", "the endpoint calls a token active that is no bearer token");
        Ok(OpaqueAnswer::Inactive)
    }
}

/// Whether a plain answer says that the token is active, and nothing against it, as nearly all do. Where it does not, another look says why.
fn is_plainly_active(json: &str) -> Option<bool> {
    let (mut active, mut types, mut odd) = (0, 0, false);
    claims::members(json, |name, value| match name {
        "active" => {
            active += 1;
            odd |= value != "true";
        }
        "token_type" => {
            types += 1;
            let name = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            odd |= !name.is_some_and(is_name_of_bearer);
        }
        "cnf" => odd = true,
        _ => {}
    })?;
    Some(active == 1 && types <= 1 && !odd)
}

/// RFC 7662: `token_type` is that of RFC 6749 section 5.1. A bound token is let through to be refused as what it is.
fn is_bearer(token_type: Option<&Value>, bound: bool) -> Result<bool, OpaqueError> {
    let name = match token_type {
        None | Some(Value::Null) => return Ok(true),
        Some(Value::String(name)) => name.as_str(),
        Some(_) => return Err(OpaqueError::Unusable("token_type is not a string")),
    };
    Ok(bound || is_name_of_bearer(name))
}

fn is_name_of_bearer(name: &str) -> bool {
    let names = ["bearer", "access_token", "urn:ietf:params:oauth:token-type:access_token"];
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn process(status: u16, media_type: &str, body: &str, signed_only: bool) -> Result<OpaqueAnswer, OpaqueError> {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_str(media_type).unwrap());
        process_answer(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes(), signed_only)
    }

    #[test]
    fn only_the_boolean_true_is_active_and_only_the_boolean_false_is_not() {
        for (body, expected) in [
            (r#"{"active":true}"#, Some(true)),
            (r#"{"active":false}"#, Some(false)),
            (r#"{"active":false,"exp":"odd"}"#, Some(false)),
            (r#"{"active":"true"}"#, None),
            (r#"{"active":1}"#, None),
            (r#"{"active":null}"#, None),
            (r#"{"active":[true]}"#, None),
            (r#"{"Active":true}"#, None),
            (r#"{"active":true,"active":false}"#, None),
            (r#"{"active":true,"active":true}"#, None),
            (r#"{"a":{"active":false},"active":true}"#, Some(true)),
            (r#"{"a":{"active":true}}"#, None),
            (r#"{"active":true,"exp":1.5}"#, Some(true)),
            (r#"{}"#, None),
            (r#"[{"active":true}]"#, None),
            ("[false,null,null]", None),
            (r#"{"active":true} x"#, None),
            ("", None),
            (r#"{"active":true,"token_type":"bearer"}"#, Some(true)),
            (r#"{"active":true,"token_type":"access_token"}"#, Some(true)),
            (r#"{"active":true,"token_type":null}"#, Some(true)),
            (r#"{"active":true,"token_type":"Bearer","token_type":"Bearer"}"#, None),
            (r#"{"active":true,"token_type":"refresh_token"}"#, Some(false)),
            (r#"{"active":true,"token_type":["Bearer"]}"#, None),
            (r#"{"active":true,"token_type":"DPoP"}"#, Some(false)),
            (r#"{"active":true,"token_type":"DPoP","cnf":{"jkt":"x"}}"#, Some(true)),
            (r#"{"active":true,"token_type":7}"#, None),
        ] {
            let seen = process(200, "application/json", body, false).ok();
            let seen = seen.map(|answer| answer != OpaqueAnswer::Inactive);
            assert_eq!(seen, expected, "{body}");
        }
    }

    #[test]
    fn anything_but_an_answer_is_our_trouble() {
        let good = r#"{"active":true}"#;
        for status in [201, 204, 206, 302, 307, 400, 401, 403, 404, 429, 500, 503] {
            let seen = process(status, "application/json", good, false);
            assert_eq!(seen, Err(OpaqueError::Status { status, retry_after: None }));
        }
        for media_type in ["text/html", "application/jwt", "text/plain", "application/xml", ""] {
            assert!(matches!(process(200, media_type, good, false), Err(OpaqueError::Unusable(_))), "{media_type}");
        }
        assert!(process(200, "Application/JSON; charset=utf-8", good, false).is_ok());
    }

    #[test]
    fn an_unsigned_answer_does_not_count_where_signed_ones_are_required() {
        let (json, jwt) = ("application/json", "application/token-introspection+jwt");
        assert!(process(200, json, r#"{"active":true}"#, true).is_err());
        assert!(process(200, json, r#"{"active":false}"#, true).is_err());
        let signed = Ok(OpaqueAnswer::SignedIntrospection("a.b.c".to_owned()));
        assert_eq!(process(200, jwt, "a.b.c\n", true), signed);
        assert_eq!(process(200, jwt, "a.b.c", false), signed);
    }
}
