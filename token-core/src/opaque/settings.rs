//! What an operator says of an issuer's opaque tokens: whom to ask, how long to believe the answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::OpaqueVerifier;
use super::api_keys::{ApiKeyStore, MemoryApiKeys};
use crate::base::config_error::ConfigError;
use crate::base::config_error::parse_url;
use crate::base::http::HttpClient;
use crate::base::http::address::{PlainHttp, origin};
use crate::opaque::client_authentication::ClientAuthentication;
use crate::stores::{AnswerStore, MemoryAnswers};
use crate::token::audience::Audience;

/// How the opaque tokens of one issuer are verified: whom to ask, which tokens to show there, how long an answer holds.
/// Give it to [`Issuer::opaque_tokens`](crate::Issuer::opaque_tokens) or [`Issuer::without_keys`](crate::Issuer::without_keys).
///
/// An active answer is believed for 60 s, an inactive one for 10 s, neither past the token's `exp`. Whatever is in it is checked here
/// again on each use: times, audience, issuer, `cnf`. So the longest time for which a revoked token still works is
/// [`active_life`](Self::active_life), unless it is [evicted](crate::ResourceServer::evict) or
/// [denied](crate::ResourceServer::deny).
///
/// ```
/// use token_core::opaque::client_authentication::ClientAuthentication;
/// use token_core::{opaque::OpaqueTokens, Issuer, ResourceServer};
///
/// # fn main() -> Result<(), token_core::ConfigError> {
/// let ask = OpaqueTokens::introspection(
///     "https://login.example.com/introspect",
///     "my-api",
///     ClientAuthentication::Basic("the secret".into()),
/// )?;
/// // JWTs of this issuer are verified with its keys, everything else is introspected.
/// let issuer = Issuer::discover("https://login.example.com/")?.opaque_tokens(ask);
/// let api = ResourceServer::builder("https://api.example.com").trust(issuer).build()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct OpaqueTokens {
    pub(crate) kind: Kind,
    pub(crate) audience: Option<Audience>,
    pub(crate) prefixes: Vec<String>,
    pub(crate) jwts_too: bool,
    pub(crate) signed_only: bool,
    pub(crate) client: Option<Arc<dyn HttpClient>>,
    pub(crate) compiled: Compiled,
}

/// The settings that the state of an endpoint needs at run time.
#[derive(Clone, Debug)]
pub(crate) struct Compiled {
    pub(crate) active_life: Duration,
    pub(crate) inactive_life: Duration,
    pub(crate) timeout: Duration,
    pub(crate) store: Arc<dyn AnswerStore>,
    pub(crate) local_life: Duration,
    pub(crate) lease: Option<Duration>,
    pub(crate) max_token: usize,
    pub(crate) questions: usize,
    pub(crate) queue: Duration,
}

/// Whom to ask.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Introspection {
        endpoint: String,
        client_id: String,
        authentication: ClientAuthentication,
    },
    UserInfo {
        endpoint: String,
    },
    TokenInfo {
        endpoint: String,
    },
    TokenReview {
        api_server: String,
    },
    Verifier(Arc<dyn OpaqueVerifier>),
    ApiKeys(Arc<dyn ApiKeyStore>),
    /// Those of a policy, which can be written down again.
    StaticApiKeys(MemoryApiKeys),
}

/// Answers may be believed this long at most: a cache is no substitute for a token's own life.
const LONGEST_LEASE: Duration = Duration::from_secs(10);
const LONGEST_LIFE: Duration = Duration::from_secs(3600);
/// More than this at once and an endpoint is not helped.
const MOST_QUESTIONS: usize = 512;
/// A store of API keys is nearer than an endpoint.
const KEYS_ARE_BELIEVED: Duration = Duration::from_secs(10);
/// What most servers take in one header field.
pub(crate) const LARGEST_TOKEN: usize = 8 * 1024;

impl OpaqueTokens {
    /// RFC 7662: the introspection endpoint at this URL, asked in the name of this client.
    ///
    /// # Errors
    /// When `endpoint` is not an absolute URL, or there is no client id where one is needed.
    pub fn introspection(
        endpoint: impl Into<String>,
        client_id: impl Into<String>,
        authentication: ClientAuthentication,
    ) -> Result<Self, ConfigError> {
        let (endpoint, client_id) = (endpoint.into(), client_id.into());
        parse_url("introspection endpoint", &endpoint)?;
        if client_id.is_empty() && !matches!(authentication, ClientAuthentication::Bearer(_)) {
            return Err(ConfigError::new("introspection needs the id of the client that asks"));
        }
        Ok(Self::new(Kind::Introspection { endpoint, client_id, authentication }))
    }

