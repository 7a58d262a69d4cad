//! Encrypted tokens that have to be refused (RFC 7516, RFC 8725 section 3): what is within, what the header asks for, and how it is spelt.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use token_core::jose::encryption::{ContentEncryption, DecryptionKey, KeyManagement};

use super::super::class::Class;
use super::{Attack, Bait};
use crate::mint::TokenBuilder;

impl Bait<'_> {
    /// To a key of the attacker's always; to the API's own where it is known.
    pub(super) fn encryption(&self, all: &mut Vec<Attack>) {
        let mut add = |name, clause, advisory, token: &str| {
            all.push(Attack { advisory, ..self.bearer(Class::Encryption, name, clause, token) });
        };
        let strangers = DecryptionKey::generate(KeyManagement::EcdhEs, None).and_then(|key| key.encryption_key());
        if let Ok(stranger) = &strangers {
            add("encrypted to another key", "RFC 7516 5.2", "", &self.token().encrypted_to(stranger).mint());
        }
        let Some(key) = &self.sealed_to else { return };
        let enc = key.bound_to().unwrap_or(ContentEncryption::A256Gcm);
        let sealed = |token: TokenBuilder| token.encrypted_to(key).mint();
        let content = |text: &str| key.encrypt(enc, &serde_json::Map::new(), text.as_bytes()).unwrap_or_default();

        // What is within counts as much as without a cover.
        const UNSIGNED: &str = "CVE-2026-29000";
        let claims = self.claims(|_| {});
        add("claims that nobody signed, encrypted", "RFC 8725 3.2", UNSIGNED, &content(&claims));
        add("alg none within", "RFC 8725 3.2", UNSIGNED, &sealed(self.token().alg_none()));
        add("a forged signature within", "RFC 7515 5.2", UNSIGNED, &sealed(self.token().forged()));
        add("other claims under the signature within", "RFC 7515 5.2", UNSIGNED, &sealed(self.token().tampered()));
        add("an expired token within", "RFC 7519 4.1.4", "", &sealed(self.token().expired()));
        let foreign = self.token().audience("https://another.example");
        add("a token for somebody else within", "RFC 7519 4.1.3", "", &sealed(foreign));
        let strange = self.token().claim("iss", "https://stranger.example");
        add("a stranger's token within", "RFC 7519 4.1.1", "", &sealed(strange));
        add("a logout token within", "RFC 8725 3.11", "", &sealed(self.token().header("typ", "logout+jwt")));
        add("an encrypted token within", "RFC 7519 5.2", "", &content(&sealed(self.token())));
        add("nothing within", "RFC 7519 5.2", "", &content(" "));

        // What the header asks for.
        const BOMB: &str = "CVE-2024-28176, CVE-2024-28180, CVE-2024-33664, CVE-2024-21319";
        const ROUNDS: &str = "CVE-2022-36083, CVE-2023-52428, CVE-2023-6681";
        let outer = |name: &str, value: Value| self.token().encrypted_to(key).outer_header(name, value).mint();
        add("compressed content", "RFC 8725 3.6", BOMB, &outer("zip", json!("DEF")));
        for (name, alg) in [
            ("RSA1_5", "RSA1_5"),
            ("alg none around it", "none"),
            ("a signature algorithm around it", "RS256"),
            ("another way to wrap the key", "A128KW"),
            ("agreement with key wrapping", "ECDH-ES+A128KW"),
        ] {
            add(name, "RFC 8725 3.1", "", &outer("alg", json!(alg)));
        }
        let rounds = self.token().encrypted_to(key).outer_header("alg", "PBES2-HS512+A256KW");
        let rounds = rounds.outer_header("p2c", 2_000_000_000).outer_header("p2s", "AAAA").mint();
        add("two thousand million rounds of PBES2", "RFC 7518 4.8", ROUNDS, &rounds);
        add("an enc of 192 bits", "RFC 8725 3.1", "", &outer("enc", json!("A192GCM")));
        add("an enc that nobody knows", "RFC 8725 3.1", "", &outer("enc", json!("X")));
        add("enc is a number", "RFC 7516 4.1.2", "", &outer("enc", json!(1)));
        add("no cty", "RFC 7519 5.2", "", &outer("cty", Value::Null));
        add("a critical extension around it", "RFC 7516 4.1.13", "CVE-2025-59420", &outer("crit", json!(["x"])));
        add("an empty list of critical extensions around it", "RFC 7516 4.1.13", "", &outer("crit", json!([])));
        add("a kid of 4 KiB around it", "RFC 7516 4.1.6", "", &outer("kid", json!("k".repeat(4096))));

        // How it is spelt.
        let good = sealed(self.token());
        let parts: Vec<&str> = good.split('.').collect();
        let with = |at: usize, part: &str| {
            let mut parts = parts.clone();
            parts[at] = part;
            parts.join(".")
        };
        let decoded = |at: usize| URL_SAFE_NO_PAD.decode(parts[at]).unwrap_or_default();
        let changed = |at: usize| {
            let mut bytes = decoded(at);
            if let Some(last) = bytes.last_mut() {
                *last ^= 1;
            }
            with(at, &URL_SAFE_NO_PAD.encode(bytes))
        };
        add("another initialization vector", "RFC 7516 5.2", "", &changed(2));
        add("another ciphertext", "RFC 7516 5.2", "", &changed(3));
        add("another tag", "RFC 7516 5.2", "", &changed(4));
        if !parts[1].is_empty() {
            add("another encrypted key", "RFC 7516 11.5", "", &changed(1));
        }
        let tag = decoded(4);
        add("a tag of four bytes", "RFC 7518 5.3", "", &with(4, &URL_SAFE_NO_PAD.encode(&tag[..tag.len().min(4)])));
        for (name, at) in [("no initialization vector", 2), ("no ciphertext", 3), ("no tag", 4)] {
            add(name, "RFC 7516 5.2", "", &with(at, ""));
        }
        let header = decoded(0);
        let twice = [&header[..header.len().saturating_sub(1)], br#","alg":"dir"}"#].concat();
        add("alg twice around it", "RFC 7516 4", "", &with(0, &URL_SAFE_NO_PAD.encode(twice)));
        if key.algorithm() == KeyManagement::EcdhEs {
            // Each has a key of its sender's in it.
            let other = sealed(self.token());
            let other = other.split('.').next().unwrap_or_default();
            add("the header of another token", "RFC 7516 5.2", "", &with(0, other));
            const INVALID_CURVE: &str = "RFC 8725 3.4";
            let n = |byte: u8| URL_SAFE_NO_PAD.encode([byte; 32]);
            let point = |x: u8, y: u8| json!({"kty": "EC", "crv": "P-256", "x": n(x), "y": n(y)});
            add("a point off the curve", INVALID_CURVE, "CVE-2017-16007", &outer("epk", point(1, 1)));
            add("the point of zeros", INVALID_CURVE, "", &outer("epk", point(0, 0)));
            add("a point beyond the field", INVALID_CURVE, "", &outer("epk", point(0xff, 0xff)));
            let low = json!({"kty": "OKP", "crv": "X25519", "x": n(0)});
            add("a point of small order", INVALID_CURVE, "", &outer("epk", low));
            add("no point", "RFC 7518 4.6.1.1", "", &outer("epk", Value::Null));
            add("an apu of 3 KB", "RFC 7518 4.6.1.2", "", &outer("apu", json!("A".repeat(3000))));
        }
    }
}
