//! What is set and what is left out goes in, the JSON text of a header or of claims comes out.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// A JSON object under construction: what is set, and what must not come back as a default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts {
    set: Map<String, Value>,
    removed: BTreeSet<String>,
}

impl Parts {
    /// The members of an object; anything else has none.
    pub(crate) fn of(value: Value) -> Self {
        match value {
            Value::Object(set) => Self { set, removed: BTreeSet::new() },
            _ => Self::default(),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.set.get(name)
    }

    pub(crate) fn set(&mut self, name: &str, value: Value) {
        self.removed.remove(name);
        self.set.insert(name.to_owned(), value);
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.set.remove(name);
        self.removed.insert(name.to_owned());
    }

    /// As if nothing had been said about the member: its default counts again.
    pub(crate) fn forget(&mut self, name: &str) {
        self.set.remove(name);
        self.removed.remove(name);
    }

    /// Sets the member unless it was set or removed.
    pub(crate) fn set_default(&mut self, name: &str, value: impl Into<Value>) {
        if !self.removed.contains(name) && !self.set.contains_key(name) {
            self.set.insert(name.to_owned(), value.into());
        }
    }

    /// The same with each of these that was neither set nor removed.
    pub(crate) fn with_defaults(&self, defaults: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        let mut parts = self.clone();
        for (name, value) in defaults {
            parts.set_default(name, value);
        }
        parts
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(&self.set).expect("a map with text keys is JSON")
    }
}
