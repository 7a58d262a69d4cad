//! What a proxy asks: the client's request as the proxy describes it, seen by the core as a request like any other.

use std::net::{IpAddr, Ipv4Addr};

use http::HeaderMap;
use token_core::adapter::RequestView;

/// The request that a proxy asks about. Method, target and host are the proxy's word, never fields that a client can write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) method: &'a str,
    /// Path and query, as the client sent them.
    pub(crate) target: &'a str,
    pub(crate) host: Option<&'a str>,
    /// `http` or `https`, as the client speaks to the proxy.
    pub(crate) scheme: Option<&'a str>,
    pub(crate) fields: Fields<'a>,
    /// The address of the proxy; `None` for one at the Unix socket.
    pub(crate) peer: Option<IpAddr>,
}

/// The client's header fields.
#[derive(Clone, Copy)]
pub(crate) enum Fields<'a> {
    Map(&'a HeaderMap),
    /// Names in lower case.
    Listed(&'a [(&'a str, &'a [u8])]),
}

impl<'a> Fields<'a> {
    pub(crate) fn each(self, name: &str, each: &mut dyn FnMut(&'a [u8])) {
        match self {
            Self::Map(map) => map.get_all(name).iter().for_each(|value| each(value.as_bytes())),
            Self::Listed(list) => list.iter().filter(|(one, _)| *one == name).for_each(|(_, value)| each(value)),
        }
    }

    pub(crate) fn any_name(self, mut is: impl FnMut(&str) -> bool) -> bool {
        match self {
            Self::Map(map) => map.keys().any(|name| is(name.as_str())),
            Self::Listed(list) => list.iter().any(|(name, _)| is(name)),
        }
    }
}

impl RequestView for Question<'_> {
    fn method(&self) -> &str {
        self.method
    }

    fn path_and_query(&self) -> &str {
        self.target
    }

    fn scheme(&self) -> Option<&str> {
        self.scheme
    }

    /// Whoever may open the Unix socket stands on this machine.
    fn peer(&self) -> Option<IpAddr> {
        Some(self.peer.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)))
    }

    fn header<'a>(&'a self, name: &str, each: &mut dyn FnMut(&'a [u8])) {
        match (name, self.host) {
            // The question's own `Host` is where the gate is.
            ("host", host) => {
                if let Some(host) = host {
                    each(host.as_bytes());
                }
            }
            _ => self.fields.each(name, each),
        }
    }
}

// Header fields hold tokens.
impl std::fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fields(..)")
    }
}
