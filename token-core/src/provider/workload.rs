//! Tokens of programs: GitHub Actions, Kubernetes service accounts, SPIFFE, and what Sigstore takes of people.

use std::path::Path;

use serde_json::{Value, json};

use super::{AudienceRule, IssuerName, KeysAt, Preset};
use crate::base::config_error::ConfigError;
use crate::base::file;
use crate::jose::Algorithm;
use crate::jose::base64url;
use crate::token::kind::TokenKind;
use crate::token::mapping::ClaimMapping;
use crate::trust::claim_rule::ClaimRule;
use crate::trust::issuer::Issuer;

/// What a job of GitHub Actions gets for your audience, of the repositories with these ids. A name can be given up and taken by somebody
/// else; an id cannot.
#[must_use]
pub fn github_actions<R: Into<String>>(repository_ids: impl IntoIterator<Item = R>) -> Preset {
    let source = "https://docs.github.com/en/actions/concepts/security/openid-connect";
    let issuer = IssuerName::Exact("https://token.actions.githubusercontent.com".into());
    let ids: Vec<String> = repository_ids.into_iter().map(Into::into).collect();
    let first = ids.first().cloned().unwrap_or_default();
    Preset::new("GitHub Actions", source, issuer, KeysAt::Discovery)
        .mapping(ClaimMapping::default().scopes([]).roles([]))
        .require_claim(ClaimRule::one_of("repository_id", ids))
        .note("anybody's workflow gets tokens for any audience: the audience alone says nothing")
        .note("the shape of sub changed for repositories made or renamed since July 2026; decide by ids")
        .sample(json!({
            "sub": "repo:octo-org@1/octo-repo@2:ref:refs/heads/main", "repository_id": first, "repository_owner_id": "1",
            "ref": "refs/heads/main", "environment": "prod", "jti": "1",
        }))
        .near_miss("somebody else's repository", json!({"repository_id": "999"}))
        .near_miss("the default audience", json!({"aud": "https://github.com/octo-org"}))
}

/// Projected service account tokens of a Kubernetes cluster, for your audience and from these namespaces. `issuer` is the cluster's; its keys
/// need the cluster's authority, and a bearer unless anonymous discovery is on: see [`kubernetes_in_cluster`], or
/// [`Issuer::ca_file`](crate::Issuer::ca_file) and [`Issuer::bearer_token_file`](crate::Issuer::bearer_token_file).
#[must_use]
pub fn kubernetes<N: Into<String>>(issuer: &str, namespaces: impl IntoIterator<Item = N>) -> Preset {
    let source = "https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/";
    let namespaces: Vec<String> = namespaces.into_iter().map(Into::into).collect();
    let first = namespaces.first().cloned().unwrap_or_default();
    Preset::new("Kubernetes service account", source, IssuerName::Exact(issuer.into()), KeysAt::Discovery)
        .algorithms(&[Algorithm::RS256, Algorithm::ES256])
        .mapping(ClaimMapping::default().scopes([]).roles([]))
        .require_claim(ClaimRule::one_of(["kubernetes.io", "namespace"], namespaces))
        .note("a token of a deleted pod stays good until its exp; TokenReview knows, a signature does not")
        .sample(json!({
            "sub": format!("system:serviceaccount:{first}:app"),
            "kubernetes.io": {"namespace": first, "serviceaccount": {"name": "app", "uid": "u"}},
        }))
        .near_miss("another namespace", json!({"kubernetes.io": {"namespace": "another"}}))
        .near_miss("the token for the API server itself", json!({"aud": "https://kubernetes.default.svc"}))
}

/// Projected service account tokens of the cluster that this program runs in, from these namespaces: the [`kubernetes`] preset with everything that
/// a pod finds out by itself. Keys come from the API server at `https://kubernetes.default.svc`, which the cluster's own authority vouches for, and which is
/// shown the pod's own token, read anew whenever keys are fetched. The issuer's name is the one in that token.
///
/// A service account may read the keys by default (`system:service-account-issuer-discovery`). For a token's pod to be looked up as well, add
/// [`OpaqueTokens::token_review`](crate::opaque::OpaqueTokens::token_review).
///
/// ```no_run
/// # fn main() -> Result<(), token_core::ConfigError> {
/// use token_core::{ResourceServer, provider};
///
/// let api = ResourceServer::builder("https://orders.shop.svc").trust(provider::kubernetes_in_cluster(["shop"])?).build()?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// When this program does not run in a pod with a service account's token: `automountServiceAccountToken` may be off.
pub fn kubernetes_in_cluster<N: Into<String>>(namespaces: impl IntoIterator<Item = N>) -> Result<Issuer, ConfigError> {
    kubernetes_at(
        "https://kubernetes.default.svc",
        Path::new("/var/run/secrets/kubernetes.io/serviceaccount"),
        namespaces,
    )
}

