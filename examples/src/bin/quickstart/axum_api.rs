//! The axum API: two protected routes, one layer.

use std::io;

use axum::Router;
use axum::routing::get;
use axum_token::{Claims, ResourceServer, Scoped, TokenLayer};
use tokio::net::TcpListener;

use crate::{ReadUsers, User};

async fn me(Claims(user): Claims<User>) -> String {
    user.sub.clone()
}

async fn users(_: Scoped<ReadUsers>) -> &'static str {
    "ada, grace"
}

/// Serves on a free port; returns where.
pub(crate) async fn start(api: ResourceServer) -> io::Result<String> {
    let app = Router::new().route("/me", get(me)).route("/users", get(users)).layer(TokenLayer::new(api));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(format!("http://{address}"))
}
