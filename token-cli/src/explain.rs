//! A token on standard input in, every check and how it ended out.

use std::io::{self, Write};

use token_core::{
    ErrorKind, Presented,
    explain::{Report, StepState},
};

use crate::args::{Explain, Format};
use crate::end::{End, Failure};
use crate::{input, terminal, trust};

pub(crate) async fn run(options: &Explain) -> Result<End, Failure> {
    // Whom to believe first: a mistake there is said before a token is asked for.
    let server = trust::server(&options.trust)?;
    let token = input::token()?;
    let report = server.explain(Presented::token(&token)).await;
    let mut out = io::stdout().lock();
    match options.format {
        Format::Json => {
            let json = serde_json::to_string_pretty(&report).map_err(io::Error::other)?;
            writeln!(out, "{json}")?;
        }
        Format::Text if terminal::colours() => coloured(&report, terminal::columns(), &mut out)?,
        Format::Text => out.write_all(report.text().as_bytes())?,
    }
    if report.kind == Some(ErrorKind::Unavailable) {
        for (issuer, state) in server.health() {
            if let Some(error) = state.last_error {
                eprintln!("token: {}: {}", terminal::plain(&issuer), terminal::plain(&error));
            }
        }
    }
    Ok(match report.kind {
        None => End::Yes,
        Some(ErrorKind::Unavailable) => End::Unreachable,
        Some(_) => End::No,
    })
}

/// The column of findings, values and causes.
const VALUES: usize = 28;

/// The same text, in as many columns as there are, green for what passed and red for what failed.
fn coloured(report: &Report, columns: usize, out: &mut impl Write) -> io::Result<()> {
    for line in report.text().lines() {
        let colour = match line {
            line if line.starts_with("ok ") || line == "accepted" => "32",
            line if line.starts_with("FAIL") || line.starts_with("refused") => "1;31",
            line if line.starts_with("  -  ") => "2",
            _ => "33",
        };
        for piece in terminal::wrapped(line, VALUES, columns) {
            writeln!(out, "\u{1b}[{colour}m{piece}\u{1b}[0m")?;
        }
    }
    debug_assert!(report.steps.iter().filter(|step| step.state == StepState::Failed).count() <= 1);
    Ok(())
}
