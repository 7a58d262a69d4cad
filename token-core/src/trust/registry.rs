//! The closed registry: the issuer that a token names in, the entries that may judge it out (RFC 8725 section 3.8).

mod by_name;

use std::sync::Arc;

use self::by_name::ByName;

use crate::base::config_error::ConfigError;
use crate::claims::{Claims, Reading, Text};
use crate::token::naming::Naming;
use crate::trust::routes::Routes;
use crate::trust::trusted::TrustedIssuer;

/// The issuers that are trusted at one moment. Adding and removing makes a new one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registry {
    /// Nearly always one entry each; several where one issuer signs for different audiences or with different kinds of keys.
    exact: ByName,
    templates: Vec<Arc<TrustedIssuer>>,
    without_issuer: Vec<Arc<TrustedIssuer>>,
    routes: Routes,
    /// How many take tokens whose parts are padded.
    padded: usize,
    /// How many have subjects that are numbers.
    numeric: usize,
    /// The one who is trusted, by name, where it is only one.
    only: Option<Arc<TrustedIssuer>>,
}

impl Registry {
    /// # Errors
    /// When the new entry and an old one would both judge the same token.
    pub(crate) fn add(&mut self, issuer: Arc<TrustedIssuer>) -> Result<(), ConfigError> {
        let rivals = match issuer.naming {
            Naming::Exact => self.exact.get(&issuer.identifier),
            Naming::Template(_) => &self.templates,
            Naming::Nameless | Naming::TrustDomain => &self.without_issuer,
        };
        let name = &issuer.identifier;
        for rival in rivals {
            match issuer.naming {
                Naming::Exact if issuer.overlaps(rival) => {
                    return Err(ConfigError::new(format!(
                        "issuer {name} is trusted twice: expected entries that differ in audience, or share no algorithm"
                    )));
                }
                Naming::Nameless if rival.naming == Naming::Nameless && issuer.shares_audience(rival) => {
                    return Err(ConfigError::new(format!(
                        "{name} and {} take tokens without iss for the same audience",
                        rival.identifier
                    )));
                }
                _ if rival.identifier == issuer.identifier && issuer.naming != Naming::Exact => {
                    return Err(ConfigError::new(format!("issuer {name} is trusted twice")));
                }
                _ => {}
            }
        }
        self.routes.add(&issuer)?;
        self.padded += usize::from(issuer.padded);
        self.numeric += usize::from(issuer.numeric_subjects);
        match issuer.naming {
            Naming::Exact => self.exact.add(issuer),
            Naming::Template(_) => self.templates.push(issuer),
            Naming::Nameless | Naming::TrustDomain => self.without_issuer.push(issuer),
        }
        self.only = self.find_only();
        Ok(())
    }

    /// Takes every entry of this name out. What was verified by them is worth nothing from now on. Returns how many.
    pub(crate) fn remove(&mut self, identifier: &str) -> Vec<Arc<TrustedIssuer>> {
        let mut gone = self.exact.remove(identifier);
        for list in [&mut self.templates, &mut self.without_issuer] {
            gone.extend(list.iter().filter(|issuer| &*issuer.identifier == identifier).cloned());
            list.retain(|issuer| &*issuer.identifier != identifier);
        }
        if gone.iter().any(|issuer| issuer.opaque.is_some()) {
            // Fewer than were certain before cannot be in doubt.
            self.routes = Routes::new(self.iter()).unwrap_or_default();
        }
        self.padded -= gone.iter().filter(|issuer| issuer.padded).count();
        self.numeric -= gone.iter().filter(|issuer| issuer.numeric_subjects).count();
        self.only = self.find_only();
        gone
    }

    fn find_only(&self) -> Option<Arc<TrustedIssuer>> {
        let mut all = self.iter();
        match (all.next(), all.next()) {
            (Some(only), None) if only.naming == Naming::Exact => Some(Arc::clone(only)),
            _ => None,
        }
    }

    /// The one issuer that is trusted, by its exact name; `None` where there are others, or others could have the name.
    pub(crate) fn only(&self) -> Option<&Arc<TrustedIssuer>> {
        self.only.as_ref()
    }

    /// Where tokens go that cannot be verified here.
    pub(crate) fn routes(&self) -> &Routes {
        &self.routes
    }

    /// The entries that may judge a token with these claims; empty for a stranger's.
    pub(crate) fn candidates(&self, text: &Text, claims: &Claims) -> &[Arc<TrustedIssuer>] {
        let only = |list: &'static [Arc<TrustedIssuer>]| list;
        let Some(issuer) = claims.issuer.map(|span| text.get(span)) else {
            let at = self.without_issuer.iter().position(|entry| entry.claims_nameless(text, claims));
            return at.map_or(only(&[]), |at| &self.without_issuer[at..=at]);
        };
        self.named(issuer)
    }

    /// The entries that may judge a token with this `iss`.
    pub(crate) fn named(&self, issuer: &str) -> &[Arc<TrustedIssuer>] {
        let entries = self.exact.get(issuer);
        if !entries.is_empty() {
            return entries;
        }
        let fits = |entry: &Arc<TrustedIssuer>| matches!(&entry.naming, Naming::Template(template) if template.tenant(issuer).is_some());
        let at = self.templates.iter().position(fits);
        at.map_or(&[], |at| &self.templates[at..=at])
    }

    /// Whether tokens without `iss` have a chance at all.
    pub(crate) fn knows_nameless(&self) -> bool {
        !self.without_issuer.is_empty()
    }

    /// Whether some entry takes tokens whose parts are padded.
    pub(crate) fn allows_padding(&self) -> bool {
        self.padded > 0
    }

    /// How claims are read before it is known whose they are.
    pub(crate) fn reading(&self) -> Reading {
        Reading { numeric_subject: self.numeric > 0, null_is_absent: false }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<TrustedIssuer>> {
        self.exact.iter().chain(&self.templates).chain(&self.without_issuer)
    }
}
