//! Proxies that log people in: Cloudflare Access, Pomerium, Teleport. (AWS and Google have files of their own.)

use serde_json::json;

use super::{AudienceRule, IssuerName, KeysAt, Preset};
use crate::jose::Algorithm;
use crate::request::source::TokenLocation;
use crate::token::mapping::{ClaimMapping, GrantSource};
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

/// What Pomerium writes into `x-pomerium-jwt-assertion`, for the service behind this route's host, `app.example.com`.
#[must_use]
pub fn pomerium(host: &str) -> Preset {
    let keys = KeysAt::JwksUri(format!("https://{host}/.well-known/pomerium/jwks.json"));
    let source = "https://www.pomerium.com/docs/capabilities/getting-users-identity";
    let mut preset = Preset::new("Pomerium", source, IssuerName::Exact(host.into()), keys)
        .algorithms(&[Algorithm::ES256])
        .mapping(ClaimMapping::default().scopes([]).roles([GrantSource::names("groups")]))
        .see("https://github.com/pomerium/sdk-go/blob/main/sdk.go")
        .see("https://www.pomerium.com/docs/reference/routes/jwt-issuer-format")
        .see("https://github.com/pomerium/pomerium/blob/main/authorize/evaluator/headers_evaluator_evaluation.go")
        .note("iss and aud are the host of the route, without a scheme; routes of one host are not told apart")
        .note(
            "with jwt_issuer_format: uri (0.28 and later) iss is https://HOST/, with the slash, and aud stays the host",
        )
        .note("on a route that lets in who has not signed in, sub is empty: such a token is refused")
        .note("without signing_key in its configuration there are no keys to verify by")
        .sample(json!({"sub": "u1", "user": "u1", "email": "ada@example.com", "groups": ["staff"], "jti": "1"}))
        .near_miss("another route", json!({"iss": "other.example.com", "aud": ["other.example.com"]}))
        .near_miss("the ID token of the same login", json!({"nonce": "n"}));
    preset.audience = AudienceRule::Names(vec![host.into()]);
    preset.token_locations = vec![TokenLocation::header("x-pomerium-jwt-assertion")];
    preset
}

/// What Teleport writes into `teleport-jwt-assertion`, for the application with this URI. `proxy` is the address of its proxy service, `cluster` its name.
#[must_use]
pub fn teleport(proxy: &str, cluster: &str, app_uri: &str) -> Preset {
    let keys = KeysAt::JwksUri(format!("https://{proxy}/.well-known/jwks.json"));
    let source = "https://goteleport.com/docs/enroll-resources/application-access/jwt/introduction/";
    let mut preset = Preset::new("Teleport", source, IssuerName::Exact(cluster.into()), keys)
        .algorithms(&[Algorithm::RS256, Algorithm::ES256])
        .mapping(ClaimMapping::default().scopes([]).roles([GrantSource::names("roles")]))
        .see("https://github.com/gravitational/teleport/blob/master/lib/jwt/jwt.go")
        .see("https://goteleport.com/docs/reference/signature-algorithms/")
        .note("a cluster made with Teleport 17 or later signs with ES256, an older one with RS256 until its JWT authority is rotated")
        .note("iss is the name of the cluster and no URL; aud is the URI that the application was registered with")
        .sample(json!({"sub": "alice", "username": "alice", "roles": ["admin"], "traits": {"logins": ["ubuntu"]}}))
        .near_miss("another application of the cluster", json!({"aud": ["http://127.0.0.1:1"]}))
        .near_miss("the ID token of the same login", json!({"nonce": "n"}));
    preset.audience = AudienceRule::Names(vec![app_uri.into()]);
    preset.token_locations = vec![TokenLocation::header("teleport-jwt-assertion")];
    preset
}
