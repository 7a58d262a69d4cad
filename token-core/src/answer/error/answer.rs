//! A refusal as plain values: status, header fields and body (RFC 9110, RFC 6750 section 3, RFC 9457), for an adapter to copy.

use super::ErrorKind;

/// The HTTP answer to a refused request, as plain values. Copy them into the response type of your framework; the adapters do the same.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Value of `WWW-Authenticate`, for 400, 401 and 403.
    pub www_authenticate: Option<String>,
    /// Value of `Retry-After` in whole seconds, at least one.
    pub retry_after: Option<u64>,
    /// Value of [`Answer::EXPLANATION`], where the operator switched it on
    /// ([`ResourceServerBuilder::explain_in_responses`](crate::ResourceServerBuilder::explain_in_responses)).
    pub explanation: Option<String>,
    /// Value of `DPoP-Nonce`, which the client puts into its next proof (RFC 9449 section 9).
    pub dpop_nonce: Option<String>,
    /// Value of `Access-Control-Expose-Headers`, where DPoP is on: without it scripts in browsers cannot read the challenge and the nonce.
    pub exposed: Option<&'static str>,
    /// The media type of [`Answer::body`].
    pub content_type: &'static str,
    /// The body: a problem document (RFC 9457), unless the application writes its own.
    pub body: String,
}

impl Answer {
    /// The media type of the default body.
    pub const CONTENT_TYPE: &'static str = "application/problem+json";
    /// The header field, in lower case, that carries [`Answer::explanation`].
    pub const EXPLANATION: &'static str = "token-explanation";
    /// The header field, in lower case, that carries [`Answer::dpop_nonce`].
    pub const DPOP_NONCE: &'static str = "dpop-nonce";
    /// The header fields that a CORS layer must expose for DPoP.
    pub const EXPOSED: &'static str = "www-authenticate, dpop-nonce";

    /// The value of `Cache-Control` of every refusal: it is about one caller and one moment, and a nonce in it is good once (RFC 9449 section 8.2).
    pub const CACHE_CONTROL: &'static str = "no-store";

    /// The header fields of the answer as (name in lower case, value), without `content-type`.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, String)> {
        [
            ("cache-control", Some(Self::CACHE_CONTROL.to_owned())),
            ("www-authenticate", self.www_authenticate.clone()),
            ("retry-after", self.retry_after.map(|seconds| seconds.to_string())),
            (Self::EXPLANATION, self.explanation.clone()),
            (Self::DPOP_NONCE, self.dpop_nonce.clone()),
            ("access-control-expose-headers", self.exposed.map(str::to_owned)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}

/// The problem document of a kind (RFC 9457).
pub(super) fn problem(kind: ErrorKind) -> String {
    let title = match kind.status() {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    };
    // Every part is one of our own constants without a character that JSON would escape.
    let code = kind.code().map(|code| format!(",\"error\":\"{code}\"")).unwrap_or_default();
    format!("{{\"title\":\"{title}\",\"status\":{},\"detail\":\"{}\"{code}}}", kind.status(), kind.public_text())
}
