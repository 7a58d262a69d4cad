//! The words of the command line. A token is never among them: arguments are visible to every process of the machine.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::at::At;

/// Examples, and the exit codes after them.
macro_rules! after {
    ($($example:literal)*) => {
        concat!("Examples:\n", $("  ", $example, "\n",)* "\n", "\
Exit codes:
  0  accepted; as expected; nothing found
  1  refused; not as expected; something found
  2  bad input or bad arguments
  3  an issuer or a network is out of reach")
    };
}

/// Says why a token is refused, checks policies and key sets, runs a development issuer.
#[derive(Debug, Parser)]
#[command(name = "token", version, after_help = after!(
    "token explain --policy api.toml < token.txt"
    "token explain --issuer https://login.example.com/ --audience https://api.example.com < token.txt"
    "token check --policy api.toml --keys keys.json < tokens.jsonl"
    "token policy lint api.toml"
    "token issuer --port 9000"
))]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Says of every check whether a token passes it, and if not, why.
    ///
    /// The token is read from standard input, or asked for in a terminal; the word Bearer and blanks around it do not matter.
    #[command(after_help = after!(
        "token explain --policy api.toml < token.txt"
        "token explain --issuer https://login.example.com/ --audience https://api.example.com < token.txt"
        "token explain --policy api.toml --keys keys.json --at 2026-11-23T01:00:00Z --format json < token.txt"
        "token explain --issuer https://login.example.com/ --id-token web-app --nonce n-0S6_WzA2Mj < id-token.txt"
        "token explain --policy api.toml --proof eyJ0eXAi... --url https://api.example.com/orders < token.txt"
        "token explain --issuer https://login.internal/ --audience orders --allow-private --ca company.pem < token.txt"
    ))]
    Explain(Explain),
    /// Checks many tokens: JSON lines in, JSON lines out.
    ///
    /// Each line is an object: `token` (or `headers`), and if wanted `id`, `policy`, `keys`, `at`, `method`, `uri`, `headers`,
    /// `expect`. With a `DPoP` field among the headers the token is a bound one; each proof is judged by itself, as one that never came before. `expect` is "accept", "reject", the name of a kind such as "expired", or a status such as 401.
    #[command(after_help = after!(
        "token check --policy api.toml < tokens.jsonl > verdicts.jsonl"
        "token check --policy api.toml --keys keys.json --at 2026-11-23T01:00:00Z < tests.jsonl"
        "echo '{\"token\": \"eyJ...\", \"expect\": \"expired\"}' | token check --policy api.toml"
    ))]
    Check(Check),
    /// Prints, checks and compares policies.
    #[command(subcommand, after_help = after!(
        "token policy show api.toml"
        "token policy lint api.toml"
        "token policy diff old.toml new.toml"
        "token policy schema > policy.schema.json"
    ))]
    Policy(Policy),
    /// Shows what is in a key set, what would be skipped and why, and when it would be read again.
    #[command(after_help = after!(
        "token keys https://login.example.com/.well-known/jwks.json"
        "token keys keys.json --format json"
    ))]
    Keys(Keys),
    /// Shows what an issuer says of itself.
    #[command(after_help = after!("token discover https://login.example.com/"))]
    Discover(Discover),
    /// Gets a token from a running development issuer (see `token issuer`).
    ///
    /// `--shape` is rfc9068, id-token, or the name of a preset such as auth0, keycloak, entra-v2: as that provider writes its tokens.
    #[command(after_help = after!(
        "token mint --subject ada --scope 'read:users write:users'"
        "token mint --shape keycloak | token explain --policy api.toml"
        "token mint --wrong expired --issuer http://127.0.0.1:9001"
        "token mint --lifetime 2h --claim email=ada@example.com --claim 'groups=[\"staff\"]'"
        "token mint --dpop key.pem | token send http://127.0.0.1:3000/orders --key key.pem"
    ))]
    Mint(Mint),
    /// Makes an API key: prints it once, and what a policy keeps of it.
    ///
    /// The key goes to standard output, the entry for the policy's `api_keys` to standard error; with `--format json` both to standard output. To
    /// rotate a key, make another one of the same id and put its `sha256` beside the old one.
    #[command(after_help = after!(
        "token api-key --prefix acme_ --id ci --scope 'books:read' > ci.key"
        "token api-key --prefix acme_ --id ci --subject ci-bot --format json"
    ))]
    ApiKey(ApiKey),
    /// Sends one request with a token, and prints the answer as `curl -i` does.
    ///
    /// The token is read from standard input. With `--key` it is sent as a bound token with its proof (DPoP, RFC 9449), and once more where the
    /// server asks for a nonce; with `--certificate` over mutual TLS. Redirects are not followed. Answers are read up to 512 KiB, for 5 s.
    #[command(after_help = after!(
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem"
        "token send https://api.example.com/orders --key key.pem < token.txt"
        "token send -X POST https://api.example.com/orders --key key.pem --body order.json < token.txt"
        "curl -H \"$(token send https://api.example.com/orders --key key.pem --proof < token.txt)\" ..."
    ))]
    Send(Send),
    /// Runs an issuer for development, with a page that mints tokens, rotates keys and switches faults on.
    ///
    /// Everybody has its private keys: it is for one developer's machine.
    #[command(after_help = after!("token issuer" "token issuer --port 0 --audience https://orders.example.com"))]
    Issuer(Issuer),
    /// Tries known attacks against a service of yours that trusts the development issuer.
    ///
    /// It runs the issuer itself, on --port, sends good and bad requests, and says which bad ones the service let in. The service listens on
    /// this machine, in whatever language it is written; one elsewhere has to show first, with a text that is made for this run, that it is yours.
    #[command(after_help = after!(
        "token attack http://127.0.0.1:3000 --route 'GET /users' --granted read:users"
        "token attack http://127.0.0.1:3000 --only path --only credentials --format junit > attacks.xml"
        "token attack https://staging.example.com --route 'GET /users' --wait 300"
    ))]
    Attack(Attack),
    /// Plays an outage, a rotation, a flood against a service of yours that trusts the development issuer, and says which promises it kept.
    ///
    /// It runs the issuer itself, on --port, and sends some requests a second while the script goes on. Choose a route that changes nothing. Without
    /// --script: a new key, an outage, a slow issuer and a flood, in two minutes. A script has one thing a line: at SECOND and one of rotate,
    /// withdraw, down SECONDS, slow BY SECONDS, flood EACH SECONDS, clock OFF SECONDS, run SECONDS served|unavailable|either COMMAND, end.
    #[command(after_help = after!(
        "token drill http://127.0.0.1:3000 --route 'GET /users' --granted read:users --plot drill.svg"
        "token drill http://127.0.0.1:3000 --script failover.drill --format junit > drill.xml"
    ))]
    Drill(Drill),
    /// Checks access tokens for proxies: Envoy, nginx, Caddy, Traefik, HAProxy. The same as the program `token-gate`.
    ///
    /// SIGHUP reads the policy again. SIGTERM and SIGINT answer what is being asked, then end it.
    #[cfg(feature = "gate")]
    #[command(after_help = after!("token gate --policy gate.toml" "token gate --policy gate.toml --check" "token gate --policy gate.toml --listen unix:/run/token-gate/gate.sock"))]
    Gate(token_gate::Arguments),
    /// Prints completions for a shell.
    #[command(after_help = after!("token completions bash > /etc/bash_completion.d/token"))]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Prints a manual page.
    #[command(after_help = after!("token man | man -l -" "token man explain | man -l -" "token man --dir /usr/local/share/man/man1"))]
    Man {
        /// The command whose page it is, in words such as: policy lint.
        page: Vec<String>,
        /// Writes every page into this folder, as token.1, token-explain.1 and so on.
        #[arg(long, value_name = "DIR", conflicts_with = "page")]
        dir: Option<PathBuf>,
    },
}

