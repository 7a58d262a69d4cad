//! A field's rule and the caller of the request in, the field or a refusal with `extensions` out: a guard for `async-graphql`.

use async_graphql::{Context, Error, ErrorExtensionValues, Guard, Result};
use token_core::adapter::Outcome;
use token_core::{Rule, Verified};

use super::refusal;

/// Guards a field or a whole object: `#[graphql(guard = "require(ReadUsers::RULE)")]`.
pub fn require(rule: impl Into<Rule>) -> Require {
    Require(rule.into())
}

/// The guard that [`require`] makes.
#[derive(Debug)]
pub struct Require(Rule);

impl Guard for Require {
    async fn check(&self, context: &Context<'_>) -> Result<()> {
        caller(context)?.require(&self.0).map_err(refused)
    }
}

/// The verified token, for resolvers. A field without a guard that asks for it is for callers with a token, whatever is in it.
pub fn caller<'a>(context: &Context<'a>) -> Result<&'a Verified> {
    // Put there by the handler: `request.data(outcome)`. Without it nothing is served that asks for a caller.
    let outcome = context.data_opt::<Outcome>();
    outcome
        .ok_or_else(|| token_core::Error::missing_layer("request.data(outcome)"))
        .and_then(Outcome::verified)
        .map_err(refused)
}

/// A refusal in GraphQL's words. Not by `?` alone: async-graphql takes any error, and would send what is meant for the operator.
pub fn refused(error: token_core::Error) -> Error {
    let mut refused = Error::new(refusal::message(&error));
    let mut extensions = ErrorExtensionValues::default();
    refusal::extensions(&error).for_each(|(name, value)| extensions.set(name, value));
    refused.extensions = Some(extensions);
    refused
}
