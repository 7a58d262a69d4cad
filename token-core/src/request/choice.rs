//! A request and the configured token locations in; the one token that counts out, or an error if there are several.

use serde::{Deserialize, Serialize};

use crate::answer::error::{Error, ErrorKind};
use crate::request::grammar::Scheme;
use crate::request::presented::RequestView;
use crate::request::source::{Found, TokenLocation};

/// What happens to a request with different tokens in different places; see
/// [`ResourceServerBuilder::several_tokens`](crate::ResourceServerBuilder::several_tokens).
///
/// The same token in two places counts as one, and a cookie without a value as none. Several tokens in a single place,
/// such as two `Authorization` headers or two cookies of the same name, are always refused with 400.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SeveralTokens {
    /// The request is refused with 400, since the server cannot know which token was meant.
    #[default]
    Refuse,
    /// The first of the token locations that contains a token decides, in the order in which they are configured; later
    /// ones are ignored. If that token is malformed, expired or otherwise invalid, the request is refused, whatever the
    /// other places contain.
    FirstLocation,
}

/// The configured locations, in order.
#[derive(Debug)]
pub(crate) struct Agreed {
    places: Box<[TokenLocation]>,
    several: SeveralTokens,
}

impl Agreed {
    pub(crate) fn new(places: Vec<TokenLocation>, several: SeveralTokens) -> Self {
        Self { places: places.into(), several }
    }

    pub(crate) fn places(&self) -> &[TokenLocation] {
        &self.places
    }

    /// Returns the single token of the request. With `dpop`, the scheme `DPoP` is accepted, too.
    ///
    /// # Errors
    /// [`ErrorKind::MissingToken`] if there is none; [`ErrorKind::InvalidRequest`] if there are several and no rule
    /// chooses between them, or if the syntax is invalid; [`ErrorKind::CrossSite`] if it came only in a cookie that is
    /// not trusted.
    pub(crate) fn token<'a>(&self, request: &'a dyn RequestView, dpop: bool) -> Result<(Scheme, &'a str), Error> {
        let mut outcome: Option<Found<'a>> = None;
        for place in &self.places {
            outcome = match (outcome, only(place, request, dpop)) {
                (None, next) => next?,
                (first, Ok(None)) => first,
                (Some(first), Ok(Some(next))) if is_same(&first, &next) => Some(joined(first, next)),
                (first, _) if self.several == SeveralTokens::FirstLocation => first,
                _ => return Err(several()),
            };
        }
        match outcome {
            None => Err(Error::new(ErrorKind::MissingToken, "the request has a token in none of the places agreed")),
            Some(Found { doubt: Some(doubt), .. }) => Err(doubt),
            Some(Found { token, scheme, .. }) => Ok((scheme, token?)),
        }
    }
}

/// The token in one place. An `Authorization` header with another scheme is not a token, but there must be no second
/// such header.
fn only<'a>(place: &TokenLocation, request: &'a dyn RequestView, dpop: bool) -> Result<Option<Found<'a>>, Error> {
    let (mut pieces, mut found) = (0_usize, None);
    place.each(request, dpop, &mut |piece| {
        pieces += 1;
        found = Some(piece);
    });
    match found {
        Some(_) if pieces > 1 => Err(several()),
        Some(Found { token: Err(error), .. }) if error.kind() == ErrorKind::MissingToken => Ok(None),
        found => Ok(found),
    }
}

fn is_same(first: &Found<'_>, next: &Found<'_>) -> bool {
    matches!((&first.token, &next.token), (Ok(first), Ok(next)) if first == next)
}

/// Merges the same token from two places. A client that can set a header has sent the token on purpose, so the header's
/// origin is not in doubt.
fn joined<'a>(first: Found<'a>, next: Found<'a>) -> Found<'a> {
    let scheme = if next.scheme == Scheme::Dpop { next.scheme } else { first.scheme };
    Found { token: first.token, scheme, doubt: first.doubt.and_then(|doubt| next.doubt.map(|_| doubt)) }
}

fn several() -> Error {
    Error::new(ErrorKind::InvalidRequest, "expected one token, the request has several")
}

#[cfg(test)]
mod tests;
