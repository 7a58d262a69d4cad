//! One line in, the gate's verdict on it out, as it is printed.

use std::time::Instant;

use serde::Serialize;
use serde_json::Value;
use token_core::{Error, Presented};
use tokio::runtime::Handle;

use super::clock;
use super::line::{Line, Request};
use super::servers::Servers;

/// The answer to one line. It holds nothing of the token.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Value>,
    pub(super) verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<&'static str>,
    status: u16,
    ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expect: Option<Value>,
    /// Whether it is as expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ok: Option<bool>,
}

/// Checks one line.
pub(super) fn of(bytes: &[u8], servers: &Servers, runtime: &Handle) -> Result<Verdict, String> {
    let line = Line::read(bytes)?;
    let (at, expect) = (line.at()?, line.expect()?);
    let ready = servers.find(line.policy.as_deref(), line.keys.as_deref())?;
    if at.is_some() && !ready.keys_at_hand {
        return Err(
            "a time of its own needs keys that are at hand: name a file with keys, or use --at for all lines".into()
        );
    }
    let request = Request::new(&line);
    let presented = match &line.token {
        Some(token) if !line.is_request() => Presented::token(token),
        _ => Presented::request(&request),
    };
    let start = Instant::now();
    let outcome = clock::at(at.map(|at| at.0), || match ready.server.authenticate(presented).now() {
        Ok(outcome) => outcome,
        Err(waiting) => runtime.block_on(waiting),
    });
    let micros = start.elapsed().as_micros();
    let error = outcome.err();
    let kind = error.as_ref().map(Error::kind);
    Ok(Verdict {
        verdict: if kind.is_none() { "accept" } else { "reject" },
        kind: kind.map(|kind| kind.name()),
        check: error.as_ref().and_then(Error::check).map(|check| check.name()),
        status: kind.map_or(200, |kind| kind.status()),
        ms: f64::from(u32::try_from(micros).unwrap_or(u32::MAX)) / 1000.0,
        ok: expect.map(|expect| expect.fits(kind)),
        expect: line.expected().cloned(),
        id: line.id,
    })
}

impl Verdict {
    /// A sentence for people: what was expected, what came.
    pub(super) fn difference(&self) -> String {
        let id =
            self.id.as_ref().map_or_else(String::new, |id| format!("id {}: ", crate::terminal::plain(&id.to_string())));
        let expected = self.expect.as_ref().map_or_else(String::new, ToString::to_string);
        format!("{id}expected {expected}, got {} ({})", self.kind.unwrap_or(self.verdict), self.status)
    }
}
