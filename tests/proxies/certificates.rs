//! Certificates of clients, as each proxy that ends TLS passes them on to the gate: a bound token passes with its own and with nothing else (RFC 8705 section 3).

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use token_tests::evidence::note;

use super::proxy::Kind;
use super::stage::Stage;

const AUTHORITY: &str = include_str!("../tls/authority.pem");
const CLIENT: &str = include_str!("../tls/client.pem");
const ANOTHER: &str = include_str!("../tls/another-client.pem");

/// How a proxy writes the certificate: in the words of the policy, and in the report's.
fn place(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Nginx => ("from = \"escaped_pem\"\nfield = \"x-client-cert\"", "nginx 1.22, `$ssl_client_escaped_cert`"),
        Kind::Caddy => ("from = \"client_cert\"", "Caddy 2.11, `Client-Cert` (RFC 9440)"),
        Kind::EnvoyGrpc => ("from = \"xfcc\"", "Envoy 1.40, XFCC over gRPC"),
        Kind::EnvoyHttp => ("from = \"xfcc\"", "Envoy 1.40, XFCC over HTTP"),
        Kind::Haproxy => ("from = \"client_cert\"", "HAProxy 2.6, `Client-Cert` (RFC 9440)"),
        Kind::Traefik => ("from = \"x_forwarded_tls_client_cert\"", "Traefik 3.7, `passTLSClientCert`"),
    }
}

/// The configuration that is shipped, with TLS in front and the lines that pass the certificate on, as the guide has them. Here every certificate
/// is let in, so that it is the gate that tells them apart.
fn with_mutual_tls(kind: Kind, text: String) -> String {
    let tls = Path::new(env!("CARGO_MANIFEST_DIR")).join("tls");
    let file = tls.join("loopback.pem").display().to_string();
    let clients = tls.join("client.pem").display().to_string();
    match kind {
        Kind::Nginx => {
            let ssl = format!(
                "ssl_certificate {file};\nssl_certificate_key {file};\nssl_verify_client optional_no_ca;\nlocation / {{"
            );
            let text = text.replacen("location / {", &ssl, 1);
            let (before, after) = text.split_once("listen ").unwrap();
            let text = format!("{before}listen {}", after.replacen(';', " ssl;", 1));
            let asks = "proxy_set_header X-Original-Method $request_method;";
            text.replace(asks, &format!("{asks}\nproxy_set_header X-Client-Cert $ssl_client_escaped_cert;"))
        }
        Kind::Caddy => {
            let passes =
                "uri /forward-auth?\nheader_up Client-Cert \":{http.request.tls.client.certificate_der_base64}:\"";
            let asks = format!(
                "\ttls {file} {file} {{\n\t\tclient_auth {{\n\t\t\tmode request\n\t\t}}\n\t}}\n\n\t# In this order"
            );
            // Of a request to an address there is no name to compare, and no other port to listen on.
            let text = text.replacen(
                "\tservers {\n",
                "\tauto_https disable_redirects\n\tservers {\n\t\tstrict_sni_host insecure_off\n",
                1,
            );
            text.replace("uri /forward-auth?", passes).replacen("\t# In this order", &asks, 1)
        }
        Kind::EnvoyGrpc | Kind::EnvoyHttp => {
            let socket = format!(
                r#"    filter_chains:
    - transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            tls_certificates: [{{ certificate_chain: {{ filename: {file} }}, private_key: {{ filename: {file} }} }}]
            validation_context: {{ trusted_ca: {{ filename: {clients} }}, trust_chain_verification: ACCEPT_UNTRUSTED }}
      filters:
"#
            );
            let passes = "stat_prefix: clients\n          forward_client_cert_details: SANITIZE_SET\n          set_current_client_cert_details: { subject: true }";
            text.replace("    filter_chains:\n    - filters:\n", &socket)
                .replace("stat_prefix: clients", passes)
                .replace("{ exact: dpop }", "{ exact: dpop }, { exact: x-forwarded-client-cert }")
        }
        Kind::Haproxy => {
            let (before, after) = text.split_once("bind ").unwrap();
            let (address, after) = after.split_once('\n').unwrap();
            let bind = format!(
                "{address} ssl crt {file} ca-file {clients} verify optional crt-ignore-err all ca-ignore-err all"
            );
            let text = format!("{before}bind {bind}\n{after}");
            let passes = "http-request set-header Client-Cert :%[ssl_c_der,base64]: if { ssl_c_used }";
            text.replacen("    # Asks the gate.", &format!("    {passes}\n    # Asks the gate."), 1)
        }
        Kind::Traefik if text.contains("entryPoints:\n  clients") => text,
        Kind::Traefik => {
            let tls = format!(
                "tls:\n  options:\n    default:\n      clientAuth:\n        clientAuthType: RequestClientCert\n  certificates:\n    - certFile: {file}\n      keyFile: {file}\n\nhttp:\n"
            );
            let text = text
                .replacen("http:\n", &tls, 1)
                .replace("      service: service\n", "      service: service\n      tls: {}\n");
            text.replacen("[as-the-client-wrote-it,", "[as-the-client-wrote-it, certificate,", 1).replacen(
                "    token-gate:\n",
                "    certificate:\n      passTLSClientCert:\n        pem: true\n\n    token-gate:\n",
                1,
            )
        }
    }
}

