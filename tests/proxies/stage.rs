//! An issuer, a service that checks nothing, a gate, and one proxy between clients and the service.

use std::net::SocketAddr;
use std::path::PathBuf;

use token_gate::Gate;
use token_test::TestIssuer;
use tokio::net::TcpListener;

use super::proxy::{Kind, Proxy};
use crate::real_issuers::Server;

/// Everything that a request meets.
pub(crate) struct Stage {
    pub(crate) issuer: TestIssuer,
    pub(crate) proxy: Proxy,
    pub(crate) gate: Gate,
    pub(crate) kind: Kind,
    serving: tokio::task::JoinHandle<()>,
    policy: PathBuf,
    _service: Server,
}

/// The routes of the case table, and a guard beside what is open.
const ROUTES: &str = r#"
[gate]
peers = ["127.0.0.1"]

[gate.upstream]
token = "remove"

[gate.upstream.headers]
X-Token-Subject = "sub"
X-Token-Scope = { grants = "scopes" }

[[gate.routes]]
path = "/public/**"
access = "public"

[[gate.routes]]
path = "/admin/**"
require = "admin"

[[gate.routes]]
path = "/users"
require = "read:users"

[[gate.routes]]
path = "/maybe"
access = "optional"

[[gate.routes]]
path = "/**"
"#;

impl Stage {
    pub(crate) async fn of(kind: Kind) -> Self {
        Self::with(kind, "", &|text| text).await
    }

    /// With tables at the end of the policy, and `edit` applied to the proxy's configuration.
    pub(crate) async fn with(kind: Kind, policy_too: &str, edit: &dyn Fn(String) -> String) -> Self {
        Self::under(kind, &(ROUTES.to_owned() + policy_too), edit).await
    }

    /// With tokens of the gate's own for the service, as this table says.
    pub(crate) async fn signing(kind: Kind, table: &str) -> Self {
        let routes = ROUTES.replace("token = \"remove\"", "token = \"sign\"");
        Self::under(kind, &(routes + table), &|text| text).await
    }

    /// With certificates of clients in this place.
    pub(crate) async fn believing(kind: Kind, place: &str, edit: &dyn Fn(String) -> String) -> Self {
        Self::with(kind, &format!("\n[mutual_tls]\nproxies = [\"127.0.0.1\"]\n{place}\n"), edit).await
    }

    async fn under(kind: Kind, policy_of_gate: &str, edit: &dyn Fn(String) -> String) -> Self {
        let issuer = TestIssuer::start().await;
        let service = Server::upstream();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let policy = std::env::temp_dir().join(format!("token-gate-{}-{}.toml", std::process::id(), address.port()));
        let (url, audience) = (issuer.url(), issuer.audience());
        let trust = format!(
            "audience = \"{audience}\"\nrealm = \"tests\"\n[[issuers]]\nissuer = \"{url}\"\nallow_loopback_http = true\n"
        );
        std::fs::write(&policy, trust + policy_of_gate).unwrap();
        let gate = Gate::from_file(&policy).unwrap();
        gate.ready().await.unwrap();
        let serving = tokio::spawn({
            let gate = gate.clone();
            async move { gate.serve(listener, std::future::pending()).await }
        });
        let to: SocketAddr = service.url.strip_prefix("http://").unwrap().parse().unwrap();
        let proxy = Proxy::start(kind, address, to, edit);
        Self { issuer, proxy, gate, kind, serving, policy, _service: service }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.proxy.address
    }

    /// A good token of ada's with this scope, as the value of `Authorization`.
    pub(crate) fn bearer(&self, scope: &str) -> Vec<u8> {
        format!("Bearer {}", self.issuer.token().subject("ada").scope(scope).mint()).into_bytes()
    }

    /// Ends the gate, connections included.
    pub(crate) async fn gate_dies(&mut self) {
        self.serving.abort();
        let _ = (&mut self.serving).await;
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.serving.abort();
        let _ = std::fs::remove_file(&self.policy);
    }
}
