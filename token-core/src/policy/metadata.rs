//! The metadata that an operator adds to a protected resource: names, links, scopes (RFC 9728 section 2), for the
//! builder and as data.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use super::is_default;
use crate::base::config_error::ConfigError;
use crate::base::http::address::is_loopback;
use crate::base::time::text;
use crate::token::rule::{Required, Rule};

/// The longest time that caches may keep the document.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What the operator adds to the metadata document of a resource. Every member is optional; the server fills in the
/// ones it knows.
///
/// Texts and links for people may be given in several languages, keyed by language tag: `"en"`, `"de-CH"` (RFC 5646).
/// The empty tag is the default language.
///
/// ```
/// use token_core::policy::Metadata;
/// use token_core::{ResourceServer, scopes};
///
/// scopes!(ReadBooks = "books:read", EditBooks = any("books:admin", all("books:read", "books:write")));
///
/// let metadata = Metadata::default()
///     .name("Books")
///     .name_in("de", "Bücher")
///     .documentation("https://example.com/books/docs")
///     .asks_for::<ReadBooks>()
///     .asks_for::<EditBooks>();
/// assert_eq!(metadata.scopes_supported, ["books:read", "books:admin", "books:write"]);
/// let api = ResourceServer::resource("https://api.example.com/books").metadata(metadata);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Metadata {
    /// `resource_name`: the name for people.
    #[serde(skip_serializing_if = "is_default")]
    pub resource_name: Localized,
    /// `resource_documentation`: the URL of a page for developers.
    #[serde(skip_serializing_if = "is_default")]
    pub resource_documentation: Localized,
    /// `resource_policy_uri`: the URL of a page that says how clients may use the data.
    #[serde(skip_serializing_if = "is_default")]
    pub resource_policy_uri: Localized,
    /// `resource_tos_uri`: the URL of the terms of service.
    #[serde(skip_serializing_if = "is_default")]
    pub resource_tos_uri: Localized,
    /// `scopes_supported`: the scopes that the routes require. If no challenge names scopes, clients ask their user for
    /// all of these; leave out those that a client should request only when a challenge names them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes_supported: Vec<String>,
    /// `authorization_details_types_supported`: the types of authorization details that the routes require (RFC 9396).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authorization_details_types_supported: Vec<String>,
    /// `authorization_servers`, instead of the trusted issuers: if some of those should not be published, or if clients
    /// sign in at another address than `iss`. Most clients use the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_servers: Option<Vec<String>>,
    /// `jwks_uri`: the URL of the resource's own public keys, such as the one that signs this document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// How long caches may keep the document. Default: 5 min, at most 1 day; 0 forbids caching.
    #[serde(with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::base::time::schema::Span"))]
    pub cache_for: Duration,
}

impl Default for Metadata {
    fn default() -> Self {
        Self {
            resource_name: Localized::default(),
            resource_documentation: Localized::default(),
            resource_policy_uri: Localized::default(),
            resource_tos_uri: Localized::default(),
            scopes_supported: Vec::new(),
            authorization_details_types_supported: Vec::new(),
            authorization_servers: None,
            jwks_uri: None,
            cache_for: Duration::from_secs(300),
        }
    }
}

