//! Where gates share what they remember, as the command line says it, in; a memory of proofs for all of them out (RFC 9449 section 11.1).

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use token_core::ResourceServerBuilder;
use token_redis::{Redis, RedisReplays, RedisSettings};

/// The most that a file of these arguments may hold, in bytes.
const FILE: u64 = 1024 * 1024;

/// A Redis or Valkey that several gates share.
#[derive(Clone, Debug, Args)]
pub(crate) struct Shared {
    /// Where gates share the DPoP proofs that came: a proof is then good once at all of them. redis://HOST:6379/ or rediss://HOST:6379/, Redis or Valkey, never with a password in it.
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// The user at that server.
    #[arg(long, value_name = "NAME", requires = "redis_password_file", default_value = "default")]
    redis_user: String,
    /// The file that holds the user's password.
    #[arg(long, value_name = "FILE", requires = "redis")]
    redis_password_file: Option<PathBuf>,
    /// The certificate authorities, PEM, that vouch for that server, in place of the system's.
    #[arg(long, value_name = "FILE", requires = "redis")]
    redis_ca_file: Option<PathBuf>,
    /// What every key at that server begins with. Gates of one service say the same, those of another service something else.
    #[arg(long, value_name = "NAME", requires = "redis", default_value = "token")]
    redis_namespace: String,
    /// Room for this many proofs of one client's key at that server; max_proofs_per_key of the policy is for a gate's own memory.
    #[arg(long, value_name = "N", requires = "redis", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    redis_proofs_per_key: u32,
    /// How long that server may take to be connected to, and to answer, in milliseconds; then it is out of reach.
    #[arg(long, value_name = "MILLISECONDS", requires = "redis", default_value_t = 500, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    redis_timeout: u64,
}

impl Shared {
    /// What each server of the policy is finished with. Connects with the first proof: a server that is down does not stop a start.
    pub(crate) fn finish(
        &self,
    ) -> Result<impl Fn(ResourceServerBuilder) -> ResourceServerBuilder + Send + Sync + use<>, String> {
        let memory = self.memory()?;
        Ok(move |builder: ResourceServerBuilder| match memory.clone() {
            Some(memory) => builder.adjust_dpop(|dpop| dpop.replay_memory(memory)),
            None => builder,
        })
    }

    fn memory(&self) -> Result<Option<RedisReplays>, String> {
        let Some(url) = &self.redis else { return Ok(None) };
        if url.contains('@') {
            return Err("--redis: a user and a password do not belong into arguments, which every process of the machine can read: expected redis://HOST:PORT/ with --redis-user and --redis-password-file".to_owned());
        }
        let refuse = |why| format!("--redis: {why}: expected redis://HOST:6379/ or rediss://HOST:6379/");
        let settings = RedisSettings::server(url).map_err(refuse)?.namespace(self.redis_namespace.clone());
        let mut settings = settings.timeout(Duration::from_millis(self.redis_timeout));
        if let Some(file) = &self.redis_password_file {
            let password = text(file, "--redis-password-file")?;
            settings = settings.credentials(&self.redis_user, password.trim_end_matches(['\r', '\n']));
        }
        if let Some(file) = &self.redis_ca_file {
            settings = settings.root_certificates(text(file, "--redis-ca-file")?);
        }
        let redis = Redis::with(settings).map_err(|why| format!("--redis: {why}"))?;
        let proofs = usize::try_from(self.redis_proofs_per_key).unwrap_or(usize::MAX);
        Ok(Some(redis.replays().per_sender(proofs)))
    }
}

/// The text of a file. What has no length of its own, such as a pipe, is read up to the cap, too.
fn text(file: &Path, flag: &str) -> Result<String, String> {
    let refuse = |why: &dyn std::fmt::Display| format!("{flag} {}: {why}", file.display());
    let mut text = String::new();
    File::open(file).and_then(|file| file.take(FILE + 1).read_to_string(&mut text)).map_err(|error| refuse(&error))?;
    match u64::try_from(text.len()) {
        Ok(..=FILE) => Ok(text),
        _ => Err(refuse(&"expected a file of at most 1 MiB")),
    }
}
