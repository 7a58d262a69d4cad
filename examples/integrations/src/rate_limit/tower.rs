//! A request of axum or another tower service in, whom to count it for out: the key of `tower_governor`.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use http::Request;
use token_core::adapter::Outcome;
use tower_governor::GovernorError;
use tower_governor::key_extractor::KeyExtractor;

use super::key::Key;

/// Counts by caller. Inside of the token layer; there the outcome is in the request.
#[derive(Clone, Copy, Debug)]
pub struct ByCaller;

impl KeyExtractor for ByCaller {
    type Key = Key;

    fn extract<T>(&self, request: &Request<T>) -> Result<Key, GovernorError> {
        // A limit that stands outside of the token layer would count nobody by name, and not say so: 500.
        let outcome = request.extensions().get::<Outcome>().ok_or(GovernorError::UnableToExtractKey)?;
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
        Key::of(Some(outcome), peer).ok_or(GovernorError::UnableToExtractKey)
    }
}
