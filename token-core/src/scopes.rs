//! The scopes a token carries and the rules that ask for them (RFC 6749 section 3.3): exact matches, never substrings.

use std::borrow::Cow;
use std::fmt;

use crate::claims::Names;

/// The scopes of a verified token, borrowed from it.
#[derive(Clone, Copy)]
pub struct Scopes<'a>(pub(crate) Names<'a>);

impl<'a> Scopes<'a> {
    /// Whether this scope was granted. Compared whole and with regard to case.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.iter().any(|granted| granted == scope)
    }

    /// The scopes in the order of the token. A scope that the token repeats is repeated here.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.0.iter()
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

/// What a token must carry, as data: a scope, or several joined by any, all and not.
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
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// This scope.
    Scope(Cow<'static, str>),
    /// At least one of these. Of none, nothing satisfies it.
    Any(Cow<'static, [Rule]>),
    /// Every one of these. Of none, everything satisfies it.
    All(Cow<'static, [Rule]>),
}

impl Rule {
    /// A rule that asks for one scope.
    #[must_use]
    pub const fn scope(scope: &'static str) -> Self {
        Self::Scope(Cow::Borrowed(scope))
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

    /// Whether what `granted` affirms satisfies the rule.
    pub fn satisfied_by(&self, granted: impl Fn(&str) -> bool) -> bool {
        self.holds(&granted)
    }

    fn holds(&self, granted: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Self::Scope(scope) => granted(scope),
            Self::Any(rules) => rules.iter().any(|rule| rule.holds(granted)),
            Self::All(rules) => rules.iter().all(|rule| rule.holds(granted)),
        }
    }

    /// One set of scopes, separated by blanks, that satisfies the rule: the first alternative wherever there is a choice.
    /// It is what a 403 challenge names.
    #[must_use]
    pub fn would_satisfy(&self) -> String {
        let mut scopes = Vec::new();
        self.collect(&mut scopes);
        scopes.join(" ")
    }

    fn collect<'a>(&'a self, scopes: &mut Vec<&'a str>) {
        match self {
            Self::Scope(scope) if scopes.contains(&scope.as_ref()) => {}
            Self::Scope(scope) => scopes.push(scope),
            Self::Any(rules) => rules.iter().take(1).for_each(|rule| rule.collect(scopes)),
            Self::All(rules) => rules.iter().for_each(|rule| rule.collect(scopes)),
        }
    }
}

impl From<&'static str> for Rule {
    fn from(scope: &'static str) -> Self {
        Self::scope(scope)
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
/// }
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
    }

    #[test]
    fn a_choice_of_nothing_is_never_satisfied() {
        assert!(!Rule::any(&[]).satisfied_by(|_| true));
        assert!(Rule::all(&[]).satisfied_by(|_| false));
    }
}
