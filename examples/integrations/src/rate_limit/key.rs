//! What the token layer has found and the address of the connection in, whom to count the request for out.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use token_core::adapter::Outcome;

/// Whom to count a request for.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// The bearer of a verified token: issuer and subject, since two issuers may know two people by one name. A program without a subject counts as its client.
    Caller(String, String),
    /// Anybody else, together with all others at this address.
    Address(IpAddr),
}

impl Key {
    /// The key of a request; `None` where neither is known.
    pub fn of(outcome: Option<&Outcome>, peer: Option<IpAddr>) -> Option<Self> {
        match outcome {
            Some(Outcome::Verified(token)) => {
                let who = token.subject().or(token.client_id())?;
                Some(Self::Caller(token.issuer().to_owned(), who.to_owned()))
            }
            _ => Some(Self::Address(network(peer?))),
        }
    }
}

/// Whoever has one address of IPv6 has the 2⁶⁴ beside it, too.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

// A subject is personal data, and rate limits write keys into their logs.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Caller(..) => "Caller(..)",
            Self::Address(_) => "Address(..)",
        })
    }
}
