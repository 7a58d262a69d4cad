//! The JSON Schema that is shipped, against the reader that it describes.

use super::*;

#[test]
fn the_schema_that_is_shipped_is_that_of_the_code() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("policy.schema.json");
    let current = Policy::json_schema();
    if std::env::var_os("TOKEN_WRITE_SCHEMA").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), current, "run this test with TOKEN_WRITE_SCHEMA=1");
    let schema: serde_json::Value = serde_json::from_str(&current).unwrap();
    for member in ["audience", "issuers", "token_cache"] {
        assert!(schema["properties"].get(member).is_some(), "{member}");
    }
    assert_eq!(schema["additionalProperties"], false);
    assert!(!current.contains("```"), "no code of ours in the hints of an editor");
}

/// As much of JSON Schema (draft 2020-12) as the schema of a policy uses.
fn fits(value: &serde_json::Value, schema: &serde_json::Value, root: &serde_json::Value) -> bool {
    use serde_json::Value;
    let one = |schema: &Value| fits(value, schema, root);
    let Some(rules) = schema.as_object() else { return schema == true };
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("type {other}"),
    };
    rules.iter().all(|(rule, says)| match rule.as_str() {
        "$ref" => one(root.pointer(says.as_str().unwrap().trim_start_matches('#')).unwrap()),
        "type" => {
            says.as_str().map_or_else(|| says.as_array().unwrap().iter().any(|name| is(name.as_str().unwrap())), is)
        }
        "enum" => says.as_array().unwrap().contains(value),
        "const" => says == value,
        "anyOf" => says.as_array().unwrap().iter().any(one),
        "oneOf" => says.as_array().unwrap().iter().filter(|schema| one(schema)).count() == 1,
        "required" => value.as_object().is_none_or(|members| {
            says.as_array().unwrap().iter().all(|name| members.contains_key(name.as_str().unwrap()))
        }),
        "properties" => value.as_object().is_none_or(|members| {
            members.iter().all(|(name, value)| says.get(name).is_none_or(|schema| fits(value, schema, root)))
        }),
        "additionalProperties" => value.as_object().is_none_or(|members| {
            members
                .iter()
                .filter(|(name, _)| rules.get("properties").is_none_or(|known| known.get(name.as_str()).is_none()))
                .all(|(_, value)| fits(value, says, root))
        }),
        "items" => value.as_array().is_none_or(|all| all.iter().all(|value| fits(value, says, root))),
        "minItems" => value.as_array().is_none_or(|all| all.len() as u64 >= says.as_u64().unwrap()),
        "minimum" => value.as_f64().is_none_or(|number| number >= says.as_f64().unwrap()),
        // What is said to people, and the spelling of spans, which the reader knows more of.
        "$schema" | "$defs" | "title" | "description" | "default" | "format" | "pattern" | "uniqueItems" => true,
        other => panic!("rule {other}"),
    })
}

