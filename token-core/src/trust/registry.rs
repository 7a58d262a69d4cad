//! The closed registry: the issuer that a token names in, the entries that may judge it out (RFC 8725 section 3.8).

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::config_error::ConfigError;
use crate::claims::{Claims, Text};
use crate::opaque::Routes;
use crate::trust::trusted::TrustedIssuer;

/// How the tokens of an entry are recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// `iss` is the identifier, byte by byte.
    Exact,
    /// `iss` fits a pattern with one tenant in it.
    Template(Template),
    /// There is no `iss`: the audience alone says whose token it is.
    Nameless,
    /// There is no `iss`: `sub` is a SPIFFE ID of this trust domain.
    TrustDomain,
}

/// An issuer identifier with the tenant's GUID left open, as multi-tenant issuers publish it: `https://login.example/{tenantid}/v2.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    before: Box<str>,
    after: Box<str>,
    /// The tenants that are let in; empty for all.
    tenants: Box<[Box<str>]>,
}

/// The place of the tenant, in templates and in the `issuer` member of published keys.
pub(crate) const TENANT: &str = "{tenantid}";

impl Template {
    /// The tenants that are let in; none where all are.
    pub(crate) fn tenants(&self) -> Vec<String> {
        self.tenants.iter().map(|tenant| String::from(&**tenant)).collect()
    }

    pub(crate) fn new(pattern: &str, tenants: &[String]) -> Result<Self, ConfigError> {
        let refuse = |why: &str| Err(ConfigError::new(format!("issuer template {pattern}: {why}")));
        match pattern.split_once(TENANT) {
            Some((before, _)) if !before.ends_with('/') => refuse("expected {tenantid} to be a whole path segment"),
            Some((_, after)) if !after.is_empty() && !after.starts_with('/') => {
                refuse("expected {tenantid} to be a whole path segment")
            }
            Some((_, after)) if after.contains(TENANT) => refuse("expected {tenantid} once"),
            Some(_) if !tenants.iter().all(|tenant| is_guid(tenant)) => refuse("expected tenants to be GUIDs"),
            Some((before, after)) => Ok(Self {
                before: before.into(),
                after: after.into(),
                tenants: tenants.iter().map(|tenant| tenant.to_ascii_lowercase().into()).collect(),
            }),
            None => refuse("expected {tenantid} in it"),
        }
    }

    /// The tenant that `issuer` names, if it fits and the tenant is let in.
    pub(crate) fn tenant<'a>(&self, issuer: &'a str) -> Option<&'a str> {
        let tenant = issuer.strip_prefix(&*self.before)?.strip_suffix(&*self.after)?;
        let known = self.tenants.is_empty() || self.tenants.iter().any(|known| known.eq_ignore_ascii_case(tenant));
        (is_guid(tenant) && known).then_some(tenant)
    }
}

/// Eight, four, four, four and twelve hexadecimal digits.
pub(crate) fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// The issuers that are trusted at one moment. Adding and removing makes a new one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registry {
    /// Nearly always one entry each; several where one issuer signs for different audiences or with different kinds of keys.
    exact: HashMap<Arc<str>, Vec<Arc<TrustedIssuer>>>,
    templates: Vec<Arc<TrustedIssuer>>,
    without_issuer: Vec<Arc<TrustedIssuer>>,
    routes: Routes,
    /// The one who is trusted, by name, where it is only one.
    only: Option<Arc<TrustedIssuer>>,
}

impl Registry {
    /// # Errors
    /// When the new entry and an old one would both judge the same token.
    pub(crate) fn add(&mut self, issuer: Arc<TrustedIssuer>) -> Result<(), ConfigError> {
        let rivals = match issuer.naming {
            Naming::Exact => self.exact.get(&issuer.identifier).map_or(&[][..], Vec::as_slice),
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
        self.routes = Routes::new(self.iter().chain([&issuer]))?;
        match issuer.naming {
            Naming::Exact => self.exact.entry(issuer.identifier.clone()).or_default().push(issuer),
            Naming::Template(_) => self.templates.push(issuer),
            Naming::Nameless | Naming::TrustDomain => self.without_issuer.push(issuer),
        }
        self.only = self.find_only();
        Ok(())
    }

    /// Takes every entry of this name out. What was verified by them is worth nothing from now on. Returns how many.
    pub(crate) fn remove(&mut self, identifier: &str) -> Vec<Arc<TrustedIssuer>> {
        let mut gone = self.exact.remove(identifier).unwrap_or_default();
        for list in [&mut self.templates, &mut self.without_issuer] {
            gone.extend(list.iter().filter(|issuer| &*issuer.identifier == identifier).cloned());
            list.retain(|issuer| &*issuer.identifier != identifier);
        }
        // Fewer than were certain before cannot be in doubt.
        self.routes = Routes::new(self.iter()).unwrap_or_default();
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
        if let Some(entries) = self.exact.get(issuer) {
            return entries;
        }
        let fits = |entry: &Arc<TrustedIssuer>| matches!(&entry.naming, Naming::Template(template) if template.tenant(issuer).is_some());
        let at = self.templates.iter().position(fits);
        at.map_or(only(&[]), |at| &self.templates[at..=at])
    }

    /// Whether tokens without `iss` have a chance at all.
    pub(crate) fn knows_nameless(&self) -> bool {
        !self.without_issuer.is_empty()
    }

    /// Whether some entry takes tokens whose parts are padded.
    pub(crate) fn allows_padding(&self) -> bool {
        self.iter().any(|issuer| issuer.padded)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<TrustedIssuer>> {
        self.exact.values().flatten().chain(&self.templates).chain(&self.without_issuer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT_A: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

    #[test]
    fn a_template_takes_one_whole_guid_and_nothing_else() {
        let template = Template::new("https://login.example/{tenantid}/v2.0", &[]).unwrap();
        let upper = TENANT_A.to_uppercase();
        for (tenant, expected) in [
            (TENANT_A, true),
            (upper.as_str(), true),
            ("common", false),
            ("", false),
            ("{tenantid}", false),
            ("72f988bf-86f1-41af-91ab-2d7cd011db4", false),
            ("72f988bf-86f1-41af-91ab-2d7cd011db477", false),
            ("72f988bf86f1-41af-91ab-2d7cd011db47-", false),
            ("72f988bf-86f1-41af-91ab-2d7cd011db4g", false),
            ("72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0/x", false),
        ] {
            assert_eq!(
                template.tenant(&format!("https://login.example/{tenant}/v2.0")).is_some(),
                expected,
                "{tenant}"
            );
        }
        assert_eq!(template.tenant(&format!("https://evil.example/{TENANT_A}/v2.0")), None);
        assert_eq!(template.tenant(&format!("https://login.example/{TENANT_A}/v2.0/")), None);
    }

    #[test]
    fn a_template_with_a_list_of_tenants_is_closed() {
        let template = Template::new("https://login.example/{tenantid}/", &[TENANT_A.to_uppercase()]).unwrap();
        assert!(template.tenant(&format!("https://login.example/{TENANT_A}/")).is_some());
        assert!(template.tenant("https://login.example/00000000-0000-0000-0000-000000000000/").is_none());
    }

    #[test]
    fn a_template_that_is_none_is_refused() {
        for pattern in
            ["https://a/", "https://a/x{tenantid}/", "https://a/{tenantid}x", "https://{tenantid}/{tenantid}/"]
        {
            assert!(Template::new(pattern, &[]).is_err(), "{pattern}");
        }
        assert!(Template::new("https://a/{tenantid}", &["common".to_owned()]).is_err());
    }
}
