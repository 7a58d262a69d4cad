//! Encrypted tokens that have to be refused (RFC 7516, RFC 8725 section 3): what is within, what the header asks for, and how it is spelt.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use token_core::jose::encryption::{ContentEncryption, DecryptionKey, EncryptionKey, KeyManagement};

use super::super::class::Class;
use super::{Attack, Bait};
use crate::mint::TokenBuilder;

const UNPROTECTED: &str = "CVE-2024-21664";
const KEY: &str = "CVE-2018-0114";
const CONFUSION: &str = "CVE-2016-10555";

impl Bait<'_> {
    /// To a key of the attacker's always; to the API's own where it is known.
    pub(super) fn encryption(&self, all: &mut Vec<Attack>) {
        let mut add = |name, clause, advisory, token: &str| {
            all.push(Attack { advisory, ..self.bearer(Class::Encryption, name, clause, token) });
        };
        let strangers = DecryptionKey::generate(KeyManagement::EcdhEs, None).and_then(|key| key.encryption_key());
        if let Ok(stranger) = &strangers {
            let encrypted = || self.token().encrypted_to(stranger);
            add("encrypted to another key", "RFC 7516 5.2", "", &encrypted().mint());
            let json = in_json(&encrypted().mint());
            add("an encrypted token in JSON, with a header that nothing covers", "RFC 7519 1", UNPROTECTED, &json);
        }
        let (Some(key), Ok(stranger)) = (&self.sealed_to, &strangers) else { return };
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
        add("a signed token in JSON within", "RFC 7519 1", "CVE-2022-39227", &content(&in_json(&self.token().mint())));
        let mut thrice = self.token().mint();
        for _ in 0..3 {
            thrice = content(&thrice);
        }
        add("encrypted three times", "RFC 7519 5.2", "", &thrice);
        add("a blank before the token within", "RFC 7519 7.2", "", &content(&format!(" {}", self.token().mint())));

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
        add("another cty", "RFC 7519 5.2", "", &outer("cty", json!("text/plain")));
        add("cty is a list", "RFC 7516 4.1.12", "", &outer("cty", json!(["JWT"])));
        add("a critical extension around it", "RFC 7516 4.1.13", "CVE-2025-59420", &outer("crit", json!(["x"])));
        add("an empty list of critical extensions around it", "RFC 7516 4.1.13", "", &outer("crit", json!([])));
        add("a kid of 4 KiB around it", "RFC 7516 4.1.6", "", &outer("kid", json!("k".repeat(4096))));
        // A key without a name is tried for every token.
        if key.kid().is_some() {
            add("a kid that nobody has", "RFC 7516 4.1.6", "", &outer("kid", json!("nobody")));
        }
        add("forty members around it", "RFC 8725 2.4", "", &{
            let token = self.token().encrypted_to(key);
            (0..40).fold(token, |token, n| token.outer_header(&format!("x{n}"), n)).mint()
        });
        let theirs = self.token().encrypted_to(stranger).outer_header("kid", key.kid().unwrap_or_default());
        add("encrypted to another key under our name", "RFC 7516 4.1.6", "", &theirs.mint());
        let jwk = stranger.public_jwk().unwrap_or_default();
        add("its own key around it (jwk)", "RFC 8725 3.10", KEY, &theirs.clone().outer_header("jwk", jwk).mint());
        let jku = theirs.outer_header("jku", "https://stranger.example/keys").mint();
        add("an address of keys around it (jku)", "RFC 8725 3.10", KEY, &jku);
        // The public half is no secret: who takes it for one lets everybody in.
        if let Some(secret) = public_secret(key) {
            let named = json!({"kid": key.kid()});
            let header = named.as_object().cloned().unwrap_or_default();
            let token = secret.encrypt(ContentEncryption::A256Gcm, &header, self.token().mint().as_bytes());
            add("dir, with the public key as its secret", "RFC 8725 2.1", CONFUSION, &token.unwrap_or_default());
        }

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
        for (name, at) in
            [("an encrypted key of 4 KiB", 1), ("an initialization vector of 4 KiB", 2), ("a tag of 4 KiB", 4)]
        {
            add(name, "RFC 8725 2.4", "CVE-2025-61920", &with(at, &URL_SAFE_NO_PAD.encode([0; 4096])));
        }
        if parts[1].is_empty() {
            add("an encrypted key where none belongs", "RFC 7516 5.2", "", &with(1, "AAAA"));
        } else {
            add("no encrypted key", "RFC 7516 5.2", "", &with(1, ""));
            let beyond = with(1, &URL_SAFE_NO_PAD.encode(vec![0xff; decoded(1).len()]));
            add("an encrypted key beyond the modulus", "RFC 8017 7.1.2", "", &beyond);
        }
        add("a sixth part", "RFC 7516 7.1", "", &format!("{good}.AAAA"));
        add("only four of its parts", "RFC 7516 7.1", "", &parts[..4].join("."));
        add("four dots", "RFC 7516 7.1", "CVE-2025-27144", "....");
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
            let other = json!({"kty": "EC", "crv": "P-384", "x": n(1), "y": n(1)});
            add("a point on another curve", INVALID_CURVE, "", &outer("epk", other));
            let mut short = point(1, 1);
            short["x"] = json!("AQ");
            add("a point with a short coordinate", "RFC 7518 6.2.1.2", "", &outer("epk", short));
            add("a point that is a text", "RFC 7518 4.6.1.1", "", &outer("epk", json!("x")));
            add("an apu of 3 KB", "RFC 7518 4.6.1.2", "", &outer("apu", json!("A".repeat(3000))));
            add("an apv of 3 KB", "RFC 7518 4.6.1.3", "", &outer("apv", json!("A".repeat(3000))));
            add("an apv that is a number", "RFC 7518 4.6.1.3", "", &outer("apv", json!(1)));
        }
    }
}

/// The JSON serialization of a token (RFC 7515 section 7.2.2, RFC 7516 section 7.2.2), with members that nothing covers.
fn in_json(token: &str) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let members = match parts[..] {
        [protected, payload, signature] => json!({"protected": protected, "payload": payload, "signature": signature}),
        [protected, key, iv, ciphertext, tag] => json!({
            "protected": protected, "encrypted_key": key, "iv": iv, "ciphertext": ciphertext, "tag": tag,
            "unprotected": {"alg": "dir"}, "header": {"zip": "DEF"},
        }),
        _ => Value::Null,
    };
    members.to_string()
}

/// The first 256 bits of a public key as a secret of `dir`.
fn public_secret(key: &EncryptionKey) -> Option<EncryptionKey> {
    let jwk = key.public_jwk()?;
    let number = jwk.get("x").or_else(|| jwk.get("n"))?.as_str()?;
    let bytes = URL_SAFE_NO_PAD.decode(number).ok()?;
    DecryptionKey::direct(ContentEncryption::A256Gcm, None, bytes.get(..32)?).ok()?.encryption_key().ok()
}
