//! Other spellings of a token, and headers that demand something, out (RFC 7515 sections 2, 3 and 4).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use super::super::class::Class;
use super::{Attack, Bait};
use crate::mint::TokenBuilder;

impl Bait<'_> {
    pub(super) fn encoding(&self, all: &mut Vec<Attack>) {
        let good = self.token().mint();
        let parts: Vec<&str> = good.split('.').collect();
        let [header, claims, signature] = parts[..] else { return };
        let mut add = |name, clause, advisory, token: &str| {
            all.push(Attack { advisory, ..self.bearer(Class::Encoding, name, clause, token) });
        };
        add("padded parts", "RFC 7515 2", "", &self.token().padded().claim("pad", "x").mint());
        let standard = |part: &str| STANDARD.encode(URL_SAFE_NO_PAD.decode(part).unwrap_or_default());
        add("the alphabet of plain Base64", "RFC 7515 2", "", &format!("{header}.{claims}.{}", standard(signature)));
        add(
            "a blank in the claims",
            "RFC 7515 2",
            "",
            &format!("{header}.{} {}.{signature}", &claims[..8], &claims[8..]),
        );
        add("one part", "RFC 7519 7.2", "", header);
        add("two parts", "RFC 7519 7.2", "", &format!("{header}.{claims}"));
        add("four parts", "RFC 7519 7.2", "", &format!("{good}.{signature}"));
        add(
            "five parts, as if encrypted",
            "RFC 7519 7.2",
            "CVE-2026-29000",
            &format!("{header}.{claims}.{signature}.{claims}.{signature}"),
        );
        add("a dot before it", "RFC 7519 7.2", "", &format!(".{good}"));
        add("a thousand dots", "RFC 7519 7.2", "CVE-2025-27144, CVE-2025-30204", &".".repeat(1000));
        add("one odd letter at the end", "RFC 7515 2", "", &format!("{good}!"));
        let latin = URL_SAFE_NO_PAD.encode(b"{\"alg\":\"RS256\",\"x\":\"\xe9\"}");
        add("a header that is not UTF-8", "RFC 7515 3", "", &format!("{latin}.{claims}.{signature}"));
        let marked = [b"\xef\xbb\xbf", URL_SAFE_NO_PAD.decode(header).unwrap_or_default().as_slice()].concat();
        add(
            "a header with a byte order mark",
            "RFC 8259 8.1",
            "",
            &format!("{}.{claims}.{signature}", URL_SAFE_NO_PAD.encode(marked)),
        );
        let json = json!({"payload": claims, "protected": header, "signature": signature}).to_string();
        add("the JSON serialization", "RFC 7519 3", "CVE-2022-39227", &json);
        for (name, size) in [("a token of 64 KiB", 64 << 10), ("a token of a megabyte", 1 << 20)] {
            let token = self.token().claim("pad", "x".repeat(size)).mint();
            let giant = self.bearer(Class::Encoding, name, "RFC 9110 5.4", &token);
            all.push(Attack { giant: true, advisory: "CVE-2025-61920", ..giant });
        }
    }

    pub(super) fn header(&self, all: &mut Vec<Attack>) {
        let mut add = |name, clause, advisory, token: TokenBuilder| {
            all.push(Attack { advisory, ..self.bearer(Class::Header, name, clause, &token.mint()) });
        };
        const CRIT: &str = "CVE-2025-59420, CVE-2026-32597";
        let of = |crit: serde_json::Value| self.token().header("crit", crit).header("x", 1);
        add("a critical extension that nobody knows", "RFC 7515 4.1.11", CRIT, of(json!(["x"])));
        add("an empty list of critical extensions", "RFC 7515 4.1.11", CRIT, of(json!([])));
        add("critical extensions that are a text", "RFC 7515 4.1.11", CRIT, of(json!("x")));
        add(
            "a payload that is not encoded",
            "RFC 7797 6",
            CRIT,
            self.token().header("b64", false).header("crit", json!(["b64"])),
        );
        add("a compressed payload", "RFC 7516 4.1.3", "CVE-2024-28176", self.token().header("zip", "DEF"));
        let good = self.token().mint();
        let json = good.split('.').next().and_then(|part| URL_SAFE_NO_PAD.decode(part).ok()).unwrap_or_default();
        let json = String::from_utf8_lossy(&json).into_owned();
        let twice = format!("{{\"alg\":\"none\",{}", json.trim_start_matches('{'));
        add("an algorithm twice", "RFC 7515 4", "", self.token().raw_header(twice));
        add("a header that is a list", "RFC 7515 4", "", self.token().raw_header(format!("[{json}]")));
    }
}
