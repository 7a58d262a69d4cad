//! The address of an API of one's own in, the known attacks against it out, each with what the API did (`token_test::attacks`).

use std::time::Duration;

use token_test::attacks::{Class, Row, attacks};

use crate::args::Attack;
use crate::end::{End, Failure};
use crate::{recipient, service};

pub(crate) async fn run(options: &Attack) -> Result<End, Failure> {
    let of = &options.service;
    let classes: Vec<Class> = options.only.iter().map(|name| class(name)).collect::<Result<_, _>>()?;
    if classes.contains(&Class::Status) && !options.status_lists {
        return Err(Failure::input(
            "--only status: it is tried with --status-lists, where the service heeds status lists",
        ));
    }
    let recipient = options.encrypt_to.as_deref().map(recipient::read).transpose()?;
    let (mut way, issuer) = service::meet(of).await?;
    service::lets_in(&mut way, of, &issuer).await?;

    let list = attacks(&issuer).route(&of.route).leeway(of.leeway);
    let list = list.rotation_within(Duration::from_secs(of.rotation_within));
    let list = if options.status_lists { list.status_lists() } else { list };
    let list = recipient.into_iter().fold(list, |list, key| list.encrypted_to(key));
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
