//! A resource identifier in, the audience that it is and the place of its metadata document out (RFC 9728 sections 1.2 and 3.1, RFC 8707 section 2).

use url::{Host, Url};

use crate::base::config_error::ConfigError;
use crate::base::http::address::is_loopback;

/// What stands between the host and the path of a resource, in the address of its metadata document.
pub(crate) const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The identifier of a protected resource: an https URL without fragment, in the form in which clients send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    uri: Box<str>,
    /// The address of the metadata document.
    metadata: Box<str>,
    /// Where its path begins.
    origin: usize,
}

impl Resource {
    /// # Errors
    /// When `uri` is no https URL, has a fragment or a user in it, or is written in another form than the one that clients send.
    /// Plain http is for loopback hosts.
    pub(crate) fn parse(uri: &str) -> Result<Self, ConfigError> {
        let refuse = |why: &str| Err(ConfigError::new(format!("resource {uri}: {why}")));
        let Ok(url) = Url::parse(uri) else {
            return refuse("expected an absolute https URL, such as https://api.example.com/books");
        };
        let loopback = url.host().is_some_and(|host: Host<&str>| is_loopback(&host));
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            "http" => return refuse("expected https; plain http is for loopback hosts alone"),
            _ => return refuse("expected an https URL"),
        }
        if url.fragment().is_some() {
            return refuse("expected a URL without fragment (#)");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("expected a URL without user and password");
        }
        // Clients compare and send what their URL parser makes of it; another spelling would be refused by them, or be another audience.
        let normal = url.as_str();
        if normal != uri && normal.strip_suffix('/') != Some(uri) && normal.replacen("/?", "?", 1) != uri {
            return refuse(&format!("expected it as clients write it: {normal}"));
        }
        let host = uri.find("://").map_or(0, |at| at + 3);
        let origin = uri[host..].find(['/', '?']).map_or(uri.len(), |at| host + at);
        let rest = match &uri[origin..] {
            "/" => "",
            rest if rest.starts_with("/?") => &rest[1..],
            rest => rest,
        };
        Ok(Self { uri: uri.into(), metadata: format!("{}{WELL_KNOWN}{rest}", &uri[..origin]).into(), origin })
    }

    /// The identifier, as the operator wrote it.
    pub(crate) fn uri(&self) -> &str {
        &self.uri
    }

    /// The address of the metadata document, which challenges point to.
    pub(crate) fn metadata_url(&self) -> &str {
        &self.metadata
    }

    /// The same as a request names it: path and query.
    pub(crate) fn metadata_path(&self) -> &str {
        &self.metadata[self.origin..]
    }
}

/// The names under which tokens for this resource may be issued: the identifier; of a bare host also the form with the slash, which is the same
/// URL (RFC 3986 section 6.2.3) and what many clients make of it before they ask for a token.
pub(crate) fn audience(uri: &str) -> Vec<String> {
    let twin = match Url::parse(uri) {
        Ok(url) if url.path() == "/" && url.query().is_none() => {
            uri.strip_suffix('/').map_or_else(|| format!("{uri}/"), str::to_owned)
        }
        _ => return vec![uri.to_owned()],
    };
    vec![uri.to_owned(), twin]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_lies_between_the_host_and_the_rest_of_the_identifier() {
        for (uri, path) in [
            // RFC 9728 section 3.1 has the first two.
            ("https://resource.example.com", "/.well-known/oauth-protected-resource"),
            ("https://resource.example.com/resource1", "/.well-known/oauth-protected-resource/resource1"),
            ("https://resource.example.com/", "/.well-known/oauth-protected-resource"),
            ("https://resource.example.com/a/b/", "/.well-known/oauth-protected-resource/a/b/"),
            ("https://resource.example.com:8443/a", "/.well-known/oauth-protected-resource/a"),
            ("https://resource.example.com?tenant=1", "/.well-known/oauth-protected-resource?tenant=1"),
            ("https://resource.example.com/?tenant=1", "/.well-known/oauth-protected-resource?tenant=1"),
            ("https://resource.example.com/a?b=/c&d=1", "/.well-known/oauth-protected-resource/a?b=/c&d=1"),
            ("http://localhost:3000/mcp", "/.well-known/oauth-protected-resource/mcp"),
            ("http://127.0.0.1:3000", "/.well-known/oauth-protected-resource"),
            ("http://[::1]:3000/a", "/.well-known/oauth-protected-resource/a"),
        ] {
            let resource = Resource::parse(uri).unwrap();
            assert_eq!((resource.uri(), resource.metadata_path()), (uri, path));
            let url = Url::parse(resource.metadata_url()).unwrap();
            assert_eq!(url.origin(), Url::parse(uri).unwrap().origin(), "{uri}");
            assert!(resource.metadata_url().ends_with(path), "{uri}");
        }
    }

    #[test]
    fn an_identifier_that_no_client_would_send_is_refused_with_the_one_it_would() {
        for (uri, why) in [
            ("", "absolute https URL"),
            ("api", "absolute https URL"),
            ("api://books", "an https URL"),
            ("urn:books", "an https URL"),
            ("http://api.example.com", "loopback"),
            ("http://localhost.example.com", "loopback"),
            ("https://api.example.com#a", "without fragment"),
            ("https://api.example.com/#", "without fragment"),
            ("https://user@api.example.com", "without user"),
            ("https://API.example.com/a", "as clients write it: https://api.example.com/a"),
            ("https://api.example.com:443/a", "as clients write it: https://api.example.com/a"),
            ("https://api.example.com/a/../b", "as clients write it: https://api.example.com/b"),
            ("https://api.example.com/a b", "as clients write it: https://api.example.com/a%20b"),
            ("https://api.example.com/{id}", "as clients write it: https://api.example.com/%7Bid%7D"),
            (" https://api.example.com", "as clients write it: https://api.example.com/"),
            ("https:\\\\api.example.com\\a", "as clients write it: https://api.example.com/a"),
        ] {
            let error = Resource::parse(uri).expect_err(uri).to_string();
            assert!(error.starts_with(&format!("resource {uri}: ")) && error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_bare_host_is_one_resource_with_and_without_its_slash_and_a_path_is_two() {
        assert_eq!(audience("https://a.example"), ["https://a.example", "https://a.example/"]);
        assert_eq!(audience("https://a.example/"), ["https://a.example/", "https://a.example"]);
        assert_eq!(audience("https://a.example/b"), ["https://a.example/b"]);
        assert_eq!(audience("https://a.example/b/"), ["https://a.example/b/"]);
        assert_eq!(audience("https://a.example/?b"), ["https://a.example/?b"]);
        assert_eq!(audience("api"), ["api"]);
    }
}
