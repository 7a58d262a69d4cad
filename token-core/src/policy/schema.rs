//! The JSON Schema of a policy (draft 2020-12), with which editors complete and check a policy while it is written.

use std::borrow::Cow;

use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::Policy;
use crate::jose::Algorithms;

impl Policy {
    /// The JSON Schema of a policy as text. The package contains the same text as `policy.schema.json`.
    #[must_use]
    pub fn json_schema() -> String {
        let mut schema = schemars::schema_for!(Policy);
        RecursiveTransform(without_example).transform(&mut schema);
        let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
        text.push('\n');
        text
    }
}

/// Cuts a type's description before its Rust example, which means nothing in an editor.
fn without_example(schema: &mut Schema) {
    if let Some(Value::String(text)) = schema.as_object_mut().and_then(|members| members.get_mut("description"))
        && let Some(end) = text.find("\n\n```")
    {
        text.truncate(end);
    }
}

/// One text or a list of texts. The list must not be empty, since leaving it out means all.
pub(crate) struct SomeOrAll;

impl JsonSchema for SomeOrAll {
    fn schema_name() -> Cow<'static, str> {
        "SomeOrAll".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]})
    }
}

/// One text or a list of texts.
pub(crate) struct OneOrMore;

impl JsonSchema for OneOrMore {
    fn schema_name() -> Cow<'static, str> {
        "OneOrMore".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})
    }
}

/// The name of a signature algorithm.
pub(crate) struct AlgorithmName;

impl JsonSchema for AlgorithmName {
    fn schema_name() -> Cow<'static, str> {
        "Algorithm".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let all = Algorithms::ASYMMETRIC.union(Algorithms::HMAC);
        let names: Vec<_> = all.iter().map(|algorithm| algorithm.name()).collect();
        json_schema!({"type": "string", "enum": names})
    }
}
