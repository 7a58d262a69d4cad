//! The actix-web API: the same two routes, one middleware.

use std::io;

use actix_token::{Claims, ResourceServer, Scoped, TokenMiddleware};
use actix_web::{App, HttpServer, get};

use crate::{ReadUsers, User};

#[get("/me")]
async fn me(Claims(user): Claims<User>) -> String {
    user.sub.clone()
}

#[get("/users")]
async fn users(_: Scoped<ReadUsers>) -> &'static str {
    "ada, grace"
}

/// Serves on a free port; returns where.
pub(crate) fn start(api: ResourceServer) -> io::Result<String> {
    let server = HttpServer::new(move || App::new().wrap(TokenMiddleware::new(api.clone())).service(me).service(users))
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", 0))?;
    let address = server.addrs()[0];
    tokio::spawn(server.run());
    Ok(format!("http://{address}"))
}
