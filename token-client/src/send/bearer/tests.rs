//! Which requests go out with which token, and how often.

use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::header::AUTHORIZATION;
use http_body_util::Empty;
use tower::{ServiceExt, service_fn};

use super::*;
use crate::acquire::Acquire;
use crate::error::{TokenError, TokenErrorKind};
use crate::token::Token;

/// `t1`, and after each renewal the next one; none at all when it is empty.
#[derive(Debug, Default)]
struct Source {
    number: AtomicUsize,
    empty: bool,
    stubborn: bool,
}

impl Source {
    fn now(&self) -> Acquire<'_> {
        if self.empty {
            return Acquire::ready(Err(TokenError::new(TokenErrorKind::Timeout, "no answer")));
        }
        Acquire::ready(Token::bearer(format!("t{}", self.number.load(Ordering::SeqCst) + 1), None))
    }
}

impl TokenSource for Source {
    fn token(&self) -> Acquire<'_> {
        self.now()
    }

    fn renew(&self, _: &Token) -> Acquire<'_> {
        if !self.stubborn {
            self.number.fetch_add(1, Ordering::SeqCst);
        }
        self.now()
    }
}

type Seen = Arc<Mutex<Vec<String>>>;

/// Sends one request; the receiver takes `accepted` only. What the receiver saw comes back beside the outcome.
async fn send<B>(source: Source, accepted: &'static str, url: &str, body: B) -> (Result<u16, String>, Vec<String>)
where
    B: Body + Default + Send + Sync + 'static,
{
    let seen = Seen::default();
    let receiver = service_fn({
        let seen = Arc::clone(&seen);
        move |request: Request<B>| {
            let sent: Vec<_> = request.headers().get_all(AUTHORIZATION).iter().map(|v| v.to_str().unwrap()).collect();
            let sent = sent.join("+");
            let status = if sent == accepted { 200 } else { 401 };
            seen.lock().unwrap().push(format!("{sent} {}", request.body().size_hint().lower()));
            async move { Ok::<_, Infallible>(Response::builder().status(status).body(()).unwrap()) }
        }
    });
    let layer = BearerLayer::new(source, Origins::of(["https://api.example.com"]).unwrap());
    let request = Request::post(url).header("authorization", "Basic canary").body(body).unwrap();
    let outcome = layer.layer(receiver).oneshot(request).await;
    let seen = seen.lock().unwrap().clone();
    (outcome.map(|answer| answer.status().as_u16()).map_err(|error| error.to_string()), seen)
}

const HERE: &str = "https://api.example.com/a";

#[tokio::test]
async fn a_listed_origin_gets_the_token_and_nothing_else_does() {
    for (url, expected) in [
        (HERE, "Bearer t1 0"),
        ("https://evil.example/a", "Basic canary 0"),
        ("http://api.example.com/a", "Basic canary 0"),
        ("/a", "Basic canary 0"),
    ] {
        let (_, seen) = send(Source { stubborn: true, ..Source::default() }, "", url, Empty::<Bytes>::new()).await;
        assert_eq!(seen, [expected], "{url}");
    }
}

#[tokio::test]
async fn a_refused_token_is_renewed_and_the_request_sent_once_more() {
    let full = || Full::new(Bytes::from_static(b"four"));
    let (outcome, seen) = send(Source::default(), "Bearer t2", HERE, full()).await;
    assert_eq!((outcome, seen), (Ok(200), vec!["Bearer t1 4".to_owned(), "Bearer t2 4".to_owned()]));

    let (outcome, seen) = send(Source::default(), "Bearer t9", HERE, full()).await;
    assert_eq!((outcome, seen.len()), (Ok(401), 2), "once more, and not again and again");

    let (outcome, seen) = send(Source { stubborn: true, ..Source::default() }, "Bearer t2", HERE, full()).await;
    assert_eq!((outcome, seen.len()), (Ok(401), 1), "there is no other token");
}

#[tokio::test]
async fn a_body_that_streams_is_not_sent_twice_but_its_token_is_renewed() {
    /// Something of unknown length.
    #[derive(Default)]
    struct Streaming;
    impl Body for Streaming {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
            Poll::Ready(None)
        }
    }
    let source = Arc::new(Source::default());
    let receiver = service_fn(|_: Request<Streaming>| async {
        Ok::<_, Infallible>(Response::builder().status(401).body(()).unwrap())
    });
    let layer = BearerLayer::new(Arc::clone(&source), Origins::of(["https://api.example.com"]).unwrap());
    let answer = layer.layer(receiver).oneshot(Request::post(HERE).body(Streaming).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(source.now().await.unwrap().expose(), "t2");
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let (outcome, seen) = send(Source { empty: true, ..Source::default() }, "", HERE, Empty::<Bytes>::new()).await;
    assert_eq!(outcome.unwrap_err(), "timeout: no answer");
    assert_eq!(seen, Vec::<String>::new());
}

#[tokio::test]
async fn a_grpc_refusal_counts_as_one() {
    let calls = Arc::new(AtomicUsize::new(0));
    let receiver = service_fn({
        let calls = Arc::clone(&calls);
        move |_: Request<tonic::body::Body>| {
            let status = if calls.fetch_add(1, Ordering::SeqCst) == 0 { "16" } else { "0" };
            async move {
                Ok::<_, Infallible>(
                    Response::builder().header("grpc-status", status).body(tonic::body::Body::empty()).unwrap(),
                )
            }
        }
    });
    let service =
        BearerLayer::new(Source::default(), Origins::of(["https://api.example.com"]).unwrap()).layer(receiver);
    // What a generated client asks of its transport.
    fn is_a_transport<S: tonic::client::GrpcService<tonic::body::Body>>(service: S) -> S {
        service
    }
    let request = Request::post(HERE).body(tonic::body::Body::empty()).unwrap();
    let answer = is_a_transport(service).oneshot(request).await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], "0");
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_limited_service_behind_it_is_never_called_unready() {
    let receiver = service_fn(|_: Request<Empty<Bytes>>| async {
        Ok::<_, Infallible>(Response::builder().status(401).body(()).unwrap())
    });
    let limited = tower::limit::ConcurrencyLimit::new(receiver, 1);
    let layer = BearerLayer::new(Source::default(), Origins::of(["https://api.example.com"]).unwrap());
    let service = layer.layer(limited);
    for _ in 0..3 {
        let answer = service.clone().oneshot(Request::get(HERE).body(Empty::new()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 401);
    }
}
