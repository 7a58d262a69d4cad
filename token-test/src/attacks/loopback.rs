//! A request in, written by hand as HTTP/1.1 to a server on loopback, its answer out (RFC 9112).

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use url::{Host, Url};

use super::target::{MOST, Target, head_suffices};

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A server that listens on a loopback address, in whatever language it is written. Requests are written byte by byte: no client library
/// normalises a path or joins fields.
#[derive(Clone, Debug)]
pub struct Loopback {
    address: SocketAddr,
    host: String,
    prefix: String,
}

impl Loopback {
    /// The server at this address: `http://127.0.0.1:3000`. A path before the routes is kept.
    ///
    /// # Errors
    /// When the URL is not http, or its host is not a loopback address: this client is for your own machine.
    pub fn at(url: &str) -> Result<Self, String> {
        let parsed = Url::parse(url).map_err(|error| format!("{url}: {error}"))?;
        if parsed.scheme() != "http" {
            return Err(format!("{url}: expected http:// and a loopback address"));
        }
        let port = parsed.port_or_known_default().unwrap_or(80);
        let address = match parsed.host() {
            Some(Host::Ipv4(ip)) => Some(SocketAddr::from((ip, port))),
            Some(Host::Ipv6(ip)) => Some(SocketAddr::from((ip, port))),
            Some(Host::Domain("localhost")) => {
                ("localhost", port).to_socket_addrs().ok().and_then(|mut all| all.find(|one| one.ip().is_loopback()))
            }
            _ => None,
        };
        match address {
            Some(address) if is_loopback(address.ip()) => Ok(Self {
                address,
                host: format!("{}:{port}", parsed.host_str().unwrap_or("localhost")),
                prefix: parsed.path().trim_end_matches('/').to_owned(),
            }),
            _ => Err(format!("{url}: expected a loopback address: 127.0.0.1, [::1] or localhost")),
        }
    }
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

impl Target for Loopback {
    async fn send(&mut self, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        match tokio::time::timeout(TIMEOUT, self.ask(&request)).await {
            Ok(answer) => answer.map_err(|error| error.to_string()).and_then(|bytes| read(&bytes)),
            Err(_) => Err(format!("no answer within {} s", TIMEOUT.as_secs())),
        }
    }

    fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl Loopback {
    async fn ask(&self, request: &Request<Bytes>) -> std::io::Result<Vec<u8>> {
        exchange(TcpStream::connect(self.address).await?, &self.host, &self.prefix, request).await
    }
}

/// Writes one request and reads its answer, head and body as they come, up to 64 KiB. For the `token` program, which has connections of its own.
///
/// # Errors
/// When the connection breaks off before there is an answer.
#[doc(hidden)]
pub async fn exchange<S>(mut stream: S, host: &str, prefix: &str, request: &Request<Bytes>) -> std::io::Result<Vec<u8>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut head =
        format!("{} {prefix}{} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n", request.method(), request.uri(),)
            .into_bytes();
    for (name, value) in request.headers() {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(format!("content-length: {}\r\n\r\n", request.body().len()).as_bytes());
    head.extend_from_slice(request.body());
    // Whoever has read enough of a giant answers and closes: the answer counts, not that the rest could not be written.
    let wrote = stream.write_all(&head).await;
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    loop {
        match stream.read(&mut part).await {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&part[..read]),
            Err(_) if !answer.is_empty() => break,
            Err(error) => return Err(wrote.err().unwrap_or(error)),
        }
        if answer.len() >= MOST || is_whole(&answer, request.method(), head_suffices(request)) {
            break;
        }
    }
    Ok(answer)
}

/// Whether that is all of an answer (RFC 9112 section 6): some servers go on holding a connection that they were asked to close.
fn is_whole(answer: &[u8], asked: &Method, head_suffices: bool) -> bool {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let (head, body) = (String::from_utf8_lossy(&answer[..end]), &answer[end + 4..]);
    let field = |wanted| field(&head, wanted);
    if head_suffices || asked == Method::HEAD || matches!(head.split(' ').nth(1), Some("204" | "304")) {
        return true;
    }
    match field("content-length").map(|length| length.parse::<usize>()) {
        Some(Ok(length)) => body.len() >= length,
        Some(Err(_)) => false,
        None => field("transfer-encoding").is_some() && (body.ends_with(b"\r\n0\r\n\r\n") || body == b"0\r\n\r\n"),
    }
}

/// The value of this field in a head.
fn field(head: &str, wanted: &str) -> Option<String> {
    let mut fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    fields.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim().to_owned())
}