#[tokio::test]
async fn a_token_that_is_bound_to_a_certificate_passes_where_the_proxy_has_seen_it() {
    let block = CLIENT.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap();
    let inside: String = block.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(&inside).unwrap();
    let escaped: String = block.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let digest: String = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let forged = [
        ("x-client-cert", escaped),
        ("client-cert", format!(":{inside}:")),
        ("x-forwarded-client-cert", format!("Hash={digest}")),
        ("x-forwarded-tls-client-cert", inside.clone()),
    ];
    let shows = |identity: Option<&str>| {
        let authority = reqwest::Certificate::from_pem(AUTHORITY.as_bytes()).unwrap();
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([authority]).tls_backend_rustls();
        let identity = identity.map(|pem| reqwest::Identity::from_pem(pem.as_bytes()).unwrap());
        identity.into_iter().fold(client, reqwest::ClientBuilder::identity).build().unwrap()
    };
    for kind in Kind::ALL {
        let (policy, name) = place(kind);
        let stage = Stage::believing(kind, policy, &|text| with_mutual_tls(kind, text)).await;
        let bound = stage.issuer.token().subject("ada").bound_to_certificate(&der).mint();
        let unbound = stage.issuer.token().subject("ada").mint();
        let url = format!("https://{}/me", stage.address());
        for (what, token, identity, forges, expected) in [
            ("its certificate", &bound, Some(CLIENT), false, 200),
            ("another certificate", &bound, Some(ANOTHER), false, 401),
            ("no certificate", &bound, None, false, 401),
            ("fields of the client's own", &bound, None, true, 401),
            ("another certificate and fields of the client's own", &bound, Some(ANOTHER), true, 401),
            ("an unbound token and no certificate", &unbound, None, false, 200),
        ] {
            let request = shows(identity).get(&url).bearer_auth(token);
            let fields = forged.iter().filter(|_| forges);
            let request = fields.fold(request, |request, (name, value)| request.header(*name, value));
            let answer =
                request.send().await.unwrap_or_else(|error| panic!("{name}, {what}: {error:?} {}", stage.proxy.log()));
            let (status, body) = (answer.status().as_u16(), answer.text().await.unwrap());
            assert_eq!(status, expected, "{name}, {what}: {body} {}", stage.proxy.log());
            assert!(status != 200 || body == "ada", "{name}, {what}: {body}");
        }
        let shown = "a token bound to a certificate (RFC 8705): passes with it; 401 with another, without, and with the client's own fields";
        note("proofs", &format!("certificate {kind:?}"), &[name, "`token-gate`", shown]);
    }
}
