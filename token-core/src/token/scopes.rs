//! The scopes a token carries and the rules that ask for them (RFC 6749 section 3.3): exact matches, never substrings.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::claims::{Claims, Names, Text};
use crate::token::mapping::Sources;

/// The scopes of a verified token, or its roles, borrowed from it.
#[derive(Clone, Copy)]
pub struct Scopes<'a> {
    text: &'a Text,
    claims: &'a Claims,
    sources: &'a Sources,
    /// Names that the one pass over the claims does not read.
    further: &'a [Box<str>],
}

impl<'a> Scopes<'a> {
    pub(crate) fn new(text: &'a Text, claims: &'a Claims, sources: &'a Sources, further: &'a [Box<str>]) -> Self {
        Self { text, claims, sources, further }
    }

    /// Whether this scope was granted. Compared whole and with regard to case.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.iter().any(|granted| granted == scope)
    }

    /// The scopes in the order of the token. A scope that the token repeats is repeated here.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let text = self.text;
        let listed = self.sources.lists(self.claims).flat_map(move |list| Names::new(text, list).iter());
        listed.chain(self.further.iter().map(|name| &**name))
    }

    /// Whether the token carries no scope at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

// Scopes name permissions of a person; logs have no need of them.
impl fmt::Debug for Scopes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scopes({} of them)", self.iter().count())
    }
}

/// What a token must carry, as data: a scope or a role, or several joined by any, all and not.
///
/// ```
/// use token_core::Rule;
///
/// const BOTH: Rule = Rule::all(const { &[Rule::scope("read"), Rule::scope("write")] });
/// const EDITOR: Rule = Rule::any(const { &[Rule::scope("admin"), BOTH] });
/// assert!(EDITOR.satisfied_by(|scope| scope == "admin"));
/// assert!(!EDITOR.satisfied_by(|scope| scope == "write"));
/// assert_eq!(EDITOR.would_satisfy(), "admin");
/// ```
/// As data it is text for a scope and an object of one member for the rest:
///
/// ```
/// # use token_core::Rule;
/// let json = r#"{"all":["read:users",{"role":"staff"},{"not":[{"role":"suspended"}]}]}"#;
/// let rule: Rule = serde_json::from_str(json)?;
/// assert_eq!(serde_json::to_string(&rule)?, json);
/// assert!(rule.satisfied_by_grants(|scope| scope == "read:users", |role| role == "staff"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// This scope.
    Scope(Cow<'static, str>),
    /// This role.
    Role(Cow<'static, str>),
    /// At least one of these. Of none, nothing satisfies it.
    Any(Cow<'static, [Rule]>),
    /// Every one of these. Of none, everything satisfies it.
    All(Cow<'static, [Rule]>),
    /// None of these. A token that is silent satisfies it: put it beside something that is asked for.
    Not(Cow<'static, [Rule]>),
}

impl Rule {
    /// A rule that asks for one scope.
    #[must_use]
    pub const fn scope(scope: &'static str) -> Self {
        Self::Scope(Cow::Borrowed(scope))
    }

    /// A rule that asks for one role.
    #[must_use]
    pub const fn role(role: &'static str) -> Self {
        Self::Role(Cow::Borrowed(role))
    }

    /// A rule that holds where none of `rules` does.
    #[must_use]
    pub const fn not(rules: &'static [Self]) -> Self {
        Self::Not(Cow::Borrowed(rules))
    }

    /// A rule that one of `rules` satisfies.
    #[must_use]
    pub const fn any(rules: &'static [Self]) -> Self {
        Self::Any(Cow::Borrowed(rules))
    }

    /// A rule that all of `rules` together satisfy.
    #[must_use]
    pub const fn all(rules: &'static [Self]) -> Self {
        Self::All(Cow::Borrowed(rules))
    }

    /// Whether the scopes that `granted` affirms satisfy the rule, of one who has no role.
    pub fn satisfied_by(&self, granted: impl Fn(&str) -> bool) -> bool {
        self.holds(&granted, &|_| false)
    }

    /// Whether the scopes that `granted` affirms and the roles that `played` affirms satisfy the rule.
    pub fn satisfied_by_grants(&self, granted: impl Fn(&str) -> bool, played: impl Fn(&str) -> bool) -> bool {
        self.holds(&granted, &played)
    }

    fn holds(&self, granted: &dyn Fn(&str) -> bool, played: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Self::Scope(scope) => granted(scope),
            Self::Role(role) => played(role),
            Self::Any(rules) => rules.iter().any(|rule| rule.holds(granted, played)),
            Self::All(rules) => rules.iter().all(|rule| rule.holds(granted, played)),
            Self::Not(rules) => !rules.iter().any(|rule| rule.holds(granted, played)),
        }
    }

    /// One set of scopes, separated by blanks, that satisfies the rule: the first alternative wherever there is a choice.
    /// It is what a 403 challenge names. Roles are no scopes and are left out.
    #[must_use]
    pub fn would_satisfy(&self) -> String {
        let mut scopes = Vec::new();
        self.collect(&mut scopes);
        scopes.join(" ")
    }

    /// Every scope that can help to satisfy the rule, once each, in the order in which they stand: what a resource that asks for it supports.
    #[must_use]
    pub fn scopes(&self) -> Vec<&str> {
        let mut scopes = Vec::new();
        self.gather(&mut scopes);
        scopes
    }

    fn gather<'a>(&'a self, scopes: &mut Vec<&'a str>) {
        match self {
            Self::Scope(scope) if scopes.contains(&scope.as_ref()) => {}
            Self::Scope(scope) => scopes.push(scope),
            Self::Any(rules) | Self::All(rules) => rules.iter().for_each(|rule| rule.gather(scopes)),
            Self::Role(_) | Self::Not(_) => {}
        }
    }

    fn collect<'a>(&'a self, scopes: &mut Vec<&'a str>) {
        match self {
            Self::Scope(scope) if scopes.contains(&scope.as_ref()) => {}
            Self::Scope(scope) => scopes.push(scope),
            Self::Any(rules) => rules.iter().take(1).for_each(|rule| rule.collect(scopes)),
            Self::All(rules) => rules.iter().for_each(|rule| rule.collect(scopes)),
            // No scope can be asked for to have a role, or to have less than one has.
            Self::Role(_) | Self::Not(_) => {}
        }
    }
}

impl From<&'static str> for Rule {
    fn from(scope: &'static str) -> Self {
        Self::scope(scope)
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
    Any(Cow<'a, [Rule]>),
    All(Cow<'a, [Rule]>),
    Not(Cow<'a, [Rule]>),
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = match self {
            Self::Scope(scope) => Written::Scope(Cow::Borrowed(scope)),
            Self::Role(role) => Written::Other(Branch::Role(Cow::Borrowed(role))),
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
            Written::Other(Branch::Any(rules)) => Self::Any(all(rules)),
            Written::Other(Branch::All(rules)) => Self::All(all(rules)),
            Written::Other(Branch::Not(rules)) => Self::Not(all(rules)),
        })
    }
}

/// A rule as a type, so that a handler's signature says what it asks for. Declare them with [`scopes!`](crate::scopes!).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a rule that a token can be held to",
    label = "expected a type declared with `scopes!`",
    note = "declare the rule: `scopes!({Self} = \"the:scope\");`"
)]
pub trait Required: Send + Sync + 'static {
    /// The rule.
    const RULE: Rule;
}

