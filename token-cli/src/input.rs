//! Standard input or a prompt in, one token out (RFC 6750 section 2.1). Never from an argument.

use std::io::{self, IsTerminal, Read};

use crate::end::Failure;

/// The most bytes that are read for one token.
const LONGEST: u64 = 1024 * 1024;

/// Reads the token. Blanks and line breaks around it, quotation marks and the words `Bearer` and `DPoP` are not part of it.
pub(crate) fn token() -> Result<String, Failure> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        // Unseen, and read character by character: a terminal would hand over no more than 4,095 of a line.
        let line = rpassword::prompt_password("paste the token (it is not shown) and press Enter: ");
        return strip(&line.map_err(|error| Failure::input(format!("cannot read the token: {error}")))?);
    }
    let mut bytes = Vec::new();
    stdin
        .lock()
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::input(format!("cannot read the token: {error}")))?;
    if bytes.len() as u64 > LONGEST {
        return Err(Failure::input("standard input: longer than 1 MiB, which no token is"));
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => strip(text),
        Err(error) => Err(Failure::input(format!(
            "standard input: byte {} is not text, expected a token",
            error.valid_up_to() + 1
        ))),
    }
}

fn strip(text: &str) -> Result<String, Failure> {
    let text = text.trim().trim_matches(['"', '\'']);
    let text = match text.split_once(char::is_whitespace) {
        Some((first, rest)) if ["bearer", "dpop"].iter().any(|scheme| first.eq_ignore_ascii_case(scheme)) => {
            rest.trim()
        }
        Some((first, rest)) if first.eq_ignore_ascii_case("authorization:") => return strip(rest),
        _ => text,
    };
    if text.is_empty() {
        return Err(Failure::input("standard input: empty, expected a token"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_paste_around_a_token_is_left_out() {
        for text in
            ["abc", " abc\r\n", "Bearer abc", "bearer   abc", "\"abc\"", "Authorization: Bearer abc", "DPoP abc"]
        {
            assert_eq!(strip(text).unwrap(), "abc", "{text:?}");
        }
        for text in ["", " \n", "\"\""] {
            assert!(strip(text).is_err(), "{text:?}");
        }
    }
}
