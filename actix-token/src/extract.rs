//! The `Outcome` that the `TokenMiddleware` wrote into a request in; the verified token, its claims or a rule that it satisfies out, as handler arguments.

use std::fmt;
use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use serde::de::DeserializeOwned;
use token_core::{Error, Required, Verified, adapter::Outcome};

use crate::Rejection;

/// The verified token of the request.
///
/// For handlers that also serve anonymous callers use [`MaybeAuthenticated`]. Do not use actix-web's own `Option<Authenticated>`: it is `None` for every
/// failure, even for a missing middleware.
///
/// # Rejections
/// 401 for an anonymous caller. 500 if there is no [`TokenMiddleware`](crate::TokenMiddleware) around the route; the log says so.
///
/// ```
/// use actix_token::Authenticated;
///
/// #[actix_web::get("/whoami")]
/// async fn whoami(Authenticated(token): Authenticated) -> String {
///     token.subject().unwrap_or("a client").to_owned()
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Authenticated(pub Verified);

impl FromRequest for Authenticated {
    type Error = Rejection;
    type Future = Ready<Result<Self, Rejection>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(verified(request).map(Self))
    }
}

/// The verified token, if it is bound to its sender: to a key (DPoP, RFC 9449) or to a client certificate (mutual TLS, RFC 8705). The sender has proved
/// possession. For routes that refuse bearer tokens on a server that accepts both.
///
/// # Rejections
/// Those of [`Authenticated`]; 401 for a bearer token.
///
/// ```
/// use actix_token::Bound;
///
/// #[actix_web::post("/pay")]
/// async fn pay(Bound(token): Bound) -> String {
///     format!("paid by {}", token.subject().unwrap_or("a client"))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Bound(pub Verified);

impl FromRequest for Bound {
    type Error = Rejection;
    type Future = Ready<Result<Self, Rejection>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(verified(request).and_then(|token| {
            token.require_bound()?;
            Ok(Self(token))
        }))
    }
}

/// The verified token of the request, or `None` for a caller without credentials, where
/// [`TokenMiddleware::allow_anonymous`](crate::TokenMiddleware::allow_anonymous) is on. Bad credentials are still refused.
///
/// # Rejections
/// 500 if there is no [`TokenMiddleware`](crate::TokenMiddleware) around the route; the log says so.
///
/// ```
/// use actix_token::MaybeAuthenticated;
///
/// #[actix_web::get("/")]
/// async fn hello(MaybeAuthenticated(caller): MaybeAuthenticated) -> String {
///     match caller {
///         Some(token) => format!("hello {}", token.subject().unwrap_or("client")),
///         None => "hello stranger".to_owned(),
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct MaybeAuthenticated(pub Option<Verified>);

impl FromRequest for MaybeAuthenticated {
    type Error = Rejection;
    type Future = Ready<Result<Self, Rejection>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match outcome(request) {
            Ok(Outcome::Anonymous(_)) => Ok(Self(None)),
            Ok(present) => present.verified().map(|verified| Self(Some(verified.clone()))).map_err(Rejection::from),
            Err(error) => Err(error.into()),
        })
    }
}

/// The claims of the verified token as a type of your own. They are parsed once for each token and type and shared between requests: the field is an
/// [`Arc`].
///
/// # Rejections
/// Those of [`Authenticated`]. 401 if the claims cannot be deserialized as `T`; the log says which claim does not fit.
///
/// ```
/// use actix_token::Claims;
///
/// #[derive(serde::Deserialize)]
/// struct User { sub: String, email: Option<String> }
///
/// #[actix_web::get("/me")]
/// async fn me(Claims(user): Claims<User>) -> String {
///     user.email.clone().unwrap_or_else(|| user.sub.clone())
/// }
/// ```
pub struct Claims<T>(pub Arc<T>);

impl<T> FromRequest for Claims<T>
where
    T: DeserializeOwned + Send + Sync + 'static,
{
    type Error = Rejection;
    type Future = Ready<Result<Self, Rejection>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(verified(request).and_then(|verified| Ok(Self(verified.claims()?))))
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
/// # Rejections
/// Those of [`Claims`]. 401 for a token of another kind.
///
/// ```
/// use actix_token::{IdTokenClaims, StandardClaims};
///
/// #[actix_web::get("/")]
/// async fn hello(IdTokenClaims(person): IdTokenClaims<StandardClaims>) -> String {
///     format!("hello {}", person.name.as_deref().unwrap_or("stranger"))
/// }
/// ```
pub struct IdTokenClaims<T>(pub Arc<T>);

impl<T> FromRequest for IdTokenClaims<T>
where
    T: DeserializeOwned + Send + Sync + 'static,
{
    type Error = Rejection;
    type Future = Ready<Result<Self, Rejection>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let claims = outcome(request).and_then(|outcome| outcome.id_token()?.claims());
        ready(claims.map(Self).map_err(Rejection::from))
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
/// use actix_token::{Scoped, scopes};
///
/// scopes! {
///     ReadUsers = "read:users",
///     WriteUsers = any("admin", all("read:users", "write:users")),
/// }
///
/// #[actix_web::get("/users")]
/// async fn list(_: Scoped<ReadUsers>) -> &'static str { "…" }
///
/// #[actix_web::post("/users")]
/// async fn create(caller: Scoped<WriteUsers>) -> String {
///     format!("created by {}", caller.subject().unwrap_or("a client"))
/// }
/// ```
///
/// Only a rule will do:
///
/// ```compile_fail,E0277
/// struct ReadUsers;
///
/// async fn list(_: actix_token::Scoped<ReadUsers>) -> &'static str { "…" }
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

impl<R: Required> FromRequest for Scoped<R> {
    type Error = Rejection;
    type Future = Ready<Result<Self, Rejection>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(verified(request).and_then(|token| Ok(Self::try_from(token)?)))
    }
}

fn verified(request: &HttpRequest) -> Result<Verified, Rejection> {
    Ok(outcome(request)?.verified()?.clone())
}

/// What the [`TokenMiddleware`](crate::TokenMiddleware) around this request has written into its extensions.
///
/// # Errors
/// [`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured) when there is no such middleware, which the log is told too.
pub fn outcome(request: &HttpRequest) -> Result<Outcome, Error> {
    request.extensions().get::<Outcome>().cloned().ok_or_else(|| {
        let error = Error::missing_layer("TokenMiddleware");
        error.log();
        error
    })
}
