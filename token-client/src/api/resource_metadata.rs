//! The URL of an API in, the URLs of its metadata and their content out (RFC 9728 sections 2, 3.1 and 3.3). Pure.

use serde::Deserialize;
use url::{Position, Url};

use super::documents;
use crate::error::{TokenError, TokenErrorKind};

/// The metadata of an API (RFC 9728 section 2), as far as a client needs it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ResourceMetadata {
    /// The resource identifier, which tokens are requested for (RFC 8707).
    pub resource: String,
    /// The issuers whose tokens the API accepts.
    #[serde(default)]
    pub authorization_servers: Vec<String>,
    /// The scopes that the API uses.
    pub scopes_supported: Option<Vec<String>>,
}

/// The URLs at which the metadata of an API may be, in order: with the well-known part between host and path (RFC 9728
/// section 3.1), then at the root of the host, as the Model Context Protocol adds.
///
/// ```
/// let urls = token_client::resource_metadata_urls(&"https://api.example.com/mcp".parse()?);
/// assert_eq!(urls[0].as_str(), "https://api.example.com/.well-known/oauth-protected-resource/mcp");
/// assert_eq!(urls[1].as_str(), "https://api.example.com/.well-known/oauth-protected-resource");
/// # Ok::<(), url::ParseError>(())
/// ```
#[must_use]
pub fn resource_metadata_urls(api: &Url) -> Vec<Url> {
    let origin = Url::parse(&api[..Position::BeforePath]).ok();
    let mut places: Vec<Url> = [Some(well_known(api)), origin.as_ref().map(well_known)].into_iter().flatten().collect();
    places.dedup();
    places
}

/// The URL of a resource's metadata (RFC 9728 section 3.1).
fn well_known(resource: &Url) -> Url {
    let mut place = resource.clone();
    let path = if resource.path() == "/" { "" } else { resource.path() };
    place.set_path(&format!("/.well-known/oauth-protected-resource{path}"));
    place
}

/// Reads the metadata of the API at `api`, which was found at `place`.
///
/// The document must be about this API (RFC 9728 section 3.3): its `resource` is the API's URL. MCP servers often name
/// a URL above it on the same host, such as `https://h/a` for `https://h/a/b`; this is accepted if the document is at
/// the well-known URL of that resource, since only its owner can put it there. So an API that owns one path of a host
/// cannot obtain tokens for the whole host. A trailing slash makes no difference.
///
/// # Errors
/// [`Malformed`](TokenErrorKind::Malformed): not a JSON object of this form, or it names no authorization server.
/// [`UntrustedMetadata`](TokenErrorKind::UntrustedMetadata): it is about another resource.
pub fn process_resource_metadata(api: &Url, place: &Url, body: &[u8]) -> Result<ResourceMetadata, TokenError> {
    let metadata: ResourceMetadata = documents::object(body)?;
    if !covers(&metadata.resource, api, place) {
        let detail = "the metadata is about another resource than the one it was read for";
        return Err(TokenError::new(TokenErrorKind::UntrustedMetadata, detail));
    }
    if metadata.authorization_servers.is_empty() {
        let detail = "the API's metadata names no authorization server; expected authorization_servers in it";
        return Err(TokenError::new(TokenErrorKind::Malformed, detail));
    }
    Ok(metadata)
}

fn covers(resource: &str, api: &Url, place: &Url) -> bool {
    let Ok(resource) = Url::parse(resource) else { return false };
    let same_host = resource[..Position::BeforePath] == api[..Position::BeforePath];
    let Some(below) = api.path().strip_prefix(resource.path().trim_end_matches('/')) else { return false };
    let same = matches!(below, "" | "/") && resource.query() == api.query();
    let above = below.starts_with('/') && resource.query().is_none() && well_known(&resource) == *place;
    same_host && (same || above) && resource.fragment().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_well_known_part_goes_between_host_and_path() {
        for (api, expected) in [
            ("https://a.example", &["https://a.example/.well-known/oauth-protected-resource"][..]),
            ("https://a.example/", &["https://a.example/.well-known/oauth-protected-resource"]),
            (
                "https://a.example:8443/m/x?t=1",
                &[
                    "https://a.example:8443/.well-known/oauth-protected-resource/m/x?t=1",
                    "https://a.example:8443/.well-known/oauth-protected-resource",
                ],
            ),
        ] {
            let found = resource_metadata_urls(&api.parse().unwrap());
            assert_eq!(found.iter().map(Url::as_str).collect::<Vec<_>>(), expected, "{api}");
        }
    }

    #[test]
    fn only_metadata_about_the_api_itself_counts() {
        let api: Url = "https://a.example/v1/mcp".parse().unwrap();
        let (own, root) = ("/.well-known/oauth-protected-resource/v1/mcp", "/.well-known/oauth-protected-resource");
        let above = "/.well-known/oauth-protected-resource/v1";
        for (place, resource, counts) in [
            (own, "https://a.example/v1/mcp", true),
            (own, "https://a.example/v1/mcp/", true),
            (own, "https://A.example:443/v1/mcp", true),
            // Wherever the challenge says.
            ("/v1/mcp/metadata", "https://a.example/v1/mcp", true),
            (root, "https://a.example/v1/mcp", true),
            // What is above it is the business of whoever has the place for that.
            (root, "https://a.example", true),
            (root, "https://a.example/", true),
            (above, "https://a.example/v1", true),
            (above, "https://A.example/v1", true),
            (above, "https://a.example:443/v1", true),
            (own, "https://a.example/v1", false),
            (own, "https://a.example", false),
            (root, "https://a.example/v1", false),
            (above, "https://a.example", false),
            ("/v1/mcp/metadata", "https://a.example", false),
            ("/v1/mcp/.well-known/oauth-protected-resource", "https://a.example", false),
            (own, "https://a.example/v1/mcp/x", false),
            (own, "https://a.example/v1/m", false),
            (own, "https://a.example/v2", false),
            (own, "https://a.example/v1/mcp?x=1", false),
            (above, "https://a.example/v1?x=1", false),
            (own, "http://a.example/v1/mcp", false),
            (own, "https://a.example:8443/v1/mcp", false),
            (own, "https://evil.example/v1/mcp", false),
            (own, "https://a.example@evil.example/v1/mcp", false),
            (own, "urn:a", false),
            (own, "", false),
        ] {
            let place = api.join(place).unwrap();
            let body = serde_json::json!({ "resource": resource, "authorization_servers": ["https://as.example"] });
            let outcome = process_resource_metadata(&api, &place, body.to_string().as_bytes());
            let kind = outcome.err().map(|error| error.kind());
            assert_eq!(kind, (!counts).then_some(TokenErrorKind::UntrustedMetadata), "{resource} at {place}");
        }
    }

    #[test]
    fn what_is_no_metadata_is_told_from_what_is() {
        let api: Url = "https://a.example".parse().unwrap();
        for body in [
            "",
            "<html>",
            "[]",
            r#"["https://a.example", ["https://as.example"], null]"#,
            r#"{"resource":"https://a.example"}"#,
            r#"{"resource":"https://a.example","authorization_servers":[]}"#,
            r#"{"resource":"https://a.example","authorization_servers":"https://as.example"}"#,
            r#"{"resource":7,"authorization_servers":["https://as.example"]}"#,
            r#"{"authorization_servers":["https://as.example"]}"#,
        ] {
            let error = process_resource_metadata(&api, &api, body.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), TokenErrorKind::Malformed, "{body}");
        }
    }
}
