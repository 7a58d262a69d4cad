//! Where requests carry their token, and when a cookie is trusted as sent on purpose (RFC 6750 section 2; CSRF rules as
//! recommended by OWASP).

use serde::{Deserialize, Deserializer, Serialize};

use crate::answer::error::{Error, ErrorKind};
use crate::request::grammar::{Scheme, b64token, dpop_credentials, from_field, padded_b64token};
use crate::request::presented::RequestView;

/// A place in a request that may contain a token. Default: the `Authorization` header only; see
/// [`ResourceServerBuilder::token_locations`](crate::ResourceServerBuilder::token_locations).
///
/// ```
/// use token_core::{CsrfRule, TokenLocation};
///
/// let sources = [
///     TokenLocation::authorization(),
///     TokenLocation::cookie("__session", CsrfRule::origins(["https://app.example.com"])),
/// ];
/// let json = serde_json::to_string(&sources)?;
/// assert_eq!(
///     json,
///     r#"["authorization",{"cookie":{"name":"__session","csrf":{"origins":["https://app.example.com"]}}}]"#
/// );
/// assert_eq!(serde_json::from_str::<[TokenLocation; 2]>(&json)?, sources);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct TokenLocation(Place);

/// The kinds of places.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "TokenPlace"))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Place {
    Authorization,
    Header {
        #[serde(deserialize_with = "lower_case")]
        name: String,
    },
    Cookie {
        name: String,
        csrf: CsrfRule,
    },
    WebsocketProtocol {
        prefix: String,
    },
    DangerouslyQuery {
        name: String,
    },
}

/// Header names are compared in lower case, however the configuration writes them.
fn lower_case<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|name| name.to_ascii_lowercase())
}

