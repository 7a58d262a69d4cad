//! What can be wrong with a token or an endpoint, by name.

use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use token_test::{Endpoint, TestIssuer, TokenBuilder};

/// What is wrong with a minted token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Wrong {
    /// It ended an hour ago.
    Expired,
    /// It is good from ten minutes on.
    NotYetValid,
    /// It is for another API.
    Audience,
    /// Its issuer has a slash too many.
    IssuerSlash,
    /// It is signed with a key of somebody else's.
    Forged,
    /// Its claims were changed after signing.
    Tampered,
    /// It is not signed.
    Unsigned,
    /// It is bound to a key of its sender.
    Bound,
}

impl Wrong {
    pub(super) fn apply(self, token: TokenBuilder, issuer: &TestIssuer) -> TokenBuilder {
        match self {
            Self::Expired => token.expired(),
            Self::NotYetValid => token.not_before_in(Duration::from_secs(600)),
            Self::Audience => token.audience("https://another-api.example.com"),
            Self::IssuerSlash => token.issuer(&format!("{}/", issuer.url())),
            Self::Forged => token.forged(),
            Self::Tampered => token.tampered(),
            Self::Unsigned => token.alg_none(),
            Self::Bound => {
                token.claim("cnf", serde_json::json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}))
            }
        }
    }
}

/// What is wrong with the issuer's key set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fault {
    /// Connections are closed without an answer.
    Down,
    /// Answered with 503.
    Status503,
    /// Answered after three seconds.
    Slow,
    /// Answered with something that is no JSON.
    Junk,
    /// A set without keys.
    Empty,
    /// Nothing is wrong any more.
    #[default]
    None,
}

impl Fault {
    pub(super) fn apply(self, issuer: &TestIssuer) {
        issuer.heal();
        let keys = issuer.faults().at(Endpoint::Jwks);
        let _faults = match self {
            Self::Down => keys.down(),
            Self::Status503 => keys.status(503),
            Self::Slow => keys.slow(Duration::from_secs(3)),
            Self::Junk => keys.junk(),
            Self::Empty => keys.empty_set(),
            Self::None => return,
        };
    }
}
