//! PEM text in, its one block out: the label and the DER inside (RFC 7468).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::unusable::UnusableKey;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// The label and the contents of the only block in `pem`. Text around the block is allowed, a second block is not: it
/// would be unclear which key is meant.
pub(crate) fn parse(pem: &[u8]) -> Result<(&str, Vec<u8>), UnusableKey> {
    let text = std::str::from_utf8(pem).map_err(|_| UnusableKey::because("the PEM document is not text"))?;
    let (_, after) = text.split_once(BEGIN).ok_or(UnusableKey::because("there is no PEM block"))?;
    if after.contains(BEGIN) {
        return Err(UnusableKey::because("there is more than one PEM block"));
    }
    let block = || {
        let (label, after) = after.split_once(DASHES)?;
        let (body, after) = after.split_once(END)?;
        let (end, _) = after.split_once(DASHES)?;
        let body: Vec<u8> = body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        (label == end).then_some((label, STANDARD.decode(body).ok()?))
    };
    block().ok_or(UnusableKey::because("the PEM block is not well-formed"))
}

/// Whether `secret` looks like a key document: such text is public more often than not and never an HMAC secret.
pub(super) fn looks_like_pem(secret: &[u8]) -> bool {
    secret.windows(BEGIN.len()).any(|window| window == BEGIN.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_one_block_with_text_around_it() {
        let pem = "Subject: us\r\n-----BEGIN PUBLIC KEY-----\r\nYW\r\nI=\r\n-----END PUBLIC KEY-----\r\nbye";
        assert_eq!(parse(pem.as_bytes()).unwrap(), ("PUBLIC KEY", b"ab".to_vec()));
    }

    #[test]
    fn refuses_what_is_not_one_block() {
        for (pem, why) in [
            ("", "nothing"),
            ("YWI=", "no block"),
            ("-----BEGIN A-----", "no end"),
            ("-----BEGIN A-----YWI=-----END B-----", "another label at the end"),
            ("-----BEGIN A-----Y?I=-----END A-----", "no base64"),
            ("-----BEGIN A-----YWI=-----END A----------BEGIN A-----YWI=-----END A-----", "two blocks"),
        ] {
            assert!(parse(pem.as_bytes()).is_err(), "{why}");
        }
        assert!(parse(b"\xff").is_err());
    }
}
