//! What every benchmark here is measured with: fixed tokens, the bare signature check, and interleaved rounds.

pub mod fixture;
pub mod floor;
pub mod peer;
pub mod proof;
pub mod rounds;

pub use fixture::{AUDIENCE, Alg, Claims, Fixture, ISSUER};
pub use floor::Floor;
pub use rounds::{Case, Rounds, Table};
