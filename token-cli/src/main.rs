//! Words of the command line in, an exit code out: 0 yes, 1 no, 2 bad input, 3 out of reach.

mod api_key;
mod args;
mod at;
mod attack;
mod check;
mod discover;
mod documents;
mod drill;
mod end;
mod explain;
mod input;
mod issuer;
mod keys;
mod mint;
mod policy;
mod proof_key;
mod recipient;
mod send;
mod service;
mod terminal;
mod trust;
mod values;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, Command};
use end::{End, Failure};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return refuse(&error),
    };
    let end = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let end = run(arguments.command, &runtime);
            // Threads may still be reading, or waiting for a network. The end of the process is their end, too.
            std::mem::forget(runtime);
            end
        }
        Err(error) => Err(Failure::input(format!("no runtime: {error}"))),
    };
    match end {
        Ok(end) => end.into(),
        // Whoever reads our output has read enough.
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("token: {failure}");
            failure.end().into()
        }
    }
}

/// What the command line lacks, or the help that was asked for. A token among the words is not repeated: standard error is often a log.
fn refuse(error: &clap::Error) -> ExitCode {
    let is_token = |word: &OsString| word.to_str().is_some_and(|word| word.contains("eyJ") || word.len() > 200);
    if error.use_stderr() && std::env::args_os().skip(1).any(|word| is_token(&word)) {
        eprintln!(
            "token: a token is no argument: every process of this machine can read those. Send it to standard input"
        );
        return End::BadInput.into();
    }
    // Whoever does not read the help does not need it.
    let _ = error.print();
    if error.use_stderr() { End::BadInput.into() } else { End::Yes.into() }
}

fn run(command: Command, runtime: &tokio::runtime::Runtime) -> Result<End, Failure> {
    match command {
        Command::Explain(options) => runtime.block_on(explain::run(&options)),
        Command::Check(options) => check::run(options, runtime.handle()),
        Command::Policy(action) => policy::run(&action),
        Command::Keys(options) => runtime.block_on(keys::run(&options)),
        Command::Discover(options) => runtime.block_on(discover::run(&options)),
        Command::Mint(options) => runtime.block_on(mint::run(&options)),
        Command::ApiKey(options) => api_key::run(&options),
        Command::Send(options) => runtime.block_on(send::run(&options)),
        Command::Issuer(options) => runtime.block_on(issuer::run(&options)),
        Command::Attack(options) => runtime.block_on(attack::run(&options)),
        Command::Drill(options) => runtime.block_on(drill::run(&options)),
        #[cfg(feature = "gate")]
        Command::Gate(options) => match runtime.block_on(token_gate::run(options)) {
            Ok(()) => Ok(End::Yes),
            Err(why) => Err(Failure::input(why.to_string())),
        },
        Command::Completions { shell } => documents::completions(shell),
        Command::Man { page, dir } => documents::man(&page, dir.as_deref()),
    }
}
