//! A place in, a new private key for proofs of possession in it out: PEM (PKCS #8, RFC 7468), for its owner alone.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use token_client::DpopKey;
use token_core::Algorithm;

use crate::end::Failure;

/// A key that is in no file yet.
pub(crate) struct Made {
    pub(crate) key: DpopKey,
    pem: String,
    file: PathBuf,
}

/// Makes a key for `file`. A file that is there is somebody's key, and left alone.
pub(crate) fn make(file: &Path) -> Result<Made, Failure> {
    if file.exists() {
        return Err(is_there(file));
    }
    let no_key = |_| Failure::input("the operating system gives no random bytes for a key");
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).map_err(no_key)?;
    let text = STANDARD.encode(key.as_ref());
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    let key = DpopKey::from_pem(Algorithm::ES256, pem.as_bytes());
    let key = key.map_err(|error| Failure::input(error.detail().to_owned()))?;
    Ok(Made { key, pem, file: file.to_owned() })
}

impl Made {
    /// Writes it down: readable by its owner and by nobody else from the start.
    pub(crate) fn keep(self) -> Result<(), Failure> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(&self.file).and_then(|mut file| file.write_all(self.pem.as_bytes()));
        written.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => is_there(&self.file),
            _ => Failure::input(format!("{}: {error}", self.file.display())),
        })
    }
}

fn is_there(file: &Path) -> Failure {
    Failure::input(format!("{0}: is there already; use it with --key {0}, or name another file", file.display()))
}
