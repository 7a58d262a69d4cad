//! The scopes or roles that a token carries (RFC 6749 section 3.3): exact matches, never substrings.

use std::fmt;

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
