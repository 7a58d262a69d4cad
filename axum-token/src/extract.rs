//! The `Outcome` that the `TokenLayer` wrote into a request in; the verified token, its claims or a rule that it satisfies out, as handler arguments.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use serde::de::DeserializeOwned;
use token_core::{Error, Required, Verified, adapter::Outcome};
use tower_token::outcome;

use crate::Rejection;

/// The verified token of the request.
///
/// `Option<Authenticated>` is `None` only for a caller without credentials, where
/// [`TokenLayer::allow_anonymous`](crate::TokenLayer::allow_anonymous) is on. Bad credentials are still refused, and a route without the layer is still a 500.
///
/// # Rejections
/// 401 for an anonymous caller. 500 if there is no [`TokenLayer`](crate::TokenLayer) around the route; the log says so.
///
/// ```
/// use axum_token::Authenticated;
///
/// async fn whoami(Authenticated(token): Authenticated) -> String {
///     token.subject().unwrap_or("a client").to_owned()
/// }
///
/// async fn hello(caller: Option<Authenticated>) -> String {
///     match caller {
///         Some(Authenticated(token)) => format!("hello {}", token.subject().unwrap_or("client")),
///         None => "hello stranger".to_owned(),
///     }
/// }
/// # let _ = axum::Router::<()>::new().route("/a", axum::routing::get(whoami)).route("/b", axum::routing::get(hello));
/// ```
#[derive(Clone, Debug)]
pub struct Authenticated(pub Verified);

impl<S: Sync> FromRequestParts<S> for Authenticated {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        Ok(Self(verified(parts)?.clone()))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Authenticated {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Rejection> {
        Ok(optional(parts)?.map(|verified| Self(verified.clone())))
    }
}

/// The verified token, if it is bound to its sender: to a key (DPoP, RFC 9449) or to a client certificate (mutual TLS, RFC 8705). The sender has proved
/// possession. For routes that refuse bearer tokens on a server that accepts both.
///
/// # Rejections
/// Those of [`Authenticated`]; 401 for a bearer token.
///
/// ```
/// use axum_token::Bound;
///
/// async fn pay(Bound(token): Bound) -> String {
///     format!("paid by {}", token.subject().unwrap_or("a client"))
/// }
/// # let _ = axum::Router::<()>::new().route("/pay", axum::routing::post(pay));
/// ```
#[derive(Clone, Debug)]
pub struct Bound(pub Verified);

impl<S: Sync> FromRequestParts<S> for Bound {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        let token = verified(parts)?;
        token.require_bound()?;
        Ok(Self(token.clone()))
    }
}

/// The claims of the verified token as a type of your own. They are parsed once for each token and type and shared between requests: the field is an
/// [`Arc`].
///
/// `Option<Claims<T>>` is `None` only for a caller without credentials, as with [`Authenticated`].
///
/// # Rejections
/// Those of [`Authenticated`]. 401 if the claims cannot be deserialized as `T`; the log says which claim does not fit.
///
/// ```
/// use axum_token::Claims;
///
/// #[derive(serde::Deserialize)]
/// struct User { sub: String, email: Option<String> }
///
/// async fn me(Claims(user): Claims<User>) -> String {
///     user.email.clone().unwrap_or_else(|| user.sub.clone())
/// }
/// # let _ = axum::Router::<()>::new().route("/me", axum::routing::get(me));
/// ```
///
/// The type outlives the request, so it cannot borrow from it:
///
/// ```compile_fail
/// #[derive(serde::Deserialize)]
/// struct User<'a> { sub: &'a str }
///
/// async fn me(axum_token::Claims(user): axum_token::Claims<User<'_>>) -> String { user.sub.to_owned() }
/// let _ = axum::Router::<()>::new().route("/me", axum::routing::get(me));
/// ```
pub struct Claims<T>(pub Arc<T>);

impl<T, S> FromRequestParts<S> for Claims<T>
where
    T: DeserializeOwned + Send + Sync + 'static,
    S: Sync,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        Ok(Self(verified(parts)?.claims()?))
    }
}

impl<T, S> OptionalFromRequestParts<S> for Claims<T>
where
    T: DeserializeOwned + Send + Sync + 'static,
    S: Sync,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Rejection> {
        Ok(optional(parts)?.map(Verified::claims).transpose()?.map(Self))
    }
}

impl<T> Clone for Claims<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

// Claims are personal data; their type is not.
impl<T> fmt::Debug for Claims<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Claims<{}>(..)", std::any::type_name::<T>())
    }
}

