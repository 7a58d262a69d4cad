//! The `WWW-Authenticate` fields of an answer go in, the error code of the DPoP challenge among them comes out (RFC 9110 section 11.6.1, RFC 9449 section 7.1).

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// What a server does not like about a request with a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Complaint {
    /// `use_dpop_nonce`: the proof has to hold the nonce that the answer brings.
    Nonce,
    /// `invalid_dpop_proof`: another token would help nobody.
    Proof,
    /// Anything else: the token, or nothing that we know.
    Other,
}

/// Reads the challenges of a resource server. Schemes and names of parameters are compared without case.
pub(crate) fn complaint(headers: &HeaderMap) -> Complaint {
    let fields = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|field| field.to_str().ok());
    fields.map(of_field).find(|complaint| *complaint != Complaint::Other).unwrap_or(Complaint::Other)
}

/// One field with any number of challenges. What is not well-formed is passed over byte by byte, so that it cannot hide what follows.
fn of_field(field: &str) -> Complaint {
    let (mut rest, mut in_dpop) = (field, false);
    while let Some(first) = rest.chars().next() {
        let word = &rest[..rest.bytes().take_while(|byte| is_token(*byte)).count()];
        if word.is_empty() {
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let after = &rest[word.len()..];
        let Some(value) = after.trim_start_matches([' ', '\t']).strip_prefix('=') else {
            in_dpop = word.eq_ignore_ascii_case("dpop");
            rest = after;
            continue;
        };
        let (value, after) = value_of(value.trim_start_matches([' ', '\t']));
        if in_dpop && word.eq_ignore_ascii_case("error") {
            match value {
                "use_dpop_nonce" => return Complaint::Nonce,
                "invalid_dpop_proof" => return Complaint::Proof,
                _ => {}
            }
        }
        rest = after;
    }
    Complaint::Other
}

/// The value at the start of `text`, a quoted string or a token, and what comes behind it. Escapes are not undone: no code has any.
fn value_of(text: &str) -> (&str, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        return text.split_at(text.bytes().take_while(|byte| is_token(*byte)).count());
    };
    let mut escaped = false;
    for (at, byte) in quoted.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return (&quoted[..at], &quoted[at + 1..]),
            _ => {}
        }
    }
    (quoted, "")
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[&str]) -> Complaint {
        complaint(&fields.iter().map(|field| (WWW_AUTHENTICATE, field.parse().unwrap())).collect())
    }

    #[test]
    fn the_dpop_challenge_is_found_wherever_it_stands() {
        for (fields, expected) in [
            (&[][..], Complaint::Other),
            (&[r#"DPoP error="use_dpop_nonce", algs="ES256""#], Complaint::Nonce),
            (&[r#"dpop realm="a, DPoP error=x", ERROR = use_dpop_nonce"#], Complaint::Nonce),
            (&[r#"Bearer realm="r", DPoP algs="ES256 EdDSA", error="use_dpop_nonce""#], Complaint::Nonce),
            (&[r#"Bearer realm="r""#, r#"DPoP error="use_dpop_nonce""#], Complaint::Nonce),
            (&[r#"Basic dXNlcjpwYXNz==, Negotiate a/b+c=, DPoP error="use_dpop_nonce""#], Complaint::Nonce),
            (&[r#"DPoP realm="a \" b\\", error="use_dpop_nonce""#], Complaint::Nonce),
            (&[r#"DPoP error="invalid_dpop_proof""#], Complaint::Proof),
            (&[r#"DPoP error="invalid_token""#], Complaint::Other),
            (&[r#"Bearer error="use_dpop_nonce""#], Complaint::Other),
            (&[r#"DPoP algs="ES256", Bearer error="use_dpop_nonce""#], Complaint::Other),
            (&[r#"DPoP realm="error=use_dpop_nonce""#], Complaint::Other),
            (&[r#"DPoP realm="unfinished error=use_dpop_nonce"#], Complaint::Other),
            (&["DPoP error", "=", ",,,", "DPoP error="], Complaint::Other),
            (&[r#"DPoP nonsense///"", error="use_dpop_nonce""#], Complaint::Other),
        ] {
            assert_eq!(read(fields), expected, "{fields:?}");
        }
    }
}