/// Declares rules as types.
///
/// ```
/// use token_core::{Required, scopes};
///
/// scopes! {
///     /// May list users.
///     pub ReadUsers = "read:users",
///     Editor = any("admin", all("read", "write")),
///     Staff = all(role("staff"), not(role("suspended"))),
/// }
/// assert!(Staff::RULE.satisfied_by_grants(|_| false, |role| role == "staff"));
/// assert!(ReadUsers::RULE.satisfied_by(|scope| scope == "read:users"));
/// assert_eq!(Editor::RULE.would_satisfy(), "admin");
/// ```
#[macro_export]
macro_rules! scopes {
    ($($(#[$meta:meta])* $vis:vis $name:ident = $head:tt $(($($part:tt)*))?),+ $(,)?) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        $vis struct $name;
        impl $crate::Required for $name {
            const RULE: $crate::Rule = $crate::__rule!($head $(($($part)*))?);
        }
    )+};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __rule {
    (any($($part:tt)*)) => { $crate::__rules!(any [] $($part)*) };
    (all($($part:tt)*)) => { $crate::__rules!(all [] $($part)*) };
    (not($($part:tt)*)) => { $crate::__rules!(not [] $($part)*) };
    (role($role:literal)) => { $crate::Rule::role($role) };
    ($scope:literal) => { $crate::Rule::scope($scope) };
}

// Takes the parts of a list one by one, since one macro fragment cannot be `"x"` and `any(..)` alike.
#[doc(hidden)]
#[macro_export]
macro_rules! __rules {
    ($kind:ident [$($done:expr,)*]) => { $crate::Rule::$kind(const { &[$($done),*] }) };
    ($kind:ident [$($done:expr,)*] $head:ident ($($part:tt)*) $(, $($rest:tt)*)?) => {
        $crate::__rules!($kind [$($done,)* $crate::__rule!($head($($part)*)),] $($($rest)*)?)
    };
    ($kind:ident [$($done:expr,)*] $scope:literal $(, $($rest:tt)*)?) => {
        $crate::__rules!($kind [$($done,)* $crate::Rule::scope($scope),] $($($rest)*)?)
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    scopes!(Nested = all("a", any("b", "c"), all("d")));

    #[test]
    fn a_rule_asks_for_exactly_what_it_says() {
        for (granted, expected) in
            [("a b d", true), ("a c d", true), ("a d", false), ("a b", false), ("aa b d", false), ("", false)]
        {
            let verdict = Nested::RULE.satisfied_by(|scope| granted.split(' ').any(|one| one == scope));
            assert_eq!(verdict, expected, "{granted}");
        }
        assert_eq!(Nested::RULE.would_satisfy(), "a b d");
        assert_eq!(Nested::RULE.scopes(), ["a", "b", "c", "d"]);
    }

    scopes!(Staff = all("read", role("staff"), not(role("suspended"), "banned")));

    #[test]
    fn roles_are_no_scopes_and_not_takes_away() {
        for (scopes, roles, expected) in [
            ("read", "staff", true),
            ("read", "staff x", true),
            ("read staff", "", false),
            ("read", "staff suspended", false),
            ("read banned", "staff", false),
            ("read suspended", "staff", true),
            ("", "staff read", false),
        ] {
            let has = |list: &'static str| move |name: &str| list.split(' ').any(|one| one == name);
            assert_eq!(Staff::RULE.satisfied_by_grants(has(scopes), has(roles)), expected, "{scopes} / {roles}");
        }
        assert_eq!(Staff::RULE.would_satisfy(), "read");
    }

    #[test]
    fn a_rule_that_is_not_understood_is_refused_as_data() {
        for json in [r#"{"any":"a"}"#, r#"{"none":["a"]}"#, r#"{"any":["a"],"all":["b"]}"#, "1", "null", "{}"] {
            assert!(serde_json::from_str::<Rule>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_choice_of_nothing_is_never_satisfied() {
        assert!(!Rule::any(&[]).satisfied_by(|_| true));
        assert!(Rule::all(&[]).satisfied_by(|_| false));
    }
}
