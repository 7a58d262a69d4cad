//! A guarded route of an API as a test names it in, the tokens that are good there out.

use http::Method;

use crate::mint::TokenBuilder;
use crate::{TestIssuer, TestKey};

/// A route, and what it asks for.
#[derive(Clone, Debug)]
pub(crate) struct Guarded<'i> {
    pub(crate) issuer: &'i TestIssuer,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) granted: Option<String>,
    pub(crate) shape: Option<fn(TokenBuilder) -> TokenBuilder>,
    /// What good tokens are bound to.
    pub(crate) key: Option<TestKey>,
}

impl<'i> Guarded<'i> {
    /// `GET /`, for any token of the issuer.
    pub(crate) fn by(issuer: &'i TestIssuer) -> Self {
        Self { issuer, method: Method::GET, path: "/".to_owned(), granted: None, shape: None, key: None }
    }

    /// # Panics
    /// When it is neither a path nor a method and a path.
    pub(crate) fn at(self, route: &str) -> Self {
        let (method, path) = parts(route);
        Self { method, path, ..self }
    }

    /// Only for tokens with this scope. An empty one is none.
    pub(crate) fn granted(self, scope: &str) -> Self {
        Self { granted: Some(scope.to_owned()).filter(|scope| !scope.is_empty()), ..self }
    }

    /// A token that has to be let in.
    pub(crate) fn token(&self) -> TokenBuilder {
        let token = self.issuer.token();
        let token = self.granted.iter().fold(token, |token, scope| token.scope(scope));
        let token = self.shape.map_or(token.clone(), |shape| shape(token));
        self.key.iter().fold(token, |token, key| token.bound_to(key))
    }
}

/// The method and the path of a route.
///
/// # Panics
/// When it is neither a path nor a method and a path.
pub(crate) fn parts(route: &str) -> (Method, String) {
    let (method, path) = route.split_once(' ').unwrap_or(("GET", route));
    let method = method.parse().expect("a method and a path, as in `GET /users`");
    let is_path = path.starts_with('/') && path.parse::<http::Uri>().is_ok();
    assert!(is_path, "expected a method and a path, as in `GET /users`, found {route:?}");
    (method, path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_route_is_a_path_or_a_method_and_a_path() {
        let issuer = TestIssuer::start().await;
        for (route, method, path) in [
            ("/users", Method::GET, "/users"),
            ("POST /a?b=c", Method::POST, "/a?b=c"),
            ("PURGE /", "PURGE".parse().unwrap(), "/"),
        ] {
            let guarded = Guarded::by(&issuer).at(route);
            assert_eq!((guarded.method, &*guarded.path), (method, path), "{route}");
        }
        for junk in ["users", "GET users", "", "GET", "GET /a b"] {
            let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| Guarded::by(&issuer).at(junk)));
            assert!(read.is_err(), "{junk:?}");
        }
        assert_eq!(Guarded::by(&issuer).granted("read").granted("").granted, None);
    }
}
