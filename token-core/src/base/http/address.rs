//! Which addresses may be talked to: a URL or a resolved IP address in, allowed or the reason it is not out (RFC 6890).

mod reach;

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

use reach::{Reach, classify};

/// The rule a client follows for every address, whether it was written in a URL or came out of the DNS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AddressGuard {
    /// Plain http to loopback, and loopback addresses at all.
    pub(crate) loopback_http: bool,
    /// Private networks: RFC 1918, carrier-grade NAT, unique-local.
    pub(crate) private: bool,
    /// Plain http to private networks and to this machine. Neither is thereby allowed over https.
    pub(crate) plain_http: bool,
}

/// How a request travels, which decides where it may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    Tls,
    PlainHttp,
}

/// Where plain http may lead, as far as a URL tells. The client looks at the addresses behind the name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PlainHttp {
    Nowhere,
    /// To this very machine.
    #[default]
    Loopback,
    /// To private networks, too: an operator said so.
    Inside,
}

impl From<bool> for PlainHttp {
    fn from(loopback: bool) -> Self {
        if loopback { Self::Loopback } else { Self::Nowhere }
    }
}

/// Why an address may not be talked to. Names the host and the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddressRefused(pub(crate) String);

impl fmt::Display for AddressRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AddressRefused {}

impl AddressGuard {
    /// Looks at everything a URL says by itself: scheme, credentials and an IP address in place of a name.
    pub(crate) fn check_url(self, url: &Url) -> Result<(), AddressRefused> {
        self.check_scheme(url)?;
        let over = Over::of(url);
        match url.host() {
            Some(Host::Ipv4(ip)) => self.check_ip(&ip.to_string(), ip.into(), over),
            Some(Host::Ipv6(ip)) => self.check_ip(&ip.to_string(), ip.into(), over),
            // A proxy resolves names where nobody looks at the addresses.
            Some(Host::Domain(name)) if is_metadata_name(name) => Err(AddressRefused(format!(
                "{name} is the name of a cloud's metadata service, which is never talked to"
            ))),
            _ => Ok(()),
        }
    }

    fn check_scheme(self, url: &Url) -> Result<(), AddressRefused> {
        let refuse = |why: &str| Err(AddressRefused(why.to_owned()));
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("credentials in a url");
        }
        let Some(host) = url.host() else { return refuse("a url without a host") };
        match url.scheme() {
            "https" => Ok(()),
            "http" if self.plain_http => Ok(()),
            "http" if !is_loopback(&host) => refuse(
                "plain http, expected https; inside a private network dangerously_allow_plain_http opts into it, in code or in the policy, or \
                 --dangerously-allow-plain-http on the command line",
            ),
            "http" if !self.loopback_http => refuse(
                "plain http to this machine, which is opted into by allow_loopback_http, in code or in the policy",
            ),
            "http" => Ok(()),
            _ => refuse("a scheme other than https"),
        }
    }

    /// Looks at the address a name was resolved to. Called for each of them, at the moment of connecting, so that
    /// a name cannot show one address when it is checked and another one when it is used.
    pub(crate) fn check_resolved(self, name: &str, ip: IpAddr, over: Over) -> Result<(), AddressRefused> {
        if is_localhost(name) && classify(ip) != Reach::Loopback {
            return Err(AddressRefused(format!("{name} does not resolve to loopback")));
        }
        self.check_ip(name, ip, over)
    }

    fn check_ip(self, host: &str, ip: IpAddr, over: Over) -> Result<(), AddressRefused> {
        match classify(ip) {
            Reach::Loopback | Reach::Private(_) if over == Over::PlainHttp && self.plain_http => Ok(()),
            Reach::Global if over == Over::PlainHttp => Err(AddressRefused(format!(
                "plain http to {host}, which is a public address: dangerously_allow_plain_http is for private networks, expected https"
            ))),
            Reach::Global => Ok(()),
            Reach::Loopback if self.loopback_http => Ok(()),
            Reach::Loopback => Err(AddressRefused(format!(
                "{host} is a loopback address, which is opted into by allow_loopback_http, in code or in the policy"
            ))),
            Reach::Private(_) if self.private => Ok(()),
            Reach::Private(kind) => Err(AddressRefused(format!(
                "{host} is {kind}, which is opted into by allow_private_addresses, in code or in the policy, or by --allow-private on the \
                 command line"
            ))),
            Reach::Never(kind) => Err(AddressRefused(format!("{host} is {kind}, which is never talked to"))),
        }
    }
}