/// The claims of a verified ID token as a type of your own, such as [`StandardClaims`](crate::StandardClaims). For servers that accept ID tokens by
/// [`Issuer::accept_id_tokens`](crate::Issuer::accept_id_tokens). It refuses access tokens; [`Authenticated`], [`Claims`] and [`Scoped`] refuse ID tokens.
///
/// `Option<IdTokenClaims<T>>` is `None` only for a caller without credentials, as with [`Authenticated`].
///
/// # Rejections
/// Those of [`Claims`]. 401 for a token of another kind.
///
/// ```
/// use axum_token::{IdTokenClaims, StandardClaims};
///
/// async fn hello(IdTokenClaims(person): IdTokenClaims<StandardClaims>) -> String {
///     format!("hello {}", person.name.as_deref().unwrap_or("stranger"))
/// }
/// # let _ = axum::Router::<()>::new().route("/", axum::routing::get(hello));
/// ```
pub struct IdTokenClaims<T>(pub Arc<T>);

impl<T, S> FromRequestParts<S> for IdTokenClaims<T>
where
    T: DeserializeOwned + Send + Sync + 'static,
    S: Sync,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        Ok(Self(outcome(&parts.extensions)?.id_token()?.claims()?))
    }
}

impl<T, S> OptionalFromRequestParts<S> for IdTokenClaims<T>
where
    T: DeserializeOwned + Send + Sync + 'static,
    S: Sync,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Rejection> {
        match outcome(&parts.extensions)? {
            Outcome::Anonymous(_) => Ok(None),
            present => Ok(Some(Self(present.id_token()?.claims()?))),
        }
    }
}

impl<T> Clone for IdTokenClaims<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

// Claims are personal data; their type is not.
impl<T> fmt::Debug for IdTokenClaims<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdTokenClaims<{}>(..)", std::any::type_name::<T>())
    }
}

/// A verified token that satisfies the rule `R`, which is declared with [`scopes!`](crate::scopes!). It dereferences to the [`Verified`] token.
///
/// A `Scoped<R>` cannot be made from a token that does not satisfy the rule, so code that has one need not check again. Tests of handlers make one with
/// [`TryFrom<Verified>`](#impl-TryFrom<Verified>-for-Scoped<R>).
///
/// # Rejections
/// Those of [`Authenticated`]. 403 if the token does not satisfy the rule; the challenge names the scopes that would.
///
/// ```
/// use axum_token::{Scoped, scopes};
///
/// scopes! {
///     ReadUsers = "read:users",
///     WriteUsers = any("admin", all("read:users", "write:users")),
/// }
///
/// async fn list(_: Scoped<ReadUsers>) -> &'static str { "…" }
///
/// async fn create(caller: Scoped<WriteUsers>) -> String {
///     format!("created by {}", caller.subject().unwrap_or("a client"))
/// }
/// # let _ = axum::Router::<()>::new().route("/", axum::routing::get(list).post(create));
/// ```
///
/// Only a rule will do:
///
/// ```compile_fail,E0277
/// struct ReadUsers;
///
/// async fn list(_: axum_token::Scoped<ReadUsers>) -> &'static str { "…" }
/// ```
#[derive(Clone, Debug)]
pub struct Scoped<R: Required>(Verified, PhantomData<R>);

impl<R: Required> Scoped<R> {
    /// The token, without the proof that it satisfies the rule.
    pub fn into_verified(self) -> Verified {
        self.0
    }
}

impl<R: Required> Deref for Scoped<R> {
    type Target = Verified;

    fn deref(&self) -> &Verified {
        &self.0
    }
}

/// # Errors
/// [`ErrorKind::InsufficientScope`](crate::ErrorKind::InsufficientScope) when the token does not satisfy the rule.
impl<R: Required> TryFrom<Verified> for Scoped<R> {
    type Error = Error;

    fn try_from(token: Verified) -> Result<Self, Error> {
        token.require(&R::RULE)?;
        Ok(Self(token, PhantomData))
    }
}

impl<R: Required, S: Sync> FromRequestParts<S> for Scoped<R> {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        Ok(Self::try_from(verified(parts)?.clone())?)
    }
}

fn verified(parts: &Parts) -> Result<&Verified, Rejection> {
    Ok(outcome(&parts.extensions)?.verified()?)
}

fn optional(parts: &Parts) -> Result<Option<&Verified>, Rejection> {
    match outcome(&parts.extensions)? {
        Outcome::Anonymous(_) => Ok(None),
        present => Ok(Some(present.verified()?)),
    }
}
