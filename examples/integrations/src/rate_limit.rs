//! Limits that count each caller for itself: the key, and the file that asks for it, for axum and for actix-web.

pub mod actix;
pub mod key;
pub mod tower;
