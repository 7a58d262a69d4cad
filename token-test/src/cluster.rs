//! A simulated Kubernetes cluster, as programs inside see it: an API server with keys, discovery and reviews, and a
//! service account's folder.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::issuer::TestIssuer;
use crate::port::HeldPort;
use crate::serve::Server;
use crate::tenant::claims_of;

/// The `iss` of the cluster's tokens.
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// The certificate of an authority whose key was discarded. There is no TLS here, but readers of `ca.crt` expect a
/// certificate.
const AUTHORITY: &str = include_str!("cluster/ca.crt");

/// A simulated Kubernetes API server on the loopback interface, and the folder of a pod's service account.
///
/// It follows the formats that Kubernetes documents (service account tokens, `/openid/v1/jwks`, `TokenReview` of
/// `authentication.k8s.io/v1`), but is not a real API server: it has no roles except
/// [`forbid_reviews`](Self::forbid_reviews), and speaks plain HTTP. Every path requires a bearer token; anonymous
/// access is off.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use token_core::{Presented, ResourceServer, provider};
/// use token_test::TestCluster;
///
/// let cluster = TestCluster::start().await;
/// let issuer = provider::kubernetes_at(cluster.api_server(), cluster.service_account(), ["shop"])?.allow_loopback_http();
/// let api = ResourceServer::builder("https://api.example.com").trust(issuer).build()?;
/// let token = cluster.token("shop", "web", "https://api.example.com");
/// assert!(api.authenticate(Presented::token(&token)).await.is_ok());
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct TestCluster {
    state: Arc<Cluster>,
    address: String,
    folder: PathBuf,
    _port: HeldPort,
    _server: Server,
}

#[derive(Debug)]
struct Cluster {
    issuer: TestIssuer,
    /// The token in the pod's folder.
    own: Mutex<String>,
    gone: Mutex<HashSet<String>>,
    pods: AtomicU64,
    forbidden: Mutex<bool>,
    audience_aware: Mutex<bool>,
    reviews: AtomicUsize,
    key_fetches: AtomicUsize,
}

impl TestCluster {
    /// Starts a cluster with one API server.
    ///
    /// # Panics
    /// Outside a tokio runtime, or if there is no free port or no temporary folder.
    pub async fn start() -> Self {
        Self::try_start().await.expect("an address to listen on, and a temporary folder")
    }

    async fn try_start() -> io::Result<Self> {
        let issuer = TestIssuer::builder().known_as(ISSUER).start().await;
        let port = HeldPort::new()?;
        let address = format!("http://{}", port.address());
        let folder = std::env::temp_dir().join(format!("token-test-cluster-{}-{}", std::process::id(), port.port()));
        std::fs::create_dir_all(&folder)?;
        let state = Arc::new(Cluster {
            issuer,
            own: Mutex::default(),
            gone: Mutex::default(),
            pods: AtomicU64::new(0),
            forbidden: Mutex::new(false),
            audience_aware: Mutex::new(true),
            reviews: AtomicUsize::new(0),
            key_fetches: AtomicUsize::new(0),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/openid/v1/jwks", get(keys))
            .route("/apis/authentication.k8s.io/v1/tokenreviews", post(review))
            .with_state(Arc::clone(&state));
        let server = Server::spawn(port.listen()?, router);
        let cluster = Self { state, address, folder, _port: port, _server: server };
        std::fs::write(cluster.folder.join("ca.crt"), AUTHORITY)?;
        std::fs::write(cluster.folder.join("namespace"), "default")?;
        cluster.rotate();
        Ok(cluster)
    }

    /// Scheme, host and port of the API server.
    #[must_use]
    pub fn api_server(&self) -> &str {
        &self.address
    }

    /// The issuer identifier of the cluster (`iss` of its tokens).
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.state.issuer.url()
    }

    /// The folder of the pod's service account, with `token`, `ca.crt` and `namespace`. In a real pod it is
    /// `/var/run/secrets/kubernetes.io/serviceaccount`.
    #[must_use]
    pub fn service_account(&self) -> &Path {
        &self.folder
    }

    /// Writes a new token into the folder, as the kubelet does. The API server no longer accepts the old one.
    ///
    /// # Panics
    /// If the folder cannot be written to.
    pub fn rotate(&self) {
        let token = self.token("default", "api", ISSUER);
        std::fs::write(self.folder.join("token"), format!("{token}\n")).expect("a folder to write to");
        *self.state.own.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }

    /// Mints a token of a service account for this audience, as it is projected into a pod, and bound to a pod of its
    /// own.
    #[must_use]
    pub fn token(&self, namespace: &str, account: &str, audience: &str) -> String {
        let pod = self.state.pods.fetch_add(1, Ordering::Relaxed);
        self.state
            .issuer
            .token()
            .without_header("typ")
            .without("client_id")
            .subject(&format!("system:serviceaccount:{namespace}:{account}"))
            .claim("aud", json!([audience]))
            .claim(
                "kubernetes.io",
                json!({
                    "namespace": namespace, "serviceaccount": {"name": account, "uid": format!("account-{account}")},
                    "pod": {"name": format!("{account}-{pod}"), "uid": format!("pod-{pod}")},
                }),
            )
            .mint()
    }

    /// Deletes the pod that this token is bound to. The signature stays valid, but a review reports that the token is
    /// not.
    pub fn delete_pod_of(&self, token: &str) {
        self.state.gone.lock().unwrap_or_else(PoisonError::into_inner).insert(token.to_owned());
    }

    /// Removes or restores the right to request reviews (the role `system:auth-delegator`).
    pub fn forbid_reviews(&self, forbidden: bool) {
        *self.state.forbidden.lock().unwrap_or_else(PoisonError::into_inner) = forbidden;
    }

    /// Makes reviews leave out audiences, like a server that does not support them; its answers are then about its own
    /// audience.
    pub fn forget_audiences(&self) {
        *self.state.audience_aware.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }

    /// How often reviews and keys were requested.
    #[must_use]
    pub fn asked(&self) -> (usize, usize) {
        (self.state.reviews.load(Ordering::Relaxed), self.state.key_fetches.load(Ordering::Relaxed))
    }

    /// The issuer behind the cluster, for example to rotate its keys.
    #[must_use]
    pub fn signer(&self) -> &TestIssuer {
        &self.state.issuer
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        // Nothing depends on it: the folder is one of temporary files.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Cluster {
    /// Anonymous access is off.
    fn knows(&self, headers: &HeaderMap) -> bool {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        headers.get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes() == format!("Bearer {own}").as_bytes())
    }
}

/// An answer in the shape of a `Status` (`v1`).
fn status(code: StatusCode, reason: &str) -> Response {
    let body =
        json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code.as_u16() });
    json_answer(code, &body)
}

