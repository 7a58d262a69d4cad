//! Secret texts, one type for each kind. They print as the name of their type. With the feature `zeroize` they are
//! overwritten when dropped.

use std::fmt;
use std::sync::Arc;

/// A shared text that is never printed, and compared in constant time.
#[derive(Clone)]
pub(crate) struct Secret(Arc<Text>);

struct Text(String);

#[cfg(feature = "zeroize")]
impl Drop for Text {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(Arc::new(Text(text.into())))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let (one, two) = (self.expose().as_bytes(), other.expose().as_bytes());
        one.len() == two.len() && one.iter().zip(two).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

macro_rules! secrets {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// Neither `Debug` nor any error shows the text. Clones share it.
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(Secret);

        impl $name {
            /// Wraps the text as it was issued. It is not checked.
            #[must_use]
            pub fn new(text: impl Into<String>) -> Self {
                Self(Secret::new(text))
            }

            /// Returns the text. Take care not to log it.
            #[must_use]
            pub fn expose(&self) -> &str {
                self.0.expose()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::new(text)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }
    )*};
}

secrets! {
    /// An access token (RFC 6749 section 1.4).
    AccessToken;
    /// A refresh token (RFC 6749 section 1.5).
    RefreshToken;
    /// An ID token (OpenID Connect Core section 2). It has not been verified.
    IdToken;
    /// An authorization code (RFC 6749 section 1.3.1).
    AuthorizationCode;
    /// Another token that is sent to a token endpoint: the token of a subject or actor, or an assertion.
    Assertion;
}

impl From<AccessToken> for Assertion {
    fn from(token: AccessToken) -> Self {
        Self(token.0)
    }
}

impl From<IdToken> for Assertion {
    fn from(token: IdToken) -> Self {
        Self(token.0)
    }
}

impl From<RefreshToken> for Assertion {
    fn from(token: RefreshToken) -> Self {
        Self(token.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_its_name() {
        let printed = format!("{:?} {:?}", AccessToken::new("canary"), Secret::new("canary"));
        assert_eq!(printed, "AccessToken(…) …");
    }

    #[test]
    fn secrets_compare_by_their_whole_text() {
        for (one, two, same) in [("a", "a", true), ("a", "b", false), ("a", "ab", false), ("", "", true)] {
            assert_eq!(Assertion::new(one) == Assertion::new(two), same, "{one} {two}");
        }
    }
}