/// How answers are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

/// Whom to believe.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Trust {
    /// A policy: TOML, or JSON if its name ends in .json.
    #[arg(long, value_name = "FILE", required_unless_present = "issuer")]
    pub(crate) policy: Option<PathBuf>,
    /// An issuer, in place of a policy.
    #[arg(long, value_name = "URL", conflicts_with = "policy")]
    pub(crate) issuer: Option<String>,
    /// The audience that access tokens must be for.
    #[arg(long, conflicts_with = "policy")]
    pub(crate) audience: Option<String>,
    /// The key set of every issuer, in place of theirs: works offline with a file.
    #[arg(long, value_name = "FILE|URL")]
    pub(crate) keys: Option<String>,
    /// The time to judge by: 2026-11-23T01:02:03Z, or seconds since 1970.
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<At>,
    /// Where the issuer's metadata and keys are asked for, if that is not where its name points: http://keycloak:8080.
    #[arg(long, value_name = "ORIGIN", conflicts_with = "keys")]
    pub(crate) reached_at: Option<String>,
    #[command(flatten)]
    pub(crate) network: Network,
}

/// How servers are reached.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Network {
    /// Lets servers stand at private addresses, as inside a company or a cluster. The metadata services of clouds stay refused.
    #[arg(long)]
    pub(crate) allow_private: bool,
    /// Speaks plain http to servers at private addresses. Whoever sits on that network can put in keys of their own.
    #[arg(long)]
    pub(crate) dangerously_allow_plain_http: bool,
    /// Trusts the certificates in this file as roots, beside those of the system: PEM.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Goes through this proxy, except to this very machine: http://proxy.example:3128.
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) trust: Trust,
    /// Explains an ID token, as the client of this id would judge it, in place of an access token.
    #[arg(long, value_name = "CLIENT")]
    pub(crate) id_token: Option<String>,
    /// The nonce that the client sent with its request; without it the nonce is not compared.
    #[arg(long, requires = "id_token")]
    pub(crate) nonce: Option<String>,
    /// The DPoP field that came with it: its proof of possession (RFC 9449). Judged by itself, as one that never came before.
    #[arg(long, value_name = "PROOF", requires = "url", conflicts_with = "id_token")]
    pub(crate) proof: Option<String>,
    /// Where the request went that the proof is for.
    #[arg(long, requires = "proof")]
    pub(crate) url: Option<String>,
    /// Its method, as it was sent.
    #[arg(short = 'X', long, value_name = "METHOD", default_value = "GET", requires = "proof")]
    pub(crate) request: String,
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The policy of lines that name none.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// The key set of every issuer, in place of theirs.
    #[arg(long, value_name = "FILE|URL")]
    pub(crate) keys: Option<String>,
    /// The time to judge by, for lines that name none.
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<At>,
    #[command(flatten)]
    pub(crate) network: Network,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Prints what a policy accepts and refuses; secrets are redacted.
    #[command(after_help = after!("token policy show api.toml" "token policy show api.toml --format json"))]
    Show {
        /// The policy.
        file: PathBuf,
        /// How to print it.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Looks for contradictions and traps. Exit code 1 if there is an error.
    #[command(after_help = after!("token policy lint api.toml"))]
    Lint {
        /// The policy.
        file: PathBuf,
        /// How to print findings.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Prints what is different. Exit code 1 if something is.
    #[command(after_help = after!("token policy diff old.toml new.toml"))]
    Diff {
        /// The older policy.
        old: PathBuf,
        /// The newer policy.
        new: PathBuf,
        /// How to print changes.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Prints the JSON Schema of policies.
    #[command(after_help = after!("token policy schema > policy.schema.json"))]
    Schema,
}

#[derive(Debug, Args)]
pub(crate) struct Keys {
    /// The address of the key set, or a file.
    #[arg(value_name = "URL|FILE")]
    pub(crate) keys: String,
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) network: Network,
}

#[derive(Debug, Args)]
pub(crate) struct Discover {
    /// The issuer.
    pub(crate) issuer: String,
    /// Where its metadata is asked for, if that is not where its name points: http://keycloak:8080.
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) reached_at: Option<String>,
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) network: Network,
}

