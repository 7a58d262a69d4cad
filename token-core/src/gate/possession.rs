//! What an operator says of proofs of possession in, what the gate holds of it out (RFC 9449).

mod mutual_tls;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::answer::challenge::{DpopOffer, DpopPolicy, FreshNonce};
use crate::base::config_error::ConfigError;
use crate::base::time::{Clock, Timestamp};
use crate::jose::{Algorithm, Algorithms};
use crate::policy::{ForwardedPolicy, KeptSecret, ProofPolicy, ReplayMemoryPolicy};
use crate::request::address::{Base, ExternalUrl};
use crate::request::forwarded::{Forwarded, ForwardedField};
use crate::request::network::Network;
use crate::request::presented::RequestView;
use crate::stores::{FirstTime, MemoryReplays, ReplayMemory, WhenUnreachable};
use crate::verify::possession::keys::PreparedKeys;
use crate::verify::possession::nonce::{NonceKeys, Nonces};
use crate::verify::possession::proof::Rules;

pub use mutual_tls::MutualTls;

/// How many proofs a memory of one process has room for, in all and of one key.
const ROOM: usize = 100_000;
const ROOM_PER_KEY: usize = 1_000;
/// The widest window for `iat`: proofs are remembered for as long.
const WIDEST: Duration = Duration::from_secs(600);

/// How DPoP proofs are required and checked (RFC 9449). Give it to [`ResourceServerBuilder::dpop`](crate::ResourceServerBuilder::dpop).
///
/// # What is checked
/// Everything in RFC 9449 section 4.3: exactly one `DPoP` field; `typ`, `alg` and a public `jwk`; the signature; `jti`, `htm`, `htu`, `iat` and `ath`; the key
/// against `cnf.jkt` of the token, also for a cached token and one that an endpoint vouches for; the nonce, where one is required; and that the proof was not used
/// before. A token that is bound to a key is refused without a proof. A token that is not bound is refused with one.
///
/// # What is not checked
/// * `exp` and `nbf` of a proof: only its `iat` counts.
/// * Whether *another* process has seen the proof, unless both share a [replay memory](Self::replay_memory).
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until a builder is given them"]
pub struct Dpop {
    pub(crate) policy: DpopPolicy,
    pub(crate) external_url: Option<ExternalUrl>,
    forwarded: Option<Forwarded>,
    pub(crate) rules: Rules,
    pub(crate) nonces: NonceSetting,
    /// Where a policy has the secrets of the nonces from.
    nonce_secrets: Vec<KeptSecret>,
    replays: Option<Arc<dyn ReplayMemory>>,
    /// Whether a memory of this process's own will not do.
    shared: bool,
    pub(crate) max_proofs: usize,
    pub(crate) max_proofs_per_key: usize,
    when_unreachable: WhenUnreachable,
}

/// Whether nonces are asked for.
#[derive(Clone, Debug)]
pub(crate) enum NonceSetting {
    Off,
    /// With a secret of this process.
    Own,
    Shared(NonceKeys),
}

impl Dpop {
    /// For a server that clients reach under this URL, such as `https://api.example.com`. Include the path, if a proxy removes one before it forwards the request.
    /// A layer can set another URL for its routes.
    ///
    /// # Errors
    /// [`ConfigError`] if `external_url` is not an `http` or `https` URL, or has credentials, a query or a fragment.
    pub fn at(external_url: &str) -> Result<Self, ConfigError> {
        Ok(Self::new(Some(external_url.parse()?)))
    }

    /// Compares proofs with the host that the request names. For a server with one name and without a proxy in front.
    ///
    /// The client chooses that host: if two servers accept the same tokens and both use this setting, each accepts proofs that were made for the other. Where the
    /// connection does not say whether it uses TLS, both `http` and `https` are accepted. [`at`](Self::at) has neither weakness.
    pub fn at_requested_host() -> Self {
        Self::new(None)
    }

