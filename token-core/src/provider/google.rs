//! Google: sign-in, Firebase and the Identity-Aware Proxy.

use serde_json::json;

use super::{AudienceRule, IssuerName, KeysAt, Preset};
use crate::jose::Algorithm;
use crate::request::source::{CsrfRule, TokenLocation};
use crate::token::kind::TokenKind;
use crate::token::mapping::ClaimMapping;

/// ID tokens of Google sign-in for these OAuth client ids. `iss` may be without its scheme, says Google; tokens of its current libraries have
/// it. For those that have not, trust a second entry whose [`issuer`](Preset::issuer) is `IssuerName::Exact("accounts.google.com".into())`. For one domain of Google Workspace add
/// `require_claim(ClaimRule::one_of("hd", ["example.com"]))`.
#[must_use]
pub fn google<C: Into<String>>(client_ids: impl IntoIterator<Item = C>) -> Preset {
    let keys = KeysAt::JwksUri("https://www.googleapis.com/oauth2/v3/certs".into());
    let source = "https://developers.google.com/identity/openid-connect/openid-connect";
    let mut preset = Preset::new(
        "Google ID token",
        source,
        IssuerName::Exact("https://accounts.google.com".into()),
        keys,
    )
    .mapping(ClaimMapping::default().scopes([]).roles([]))
    .see("https://developers.google.com/identity/gsi/web/guides/verify-google-id-token")
    .note("iss is https://accounts.google.com or, rarely, accounts.google.com: two entries, each matched exactly")
    .note("access tokens (ya29.) are opaque and for Google alone")
    .note("identify people by sub; an address in email may change hands")
    .sample(json!({"sub": "110169484474386276334", "email": "ada@example.com", "email_verified": true, "at_hash": "x"}))
    .near_miss("the ID token of another client", json!({"aud": "another", "azp": "another"}));
    preset.kind = TokenKind::Id;
    preset.audience = AudienceRule::Names(client_ids.into_iter().map(Into::into).collect());
    preset
}

/// Firebase's ID tokens of one project: what its client libraries send to an API. Custom claims are at the top level.
#[must_use]
pub fn firebase(project: &str) -> Preset {
    let keys = "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com";
    let issuer = IssuerName::Exact(format!("https://securetoken.google.com/{project}"));
    firebase_token("Firebase ID token", project, issuer, keys)
        .see("https://firebase.google.com/docs/emulator-suite/connect_auth")
        .note("the address in the documentation answers with certificates by kid; this one is the same as a JWK Set")
        .note("tokens of the emulator are unsigned and refused")
        .near_miss(
            "the session cookie of the same login",
            json!({"iss": format!("https://session.firebase.google.com/{project}")}),
        )
}

/// Firebase's session cookies of one project, in the cookie `__session` and by requests that `csrf` believes.
#[must_use]
pub fn firebase_session_cookie(project: &str, csrf: CsrfRule) -> Preset {
    let keys = "https://identitytoolkit.googleapis.com/v1/sessionCookiePublicKeys";
    let issuer = IssuerName::Exact(format!("https://session.firebase.google.com/{project}"));
    let mut preset = firebase_token("Firebase session cookie", project, issuer, keys);
    preset.token_locations = vec![TokenLocation::cookie("__session", csrf)];
    preset
}

fn firebase_token(name: &str, project: &str, issuer: IssuerName, keys: &str) -> Preset {
    let source = "https://firebase.google.com/docs/auth/admin/verify-id-tokens";
    let mut preset = Preset::new(name, source, issuer, KeysAt::JwksUri(keys.into()))
        .sample(json!({"sub": "aaaa", "user_id": "aaaa", "auth_time": 1, "firebase": {"sign_in_provider": "password"}}))
        .near_miss("another project's audience", json!({"aud": "another-project"}));
    preset.audience = AudienceRule::Names(vec![project.into()]);
    preset
}

/// What Google's Identity-Aware Proxy writes into `x-goog-iap-jwt-assertion`. The audience is that of the backend:
/// `/projects/N/global/backendServices/ID`, `/projects/N/apps/ID` or `/projects/N/locations/R/services/S`.
#[must_use]
pub fn google_iap(audience: &str) -> Preset {
    let keys = KeysAt::JwksUri("https://www.gstatic.com/iap/verify/public_key-jwk".into());
    let source = "https://cloud.google.com/iap/docs/signed-headers-howto";
    let issuer = IssuerName::Exact("https://cloud.google.com/iap".into());
    let mut preset = Preset::new("Google IAP", source, issuer, keys)
        .algorithms(&[Algorithm::ES256])
        .mapping(ClaimMapping::default().scopes([]).roles([]))
        .note("the plain headers with the address of the user can be sent by anybody; only the assertion is signed")
        .sample(json!({"sub": "accounts.google.com:118133858486581853996", "email": "ada@example.com"}))
        .near_miss("another backend", json!({"aud": "/projects/1/global/backendServices/2"}));
    preset.audience = AudienceRule::Names(vec![audience.into()]);
    preset.token_locations = vec![TokenLocation::header("x-goog-iap-jwt-assertion")];
    preset
}
