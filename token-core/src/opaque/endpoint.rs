//! One exchange with an endpoint that is asked about tokens: a request in, the whole response out, within limits.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};

use super::OpaqueError;
use crate::base::http::{HttpClient, Limits};

/// No honest answer about one token is larger.
const LARGEST: usize = 64 * 1024;

/// An endpoint, the client that talks to it, and how long an answer may take.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) client: Arc<dyn HttpClient>,
    pub(crate) uri: Uri,
    pub(crate) timeout: Duration,
}

impl Exchange {
    /// Sends `request` to the endpoint.
    pub(crate) async fn send(
        &self,
        mut request: Request<Bytes>,
        accept: &'static str,
    ) -> Result<Response<Bytes>, OpaqueError> {
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
        let limits = Limits::default().timeout(self.timeout).max_body(LARGEST);
        let response = self.client.send(request, limits).await.map_err(OpaqueError::Http)?;
        if response.headers().get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            return Err(OpaqueError::Unusable("it is compressed, which was not asked for"));
        }
        Ok(response)
    }
}

/// The media type without its parameters, in lower case.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
