//! Guards for fields of GraphQL schemas: one file for each library, and what both say of a refusal.

pub mod async_graphql;
pub mod juniper;
pub mod refusal;
