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
        ("apple", apple(["com.example.app"])),
        ("auth0", auth0("example.eu.auth0.com")),
        ("auth0-delegation", auth0_delegation("example.auth0.com", "target")),
        ("auth0-management-legacy", auth0_management_legacy("API-KEY")),
        ("authentik", authentik("https://login.example.com/application/o/shop/")),
        ("aws-alb", aws_alb("eu-west-1", "arn:aws:elasticloadbalancing:x", "https://idp.example", "client")),
        ("clerk", clerk("https://clerk.example.com", ["https://app.example.com"])),
        ("cloudflare-access", cloudflare_access("team", "tag")),
        ("cognito", cognito("eu-west-1", "eu-west-1_example", ["client"])),
        ("entra-multi-tenant", entra_multi_tenant()),
        ("entra-v1", entra_v1(TENANT)),
        ("entra-v2", entra_v2(TENANT)),
        ("firebase", firebase("project")),
        ("firebase-session-cookie", firebase_session_cookie("project", CsrfRule::same_origin())),
        ("github-actions", github_actions(["2"])),
        ("google", google(["client"])),
        ("google-iap", google_iap("/projects/1/apps/x")),
        ("keycloak", keycloak("https://login.example.com/realms/shop", "api")),
        ("kinde", kinde("https://example.kinde.com")),
        ("kubernetes", kubernetes("https://kubernetes.example", ["prod"])),
        ("logto", logto("https://example.logto.app")),
        ("okta", okta("example.okta.com", "default")),
        ("ory-hydra", ory_hydra("https://hydra.example.com")),
        ("spiffe", spiffe("example.org", "https://spire.example/bundle")),
        ("supabase", supabase("abcdefgh")),
        ("zitadel", zitadel("https://example.zitadel.cloud", "1234")),
    ]
}
