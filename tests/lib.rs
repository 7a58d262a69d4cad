//! One API in three frameworks, and one way to ask it: request in, [`Reply`] out. The case tables run through all of them.

pub mod evidence;
pub mod frontends;

pub use frontends::{Ask, Reply, Via, ask};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadMe;
