//! Which scopes imply which, in; whether a token that has some is good for another, out (RFC 6749 section 3.3 leaves it to the API).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// A table of scopes and what each is also good for, such as `write:users` for `read:users`. It holds through several steps.
///
/// ```
/// use token_core::mapping::Implications;
///
/// let table = Implications::default().and("admin", ["write:users"]).and("write:users", ["read:users"]);
/// assert!(table.grants("read:users", |scope| scope == "admin"));
/// assert!(!table.grants("admin", |scope| scope == "write:users"));
/// assert_eq!(serde_json::to_string(&table).unwrap(), r#"{"admin":["write:users"],"write:users":["read:users"]}"#);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Direct", into = "Direct")]
pub struct Implications {
    direct: Direct,
    /// From a scope to all those, however far up, that are good for it.
    stronger: BTreeMap<String, BTreeSet<String>>,
}

type Direct = BTreeMap<String, BTreeSet<String>>;

impl From<Direct> for Implications {
    fn from(direct: Direct) -> Self {
        let mut table = Self { direct, stronger: BTreeMap::new() };
        table.close();
        table
    }
}

impl From<Implications> for Direct {
    fn from(table: Implications) -> Self {
        table.direct
    }
}

impl Implications {
    /// The same table, with one more scope and what it implies.
    #[must_use]
    pub fn and<S: Into<String>>(mut self, scope: &str, implied: impl IntoIterator<Item = S>) -> Self {
        self.add(scope, implied);
        self
    }

    pub(crate) fn add<S: Into<String>>(&mut self, scope: &str, implied: impl IntoIterator<Item = S>) {
        self.direct.entry(scope.to_owned()).or_default().extend(implied.into_iter().map(Into::into));
        self.close();
    }

    /// Whether one who has what `granted` affirms is good for `scope`.
    pub fn grants(&self, scope: &str, granted: impl Fn(&str) -> bool) -> bool {
        granted(scope) || self.stronger.get(scope).is_some_and(|stronger| stronger.iter().any(|one| granted(one)))
    }

    /// Walks down from each scope; circles end where they began.
    fn close(&mut self) {
        self.stronger.clear();
        for scope in self.direct.keys() {
            let (mut reached, mut open) = (BTreeSet::new(), vec![scope]);
            while let Some(one) = open.pop() {
                for implied in self.direct.get(one).into_iter().flatten() {
                    if reached.insert(implied) {
                        self.stronger.entry(implied.clone()).or_default().insert(scope.clone());
                        open.push(implied);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_ends() {
        let table = Implications::default().and("a", ["b"]).and("b", ["a", "c"]);
        for (scope, has, expected) in [
            ("c", "a", true),
            ("c", "b", true),
            ("a", "b", true),
            ("a", "c", false),
            ("d", "a", false),
            ("d", "d", true),
        ] {
            assert_eq!(table.grants(scope, |one| one == has), expected, "{has} for {scope}");
        }
    }

    #[test]
    fn it_survives_being_data() {
        let json = r#"{"write:users":["read:users"]}"#;
        let table: Implications = serde_json::from_str(json).unwrap();
        assert!(table.grants("read:users", |scope| scope == "write:users"));
        assert_eq!(serde_json::to_string(&table).unwrap(), json);
    }
}