impl Metadata {
    /// Sets the name for people (`resource_name`).
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        self.name_in("", name)
    }

    /// Sets the name in one language (RFC 5646).
    #[must_use]
    pub fn name_in(mut self, language: &str, name: impl Into<String>) -> Self {
        self.resource_name.set(language, name.into());
        self
    }

    /// Sets the URL of a page for developers (`resource_documentation`).
    #[must_use]
    pub fn documentation(mut self, url: impl Into<String>) -> Self {
        self.resource_documentation.set("", url.into());
        self
    }

    /// Sets the URL of a page that says how clients may use the data (`resource_policy_uri`).
    #[must_use]
    pub fn policy_uri(mut self, url: impl Into<String>) -> Self {
        self.resource_policy_uri.set("", url.into());
        self
    }

    /// Sets the URL of the terms of service (`resource_tos_uri`).
    #[must_use]
    pub fn tos_uri(mut self, url: impl Into<String>) -> Self {
        self.resource_tos_uri.set("", url.into());
        self
    }

    /// Adds scopes that routes require (`scopes_supported`).
    #[must_use]
    pub fn scopes<S: Into<String>>(self, scopes: impl IntoIterator<Item = S>) -> Self {
        scopes.into_iter().fold(self, |this, scope| this.scope(scope.into()))
    }

    /// Adds the scopes and the types of authorization details of the rule type that guards a route, so that the
    /// document and the check cannot disagree.
    #[must_use]
    pub fn asks_for<R: Required>(self) -> Self {
        self.rule(&R::RULE)
    }

    /// Like [`asks_for`](Self::asks_for), for a rule that is a value.
    #[must_use]
    pub fn rule(self, rule: &Rule) -> Self {
        let known = self.authorization_details_types_supported.clone();
        let fresh = rule.authorization_details_types().into_iter().filter(|kind| !known.iter().any(|one| one == kind));
        let fresh: Vec<_> = fresh.map(str::to_owned).collect();
        let mut this = self.scopes(rule.scopes());
        this.authorization_details_types_supported.extend(fresh);
        this
    }

    fn scope(mut self, scope: String) -> Self {
        if !self.scopes_supported.contains(&scope) {
            self.scopes_supported.push(scope);
        }
        self
    }

    /// Sets the authorization servers to publish instead of the trusted issuers.
    #[must_use]
    pub fn authorization_servers<S: Into<String>>(mut self, issuers: impl IntoIterator<Item = S>) -> Self {
        self.authorization_servers = Some(issuers.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the URL of the resource's own public keys (`jwks_uri`).
    #[must_use]
    pub fn jwks_uri(mut self, url: impl Into<String>) -> Self {
        self.jwks_uri = Some(url.into());
        self
    }

    /// Sets how long caches may keep the document. Default: 5 min, at most 1 day; 0 forbids caching.
    #[must_use]
    pub fn cache_for(mut self, life: Duration) -> Self {
        self.cache_for = life;
        self
    }

    /// # Errors
    /// If a link is not an http or https URL, an authorization server not an https URL, a language not a language tag,
    /// or a scope contains characters that scopes cannot.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let refuse = |member: &str, why: &str| Err(ConfigError::new(format!("metadata.{member}: {why}")));
        let texts = [
            ("resource_name", &self.resource_name, false),
            ("resource_documentation", &self.resource_documentation, true),
            ("resource_policy_uri", &self.resource_policy_uri, true),
            ("resource_tos_uri", &self.resource_tos_uri, true),
        ];
        for (member, text, is_link) in texts {
            for (language, text) in &text.0 {
                if !is_language(language) {
                    return refuse(member, &format!("{language} is no language tag, expected one such as en or de-CH"));
                }
                if text.is_empty() {
                    return refuse(member, "expected a text, or that the member is left out");
                }
                if is_link && !is_page(text) {
                    return refuse(member, &format!("{text}: expected the URL of a page"));
                }
            }
        }
        if let Some(scope) = self.scopes_supported.iter().find(|scope| !is_scope(scope)) {
            return refuse(
                "scopes_supported",
                &format!("{scope:?} is no scope: one has no blanks, quotes or backslashes"),
            );
        }
        for issuer in self.authorization_servers.iter().flatten() {
            if !is_authorization_server(issuer) {
                let why = format!("{issuer}: expected the issuer identifier of an authorization server, an https URL");
                return refuse("authorization_servers", &why);
            }
        }
        if self.jwks_uri.as_deref().is_some_and(|url| !is_authorization_server(url)) {
            return refuse("jwks_uri", "expected an https URL");
        }
        if self.cache_for > LONGEST {
            return refuse("cache_for", "expected at most 1 day: a change of issuers has to reach clients");
        }
        Ok(())
    }
}

/// Groups of one to eight letters and digits, joined by dashes (RFC 5646 section 2.1). Tags are not looked up in the
/// registry.
fn is_language(tag: &str) -> bool {
    let is_part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    tag.is_empty() || tag.split('-').all(is_part)
}

fn is_page(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
}

