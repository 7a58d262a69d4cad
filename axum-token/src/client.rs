//! Tokens to be sent on as the arguments of a handler: on behalf of the caller (RFC 8693), or the caller's own at an identity provider.

use std::fmt;

use axum_core::body::Body;
use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Extensions, StatusCode};
use token_client::{
    Delegated, Delegation, Downstream, Federated, FederatedSource, FederatedUser, Provider, Refusal, TokenError,
};
use token_core::{Answer, Error, ErrorKind, Verified};
use tower_token::outcome;

use crate::Rejection;

/// A token for the service `D` on behalf of the verified caller.
///
/// It needs an `Extension` with the [`Delegation`] of the same service around the route, beside the [`TokenLayer`](crate::TokenLayer).
/// One exchange is made for each caller's token, however many requests come with it.
///
/// # Rejections
/// Those of [`Authenticated`](crate::Authenticated); what [`TokenError::refusal`] says when no token can be had; 500 without the
/// extension, and the log names it.
///
/// ```
/// use axum_token::OnBehalfOf;
/// use token_client::{Delegation, Downstream, TokenClient};
///
/// struct Billing;
/// impl Downstream for Billing { const AUDIENCE: &'static str = "https://billing.example.com"; }
///
/// async fn invoices(OnBehalfOf(token): OnBehalfOf<Billing>) -> String {
///     let _authorization = token.header(); // for the request to billing
///     "…".to_owned()
/// }
///
/// fn app(client: TokenClient) -> axum::Router {
///     axum::Router::new()
///         .route("/invoices", axum::routing::get(invoices))
///         .layer(axum::Extension(Delegation::<Billing>::exchange(client)))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct OnBehalfOf<D>(pub Delegated<D>);

impl<D: Downstream, S: Sync> FromRequestParts<S> for OnBehalfOf<D> {
    type Rejection = ClientRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ClientRejection> {
        let caller = caller(parts)?;
        let delegation = extension::<Delegation<D>>(&parts.extensions)?;
        Ok(Self(delegation.for_caller(&caller).await?))
    }
}

/// The verified caller's token at the identity provider `P`.
///
/// It needs an `Extension` with a [`FederatedSource`] around the route, beside the [`TokenLayer`](crate::TokenLayer). To answer a caller
/// who has no such account in your own words, take `Result<FederatedToken<P>, ClientRejection>` and look at
/// [`ClientRejection::connection`].
///
/// # Rejections
/// Those of [`Authenticated`](crate::Authenticated); 403 with the connection's name when the user has to connect an account; what
/// [`TokenError::refusal`] says otherwise; 500 without the extension, and the log names it.
///
/// ```
/// use axum_token::FederatedToken;
/// use token_client::Google;
///
/// async fn calendar(FederatedToken(token): FederatedToken<Google>) -> String {
///     let mut request = http::Request::get("https://www.googleapis.com/calendar/v3/users/me/calendarList").body(()).unwrap();
///     token.authorize(&mut request).expect("it is one of Google's hosts");
///     "…".to_owned()
/// }
/// # let _ = axum::Router::<()>::new().route("/", axum::routing::get(calendar));
/// ```
#[derive(Clone, Debug)]
pub struct FederatedToken<P>(pub Federated<P>);

impl<P: Provider, S: Sync> FromRequestParts<S> for FederatedToken<P> {
    type Rejection = ClientRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ClientRejection> {
        let caller = caller(parts)?;
        let source = extension::<FederatedSource>(&parts.extensions)?;
        Ok(Self(source.obtain(FederatedUser::caller(&caller)).await?))
    }
}

fn caller(parts: &Parts) -> Result<Verified, Error> {
    Ok(outcome(&parts.extensions)?.verified()?.clone())
}

fn extension<T: Clone + Send + Sync + 'static>(extensions: &Extensions) -> Result<T, Error> {
    extensions.get().cloned().ok_or_else(|| {
        let what = std::any::type_name::<T>();
        let error = Error::new(ErrorKind::Misconfigured, format!("no Extension with {what} around this route"));
        error.log();
        error
    })
}

/// Why [`OnBehalfOf`] or [`FederatedToken`] has nothing to give.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientRejection {
    /// The caller is not who it has to be, or a layer is missing.
    Caller(Rejection),
    /// No token could be had.
    Token(TokenError),
}

impl ClientRejection {
    /// The connection that the user has to make, where that is what is missing.
    #[must_use]
    pub fn connection(&self) -> Option<&str> {
        match self {
            Self::Caller(_) => None,
            Self::Token(error) => error.connection(),
        }
    }
}

impl From<Error> for ClientRejection {
    fn from(error: Error) -> Self {
        Self::Caller(error.into())
    }
}

impl From<TokenError> for ClientRejection {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}

impl IntoResponse for ClientRejection {
    fn into_response(self) -> Response {
        let refusal = match self {
            Self::Caller(rejection) => return rejection.into_response(),
            Self::Token(error) => error.refusal(),
        };
        match refusal {
            Refusal::User { status, body } => {
                let mut response = Response::new(Body::from(body));
                *response.status_mut() =
                    StatusCode::from_u16(status).expect("the table holds statuses of three digits");
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(Answer::CONTENT_TYPE));
                response
            }
            Refusal::Gate(error) => Rejection::from(error).into_response(),
            _ => Rejection::from(Error::new(ErrorKind::Misconfigured, "a refusal of a newer kind")).into_response(),
        }
    }
}

impl fmt::Display for ClientRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caller(rejection) => rejection.fmt(f),
            Self::Token(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ClientRejection {}
