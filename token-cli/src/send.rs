//! A token, and the key or the certificate it is bound to, in; one request sent and its answer out (RFC 6750 section 2.1, RFC 9449 section 7.1, RFC 8705 section 3).

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use token_client::{DpopKey, Token};
use token_core::Algorithm;
use token_core::http::{HttpClient, HttpError, Limits, ReqwestClient};

use crate::args::Send;
use crate::end::{End, Failure};
use crate::terminal::plain;
use crate::{input, trust};

/// What a key may be for. Of two algorithms for one kind of key the first is taken.
const ALGORITHMS: [Algorithm; 5] =
    [Algorithm::ES256, Algorithm::EdDSA, Algorithm::ES384, Algorithm::ES512, Algorithm::PS256];

pub(crate) async fn run(options: &Send) -> Result<End, Failure> {
    let uri: Uri = options.url.parse().map_err(|_| Failure::input(format!("{}: not a URL", plain(&options.url))))?;
    let method = Method::from_bytes(options.request.as_bytes())
        .map_err(|_| Failure::input(format!("{}: not a method", plain(&options.request))))?;
    let fields = options.header.iter().map(|field| header(field)).collect::<Result<Vec<_>, _>>()?;
    let body = options.body.as_deref().map(trust::read_file).transpose()?;
    let key = options.key.as_deref().map(key).transpose()?;
    let client = client(options)?;
    let text = input::token()?;
    let token = match &key {
        Some(key) => Token::dpop(text, None, key),
        None => Token::bearer(text, None),
    };
    let token = token.map_err(|error| Failure::input(error.detail().to_owned()))?;
    if let Some(nonce) = &options.nonce {
        let nonce = HeaderValue::from_str(nonce).map_err(|_| Failure::input("the nonce does not fit into a field"))?;
        token.learn_nonce(&uri, &HeaderMap::from_iter([(HeaderName::from_static("dpop-nonce"), nonce)]));
    }
    let proof = || token.proof(&method, &uri).map_err(|error| Failure::input(error.detail().to_owned()));
    if options.proof {
        if let Some(proof) = proof()? {
            writeln!(io::stdout(), "DPoP: {}", proof.to_str().unwrap_or_default())?;
        }
        return Ok(End::Yes);
    }

    let mut again = true;
    loop {
        let mut request = Request::new(Bytes::from(body.clone().unwrap_or_default()));
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri.clone();
        let headers = request.headers_mut();
        for (name, value) in &fields {
            headers.append(name.clone(), value.clone());
        }
        if body.is_some() && !headers.contains_key(CONTENT_TYPE) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        headers.insert(AUTHORIZATION, token.header());
        if let Some(proof) = proof()? {
            headers.insert(HeaderName::from_static("dpop"), proof);
        }
        let answer = client.send(request, Limits::default()).await.map_err(|error| {
            let why = format!("{}: {error}", plain(&options.url));
            if matches!(error, HttpError::Forbidden(_)) { Failure::input(why) } else { Failure::unreachable(why) }
        })?;
        if token.learn_nonce(&uri, answer.headers()) && answer.status() == StatusCode::UNAUTHORIZED && again {
            again = false;
            continue;
        }
        print(&answer)?;
        return Ok(if answer.status().as_u16() < 300 { End::Yes } else { End::No });
    }
}

/// For an address that was typed by the one who runs this: this machine and private networks, too.
fn client(options: &Send) -> Result<ReqwestClient, Failure> {
    let mut builder = ReqwestClient::builder().allow_loopback_http().allow_private_addresses();
    if let Some(roots) = &options.ca {
        builder = builder.root_certificate_pem(trust::read_file(roots)?);
    }
    if let Some(proxy) = &options.proxy {
        builder = builder.proxy(proxy);
    }
    if let Some(certificate) = &options.certificate {
        builder = builder.client_identity_pem(trust::read_file(certificate)?);
    }
    builder.build().map_err(|error| Failure::input(error.to_string()))
}

/// The private key in a file, for what it can sign.
pub(crate) fn key(path: &Path) -> Result<DpopKey, Failure> {
    let pem = trust::read_file(path)?;
    let keys = ALGORITHMS.iter().map(|algorithm| DpopKey::from_pem(*algorithm, &pem));
    keys.reduce(|found, next| found.or(next)).and_then(Result::ok).ok_or_else(|| {
        let expected = "expected a private key as PEM (PKCS #8, not encrypted) of P-256, P-384, Ed25519 or RSA";
        Failure::input(format!("{}: {expected}", path.display()))
    })
}

/// A field as it is written. Its value may be a secret: an error says nothing of it.
fn header(field: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    let read = || {
        let (name, value) = field.split_once(':')?;
        Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
    };
    let (name, value): (HeaderName, HeaderValue) =
        read().ok_or_else(|| Failure::input("--header: expected `Name: value`"))?;
    if name == AUTHORIZATION || name == "dpop" {
        return Err(Failure::input(
            "--header: token and proof are put in by the program; send the token to standard input",
        ));
    }
    Ok((name, value))
}

fn print(answer: &Response<Bytes>) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", answer.status())?;
    for (name, value) in answer.headers() {
        writeln!(out, "{name}: {}", plain(&String::from_utf8_lossy(value.as_bytes())))?;
    }
    writeln!(out)?;
    if out.is_terminal() {
        // What a server writes must not play tricks with the screen.
        let text = String::from_utf8_lossy(answer.body());
        let shown = |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { '?' } else { c };
        writeln!(out, "{}", text.chars().map(shown).collect::<String>())?;
    } else {
        out.write_all(answer.body())?;
    }
    Ok(())
}