    /// Compares proofs with the host and scheme that a proxy reports in this header field. For a server with many names. Only proxies with one of these addresses are
    /// believed. Every proof is refused if the request comes from another address, or if the field is missing, occurs twice or has several values. If the proxy
    /// removes a part of the path, use [`at`](Self::at).
    ///
    /// The proxy must overwrite the field: a value that it passes on unchanged comes from the client.
    ///
    /// # Errors
    /// [`ConfigError`] without an address.
    pub fn behind(field: ForwardedField, proxies: impl IntoIterator<Item = Network>) -> Result<Self, ConfigError> {
        Ok(Self { forwarded: Some(Forwarded::new(field, proxies)?), ..Self::new(None) })
    }

    fn new(external_url: Option<ExternalUrl>) -> Self {
        let algorithms = Algorithms::DEFAULT.insert(Algorithm::ES512);
        Self {
            policy: DpopPolicy::BearerOrDpop,
            external_url,
            forwarded: None,
            rules: Rules { algorithms, max_age: Duration::from_secs(60), max_ahead: Duration::from_secs(10) },
            nonces: NonceSetting::Off,
            nonce_secrets: Vec::new(),
            replays: None,
            shared: false,
            max_proofs: ROOM,
            max_proofs_per_key: ROOM_PER_KEY,
            when_unreachable: WhenUnreachable::Refuse,
        }
    }

    /// What a policy says.
    pub(crate) fn of(policy: &ProofPolicy) -> Result<Self, ConfigError> {
        let mut dpop = match (&policy.external_url, &policy.forwarded) {
            (Some(_), Some(_)) => {
                return Err(ConfigError::new(
                    "dpop: external_url is where clients reach this server: remove forwarded",
                ));
            }
            (Some(url), None) => Self::at(url)?,
            (None, Some(forwarded)) => Self::behind(forwarded.field, forwarded.proxies.iter().copied())?,
            (None, None) => Self::at_requested_host(),
        };
        dpop.policy = policy.schemes;
        dpop.rules.algorithms = policy.algorithms.unwrap_or(dpop.rules.algorithms);
        dpop.rules.max_age = policy.max_age.unwrap_or(dpop.rules.max_age);
        dpop.rules.max_ahead = policy.max_ahead.unwrap_or(dpop.rules.max_ahead);
        dpop.max_proofs = policy.max_proofs.unwrap_or(dpop.max_proofs);
        dpop.max_proofs_per_key = policy.max_proofs_per_key.unwrap_or(dpop.max_proofs_per_key);
        if policy.require_nonces {
            dpop.nonces = NonceSetting::Own;
        }
        if let Some((first, others)) = policy.nonce_secrets.split_first() {
            let secret = |kept: &KeptSecret| {
                kept.read().map_err(|error| ConfigError::new(format!("dpop.nonce_secrets: {error}")))
            };
            let mut keys = NonceKeys::new(&secret(first)?)?;
            for other in others {
                keys = keys.and(&secret(other)?)?;
            }
            dpop.nonces = NonceSetting::Shared(keys);
            dpop.nonce_secrets.clone_from(&policy.nonce_secrets);
        }
        dpop.shared = policy.replay_memory == ReplayMemoryPolicy::Shared;
        dpop.when_unreachable = policy.when_replay_memory_is_unreachable;
        Ok(dpop)
    }

    /// The same as a policy, but for stores and secrets.
    pub(crate) fn policy_text(&self) -> ProofPolicy {
        let plain = Self::at_requested_host();
        let mut policy = ProofPolicy::default();
        policy.schemes = self.policy;
        policy.external_url = self.external_url.as_ref().map(ToString::to_string);
        policy.algorithms = (self.rules.algorithms != plain.rules.algorithms).then_some(self.rules.algorithms);
        policy.max_age = (self.rules.max_age != plain.rules.max_age).then_some(self.rules.max_age);
        policy.max_ahead = (self.rules.max_ahead != plain.rules.max_ahead).then_some(self.rules.max_ahead);
        policy.forwarded = self
            .forwarded
            .as_ref()
            .map(|forwarded| ForwardedPolicy { field: forwarded.field, proxies: forwarded.proxies.to_vec() });
        policy.nonce_secrets.clone_from(&self.nonce_secrets);
        policy.require_nonces = self.nonce_secrets.is_empty() && !matches!(self.nonces, NonceSetting::Off);
        policy.replay_memory = if self.shared { ReplayMemoryPolicy::Shared } else { ReplayMemoryPolicy::Own };
        policy.when_replay_memory_is_unreachable = self.when_unreachable;
        policy.max_proofs = (self.max_proofs != plain.max_proofs).then_some(self.max_proofs);
        policy.max_proofs_per_key =
            (self.max_proofs_per_key != plain.max_proofs_per_key).then_some(self.max_proofs_per_key);
        policy
    }