/// Reads the URL of an issuer or of one of its endpoints: absolute, https, without credentials or fragment; plain http
/// only where `plain_http` says so. Which addresses the name leads to is not looked at here.
pub(crate) fn endpoint(text: &str, plain_http: impl Into<PlainHttp>) -> Result<Url, AddressRefused> {
    let url = Url::parse(text).map_err(|_| AddressRefused("not an absolute url".to_owned()))?;
    if url.fragment().is_some() {
        return Err(AddressRefused("a url with a fragment".to_owned()));
    }
    let plain_http = plain_http.into();
    let (loopback, inside) = (plain_http != PlainHttp::Nowhere, plain_http == PlainHttp::Inside);
    AddressGuard { loopback_http: loopback, private: true, plain_http: inside }.check_scheme(&url)?;
    Ok(url)
}

/// Reads an origin as operators write it: http or https, a host and perhaps a port, and nothing else.
pub(crate) fn origin(text: &str, plain_http: impl Into<PlainHttp>) -> Result<Url, AddressRefused> {
    let url = endpoint(text, plain_http)?;
    if url.path() == "/" && url.query().is_none() {
        return Ok(url);
    }
    Err(AddressRefused("expected scheme, host and port alone, such as https://login.internal:8443".to_owned()))
}

impl Over {
    pub(crate) fn of(url: &Url) -> Self {
        if url.scheme() == "http" { Self::PlainHttp } else { Self::Tls }
    }
}

/// Reads the URL of a proxy: http or https, a host and perhaps a port, and nothing else.
pub(crate) fn proxy_url(text: &str) -> Result<Url, AddressRefused> {
    let refuse = |why: &str| AddressRefused(format!("proxy: expected http://host:port, {why}"));
    let url = Url::parse(text).map_err(|_| refuse("it is no URL"))?;
    match url.scheme() {
        "http" | "https" if !url.username().is_empty() || url.password().is_some() => {
            Err(refuse("it holds credentials, which an HTTP client of your own can bring along"))
        }
        "http" | "https" if url.path() == "/" && url.query().is_none() && url.fragment().is_none() => Ok(url),
        "http" | "https" => Err(refuse("it has a path, query or fragment")),
        _ => Err(refuse("it has another scheme")),
    }
}

/// Whether a host is this machine by its spelling: `localhost`, a name under it (RFC 6761 section 6.3), or a loopback address.
pub(crate) fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => is_localhost(name),
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// Names by which clouds offer their metadata service to the machines in them. Each leads to an address that is refused anyway.
const METADATA_NAMES: &[&str] = &[
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "metadata.azure.internal",
    "metadata.tencentyun.com",
    "instance-data",
    "instance-data.ec2.internal",
];

