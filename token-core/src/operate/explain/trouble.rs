//! A refusal for want of a key in, what is the matter with the issuer's keys out: what the gate's error has no room for.

use super::Told;
use super::look::Look;
use crate::answer::check::Check;
use crate::answer::error::{Error, ErrorKind};
use crate::base::http::HttpError;
use crate::jose::Algorithm;
use crate::keys::FetchError;
use crate::keys::discovery::{DiscoveryError, two_addresses};

/// What is the matter with the keys of the token's issuer.
pub(super) enum Trouble {
    /// They cannot be had, and this is why.
    Keys(FetchError),
    /// Several keys have the name that the token says, and fit its algorithm.
    Ambiguous,
}

impl Trouble {
    pub(super) fn of(error: &Error, look: &Look<'_>, told: &Told<'_>) -> Option<Self> {
        let issuer = told.registry.iter().find(|issuer| Some(&*issuer.identifier) == error.issuer())?;
        match (error.kind(), error.check()) {
            (ErrorKind::Unavailable, Some(Check::Key)) => issuer.keys.last_error().map(Self::Keys),
            (ErrorKind::UnknownKey, _) => {
                let algorithm = Algorithm::from_name(look.header_text("alg")?)?;
                let kid = look.header_text("kid")?;
                issuer.keys.held(told.now)?.is_ambiguous(algorithm, kid).then_some(Self::Ambiguous)
            }
            _ => None,
        }
    }

    pub(super) fn cause(&self) -> Option<&'static str> {
        match self {
            Self::Keys(FetchError::NoUsableKey(_)) => Some(
                "the issuer's key set was fetched, and none of its keys can be used: the finding names each and says why",
            ),
            Self::Keys(FetchError::Emptied) => {
                Some("the issuer publishes a key set without keys: no token of its can be verified")
            }
            Self::Keys(FetchError::Unparsable(_)) => Some(
                "what lies at the address of the key set is none: another address, or a page of a proxy in between",
            ),
            Self::Keys(FetchError::Discovery(DiscoveryError::IssuerMismatch { found, expected }))
                if two_addresses(found, expected).is_some() =>
            {
                Some(
                    "one issuer with two addresses: the name in its document has to be trusted, and reached_at says where it is from here",
                )
            }
            Self::Keys(FetchError::Discovery(DiscoveryError::NamedByAddress { .. })) => Some(
                "the issuer goes by whatever address it is asked at: tell it its public one, which is what tokens name",
            ),
            Self::Keys(
                FetchError::Http(HttpError::Connect(_))
                | FetchError::Discovery(DiscoveryError::Http(HttpError::Connect(_))),
            ) => Some(
                "nobody answers at that address from here: if the issuer has another one inside this network, reached_at or jwks_uri names it",
            ),
            Self::Keys(
                FetchError::Status { status: 401 | 403, .. }
                | FetchError::Discovery(DiscoveryError::Status { status: 401 | 403, .. }),
            ) => Some(
                "who asks for the keys has to say who it is: a cluster's API server wants the token of a service account, which bearer_token_file names",
            ),
            Self::Keys(_) => None,
            Self::Ambiguous => Some(
                "the issuer publishes several keys of this kid, and none is tried on the off chance: each key needs a name of its own, or accept_several_keys_of_one_kid tries them",
            ),
        }
    }
}
