//! Writes the `WWW-Authenticate` field from a realm and parameters (RFC 6750 section 3, RFC 9110 section 11.6.1, RFC 9728 section 5.1).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::answer::implications::Implications;
use crate::answer::refusals::RefusalLog;
use crate::answer::resource::Resource;

/// Which schemes of credentials are taken (RFC 6750, RFC 9449 section 7).
///
/// A token that is bound to a key is never taken as a bearer token, and one that is not never with the scheme `DPoP`, whatever is chosen here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DpopPolicy {
    /// Bearer tokens alone.
    Bearer,
    /// Both: tokens that are bound to a key with a proof, others as bearer tokens.
    #[default]
    BearerOrDpop,
    /// Tokens bound to a key, with a proof, alone.
    Required,
}

/// Makes nonces for answers.
pub(crate) trait FreshNonce: fmt::Debug + Send + Sync {
    /// A nonce for the next proof; `None` where none can be made.
    fn fresh(&self) -> Option<String>;
}

/// What challenges say of DPoP.
#[derive(Clone, Debug)]
pub(crate) struct DpopOffer {
    pub(crate) policy: DpopPolicy,
    /// The names of the algorithms, separated by blanks.
    pub(crate) algs: String,
    pub(crate) nonces: Option<Arc<dyn FreshNonce>>,
}

/// What a resource server says of itself in every challenge, and by which it judges what a token may do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Protection {
    /// `realm`, where the operator named one.
    pub(crate) realm: Option<String>,
    /// What it is called, where it has metadata of its own to serve.
    pub(crate) resource: Option<Resource>,
    /// `resource_metadata`: where the protected resource's metadata document lies (RFC 9728).
    pub(crate) resource_metadata: Option<String>,
    /// Which scopes a challenge names.
    pub(crate) scope_challenge: ScopeChallenge,
    /// The scopes of this resource, as far as they are told; none where they are not.
    pub(crate) own_scopes: Vec<String>,
    /// Which scopes imply which.
    pub(crate) implications: Implications,
    /// DPoP, where it is taken anywhere.
    pub(crate) dpop: Option<DpopOffer>,
    /// The refusals that are logged at `info`, where the operator wants them.
    pub(crate) refusals: Option<Arc<RefusalLog>>,
    /// Whether the application's own span is told who the caller is.
    pub(crate) records_caller: bool,
}

impl Protection {
    /// Whether a client may be told to ask for this scope again: it is one of this resource's, as far as that is known, and no refresh token, which is
    /// between the client and its authorization server.
    pub(crate) fn is_own_scope(&self, scope: &str) -> bool {
        let is_scope = !scope.is_empty() && scope.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E));
        let is_ours = self.own_scopes.is_empty() || self.own_scopes.iter().any(|own| own == scope);
        is_scope && is_ours && scope != "offline_access"
    }
}

/// Which scopes the challenge of a 403 names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ScopeChallenge {
    /// Those that would satisfy the rule, and no others (RFC 6750 section 3).
    #[default]
    Required,
    /// Those, and what the token has already: for clients that ask for exactly what a challenge names and would lose the rest. Of what the token has only
    /// the scopes that this resource's metadata names are repeated, if it names any, and never `offline_access`. The caller learns what its own token holds.
    GrantedAndRequired,
}

/// A challenge under construction. Parameters are separated by commas, quoted and escaped.
#[derive(Debug)]
pub(crate) struct Challenge {
    text: String,
    empty: bool,
}

impl Challenge {
    pub(crate) fn bearer(protection: Option<&Protection>) -> Self {
        Self::of("Bearer", protection)
    }

    /// RFC 9449 section 7.1.
    pub(crate) fn dpop(protection: Option<&Protection>, offer: &DpopOffer) -> Self {
        Self::of("DPoP", protection).param("algs", &offer.algs)
    }

    fn of(scheme: &str, protection: Option<&Protection>) -> Self {
        let mut challenge = Self { text: String::from(scheme), empty: true };
        if let Some(protection) = protection {
            if let Some(realm) = &protection.realm {
                challenge = challenge.param("realm", realm);
            }
            if let Some(metadata) = &protection.resource_metadata {
                challenge = challenge.param("resource_metadata", metadata);
            }
        }
        challenge
    }

    pub(crate) fn param(mut self, name: &str, value: &str) -> Self {
        self.text.push_str(if self.empty { " " } else { ", " });
        self.empty = false;
        self.text.push_str(name);
        self.text.push_str("=\"");
        for character in value.chars() {
            match character {
                '"' | '\\' => {
                    self.text.push('\\');
                    self.text.push(character);
                }
                // What a quoted-string cannot carry must not split the field: control characters and anything past ASCII.
                ' '..='~' => self.text.push(character),
                _ => self.text.push('?'),
            }
        }
        self.text.push('"');
        self
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_separated_by_commas_quoted_and_escaped() {
        let protection = Protection {
            realm: Some("the \"api\"".into()),
            resource_metadata: Some("https://a.example/meta".into()),
            ..Protection::default()
        };
        let text = Challenge::bearer(Some(&protection)).param("error", "invalid_token").finish();
        assert_eq!(
            text,
            r#"Bearer realm="the \"api\"", resource_metadata="https://a.example/meta", error="invalid_token""#
        );
    }

    #[test]
    fn no_text_can_split_the_field() {
        let text = Challenge::bearer(None).param("scope", "a\r\nSet-Cookie: x\u{0}\u{e9}").finish();
        assert_eq!(text, "Bearer scope=\"a??Set-Cookie: x??\"");
    }
}
