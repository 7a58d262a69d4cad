//! What an operator says of client certificates in, the digest of the one that a request came with out (RFC 8705 section 3).

use std::net::IpAddr;

use crate::base::config_error::ConfigError;
use crate::jose::signature::sha256;
use crate::policy::{CertificatePlace, MutualTlsPolicy};
use crate::request::network::{Network, any_contains};
use crate::request::presented::RequestView;
use crate::verify::possession::certificate::CertificateField;

/// Where a request's client certificate is found, for tokens that are bound to one (RFC 8705 section 3). Give it to
/// [`ResourceServerBuilder::mutual_tls`](crate::ResourceServerBuilder::mutual_tls).
///
/// # What is checked
/// On each request, also with a cached token and with one that an endpoint vouches for: that SHA-256 of the certificate equals `cnf["x5t#S256"]` of the token.
///
/// # What is not checked
/// The certificate's chain, dates and revocation. That is up to the server that terminates TLS; a self-signed certificate is enough (RFC 8705 section 2.2).
#[derive(Clone, Debug)]
pub struct MutualTls {
    from: Option<(CertificateField, Box<[Network]>)>,
}

impl MutualTls {
    /// From the connection: this server ends TLS itself. In axum and tonic a layer outside the `TokenLayer` puts a
    /// [`ClientCertificate`](crate::adapter::ClientCertificate) into the request's extensions; in actix-web `on_connect` puts it into the connection's.
    #[must_use]
    pub fn from_connection() -> Self {
        Self { from: None }
    }

    /// From a header field that a proxy at one of these addresses writes. The same field from anybody else is removed and counted.
    ///
    /// # Errors
    /// [`ConfigError`] without an address, or when the name of the field is not one in lower case.
    pub fn behind(field: CertificateField, proxies: impl IntoIterator<Item = Network>) -> Result<Self, ConfigError> {
        let proxies: Box<[Network]> = proxies.into_iter().collect();
        if proxies.is_empty() {
            return Err(ConfigError::new(
                "mutual_tls: name the addresses of the proxies that may write the certificate",
            ));
        }
        let name = field.name();
        let is_name = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !is_name || matches!(name, "authorization" | "dpop" | "cookie" | "host") {
            return Err(ConfigError::new("mutual_tls: expected the name of a header field of its own, in lower case"));
        }
        Ok(Self { from: Some((field, proxies)) })
    }

    /// What a policy says.
    pub(crate) fn of(policy: &MutualTlsPolicy) -> Result<Self, ConfigError> {
        let refuse = |why: &str| Err(ConfigError::new(format!("mutual_tls: {why}")));
        let field = match (policy.from, &policy.field) {
            (CertificatePlace::Connection, None) if policy.proxies.is_empty() => return Ok(Self::from_connection()),
            (CertificatePlace::Connection, _) => {
                return refuse(
                    "the connection has no field and no proxies: remove field and proxies, or say from which field",
                );
            }
            (CertificatePlace::ClientCert, None) => CertificateField::ClientCert,
            (CertificatePlace::Xfcc, None) => CertificateField::Xfcc,
            (CertificatePlace::XForwardedTlsClientCert, None) => CertificateField::XForwardedTlsClientCert,
            (CertificatePlace::EscapedPem, Some(name)) => CertificateField::EscapedPem(name.as_str().into()),
            (CertificatePlace::EscapedPem, None) => {
                return refuse("field: expected the name of the header field with the escaped PEM, in lower case");
            }
            (_, Some(_)) => return refuse("field is for escaped_pem alone: the others have a name of their own"),
        };
        Self::behind(field, policy.proxies.iter().copied())
    }

    /// The same as a policy.
    pub(crate) fn policy_text(&self) -> MutualTlsPolicy {
        let Some((field, proxies)) = &self.from else { return MutualTlsPolicy::new(CertificatePlace::Connection) };
        let (from, field) = match field {
            CertificateField::ClientCert => (CertificatePlace::ClientCert, None),
            CertificateField::Xfcc => (CertificatePlace::Xfcc, None),
            CertificateField::XForwardedTlsClientCert => (CertificatePlace::XForwardedTlsClientCert, None),
            CertificateField::EscapedPem(name) => (CertificatePlace::EscapedPem, Some(name.to_string())),
        };
        MutualTlsPolicy { from, field, proxies: proxies.to_vec() }
    }

    /// The digest of the client's certificate.
    pub(crate) fn digest(&self, request: &dyn RequestView) -> Option<[u8; 32]> {
        match &self.from {
            None => request.client_certificate().map(sha256),
            Some((field, _)) if self.foreign_field(request.peer()).is_none() => field.digest(request),
            Some(_) => None,
        }
    }

    /// The name of the field that this peer has no business to write.
    pub(crate) fn foreign_field(&self, peer: Option<IpAddr>) -> Option<&str> {
        let (field, proxies) = self.from.as_ref()?;
        (!any_contains(proxies, peer)).then(|| field.name())
    }
}
