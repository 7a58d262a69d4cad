//! The address of whoever asks in, whether it is one of the named proxies out.

use std::net::IpAddr;

use ipnet::IpNet;

/// The networks in which proxies stand that are believed.
#[derive(Debug)]
pub(crate) struct Peers(Box<[IpNet]>);

impl Peers {
    /// # Errors
    /// Which entry is neither an address nor a network.
    pub(crate) fn new(written: &[String]) -> Result<Self, String> {
        if written.is_empty() {
            return Ok(Self(
                [IpNet::from(IpAddr::from([127, 0, 0, 1])), IpNet::from(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1_u16]))]
                    .into(),
            ));
        }
        let network = |text: &String| {
            let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            network
                .map_err(|_| format!("gate.peers: expected an address or a network such as 10.1.0.0/16, not {text:?}"))
        };
        written.iter().map(network).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_networks_are_believed_and_this_machine_where_none_is_named() {
        let peers = |written: &[&str]| Peers::new(&written.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        for (written, address, expected) in [
            (&[][..], "127.0.0.1", true),
            (&[], "::1", true),
            (&[], "127.0.0.2", false),
            (&[], "10.0.0.1", false),
            (&["10.1.0.0/16", "fd00::/8"], "10.1.2.3", true),
            (&["10.1.0.0/16", "fd00::/8"], "::ffff:10.1.2.3", true),
            (&["10.1.0.0/16", "fd00::/8"], "fd12::1", true),
            (&["10.1.0.0/16"], "10.2.0.1", false),
            (&["10.1.0.0/16"], "127.0.0.1", false),
            (&["192.0.2.7"], "192.0.2.7", true),
        ] {
            assert_eq!(peers(written).unwrap().contain(address.parse().unwrap()), expected, "{written:?} {address}");
        }
        assert!(peers(&["proxy.example"]).unwrap_err().contains("gate.peers"));
    }
}
