//! A request in, the tenant it is for and its issuers out: the request selects among what the operator knows, and nothing more.

use std::borrow::Cow;
use std::fmt;

use crate::base::http::BoxFuture;
use crate::request::presented::RequestView;
use crate::trust::issuer::Issuer;
use crate::trust::resolver::Unresolved;

/// Looks up whose tokens a request may carry: by its host, its path, a header.
///
/// The request only selects. The issuers are those that [`issuers`](Self::issuers) returns, the token has to name one of them byte by byte, and
/// a token of one tenant is a stranger's to every other. Where two tenants share an issuer, give their entries audiences or claim rules
/// that tell them apart: their tokens differ in nothing else.
///
/// A handler learns the tenant from [`Verified::tenant`](crate::Verified::tenant), never from the request once more.
///
/// ```
/// use std::borrow::Cow;
/// use token_core::http::BoxFuture;
/// use token_core::{adapter::RequestView, tenants::{ResolverSettings, TenantResolver, Unresolved}, Issuer, ResourceServer};
///
/// /// `shop.example.com` is the tenant `shop`.
/// #[derive(Debug)]
/// struct Subdomains;
///
/// impl TenantResolver for Subdomains {
///     fn tenant<'r>(&self, request: &'r dyn RequestView) -> Option<Cow<'r, str>> {
///         Some(request.host()?.strip_suffix(".example.com")?.into())
///     }
///
///     fn issuers<'a>(&'a self, tenant: &'a str) -> BoxFuture<'a, Result<Option<Vec<Issuer>>, Unresolved>> {
///         Box::pin(async move {
///             // ask the database of tenants
///             let realm = match tenant {
///                 "shop" => "https://login.example.com/realms/shop",
///                 _ => return Ok(None),
///             };
///             Ok(Some(vec![Issuer::discover(realm).map_err(|error| Unresolved::because(error.to_string()))?]))
///         })
///     }
/// }
///
/// # fn main() -> Result<(), token_core::ConfigError> {
/// let api = ResourceServer::builder("api").tenants(Subdomains, ResolverSettings::default()).build()?;
/// # Ok(()) }
/// ```
pub trait TenantResolver: fmt::Debug + Send + Sync + 'static {
    /// The name of the tenant that the request is for; `None` when it is for nobody's, and its token is refused.
    ///
    /// Called on every request with a token, without I/O. Answers are remembered under this name alone, so everything that they
    /// depend on has to be in it. What stands in a header that a client can set is the client's choice: that is safe, it selects and no more.
    fn tenant<'r>(&self, request: &'r dyn RequestView) -> Option<Cow<'r, str>>;

    /// The issuers of this tenant with their rules, or `None` when there is no such tenant.
    ///
    /// Anybody can send a request for any name, so compare it with what you know. It runs in a task of its own, once for all who wait
    /// for the same tenant. An empty list, or one that no safe verifier can be made of, is logged and answered with 503.
    ///
    /// # Errors
    /// [`Unresolved`] when it cannot be said: our trouble, 503, not remembered.
    fn issuers<'a>(&'a self, tenant: &'a str) -> BoxFuture<'a, Result<Option<Vec<Issuer>>, Unresolved>>;
}
