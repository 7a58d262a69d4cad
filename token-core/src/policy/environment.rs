//! Environment variables with a prefix in, a policy out: for containers that are configured by variables alone.

use serde_json::{Map, Value};

use super::{Policy, PolicyError};

impl Policy {
    /// Reads a policy from the environment variables whose names begin with `prefix`. The rest of a name is the path of
    /// the member in upper case, with two underscores between its parts; list items are numbered from 0. A value that
    /// is valid JSON (a number, `true`, `false`, a list or an object) is read as such, and anything else as text.
    ///
    /// ```text
    /// API_AUDIENCE=https://api.example.com
    /// API_ISSUERS__0__ISSUER=https://login.example.com/
    /// API_ISSUERS__0__ALGORITHMS=["ES256"]
    /// API_ISSUERS__0__JWKS__WAIT=2s
    /// ```
    ///
    /// # Errors
    /// [`PolicyError`] that names the variable: an unknown member, a value of the wrong type, a gap in a list.
    pub fn from_env(prefix: &str) -> Result<Self, PolicyError> {
        Self::from_variables(
            prefix,
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))),
        )
    }

    /// Like [`from_env`](Self::from_env), from variables passed as arguments.
    ///
    /// # Errors
    /// As [`from_env`](Self::from_env).
    pub fn from_variables(
        prefix: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, PolicyError> {
        let ours = |(name, value): (String, String)| Some((name.strip_prefix(prefix)?.to_owned(), value));
        let mut variables: Vec<_> = variables.into_iter().filter_map(ours).collect();
        variables.sort();
        read(prefix, &variables).map_err(|why| {
            // The variable at fault is the one without which there is another error, or none.
            let culprit = (0..variables.len()).rev().find(|left_out| {
                let mut others = variables.clone();
                others.remove(*left_out);
                read(prefix, &others).err().as_ref() != Some(&why)
            });
            let name = culprit.map_or_else(|| format!("{prefix}…"), |at| format!("{prefix}{}", variables[at].0));
            PolicyError::new(format!("environment variable {name}: {why}"))
        })
    }
}

fn read(prefix: &str, variables: &[(String, String)]) -> Result<Policy, String> {
    let mut tree = Node::default();
    for (name, value) in variables {
        let steps: Vec<_> = name.split("__").map(str::to_ascii_lowercase).collect();
        if steps.iter().any(String::is_empty) {
            return Err(format!("{prefix}{name} has an empty step"));
        }
        tree.insert(&steps, value)?;
    }
    // serde_json's texts for values (not for text) hold no place; they may quote a value, which a policy's own author gave
    serde_json::from_value(tree.into_value()?).map_err(|error| error.to_string())
}

#[derive(Default)]
struct Node {
    leaf: Option<Value>,
    members: Map<String, Value>,
    inner: std::collections::BTreeMap<String, Node>,
}

impl Node {
    fn insert(&mut self, steps: &[String], value: &str) -> Result<(), String> {
        match steps {
            [] => {
                self.leaf = Some(leaf(value));
                Ok(())
            }
            [first, rest @ ..] => self.inner.entry(first.clone()).or_default().insert(rest, value),
        }
    }

    fn into_value(mut self) -> Result<Value, String> {
        if let Some(leaf) = self.leaf {
            return if self.inner.is_empty() { Ok(leaf) } else { Err("a value and members of it are both set".into()) };
        }
        let is_list = !self.inner.is_empty() && self.inner.keys().all(|step| step.bytes().all(|b| b.is_ascii_digit()));
        if is_list {
            let mut elements: Vec<(usize, Node)> = Vec::new();
            for (step, node) in self.inner {
                elements.push((step.parse().map_err(|_| "a list that long".to_owned())?, node));
            }
            elements.sort_by_key(|(at, _)| *at);
            if elements.iter().enumerate().any(|(expected, (at, _))| expected != *at) {
                return Err("a list has a gap, or does not begin with 0".to_owned());
            }
            return elements.into_iter().map(|(_, node)| node.into_value()).collect::<Result<_, _>>().map(Value::Array);
        }
        for (step, node) in self.inner {
            self.members.insert(step, node.into_value()?);
        }
        Ok(Value::Object(self.members))
    }
}

fn leaf(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(Value::String(_) | Value::Null) | Err(_) => Value::String(text.to_owned()),
        Ok(value) => value,
    }
}
