//! A certificate with its private key in; what mutual TLS presents, and what a bound token is compared with, out (RFC
//! 8705 sections 2 and 3).

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::error::{TokenError, misconfigured};
use crate::secret::Secret;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The client certificate for mutual TLS, with its private key. Cheap to clone.
///
/// At the token endpoint it authenticates the client (`tls_client_auth` and `self_signed_tls_client_auth`, RFC 8705
/// section 2; see [`ClientAuthentication::MutualTls`](crate::ClientAuthentication::MutualTls)). A server may also bind
/// tokens to it (section 3). Such a token is valid only on connections that present the same certificate.
/// `BearerClient` does so by itself; with a [`BearerLayer`](crate::BearerLayer), your connector must present it.
#[derive(Clone)]
pub struct ClientIdentity(Arc<Inner>);

struct Inner {
    pem: Secret,
    thumbprint: String,
}

impl ClientIdentity {
    /// Reads PEM text that contains the certificate first, then any intermediate certificates, and the private key
    /// anywhere.
    ///
    /// # Errors
    /// [`Misconfigured`](crate::TokenErrorKind::Misconfigured) without a certificate or without an unencrypted private
    /// key. Whether the two match is checked when the HTTP client is built.
    pub fn from_pem(pem: impl Into<String>) -> Result<Self, TokenError> {
        let pem = Secret::new(pem);
        let Some(certificate) = first_certificate(pem.expose()) else {
            return Err(misconfigured("the client identity holds no certificate: expected a PEM block CERTIFICATE"));
        };
        if !pem.expose().contains("PRIVATE KEY-----") || pem.expose().contains("ENCRYPTED") {
            let detail =
                "the client identity holds no private key: expected a PEM block PRIVATE KEY that is not encrypted";
            return Err(misconfigured(detail));
        }
        let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(certificate));
        Ok(Self(Arc::new(Inner { pem, thumbprint })))
    }

    /// The SHA-256 thumbprint of the certificate, as in the `cnf["x5t#S256"]` of a bound token (RFC 8705 section 3.1).
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.0.thumbprint
    }

    /// The PEM text, including the private key, for a connector of your own.
    #[must_use]
    pub fn expose_pem(&self) -> &str {
        self.0.pem.expose()
    }
}

/// The DER of the first certificate, which is the client's own (RFC 8446 section 4.4.2).
fn first_certificate(pem: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once(BEGIN)?;
    let (body, _) = rest.split_once(END)?;
    let body: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(body).ok().filter(|der| !der.is_empty())
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity").field("thumbprint", &self.0.thumbprint).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----\n";

    fn certificate(text: &str) -> String {
        format!("{BEGIN}\r\n{text}\r\n{END}\r\n")
    }

    #[test]
    fn the_thumbprint_is_that_of_the_first_certificate() {
        // echo -n leaf | openssl dgst -sha256 -binary | basenc --base64url
        let expected = "n5EWH0NDPkmm3m22gNefYBWfLkrJFyYhoShGQoFYRAs";
        let (leaf, root) = (certificate(&STANDARD.encode("leaf")), certificate(&STANDARD.encode("root")));
        for pem in [format!("{leaf}{root}{KEY}"), format!("{KEY}{leaf}{root}"), format!("text\n{leaf}text\n{KEY}")] {
            let identity = ClientIdentity::from_pem(pem).unwrap();
            assert_eq!(identity.thumbprint(), expected);
            assert!(!format!("{identity:?}").contains("Y2FuYXJ5"));
        }
    }

    #[test]
    fn a_certificate_and_a_key_have_to_be_there() {
        let leaf = certificate(&STANDARD.encode("leaf"));
        let encrypted = KEY.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        for pem in [
            String::new(),
            leaf.clone(),
            KEY.to_owned(),
            format!("{leaf}{encrypted}"),
            format!("{}{KEY}", certificate("canary!")),
            format!("{}{KEY}", certificate("")),
            format!("{BEGIN}\nbGVhZg==\n{KEY}"),
        ] {
            let error = ClientIdentity::from_pem(pem.clone()).unwrap_err();
            assert!(error.detail().contains("expected a PEM block") && !error.detail().contains("canary"), "{pem}");
        }
    }
}
