//! Requests that have to be let in: before everything else, after a rotation and after all that, out (RFC 6750 section 2.1).

use http::header::AUTHORIZATION;
use serde_json::json;

use super::super::class::Class;
use super::{Attack, Bait, field};

impl Bait<'_> {
    /// What has to be let in before anything else counts. It begins with the token of this text.
    pub(in crate::attacks) fn good(&self, first: &str) -> Vec<Attack> {
        let audience = self.guarded.issuer.audience();
        let sealed = self.sealed_to.iter().map(|key| {
            let token = self.token().encrypted_to(key).mint();
            self.bearer(Class::Good, "a good token, encrypted", "RFC 7519 5.2", &token)
        });
        let mut good = vec![
            self.bearer(Class::Good, "a good token", "RFC 6750 2.1", first),
            self.with(
                Class::Good,
                "the scheme in small letters",
                "RFC 9110 11.1",
                vec![(AUTHORIZATION, field("bearer ", &self.token().mint()))],
            ),
            self.bearer(
                Class::Good,
                "a good token for several audiences",
                "RFC 7519 4.1.3",
                &self.token().audiences([audience, "https://another.example"]).mint(),
            ),
            self.bearer(
                Class::Good,
                "claims and header members that nobody knows",
                "RFC 7519 4, RFC 7515 4",
                &self.token().claim("https://example.com/x", json!({"a": [1, null]})).header("x-unknown", 1).mint(),
            ),
        ];
        good.extend(sealed);
        good
    }

    /// The issuer signs with a new key from here on. This comes before the attacks: made-up key names use up how often an API may ask for new keys.
    pub(in crate::attacks) fn good_after_rotation(&self) -> Vec<Attack> {
        self.guarded.issuer.rotate();
        vec![self.bearer(Class::Good, "the first token of a new key", "RFC 7517 5", &self.token().mint())]
    }

    /// What has to be let in after all that.
    pub(in crate::attacks) fn good_at_the_end(&self) -> Vec<Attack> {
        vec![self.bearer(Class::Good, "a good token after all that", "RFC 6750 2.1", &self.token().mint())]
    }
}
