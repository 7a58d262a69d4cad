//! The name of a provider in, a token in the shape of its tokens out: facts from the presets.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use token_core::provider::{self, AudienceRule, Preset};
use token_test::{TestIssuer, TokenBuilder};

/// What a minted token looks like. The issuer and the keys are always this development issuer's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Shape {
    /// An access token as RFC 9068 describes it.
    #[default]
    Rfc9068,
    /// An ID token, which an API must refuse.
    IdToken,
    Auth0,
    Authentik,
    Clerk,
    Cognito,
    EntraV1,
    EntraV2,
    GithubActions,
    Google,
    Keycloak,
    Kinde,
    Kubernetes,
    Logto,
    Okta,
    OryHydra,
    Supabase,
    Zitadel,
}

impl Shape {
    /// A token of this shape, good at this issuer.
    pub(super) fn token(self, issuer: &TestIssuer) -> TokenBuilder {
        let Some(preset) = self.preset() else {
            return if self == Self::IdToken {
                issuer.id_token().claim("nonce", "n-0S6_WzA2Mj")
            } else {
                issuer.token()
            };
        };
        let mut token = issuer.token().without("client_id").without("jti").without_header("typ");
        token = match &preset.audience {
            AudienceRule::Names(names) => match names.first() {
                Some(name) => token.audience(name),
                None => token,
            },
            AudienceRule::ClaimsInstead => token.without("aud"),
            AudienceRule::Server => token,
        };
        for (name, value) in preset.sample.header.as_object().into_iter().flatten() {
            token = token.header(name, value.clone());
        }
        for (name, value) in preset.sample.claims.as_object().into_iter().flatten() {
            token = token.claim(name, value.clone());
        }
        token
    }

    fn preset(self) -> Option<Preset> {
        const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
        Some(match self {
            Self::Rfc9068 | Self::IdToken => return None,
            Self::Auth0 => provider::auth0("example.eu.auth0.com"),
            Self::Authentik => provider::authentik("https://login.example.com/application/o/shop/"),
            Self::Clerk => provider::clerk("https://clerk.example.com", ["https://app.example.com"]),
            Self::Cognito => provider::cognito("eu-west-1", "eu-west-1_example", ["client"]),
            Self::EntraV1 => provider::entra_v1(TENANT),
            Self::EntraV2 => provider::entra_v2(TENANT),
            Self::GithubActions => provider::github_actions(["2"]),
            Self::Google => provider::google(["client"]),
            Self::Keycloak => provider::keycloak("https://login.example.com/realms/shop", "api"),
            Self::Kinde => provider::kinde("https://example.kinde.com"),
            Self::Kubernetes => provider::kubernetes("https://kubernetes.example", ["prod"]),
            Self::Logto => provider::logto("https://example.logto.app"),
            Self::Okta => provider::okta("example.okta.com", "default"),
            Self::OryHydra => provider::ory_hydra("https://hydra.example.com"),
            Self::Supabase => provider::supabase("abcdefgh"),
            Self::Zitadel => provider::zitadel("https://example.zitadel.cloud", "1234"),
        })
    }
}
