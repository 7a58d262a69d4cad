//! Login services whose session tokens go to your API: WorkOS AuthKit, Stytch, Descope, Hanko.

use serde_json::json;

use super::{AudienceRule, IssuerName, KeysAt, Preset, SenderConstraint};
use crate::token::mapping::{ClaimMapping, GrantSource};
use crate::trust::claim_rule::ClaimRule;

/// Access tokens of a WorkOS AuthKit domain, `shop.authkit.app`, for the API that is registered there as a resource.
#[must_use]
pub fn workos_authkit(domain: &str) -> Preset {
    let issuer = format!("https://{domain}");
    let keys = KeysAt::JwksUri(format!("{issuer}/oauth2/jwks"));
    let source = "https://workos.com/docs/reference/authkit/session-tokens";
    Preset::new("WorkOS AuthKit access token", source, IssuerName::Exact(issuer), keys)
        .mapping(
            ClaimMapping::default()
                .scopes([GrantSource::names("scope"), GrantSource::names("permissions")])
                .roles([GrantSource::names("roles"), GrantSource::names("role")]),
        )
        .note("aud names the API when the client asks with resource; tokens of api.workos.com have no aud and are not taken")
        .note("act names the person of WorkOS who looks at an account as its user")
        .sample(json!({
            "sub": "user_1", "sid": "session_1", "org_id": "org_1", "role": "member", "permissions": ["posts:read"], "jti": "1",
        }))
        .near_miss("a token of the shared issuer", json!({"iss": "https://api.workos.com", "aud": null}))
        .near_miss("the ID token of the same login", json!({"aud": "client_1", "nonce": "n"}))
}

/// Session JWTs of a Stytch project, `project-live-…`. They live for 5 minutes.
#[must_use]
pub fn stytch(project_id: &str) -> Preset {
    const SESSION: &str = "https://stytch.com/session";
    let issuer = IssuerName::Exact(format!("stytch.com/{project_id}"));
    let keys = KeysAt::JwksUri(format!("https://api.stytch.com/v1/sessions/jwks/{project_id}"));
    let source = "https://stytch.com/docs/api-reference/consumer/api/sessions/get-jwks";
    let mut preset = Preset::new("Stytch session", source, issuer, keys)
        .mapping(ClaimMapping::default().roles([GrantSource::names([SESSION, "roles"])]))
        .require_claim(ClaimRule::any_present([SESSION]))
        .see("https://github.com/stytchauth/stytch-node/blob/main/lib/shared/sessions.ts")
        .note("a project of the test environment has its keys at test.stytch.com: keys_at()")
        .note("a B2B project has its keys at /v1/b2b/sessions/jwks/")
        .see("https://stytch.com/docs/b2b/api/connected-app-access-token")
        .note("tokens of connected apps name the project's own domain as issuer, https://DOMAIN, and have no session: they are refused here")
        .note("tokens of programs have the same issuer and audience, and no session: they are refused here")
        .sample(json!({"sub": "user-live-1", SESSION: {"id": "session-live-1", "roles": ["stytch_user"], "attributes": {}}}))
        .near_miss("a program of the project", json!({SESSION: null, "scope": "read:users"}))
        .near_miss("another project", json!({"aud": ["project-live-another"]}));
    preset.audience = AudienceRule::Names(vec![project_id.into()]);
    preset
}

/// Session JWTs of a Descope project, `P2…`. They have no `aud`: the issuer is the project.
#[must_use]
pub fn descope(project_id: &str) -> Preset {
    let keys = KeysAt::JwksUri(format!("https://api.descope.com/v2/keys/{project_id}"));
    let source = "https://docs.descope.com/session-overview";
    let mut preset = Preset::new("Descope session", source, IssuerName::Exact(project_id.into()), keys)
        .mapping(
            ClaimMapping::default().scopes([GrantSource::names("permissions")]).roles([GrantSource::names("roles")]),
        )
        .require_claim(ClaimRule::one_of("drn", ["DS"]))
        .require_claim(ClaimRule::absent("aud"))
        .binds(
            &[SenderConstraint::Dpop],
            "https://github.com/descope/go-sdk/blob/main/descope/internal/auth/dpop.go",
        )
        .see("https://docs.descope.com/authorization/session-management/session-validation/oidc-jwt-authorizers/azure-jwt-authorizer")
        .note("a JWT template can make iss https://api.descope.com/PROJECT; then the issuer is that")
        .note("roles of a tenant are under tenants; those at the top are the project's")
        .note("a template may add aud: name yours with audience()")
        .sample(json!({
            "sub": "U2Yua", "drn": "DS", "amr": ["oauth"], "rexp": "2027-01-10T00:57:21Z", "permissions": ["Impersonate"],
            "roles": ["Tenant Admin"],
        }))
        .near_miss("the refresh token of the same session", json!({"drn": "DSR"}))
        .near_miss("no word about its use", json!({"drn": null}))
        .near_miss("a token from a template, for another service", json!({"aud": "another-service"}));
    preset.audience = AudienceRule::ClaimsInstead;
    preset
}

/// Session JWTs of a Hanko instance, for the origin's relying party id, `example.com`, or what `session.audience` says. `issuer` is what `session.issuer` of its
/// configuration says: without that the tokens have no `iss`, and cannot be told from another instance's.
#[must_use]
pub fn hanko(api_url: &str, issuer: &str, audience: &str) -> Preset {
    let keys = KeysAt::JwksUri(format!("{}/.well-known/jwks.json", api_url.trim_end_matches('/')));
    let source = "https://docs.hanko.io/guides/session-management";
    let mut preset = Preset::new("Hanko session", source, IssuerName::Exact(issuer.into()), keys)
        .mapping(ClaimMapping::default().scopes([]).roles([]))
        .see("https://github.com/teamhanko/hanko/blob/main/backend/session/session.go")
        .note("a session that was ended stays good here until exp; /sessions/validate knows")
        .note("browsers send it in the cookie hanko, or that of session.cookie.name, which scripts may read: see Cookies and CSRF in the guide")
        .sample(json!({
            "sub": "c339547d", "session_id": "s1", "email": {"address": "ada@example.com", "is_primary": true, "is_verified": true},
        }))
        .near_miss("a token without its issuer", json!({"iss": null}))
        .near_miss("the ID token of the same login", json!({"nonce": "n"}));
    preset.audience = AudienceRule::Names(vec![audience.into()]);
    preset
}
