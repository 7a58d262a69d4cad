//! Tokens to be sent on as the arguments of a handler: on behalf of the caller (RFC 8693), or the caller's own at an identity provider.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError};
use token_client::{
    Delegated, Delegation, Downstream, Federated, FederatedSource, FederatedUser, Provider, Refusal, TokenError,
};
use token_core::{Answer, Error, ErrorKind, Verified};

use crate::{Rejection, outcome};

type Extracting<T> = Pin<Box<dyn Future<Output = Result<T, ClientRejection>>>>;

/// A token for the service `D` on behalf of the verified caller.
///
/// It needs the [`Delegation`] of the same service as `app_data`, and a [`TokenMiddleware`](crate::TokenMiddleware) around the route. One
/// exchange is made for each caller's token, however many requests come with it.
///
/// # Rejections
/// Those of [`Authenticated`](crate::Authenticated); what [`TokenError::refusal`] says when no token can be had; 500 without the
/// `app_data`, and the log names it.
///
/// ```
/// use actix_token::OnBehalfOf;
/// use token_client::Downstream;
///
/// struct Billing;
/// impl Downstream for Billing { const AUDIENCE: &'static str = "https://billing.example.com"; }
///
/// // With `App::new().app_data(Delegation::<Billing>::exchange(client))`.
/// #[actix_web::get("/invoices")]
/// async fn invoices(OnBehalfOf(token): OnBehalfOf<Billing>) -> String {
///     let _authorization = token.header(); // for the request to billing
///     "…".to_owned()
/// }
/// ```
#[derive(Clone, Debug)]
pub struct OnBehalfOf<D>(pub Delegated<D>);

impl<D: Downstream> FromRequest for OnBehalfOf<D> {
    type Error = ClientRejection;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let caller = caller(&request)?;
            let delegation = app_data::<Delegation<D>>(&request)?;
            Ok(Self(delegation.for_caller(&caller).await?))
        })
    }
}

/// The verified caller's token at the identity provider `P`.
///
/// It needs a [`FederatedSource`] as `app_data`, and a [`TokenMiddleware`](crate::TokenMiddleware) around the route. To answer a caller who
/// has no such account in your own words, take `Result<FederatedToken<P>, ClientRejection>` and look at [`ClientRejection::connection`].
///
/// # Rejections
/// Those of [`Authenticated`](crate::Authenticated); 403 with the connection's name when the user has to connect an account; what
/// [`TokenError::refusal`] says otherwise; 500 without the `app_data`, and the log names it.
///
/// ```
/// use actix_token::FederatedToken;
/// use token_client::Google;
///
/// #[actix_web::get("/calendar")]
/// async fn calendar(FederatedToken(token): FederatedToken<Google>) -> String {
///     let list = "https://www.googleapis.com/calendar/v3/users/me/calendarList".parse().expect("a URI");
///     let _authorization = token.header_for(&list).expect("it is one of Google's hosts");
///     "…".to_owned()
/// }
/// ```
#[derive(Clone, Debug)]
pub struct FederatedToken<P>(pub Federated<P>);

impl<P: Provider> FromRequest for FederatedToken<P> {
    type Error = ClientRejection;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let caller = caller(&request)?;
            let source = app_data::<FederatedSource>(&request)?;
            Ok(Self(source.obtain(FederatedUser::caller(&caller)).await?))
        })
    }
}

fn caller(request: &HttpRequest) -> Result<Verified, Error> {
    outcome(request)?.verified().cloned()
}

fn app_data<T: Clone + 'static>(request: &HttpRequest) -> Result<T, Error> {
    request.app_data::<T>().cloned().ok_or_else(|| {
        let what = std::any::type_name::<T>();
        let error = Error::new(ErrorKind::Misconfigured, format!("no app_data with {what} for this route"));
        error.log();
        error
    })
}

/// Why [`OnBehalfOf`] or [`FederatedToken`] has nothing to give.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientRejection {
    /// The caller is not who it has to be, or a middleware is missing.
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

impl ResponseError for ClientRejection {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Caller(rejection) => rejection.status_code(),
            Self::Token(error) => {
                StatusCode::from_u16(error.kind().status()).expect("the table holds statuses of three digits")
            }
        }
    }

    fn error_response(&self) -> HttpResponse {
        let refusal = match self {
            Self::Caller(rejection) => return rejection.error_response(),
            Self::Token(error) => error.refusal(),
        };
        match refusal {
            Refusal::User { body, .. } => {
                HttpResponse::build(self.status_code()).content_type(Answer::CONTENT_TYPE).body(body)
            }
            Refusal::Gate(error) => Rejection::from(error).error_response(),
            _ => Rejection::from(Error::new(ErrorKind::Misconfigured, "a refusal of a newer kind")).error_response(),
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
