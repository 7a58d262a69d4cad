//! Which audiences a resource server answers to (RFC 7519 section 4.1.3, RFC 8725 section 3.9).

use std::collections::BTreeSet;

use crate::claims::Names;

/// The audiences that a token may be for. At least one name of the token's `aud` must be one of these, whole and with
/// regard to case.
///
/// ```
/// use token_core::Audience;
///
/// let one: Audience = "https://api.example.com".into();
/// let several = Audience::any_of(["https://api.example.com", "https://api.example.org"]);
/// assert_ne!(one, several);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audience(Rule);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    OneOf(BTreeSet<String>),
    Unchecked,
}

impl Audience {
    /// Any of these names.
    #[must_use]
    pub fn any_of<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self(Rule::OneOf(names.into_iter().map(Into::into).collect()))
    }

    /// Takes a token whoever it was issued for: a token for any other API of the same issuer passes here. There is hardly
    /// ever a reason for it; an issuer that writes no `aud` can usually be told to.
    #[must_use]
    pub fn dangerously_unchecked() -> Self {
        Self(Rule::Unchecked)
    }

    /// Whether there is nothing that could match, which no verifier may be built with.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(&self.0, Rule::OneOf(names) if names.is_empty() || names.contains(""))
    }

    /// Whether a token that names these audiences is for us.
    pub(crate) fn accepts(&self, named: Names<'_>) -> bool {
        match &self.0 {
            Rule::OneOf(ours) => named.iter().any(|name| ours.contains(name)),
            Rule::Unchecked => true,
        }
    }

    /// Whether any name at all is taken.
    pub(crate) fn is_unchecked(&self) -> bool {
        matches!(&self.0, Rule::Unchecked)
    }

    /// Whether this one name is ours.
    pub(crate) fn names(&self, name: &str) -> bool {
        match &self.0 {
            Rule::OneOf(names) => names.contains(name),
            Rule::Unchecked => true,
        }
    }

    /// The names that are ours, unless any audience will do.
    pub(crate) fn ours(&self) -> Option<&BTreeSet<String>> {
        match &self.0 {
            Rule::OneOf(names) => Some(names),
            Rule::Unchecked => None,
        }
    }

    /// Whether one token could be for both.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Rule::OneOf(ours), Rule::OneOf(theirs)) => !ours.is_disjoint(theirs),
            _ => true,
        }
    }

    /// The names, for an operator's log.
    pub(crate) fn describe(&self) -> String {
        match &self.0 {
            Rule::OneOf(names) => names.iter().map(String::as_str).collect::<Vec<_>>().join(" or "),
            Rule::Unchecked => "any audience".to_owned(),
        }
    }
}

impl From<&str> for Audience {
    fn from(name: &str) -> Self {
        Self::any_of([name])
    }
}

impl From<String> for Audience {
    fn from(name: String) -> Self {
        Self::any_of([name])
    }
}
