//! Against servers and clients that nobody here wrote. `cargo xtask test` installs and runs them; without the feature
//! `foreign` this binary is not built, so that nothing looks tried that was not.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "this crate is tests and nothing else")]

// The table, for the proxies to be held to; its own tests run here once more.
mod cases;
#[path = "../token-redis/tests/server/engine.rs"]
#[allow(dead_code)]
mod engine;
mod foreign_apis;
mod foreign_clients;
#[path = "mcp/server.rs"]
#[allow(dead_code, reason = "the table of requests uses more of it")]
mod mcp_server;
mod once;
mod proxies;
mod real_issuers;
