//! Login services that one runs oneself: Keycloak, Ory Hydra, Authentik, FusionAuth, Casdoor, Authelia, Nextcloud, tsidp.

use serde_json::json;

use super::{AudienceRule, IssuerName, KeysAt, Preset, SenderConstraint};
use crate::jose::Algorithm;
use crate::token::kind::TokenKind;
use crate::token::mapping::{ClaimMapping, GrantSource};
use crate::trust::claim_rule::ClaimRule;

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
        .binds(&[SenderConstraint::Dpop], "https://www.keycloak.org/securing-apps/dpop")
        .binds(&[SenderConstraint::MutualTls], "https://www.keycloak.org/docs/latest/server_admin/#_mtls-client-certificate-bound-tokens")
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

/// Access tokens of a FusionAuth application by its id. `issuer` is what the tenant's JWT settings say, and `base_url` where the server is.
#[must_use]
pub fn fusionauth(issuer: &str, base_url: &str, application_id: &str) -> Preset {
    let keys = KeysAt::JwksUri(format!("{}/.well-known/jwks.json", base_url.trim_end_matches('/')));
    let source = "https://fusionauth.io/docs/lifecycle/authenticate-users/oauth/tokens";
    let mut preset = Preset::new("FusionAuth access token", source, IssuerName::Exact(issuer.into()), keys)
        .mapping(ClaimMapping::default().roles([GrantSource::names("roles")]))
        // The ID token has the same audience, and lost this claim in 1.24.
        .require_claim(ClaimRule::one_of("applicationId", [application_id]))
        .binds(&[SenderConstraint::Dpop], "https://fusionauth.io/docs/lifecycle/authenticate-users/oauth/dpop")
        .note("applicationId is there only for users who are registered for the application; others are refused")
        .note("tokens of entities (client credentials) have the target entity's id in aud and no applicationId: they are refused here")
        .note("choose an asymmetric key for the application's access tokens: a shared secret would be known to every service")
        .sample(json!({
            "sub": "00000000-0000-0000-0000-111111111111", "applicationId": application_id, "roles": ["admin"], "scope": "openid profile",
            "authenticationType": "PASSWORD", "gty": ["authorization_code"], "tid": "d7d09513-a3f5-401c-9685-34ab6c552453", "jti": "1",
        }))
        .near_miss("the ID token of the same login", json!({"applicationId": null, "at_hash": "x"}))
        .near_miss("a user who is not registered", json!({"applicationId": null}));
    preset.audience = AudienceRule::Names(vec![application_id.into()]);
    preset
}

/// Access tokens of a Casdoor application by its client id. `endpoint` is the server's origin.
#[must_use]
pub fn casdoor(endpoint: &str, client_id: &str) -> Preset {
    let source = "https://github.com/casdoor/casdoor/blob/master/object/token_jwt.go";
    let issuer = IssuerName::Exact(endpoint.trim_end_matches('/').into());
    let mut preset = Preset::new("Casdoor access token", source, issuer, KeysAt::Discovery)
        .mapping(ClaimMapping::default().roles([]))
        .require_claim(ClaimRule::one_of("tokenType", ["access-token"]))
        .binds(&[SenderConstraint::Dpop], "https://github.com/casdoor/casdoor/blob/master/object/dpop.go")
        .note("access and refresh tokens differ in tokenType alone")
        .note("much of the user is in the token; decide by sub, and by owner where there are several organizations")
        .sample(json!({"sub": "u1", "owner": "built-in", "name": "ada", "tokenType": "access-token", "scope": "profile", "azp": client_id}))
        .near_miss("the refresh token of the same session", json!({"tokenType": "refresh-token"}))
        .near_miss("no word about its use", json!({"tokenType": null}));
    preset.audience = AudienceRule::Names(vec![client_id.into()]);
    preset
}

