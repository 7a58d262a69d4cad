//! Tokens of somebody else, and for somebody else, out (RFC 7519 sections 4.1.1 and 4.1.3).

use serde_json::json;

use super::super::class::Class;
use super::{Attack, Bait, shorter};
use crate::mint::TokenBuilder;

impl Bait<'_> {
    pub(super) fn issuer(&self, all: &mut Vec<Attack>) {
        let ours = self.guarded.issuer.url();
        let mut add = |name, clause, advisory, token: TokenBuilder| {
            all.push(Attack { advisory, ..self.bearer(Class::Issuer, name, clause, &token.mint()) });
        };
        add("another issuer", "RFC 7519 4.1.1", "", self.token().issuer("https://evil.example/"));
        add("no issuer", "RFC 9068 2.2", "", self.token().without("iss"));
        add("an empty issuer", "RFC 7519 4.1.1", "", self.token().issuer(""));
        let slash = ours.strip_suffix('/').map_or_else(|| format!("{ours}/"), str::to_owned);
        add("the issuer with another end", "RFC 9207 2.4", "CVE-2024-53861", self.token().issuer(&slash));
        add("the issuer in capitals", "RFC 7519 4.1.1", "", self.token().issuer(&ours.to_uppercase()));
        add(
            "the issuer as a prefix",
            "RFC 7519 4.1.1",
            "CVE-2024-53861",
            self.token().issuer(&format!("{ours}.evil.example")),
        );
        add("a part of the issuer", "RFC 7519 4.1.1", "CVE-2024-53861", self.token().issuer(&shorter(ours)));
        add(
            "the issuer in a list",
            "RFC 7519 4.1.1",
            "CVE-2025-30144",
            self.token().claim("iss", json!(["https://evil.example/", ours])),
        );
        add("the issuer in an object", "RFC 7519 4.1.1", "", self.token().claim("iss", json!({ours: true})));
    }

    pub(super) fn audience(&self, all: &mut Vec<Attack>) {
        let ours = self.guarded.issuer.audience();
        let mut add = |name, advisory, aud: serde_json::Value| {
            all.push(Attack {
                advisory,
                ..self.bearer(Class::Audience, name, "RFC 7519 4.1.3", &self.token().claim("aud", aud).mint())
            });
        };
        add("another audience", "CVE-2025-62610", json!("https://another.example"));
        add("other audiences", "CVE-2025-62610", json!(["https://another.example", "https://third.example"]));
        add("an empty audience", "CVE-2020-26160", json!(""));
        add("no audience in the list", "CVE-2020-26160", json!([]));
        add("the audience is null", "CVE-2020-26160", json!(null));
        add("the audience in an object", "CVE-2020-26160", json!({ours: true}));
        add("the audience in a list in a list", "CVE-2020-26160", json!([[ours]]));
        add("the audience as a prefix", "", json!(format!("{ours}.evil.example")));
        add("a part of the audience", "", json!(shorter(ours)));
        add("the audience among others in one text", "", json!(format!("https://another.example {ours}")));
        all.push(self.bearer(Class::Audience, "no audience", "RFC 9068 2.2", &self.token().without("aud").mint()));
    }
}