    /// OpenID Connect Core section 5.3: a token is good if the userinfo endpoint at this URL takes it, and the claims it answers with
    /// become the token's.
    ///
    /// # What is not checked
    /// Userinfo says nothing about audience, scope or expiry: a token that the issuer gave to *any* application passes. That is why a
    /// server is only built with [`audience`](Self::audience) set, to [`Audience::dangerously_unchecked`] where answers have no `aud`.
    ///
    /// # Errors
    /// When `endpoint` is not an absolute URL.
    pub fn userinfo(endpoint: impl Into<String>) -> Result<Self, ConfigError> {
        let endpoint = endpoint.into();
        parse_url("userinfo endpoint", &endpoint)?;
        Ok(Self::new(Kind::UserInfo { endpoint }))
    }

    /// Auth0's legacy `/tokeninfo`: checks an ID token's signature and expiry and answers with the profile. `iss`, `aud`, `sub`, `exp` and
    /// `iat` are taken from the token itself, which the endpoint then vouches for, and checked here again: the audience is the client's id.
    ///
    /// # Errors
    /// When `endpoint` is not an absolute URL.
    pub fn tokeninfo(endpoint: impl Into<String>) -> Result<Self, ConfigError> {
        let endpoint = endpoint.into();
        parse_url("tokeninfo endpoint", &endpoint)?;
        Ok(Self::new(Kind::TokenInfo { endpoint }))
    }

    /// A Kubernetes cluster's API server at this origin, `https://kubernetes.default.svc`: a `TokenReview` (`authentication.k8s.io/v1`) for the audience that
    /// tokens have to name. It knows what a signature does not: whether the pod, the node or the secret that a token is bound to still exists.
    ///
    /// With [`introspect_jwts`](Self::introspect_jwts) tokens are verified with the cluster's keys first, and then reviewed; with
    /// [`Issuer::without_keys`](crate::Issuer::without_keys) they are only reviewed. The token that this server shows is that of
    /// [`Issuer::bearer_token_file`](crate::Issuer::bearer_token_file); its service account needs the ClusterRole `system:auth-delegator`.
    ///
    /// # What is not checked
    /// A review says why a token is not good, or that an authenticator of the server was out of reach, in one text for people: both are a refusal here.
    ///
    /// # Errors
    /// When `api_server` is anything but scheme, host and perhaps a port.
    pub fn token_review(api_server: impl Into<String>) -> Result<Self, ConfigError> {
        let api_server = api_server.into();
        origin(&api_server, PlainHttp::Inside)
            .map_err(|why| ConfigError::new(format!("token_review: api_server {api_server}: {why}")))?;
        Ok(Self::new(Kind::TokenReview { api_server }))
    }

    /// Somebody else to ask.
    #[must_use]
    pub fn verifier(verifier: impl OpaqueVerifier) -> Self {
        Self::new(Kind::Verifier(Arc::new(verifier)))
    }

    /// API keys. Whoever has one of this server's own keys is meant for this server, so there is no audience to check.
    pub(crate) fn api_keys(prefix: String, keys: Kind) -> Self {
        let tokens = Self::new(keys).prefix(prefix).audience(Audience::dangerously_unchecked());
        tokens.active_life(KEYS_ARE_BELIEVED).inactive_life(Duration::ZERO)
    }

    fn new(kind: Kind) -> Self {
        Self {
            kind,
            audience: None,
            prefixes: Vec::new(),
            jwts_too: false,
            signed_only: false,
            client: None,
            compiled: Compiled {
                active_life: Duration::from_secs(60),
                inactive_life: Duration::from_secs(10),
                timeout: Duration::from_secs(3),
                store: Arc::new(MemoryAnswers::default()),
                local_life: Duration::ZERO,
                lease: None,
                max_token: LARGEST_TOKEN,
                questions: MOST_QUESTIONS,
                queue: Duration::from_secs(1),
            },
        }
    }

