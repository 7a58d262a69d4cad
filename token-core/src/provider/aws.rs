//! Amazon: Cognito user pools, and load balancers that log people in.

use serde_json::json;

use super::{AudienceRule, IssuerName, KeysAt, Preset};
use crate::jose::Algorithm;
use crate::request::source::TokenLocation;
use crate::token::mapping::{ClaimMapping, GrantSource};
use crate::trust::claim_rule::ClaimRule;

/// Access tokens of a Cognito user pool, `eu-west-1_example`, issued to one of these app clients. They have no `aud`, unless the client asked
/// for a token bound to a resource (RFC 8707): such a token is for that resource alone and refused here. For an API that is such a
/// resource add [`audience`](Preset::audience).
#[must_use]
pub fn cognito<C: Into<String>>(region: &str, pool: &str, app_clients: impl IntoIterator<Item = C>) -> Preset {
    let issuer = format!("https://cognito-idp.{region}.amazonaws.com/{pool}");
    let keys = KeysAt::JwksUri(format!("{issuer}/.well-known/jwks.json"));
    let source = "https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html";
    let app_clients: Vec<String> = app_clients.into_iter().map(Into::into).collect();
    let first = app_clients.first().cloned().unwrap_or_default();
    let mut preset = Preset::new("Cognito access token", source, IssuerName::Exact(issuer), keys)
        .mapping(ClaimMapping::default().roles([GrantSource::names("cognito:groups")]))
        .require_claim(ClaimRule::one_of("token_use", ["access"]))
        .require_claim(ClaimRule::one_of("client_id", app_clients))
        .require_claim(ClaimRule::absent("aud"))
        .see("https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-tokens-verifying-a-jwt.html")
        .note("an ID token has aud and token_use id; where the audience is not looked at it passes every check but the latter")
        .note("a token bound to a resource has aud, the address of that API")
        .sample(json!({"sub": "aaaaaaaa", "token_use": "access", "client_id": first, "scope": "read:users", "cognito:groups": ["staff"]}))
        .near_miss("another app client", json!({"client_id": "another"}))
        .near_miss("the ID token of the same login", json!({"token_use": "id", "aud": first, "client_id": null}))
        .near_miss("a token of the same client bound to another API", json!({"aud": "https://another-api.example.com"}))
        .near_miss("no word about its use", json!({"token_use": null}));
    preset.audience = AudienceRule::ClaimsInstead;
    preset
}

/// What an Application Load Balancer writes into `x-amzn-oidc-data`, for the balancer of this ARN and the OIDC client that it logs
/// people in as. `issuer` is the identity provider behind the listener.
#[must_use]
pub fn aws_alb(region: &str, load_balancer_arn: &str, issuer: &str, client: &str) -> Preset {
    let keys = KeysAt::PemPerKid(format!("https://public-keys.auth.elb.{region}.amazonaws.com/"));
    let source = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-authenticate-users.html";
    let mut preset = Preset::new("AWS load balancer", source, IssuerName::Exact(issuer.into()), keys)
        .algorithms(&[Algorithm::ES256])
        .require_claim(ClaimRule::header("signer", [load_balancer_arn]))
        .require_claim(ClaimRule::header("client", [client]))
        .note("every balancer of the region signs with the same keys: only the header's signer says whose token it is")
        .note("the parts are padded, against RFC 7515")
        .sample(json!({"sub": "aaaaaaaa", "email": "ada@example.com"}))
        .near_miss_in_header(
            "another balancer of the region",
            json!({"signer": "arn:aws:elasticloadbalancing:another"}),
        )
        .near_miss_in_header("no word of the balancer", json!({"signer": null}))
        .near_miss_in_header("another client of the identity provider", json!({"client": "another"}));
    preset.sample.header = json!({"typ": "JWT", "signer": load_balancer_arn, "client": client, "iss": issuer});
    preset.audience = AudienceRule::ClaimsInstead;
    preset.token_locations = vec![TokenLocation::header("x-amzn-oidc-data")];
    preset.padded = true;
    preset
}

/// What a role of AWS gets by `sts:GetWebIdentityToken` for your audience (outbound identity federation). `issuer` is the account's own, as
/// `get-outbound-web-identity-federation-info` says it, and `roles` are the ARNs that may come.
#[must_use]
pub fn aws_web_identity<R: Into<String>>(issuer: &str, roles: impl IntoIterator<Item = R>) -> Preset {
    let source = "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_outbound_getting_started.html";
    let roles: Vec<String> = roles.into_iter().map(Into::into).collect();
    let first = roles.first().cloned().unwrap_or_default();
    Preset::new("AWS STS web identity", source, IssuerName::Exact(issuer.into()), KeysAt::Discovery)
        .algorithms(&[Algorithm::RS256, Algorithm::ES384])
        .mapping(ClaimMapping::default().scopes([]).roles([]))
        .require_claim(ClaimRule::one_of("sub", roles))
        .see("https://docs.aws.amazon.com/IAM/latest/APIReference/API_EnableOutboundWebIdentityFederation.html")
        .note("every role of the account can ask for any audience, unless its policies say sts:IdentityTokenAudience")
        .note("what AWS says of the caller is under https://sts.amazonaws.com/: aws_account, org_id, principal_tags")
        .sample(json!({
            "sub": first, "jti": "1",
            "https://sts.amazonaws.com/": {"aws_account": "123456789012", "source_region": "us-east-1", "org_id": "o-abc1234567"},
        }))
        .near_miss("another role of the account", json!({"sub": "arn:aws:iam::123456789012:role/Another"}))
}
