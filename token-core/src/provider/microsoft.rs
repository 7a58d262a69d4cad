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

/// Access tokens of an Azure AD B2C tenant: `contoso` of `contoso.b2clogin.com`, its GUID, and the policy or user flow whose keys they are signed with.
#[must_use]
pub fn azure_ad_b2c(name: &str, tenant: &str, policy: &str) -> Preset {
    let host = format!("https://{name}.b2clogin.com");
    let issuer = IssuerName::Exact(format!("{host}/{tenant}/v2.0/"));
    let keys = KeysAt::JwksUri(format!("{host}/{name}.onmicrosoft.com/{policy}/discovery/v2.0/keys"));
    let source = "https://learn.microsoft.com/en-us/azure/active-directory-b2c/tokens-overview";
    Preset::new("Azure AD B2C", source, issuer, keys)
        .mapping(ClaimMapping::default().scopes([GrantSource::names("scp")]).roles([]))
        // An ID token for the same application has the same issuer, keys and audience.
        .require_claim(ClaimRule::any_present(["scp"]))
        .see("https://github.com/AzureAD/microsoft-identity-web/wiki/Azure-AD-B2C-issuer-claim-support")
        .note("the issuer ends with a slash and has no metadata of its own; they are the policy's")
        .note("a policy can be set to an issuer of its own, with /tfp/TENANT/POLICY/ in it: then trust that")
        .note("policies of a tenant may share keys: tfp, or acr in older ones, says which one it was; ask for it where not all may come")
        .note("not sold to new customers since May 2025")
        .sample(json!({
            "sub": "884408e1-2918-4cz0-b12d-3aa027d7563b", "ver": "1.0", "azp": "client", "scp": "read:users", "tfp": "b2c_1_signupsignin1",
        }))
        .near_miss("the ID token of the same login", json!({"scp": null, "nonce": "n"}))
        .near_miss("an ID token without a nonce", json!({"scp": null}))
        .near_miss("the issuer of a policy", json!({"iss": format!("{host}/tfp/{tenant}/{policy}/v2.0/")}))
}

/// Access tokens of an Entra External ID tenant: `contoso` of `contoso.ciamlogin.com`, and its GUID. The audience is the application's client id.
#[must_use]
pub fn entra_external_id(name: &str, tenant: &str) -> Preset {
    let issuer = IssuerName::Exact(format!("https://{tenant}.ciamlogin.com/{tenant}/v2.0"));
    let mut preset = entra(
        "Entra External ID",
        issuer,
        format!("https://{name}.ciamlogin.com/{tenant}/discovery/v2.0/keys"),
    )
    .see("https://learn.microsoft.com/en-us/entra/external-id/customers/")
    .note("the host of the issuer is the tenant's GUID, while metadata and keys are at its name")
    .near_miss("the issuer by name", json!({"iss": format!("https://{name}.ciamlogin.com/{tenant}/v2.0")}))
    .sample(
        json!({"ver": "2.0", "tid": tenant, "sub": "AAAA", "oid": "690222be", "azp": "client", "scp": "read:users"}),
    );
    // Its own documents say nothing of an issuer in the keys.
    preset.keys_name_issuer = false;
    preset
}

/// Access tokens of an AD FS farm (2016 or later), `fs.example.com`, for the identifier of the Web API there.
#[must_use]
pub fn ad_fs(host: &str) -> Preset {
    let issuer = IssuerName::Exact(format!("http://{host}/adfs/services/trust"));
    let keys = KeysAt::JwksUri(format!("https://{host}/adfs/discovery/keys"));
    let source = "https://learn.microsoft.com/en-us/windows-server/identity/ad-fs/development/ad-fs-openid-connect-oauth-concepts";
    Preset::new("AD FS", source, issuer, keys)
        .mapping(ClaimMapping::default().scopes([GrantSource::names("scp")]).roles([]))
        .see("https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-oidce/")
        .note("access tokens name http://HOST/adfs/services/trust, the metadata's access_token_issuer; ID tokens https://HOST/adfs")
        .note("http is part of the name; nothing is fetched from there")
        .sample(json!({"sub": "AAAA", "appid": "client", "apptype": "Public", "scp": "openid read:users", "ver": "1.0"}))
        .near_miss("the farm's ID token", json!({"iss": format!("https://{host}/adfs"), "aud": "client"}))
}

/// Version 2 access tokens that managed identities of one tenant get for your API, from these identities, by their object (principal) ids.
#[must_use]
pub fn azure_managed_identity<O: Into<String>>(tenant: &str, object_ids: impl IntoIterator<Item = O>) -> Preset {
    let ids: Vec<String> = object_ids.into_iter().map(Into::into).collect();
    let first = ids.first().cloned().unwrap_or_default();
    let mut preset = entra_v2(tenant)
        .see("https://learn.microsoft.com/en-us/entra/identity-platform/access-token-claims-reference")
        .note("a managed identity has roles only where it was assigned one; oid is who it is")
        .note("an API of token version 1 gets them from sts.windows.net: take entra_v1 and ask for oid there");
    preset.name = "Azure managed identity".into();
    preset.claims = vec![ClaimRule::one_of("oid", ids)];
    preset.sample.claims =
        json!({"ver": "2.0", "tid": tenant, "sub": first, "oid": first, "azp": "client", "azpacr": "2"});
    preset.sample.near_misses.retain(|(name, _)| name == "a token for Graph");
    preset.near_miss("another identity of the tenant", json!({"oid": "00000000-0000-0000-0000-000000000001"}))
}
