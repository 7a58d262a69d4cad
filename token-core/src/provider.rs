//! Presets for known providers: the facts of a provider in, an [`Issuer`] with the right settings out.
//!
//! A preset is plain data. Print it, change it, or write one of your own. It says where keys are, which algorithms are used, where scopes and roles are
//! written, what else must be checked, and when and where these facts were looked up. Providers change: check the notes of a preset against your own tokens
//! before you rely on it. Settings that you make on the issuer override those of the preset.
//!
//! ```
//! use token_core::{ResourceServer, provider};
//!
//! # fn main() -> Result<(), token_core::ConfigError> {
//! let preset = provider::auth0("example.eu.auth0.com");
//! println!("{}", serde_json::to_string_pretty(&preset).expect("a preset is plain data"));
//! let api = ResourceServer::builder("https://api.example.com").trust(preset.issuer()?).build()?;
//! # Ok(()) }
//! ```

mod auth0;
mod aws;
mod ci;
mod google;
mod hosted;
mod microsoft;
mod proxies;
mod samples;
mod self_hosted;
mod sessions;
mod workload;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::config_error::ConfigError;
use crate::jose::Algorithm;
use crate::jose::Algorithms;
use crate::policy::IssuerPolicy;
use crate::request::source::TokenLocation;
use crate::token::audience::Audience;
use crate::token::kind::TokenKind;
use crate::token::mapping::ClaimMapping;
use crate::token::naming::Naming;
use crate::trust::claim_rule::ClaimRule;
use crate::trust::issuer::Issuer;

pub use auth0::{auth0, auth0_delegation, auth0_management_legacy, auth0_organization};
pub use aws::{aws_alb, aws_web_identity, cognito};
pub use ci::{buildkite, circleci, gitlab_ci, vercel};
pub use google::{firebase, firebase_session_cookie, google, google_iap};
pub use hosted::{apple, clerk, kinde, logto, okta, supabase, zitadel};
pub use microsoft::{ad_fs, azure_ad_b2c, azure_managed_identity};
pub use microsoft::{entra_external_id, entra_multi_tenant, entra_v1, entra_v2};
pub use proxies::{cloudflare_access, pomerium, teleport};
pub use samples::samples;
pub use self_hosted::{authelia, authentik, casdoor, fusionauth, keycloak};
pub use self_hosted::{nextcloud, ory_hydra, tailscale_idp};
pub use sessions::{descope, hanko, stytch, workos_authkit};
pub use workload::{github_actions, kubernetes, sigstore, spiffe};
pub use workload::{kubernetes_at, kubernetes_in_cluster};

/// What is known about the tokens of a provider, and what must be checked of them. [`issuer`](Self::issuer) makes an [`Issuer`] of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Preset {
    /// The provider and the sort of token.
    pub name: String,
    /// When the facts were looked up: `2026-11` is November 2026.
    pub dated: String,
    /// The address of the page that most facts are from.
    pub source: String,
    /// The addresses of further pages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more_sources: Vec<String>,
    /// How its tokens name their issuer.
    pub issuer: IssuerName,
    /// Where its keys are.
    pub keys: KeysAt,
    /// The algorithms that it signs with.
    pub algorithms: Algorithms,
    /// The kind of token that this preset is for: [`TokenKind::Access`] or [`TokenKind::Id`].
    pub kind: TokenKind,
    /// What its tokens have in `aud`.
    pub audience: AudienceRule,
    /// In which claims it writes scopes and roles.
    pub mapping: ClaimMapping,
    /// Further claims that a token must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<ClaimRule>,
    /// Where in a request its tokens are, for [`token_locations`](crate::ResourceServerBuilder::token_locations).
    pub token_locations: Vec<TokenLocation>,
    /// Whether its JWK Set is shared by several issuers and each key names its own; see [`Issuer::match_key_issuer`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keys_name_issuer: bool,
    /// Whether the parts of its tokens are padded with `=`; see [`Issuer::accept_padding`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub padded: bool,
    /// How the provider can bind its tokens to the client, according to its documentation. An empty list means that nothing is known, not that it cannot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sender_constraints: Vec<SenderConstraint>,
    /// What often goes wrong with this provider.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// An example of a token, for tests.
    pub sample: Sample,
}

/// How tokens name their issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IssuerName {
    /// `iss` is this, byte by byte.
    Exact(String),
    /// `iss` is this with a tenant's GUID for `{tenantid}`; see [`Issuer::template`].
    Template(String),
    /// No `iss`; `sub` is a SPIFFE ID of this trust domain.
    TrustDomain(String),
    /// No `iss`; known by the audience, and called this. See [`Issuer::nameless`].
    Nameless(String),
}