fn json_answer(code: StatusCode, body: &Value) -> Response {
    (code, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

async fn discovery(State(cluster): State<Arc<Cluster>>, headers: HeaderMap) -> Response {
    if !cluster.knows(&headers) {
        return status(StatusCode::UNAUTHORIZED, "Unauthorized");
    }
    // As kubeadm sets it up: by an address that is not the name in iss.
    let document = json!({
        "issuer": cluster.issuer.url(), "jwks_uri": "https://172.18.0.2:6443/openid/v1/jwks",
        "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    });
    json_answer(StatusCode::OK, &document)
}

async fn keys(State(cluster): State<Arc<Cluster>>, headers: HeaderMap) -> Response {
    cluster.key_fetches.fetch_add(1, Ordering::Relaxed);
    if !cluster.knows(&headers) {
        return status(StatusCode::UNAUTHORIZED, "Unauthorized");
    }
    let set = json!({ "keys": cluster.issuer.published() });
    (StatusCode::OK, [(header::CONTENT_TYPE, "application/jwk-set+json")], set.to_string()).into_response()
}

async fn review(State(cluster): State<Arc<Cluster>>, headers: HeaderMap, body: String) -> Response {
    cluster.reviews.fetch_add(1, Ordering::Relaxed);
    if !cluster.knows(&headers) {
        return status(StatusCode::UNAUTHORIZED, "Unauthorized");
    }
    if *cluster.forbidden.lock().unwrap_or_else(PoisonError::into_inner) {
        return status(StatusCode::FORBIDDEN, "Forbidden");
    }
    let Ok(Value::Object(asked)) = serde_json::from_str(&body) else {
        return status(StatusCode::BAD_REQUEST, "BadRequest");
    };
    let is_review = asked.get("kind") == Some(&json!("TokenReview"))
        && asked.get("apiVersion") == Some(&json!("authentication.k8s.io/v1"));
    let spec = asked.get("spec").cloned().unwrap_or_default();
    let Some(token) = spec.get("token").and_then(Value::as_str).filter(|_| is_review) else {
        return status(StatusCode::BAD_REQUEST, "BadRequest");
    };
    let audiences: Vec<&str> =
        spec.get("audiences").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let mut answer = Map::from_iter(asked.clone());
    answer.insert("status".to_owned(), cluster.judge(token, &audiences));
    json_answer(StatusCode::CREATED, &Value::Object(answer))
}

impl Cluster {
    fn judge(&self, token: &str, audiences: &[&str]) -> Value {
        let refused =
            json!({ "user": {}, "error": "[invalid bearer token, service account token has been invalidated]" });
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner).contains(token);
        if gone || !self.issuer.is_active(token) {
            return refused;
        }
        let claims = claims_of(token).unwrap_or_default();
        let named: Vec<&str> =
            claims.get("aud").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let fitting: Vec<&str> = named.into_iter().filter(|name| audiences.contains(name)).collect();
        let aware = *self.audience_aware.lock().unwrap_or_else(PoisonError::into_inner);
        if aware && fitting.is_empty() {
            return refused;
        }
        let inner = claims.get("kubernetes.io").cloned().unwrap_or_default();
        let mut status = json!({
            "authenticated": true,
            "user": {
                "username": claims.get("sub"), "uid": inner["serviceaccount"]["uid"],
                "groups": ["system:serviceaccounts", "system:authenticated"],
                "extra": {
                    "authentication.kubernetes.io/pod-name": [inner["pod"]["name"]],
                    "authentication.kubernetes.io/pod-uid": [inner["pod"]["uid"]],
                },
            },
        });
        if aware {
            status["audiences"] = json!(fitting);
        }
        status
    }
}
