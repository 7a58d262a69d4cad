//! A client and a file with a token in, a client that shows the token to one origin out; the file is read anew each time (RFC 6750 section 2.1).

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Response, Uri};

use super::{BoxFuture, HttpClient, HttpError, Limits};
use crate::base::file;

/// No token is longer.
const LARGEST: u64 = 64 * 1024;

/// Shows the token in a file to the servers of one origin, and to nobody else. Whoever rotates it writes the file anew: it is read for each request,
/// and a request is one in some minutes.
pub(crate) struct WithBearer {
    inner: Arc<dyn HttpClient>,
    file: PathBuf,
    origin: (Option<Scheme>, Option<Authority>),
}

impl WithBearer {
    /// For the origin of `address`.
    pub(crate) fn new(inner: Arc<dyn HttpClient>, file: &Path, address: &Uri) -> Self {
        Self { inner, file: file.to_owned(), origin: origin(address) }
    }

    fn bearer(&self) -> Result<HeaderValue, HttpError> {
        let wrong =
            |why: &dyn fmt::Display| HttpError::Broken(format!("bearer_token_file {}: {why}", self.file.display()));
        let bytes = file::read(&self.file, LARGEST).map_err(|error| wrong(&error))?;
        let token = bytes.trim_ascii();
        if token.is_empty() || token.iter().any(|byte| !byte.is_ascii_graphic()) {
            return Err(wrong(&"expected a token and nothing else"));
        }
        let mut value = HeaderValue::from_bytes(&[b"Bearer ", token].concat()).map_err(|_| wrong(&"not a token"))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

fn origin(address: &Uri) -> (Option<Scheme>, Option<Authority>) {
    (address.scheme().cloned(), address.authority().cloned())
}

impl HttpClient for WithBearer {
    fn send(&self, mut request: Request<Bytes>, limits: Limits) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        if origin(request.uri()) == self.origin {
            match self.bearer() {
                Ok(bearer) => _ = request.headers_mut().insert(AUTHORIZATION, bearer),
                Err(error) => return Box::pin(std::future::ready(Err(error))),
            }
        }
        self.inner.send(request, limits)
    }
}

impl fmt::Debug for WithBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithBearer").field("file", &self.file).field("origin", &self.origin).finish_non_exhaustive()
    }
}
