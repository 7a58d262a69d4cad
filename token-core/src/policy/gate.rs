//! The `token-gate` part of a policy as data: routes, what is passed upstream, which proxies are trusted. The core
//! ignores it.

mod described;
mod onward;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[cfg(feature = "schema")]
use super::schema;
use super::some_or_all;
use crate::base::config_error::ConfigError;
use crate::token::mapping::ClaimPath;
use crate::token::rule::Rule;

pub use onward::{ExchangePolicy, ExchangeStyle, SignKeyPolicy, SignPolicy};

/// What `token-gate` requires of each request, and what it passes to the service behind the proxy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct GatePolicy {
    /// The proxies that may ask the gate, as addresses or networks: `10.1.0.0/16`. Requests from anywhere else are
    /// refused. Default: this machine only. A process that may open the gate's Unix socket is always trusted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<String>,
    /// How the proxy changes a path after it has asked the gate. Default: not at all; a path that such a change would
    /// alter is then refused with 400, since the gate and the service could read it differently.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub proxy_normalises: Vec<Normalisation>,
    /// Path elements that the service behind the proxy treats as ordinary text: `semicolons`, `final_dots`,
    /// `outer_blanks`. A path that contains one that is not listed is refused with 400. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_in_paths: Vec<PathOddity>,
    /// The access rule for requests that match no route. Default: `deny` if there are routes, `token` if there are
    /// none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<Access>,
    /// The access rules by path, method and host. The first route that matches decides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<RoutePolicy>,
    /// What is passed to the service behind the proxy.
    #[serde(skip_serializing_if = "super::is_default")]
    pub upstream: UpstreamPolicy,
}

/// One route of [`GatePolicy::routes`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RoutePolicy {
    /// The path pattern. `{id}` matches exactly one segment, as in `/users/{id}/keys`; a final `/**` matches any number
    /// of segments, so `/static/**` also matches `/static`. Case-sensitive; compared after percent-decoding.
    pub path: String,
    /// The methods, in upper case. `GET` includes `HEAD`. Default: every method.
    #[serde(default, with = "some_or_all", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "schema::SomeOrAll"))]
    pub methods: Vec<String>,
    /// The host names, without port. Default: every host.
    #[serde(default, with = "some_or_all", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "schema::SomeOrAll"))]
    pub hosts: Vec<String>,
    /// Who may call the route. Default: `token`.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub access: Access,
    /// The scopes, roles or other rule that the token must satisfy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require: Option<Rule>,
}

/// Who may call a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Access {
    /// Anyone. A token in the request is not verified, and the service is told of no caller.
    Public,
    /// Anyone without a token, and callers with a valid one. An invalid token is refused.
    Optional,
    /// Callers with a valid token.
    #[default]
    Token,
    /// Nobody: 401 without a valid token, 403 with one.
    Deny,
}

/// A change that a proxy makes to a path after it has asked the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Normalisation {
    /// Merges slashes: `//` becomes `/`.
    MergeSlashes,
    /// Removes dot segments: `/a/../b` becomes `/b` (RFC 3986 section 5.2.4).
    RemoveDotSegments,
    /// Decodes slashes: `%2F` becomes `/`.
    DecodeSlashes,
}

/// Something in a path segment that some servers cut off, so that they serve another path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PathOddity {
    /// A semicolon, which begins parameters: servlets read `/admin;x/` as `/admin/`.
    Semicolons,
    /// A dot at the end of a segment: Windows reads `/admin./` as `/admin/`.
    FinalDots,
    /// A space at the beginning or end of a segment: Windows, and servers that trim, read `/admin%20/` as `/admin/`.
    OuterBlanks,
}

/// What is passed to the service behind the proxy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct UpstreamPolicy {
    /// What happens to the caller's token. Default: `forward`.
    #[serde(skip_serializing_if = "super::is_default")]
    pub token: TokenFate,
    /// Where the caller's token is exchanged for one for the service. Required with `token = "exchange"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exchange: Option<ExchangePolicy>,
    /// How the gate signs a token of its own. Required with `token = "sign"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign: Option<SignPolicy>,
    /// Request headers filled from claims: `"X-Token-Subject" = "sub"`. Each is always sent, empty if the token lacks
    /// the claim, so that a client can never set it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, HeaderPolicy>,
}

/// What happens to the caller's token before the request reaches the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TokenFate {
    /// It is passed on unchanged.
    #[default]
    Forward,
    /// It is removed.
    Remove,
    /// It is replaced by a token obtained on the caller's behalf (RFC 8693); see `exchange`.
    Exchange,
    /// It is replaced by a token that the gate signs; see `sign`.
    Sign,
}

impl UpstreamPolicy {
    /// Checks the settings for contradictions. No file is read.
    ///
    /// # Errors
    /// [`ConfigError`] with the member at fault and the reason.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.flaw().map_err(|(member, why)| ConfigError::new(format!("gate.upstream.{member}: {why}")))
    }

    /// The first member at fault, and the reason.
    pub(crate) fn flaw(&self) -> Result<(), (&'static str, String)> {
        match (self.token, &self.exchange, &self.sign) {
            (TokenFate::Exchange, None, _) => {
                return Err(("exchange", "token = \"exchange\" needs a table that says where".to_owned()));
            }
            (TokenFate::Sign, _, None) => {
                return Err((
                    "sign",
                    "token = \"sign\" needs a table that says what, for whom and with which keys".to_owned(),
                ));
            }
            (fate, Some(_), _) if fate != TokenFate::Exchange => {
                return Err(("exchange", "it is not used: set token = \"exchange\", or remove it".to_owned()));
            }
            (fate, _, Some(_)) if fate != TokenFate::Sign => {
                return Err(("sign", "it is not used: set token = \"sign\", or remove it".to_owned()));
            }
            _ => {}
        }
        if let Some(exchange) = &self.exchange {
            exchange.check().map_err(|why| ("exchange", why))?;
        }
        if let Some(sign) = &self.sign {
            sign.check().map_err(|why| ("sign", why))?;
        }
        Ok(())
    }
}

/// The source of a header's value: a claim, a nested claim, or a table with more settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged, expecting = "expected the name of a claim, the way to it as a list, or a table with claim or grants")]
pub enum HeaderPolicy {
    /// The value of this claim.
    Claim(ClaimPath),
    /// A claim with a length limit of its own, or the scopes or roles.
    Table(HeaderSource),
}

/// The table form of [`HeaderPolicy`]. Set exactly one of `claim` and `grants`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HeaderSource {
    /// The claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimPath>,
    /// The scopes or roles that the issuer's claim mapping found, instead of a claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grants: Option<Grants>,
    /// The longest value in bytes, after encoding. A request with a longer one is refused with 500; values are never
    /// truncated. Default: 1,024.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<usize>,
}

/// Which result of the issuer's claim mapping is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Grants {
    /// The scopes, separated by spaces.
    Scopes,
    /// The roles, separated by spaces.
    Roles,
}
