//! A server that asks for client certificates goes in; that bound tokens pass with their certificate and with nothing else, held over loopback, comes out (RFC 8705 section 3).

use std::fmt;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, ServerConfig};
use token_core::possession::MutualTls;
use token_core::{Issuer, ResourceServer};
use token_test::TestIssuer;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tonic::Code;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// What clients and servers of these tests trust, and who they are.
const AUTHORITY: &str = include_str!("../../tests/tls/authority.pem");
const SERVER: &str = include_str!("../../tests/tls/loopback.pem");
const CLIENT: &str = include_str!("../../tests/tls/client.pem");
const ANOTHER: &str = include_str!("../../tests/tls/another-client.pem");

/// The certificates of clients that a server admits.
#[must_use]
pub fn clients() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for pem in [CLIENT, ANOTHER] {
        roots.add(certificate(pem)).unwrap();
    }
    roots
}

/// The server's own certificate and key.
#[must_use]
pub fn server() -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    (vec![certificate(SERVER)], PrivateKeyDer::from_pem_slice(SERVER.as_bytes()).unwrap())
}

/// The same for tonic: whom the server admits, and who it is.
#[must_use]
pub fn for_tonic() -> (Certificate, Identity) {
    (Certificate::from_pem([CLIENT, ANOTHER].concat()), Identity::from_pem(SERVER, SERVER))
}

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// A server's side of TLS as the guide sets it up.
fn config() -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(clients()), provider.clone());
    let verifier = verifier.allow_unauthenticated().build().unwrap();
    let (chain, key) = server();
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    config.with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap()
}

/// Shakes hands in memory, as a client with a certificate that counts, with one that does not, and with none: the server sees the first,
/// turns the second away, and does without for the third.
///
/// # Panics
/// When it is otherwise.
pub async fn shakes_hands(config: ServerConfig) {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let stranger = include_str!("../../tests/tls/stranger.pem");
    for (name, identity, seen) in [
        ("its certificate", Some(CLIENT), Ok(Some(certificate(CLIENT)))),
        ("a stranger's", Some(stranger), Err(())),
        ("none", None, Ok(None)),
    ] {
        let (here, there) = tokio::io::duplex(64 * 1024);
        let to = ServerName::try_from("127.0.0.1").unwrap();
        // The client's own view of the handshake is not asked: by TLS 1.3 it has ended before the server has judged the certificate.
        let (_, accepted) = tokio::join!(connector(identity).connect(to, there), acceptor.accept(here));
        let peer = |stream: &tokio_rustls::server::TlsStream<_>| {
            stream.get_ref().1.peer_certificates().map(|chain| chain[0].clone().into_owned())
        };
        assert_eq!(accepted.as_ref().map(peer).map_err(|_| ()), seen, "{name}");
    }
}

fn connector(identity: Option<&str>) -> TlsConnector {
    let mut authority = RootCertStore::empty();
    authority.add(certificate(AUTHORITY)).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config: ConfigBuilder<ClientConfig, _> =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(authority);
    let config = match identity {
        Some(pem) => {
            config.with_client_auth_cert(vec![certificate(pem)], PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap())
        }
        None => Ok(config.with_no_client_auth()),
    };
    TlsConnector::from(Arc::new(config.unwrap()))
}

