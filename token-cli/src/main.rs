//! Words of the command line in, an exit code out: 0 yes, 1 no, 2 bad input, 3 out of reach.

mod args;
mod at;
mod check;
mod discover;
mod documents;
mod end;
mod explain;
mod input;
mod issuer;
mod keys;
mod mint;
mod policy;
mod terminal;
mod trust;

use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, Command};
use end::{End, Failure};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let end = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => run(arguments.command, &runtime),
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

fn run(command: Command, runtime: &tokio::runtime::Runtime) -> Result<End, Failure> {
    match command {
        Command::Explain(options) => runtime.block_on(explain::run(&options)),
        Command::Check(options) => check::run(&options, runtime.handle()),
        Command::Policy(action) => policy::run(&action),
        Command::Keys(options) => runtime.block_on(keys::run(&options)),
        Command::Discover(options) => runtime.block_on(discover::run(&options)),
        Command::Mint(options) => runtime.block_on(mint::run(&options)),
        Command::Issuer(options) => runtime.block_on(issuer::run(&options)),
        Command::Completions { shell } => documents::completions(shell),
        Command::Man => documents::man(),
    }
}
