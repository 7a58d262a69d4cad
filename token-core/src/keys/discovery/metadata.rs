//! Reads a metadata response: status, headers and body in, checked [`Metadata`] out (RFC 8414 section 3.2 and 3.3). Sends nothing.

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Response, StatusCode};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::DiscoveryError;
use crate::base::http::address::{PlainHttp, endpoint};
use crate::base::http::freshness::retry_after;

/// What an issuer says about itself (RFC 8414 section 2, OpenID Connect Discovery 1.0 section 3), as far as this toolkit uses it.
///
/// Every endpoint in it is https, or plain http to loopback if the issuer is so itself. The algorithm lists are
/// what the issuer claims; nothing is allowed because it is listed here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Metadata {
    /// Equal to the configured issuer, byte by byte.
    pub issuer: String,
    /// The JWK Set.
    pub jwks_uri: Option<String>,
    /// RFC 6749 section 3.1.
    pub authorization_endpoint: Option<String>,
    /// RFC 6749 section 3.2.
    pub token_endpoint: Option<String>,
    /// RFC 7662.
    pub introspection_endpoint: Option<String>,
    /// RFC 7009.
    pub revocation_endpoint: Option<String>,
    /// OpenID Connect Core section 5.3.
    pub userinfo_endpoint: Option<String>,
    /// OpenID Connect RP-Initiated Logout section 2.1.
    pub end_session_endpoint: Option<String>,
    /// RFC 9126.
    pub pushed_authorization_request_endpoint: Option<String>,
    /// RFC 8628.
    pub device_authorization_endpoint: Option<String>,
    /// OpenID Connect Discovery section 3.
    #[serde(default, deserialize_with = "list")]
    pub id_token_signing_alg_values_supported: Option<Vec<String>>,
    /// RFC 8414 section 2.
    #[serde(default, deserialize_with = "list")]
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// RFC 8414 section 2.
    #[serde(default, deserialize_with = "list")]
    pub introspection_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// RFC 9701 section 7.
    #[serde(default, deserialize_with = "list")]
    pub introspection_signing_alg_values_supported: Option<Vec<String>>,
    /// RFC 9449 section 5.1.
    #[serde(default, deserialize_with = "list")]
    pub dpop_signing_alg_values_supported: Option<Vec<String>>,
    /// RFC 8414 section 2.
    #[serde(default, deserialize_with = "list")]
    pub code_challenge_methods_supported: Option<Vec<String>>,
    /// RFC 8414 section 2.
    #[serde(default, deserialize_with = "list")]
    pub scopes_supported: Option<Vec<String>>,
    /// RFC 8414 section 2.
    #[serde(default, deserialize_with = "list")]
    pub grant_types_supported: Option<Vec<String>>,
    /// RFC 8705 section 5: where clients go that have a certificate to show.
    #[serde(default, deserialize_with = "aliases")]
    pub mtls_endpoint_aliases: Option<MtlsEndpointAliases>,
    /// Endpoints that the document names and that were left out because they are not https. Their fields are `None`.
    #[serde(skip_deserializing)]
    pub left_out: Vec<String>,
}

/// Endpoints that ask for a client's certificate, beside those that do not (RFC 8705 section 5). What is `None` has no alias.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MtlsEndpointAliases {
    /// Of the token endpoint.
    pub token_endpoint: Option<String>,
    /// Of the introspection endpoint.
    pub introspection_endpoint: Option<String>,
    /// Of the revocation endpoint.
    pub revocation_endpoint: Option<String>,
    /// Of the userinfo endpoint.
    pub userinfo_endpoint: Option<String>,
    /// Of the pushed authorization request endpoint.
    pub pushed_authorization_request_endpoint: Option<String>,
    /// Of the device authorization endpoint.
    pub device_authorization_endpoint: Option<String>,
}

