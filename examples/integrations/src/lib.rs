//! The bearer of a token in other libraries, one file each, to paste from. Each page of the guide that shows one of these files shows it whole.

pub mod documented;
pub mod graphql;
pub mod layers;
pub mod rate_limit;
