//! Several runtimes with one gate between them, as the workers of actix-web are: one that stands still, or goes, is nobody else's trouble. And runtimes that lack
//! something, or none at all: what is awaited says what is missing, and works where nothing is.

use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use token_client::{RenewalSettings, TokenClient, TokenErrorKind, TokenRequest, TokenSource};
use token_core::http::{BoxFuture, NoRuntime, ReqwestClient};
use token_core::keys::JwksSettings;
use token_core::opaque::{OpaqueTokens, client_authentication::ClientAuthentication};
use token_core::tenants::{IssuerResolver, ResolverSettings, TenantResolver, Unresolved};
use token_core::{ErrorKind, Issuer, Presented, ResourceServer};
use token_test::TestIssuer;

/// As long as a request waits where its own runtime is well and another one is not; as long as it waits where nothing is in its way; and as long as both
/// take on a busy machine.
const BRIEF: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(15);
const AT_MOST: Duration = Duration::from_secs(120);

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

/// What the first request of another worker gets, and the next one that the machine has time for, while the worker that began is blocked.
fn beside_a_blocked_worker(api: &ResourceServer, token: &str) -> [Option<ErrorKind>; 2] {
    let (asked, text) = (api.clone(), token.to_owned());
    let _blocked = Blocked::amid(move || async move { kind(&asked, &text).await });
    let start = Instant::now();
    let first = runtime().block_on(kind(api, token));
    let mut next = runtime().block_on(kind(api, token));
    while next == Some(ErrorKind::Unavailable) && start.elapsed() < AT_MOST {
        next = runtime().block_on(kind(api, token));
    }
    [first, next]
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
    waiting(issuer, PATIENCE)
}

fn waiting(issuer: &TestIssuer, patience: Duration) -> Issuer {
    let mut settings = JwksSettings::default();
    settings.wait = patience;
    Issuer::discover(issuer.url()).unwrap().allow_loopback_http().jwks_settings(settings)
}

#[test]
fn keys_that_a_blocked_worker_was_fetching_are_fetched_by_the_next() {
    let served = issuing();
    let brief = waiting(&served.issuer, BRIEF);
    let api = ResourceServer::builder(served.issuer.audience()).trust(brief).build().unwrap();
    let token = served.issuer.token().mint();
    // The first waits as long as requests wait, and has the keys fetched where it runs: our trouble, within its bound.
    assert_eq!(beside_a_blocked_worker(&api, &token), [Some(ErrorKind::Unavailable), None]);
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
    let api = |patience| {
        let asking =
            OpaqueTokens::introspection(served.issuer.introspection_endpoint(), "test-client", secret.clone()).unwrap();
        let issuer = trusted(&served.issuer).opaque_tokens(asking.timeout(patience));
        ResourceServer::builder(served.issuer.audience()).trust(issuer).build().unwrap()
    };
    let token = served.issuer.token().mint_opaque();
    assert_eq!(beside_a_blocked_worker(&api(BRIEF), &token), [Some(ErrorKind::Unavailable), None]);
    assert_eq!(after_a_worker_that_went(&api(PATIENCE), &token), None);
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
    let api = |patience| {
        let settings = ResolverSettings::default().timeout(patience);
        ResourceServer::builder(&*audience).resolver(directory.clone(), settings).build().unwrap()
    };
    assert_eq!(beside_a_blocked_worker(&api(BRIEF), &token), [Some(ErrorKind::Unavailable), None]);
    assert_eq!(after_a_worker_that_went(&api(PATIENCE), &token), None);
}

