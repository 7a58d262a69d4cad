//! What the tokens of an issuer are held to, in: a setting for each rule; the issuer with it, out.

use std::time::Duration;

use super::Issuer;
use crate::jose::Algorithm;
use crate::opaque::OpaqueTokens;
use crate::opaque::status_lists::StatusLists;
use crate::token::audience::Audience;
use crate::token::mapping::ClaimMapping;
use crate::trust::claim_rule::ClaimRule;

/// What its tokens are held to.
impl Issuer {
    /// The audience that this issuer's tokens must name in `aud`, in place of the server's own.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<Audience>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Also accepts ID tokens of this issuer, if they were issued to one of these clients. They have the kind
    /// [`TokenKind::Id`](crate::TokenKind::Id). Handlers that ask for an access token still refuse them; handlers that ask for an ID token accept them.
    ///
    /// An ID token tells a client who signed in. It grants no access: anyone who obtains it from the client can send it here.
    ///
    /// `nonce` is not checked, because only the client knows it. A client that signs users in uses [`IdTokenVerifier`](crate::login::IdTokenVerifier).
    #[must_use]
    pub fn accept_id_tokens(mut self, clients: impl Into<Audience>) -> Self {
        self.id_tokens_for = Some(clients.into());
        self
    }

    /// In which claims this issuer writes scopes and roles. Default: scopes in `scope` and `scp`, roles in `roles`.
    #[must_use]
    pub fn mapping(mut self, mapping: ClaimMapping) -> Self {
        self.mapping = mapping;
        self
    }

    /// Adds a rule for a claim: that it is there, or has one of some values. Called again, all rules must hold.
    #[must_use]
    pub fn require_claim(mut self, rule: ClaimRule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Ignores keys of the set whose `issuer` member names another issuer. For JWK Sets that several issuers share. Always on for a
    /// [`template`](Self::template).
    #[must_use]
    pub fn match_key_issuer(mut self) -> Self {
        self.keys_name_issuer = true;
        self
    }

    /// Accepts tokens whose parts are padded with `=`. RFC 7515 section 2 forbids the padding; AWS load balancers write it.
    #[must_use]
    pub fn accept_padding(mut self) -> Self {
        self.padded = true;
        self
    }

    /// Accepts access tokens with a `nonce`, as Keycloak before version 25 writes them. Normally `nonce` marks an ID token, and a token that also carries the
    /// mark of an access token is refused as contradictory. With this setting the mark of the access token wins: `at+jwt` in the header, a claim `typ` of
    /// `Bearer` or `DPoP`, `token_use` and the like.
    ///
    /// A token with a `nonce` and no other mark still counts as an ID token, and so does one with `at_hash` or `c_hash`.
    ///
    /// What it costs: an ID token of this issuer that wrongly says `Bearer` is no longer recognised by its `nonce`.
    #[must_use]
    pub fn accept_nonce_in_access_tokens(mut self) -> Self {
        self.nonce_outranked = true;
        self
    }

    /// Accepts a `sub` that is a whole number, in JWTs and in answers about opaque tokens. RFC 7519 section 4.1.2 asks for a string. The subject is then the
    /// number as text, `42`; a claims type of your own sees the number.
    ///
    /// Fractions, exponents and numbers of more than 64 bits are still refused.
    ///
    /// What it costs: the subjects `42` and `"42"` cannot be told apart.
    #[must_use]
    pub fn accept_numeric_subjects(mut self) -> Self {
        self.numeric_subjects = true;
        self
    }

    /// Tries several keys with the same `kid`, one after the other, at most the first four that fit the token's algorithm. RFC 7517 section 4.5 asks for
    /// distinct names; without this setting a token with an ambiguous `kid` is refused.
    ///
    /// What it costs: up to four signature checks for a token with such a `kid`, always four for a forged one, and its header is not cached.
    #[must_use]
    pub fn accept_several_keys_of_one_kid(mut self) -> Self {
        self.leniency.several_of_a_kid = true;
        self
    }

    /// Accepts JWKs whose numbers are written in plain base64 in place of base64url: with `+` and `/`, or with `=` at the end (RFC 7518 section 2 asks for
    /// base64url without padding). Tokens are not affected; see [`accept_padding`](Self::accept_padding). Blanks and stray bits at the end are still refused.
    ///
    /// What it costs: one key can be written in several ways.
    #[must_use]
    pub fn accept_keys_in_base64(mut self) -> Self {
        self.leniency.base64 = true;
        self
    }

    /// The signature algorithms that are accepted from this issuer. Default: [`Algorithms::DEFAULT`](crate::jose::Algorithms::DEFAULT), or those of the static keys.
    #[must_use]
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = Some(algorithms.into_iter().collect());
        self
    }

    /// How far the issuer's clock and this one may differ when times such as `exp` and `nbf` are checked. Default 30 s, at most 5 min: more is an error of `build`.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Also accepts this issuer's opaque tokens, beside its JWTs.
    #[must_use]
    pub fn opaque_tokens(mut self, tokens: OpaqueTokens) -> Self {
        self.opaque = Some(tokens);
        self
    }

    /// Looks this issuer's JWTs up in the status lists that it publishes. Without this the claim `status` is ignored.
    #[must_use]
    pub fn status_lists(mut self, lists: StatusLists) -> Self {
        self.status_lists = Some(lists);
        self
    }

    /// Accepts only access tokens by RFC 9068: `typ` in the header must be `at+jwt`, and `sub`, `client_id`, `iat` and `jti` must be there.
    #[must_use]
    pub fn rfc9068(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Accepts only tokens that are marked as access tokens: by `at+jwt` in the header, or by one of the claims `token_use`, `token_class`, `typ` (Keycloak),
    /// `type` and `token_type`. A token of this issuer without a mark is refused.
    ///
    /// Marks are always checked: a token that is marked as something else is refused with or without this setting. It matters where an issuer signs ID tokens or
    /// refresh tokens with the same keys, without a mark, and for the same `aud`: then only the mark of the access tokens tells them apart.
    ///
    /// Off by default, because many issuers do not mark their access tokens (Auth0's default profile, Entra, Okta, Google). With those, require a claim that
    /// only access tokens have: [`require_claim`](Self::require_claim). The guide lists which servers write which marks.
    ///
    /// An opaque token that an endpoint vouches for needs no mark.
    ///
    /// ```
    /// # fn main() -> Result<(), token_core::ConfigError> {
    /// use token_core::{ClaimRule, Issuer};
    ///
    /// let marked = Issuer::discover("https://login.example.com/realms/shop")?.strict();
    /// let unmarked = Issuer::discover("https://example.okta.com/oauth2/default")?.require_claim(ClaimRule::any_present(["cid"]));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.marked = true;
        self
    }

    /// Accepts tokens without `exp`. Such a token never expires: unless there is a deny-list, the only way to revoke it is to remove its key.
    #[must_use]
    pub fn dangerously_accept_tokens_without_expiry(mut self) -> Self {
        self.expiry_required = false;
        self
    }
}
