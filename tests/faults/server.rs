//! A server of raw bytes: serves one document over HTTP/1.1, or breaks in the one way it was told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use token_test::HeldPort;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A way to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    Refused,
    ResetAtOnce,
    ResetInBody,
    Silent,
    SlowHeader,
    SlowBody,
    EndlessHeader,
    EndlessBody,
    HugeLength,
    LengthTooLong,
    LengthTooShort,
    BrokenChunks,
    TruncatedGzip,
    NotHttp,
    /// Status line and further header fields, with an empty body.
    Status(&'static str),
    RedirectElsewhere,
    Body(&'static str),
    Brackets,
    Http10,
    Chunked,
    Pieces,
}

/// A port of loopback that serves a JWK Set, more or less.
pub(super) struct FaultServer {
    port: u16,
    fault: watch::Sender<Fault>,
    in_force: watch::Receiver<Option<Fault>>,
    elsewhere: Arc<AtomicUsize>,
}

impl FaultServer {
    /// Serves `document`, and `metadata` in its place where a path is well-known.
    pub(super) async fn start(document: String, metadata: String, fault: Fault) -> Self {
        let elsewhere = Arc::new(AtomicUsize::new(0));
        let other = count_connections(Arc::clone(&elsewhere)).await;
        let held = HeldPort::new().expect("a free port");
        let port = held.port();
        let (tell_fault, fault) = watch::channel(fault);
        let (tell, in_force) = watch::channel(None);
        tokio::spawn(listen(held, other, [document, metadata].into(), fault, tell));
        let server = Self { port, fault: tell_fault, in_force, elsewhere };
        server.settled().await;
        server
    }

    pub(super) fn url(&self) -> String {
        format!("{}/jwks", self.origin())
    }

    pub(super) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Breaks in another way from now on.
    pub(super) async fn become_(&self, fault: Fault) {
        self.fault.send_replace(fault);
        self.settled().await;
    }

    /// How many connections the host has seen that redirects name.
    pub(super) fn hits_elsewhere(&self) -> usize {
        self.elsewhere.load(Ordering::SeqCst)
    }

    async fn settled(&self) {
        let wanted = Some(*self.fault.borrow());
        self.in_force.clone().wait_for(|fault| *fault == wanted).await.expect("the server runs");
    }
}

async fn count_connections(count: Arc<AtomicUsize>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    port
}

async fn listen(
    port: HeldPort,
    other: u16,
    documents: Arc<[String; 2]>,
    mut fault: watch::Receiver<Fault>,
    tell: watch::Sender<Option<Fault>>,
) {
    let mut listener = None;
    loop {
        let now = *fault.borrow_and_update();
        if now == Fault::Refused {
            listener = None;
        } else if listener.is_none() {
            listener = Some(port.listen().expect("the port is ours"));
        }
        tell.send_replace(Some(now));
        let Some(open) = &listener else {
            if fault.changed().await.is_err() {
                return;
            }
            continue;
        };
        tokio::select! {
            changed = fault.changed() => if changed.is_err() { return },
            accepted = open.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let documents = Arc::clone(&documents);
                tokio::spawn(async move { drop(answer(stream, now, &documents, other).await) });
            }
        }
    }
}

const DRIP: Duration = Duration::from_millis(200);

async fn answer(mut stream: TcpStream, fault: Fault, documents: &[String; 2], other: u16) -> std::io::Result<()> {
    if fault == Fault::ResetAtOnce {
        return stream.set_zero_linger();
    }
    let is_well_known = read_request(&mut stream).await?;
    let document = documents[usize::from(is_well_known)].as_str();
    let length = document.len();
    let whole = |head: &str, body: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 {head}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    let claiming = |length: u64| format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    let text = match fault {
        Fault::None => whole("200 OK", document),
        Fault::Status(head) => whole(head, ""),
        Fault::Body(body) => whole("200 OK", body),
        Fault::Brackets => whole("200 OK", &"[".repeat(100_000)),
        Fault::RedirectElsewhere => whole(&format!("302 Found\r\nLocation: http://127.0.0.1:{other}/jwks"), ""),
        Fault::NotHttp => "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
        Fault::LengthTooLong => claiming(length as u64 + 100) + document,
        Fault::LengthTooShort => claiming(length as u64 - 100) + document,
        Fault::HugeLength => claiming(10_000_000_000) + document,
        Fault::TruncatedGzip => {
            let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: gzip\r\nContent-Length: 10\r\n\r\n";
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]).await?;
            return stream.shutdown().await;
        }
        Fault::BrokenChunks => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n{\"keys\"\r\n".to_owned(),
        Fault::Chunked => {
            let (a, b) = document.split_at(length / 2);
            format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{a}\r\n{:x};x=y\r\n{b}\r\n0\r\n\r\n",
                a.len(),
                b.len()
            )
        }
        Fault::Http10 => format!("HTTP/1.0 200 OK\r\n\r\n{document}"),
        Fault::Pieces => {
            return drip(&mut stream, &whole("200 OK", document), length / 4, Duration::from_millis(20)).await;
        }
        Fault::SlowHeader => return drip(&mut stream, &whole("200 OK", document), 1, DRIP).await,
        Fault::SlowBody => {
            stream.write_all(claiming(length as u64).as_bytes()).await?;
            return drip(&mut stream, document, 1, DRIP).await;
        }
        Fault::EndlessHeader => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            return forever(&mut stream, &format!("X-Filler: {}\r\n", "x".repeat(1000))).await;
        }
        Fault::EndlessBody => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await?;
            return forever(&mut stream, &" ".repeat(4096)).await;
        }
        Fault::ResetInBody => {
            stream.write_all((claiming(length as u64) + &document[..length / 2]).as_bytes()).await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
            return stream.set_zero_linger();
        }
        Fault::Silent => {
            tokio::time::sleep(Duration::from_secs(600)).await;
            return Ok(());
        }
        Fault::Refused | Fault::ResetAtOnce => return Ok(()),
    };
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}

/// Whether it is one for metadata.
async fn read_request(stream: &mut TcpStream) -> std::io::Result<bool> {
    let (mut read, mut chunk) = (Vec::new(), [0; 1024]);
    while !read.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut chunk).await? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            n => read.extend_from_slice(&chunk[..n]),
        }
    }
    let text = String::from_utf8_lossy(&read).to_ascii_lowercase();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    // What is left unread when a connection closes resets it.
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).and_then(|length| length.parse().ok());
    let mut missing = length.unwrap_or(0_usize).saturating_sub(body.len());
    while missing > 0 {
        match stream.read(&mut chunk).await? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            n => missing = missing.saturating_sub(n),
        }
    }
    Ok(head.lines().next().is_some_and(|line| line.contains("/.well-known/")))
}

async fn drip(stream: &mut TcpStream, text: &str, at_once: usize, pause: Duration) -> std::io::Result<()> {
    for piece in text.as_bytes().chunks(at_once.max(1)) {
        stream.write_all(piece).await?;
        tokio::time::sleep(pause).await;
    }
    stream.shutdown().await
}

/// Until the other side has had enough.
async fn forever(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    loop {
        stream.write_all(text.as_bytes()).await?;
    }
}
