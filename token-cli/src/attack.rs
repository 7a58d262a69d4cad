//! The address of an API of one's own in, the known attacks against it out, each with what the API did (`token_test::attacks`).

use std::time::Duration;

use token_test::attacks::{Class, Row, attacks, is_origin};

use crate::args::Attack;
use crate::end::{End, Failure};
use crate::{recipient, service};

/// The attack that waits.
const PAST: &str = "a ticket a second past its end";

pub(crate) async fn run(options: &Attack) -> Result<End, Failure> {
    let of = &options.service;
    let classes: Vec<Class> = options.only.iter().map(|name| class(name)).collect::<Result<_, _>>()?;
    if classes.contains(&Class::Status) && !options.status_lists {
        return Err(Failure::input(
            "--only status: it is tried with --status-lists, where the service heeds status lists",
        ));
    }
    if classes.contains(&Class::Tickets) && options.tickets_sold_at.is_none() {
        return Err(Failure::input(
            "--only tickets: they are tried with --tickets-sold-at ROUTE and --tickets-redeemed-at ROUTE, where the service sells tickets",
        ));
    }
    let routes = [
        ("--tickets-sold-at", &options.tickets_sold_at),
        ("--tickets-redeemed-at", &options.tickets_redeemed_at),
        ("--revoked-at", &options.revoked_at),
        ("--proofs-alone-at", &options.proofs_alone_at),
    ];
    for (flag, route) in routes {
        route.as_deref().map(|route| service::route(flag, route)).transpose()?;
    }
    if !is_origin(&options.page) {
        let expected = "expected the origin of a page, as in https://app.example.com";
        return Err(Failure::input(format!("--page {:?}: {expected}", options.page)));
    }
    let recipient = options.encrypt_to.as_deref().map(recipient::read).transpose()?;
    let (mut way, issuer) = service::meet(of).await?;
    service::lets_in(&mut way, of, &issuer).await?;

    let list = attacks(&issuer).route(&of.route).leeway(of.leeway);
    let list = list.rotation_within(Duration::from_secs(of.rotation_within));
    let list = if options.status_lists { list.status_lists() } else { list };
    let list = recipient.into_iter().fold(list, |list, key| list.encrypted_to(key));
    let list = options.tickets_sold_at.iter().zip(&options.tickets_redeemed_at).fold(list, |list, (sold, redeemed)| {
        eprintln!("tickets   at the end it waits for one to end; --except {PAST:?} leaves that out");
        list.tickets(sold, redeemed).page(&options.page)
    });
    let list = options.revoked_at.iter().fold(list, |list, route| list.revoked_at(route));
    let list = options.proofs_alone_at.iter().fold(list, |list, route| list.proofs_alone_at(route));
    let list = of.granted.iter().fold(list, |list, scope| list.granted(scope));
    let list = classes.into_iter().fold(list, |list, class| list.only(class));
    let list = options.except.iter().fold(list, |list, name| list.except(name));
    let report = list.run_against(way).await;
    service::print(of.format, &report, || report.to_json(), || report.to_junit())?;
    let attacks = report.rows().iter().filter(|row| row.class != Class::Good);
    let refused = attacks.clone().filter(|row: &&Row| row.is_right()).count();
    eprintln!("{refused} of {} attacks refused, {} findings", attacks.count(), report.findings().len());
    Ok(if report.findings().is_empty() { End::Yes } else { End::No })
}

fn class(name: &str) -> Result<Class, Failure> {
    Class::ALL.iter().copied().find(|class| class.name() == name).ok_or_else(|| {
        let names: Vec<_> = Class::ALL.iter().map(|class| class.name()).collect();
        Failure::input(format!("--only {name}: expected one of {}", names.join(", ")))
    })
}
