//! What the command line says: where the gate runs, and how. What it decides stands in the policy, so that it can change while it runs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};

use crate::shared::Shared;

/// The most questions at once, where nothing else is said.
pub(crate) const QUESTIONS: u32 = 16_384;

/// Where the gate runs, and how. No secret is among them: arguments are visible to every process of the machine.
#[derive(Clone, Debug, Args)]
#[non_exhaustive]
pub struct Arguments {
    /// The policy: TOML, or JSON if its name ends in .json.
    #[arg(long, value_name = "FILE")]
    pub policy: PathBuf,
    /// Where proxies ask: an address, or unix: and the path of a socket. May be said several times.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9191")]
    pub(crate) listen: Vec<Listen>,
    /// Where /livez, /readyz, /metrics and /.well-known/jwks.json are answered, apart from what proxies reach. `off` for nowhere.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9192")]
    pub(crate) admin: Admin,
    /// The most connections at once; further ones wait.
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) max_connections: u32,
    /// The most questions at once, over all connections; further ones are answered with 503. Only those that wait for keys or for an issuer stay for long.
    #[arg(long, value_name = "N", default_value_t = QUESTIONS, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) max_questions: u32,
    /// How long the gate answers on once it is told to end, while /readyz already says 503, in seconds: until proxies and load balancers have seen that. A second signal cuts it short.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=3600))]
    pub(crate) linger: u64,
    /// How long open questions may take after that, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=3600))]
    pub(crate) drain: u64,
    /// How often the policy file is looked at, in seconds; 0 for on SIGHUP alone.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub(crate) follow: u64,
    /// How logs are written, to standard error.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) log_format: LogFormat,
    /// What is logged: refusals of callers are `debug`, an issuer out of reach is `warn`.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) log_level: LogLevel,
    #[command(flatten)]
    pub(crate) shared: Shared,
    /// Reads the policy, says what is wrong with it, and ends.
    #[arg(long)]
    pub(crate) check: bool,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people.
    Text,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum LogLevel {
    /// What only the operator can mend.
    Error,
    /// An issuer out of reach, a stranger who asks.
    Warn,
    /// Starts, reloads, ends.
    #[default]
    Info,
    /// Every decision.
    Debug,
}

/// Where proxies ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some("") => Err("expected a path behind unix:".to_owned()),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp).map_err(|_| {
                "expected an address such as 127.0.0.1:9191, or unix:/run/token-gate/gate.sock".to_owned()
            }),
        }
    }
}

/// Where operators ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admin(pub(crate) Option<SocketAddr>);

impl FromStr for Admin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self(None)),
            address => address
                .parse()
                .map(|address| Self(Some(address)))
                .map_err(|_| "expected an address such as 127.0.0.1:9192, or off".to_owned()),
        }
    }
}
