//! The same routes served by axum and by actix-web on a port of their own, and a client that asks them with a token.

use std::sync::mpsc;

use token_core::ResourceServer;

axum_token::scopes! {
    /// What `/users` asks for.
    pub(crate) ReadUsers = "read:users",
}

#[derive(serde::Deserialize)]
struct User {
    sub: String,
}

/// A framework, listening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framework {
    Axum,
    ActixWeb,
}

impl Framework {
    pub(crate) const ALL: [Self; 2] = [Self::Axum, Self::ActixWeb];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Axum => "axum",
            Self::ActixWeb => "actix-web",
        }
    }
}

/// An API under a loopback address, protected by a resource server.
pub(crate) struct Api {
    url: String,
    http: reqwest::Client,
}

/// What the API answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) challenge: String,
}

impl Api {
    /// Serves `/me` (the subject) and `/users` (needs the scope `read:users`) until the process ends.
    pub(crate) async fn serve(framework: Framework, server: ResourceServer) -> Self {
        let url = match framework {
            Framework::Axum => axum_app::serve(server).await,
            Framework::ActixWeb => actix_app::serve(server),
        };
        Self { url, http: reqwest::Client::new() }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Asks for `path` with this token.
    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        let response = self
            .http
            .get(format!("{}{path}", self.url))
            .bearer_auth(token)
            .send()
            .await
            .expect("our own server answers");
        let challenge =
            response.headers().get("www-authenticate").map(|value| String::from_utf8_lossy(value.as_bytes()));
        Answer {
            status: response.status().as_u16(),
            challenge: challenge.unwrap_or_default().into_owned(),
            body: response.text().await.expect("a whole answer"),
        }
    }
}

mod axum_app {
    use axum::Router;
    use axum::routing::get;
    use axum_token::{Claims, Scoped, TokenLayer};

    use super::{ReadUsers, ResourceServer, User};

    async fn me(Claims(user): Claims<User>) -> String {
        user.sub.clone()
    }

    async fn users(_: Scoped<ReadUsers>) -> &'static str {
        "everybody"
    }

    pub(super) async fn serve(server: ResourceServer) -> String {
        let app = Router::new().route("/me", get(me)).route("/users", get(users)).layer(TokenLayer::new(server));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        // With the peer's address, which says whether a proxy's word counts.
        let app = app.into_make_service_with_connect_info::<std::net::SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, app).await });
        url
    }
}

mod actix_app {
    use actix_token::{Claims, Scoped, TokenMiddleware};
    use actix_web::{App, HttpServer, web};

    use super::{ReadUsers, ResourceServer, User, mpsc};

    async fn me(Claims(user): Claims<User>) -> String {
        user.sub.clone()
    }

    async fn users(_: Scoped<ReadUsers>) -> &'static str {
        "everybody"
    }

    pub(super) fn serve(server: ResourceServer) -> String {
        let (ready, address) = mpsc::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let app = move || {
                    App::new()
                        .wrap(TokenMiddleware::new(server.clone()))
                        .route("/me", web::get().to(me))
                        .route("/users", web::get().to(users))
                };
                let bound = HttpServer::new(app).workers(1).bind(("127.0.0.1", 0)).expect("a free port");
                ready.send(bound.addrs()[0]).expect("the test is waiting");
                bound.run().await
            })
        });
        format!("http://{}", address.recv().expect("actix-web starts"))
    }
}
