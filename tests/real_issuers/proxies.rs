//! A real nginx and a real Envoy that end mutual TLS and pass the certificate on, in front of our servers: tokens that are bound to it pass, and nothing else does (RFC 8705).

use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use token_client::{
    BearerClient, ClientAuthentication, ClientIdentity, FixedSource, Origins, Token, TokenClient, TokenRequest,
    TokenSource,
};
use token_core::ResourceServer;
use token_core::http::ReqwestClient;
use token_core::possession::{CertificateField, MutualTls};
use token_test::HeldPort;
use token_tests::evidence::note;

use super::oidc_provider::{AUDIENCE, trusted};
use super::process::{Server, python};
use super::served::{Api, Framework};

const AUTHORITY: &str = include_str!("../tls/authority.pem");
const CLIENT: &str = include_str!("../tls/client.pem");

/// A proxy in a folder of its own, as long as this value lives.
struct Proxy {
    child: Child,
    folder: PathBuf,
    _port: HeldPort,
    url: String,
}

impl Proxy {
    /// Writes the configuration, starts the program on it, and waits until somebody listens.
    fn start(name: &str, configuration: &str, program: impl FnOnce(&Path) -> Command) -> Self {
        let held = HeldPort::new().unwrap();
        let port = held.port();
        let folder = std::env::temp_dir().join(format!("token-{name}-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let tls = Path::new(env!("CARGO_MANIFEST_DIR")).join("tls");
        let text = configuration
            .replace("PORT", &port.to_string())
            .replace("FOLDER", &folder.to_string_lossy())
            .replace("TLS", &tls.to_string_lossy());
        let file = folder.join(format!("{name}.yaml"));
        std::fs::write(&file, text).unwrap();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let mut command = program(&file);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut child = command.spawn().expect("`cargo xtask test` installs the proxies");
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(child.try_wait().unwrap().is_none(), "{name} has ended: {}", log());
            assert!(start.elapsed() < Duration::from_secs(120), "{name} does not listen: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { child, folder, _port: held, url: format!("https://127.0.0.1:{port}") }
    }

    fn nginx(api: &str) -> Self {
        let configuration = "
            daemon off; master_process off; pid FOLDER/pid; error_log stderr;
            events { worker_connections 64; }
            http {
                access_log off;
                client_body_temp_path FOLDER/a; proxy_temp_path FOLDER/b; fastcgi_temp_path FOLDER/c;
                uwsgi_temp_path FOLDER/d; scgi_temp_path FOLDER/e;
                server {
                    listen 127.0.0.1:PORT ssl;
                    ssl_certificate TLS/loopback.pem;
                    ssl_certificate_key TLS/loopback.pem;
                    ssl_verify_client optional_no_ca;
                    location / {
                        proxy_pass API;
                        # Also where there is no certificate: an empty value removes what the client has sent.
                        proxy_set_header X-Client-Certificate $ssl_client_escaped_cert;
                    }
                }
            }";
        Self::start("nginx", &configuration.replace("API", api), |file| {
            let mut command = Command::new("nginx");
            command.arg("-c").arg(file);
            command
        })
    }

    fn envoy(api: &str) -> Self {
        let configuration = r#"
static_resources:
  listeners:
  - address: { socket_address: { address: 127.0.0.1, port_value: PORT } }
    filter_chains:
    - transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: false
          common_tls_context:
            tls_certificates:
            - certificate_chain: { filename: TLS/loopback.pem }
              private_key: { filename: TLS/loopback.pem }
            validation_context: { trusted_ca: { filename: TLS/client.pem } }
      filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          forward_client_cert_details: SANITIZE_SET
          set_current_client_cert_details: { subject: true, uri: true, cert: true }
          http_filters:
          - name: router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
          route_config:
            virtual_hosts:
            - { name: all, domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: api } }] }
  clusters:
  - name: api
    load_assignment:
      cluster_name: api
      endpoints:
      - lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: API } } } }]
