//! How an issuer is called: the name that a registry knows in, how its tokens name it out (RFC 7519 section 4.1.1).

use crate::base::config_error::ConfigError;

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

    /// The identifiers of those tenants.
    pub(crate) fn issuers(&self) -> Vec<String> {
        self.tenants.iter().map(|tenant| format!("{}{tenant}{}", self.before, self.after)).collect()
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
