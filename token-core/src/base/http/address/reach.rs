//! An IP address in, how far it reaches out (the registries of RFC 6890, and where clouds keep their metadata services).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far an address reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The public internet.
    Global,
    /// This machine.
    Loopback,
    /// A network behind a router or a provider.
    Private(&'static str),
    /// Nothing that serves keys: where clouds keep their metadata service, link-local, unspecified, multicast, reserved.
    Never(&'static str),
}

const METADATA: Reach = Reach::Never("an address of a cloud's metadata service");

/// How far `ip` reaches; an IPv4 address inside an IPv6 one counts as what it is.
pub(super) fn classify(ip: IpAddr) -> Reach {
    match ip {
        IpAddr::V4(ip) => classify_v4(ip),
        IpAddr::V6(ip) => classify_v6(ip),
    }
}

fn classify_v4(ip: Ipv4Addr) -> Reach {
    match ip.octets() {
        // AWS, Google, Azure, Oracle and others; AWS for containers; Alibaba; Oracle's older one; Azure's WireServer, in public space.
        [169, 254, 169, 254]
        | [169, 254, 170, 2 | 23]
        | [100, 100, 100, 200]
        | [192, 0, 0, 192]
        | [168, 63, 129, 16] => METADATA,
        [127, ..] => Reach::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Reach::Private("a private address"),
        [100, 64..=127, ..] => Reach::Private("a carrier-grade NAT address"),
        [0, ..] => Reach::Never("an unspecified address"),
        [169, 254, ..] => Reach::Never("a link-local address"),
        [224..=239, ..] => Reach::Never("a multicast address"),
        [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18..=19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [240..=255, ..] => Reach::Never("a reserved address"),
        _ => Reach::Global,
    }
}

fn classify_v6(ip: Ipv6Addr) -> Reach {
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        classify_v4(Ipv4Addr::new(a, b, c, d))
    };
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Reach::Never("an unspecified address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Loopback,
        // No resolver of ours asks for mapped addresses: whoever sends one wants to slip past a check on IPv4.
        [0, 0, 0, 0, 0, 0xffff, high, low] => match embedded(high, low) {
            Reach::Global => Reach::Private("an IPv4-mapped address"),
            other => other,
        },
        // NAT64 (RFC 6052): how a machine without IPv4 reaches every issuer that has nothing else.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        // RFC 8215: the prefix may be 48, 56, 64 or 96 bits long, and where the IPv4 address stands follows from that (RFC 6052 section 2.2).
        [0x64, 0xff9b, 1, a, b, c, d, e] => {
            let [[a0, a1], [_, b1], [c0, c1], [d0, _]] = [a, b, c, d].map(u16::to_be_bytes);
            let [[e0, e1], [d2, d3]] = [e, d].map(u16::to_be_bytes);
            let b0 = b.to_be_bytes()[0];
            let places = [
                [a0, a1, b1, c0], // 48 bits, a byte of zeroes in between
                [a1, b1, c0, c1], // 56 bits
                [b1, c0, c1, d0], // 64 bits
                [d2, d3, e0, e1], // 96 bits
                [a0, a1, b0, b1], // without the byte of zeroes
            ];
            let is_never = |octets: &[u8; 4]| classify_v4(Ipv4Addr::from(*octets)) == METADATA;
            if places.iter().any(is_never) { METADATA } else { Reach::Private("a local NAT64 address") }
        }
        [0x2002, high, low, ..] => embedded(high, low),
        // AWS keeps its services for machines in this prefix; Google and Oracle theirs at one address each.
        [0xfd00, 0x0ec2, ..]
        | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254]
        | [0xfd00, 0x00c1, 0, 0, 0, 0, 0xa9fe, 0xa9fe] => METADATA,
        [0xfc00..=0xfdff, ..] => Reach::Private("a unique-local address"),
        [0xfe80..=0xfebf, ..] => Reach::Never("a link-local address"),
        [0xff00..=0xffff, ..] => Reach::Never("a multicast address"),
        [0x2001, 0..=0x01ff | 0x0db8, ..] => Reach::Never("a reserved address"),
        [0x3fff, 0..=0x0fff, ..] => Reach::Never("a reserved address"),
        [0x2000..=0x3fff, ..] => Reach::Global,
        _ => Reach::Never("a reserved address"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_of_private_ranges_are_exact() {
        for ip in ["172.15.255.255", "172.32.0.0", "100.63.255.255", "100.128.0.0", "11.0.0.0", "192.167.255.255"] {
            assert_eq!(classify(ip.parse().unwrap()), Reach::Global, "{ip}");
        }
    }
}
