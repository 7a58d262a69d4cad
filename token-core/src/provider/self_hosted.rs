//! Login services that one runs oneself: Keycloak, Ory Hydra, Authentik.

use serde_json::json;

use super::{IssuerName, KeysAt, Preset};
use crate::jose::Algorithm;
use crate::token::mapping::{ClaimMapping, GrantSource};

/// Access tokens of a Keycloak realm, `https://login.example.com/realms/shop`, with the realm's roles. The roles of `client`, the name of
/// this API at Keycloak, come with the prefix `client:`.
#[must_use]
pub fn keycloak(realm: &str, client: &str) -> Preset {
    let source = "https://www.keycloak.org/docs/latest/server_admin/#_audience";
    let issuer = IssuerName::Exact(realm.trim_end_matches('/').into());
    let roles = [
        GrantSource::names(["realm_access", "roles"]),
        GrantSource::names(["resource_access", client, "roles"]).prefix(format!("{client}:")),
    ];
    Preset::new("Keycloak access token", source, issuer, KeysAt::Discovery)
        .algorithms(&[Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA])
        .mapping(ClaimMapping::default().roles(roles))
        .note("aud names this API only with an audience mapper; account is in the tokens of every client, and never the API")
        .note("a token got under another host name has another issuer: set the frontend URL")
        .see("https://www.keycloak.org/docs/25.0.0/upgrading/#nonce-claim-is-only-added-to-the-id-token")
        .note("until version 24 access tokens had nonce, which marks ID tokens; turn it off or upgrade")
        .sample(json!({
            "sub": "aaaa", "typ": "Bearer", "azp": "web", "sid": "s", "scope": "openid read:users",
            "realm_access": {"roles": ["staff"]}, "resource_access": {client: {"roles": ["admin"]}},
        }))
        .near_miss("the ID token of the same login", json!({"typ": "ID", "aud": "web"}))
        .near_miss("an ID token that names the API", json!({"typ": "ID"}))
        .near_miss("the refresh token of the same login", json!({"typ": "Refresh"}))
        .near_miss("an offline token", json!({"typ": "Offline"}))
        .near_miss("a token for every client of the realm", json!({"aud": "account"}))
}

/// JWT access tokens of Ory Hydra. By default it issues opaque ones (`ory_at_`), for its introspection endpoint.
#[must_use]
pub fn ory_hydra(issuer: &str) -> Preset {
    let source = "https://www.ory.sh/docs/oauth2-oidc/jwt-access-token";
    Preset::new("Ory Hydra access token", source, IssuerName::Exact(issuer.into()), KeysAt::Discovery)
        .mapping(ClaimMapping::default().scopes([GrantSource::names("scp")]).roles([]))
        .see("https://www.ory.sh/docs/hydra/guides/audiences")
        .note("aud is an empty array unless the client asks for one: such a token is for nobody")
        .note("claims of your own are under ext")
        .sample(json!({"sub": "u1", "client_id": "client", "scp": ["read:users"], "ext": {"plan": "gold"}, "jti": "1"}))
        .near_miss("a token for nobody", json!({"aud": []}))
        .near_miss("the ID token of the same login", json!({"aud": ["client"], "at_hash": "x", "scp": null}))
}

/// Access tokens of an Authentik provider, `https://login.example.com/application/o/shop/`. The audience is its client id.
#[must_use]
pub fn authentik(issuer: &str) -> Preset {
    let source = "https://docs.goauthentik.io/add-secure-apps/providers/oauth2/";
    Preset::new("Authentik access token", source, IssuerName::Exact(issuer.into()), KeysAt::Discovery)
        .algorithms(&[Algorithm::RS256, Algorithm::ES256])
        .mapping(ClaimMapping::default().roles([GrantSource::names("groups")]))
        .note("the issuer ends with a slash, or is that of the whole server, by a setting")
        .see("https://github.com/goauthentik/authentik/blob/main/authentik/providers/oauth2/models.py")
        .note("a provider with an encryption key sends JWE, which is refused unless encrypted_tokens names its key")
        .note("a provider without a signing key signs with HS256 and the client's secret; give it a key")
        .sample(json!({"sub": "u1", "azp": "client", "scope": "read:users", "groups": ["staff"]}))
        .near_miss("the token of another provider", json!({"aud": "another-client"}))
        .near_miss("the ID token of the same login", json!({"nonce": "n"}))
}