/// The body in an answer, as far as it came; of one in chunks (RFC 9112 section 7.1), what they hold.
fn body(answer: &[u8]) -> Bytes {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Bytes::new() };
    let (head, mut rest) = (String::from_utf8_lossy(&answer[..end]), &answer[end + 4..]);
    if field(&head, "transfer-encoding").is_none() {
        return Bytes::copy_from_slice(rest);
    }
    let mut whole = Vec::new();
    while let Some(line) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = String::from_utf8_lossy(&rest[..line]);
        let size = size.split(';').next().and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
        let Some(size) = size.filter(|size| *size > 0) else { break };
        rest = &rest[line + 2..];
        whole.extend_from_slice(&rest[..size.min(rest.len())]);
        rest = rest.get(size.saturating_add(2)..).unwrap_or_default();
    }
    whole.into()
}

/// The status and the body of an answer; nothing else of it is looked at.
///
/// # Errors
/// When there is none.
#[doc(hidden)]
pub fn read(answer: &[u8]) -> Result<Response<Bytes>, String> {
    let line = answer.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let status =
        line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)).and_then(|code| code.trim().parse().ok());
    match status.map(|code: u16| Response::builder().status(code).body(body(answer))) {
        Some(Ok(response)) => Ok(response),
        _ if answer.is_empty() => Err("the connection was closed without an answer".to_owned()),
        _ => Err("what came back is not HTTP/1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_spoken_to() {
        for good in ["http://127.0.0.1:3000", "http://localhost:80/api/", "http://[::1]:8080", "http://127.8.8.8"] {
            assert!(Loopback::at(good).is_ok(), "{good}");
        }
        for bad in [
            "https://127.0.0.1",
            "http://10.0.0.1",
            "http://example.com",
            "http://169.254.1.1",
            "127.0.0.1:80",
            "http://localhost.example",
        ] {
            assert!(Loopback::at(bad).is_err(), "{bad}");
        }
        assert_eq!(Loopback::at("http://127.0.0.1:3000/api/").unwrap().prefix, "/api");
    }

    #[test]
    fn an_answer_is_read_to_its_end_and_no_further() {
        for (answer, whole) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab", false),
            ("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n", true),
            ("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n", false),
            ("HTTP/1.1 200 OK\r\ncontent-length: some\r\n\r\nab", false),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n", false),
            ("HTTP/1.1 204 No Content\r\n\r\n", true),
            // Up to where the connection is closed.
            ("HTTP/1.0 200 OK\r\n\r\nab", false),
            ("", false),
        ] {
            assert_eq!(is_whole(answer.as_bytes(), &Method::GET, false), whole, "{answer:?}");
        }
        let unread = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n";
        assert!(is_whole(unread, &Method::HEAD, false) && is_whole(unread, &Method::GET, true));
        assert!(!is_whole(unread, &Method::GET, false) && !is_whole(b"HTTP/1.1 200 OK\r\n", &Method::GET, true));
    }

    #[test]
    fn a_body_is_read_whole_or_in_chunks() {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab", "ab"),
            ("HTTP/1.1 200 OK\r\n\r\n", ""),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n3;x=y\r\ncde\r\n0\r\n\r\n", "abcde"),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nab", "ab"),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\nab", "ab"),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nab", ""),
        ] {
            assert_eq!(read(answer.as_bytes()).unwrap().body(), expected, "{answer:?}");
        }
    }

    #[test]
    fn the_status_line_is_read_and_anything_else_is_no_answer() {
        assert_eq!(read(b"HTTP/1.1 401 Unauthorized\r\n\r\n").unwrap().status(), 401);
        assert_eq!(read(b"HTTP/1.0 204\r\n").unwrap().status(), 204);
        for junk in [&b""[..], b"SSH-2.0", b"HTTP/1.1 abc", b"\xff\xfe"] {
            assert!(read(junk).is_err());
        }
    }
}
