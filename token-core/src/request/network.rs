//! The address of a peer in, whether it is in a network that the operator has named out (RFC 4632 section 3.1).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base::config_error::ConfigError;

/// The addresses of proxies that are believed: one, `10.1.2.3`, or all of a network, `10.1.0.0/16` and `fd00::/8`.
///
/// Only name a network in which nobody else can send requests to this server.
///
/// ```
/// use token_core::possession::Network;
///
/// let network: Network = "10.1.0.0/16".parse()?;
/// assert!(network.contains([10, 1, 2, 3].into()));
/// assert!(!network.contains([10, 2, 0, 1].into()));
/// assert!("proxy.example".parse::<Network>().is_err());
/// # Ok::<(), token_core::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Canonical: no IPv4 address in the clothes of an IPv6 address.
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether the address is in it. An IPv4 address that is mapped into IPv6 is the IPv4 address.
    #[must_use]
    pub fn contains(&self, peer: IpAddr) -> bool {
        match (self.address, peer.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(peer)) => {
                let differs = ours.to_bits() ^ peer.to_bits();
                differs.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(ours), IpAddr::V6(peer)) => {
                let differs = ours.to_bits() ^ peer.to_bits();
                differs.leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }

    /// Whether everybody is in it.
    pub(crate) fn is_everybody(self) -> bool {
        self.bits == 0
    }
}

/// Whether the peer is in one of them; one that is not known is in none.
pub(crate) fn any_contains(networks: &[Network], peer: Option<IpAddr>) -> bool {
    peer.is_some_and(|peer| networks.iter().any(|network| network.contains(peer)))
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, bits: if address.is_ipv4() { 32 } else { 128 } }
    }
}

impl FromStr for Network {
    type Err = ConfigError;

    /// # Errors
    /// [`ConfigError`] for anything but an address, and an address with the number of bits that count.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let flaw = || {
            ConfigError::new(format!(
                "expected the address of a proxy, or a network such as 10.1.0.0/16, not {:?}",
                text.chars().take(64).collect::<String>()
            ))
        };
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let whole = Self::from(address.parse::<IpAddr>().map_err(|_| flaw())?);
        match bits {
            None => Ok(whole),
            Some(bits) => {
                let digits = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
                let bits = bits.parse().ok().filter(|bits| digits && *bits <= whole.bits).ok_or_else(flaw)?;
                Ok(Self { bits, ..whole })
            }
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.address, self.bits) {
            (IpAddr::V4(address), 32) => write!(f, "{address}"),
            (IpAddr::V6(address), 128) => write!(f, "{address}"),
            (address, bits) => write!(f, "{address}/{bits}"),
        }
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_the_addresses_that_begin_like_it_and_no_others() {
        for (network, address, expected) in [
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "::ffff:10.1.2.3", true),
            ("::ffff:10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("10.1.0.0/16", "10.1.255.255", true),
            ("10.1.0.0/16", "10.2.0.0", false),
            ("10.1.0.0/15", "10.0.0.1", true),
            ("0.0.0.0/0", "192.0.2.7", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "fe80::1", false),
            ("::/0", "10.1.2.3", false),
            ("2001:db8::1", "2001:db8::1", true),
            ("2001:db8::1", "2001:db8::2", false),
        ] {
            let read: Network = network.parse().unwrap();
            assert_eq!(read.contains(address.parse().unwrap()), expected, "{network} {address}");
            assert_eq!(read.to_string().parse::<Network>().unwrap(), read, "{network}");
        }
        for text in ["", "proxy.example", "10.1.0.0/", "10.1.0.0/33", "10.1.0.0/+8", "10.1.0.0/8/8", "fd00::/129", "/8"]
        {
            assert!(text.parse::<Network>().is_err(), "{text:?}");
        }
        assert!(!any_contains(&["0.0.0.0/0".parse().unwrap()], None), "nobody knows where it came from");
    }
}
