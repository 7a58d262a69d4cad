//! Against servers and clients that nobody here wrote. `cargo xtask test` installs and runs them; without the feature
//! `foreign` this binary is not built, so that nothing looks tried that was not.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "this crate is tests and nothing else")]

// The table, for the proxies to be held to; its own tests run here once more.
#[path = "../token-cli/tests/browser/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "the page of the development issuer uses more of it")]
mod browser;
mod cases;
#[path = "../token-redis/tests/server/engine.rs"]
#[allow(dead_code)]
mod engine;
mod foreign_apis;
mod foreign_clients;
mod in_a_browser;
#[path = "mcp/server.rs"]
#[allow(dead_code, reason = "the table of requests uses more of it")]
mod mcp_server;
mod once;
mod proxies;
mod real_issuers;
