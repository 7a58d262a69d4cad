//! Real authorization servers, our resource server behind them, and an axum and an actix-web server in front, over real HTTP.

mod django;
mod login;
mod oidc_provider;
mod process;
mod served;
