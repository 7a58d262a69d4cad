//! A key as it is named among the arguments in, what tokens are encrypted to out: a public JWK as text, or a file with a JWK or a PEM.

use std::path::Path;

use token_core::jose::encryption::{EncryptionKey, KeyManagement};

use crate::end::Failure;
use crate::terminal::plain;
use crate::trust;

const EXPECTED: &str = "expected a public JWK whose alg is ECDH-ES (P-256, X25519), RSA-OAEP-256 or RSA-OAEP, a JWK of type oct whose alg is an enc, as \
                        A256GCM, or a PEM labelled PUBLIC KEY of P-256 or RSA";

/// # Errors
/// When it is no such key, or a secret that stands among the arguments, where everybody on the machine can read it.
pub(crate) fn read(named: &str) -> Result<EncryptionKey, Failure> {
    if named.trim_start().starts_with('{') {
        let key = EncryptionKey::from_jwk(named);
        let key = key.map_err(|error| Failure::input(format!("--encrypt-to: {error}: {EXPECTED}")))?;
        if key.algorithm() == KeyManagement::Direct {
            return Err(Failure::input(
                "--encrypt-to: a secret among the arguments can be read by others: put it into a file, and name that",
            ));
        }
        return Ok(key);
    }
    let file = trust::read_file(Path::new(named))?;
    let key = match std::str::from_utf8(&file) {
        Ok(text) if text.trim_start().starts_with('{') => EncryptionKey::from_jwk(text),
        _ => EncryptionKey::from_pem(KeyManagement::EcdhEs, None, &file)
            .or_else(|_| EncryptionKey::from_pem(KeyManagement::RsaOaep256, None, &file)),
    };
    key.map_err(|error| Failure::input(format!("--encrypt-to {}: {error}: {EXPECTED}", plain(named))))
}
