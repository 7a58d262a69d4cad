//! Real authorization servers, our resource server behind them, and an axum and an actix-web server in front, over real HTTP.

mod django;
mod encrypted;
mod encrypted_logins;
mod id_tokens;
mod login;
mod obtaining;
mod oidc_provider;
mod opaque;
mod possession;
mod process;
mod proofs;
mod proxies;
mod served;
pub(crate) use process::{Server, folder, mcp_python, python};
