//! Who asked for a token and how it ended in; a span, an event and counts out, by the names that `token_core::telemetry` lists.

use std::time::Instant;

use tracing::field::Empty;
use tracing::{Span, info_span};

use crate::error::TokenError;
use crate::token::Token;

/// Who asks, and how. Both are the operator's words or ours: fit to be labels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asks<'a> {
    pub(crate) client: &'a str,
    pub(crate) grant: &'static str,
}

impl Asks<'_> {
    /// Around one request to a token endpoint.
    pub(crate) fn span(self) -> Span {
        info_span!("token.client.request", client = self.client, grant = self.grant, outcome = Empty)
    }

    /// A source could not get or renew its token.
    pub(crate) fn failed(self, error: &TokenError) {
        let (kind, detail) = (error.kind().name(), error.detail());
        tracing::warn!(name: "token.client.failed", client = self.client, grant = self.grant, kind, detail, "no token could be obtained");
    }

    /// A source has got or renewed its token, or has not.
    #[cfg_attr(not(feature = "metrics"), expect(unused_variables, clippy::unused_self, reason = "nobody counts"))]
    pub(crate) fn ended(self, result: &Result<Token, TokenError>, start: Instant) {
        #[cfg(feature = "metrics")]
        {
            use token_core::telemetry::{RENEWAL_SECONDS, RENEWALS};
            let outcome = outcome(result);
            let client = self.client.to_owned();
            metrics::counter!(RENEWALS, "client" => client, "grant" => self.grant, "outcome" => outcome).increment(1);
            metrics::histogram!(RENEWAL_SECONDS, "outcome" => outcome).record(start.elapsed());
        }
    }
}

/// `ok`, or the kind of the error.
pub(crate) fn outcome<T>(result: &Result<T, TokenError>) -> &'static str {
    result.as_ref().map_or_else(|error| error.kind().name(), |_| "ok")
}
