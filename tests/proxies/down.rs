//! A gate that is not there, hangs, or talks nonsense: behind every proxy nobody passes.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::client;
use super::proxy::{Kind, Proxy};
use super::stage::Stage;
use crate::real_issuers::Server;

#[tokio::test]
async fn nobody_passes_while_the_gate_is_down() {
    for kind in Kind::ALL {
        let mut stage = Stage::of(kind).await;
        let token = stage.bearer("read:users");
        let fields: [(&str, &[u8]); 1] = [("authorization", &token)];
        let before = client::get(stage.address(), "/me", &fields).await;
        assert_eq!((before.status, before.body.as_str()), (200, "ada"), "{kind:?}: {before:?}");
        stage.gate_dies().await;
        for target in ["/me", "/public/x"] {
            let answer = client::get(stage.address(), target, &fields).await;
            assert!(matches!(answer.status, 403 | 500..=504) && answer.seen().is_none(), "{kind:?}: {answer:?}");
            assert!(!answer.body.contains("ada"), "{kind:?}: {answer:?}");
        }
        assert!(stage.gate.is_ready() && stage.kind == kind);
    }
}

#[tokio::test]
async fn nobody_passes_while_the_gate_hangs_and_clients_are_told_in_bounded_time() {
    let mut waiting = tokio::task::JoinSet::new();
    for kind in Kind::ALL {
        waiting.spawn(async move {
            // Connections are taken, by the kernel, and never answered.
            let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let service = Server::upstream();
            let to = service.url.strip_prefix("http://").unwrap().parse().unwrap();
            let proxy = Proxy::start(kind, silent.local_addr().unwrap(), to, &|text| text);
            // The shipped configurations wait for 10 s, but for HAProxy's: four times 6 s.
            let answer = client::get(proxy.address, "/me", &[]).await;
            assert!(
                matches!(answer.status, 403 | 500..=504) && answer.seen().is_none(),
                "{kind:?}: {answer:?} {}",
                proxy.log()
            );
        });
    }
    while let Some(ended) = waiting.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test]
async fn nobody_passes_while_the_gate_talks_nonsense() {
    for kind in Kind::ALL {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gate = listener.local_addr().unwrap();
        let nonsense = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(b"200 OK, let them all in\r\n\r\n").await;
            }
        });
        let service = Server::upstream();
        let to = service.url.strip_prefix("http://").unwrap().parse().unwrap();
        let proxy = Proxy::start(kind, gate, to, &|text| text);
        let answer = client::get(proxy.address, "/me", &[]).await;
        assert!(
            matches!(answer.status, 403 | 500..=504) && answer.seen().is_none(),
            "{kind:?}: {answer:?} {}",
            proxy.log()
        );
        nonsense.abort();
    }
}
