//! What the service gets in place of the client's token, through each proxy: the gate's own token and nobody else's; and certificates that a proxy has seen (RFC 8705).

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::client;
use super::proxy::Kind;
use super::stage::Stage;

const AUTHORITY: &str = include_str!("../tls/authority.pem");
const CLIENT: &str = include_str!("../tls/client.pem");

#[tokio::test]
async fn the_service_gets_the_gates_own_token_in_place_of_the_clients() {
    let key = Path::new(env!("CARGO_MANIFEST_DIR")).join("../token-gate/tests/keys/one.pem");
    let sign = format!(
        "\n[gate.upstream.sign]\nissuer = \"https://gate.internal\"\naudience = \"https://orders.internal\"\nkeys = [{{ file = \"{}\" }}]\n",
        key.display()
    );
    for kind in Kind::ALL {
        let stage = Stage::signing(kind, &sign).await;
        let token = stage.bearer("profile");
        for (target, called) in [("/echo", true), ("/public/x", false)] {
            let answer = client::get(stage.address(), target, &[("authorization", &token)]).await;
            let seen = answer.seen().unwrap_or_else(|| panic!("{kind:?} {target}: {answer:?}"));
            let values = seen.field("authorization");
            let place = format!("{kind:?} {target}: {seen:?}");
            if !called {
                assert_eq!(values, Vec::<&str>::new(), "nobody called, so nobody is vouched for: {place}");
                continue;
            }
            let [value] = values[..] else { panic!("{place}") };
            assert!(value.as_bytes() != token && claims(value)["iss"] == "https://gate.internal", "{place}");
            assert_eq!(claims(value)["sub"], "ada", "{place}");
        }
    }
}

fn claims(authorization: &str) -> serde_json::Value {
    let part = authorization.strip_prefix("Bearer ").unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// The configuration that is shipped, with TLS in front and the lines that pass the certificate on, as the guide has them.
fn with_mutual_tls(kind: Kind, text: String) -> String {
    let tls = Path::new(env!("CARGO_MANIFEST_DIR")).join("tls");
    let file = tls.join("loopback.pem").display().to_string();
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
        _ => {
            let own = tls.join("client.pem").display().to_string();
            let socket = format!(
                r#"    filter_chains:
    - transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            tls_certificates: [{{ certificate_chain: {{ filename: {file} }}, private_key: {{ filename: {file} }} }}]
            validation_context: {{ trusted_ca: {{ filename: {own} }} }}
      filters:
"#
            );
            let passes = "stat_prefix: clients\n          forward_client_cert_details: SANITIZE_SET\n          set_current_client_cert_details: { subject: true }";
            text.replace("    filter_chains:\n    - filters:\n", &socket)
                .replace("stat_prefix: clients", passes)
                .replace("{ exact: dpop }", "{ exact: dpop }, { exact: x-forwarded-client-cert }")
        }
    }
}

#[tokio::test]
async fn a_token_that_is_bound_to_a_certificate_passes_where_the_proxy_has_seen_it() {
    let block = CLIENT.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap();
    let inside: String = block.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(&inside).unwrap();
    let escaped: String = block.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let shows = |identity: Option<&str>| {
        let authority = reqwest::Certificate::from_pem(AUTHORITY.as_bytes()).unwrap();
        let client = reqwest::Client::builder().tls_certs_only([authority]).tls_backend_rustls();
        let identity = identity.map(|pem| reqwest::Identity::from_pem(pem.as_bytes()).unwrap());
        identity.into_iter().fold(client, reqwest::ClientBuilder::identity).build().unwrap()
    };
    for (kind, place) in [
        (Kind::Nginx, "from = \"escaped_pem\"\nfield = \"x-client-cert\""),
        (Kind::EnvoyGrpc, "from = \"xfcc\""),
        (Kind::EnvoyHttp, "from = \"xfcc\""),
    ] {
        let stage = Stage::believing(kind, place, &|text| with_mutual_tls(kind, text)).await;
        let bound = stage.issuer.token().subject("ada").bound_to_certificate(&der).mint();
        let url = format!("https://{}/me", stage.address());
        let get = |client: reqwest::Client, forged: bool| {
            let mut request = client.get(&url).bearer_auth(&bound);
            if forged {
                request = request.header("x-client-cert", &escaped).header("client-cert", format!(":{inside}:"));
            }
            async move {
                let answer = request.send().await.unwrap();
                (answer.status().as_u16(), answer.text().await.unwrap())
            }
        };
        assert_eq!(get(shows(Some(CLIENT)), false).await, (200, "ada".to_owned()), "{kind:?} {}", stage.proxy.log());
        assert_eq!(get(shows(None), false).await.0, 401, "{kind:?}: no certificate");
        assert_eq!(get(shows(None), true).await.0, 401, "{kind:?}: fields of the client's own");
    }
}
