//! The address of an API of one's own in, the known attacks against it out, each with what the API did (`token_test::attacks`).

use std::io::{self, Write};
use std::net::SocketAddr;

use token_test::attacks::{Class, Report, Row, attacks};

use crate::args::{Attack, ReportFormat};
use crate::end::{End, Failure};
use crate::{issuer, service};

pub(crate) async fn run(options: &Attack) -> Result<End, Failure> {
    let of = &options.service;
    service::route(of)?;
    let classes: Vec<Class> = options.only.iter().map(|name| class(name)).collect::<Result<_, _>>()?;
    let mut way = service::way(of).await?;
    let issuer = issuer::start(SocketAddr::from((of.address, of.port)), &of.audience).await?;
    eprintln!(
        "issuer    {}   trust it in the service under attack, for the audience {}",
        issuer.url(),
        issuer.audience()
    );

    let granted = of.granted.as_deref();
    let good = granted.iter().fold(issuer.token(), |token, scope| token.scope(scope)).mint();
    service::lets_in(&mut way, of, &good).await?;

    let mut list = attacks(&issuer).route(&of.route).leeway(of.leeway);
    if let Some(scope) = granted {
        list = list.granted(scope);
    }
    for class in classes {
        list = list.only(class);
    }
    for name in &options.except {
        list = list.except(name);
    }
    let report = list.run_against(way).await;
    write(&report, of.format)?;
    Ok(if report.findings().is_empty() { End::Yes } else { End::No })
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
