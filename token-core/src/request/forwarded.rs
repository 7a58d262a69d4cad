//! What a named proxy says of the address that a client has asked for in, scheme and host out (RFC 7239 section 5, and the fields before it).

use serde::{Deserialize, Serialize};

use crate::base::config_error::ConfigError;
use crate::request::address::Base;
use crate::request::network::{Network, any_contains};
use crate::request::presented::RequestView;

/// How a proxy writes the address that the client has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ForwardedField {
    /// `Forwarded` with `proto` and `host` (RFC 7239): exactly one field with one element.
    Forwarded,
    /// `X-Forwarded-Proto` and `X-Forwarded-Host`, one value each. Without the latter it is `Host`, for proxies that leave that as it was. Ports are
    /// read as part of the host, not from `X-Forwarded-Port`.
    XForwarded,
}

/// Who is believed, and where.
#[derive(Clone, Debug)]
pub(crate) struct Forwarded {
    pub(crate) field: ForwardedField,
    pub(crate) proxies: Box<[Network]>,
}

impl Forwarded {
    pub(crate) fn new(field: ForwardedField, proxies: impl IntoIterator<Item = Network>) -> Result<Self, ConfigError> {
        let proxies: Box<[Network]> = proxies.into_iter().collect();
        if proxies.is_empty() {
            return Err(ConfigError::new("forwarded: name the addresses of the proxies that may write the field"));
        }
        Ok(Self { field, proxies })
    }

    /// The address of the request up to its path. What came past the proxies, or with several of them disagreeing, has none.
    pub(crate) fn base<'a>(&self, request: &'a dyn RequestView) -> Base<'a> {
        if !any_contains(&self.proxies, request.peer()) {
            return Base::Unknown;
        }
        let (proto, host) = match self.field {
            ForwardedField::Forwarded => one(request, "forwarded").and_then(element).unwrap_or_default(),
            ForwardedField::XForwarded => {
                let host = match one(request, "x-forwarded-host") {
                    None if !is_there(request, "x-forwarded-host") => request.host(),
                    host => host,
                };
                (one(request, "x-forwarded-proto"), host)
            }
        };
        let scheme =
            ["https", "http"].into_iter().find(|known| proto.is_some_and(|proto| proto.eq_ignore_ascii_case(known)));
        match (scheme, host) {
            (Some(scheme), Some(host)) => Base::requested(Some(scheme), Some(host)),
            _ => Base::Unknown,
        }
    }
}

/// The value of a field that is there once.
fn one<'a>(request: &'a dyn RequestView, name: &str) -> Option<&'a str> {
    let (mut fields, mut found) = (0_usize, None);
    request.header(name, &mut |value| {
        fields += 1;
        found = Some(value);
    });
    std::str::from_utf8(found.filter(|_| fields == 1)?).ok().map(str::trim)
}

fn is_there(request: &dyn RequestView, name: &str) -> bool {
    let mut found = false;
    request.header(name, &mut |_| found = true);
    found
}

/// `proto` and `host` of the one element. Neither has a character that would have to be escaped in quotes, nor one that ends a pair.
fn element(text: &str) -> Option<(Option<&str>, Option<&str>)> {
    let (mut proto, mut host) = (None, None);
    for pair in text.split(';') {
        let (name, value) = pair.split_once('=')?;
        let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let value = quoted.unwrap_or(value);
        if value.contains(['"', '\\', ',']) {
            return None;
        }
        let name = name.trim();
        let place = match () {
            () if name.eq_ignore_ascii_case("proto") => &mut proto,
            () if name.eq_ignore_ascii_case("host") => &mut host,
            () => continue,
        };
        if place.replace(value).is_some() {
            return None;
        }
    }
    Some((proto, host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::address::Address;
    use crate::request::sent::Sent;

    #[test]
    fn a_named_proxy_says_where_a_request_went_and_nobody_else() {
        use ForwardedField::{Forwarded as Rfc, XForwarded as Old};
        const PROXY: &str = "10.1.2.3";
        const HOST: (&str, &str) = ("host", "internal:8080");
        const PROTO: (&str, &str) = ("x-forwarded-proto", "https");
        for (field, peer, fields, good) in [
            (Rfc, PROXY, &[HOST, ("forwarded", "for=192.0.2.1;host=api.example.com;proto=https")][..], true),
            (Rfc, PROXY, &[("forwarded", r#"For="[2001:db8::1]:4711";Proto="HTTPS";Host="API.example.com""#)], true),
            (Rfc, PROXY, &[("forwarded", "host=api.example.com; proto=https")], true),
            (Rfc, "::ffff:10.1.2.3", &[("forwarded", "host=api.example.com;proto=https")], true),
            (Rfc, PROXY, &[("forwarded", "host=api.example.com;proto=http")], false),
            (Rfc, PROXY, &[("forwarded", "host=api.example.com")], false),
            (Rfc, PROXY, &[("host", "api.example.com"), ("forwarded", "proto=https")], false),
            (Rfc, PROXY, &[("forwarded", "host=api.example.com;proto=https, for=10.0.0.1")], false),
            (Rfc, PROXY, &[("forwarded", "host=evil.example, host=api.example.com;proto=https")], false),
            (Rfc, PROXY, &[("forwarded", "host=evil.example;host=api.example.com;proto=https")], false),
            (Rfc, PROXY, &[("forwarded", "host=api.example.com;proto=https"); 2], false),
            (Rfc, PROXY, &[("forwarded", "host=api.example.com/x;proto=https")], false),
            (Rfc, PROXY, &[("forwarded", "host;proto=https")], false),
            (Rfc, PROXY, &[("host", "api.example.com")], false),
            (Rfc, "10.2.0.1", &[("forwarded", "host=api.example.com;proto=https")], false),
            (Rfc, "", &[("forwarded", "host=api.example.com;proto=https")], false),
            (Old, PROXY, &[HOST, PROTO, ("x-forwarded-host", "api.example.com")], true),
            (Old, PROXY, &[PROTO, ("host", "api.example.com")], true),
            (Old, PROXY, &[PROTO, ("host", "api.example.com"), ("x-forwarded-host", "other.example")], false),
            (Old, PROXY, &[PROTO, ("x-forwarded-host", "evil.example, api.example.com")], false),
            (Old, PROXY, &[PROTO, ("host", "api.example.com"), ("x-forwarded-host", "")], false),
            (Old, PROXY, &[("x-forwarded-proto", "https, http"), ("host", "api.example.com")], false),
            (Old, PROXY, &[PROTO, PROTO, ("host", "api.example.com")], false),
            (Old, PROXY, &[("host", "api.example.com")], false),
            (Old, "10.2.0.1", &[PROTO, ("host", "api.example.com")], false),
        ] {
            let forwarded = Forwarded::new(field, ["10.1.0.0/16".parse().unwrap()]).unwrap();
            let sent = Sent::get("/users").fields(fields.iter().copied());
            let sent = if peer.is_empty() { sent } else { sent.peer(peer) };
            let address = Address { base: forwarded.base(&sent), target: "/users".into() };
            assert_eq!(address.is("https://api.example.com/users").is_ok(), good, "{field:?} {peer} {fields:?}");
        }
        assert!(Forwarded::new(Rfc, []).is_err());
    }
}
