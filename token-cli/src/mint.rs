//! A wish for a token in, a token of a running development issuer out.

use std::io::{self, Write};

use bytes::Bytes;
use http::{Request, header};
use serde_json::{Map, Value, json};
use token_core::http::Limits;
use token_core::jose::encryption::ContentEncryption;

use crate::args::{Mint, Network};
use crate::end::{End, Failure};
use crate::issuer::MINT;
use crate::proof_key;
use crate::recipient;
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
    let made = options.dpop.as_deref().map(proof_key::make).transpose()?;
    let key = match (&made, &options.key) {
        (Some(made), _) => Some(made.key.clone()),
        (None, Some(file)) => Some(crate::send::key(file)?),
        (None, None) => None,
    };
    if let Some(key) = &key {
        wish["claims"]["cnf"] = json!({ "jkt": key.thumbprint().to_string() });
    }
    if let Some(wrong) = options.wrong {
        wish["wrong"] = json!(wrong);
    }
    let recipient = options.encrypt_to.as_deref().map(recipient::read).transpose()?;
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
            if let Some(made) = made {
                made.keep()?;
            }
            let sealed = recipient.map(|key| {
                let enc = options.enc.or(key.bound_to()).unwrap_or(ContentEncryption::A256Gcm);
                key.encrypt_jwt(enc, token).map_err(|error| Failure::input(format!("--encrypt-to: {error}")))
            });
            writeln!(io::stdout(), "{}", sealed.transpose()?.as_deref().unwrap_or(token))?;
            if let Some(file) = options.dpop.as_ref().or(options.key.as_ref()) {
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
