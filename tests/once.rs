//! One proof of possession at two instances at the same moment: two processes, one Redis, many requests in, exactly one 200 out (RFC 9449 section 11.1).

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use axum::Router;
use axum::routing::get;
use axum_token::TokenLayer;
use serde::{Deserialize, Serialize};
use token_core::possession::{Dpop, NonceKeys};
use token_core::{Algorithm, Issuer, ResourceServer};
use token_redis::{Redis, RedisSettings};
use token_test::{TestIssuer, TestKey};
use token_tests::evidence::note;
use tokio::task::JoinSet;

use crate::engine::{Node, PATIENCE};

const VARIABLE: &str = "TOKEN_TESTS_INSTANCE";
const HERE: &str = "https://api.example.com";
const PROOFS: usize = 40;
/// How many requests bring each proof to each of the two.
const AT_ONCE: usize = 4;

/// What an instance is told.
#[derive(Serialize, Deserialize)]
struct Orders {
    issuer: String,
    audience: String,
    /// Where proofs are remembered for both; else each does so for itself.
    redis: Option<String>,
}

/// A process that lives as long as this value.
struct Instance {
    process: Child,
    url: String,
}

impl Instance {
    fn start(orders: &Orders) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "once::an_instance", "--nocapture", "--ignored"])
            .env(VARIABLE, serde_json::to_string(orders).unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let url = lines.map_while(Result::ok).find_map(|line| line.split("READY ").nth(1).map(str::to_owned));
        Self { process, url: url.expect("an instance says where it is") }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
#[ignore = "it is what the tests start as a process"]
async fn an_instance() {
    let Ok(orders) = std::env::var(VARIABLE) else { return };
    let orders: Orders = serde_json::from_str(&orders).unwrap();
    let mut dpop = Dpop::at(HERE).unwrap().nonce_keys(NonceKeys::new(&[7; 32]).unwrap());
    if let Some(url) = &orders.redis {
        let patient = RedisSettings::server(url).unwrap().timeout(PATIENCE);
        dpop = dpop.replay_memory(Redis::with(patient).unwrap().replays());
    }
    let trusted = Issuer::discover(&orders.issuer).unwrap().allow_loopback_http();
    let api = ResourceServer::builder(orders.audience).trust(trusted).dpop(dpop).build().unwrap();
    api.ready().await.unwrap();
    let app = Router::new().route("/me", get(async || "in")).layer(TokenLayer::new(api));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let mut out = std::io::stdout();
    writeln!(out, "\nREADY http://{}", listener.local_addr().unwrap()).unwrap();
    out.flush().unwrap();
    axum::serve(listener, app).await.unwrap();
}

async fn ask(http: &reqwest::Client, url: &str, token: &str, proof: &str) -> reqwest::Response {
    let request = http.get(format!("{url}/me")).header("authorization", format!("DPoP {token}"));
    request.header("dpop", proof).send().await.unwrap()
}

/// How often each proof was let in by the two together.
async fn let_in(issuer: &TestIssuer, redis: Option<String>) -> Vec<usize> {
    let orders = Orders { issuer: issuer.url().into(), audience: issuer.audience().into(), redis };
    let instances = [Instance::start(&orders), Instance::start(&orders)];
    let (http, key) = (reqwest::Client::new(), TestKey::client(Algorithm::ES256));
    let token = issuer.token().bound_to(&key).mint();
    let proof = || key.proof("GET", &format!("{HERE}/me"), &token);

    let asked = ask(&http, &instances[0].url, &token, &proof().mint()).await;
    let nonce = asked.headers().get("dpop-nonce").expect("a nonce, good at both").to_str().unwrap().to_owned();
    let mut counts = Vec::new();
    for _ in 0..PROOFS {
        let proof = proof().nonce(&nonce).mint();
        let mut requests = JoinSet::new();
        for instance in instances.iter().cycle().take(2 * AT_ONCE) {
            let (http, url, token, proof) = (http.clone(), instance.url.clone(), token.clone(), proof.clone());
            requests.spawn(async move { ask(&http, &url, &token, &proof).await.status().as_u16() });
        }
        let statuses = requests.join_all().await;
        assert!(statuses.iter().all(|status| matches!(status, 200 | 401)), "{statuses:?}");
        counts.push(statuses.into_iter().filter(|status| *status == 200).count());
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_proof_at_two_instances_at_once_is_let_in_by_exactly_one() {
    let issuer = TestIssuer::start().await;
    let redis = Node::ready(&[]).await;
    assert_eq!(let_in(&issuer, Some(redis.url())).await, [1; PROOFS]);
    assert_eq!(let_in(&issuer, None).await, [2; PROOFS], "what a memory of each its own would let in");
    let requests = PROOFS * 2 * AT_ONCE;
    let shown = format!(
        "{PROOFS} proofs in {requests} requests at two processes at once: each let in once, nonces of one taken by the other"
    );
    note("proofs", "redis", &["Redis 7", "axum", &shown]);
}
