//! An operator's settings for the server and the connection in, checked settings or an error out.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _};

use crate::config_error::RedisConfigError;

/// The default time limit for connections and commands.
const PATIENCE: Duration = Duration::from_millis(500);

/// The address of Redis or Valkey: one server, a master that Sentinels know, or a Cluster.
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

    /// Uses the server at this URL: `redis://user:password@host:6379/0`, or `rediss://` with the feature `tls`.
    ///
    /// # Errors
    /// [`RedisConfigError`] if the URL is not valid.
    pub fn server(url: &str) -> Result<Self, RedisConfigError> {
        Ok(Self::new(Topology::Server(parse(url)?), 0))
    }

    /// Uses the master with this name, as the majority of these Sentinels reports it. TLS is used for the master if the
    /// Sentinels' URLs begin with `rediss`. [`credentials`](Self::credentials) are those for the master; those for the
    /// Sentinels are in their URLs.
    ///
    /// A deny-list entry is acknowledged by one replica, unless [`acknowledged_by`](Self::acknowledged_by) sets another
    /// number.
    ///
    /// # Errors
    /// [`RedisConfigError`] if a URL is not valid, or there is none.
    pub fn sentinels<S: AsRef<str>>(
        urls: impl IntoIterator<Item = S>,
        name: impl Into<String>,
    ) -> Result<Self, RedisConfigError> {
        let nodes = parse_all(urls)?;
        Ok(Self::new(Topology::Sentinels { nodes, name: name.into() }, 1))
    }

    /// Uses the Cluster of these nodes; the other nodes are discovered. All keys of one namespace are in one slot, so
    /// the Cluster provides fail-over, and several namespaces are spread over it.
    ///
    /// # Errors
    /// [`RedisConfigError`] if a URL is not valid, or there is none.
    #[cfg(feature = "cluster")]
    pub fn cluster<S: AsRef<str>>(urls: impl IntoIterator<Item = S>) -> Result<Self, RedisConfigError> {
        Ok(Self::new(Topology::Cluster(parse_all(urls)?), 0))
    }

    /// Sets the prefix of all keys. Default: `token`. Applications that share a server, but not their tokens, need
    /// different namespaces. In a Cluster it determines the slot.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<Arc<str>>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Sets how long a connection or a response may take. Default: 500 ms; values below 10 ms count as 10 ms.
    /// Where answers about opaque tokens are kept here, raise [`OpaqueTokens::store_timeout`](token_core::opaque::OpaqueTokens::store_timeout), too.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.max(Duration::from_millis(10));
        self
    }

    /// Sets the user (ACL) and password, replacing those in the URL.
    #[must_use]
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some((user.into(), password.into()));
        self
    }

    /// Sets how many replicas must have received an entry before
    /// [`DenyList::deny`](token_core::revocation::DenyList::deny) of a [followed list](crate::Redis::follow_deny_list)
    /// reports success (`WAIT`). A fail-over may lose entries that no replica has. Default: 1 with Sentinels, otherwise
    /// 0.
    #[must_use]
    pub fn acknowledged_by(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// Sets the trusted certificate authorities in PEM, replacing the system's.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificates.roots = Some(pem.into());
        self
    }

    /// Sets the client certificate and key in PEM.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn client_certificate(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.certificates.client = Some((certificate.into(), key.into()));
        self
    }

    /// The node with the configured credentials.
    pub(crate) fn with_credentials(&self, node: &ConnectionInfo) -> ConnectionInfo {
        let Some((user, password)) = &self.credentials else { return node.clone() };
        let settings = node.redis_settings().clone().set_username(user).set_password(password);
        node.clone().set_redis_settings(settings)
    }

    /// The master that a Sentinel named, reached in the same way as that Sentinel.
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

    /// Whether TLS is used.
    #[cfg(feature = "tls")]
    pub(crate) fn is_tls(&self) -> bool {
        self.nodes().iter().any(|node| matches!(node.addr(), ConnectionAddr::TcpTls { .. }))
    }

    /// Finds errors that are known before anything is connected.
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

/// Errors of the URL parser are not shown, since their text may contain the password.
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
