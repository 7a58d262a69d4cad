//! A listening socket and a router go in, a running server comes out that can be stopped for good or for a while.

use std::convert::Infallible;
use std::fmt;

use axum::Router;
use axum::body::Body;
use http::Response;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tower_service::Service;

/// Marks a response that must never be sent: the connection is closed instead, as a server that died would.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CloseWithoutAnswer;

/// A server on one port. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Server {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) fn spawn(listener: TcpListener, router: Router) -> Self {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(listener, router, stopped));
        Self { stop: Some(stop), task }
    }

    /// Ends when the port is closed and every connection with it.
    pub(crate) async fn stop(mut self) {
        // Not sent only when the task has ended already.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, router: Router, mut stopped: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, router.clone()));
                }
            }
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, router: Router) {
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let mut router = router.clone();
        async move {
            let answer: Result<Response<Body>, Infallible> = router.call(request.map(Body::new)).await;
            let Ok(response) = answer;
            match response.extensions().get::<CloseWithoutAnswer>() {
                Some(_) => Err(Closed),
                None => Ok(response),
            }
        }
    });
    // A connection that breaks off is what faults are for; there is nobody to tell.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Makes hyper close the connection.
#[derive(Debug)]
struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("closed without an answer")
    }
}

impl std::error::Error for Closed {}
