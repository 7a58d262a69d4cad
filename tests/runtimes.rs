//! Several runtimes with one gate between them, as the workers of actix-web are: one that stands still, or goes, is nobody else's trouble.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use token_client::{RenewalSettings, TokenClient, TokenErrorKind, TokenRequest, TokenSource};
use token_core::http::{BoxFuture, ReqwestClient};
use token_core::keys::JwksSettings;
use token_core::opaque::{OpaqueTokens, client_authentication::ClientAuthentication};
use token_core::tenants::{IssuerResolver, ResolverSettings, Unresolved};
use token_core::{ErrorKind, Issuer, Presented, ResourceServer};
use token_test::TestIssuer;

/// As long as a request waits where its own runtime is well and another one is not, and as long as that takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(2);
const AT_MOST: Duration = Duration::from_secs(60);

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A worker whose handler has begun something and blocks its thread since.
struct Blocked {
    thread: Option<JoinHandle<()>>,
    go_on: Sender<()>,
}

impl Blocked {
    /// `begin` is polled once: so far that others can join what it began.
    fn amid<F: Future>(begin: impl FnOnce() -> F + Send + 'static) -> Self {
        let (go_on, wait) = channel::<()>();
        let (begun, is_begun) = channel::<()>();
        let thread = std::thread::spawn(move || {
            runtime().block_on(async {
                let mut work = Box::pin(begin());
                let first =
                    std::future::poll_fn(|cx| std::task::Poll::Ready(work.as_mut().poll(cx).is_pending())).await;
                assert!(first, "it is done at once");
                begun.send(()).unwrap();
                // What no handler should do.
                let _ = wait.recv();
                work.await;
            });
        });
        is_begun.recv().unwrap();
        Self { thread: Some(thread), go_on }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        let _ = self.go_on.send(());
        self.thread.take().unwrap().join().unwrap();
    }
}

async fn kind(api: &ResourceServer, token: &str) -> Option<ErrorKind> {
    api.authenticate(Presented::token(token)).await.err().map(|error| error.kind())
}

/// What the first request of another worker gets, and the second one, while the worker that began is blocked.
fn beside_a_blocked_worker(api: &ResourceServer, token: &str) -> [Option<ErrorKind>; 2] {
    let (asked, text) = (api.clone(), token.to_owned());
    let _blocked = Blocked::amid(move || async move { kind(&asked, &text).await });
    let start = Instant::now();
    let seen = runtime().block_on(async { [kind(api, token).await, kind(api, token).await] });
    assert!(start.elapsed() < AT_MOST, "{:?}", start.elapsed());
    seen
}

/// What another worker's request gets once the worker that began is gone.
fn after_a_worker_that_went(api: &ResourceServer, token: &str) -> Option<ErrorKind> {
    let gone = runtime();
    gone.block_on(async {
        let mut work = Box::pin(kind(api, token));
        std::future::poll_fn(|cx| std::task::Poll::Ready(work.as_mut().poll(cx).is_pending())).await
    });
    drop(gone);
    runtime().block_on(kind(api, token))
}

struct Issuing {
    issuer: TestIssuer,
    _runtime: tokio::runtime::Runtime,
}

fn issuing() -> Issuing {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let issuer = runtime.block_on(TestIssuer::start());
    Issuing { issuer, _runtime: runtime }
}

fn trusted(issuer: &TestIssuer) -> Issuer {
    let mut settings = JwksSettings::default();
    settings.wait = PATIENCE;
    Issuer::discover(issuer.url()).unwrap().allow_loopback_http().jwks_settings(settings)
}

