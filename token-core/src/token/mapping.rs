//! Which claims contain scopes and roles, as data in; the names that a token grants out, whatever their format (RFC
//! 6749 section 3.3).

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::claims::{Claims, List};

/// The path of a claim: the name of a member, or a list of names for a nested one. Names are taken literally: dots,
/// slashes and colons have no special meaning.
///
/// ```
/// use token_core::mapping::ClaimPath;
///
/// let flat: ClaimPath = "https://example.com/roles".into();
/// let nested: ClaimPath = ["realm_access", "roles"].into();
/// assert_eq!(serde_json::to_string(&nested).unwrap(), r#"["realm_access","roles"]"#);
/// assert_eq!(serde_json::to_string(&flat).unwrap(), r#""https://example.com/roles""#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
#[non_exhaustive]
pub enum ClaimPath {
    /// A top-level claim.
    Name(String),
    /// A nested claim: the names from the top level down.
    Nested(Vec<String>),
}

impl ClaimPath {
    /// The value at this path, if there is one.
    pub(crate) fn find<'a>(&self, claims: &'a Value) -> Option<&'a Value> {
        match self {
            Self::Name(name) => claims.get(name),
            Self::Nested(names) => names.iter().try_fold(claims, |value, name| value.get(name)),
        }
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Nested(names) => f.write_str(&names.join(" > ")),
        }
    }
}

impl From<&str> for ClaimPath {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl<const N: usize> From<[&str; N]> for ClaimPath {
    fn from(names: [&str; N]) -> Self {
        Self::Nested(names.iter().map(|name| (*name).to_owned()).collect())
    }
}

/// The format of names in a claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum GrantShape {
    /// A string with names separated by spaces, or an array of strings.
    #[default]
    Names,
    /// An object whose member names are the names; the values are ignored: `{"admin": {"<org>": "<domain>"}}`, as in
    /// Zitadel.
    Keys,
    /// An object of entities with their actions: `{"users": {"actions": ["read"]}}` grants `read:users`. Auth0's
    /// management API used this format.
    EntityActions,
}

/// A claim that grants scopes or roles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GrantSource {
    claim: ClaimPath,
    #[serde(default, skip_serializing_if = "is_default")]
    shape: GrantShape,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    prefix: String,
}

fn is_default(shape: &GrantShape) -> bool {
    *shape == GrantShape::default()
}

impl GrantSource {
    /// Reads names from this claim: a string or an array of strings. A value of another type grants nothing.
    #[must_use]
    pub fn names(claim: impl Into<ClaimPath>) -> Self {
        Self { claim: claim.into(), shape: GrantShape::Names, prefix: String::new() }
    }

    /// Reads the member names of the object in this claim.
    #[must_use]
    pub fn keys(claim: impl Into<ClaimPath>) -> Self {
        Self { claim: claim.into(), shape: GrantShape::Keys, prefix: String::new() }
    }

    /// Reads entities and their actions from this claim; see [`GrantShape::EntityActions`].
    #[must_use]
    pub fn entity_actions(claim: impl Into<ClaimPath>) -> Self {
        Self { claim: claim.into(), shape: GrantShape::EntityActions, prefix: String::new() }
    }

    /// Adds `prefix` to each name, so that roles from one claim cannot be confused with roles from another.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    fn one_pass(&self) -> Option<Place> {
        let ClaimPath::Name(name) = &self.claim else { return None };
        if self.shape != GrantShape::Names || !self.prefix.is_empty() {
            return None;
        }
        ONE_PASS.iter().find(|(known, _)| known == name).map(|(_, place)| *place)
    }

    fn read(&self, claims: &Value, into: &mut Vec<Box<str>>) {
        let Some(value) = self.claim.find(claims) else { return };
        let mut grant = |name: &str| into.push(format!("{}{name}", self.prefix).into_boxed_str());
        match (self.shape, value) {
            (GrantShape::Names, Value::String(names)) => {
                names.split(' ').filter(|name| !name.is_empty()).for_each(grant);
            }
            // One element that is no name, and the claim is not what we think it is.
            (GrantShape::Names, Value::Array(names)) if names.iter().all(Value::is_string) => {
                names.iter().filter_map(Value::as_str).for_each(grant);
            }
            (GrantShape::Keys, Value::Object(members)) => members.keys().for_each(|name| grant(name)),
            (GrantShape::EntityActions, Value::Object(entities)) => {
                for (entity, what) in entities {
                    let actions = what.get("actions").and_then(Value::as_array).into_iter().flatten();
                    actions.filter_map(Value::as_str).for_each(|action| grant(&format!("{action}:{entity}")));
                }
            }
            _ => {}
        }
    }
}

/// Which claims contain the scopes and roles of an issuer's tokens. Names are compared exactly. Names from several
/// claims are combined.
///
/// ```
/// use token_core::mapping::{ClaimMapping, GrantSource};
///
/// let keycloak = ClaimMapping::default().roles([
///     GrantSource::names(["realm_access", "roles"]),
///     GrantSource::names(["resource_access", "shop", "roles"]).prefix("shop:"),
/// ]);
/// let json = serde_json::to_string(&keycloak).unwrap();
/// assert_eq!(serde_json::from_str::<ClaimMapping>(&json).unwrap(), keycloak);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ClaimMapping {
    scopes: Vec<GrantSource>,
    roles: Vec<GrantSource>,
}

