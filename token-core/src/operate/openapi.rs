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

use std::collections::BTreeMap;

use utoipa::Modify;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};
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

/// Adds a server's security schemes to a document, and spells out what operations ask for by [`rule`]: for `#[openapi(modifiers(..))]` and the like. Operations
/// that join the document later are not seen: then call [`describe`] last.
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
        let proved = |one: SecurityRequirement| if self.proves { one.add::<_, [String; 0], _>(PROOF, []) } else { one };
        requirements(rule).into_iter().map(proved).collect()
    }

    /// The same requirements, with the rules in them spelt out as alternatives. Requirements of other schemes stay what they are.
    fn spell_out(&self, security: &mut Vec<SecurityRequirement>) {
        let written = std::mem::take(security);
        security.extend(written.into_iter().flat_map(|requirement| {
            let mut schemes = schemes_of(&requirement);
            let Some(names) = schemes.remove(SCHEME) else { return vec![requirement] };
            let rules: Vec<_> = names.iter().map(|name| rule_of(name)).collect();
            let beside =
                |one: SecurityRequirement| schemes.iter().fold(one, |one, (name, scopes)| one.add(name, scopes));
            self.requirements(&Rule::All(rules.into())).into_iter().map(beside).collect()
        }));
    }
}

/// A requirement's schemes, each with its scopes.
fn schemes_of(requirement: &SecurityRequirement) -> BTreeMap<String, Vec<String>> {
    let json = serde_json::to_value(requirement).and_then(serde_json::from_value);
    json.expect("a requirement is a map of names to lists of names")
}

/// The rule that [`rule`] has written; every other text is the name of a scope. No scope has a quotation mark in it (RFC 6749 section 3.3).
fn rule_of(name: &str) -> Rule {
    let written = name.starts_with('{').then(|| serde_json::from_str(name).ok()).flatten();
    written.unwrap_or_else(|| Rule::Scope(name.to_owned().into()))
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, options, head, patch, trace, query, additional_operations, .. } = item;
    let named = [get, put, post, delete, options, head, patch, trace, query];
    named.into_iter().flatten().chain(additional_operations.values_mut())
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
        let operations = openapi.paths.paths.values_mut().flat_map(operations);
        let securities = operations.map(|operation| &mut operation.security).chain([&mut openapi.security]);
        securities.flatten().for_each(|security| self.spell_out(security));
    }
}

/// Adds the schemes of `server` to a document, and spells out what its operations ask for by [`rule`].
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

/// The rule `R` in `security(..)` of `#[utoipa::path]`: the type that guards a handler is the type that documents it, and nothing is written twice.
///
/// It is one name, as the attribute wants it: the scope, or the rule as data, which [`Security`] and [`describe`] spell out as alternatives.
///
/// ```
/// use token_core::{Issuer, ResourceServer, openapi, scopes};
/// use utoipa::OpenApi;
///
/// scopes!(Editor = any("admin", all("read:users", "write:users")));
///
/// #[utoipa::path(get, path = "/users", responses((status = 200)), security(("token" = [openapi::rule::<Editor>()])))]
/// async fn users(/* _: Scoped<Editor> */) {}
///
/// #[derive(OpenApi)]
/// #[openapi(paths(users))]
/// struct Documented;
///
/// # fn main() -> Result<(), token_core::ConfigError> {
/// let api = ResourceServer::builder("https://api.example.com").trust(Issuer::discover("https://login.example.com/")?).build()?;
/// let mut document = Documented::openapi();
/// openapi::describe(&api, &mut document);
/// let json = serde_json::to_value(&document).expect("JSON");
/// let expected = serde_json::json!([{"token": ["admin"]}, {"token": ["read:users", "write:users"]}]);
/// assert_eq!(json["paths"]["/users"]["get"]["security"], expected);
/// # Ok(()) }
/// ```
#[must_use]
pub fn rule<R: Required>() -> String {
    match R::RULE {
        Rule::Scope(scope) => scope.into_owned(),
        rule => serde_json::to_string(&rule).expect("a rule has text for names and nothing that JSON lacks"),
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
    fn what_operations_ask_for_by_rule_is_spelt_out_and_nothing_else_changes() {
        use utoipa::openapi::path::{HttpMethod, OperationBuilder, PathsBuilder};

        let server = ResourceServer::builder("api").trust(Issuer::discover("https://a.example/").unwrap());
        let server = server.build().unwrap();
        let token = |names: Vec<String>| SecurityRequirement::new(SCHEME, names);
        let either = || json!([{"token": ["admin"]}, {"token": ["read", "write"]}, {"token": ["read", "append"]}]);
        for (written, expected) in [
            (vec![token(vec![rule::<One>()])], json!([{"token": ["read:users"]}])),
            (vec![token(vec![rule::<Either>()])], either()),
            (vec![token(vec![rule::<One>(), "b".into()])], json!([{"token": ["read:users", "b"]}])),
            (vec![token(vec![])], json!([{"token": []}])),
            (vec![SecurityRequirement::new("other", [rule::<Either>()])], json!([{"other": [rule::<Either>()]}])),
            (vec![token(vec!["{not a rule".into()])], json!([{"token": ["{not a rule"]}])),
            // Beside what the application asks for itself, and beside no token at all.
            (
                vec![token(vec![rule::<One>()]).add("key", ["a"]), SecurityRequirement::default()],
                json!([{"token": ["read:users"], "key": ["a"]}, {}]),
            ),
        ] {
            let operation = OperationBuilder::new().securities(Some(written.clone())).build();
            let paths = PathsBuilder::new().path("/", PathItem::new(HttpMethod::Delete, operation));
            let mut document = utoipa::openapi::OpenApiBuilder::new().paths(paths).security(Some(written)).build();
            describe(&server, &mut document);
            let json = serde_json::to_value(&document).unwrap();
            assert_eq!((&json["paths"]["/"]["delete"]["security"], &json["security"]), (&expected, &expected));
            describe(&server, &mut document);
            assert_eq!(serde_json::to_value(&document).unwrap(), json, "what is spelt out stays so");
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
