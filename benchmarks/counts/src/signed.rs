//! One key and one signed token for each algorithm, made once: a signature that changes from run to run changes its count.
//! The private keys were thrown away.

/// A token, and its key as the issuer publishes it and in the parts that the bare check needs.
pub struct Signed {
    pub algorithm: &'static str,
    pub jwk: &'static str,
    pub parts: [&'static str; 2],
    pub token: &'static str,
}

pub const SIGNED: [Signed; 3] = [
    Signed {
        algorithm: "RS256",
        jwk: r#"{"kty":"RSA","alg":"RS256","kid":"rsa-sig-2026","n":"zp4Q7RkvNIthj1nOdwyrJez1EtQ1aup4BZwiNnxpGkO_eys-YcreGKHPr-vP203tbEHp-UMErlP2kdsfuFxB8WupIM_eIS8nK9_kDzNnrKVsmmQQvaCVN_rU2b7_yJKwqdfEy1pfOspsl6bTi83nm4gKbg17N21QfW-9fQhPPOZmagUSgSM_KQttaoNZSQdLt3PYNHeVvfyUCz1nUibxRVu78Dz4vh4enxznbGXH9sAiV4xJ6DTT0VUhYUEznchxT2qdRgLVMks0r10sGRnEBCZ0FrIVI8Gm_V48IpB9D5SHEBWB2EG7Z90fiIJUR5B37wUAyOX3-oCDwdFQLP6Yaw","e":"AQAB"}"#,
        parts: [
            "zp4Q7RkvNIthj1nOdwyrJez1EtQ1aup4BZwiNnxpGkO_eys-YcreGKHPr-vP203tbEHp-UMErlP2kdsfuFxB8WupIM_eIS8nK9_kDzNnrKVsmmQQvaCVN_rU2b7_yJKwqdfEy1pfOspsl6bTi83nm4gKbg17N21QfW-9fQhPPOZmagUSgSM_KQttaoNZSQdLt3PYNHeVvfyUCz1nUibxRVu78Dz4vh4enxznbGXH9sAiV4xJ6DTT0VUhYUEznchxT2qdRgLVMks0r10sGRnEBCZ0FrIVI8Gm_V48IpB9D5SHEBWB2EG7Z90fiIJUR5B37wUAyOX3-oCDwdFQLP6Yaw",
            "AQAB",
        ],
        token: "eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6InJzYS1zaWctMjAyNiJ9.eyJpc3MiOiJodHRwczovL3RlbmFudC03ZjNhLmV1LmxvZ2luLmV4YW1wbGUuY29tLyIsInN1YiI6ImF1dGgwfDY1ZjFjMGZmZWUwMDAwMDAwMDAwMDAwMSIsImF1ZCI6WyJodHRwczovL2FwaS5leGFtcGxlLmNvbS92MSIsImh0dHBzOi8vdGVuYW50LTdmM2EuZXUubG9naW4uZXhhbXBsZS5jb20vdXNlcmluZm8iXSwiaWF0IjoxODAwMDAwMDAwLCJleHAiOjE4MDAwODY0MDAsImF6cCI6Im1aOHFUajByWVZiNHhYN0xrUG5XYzIiLCJjbGllbnRfaWQiOiJtWjhxVGowcllWYjR4WDdMa1BuV2MyIiwianRpIjoiMDAwMDAwMDAwMDAwMDAwMDAwMDAwMSIsInNjb3BlIjoib3BlbmlkIHByb2ZpbGUgZW1haWwgcmVhZDpvcmRlcnMgd3JpdGU6b3JkZXJzIHJlYWQ6dXNlcnMiLCJwZXJtaXNzaW9ucyI6WyJyZWFkOm9yZGVycyIsIndyaXRlOm9yZGVycyIsInJlYWQ6dXNlcnMiLCJyZWFkOml0ZW1zIiwid3JpdGU6aXRlbXMiLCJhZG1pbjpub25lIl19.aQ7-le0lWpyGwVrq8v2S7KluCCkOOQC-zr40a7u7BRHwWgvi7frhfQ51v2OL83uszz1WCL77USnos5ltgChBDKsVT722fa3AfVERcGohBzqnnNRKUiD-laPk9tCKmG6imcxZLs8goWJdmIOTc3oh1DQ6BU6FQGaWy7Is6rPl-fIYHc9uxdDs1ESSknKmKwDpjtfXhhk2wGO65L4yiUiTOVaUXFu3kiDlHLtdpWadyrLihoatGc33kww-MG_jme8Fnd4gBrvOh5MLah8BHedH3j0VuVF4yH7LUbnAYkpJGYfW83Jlk-lMeWZ-4TDRCGAZ0C4c-_uvGDS6v6Ucl0TGjg",
    },
    Signed {
        algorithm: "ES256",
        jwk: r#"{"kty":"EC","crv":"P-256","alg":"ES256","kid":"p256-sig-2026","x":"yHUWecKQbMM5eYpMcKOFfu83nLNWbttUGnoLT6VNCZY","y":"jZGdvavGkyXPIQk4af2Lrp1otUuaNwVY0vFKCuxTlZk"}"#,
        parts: ["yHUWecKQbMM5eYpMcKOFfu83nLNWbttUGnoLT6VNCZY", "jZGdvavGkyXPIQk4af2Lrp1otUuaNwVY0vFKCuxTlZk"],
        token: "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6InAyNTYtc2lnLTIwMjYifQ.eyJpc3MiOiJodHRwczovL3RlbmFudC03ZjNhLmV1LmxvZ2luLmV4YW1wbGUuY29tLyIsInN1YiI6ImF1dGgwfDY1ZjFjMGZmZWUwMDAwMDAwMDAwMDAwMSIsImF1ZCI6WyJodHRwczovL2FwaS5leGFtcGxlLmNvbS92MSIsImh0dHBzOi8vdGVuYW50LTdmM2EuZXUubG9naW4uZXhhbXBsZS5jb20vdXNlcmluZm8iXSwiaWF0IjoxODAwMDAwMDAwLCJleHAiOjE4MDAwODY0MDAsImF6cCI6Im1aOHFUajByWVZiNHhYN0xrUG5XYzIiLCJjbGllbnRfaWQiOiJtWjhxVGowcllWYjR4WDdMa1BuV2MyIiwianRpIjoiMDAwMDAwMDAwMDAwMDAwMDAwMDAwMSIsInNjb3BlIjoib3BlbmlkIHByb2ZpbGUgZW1haWwgcmVhZDpvcmRlcnMgd3JpdGU6b3JkZXJzIHJlYWQ6dXNlcnMiLCJwZXJtaXNzaW9ucyI6WyJyZWFkOm9yZGVycyIsIndyaXRlOm9yZGVycyIsInJlYWQ6dXNlcnMiLCJyZWFkOml0ZW1zIiwid3JpdGU6aXRlbXMiLCJhZG1pbjpub25lIl19.pcZPTaZe7E6BJ3c390iya3yWmJFUfFoyLI7In5JuptYi8WwkZLMK6c515Gv6SGI_klrzr6iCgMz233pBWhbHgQ",
    },
    Signed {
        algorithm: "EdDSA",
        jwk: r#"{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"ed25519-2026","x":"R3Vq7UcisRdtrJaqU3t6EhI6_gtyl8gCykcfRbm9ez4"}"#,
        parts: ["R3Vq7UcisRdtrJaqU3t6EhI6_gtyl8gCykcfRbm9ez4", ""],
        token: "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCIsImtpZCI6ImVkMjU1MTktMjAyNiJ9.eyJpc3MiOiJodHRwczovL3RlbmFudC03ZjNhLmV1LmxvZ2luLmV4YW1wbGUuY29tLyIsInN1YiI6ImF1dGgwfDY1ZjFjMGZmZWUwMDAwMDAwMDAwMDAwMSIsImF1ZCI6WyJodHRwczovL2FwaS5leGFtcGxlLmNvbS92MSIsImh0dHBzOi8vdGVuYW50LTdmM2EuZXUubG9naW4uZXhhbXBsZS5jb20vdXNlcmluZm8iXSwiaWF0IjoxODAwMDAwMDAwLCJleHAiOjE4MDAwODY0MDAsImF6cCI6Im1aOHFUajByWVZiNHhYN0xrUG5XYzIiLCJjbGllbnRfaWQiOiJtWjhxVGowcllWYjR4WDdMa1BuV2MyIiwianRpIjoiMDAwMDAwMDAwMDAwMDAwMDAwMDAwMSIsInNjb3BlIjoib3BlbmlkIHByb2ZpbGUgZW1haWwgcmVhZDpvcmRlcnMgd3JpdGU6b3JkZXJzIHJlYWQ6dXNlcnMiLCJwZXJtaXNzaW9ucyI6WyJyZWFkOm9yZGVycyIsIndyaXRlOm9yZGVycyIsInJlYWQ6dXNlcnMiLCJyZWFkOml0ZW1zIiwid3JpdGU6aXRlbXMiLCJhZG1pbjpub25lIl19.Is3pmPIQ7ViuUcn7I4jR5ZNktAVWC_UXdMhZMgTq9015A8BgdlZbwkNmR7OeC7LdDHKlhkNk3Pr1AsiBQYEcBQ",
    },
];