#[test]
fn a_token_that_a_blocked_worker_was_renewing_is_renewed_by_the_next() {
    let served = issuing();
    let source = |patience| {
        TokenClient::builder(served.issuer.token_endpoint(), "test-client")
            .secret("test-secret")
            .http(ReqwestClient::builder().allow_loopback_http().build().unwrap())
            .timeout(patience)
            .renewal(RenewalSettings::default())
            .build()
            .unwrap()
            .source(TokenRequest::client_credentials())
    };
    let shared = source(BRIEF);
    let begun = shared.clone();
    let blocked = Blocked::amid(move || async move { begun.token().await });
    let start = Instant::now();
    let [first, mut second] = runtime().block_on(async { [shared.token().await, shared.token().await] });
    assert_eq!(first.unwrap_err().kind(), TokenErrorKind::Timeout);
    while second.is_err() && start.elapsed() < AT_MOST {
        // Where the machine had no time for it within the bound: after the pause that follows.
        std::thread::sleep(Duration::from_millis(50));
        second = runtime().block_on(shared.token());
    }
    assert!(second.is_ok(), "{second:?}");
    drop(blocked);
    assert_eq!(runtime().block_on(shared.token()).unwrap(), second.unwrap(), "what came at last is not kept");

    let shared = source(PATIENCE);
    let gone = runtime();
    gone.block_on(async {
        let mut work = Box::pin(shared.token());
        std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut work).poll(cx).is_pending())).await
    });
    drop(gone);
    let renewed = runtime().block_on(async { shared.token().await });
    assert!(renewed.is_ok(), "{renewed:?}");
}

/// Polls a future on this thread, as executors do that know nothing of tokio.
fn polled_without_a_runtime<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => return outcome,
            Poll::Pending => std::thread::park_timeout(AT_MOST),
        }
    }
}

/// Where a future can be polled that lacks something, and what it should say.
#[derive(Clone, Copy, Debug)]
enum Lacking {
    Everything,
    Timers,
    Io,
}

impl Lacking {
    const ALL: [Self; 3] = [Self::Everything, Self::Timers, Self::Io];

    fn name(self) -> &'static str {
        match self {
            Self::Everything => "no tokio runtime",
            Self::Timers => "no timers",
            Self::Io => "no io",
        }
    }

    fn block_on<F: Future>(self, future: F) -> F::Output {
        let mut bare = tokio::runtime::Builder::new_current_thread();
        match self {
            Self::Everything => polled_without_a_runtime(future),
            Self::Timers => bare.build().unwrap().block_on(future),
            Self::Io => bare.enable_time().build().unwrap().block_on(future),
        }
    }
}

/// Everybody's only tenant.
#[derive(Clone, Debug)]
struct Everybody(Directory);

impl TenantResolver for Everybody {
    fn tenant<'a>(&self, _: &'a dyn token_core::adapter::RequestView) -> Option<std::borrow::Cow<'a, str>> {
        Some("everybody".into())
    }

    fn issuers<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Vec<Issuer>>, Unresolved>> {
        Box::pin(async { Ok(Some(vec![trusted(&self.0.0)])) })
    }
}

