//! The address of a service in; a way to it out: at once on this machine, and elsewhere after the service has shown whose it is.

use std::fmt::Display;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::Verifier;
use token_test::TestIssuer;
use token_test::attacks::{Loopback, Target, exchange, read};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;

use crate::args::{ReportFormat, Service};
use crate::end::Failure;
use crate::issuer;

/// How often a service is asked whether it shows the text, or takes a good token, by now.
const AGAIN: Duration = Duration::from_millis(500);
/// How long one answer may take.
const LONGEST: Duration = Duration::from_secs(10);
/// Where a service elsewhere shows whose it is, and the field that it may show it in.
const PLACE: &str = "/.well-known/token-attack.txt";
const FIELD: &str = "token-attack";

/// A service that may be attacked.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    Here(Loopback),
    Elsewhere(Elsewhere),
}

impl Target for Way {
    async fn send(&mut self, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        match self {
            Self::Here(loopback) => loopback.send(request).await,
            Self::Elsewhere(elsewhere) => {
                elsewhere.ask(&elsewhere.prefix, &request).await.and_then(|answer| read(&answer))
            }
        }
    }

    fn prefix(&self) -> &str {
        match self {
            Self::Here(loopback) => loopback.prefix(),
            Self::Elsewhere(elsewhere) => &elsewhere.prefix,
        }
    }
}

/// A service on another machine. Its address is looked up once: what has shown the text is what is attacked.
#[derive(Clone)]
pub(crate) struct Elsewhere {
    address: SocketAddr,
    host: String,
    prefix: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl std::fmt::Debug for Elsewhere {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Elsewhere").field("address", &self.address).field("host", &self.host).finish_non_exhaustive()
    }
}

/// The way to the service, and the issuer that it is to trust, which serves from here on.
pub(crate) async fn meet(options: &Service) -> Result<(Way, Arc<TestIssuer>), Failure> {
    route("--route", &options.route)?;
    let way = way(options).await?;
    let issuer = issuer::start(SocketAddr::from((options.address, options.port)), &options.audience).await?;
    eprintln!("issuer    {}   trust it in the service, for the audience {}", issuer.url(), issuer.audience());
    Ok((way, issuer))
}

/// The way to the service. One that is not on this machine is asked to show a text that was made for this run.
async fn way(options: &Service) -> Result<Way, Failure> {
    if let Ok(here) = Loopback::at(&options.url) {
        return Ok(Way::Here(here));
    }
    let elsewhere = Elsewhere::find(&options.url).await?;
    let text = one_time_text()?;
    eprintln!(
        "{} is not on this machine. Show that it is yours, within {} s: serve this text at {PLACE}, or send it with that answer as the field {FIELD}:\n\n  {text}\n",
        options.url, options.wait
    );
    let give_up = Instant::now() + Duration::from_secs(options.wait);
    while !elsewhere.shows(&text).await {
        if Instant::now() >= give_up {
            return Err(Failure::input(format!(
                "{}: it has not shown the text, so nothing else was sent to it. There is more time with --wait SECONDS, and a service elsewhere can also \
                 be reached through a tunnel to this machine, as `ssh -L` makes one",
                options.url
            )));
        }
        sleep(AGAIN).await;
    }
    eprintln!("it is yours");
    Ok(Way::Elsewhere(elsewhere))
}

/// Waits until the service lets a good token in: it may have to fetch the issuer's keys first, or forget that they were out of reach.
pub(crate) async fn lets_in(way: &mut Way, options: &Service, issuer: &TestIssuer) -> Result<(), Failure> {
    let (method, path) = route("--route", &options.route)?;
    let good = options.granted.iter().fold(issuer.token(), |token, scope| token.scope(scope)).mint();
    let give_up = Instant::now() + Duration::from_secs(options.wait);
    loop {
        let request =
            Request::builder().method(method.clone()).uri(path).header("authorization", format!("Bearer {good}"));
        let request = request.body(Bytes::new()).map_err(|error| Failure::input(format!("--route: {error}")))?;
        let why = match way.send(request).await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => format!("it answers {}", answer.status().as_u16()),
            Err(why) => why,
        };
        if Instant::now() >= give_up {
            return Err(Failure::unreachable(format!(
                "{} {}: a good token of the development issuer is not let in: {why}. Does the service trust http://{}:{} for the audience {}? \
                 Does the route ask for a scope (--granted)?",
                options.url, options.route, options.address, options.port, options.audience
            )));
        }
        sleep(AGAIN).await;
    }
}

/// What follows that flag in its two parts.
pub(crate) fn route<'a>(flag: &str, route: &'a str) -> Result<(http::Method, &'a str), Failure> {
    let (method, path) = route.split_once(' ').unwrap_or(("GET", route));
    match method.parse() {
        Ok(method) if path.starts_with('/') && path.parse::<http::Uri>().is_ok() => Ok((method, path)),
        _ => {
            let expected = "expected a method and a path, as in \"GET /users\"";
            Err(Failure::input(format!("{flag} {route:?}: {expected}")))
        }
    }
}

