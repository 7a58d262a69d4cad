//! What `token-gate` asks of the requests behind a proxy, as data: routes, what goes upstream, whom it believes. The core reads none of it.

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

/// The part of a policy that `token-gate` reads: which requests need what, and what the service behind the proxy is told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct GatePolicy {
    /// The proxies that are believed, as addresses or networks: `10.1.0.0/16`. Nobody else is answered. Default: this very machine. Whoever may open the gate's Unix socket is believed, too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<String>,
    /// What the proxy does to a path after it has asked the gate about it. Default: nothing, so that a path with two readings is refused with 400.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub proxy_normalises: Vec<Normalisation>,
    /// What the service behind the proxy takes for letters like any other, so that paths with it may pass. Default: nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_in_paths: Vec<PathOddity>,
    /// What requests need that no route speaks of. Default: `deny` where there are routes, `token` where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<Access>,
    /// What requests need: the first route that matches decides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<RoutePolicy>,
    /// What the service behind the proxy is told.
    #[serde(skip_serializing_if = "super::is_default")]
    pub upstream: UpstreamPolicy,
}

/// One route of [`GatePolicy::routes`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RoutePolicy {
    /// The path, segment by segment: `/users/{id}/keys` takes any one segment for `{id}`, `/static/**` takes whatever follows, `/static` itself too. Compared after percent-decoding, with regard to case.
    pub path: String,
    /// The methods, in capitals. `GET` stands for `HEAD`, too. Default: every method.
    #[serde(default, with = "some_or_all", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "schema::SomeOrAll"))]
    pub methods: Vec<String>,
    /// The hosts, without a port. Default: every host.
    #[serde(default, with = "some_or_all", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "schema::SomeOrAll"))]
    pub hosts: Vec<String>,
    /// Who passes. Default: `token`.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub access: Access,
    /// The scopes or roles that the token must carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require: Option<Rule>,
}

/// Who passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Access {
    /// Everybody. A token that is sent is not looked at, and the service is told of nobody.
    Public,
    /// Everybody without credentials, and those with a good token. A bad token is refused.
    Optional,
    /// Those with a good token.
    #[default]
    Token,
    /// Nobody: 401 without a good token, 403 with one.
    Deny,
}

/// What a proxy does to a path between asking the gate and asking the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Normalisation {
    /// `//` becomes `/`.
    MergeSlashes,
    /// `/a/../b` becomes `/b` (RFC 3986 section 5.2.4).
    RemoveDotSegments,
    /// `%2F` becomes `/`.
    DecodeSlashes,
}

/// What some servers cut off a segment of a path, so that another path is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PathOddity {
    /// `;`, which begins parameters: `/admin;x/` is `/admin/` to servlets.
    Semicolons,
    /// A dot at the end of a segment: `/admin./` is `/admin/` to Windows.
    FinalDots,
    /// A blank at the beginning or end of a segment: `/admin%20/` is `/admin/` to Windows and to those who trim.
    OuterBlanks,
}

/// What the service behind the proxy is told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct UpstreamPolicy {
    /// What becomes of the token.
    #[serde(skip_serializing_if = "super::is_default")]
    pub token: TokenFate,
    /// With `token = "exchange"`: where the caller's token is exchanged for one of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exchange: Option<ExchangePolicy>,
    /// With `token = "sign"`: what the tokens say that the gate signs for the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign: Option<SignPolicy>,
    /// Header fields from claims, and no others: `"X-Token-Subject" = "sub"`. Each is always sent, empty where the token says nothing, so that no client can write it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, HeaderPolicy>,
}

/// What becomes of the token on its way to the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TokenFate {
    /// It goes on as it came.
    #[default]
    Forward,
    /// The service does not see it.
    Remove,
    /// The service gets one that was obtained for it on the caller's behalf (RFC 8693): see `exchange`.
    Exchange,
    /// The service gets one that the gate signs: see `sign`.
    Sign,
}

impl UpstreamPolicy {
    /// Whether it contradicts itself, without reading a file.
    ///
    /// # Errors
    /// [`ConfigError`] with the member, and why it cannot be.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.flaw().map_err(|(member, why)| ConfigError::new(format!("gate.upstream.{member}: {why}")))
    }

    /// The member that cannot be, and why.
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

/// Where the value of a header field comes from: a claim, a claim in a claim, or more than that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged, expecting = "expected the name of a claim, the way to it as a list, or a table with claim or grants")]
pub enum HeaderPolicy {
    /// This claim.
    Claim(ClaimPath),
    /// With a bound of its own, or of what the issuer's mapping has found.
    Table(HeaderSource),
}

/// A [`HeaderPolicy`] with its bound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HeaderSource {
    /// This claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimPath>,
    /// In place of a claim: what the issuer's mapping finds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grants: Option<Grants>,
    /// The longest value in bytes, after encoding. A longer one is refused with 500, never cut. Default 1,024.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<usize>,
}

/// What a mapping finds in a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Grants {
    /// Its scopes, separated by blanks.
    Scopes,
    /// Its roles, separated by blanks.
    Roles,
}