    /// Which kinds of tokens are accepted, unless a layer sets something else. Default: [`DpopPolicy::BearerOrDpop`].
    pub fn policy(mut self, policy: DpopPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Accepts only tokens with a proof: [`DpopPolicy::Required`].
    pub fn required(self) -> Self {
        self.policy(DpopPolicy::Required)
    }

    /// The algorithms that proofs may be signed with. Default: ES256, ES384, ES512, EdDSA, PS256 and RS256, with RSA keys of 2048 to 4096 bits.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.rules.algorithms = algorithms.into_iter().collect();
        self
    }

    /// How old the `iat` of a proof may be. Default 60 s, at most 10 min. Other servers take up to 300 s: clients whose clock is slow pass there
    /// and not here.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.rules.max_age = age;
        self
    }

    /// How far ahead the `iat` of a proof may be. Default 10 s, at most 10 min.
    pub fn max_ahead(mut self, ahead: Duration) -> Self {
        self.rules.max_ahead = ahead;
        self
    }

    /// Asks for a nonce in every proof (RFC 9449 section 9), so that proofs cannot be made in advance. It costs a client one more request
    /// at the start. The secret is this process's own: instances behind one name have to [share one](Self::nonce_keys).
    pub fn require_nonces(mut self) -> Self {
        self.nonces = NonceSetting::Own;
        self.nonce_secrets.clear();
        self
    }

    /// The same with a secret that instances share.
    pub fn nonce_keys(mut self, keys: NonceKeys) -> Self {
        self.nonces = NonceSetting::Shared(keys);
        self.nonce_secrets.clear();
        self
    }

    /// Where proofs are remembered that came, in place of this process's own memory: instances behind one name have to share one, or a
    /// proof is good once at each.
    pub fn replay_memory(mut self, memory: impl ReplayMemory) -> Self {
        self.replays = Some(Arc::new(memory));
        self
    }

    /// How many proofs this process's own memory has room for. Default 100,000, about 10 MiB; a proof is remembered for 71 s, or for as long as
    /// the window says. A full memory refuses with 503.
    pub fn max_proofs(mut self, proofs: usize) -> Self {
        self.max_proofs = proofs;
        self
    }

    /// How many of them may be of one key. Default 1,000: 14 requests a second, on and on. Raise it where one client is a busy server.
    pub fn max_proofs_per_key(mut self, proofs: usize) -> Self {
        self.max_proofs_per_key = proofs;
        self
    }

    /// What becomes of requests while the replay memory is out of reach. Default: [`WhenUnreachable::Refuse`], 503. A memory that is full always refuses.
    pub fn when_replay_memory_is_unreachable(mut self, choice: WhenUnreachable) -> Self {
        self.when_unreachable = choice;
        self
    }
}

/// What an operator says of DPoP, ready to be asked.
#[derive(Debug)]
pub(crate) struct Possession {
    pub(crate) policy: DpopPolicy,
    external_url: Option<ExternalUrl>,
    forwarded: Option<Forwarded>,
    pub(crate) rules: Rules,
    pub(crate) keys: PreparedKeys,
    pub(crate) nonces: Option<Arc<Nonces>>,
    pub(crate) when_unreachable: WhenUnreachable,
    pub(crate) certificates: Option<MutualTls>,
    /// Whether DPoP is taken at all.
    pub(crate) takes_dpop: bool,
    replays: Replays,
    /// The secret behind the nonces, if it is this process's own.
    own_nonces: Option<NonceKeys>,
}

#[derive(Clone, Debug)]
enum Replays {
    Own(MemoryReplays),
    Given(Arc<dyn ReplayMemory>),
}

