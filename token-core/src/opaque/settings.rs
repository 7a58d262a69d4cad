//! An operator's settings for an issuer's opaque tokens: which endpoint is asked, and how long its answer is reused.

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

/// How the opaque tokens of one issuer are verified: which endpoint is asked, about which tokens, and for how long an answer is cached.
/// Give it to [`Issuer::opaque_tokens`](crate::Issuer::opaque_tokens) or [`Issuer::without_keys`](crate::Issuer::without_keys).
///
/// An active answer is cached for 60 s, an inactive one for 10 s, and neither past the token's `exp`. Each use of a cached answer checks times, audience, issuer
/// and `cnf` again. A token that the issuer revokes is therefore accepted for at most [`active_life`](Self::active_life) longer, and no longer once it is
/// [evicted](crate::ResourceServer::evict) or [denied](crate::ResourceServer::deny).
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
    pub(crate) store_timeout: Duration,
    pub(crate) local_life: Duration,
    pub(crate) lease: Option<Duration>,
    pub(crate) max_token: usize,
    pub(crate) questions: usize,
    pub(crate) queue: Duration,
}

/// What is asked.
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
    /// Keys that came from a policy, and can be written back to one.
    StaticApiKeys(MemoryApiKeys),
}

/// The longest time that other instances wait for the one that asks.
const LONGEST_LEASE: Duration = Duration::from_secs(10);
/// The longest time that an answer may be reused: a cache must not replace the token's own lifetime.
const LONGEST_LIFE: Duration = Duration::from_secs(3600);
/// The default bound for a shared store: one that takes longer is slower than the endpoint.
const STORE_TIMEOUT: Duration = Duration::from_millis(500);
/// Beyond this many requests at once, an endpoint is overloaded rather than used.
const MOST_QUESTIONS: usize = 512;
/// The default for API keys is shorter, since asking their store is cheap.
const KEYS_ARE_BELIEVED: Duration = Duration::from_secs(10);
/// The limit that most servers have for one header field.
pub(crate) const LARGEST_TOKEN: usize = 8 * 1024;

impl OpaqueTokens {
    /// Asks the introspection endpoint at this URL (RFC 7662), authenticated as this client.
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

    /// Asks the userinfo endpoint at this URL (OpenID Connect Core section 5.3): a token is accepted if the endpoint accepts it. The claims in its answer become the
    /// claims of the token.
    ///
    /// # What is not checked
    /// Userinfo says nothing about audience, scope or expiry, so a token that the issuer gave to *any* application is accepted. Therefore
    /// [`audience`](Self::audience) must be set, to [`Audience::dangerously_unchecked`] where answers have no `aud`.
    ///
    /// # Errors
    /// When `endpoint` is not an absolute URL.
    pub fn userinfo(endpoint: impl Into<String>) -> Result<Self, ConfigError> {
        let endpoint = endpoint.into();
        parse_url("userinfo endpoint", &endpoint)?;
        Ok(Self::new(Kind::UserInfo { endpoint }))
    }

    /// Asks Auth0's legacy endpoint `/tokeninfo`, which checks the signature and expiry of an ID token and answers with the user's profile. Once the endpoint has
    /// accepted the token, its `iss`, `aud`, `sub`, `exp` and `iat` are read and checked here. The audience is the client's id.
    ///
    /// # Errors
    /// When `endpoint` is not an absolute URL.
    pub fn tokeninfo(endpoint: impl Into<String>) -> Result<Self, ConfigError> {
        let endpoint = endpoint.into();
        parse_url("tokeninfo endpoint", &endpoint)?;
        Ok(Self::new(Kind::TokenInfo { endpoint }))
    }

    /// Asks the API server of a Kubernetes cluster at this origin, such as `https://kubernetes.default.svc`, for a `TokenReview` (`authentication.k8s.io/v1`) with
    /// the audience that tokens must name. A review finds what a signature cannot show: that the pod, node or secret that a token is bound to is gone.
    ///
    /// With [`introspect_jwts`](Self::introspect_jwts) a token is first verified with the cluster's keys and then reviewed. With
    /// [`Issuer::without_keys`](crate::Issuer::without_keys) it is only reviewed. This server authenticates with the token in
    /// [`Issuer::bearer_token_file`](crate::Issuer::bearer_token_file); its service account needs the ClusterRole `system:auth-delegator`.
    ///
    /// # What is not checked
    /// An API server reports a bad token and an authenticator that it cannot reach in the same way, as text for people. Both are a refusal here.
    ///
    /// # Errors
    /// When `api_server` is anything but scheme, host and perhaps a port.
    pub fn token_review(api_server: impl Into<String>) -> Result<Self, ConfigError> {
        let api_server = api_server.into();
        origin(&api_server, PlainHttp::Inside)
            .map_err(|why| ConfigError::new(format!("token_review: api_server {api_server}: {why}")))?;
        Ok(Self::new(Kind::TokenReview { api_server }))
    }

