//! The address of a key set in; its keys, what would be skipped and why, and when it would be read again out.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::json;
use token_core::keys::{JwkSetSummary, JwksSettings};

use crate::args::{Format, Keys};
use crate::end::{End, Failure};
use crate::terminal::plain;
use crate::trust;

pub(crate) async fn run(options: &Keys) -> Result<End, Failure> {
    let (document, max_age) = trust::read_keys(&options.keys, &options.network).await?;
    let summary = JwkSetSummary::of(&document).map_err(|error| Failure::input(format!("{}: {error}", options.keys)))?;
    let settings = JwksSettings::default();
    let fresh = max_age.unwrap_or(settings.fresh_for).clamp(settings.min_fresh, settings.max_fresh);
    let refresh = fresh.mul_f64(settings.refresh_at);
    match options.format {
        Format::Json => {
            let json = json!({
                "keys": summary.keys, "skipped": summary.skipped, "max_age": max_age.map(|age| age.as_secs()),
                "fresh_for": fresh.as_secs(), "refreshed_after": refresh.as_secs(),
            });
            writeln!(io::stdout(), "{json:#}")?;
        }
        Format::Text => text(&summary, max_age, fresh, refresh)?,
    }
    Ok(if summary.keys.is_empty() { End::No } else { End::Yes })
}

fn text(summary: &JwkSetSummary, max_age: Option<Duration>, fresh: Duration, refresh: Duration) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for key in &summary.keys {
        let algorithms: Vec<_> = key.algorithms.iter().map(|algorithm| algorithm.name()).collect();
        writeln!(out, "key      {:<40} {}", plain(key.kid.as_deref().unwrap_or("(no kid)")), algorithms.join(" "))?;
    }
    for key in &summary.skipped {
        writeln!(out, "skipped  {:<40} {}", plain(key.kid.as_deref().unwrap_or("(no kid)")), key.reason)?;
    }
    let said = match max_age {
        Some(age) => format!("the server says that they hold for {} s", age.as_secs()),
        None => "nobody says how long they hold".to_owned(),
    };
    writeln!(out, "{} of {} can be used", summary.keys.len(), summary.keys.len() + summary.skipped.len())?;
    writeln!(out, "{said}: fresh for {} s, read again after {} s", fresh.as_secs(), refresh.as_secs())
}
