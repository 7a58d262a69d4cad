//! A server and the rules of its routes in, OpenAPI security schemes and requirements out (OpenAPI 3.1 sections 4.8.27 and 4.8.30).
//!
//! The types that guard routes are the types that document them: what a document says of a scope is what a request is held to.
//!
//! ```
//! use token_core::{Issuer, ResourceServer, openapi, scopes};
//! use utoipa::openapi::{OpenApiBuilder, path::OperationBuilder};
//!
//! scopes!(Editor = any("admin", all("read:users", "write:users")));
//!
//! # fn main() -> Result<(), token_core::ConfigError> {
//! let api = ResourceServer::builder("https://api.example.com").trust(Issuer::discover("https://login.example.com/")?).build()?;
//! let mut document = OpenApiBuilder::new().build();
//! openapi::describe(&api, &mut document); // or as a modifier: openapi::Security::of(&api)
//! let operation = OperationBuilder::new().securities(Some(openapi::required::<Editor>())).build();
//! let json = serde_json::to_value(&operation).expect("JSON");
//! assert_eq!(json["security"], serde_json::json!([{"token": ["admin"]}, {"token": ["read:users", "write:users"]}]));
//! # Ok(()) }
//! ```

use utoipa::Modify;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, OpenIdConnect, SecurityRequirement, SecurityScheme,
};

use crate::answer::challenge::DpopPolicy;
use crate::answer::resource::Resource;
use crate::gate::server::ResourceServer;
use crate::policy::Policy;
use crate::token::rule::{Required, Rule};

/// The name of the security scheme in documents.
pub const SCHEME: &str = "token";
/// The name of the proof that goes with a bound token (DPoP, RFC 9449), where a server takes proofs. OpenAPI knows the scheme `DPoP`, and the builders of
/// documents do not yet: it is written as the header field that it is.
pub const PROOF: &str = "proof";
/// The name of the client certificate that a token is bound to (RFC 8705), where a server looks at certificates.
pub const CERTIFICATE: &str = "certificate";

/// How many alternatives of one rule are written. A rule of more is documented by the first ones.
const MOST: usize = 64;

/// Adds a server's security schemes to a document: for `#[openapi(modifiers(..))]` and the like.
#[derive(Clone)]
pub struct Security {
    schemes: Vec<(&'static str, SecurityScheme)>,
    /// Whether no token is taken without a proof.
    proves: bool,
}

impl Security {
    /// The schemes of `server`. [`SCHEME`] is OpenID Connect where it trusts one issuer and discovers its keys, else a bearer token; [`PROOF`] and
    /// [`CERTIFICATE`] stand beside it where tokens may be bound to keys and to certificates.
    #[must_use]
    pub fn of(server: &ResourceServer) -> Self {
        let policy = server.policy();
        let mut schemes = vec![(SCHEME, scheme(&policy))];
        let taken = policy.dpop.as_ref().map_or(DpopPolicy::Bearer, |dpop| dpop.schemes);
        if taken != DpopPolicy::Bearer {
            let what = "a DPoP proof of the key that the token is bound to, made for this request (RFC 9449); the token is then sent as `DPoP`, not as `Bearer`";
            schemes.push((PROOF, SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description("DPoP", what)))));
        }
        if policy.mutual_tls.is_some() {
            let what = "the certificate that the token is bound to (RFC 8705)".to_owned();
            let certificate = SecurityScheme::MutualTls { description: Some(what), deprecated: None, extensions: None };
            schemes.push((CERTIFICATE, certificate));
        }
        Self { schemes, proves: taken == DpopPolicy::Required }
    }

    /// What an operation of this server asks for by `rule`: as [`requirements`] has it, with the proof where the server takes no token without.
    #[must_use]
    pub fn requirements(&self, rule: &Rule) -> Vec<SecurityRequirement> {
        let with_proof =
            |one: SecurityRequirement| if self.proves { one.add::<_, [String; 0], _>(PROOF, []) } else { one };
        requirements(rule).into_iter().map(with_proof).collect()
    }
}

impl std::fmt::Debug for Security {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Security")
    }
}

impl Modify for Security {
    fn modify(&self, openapi: &mut OpenApi) {
        let components = openapi.components.get_or_insert_default();
        for (name, scheme) in &self.schemes {
            components.add_security_scheme(*name, scheme.clone());
        }
    }
}

/// Adds the schemes of `server` to a document.
pub fn describe(server: &ResourceServer, document: &mut OpenApi) {
    Security::of(server).modify(document);
}

fn scheme(policy: &Policy) -> SecurityScheme {
    let description = match &policy.resource {
        Some(uri) => {
            let metadata = Resource::parse(uri).map(|resource| format!("; metadata at {}", resource.metadata_url()));
            format!("an access token for {uri}{}", metadata.unwrap_or_default())
        }
        None => format!("an access token for {}", policy.audience.join(" or ")),
    };
    match policy.issuers.as_slice() {
        [only] if only.jwks_uri.is_none() && !only.has_given_keys() => {
            let url = format!("{}/.well-known/openid-configuration", only.issuer.trim_end_matches('/'));
            SecurityScheme::OpenIdConnect(OpenIdConnect::with_description(url, description))
        }
        _ => {
            let http = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
            let http = http.description(Some(description)).build();
            SecurityScheme::Http(http)
        }
    }
}

