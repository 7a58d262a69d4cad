//! A field's rule and the caller of the request in, the token or a refusal with `extensions` out: the context of a `juniper` schema.

use juniper::{FieldError, IntoFieldError, Object, ScalarValue, Value};
use token_core::adapter::Outcome;
use token_core::{Error, Required, Verified};

use super::refusal;

/// Who asks, as the context of a schema. Resolvers ask it first: juniper has no guards.
#[derive(Clone, Debug)]
pub struct Caller(pub Outcome);

impl juniper::Context for Caller {}

impl Caller {
    /// The token, if it satisfies `R`: a rule declared with `scopes!`.
    pub fn require<R: Required>(&self) -> Result<&Verified, Refused> {
        let token = self.token()?;
        token.require(&R::RULE)?;
        Ok(token)
    }

    /// The token, whatever is in it.
    pub fn token(&self) -> Result<&Verified, Refused> {
        Ok(self.0.verified()?)
    }
}

/// A refusal in GraphQL's words. Resolvers return it: juniper's own `FieldError` takes any error, and would send what is meant for the operator.
#[derive(Debug)]
pub struct Refused(Error);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl<S: ScalarValue> IntoFieldError<S> for Refused {
    fn into_field_error(self) -> FieldError<S> {
        let mut extensions = Object::with_capacity(4);
        for (name, value) in refusal::extensions(&self.0) {
            extensions.add_field(name, Value::scalar(value));
        }
        FieldError::new(refusal::message(&self.0), Value::Object(extensions))
    }
}