/// JWT access tokens of an Authelia server, `https://auth.example.com`, of clients with `access_token_signed_response_alg`. By default it issues opaque ones.
#[must_use]
pub fn authelia(issuer: &str) -> Preset {
    let source = "https://www.authelia.com/configuration/identity-providers/openid-connect/clients/";
    let mut preset = Preset::new("Authelia access token", source, IssuerName::Exact(issuer.into()), KeysAt::Discovery)
        .mapping(ClaimMapping::default().scopes([GrantSource::names("scp")]).roles([GrantSource::names("groups")]))
        .note("aud holds what the client's audience list says, and never the client's id")
        .note("groups are in access tokens only by a claims policy")
        .sample(json!({"sub": "u1", "client_id": "web", "scp": ["openid", "read:users"], "jti": "1"}))
        .near_miss("the ID token of the same login", json!({"aud": ["web"], "nonce": "n"}));
    preset.sample.header = json!({"typ": "at+jwt"});
    preset
}

/// ID tokens of the app *OIDC Identity Provider* of a Nextcloud, `https://cloud.example.com`, for these clients. Its access tokens are opaque, unless a client is set to
/// JWT: those follow RFC 9068, and name the resource that was asked for in `aud`.
#[must_use]
pub fn nextcloud<C: Into<String>>(origin: &str, client_ids: impl IntoIterator<Item = C>) -> Preset {
    let origin = origin.trim_end_matches('/');
    let source = "https://github.com/H2CK/oidc/blob/master/lib/Controller/DiscoveryController.php";
    let keys = KeysAt::JwksUri(format!("{origin}/index.php/apps/oidc/jwks"));
    let mut preset = Preset::new("Nextcloud ID token", source, IssuerName::Exact(origin.into()), keys)
        .mapping(ClaimMapping::default().scopes([]).roles([GrantSource::names("roles"), GrantSource::names("groups")]))
        .see("https://github.com/H2CK/oidc/blob/master/lib/Util/JwtGenerator.php")
        .note("a client that is set to HS256 signs with its own secret: leave it at RS256")
        .note("at_hash is made of the hexadecimal digest, whole: it is not what OpenID Connect says, and Login::access_token would refuse it")
        .note("a Nextcloud below a path has that path in its issuer")
        .sample(json!({"sub": "ada", "azp": "client", "preferred_username": "ada", "roles": ["staff"], "at_hash": "x", "jti": "1"}))
        .near_miss("the ID token of another client", json!({"aud": "another-client"}));
    preset.kind = TokenKind::Id;
    preset.audience = AudienceRule::Names(client_ids.into_iter().map(Into::into).collect());
    preset
}

/// ID tokens of `tsidp`, the identity provider of a tailnet, `https://idp.tailnet.ts.net`, for these clients. Its access tokens are opaque: ask its
/// introspection endpoint about those.
#[must_use]
pub fn tailscale_idp<C: Into<String>>(server: &str, client_ids: impl IntoIterator<Item = C>) -> Preset {
    let source = "https://github.com/tailscale/tsidp/blob/main/server/token.go";
    let issuer = IssuerName::Exact(server.trim_end_matches('/').into());
    let mut preset = Preset::new("Tailscale tsidp ID token", source, issuer, KeysAt::Discovery)
        .mapping(ClaimMapping::default().scopes([]).roles([]))
        .see("https://github.com/tailscale/tailscale/blob/main/cmd/tsidp/tsidp.go")
        .note("a token for a resource (RFC 8707) has it in aud beside the client, which azp names: whom it is for is told by the client alone")
        .note("introspection writes sub as the number alone, and the ID token as userid:NUMBER")
        .note("it lives for 5 minutes; uid and nid are the user and the node, node and addresses may change")
        .sample(json!({
            "sub": "userid:123", "nid": 7, "node": "laptop.tail-scale.ts.net.", "tailnet": "tail-scale.ts.net", "uid": 123, "jti": "1",
        }))
        .near_miss("the ID token of another client", json!({"aud": ["another-client"]}));
    preset.kind = TokenKind::Id;
    preset.audience = AudienceRule::Names(client_ids.into_iter().map(Into::into).collect());
    preset
}
