//! The address of an API of one's own in, the known attacks against it out, each with what the API did (`token_test::attacks`).

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use token_test::attacks::{Class, Loopback, Report, Row, Target, attacks};

use crate::args::{Attack, ReportFormat};
use crate::end::{End, Failure};
use crate::issuer;

/// How often an API is asked whether it takes a good token by now.
const AGAIN: Duration = Duration::from_millis(500);

pub(crate) async fn run(options: &Attack) -> Result<End, Failure> {
    let mut target = Loopback::at(&options.url).map_err(|why| {
        Failure::input(format!("{why}; a service elsewhere can be reached through a tunnel, as `ssh -L` makes one"))
    })?;
    let classes: Vec<Class> = options.only.iter().map(|name| class(name)).collect::<Result<_, _>>()?;
    let issuer = issuer::start(SocketAddr::from(([127, 0, 0, 1], options.port)), &options.audience).await?;
    eprintln!(
        "issuer    {}   trust it in the service under attack, for the audience {}",
        issuer.url(),
        issuer.audience()
    );

    let granted = options.granted.as_deref();
    let good = granted.iter().fold(issuer.token(), |token, scope| token.scope(scope)).mint();
    reachable(&mut target, options, &good).await?;

    let mut list = attacks(&issuer).route(&options.route).leeway(options.leeway);
    if let Some(scope) = granted {
        list = list.granted(scope);
    }
    for class in classes {
        list = list.only(class);
    }
    for name in &options.except {
        list = list.except(name);
    }
    let report = list.run_against(target).await;
    write(&report, options.format)?;
    Ok(if report.findings().is_empty() { End::Yes } else { End::No })
}

/// Waits until the service lets a good token in: it may have to fetch the issuer's keys first, or forget that they were out of reach.
async fn reachable(target: &mut Loopback, options: &Attack, good: &str) -> Result<(), Failure> {
    let (method, path) = options.route.split_once(' ').unwrap_or(("GET", &options.route));
    if !path.starts_with('/') || method.parse::<http::Method>().is_err() {
        return Err(Failure::input(format!(
            "--route {:?}: expected a method and a path, as in \"GET /users\"",
            options.route
        )));
    }
    let mut left = Duration::from_secs(options.wait);
    loop {
        let request =
            http::Request::builder().method(method).uri(path).header("authorization", format!("Bearer {good}"));
        let request = request.body(bytes::Bytes::new()).map_err(|error| Failure::input(format!("--route: {error}")))?;
        let why = match target.send(request).await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => format!("it answers {}", answer.status().as_u16()),
            Err(why) => why,
        };
        if left.is_zero() {
            return Err(Failure::unreachable(format!(
                "{} {}: a good token of the development issuer is not let in: {why}. Does the service trust http://127.0.0.1:{} for the audience {}? \
                 Does the route ask for a scope (--granted)?",
                options.url, options.route, options.port, options.audience
            )));
        }
        tokio::time::sleep(AGAIN).await;
        left = left.saturating_sub(AGAIN);
    }
}

fn class(name: &str) -> Result<Class, Failure> {
    Class::ALL.iter().copied().find(|class| class.name() == name).ok_or_else(|| {
        let names: Vec<_> = Class::ALL.iter().map(|class| class.name()).collect();
        Failure::input(format!("--only {name}: expected one of {}", names.join(", ")))
    })
}

fn write(report: &Report, format: ReportFormat) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match format {
        ReportFormat::Json => writeln!(out, "{}", report.to_json())?,
        ReportFormat::Junit => write!(out, "{}", report.to_junit())?,
        ReportFormat::Table => write!(out, "{report}")?,
    }
    out.flush()?;
    let attacks = report.rows().iter().filter(|row| row.class != Class::Good);
    let refused = attacks.clone().filter(|row: &&Row| row.is_right()).count();
    eprintln!("{refused} of {} attacks refused, {} findings", attacks.count(), report.findings().len());
    Ok(())
}
