//! The policy and keys that a line names in, the server for them out; each is built once, and not more than some are kept.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use token_core::ResourceServer;
use token_core::policy::{IssuerPolicy, Policy};

use super::clock::LineClock;
use crate::args::Check;
use crate::end::Failure;
use crate::trust;

/// How many servers are kept.
const KEPT: usize = 256;

/// A server, and whether its keys are all at hand: only then can each line have a time of its own.
#[derive(Clone)]
pub(super) struct Ready {
    pub(super) server: ResourceServer,
    pub(super) keys_at_hand: bool,
}

/// The policy and the keys that a line names.
type Named = (Option<String>, Option<String>);

/// The servers in use, by policy and keys.
pub(super) struct Servers {
    options: Check,
    default: Option<Ready>,
    others: Mutex<HashMap<Named, Ready>>,
}

impl Servers {
    /// Builds the default at once, so that a bad policy is reported before a line is read.
    pub(super) fn new(options: Check) -> Result<Self, Failure> {
        let mut servers = Self { options, default: None, others: Mutex::default() };
        if servers.options.policy.is_some() {
            servers.default = Some(servers.build(None, None).map_err(Failure::input)?);
        }
        Ok(servers)
    }

    /// The server for a line that names these.
    pub(super) fn find(&self, policy: Option<&str>, keys: Option<&str>) -> Result<Ready, String> {
        if let (None, None, Some(default)) = (policy, keys, &self.default) {
            return Ok(default.clone());
        }
        let name = (policy.map(str::to_owned), keys.map(str::to_owned));
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ready) = others.get(&name) {
            return Ok(ready.clone());
        }
        let ready = self.build(policy, keys)?;
        if others.len() >= KEPT {
            others.clear();
        }
        others.insert(name, ready.clone());
        Ok(ready)
    }

    fn build(&self, policy: Option<&str>, keys: Option<&str>) -> Result<Ready, String> {
        let file = policy.map(Into::into).or_else(|| self.options.policy.clone());
        let file = file.ok_or("no policy: name one in the line or with --policy")?;
        let mut policy = Policy::from_file(file).map_err(|error| error.to_string())?;
        if let Some(keys) = keys.or(self.options.keys.as_deref()) {
            trust::with_keys(&mut policy, keys);
        }
        trust::reached_by(&mut policy, &self.options.network);
        let at_hand = |issuer: &IssuerPolicy| {
            (issuer.jwks_file.is_some() || issuer.secret.is_some()) && issuer.introspection.is_none()
        };
        let keys_at_hand = policy.issuers.iter().all(at_hand);
        let clock = LineClock(self.options.at.map(|at| at.0));
        let builder = policy.builder().map_err(|error| error.to_string())?;
        let builder = builder.clock(clock).adjust_dpop(|dpop| dpop.replay_memory(trust::Forgetful));
        let server = builder.build().map_err(|error| error.to_string())?;
        Ok(Ready { server, keys_at_hand })
    }
}
