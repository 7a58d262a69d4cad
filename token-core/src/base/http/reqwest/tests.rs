use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

const ROOT: &[u8] = include_bytes!("testdata/ca.crt.pem");
const SERVER: &[u8] = include_bytes!("testdata/server.pem");
const CLIENT: &[u8] = include_bytes!("testdata/client.pem");
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

/// What the server does with a connection after it has read a request.
#[derive(Clone)]
enum Reply {
    Bytes(Vec<u8>),
    /// These bytes, and then the connection stays open without another one.
    Stall(&'static str),
}

impl From<&str> for Reply {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(reply: impl Into<Reply>) -> Self {
        Self::listen(reply.into(), None).await
    }

    async fn start_tls(config: ServerConfig) -> Self {
        Self::listen(OK.into(), Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn listen(reply: Reply, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (reply, seen, tls) = (reply.clone(), Arc::clone(&seen), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => answer(stream, reply, &seen).await,
                        // A handshake that the client refuses is what some tests are about.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                answer(stream, reply, &seen).await;
                            }
                        }
                    }
                });
            }
        });
        Self { port, requests }
    }

    fn url(&self, host: &str) -> String {
        format!("http://{host}:{}/keys", self.port)
    }

    async fn ask(&self, client: &ReqwestClient) -> Result<Response<Bytes>, HttpError> {
        get(client, &self.url("127.0.0.1"), Limits::default()).await
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, reply: Reply, seen: &Mutex<Vec<String>>) {
    let (mut request, mut buffer) = (Vec::new(), [0; 1024]);
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => request.extend_from_slice(&buffer[..read]),
            _ => return,
        }
    }
    seen.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
    // A client that has had enough closes early; that is for the client's test to judge.
    match reply {
        Reply::Bytes(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        Reply::Stall(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
            std::future::pending::<()>().await;
        }
    }
}

async fn get(client: &ReqwestClient, url: &str, limits: Limits) -> Result<Response<Bytes>, HttpError> {
    client.send(Request::get(url).body(Bytes::new()).unwrap(), limits).await
}

fn local() -> ReqwestClient {
    ReqwestClient::builder().allow_loopback_http().build().unwrap()
}

#[tokio::test]
async fn an_answer_comes_back_whole() {
    let server = Server::start("HTTP/1.1 404 Not Found\r\nX-Test: yes\r\nContent-Length: 4\r\n\r\nnope").await;
    let response = server.ask(&local()).await.unwrap();
    assert_eq!((response.status().as_u16(), &response.body()[..]), (404, &b"nope"[..]));
    assert_eq!(response.headers()["x-test"], "yes");
}