/// Reads the answer to a metadata request.
///
/// # Errors
/// [`DiscoveryError::Status`] for anything but 200, [`DiscoveryError::Unparsable`] for a body that is no such document,
/// [`DiscoveryError::IssuerMismatch`] unless its issuer equals `issuer` byte by byte, [`DiscoveryError::Insecure`] for a
/// `jwks_uri` that is not https. Other endpoints that are not https are left out, see [`Metadata::left_out`].
pub fn process_metadata(
    issuer: &str,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Metadata, DiscoveryError> {
    // Someone on the way to a public issuer must not be able to point us at this machine.
    let plain_http = PlainHttp::from(issuer.starts_with("http://"));
    judge(issuer, (plain_http, plain_http), status, headers, body)
}

/// The same; `plain_http` says where the JWK Set may be plain http, and where the other endpoints.
pub(super) fn process(
    issuer: &str,
    plain_http: (PlainHttp, PlainHttp),
    response: &Response<Bytes>,
) -> Result<Metadata, DiscoveryError> {
    judge(issuer, plain_http, response.status(), response.headers(), response.body())
}

fn judge(
    issuer: &str,
    (keys_plain_http, plain_http): (PlainHttp, PlainHttp),
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Metadata, DiscoveryError> {
    if status != StatusCode::OK {
        return Err(DiscoveryError::Status { status: status.as_u16(), retry_after: retry_after(headers) });
    }
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(DiscoveryError::Unparsable);
    }
    // A derived struct reads the array of its members, too, and metadata is an object (RFC 8414 section 3.2).
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(DiscoveryError::Unparsable);
    }
    let mut metadata: Metadata = serde_json::from_slice(body).map_err(|_| DiscoveryError::Unparsable)?;
    if metadata.issuer != issuer {
        let found = metadata.issuer.chars().take(200).collect();
        return Err(DiscoveryError::IssuerMismatch { expected: issuer.to_owned(), found });
    }
    if let Some(jwks_uri) = &metadata.jwks_uri {
        endpoint(jwks_uri, keys_plain_http).map_err(|why| DiscoveryError::Insecure { what: "jwks_uri", why: why.0 })?;
    }
    let mut aliases = metadata.mtls_endpoint_aliases.take().unwrap_or_default();
    for (name, field) in [
        ("authorization_endpoint", &mut metadata.authorization_endpoint),
        ("token_endpoint", &mut metadata.token_endpoint),
        ("introspection_endpoint", &mut metadata.introspection_endpoint),
        ("revocation_endpoint", &mut metadata.revocation_endpoint),
        ("userinfo_endpoint", &mut metadata.userinfo_endpoint),
        ("end_session_endpoint", &mut metadata.end_session_endpoint),
        ("pushed_authorization_request_endpoint", &mut metadata.pushed_authorization_request_endpoint),
        ("device_authorization_endpoint", &mut metadata.device_authorization_endpoint),
        ("mtls_endpoint_aliases.token_endpoint", &mut aliases.token_endpoint),
        ("mtls_endpoint_aliases.introspection_endpoint", &mut aliases.introspection_endpoint),
        ("mtls_endpoint_aliases.revocation_endpoint", &mut aliases.revocation_endpoint),
        ("mtls_endpoint_aliases.userinfo_endpoint", &mut aliases.userinfo_endpoint),
        (
            "mtls_endpoint_aliases.pushed_authorization_request_endpoint",
            &mut aliases.pushed_authorization_request_endpoint,
        ),
        ("mtls_endpoint_aliases.device_authorization_endpoint", &mut aliases.device_authorization_endpoint),
    ] {
        if field.take_if(|url| endpoint(url, plain_http).is_err()).is_some() {
            metadata.left_out.push(name.to_owned());
        }
    }
    metadata.mtls_endpoint_aliases = Some(aliases).filter(|aliases| *aliases != MtlsEndpointAliases::default());
    Ok(metadata)
}

/// A list of strings; anything else counts as not given, for none of these lists decides anything here.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Array(items) => items.into_iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    })
}

/// The aliases; anything but an object counts as none, and so does a member that is no string.
fn aliases<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<MtlsEndpointAliases>, D::Error> {
    let Value::Object(members) = Value::deserialize(deserializer)? else { return Ok(None) };
    let texts = members.into_iter().filter(|(_, value)| value.is_string()).collect();
    Ok(serde_json::from_value(Value::Object(texts)).ok())
}
