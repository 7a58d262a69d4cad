//! A client identifier goes in, the client comes out: one that is known, or one whose identifier is the URL of a document about it
//! (OAuth Client ID Metadata Document, sections 3 and 4).

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, header};
use serde_json::{Map, Value, json};
use token_core::http::{HttpClient, Limits, ReqwestClient};
use url::Url;

use super::oauth_error::OAuthError;
use super::registration;
use crate::client::{Client, Proof};
use crate::tenant::Tenant;

/// The largest document that is read: 5 KiB is what the draft recommends.
const LARGEST: usize = 5 * 1024;

/// The client of this identifier. A document is read anew each time, so that a test can change it.
pub(super) async fn known(tenant: &Arc<Tenant>, id: &str) -> Result<Client, OAuthError> {
    if let Some(url) = document_url(id) {
        let client = read(url).await?;
        tenant.clients().insert(id.to_owned(), client.clone());
        return Ok(client);
    }
    tenant.clients().get(id).cloned().ok_or(OAuthError::unknown_client())
}

/// Section 3: https with a path, without fragment, credentials and dot segments. A development issuer takes http to this machine, too.
fn document_url(id: &str) -> Option<Url> {
    let url = Url::parse(id).ok()?;
    let loopback = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    let scheme = url.scheme() == "https" || url.scheme() == "http" && loopback;
    let plain = url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    // What a parser would change is not what was written: dot segments, upper case, a default port.
    (scheme && plain && url.path() != "/" && url.as_str() == id).then_some(url)
}

async fn read(url: Url) -> Result<Client, OAuthError> {
    let wrong = OAuthError::invalid_client_metadata;
    let http = ReqwestClient::builder().allow_loopback_http().build().map_err(|_| wrong("no HTTP client"))?;
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = url.as_str().parse().map_err(|_| wrong("client_id is not a URI"))?;
    request.headers_mut().insert(header::ACCEPT, header::HeaderValue::from_static("application/json"));
    let answer = http.send(request, Limits::default().max_body(LARGEST)).await;
    let answer = answer.map_err(|_| wrong("the document that client_id names cannot be read"))?;
    if answer.status() != 200 {
        return Err(wrong("the document that client_id names was not answered with 200"));
    }
    let document: Map<String, Value> = serde_json::from_slice(answer.body())
        .map_err(|_| wrong("the document that client_id names is no JSON object"))?;
    client(&url, &document)
}

fn client(url: &Url, document: &Map<String, Value>) -> Result<Client, OAuthError> {
    let wrong = OAuthError::invalid_client_metadata;
    // Section 4: to the letter.
    if document.get("client_id") != Some(&json!(url.as_str())) {
        return Err(wrong("the document names another client_id than the one it was read for"));
    }
    if document.contains_key("client_secret") || document.contains_key("client_secret_expires_at") {
        return Err(wrong("a document that everybody can read holds no secret"));
    }
    let mut document = document.clone();
    // There is no secret that both could know.
    document.entry("token_endpoint_auth_method").or_insert_with(|| json!("none"));
    let client = registration::client(url.as_str(), "", &document)?;
    match client.proof {
        Proof::Secret(_) => Err(wrong("a client of a document has no secret: its method is none or private_key_jwt")),
        Proof::Nothing | Proof::Keys(_) => Ok(client),
    }
}

pub(super) fn describe(document: &mut Map<String, Value>) {
    document.insert("client_id_metadata_document_supported".to_owned(), json!(true));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_url_with_a_path_names_a_document() {
        for (id, is_one) in [
            ("https://app.example/client.json", true),
            ("https://app.example/", false),
            ("https://app.example", false),
            ("https://app.example/a/../client.json", false),
            ("https://app.example:443/client.json", false),
            ("https://user@app.example/client.json", false),
            ("https://app.example/client.json#x", false),
            ("http://app.example/client.json", false),
            ("http://127.0.0.1:3000/client.json", true),
            ("test-client", false),
        ] {
            assert_eq!(document_url(id).is_some(), is_one, "{id}");
        }
    }
}
