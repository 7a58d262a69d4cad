//! The text of a policy in; the policy, or what is wrong with it and where, out (TOML 1.0, RFC 8259).

use std::fmt;
use std::path::{Path, PathBuf};

use super::Policy;
use crate::base::config_error::ConfigError;
use crate::base::file;

/// The longest policy that is read, in bytes.
const LONGEST: u64 = 4 * 1024 * 1024;

/// A policy could not be read, or no server could be built from it. The text names the file, line or member where
/// known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    pub(super) file: Option<PathBuf>,
    pub(super) place: Option<(usize, usize)>,
    pub(super) why: String,
}

impl PolicyError {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self { file: None, place: None, why: why.into() }
    }

    /// The path of the file, if the policy was read from one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Line and column, both counted from 1, for errors in the text.
    #[must_use]
    pub fn place(&self) -> Option<(usize, usize)> {
        self.place
    }

    pub(crate) fn within(mut self, file: &Path) -> Self {
        self.file = Some(file.to_owned());
        self
    }
}

impl From<ConfigError> for PolicyError {
    fn from(error: ConfigError) -> Self {
        Self::new(error.to_string())
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        if let Some((line, column)) = self.place {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.why)
    }
}

impl std::error::Error for PolicyError {}

impl Policy {
    /// Reads a policy from JSON.
    ///
    /// # Errors
    /// [`PolicyError`] with line and column: invalid JSON, an unknown member, a value of the wrong type.
    pub fn from_json(text: &str) -> Result<Self, PolicyError> {
        serde_json::from_str(text).map_err(|error| {
            let place = (error.line() > 0).then(|| (error.line(), error.column().max(1)));
            let why = error.to_string();
            // serde_json repeats the place at the end of its text
            let why = why.rsplit_once(" at line ").map_or(why.as_str(), |(why, _)| why).to_owned();
            PolicyError { file: None, place, why }
        })
    }

    /// Reads a policy from TOML.
    ///
    /// # Errors
    /// [`PolicyError`] with line and column: invalid TOML, an unknown member, a value of the wrong type.
    #[cfg(feature = "policy-toml")]
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        toml::from_str(text).map_err(|error| {
            let place = error.span().map(|span| line_and_column(text, span.start));
            PolicyError { file: None, place, why: error.message().replace('\n', ", ") }
        })
    }

    /// Reads a policy from a file: JSON if the name ends in `.json`, otherwise TOML (feature `policy-toml`). Relative
    /// paths in the policy are resolved against the file's folder.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json) and `from_toml`; also if the file cannot be read, is not UTF-8, or is larger
    /// than 4 MiB.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, PolicyError> {
        let path = path.as_ref();
        let policy = Self::parse_file(path).map_err(|error| error.within(path))?;
        Ok(policy.relative_to(path.parent().unwrap_or(Path::new(""))))
    }

    fn parse_file(path: &Path) -> Result<Self, PolicyError> {
        let bytes = file::read(path, LONGEST).map_err(|unread| PolicyError::new(unread.to_string()))?;
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let valid = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
            PolicyError {
                file: None,
                place: Some(line_and_column(valid, valid.len())),
                why: "not UTF-8 text".to_owned(),
            }
        })?;
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
            return Self::from_json(text);
        }
        #[cfg(feature = "policy-toml")]
        return Self::from_toml(text);
        #[cfg(not(feature = "policy-toml"))]
        Err(PolicyError::new("expected a name that ends in .json: the feature `policy-toml` is off"))
    }

    pub(super) fn relative_to(mut self, folder: &Path) -> Self {
        self.each_file(&mut |_, file| *file = folder.join(&*file));
        // Read with each request, so that whoever follows the policy has nothing to do when it is rotated.
        for file in self.issuers.iter_mut().filter_map(|issuer| issuer.bearer_token_file.as_mut()) {
            *file = folder.join(&*file);
        }
        self
    }

    /// Calls `each` for every file that the policy names, with the member that names it.
    pub(crate) fn each_file(&mut self, each: &mut dyn FnMut(String, &mut PathBuf)) {
        for issuer in &mut self.issuers {
            let secret = issuer.secret.as_mut().and_then(|secret| secret.file.as_mut());
            let asking = issuer.introspection.as_mut().and_then(|asked| asked.client_secret.file.as_mut());
            let files = [
                ("jwks_file", issuer.jwks_file.as_mut()),
                ("ca_file", issuer.ca_file.as_mut()),
                ("secret", secret),
                ("introspection.client_secret", asking),
            ];
            for (member, file) in files.into_iter().filter_map(|(member, file)| Some((member, file?))) {
                each(format!("issuers[{}].{member}", issuer.issuer), file);
            }
        }
        let keys = self.encrypted_tokens.iter_mut().flat_map(|encrypted| &mut encrypted.keys);
        for (at, file) in keys.enumerate().filter_map(|(at, key)| Some((at, key.file.as_mut()?))) {
            each(format!("encrypted_tokens.keys[{at}]"), file);
        }
        let nonces = self.dpop.iter_mut().flat_map(|dpop| &mut dpop.nonce_secrets);
        for (at, file) in nonces.enumerate().filter_map(|(at, secret)| Some((at, secret.file.as_mut()?))) {
            each(format!("dpop.nonce_secrets[{at}]"), file);
        }
        let upstream = &mut self.gate.upstream;
        if let Some(file) = upstream.exchange.as_mut().and_then(|exchange| exchange.client_secret.file.as_mut()) {
            each("gate.upstream.exchange.client_secret".to_owned(), file);
        }
        for (at, key) in upstream.sign.iter_mut().flat_map(|sign| &mut sign.keys).enumerate() {
            each(format!("gate.upstream.sign.keys[{at}]"), &mut key.file);
        }
    }
}

fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
