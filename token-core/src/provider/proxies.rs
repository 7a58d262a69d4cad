//! Proxies that log people in: Cloudflare Access. (AWS and Google have files of their own.)

use serde_json::json;

use super::{AudienceRule, IssuerName, KeysAt, Preset};
use crate::request::source::TokenLocation;
use crate::token::mapping::ClaimMapping;
use crate::trust::claim_rule::ClaimRule;

/// What Cloudflare Access writes into `cf-access-jwt-assertion`, for the application of this AUD tag. `team` is the name before
/// `.cloudflareaccess.com`.
#[must_use]
pub fn cloudflare_access(team: &str, application_aud: &str) -> Preset {
    let issuer = format!("https://{team}.cloudflareaccess.com");
    let keys = KeysAt::JwksUri(format!("{issuer}/cdn-cgi/access/certs"));
    let source = "https://developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/authorization-cookie/validating-json/";
    let mut preset = Preset::new("Cloudflare Access", source, IssuerName::Exact(issuer), keys)
        .mapping(ClaimMapping::default().scopes([]).roles([]))
        .require_claim(ClaimRule::one_of("type", ["app"]).or_absent())
        .see("https://developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/authorization-cookie/application-token/")
        .note("whoever reaches the origin past Cloudflare can write the header with the address of the user; only the assertion is signed")
        .note("service tokens have common_name in place of email, and an empty sub")
        .sample(json!({"sub": "7335d417", "aud": [application_aud], "email": "ada@example.com", "type": "app", "identity_nonce": "n"}))
        .near_miss("the session token of the whole team", json!({"type": "org"}))
        .near_miss("another application of the team", json!({"aud": ["another-tag"]}));
    preset.audience = AudienceRule::Names(vec![application_aud.into()]);
    preset.token_locations = vec![TokenLocation::header("cf-access-jwt-assertion")];
    preset
}
