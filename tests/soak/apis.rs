//! One verifier behind an axum and an actix-web server on loopback, both of which can be stopped again.

use std::sync::mpsc;
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use token_core::ResourceServer;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task;

axum_token::scopes! {
    /// What `/users` asks for.
    pub(crate) ReadUsers = "read:users",
}

#[derive(serde::Deserialize)]
pub(crate) struct User {
    sub: String,
}

/// Two servers that listen.
pub(crate) struct Apis {
    /// Their addresses, axum's first.
    pub(crate) urls: [String; 2],
    axum: (oneshot::Sender<()>, task::JoinHandle<()>),
    actix: (ServerHandle, JoinHandle<()>),
    runtime: tokio::runtime::Handle,
}

impl Apis {
    /// Serves `/me` (the subject) and `/users` (needs the scope `read:users`); axum on this runtime, actix-web on its own.
    pub(crate) fn serve(runtime: &Runtime, server: &ResourceServer) -> Self {
        let (axum_url, axum) = runtime.block_on(axum_app::serve(server.clone()));
        let (actix_url, actix) = actix_app::serve(server.clone());
        Self { urls: [axum_url, actix_url], axum, actix, runtime: runtime.handle().clone() }
    }

    /// Ends both, with every connection.
    pub(crate) fn stop(self) {
        let (stop, stopped) = self.axum;
        let (handle, thread) = self.actix;
        stop.send(()).expect("axum is listening");
        self.runtime.block_on(async {
            stopped.await.unwrap();
            handle.stop(true).await;
        });
        thread.join().unwrap();
    }
}

mod axum_app {
    use axum::Router;
    use axum::routing::get;
    use axum_token::{Claims, Scoped, TokenLayer};

    use super::{ReadUsers, ResourceServer, User, oneshot, task};

    async fn me(Claims(user): Claims<User>) -> String {
        user.sub.clone()
    }

    async fn users(_: Scoped<ReadUsers>) -> &'static str {
        "everybody"
    }

    pub(super) async fn serve(server: ResourceServer) -> (String, (oneshot::Sender<()>, task::JoinHandle<()>)) {
        let app = Router::new().route("/me", get(me)).route("/users", get(users)).layer(TokenLayer::new(server));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let end = async { drop(stopped.await) };
            axum::serve(listener, app).with_graceful_shutdown(end).await.expect("served until it was stopped");
        });
        (url, (stop, task))
    }
}

mod actix_app {
    use actix_token::{Claims, Scoped, TokenMiddleware};
    use actix_web::{App, HttpServer, web};

    use super::{JoinHandle, ReadUsers, ResourceServer, ServerHandle, User, mpsc};

    async fn me(Claims(user): Claims<User>) -> String {
        user.sub.clone()
    }

    async fn users(_: Scoped<ReadUsers>) -> &'static str {
        "everybody"
    }

    pub(super) fn serve(server: ResourceServer) -> (String, (ServerHandle, JoinHandle<()>)) {
        let (ready, started) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let app = move || {
                    App::new()
                        .wrap(TokenMiddleware::new(server.clone()))
                        .route("/me", web::get().to(me))
                        .route("/users", web::get().to(users))
                };
                let bound = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0)).expect("a port");
                let address = bound.addrs()[0];
                let running = bound.run();
                ready.send((address, running.handle())).expect("the soak is waiting");
                running.await.expect("served until it was stopped");
            });
        });
        let (address, handle) = started.recv().expect("actix-web starts");
        (format!("http://{address}"), (handle, thread))
    }
}
