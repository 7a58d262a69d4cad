//! The outcome that the `TokenMiddleware` has written into a request, as the arguments of a handler.

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

/// The verified token.
///
/// For handlers that anonymous callers may use as well there is [`MaybeAuthenticated`]. actix-web's own `Option<Authenticated>` compiles,
/// but it is `None` for every failure, a missing middleware too; do not use it.
///
/// # Rejections
/// 401 for an anonymous caller; 500 without a [`TokenMiddleware`](crate::TokenMiddleware) around the route, and the log names it.
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

/// The verified token, if it is bound to its sender: to a key (DPoP, RFC 9449) or to a certificate (mutual TLS, RFC 8705), and the sender has proved
/// that it is its own. For routes that take no bearer tokens on a server that takes both.
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

/// The verified token, or `None` for an anonymous caller and nothing else: where
/// [`TokenMiddleware::allow_anonymous`](crate::TokenMiddleware::allow_anonymous) lets one through. Bad credentials are refused all the same.
///
/// # Rejections
/// 500 without a [`TokenMiddleware`](crate::TokenMiddleware) around the route, and the log names it.
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

/// The claims of the verified token as the handler's own type. They are parsed once for each token and type, however many
/// requests the token comes with, and shared: the field is an [`Arc`].
///
/// # Rejections
/// Those of [`Authenticated`]; 401 when the claims do not fit `T`, and the log says where.
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

/// The claims of a verified ID token as the handler's own type, [`StandardClaims`](crate::StandardClaims) say: for servers whose operator
/// takes ID tokens by [`Issuer::accept_id_tokens`](crate::Issuer::accept_id_tokens). An access token will not do, and to
/// [`Authenticated`], [`Claims`] and [`Scoped`] an ID token will not.
///
/// # Rejections
/// Those of [`Claims`]; 401 for a token of another kind.
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

/// A verified token that satisfies the rule `R`, declared with [`scopes!`](crate::scopes!). It reads like the [`Verified`] token that it holds.
///
/// There is no way to make one of a token that does not satisfy the rule: whoever holds a `Scoped<R>` need not check again. Tests of handlers make one by
/// [`TryFrom<Verified>`](#impl-TryFrom<Verified>-for-Scoped<R>).
///
/// # Rejections
/// Those of [`Authenticated`]; 403 when the token does not satisfy the rule, with a challenge that names what would.
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
    /// The token, for whoever takes any.
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