#[tokio::test]
async fn http_1_0_and_chunked_answers_are_read() {
    for (name, reply) in [
        ("until the connection closes", "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{\"keys\":[]}"),
        ("with a length", "HTTP/1.0 200 OK\r\nContent-Length: 11\r\n\r\n{\"keys\":[]}"),
        (
            "chunked",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n{\"keys\r\n5;x=y\r\n\":[]}\r\n0\r\n\r\n",
        ),
        ("until close in 1.1", "HTTP/1.1 200 OK\r\n\r\n{\"keys\":[]}"),
    ] {
        let response = Server::start(reply).await.ask(&local()).await.unwrap();
        assert_eq!(&response.body()[..], br#"{"keys":[]}"#, "{name}");
    }
}

#[tokio::test]
async fn the_request_asks_for_no_encoding_and_keeps_its_own_words() {
    let server = Server::start(OK).await;
    let request = Request::post(server.url("127.0.0.1"))
        .header("authorization", "Basic eDp5")
        .header("accept-encoding", "gzip")
        .body(Bytes::from_static(b"token=t"))
        .unwrap();
    local().send(request, Limits::default()).await.unwrap();
    let seen = server.requests().remove(0).to_ascii_lowercase();
    for line in [
        "post /keys http/1.1\r\n",
        "accept-encoding: identity\r\n",
        "authorization: basic edp5\r\n",
        "content-length: 7\r\n",
    ] {
        assert!(seen.contains(line), "{line} in {seen}");
    }
    assert!(seen.contains(concat!("user-agent: token-core/", env!("CARGO_PKG_VERSION"))), "{seen}");
    assert!(!seen.contains("gzip"), "{seen}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let target = Server::start(OK).await;
    let reply = format!("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", target.url("127.0.0.1"));
    let response = Server::start(reply.as_str()).await.ask(&local()).await.unwrap();
    assert_eq!(response.status(), 302);
    assert!(target.requests().is_empty());
}

#[tokio::test]
async fn a_body_larger_than_the_limit_is_refused_however_it_comes() {
    let body = "x".repeat(1025);
    let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n401\r\n{body}\r\n0\r\n\r\n");
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1 << 20));
    for (name, reply) in [
        ("announced", "HTTP/1.1 200 OK\r\nContent-Length: 1025\r\n\r\n".to_owned()),
        ("announced in vain", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".to_owned()),
        ("chunked", chunked),
        ("until close", endless),
    ] {
        let server = Server::start(reply.as_str()).await;
        let answer = get(&local(), &server.url("127.0.0.1"), Limits::default().max_body(1024)).await;
        assert!(matches!(answer, Err(HttpError::TooLarge { limit: 1024 })), "{name}: {answer:?}");
    }
    let exact = format!("HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n{}", &body[1..]);
    let server = Server::start(exact.as_str()).await;
    let answer = get(&local(), &server.url("127.0.0.1"), Limits::default().max_body(1024)).await;
    assert_eq!(answer.unwrap().body().len(), 1024);
}

#[tokio::test]
async fn a_broken_answer_is_an_error() {
    for (name, reply) in [
        ("truncated", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"keys\""),
        ("truncated chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc"),
        ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x"),
        ("absurd length", "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n{}"),
        ("no length at all", "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}"),
        ("not http", "SSH-2.0-OpenSSH_9.6\r\n\r\n"),
        ("nothing", ""),
        ("gzip", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"),
        (
            "identity and gzip",
            "HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n{}",
        ),
    ] {
        let answer = Server::start(reply).await.ask(&local()).await;
        assert!(matches!(answer, Err(HttpError::Broken(_))), "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn the_time_limit_holds_for_headers_and_for_the_body() {
    for (name, reply) in [
        ("no answer", ""),
        ("half a header", "HTTP/1.1 200 OK\r\nContent-"),
        ("half a body", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"keys\""),
    ] {
        let server = Server::start(Reply::Stall(reply)).await;
        let limits = Limits::default().timeout(Duration::from_millis(50));
        let answer = get(&local(), &server.url("127.0.0.1"), limits).await;
        assert_eq!(answer.unwrap_err(), HttpError::Timeout, "{name}");
    }
}

#[tokio::test]
async fn a_closed_port_is_no_connection() {
    // Bound, so that nobody else is given the port, and never listening.
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let url = format!("http://127.0.0.1:{}/keys?secret=s3cret", closed.local_addr().unwrap().port());
    let error = get(&local(), &url, Limits::default()).await.unwrap_err();
    assert!(matches!(error, HttpError::Connect(_)), "{error:?}");
    assert!(!format!("{error:?} {error}").contains("s3cret"));
}

#[tokio::test]
async fn loopback_is_refused_unless_opted_into_by_name_and_by_number() {
    let server = Server::start(OK).await;
    let closed = ReqwestClient::new().unwrap();
    let private = ReqwestClient::builder().allow_private_addresses().build().unwrap();
    for client in [&closed, &private] {
        for url in [
            server.url("127.0.0.1"),
            server.url("localhost"),
            format!("https://127.0.0.1:{}/keys", server.port),
            format!("https://localhost:{}/keys", server.port), // allowed as a URL: the resolver refuses the address
            format!("https://[::ffff:127.0.0.1]:{}/keys", server.port),
        ] {
            let answer = get(client, &url, Limits::default()).await;
            assert!(matches!(answer, Err(HttpError::Forbidden(_))), "{url}: {answer:?}");
        }
    }
    assert!(server.requests().is_empty());
    assert!(get(&local(), &server.url("localhost"), Limits::default()).await.is_ok(), "and allowed when opted into");
}

#[tokio::test]
async fn plain_http_elsewhere_is_refused_even_with_the_opt_in() {
    for url in ["http://id.example/keys", "http://10.0.0.1/keys", "http://169.254.169.254/latest", "/keys"] {
        let answer = get(&local(), url, Limits::default()).await;
        assert!(matches!(answer, Err(HttpError::Forbidden(_))), "{url}: {answer:?}");
    }
}

fn certified(pem: &[u8]) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    (CertificateDer::pem_slice_iter(pem).map(Result::unwrap).collect(), PrivateKeyDer::from_pem_slice(pem).unwrap())
}

fn tls_server(client_certificate: bool) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ROOT).unwrap()).unwrap();
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let builder = if client_certificate {
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let (chain, key) = certified(SERVER);
    builder.with_single_cert(chain, key).unwrap()
}

#[tokio::test]
async fn https_needs_a_trusted_root_and_the_right_name() {
    let server = Server::start_tls(tls_server(false)).await;
    let trusting = ReqwestClient::builder().allow_loopback_http().root_certificate_pem(ROOT);
    let only = trusting.clone().only_given_roots().build().unwrap();
    let trusting = trusting.build().unwrap();
    let url = |host: &str| format!("https://{host}:{}/keys", server.port);
    for client in [&trusting, &only] {
        assert_eq!(get(client, &url("localhost"), Limits::default()).await.unwrap().status(), 200);
    }
    for (client, host) in [(&local(), "localhost"), (&trusting, "127.0.0.1")] {
        let error = get(client, &url(host), Limits::default()).await.unwrap_err();
        assert!(
            matches!(&error, HttpError::Connect(why) if why.contains("certificate") || why.contains("name")),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_when_there_is_one() {
    let server = Server::start_tls(tls_server(true)).await;
    let url = format!("https://localhost:{}/keys", server.port);
    let builder = ReqwestClient::builder().allow_loopback_http().root_certificate_pem(ROOT).only_given_roots();
    let without = builder.clone().build().unwrap();
    assert!(get(&without, &url, Limits::default()).await.is_err());
    let with = builder.client_identity_pem(CLIENT).build().unwrap();
    assert_eq!(get(&with, &url, Limits::default()).await.unwrap().status(), 200);
}

#[test]
fn a_client_that_cannot_work_is_not_built() {
    let builder = ReqwestClient::builder;
    let server = std::str::from_utf8(SERVER).unwrap();
    let mismatched =
        [std::str::from_utf8(ROOT).unwrap(), &server[server.find("-----BEGIN PRIVATE").unwrap()..]].concat();
    for (built, part) in [
        (builder().root_certificate_pem("no pem").build(), "no certificate in the root certificates"),
        (builder().only_given_roots().build(), "none is given"),
        (builder().client_identity_pem(ROOT).build(), "no private key in the client identity"),
        (builder().client_identity_pem(mismatched).build(), "client identity not usable"),
        (builder().user_agent("two\nlines").build(), "cannot be set up"),
    ] {
        let error = built.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    assert!(!format!("{:?}", builder().client_identity_pem(CLIENT)).contains("PRIVATE"));
}

#[test]
fn no_process_wide_crypto_provider_is_installed_or_needed() {
    local();
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
}

#[tokio::test]
async fn a_proxy_that_was_named_is_used_and_resolves_the_names() {
    let proxy = Server::start("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").await;
    // It may stand where nothing else may be reached: on this very machine, or in a private network.
    let client = ReqwestClient::builder().proxy(format!("http://localhost:{}", proxy.port)).build().unwrap();
    assert!(get(&client, "https://issuer.example/keys", Limits::default()).await.is_err(), "the tunnel was not opened");
    assert!(proxy.requests()[0].starts_with("CONNECT issuer.example:443 HTTP/1.1\r\n"), "{:?}", proxy.requests());
    for url in [
        "https://169.254.169.254/latest",
        "https://10.0.0.1/keys",
        "https://metadata.google.internal/keys",
        "http://issuer.example/keys",
    ] {
        let answer = get(&client, url, Limits::default()).await;
        assert!(matches!(answer, Err(HttpError::Forbidden(_))), "{url}: {answer:?}");
    }
    assert_eq!(proxy.requests().len(), 1, "nothing that is refused goes through");

    // This machine itself is reached without it.
    let server = Server::start(OK).await;
    let proxied = ReqwestClient::builder().allow_loopback_http().proxy(format!("http://localhost:{}", proxy.port));
    assert!(server.ask(&proxied.build().unwrap()).await.is_ok());
    assert_eq!((server.requests().len(), proxy.requests().len()), (1, 1));
    let refused = ReqwestClient::builder().proxy("http://canary:canary@proxy.example").build().unwrap_err().to_string();
    assert!(refused.contains("credentials") && !refused.contains("canary"), "{refused}");
}
