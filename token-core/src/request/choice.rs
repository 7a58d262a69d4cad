//! A request and the places agreed in, the one token that counts out; whose token it is where a request brings several is the operator's to say.

use serde::{Deserialize, Serialize};

use crate::answer::error::{Error, ErrorKind};
use crate::request::grammar::Scheme;
use crate::request::presented::RequestView;
use crate::request::source::{Found, TokenLocation};

/// What becomes of a request that brings different tokens in different places; see
/// [`ResourceServerBuilder::several_tokens`](crate::ResourceServerBuilder::several_tokens).
///
/// The same token in two places is one token, whatever this says, and a cookie without a value is none. Several in one place, two
/// `Authorization` fields or two cookies of one name, are always refused with 400.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SeveralTokens {
    /// It is refused with 400: which of them was meant is not the server's to guess.
    #[default]
    Refuse,
    /// The first of the token locations that holds a token decides, in the order they were named; those after it are not looked at. A token
    /// that is malformed, expired or not believed there is refused, whatever another place holds.
    FirstLocation,
}

/// The places that were agreed, in order.
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

    /// The one token in all these places. With `dpop`, the scheme `DPoP` is one of tokens, too.
    ///
    /// # Errors
    /// [`ErrorKind::MissingToken`] when there is none; [`ErrorKind::InvalidRequest`] when there are two that nothing chooses between, or the one is
    /// not well formed; [`ErrorKind::CrossSite`] when it came in a cookie alone that is not believed.
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

/// What stands in one place. An `Authorization` field of another scheme is no token, but nothing may stand beside it.
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

/// The same token from two places: whoever could write it into a header has meant to send it, and has said how.
fn joined<'a>(first: Found<'a>, next: Found<'a>) -> Found<'a> {
    let scheme = if next.scheme == Scheme::Dpop { next.scheme } else { first.scheme };
    Found { token: first.token, scheme, doubt: first.doubt.and_then(|doubt| next.doubt.map(|_| doubt)) }
}

fn several() -> Error {
    Error::new(ErrorKind::InvalidRequest, "expected one token, the request has several")
}

#[cfg(test)]
mod tests;
