//! Words of the command line in, a gate until a signal ends it: exit code 0, or 2 when it could not start.

use std::process::ExitCode;

use clap::Parser;
use token_gate::Arguments;

/// Checks access tokens for proxies: Envoy's ext_authz, nginx's auth_request, Caddy's and Traefik's forward auth.
#[derive(Debug, Parser)]
#[command(
    name = "token-gate",
    version,
    after_help = "Signals:\n  SIGHUP             reads the policy again\n  SIGTERM, SIGINT    answers what is being asked, then ends"
)]
struct Program {
    #[command(flatten)]
    arguments: Arguments,
}

fn main() -> ExitCode {
    let arguments = Program::parse().arguments;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(token_gate::run(arguments)).map_err(|failure| failure.to_string()),
        Err(error) => Err(format!("no runtime: {error}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("token-gate: {why}");
            ExitCode::from(2)
        }
    }
}
