//! A token on standard input in, every check and how it ended out.

use std::io::{self, Write};

use token_core::policy::{AuthenticationMethod, IssuerPolicy, Policy};
use token_core::telemetry::Health;
use token_core::{
    ErrorKind, Presented,
    explain::{Report, StepState},
    login::{IdTokenVerifier, Login},
};

use crate::args::{Explain, Format};
use crate::at::At;
use crate::check::{Line, LineClock, Request};
use crate::end::{End, Failure};
use crate::{input, terminal, trust};

pub(crate) async fn run(options: &Explain) -> Result<End, Failure> {
    let client = options.id_token.as_deref();
    let policy = trust::policy(&options.trust, client)?;
    let (report, server) = match client {
        None => {
            // Whom to believe first: a mistake there is said before a token is asked for.
            let server = trust::build(&policy, options.trust.at)?;
            let token = input::token()?;
            let report = match (&options.proof, &options.url) {
                (Some(proof), Some(url)) => {
                    let line = Line::bound(&token, proof.trim(), &options.request, url);
                    server.explain(Presented::request(&Request::new(&line))).await
                }
                _ => server.explain(Presented::token(&token)).await,
            };
            if report.kind == Some(ErrorKind::Unavailable) {
                try_the_other_form(&policy, options, &token).await;
            }
            (report, Some(server))
        }
        Some(client) => {
            let verifiers = verifiers(&policy, client, options.trust.at)?;
            let token = input::token()?;
            (explain_id_token(&verifiers, &token, options.nonce.as_deref()).await, None)
        }
    };
    let mut out = io::stdout().lock();
    match options.format {
        Format::Json => {
            let json = serde_json::to_string_pretty(&report).map_err(io::Error::other)?;
            writeln!(out, "{json}")?;
        }
        Format::Text if terminal::colours() => coloured(&report, terminal::columns(), &mut out)?,
        Format::Text => out.write_all(report.text().as_bytes())?,
    }
    if report.kind == Some(ErrorKind::Unavailable)
        && let Some(server) = server
    {
        for issuer in Health::of(&server).issuers {
            let asked = issuer.opaque.and_then(|opaque| opaque.last_error);
            for error in [issuer.keys.last_error, asked].into_iter().flatten() {
                eprintln!("token: {}: {}", terminal::plain(&issuer.issuer), terminal::sentence(&error));
            }
        }
    }
    if client.is_some() && options.nonce.is_none() && report.accepted {
        eprintln!("token: nonce and hashes were not compared: only the client remembers them (--nonce)");
    }
    Ok(match report.kind {
        None => End::Yes,
        Some(ErrorKind::Unavailable) => End::Unreachable,
        Some(_) => End::No,
    })
}

/// One verifier for each issuer of the policy, by its identifier.
fn verifiers(policy: &Policy, client: &str, at: Option<At>) -> Result<Vec<(String, IdTokenVerifier)>, Failure> {
    let clock = LineClock(at.map(|At(time)| time));
    let verifier = |issuer: &IssuerPolicy| {
        let made = match &policy.encrypted_tokens {
            Some(keys) => IdTokenVerifier::encrypted_with_clock(client, issuer.issuer()?, keys.tokens()?, clock)?,
            None => IdTokenVerifier::with_clock(client, issuer.issuer()?, clock)?,
        };
        Ok::<_, Failure>((issuer.issuer.clone(), made))
    };
    let verifiers = policy.issuers.iter().map(verifier).collect::<Result<Vec<_>, _>>()?;
    if verifiers.is_empty() { Err(Failure::input("the policy trusts no issuer")) } else { Ok(verifiers) }
}

/// By the rules of the issuer that the token names; of the first one, which then refuses it, where it names none of them.
async fn explain_id_token(verifiers: &[(String, IdTokenVerifier)], token: &str, nonce: Option<&str>) -> Report {
    let mut first = None;
    for (_, verifier) in verifiers {
        let report = verifier.explain(token, nonce.map(Login::with_nonce)).await;
        if report.kind != Some(ErrorKind::UnknownIssuer) {
            return report;
        }
        first.get_or_insert(report);
    }
    first.expect("there is at least one verifier")
}

/// An endpoint that refuses the client may only not decode what it is sent: whether the other form of the credentials does better is tried once.
async fn try_the_other_form(policy: &Policy, options: &Explain, token: &str) {
    use AuthenticationMethod::{ClientSecretBasic, ClientSecretBasicUnencoded};
    let mut other = policy.clone();
    let asked = other.issuers.iter_mut().filter_map(|issuer| issuer.introspection.as_mut());
    let changed = asked.filter(|asked| asked.authentication == ClientSecretBasic).map(|asked| {
        asked.authentication = ClientSecretBasicUnencoded;
    });
    if changed.count() == 0 {
        return;
    }
    let Ok(server) = trust::build(&other, options.trust.at) else { return };
    let report = server.explain(Presented::token(token)).await;
    let answered: Vec<_> = Health::of(&server).issuers;
    for issuer in answered.iter().filter(|issuer| issuer.opaque.as_ref().is_some_and(|opaque| opaque.answered > 0)) {
        if report.kind != Some(ErrorKind::Unavailable) {
            eprintln!(
                "token: {}: the endpoint takes the client's credentials as they are, not form-encoded: set authentication = \
                 \"client_secret_basic_unencoded\" in introspection",
                terminal::plain(&issuer.issuer)
            );
        }
    }
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
