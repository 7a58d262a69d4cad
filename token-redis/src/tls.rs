//! TLS by rustls over aws-lc-rs, set up explicitly: certificates in, a stream out. No provider of the whole process is read or installed.

use std::sync::Arc;

use redis::{ConnectionAddr, ConnectionInfo, RedisError, RedisResult};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config_error::RedisConfigError;

/// What the operator said of certificates, as PEM.
#[derive(Clone, Default)]
pub(crate) struct Certificates {
    pub(crate) roots: Option<Vec<u8>>,
    pub(crate) client: Option<(Vec<u8>, Vec<u8>)>,
}

impl Certificates {
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, RedisConfigError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|_| RedisConfigError("no version of TLS can be used"))?;
        let builder = match &self.roots {
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for root in chain(pem, "the root certificates cannot be read as PEM")? {
                    roots.add(root).map_err(|_| RedisConfigError("a root certificate cannot be used"))?;
                }
                builder.with_root_certificates(roots)
            }
            None => {
                let verifier = Verifier::new(provider)
                    .map_err(|_| RedisConfigError("the system has no root certificates that can be used"))?;
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
        };
        let config = match &self.client {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = chain(certificate, "the client certificate cannot be read as PEM")?;
                let key = PrivateKeyDer::from_pem_slice(key)
                    .map_err(|_| RedisConfigError("the client's key cannot be read as PEM"))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|_| RedisConfigError("the client's certificate and key cannot be used together"))?
            }
        };
        Ok(Arc::new(config))
    }
}

#[cfg(feature = "cluster")]
impl Certificates {
    /// In the words of the client of a Cluster, which connects by itself.
    pub(crate) fn for_cluster(&self) -> redis::TlsCertificates {
        let client = self.client.clone();
        let client_tls = client.map(|(client_cert, client_key)| redis::ClientTlsConfig { client_cert, client_key });
        redis::TlsCertificates { client_tls, root_cert: self.roots.clone() }
    }
}

fn chain(pem: &[u8], why: &'static str) -> Result<Vec<CertificateDer<'static>>, RedisConfigError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or(RedisConfigError(why))
}

/// A stream to this node; `None` where its URL does not ask for TLS.
pub(crate) async fn connect(
    node: &ConnectionInfo,
    config: &Arc<ClientConfig>,
) -> RedisResult<Option<TlsStream<TcpStream>>> {
    let ConnectionAddr::TcpTls { host, port, .. } = node.addr() else { return Ok(None) };
    let name = ServerName::try_from(host.clone())
        .map_err(|_| RedisError::from((redis::ErrorKind::InvalidClientConfig, "expected a name or an address")))?;
    let stream = TcpStream::connect((host.as_str(), *port)).await?;
    stream.set_nodelay(true)?;
    Ok(Some(TlsConnector::from(Arc::clone(config)).connect(name, stream).await?))
}
