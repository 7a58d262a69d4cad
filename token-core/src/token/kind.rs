//! What a token says of itself in, which kind of token it is out (RFC 8725 section 3.11): one table, so that no kind passes for another.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::claims::{Claims, IdTokenMark, KindClaim, Text};
use crate::jose::header::{OtherType, TokenType};

/// A kind of token. Each has rules of its own, and none is taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TokenKind {
    /// An access token for an API (RFC 6749 section 1.4, RFC 9068).
    Access,
    /// An access token that somebody uses on behalf of somebody else: it has `act` (RFC 8693 section 4.1).
    Delegation,
    /// A token for a management API whose maker is known by its audience alone: it has no `iss`.
    Management,
    /// An ID token: for the client that asked for it, about a login (OpenID Connect Core section 2).
    Id,
    /// A logout token (OpenID Connect Back-Channel Logout section 2.4).
    Logout,
    /// A refresh token: for the authorization server alone (RFC 6749 section 1.5).
    Refresh,
    /// An access token of an identity provider behind the issuer, for that provider's own API.
    IdentityProvider,
    /// A security event token: what happened to somebody (RFC 8417).
    SecurityEvent,
    /// A proof, an assertion: signed, but nothing that opens a door.
    Other,
}

impl TokenKind {
    /// What operators read, with its article: `an ID token`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Access => "an access token",
            Self::Delegation => "a delegation token",
            Self::Management => "a management token",
            Self::Id => "an ID token",
            Self::Logout => "a logout token",
            Self::Refresh => "a refresh token",
            Self::IdentityProvider => "an identity provider's own token",
            Self::SecurityEvent => "a security event token",
            Self::Other => "a token of another type",
        }
    }
}

impl fmt::Display for TokenKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A mark by which a token tells its kind, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) kind: TokenKind,
    pub(crate) place: &'static str,
}

/// The marks of header and claims, the strongest first. A token that carries marks of two kinds says two things of itself; both
/// are returned, and nobody believes either. `nonce_outranked`: a nonce is no mark beside an explicit one of an access token.
pub(crate) fn untrusted_marks(
    typ: Option<TokenType>,
    text: &Text,
    claims: &Claims,
    nonce_outranked: bool,
) -> (Option<Mark>, Option<Mark>) {
    // A logout token is a security event token of a type of its own; which one it is says the header alone (RFC 8417 section 2.3).
    let with_events = match typ {
        Some(TokenType::Other(OtherType::SecurityEvent)) => TokenKind::SecurityEvent,
        _ => TokenKind::Logout,
    };
    let word = claims.kind_word.map(|span| kind_word(claims.kind_claim, text.get(span)));
    let payload = claims.payload_typ.and_then(|span| payload_typ(text.get(span)));
    let header = typ.and_then(header_typ);
    let is_explicit = || [&word, &payload, &header].into_iter().flatten().any(|mark| mark.kind == TokenKind::Access);
    let marked_as_id = match claims.id_token_mark {
        IdTokenMark::Absent => false,
        IdTokenMark::Nonce => !(nonce_outranked && is_explicit()),
        IdTokenMark::Hash => true,
    };
    let marks = [
        claims.events.then_some(Mark { kind: with_events, place: "the claim events" }),
        word,
        payload,
        marked_as_id.then_some(Mark { kind: TokenKind::Id, place: "a claim nonce, at_hash or c_hash" }),
        header,
    ];
    let mut found = marks.into_iter().flatten();
    let first = found.next();
    (first, found.find(|other| Some(other.kind) != first.map(|mark| mark.kind)))
}

/// RFC 8725 section 3.11: explicit typing.
fn header_typ(typ: TokenType) -> Option<Mark> {
    let kind = match typ {
        TokenType::Absent | TokenType::Jwt => return None,
        TokenType::AccessToken => TokenKind::Access,
        TokenType::Other(OtherType::IdToken) => TokenKind::Id,
        TokenType::Other(OtherType::Logout) => TokenKind::Logout,
        TokenType::Other(OtherType::SecurityEvent) => TokenKind::SecurityEvent,
        TokenType::Other(_) => TokenKind::Other,
    };
    Some(Mark { kind, place: typ.name() })
}

/// The issuer's own word for the kind: of Cognito and Hydra (`token_use`), of servers on idpyoidc (`token_class`), and of libraries that sign
/// access and refresh tokens with one key (`token_type` of Simple JWT, `type` of Flask-JWT-Extended).
fn kind_word(claim: KindClaim, value: &str) -> Mark {
    let kind = match value {
        "access" | "access_token" => TokenKind::Access,
        "id" | "id_token" => TokenKind::Id,
        "refresh" | "refresh_token" => TokenKind::Refresh,
        _ => TokenKind::Other,
    };
    let place = match claim {
        KindClaim::TokenUse => "the claim token_use",
        KindClaim::TokenClass => "the claim token_class",
        KindClaim::TokenType => "the claim token_type",
        KindClaim::Type => "the claim type",
    };
    Mark { kind, place }
}