/// Servers that have to wait for a network at their first token, each with such a token.
fn servers(issuer: &Arc<TestIssuer>) -> [(&'static str, ResourceServer, String); 3] {
    let builder = || ResourceServer::builder(issuer.audience());
    let secret = ClientAuthentication::Basic("test-secret".into());
    let asking =
        OpaqueTokens::introspection(issuer.introspection_endpoint(), "test-client", secret).unwrap().timeout(PATIENCE);
    let directory = Directory(Arc::clone(issuer));
    let settings = ResolverSettings::default().timeout(PATIENCE);
    [
        ("keys", builder().trust(trusted(issuer)).build().unwrap(), issuer.token().mint()),
        (
            "introspection",
            builder().trust(trusted(issuer).opaque_tokens(asking)).build().unwrap(),
            issuer.token().mint_opaque(),
        ),
        ("resolver", builder().resolver(directory, settings).build().unwrap(), issuer.token().mint()),
    ]
}

fn source(issuer: &TestIssuer) -> token_client::CachedSource {
    TokenClient::builder(issuer.token_endpoint(), "test-client")
        .secret("test-secret")
        .http(ReqwestClient::builder().allow_loopback_http().build().unwrap())
        .build()
        .unwrap()
        .source(TokenRequest::client_credentials())
}

#[test]
fn what_is_asked_outside_of_a_runtime_is_begun_where_it_is_awaited() {
    let Issuing { issuer, _runtime } = issuing();
    let issuer = Arc::new(issuer);
    for (name, api, token) in servers(&issuer) {
        let verdict = api.authenticate(Presented::token(&token));
        let verdict = verdict.now().expect_err("a network has to be awaited");
        let verdict = runtime().block_on(verdict);
        assert!(verdict.is_ok(), "{name}: {verdict:?}");
    }
    let (_, api, _) = &servers(&issuer)[0];
    let ready = api.ready();
    assert!(runtime().block_on(ready).is_ok());
    let tokens = source(&issuer);
    let token = tokens.token().now().expect_err("a network has to be awaited");
    assert!(runtime().block_on(token).is_ok());
    // And renewed there, as soon as it was refused.
    let held = tokens.token().now().unwrap().unwrap();
    assert!(runtime().block_on(tokens.renew(&held)).is_ok());
}

#[test]
fn what_is_missing_of_a_runtime_is_named_and_nothing_stays_broken() {
    let Issuing { issuer, _runtime } = issuing();
    let issuer = Arc::new(issuer);
    for lacking in Lacking::ALL {
        for (name, api, token) in servers(&issuer) {
            let error = lacking.block_on(api.authenticate(Presented::token(&token))).unwrap_err();
            // Directories that need no network are asked, and the keys of whom they name are what is missing.
            assert_eq!(error.kind(), ErrorKind::Misconfigured, "{name}, {lacking:?}: {error}");
            assert!(error.to_string().contains(lacking.name()), "{name}, {lacking:?}: {error}");
            assert_eq!(error.answer().status, 500);
            let healed = runtime().block_on(api.authenticate(Presented::token(&token)));
            assert!(healed.is_ok(), "{name}, {lacking:?}: {healed:?}");
            // Known keys need nothing of all that.
            if name != "introspection" {
                assert!(lacking.block_on(api.authenticate(Presented::token(&token))).is_ok(), "{name}, {lacking:?}");
            }
        }
        let (_, api, _) = &servers(&issuer)[0];
        let error = lacking.block_on(api.ready()).unwrap_err();
        assert!(error.to_string().contains(lacking.name()), "{lacking:?}: {error}");

        let error = lacking.block_on(source(&issuer).token()).unwrap_err();
        assert_eq!(error.kind(), TokenErrorKind::Misconfigured, "{lacking:?}: {error}");
        assert!(error.to_string().contains(lacking.name()), "{lacking:?}: {error}");
    }
}

#[test]
fn a_tenant_that_is_looked_up_outside_of_a_runtime_says_what_is_missing() {
    let Issuing { issuer, _runtime } = issuing();
    let issuer = Arc::new(issuer);
    let settings = ResolverSettings::default().timeout(PATIENCE);
    let api =
        ResourceServer::builder(issuer.audience()).tenants(Everybody(Directory(issuer)), settings).build().unwrap();
    let error = polled_without_a_runtime(api.tenant("everybody")).unwrap_err();
    assert!(error.to_string().contains("no tokio runtime"), "{error}");
    assert!(runtime().block_on(api.tenant("everybody")).is_ok());
}

#[test]
fn an_answer_that_ends_with_its_token_ends_with_a_reason_where_nobody_can_wait_for_that() {
    let Issuing { issuer, _runtime } = issuing();
    let api = ResourceServer::builder(issuer.audience()).trust(trusted(&issuer)).build().unwrap();
    let verified = runtime().block_on(api.authenticate(Presented::token(&issuer.token().mint()))).unwrap();
    let end = polled_without_a_runtime(verified.until_expiry());
    assert!(end.error().to_string().contains("no tokio runtime"), "{end:?}");
}

#[test]
fn one_gate_serves_one_runtime_after_another() {
    let Issuing { issuer, _runtime } = issuing();
    let issuer = Arc::new(issuer);
    for (name, api, token) in servers(&issuer) {
        let tokens = source(&issuer);
        for nth in 0..3 {
            let turn = runtime();
            assert!(turn.block_on(api.authenticate(Presented::token(&token))).is_ok(), "{name}, {nth}");
            assert!(turn.block_on(tokens.token()).is_ok(), "{name}, {nth}");
            if name == "keys" {
                // A new key, on a connection that this runtime has to make for itself.
                issuer.rotate();
                let rotated = turn.block_on(api.authenticate(Presented::token(&issuer.token().mint())));
                assert!(rotated.is_ok() || nth >= 2, "{nth}: {rotated:?}");
            }
            turn.block_on(async { assert_eq!(NoRuntime::find(), None) });
        }
    }
}