#[test]
fn the_schema_takes_what_the_reader_takes_and_refuses_what_it_refuses() {
    let schema: serde_json::Value = serde_json::from_str(&Policy::json_schema()).unwrap();
    let mut rows = vec![
        (r#"{"audience": "a", "issuers": []}"#.to_owned(), true),
        (r#"{"audience": ["a", "b"], "issuers": [{"issuer": "a", "leeway": "5s"}, {"issuer": "b", "leeway": 5}]}"#.to_owned(), true),
        (r#"{"token_locations": ["authorization", {"header": {"name": "x"}}, {"cookie": {"name": "x", "csrf": {"origins": []}}}, {"websocket_protocol": {"prefix": "bearer."}}]}"#.to_owned(), true),
        (r#"{"implies": {"write": ["read"]}, "token_cache": {"entries": 0}}"#.to_owned(), true),
        (r#"{"several_tokens": "first_location"}"#.to_owned(), true),
        (r#"{"several_tokens": "last"}"#.to_owned(), false),
        (r#"{"tickets": {}}"#.to_owned(), true),
        (r#"{"tickets": {"life": "20s", "store": "shared"}}"#.to_owned(), true),
        (r#"{"tickets": {"store": "redis"}}"#.to_owned(), false),
        (r#"{"tickets": {"oops": 1}}"#.to_owned(), false),
        (r#"{"encrypted_tokens": {"keys": [{"algorithm": "ECDH-ES", "kid": "1", "file": "k.pem"}], "content_encryption": ["A256GCM"]}}"#.to_owned(), true),
        (r#"{"encrypted_tokens": {"keys": [{"algorithm": "dir", "content_encryption": "A128CBC-HS256", "env": "K"}]}}"#.to_owned(), true),
        (r#"{"encrypted_tokens": {"keys": [{"algorithm": "RSA1_5", "file": "k.pem"}]}}"#.to_owned(), false),
        (r#"{"encrypted_tokens": {"keys": [{"file": "k.pem"}]}}"#.to_owned(), false),
        (r#"{"encrypted_tokens": {"keys": [{"algorithm": "ECDH-ES", "file": "k.pem", "oops": 1}]}}"#.to_owned(), false),
        (r#"{"encrypted_tokens": {"content_encryption": ["A192GCM"]}}"#.to_owned(), false),
        (r#"{"dpop": {"schemes": "required", "external_url": "https://a.example", "algorithms": ["ES256"], "max_age": "300s", "require_nonces": true}}"#.to_owned(), true),
        (r#"{"dpop": {}}"#.to_owned(), true),
        (r#"{"dpop": {"schemes": "dpop"}}"#.to_owned(), false),
        (r#"{"dpop": {"oops": 1}}"#.to_owned(), false),
        (r#"{"issuers": [{"issuer": "a", "algorithms": ["ES256"], "jwks_file": "k", "mapping": {"roles": [{"claim": ["a", "b"], "shape": "keys", "prefix": "x:"}]}}]}"#.to_owned(), true),
        (r#"{"issuers": [{"issuer": "a", "require_claims": [{"claims": ["a", ["b", "c"]], "one_of": ["x"], "header": true}]}]}"#.to_owned(), true),
        (r#"{"issuers": [{"issuer": "a", "secret": {"algorithm": "HS256", "env": "A"}}]}"#.to_owned(), true),
        (r#"{"issuers": [{"issuer": "a", "introspection": {"endpoint": "a", "client_id": "b", "client_secret": {"file": "f"}, "authentication": "client_secret_post"}}]}"#.to_owned(), true),
        (r#"{"issuers": [{"issuer": "a", "introspection": {"endpoint": "a", "client_id": "b", "client_secret": "s"}}]}"#.to_owned(), false),
        (r#"{"issuers": [{"issuer": "a", "introspection": {"endpoint": "a"}}]}"#.to_owned(), false),
        (r#"{"issuers": [{}]}"#.to_owned(), false),
        (r#"{"issuers": {}}"#.to_owned(), false),
        (r#"{"audience": 5}"#.to_owned(), false),
        (r#"{"token_locations": ["somewhere"]}"#.to_owned(), false),
        (r#"{"token_locations": [{"header": {}}]}"#.to_owned(), false),
        (r#"{"token_locations": [{"header": {"name": "x", "oops": 1}}]}"#.to_owned(), false),
        (r#"{"issuers": [{"issuer": "a", "algorithms": ["none"]}]}"#.to_owned(), false),
        (r#"{"issuers": [{"issuer": "a", "secret": "x"}]}"#.to_owned(), false),
        (r#"{"issuers": [{"issuer": "a", "mapping": {"roles": [{"shape": "keys"}]}}]}"#.to_owned(), false),
        (r#"{"issuers": [{"issuer": "a", "require_claims": [{"claims": "a"}]}]}"#.to_owned(), false),
        (r#"{"issuers": [{"issuer": "a", "require_claims": [{"claims": ["a"], "one_of": null}]}]}"#.to_owned(), false),
        // All are meant where such a list is left out: an empty one is a mistake.
        (r#"{"issuers": [{"issuer": "a", "tenants": []}]}"#.to_owned(), false),
        (r#"{"gate": {"routes": [{"path": "/a", "hosts": []}]}}"#.to_owned(), false),
        (r#"{"gate": {"routes": [{"path": "/a", "methods": []}]}}"#.to_owned(), false),
        (r#"{"issuers": [{"issuer": "a", "oops": 1}]}"#.to_owned(), false),
    ];
    // And whatever the program itself writes.
    for (_, preset) in crate::provider::samples() {
        if let Ok(issuer) = preset.policy() {
            rows.push((serde_json::to_string(&Policy::new("api").trust(issuer)).unwrap(), true));
        }
    }
    assert!(rows.len() > 35);
    for (text, good) in rows {
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(Policy::from_json(&text).is_ok(), good, "the reader: {text}");
        assert_eq!(fits(&value, &schema, &schema), good, "the schema: {text}");
    }
}
