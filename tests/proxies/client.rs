//! Bytes in, the answer out: a client that sends what no library would.

use std::net::SocketAddr;
use std::time::Duration;

use token_tests::{Ask, Reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer with its header fields.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    fields: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn fields(&self, name: &str) -> usize {
        self.fields.iter().filter(|(one, _)| one == name).count()
    }

    /// What the service saw, if the request reached it.
    pub(crate) fn seen(&self) -> Option<Seen> {
        let seen: serde_json::Value = serde_json::from_str(&self.body).ok()?;
        let texts: Vec<_> = seen["fields"].as_array()?.iter().map(|text| text.as_str().unwrap().to_owned()).collect();
        let fields = texts.chunks(2).map(|pair| (pair[0].to_ascii_lowercase(), pair[1].clone())).collect();
        Some(Seen { url: seen["url"].as_str()?.to_owned(), fields, length: seen["length"].as_u64()? })
    }
}

/// A request as it reached the service.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) url: String,
    fields: Vec<(String, String)>,
    pub(crate) length: u64,
}

impl Seen {
    /// Every value of a field, in order.
    pub(crate) fn field(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(one, _)| one == name).map(|(_, value)| value.as_str()).collect()
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        let field = |name| answer.field(name).map(str::to_owned);
        Self {
            status: answer.status,
            challenge: field("www-authenticate"),
            retry_after: field("retry-after"),
            explanation: field("token-explanation"),
            dpop_nonce: field("dpop-nonce"),
            exposed: field("access-control-expose-headers"),
            cache_control: field("cache-control"),
            content_type: field("content-type"),
            body: answer.body.clone(),
        }
    }
}

/// The head of a request, its body left to the caller.
pub(crate) fn head(method: &str, target: &str, fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes =
        format!("{method} {target} HTTP/1.1\r\nhost: api.example.com\r\nconnection: close\r\n").into_bytes();
    for (name, value) in fields {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// A GET with these fields.
pub(crate) async fn get(to: SocketAddr, target: &str, fields: &[(&str, &[u8])]) -> Answer {
    raw(to, &head("GET", target, fields)).await
}

/// The request of a case table.
pub(crate) async fn ask(to: SocketAddr, target: &str, ask: &Ask) -> Answer {
    let fields: Vec<_> = ask.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    get(to, target, &fields).await
}

/// How long anything is waited for that has to come: the slowest is a gate that is asked four times, for 6 s each.
const PATIENCE: Duration = Duration::from_secs(90);
/// Who has begun to answer and says nothing for so long has no more to say.
const QUIET: Duration = Duration::from_secs(3);

/// Sends these bytes and reads the first answer to its end.
pub(crate) async fn raw(to: SocketAddr, bytes: &[u8]) -> Answer {
    let text = read(to, bytes, PATIENCE, is_whole).await;
    parse(&text).unwrap_or_else(|| panic!("no HTTP: {:?}", String::from_utf8_lossy(&text)))
}

/// Every byte that comes back until the other side closes or, once it has begun, is quiet for a while.
pub(crate) async fn everything(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    read(to, bytes, QUIET, |_| false).await
}

/// Every byte that comes back until this text is among them.
pub(crate) async fn up_to(to: SocketAddr, bytes: &[u8], text: &str) -> Vec<u8> {
    read(to, bytes, PATIENCE, |read| String::from_utf8_lossy(read).contains(text)).await
}

async fn read(to: SocketAddr, bytes: &[u8], quiet: Duration, is_enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let (mut answers, mut requests) = TcpStream::connect(to).await.unwrap().into_split();
    let receive = async {
        let mut text = Vec::new();
        while !is_enough(&text) {
            let patience = if text.is_empty() { PATIENCE } else { quiet };
            match tokio::time::timeout(patience, answers.read_buf(&mut text)).await {
                Ok(Ok(1..)) => {}
                Ok(Ok(0) | Err(_)) | Err(_) => break,
            }
        }
        text
    };
    tokio::pin!(receive);
    tokio::select! {
        text = &mut receive => text,
        // A refusal may come, and the connection go, before the last byte was sent.
        _ = requests.write_all(bytes) => receive.await,
    }
}

/// Whether there is an answer, and its body as long as it says.
fn is_whole(bytes: &[u8]) -> bool {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let (head, body) = (String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase(), &bytes[end + 4..]);
    let value = |wanted: &str| head.lines().filter_map(|line| line.split_once(':')).find(|(name, _)| *name == wanted);
    match value("content-length").and_then(|(_, length)| length.trim().parse::<usize>().ok()) {
        Some(length) => body.len() >= length,
        None => value("transfer-encoding").is_some() && body.ends_with(b"0\r\n\r\n"),
    }
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = text.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let fields: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let rest = &bytes[end + 4..];
    let value = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let body = match (value("transfer-encoding"), value("content-length").and_then(|text| text.parse().ok())) {
        (Some("chunked"), _) => unchunked(rest),
        (_, Some(length)) => rest[..rest.len().min(length)].to_vec(),
        _ => rest.to_vec(),
    };
    Some(Answer { status, fields, body: String::from_utf8_lossy(&body).into_owned() })
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let length = std::str::from_utf8(&rest[..end]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        match length {
            Some(length @ 1..) if rest.len() >= end + 2 + length => {
                body.extend_from_slice(&rest[end + 2..end + 2 + length]);
                rest = rest.get(end + 4 + length..).unwrap_or_default();
            }
            _ => break,
        }
    }
    body
}