/// How a token can be bound to the client that it was issued to. A server checks the binding with [`dpop`](crate::ResourceServerBuilder::dpop) or
/// [`mutual_tls`](crate::ResourceServerBuilder::mutual_tls).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SenderConstraint {
    /// By a key, with a proof for each request (DPoP, RFC 9449).
    Dpop,
    /// By the client certificate of the TLS connection (RFC 8705 section 3).
    MutualTls,
}

/// Where the keys of a provider are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeysAt {
    /// At the `jwks_uri` of its metadata.
    Discovery,
    /// A JWK Set at this address.
    JwksUri(String),
    /// Certificates in PEM by `kid`, in a JSON object at this address.
    Certificates(String),
    /// A secret that you supply; see [`Preset::issuer_with_keys`].
    Secret,
    /// One PEM document for each key, at this address followed by the `kid`.
    PemPerKid(String),
}

/// What tokens have in `aud`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AudienceRule {
    /// The resource server's own audience.
    Server,
    /// One of these.
    Names(Vec<String>),
    /// They have no `aud`. The claim rules of the preset take its place; a preset without such rules makes no issuer.
    ClaimsInstead,
}

/// A token as the provider writes it, without what differs from one to the next: `iss`, `iat`, `exp`, `kid`, `alg`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Members of the header.
    pub header: Value,
    /// Claims; `aud` where it is not simply whom the token is for.
    pub claims: Value,
    /// Tokens that are nearly right, each by what it is and the claims that differ. Null takes a claim out.
    #[serde(default)]
    pub near_misses: Vec<(String, Value)>,
    /// The same with what differs in the header.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub near_misses_in_header: Vec<(String, Value)>,
}

impl Preset {
    fn new(name: &str, source: &str, issuer: IssuerName, keys: KeysAt) -> Self {
        Self {
            name: name.into(),
            dated: "2026-11".into(),
            source: source.into(),
            more_sources: Vec::new(),
            issuer,
            keys,
            algorithms: Algorithms::of(&[Algorithm::RS256]),
            kind: TokenKind::Access,
            audience: AudienceRule::Server,
            mapping: ClaimMapping::default(),
            claims: Vec::new(),
            token_locations: vec![TokenLocation::authorization()],
            keys_name_issuer: false,
            padded: false,
            sender_constraints: Vec::new(),
            notes: Vec::new(),
            sample: Sample { header: serde_json::json!({"typ": "JWT"}), ..Sample::default() },
        }
    }

    fn algorithms(mut self, algorithms: &[Algorithm]) -> Self {
        self.algorithms = Algorithms::of(algorithms);
        self
    }

    fn see(mut self, source: &str) -> Self {
        self.more_sources.push(source.into());
        self
    }

    fn binds(mut self, how: &[SenderConstraint], source: &str) -> Self {
        self.sender_constraints.extend(how);
        self.see(source)
    }

    fn note(mut self, note: &str) -> Self {
        self.notes.push(note.into());
        self
    }

    fn sample(mut self, claims: Value) -> Self {
        self.sample.claims = claims;
        self
    }

    fn near_miss(mut self, name: &str, claims: Value) -> Self {
        self.sample.near_misses.push((name.into(), claims));
        self
    }

    fn near_miss_in_header(mut self, name: &str, members: Value) -> Self {
        self.sample.near_misses_in_header.push((name.into(), members));
        self
    }

    /// Demands more of a claim; see [`ClaimRule`].
    #[must_use]
    pub fn require_claim(mut self, rule: ClaimRule) -> Self {
        self.claims.push(rule);
        self
    }

    /// Other claims for scopes and roles.
    #[must_use]
    pub fn mapping(mut self, mapping: ClaimMapping) -> Self {
        self.mapping = mapping;
        self
    }

    /// Other algorithms than the provider's usual ones.
    #[must_use]
    pub fn signed_with(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// Whom tokens are for, where the provider writes it only when it is asked to: one of these names, and no token without.
    #[must_use]
    pub fn audience<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.audience = AudienceRule::Names(names.into_iter().map(Into::into).collect());
        self.claims.retain(|rule| !rule.forbids("aud"));
        self
    }

    /// Keys from another place.
    #[must_use]
    pub fn keys_at(mut self, keys: KeysAt) -> Self {
        self.keys = keys;
        self
    }

