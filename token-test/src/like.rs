//! A provider's preset goes in, an issuer that writes tokens as the provider does comes out, and tokens that are nearly right.

use serde_json::Value;
use token_core::provider::{AudienceRule, IssuerName, KeysAt, Preset};
use token_core::{Algorithm, ConfigError, Issuer, StaticKeys, TokenKind};

use crate::issuer::TestIssuer;
use crate::keys::TestKey;
use crate::mint::TokenBuilder;
use crate::pre_made;

/// A [`TestIssuer`] that imitates a provider. Returned by [`TestIssuer::like`].
#[derive(Debug)]
pub struct Lookalike {
    issuer: TestIssuer,
    preset: Preset,
    key: TestKey,
}

impl TestIssuer {
    /// Starts an issuer whose tokens have the form that `preset` describes. Its identifier is on the loopback
    /// interface, with the path of the provider's.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use token_core::{Presented, ResourceServer, provider};
    /// use token_test::TestIssuer;
    ///
    /// let cognito = TestIssuer::like(&provider::cognito("eu-west-1", "eu-west-1_example", ["my-app"])).await;
    /// let api = ResourceServer::builder(cognito.issuer().audience()).trust(cognito.trusted()?).build()?;
    /// let verified = api.authenticate(Presented::token(&cognito.token().subject("ada").mint())).await?;
    /// assert_eq!(verified.subject(), Some("ada"));
    /// for (what, token) in cognito.near_misses() {
    ///     assert!(api.authenticate(Presented::token(&token)).await.is_err(), "{what}");
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Panics
    /// Outside a tokio runtime, or if there is no free port.
    pub async fn like(preset: &Preset) -> Lookalike {
        let algorithm = preset.algorithms.iter().next().unwrap_or(Algorithm::RS256);
        let issuer = Self::builder().algorithm(if algorithm.is_symmetric() { Algorithm::RS256 } else { algorithm });
        let issuer = issuer.start().await;
        let moved = preset.clone().at(issuer.url(), issuer.jwks_uri());
        // Keys that are handed over are handed over here, too.
        let preset = match preset.keys {
            KeysAt::Secret | KeysAt::PemPerKid(_) => moved.keys_at(preset.keys.clone()),
            _ => moved,
        };
        let key = key_for(&issuer, algorithm);
        Lookalike { issuer, preset, key }
    }

    /// A good token in the shape that `preset` describes, by this issuer: claims, header, audience and algorithm are the provider's, the
    /// name in `iss` and the keys are this issuer's. Where the provider writes no `iss` there is none; where it signs with a secret that
    /// it shares with the API, [`TestIssuer::SHARED_SECRET`] is the one.
    ///
    /// The key of an algorithm other than the issuer's own is published when it is first used.
    pub fn token_like(&self, preset: &Preset) -> TokenBuilder {
        let own = self.signing_key();
        let key = match preset.algorithms.iter().next() {
            Some(algorithm) if !preset.algorithms.contains(own.algorithm()) => key_for(self, algorithm),
            _ => own,
        };
        let mut preset = preset.clone();
        if let IssuerName::Exact(name) | IssuerName::Template(name) = &mut preset.issuer {
            self.url().clone_into(name);
        }
        shaped(self, &preset, &key)
    }
}

/// The key that a token of this algorithm is signed with.
fn key_for(issuer: &TestIssuer, algorithm: Algorithm) -> TestKey {
    match algorithm.is_symmetric() {
        true => TestKey::from_secret(algorithm, None, pre_made::SECRET),
        false => issuer.key_for(algorithm),
    }
}

