//! Tokens that are bound to somebody else's key, and what looks like a token that was let in before, out (RFC 9449 section 7, RFC 8705 section 3).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use http::header::{AUTHORIZATION, HeaderName};
use serde_json::json;
use token_core::Algorithm;

use super::super::class::Class;
use super::super::prover::{DPOP, Prover};
use super::{Attack, Bait, field};
use crate::TestKey;

impl Bait<'_> {
    pub(super) fn binding(&self, all: &mut Vec<Attack>) {
        let thumb = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
        let bound = |cnf: serde_json::Value| self.token().claim("cnf", cnf).mint();
        for (name, clause, cnf) in [
            ("bound to a key, sent as a bearer token", "RFC 9449 7.2", json!({"jkt": thumb})),
            ("bound to a certificate, sent without it", "RFC 8705 3", json!({"x5t#S256": thumb})),
            ("bound by a method that nobody knows", "RFC 7800 3.1", json!({"x-unknown": thumb})),
            ("bound by something that is no object", "RFC 7800 3.1", json!(thumb)),
            ("bound to nothing", "RFC 7800 3.1", json!({})),
        ] {
            all.push(self.bearer(Class::Binding, name, clause, &bound(cnf)));
        }
        let dpop = |token: &str| vec![(AUTHORIZATION, field("DPoP ", token))];
        let token = bound(json!({"jkt": thumb}));
        all.push(self.with(Class::Binding, "bound to a key, without a proof", "RFC 9449 7.1", dpop(&token)));
        all.push(self.with(
            Class::Binding,
            "not bound, sent as if it were",
            "RFC 9449 7.1",
            dpop(&self.token().mint()),
        ));
        let mut fields = dpop(&token);
        fields.push((HeaderName::from_static("dpop"), field("", &self.token().header("typ", "dpop+jwt").mint())));
        all.push(self.with(Class::Binding, "bound to a key, with a token for a proof", "RFC 9449 4.3", fields));
        let mut fields = vec![(AUTHORIZATION, field("Bearer ", &bound(json!({"x5t#S256": thumb}))))];
        fields.push((HeaderName::from_static("client-cert"), HeaderValue::from_static(":AA==:")));
        fields.push((HeaderName::from_static("x-forwarded-client-cert"), HeaderValue::from_static("Hash=00")));
        all.push(self.with(
            Class::Binding,
            "bound to a certificate that the client itself names",
            "RFC 9440 4",
            fields,
        ));
        if let Some((method, target)) = self.proofs_alone_at.clone() {
            let name = "bound to nothing, where proofs alone are taken";
            let attack = self.bearer(Class::Binding, name, "RFC 9449 7.2", &self.token().mint());
            all.push(Attack { method, target, ..attack });
        }
    }

    /// What is wrong with proofs, for a route that takes nothing else.
    pub(in crate::attacks) fn proofs(&self, prover: &Prover) -> Vec<Attack> {
        let (method, path) = (self.guarded.method.as_str(), self.guarded.path.as_str());
        let token = self.token().mint();
        let proof = || prover.proof(method, path, &token);
        let unbound = {
            let mut free = self.guarded.clone();
            free.key = None;
            free.token().mint()
        };
        let another = TestKey::client(Algorithm::EdDSA);
        let other_method = if method == "PUT" { "GET" } else { "PUT" };
        let sent = |scheme: &str, token: &str, proofs: &[String]| {
            let proofs = proofs.iter().map(|proof| (DPOP, field("", proof)));
            [(AUTHORIZATION, field(scheme, token))].into_iter().chain(proofs).collect::<Vec<_>>()
        };
        let mut all = Vec::new();
        for (name, clause, fields) in [
            (
                "a bound token as a bearer token, with its proof",
                "RFC 9449 7.2",
                sent("Bearer ", &token, &[proof().mint()]),
            ),
            ("a bound token without its proof", "RFC 9449 7.1", sent("DPoP ", &token, &[])),
            ("a token that is not bound, as a bearer token", "RFC 9449 7.2", sent("Bearer ", &unbound, &[])),
            ("a token that is not bound, with a proof", "RFC 9449 7.1", {
                let proof = prover.proof(method, path, &unbound).mint();
                sent("DPoP ", &unbound, &[proof])
            }),
            ("two proofs", "RFC 9449 4.3", sent("DPoP ", &token, &[proof().mint(), proof().mint()])),
            ("a proof by another key", "RFC 9449 4.3", sent("DPoP ", &token, &[proof().signed_by(&another).mint()])),
            ("a proof for another method", "RFC 9449 4.3", {
                sent("DPoP ", &token, &[prover.proof(other_method, path, &token).mint()])
            }),
            ("a proof for another URL", "RFC 9449 4.3", {
                sent("DPoP ", &token, &[prover.proof(method, &format!("{path}x"), &token).mint()])
            }),
            ("a proof for another token", "RFC 9449 4.3", {
                sent("DPoP ", &token, &[prover.proof(method, path, &unbound).mint()])
            }),
            ("a proof of an hour ago", "RFC 9449 11.1", sent("DPoP ", &token, &[proof().issued_ago(3600).mint()])),
        ] {
            all.push(self.with(Class::Binding, name, clause, fields));
        }
        if let Some((credentials, proof)) = prover.spent.clone() {
            let fields = vec![(AUTHORIZATION, credentials), (DPOP, proof)];
            all.push(self.with(Class::Binding, "a proof that came before", "RFC 9449 11.1", fields));
        }
        all
    }

    pub(super) fn cache(&self, all: &mut Vec<Attack>, good: &str) {
        // What looks like a token that was let in before, to a careless cache.
        let (message, signature) = good.rsplit_once('.').unwrap_or_default();
        let (header, _) = message.split_once('.').unwrap_or_default();
        let mut add = |name, token: String| {
            all.push(Attack {
                advisory: "GHSA-rp9m-7r4c-75qg",
                ..self.bearer(Class::Cache, name, "RFC 7515 5.2", &token)
            });
        };
        let admin = self.claims(|claims| {
            claims.insert("sub".to_owned(), json!("admin"));
        });
        add(
            "another subject under a header and signature seen before",
            format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(admin)),
        );
        let mut backwards = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
        backwards.reverse();
        let backwards = URL_SAFE_NO_PAD.encode(backwards);
        add("a signature seen before, backwards", format!("{message}.{backwards}"));
        add("a token seen before, one letter longer", format!("{good}A"));
        add("a token seen before, one letter shorter", good[..good.len() - 1].to_owned());
    }
}