    /// Asks a verifier of your own.
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
                store_timeout: STORE_TIMEOUT,
                local_life: Duration::ZERO,
                lease: None,
                max_token: LARGEST_TOKEN,
                questions: MOST_QUESTIONS,
                queue: Duration::from_secs(1),
            },
        }
    }

    /// The audience that answers must name, in place of the one for the issuer's JWTs. Many answers have no `aud`. If the issuer answers this client only about
    /// tokens that are meant for it, set [`Audience::dangerously_unchecked`].
    #[must_use]
    pub fn audience(mut self, audience: impl Into<Audience>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Asks only about tokens that begin with this prefix, such as `ory_at_` or `ya29.`. Call it once for each prefix. Without a prefix the endpoint is asked about
    /// every token that is not a JWT.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefixes.push(prefix.into());
        self
    }

    /// Also asks about this issuer's JWTs, after their signature and claims were verified here. So a revocation takes effect within
    /// [`active_life`](Self::active_life).
    #[must_use]
    pub fn introspect_jwts(mut self) -> Self {
        self.jwts_too = true;
        self
    }

    /// Accepts only signed answers: RFC 9701 for introspection, OpenID Connect Core section 5.3.2 for userinfo.
    #[must_use]
    pub fn require_signed_answers(mut self) -> Self {
        self.signed_only = true;
        self
    }

    /// How long an active answer is cached, never past `exp`. Default 60 s, at most 1 h. With zero the endpoint is asked for each request.
    #[must_use]
    pub fn active_life(mut self, life: Duration) -> Self {
        self.compiled.active_life = life.min(LONGEST_LIFE);
        self
    }

    /// How long an inactive answer is cached. Default 10 s, at most 1 h. With zero the endpoint is asked for each request.
    #[must_use]
    pub fn inactive_life(mut self, life: Duration) -> Self {
        self.compiled.inactive_life = life.min(LONGEST_LIFE);
        self
    }

    /// How long an answer may take. Default 3 s. After that the request is answered with 503.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.compiled.timeout = timeout;
        self
    }

    /// Keeps answers in this store, in place of the memory of this process. A shared store is asked on every request.
    #[must_use]
    pub fn store(mut self, store: impl AnswerStore) -> Self {
        self.compiled.store = Arc::new(store);
        self
    }

    /// How long the store may take for one command, beside a bound of its own. Default 500 ms. After that it counts as empty: the endpoint is asked, and
    /// [`store_failures`](crate::opaque::OpaqueState::store_failures) grows. Raise it together with the store's own bound, for a store that is further away.
    #[must_use]
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.compiled.store_timeout = timeout;
        self
    }

    /// For how long an answer from a shared store is also cached in this process. Default zero: the store is asked on every request. A revocation by another
    /// instance takes effect here that much later, unless the deny-list [tells this instance](crate::revocation::followed) of evictions.
    #[must_use]
    pub fn local_life(mut self, life: Duration) -> Self {
        self.compiled.local_life = life.min(LONGEST_LIFE);
        self
    }

    /// Lets one instance ask about a token for all that share the store. The first to ask has this long to write the answer; the others wait for it. If it does not
    /// come, or the store is unreachable, each instance asks for itself. Default: off. 1 s is a good value, 10 s the maximum.
    #[must_use]
    pub fn asked_once_for_all(mut self, lease: Duration) -> Self {
        self.compiled.lease = Some(lease.min(LONGEST_LEASE)).filter(|lease| !lease.is_zero());
        self
    }

    /// The longest token, in bytes, that the endpoint is asked about. Longer ones are refused as malformed. Default 8 KiB: many servers answer 431 to more than that
    /// in one header field, which says nothing about the token.
    #[must_use]
    pub fn max_token_bytes(mut self, bytes: usize) -> Self {
        self.compiled.max_token = bytes;
        self
    }

    /// How many requests may be under way at this endpoint at once. Default 512, at least 1. The same number may wait for their turn, for
    /// [`queue_wait`](Self::queue_wait); beyond that the answer is 503 at once. Concurrent requests with the same token count as one.
    /// [`FetchLimits::questions`](crate::keys::FetchLimits::questions) limits all endpoints of a process together.
    #[must_use]
    pub fn questions(mut self, most: usize) -> Self {
        self.compiled.questions = most.max(1);
        self
    }

    /// How long to wait for a turn when too many requests are under way, before the answer is 503. Default 1 s. With zero there is no waiting.
    #[must_use]
    pub fn queue_wait(mut self, wait: Duration) -> Self {
        self.compiled.queue = wait;
        self
    }

    /// Sends the requests through your own HTTP client: for a proxy, a private certificate authority or a client certificate (mutual TLS). Default: the issuer's client.
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
