//! Streams and the tokens they were opened with, in process and with time that is moved: the stream ends, and no later than its token.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, StreamBody};
use mcp_token::McpLayer;
use token_core::{Issuer, ResourceServer, StaticKeys};
use token_test::{ManualClock, TestIssuer};
use tower::{ServiceBuilder, ServiceExt, service_fn};

async fn lives(media_type: &'static str, life: Duration) -> Duration {
    let clock = ManualClock::default();
    let issuer = TestIssuer::builder().clock(clock.clone()).start().await;
    let url = "https://notes.example.com/mcp";
    let keys = serde_json::json!({ "keys": issuer.published() }).to_string();
    let trusted = Issuer::with_keys(issuer.url(), StaticKeys::jwk_set(&keys).unwrap()).unwrap();
    let api = ResourceServer::resource(url).trust(trusted).clock(clock.clone()).build().unwrap();
    // Streams end with their server, too; this one stays.
    let guard = McpLayer::builder(api.clone()).build().unwrap();
    // Events for an hour, one a second.
    let events = service_fn(move |_| {
        let clock = clock.clone();
        async move {
            let mut left = 3600;
            let stream = futures_util::stream::poll_fn(move |context| {
                let _ = context;
                left -= 1;
                std::task::Poll::Ready((left > 0).then_some(()))
            });
            let body = StreamBody::new(futures_util::StreamExt::then(stream, move |()| {
                let clock = clock.clone();
                async move {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    clock.advance(Duration::from_secs(1));
                    Ok::<_, Infallible>(http_body::Frame::data(Bytes::from_static(b"data: x\n\n")))
                }
            }));
            Ok::<_, Infallible>(Response::builder().header("content-type", media_type).body(body).unwrap())
        }
    });
    let service = ServiceBuilder::new().layer(guard).service(events);
    let token = issuer.token().audience(url).expires_in(life).mint();
    let request = Request::get(url).header("authorization", format!("Bearer {token}"));
    let answer = service.oneshot(request.body(http_body_util::Empty::<Bytes>::new()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    tokio::time::pause();
    let start = tokio::time::Instant::now();
    answer.into_body().collect().await.unwrap();
    let lived = start.elapsed();
    tokio::time::resume();
    drop(api);
    lived
}

#[tokio::test]
async fn a_stream_of_events_ends_with_its_token() {
    let token = Duration::from_secs(60);
    let lived = lives("text/event-stream; charset=utf-8", token).await;
    // With the leeway of half a minute that the gate gives the token, and with what it takes to be looked at again.
    assert!((89..=125).contains(&lived.as_secs()), "{lived:?}");
    for (what, media_type, token) in [
        ("one that ends before its token", "text/event-stream", Duration::from_secs(7200)),
        ("an answer that is no stream of events", "application/json", token),
    ] {
        let lived = lives(media_type, token).await;
        assert!((3599..3610).contains(&lived.as_secs()), "{what}: {lived:?}");
    }
}
