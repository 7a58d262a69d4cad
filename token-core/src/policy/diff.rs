//! Two policies in, their differences out: member by member, with issuers matched by identifier.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::secret::Secret;
use super::{IssuerPolicy, Policy};

/// A member that differs between two policies. Secrets are redacted; that two secrets differ still shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// The path of the member, such as `issuers[https://login.example.com/].leeway`.
    pub path: String,
    /// The old value; `None` if the member was not there.
    pub old: Option<Value>,
    /// The new value; `None` if the member was removed.
    pub new: Option<Value>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.old, &self.new) {
            (None, Some(new)) => write!(f, "+ {}: {new}", self.path),
            (Some(old), None) => write!(f, "- {}: {old}", self.path),
            (old, new) => {
                let text = |value: &Option<Value>| value.as_ref().map_or_else(String::new, ToString::to_string);
                write!(f, "~ {}: {} -> {}", self.path, text(old), text(new))
            }
        }
    }
}

impl Policy {
    /// Lists what changes from this policy to `newer`.
    #[must_use]
    pub fn diff(&self, newer: &Self) -> Vec<Change> {
        let (old, new) = (self.flat(), newer.flat());
        let paths: BTreeSet<_> = old.keys().chain(new.keys()).collect();
        let changes = paths.into_iter().filter(|path| old.get(*path) != new.get(*path));
        let mut changes: Vec<_> = changes
            .map(|path| Change { path: path.clone(), old: old.get(path).cloned(), new: new.get(path).cloned() })
            .collect();
        let mut hidden = |path: String, old: Option<Secret>, new: Option<Secret>| {
            if old.is_some() && new.is_some() && old != new {
                let redacted = Some(Value::from("(redacted)"));
                changes.push(Change { path, old: redacted.clone(), new: redacted });
            }
        };
        let nonces = |policy: &Self| policy.dpop.as_ref().map_or_else(Vec::new, |dpop| dpop.nonce_secrets.clone());
        for (at, (old, new)) in nonces(self).into_iter().zip(nonces(newer)).enumerate() {
            hidden(format!("dpop.nonce_secrets[{at}].value"), old.value, new.value);
        }
        let keys =
            |policy: &Self| policy.encrypted_tokens.as_ref().map_or_else(Vec::new, |encrypted| encrypted.keys.clone());
        for (at, (old, new)) in keys(self).into_iter().zip(keys(newer)).enumerate() {
            hidden(format!("encrypted_tokens.keys[{at}].value"), old.value, new.value);
        }
        for issuer in &newer.issuers {
            let Some(older) = self.issuers.iter().find(|older| older.issuer == issuer.issuer) else { continue };
            let shared = |policy: &IssuerPolicy| policy.secret.as_ref().and_then(|secret| secret.value.clone());
            let asking = |policy: &IssuerPolicy| {
                policy.introspection.as_ref().and_then(|asked| asked.client_secret.value.clone())
            };
            // Both are written as redacted, which hides that they differ.
            for (member, old, new) in [
                ("secret", shared(older), shared(issuer)),
                ("introspection.client_secret", asking(older), asking(issuer)),
            ] {
                hidden(format!("issuers[{}].{member}.value", issuer.issuer), old, new);
            }
        }
        changes
    }

    /// Every member of a policy by its path, defaults included.
    fn flat(&self) -> BTreeMap<String, Value> {
        let mut flat = BTreeMap::new();
        let value = serde_json::to_value(self).expect("a policy has text for names and nothing that JSON lacks");
        flatten(String::new(), value, &mut flat);
        flat
    }
}

fn flatten(path: String, value: Value, flat: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                flatten(path, value, flat);
            }
        }
        Value::Array(elements) if path == "issuers" => {
            for element in elements {
                let name = element.get("issuer").and_then(Value::as_str).unwrap_or_default().to_owned();
                flatten(format!("issuers[{name}]"), element, flat);
            }
        }
        value => {
            flat.insert(path, value);
        }
    }
}