/// Lets `serve` answer on loopback over HTTP, and asks it for `/me` with certificates, bound tokens and others.
///
/// # Panics
/// When a bound token passes without its certificate, or not with it; or when the server ends.
pub async fn holds<E: fmt::Debug>(serve: impl AsyncFnOnce(ResourceServer, TcpListener, ServerConfig) -> Result<(), E>) {
    let serve = async |api, listener| serve(api, listener, config()).await;
    held(serve, async |to, identity, token| {
        let authority = reqwest::Certificate::from_pem(AUTHORITY.as_bytes()).unwrap();
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([authority]).tls_backend_rustls();
        let identity = identity.map(|pem| reqwest::Identity::from_pem(pem.as_bytes()).unwrap());
        let client = identity.into_iter().fold(client, reqwest::ClientBuilder::identity).build().unwrap();
        let mut statuses = Vec::new();
        // The second request goes over the connection of the first.
        for _ in 0..2 {
            // What a proxy would say of a client, said by the client itself.
            let request = client.get(format!("https://{to}/me")).header("client-cert", format!(":{}:", base64(CLIENT)));
            statuses.push(request.bearer_auth(token).send().await.unwrap().status().as_u16());
        }
        assert_eq!(statuses[0], statuses[1], "of two requests over one connection");
        match statuses[0] {
            200 => true,
            401 => false,
            status => panic!("{status}"),
        }
    })
    .await;
}

/// The same over gRPC: a tonic server with the service of health checks.
///
/// # Panics
/// When a bound token passes without its certificate, or not with it; or when the server ends.
pub async fn holds_in_grpc<E: fmt::Debug>(serve: impl AsyncFnOnce(ResourceServer, TcpListener) -> Result<(), E>) {
    held(serve, async |to, identity, token| {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(AUTHORITY));
        let tls = match identity {
            Some(pem) => tls.identity(Identity::from_pem(pem, pem)),
            None => tls,
        };
        let channel = Endpoint::from_shared(format!("https://{to}")).unwrap().tls_config(tls).unwrap();
        let mut client = HealthClient::new(channel.connect().await.unwrap());
        let mut codes = Vec::new();
        for _ in 0..2 {
            let mut request = tonic::Request::new(HealthCheckRequest::default());
            request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
            request.metadata_mut().insert("client-cert", format!(":{}:", base64(CLIENT)).parse().unwrap());
            codes.push(client.check(request).await.map_or_else(|status| status.code(), |_| Code::Ok));
        }
        assert_eq!(codes[0], codes[1], "of two calls over one connection");
        match codes[0] {
            Code::Ok => true,
            Code::Unauthenticated => false,
            code => panic!("{code:?}"),
        }
    })
    .await;
}

/// The text between the lines of the first block: base64 of the DER.
fn base64(pem: &str) -> String {
    let block = pem.split("-----END").next().unwrap();
    block.lines().filter(|line| !line.starts_with("-----")).collect()
}

/// One table for all: whether a token passes, by the certificate that its sender shows.
async fn held<E: fmt::Debug>(
    serve: impl AsyncFnOnce(ResourceServer, TcpListener) -> Result<(), E>,
    passes: impl AsyncFn(SocketAddr, Option<&str>, &str) -> bool,
) {
    let issuer = TestIssuer::start().await;
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let api = ResourceServer::builder(issuer.audience()).trust(trusted).mutual_tls(MutualTls::from_connection());
    let api = api.build().unwrap();
    api.ready().await.unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let to = listener.local_addr().unwrap();
    // Somebody who never finishes the handshake is in nobody's way.
    let _silent = TcpStream::connect(to).unwrap();

    let bound = issuer.token().bound_to_certificate(&certificate(CLIENT)).mint();
    let anothers = issuer.token().bound_to_certificate(&certificate(ANOTHER)).mint();
    let unbound = issuer.token().mint();
    let asked = async {
        for (name, token, identity, expected) in [
            ("a bound token with its certificate", &bound, Some(CLIENT), true),
            ("a bound token with another certificate", &bound, Some(ANOTHER), false),
            ("a bound token without a certificate", &bound, None, false),
            ("another's token with another's certificate", &anothers, Some(ANOTHER), true),
            ("another's token", &anothers, Some(CLIENT), false),
            ("an unbound token without a certificate", &unbound, None, true),
            ("an unbound token with a certificate", &unbound, Some(CLIENT), true),
        ] {
            assert_eq!(passes(to, identity, token).await, expected, "{name}");
        }
    };
    tokio::select! {
        ended = serve(api, listener) => panic!("the server ended: {ended:?}"),
        () = asked => {}
    }
}
