//! Options in, the policy they mean and the server for it out.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use token_core::http::{HttpClient, ReqwestClient};
use token_core::policy::{IssuerPolicy, Policy};
use token_core::stores::{FirstTime, ReplayMemory};
use token_core::{
    ResourceServer, Timestamp,
    keys::{HttpKeySource, KeySource},
};

use crate::args::{Network, Trust};
use crate::at::{At, Stopped};
use crate::end::Failure;

/// The policy that the options describe. For an ID token its audience is the client.
pub(crate) fn policy(trust: &Trust, client: Option<&str>) -> Result<Policy, Failure> {
    let mut policy = match (&trust.policy, &trust.issuer, trust.audience.as_deref().or(client)) {
        (Some(file), ..) => Policy::from_file(file)?,
        (None, Some(issuer), Some(audience)) => of_issuer(issuer, audience),
        (None, Some(_), None) => {
            return Err(Failure::input("--issuer goes with --audience NAME, or with --id-token CLIENT"));
        }
        (None, None, _) => return Err(Failure::input("expected --policy FILE, or --issuer URL and --audience NAME")),
    };
    if let Some(keys) = &trust.keys {
        with_keys(&mut policy, keys);
    }
    reached_by(&mut policy, &trust.network);
    if let Some(origin) = &trust.reached_at {
        elsewhere(&mut policy, origin)?;
    }
    Ok(policy)
}

/// A policy that trusts one issuer with every default; this very machine needs no permission.
fn of_issuer(issuer: &str, audience: &str) -> Policy {
    let mut one = IssuerPolicy::discover(issuer);
    one.allow_loopback_http = is_loopback(issuer);
    Policy::new(audience).trust(one)
}

/// Says of the one issuer where it is asked.
fn elsewhere(policy: &mut Policy, origin: &str) -> Result<(), Failure> {
    let [issuer] = policy.issuers.as_mut_slice() else {
        return Err(Failure::input(
            "--reached-at is for one issuer, and the policy has several: write reached_at into it",
        ));
    };
    issuer.reached_at = Some(origin.to_owned());
    issuer.allow_loopback_http |= is_loopback(origin);
    Ok(())
}

/// Says of every issuer how its servers are reached.
pub(crate) fn reached_by(policy: &mut Policy, network: &Network) {
    for issuer in &mut policy.issuers {
        issuer.allow_private_addresses |= network.allow_private;
        issuer.dangerously_allow_plain_http |= network.dangerously_allow_plain_http;
        if let Some(ca) = &network.ca {
            issuer.ca_file = Some(ca.clone());
        }
        if let Some(proxy) = &network.proxy {
            issuer.proxy = Some(proxy.clone());
        }
    }
}

/// Takes these keys for every issuer in place of theirs: a file, or an address.
pub(crate) fn with_keys(policy: &mut Policy, keys: &str) {
    for issuer in &mut policy.issuers {
        (issuer.jwks_uri, issuer.jwks_file, issuer.secret, issuer.without_keys) = (None, None, None, false);
        if is_address(keys) {
            issuer.jwks_uri = Some(keys.to_owned());
            issuer.allow_loopback_http |= is_loopback(keys);
        } else {
            issuer.jwks_file = Some(keys.into());
        }
    }
}

/// Builds the server as of `at`.
pub(crate) fn build(policy: &Policy, at: Option<At>) -> Result<ResourceServer, Failure> {
    if policy.issuers.is_empty() {
        return Err(Failure::input("the policy trusts no issuer"));
    }
    let builder = policy.builder()?.adjust_dpop(|dpop| dpop.replay_memory(Forgetful));
    let builder = match at {
        Some(At(time)) => builder.clock(Stopped(time)),
        None => builder,
    };
    Ok(builder.build()?)
}

/// A memory of proofs that holds none: each is judged by itself, in whatever order, and whatever instances share is not asked.
#[derive(Debug)]
pub(crate) struct Forgetful;

impl ReplayMemory for Forgetful {
    fn first_time(&self, _: [u8; 32], _: Timestamp, _: Timestamp) -> FirstTime {
        FirstTime::Known(Ok(true))
    }
}

pub(crate) fn is_address(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}

/// Whether an address is of this very machine, which a developer's tool may talk to without being asked, with or without TLS.
pub(crate) fn is_loopback(address: &str) -> bool {
    let Some(rest) = address.strip_prefix("http://").or_else(|| address.strip_prefix("https://")) else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    ["127.0.0.1", "localhost", "[::1]"]
        .iter()
        .any(|here| host == *here || host.strip_prefix(here).is_some_and(|port| port.starts_with(':')))
}

/// The client for addresses that were typed by the one who runs this.
pub(crate) fn client(address: &str, network: &Network) -> Result<Arc<dyn HttpClient>, Failure> {
    let mut builder = ReqwestClient::builder();
    if is_loopback(address) {
        builder = builder.allow_loopback_http();
    }
    if network.allow_private {
        builder = builder.allow_private_addresses();
    }
    if network.dangerously_allow_plain_http {
        builder = builder.dangerously_allow_plain_http();
    }
    if let Some(ca) = &network.ca {
        builder = builder.root_certificate_pem(read_file(ca)?);
    }
    if let Some(proxy) = &network.proxy {
        builder = builder.proxy(proxy);
    }
    let client = builder.build().map_err(|error| Failure::input(error.to_string()))?;
    Ok(Arc::new(client))
}

/// The bytes of a key set and for how long its server says they hold.
pub(crate) async fn read_keys(
    keys: &str,
    network: &Network,
) -> Result<(Vec<u8>, Option<std::time::Duration>), Failure> {
    if !is_address(keys) {
        return Ok((read_file(Path::new(keys))?, None));
    }
    let open = if network.dangerously_allow_plain_http {
        HttpKeySource::dangerously_over_plain_http
    } else {
        HttpKeySource::new
    };
    let source = open(keys, client(keys, network)?).map_err(|error| Failure::input(error.to_string()))?;
    let fetched = source.fetch().await.map_err(|error| Failure::unreachable(format!("{keys}: {error}")))?;
    Ok((fetched.jwk_set.to_vec(), fetched.max_age))
}

/// A file of at most 512 KiB, the cap for key sets.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    const LARGEST: u64 = 512 * 1024;
    let failure = |why: &dyn std::fmt::Display| Failure::input(format!("{}: {why}", path.display()));
    let mut bytes = Vec::new();
    // Not by the file's own word for its length: a pipe or a device has none.
    File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(|error| failure(&error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(failure(&"larger than 512 KiB, which no key set may be"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_very_machine_is_spoken_to_without_being_asked() {
        for (address, expected) in [
            ("http://127.0.0.1:9000", true),
            ("http://localhost/x", true),
            ("http://[::1]:1", true),
            ("https://localhost", true),
            ("https://127.0.0.1:8443/realms/a", true),
            ("ftp://localhost", false),
            ("http://localhost.evil.example", false),
            ("http://127.0.0.1.evil.example", false),
            ("http://127.0.0.1@evil.example", false),
            ("http://evil.example/127.0.0.1", false),
        ] {
            assert_eq!(is_loopback(address), expected, "{address}");
        }
    }
}