impl Possession {
    /// `former` is that of a server whose place this one takes.
    pub(crate) fn new(
        dpop: Option<&Dpop>,
        certificates: Option<&MutualTls>,
        clock: &Arc<dyn Clock>,
        former: Option<&Self>,
    ) -> Result<Self, ConfigError> {
        let takes_dpop = dpop.is_some();
        let without = Dpop::at_requested_host().policy(DpopPolicy::Bearer);
        let dpop = dpop.unwrap_or(&without);
        let refuse = |why: &str| Err(ConfigError::new(format!("dpop: {why}")));
        let rules = dpop.rules.clone();
        if rules.algorithms.is_empty() {
            return refuse("no algorithm is allowed");
        }
        if !rules.algorithms.intersection(Algorithms::HMAC).is_empty() {
            return refuse("HS256, HS384 and HS512 prove nothing: whoever can check such a proof could have made it");
        }
        if rules.max_age > WIDEST || rules.max_ahead > WIDEST {
            return refuse("expected a window of at most 10 min to each side");
        }
        if rules.max_age < Duration::from_secs(1) {
            return refuse("expected max_age to be at least 1 s");
        }
        if dpop.max_proofs == 0 || dpop.max_proofs_per_key == 0 {
            return refuse("a memory without room refuses every proof");
        }
        if dpop.shared && dpop.replays.is_none() {
            return refuse(
                "replay_memory is shared, and this server was given none that instances share: its code has to hand one over, and token-gate is told of one with --redis",
            );
        }
        let replays = match (&dpop.replays, former.map(|former| &former.replays)) {
            (Some(given), _) => Replays::Given(Arc::clone(given)),
            // Proofs that came before the change came all the same.
            (None, Some(Replays::Own(memory))) => {
                Replays::Own(memory.resized(dpop.max_proofs, dpop.max_proofs_per_key))
            }
            (None, _) => {
                Replays::Own(MemoryReplays::with_capacity(dpop.max_proofs).per_sender(dpop.max_proofs_per_key))
            }
        };
        let own_nonces = match (&dpop.nonces, former.and_then(|former| former.own_nonces.as_ref())) {
            (NonceSetting::Own, Some(former)) => Some(former.clone()),
            (NonceSetting::Own, None) => Some(NonceKeys::random()?),
            _ => None,
        };
        let keys = match &dpop.nonces {
            NonceSetting::Off => None,
            NonceSetting::Own => own_nonces.clone(),
            NonceSetting::Shared(keys) => Some(keys.clone()),
        };
        Ok(Self {
            policy: dpop.policy,
            external_url: dpop.external_url.clone(),
            forwarded: dpop.forwarded.clone(),
            rules,
            keys: PreparedKeys::default(),
            nonces: keys.map(|keys| Arc::new(Nonces::new(keys, Arc::clone(clock)))),
            when_unreachable: dpop.when_unreachable,
            certificates: certificates.cloned(),
            takes_dpop,
            replays,
            own_nonces,
        })
    }

    /// Where a request went, up to its path: as the route says it, the server, or whoever else is believed.
    pub(crate) fn base<'a>(&'a self, route: Option<&'a ExternalUrl>, request: &'a dyn RequestView) -> Base<'a> {
        match (route.or(self.external_url.as_ref()), &self.forwarded) {
            (Some(url), _) => Base::External(Cow::Borrowed(url)),
            (None, Some(forwarded)) => forwarded.base(request),
            (None, None) => Base::requested(request.scheme(), request.host()),
        }
    }

    /// What challenges say.
    pub(crate) fn offer(&self) -> Option<DpopOffer> {
        if !self.takes_dpop {
            return None;
        }
        let mut algs = String::new();
        for algorithm in self.rules.algorithms.iter() {
            let name = if algorithm == Algorithm::EdDSA { "Ed25519 EdDSA" } else { algorithm.name() };
            algs.push_str(if algs.is_empty() { "" } else { " " });
            algs.push_str(name);
        }
        let nonces = self.nonces.clone().map(|nonces| nonces as Arc<dyn FreshNonce>);
        Some(DpopOffer { policy: self.policy, algs, nonces })
    }

    pub(crate) fn first_proof(&self, sender: [u8; 32], proof: [u8; 32], until: Timestamp, now: Timestamp) -> FirstTime {
        match &self.replays {
            Replays::Own(memory) => memory.first_proof(sender, proof, until, now),
            Replays::Given(memory) => memory.first_proof(sender, proof, until, now),
        }
    }
}
