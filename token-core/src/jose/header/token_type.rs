//! The `typ` of a header in, which kind of token it claims to be out (RFC 7515 section 4.1.9, RFC 8725 section 3.11).

/// What a token says it is. Media types are compared without regard to case and to the prefix `application/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenType {
    /// It does not say.
    Absent,
    /// `JWT`: any claims set (RFC 7519 section 5.1).
    Jwt,
    /// `at+jwt`: an access token (RFC 9068 section 2.1).
    AccessToken,
    /// Something else, and so no access token.
    Other(OtherType),
}

/// The kinds of token that must not pass for access tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OtherType {
    /// `id_token+jwt`.
    IdToken,
    /// `logout+jwt` (OpenID Connect Back-Channel Logout section 2.4).
    Logout,
    /// `dpop+jwt` (RFC 9449 section 4.2).
    DpopProof,
    /// `token-introspection+jwt` (RFC 9701 section 5).
    Introspection,
    /// `secevent+jwt` (RFC 8417 section 2.3).
    SecurityEvent,
    /// `statuslist+jwt` (draft-ietf-oauth-status-list section 5.1).
    StatusList,
    /// `client-authentication+jwt` (RFC 7523bis).
    ClientAuthentication,
    /// `oauth-authz-req+jwt` (RFC 9101 section 10.8).
    AuthorizationRequest,
    /// A name that is not in this table.
    Unknown,
}

const NAMES: [(&str, TokenType); 10] = [
    ("jwt", TokenType::Jwt),
    ("at+jwt", TokenType::AccessToken),
    ("id_token+jwt", TokenType::Other(OtherType::IdToken)),
    ("logout+jwt", TokenType::Other(OtherType::Logout)),
    ("dpop+jwt", TokenType::Other(OtherType::DpopProof)),
    ("token-introspection+jwt", TokenType::Other(OtherType::Introspection)),
    ("secevent+jwt", TokenType::Other(OtherType::SecurityEvent)),
    ("statuslist+jwt", TokenType::Other(OtherType::StatusList)),
    ("client-authentication+jwt", TokenType::Other(OtherType::ClientAuthentication)),
    ("oauth-authz-req+jwt", TokenType::Other(OtherType::AuthorizationRequest)),
];

const PREFIX: &str = "application/";

impl TokenType {
    pub(crate) fn parse(typ: Option<&str>) -> Self {
        let Some(typ) = typ else { return Self::Absent };
        let name = match typ.split_at_checked(PREFIX.len()) {
            Some((prefix, name)) if prefix.eq_ignore_ascii_case(PREFIX) => name,
            _ => typ,
        };
        let row = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        row.map_or(Self::Other(OtherType::Unknown), |(_, kind)| *kind)
    }

    /// The name in the table, for operators; never text of the token.
    pub(crate) fn name(self) -> &'static str {
        match NAMES.iter().find(|(_, kind)| *kind == self) {
            Some((name, _)) => name,
            None if self == Self::Absent => "no type",
            None => "an unknown type",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_media_types() {
        for (typ, kind) in [
            (None, TokenType::Absent),
            (Some("JWT"), TokenType::Jwt),
            (Some("jwt"), TokenType::Jwt),
            (Some("application/jwt"), TokenType::Jwt),
            (Some("at+jwt"), TokenType::AccessToken),
            (Some("AT+JWT"), TokenType::AccessToken),
            (Some("application/at+jwt"), TokenType::AccessToken),
            (Some("Application/At+Jwt"), TokenType::AccessToken),
            (Some("application/application/at+jwt"), TokenType::Other(OtherType::Unknown)),
            (Some("text/at+jwt"), TokenType::Other(OtherType::Unknown)),
            (Some("at+jwt "), TokenType::Other(OtherType::Unknown)),
            (Some("at+jwt;x=y"), TokenType::Other(OtherType::Unknown)),
            (Some(""), TokenType::Other(OtherType::Unknown)),
            (Some("application/"), TokenType::Other(OtherType::Unknown)),
            (Some("applicatioñ/at+jwt"), TokenType::Other(OtherType::Unknown)),
            (Some("\u{212a}"), TokenType::Other(OtherType::Unknown)),
            (Some("Logout+JWT"), TokenType::Other(OtherType::Logout)),
            (Some("dpop+jwt"), TokenType::Other(OtherType::DpopProof)),
            (Some("secevent+jwt"), TokenType::Other(OtherType::SecurityEvent)),
            (Some("statuslist+jwt"), TokenType::Other(OtherType::StatusList)),
            (Some("application/StatusList+JWT"), TokenType::Other(OtherType::StatusList)),
            (Some("statuslist+cwt"), TokenType::Other(OtherType::Unknown)),
            (Some("token-introspection+jwt"), TokenType::Other(OtherType::Introspection)),
            (Some("client-authentication+jwt"), TokenType::Other(OtherType::ClientAuthentication)),
            (Some("oauth-authz-req+jwt"), TokenType::Other(OtherType::AuthorizationRequest)),
            (Some("id_token+jwt"), TokenType::Other(OtherType::IdToken)),
        ] {
            assert_eq!(TokenType::parse(typ), kind, "{typ:?}");
        }
        assert_eq!(TokenType::parse(Some("AT+jwt")).name(), "at+jwt");
        assert_eq!(TokenType::parse(Some("secret")).name(), "an unknown type");
    }
}
