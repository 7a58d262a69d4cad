//! One of the certificates in `tls/` in, a server on loopback that speaks https with it out: for one document, or in front of another server.

use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A file of the folder, by its first name.
pub(crate) fn file(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tls").join(format!("{name}.pem"));
    std::fs::read(path).expect("a certificate of the folder")
}

/// A server's side of TLS with this certificate.
fn acceptor(certificate: &str) -> TlsAcceptor {
    let pem = file(certificate);
    let chain = vec![CertificateDer::from_pem_slice(&pem).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(&pem).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .expect("a certificate and its key");
    TlsAcceptor::from(Arc::new(config))
}

/// An origin of https, with this certificate, that passes everything on to an origin of http.
pub(crate) async fn in_front_of(certificate: &str, origin: &str) -> String {
    let acceptor = acceptor(certificate);
    let to = origin.strip_prefix("http://").expect("an origin of http").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let origin = format!("https://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, to) = (acceptor.clone(), to.clone());
            tokio::spawn(async move {
                let Ok(mut near) = acceptor.accept(stream).await else { return };
                let Ok(mut far) = TcpStream::connect(to).await else { return };
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    origin
}

/// The address that serves `document` with this certificate.
pub(super) async fn serve(certificate: &str, document: String) -> String {
    let acceptor = acceptor(certificate);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("https://{}/jwks", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", document.len());
            let _ = stream.write_all((head + &document).as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    url
}
