//! What the gate believes of a client and hands on to the service, asked over real HTTP: certificates from named peers, tokens obtained on the caller's behalf.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::net::SocketAddr;
use std::path::PathBuf;

use token_gate::Gate;
use token_test::{Endpoint, TestIssuer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

struct Served {
    gate: Gate,
    address: SocketAddr,
    policy: PathBuf,
    serving: tokio::task::JoinHandle<()>,
}

impl Served {
    async fn of(issuer: &TestIssuer, gate: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let policy =
            std::env::temp_dir().join(format!("token-gate-onward-{}-{}.toml", std::process::id(), address.port()));
        let (url, audience) = (issuer.url(), issuer.audience());
        let trust = format!("audience = \"{audience}\"\n[[issuers]]\nissuer = \"{url}\"\nallow_loopback_http = true\n");
        std::fs::write(&policy, trust + gate).unwrap();
        let gate = Gate::from_file(&policy).unwrap();
        gate.ready().await.unwrap();
        let serving = tokio::spawn({
            let gate = gate.clone();
            async move { gate.serve(listener, std::future::pending()).await }
        });
        Self { gate, address, policy, serving }
    }

    async fn ask(&self, token: &str, fields: &[(&str, &str)]) -> String {
        let mut request = format!(
            "GET /auth-request HTTP/1.1\r\nhost: gate\r\nconnection: close\r\nx-original-method: GET\r\nx-original-uri: /a\r\nauthorization: Bearer {token}\r\n"
        );
        for (name, value) in fields {
            request += &format!("{name}: {value}\r\n");
        }
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(format!("{request}\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// Status, the answer's `Authorization`, and whether it says when to come back.
    async fn outcome(&self, token: &str, fields: &[(&str, &str)]) -> (u16, Option<String>, bool) {
        let answer = self.ask(token, fields).await;
        let field =
            |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned());
        (answer.split(' ').nth(1).unwrap().parse().unwrap(), field("authorization:"), field("retry-after:").is_some())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.serving.abort();
        let _ = std::fs::remove_file(&self.policy);
    }
}

fn exchange(issuer: &TestIssuer, secret: &str) -> String {
    format!(
        "[gate.upstream]\ntoken = \"exchange\"\n[gate.upstream.exchange]\ntoken_endpoint = \"{}\"\nclient_id = \"test-client\"\nclient_secret = {{ value = \"{secret}\" }}\naudience = \"https://orders.internal\"\nscope = \"read:orders\"\nallow_loopback_http = true\n",
        issuer.token_endpoint()
    )
}

#[tokio::test]
async fn the_callers_token_is_exchanged_once_for_one_that_the_service_takes() {
    let issuer = TestIssuer::start().await;
    let served = Served::of(&issuer, &exchange(&issuer, "test-secret")).await;
    let token = issuer.token().subject("ada").mint();
    let (status, sent_on, _) = served.outcome(&token, &[]).await;
    let sent_on = sent_on.and_then(|value| value.strip_prefix("Bearer ").map(str::to_owned)).unwrap_or_default();
    assert!(status == 200 && sent_on != token, "{status}");
    let trusted = token_core::Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let service = token_core::ResourceServer::builder("https://orders.internal").trust(trusted).build().unwrap();
    let seen = service.authenticate(token_core::Presented::token(&sent_on)).await.unwrap();
    assert!(seen.subject() == Some("ada") && seen.scopes().contains("read:orders"), "{seen:?}");
    for _ in 0..20 {
        assert_eq!(served.outcome(&token, &[]).await, (200, Some(format!("Bearer {sent_on}")), false));
    }
    assert_eq!(issuer.hits(Endpoint::Token), 1, "one exchange a token");
    let other = issuer.token().subject("bob").mint();
    assert_ne!(served.outcome(&other, &[]).await.1, Some(format!("Bearer {sent_on}")));
    assert_eq!(issuer.hits(Endpoint::Token), 2);
    // A bad token is refused before anybody is asked about it.
    assert_eq!(served.outcome("a.b.c", &[]).await.0, 401);
    assert_eq!(issuer.hits(Endpoint::Token), 2);
}

#[tokio::test]
async fn an_exchange_that_fails_is_our_trouble_unless_the_server_speaks_of_the_caller() {
    const SECRET: &str = "canary-27182818";
    for (name, fault, expected) in [
        ("out of reach", None, (503, true)),
        ("overloaded", Some((429, "slow_down")), (503, true)),
        ("its own trouble", Some((500, "server_error")), (503, true)),
        ("the service is unknown", Some((400, "invalid_target")), (500, false)),
        ("our secret is wrong", Some((401, "invalid_client")), (500, false)),
        ("the caller's token was revoked", Some((400, "invalid_grant")), (401, false)),
        ("the user has to consent", Some((400, "interaction_required")), (403, false)),
    ] {
        let issuer = TestIssuer::start().await;
        let served = Served::of(&issuer, &exchange(&issuer, SECRET)).await;
        let faults = issuer.faults().at(Endpoint::Token);
        match fault {
            None => drop(faults.down()),
            Some((status, error)) => drop(faults.refuse(status, error, None)),
        }
        let token = issuer.token().subject("ada").mint();
        let answer = served.ask(&token, &[]).await;
        assert!(!answer.contains(SECRET) && !answer.contains(&token), "{name}: {answer}");
        let (status, sent_on, retry) = served.outcome(&token, &[]).await;
        assert_eq!(((status, retry), sent_on), (expected, None), "{name}: {answer}");
        let text = format!("{:?}", served.gate);
        assert!(!text.contains(SECRET), "{text}");
    }
}

/// A certificate as the gate sees it: its bytes need be nothing but bytes.
const DER: &[u8] = b"any bytes, since only their digest counts";
const DER_IN_BASE64: &str = "YW55IGJ5dGVzLCBzaW5jZSBvbmx5IHRoZWlyIGRpZ2VzdCBjb3VudHM=";
const DIGEST: &str = "23ecaeb2941063bd5ffd9791c7b4541d67df5975fc82accfd5b3525ca624dd87";

#[tokio::test]
async fn a_certificate_is_believed_where_the_policy_says_it_stands_and_from_named_peers_alone() {
    let issuer = TestIssuer::start().await;
    let bound = issuer.token().subject("ada").bound_to_certificate(DER).mint();
    let pem = format!(
        "-----BEGIN%20CERTIFICATE-----%0A{}%0A-----END%20CERTIFICATE-----%0A",
        DER_IN_BASE64.replace('=', "%3D")
    );
    let (member, xfcc) = (format!(":{DER_IN_BASE64}:"), format!("Hash={DIGEST};Subject=\"CN=a\""));
    let fields = [
        ("client-cert", member.as_str()),
        ("x-forwarded-client-cert", &xfcc),
        ("x-forwarded-tls-client-cert", DER_IN_BASE64),
        ("x-client-cert", &pem),
    ];
    for (written, name) in [
        ("from = \"client_cert\"", "client-cert"),
        ("from = \"xfcc\"", "x-forwarded-client-cert"),
        ("from = \"x_forwarded_tls_client_cert\"", "x-forwarded-tls-client-cert"),
        ("from = \"escaped_pem\"\nfield = \"x-client-cert\"", "x-client-cert"),
    ] {
        let served = Served::of(&issuer, &format!("[mutual_tls]\nproxies = [\"127.0.0.1\"]\n{written}\n")).await;
        for field in fields {
            let expected = if field.0 == name { 200 } else { 401 };
            assert_eq!(served.outcome(&bound, &[field]).await.0, expected, "{written} {}", field.0);
        }
        let own = fields.iter().find(|field| field.0 == name).unwrap();
        assert_eq!(served.outcome(&bound, &[*own, *own]).await.0, 401, "{written}: sent twice");
        assert_eq!(served.outcome(&bound, &[]).await.0, 401, "{written}: none");
        let plain = issuer.token().subject("ada").mint();
        assert_eq!(served.outcome(&plain, &[]).await.0, 200, "{written}: a token that is bound to nothing");
    }
    // Nobody is believed who is not named, and nobody where the policy says nothing.
    let others = "[mutual_tls]\nproxies = [\"192.0.2.1\"]\nfrom = \"client_cert\"\n";
    assert_eq!(Served::of(&issuer, others).await.outcome(&bound, &[fields[0]]).await.0, 401);
    let unnamed = Served::of(
        &issuer,
        "[gate]\npeers = [\"192.0.2.1\"]\n[mutual_tls]\nproxies = [\"127.0.0.1\"]\nfrom = \"client_cert\"\n",
    )
    .await;
    assert_eq!(unnamed.outcome(&bound, &[fields[0]]).await.0, 403);
    let unsaid = Served::of(&issuer, "").await;
    for field in fields {
        assert_eq!(unsaid.outcome(&bound, &[field]).await.0, 401, "{}", field.0);
    }
}
