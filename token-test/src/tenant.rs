//! Everything one issuer knows: its name, time, keys, clients, and what is wrong with it today.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use token_core::{Algorithm, Clock};

use crate::client::Client;
use crate::grants::Grants;
use crate::keys::{KeyRing, TestKey};
use crate::own;
use crate::sign_in::SignIns;
use crate::status_list::list::List;
use crate::traffic::Traffic;

/// The state behind every endpoint. Locks are held for a look, never across an await.
#[derive(Debug)]
pub(crate) struct Tenant {
    /// Scheme, host and port: what the paths of the endpoints are appended to.
    pub(crate) origin: String,
    /// The path of the issuer without a slash at its end: empty, or `/realms/x`.
    pub(crate) path: String,
    /// The issuer identifier, exactly as tokens and documents spell it.
    pub(crate) issuer: String,
    pub(crate) audience: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) documents: Documents,
    pub(crate) traffic: Traffic,
    keys: Mutex<KeyRing>,
    clients: Mutex<HashMap<String, Client>>,
    metadata: Mutex<Map<String, Value>>,
    grants: Mutex<Grants>,
    /// Users on their way through the consent page, and codes that were handed out.
    sign_ins: Mutex<SignIns>,
    /// Other issuers whose identity assertions are taken for grants.
    pub(crate) trusted: Mutex<Vec<Arc<Tenant>>>,
    /// Opaque tokens and the claims behind them.
    opaque: Mutex<HashMap<String, Map<String, Value>>>,
    revoked: Mutex<HashSet<String>>,
    /// The lists of the status of tokens, by number.
    status_lists: Mutex<Vec<List>>,
    random: RandomState,
    counter: AtomicU64,
}

/// Which well-known documents are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Documents {
    Both,
    OpenIdOnly,
    Rfc8414Only,
}

/// What a tenant is made of; the builder fills it.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) path: String,
    pub(crate) trailing_slash: bool,
    /// The identifier, where it is not the address.
    pub(crate) known_as: Option<String>,
    pub(crate) audience: String,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) documents: Documents,
}

impl Tenant {
    pub(crate) fn new(origin: String, plan: Plan) -> Self {
        let path = plan.path.trim_end_matches('/').to_owned();
        let issuer = plan.known_as.unwrap_or_else(|| {
            let slash = if plan.trailing_slash { "/" } else { "" };
            format!("{origin}{path}{slash}")
        });
        let mut keys = KeyRing::default();
        let algorithm = plan.algorithms.first().copied().unwrap_or(Algorithm::RS256);
        keys.signing(algorithm);
        for algorithm in plan.algorithms {
            keys.signing(algorithm);
        }
        let tenant = Self {
            origin,
            path,
            issuer,
            audience: plan.audience,
            algorithm,
            clock: plan.clock,
            documents: plan.documents,
            traffic: Traffic::new(),
            keys: Mutex::new(keys),
            clients: Mutex::default(),
            metadata: Mutex::default(),
            grants: Mutex::default(),
            sign_ins: Mutex::default(),
            trusted: Mutex::default(),
            opaque: Mutex::default(),
            revoked: Mutex::default(),
            status_lists: Mutex::default(),
            random: RandomState::new(),
            counter: AtomicU64::new(0),
        };
        tenant.clients().insert("test-client".to_owned(), Client::with_secret("test-client", "test-secret"));
        tenant
    }

    /// The absolute address of an endpoint, whose path starts with a slash.
    pub(crate) fn endpoint(&self, path: &str) -> String {
        format!("{}{}{path}", self.origin, self.path)
    }

    /// An address of an endpoint as outsiders know it.
    pub(crate) fn outside(&self, address: &str) -> String {
        let named = self.issuer.split_inclusive('/').take(3).collect::<String>();
        let named = named.trim_end_matches('/');
        address.strip_prefix(&self.origin).map_or_else(|| address.to_owned(), |path| format!("{named}{path}"))
    }

    pub(crate) fn now_secs(&self) -> i64 {
        self.clock.now().as_secs()
    }

    /// 128 bits as hexadecimal text, never the same twice. For test tokens only: not from a cryptographic source.
    pub(crate) fn unique(&self) -> String {
        let count = self.counter.fetch_add(1, Ordering::Relaxed);
        let half = |salt: u8| {
            let mut hasher = self.random.build_hasher();
            hasher.write_u8(salt);
            hasher.write_u64(count);
            hasher.finish()
        };
        format!("{:016x}{:016x}", half(0), half(1))
    }

    pub(crate) fn keys(&self) -> MutexGuard<'_, KeyRing> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn clients(&self) -> MutexGuard<'_, HashMap<String, Client>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn grants(&self) -> MutexGuard<'_, Grants> {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn sign_ins(&self) -> MutexGuard<'_, SignIns> {
        self.sign_ins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn status_lists(&self) -> MutexGuard<'_, Vec<List>> {
        self.status_lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn keep_opaque(&self, token: &str, claims: Map<String, Value>) {
        self.opaque.lock().unwrap_or_else(PoisonError::into_inner).insert(token.to_owned(), claims);
    }

    pub(crate) fn revoke(&self, token: &str) {
        self.revoked.lock().unwrap_or_else(PoisonError::into_inner).insert(token.to_owned());
    }

    /// What the issuer knows of one of its tokens, opaque or JWT; `None` when it is expired, revoked or not its own. Its own is what a
    /// key signs that it publishes or signs with, or, as legacy ID tokens are, the secret of a client.
    pub(crate) fn active_claims(&self, token: &str) -> Option<Map<String, Value>> {
        if self.revoked.lock().unwrap_or_else(PoisonError::into_inner).contains(token) {
            return None;
        }
        let opaque = self.opaque.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned();
        let claims = opaque.or_else(|| self.claims_of_own(token))?;
        let lives = claims.get("exp").is_none_or(|exp| exp.as_f64().is_some_and(|exp| exp > self.now_secs() as f64));
        lives.then_some(claims)
    }

    fn claims_of_own(&self, jwt: &str) -> Option<Map<String, Value>> {
        let mut keys = self.keys().own();
        let secret = |client: &Client| Some(TestKey::from_secret(Algorithm::HS256, None, client.secret()?));
        keys.extend(self.clients().values().filter_map(secret));
        claims_of(jwt).filter(|claims| claims.get("iss") == Some(&json!(self.issuer)) && own::signed_by(jwt, &keys))
    }

    /// What a test put in place of members of the discovery document; null removes.
    pub(crate) fn metadata(&self) -> MutexGuard<'_, Map<String, Value>> {
        self.metadata.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The claims of a JWT, which nobody has verified.
pub(crate) fn claims_of(jwt: &str) -> Option<Map<String, Value>> {
    part_of(jwt, 1)
}

/// The header of a JWT, which nobody has verified.
pub(crate) fn header_of(jwt: &str) -> Option<Map<String, Value>> {
    part_of(jwt, 0)
}

fn part_of(jwt: &str, index: usize) -> Option<Map<String, Value>> {
    let part = jwt.split('.').nth(index)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
