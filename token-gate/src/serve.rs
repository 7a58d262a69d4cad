//! Listeners in, answered connections out, within bounds, until the end is announced.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};

use crate::arguments::Listen;
use crate::doors::Body;
use crate::telemetry;

/// How long a proxy may take to write the head of a question.
const HEAD: Duration = Duration::from_secs(10);
/// The longest head of a question, in bytes: a token of 16 KiB, its cookies and the rest. Envoy itself stops at 60 KiB.
const LONGEST_HEAD: usize = 96 * 1024;
/// The most questions at once on one HTTP/2 connection.
const STREAMS: u32 = 1024;
/// The pause after a failed accept, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// A bound socket.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    /// With the path, to be removed in the end.
    Unix(UnixListener, PathBuf),
}

impl Listener {
    pub(crate) async fn bind(listen: &Listen) -> Result<Self, String> {
        match listen {
            Listen::Tcp(address) => TcpListener::bind(address)
                .await
                .map(Self::Tcp)
                .map_err(|error| format!("cannot listen on {address}: {error}")),
            Listen::Unix(path) => {
                // What a gate has left behind that was killed. A socket that is alive answers.
                if tokio::net::UnixStream::connect(path)
                    .await
                    .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
                {
                    let _ = std::fs::remove_file(path);
                }
                UnixListener::bind(path)
                    .map(|listener| Self::Unix(listener, path.clone()))
                    .map_err(|error| format!("cannot listen on {}: {error}", path.display()))
            }
        }
    }

    /// Where it listens, for logs.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Tcp(listener) => {
                listener.local_addr().map_or_else(|error| error.to_string(), |address| address.to_string())
            }
            Self::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Serves connections of `listener` until `ending` says so; then waits for what is being answered, at most `patience`.
pub(crate) async fn serve<F, A>(
    listener: Listener,
    bound: Arc<Semaphore>,
    mut ending: watch::Receiver<bool>,
    patience: Duration,
    answer: F,
) where
    F: Fn(Option<IpAddr>, Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
{
    let open = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = ending.wait_for(|ending| *ending) => break,
            accepted = accept(&listener, &bound) => accepted,
        };
        match accepted {
            Ok((Stream::Tcp(stream), peer, place)) => {
                // Answers are one small segment each.
                let _ = stream.set_nodelay(true);
                connection(stream, peer, place, &open, answer.clone());
            }
            Ok((Stream::Unix(stream), peer, place)) => connection(stream, peer, place, &open, answer.clone()),
            Err(error) => {
                tracing::warn!(name: "gate.accept", %error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(patience, open.shutdown()).await.is_err() {
        tracing::warn!(name: "gate.drained", "questions were still open when the time for them was over");
    }
}

enum Stream {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

/// A stream whose first bytes can be waited for without taking them.
trait Speaks {
    /// Ends when there is something to read, or the stream has ended.
    fn speaks(&self) -> impl Future<Output = io::Result<()>> + Send;
}

impl Speaks for tokio::net::TcpStream {
    fn speaks(&self) -> impl Future<Output = io::Result<()>> + Send {
        self.readable()
    }
}

impl Speaks for tokio::net::UnixStream {
    fn speaks(&self) -> impl Future<Output = io::Result<()>> + Send {
        self.readable()
    }
}

type Place = tokio::sync::OwnedSemaphorePermit;

/// The next connection, once there is a place for it.
async fn accept(listener: &Listener, bound: &Arc<Semaphore>) -> io::Result<(Stream, Option<IpAddr>, Place)> {
    let place = Arc::clone(bound).acquire_owned().await.map_err(io::Error::other)?;
    match listener {
        Listener::Tcp(listener) => {
            let (stream, peer) = listener.accept().await?;
            Ok((Stream::Tcp(stream), Some(peer.ip()), place))
        }
        Listener::Unix(listener, _) => Ok((Stream::Unix(listener.accept().await?.0), None, place)),
    }
}

fn connection<S, F, A>(stream: S, peer: Option<IpAddr>, place: Place, open: &GracefulShutdown, answer: F)
where
    S: Speaks + AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
    F: Fn(Option<IpAddr>, Request<Incoming>) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
{
    let service = service_fn(move |request| answer(peer, request));
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(LONGEST_HEAD).max_headers(256);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(LONGEST_HEAD).unwrap_or(u32::MAX))
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(Duration::from_secs(30));
    let watcher = open.watcher();
    telemetry::connections(1.0);
    tokio::spawn(async move {
        // Who says nothing gives its place back.
        if !matches!(tokio::time::timeout(HEAD, stream.speaks()).await, Ok(Ok(()))) {
            telemetry::connections(-1.0);
            return;
        }
        let connection = watcher.watch(builder.serve_connection(TokioIo::new(stream), service).into_owned());
        // A connection that ends badly has nobody left to be told.
        if let Err(error) = connection.await {
            tracing::debug!(name: "gate.connection", error, "a connection ended early");
        }
        telemetry::connections(-1.0);
        drop(place);
    });
}
