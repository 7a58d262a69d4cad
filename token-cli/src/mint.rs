//! A wish for a token in, a token of a running development issuer out.

use std::io::{self, Write};

use bytes::Bytes;
use http::{Request, header};
use serde_json::{Map, Value, json};
use token_core::http::Limits;

use crate::args::{Mint, Network};
use crate::end::{End, Failure};
use crate::issuer::MINT;
use crate::terminal::plain;
use crate::trust;

pub(crate) async fn run(options: &Mint) -> Result<End, Failure> {
    let address = format!("{}{MINT}", options.issuer.trim_end_matches('/'));
    let mut wish = json!({ "shape": options.shape });
    let members = [("subject", &options.subject), ("audience", &options.audience), ("scope", &options.scope)];
    for (name, value) in members.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        wish[name] = value.as_str().into();
    }
    if let Some(seconds) = options.lifetime {
        wish["lifetime"] = seconds.into();
    }
    if !options.claim.is_empty() {
        wish["claims"] = options.claim.iter().cloned().collect::<Map<_, _>>().into();
    }
    if let Some(algorithm) = options.algorithm {
        wish["algorithm"] = algorithm.name().into();
    }
    if let Some(file) = &options.key {
        let key = crate::send::key(file)?;
        wish["claims"] = json!({ "cnf": { "jkt": key.thumbprint().to_string() } });
    }
    if let Some(wrong) = options.wrong {
        wish["wrong"] = json!(wrong);
    }
    let request = Request::post(&address)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Bytes::from(wish.to_string()))
        .map_err(|error| Failure::input(format!("{}: {error}", plain(&options.issuer))))?;
    let response =
        trust::client(&address, &Network::default())?.send(request, Limits::default()).await.map_err(|error| {
            Failure::unreachable(format!("{}: {error}: is `token issuer` running there?", plain(&options.issuer)))
        })?;
    let answer: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    match answer.get("token").and_then(Value::as_str) {
        Some(token) if response.status().is_success() => {
            writeln!(io::stdout(), "{token}")?;
            if let Some(file) = &options.key {
                let file = plain(&file.display().to_string());
                eprintln!("token: bound to {file}: send it with `token send URL --key {file}`");
            }
            Ok(End::Yes)
        }
        _ => {
            let why = answer.get("error").and_then(Value::as_str).unwrap_or("it is no development issuer");
            let status = response.status().as_u16();
            let issuer = plain(&options.issuer);
            Err(Failure::unreachable(format!("{issuer}: answered with status {status}: {}", plain(why))))
        }
    }
}

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
