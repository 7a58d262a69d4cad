//! Microsoft Entra ID: access tokens of both versions, of one tenant or of many.

use serde_json::json;

use super::{IssuerName, KeysAt, Preset};
use crate::jose::Algorithm;
use crate::token::mapping::{ClaimMapping, GrantSource};
use crate::trust::claim_rule::ClaimRule;

const SOURCE: &str = "https://learn.microsoft.com/en-us/entra/identity-platform/access-tokens";
const SAMPLE_TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

fn entra(name: &str, issuer: IssuerName, keys: String) -> Preset {
    let mut preset = Preset::new(name, SOURCE, issuer, KeysAt::JwksUri(keys))
        .algorithms(&[Algorithm::RS256])
        .mapping(ClaimMapping::default().scopes([GrantSource::names("scp")]).roles([GrantSource::names("roles")]))
        // An ID token of the same application has the same audience; neither claim is in it unless roles are assigned to the user.
        .require_claim(ClaimRule::any_present(["scp", "roles"]))
        .note("the API's manifest picks the version of its tokens (accessTokenAcceptedVersion), not the endpoint that was asked")
        .note("an application that maps claims needs ?appid= on the metadata, and has keys of its own")
        .note("tokens for Microsoft Graph cannot be verified by anybody else")
        .near_miss("the ID token of the same login", json!({"nonce": "n", "scp": null}))
        .near_miss("an ID token without a nonce", json!({"scp": null}))
        .near_miss("a token for Graph", json!({"aud": "00000003-0000-0000-c000-000000000000"}));
    preset.keys_name_issuer = true;
    preset
}

/// Version 2 access tokens of one tenant, named by its GUID. The audience is the application's client id.
#[must_use]
pub fn entra_v2(tenant: &str) -> Preset {
    let issuer = IssuerName::Exact(format!("https://login.microsoftonline.com/{tenant}/v2.0"));
    entra("Entra ID v2", issuer, format!("https://login.microsoftonline.com/{tenant}/discovery/v2.0/keys")).sample(
        json!({"ver": "2.0", "tid": tenant, "sub": "AAAA", "oid": "690222be", "azp": "client", "scp": "read:users"}),
    )
}

/// Version 1 access tokens of one tenant, named by its GUID. The audience is the App ID URI, `api://…`.
#[must_use]
pub fn entra_v1(tenant: &str) -> Preset {
    let issuer = IssuerName::Exact(format!("https://sts.windows.net/{tenant}/"));
    let mut preset = entra("Entra ID v1", issuer, format!("https://login.microsoftonline.com/{tenant}/discovery/keys"))
        .sample(json!({"ver": "1.0", "tid": tenant, "sub": "AAAA", "appid": "client", "scp": "read:users"}));
    // Its keys may name the issuer of version 2.
    preset.keys_name_issuer = false;
    preset
}

/// Version 2 access tokens of every tenant. Call [`Issuer::tenants`](crate::Issuer::tenants) to let in some only; else the application has to
/// tell tenants apart by [`Verified::issuer`](crate::Verified::issuer).
#[must_use]
pub fn entra_multi_tenant() -> Preset {
    let issuer = IssuerName::Template("https://login.microsoftonline.com/{tenantid}/v2.0".into());
    entra("Entra ID v2, every tenant", issuer, "https://login.microsoftonline.com/common/discovery/v2.0/keys".into())
        .note("a person is (tid, oid); sub differs from application to application")
        .sample(json!({"ver": "2.0", "tid": SAMPLE_TENANT, "sub": "AAAA", "azp": "client", "scp": "read:users"}))
        .near_miss("another tenant in tid than in iss", json!({"tid": "00000000-0000-0000-0000-000000000000"}))
}