/// The same with the API server at another origin, and with `token` and `ca.crt` in another folder.
///
/// # Errors
/// When `folder` holds no token that names its issuer, or `api_server` is no URL.
pub fn kubernetes_at<N: Into<String>>(
    api_server: &str,
    folder: impl AsRef<Path>,
    namespaces: impl IntoIterator<Item = N>,
) -> Result<Issuer, ConfigError> {
    let (token, ca) = (folder.as_ref().join("token"), folder.as_ref().join("ca.crt"));
    let issuer = issuer_of(&token).map_err(|why| {
        let hint = "expected the token of a pod's service account; is automountServiceAccountToken off?";
        ConfigError::new(format!("{}: {why}; {hint}", token.display()))
    })?;
    let keys = format!("{}/openid/v1/jwks", api_server.trim_end_matches('/'));
    let trusted = kubernetes(&issuer, namespaces).keys_at(KeysAt::JwksUri(keys)).issuer()?;
    Ok(trusted.ca_file(ca).bearer_token_file(token).allow_private_addresses())
}

/// Who issued the token in this file, which the kubelet has put there: nobody else can have.
fn issuer_of(file: &Path) -> Result<String, String> {
    let bytes = file::read(file, 64 * 1024).map_err(|unread| unread.to_string())?;
    let claims = bytes.trim_ascii().split(|byte| *byte == b'.').nth(1).and_then(base64url::decode);
    let claims: Value = claims.and_then(|json| serde_json::from_slice(&json).ok()).ok_or("not a JWT")?;
    claims.get("iss").and_then(Value::as_str).map(str::to_owned).ok_or_else(|| "it has no iss".to_owned())
}

/// JWT-SVIDs of a SPIFFE trust domain, `example.org`, whose bundle is a JWK Set at `bundle`.
#[must_use]
pub fn spiffe(trust_domain: &str, bundle: &str) -> Preset {
    let source = "https://github.com/spiffe/spiffe/blob/main/standards/JWT-SVID.md";
    let issuer = IssuerName::TrustDomain(trust_domain.into());
    let mut preset = Preset::new("SPIFFE JWT-SVID", source, issuer, KeysAt::JwksUri(bundle.into()))
        .algorithms(&[Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::PS256])
        .mapping(ClaimMapping::default().scopes([]).roles([]))
        .note("there is no iss; the trust domain is in sub, and the whole SPIFFE ID is who it is")
        .sample(json!({"sub": format!("spiffe://{trust_domain}/ns/shop/sa/web")}))
        .near_miss("another trust domain", json!({"sub": "spiffe://evil.example/ns/shop/sa/web"}))
        .near_miss(
            "a trust domain that begins alike",
            json!({"sub": format!("spiffe://{trust_domain}.evil.example/x")}),
        )
        .near_miss("another workload's audience", json!({"aud": "spiffe://example.org/other"}));
    preset.sample.header = json!({"typ": "JWT"});
    preset
}

/// ID tokens of Sigstore's login service, for the audience `sigstore`: what Fulcio makes signing certificates for.
#[must_use]
pub fn sigstore() -> Preset {
    let source = "https://github.com/sigstore/fulcio/blob/main/docs/oidc.md";
    let issuer = IssuerName::Exact("https://oauth2.sigstore.dev/auth".into());
    let mut preset = Preset::new("Sigstore ID token", source, issuer, KeysAt::Discovery)
        .mapping(ClaimMapping::default().scopes([]).roles([]))
        .require_claim(ClaimRule::any_present(["email"]))
        .note("whoever may sign with it can sign as that person: a service that is handed one can, too")
        .note("email is who it is; ask for email_verified in the handler, as Fulcio does")
        .sample(json!({"sub": "CgYx", "email": "ada@example.com", "email_verified": true, "at_hash": "x"}))
        .near_miss("the ID token of another client", json!({"aud": "another"}))
        .near_miss("no address", json!({"email": null}));
    preset.kind = TokenKind::Id;
    preset.audience = AudienceRule::Names(vec!["sigstore".into()]);
    preset
}