"#;
        let port = api.rsplit(':').next().unwrap();
        Self::start("envoy", &configuration.replace("API", port), |file| {
            let mut command = Command::new(python().with_file_name("envoy"));
            command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning", "-c"]).arg(file);
            command
        })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A GET by the sender for reqwest: the status, and what was answered.
async fn get(source: impl TokenSource, url: &str, more: &[(&str, &str)], from: Ipv4Addr) -> (u16, String) {
    let settings = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(AUTHORITY.as_bytes()).unwrap()])
        .tls_backend_rustls()
        .local_address(IpAddr::V4(from));
    let client = BearerClient::new(source, Origins::of([url]).unwrap()).client(settings).unwrap().build();
    let mut request = client.get(format!("{url}/me"));
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proxies_end_mutual_tls_and_pass_the_certificate_on() {
    let server = Server::oidc_provider();
    let settings = || ReqwestClient::builder().allow_loopback_http().root_certificate_pem(AUTHORITY).only_given_roots();
    let identity = ClientIdentity::from_pem(CLIENT).unwrap();
    let discovery =
        token_core::keys::discovery::Discovery::new(&server.url, std::sync::Arc::new(settings().build().unwrap()));
    let metadata = discovery.unwrap().metadata().await.unwrap();
    let client = TokenClient::discovered(&metadata, "mtls-self-signed")
        .unwrap()
        .client_identity(identity.clone())
        .authentication(ClientAuthentication::MutualTls)
        .http_settings(settings())
        .build()
        .unwrap();
    let source =
        client.source(TokenRequest::client_credentials().resource(format!("{AUDIENCE}/ES256")).scope("read:users"));
    let text = source.token().await.unwrap().expose().to_owned();
    let stolen = || FixedSource::new(Token::bearer(text.as_str(), None).unwrap());
    // What the proxies would write, from somebody who has seen the certificate and not its key.
    let block = CLIENT.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap();
    let escaped: String = block.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let hash = hex_of_thumbprint(identity.thumbprint());

    type Start = fn(&str) -> Proxy;
    let escaped_field = || CertificateField::EscapedPem("x-client-certificate".into());
    let table: [(&str, Start, CertificateField, String); 2] = [
        ("nginx 1.22", Proxy::nginx, escaped_field(), escaped),
        ("Envoy 1.40", Proxy::envoy, CertificateField::Xfcc, format!("Hash={hash}")),
    ];
    for framework in Framework::ALL {
        for (name, start, field, forged) in &table {
            let certificates = MutualTls::behind(field.clone(), [IpAddr::V4(Ipv4Addr::LOCALHOST).into()]).unwrap();
            let gate = ResourceServer::builder(AUDIENCE).trust(trusted(&server)).mutual_tls(certificates);
            let api = Api::serve(framework, gate.build().unwrap()).await;
            let proxy = start(api.url());
            let here = Ipv4Addr::LOCALHOST;
            let forged = [(field.name(), forged.as_str())];
            let passed = get(source.clone(), &proxy.url, &[], here).await;
            assert_eq!(passed, (200, "mtls-self-signed".to_owned()), "{name} {framework:?}: with the certificate");
            for (why, answer) in [
                ("without the certificate", get(stolen(), &proxy.url, &[], here).await),
                ("with a field of its own past the proxy", get(stolen(), &proxy.url, &forged, here).await),
                (
                    "with a field from another address",
                    get(stolen(), api.url(), &forged, Ipv4Addr::new(127, 0, 0, 2)).await,
                ),
            ] {
                assert_eq!(answer.0, 401, "{name} {framework:?}: {why}");
            }
            // The very same field counts from the proxy's address: this is what the check by address is for.
            assert_eq!(get(stolen(), api.url(), &forged, here).await.0, 200, "{name} {framework:?}: the control");
            let what = "ends mutual TLS and passes the certificate on; a stolen token and a forged field are refused";
            note("proofs", &format!("{name} {}", framework.name()), &[name, framework.name(), what]);
        }
    }
}

fn hex_of_thumbprint(thumbprint: &str) -> String {
    use base64::Engine;
    let digest = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(thumbprint).unwrap();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
