//! Tokens that are bound to a client certificate (RFC 8705 section 3).

use super::*;
use crate::gate::possession::MutualTls;

fn digest(der: &[u8]) -> String {
    crate::jose::base64url::encode(&sha256(der))
}

#[test]
fn a_token_that_is_bound_to_a_certificate_passes_with_that_certificate_alone() {
    use ErrorKind::{SenderConstrained, Unbound};
    let of_cert = token(json!({"cnf": {"x5t#S256": digest(b"certificate")}}));
    let of_both =
        token(json!({"cnf": {"x5t#S256": digest(b"certificate"), "jkt": key().thumbprint().unwrap().to_string()}}));
    let unbound = token(json!({}));
    let bearer = |token: &str| Request::get("/users").field("authorization", format!("Bearer {token}"));
    let shown = |request: Request, der: &'static [u8]| Request { certificate: Some(der), ..request };
    let mutual = || Gate::with(issuer(), |builder| builder.mutual_tls(MutualTls::from_connection()));
    let both = || Gate::with(issuer(), |builder| builder.mutual_tls(MutualTls::from_connection()).dpop(here()));
    for (name, gate, request, expected) in [
        ("its certificate", mutual(), shown(bearer(&of_cert), b"certificate"), None),
        ("another certificate", mutual(), shown(bearer(&of_cert), b"another"), Some(SenderConstrained)),
        ("an empty one", mutual(), shown(bearer(&of_cert), b""), Some(SenderConstrained)),
        ("no certificate", mutual(), bearer(&of_cert), Some(SenderConstrained)),
        (
            "a header that nobody asked for",
            mutual(),
            bearer(&of_cert).field("client-cert", ":Y2VydGlmaWNhdGU=:"),
            Some(SenderConstrained),
        ),
        ("an unbound token with a certificate", mutual(), shown(bearer(&unbound), b"certificate"), None),
        ("an unbound token", mutual(), bearer(&unbound), None),
        (
            "bound to a key, too, which nobody checks",
            mutual(),
            shown(bearer(&of_both), b"certificate"),
            Some(SenderConstrained),
        ),
        ("with DPoP on: its certificate", both(), shown(bearer(&of_cert), b"certificate"), None),
        ("certificate and proof", both(), shown(proved(&of_both, &proof(&of_both)), b"certificate"), None),
        ("a proof without the certificate", both(), proved(&of_both, &proof(&of_both)), Some(SenderConstrained)),
        ("the certificate without a proof", both(), shown(bearer(&of_both), b"certificate"), Some(SenderConstrained)),
        (
            "the scheme DPoP for a certificate",
            both(),
            shown(proved(&of_cert, &proof(&of_cert)), b"certificate"),
            Some(Unbound),
        ),
    ] {
        assert_eq!(kind(&gate, &request), expected, "{name}: {:?}", verdict(&gate, &request));
        if expected.is_none() && !name.contains("proof") {
            let again = verdict(&gate, &request).expect("a certificate is shown as often as one likes");
            assert_eq!(again.binding().is_some(), again.require_bound().is_ok(), "{name}");
            assert_eq!(again.binding().is_some(), !name.contains("unbound"), "{name}");
        }
        let bare = Request { certificate: None, ..request };
        assert!(
            name.contains("unbound") || verdict(&gate, &bare).is_err(),
            "{name}, remembered, without the certificate"
        );
    }
    let answer = verdict(&mutual(), &bearer(&of_cert)).unwrap_err().answer();
    assert!(answer.www_authenticate.unwrap().starts_with(r#"Bearer error="invalid_token""#));
}

#[test]
fn a_header_holds_a_certificate_when_a_named_proxy_has_written_it() {
    let proxy: std::net::IpAddr = "10.0.0.7".parse().unwrap();
    let of_cert = token(json!({"cnf": {"x5t#S256": digest(b"certificate")}}));
    let tls = MutualTls::behind(crate::verify::possession::certificate::CertificateField::ClientCert, [proxy.into()])
        .unwrap();
    let gate = Gate::with(issuer(), |builder| builder.mutual_tls(tls));
    let request = |peer: Option<&str>| {
        let request = Request::get("/").field("authorization", format!("Bearer {of_cert}"));
        peer.into_iter().fold(request.field("client-cert", ":Y2VydGlmaWNhdGU=:"), Request::peer)
    };
    for (peer, good) in [
        (Some("10.0.0.7"), true),
        (Some("::ffff:10.0.0.7"), true),
        (Some("10.0.0.8"), false),
        (Some("127.0.0.1"), false),
        (None, false),
    ] {
        assert_eq!(kind(&gate, &request(peer)), (!good).then_some(ErrorKind::SenderConstrained), "{peer:?}");
        let admission = crate::gate::outcome::Admission::new(gate.api.clone());
        let peer = peer.map(|peer| peer.parse().unwrap());
        assert_eq!(admission.foreign_field(peer, |_| true).as_deref(), (!good).then_some("client-cert"));
        assert_eq!(admission.foreign_field(peer, |_| false), None);
    }
    // What the connection says does not count where a header is agreed.
    let own = Request {
        certificate: Some(b"certificate"),
        ..Request::get("/").field("authorization", format!("Bearer {of_cert}"))
    };
    assert_eq!(kind(&gate, &own), Some(ErrorKind::SenderConstrained));
    for (name, proxies) in [
        ("X-Cert", vec![proxy.into()]),
        ("", vec![proxy.into()]),
        ("authorization", vec![proxy.into()]),
        ("x-cert", vec![]),
    ] {
        let field = crate::verify::possession::certificate::CertificateField::EscapedPem(name.into());
        assert!(MutualTls::behind(field, proxies).is_err(), "{name}");
    }
}
