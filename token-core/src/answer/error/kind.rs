//! The table of every answer but "verified": from kind to name, status, code, gRPC status and the client's sentence (RFC 6750 section 3.1).

use std::fmt;

macro_rules! table {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $status:literal, $code:expr, $grpc:literal, $text:literal;)*) => {
        /// Why a request was refused. Each kind has a fixed HTTP status, error code, gRPC status and sentence for the client. New kinds may be added.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind { $($(#[$doc])* $kind,)* }

        impl ErrorKind {
            /// Every kind there is, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            const fn row(self) -> Row {
                match self { $(Self::$kind => Row { name: $name, status: $status, code: $code, grpc: $grpc, text: $text },)* }
            }
        }
    };
}

struct Row {
    name: &'static str,
    status: u16,
    code: Option<&'static str>,
    grpc: u8,
    text: &'static str,
}

const INVALID_TOKEN: Option<&str> = Some("invalid_token");

table! {
    /// No credentials were sent. 401 with a bare challenge: RFC 6750 wants no error code when nothing was sent.
    MissingToken = "missing_token", 401, None, 16, "this resource needs an access token";
    /// The credentials cannot be read: bad syntax, two different tokens, or more than one `Authorization` header.
    InvalidRequest = "invalid_request", 400, Some("invalid_request"), 3, "the credentials are not well formed or were sent more than once";
    /// A token in a cookie, with a request that comes from another site or does not say from which: see [`CsrfRule`](crate::CsrfRule).
    CrossSite = "cross_site", 400, Some("invalid_request"), 3, "the request comes from another site, or does not say from which: no cookie is accepted with it";
    /// Not a token that can be read: its size, encoding or JSON is wrong, or a registered claim has the wrong JSON type. Also an opaque token where none is accepted.
    Malformed = "malformed", 401, INVALID_TOKEN, 16, "the access token is malformed";
    /// The issuer is not one of those that this server trusts.
    UnknownIssuer = "unknown_issuer", 401, INVALID_TOKEN, 16, "the issuer of the access token is not trusted here";
    /// The token is for another API: `aud` does not name this one.
    WrongAudience = "wrong_audience", 401, INVALID_TOKEN, 16, "the access token is for another audience";
    /// A token of another type, such as an ID token, a logout token or a refresh token.
    WrongType = "wrong_type", 401, INVALID_TOKEN, 16, "this type of token is not accepted here";
    /// The signature algorithm is not allowed for this issuer.
    AlgorithmNotAllowed = "algorithm_not_allowed", 401, INVALID_TOKEN, 16, "the signature algorithm is not allowed";
    /// The issuer does not publish the key that the token names.
    UnknownKey = "unknown_key", 401, INVALID_TOKEN, 16, "the access token is signed with an unknown key";
    /// The signature is wrong: the token was changed, or signed with another key.
    BadSignature = "bad_signature", 401, INVALID_TOKEN, 16, "the signature of the access token is invalid";
    /// The token is encrypted (RFC 7516) and this server cannot decrypt it, or not by an algorithm that is allowed. One kind for every cause, so that an
    /// attacker does not learn how far it got.
    Undecryptable = "undecryptable", 401, INVALID_TOKEN, 16, "the access token is encrypted and cannot be decrypted here";
    /// The ticket in the query is unknown, used, too old, or was issued for another path or origin. One kind for every cause.
    InvalidTicket = "invalid_ticket", 401, INVALID_TOKEN, 16, "the ticket is unknown, used, too old or for another place: get a new one";
    /// `exp` has passed.
    Expired = "expired", 401, INVALID_TOKEN, 16, "the access token expired";
    /// `nbf` is in the future.
    NotYetValid = "not_yet_valid", 401, INVALID_TOKEN, 16, "the access token is not valid yet";
    /// The token was revoked, or its issuer says that it is not active.
    Inactive = "inactive", 401, INVALID_TOKEN, 16, "the access token is not active";
    /// A required claim is missing or has another value.
    ClaimsMismatch = "claims_mismatch", 401, INVALID_TOKEN, 16, "the claims of the access token are not what is required here";
    /// The token is bound to a key or certificate of its sender (`cnf`), or must be here, and the request proves no possession.
    SenderConstrained = "sender_constrained", 401, INVALID_TOKEN, 16, "the access token needs a proof of possession";
    /// The token is not bound to its sender, but came with a proof of possession or must be bound here (RFC 9449 section 7.1).
    Unbound = "unbound", 401, INVALID_TOKEN, 16, "the access token is not bound to its sender";
    /// The DPoP proof is missing, sent twice, not well formed, not for this request and token, too old, or was used before
    /// (RFC 9449 section 4.3).
    InvalidDpopProof = "invalid_dpop_proof", 401, Some("invalid_dpop_proof"), 16, "the DPoP proof is not valid for this request";
    /// The DPoP proof is good except for its nonce. The answer carries a fresh one (RFC 9449 section 9).
    DpopNonceRequired = "use_dpop_nonce", 401, Some("use_dpop_nonce"), 16, "the DPoP proof needs a nonce of this server";
    /// The token is good but lacks a scope or a role that the route requires.
    InsufficientScope = "insufficient_scope", 403, Some("insufficient_scope"), 7, "the access token lacks a scope that is needed here";
    /// The token is good, but the user must sign in again or by another method (RFC 9470).
    InsufficientUserAuthentication = "insufficient_user_authentication", 401, Some("insufficient_user_authentication"), 16, "this needs the user to sign in in another way, or anew";
    /// The token is good, but its authorization details do not permit this (RFC 9396).
    InsufficientDetails = "insufficient_details", 403, Some("insufficient_scope"), 7, "the authorization details of the access token do not permit this";
    /// The token could not be checked, because keys, an introspection endpoint or a store are unreachable. Not the caller's fault, so 503 and never 401.
    Unavailable = "unavailable", 503, None, 14, "the token cannot be verified right now";
    /// The token is good, but a service that the handler needs is unreachable, such as the authorization server when a token is exchanged.
    DownstreamUnavailable = "downstream_unavailable", 503, None, 14, "a service that is needed to answer is out of reach right now";
    /// The server is set up wrongly: an extractor without its layer, for example. The log says what is missing.
    Misconfigured = "misconfigured", 500, None, 13, "the server is misconfigured";
}

impl ErrorKind {
    /// The kind's stable name in snake case, for logs, metrics and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// The HTTP status of the response.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.row().status
    }

    /// Whether the server is at fault and not whoever asked: status 500 or more. What was asked may be good, and may come again.
    #[must_use]
    pub const fn is_server_fault(self) -> bool {
        self.status() >= 500
    }

    /// The `error` code of RFC 6750 section 3.1, where one applies.
    #[must_use]
    pub const fn code(self) -> Option<&'static str> {
        self.row().code
    }

    /// The gRPC status code of the response: 16 unauthenticated, 7 permission denied, 3 invalid argument, 14 unavailable, 13 internal.
    #[must_use]
    pub const fn grpc_status(self) -> u8 {
        self.row().grpc
    }

    /// The fixed sentence that the client gets. It never depends on the token.
    #[must_use]
    pub const fn public_text(self) -> &'static str {
        self.row().text
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
