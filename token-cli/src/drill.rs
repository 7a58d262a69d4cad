//! The address of an API of one's own and a script in; what it answered meanwhile, and which promises it kept, out (`token_test::drill`).

use std::io::{self, IsTerminal, Write};
use std::process::Stdio;
use std::time::Duration;

use token_test::drill::{Drill, Promises, Report, drill};

use crate::args;
use crate::end::{End, Failure};
use crate::{service, trust};

/// What happens where no script is named.
const TWO_MINUTES: &str = "\
at 10 rotate
at 30 down 30
at 70 slow 2 15
at 95 flood 20 10
at 120 end
";

pub(crate) async fn run(options: &args::Drill) -> Result<End, Failure> {
    let of = &options.service;
    let script = match &options.script {
        None => TWO_MINUTES.to_owned(),
        Some(file) => String::from_utf8(trust::read_file(file)?)
            .map_err(|_| Failure::input(format!("{}: not UTF-8", file.display())))?,
    };
    let (mut way, issuer) = service::meet(of).await?;
    let drill = promised(drill(&issuer).route(&of.route), options);
    let drill = drill.script(&script, command).map_err(|why| {
        let name = options.script.as_ref().map_or_else(String::new, |file| format!("{}: ", file.display()));
        Failure::input(format!("{name}{why}"))
    })?;
    service::lets_in(&mut way, of, &issuer).await?;

    let report = drill.watch(progress()).run_against(way).await;
    if let Some(file) = &options.plot {
        let plot = report.to_svg(&format!("{} of {}", of.route, of.url));
        std::fs::write(file, plot).map_err(|error| Failure::input(format!("--plot {}: {error}", file.display())))?;
    }
    service::print(of.format, &report, || report.to_json(), || report.to_junit())?;
    eprintln!("{} answers in {} s, {} findings", report.samples().len(), report.end(), report.findings().len());
    Ok(if report.findings().is_empty() { End::Yes } else { End::No })
}

fn promised<'i>(drill: Drill<'i>, options: &args::Drill) -> Drill<'i> {
    let drill = options.service.granted.iter().fold(drill, |drill, scope| drill.granted(scope));
    drill.promises(|promises: &mut Promises| {
        promises.leeway = Duration::from_secs(options.service.leeway);
        promises.answers_within = Duration::from_millis(options.answers_within);
        promises.rotation_within = Duration::from_secs(options.service.rotation_within);
        promises.withdrawn_within = Duration::from_secs(options.withdrawn_within);
        promises.outage = Duration::from_secs(options.outage);
        promises.fresh_for = Duration::from_secs(options.fresh_for);
        promises.recovers_within = Duration::from_secs(options.recovers_within);
    })
}

/// What a line of the script asks for, as the shell understands it. Its output is not the report's.
async fn command(line: String) {
    let (shell, option) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let mut child = tokio::process::Command::new(shell);
    child.arg(option).arg(&line).stdin(Stdio::null()).stdout(Stdio::null());
    match child.status().await {
        Ok(status) if status.success() => {}
        Ok(status) => eprintln!("{line}: {status}"),
        Err(error) => eprintln!("{line}: {error}"),
    }
}

/// A line that goes on in a terminal, and one each half minute elsewhere.
fn progress() -> impl FnMut(u64, u64, &Report) {
    let terminal = io::stderr().is_terminal();
    move |at, end, report| {
        if !terminal && at % 30 != 0 && at != end {
            return;
        }
        let line =
            format!("second {at} of {end}, {} answers, {} findings", report.samples().len(), report.findings().len());
        let (before, after) = if terminal { ("\r", if at == end { "\n" } else { "" }) } else { ("", "\n") };
        // Whoever does not read how far it is still wants to know how it ends.
        let _ = write!(io::stderr(), "{before}{line}{after}");
    }
}