/// Keycloak's word for the kind. Others write their own things into a claim `typ`; a word that is not Keycloak's says nothing.
fn payload_typ(value: &str) -> Option<Mark> {
    let kind = match value {
        "Bearer" | "DPoP" => TokenKind::Access,
        "ID" => TokenKind::Id,
        "Refresh" | "Offline" => TokenKind::Refresh,
        "Logout" => TokenKind::Logout,
        "Serialized-ID" => TokenKind::Other,
        _ => return None,
    };
    Some(Mark { kind, place: "the claim typ" })
}

const PREFIXES: &[(&str, TokenKind, &str)] = &[
    ("ya29.", TokenKind::IdentityProvider, "Google"),
    ("1//", TokenKind::Refresh, "Google"),
    ("ghr_", TokenKind::Refresh, "GitHub"),
    ("gho_", TokenKind::IdentityProvider, "GitHub"),
    ("ghp_", TokenKind::IdentityProvider, "GitHub"),
    ("ghu_", TokenKind::IdentityProvider, "GitHub"),
    ("ghs_", TokenKind::IdentityProvider, "GitHub"),
    ("github_pat_", TokenKind::IdentityProvider, "GitHub"),
    ("glpat-", TokenKind::IdentityProvider, "GitLab"),
    ("EAA", TokenKind::IdentityProvider, "Facebook"),
    ("xoxb-", TokenKind::IdentityProvider, "Slack"),
    ("xoxp-", TokenKind::IdentityProvider, "Slack"),
    ("xoxe-", TokenKind::Refresh, "Slack"),
    ("ory_rt_", TokenKind::Refresh, "Ory"),
    ("v1.M", TokenKind::Refresh, "Auth0"),
];

/// A token that is no JWT and by its beginning somebody else's: what it is, and whose. Beginnings as their makers document them.
pub(crate) fn untrusted_prefix(token: &[u8]) -> Option<(TokenKind, &'static str)> {
    PREFIXES.iter().find(|(prefix, ..)| token.starts_with(prefix.as_bytes())).map(|(_, kind, whose)| (*kind, *whose))
}

