//! Why a key is not used, out: a fixed text that holds nothing of the key.

use std::fmt;

/// A key cannot be used, and why. The text never holds anything of the key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct UnusableKey(&'static str);

impl UnusableKey {
    pub(crate) const fn because(reason: &'static str) -> Self {
        Self(reason)
    }

    /// The reason, in words for an operator.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        self.0
    }
}

impl fmt::Debug for UnusableKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnusableKey({:?})", self.0)
    }
}

impl fmt::Display for UnusableKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for UnusableKey {}
