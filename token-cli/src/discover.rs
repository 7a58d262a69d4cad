//! An issuer in, what it says of itself out (OpenID Connect Discovery 1.0 section 4, RFC 8414 section 3).

use std::io::{self, Write};

use serde_json::Value;
use token_core::keys::discovery::{Discovery, DiscoveryError, Reach};

use crate::args::{Discover, Format};
use crate::end::{End, Failure};
use crate::terminal::{plain, sentence};
use crate::trust;

pub(crate) async fn run(options: &Discover) -> Result<End, Failure> {
    let client = trust::client(options.reached_at.as_ref().unwrap_or(&options.issuer), &options.network)?;
    let reach = options.reached_at.iter().fold(Reach::default(), Reach::reached_at);
    let discovery = Discovery::elsewhere(&options.issuer, &reach, client);
    let discovery = discovery.map_err(|error| Failure::input(error.to_string()))?;
    let metadata = match discovery.metadata().await {
        Ok(metadata) => metadata,
        Err(error @ (DiscoveryError::IssuerMismatch { .. } | DiscoveryError::NamedByAddress { .. })) => {
            writeln!(io::stdout(), "{}", sentence(&error.to_string()))?;
            return Ok(End::No);
        }
        Err(error) => return Err(Failure::unreachable(format!("{}: {error}", plain(&options.issuer)))),
    };
    let json = serde_json::to_value(&*metadata).map_err(io::Error::other)?;
    let mut out = io::stdout().lock();
    if options.format == Format::Json {
        writeln!(out, "{json:#}")?;
        return Ok(End::Yes);
    }
    let members = || json.as_object().into_iter().flatten();
    let width = members().filter(|(_, value)| !value.is_null()).map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in members() {
        let texts: Vec<String> = match value {
            Value::Null => continue,
            Value::String(text) => vec![text.clone()],
            Value::Array(list) => {
                list.iter().map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned)).collect()
            }
            other => vec![other.to_string()],
        };
        // A list is written one below the other.
        for (at, text) in texts.iter().enumerate() {
            let name = if at == 0 { name.as_str() } else { "" };
            writeln!(out, "{name:<width$}  {}", plain(text))?;
        }
    }
    Ok(End::Yes)
}