/// Writes a report as it was asked for.
pub(crate) fn print(
    format: ReportFormat,
    table: &dyn Display,
    json: impl FnOnce() -> String,
    junit: impl FnOnce() -> String,
) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match format {
        ReportFormat::Json => writeln!(out, "{}", json())?,
        ReportFormat::Junit => write!(out, "{}", junit())?,
        ReportFormat::Table => write!(out, "{table}")?,
    }
    Ok(out.flush()?)
}

/// 128 bits that nobody could have put there before.
fn one_time_text() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Failure::input("the system has no random numbers"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Elsewhere {
    async fn find(url: &str) -> Result<Self, Failure> {
        let expected =
            || Failure::input(format!("{url}: expected http:// or https://, a host and perhaps a port and a path"));
        let parsed: http::Uri = url.parse().map_err(|_| expected())?;
        let (Some(scheme), Some(authority)) = (parsed.scheme_str(), parsed.authority()) else { return Err(expected()) };
        let name = authority.host().trim_matches(['[', ']']).to_owned();
        let (port, tls) = match scheme {
            "http" => (80, None),
            "https" => {
                let name = ServerName::try_from(name.clone()).map_err(|_| expected())?;
                (443, Some((connector()?, name)))
            }
            _ => return Err(expected()),
        };
        let unknown = |why: &dyn std::fmt::Display| Failure::unreachable(format!("{url}: no such host: {why}"));
        let found = tokio::net::lookup_host((name, authority.port_u16().unwrap_or(port))).await;
        let address = found.map_err(|why| unknown(&why))?.next().ok_or_else(|| unknown(&"it has no address"))?;
        let prefix = parsed.path().trim_end_matches('/').to_owned();
        Ok(Self { address, host: authority.as_str().to_owned(), prefix, tls })
    }

    async fn ask(&self, prefix: &str, request: &Request<Bytes>) -> Result<Vec<u8>, String> {
        let asking = async {
            let stream = TcpStream::connect(self.address).await?;
            match &self.tls {
                None => exchange(stream, &self.host, prefix, request).await,
                Some((tls, name)) => {
                    exchange(tls.connect(name.clone(), stream).await?, &self.host, prefix, request).await
                }
            }
        };
        match timeout(LONGEST, asking).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} s", LONGEST.as_secs())),
        }
    }

    async fn shows(&self, text: &str) -> bool {
        let request = Request::get(PLACE).body(Bytes::new()).expect("a path");
        self.ask("", &request).await.is_ok_and(|answer| is_shown(&String::from_utf8_lossy(&answer), text))
    }
}

/// Whether an answer has the text as a line of the body of a 200, or as that field whatever its status.
fn is_shown(answer: &str, text: &str) -> bool {
    let (fields, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let mut lines = fields.lines();
    let is_ok = lines.next().and_then(|line| line.split(' ').nth(1)) == Some("200");
    let in_field = lines
        .filter_map(|line| line.split_once(':'))
        .any(|(name, value)| name.eq_ignore_ascii_case(FIELD) && value.trim() == text);
    in_field || is_ok && body.lines().any(|line| line.trim() == text)
}

/// TLS as the system trusts it.
fn connector() -> Result<TlsConnector, Failure> {
    let failure = |why: rustls::Error| Failure::input(format!("no TLS: {why}"));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let verifier = Arc::new(Verifier::new(provider).map_err(failure)?);
    let config = builder.map_err(failure)?.dangerous().with_custom_certificate_verifier(verifier);
    Ok(TlsConnector::from(Arc::new(config.with_no_client_auth())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_text_itself_is_proof() {
        let text = "0123456789abcdef0123456789abcdef";
        for (answer, shown) in [
            (format!("HTTP/1.1 200 OK\r\ncontent-length: 33\r\n\r\n{text}\n"), true),
            (format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n20\r\n{text}\r\n0\r\n\r\n"), true),
            (format!("HTTP/1.1 404 Not Found\r\nToken-Attack: {text}\r\n\r\n"), true),
            (format!("HTTP/1.1 404 Not Found\r\n\r\n{text}"), false),
            (format!("HTTP/1.1 200 OK\r\nx-other: {text}\r\n\r\n"), false),
            (format!("HTTP/1.1 200 OK\r\n\r\n{}", &text[1..]), false),
            (format!("HTTP/1.1 200 OK\r\n\r\n{text}0"), false),
            (format!("HTTP/1.1 302 Found\r\nlocation: /{text}\r\n\r\n{text}"), false),
            (String::new(), false),
        ] {
            assert_eq!(is_shown(&answer, text), shown, "{answer:?}");
        }
        assert_ne!(one_time_text().unwrap(), one_time_text().unwrap());
    }
}