impl TokenLocation {
    /// The name of this place in RFC 9728 (`bearer_methods_supported`), if it is one of the three of RFC 6750 section
    /// 2.
    pub(crate) fn bearer_method(&self) -> Option<&'static str> {
        match &self.0 {
            Place::Authorization => Some("header"),
            Place::DangerouslyQuery { name } if name == "access_token" => Some("query"),
            _ => None,
        }
    }

    /// The header `Authorization` with the scheme `Bearer` (RFC 6750 section 2.1).
    #[must_use]
    pub fn authorization() -> Self {
        Self(Place::Authorization)
    }

    /// A header that contains only the token, such as `cf-access-jwt-assertion`, which a proxy writes. A client that
    /// reaches the server directly can write it, too; the token in it is therefore verified like any other.
    #[must_use]
    pub fn header(name: &str) -> Self {
        Self(Place::Header { name: name.to_ascii_lowercase() })
    }

    /// A cookie. Browsers also send cookies with requests caused by other sites; `csrf` decides which requests are
    /// trusted.
    #[must_use]
    pub fn cookie(name: impl Into<String>, csrf: CsrfRule) -> Self {
        Self(Place::Cookie { name: name.into(), csrf })
    }

    /// The entry of `Sec-WebSocket-Protocol` that begins with `prefix`; the token is the rest of the entry. For
    /// browsers, whose WebSocket API cannot set headers. The server must select another of the offered protocols, and
    /// must not send this one back.
    #[must_use]
    pub fn websocket_protocol(prefix: impl Into<String>) -> Self {
        Self(Place::WebsocketProtocol { prefix: prefix.into() })
    }

    /// A query parameter (RFC 6750 section 2.3, which advises against it). The token appears in the logs of every
    /// proxy, in the browser's history, and in the `Referer` of requests that the page makes.
    /// Set `Cache-Control: private` on your responses, as the RFC asks; no layer does it for you.
    #[must_use]
    pub fn dangerously_query(name: impl Into<String>) -> Self {
        Self(Place::DangerouslyQuery { name: name.into() })
    }

    /// The name of the header that contains the token, in lower case. `None` for the query.
    #[must_use]
    pub fn field_name(&self) -> Option<&str> {
        match &self.0 {
            Place::Authorization => Some("authorization"),
            Place::Header { name } => Some(name),
            Place::Cookie { .. } => Some("cookie"),
            Place::WebsocketProtocol { .. } => Some("sec-websocket-protocol"),
            Place::DangerouslyQuery { .. } => None,
        }
    }

    /// Returns the value of that header, or the query, without the tokens in it; `None` if it contains none. For a
    /// server behind the gate that must not see its callers' tokens, whether they are valid or not.
    ///
    /// ```
    /// use token_core::{CsrfRule, TokenLocation};
    ///
    /// let cookie = TokenLocation::cookie("session", CsrfRule::same_origin());
    /// assert_eq!(cookie.without_token(b"theme=dark; session=a.b.c").as_deref(), Some(&b"theme=dark"[..]));
    /// assert_eq!(cookie.without_token(b"theme=dark"), None);
    /// ```
    #[must_use]
    pub fn without_token(&self, text: &[u8]) -> Option<Vec<u8>> {
        match &self.0 {
            Place::Authorization | Place::Header { .. } => Some(Vec::new()),
            Place::Cookie { name, .. } => sift(text, b';', b"; ", |pair| after(pair, name.as_bytes(), b'=').is_some()),
            Place::WebsocketProtocol { prefix } => {
                sift(text, b',', b", ", |protocol| protocol.starts_with(prefix.as_bytes()))
            }
            Place::DangerouslyQuery { name } => {
                sift(text, b'&', b"&", |pair| after(pair, name.as_bytes(), b'=').is_some())
            }
        }
    }

    /// Why this place cannot be used, if so.
    pub(crate) fn flaw(&self) -> Option<String> {
        let (what, name) = match &self.0 {
            Place::Authorization => return None,
            Place::Header { name } if name == "authorization" || name == "cookie" => {
                return Some(format!("the header {name} is not one that holds a token and nothing else"));
            }
            Place::Cookie { csrf, .. } if csrf.origins.iter().any(|origin| !is_origin(origin)) => {
                return Some("an origin has a scheme and a host and nothing behind: https://app.example.com".into());
            }
            Place::Header { name } => ("header", name),
            Place::Cookie { name, .. } => ("cookie", name),
            Place::WebsocketProtocol { prefix } => ("WebSocket protocol", prefix),
            Place::DangerouslyQuery { name } => ("query parameter", name),
        };
        let fits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && !b";,=&\"".contains(&byte));
        (!fits).then(|| format!("{name:?} is not the name of a {what}"))
    }

    /// The tokens in this place, one by one. With `dpop`, the scheme `DPoP` is accepted, too.
    pub(super) fn each<'a>(&self, request: &'a dyn RequestView, dpop: bool, found: &mut dyn FnMut(Found<'a>)) {
        match &self.0 {
            Place::Authorization => request.header("authorization", &mut |value| {
                found(match dpop_credentials(value).filter(|_| dpop) {
                    Some(token) => Found { scheme: Scheme::Dpop, ..Found::of(b64token(token)) },
                    None => Found::of(from_field(value)),
                });
            }),
            Place::Header { name } => request.header(name, &mut |value| found(Found::of(padded_b64token(value)))),
            Place::Cookie { name, csrf } => request.header("cookie", &mut |value| {
                for pair in value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii) {
                    // Servers write an empty value, quoted or not, where they take a cookie back.
                    if let Some(token) =
                        after(pair, name.as_bytes(), b'=').filter(|token| !matches!(*token, b"" | b"\"\""))
                    {
                        found(Found { doubt: csrf.check(request).err(), ..Found::of(padded_b64token(token)) });
                    }
                }
            }),
            Place::WebsocketProtocol { prefix } => request.header("sec-websocket-protocol", &mut |value| {
                for protocol in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                    if let Some(token) = protocol.strip_prefix(prefix.as_bytes()) {
                        found(Found::of(b64token(token)));
                    }
                }
            }),
            Place::DangerouslyQuery { name } => {
                let query = request.path_and_query().split_once('?').map_or("", |(_, query)| query);
                for pair in query.split('&') {
                    if let Some(token) = after(pair.as_bytes(), name.as_bytes(), b'=') {
                        found(Found::of(b64token(token)));
                    }
                }
            }
        }
    }
}