fn is_metadata_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    METADATA_NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOSED: AddressGuard = AddressGuard { loopback_http: false, private: false, plain_http: false };
    const LOOPBACK: AddressGuard = AddressGuard { loopback_http: true, ..CLOSED };
    const PRIVATE: AddressGuard = AddressGuard { private: true, ..CLOSED };
    const PLAIN: AddressGuard = AddressGuard { plain_http: true, ..CLOSED };

    #[test]
    fn every_address_class_is_refused_unless_opted_in() {
        // address, closed, loopback opted in, private opted in
        for (ip, closed, loopback, private) in [
            ("93.184.216.34", true, true, true),
            ("2606:2800:220:1::1", true, true, true),
            ("64:ff9b::5db8:d822", true, true, true), // NAT64 of a global address
            ("127.0.0.1", false, true, false),
            ("127.255.255.254", false, true, false),
            ("::1", false, true, false),
            ("::ffff:127.0.0.1", false, true, false),
            ("64:ff9b::7f00:1", false, true, false),
            ("10.0.0.1", false, false, true),
            ("172.16.0.1", false, false, true),
            ("172.31.255.255", false, false, true),
            ("192.168.1.1", false, false, true),
            ("100.64.0.1", false, false, true),
            ("fd00::1", false, false, true),
            ("::ffff:10.0.0.1", false, false, true),
            ("::ffff:93.184.216.34", false, false, true),
            ("2002:0a00:0001::1", false, false, true), // 6to4 of 10.0.0.1
            ("64:ff9b:1::1", false, false, true),
            ("0.0.0.0", false, false, false),
            ("0.1.2.3", false, false, false),
            ("169.254.169.254", false, false, false),
            ("::ffff:169.254.169.254", false, false, false),
            ("224.0.0.1", false, false, false),
            ("240.0.0.1", false, false, false),
            ("255.255.255.255", false, false, false),
            ("192.0.2.1", false, false, false),
            ("198.18.0.1", false, false, false),
            ("::", false, false, false),
            ("::7f00:1", false, false, false), // the old IPv4-compatible form of 127.0.0.1
            ("fe80::1", false, false, false),
            ("fec0::1", false, false, false),
            ("ff02::1", false, false, false),
            ("2001:db8::1", false, false, false),
            ("2001::1", false, false, false), // Teredo
            ("100::1", false, false, false),
        ] {
            let address: IpAddr = ip.parse().unwrap();
            let verdict = |guard: AddressGuard| guard.check_resolved("issuer.example", address, Over::Tls).is_ok();
            assert_eq!((verdict(CLOSED), verdict(LOOPBACK), verdict(PRIVATE)), (closed, loopback, private), "{ip}");
        }
    }

    #[test]
    fn metadata_services_of_clouds_are_refused_even_where_private_addresses_are_allowed() {
        const OPEN: AddressGuard = AddressGuard { loopback_http: true, private: true, plain_http: true };
        for ip in [
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "fe80::a9fe:a9fe",
            "::ffff:169.254.169.254",
            "::ffff:100.100.100.200",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b::6464:64c8",
            "64:ff9b:1::a9fe:a9fe",
            "64:ff9b:1:a9fe:a9:fe00::",
            "64:ff9b:1:0:a9:fea9:fe00:0",
            "64:ff9b:1::6464:64c8",
            "2002:a9fe:a9fe::1",
            "2002:6464:64c8::1",
        ] {
            for over in [Over::Tls, Over::PlainHttp] {
                let refused = OPEN.check_resolved("issuer.example", ip.parse().unwrap(), over);
                let why = refused.expect_err(ip).to_string();
                assert!(why.ends_with("which is never talked to"), "{ip}: {why}");
            }
        }
        for name in ["metadata.google.internal", "METADATA.google.internal.", "metadata", "instance-data.ec2.internal"]
        {
            let url = Url::parse(&format!("https://{name}/keys")).unwrap();
            assert!(OPEN.check_url(&url).is_err(), "{name}, behind a proxy that resolves it");
        }
        for ip in ["64:ff9b:1::a00:1", "fd00:ec3::254", "100.100.100.201", "10.0.0.1"] {
            assert!(OPEN.check_resolved("issuer.example", ip.parse().unwrap(), Over::Tls).is_ok(), "{ip}");
        }
        let url = Url::parse("https://metadata.example.com/keys").unwrap();
        assert!(OPEN.check_url(&url).is_ok(), "a name of somebody's own");
    }

    #[test]
    fn a_refused_address_says_how_it_would_be_allowed() {
        for (url, words) in [
            ("https://10.0.0.1/keys", &["allow_private_addresses", "--allow-private", "policy"][..]),
            ("https://127.0.0.1/keys", &["allow_loopback_http", "policy"]),
            ("http://127.0.0.1/keys", &["allow_loopback_http", "policy"]),
            (
                "http://keycloak:8080/keys",
                &["dangerously_allow_plain_http", "policy", "--dangerously-allow-plain-http"],
            ),
            ("http://10.0.0.1/keys", &["dangerously_allow_plain_http"]),
        ] {
            let why = CLOSED.check_url(&Url::parse(url).unwrap()).unwrap_err().to_string();
            assert!(words.iter().all(|word| why.contains(word)), "{url}: {why}");
        }
    }

    #[test]
    fn a_url_is_judged_by_scheme_credentials_and_literal_address() {
        // url, closed, loopback opted in
        for (url, closed, loopback) in [
            ("https://issuer.example/keys", true, true),
            ("http://issuer.example/keys", false, false),
            ("http://localhost:8080/keys", false, true),
            ("http://a.localhost./keys", false, true),
            ("http://127.0.0.1/keys", false, true),
            ("http://[::1]/keys", false, true),
            ("http://2130706433/keys", false, true), // 127.0.0.1 as one number
            ("https://0x7f.1/keys", false, true),
            ("http://10.0.0.1/keys", false, false),
            ("https://10.0.0.1/keys", false, false),
            ("https://[::ffff:169.254.169.254]/keys", false, false),
            ("https://0/keys", false, false),
            ("http://localhost.example/keys", false, false),
            ("http://notlocalhost/keys", false, false),
            ("https://user@issuer.example/keys", false, false),
            ("https://:secret@issuer.example/keys", false, false),
            ("file:///etc/passwd", false, false),
            ("ftp://issuer.example/keys", false, false),
        ] {
            let parsed = Url::parse(url).unwrap();
            assert_eq!(CLOSED.check_url(&parsed).is_ok(), closed, "{url}");
            assert_eq!(LOOPBACK.check_url(&parsed).is_ok(), loopback, "{url} with loopback opted in");
        }
    }

    #[test]
    fn localhost_that_resolves_elsewhere_is_refused() {
        let elsewhere = "93.184.216.34".parse().unwrap();
        assert!(LOOPBACK.check_resolved("localhost", elsewhere, Over::PlainHttp).is_err());
        assert!(LOOPBACK.check_resolved("localhost", "127.0.0.1".parse().unwrap(), Over::PlainHttp).is_ok());
        assert!(PLAIN.check_resolved("localhost", elsewhere, Over::PlainHttp).is_err());
    }

    #[test]
    fn plain_http_is_opted_into_for_private_networks_and_this_machine_and_opens_nothing_over_https() {
        // address, over plain http, over https
        for (ip, plain, tls) in [
            ("172.18.0.3", true, false),
            ("10.0.0.1", true, false),
            ("fd00::1", true, false),
            ("127.0.0.1", true, false),
            ("93.184.216.34", false, true),
            ("2606:2800:220:1::1", false, true),
            ("169.254.169.254", false, false),
            ("169.254.0.1", false, false),
            ("224.0.0.1", false, false),
            ("0.0.0.0", false, false),
        ] {
            let allowed = |over| PLAIN.check_resolved("keycloak", ip.parse().unwrap(), over).is_ok();
            assert_eq!((allowed(Over::PlainHttp), allowed(Over::Tls)), (plain, tls), "{ip}");
            let url = |scheme: &str| {
                let host = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
                PLAIN.check_url(&Url::parse(&format!("{scheme}://{host}/keys")).unwrap()).is_ok()
            };
            assert_eq!((url("http"), url("https")), (plain, tls), "{ip} in a url");
            assert!(
                CLOSED.check_resolved("keycloak", ip.parse().unwrap(), Over::PlainHttp).is_err(),
                "{ip}: off by default"
            );
        }
        for url in [
            "http://keycloak:8080/keys",
            "http://user@keycloak/keys",
            "ftp://keycloak/keys",
            "http://metadata.google.internal/",
        ] {
            let parsed = Url::parse(url).unwrap();
            assert!(CLOSED.check_url(&parsed).is_err(), "{url}");
            assert_eq!(PLAIN.check_url(&parsed).is_ok(), url.starts_with("http://keycloak"), "{url}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port_alone() {
        for (text, good) in [
            ("https://login.internal", true),
            ("https://login.internal:8443/", true),
            ("http://127.0.0.1:9000", true),
            ("http://keycloak:8080", false),
            ("https://login.internal/realms/a", false),
            ("https://login.internal?a", false),
            ("https://login.internal#a", false),
            ("https://user@login.internal", false),
            ("login.internal:8443", false),
            ("", false),
        ] {
            assert_eq!(origin(text, true).is_ok(), good, "{text}");
        }
        assert!(origin("http://keycloak:8080", PlainHttp::Inside).is_ok());
    }
}
