//! Tokens that are all different in, what the gate holds of memory before and after out.

use std::time::Duration;

use token_core::Algorithm;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::roads::Stage;

/// What was seen, in KiB.
pub struct Memory {
    pub tokens: usize,
    pub token_bytes: usize,
    pub before: u64,
    /// Resident memory after each tenth of the tokens.
    pub tenths: Vec<u64>,
    pub highest: u64,
}

/// Sends so many different tokens, each good, and each verified anew.
pub async fn after(stage: &Stage, tokens: usize) -> Memory {
    let (port, gate) = stage.gate();
    // A signature that is quickly made: a million of RS256 would take the issuer ten minutes.
    let key = stage.issuer.new_key(Algorithm::ES256);
    stage.issuer.publish(&key);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the gate listens");
    let before = gate.kib("VmRSS");
    let (mut tenths, mut token_bytes) = (Vec::new(), 0);
    for number in 0..tokens {
        let filling = format!("{number:0300}");
        let token = stage
            .issuer
            .token()
            .signed_by(&key)
            .subject(&format!("user-{number}"))
            .scope("read:orders")
            .claim("filling", filling)
            .expires_in(Duration::from_secs(7200))
            .mint();
        token_bytes = token.len();
        ask(&mut stream, &token).await;
        if (number + 1) % tokens.div_ceil(10) == 0 || number + 1 == tokens {
            eprintln!("==> {} tokens: {} KiB", number + 1, gate.kib("VmRSS"));
            tenths.push(gate.kib("VmRSS"));
        }
    }
    Memory { tokens, token_bytes, before, tenths, highest: gate.kib("VmHWM") }
}

/// One question on a connection that stays open; the answer has to be 200.
async fn ask(stream: &mut TcpStream, token: &str) {
    let question = format!(
        "GET /auth-request HTTP/1.1\r\nhost: gate\r\nx-original-method: GET\r\nx-original-uri: /orders/7\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(question.as_bytes()).await.expect("the gate reads");
    let mut answer = Vec::with_capacity(512);
    while !answer.ends_with(b"\r\n\r\n") {
        let read = stream.read_buf(&mut answer).await.expect("the gate answers");
        assert!(read > 0, "the gate has closed");
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}