#[derive(Debug, Args)]
pub(crate) struct Mint {
    /// The development issuer.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9000")]
    pub(crate) issuer: String,
    /// What the token looks like: as RFC 9068 has it, or as a provider writes it.
    #[arg(long, value_parser = PossibleValuesParser::new(crate::issuer::shape::names()), hide_possible_values = true, default_value = "rfc9068")]
    pub(crate) shape: String,
    /// Whom it speaks of.
    #[arg(long)]
    pub(crate) subject: Option<String>,
    /// What it is for.
    #[arg(long)]
    pub(crate) audience: Option<String>,
    /// Its scopes, separated by blanks.
    #[arg(long)]
    pub(crate) scope: Option<String>,
    /// How long it lives: 90, 15m, 2h.
    #[arg(long, value_name = "TIME", value_parser = crate::values::seconds)]
    pub(crate) lifetime: Option<u32>,
    /// One more claim, as `name=value`; a value that is JSON is taken as such. May be given again.
    #[arg(long, value_name = "NAME=VALUE", value_parser = crate::values::claim)]
    pub(crate) claim: Vec<(String, serde_json::Value)>,
    /// What signs it, as `alg` names it: ES256, ML-DSA-65, … A key for it is published where there was none.
    #[arg(long, value_name = "ALG")]
    pub(crate) algorithm: Option<token_core::Algorithm>,
    /// Binds it to this private key (DPoP, RFC 9449): PEM (PKCS #8) of a P-256, P-384, Ed25519 or RSA key.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Binds it to a key made on the spot (DPoP, P-256), and keeps that in this file, which only its owner can read.
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    pub(crate) dpop: Option<PathBuf>,
    /// Encrypts it to this key (RFC 7516): a public JWK, or a file with a JWK or a PEM.
    #[arg(long, value_name = "JWK|FILE")]
    pub(crate) encrypt_to: Option<String>,
    /// How its content is encrypted: A128GCM, A256GCM (the default), A128CBC-HS256 or A256CBC-HS512.
    #[arg(long, value_name = "ENC", requires = "encrypt_to", value_parser = crate::values::content_encryption)]
    pub(crate) enc: Option<token_core::jose::encryption::ContentEncryption>,
    /// What is wrong with it.
    #[arg(long, value_enum)]
    pub(crate) wrong: Option<crate::issuer::wrong::Wrong>,
}

