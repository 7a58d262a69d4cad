//! Every test that needs more than one crate, in one binary.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "this crate is tests and nothing else")]

mod advisories;
mod api_keys;
mod attacks;
mod bent_rules;
mod caller;
mod canary;
mod cases;
mod cookies;
mod drill;
mod encrypted;
mod ended;
mod explained;
mod faults;
mod fuzz_smoke;
mod grpc;
mod kubernetes;
mod matrix;
mod mcp;
mod on_behalf;
mod opaque;
mod outages;
mod possession;
mod presets;
mod resource;
mod rules;
mod runtimes;
mod spans;
mod step_up;
mod streams;
mod tenants;
mod tickets;
mod two_addresses;