/// Whether it starts as only somebody else's tokens do: a beginning too long to come about by chance.
pub(crate) fn is_marked_foreign(token: &[u8]) -> bool {
    PREFIXES.iter().any(|(prefix, ..)| prefix.len() > 3 && token.starts_with(prefix.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(typ: TokenType, json: &str) -> (Option<TokenKind>, Option<TokenKind>) {
        let (text, claims) = crate::claims::parse(json.to_owned(), "").unwrap();
        let (first, second) = untrusted_marks(Some(typ), &text, &claims, false);
        (first.map(|mark| mark.kind), second.map(|mark| mark.kind))
    }

    #[test]
    fn a_refresh_token_that_is_a_jwt_tells_itself_by_its_class() {
        use TokenKind::*;
        for (class, expected) in [
            ("access_token", Some(Access)),
            ("id_token", Some(Id)),
            ("refresh_token", Some(Refresh)),
            ("authorization_code", Some(Other)),
            ("gold", None),
        ] {
            assert_eq!(
                marks(TokenType::Absent, &format!(r#"{{"token_class":"{class}"}}"#)),
                (expected, None),
                "{class}"
            );
        }
        for json in [r#"{"token_class":"gold","token_use":"id"}"#, r#"{"token_use":"id","token_class":"gold"}"#] {
            assert_eq!(marks(TokenType::Absent, json), (Some(Id), None), "{json}");
        }
        let both = marks(TokenType::AccessToken, r#"{"token_class":"refresh_token"}"#);
        assert_eq!(both, (Some(Refresh), Some(Access)), "two words, and neither is believed");
    }

    #[test]
    fn each_mark_names_its_kind() {
        use TokenKind::*;
        for (typ, json, expected) in [
            (TokenType::Jwt, "{}", None),
            (TokenType::Absent, r#"{"typ":"JWT"}"#, None),
            (TokenType::AccessToken, "{}", Some(Access)),
            (TokenType::Jwt, r#"{"typ":"Bearer"}"#, Some(Access)),
            (TokenType::Jwt, r#"{"token_use":"access"}"#, Some(Access)),
            (TokenType::Jwt, r#"{"token_use":"id"}"#, Some(Id)),
            (TokenType::Jwt, r#"{"typ":"ID"}"#, Some(Id)),
            (TokenType::Jwt, r#"{"at_hash":"x"}"#, Some(Id)),
            (TokenType::Jwt, r#"{"typ":"Refresh"}"#, Some(Refresh)),
            (TokenType::Jwt, r#"{"typ":"Offline"}"#, Some(Refresh)),
            (TokenType::Jwt, r#"{"events":{}}"#, Some(Logout)),
            (TokenType::Jwt, r#"{"token_type":"refresh"}"#, Some(Refresh)),
            (TokenType::Jwt, r#"{"token_type":"access"}"#, Some(Access)),
            (TokenType::Jwt, r#"{"token_type":"Bearer"}"#, None),
            (TokenType::Jwt, r#"{"type":"refresh"}"#, Some(Refresh)),
            (TokenType::Jwt, r#"{"type":"access"}"#, Some(Access)),
            (TokenType::Jwt, r#"{"type":"customer"}"#, None),
            (TokenType::Jwt, r#"{"type":7}"#, None),
            (TokenType::Jwt, r#"{"type":"refresh","token_type":"Bearer"}"#, Some(Refresh)),
            (TokenType::Jwt, r#"{"type":"refresh","token_type":"access"}"#, Some(Refresh)),
            (TokenType::Jwt, r#"{"token_type":"access","type":"refresh"}"#, Some(Refresh)),
            (TokenType::Other(OtherType::Logout), "{}", Some(Logout)),
            (TokenType::Other(OtherType::DpopProof), "{}", Some(Other)),
            (TokenType::Other(OtherType::StatusList), "{}", Some(Other)),
        ] {
            assert_eq!(marks(typ, json), (expected, None), "{typ:?} {json}");
        }
    }

    #[test]
    fn an_explicit_mark_outranks_a_nonce_where_that_is_said_and_nothing_else_does() {
        use TokenKind::*;
        let typed = |typ, json: &str, outranked| {
            let (text, claims) = crate::claims::parse(json.to_owned(), "").unwrap();
            let (first, second) = untrusted_marks(Some(typ), &text, &claims, outranked);
            (first.map(|mark| mark.kind), second.map(|mark| mark.kind))
        };
        let both = (Some(Access), Some(Id));
        for (typ, json, by_default, outranked) in [
            (TokenType::Jwt, r#"{"nonce":"n","typ":"Bearer"}"#, both, (Some(Access), None)),
            (TokenType::Jwt, r#"{"nonce":"n","typ":"DPoP"}"#, both, (Some(Access), None)),
            (TokenType::Jwt, r#"{"nonce":"n","token_use":"access"}"#, both, (Some(Access), None)),
            (TokenType::AccessToken, r#"{"nonce":"n"}"#, (Some(Id), Some(Access)), (Some(Access), None)),
            // a guess stays one where nothing outranks it
            (TokenType::Jwt, r#"{"nonce":"n"}"#, (Some(Id), None), (Some(Id), None)),
            (TokenType::Jwt, r#"{"nonce":"n","typ":"ID"}"#, (Some(Id), None), (Some(Id), None)),
            (TokenType::Jwt, r#"{"nonce":"n","typ":"Refresh"}"#, (Some(Refresh), Some(Id)), (Some(Refresh), Some(Id))),
            // and hashes are of ID tokens alone
            (TokenType::Jwt, r#"{"nonce":"n","at_hash":"h","typ":"Bearer"}"#, both, both),
            (TokenType::Jwt, r#"{"c_hash":"h","nonce":"n","typ":"Bearer"}"#, both, both),
        ] {
            assert_eq!(typed(typ, json, false), by_default, "{json}");
            assert_eq!(typed(typ, json, true), outranked, "{json}, outranked");
        }
    }

    #[test]
    fn a_token_that_says_two_things_is_caught() {
        let (first, second) = marks(TokenType::AccessToken, r#"{"nonce":"n"}"#);
        assert_eq!((first, second), (Some(TokenKind::Id), Some(TokenKind::Access)));
        let (first, second) = marks(TokenType::Jwt, r#"{"events":{},"typ":"Bearer"}"#);
        assert_eq!((first, second), (Some(TokenKind::Logout), Some(TokenKind::Access)));
    }

    #[test]
    fn foreign_tokens_are_known_by_their_beginning() {
        for (token, expected) in [
            ("ya29.a0AfH6SMB", Some((TokenKind::IdentityProvider, "Google"))),
            ("gho_16C7e42F292c", Some((TokenKind::IdentityProvider, "GitHub"))),
            ("EAACEdEose0cBA", Some((TokenKind::IdentityProvider, "Facebook"))),
            ("1//0gxyz", Some((TokenKind::Refresh, "Google"))),
            ("eyJhbGciOiJIUzI1NiJ9.e30.AA", None),
            ("Ya29.a", None),
        ] {
            assert_eq!(untrusted_prefix(token.as_bytes()), expected, "{token}");
        }
    }
}
