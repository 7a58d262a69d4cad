//! Servers of protected resources in, the answers to whoever asks for their metadata documents out (RFC 9728 sections 2 and 3).

mod document;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;

use crate::answer::resource::WELL_KNOWN;
use crate::base::config_error::ConfigError;
use crate::base::sync::ArcSwapOption;
use crate::base::time::Timestamp;
use crate::gate::server::ResourceServer;
use crate::jose::signature::sha256;
use crate::trust::registry::Registry;

/// A signed document is signed anew after so long; questions of strangers cost no signature each.
const SIGNED_ANEW: Duration = Duration::from_secs(30 * 60);

/// Serves the metadata documents of one or more [`resources`](ResourceServer::resource). Each lies where its identifier says: of
/// `https://api.example.com/books` at `/.well-known/oauth-protected-resource/books`. Cheap to clone.
///
/// A document says what the server does: issuers that are trusted now, how tokens are sent, and the operator's own
/// [`Metadata`](crate::policy::Metadata). Issuers that a [resolver](crate::ResourceServerBuilder::resolver) found are not told to strangers. Nothing of a
/// request but method, path and query is looked at: a forged `Host` changes no answer.
///
/// The adapters make a service of it. Documents are public: it goes outside the layer that asks for tokens.
#[derive(Clone)]
pub struct MetadataEndpoint(Arc<[Published]>);

/// A server whose document is served, and the document as it was last written.
struct Published {
    server: ResourceServer,
    kept: ArcSwapOption<Kept>,
}

struct Kept {
    /// The issuers that the document names.
    registry: Weak<Registry>,
    until: Timestamp,
    document: Document,
}

#[derive(Clone)]
struct Document {
    text: Bytes,
    /// The entity tag: a digest of the text, in quotes (RFC 9110 section 8.8.3).
    etag: Box<str>,
}

/// An answer as plain values: an adapter copies them into its own response type and adds nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetadataAnswer {
    /// HTTP status: 200, 204 for a preflight request, 304, 404, 405.
    pub status: u16,
    /// Header fields: names in lower case, values of printable ASCII.
    pub headers: Vec<(&'static str, String)>,
    /// The body. Empty for `HEAD`, where `content-length` is among the fields.
    pub body: Bytes,
}

impl MetadataEndpoint {
    /// What the path of every metadata document begins with (RFC 9728 section 3).
    pub const PLACE: &'static str = WELL_KNOWN;

    /// The endpoint of these servers.
    ///
    /// # Errors
    /// [`ConfigError`] when a server was not built by [`ResourceServer::resource`], or when two documents lie at the same path: on several hosts,
    /// each host needs an endpoint of its own.
    pub fn of<'a>(servers: impl IntoIterator<Item = &'a ResourceServer>) -> Result<Self, ConfigError> {
        let mut published: Vec<Published> = Vec::new();
        for server in servers {
            let current = server.current();
            let Some(resource) = &current.0.protection.resource else {
                return Err(ConfigError::new(
                    "a server without resource has no metadata to serve: start it with ResourceServer::resource(uri), or in a policy with resource",
                ));
            };
            for other in &published {
                let other = other.server.current();
                if let Some(twin) =
                    other.0.protection.resource.as_ref().filter(|twin| twin.metadata_path() == resource.metadata_path())
                {
                    return Err(ConfigError::new(format!(
                        "the metadata of {} and of {} lies at the same path: give each host an endpoint of its own",
                        twin.uri(),
                        resource.uri()
                    )));
                }
            }
            published.push(Published { server: server.clone(), kept: ArcSwapOption::empty() });
        }
        Ok(Self(published.into()))
    }

    /// Where the documents lie now, path and query: for a framework that wants to know its routes beforehand. [`answer`](Self::answer) goes by
    /// the servers as they are when it is asked, also after a policy file has changed.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        let path = |published: &Published| {
            let server = published.server.current();
            server.0.protection.resource.as_ref().map(|resource| resource.metadata_path().to_owned())
        };
        self.0.iter().filter_map(path).collect()
    }

    /// The answer to a request for `path_and_query`; `None` where no metadata could lie. 404 where some could and none does.
    #[must_use]
    pub fn answer(&self, method: &str, path_and_query: &str) -> Option<MetadataAnswer> {
        let rest = path_and_query.strip_prefix(WELL_KNOWN)?;
        if !rest.is_empty() && !rest.starts_with(['/', '?']) {
            return None;
        }
        let found = self.0.iter().find_map(|published| {
            let server = published.server.current();
            let resource = server.0.protection.resource.as_ref();
            (resource?.metadata_path() == path_and_query).then_some((published, server))
        });
        let Some((published, server)) = found else {
            return Some(MetadataAnswer::not_found());
        };
        Some(match method {
            "GET" | "HEAD" => {
                let document = published.document(&server);
                let age = server.0.policy.metadata.cache_for.as_secs();
                MetadataAnswer::document(document, age, method == "HEAD")
            }
            "OPTIONS" => MetadataAnswer::preflight(),
            _ => {
                let mut answer = MetadataAnswer::problem(405, "Method Not Allowed", "expected GET, HEAD or OPTIONS");
                answer.headers.push(("allow", METHODS.to_owned()));
                answer
            }
        })
    }
}