/// A token that was found.
pub(super) struct Found<'a> {
    /// The token, or what is wrong with its syntax.
    pub(super) token: Result<&'a str, Error>,
    pub(super) scheme: Scheme,
    /// Why it is uncertain that the user meant to send it, if so.
    pub(super) doubt: Option<Error>,
}

impl<'a> Found<'a> {
    fn of(token: Result<&'a str, Error>) -> Self {
        Self { token, scheme: Scheme::Bearer, doubt: None }
    }
}

/// The rest of the text after `name` and `separator`.
fn after<'a>(text: &'a [u8], name: &[u8], separator: u8) -> Option<&'a [u8]> {
    text.strip_prefix(name)?.strip_prefix(&[separator])
}

/// The elements of a list that are not tokens; `None` if none of them is.
fn sift(text: &[u8], separator: u8, joint: &[u8], is_token: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let parts = || text.split(|byte| *byte == separator).map(<[u8]>::trim_ascii);
    let rest = || parts().filter(|part| !is_token(part));
    parts().any(&is_token).then(|| rest().collect::<Vec<_>>().join(joint))
}

fn is_origin(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| url.origin().is_tuple() && url.origin().ascii_serialization() == text)
}

/// Decides which requests with a cookie are trusted, to prevent cross-site request forgery (CSRF).
///
/// A request is trusted if its `Sec-Fetch-Site` header, which pages cannot forge, says `same-origin`, or if its `Origin`
/// is one of `origins`. `GET`, `HEAD` and `OPTIONS` requests are also trusted if they have no `Origin`, or if the user
/// started them (`Sec-Fetch-Site: none`), since they change nothing; opening a WebSocket is not. A request with one of
/// these headers twice is not trusted.
///
/// ```
/// use token_core::CsrfRule;
///
/// let one_site = CsrfRule::same_origin();
/// let with_app = CsrfRule::origins(["https://app.example.com"]);
/// # assert_ne!(one_site, with_app);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CsrfRule {
    origins: Vec<String>,
}

impl CsrfRule {
    /// Trusts requests from the API's own origin only. Needs a browser that sends `Sec-Fetch-Site`, which all have done
    /// since 2023.
    #[must_use]
    pub fn same_origin() -> Self {
        Self { origins: Vec::new() }
    }

    /// Also trusts these origins: `https://app.example.com`, compared exactly.
    #[must_use]
    pub fn origins<O: Into<String>>(origins: impl IntoIterator<Item = O>) -> Self {
        Self { origins: origins.into_iter().map(Into::into).collect() }
    }

    fn check(&self, request: &dyn RequestView) -> Result<(), Error> {
        let site = one(request, "sec-fetch-site");
        let origin = one(request, "origin");
        let listed = || {
            let known = |sent: &[u8]| self.origins.iter().any(|origin| origin.as_bytes() == sent);
            matches!(origin, Once::One(sent) if known(sent))
        };
        let mut upgrades = false;
        request.header("upgrade", &mut |_| upgrades = true);
        let reads = matches!(request.method(), "GET" | "HEAD" | "OPTIONS") && !upgrades;
        let believed = match (&site, &origin) {
            (Once::Several, _) | (_, Once::Several) => false,
            (Once::One(b"same-origin"), _) => true,
            // The user's own doing: an address typed, a bookmark.
            (Once::One(b"none"), _) => reads,
            (Once::One(_), Once::None) => reads,
            (Once::None, Once::None) => reads,
            _ => listed(),
        };
        if believed {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::CrossSite,
            "a cookie came with a request of another origin, or of one that is not told",
        ))
    }
}

enum Once<'a> {
    None,
    One(&'a [u8]),
    Several,
}

fn one<'a>(request: &'a dyn RequestView, name: &str) -> Once<'a> {
    let mut found = Once::None;
    request.header(name, &mut |value| {
        found = match found {
            Once::None => Once::One(value),
            _ => Once::Several,
        };
    });
    found
}

#[cfg(test)]
pub(crate) mod tests;
