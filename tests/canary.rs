//! No token, secret or claim value in any log line, however loud the log: the whole case table runs under a subscriber that keeps everything.

use std::io::Write;
use std::sync::{Arc, Mutex};

use token_core::{Issuer, ResourceServer};
use token_test::TestIssuer;
use token_tests::{Via, ask};

use crate::cases::{CANARY, table};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

#[actix_web::test]
async fn the_loudest_log_holds_no_token_and_no_claim() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let issuer = TestIssuer::start().await;
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let api = ResourceServer::builder(issuer.audience()).trust(trusted).build().unwrap();
    api.ready().await.unwrap();
    let cases = table(&issuer);
    // Twice: an event that another test was the first to pass, at the very moment when this subscriber came, is off until all are asked anew.
    for _ in 0..2 {
        for case in &cases {
            for via in Via::ALL {
                ask(via, &api, case.anonymous, &case.ask).await;
            }
        }
        tracing::callsite::rebuild_interest_cache();
    }
    let text = log.text();
    for expected in ["expired", "wrong_audience", "insufficient_scope"] {
        assert!(text.contains(expected), "the operator reads {expected} in the log");
    }
    assert!(!text.contains(CANARY), "a claim is in the log");
    for case in &cases {
        for (_, value) in case.ask.headers.iter().filter(|(name, _)| name == "authorization") {
            let value = String::from_utf8_lossy(value);
            // Short values ("Bearer ") are no secret and may well be part of a sentence.
            for piece in value.split(['.', ' ', ',']).filter(|piece| piece.len() > 20) {
                assert!(!text.contains(piece), "{}: a piece of its token is in the log", case.name);
            }
        }
    }
}