/// Scopes from `scope` and `scp`; roles from `roles`.
impl Default for ClaimMapping {
    fn default() -> Self {
        Self {
            scopes: vec![GrantSource::names("scope"), GrantSource::names("scp")],
            roles: vec![GrantSource::names("roles")],
        }
    }
}

impl ClaimMapping {
    /// Reads scopes from these claims only.
    #[must_use]
    pub fn scopes(mut self, sources: impl IntoIterator<Item = GrantSource>) -> Self {
        self.scopes = sources.into_iter().collect();
        self
    }

    /// Reads roles from these claims only.
    #[must_use]
    pub fn roles(mut self, sources: impl IntoIterator<Item = GrantSource>) -> Self {
        self.roles = sources.into_iter().collect();
        self
    }
}

/// A claim that is read for every token in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Scope,
    Scp,
    Permissions,
    Roles,
    Groups,
}

const ONE_PASS: [(&str, Place); 5] = [
    ("scope", Place::Scope),
    ("scp", Place::Scp),
    ("permissions", Place::Permissions),
    ("roles", Place::Roles),
    ("groups", Place::Groups),
];

impl Place {
    fn list(self, claims: &Claims) -> &List {
        match self {
            Self::Scope => &claims.scope,
            Self::Scp => &claims.scp,
            Self::Permissions => &claims.permissions,
            Self::Roles => &claims.roles,
            Self::Groups => &claims.groups,
        }
    }
}

/// A mapping as the gate uses it: the claims that are read in any case, and those that need another pass.
#[derive(Debug)]
pub(crate) struct Mapping {
    pub(crate) scopes: Sources,
    pub(crate) roles: Sources,
}

/// The sources of scopes, or of roles.
#[derive(Debug)]
pub(crate) struct Sources {
    places: Box<[Place]>,
    others: Box<[GrantSource]>,
}

impl Mapping {
    pub(crate) fn new(mapping: &ClaimMapping) -> Self {
        Self { scopes: Sources::new(&mapping.scopes), roles: Sources::new(&mapping.roles) }
    }

    /// Whether the mapping needs a pass over the complete claims.
    pub(crate) fn looks_further(&self) -> bool {
        !self.scopes.others.is_empty() || !self.roles.others.is_empty()
    }
}

impl Sources {
    fn new(sources: &[GrantSource]) -> Self {
        let places = sources.iter().filter_map(GrantSource::one_pass).collect();
        let others = sources.iter().filter(|source| source.one_pass().is_none()).cloned().collect();
        Self { places, others }
    }

    /// The lists that were read in the first pass.
    pub(crate) fn lists<'a>(&'a self, claims: &'a Claims) -> impl Iterator<Item = &'a List> + use<'a> {
        self.places.iter().map(|place| place.list(claims))
    }

    /// The names that need another pass. The caller has verified the signature over `claims`.
    pub(crate) fn read(&self, claims: &Value) -> Box<[Box<str>]> {
        let mut names = Vec::new();
        self.others.iter().for_each(|source| source.read(claims, &mut names));
        names.into_boxed_slice()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(source: GrantSource, claims: &Value) -> Vec<String> {
        Sources::new(&[source]).read(claims).iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn every_shape_in_use_is_read() {
        let claims = json!({
            "cognito:groups": ["admin", "staff"],
            "realm_access": {"roles": ["offline_access", "admin"]},
            "resource_access": {"shop": {"roles": ["buyer"]}},
            "urn:zitadel:iam:org:project:roles": {"editor": {"211": "org.example"}},
            "https://example.com/roles": "one two",
            "scopes": {"users": {"actions": ["read", "update"]}, "stats": {}},
        });
        for (source, expected) in [
            (GrantSource::names("cognito:groups"), &["admin", "staff"][..]),
            (GrantSource::names(["realm_access", "roles"]), &["offline_access", "admin"]),
            (GrantSource::names(["resource_access", "shop", "roles"]).prefix("shop:"), &["shop:buyer"]),
            (GrantSource::keys("urn:zitadel:iam:org:project:roles"), &["editor"]),
            (GrantSource::names("https://example.com/roles"), &["one", "two"]),
            (GrantSource::entity_actions("scopes"), &["read:users", "update:users"]),
            (GrantSource::names(["realm_access", "nothing"]), &[]),
            (GrantSource::names("realm_access"), &[]),
            (GrantSource::keys("cognito:groups"), &[]),
        ] {
            assert_eq!(read(source.clone(), &claims), expected, "{source:?}");
        }
    }

    #[test]
    fn a_claim_of_an_odd_shape_grants_nothing() {
        for value in [json!(["a", 1]), json!(3), json!(null), json!({"a": 1}), json!([["a"]])] {
            assert_eq!(read(GrantSource::names("x"), &json!({ "x": value })), Vec::<String>::new(), "{value}");
        }
    }

    #[test]
    fn the_default_looks_no_further_than_the_one_pass() {
        assert!(!Mapping::new(&ClaimMapping::default()).looks_further());
        let further = ClaimMapping::default().roles([GrantSource::names("groups"), GrantSource::keys("roles")]);
        assert!(Mapping::new(&further).looks_further());
    }

    #[test]
    fn it_reads_as_plain_data() {
        let json =
            r#"{"scopes":[{"claim":"scp"}],"roles":[{"claim":["realm_access","roles"]},{"claim":"r","shape":"keys"}]}"#;
        let mapping: ClaimMapping = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&mapping).unwrap(), json);
        assert!(serde_json::from_str::<ClaimMapping>(r#"{"scope":[]}"#).is_err());
    }
}