fn shaped(issuer: &TestIssuer, preset: &Preset, key: &TestKey) -> TokenBuilder {
    let sample = &preset.sample;
    let mut token = issuer.token().without("client_id").without("jti").without_header("typ");
    if key.kid() != issuer.signing_key().kid() {
        token = token.signed_by(key);
    }
    token = match &preset.audience {
        AudienceRule::Names(names) => names.first().map_or(token.clone(), |name| token.clone().audience(name)),
        AudienceRule::ClaimsInstead => token.without("aud"),
        _ => token,
    };
    for (name, value) in sample.header.as_object().into_iter().flatten() {
        token = token.header(name, value.clone());
    }
    token = match &preset.issuer {
        IssuerName::Exact(name) => token.issuer(name),
        IssuerName::Template(pattern) => {
            let tenant = sample.claims.get("tid").and_then(Value::as_str).unwrap_or_default();
            token.issuer(&pattern.replace("{tenantid}", tenant))
        }
        _ => token.without("iss"),
    };
    token = with(token, &sample.claims);
    if preset.padded { token.padded() } else { token }
}

impl Lookalike {
    /// The underlying issuer: keys, faults, clock.
    #[must_use]
    pub fn issuer(&self) -> &TestIssuer {
        &self.issuer
    }

    /// The preset with this issuer's identifier and the address of its keys.
    #[must_use]
    pub fn preset(&self) -> &Preset {
        &self.preset
    }

    /// The issuer that a resource server must trust.
    ///
    /// # Errors
    /// If the preset does not describe an issuer.
    pub fn trusted(&self) -> Result<Issuer, ConfigError> {
        let issuer = match &self.preset.keys {
            KeysAt::Secret | KeysAt::PemPerKid(_) => {
                let keys = match (self.key.secret(), self.key.public_pem()) {
                    (Some(secret), _) => StaticKeys::secret(self.key.algorithm(), secret)?,
                    (None, pem) => StaticKeys::pem(self.key.algorithm(), pem.unwrap_or_default())?,
                };
                self.preset.issuer_with_keys(keys)?
            }
            _ => self.preset.issuer()?,
        };
        Ok(issuer.allow_loopback_http())
    }

    /// A valid token in the provider's form, unless a method of the builder changes that.
    pub fn token(&self) -> TokenBuilder {
        shaped(&self.issuer, &self.preset, &self.key)
    }

    /// Tokens that are almost valid, each with a description. All of them must be refused.
    #[must_use]
    pub fn near_misses(&self) -> Vec<(String, String)> {
        let mut misses: Vec<(String, TokenBuilder)> = Vec::new();
        let mut add = |name: &str, token: TokenBuilder| misses.push((name.to_owned(), token));
        let good = || self.token();
        let forger = TestKey::forger(self.key.algorithm(), self.key.kid());
        add("another tenant's key", good().signed_by(&forger));
        add("another issuer", good().issuer("https://evil.example/"));
        add("a token that expired", good().expired());
        add("claims changed after signing", good().tampered());
        add("no signature", good().alg_none());
        add("a logout token", good().claim("events", serde_json::json!({})));
        add("a refresh token", good().claim("typ", "Refresh"));
        if self.preset.audience != AudienceRule::ClaimsInstead {
            add("another audience", good().audience("https://another.example"));
            add("no audience", good().without("aud"));
        }
        match self.preset.kind {
            TokenKind::Id => {
                add("an access token", good().header("typ", "at+jwt").without("at_hash").without("c_hash"))
            }
            _ => add("an ID token", good().claim("nonce", "n")),
        }
        if let Some(pem) = self.key.public_pem() {
            add(
                "the public key as a secret",
                good().signed_by(&TestKey::from_secret(Algorithm::HS256, self.key.kid(), pem)),
            );
        }
        for (name, claims) in &self.preset.sample.near_misses {
            add(name, with(good(), claims));
        }
        for (name, members) in &self.preset.sample.near_misses_in_header {
            let members = members.as_object().into_iter().flatten();
            let token = members.fold(good(), |token, (name, value)| match value {
                Value::Null => token.without_header(name),
                value => token.header(name, value.clone()),
            });
            add(name, token);
        }
        misses.into_iter().map(|(name, token)| (name, token.mint())).collect()
    }
}

/// Null takes a claim out.
fn with(token: TokenBuilder, claims: &Value) -> TokenBuilder {
    claims.as_object().into_iter().flatten().fold(token, |token, (name, value)| match value {
        Value::Null => token.without(name),
        value => token.claim(name, value.clone()),
    })
}
