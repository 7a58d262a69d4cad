//! The claims `act` and `may_act` in, a typed chain of actors out (RFC 8693 sections 4.1 and 4.4).

use serde::{Deserialize, Deserializer};

use crate::answer::error::{Error, ErrorKind};
use crate::base::object::object;

/// How many actors a chain may have. Each is one more party that a request went through.
const LONGEST_CHAIN: usize = 8;

/// Who acts on behalf of the subject, or may.
///
/// Only the outermost actor, the one a token names first, counts for decisions; those before it are history (RFC 8693 section 4.1).
#[derive(Clone, PartialEq, Eq)]
pub struct Actor {
    subject: Option<String>,
    issuer: Option<String>,
    client_id: Option<String>,
    previous: Option<Box<Actor>>,
}

/// The members of an actor. Read by itself a derived struct takes an array of them for an object, too; [`Actor`] does not.
#[derive(Deserialize)]
struct Members {
    sub: Option<String>,
    iss: Option<String>,
    client_id: Option<String>,
    act: Option<Box<Actor>>,
}

impl<'de> Deserialize<'de> for Actor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Members { sub: subject, iss: issuer, client_id, act: previous } = object(deserializer)?;
        Ok(Self { subject, issuer, client_id, previous })
    }
}

impl Actor {
    /// `sub` of the actor.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// `iss` of the actor, where it is of another issuer than the token's.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// `client_id` of the actor.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// The actor before this one: for the record, not for decisions.
    #[must_use]
    pub fn previous(&self) -> Option<&Self> {
        self.previous.as_deref()
    }

    /// This actor and those before it, outermost first.
    pub fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |actor| actor.previous())
    }
}

// Actors are people and programs of the user's; logs have no need of them.
impl std::fmt::Debug for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Actor(chain of {})", self.chain().count())
    }
}

/// What a token says about delegation.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Delegation {
    #[serde(rename = "act", default, deserialize_with = "present")]
    pub(crate) actor: Option<Actor>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) may_act: Option<Actor>,
}

/// `null` is not the same as absent: an actor that is there must be one.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Actor>, D::Error> {
    Actor::deserialize(deserializer).map(Some)
}

impl Delegation {
    /// Reads both claims. The caller has verified the signature over `json`.
    ///
    /// # Errors
    /// [`ErrorKind::ClaimsMismatch`] when one is not an object of strings, or the chain is longer than eight.
    pub(crate) fn read(json: &str) -> Result<Self, Error> {
        let refuse = |why| Error::new(ErrorKind::ClaimsMismatch, why);
        let delegation: Self = serde_json::from_str(json)
            .map_err(|_| refuse("act or may_act is not an object whose sub, iss and client_id are strings"))?;
        let named = |actor: &Option<Actor>| {
            actor.as_ref().is_none_or(|actor| actor.chain().all(|one| one.subject.is_some() || one.client_id.is_some()))
        };
        if !named(&delegation.actor) || !named(&delegation.may_act) {
            return Err(refuse("act or may_act names nobody: expected sub or client_id"));
        }
        let length = |actor: &Option<Actor>| actor.as_ref().map_or(0, |actor| actor.chain().count());
        if length(&delegation.actor).max(length(&delegation.may_act)) > LONGEST_CHAIN {
            return Err(refuse("the chain of actors is longer than 8"));
        }
        Ok(delegation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_actor_comes_first() {
        let json = r#"{"sub":"ada","act":{"sub":"outer","act":{"client_id":"inner"}},"may_act":{"sub":"x"}}"#;
        let delegation = Delegation::read(json).unwrap();
        let actor = delegation.actor.unwrap();
        assert_eq!(actor.subject(), Some("outer"));
        assert_eq!(actor.previous().and_then(Actor::client_id), Some("inner"));
        assert_eq!(actor.chain().count(), 2);
        assert_eq!(delegation.may_act.unwrap().subject(), Some("x"));
        assert_eq!(format!("{actor:?}"), "Actor(chain of 2)");
    }

    #[test]
    fn what_is_no_actor_is_refused() {
        let chain = |length: usize| {
            format!(
                "{{\"act\":{}{}}}",
                r#"{"sub":"a","act":"#.repeat(length - 1) + r#"{"sub":"a"}"#,
                "}".repeat(length - 1)
            )
        };
        assert!(Delegation::read(&chain(8)).is_ok());
        for json in [
            r#"{"act":["svc",null,null,null]}"#,
            r#"{"may_act":["svc",null,null,null]}"#,
            r#"{"act":{"sub":"a","act":["svc",null,null,null]}}"#,
            r#"{"act":{"sub":"a","sub":"b"}}"#,
        ] {
            assert_eq!(Delegation::read(json).unwrap_err().kind(), ErrorKind::ClaimsMismatch, "{json}");
        }
        for json in
            [&chain(9), r#"{"act":null}"#, r#"{"act":"ada"}"#, r#"{"act":{}}"#, r#"{"act":[]}"#, r#"{"act":{"sub":1}}"#]
        {
            assert_eq!(Delegation::read(json).unwrap_err().kind(), ErrorKind::ClaimsMismatch, "{json}");
        }
    }
}
