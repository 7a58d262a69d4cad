//! Tokens out that are signed with a key of the attacker's, named or brought along, or by nobody (RFC 7515 section 4.1, RFC 8725 section 3.10).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::super::class::Class;
use super::{Attack, Bait};
use crate::TestKey;

impl Bait<'_> {
    pub(super) fn key(&self, all: &mut Vec<Attack>) {
        let key = self.guarded.issuer.signing_key();
        let forger = TestKey::forger(key.algorithm(), key.kid());
        let jwk = forger.public_jwk().unwrap_or_default();
        let good = self.token().mint();
        let (message, signature) = good.rsplit_once('.').unwrap_or_default();
        let mut add = |name, clause, advisory, token: &str| {
            all.push(Attack { advisory, ..self.bearer(Class::Key, name, clause, token) });
        };
        add("signed by somebody else under a published name", "RFC 7515 5.2", "", &self.token().forged().mint());
        let nameless = TestKey::forger(key.algorithm(), None);
        add(
            "signed by somebody else, no kid",
            "RFC 7515 5.2",
            "",
            &self.token().signed_by(&nameless).without_header("kid").mint(),
        );
        add(
            "signed by somebody else, a kid nobody published",
            "RFC 7515 4.1.4",
            "",
            &self.token().forged().kid("nobody").mint(),
        );
        for (name, kid) in [
            ("a kid that is a path", "../../../../dev/null"),
            ("a kid that is a query", "x' UNION SELECT 'secret'; --"),
            ("a kid that is an address", "https://evil.example/jwks.json"),
        ] {
            add(name, "RFC 7515 4.1.4", "CVE-2025-65945", &self.token().forged().kid(kid).mint());
        }
        add("a kid that is a number", "RFC 7515 4.1.4", "", &self.token().forged().header("kid", 1).mint());
        const OWN: &str = "CVE-2018-0114, CVE-2026-27962";
        add(
            "its own key in the header (jwk)",
            "RFC 7515 4.1.3, RFC 8725 3.5",
            OWN,
            &self.token().signed_by(&forger).header("jwk", jwk).mint(),
        );
        for (name, member) in [
            ("an address of keys in the header (jku)", "jku"),
            ("an address of certificates in the header (x5u)", "x5u"),
        ] {
            let token = self.token().signed_by(&forger).header(member, "https://evil.example/keys");
            add(name, "RFC 7515 4.1.2, RFC 8725 3.10", OWN, &token.mint());
        }
        let token = self.token().signed_by(&forger).header("x5c", json!([STANDARD.encode("no certificate")]));
        add("certificates in the header (x5c)", "RFC 7515 4.1.6", OWN, &token.mint());
        add("no signature", "RFC 7515 5.2", "CVE-2020-28042", &format!("{message}."));
        add(
            "half of the signature",
            "RFC 7515 5.2",
            "",
            &format!("{message}.{}", &signature[..signature.len() / 8 * 4]),
        );
        add(
            "a signature of zeros",
            "RFC 7515 5.2",
            "CVE-2022-21449",
            &format!("{message}.{}", "A".repeat(signature.len())),
        );
        let other = self.token().subject("somebody-else").mint();
        let stolen = other.rsplit('.').next().unwrap_or_default();
        add("the signature of another token", "RFC 7515 5.2", "", &format!("{message}.{stolen}"));
        add("claims changed after signing", "RFC 7515 5.2", "", &self.token().tampered().mint());
    }
}
