//! The checks of the gate in the order in which it makes them: one table (RFC 7519 section 7.2, RFC 8725, RFC 9068 section 4).

use std::fmt;

use serde::{Serialize, Serializer};

use crate::answer::error::kind::ErrorKind;

macro_rules! checks {
    ($($(#[$doc:meta])* $check:ident = $name:literal, $what:literal;)*) => {
        /// One check of the gate. The order of the variants is the order in which they are made; new ones may be added.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Check { $($(#[$doc])* $check,)* }

        impl Check {
            /// Every check, in order.
            pub const ALL: &'static [Self] = &[$(Self::$check,)*];

            /// Its stable name, for logs, metrics and reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$check => $name,)* }
            }

            /// What holds once it is passed, for people.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$check => $what,)* }
            }
        }
    };
}

checks! {
    /// Exactly one bearer token was presented (RFC 6750 section 2.1).
    Credentials = "credentials", "exactly one bearer token was presented";
    /// The token is no longer than the cap.
    Size = "size", "the token is not too long to be looked at";
    /// Three parts, as the compact serialization of a JWS has them (RFC 7515 section 7.1), or an encrypted token that was opened and holds one.
    Form = "form", "the token is a signed JWT of three parts, or an encrypted one that is opened here";
    /// The claims are one JSON object in strict base64url, without duplicates, registered claims of the right type.
    Claims = "claims", "the claims are one well-formed JSON object";
    /// `iss` is in the registry, byte by byte.
    Issuer = "issuer", "the issuer is one that is trusted here";
    /// Header and signature can be read and nothing critical is asked for (RFC 7515 section 4).
    Header = "header", "header and signature are well formed";
    /// The algorithm is agreed with the issuer (RFC 8725 section 3.1).
    Algorithm = "algorithm", "the algorithm is agreed with the issuer";
    /// The token is an access token, by header and by claims (RFC 8725 section 3.11).
    Type = "type", "the token is of a type that is taken here";
    /// `aud` names this server (RFC 7519 section 4.1.3).
    Audience = "audience", "the token was issued for this server";
    /// `exp` is there and has not passed (RFC 7519 section 4.1.4).
    Expiry = "expiry", "the token has not expired";
    /// `nbf`, if there, has passed (RFC 7519 section 4.1.5).
    NotBefore = "not_before", "the token is valid already";
    /// The token is not bound to its sender (RFC 7800), or in a way that is checked here.
    Binding = "binding", "the token is bound to nothing, or to what is checked here";
    /// The claims that its profile requires are there (RFC 9068 section 2.2).
    Profile = "profile", "the claims that the profile requires are there";
    /// Exactly one published key fits the header.
    Key = "key", "the issuer publishes the one key that the token names";
    /// The signature verifies with that key (RFC 7515 section 5.2).
    Signature = "signature", "the signature is the issuer's";
    /// What the operator demands of claims beyond all this, and whether the token is still active.
    Demands = "demands", "nothing else that is demanded is missing";
    /// The sender has proved that the key or certificate in `cnf` is its own, once, for this request (RFC 9449 section 4.3, RFC 8705 section 3).
    Proof = "proof", "the sender has proved possession of what the token is bound to";
}

impl Check {
    /// Whether only a token that is read and verified with keys has it.
    pub(crate) fn is_for_jwts(self) -> bool {
        matches!(self, Self::Form | Self::Claims | Self::Header | Self::Algorithm | Self::Key | Self::Signature)
    }

    /// The check that refuses with this kind where the error itself does not say which it was.
    pub(crate) fn usual(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::MissingToken
            | ErrorKind::InvalidRequest
            | ErrorKind::InvalidTicket
            | ErrorKind::CrossSite
            | ErrorKind::Misconfigured => Self::Credentials,
            ErrorKind::Malformed | ErrorKind::Undecryptable => Self::Form,
            ErrorKind::UnknownIssuer => Self::Issuer,
            ErrorKind::AlgorithmNotAllowed => Self::Algorithm,
            ErrorKind::WrongType => Self::Type,
            ErrorKind::WrongAudience => Self::Audience,
            ErrorKind::Expired => Self::Expiry,
            ErrorKind::NotYetValid => Self::NotBefore,
            ErrorKind::SenderConstrained => Self::Binding,
            ErrorKind::Unbound | ErrorKind::InvalidDpopProof | ErrorKind::DpopNonceRequired => Self::Proof,
            ErrorKind::UnknownKey | ErrorKind::Unavailable => Self::Key,
            ErrorKind::BadSignature => Self::Signature,
            _ => Self::Demands,
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
