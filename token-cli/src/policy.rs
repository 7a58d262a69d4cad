//! Policies in; what they accept, their traps and their differences out.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use token_core::policy::{Policy, Severity};

use crate::args::{Format, Policy as Action};
use crate::end::{End, Failure};
use crate::terminal::sentence;

pub(crate) fn run(action: &Action) -> Result<End, Failure> {
    match action {
        Action::Show { file, format } => show(file, *format),
        Action::Lint { file, format } => lint(file, *format),
        Action::Diff { old, new, format } => diff(old, new, *format),
        Action::Schema => {
            io::stdout().write_all(Policy::json_schema().as_bytes())?;
            Ok(End::Yes)
        }
    }
}

fn show(file: &Path, format: Format) -> Result<End, Failure> {
    let policy = Policy::from_file(file)?;
    match format {
        Format::Text => write!(io::stdout(), "{policy}")?,
        Format::Json => json(&policy)?,
    }
    Ok(End::Yes)
}

fn lint(file: &Path, format: Format) -> Result<End, Failure> {
    let found = Policy::from_file(file)?.lint();
    match format {
        Format::Json => json(&found)?,
        Format::Text if found.is_empty() => writeln!(io::stdout(), "no findings")?,
        Format::Text => lines(&found)?,
    }
    let bad = found.iter().any(|finding| finding.severity == Severity::Error);
    Ok(if bad { End::No } else { End::Yes })
}

fn diff(old: &Path, new: &Path, format: Format) -> Result<End, Failure> {
    let changes = Policy::from_file(old)?.diff(&Policy::from_file(new)?);
    match format {
        Format::Json => json(&changes)?,
        Format::Text => lines(&changes)?,
    }
    Ok(if changes.is_empty() { End::Yes } else { End::No })
}

fn lines<T: std::fmt::Display>(lines: &[T]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    // What a policy holds must not play tricks with the screen.
    lines.iter().try_for_each(|line| writeln!(out, "{}", sentence(&line.to_string())))
}

fn json<T: Serialize>(value: &T) -> io::Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
    writeln!(io::stdout(), "{text}")
}
