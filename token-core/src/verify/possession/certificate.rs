//! A header field in which a proxy passes the client's certificate on in, the certificate's digest out (RFC 9440, RFC 8705 section 3.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::jose::pem;
use crate::jose::signature::sha256;
use crate::request::presented::RequestView;

/// How a proxy that ends TLS writes the client's certificate.
///
/// Only the proxy may write the field: it has to remove what a client sends. This server removes the field, too, when it comes from any other
/// address than the proxy's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateField {
    /// `Client-Cert`: DER as a byte sequence, `:MIIC…:` (RFC 9440 section 2.2).
    ClientCert,
    /// `X-Forwarded-Client-Cert` of Envoy: its `Hash`, which is the SHA-256 of the certificate. Exactly one element: set Envoy to `SANITIZE_SET`.
    Xfcc,
    /// `X-Forwarded-Tls-Client-Cert` of Traefik's `passTLSClientCert` with `pem: true`: DER in base64, and behind commas what links it to its root.
    XForwardedTlsClientCert,
    /// A field of this name, in lower case, with the PEM document percent-encoded: nginx's `$ssl_client_escaped_cert`.
    EscapedPem(Box<str>),
}

impl CertificateField {
    /// The name of the field, in lower case.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::ClientCert => "client-cert",
            Self::Xfcc => "x-forwarded-client-cert",
            Self::XForwardedTlsClientCert => "x-forwarded-tls-client-cert",
            Self::EscapedPem(name) => name,
        }
    }

    /// The digest of the one certificate in the request; `None` where there is none, or several, or something else.
    pub(crate) fn digest(&self, request: &dyn RequestView) -> Option<[u8; 32]> {
        let (mut fields, mut found) = (0_usize, None);
        request.header(self.name(), &mut |value| {
            fields += 1;
            found = Some(value);
        });
        let text = std::str::from_utf8(found.filter(|_| fields == 1)?).ok()?.trim();
        match self {
            Self::ClientCert => base64(text.strip_prefix(':')?.strip_suffix(':')?),
            Self::Xfcc => xfcc(text),
            Self::XForwardedTlsClientCert => base64(text.split(',').next()?),
            Self::EscapedPem(_) => {
                let document = percent_decoded(text)?;
                let (label, der) = pem::parse(&document).ok()?;
                (label == "CERTIFICATE").then(|| sha256(&der))
            }
        }
    }
}

fn base64(der: &str) -> Option<[u8; 32]> {
    let der = STANDARD.decode(der).ok()?;
    (!der.is_empty()).then(|| sha256(&der))
}

/// One element: pairs `key=value` between semicolons, values quoted where they hold anything that would end them. A comma outside of quotes begins another element.
fn xfcc(text: &str) -> Option<[u8; 32]> {
    let (mut quoted, mut escaped, mut start) = (false, false, 0);
    let mut pairs = Vec::new();
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return None,
            b';' if !quoted => {
                pairs.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    pairs.push(&text[start..]);
    let mut hashes = pairs.iter().filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("hash").then_some(value.trim().trim_matches('"'))
    });
    let hash = hashes
        .next()
        .filter(|hash| !quoted && hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    if hashes.next().is_some() {
        return None;
    }
    let mut digest = [0; 32];
    for (at, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hash[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(digest)
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            let code = text.get(at + 1..at + 3).filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
            out.push(u8::from_str_radix(code, 16).ok()?);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::sent::Sent;

    const PEM: &str = include_str!("../../jose/testdata/p256.crt.pem");

    #[test]
    fn each_proxys_way_of_writing_gives_the_same_digest_and_nothing_else_gives_one() {
        let (_, der) = pem::parse(PEM.as_bytes()).unwrap();
        let digest = sha256(&der);
        let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let base64 = STANDARD.encode(&der);
        let escaped: String = PEM
            .bytes()
            .map(|byte| match byte {
                byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            })
            .collect();
        let nginx = || CertificateField::EscapedPem("x-client-cert".into());
        for (field, value, good) in [
            (CertificateField::ClientCert, format!(":{base64}:"), true),
            (CertificateField::ClientCert, base64.clone(), false),
            (CertificateField::ClientCert, "::".into(), false),
            (CertificateField::ClientCert, format!(":{base64}:, :{base64}:"), false),
            (CertificateField::Xfcc, format!("By=spiffe://a;Hash={hash};Subject=\"CN=a, O=\\\"b;Hash=c\\\"\""), true),
            (CertificateField::Xfcc, format!("hash={}", hash.to_uppercase()), true),
            (CertificateField::Xfcc, format!("Hash={hash},Hash={hash}"), false),
            (CertificateField::Xfcc, format!("Hash={hash};Hash={hash}"), false),
            (CertificateField::Xfcc, format!("Hash={}", &hash[1..]), false),
            (CertificateField::Xfcc, format!("Subject=\"Hash={hash}"), false),
            (CertificateField::Xfcc, "By=a".into(), false),
            (CertificateField::XForwardedTlsClientCert, base64.clone(), true),
            (CertificateField::XForwardedTlsClientCert, format!("{base64},MIIB"), true),
            (CertificateField::XForwardedTlsClientCert, format!(":{base64}:"), false),
            (CertificateField::XForwardedTlsClientCert, format!(",{base64}"), false),
            (CertificateField::XForwardedTlsClientCert, String::new(), false),
            (nginx(), escaped.clone(), true),
            (nginx(), format!("{escaped}{escaped}"), false),
            (nginx(), "%ZZ".into(), false),
            (nginx(), escaped.replace("CERTIFICATE", "PUBLIC%20KEY"), false),
            (nginx(), String::new(), false),
        ] {
            let name = match &field {
                CertificateField::ClientCert => "client-cert",
                CertificateField::Xfcc => "x-forwarded-client-cert",
                CertificateField::XForwardedTlsClientCert => "x-forwarded-tls-client-cert",
                CertificateField::EscapedPem(_) => "x-client-cert",
            };
            let seen = field.digest(&Sent::each(name, [&value]));
            assert_eq!(seen, good.then_some(digest), "{field:?} {value:.80}");
            assert_eq!(field.digest(&Sent::each(name, [&value, &value])), None, "{field:?} twice");
        }
    }
}
