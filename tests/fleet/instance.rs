//! One instance of an API as a process of its own: where Redis is in, HTTP on loopback out. The drill asks it, kills it and stops it.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Query, State};
use axum::routing::{get, post};
use axum_token::TokenLayer;
use serde::{Deserialize, Serialize};
use token_core::opaque::client_authentication::ClientAuthentication;
use token_core::revocation::Deny;
use token_core::revocation::followed::{FollowedDenyList, FollowedSettings};
use token_core::{Clock, Issuer, Presented, ResourceServer, SystemClock, Timestamp, opaque::OpaqueTokens};
use token_redis::{Redis, RedisSettings};

const VARIABLE: &str = "TOKEN_FLEET_INSTANCE";

/// What an instance is told.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) issuer: String,
    pub(crate) introspection: String,
    pub(crate) audience: String,
    pub(crate) sentinels: Vec<String>,
    /// The one server to go to, past the Sentinels.
    pub(crate) server: Option<String>,
    /// How many entries it has room for.
    pub(crate) capacity: usize,
    /// How many milliseconds its clock is ahead.
    pub(crate) ahead: i64,
}

/// The clock of a machine that is not set well.
#[derive(Clone, Debug)]
struct Skewed(i64);

impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(SystemClock.now().as_millis() + self.0)
    }
}

/// What an instance says of itself.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Said {
    pub(crate) entries: usize,
    pub(crate) loads: u64,
    pub(crate) gaps: u64,
    pub(crate) unreadable: u64,
    pub(crate) left_out: u64,
    pub(crate) resident: f64,
}

/// A process that lives as long as this value.
pub(crate) struct Instance {
    process: Child,
    pub(crate) url: String,
}

impl Instance {
    pub(crate) fn start(orders: &Orders) -> Self {
        let orders = serde_json::to_string(orders).unwrap();
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "an_instance", "--nocapture", "--ignored"])
            .env(VARIABLE, orders)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(process.stdout.take().unwrap()));
        let mut said = lines.by_ref().map_while(Result::ok);
        let url = said.find_map(|line| line.split("READY ").nth(1).map(str::to_owned));
        // Who runs tests speaks up after a minute, and dies if nobody listens.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, url: url.expect("an instance says where it is") }
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[derive(Clone)]
struct Apis {
    followed: ResourceServer,
    plain: ResourceServer,
    asked: ResourceServer,
    list: FollowedDenyList,
    issuer: Arc<str>,
}

/// Runs as an instance if this process is one.
pub(crate) fn run() {
    let Ok(orders) = std::env::var(VARIABLE) else { return };
    let orders: Orders = serde_json::from_str(&orders).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(serve(orders));
}

async fn serve(orders: Orders) {
    let settings = match &orders.server {
        None => RedisSettings::sentinels(&orders.sentinels, "main").unwrap(),
        Some(url) => RedisSettings::server(url).unwrap().acknowledged_by(1),
    };
    let redis = Redis::with(settings).unwrap();
    let clock = Skewed(orders.ahead);
    let list = redis.follow_deny_list(FollowedSettings::default().capacity(orders.capacity).clock(clock.clone()));
    let builder = || {
        let secret = ClientAuthentication::Basic("test-secret".into());
        let opaque = OpaqueTokens::introspection(orders.introspection.as_str(), "test-client", secret).unwrap();
        // What another instance evicts is dropped here too, so that an answer may be remembered for long.
        let opaque = opaque.store(redis.answers()).local_life(Duration::from_secs(60));
        let issuer = Issuer::discover(&orders.issuer).unwrap().allow_loopback_http().opaque_tokens(opaque);
        ResourceServer::builder(orders.audience.as_str()).trust(issuer).clock(clock.clone())
    };
    let apis = Apis {
        followed: builder().deny_list(list.clone()).build().unwrap(),
        plain: builder().build().unwrap(),
        asked: builder().deny_list(redis.deny_list()).build().unwrap(),
        list,
        issuer: orders.issuer.as_str().into(),
    };
    for api in [&apis.followed, &apis.plain, &apis.asked] {
        api.ready().await.unwrap();
    }
    let guarded =
        |api: &ResourceServer| Router::new().route("/", get(async || "in")).layer(TokenLayer::new(api.clone()));
    let app = Router::new()
        .nest_service("/me", guarded(&apis.followed))
        .nest_service("/plain", guarded(&apis.plain))
        .nest_service("/asked", guarded(&apis.asked))
        .route("/deny", post(deny))
        .route("/state", get(state))
        .route("/whole", get(whole))
        .route("/measure", post(measure))
        .with_state(apis);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    println!("\nREADY http://{}", listener.local_addr().unwrap());
    std::io::stdout().flush().unwrap();
    axum::serve(listener, app).await.unwrap();
}

#[derive(Deserialize)]
struct Session {
    sid: String,
}

async fn deny(State(apis): State<Apis>, Query(session): Query<Session>) -> http::StatusCode {
    let until = SystemClock.now().saturating_add(Duration::from_secs(3600));
    match apis.followed.deny(Deny::session(&apis.issuer, &session.sid), until).await {
        Ok(()) => http::StatusCode::OK,
        Err(error) => http::StatusCode::from_u16(error.kind().status()).unwrap(),
    }
}

async fn whole(State(apis): State<Apis>) {
    apis.list.whole().await;
}

async fn state(State(apis): State<Apis>) -> String {
    let state = apis.list.state();
    let said = Said {
        entries: state.entries,
        loads: state.loads,
        gaps: state.gaps,
        unreadable: state.unreadable,
        left_out: state.left_out,
        resident: resident(),
    };
    serde_json::to_string(&said).unwrap()
}

/// MiB, as Linux counts it.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the drill runs on Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("resident memory");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number of kB") / 1024.0
}

/// Verifications of one warm token a second, without HTTP: with the followed list, without a list, with the list that is asked. In turns.
async fn measure(State(apis): State<Apis>, token: String) -> String {
    let mut rates = [0.0f64; 3];
    for _ in 0..3 {
        for (rate, api) in rates.iter_mut().zip([&apis.followed, &apis.plain, &apis.asked]) {
            let (started, mut count) = (Instant::now(), 0u32);
            while started.elapsed() < Duration::from_millis(400) {
                for _ in 0..10 {
                    api.authenticate(Presented::token(&token)).await.unwrap();
                    count += 1;
                }
            }
            *rate = rate.max(f64::from(count) / started.elapsed().as_secs_f64());
        }
    }
    serde_json::to_string(&rates).unwrap()
}
