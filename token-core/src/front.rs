//! Names by subject: one public page each, for those who read the documentation. Nothing is defined here.

pub mod adapter;
pub mod explain;
pub mod login;
pub mod mapping;
pub mod possession;
pub mod revocation;
pub mod rules;
pub mod streams;
pub mod telemetry;
pub mod tenants;
