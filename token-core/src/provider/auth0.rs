//! Auth0: access tokens of today, delegation and management tokens of before.

use serde_json::json;

use super::{AudienceRule, IssuerName, KeysAt, Preset, SenderConstraint};
use crate::jose::Algorithm;
use crate::token::mapping::{ClaimMapping, GrantSource};
use crate::trust::claim_rule::ClaimRule;

const PROFILES: &str = "https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles";

/// Access tokens of an Auth0 tenant, `example.eu.auth0.com` or its own domain, for an API registered there. Both token profiles.
#[must_use]
pub fn auth0(domain: &str) -> Preset {
    let issuer = IssuerName::Exact(format!("https://{domain}/"));
    Preset::new("Auth0 access token", PROFILES, issuer, KeysAt::Discovery)
        .algorithms(&[Algorithm::RS256, Algorithm::PS256])
        .mapping(ClaimMapping::default().scopes([GrantSource::names("scope"), GrantSource::names("permissions")]))
        .see("https://auth0.com/docs/get-started/applications/signing-algorithms")
        .binds(
            &[SenderConstraint::Dpop, SenderConstraint::MutualTls],
            "https://auth0.com/docs/secure/sender-constraining",
        )
        .note("the issuer ends with a slash")
        .note("an API set to HS256 signs with a secret of its own: hand it over with issuer_with_keys()")
        .note("without an audience in the request the access token is opaque and good for /userinfo alone")
        .sample(json!({
            "sub": "auth0|5f7c8ec7c33c6c004bbafe82", "azp": "client", "scope": "openid read:users", "gty": "password",
            "permissions": ["read:users"],
        }))
        .near_miss("the ID token of the same login", json!({"aud": "client", "nonce": "n", "scope": null}))
        .near_miss("a token for the management API", json!({"aud": "https://example.eu.auth0.com/api/v2/"}))
}

/// Delegation tokens as Auth0 once issued them: an ID token in the old shape for the target client, signed with the target's secret. Hand
/// the secret over with [`Preset::issuer_with_keys`]: [`StaticKeys::base64url_secret`](crate::StaticKeys::base64url_secret) where the client's
/// secret is encoded, [`StaticKeys::secret`](crate::StaticKeys::secret) where it is not.
#[must_use]
pub fn auth0_delegation(domain: &str, target_client_id: &str) -> Preset {
    let issuer = IssuerName::Exact(format!("https://{domain}/"));
    let mut preset =
        Preset::new("Auth0 delegation token", "https://auth0.com/docs/api/authentication", issuer, KeysAt::Secret)
            .algorithms(&[Algorithm::HS256])
            .note("the target's secret signs: a token for another client of the tenant fails on signature and audience")
            .sample(json!({"sub": "auth0|5f7c8ec7c33c6c004bbafe82", "azp": "source-client"}))
            .near_miss("the token replayed at the source client", json!({"aud": "source-client"}));
    preset.audience = AudienceRule::Names(vec![target_client_id.into()]);
    preset
}

/// Tokens for Auth0's Management API as they once were: signed by whoever holds the tenant's secret, known by the API key in `aud`, with
/// scopes in an object. The issuer is called `auth0-management:` and the API key, since the tokens name none: what Auth0's blacklist has as
/// `aud` and `jti` is [`Deny::token_id`](crate::revocation::Deny::token_id) of this name and the `jti`. Hand the secret over with [`Preset::issuer_with_keys`], decoded:
/// [`StaticKeys::base64url_secret`](crate::StaticKeys::base64url_secret).
#[must_use]
pub fn auth0_management_legacy(api_key: &str) -> Preset {
    let issuer = IssuerName::Nameless(format!("auth0-management:{api_key}"));
    let mut preset = Preset::new(
        "Auth0 management token, legacy",
        "https://auth0.com/docs/api/management/v2",
        issuer,
        KeysAt::Secret,
    )
    .algorithms(&[Algorithm::HS256])
    .mapping(ClaimMapping::default().scopes([GrantSource::entity_actions("scopes"), GrantSource::names("scope")]))
    .note("exp is optional at Auth0; here it is required unless dangerously_accept_tokens_without_expiry() is called")
    .sample(json!({"scopes": {"users": {"actions": ["read"]}}, "jti": "6ce9fa06"}))
    .near_miss("the key of another tenant", json!({"aud": "another-api-key"}));
    preset.audience = AudienceRule::Names(vec![api_key.into()]);
    preset
}

/// The same for members of these organizations (`org_…`), who signed in to one of them. Each custom domain of a tenant is an issuer of its own: make a preset for each,
/// and trust them all.
#[must_use]
pub fn auth0_organization<O: Into<String>>(domain: &str, organization_ids: impl IntoIterator<Item = O>) -> Preset {
    let ids: Vec<String> = organization_ids.into_iter().map(Into::into).collect();
    let first = ids.first().cloned().unwrap_or_default();
    let mut preset = auth0(domain)
        .require_claim(ClaimRule::one_of("org_id", ids))
        .see("https://auth0.com/docs/manage-users/organizations/using-tokens")
        .note("org_name can be changed by an administrator; decide by org_id")
        .near_miss("another organization", json!({"org_id": "org_another"}))
        .near_miss("no word of the organization", json!({"org_id": null}));
    preset.name = "Auth0 access token of an organization".into();
    preset.sample.claims["org_id"] = first.into();
    preset
}