#[test]
fn keys_that_a_blocked_worker_was_fetching_are_fetched_by_the_next() {
    let served = issuing();
    let api = ResourceServer::builder(served.issuer.audience()).trust(trusted(&served.issuer)).build().unwrap();
    let token = served.issuer.token().mint();
    // The first waits as long as requests wait, and has the keys fetched where it runs.
    let [first, mut second] = beside_a_blocked_worker(&api, &token);
    assert_eq!(first, Some(ErrorKind::Unavailable), "our trouble, within its bound");
    for _ in 0..100 {
        if second.is_none() {
            break;
        }
        second = runtime().block_on(kind(&api, &token));
    }
    assert_eq!(second, None);
    // Known keys are never waited for, and a new one is found although a fetch for another one stands still.
    served.issuer.rotate();
    assert!(api.authenticate(Presented::token(&token)).now().is_ok_and(|verdict| verdict.is_ok()));
}

#[test]
fn keys_that_a_worker_was_fetching_which_went_are_fetched_by_the_next() {
    let served = issuing();
    let api = ResourceServer::builder(served.issuer.audience()).trust(trusted(&served.issuer)).build().unwrap();
    let token = served.issuer.token().mint();
    assert_eq!(after_a_worker_that_went(&api, &token), None);
}

#[test]
fn a_question_of_a_blocked_worker_is_asked_by_the_next() {
    let served = issuing();
    let secret = ClientAuthentication::Basic("test-secret".into());
    let api = || {
        let asking =
            OpaqueTokens::introspection(served.issuer.introspection_endpoint(), "test-client", secret.clone()).unwrap();
        let issuer = trusted(&served.issuer).opaque_tokens(asking.timeout(PATIENCE));
        ResourceServer::builder(served.issuer.audience()).trust(issuer).build().unwrap()
    };
    let token = served.issuer.token().mint_opaque();
    assert_eq!(beside_a_blocked_worker(&api(), &token), [Some(ErrorKind::Unavailable), None]);
    assert_eq!(after_a_worker_that_went(&api(), &token), None);
}

/// Knows every issuer, after a moment.
#[derive(Clone, Debug)]
struct Directory(Arc<TestIssuer>);

impl IssuerResolver for Directory {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Issuer>, Unresolved>> {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(Some(trusted(&self.0)))
        })
    }
}

#[test]
fn a_look_up_of_a_blocked_worker_is_made_by_the_next() {
    let served = issuing();
    let token = served.issuer.token().mint();
    let audience = served.issuer.audience().to_owned();
    let directory = Directory(Arc::new(served.issuer));
    let api = || {
        let settings = ResolverSettings::default().timeout(PATIENCE);
        ResourceServer::builder(&*audience).resolver(directory.clone(), settings).build().unwrap()
    };
    assert_eq!(beside_a_blocked_worker(&api(), &token), [Some(ErrorKind::Unavailable), None]);
    assert_eq!(after_a_worker_that_went(&api(), &token), None);
}

#[test]
fn a_token_that_a_blocked_worker_was_renewing_is_renewed_by_the_next() {
    let served = issuing();
    let source = || {
        TokenClient::builder(served.issuer.token_endpoint(), "test-client")
            .secret("test-secret")
            .http(ReqwestClient::builder().allow_loopback_http().build().unwrap())
            .timeout(PATIENCE)
            .renewal(RenewalSettings::default())
            .build()
            .unwrap()
            .source(TokenRequest::client_credentials())
    };
    let shared = source();
    let begun = shared.clone();
    let blocked = Blocked::amid(move || async move { begun.token().await });
    let start = Instant::now();
    let [first, second] = runtime().block_on(async { [shared.token().await, shared.token().await] });
    assert_eq!(first.unwrap_err().kind(), TokenErrorKind::Timeout);
    assert!(second.is_ok() && start.elapsed() < AT_MOST);
    drop(blocked);
    assert_eq!(runtime().block_on(shared.token()).unwrap(), second.unwrap(), "what came at last is not kept");

    let shared = source();
    let gone = runtime();
    gone.block_on(async {
        let mut work = Box::pin(shared.token());
        std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut work).poll(cx).is_pending())).await
    });
    drop(gone);
    let renewed = runtime().block_on(async { shared.token().await });
    assert!(renewed.is_ok(), "{renewed:?}");
}