/// What an operation guarded by `R` asks for: one requirement for each alternative.
#[must_use]
pub fn required<R: Required>() -> Vec<SecurityRequirement> {
    requirements(&R::RULE)
}

/// The same for a rule that is a value. Scopes and roles are named alike; what a rule forbids has no place in a document.
#[must_use]
pub fn requirements(rule: &Rule) -> Vec<SecurityRequirement> {
    alternatives(rule).into_iter().map(|names| SecurityRequirement::new(SCHEME, names)).collect()
}

/// The rule as alternatives, each a list of names that must all be there.
fn alternatives(rule: &Rule) -> Vec<Vec<String>> {
    match rule {
        Rule::Scope(name) | Rule::Role(name) => vec![vec![name.to_string()]],
        Rule::Any(rules) => rules.iter().flat_map(alternatives).take(MOST).collect(),
        Rule::All(rules) => rules.iter().fold(vec![Vec::new()], |before, rule| {
            let more = alternatives(rule);
            let joined = before.iter().flat_map(|names| {
                more.iter().map(|others| {
                    let mut all = names.clone();
                    all.extend(others.iter().filter(|other| !names.contains(other)).cloned());
                    all
                })
            });
            joined.take(MOST).collect()
        }),
        Rule::Not(_) | Rule::AcrValues(_) | Rule::MaxAge(_) | Rule::AuthorizationDetails(_) | Rule::Bound => {
            vec![Vec::new()]
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::jose::Algorithm;
    use crate::scopes;
    use crate::trust::issuer::Issuer;
    use crate::trust::static_keys::StaticKeys;

    scopes! {
        One = "read:users",
        Either = any("admin", all("read", any("write", "append"))),
        Twice = all("a", "a"),
    }

    #[test]
    fn the_rule_of_a_route_is_the_requirement_of_its_operation() {
        let json = |requirements| serde_json::to_value::<Vec<SecurityRequirement>>(requirements).unwrap();
        assert_eq!(json(required::<One>()), json!([{"token": ["read:users"]}]));
        assert_eq!(json(required::<Twice>()), json!([{"token": ["a"]}]));
        let expected = json!([{"token": ["admin"]}, {"token": ["read", "write"]}, {"token": ["read", "append"]}]);
        assert_eq!(json(required::<Either>()), expected);
        // Every alternative that is written satisfies the rule.
        for names in alternatives(&Either::RULE) {
            assert!(Either::RULE.satisfied_by(|scope| names.iter().any(|name| name == scope)));
        }
    }

    #[test]
    fn proofs_and_certificates_stand_beside_tokens_where_they_are_looked_at() {
        use crate::possession::{Dpop, MutualTls};

        let server = |change: fn(crate::ResourceServerBuilder) -> crate::ResourceServerBuilder| {
            let builder = ResourceServer::builder("api").trust(Issuer::discover("https://a.example/").unwrap());
            change(builder).build().unwrap()
        };
        let named = |server: &ResourceServer| {
            let mut document = utoipa::openapi::OpenApiBuilder::new().build();
            describe(server, &mut document);
            let json = serde_json::to_value(&document).unwrap()["components"]["securitySchemes"].clone();
            let operation = serde_json::to_value(Security::of(server).requirements(&Rule::scope("a"))).unwrap();
            (json, operation)
        };
        let (plain, asked) = named(&server(|builder| builder));
        assert_eq!((plain.as_object().unwrap().len(), asked), (1, json!([{"token": ["a"]}])));
        let (both, asked) = named(&server(|builder| builder.dpop(Dpop::at_requested_host())));
        assert_eq!((&both["proof"]["name"], &both["proof"]["in"]), (&json!("DPoP"), &json!("header")));
        assert_eq!(asked, json!([{"token": ["a"]}]));
        let (all, asked) = named(&server(|builder| {
            builder.dpop(Dpop::at_requested_host().required()).mutual_tls(MutualTls::from_connection())
        }));
        assert_eq!(all["certificate"]["type"], "mutualTLS");
        assert_eq!(asked, json!([{"token": ["a"], "proof": []}]));
    }

    #[test]
    fn the_scheme_says_where_tokens_come_from() {
        let json = |server: &ResourceServer| serde_json::to_value(scheme(&server.policy())).unwrap();
        let discovered =
            ResourceServer::builder("api").trust(Issuer::discover("https://a.example/").unwrap()).build().unwrap();
        assert_eq!(json(&discovered)["openIdConnectUrl"], "https://a.example/.well-known/openid-configuration");
        let keys = StaticKeys::secret(Algorithm::HS256, &[7; 32]).unwrap();
        let given = ResourceServer::builder("api").trust(Issuer::with_keys("a", keys).unwrap()).build().unwrap();
        assert_eq!((&json(&given)["scheme"], &json(&given)["bearerFormat"]), (&json!("bearer"), &json!("JWT")));
    }
}