/// `scope-token = 1*( %x21 / %x23-5B / %x5D-7E )` (RFC 6749 section 3.3).
fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E))
}

/// Whether this is an issuer identifier by RFC 8414 section 2: https without query and fragment. Plain http is allowed
/// on this machine only.
pub(crate) fn is_authorization_server(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        let loopback = url.host().is_some_and(|host| is_loopback(&host));
        let secure = url.scheme() == "https" || (url.scheme() == "http" && loopback);
        secure && url.query().is_none() && url.fragment().is_none() && url.has_host()
    })
}

/// A text for people: one for everybody, or one for each language.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Localized(BTreeMap<String, String>);

#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Localized"))]
#[serde(untagged, expecting = "expected a text, or an object from language tags to texts")]
enum Written {
    /// One text for everybody.
    One(String),
    /// Texts by language tag. The empty tag is the default language.
    Several(BTreeMap<String, String>),
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Localized {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Written::schema_name()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Written::json_schema(generator)
    }
}

impl From<Written> for Localized {
    fn from(written: Written) -> Self {
        match written {
            Written::One(text) => Self(BTreeMap::from([(String::new(), text)])),
            Written::Several(texts) => Self(texts),
        }
    }
}

impl From<Localized> for Written {
    fn from(Localized(texts): Localized) -> Self {
        match texts.get("") {
            Some(text) if texts.len() == 1 => Self::One(text.clone()),
            _ => Self::Several(texts),
        }
    }
}

impl Localized {
    fn set(&mut self, language: &str, text: String) {
        self.0.insert(language.to_owned(), text);
    }

    /// The members of the document: `member`, and `member#de` for a language (RFC 9728 section 2.1).
    pub(crate) fn members(&self, member: &str) -> impl Iterator<Item = (String, &str)> {
        self.0.iter().map(move |(language, text)| match language.as_str() {
            "" => (member.to_owned(), &**text),
            language => (format!("{member}#{language}"), &**text),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_client_could_use_is_refused_by_the_name_of_its_member() {
        let none = Metadata::default;
        for (metadata, why) in [
            (none().name_in("german?", "B"), "metadata.resource_name: german? is no language tag"),
            (none().name(""), "metadata.resource_name: expected a text"),
            (none().documentation("docs"), "metadata.resource_documentation: docs: expected the URL of a page"),
            (none().policy_uri("javascript:alert(1)"), "metadata.resource_policy_uri"),
            (none().tos_uri("ftp://a.example"), "metadata.resource_tos_uri"),
            (none().scopes(["read write"]), "metadata.scopes_supported: \"read write\" is no scope"),
            (none().scopes([""]), "metadata.scopes_supported"),
            (
                none().authorization_servers(["http://login.example.com"]),
                "metadata.authorization_servers: http://login",
            ),
            (none().authorization_servers(["https://login.example.com?a"]), "metadata.authorization_servers"),
            (none().jwks_uri("keys"), "metadata.jwks_uri"),
            (none().cache_for(LONGEST + Duration::from_secs(1)), "metadata.cache_for"),
        ] {
            let error = metadata.check().expect_err(why).to_string();
            assert!(error.starts_with(why), "{error} / {why}");
        }
        let good =
            none().name("B").name_in("zh-Hant-TW", "書").tos_uri("https://a.example/tos?x#y").scopes(["a:b", "a:b"]);
        assert_eq!((good.check(), &*good.scopes_supported), (Ok(()), &["a:b".to_owned()][..]));
    }

    #[test]
    fn a_text_is_data_in_one_language_and_in_several() {
        let json = r#"{"resource_name":"Books","resource_tos_uri":{"de":"https://a.example/agb"},"cache_for":60}"#;
        let metadata: Metadata = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&metadata).unwrap(), json);
        let members: Vec<_> = metadata.resource_tos_uri.members("resource_tos_uri").collect();
        assert_eq!(members, [("resource_tos_uri#de".to_owned(), "https://a.example/agb")]);
        let error = serde_json::from_str::<Metadata>(r#"{"resource_name":["Books"]}"#).unwrap_err().to_string();
        assert!(error.contains("a text, or an object from language tags to texts"), "{error}");
    }
}