impl Published {
    /// Written when the issuers have changed, or a signature has come of age.
    fn document(&self, server: &ResourceServer) -> Document {
        let (now, registry) = (server.0.clock.now(), server.0.registry.load_full());
        if let Some(kept) = self.kept.load().as_ref()
            && kept.registry.as_ptr() == Arc::as_ptr(&registry)
            && now < kept.until
        {
            return kept.document.clone();
        }
        let text = Bytes::from(document::write(server, &registry, now));
        // Half of the digest tells documents apart.
        let tag: String = sha256(&text).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let document = Document { text, etag: format!("\"{tag}\"").into() };
        let until = match server.0.metadata_key {
            Some(_) => now.saturating_add(SIGNED_ANEW),
            None => Timestamp::MAX,
        };
        let kept = Kept { registry: Arc::downgrade(&registry), until, document: document.clone() };
        self.kept.store(Some(Arc::new(kept)));
        document
    }
}

const METHODS: &str = "GET, HEAD, OPTIONS";

impl MetadataAnswer {
    fn document(document: Document, age: u64, head: bool) -> Self {
        let cache = if age == 0 { "no-store".to_owned() } else { format!("public, max-age={age}") };
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("cache-control", cache),
            any_origin(),
            ("etag", document.etag.into()),
        ];
        if head {
            headers.push(("content-length", document.text.len().to_string()));
        }
        Self { status: 200, headers, body: if head { Bytes::new() } else { document.text } }
    }

    /// The same for a client that has the document already: 304 and no body, where one of its `If-None-Match` fields names the document's `etag`
    /// (RFC 9110 section 13.1.2). Any other answer stays as it is.
    #[must_use]
    pub fn if_none_match<'f>(mut self, fields: impl IntoIterator<Item = &'f [u8]>) -> Self {
        let Some((_, etag)) = self.headers.iter().find(|(name, _)| *name == "etag") else { return self };
        let named = |tag: &[u8]| {
            let tag = tag.trim_ascii();
            tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == etag.as_bytes()
        };
        // A tag of ours holds no comma, so one that does is taken apart to no harm.
        if !fields.into_iter().any(|field| field.split(|byte| *byte == b',').any(named)) {
            return self;
        }
        self.headers.retain(|(name, _)| !matches!(*name, "content-type" | "content-length"));
        Self { status: 304, headers: self.headers, body: Bytes::new() }
    }

    /// Pages of every origin may read what everybody may read; no credentials come with it.
    fn preflight() -> Self {
        let headers = vec![
            any_origin(),
            ("access-control-allow-methods", METHODS.to_owned()),
            // Clients of MCP send a field of their own.
            ("access-control-allow-headers", "*".to_owned()),
            ("access-control-max-age", "3600".to_owned()),
            ("allow", METHODS.to_owned()),
        ];
        Self { status: 204, headers, body: Bytes::new() }
    }

    /// The answer of a server that has nothing else to say: 404.
    #[must_use]
    pub fn not_found() -> Self {
        Self::problem(404, "Not Found", "no resource here has its metadata at this place")
    }

    fn problem(status: u16, title: &str, detail: &str) -> Self {
        let content_type = ("content-type", "application/problem+json".to_owned());
        // Every part is one of our own constants without a character that JSON would escape.
        let body = format!(r#"{{"title":"{title}","status":{status},"detail":"{detail}"}}"#);
        Self { status, headers: vec![content_type, any_origin()], body: body.into() }
    }
}

fn any_origin() -> (&'static str, String) {
    ("access-control-allow-origin", "*".to_owned())
}

impl fmt::Debug for MetadataEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MetadataEndpoint").field(&self.paths()).finish()
    }
}
