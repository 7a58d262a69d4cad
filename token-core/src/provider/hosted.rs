//! Hosted login services: Okta, Supabase, Clerk, Zitadel, Logto, Kinde, Apple.

use serde_json::json;

use super::{AudienceRule, IssuerName, KeysAt, Preset, SenderConstraint};
use crate::jose::Algorithm;
use crate::token::kind::TokenKind;
use crate::token::mapping::{ClaimMapping, GrantSource};
use crate::trust::claim_rule::ClaimRule;

fn exact(name: impl Into<String>) -> IssuerName {
    IssuerName::Exact(name.into())
}

/// Access tokens of an Okta custom authorization server, `default` or an id, at `example.okta.com`. Those of the org server are for
/// Okta alone: ask its introspection endpoint about them.
#[must_use]
pub fn okta(domain: &str, authorization_server: &str) -> Preset {
    let source = "https://developer.okta.com/docs/guides/validate-access-tokens/";
    let issuer = exact(format!("https://{domain}/oauth2/{authorization_server}"));
    Preset::new("Okta access token", source, issuer, KeysAt::Discovery)
        .mapping(ClaimMapping::default().scopes([GrantSource::names("scp")]).roles([GrantSource::names("groups")]))
        .binds(&[SenderConstraint::Dpop], "https://developer.okta.com/docs/guides/dpop/")
        .note("the audience is a setting of the authorization server: api://default at first")
        .note("the client is in cid")
        .sample(json!({"ver": 1, "sub": "ada@example.com", "cid": "client", "uid": "00u1", "scp": ["read:users"]}))
        .near_miss("a token of the org server", json!({"iss": format!("https://{domain}")}))
        .near_miss("the ID token of the same login", json!({"aud": "client", "at_hash": "x", "scp": null}))
}

/// Access tokens of a Supabase project, `abcdefgh`, signed with its published keys. For the time of a migration trust the legacy secret beside
/// it: [`Preset::issuer_with_keys`] with `signed_with([Algorithm::HS256])`.
#[must_use]
pub fn supabase(project: &str) -> Preset {
    let issuer = format!("https://{project}.supabase.co/auth/v1");
    let keys = KeysAt::JwksUri(format!("{issuer}/.well-known/jwks.json"));
    let mut preset = Preset::new(
        "Supabase access token",
        "https://supabase.com/docs/guides/auth/jwts",
        exact(issuer),
        keys,
    )
    .algorithms(&[Algorithm::ES256, Algorithm::RS256])
    .mapping(
        ClaimMapping::default()
            .scopes([])
            .roles([GrantSource::names("role"), GrantSource::names(["app_metadata", "roles"])]),
    )
    .note("people write their own user_metadata: never decide by it")
    .sample(json!({"sub": "aaaa", "role": "authenticated", "session_id": "s", "app_metadata": {"provider": "email"}}))
    .near_miss("the anonymous key of the project", json!({"aud": null, "role": "anon"}));
    preset.audience = AudienceRule::Names(vec!["authenticated".into()]);
    preset
}

/// Session tokens of a Clerk instance, named by its Frontend API URL, for pages of these origins. They have no `aud`.
#[must_use]
pub fn clerk<O: Into<String>>(frontend_api: &str, origins: impl IntoIterator<Item = O>) -> Preset {
    let issuer = frontend_api.trim_end_matches('/');
    let keys = KeysAt::JwksUri(format!("{issuer}/.well-known/jwks.json"));
    let origins: Vec<String> = origins.into_iter().map(Into::into).collect();
    let azp = origins.first().cloned().unwrap_or_default();
    let mut preset = Preset::new(
        "Clerk session token",
        "https://clerk.com/docs/guides/sessions/manual-jwt-verification",
        exact(issuer),
        keys,
    )
    .mapping(ClaimMapping::default().scopes([]).roles([GrantSource::names(["o", "rol"])]))
    .require_claim(ClaimRule::one_of("azp", origins))
    // A session with tasks left to do is, to Clerk, one that is signed out.
    .require_claim(ClaimRule::one_of("sts", ["active"]).or_absent())
    .require_claim(ClaimRule::absent("aud"))
    .see("https://clerk.com/docs/guides/sessions/session-tokens")
    .see("https://clerk.com/docs/guides/configure/session-tasks")
    .note("a token lives for 60 s: a leeway of 30 s is half of that again")
    .note("a token made from a template may have aud, and is for another service: it is refused unless audience() says otherwise")
    .note("azp is absent from tokens of native applications; add or_absent() for those")
    .sample(json!({"sub": "user_1", "sid": "sess_1", "azp": azp, "v": 2, "o": {"id": "org_1", "rol": "admin"}}))
    .near_miss("a page of another origin", json!({"azp": "https://evil.example"}))
    .near_miss("no word of the page", json!({"azp": null}))
    .near_miss("a session that is pending", json!({"sts": "pending"}))
    .near_miss("a token from a template, for another service", json!({"aud": "another-service"}));
    preset.audience = AudienceRule::ClaimsInstead;
    preset
}

