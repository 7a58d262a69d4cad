//! The challenges of a response in, the DPoP error among them out (RFC 9449 sections 7.1 and 9).

use http::HeaderMap;

use crate::api::challenge::Challenge;

/// Why a server refused a request with a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Complaint {
    /// `use_dpop_nonce`: the proof must contain the nonce in the response.
    Nonce,
    /// `invalid_dpop_proof`: another token would not help.
    Proof,
    /// Anything else: the token is refused, or the reason is unknown.
    Other,
}

/// Reads the challenges of a resource server.
pub(crate) fn complaint(headers: &HeaderMap) -> Complaint {
    let challenges = Challenge::read(headers);
    let codes = challenges.iter().filter(|one| one.is("dpop")).filter_map(|one| one.parameter("error"));
    let complaint = |code| match code {
        "use_dpop_nonce" => Complaint::Nonce,
        "invalid_dpop_proof" => Complaint::Proof,
        _ => Complaint::Other,
    };
    codes.map(complaint).find(|complaint| *complaint != Complaint::Other).unwrap_or(Complaint::Other)
}

#[cfg(test)]
mod tests {
    use http::header::WWW_AUTHENTICATE;

    use super::*;

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
            (&["DPoP error", "=", ",,,", "DPoP error="], Complaint::Other),
        ] {
            let headers = fields.iter().map(|field| (WWW_AUTHENTICATE, field.parse().unwrap())).collect();
            assert_eq!(complaint(&headers), expected, "{fields:?}");
        }
    }
}
