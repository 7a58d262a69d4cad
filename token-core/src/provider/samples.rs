//! Nothing in, one preset of each sort out, made of example names: for tools and tests that go through all of them.

use super::*;
use crate::request::source::CsrfRule;

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

/// Every preset there is, each with the name of its function (`entra-v2` for [`entra_v2`]), made of example names.
///
/// ```
/// for (name, preset) in token_core::provider::samples() {
///     println!("{name}: {} ({})", preset.name, preset.source);
/// }
/// ```
#[must_use]
pub fn samples() -> Vec<(&'static str, Preset)> {
    vec![
        ("ad-fs", ad_fs("fs.example.com")),
        ("apple", apple(["com.example.app"])),
        ("auth0", auth0("example.eu.auth0.com")),
        ("auth0-delegation", auth0_delegation("example.auth0.com", "target")),
        ("auth0-management-legacy", auth0_management_legacy("API-KEY")),
        ("auth0-organization", auth0_organization("example.eu.auth0.com", ["org_1"])),
        ("authelia", authelia("https://auth.example.com")),
        ("authentik", authentik("https://login.example.com/application/o/shop/")),
        ("aws-alb", aws_alb("eu-west-1", "arn:aws:elasticloadbalancing:x", "https://idp.example", "client")),
        (
            "aws-web-identity",
            aws_web_identity("https://abc.tokens.sts.global.api.aws", ["arn:aws:iam::123456789012:role/Deploy"]),
        ),
        ("azure-ad-b2c", azure_ad_b2c("contoso", TENANT, "b2c_1_signupsignin1")),
        ("azure-managed-identity", azure_managed_identity(TENANT, ["690222be-ff1a-4d56-abd1-7e4f7d38e474"])),
        ("buildkite", buildkite(["0184990a-477b-4fa8-9968-496074483cee"])),
        ("casdoor", casdoor("https://door.example.com", "client")),
        ("circleci", circleci("0193abcd-1234-5678-abcd-ef0123456789", ["b2a1"])),
        ("clerk", clerk("https://clerk.example.com", ["https://app.example.com"])),
        ("cloudflare-access", cloudflare_access("team", "tag")),
        ("cognito", cognito("eu-west-1", "eu-west-1_example", ["client"])),
        ("descope", descope("P2PqjhPcC8Hri2nXUY7f234F")),
        ("entra-external-id", entra_external_id("contoso", TENANT)),
        ("entra-multi-tenant", entra_multi_tenant()),
        ("entra-v1", entra_v1(TENANT)),
        ("entra-v2", entra_v2(TENANT)),
        ("firebase", firebase("project")),
        ("firebase-session-cookie", firebase_session_cookie("project", CsrfRule::same_origin())),
        ("fusionauth", fusionauth("acme.com", "https://auth.example.com", "e9fdb985-9173-4e01-9d73-ac2d60d1dc8e")),
        ("github-actions", github_actions(["2"])),
        ("gitlab-ci", gitlab_ci("https://gitlab.com", ["20"])),
        ("google", google(["client"])),
        ("google-iap", google_iap("/projects/1/apps/x")),
        ("hanko", hanko("https://passkeys.example.com", "https://passkeys.example.com", "example.com")),
        ("keycloak", keycloak("https://login.example.com/realms/shop", "api")),
        ("kinde", kinde("https://example.kinde.com")),
        ("kubernetes", kubernetes("https://kubernetes.example", ["prod"])),
        ("logto", logto("https://example.logto.app")),
        ("nextcloud", nextcloud("https://cloud.example.com", ["client"])),
        ("okta", okta("example.okta.com", "default")),
        ("ory-hydra", ory_hydra("https://hydra.example.com")),
        ("pomerium", pomerium("app.example.com")),
        ("sigstore", sigstore()),
        ("spiffe", spiffe("example.org", "https://spire.example/bundle")),
        ("stytch", stytch("project-live-1")),
        ("supabase", supabase("abcdefgh")),
        ("tailscale-idp", tailscale_idp("https://idp.tail-scale.ts.net", ["client"])),
        ("teleport", teleport("teleport.example.com", "teleport.example.com", "http://127.0.0.1:34679")),
        ("vercel", vercel("acme", ["prj_1"])),
        ("workos-authkit", workos_authkit("shop.authkit.app")),
        ("zitadel", zitadel("https://example.zitadel.cloud", "1234")),
    ]
}