#[derive(Debug, Args)]
pub(crate) struct ApiKey {
    /// What every key of the API begins with, as its policy says.
    #[arg(long)]
    pub(crate) prefix: String,
    /// The key's name, which may be shown: letters, digits, dashes, dots.
    #[arg(long)]
    pub(crate) id: String,
    /// Whose it is. Default: the id.
    #[arg(long)]
    pub(crate) subject: Option<String>,
    /// What its holder may do, separated by blanks.
    #[arg(long)]
    pub(crate) scope: Option<String>,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Send {
    /// The address: https, or http to this machine.
    pub(crate) url: String,
    /// The method, as it is sent.
    #[arg(short = 'X', long, value_name = "METHOD", default_value = "GET")]
    pub(crate) request: String,
    /// One more field, as `Name: value`; may be given again.
    #[arg(short = 'H', long, value_name = "FIELD")]
    pub(crate) header: Vec<String>,
    /// A file that is sent as the body, as JSON unless a field says otherwise.
    #[arg(long, value_name = "FILE")]
    pub(crate) body: Option<PathBuf>,
    /// The private key that the token is bound to: PEM (PKCS #8) of a P-256, P-384, Ed25519 or RSA key.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// A certificate with its private key that is shown to the server: PEM.
    #[arg(long, value_name = "FILE", conflicts_with = "proof")]
    pub(crate) certificate: Option<PathBuf>,
    /// Trusts the certificates in this file as roots, beside those of the system: PEM.
    #[arg(long, value_name = "FILE", conflicts_with = "proof", alias = "roots")]
    pub(crate) ca: Option<PathBuf>,
    /// Goes through this proxy, except to this very machine: http://proxy.example:3128.
    #[arg(long, value_name = "URL", conflicts_with = "proof")]
    pub(crate) proxy: Option<String>,
    /// Sends nothing, but prints the DPoP field for the request.
    #[arg(long, requires = "key", conflicts_with_all = ["header", "body"])]
    pub(crate) proof: bool,
    /// The nonce of the server, where it is known.
    #[arg(long, requires = "key")]
    pub(crate) nonce: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Issuer {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) address: IpAddr,
    /// The port to listen on; 0 for any.
    #[arg(long, default_value_t = 9000)]
    pub(crate) port: u16,
    /// The audience of tokens that name none.
    #[arg(long, default_value = "https://api.example.com")]
    pub(crate) audience: String,
}

/// A service of one's own, and the development issuer beside it.
#[derive(Debug, Args)]
pub(crate) struct Service {
    /// Where the service listens. Elsewhere than on this machine it has to show that it is yours.
    pub(crate) url: String,
    /// A guarded route of it: a method and a path.
    #[arg(long, default_value = "GET /")]
    pub(crate) route: String,
    /// The scope that the route asks for; several are separated by blanks.
    #[arg(long)]
    pub(crate) granted: Option<String>,
    /// The audience that the service takes tokens for.
    #[arg(long, default_value = "https://api.example.com")]
    pub(crate) audience: String,
    /// The address of the development issuer. A service elsewhere reaches one on 127.0.0.1 through a tunnel, as `ssh -R` makes one.
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) address: IpAddr,
    /// The port of the development issuer: the service trusts http://127.0.0.1:PORT.
    #[arg(long, default_value_t = 9000)]
    pub(crate) port: u16,
    /// For how many seconds the service takes a token after it expired.
    #[arg(long, default_value_t = 30)]
    pub(crate) leeway: u64,
    /// For how many seconds a new key may be unknown.
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    pub(crate) rotation_within: u64,
    /// For how many seconds to wait until the service shows that it is yours, and lets a good token in.
    #[arg(long, default_value_t = 10)]
    pub(crate) wait: u64,
    /// How to print what came of it.
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Args)]
pub(crate) struct Attack {
    #[command(flatten)]
    pub(crate) service: Service,
    /// Only this class of attack: algorithm, key, issuer, audience, kind, claim, time, encoding, header, credentials, path, scope, binding, cache, status, encryption or tickets.
    #[arg(long, value_name = "CLASS")]
    pub(crate) only: Vec<String>,
    /// The service looks tokens up in the issuer's status lists: tokens that a list says are not good are tried, too.
    #[arg(long)]
    pub(crate) status_lists: bool,
    /// The service opens tokens that are encrypted to this key, a public JWK or a file with a JWK or a PEM: encrypted ones that are not what they seem are tried, too.
    #[arg(long, value_name = "JWK|FILE")]
    pub(crate) encrypt_to: Option<String>,
    /// Where the service sells tickets for EventSource and WebSocket, as "POST /tickets": it is sent {"path": "/events"} and answers {"ticket": "…", "expires_in": 30}.
    /// Tickets that are used, forged, misplaced or too old are tried, too; that waits until one has ended.
    #[arg(long, value_name = "ROUTE", requires = "tickets_redeemed_at")]
    pub(crate) tickets_sold_at: Option<String>,
    /// Where it redeems them, as "GET /events": in the parameter `ticket` of the query.
    #[arg(long, value_name = "ROUTE", requires = "tickets_sold_at")]
    pub(crate) tickets_redeemed_at: Option<String>,
    /// The origin of the page that buys tickets and redeems them.
    #[arg(long, value_name = "ORIGIN", default_value = "https://app.example.com")]
    pub(crate) page: String,
    /// Where a token ends itself, as "POST /logout": it is tried again afterwards, and so is a ticket that it has bought.
    #[arg(long, value_name = "ROUTE")]
    pub(crate) revoked_at: Option<String>,
    /// A route that takes tokens with proofs of possession (DPoP) alone: a token without one is tried there, and a ticket.
    #[arg(long, value_name = "ROUTE")]
    pub(crate) proofs_alone_at: Option<String>,
    /// Leaves out the attack of this name, where the service means to let it in.
    #[arg(long, value_name = "NAME")]
    pub(crate) except: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Drill {
    #[command(flatten)]
    pub(crate) service: Service,
    /// What happens, and when: a file.
    #[arg(long, value_name = "FILE")]
    pub(crate) script: Option<PathBuf>,
    /// Writes a plot of answers and times to this file, as SVG.
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
    /// How many milliseconds the answer to a token may take whose key is known.
    #[arg(long, default_value_t = 1000, value_name = "MS")]
    pub(crate) answers_within: u64,
    /// For how many seconds a withdrawn key may be good.
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    pub(crate) withdrawn_within: u64,
    /// For how many seconds of an outage keys that are held go on serving.
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    pub(crate) outage: u64,
    /// For how many seconds a key set is fresh: keys may serve for so much longer than --outage.
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    pub(crate) fresh_for: u64,
    /// For how many seconds after an outage the issuer may go unasked.
    #[arg(long, default_value_t = 90, value_name = "SECONDS")]
    pub(crate) recovers_within: u64,
}

/// How a report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For whatever shows the tests of a build.
    Junit,
}