    /// The same rules for an issuer at another place: one of your own domain, or one in a test. A template keeps its last segments.
    #[must_use]
    pub fn at(mut self, origin: &str, jwks_uri: impl Into<String>) -> Self {
        let origin = origin.trim_end_matches('/');
        let moved = |name: &str| {
            let path = name.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
            let slash =
                if name.contains("://") && name.trim_end_matches('/').matches('/').count() > 2 || name.ends_with('/') {
                    "/"
                } else {
                    ""
                };
            format!("{origin}{slash}{path}")
        };
        self.issuer = match self.issuer {
            IssuerName::Exact(name) => IssuerName::Exact(moved(&name)),
            IssuerName::Template(name) => IssuerName::Template(moved(&name)),
            other => other,
        };
        self.keys = KeysAt::JwksUri(jwks_uri.into());
        self
    }

    /// The issuer with these rules, whose keys are fetched from where the preset says.
    ///
    /// # Errors
    /// When an address in it is not a URL, the keys have to be handed over, or nothing says whom a token is for.
    pub fn issuer(&self) -> Result<Issuer, ConfigError> {
        let refuse = |why: &str| Err(ConfigError::new(format!("preset {}: {why}", self.name)));
        let issuer = match (&self.issuer, &self.keys) {
            (_, KeysAt::Secret) => return refuse("its keys have to be handed over"),
            (IssuerName::Exact(name), KeysAt::PemPerKid(base)) => Issuer::with_pem_per_kid(name, base)?,
            (IssuerName::Exact(name), KeysAt::Certificates(uri)) => Issuer::with_certificates(name, uri)?,
            (IssuerName::Exact(name), KeysAt::Discovery) => Issuer::discover(name)?,
            (IssuerName::Exact(name), KeysAt::JwksUri(uri)) => Issuer::with_jwks_uri(name, uri)?,
            (IssuerName::Template(name), KeysAt::JwksUri(uri)) => Issuer::template(name, uri)?,
            (IssuerName::TrustDomain(domain), KeysAt::JwksUri(uri)) => Issuer::spiffe_at(domain, uri)?,
            (_, KeysAt::Discovery | KeysAt::Certificates(_) | KeysAt::PemPerKid(_)) => {
                return refuse("such keys are for an issuer of one exact name");
            }
            (IssuerName::Nameless(_), _) => return refuse("its keys have to be handed over"),
        };
        self.rules(issuer)
    }

    /// The same as an entry of a [`Policy`](crate::policy::Policy): what will be accepted, to be read, compared and kept in a file.
    /// Where tokens have no `aud` it says so, and its claim rules stand in for it.
    ///
    /// # Errors
    /// As [`Preset::issuer`].
    pub fn policy(&self) -> Result<IssuerPolicy, ConfigError> {
        Ok(IssuerPolicy::of(&self.issuer()?))
    }

    /// The issuer with these rules and keys of yours: a secret, or a public key in PEM.
    ///
    /// # Errors
    /// When nothing says whom a token is for, or the issuer's name is empty.
    pub fn issuer_with_keys(&self, keys: crate::trust::static_keys::StaticKeys) -> Result<Issuer, ConfigError> {
        let issuer = match &self.issuer {
            IssuerName::Exact(name) => Issuer::with_keys(name, keys)?,
            IssuerName::Nameless(name) => match &self.audience {
                AudienceRule::Names(names) => Issuer::nameless(name, Audience::any_of(names.iter().cloned()), keys)?,
                _ => return Err(ConfigError::new(format!("preset {}: no audience is named", self.name))),
            },
            IssuerName::Template(_) | IssuerName::TrustDomain(_) => {
                return Err(ConfigError::new(format!("preset {}: its keys are fetched", self.name)));
            }
        };
        self.rules(issuer)
    }

    fn rules(&self, issuer: Issuer) -> Result<Issuer, ConfigError> {
        let mut issuer = issuer.algorithms(self.algorithms.iter()).mapping(self.mapping.clone());
        issuer = match (&self.audience, self.kind) {
            (AudienceRule::Server, _) => issuer,
            (AudienceRule::Names(names), TokenKind::Id) => {
                issuer.accept_id_tokens(Audience::any_of(names.iter().cloned()))
            }
            (AudienceRule::Names(names), _) => issuer.audience(Audience::any_of(names.iter().cloned())),
            (AudienceRule::ClaimsInstead, _) if self.claims.is_empty() => {
                return Err(ConfigError::new(format!("preset {}: nothing says whom a token is for", self.name)));
            }
            (AudienceRule::ClaimsInstead, _) => issuer.audience(Audience::dangerously_unchecked()),
        };
        if self.keys_name_issuer && issuer.naming == Naming::Exact {
            issuer = issuer.match_key_issuer();
        }
        if self.padded {
            issuer = issuer.accept_padding();
        }
        Ok(self.claims.iter().cloned().fold(issuer, Issuer::require_claim))
    }
}

#[cfg(test)]
mod tests;
