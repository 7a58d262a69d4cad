//! Credentials in other places, several of them or none, and scopes that are nearly right, out (RFC 6750 section 2, RFC 6749 section 3.3).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::{AUTHORIZATION, COOKIE, HeaderName};
use serde_json::json;

use super::super::class::Class;
use super::{Attack, Bait, field, shorter};
use crate::mint::TokenBuilder;

impl Bait<'_> {
    pub(super) fn credentials(&self, all: &mut Vec<Attack>) {
        let good = self.token().mint();
        let mut add = |name, clause, advisory, fields: Vec<(HeaderName, HeaderValue)>| {
            all.push(Attack { advisory, ..self.with(Class::Credentials, name, clause, fields) });
        };
        let authorization = |scheme: &str, text: &str| (AUTHORIZATION, field(scheme, text));
        add("no credentials", "RFC 6750 3", "", vec![]);
        add("an empty field", "RFC 6750 2.1", "", vec![authorization("", "")]);
        add("the scheme alone", "RFC 6750 2.1", "", vec![authorization("Bearer", "")]);
        add("the token alone", "RFC 6750 2.1", "", vec![authorization("", &good)]);
        add("another scheme", "RFC 6750 2.1", "", vec![authorization("Token ", &good)]);
        add("Basic credentials", "RFC 7617 2", "", vec![authorization("Basic ", &STANDARD.encode("admin:admin"))]);
        add("a scheme that begins alike", "RFC 6750 2.1", "", vec![authorization("Bearerx ", &good)]);
        let forged = self.token().forged().mint();
        const FIRST: &str = "CVE-2026-26308";
        add(
            "a good field and a forged one",
            "RFC 9110 5.3",
            FIRST,
            vec![authorization("Bearer ", &good), authorization("Bearer ", &forged)],
        );
        add(
            "a forged field and a good one",
            "RFC 9110 5.3",
            FIRST,
            vec![authorization("Bearer ", &forged), authorization("Bearer ", &good)],
        );
        add(
            "two tokens in one field",
            "RFC 6750 2.1",
            FIRST,
            vec![authorization("Bearer ", &format!("{good}, Bearer {forged}"))],
        );
        add(
            "something after the token",
            "RFC 6750 2.1",
            "",
            vec![authorization("Bearer ", &format!("{good} admin=true"))],
        );
        for (name, member) in [
            ("a good token in a field of a proxy", "x-forwarded-access-token"),
            ("a good token in another field", "x-access-token"),
            ("a good token in Proxy-Authorization", "proxy-authorization"),
        ] {
            add(name, "RFC 6750 2", "", vec![(HeaderName::from_static(member), field("Bearer ", &good))]);
        }
        add("a good token in a cookie", "RFC 6750 2", "", vec![(COOKIE, field("access_token=", &good))]);
        add(
            "who they are, said by themselves",
            "RFC 9110 17.1",
            "",
            ["x-user", "x-forwarded-user", "x-auth-request-user", "remote-user"]
                .map(|name| (HeaderName::from_static(name), HeaderValue::from_static("admin")))
                .to_vec(),
        );
        let query = self.with(Class::Credentials, "a good token in the query", "RFC 6750 2.3", vec![]);
        let join = if self.guarded.path.contains('?') { '&' } else { '?' };
        all.push(Attack { target: format!("{}{join}access_token={good}", self.guarded.path), ..query });
    }

    pub(super) fn scope(&self, all: &mut Vec<Attack>) {
        let Some(granted) = &self.guarded.granted else { return };
        let mut add =
            |name, token: TokenBuilder| all.push(self.bearer(Class::Scope, name, "RFC 6749 3.3", &token.mint()));
        add("no scope", self.token().without("scope"));
        add("an empty scope", self.token().scope(""));
        add("another scope", self.token().scope("something:else"));
        add("the scope in capitals", self.token().scope(&granted.to_uppercase()));
        add("a part of the scope", self.token().scope(&shorter(granted)));
        add("the scope as a prefix", self.token().scope(&format!("{granted}x")));
        add("the scope as a suffix", self.token().scope(&format!("x{granted}")));
        add("the scope among others, joined by commas", self.token().scope(&format!("other,{granted},more")));
        add("a star", self.token().scope("*"));
        add("the scope in an object", self.token().claim("scope", json!({granted.as_str(): true})));
    }
}
