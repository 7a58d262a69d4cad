//! Where the server is and how it is spoken to: what an operator says in, checked settings or the reason why not out.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _};

use crate::config_error::RedisConfigError;

/// Longer than this nobody waits for the store.
const PATIENCE: Duration = Duration::from_millis(500);

/// Where Redis or Valkey is: one server, one that Sentinels name, or a Cluster.
///
/// ```
/// use std::time::Duration;
/// use token_redis::RedisSettings;
///
/// let one = RedisSettings::server("redis://app:secret@127.0.0.1:6379/0")?;
/// let watched = RedisSettings::sentinels(
///     ["redis://10.0.0.1:26379", "redis://10.0.0.2:26379", "redis://10.0.0.3:26379"],
///     "mymaster",
/// )?
/// .credentials("app", "secret")
/// .namespace("orders")
/// .timeout(Duration::from_millis(300));
/// # Ok::<(), token_redis::RedisConfigError>(())
/// ```
#[derive(Clone)]
pub struct RedisSettings {
    pub(crate) topology: Topology,
    pub(crate) namespace: Arc<str>,
    pub(crate) timeout: Duration,
    pub(crate) replicas: usize,
    pub(crate) credentials: Option<(String, String)>,
    #[cfg(feature = "tls")]
    pub(crate) certificates: crate::tls::Certificates,
}

#[derive(Clone)]
pub(crate) enum Topology {
    Server(ConnectionInfo),
    Sentinels {
        nodes: Vec<ConnectionInfo>,
        name: String,
    },
    #[cfg(feature = "cluster")]
    Cluster(Vec<ConnectionInfo>),
}

impl RedisSettings {
    fn new(topology: Topology, replicas: usize) -> Self {
        Self {
            topology,
            namespace: "token".into(),
            timeout: PATIENCE,
            replicas,
            credentials: None,
            #[cfg(feature = "tls")]
            certificates: crate::tls::Certificates::default(),
        }
    }

    /// The server at this URL: `redis://user:password@host:6379/0`, or `rediss://` with the feature `tls`.
    ///
    /// # Errors
    /// [`RedisConfigError`] when the URL is not one.
    pub fn server(url: &str) -> Result<Self, RedisConfigError> {
        Ok(Self::new(Topology::Server(parse(url)?), 0))
    }

    /// The master of this name, as the majority of these Sentinels knows it. The master is reached as the Sentinels are: with TLS if their URLs
    /// begin with `rediss`. [`credentials`](Self::credentials) are those of the master; the Sentinels' own stand in their URLs.
    ///
    /// What is denied is acknowledged by one replica unless [`acknowledged_by`](Self::acknowledged_by) says otherwise.
    ///
    /// # Errors
    /// [`RedisConfigError`] when a URL is not one, or there is none.
    pub fn sentinels<S: AsRef<str>>(
        urls: impl IntoIterator<Item = S>,
        name: impl Into<String>,
    ) -> Result<Self, RedisConfigError> {
        let nodes = parse_all(urls)?;
        Ok(Self::new(Topology::Sentinels { nodes, name: name.into() }, 1))
    }

    /// The Cluster that these nodes belong to; the others are found from there. All keys of one namespace lie in one slot: a Cluster is used
    /// for its fail-over, and namespaces spread over it.
    ///
    /// # Errors
    /// [`RedisConfigError`] when a URL is not one, or there is none.
    #[cfg(feature = "cluster")]
    pub fn cluster<S: AsRef<str>>(urls: impl IntoIterator<Item = S>) -> Result<Self, RedisConfigError> {
        Ok(Self::new(Topology::Cluster(parse_all(urls)?), 0))
    }

    /// Puts this before every key, in place of `token`. Applications that share a server but not their tokens need names of their own. In a
    /// Cluster it picks the slot.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<Arc<str>>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// How long a connection and an answer are waited for. Default 500 ms; less than 10 ms counts as 10 ms.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.max(Duration::from_millis(10));
        self
    }

    /// The user (ACL) and password, in place of those in the URL.
    #[must_use]
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some((user.into(), password.into()));
        self
    }

    /// How many replicas have to have what was denied before [`DenyList::deny`](token_core::revocation::DenyList::deny) of a
    /// [followed list](crate::Redis::follow_deny_list) says that it is done (`WAIT`). A fail-over may lose what no replica had. Default 1 with
    /// Sentinels, else 0.
    #[must_use]
    pub fn acknowledged_by(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// The certificate authorities that are trusted, as PEM, in place of the system's.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificates.roots = Some(pem.into());
        self
    }

    /// The certificate and key that this client shows, as PEM.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn client_certificate(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.certificates.client = Some((certificate.into(), key.into()));
        self
    }

    /// The node with the credentials that were set.
    pub(crate) fn with_credentials(&self, node: &ConnectionInfo) -> ConnectionInfo {
        let Some((user, password)) = &self.credentials else { return node.clone() };
        let settings = node.redis_settings().clone().set_username(user).set_password(password);
        node.clone().set_redis_settings(settings)
    }

    /// The master that a Sentinel named, reached the way that Sentinel is.
    pub(crate) fn master(&self, sentinel: &ConnectionInfo, host: &str, port: u16) -> ConnectionInfo {
        let addr = match sentinel.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
                host: host.to_owned(),
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => ConnectionAddr::Tcp(host.to_owned(), port),
        };
        let settings = redis::RedisConnectionInfo::default();
        self.with_credentials(&sentinel.clone().set_addr(addr).set_redis_settings(settings))
    }

    fn nodes(&self) -> &[ConnectionInfo] {
        match &self.topology {
            Topology::Server(node) => std::slice::from_ref(node),
            Topology::Sentinels { nodes, .. } => nodes,
            #[cfg(feature = "cluster")]
            Topology::Cluster(nodes) => nodes,
        }
    }

    /// Whether TLS is asked for.
    #[cfg(feature = "tls")]
    pub(crate) fn is_tls(&self) -> bool {
        self.nodes().iter().any(|node| matches!(node.addr(), ConnectionAddr::TcpTls { .. }))
    }

    /// What can be seen to go wrong before anything is connected.
    pub(crate) fn check(&self) -> Result<(), RedisConfigError> {
        let unchecked = |node: &ConnectionInfo| matches!(node.addr(), ConnectionAddr::TcpTls { insecure: true, .. });
        if self.nodes().iter().any(unchecked) {
            return Err(RedisConfigError("certificates are always checked: take #insecure out of the URL"));
        }
        #[cfg(feature = "tls")]
        if self.is_tls() {
            self.certificates.config()?;
            #[cfg(feature = "cluster")]
            if matches!(self.topology, Topology::Cluster(_)) && rustls::crypto::CryptoProvider::get_default().is_none()
            {
                return Err(RedisConfigError(
                    "a Cluster over TLS uses the crypto provider of the process: install one of rustls first",
                ));
            }
        }
        Ok(())
    }
}

/// The error's own text may hold the password.
fn parse(url: &str) -> Result<ConnectionInfo, RedisConfigError> {
    url.into_connection_info().map_err(|_| RedisConfigError("the URL is not that of a Redis server"))
}

fn parse_all<S: AsRef<str>>(urls: impl IntoIterator<Item = S>) -> Result<Vec<ConnectionInfo>, RedisConfigError> {
    let nodes: Vec<_> = urls.into_iter().map(|url| parse(url.as_ref())).collect::<Result<_, _>>()?;
    if nodes.is_empty() { Err(RedisConfigError("expected the URL of at least one node")) } else { Ok(nodes) }
}

impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSettings").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
