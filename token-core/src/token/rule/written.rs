//! A rule as data in and out: text for a scope, an object of one member for anything else.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Rule;
use crate::base::time::text;
use crate::token::authorization_details::DetailRule;

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Rule {
    fn schema_name() -> Cow<'static, str> {
        "Rule".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let (rules, span) =
            (generator.subschema_for::<Vec<Self>>(), generator.subschema_for::<crate::base::time::schema::Span>());
        let detail = generator.subschema_for::<DetailRule>();
        let one = |name: &str, schema: serde_json::Value| serde_json::json!({"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": false});
        let text = serde_json::json!({"type": "string"});
        schemars::json_schema!({
            "description": "A scope, or an object of one member: role, acr_values, max_age, authorization_details, bound, any, all, not.",
            "anyOf": [
                text,
                one("role", text.clone()),
                one("acr_values", serde_json::json!({"type": "array", "items": text})),
                one("max_age", span.into()),
                one("authorization_details", detail.into()),
                one("bound", serde_json::json!({"const": true})),
                one("any", rules.clone().into()),
                one("all", rules.clone().into()),
                one("not", rules.into()),
            ],
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written<'a> {
    Scope(Cow<'a, str>),
    Other(Branch<'a>),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Branch<'a> {
    Role(Cow<'a, str>),
    AcrValues(Cow<'a, [Cow<'static, str>]>),
    MaxAge(#[serde(with = "text")] Duration),
    AuthorizationDetails(Cow<'a, DetailRule>),
    Bound(Yes),
    Any(Cow<'a, [Rule]>),
    All(Cow<'a, [Rule]>),
    Not(Cow<'a, [Rule]>),
}

/// `true`, and nothing else: a rule that asks for nothing would be none.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "bool", into = "bool")]
struct Yes;

impl From<Yes> for bool {
    fn from(_: Yes) -> Self {
        true
    }
}

impl TryFrom<bool> for Yes {
    type Error = &'static str;

    fn try_from(yes: bool) -> Result<Self, Self::Error> {
        yes.then_some(Self).ok_or("expected bound to be true: leave it out where it is not asked for")
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = match self {
            Self::Scope(scope) => Written::Scope(Cow::Borrowed(scope)),
            Self::Role(role) => Written::Other(Branch::Role(Cow::Borrowed(role))),
            Self::AcrValues(values) => Written::Other(Branch::AcrValues(Cow::Borrowed(values))),
            Self::MaxAge(age) => Written::Other(Branch::MaxAge(*age)),
            Self::AuthorizationDetails(detail) => Written::Other(Branch::AuthorizationDetails(Cow::Borrowed(detail))),
            Self::Bound => Written::Other(Branch::Bound(Yes)),
            Self::Any(rules) => Written::Other(Branch::Any(Cow::Borrowed(rules))),
            Self::All(rules) => Written::Other(Branch::All(Cow::Borrowed(rules))),
            Self::Not(rules) => Written::Other(Branch::Not(Cow::Borrowed(rules))),
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let owned = |names: Cow<'_, str>| Cow::Owned(names.into_owned());
        let all = |rules: Cow<'_, [Self]>| Cow::Owned(rules.into_owned());
        Ok(match Written::deserialize(deserializer)? {
            Written::Scope(scope) => Self::Scope(owned(scope)),
            Written::Other(Branch::Role(role)) => Self::Role(owned(role)),
            Written::Other(Branch::AcrValues(values)) => Self::AcrValues(Cow::Owned(values.into_owned())),
            Written::Other(Branch::MaxAge(age)) => Self::MaxAge(age),
            Written::Other(Branch::AuthorizationDetails(detail)) => Self::AuthorizationDetails(detail.into_owned()),
            Written::Other(Branch::Bound(Yes)) => Self::Bound,
            Written::Other(Branch::Any(rules)) => Self::Any(all(rules)),
            Written::Other(Branch::All(rules)) => Self::All(all(rules)),
            Written::Other(Branch::Not(rules)) => Self::Not(all(rules)),
        })
    }
}
