//! A verified token and a rule in; consent, or the refusal that says what would mend it, out (RFC 6750 section 3.1, RFC 9470 section 3).

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::answer::challenge::ScopeChallenge;
use crate::answer::error::{Error, ErrorKind};
use crate::base::telemetry;
use crate::token::authentication::Authentication;
use crate::token::authorization_details::{AuthorizationDetail, AuthorizationDetails, DetailRule};
use crate::token::rule::{Holder, Rule};
use crate::verify::verified::Verified;

impl Verified {
    /// Asks for what a rule demands.
    ///
    /// # Errors
    /// [`ErrorKind::InsufficientUserAuthentication`] when the user would have to sign in in another way, or anew, and a challenge that says so (RFC 9470);
    /// it names scopes, too, where those are wanting as well. Else [`ErrorKind::InsufficientScope`], whose challenge names what would satisfy the rule,
    /// or [`ErrorKind::InsufficientDetails`] where authorization details alone are wanting. [`ErrorKind::Unbound`] when the token would have to be bound to its
    /// sender, whatever else is wanting. [`ErrorKind::ClaimsMismatch`] when the rule asks for claims
    /// that are there and of the wrong type.
    pub fn require(&self, rule: &Rule) -> Result<(), Error> {
        let (scopes, roles) = (self.scopes(), self.roles());
        let implications = &self.shared_facts().issuer.protection.implications;
        let scope = |scope: &str| implications.grants(scope, |one| scopes.contains(one));
        let role = |role: &str| roles.contains(role);
        // Claims that are of the wrong type satisfy no rule, and are what is reported.
        let flaw = Cell::new(None);
        let class =
            |values: &[Cow<'static, str>]| self.read(&flaw, Self::authentication).is_some_and(|how| how.is_of(values));
        let age = |age: Duration| {
            let issuer = &self.shared_facts().issuer;
            self.read(&flaw, Self::authentication)
                .is_some_and(|how| how.is_within(age, issuer.leeway, issuer.clock.now()))
        };
        let detail = |rule: &DetailRule| {
            self.read(&flaw, Self::authorization_details).is_some_and(|details| rule.satisfied_by(&details))
        };
        let bound = self.binding().is_some();
        let holder = Holder { scope: &scope, role: &role, class: &class, age: &age, detail: &detail, bound };
        let held = rule.holds(&holder);
        // First what cannot be read: under `not` it would satisfy the rule.
        match (flaw.take(), held) {
            (Some(flaw), _) => Err(flaw),
            (None, true) => Ok(()),
            (None, false) => Err(self.insufficient(rule, &holder)),
        }
    }

    /// How and when the user signed in: `acr`, `amr`, `auth_time`, from a JWT or an endpoint's answer (RFC 9470 section 6). Read at most once per token.
    ///
    /// # Errors
    /// [`ErrorKind::ClaimsMismatch`] when one of them is of the wrong type.
    pub fn authentication(&self) -> Result<Arc<Authentication>, Error> {
        self.claims()
    }

    /// `authorization_details`, from a JWT or an endpoint's answer (RFC 9396 sections 9.1 and 9.2). Read at most once per token.
    ///
    /// That a detail is *for* this server only [`locations`](crate::rules::AuthorizationDetail::locations) can say; where an issuer leaves them out it is taken to have
    /// picked the details by audience, as RFC 9396 section 9 asks it to.
    ///
    /// # Errors
    /// [`ErrorKind::ClaimsMismatch`] when they are not a list of objects with a `type`.
    pub fn authorization_details(&self) -> Result<Arc<AuthorizationDetails>, Error> {
        self.claims()
    }

    /// The authorization details of one type as a type of the caller's, in the order of the token.
    ///
    /// ```
    /// # fn handler(token: &token_core::Verified) -> Result<(), token_core::Error> {
    /// #[derive(serde::Deserialize)]
    /// struct Payment { creditor: String }
    ///
    /// for payment in token.details_of::<Payment>("payment_initiation")? {
    ///     // …
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::ClaimsMismatch`] when one of them does not fit.
    pub fn details_of<T: DeserializeOwned>(&self, kind: &str) -> Result<Vec<T>, Error> {
        let details = self.authorization_details()?;
        let parse = |detail: &AuthorizationDetail| {
            // The parser's own text may quote the detail; place and category do not.
            detail.parse().map_err(|error| {
                let why = format!(
                    "an authorization detail does not fit {}: {:?} error at column {}",
                    std::any::type_name::<T>(),
                    error.classify(),
                    error.column()
                );
                self.error(Error::new(ErrorKind::ClaimsMismatch, why))
            })
        };
        details.of_type(kind).map(parse).collect()
    }

    fn read<T>(&self, flaw: &Cell<Option<Error>>, read: fn(&Self) -> Result<T, Error>) -> Option<T> {
        read(self).map_err(|error| flaw.set(Some(error))).ok()
    }

    /// What is wanting, along the way that is mended with least: another way to sign in first, since scopes can be asked for on the same way.
    fn insufficient(&self, rule: &Rule, holder: &Holder<'_>) -> Error {
        let signed_in = Holder { class: &|_| true, age: &|_| true, ..*holder };
        let granted = Holder { scope: &|_| true, ..*holder };
        let detailed = Holder { detail: &|_| true, ..*holder };
        let both = Holder { scope: &|_| true, ..signed_in };
        let all = Holder { detail: &|_| true, ..both };
        let bound = Holder { bound: true, ..all };
        let mut unmet = Vec::new();
        // Where none of them helps, a role is wanting, or there is something that must not be.
        if let Some(mended) = [signed_in, granted, detailed, both, all, bound].iter().find(|mended| rule.holds(mended))
        {
            rule.unmet(holder, mended, &mut unmet);
        }
        if unmet.contains(&&Rule::Bound) {
            return self.unbound();
        }
        let scopes_are_wanting = unmet.iter().any(|demand| matches!(demand, Rule::Scope(_)));
        let details_are_wanting = unmet.iter().any(|demand| matches!(demand, Rule::AuthorizationDetails(_)));
        let error = match step_up(&unmet) {
            Some(error) if scopes_are_wanting => error.asking_for(self.scopes_to_ask_for(rule)),
            Some(error) => error,
            None if details_are_wanting && !scopes_are_wanting => {
                Error::new(ErrorKind::InsufficientDetails, "the token's authorization details do not satisfy the rule")
            }
            None => {
                telemetry::scope_refused(&self.shared_facts().issuer.identifier);
                Error::insufficient_scope(self.scopes_to_ask_for(rule))
            }
        };
        self.error(error)
    }

    /// What would satisfy the rule; where the operator wants it, together with what is granted already, so that a client which asks for what the challenge
    /// names loses nothing.
    fn scopes_to_ask_for(&self, rule: &Rule) -> String {
        let wanted = rule.would_satisfy();
        let protection = &self.shared_facts().issuer.protection;
        if wanted.is_empty() || protection.scope_challenge == ScopeChallenge::Required {
            return wanted;
        }
        let mut union: Vec<&str> = self.scopes().iter().filter(|scope| protection.is_own_scope(scope)).collect();
        union.extend(wanted.split(' '));
        let mut seen = Vec::with_capacity(union.len());
        for scope in union {
            if !seen.contains(&scope) {
                seen.push(scope);
            }
        }
        seen.join(" ")
    }
}

/// How the user would have to sign in, if that is among what is wanting.
fn step_up(unmet: &[&Rule]) -> Option<Error> {
    let (mut values, mut age) = (None, None::<Duration>);
    for demand in unmet {
        match demand {
            Rule::AcrValues(wanted) => values = values.or_else(|| Some(wanted.join(" "))),
            Rule::MaxAge(wanted) => age = Some(age.map_or(*wanted, |age| age.min(*wanted))),
            _ => {}
        }
    }
    let is_wanting = values.is_some() || age.is_some();
    is_wanting.then(|| Error::insufficient_user_authentication(values.as_deref(), age))
}
