//! No token, secret or claim value in any log line, however loud the log: the whole case table runs under a subscriber that keeps everything.

use std::io::Write;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use token_core::jose::encryption::{ContentEncryption, DecryptionKey, EncryptedTokens, KeyManagement};
use token_core::streams::Tickets;
use token_core::{Issuer, Presented, ResourceServer};
use token_test::TestIssuer;
use token_tests::{Ask, Via, ask};
use tower_token::View;

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

/// All that this thread logs from here on, until the guard is dropped.
fn listen() -> (Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    (log, tracing::subscriber::set_default(subscriber))
}

#[actix_web::test]
async fn the_loudest_log_holds_no_token_and_no_claim() {
    let (log, _guard) = listen();

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

#[actix_web::test]
async fn nor_what_is_within_an_encrypted_token_its_keys_or_a_ticket() {
    let (log, _guard) = listen();
    let issuer = TestIssuer::start().await;
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let secret = [0xa7; 32];
    let keys = [
        DecryptionKey::direct(ContentEncryption::A256Gcm, Some("secret"), &secret).unwrap(),
        DecryptionKey::generate(KeyManagement::EcdhEs, Some("p256")).unwrap(),
        DecryptionKey::generate(KeyManagement::RsaOaep256, Some("rsa")).unwrap(),
    ];
    let api = ResourceServer::builder(issuer.audience()).trust(trusted).tickets(Tickets::in_memory());
    let api = api.encrypted_tokens(EncryptedTokens::with(keys.iter().cloned())).build().unwrap();
    api.ready().await.unwrap();

    let (mut secrets, mut asked) = (Vec::new(), Vec::new());
    let token = || issuer.token().subject("ada").claim("note", CANARY);
    for key in &keys {
        let to = key.encryption_key().unwrap();
        let content = |text: &str| to.encrypt(ContentEncryption::A256Gcm, &serde_json::Map::new(), text.as_bytes());
        let good = token().encrypted_to(&to).mint();
        for sealed in [
            good.clone(),
            token().expired().encrypted_to(&to).mint(),
            token().forged().encrypted_to(&to).mint(),
            token().audience(CANARY).encrypted_to(&to).mint(),
            token().raw_claims(format!("{{\"iss\":\"{CANARY}\"")).encrypted_to(&to).mint(),
            token().encrypted_to(&to).outer_header("zip", CANARY).mint(),
            token().encrypted_to(&to).outer_header("kid", CANARY).mint(),
            token().encrypted_to(&to).outer_header("enc", CANARY).mint(),
            token().encrypted_to(&to).outer_header("epk", CANARY).mint(),
            content(&format!("{{\"note\":\"{CANARY}\"}}")).unwrap(),
            content(CANARY).unwrap(),
            format!("{}AAAA", &good[..good.len() - 4]),
        ] {
            secrets.extend(sealed.split('.').filter(|part| part.len() > 20).map(str::to_owned));
            asked.push(Ask::of("/me").bearer(&sealed));
        }
    }
    let plain = token().mint();
    secrets.extend(plain.split('.').skip(1).map(str::to_owned));
    for (path, times) in [("/me", 2), ("/users", 1)] {
        let request = http::Request::post("/tickets").header("authorization", format!("Bearer {plain}"));
        let request = request.body(()).unwrap();
        let sold = api.sell_ticket(Presented::request(&View::from(&request)), path).await.unwrap();
        assert!(!format!("{sold:?}").contains(sold.as_str()));
        secrets.push(sold.as_str().to_owned());
        asked.extend(
            (0..times).map(|_| Ask::of(format!("/me?ticket={}", sold.as_str())).header("accept", "text/event-stream")),
        );
    }
    asked.push(Ask::of(format!("/me?ticket={CANARY}")).header("accept", "text/event-stream"));
    asked.push(Ask::of(format!("/me?ticket={CANARY}")));
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    secrets.extend([CANARY.to_owned(), hex, "167, 167, 167".to_owned(), STANDARD.encode(secret)]);

    for _ in 0..2 {
        for asked in &asked {
            for via in Via::ALL {
                let reply = format!("{:?}", ask(via, &api, false, asked).await);
                assert!(!secrets.iter().any(|secret| reply.contains(secret)), "{reply}");
            }
        }
        tracing::callsite::rebuild_interest_cache();
    }
    let (text, shown) = (log.text(), format!("{api:?} {}", api.policy()));
    for expected in ["undecryptable", "invalid_ticket", "bad_signature"] {
        assert!(text.contains(expected), "the operator reads {expected} in the log");
    }
    for secret in secrets {
        assert!(!text.contains(&secret) && !shown.contains(&secret), "{secret} is in the log, or shown");
    }
}
