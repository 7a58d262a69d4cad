#![doc = include_str!("../README.md")]

mod admin;
mod arguments;
mod decision;
mod doors;
mod gate;
mod logs;
mod run;
mod serve;
mod shared;
mod telemetry;

pub use arguments::{Arguments, LogFormat, LogLevel};
pub use gate::Gate;
pub use run::{Failure, run};
