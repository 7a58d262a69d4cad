//! Whom an event is about: a subject identifier in (RFC 9493 section 3, Shared Signals Framework 1.0 section 3), names that are known here out.

use std::fmt;

use serde_json::{Map, Value};

use crate::base::http::BoxFuture;
use crate::stores::StoreError;

/// Whom an event is about. What is not understood is [`SubjectIdentifier::Unknown`]: such an event is acknowledged, and nobody is touched.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubjectIdentifier {
    /// `iss_sub`: the subject of an issuer (RFC 9493 section 3.2.4).
    IssuerSubject {
        /// `iss`.
        issuer: String,
        /// `sub`.
        subject: String,
    },
    /// `opaque`: a name that the transmitter made up: of a session, where the event is about one (section 3.2.5).
    Opaque(String),
    /// `email`, `phone_number`, `account`, `did` or `uri`: a name that only the application can place (sections 3.2.1 to 3.2.7).
    Named {
        /// The format.
        format: NameFormat,
        /// The name.
        name: String,
    },
    /// `aliases`: several names of one subject (section 3.2.8).
    Aliases(Vec<SubjectIdentifier>),
    /// `complex`: a session of a user, say (Shared Signals section 3.2).
    Complex {
        /// `user`.
        user: Option<Box<SubjectIdentifier>>,
        /// `session`.
        session: Option<Box<SubjectIdentifier>>,
        /// Whether it names something else beside: a device, a tenant, a group. What is denied may then be wider than what was meant, but is never
        /// somebody else's.
        narrower: bool,
    },
    /// A format that is not known here, or one that is not as its RFC says.
    Unknown,
}

/// The format of a [`SubjectIdentifier::Named`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NameFormat {
    /// `account`: an `acct` URI.
    Account,
    /// `email`.
    Email,
    /// `phone_number`.
    PhoneNumber,
    /// `did`.
    Did,
    /// `uri`.
    Uri,
}

/// More aliases than this are not looked at.
const MOST_ALIASES: usize = 32;

impl SubjectIdentifier {
    /// Reads an identifier. `subject_type`, with `iss-sub` for `iss_sub`, is what transmitters wrote before there was an RFC.
    pub(crate) fn read(value: &Value) -> Self {
        Self::read_at(value, 0).unwrap_or(Self::Unknown)
    }

    fn read_at(value: &Value, depth: u8) -> Option<Self> {
        let object = value.as_object()?;
        let text = |name: &str| text(object, name);
        let named = |format, name: &str| Some(Self::Named { format, name: text(name)? });
        let format = object.get("format").or_else(|| object.get("subject_type"))?.as_str()?;
        match format {
            "iss_sub" | "iss-sub" => Some(Self::IssuerSubject { issuer: text("iss")?, subject: text("sub")? }),
            "opaque" => Some(Self::Opaque(text("id")?)),
            "email" => named(NameFormat::Email, "email"),
            "phone_number" | "phone-number" => named(NameFormat::PhoneNumber, "phone_number"),
            "account" => named(NameFormat::Account, "uri"),
            "did" => named(NameFormat::Did, "url"),
            "uri" => named(NameFormat::Uri, "uri"),
            // 3.2.8: aliases are not nested; a member of a complex subject may have some.
            "aliases" if depth <= 1 => {
                let all = object.get("identifiers")?.as_array()?;
                let all = all.iter().take(MOST_ALIASES).map(|one| Self::read_at(one, 2).unwrap_or(Self::Unknown));
                Some(Self::Aliases(all.collect()))
            }
            "complex" if depth == 0 => {
                let member = |name: &str| object.get(name).map(|one| Self::read_at(one, 1).unwrap_or(Self::Unknown));
                let narrower = object.keys().any(|name| !["format", "user", "session"].contains(&name.as_str()));
                let (user, session) = (member("user").map(Box::new), member("session").map(Box::new));
                Some(Self::Complex { user, session, narrower })
            }
            _ => None,
        }
    }

    /// The names that belong to one subject: itself, or its aliases.
    pub(crate) fn names(&self) -> &[Self] {
        match self {
            Self::Aliases(all) => all,
            one => std::slice::from_ref(one),
        }
    }
}

fn text(object: &Map<String, Value>, name: &str) -> Option<String> {
    object.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

impl fmt::Debug for SubjectIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IssuerSubject { .. } => "SubjectIdentifier(iss_sub)",
            Self::Opaque(_) => "SubjectIdentifier(opaque)",
            Self::Named { .. } => "SubjectIdentifier(a name)",
            Self::Aliases(_) => "SubjectIdentifier(aliases)",
            Self::Complex { .. } => "SubjectIdentifier(complex)",
            Self::Unknown => "SubjectIdentifier(unknown)",
        })
    }
}

/// A subject as tokens name it.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The issuer of the tokens.
    pub issuer: String,
    /// Their `sub`.
    pub subject: String,
}

impl Account {
    /// This `sub` of this issuer.
    #[must_use]
    pub fn new(issuer: impl Into<String>, subject: impl Into<String>) -> Self {
        Self { issuer: issuer.into(), subject: subject.into() }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// Who knows which tokens belong to a name: the application's own table of users.
pub trait SubjectDirectory: fmt::Debug + Send + Sync + 'static {
    /// The accounts of this name, as this transmitter means it; none where it is nobody. Asked for names that are no `iss_sub`.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be said now: the event is not acknowledged, and comes again.
    fn accounts<'a>(
        &'a self,
        transmitter: &'a str,
        name: &'a SubjectIdentifier,
    ) -> BoxFuture<'a, Result<Vec<Account>, StoreError>>;
}
