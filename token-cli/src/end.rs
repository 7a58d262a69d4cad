//! How the program ends: for scripts a code, for people a sentence.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// The exit codes, as documented in `token --help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Accepted, as expected, without findings.
    Yes,
    /// Refused, not as expected, with findings.
    No,
    /// The input or the words of the command line are wrong.
    BadInput,
    /// A network or an issuer is out of reach: nothing can be said.
    Unreachable,
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        Self::from(match end {
            End::Yes => 0,
            End::No => 1,
            End::BadInput => 2,
            End::Unreachable => 3,
        })
    }
}

/// Why a command could not do what it was told.
#[derive(Debug)]
pub(crate) struct Failure {
    end: End,
    why: String,
    broken_pipe: bool,
}

impl Failure {
    /// The input or the command line is wrong.
    pub(crate) fn input(why: impl Into<String>) -> Self {
        Self { end: End::BadInput, why: why.into(), broken_pipe: false }
    }

    /// Something is out of reach.
    pub(crate) fn unreachable(why: impl Into<String>) -> Self {
        Self { end: End::Unreachable, why: why.into(), broken_pipe: false }
    }

    pub(crate) fn end(&self) -> End {
        self.end
    }

    pub(crate) fn is_broken_pipe(&self) -> bool {
        self.broken_pipe
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// Writing the answer failed.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let broken_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        Self { end: End::BadInput, why: format!("cannot write the answer: {error}"), broken_pipe }
    }
}

impl From<token_core::policy::PolicyError> for Failure {
    fn from(error: token_core::policy::PolicyError) -> Self {
        Self::input(error.to_string())
    }
}

impl From<token_core::ConfigError> for Failure {
    fn from(error: token_core::ConfigError) -> Self {
        Self::input(error.to_string())
    }
}
