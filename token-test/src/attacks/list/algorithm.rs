//! Tokens whose algorithm is the attacker's choice, out (RFC 8725 sections 3.1 and 3.2).

use token_core::Algorithm;

use super::super::class::Class;
use super::{Attack, Bait};
use crate::TestKey;

impl Bait<'_> {
    pub(super) fn algorithm(&self, all: &mut Vec<Attack>) {
        let key = self.guarded.issuer.signing_key();
        let mut add = |name, clause, advisory, token: &str| {
            all.push(Attack { advisory, ..self.bearer(Class::Algorithm, name, clause, token) });
        };
        const NONE: &str = "CVE-2015-9235, CVE-2022-23540";
        for (name, alg) in [
            ("alg none, no signature", "none"),
            ("alg None, no signature", "None"),
            ("alg NONE, no signature", "NONE"),
            ("alg nOnE, no signature", "nOnE"),
            ("an empty alg, no signature", ""),
        ] {
            add(name, "RFC 8725 3.2", NONE, &self.token().alg_none().header("alg", alg).mint());
        }
        let unsigned = self.token().header("alg", "none").mint();
        add("alg none with a signature that is good for another header", "RFC 8725 3.2", NONE, &unsigned);
        add("no alg", "RFC 7515 4.1.1", "", &self.token().raw_header(r#"{"typ":"at+jwt"}"#).mint());
        add("alg is a number", "RFC 7515 4.1.1", "", &self.token().header("alg", 256).mint());
        add("alg is null", "RFC 7515 4.1.1", "", &self.token().header("alg", serde_json::Value::Null).mint());
        add(
            "alg in small letters",
            "RFC 7515 4.1.1",
            "",
            &self.token().header("alg", key.algorithm().name().to_lowercase()).mint(),
        );
        const CONFUSED: &str = "CVE-2016-10555, CVE-2022-29217";
        if let Some(pem) = key.public_pem() {
            let secret = |algorithm, text: &str| {
                self.token().signed_by(&TestKey::from_secret(algorithm, key.kid(), text)).mint()
            };
            add("the public key as PEM for an HS256 secret", "RFC 8725 3.1", CONFUSED, &secret(Algorithm::HS256, pem));
            add(
                "the same without the last line break",
                "RFC 8725 3.1",
                CONFUSED,
                &secret(Algorithm::HS256, pem.trim_end()),
            );
            add("the public key as PEM for an HS512 secret", "RFC 8725 3.1", CONFUSED, &secret(Algorithm::HS512, pem));
        }
        let empty = TestKey::from_secret(Algorithm::HS256, key.kid(), "");
        add("an empty HS256 secret", "RFC 7518 3.2", "CVE-2026-44351", &self.token().signed_by(&empty).mint());
        let guess = TestKey::from_secret(Algorithm::HS256, key.kid(), "secret");
        add("a guessed HS256 secret", "RFC 7518 3.2", "CVE-2026-45363", &self.token().signed_by(&guess).mint());
        let other = if key.algorithm() == Algorithm::ES256 { Algorithm::RS256 } else { Algorithm::ES256 };
        let stranger = TestKey::forger(other, key.kid());
        add(
            "another algorithm under the name of a published key",
            "RFC 8725 3.1",
            "",
            &self.token().signed_by(&stranger).mint(),
        );
    }
}
