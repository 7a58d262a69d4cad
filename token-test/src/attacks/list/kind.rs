//! Tokens of the right issuer that are no access tokens, out (RFC 8725 section 3.11, RFC 9068 section 5).

use serde_json::json;

use super::super::class::Class;
use super::{Attack, Bait};
use crate::mint::TokenBuilder;

impl Bait<'_> {
    pub(super) fn kind(&self, all: &mut Vec<Attack>) {
        let audience = self.guarded.issuer.audience();
        let mut add =
            |name, clause, token: TokenBuilder| all.push(self.bearer(Class::Kind, name, clause, &token.mint()));
        add("an ID token", "RFC 9068 5", self.guarded.issuer.id_token());
        add(
            "an ID token that names this API",
            "RFC 9068 5",
            self.token().header("typ", "JWT").claim("nonce", "n").claim("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"),
        );
        add(
            "a logout token",
            "OpenID Connect Back-Channel Logout 2.4",
            self.token()
                .header("typ", "logout+jwt")
                .claim("events", json!({"http://schemas.openid.net/event/backchannel-logout": {}})),
        );
        add("a refresh token that is a JWT", "RFC 6749 1.5", self.token().header("typ", "JWT").claim("typ", "Refresh"));
        for (name, clause, typ) in [
            ("a proof of possession", "RFC 9449 4.2", "dpop+jwt"),
            ("a security event", "RFC 8417 2.3", "secevent+jwt"),
            ("a status list token", "Token Status List 5.1", "statuslist+jwt"),
            ("an introspection answer", "RFC 9701 5", "token-introspection+jwt"),
            ("a client's assertion", "RFC 7523 3", "client-authentication+jwt"),
            ("an authorization request", "RFC 9101 10.8", "oauth-authz-req+jwt"),
        ] {
            add(name, clause, self.token().header("typ", typ).audience(audience));
        }
    }
}
