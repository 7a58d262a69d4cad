//! What must hold however requests, fetches, evictions and ends of tasks are interleaved: the crate's own sources, under shuttle.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests and nothing else")]

#[allow(unreachable_pub)]
#[path = "../../../tests/evidence.rs"]
mod evidence;
mod keys;
mod lookups;
mod opaque;
mod tokens;
mod world;