    /// Another audience for opaque tokens than the issuer's JWTs have. Answers often have none: where the issuer introspects for this
    /// client only tokens that are meant for it, [`Audience::dangerously_unchecked`] says so.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<Audience>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Only tokens that start like this are shown to the endpoint, such as `ory_at_` or `ya29.`; several calls add up. Without a prefix
    /// the endpoint is shown every token that is no JWT.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefixes.push(prefix.into());
        self
    }

    /// Asks about this issuer's JWTs too, after they have been verified here: for those who need a revocation to count at once, or
    /// within [`active_life`](Self::active_life).
    #[must_use]
    pub fn introspect_jwts(mut self) -> Self {
        self.jwts_too = true;
        self
    }

    /// Takes only answers that the issuer signed: RFC 9701 for introspection, OpenID Connect Core section 5.3.2 for userinfo.
    #[must_use]
    pub fn require_signed_answers(mut self) -> Self {
        self.signed_only = true;
        self
    }

    /// How long an active answer is believed, in any case not past `exp`. Default 60 s, at most 1 h; zero asks each time.
    #[must_use]
    pub fn active_life(mut self, life: Duration) -> Self {
        self.compiled.active_life = life.min(LONGEST_LIFE);
        self
    }

    /// How long an inactive answer is believed. Default 10 s, at most 1 h; zero asks each time.
    #[must_use]
    pub fn inactive_life(mut self, life: Duration) -> Self {
        self.compiled.inactive_life = life.min(LONGEST_LIFE);
        self
    }

    /// How long an answer may take. Default 3 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.compiled.timeout = timeout;
        self
    }

    /// Keeps answers in this store, in place of one in this process. A shared store is asked on every request.
    #[must_use]
    pub fn store(mut self, store: impl AnswerStore) -> Self {
        self.compiled.store = Arc::new(store);
        self
    }

    /// Believes what was found in a shared store for this long without asking it again. Default zero; a revocation that another instance
    /// writes is seen that much later, unless the deny-list is one that [tells this instance](crate::revocation::followed) of evictions: then a hot
    /// token costs no question to the store.
    #[must_use]
    pub fn local_life(mut self, life: Duration) -> Self {
        self.compiled.local_life = life.min(LONGEST_LIFE);
        self
    }

    /// One question per token for all instances that share the store: who asks first has this long to bring the answer, and the others wait
    /// for it. When it does not come, or the store is out of reach, everybody asks for himself. Default: not done; 1 s is a good lease,
    /// at most 10 s are waited.
    #[must_use]
    pub fn asked_once_for_all(mut self, lease: Duration) -> Self {
        self.compiled.lease = Some(lease.min(LONGEST_LEASE)).filter(|lease| !lease.is_zero());
        self
    }

    /// The longest token, in bytes, that the endpoint is asked about; longer ones are refused as malformed without asking. Default 8 KiB:
    /// with more than that in one field many servers answer 431, which says nothing of the token.
    #[must_use]
    pub fn max_token_bytes(mut self, bytes: usize) -> Self {
        self.compiled.max_token = bytes;
        self
    }

    /// How many questions may be under way at this endpoint at once. Default 512, at least 1. As many again wait for their turn, for
    /// [`queue_wait`](Self::queue_wait); whoever comes beyond that gets 503 at once. Those who ask about one token are one question.
    /// [`FetchLimits::questions`](crate::keys::FetchLimits::questions) bounds all endpoints of a process together.
    #[must_use]
    pub fn questions(mut self, most: usize) -> Self {
        self.compiled.questions = most.max(1);
        self
    }

    /// How long a question waits for its turn where too many are under way, before its request gets 503. Default 1 s; zero does not wait.
    #[must_use]
    pub fn queue_wait(mut self, wait: Duration) -> Self {
        self.compiled.queue = wait;
        self
    }

    /// Asks through this client: for a proxy, a private authority, a client certificate (mutual TLS). Default: the issuer's.
    #[must_use]
    pub fn http_client(mut self, client: Arc<dyn HttpClient>) -> Self {
        self.client = Some(client);
        self
    }
}

impl fmt::Debug for OpaqueTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpaqueTokens")
            .field("kind", &self.kind)
            .field("audience", &self.audience)
            .field("prefixes", &self.prefixes)
            .finish_non_exhaustive()
    }
}