/// Access tokens of a Zitadel instance with the project as audience: the client asks for the scope
/// `urn:zitadel:iam:org:project:id:{project}:aud` and has the token type JWT.
#[must_use]
pub fn zitadel(instance: &str, project_id: &str) -> Preset {
    let source = "https://zitadel.com/docs/apis/openidoauth/claims";
    let roles = "urn:zitadel:iam:org:project:roles";
    let of_project = format!("urn:zitadel:iam:org:project:{project_id}:roles");
    let mut preset = Preset::new(
        "Zitadel access token",
        source,
        exact(instance.trim_end_matches('/')),
        KeysAt::Discovery,
    )
    .mapping(ClaimMapping::default().roles([GrantSource::keys(roles), GrantSource::keys(of_project.as_str())]))
    .see("https://zitadel.com/docs/guides/integrate/retrieve-user-roles")
    .note("access tokens are opaque unless the application is set to JWT")
    .note("under each role stand the organisations that granted it: in a product with many customers, check yours")
    .sample(json!({"sub": "1", "client_id": "client", roles: {"admin": {"211": "org.example"}}}))
    .near_miss("another project", json!({"aud": ["another-project"]}))
    .near_miss("the ID token of the same login", json!({"aud": ["client"], "at_hash": "x", "amr": ["pwd"]}));
    preset.audience = AudienceRule::Names(vec![project_id.into()]);
    preset
}

/// Access tokens of a Logto tenant, `https://example.logto.app`, for the API resource that is the server's audience.
#[must_use]
pub fn logto(endpoint: &str) -> Preset {
    let issuer = exact(format!("{}/oidc", endpoint.trim_end_matches('/')));
    Preset::new(
        "Logto access token",
        "https://docs.logto.io/authorization/validate-access-tokens",
        issuer,
        KeysAt::Discovery,
    )
    .algorithms(&[Algorithm::ES384, Algorithm::RS256])
    .see("https://docs.logto.io/developers/signing-keys")
    .see("https://docs.logto.io/concepts/opaque-token")
    .note("keys are on an elliptic curve unless the operator rotated them to RSA")
    .note("without resource in the request the access token is opaque")
    .sample(json!({"sub": "u1", "client_id": "client", "scope": "read:users", "jti": "1"}))
    .near_miss("a token for an organisation", json!({"aud": "urn:logto:organization:o1"}))
    .near_miss("the ID token of the same login", json!({"aud": "client", "at_hash": "x", "scope": null}))
}

/// Access tokens of a Kinde business, `https://example.kinde.com`, for an API registered there.
#[must_use]
pub fn kinde(business: &str) -> Preset {
    let issuer = business.trim_end_matches('/');
    let keys = KeysAt::JwksUri(format!("{issuer}/.well-known/jwks"));
    Preset::new(
        "Kinde access token",
        "https://docs.kinde.com/build/tokens/about-access-tokens",
        exact(issuer),
        keys,
    )
    .see("https://docs.kinde.com/developer-tools/your-apis/register-manage-apis")
    .see("https://docs.kinde.com/build/tokens/about-id-tokens")
    .mapping(ClaimMapping::default().scopes([GrantSource::names("scp"), GrantSource::names("permissions")]))
    .note("aud is an empty array until an API is registered and asked for: such a token is for nobody")
    .sample(
        json!({"sub": "kp_1", "azp": "client", "scp": ["openid"], "permissions": ["read:users"], "org_code": "org_1"}),
    )
    .near_miss("a token for nobody", json!({"aud": []}))
    .near_miss("the ID token of the same login", json!({"aud": ["https://example.kinde.com"], "at_hash": "x", "scp": null}))
}

/// ID tokens of Sign in with Apple, for these bundle or service ids.
#[must_use]
pub fn apple<C: Into<String>>(client_ids: impl IntoIterator<Item = C>) -> Preset {
    let source = "https://developer.apple.com/documentation/signinwithapple/verifying-a-user";
    let keys = KeysAt::JwksUri("https://appleid.apple.com/auth/keys".into());
    let mut preset = Preset::new("Apple ID token", source, exact("https://appleid.apple.com"), keys)
        .mapping(ClaimMapping::default().scopes([]).roles([]))
        .see("https://developer.apple.com/documentation/signinwithapple/receiving-a-users-identity-token")
        .note("email_verified and is_private_email may be the words true and false")
        .sample(json!({"sub": "001", "email": "ada@example.com", "email_verified": "true", "c_hash": "x"}))
        .near_miss("the ID token of another app", json!({"aud": "com.example.another"}));
    preset.kind = TokenKind::Id;
    preset.audience = AudienceRule::Names(client_ids.into_iter().map(Into::into).collect());
    preset
}
