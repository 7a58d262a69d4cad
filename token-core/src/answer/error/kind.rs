//! The table of every answer but "verified": from kind to name, status, code, gRPC status and the client's sentence (RFC 6750 section 3.1).

use std::fmt;

macro_rules! table {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $status:literal, $code:expr, $grpc:literal, $text:literal;)*) => {
        /// What went wrong, as a kind; new kinds may be added.
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
    /// Broken grammar, two credentials, two `Authorization` headers.
    InvalidRequest = "invalid_request", 400, Some("invalid_request"), 3, "the credentials are not well formed or were sent more than once";
    /// A cookie came with a request that another site made, or that does not say which: see [`CsrfRule`](crate::CsrfRule).
    CrossSite = "cross_site", 400, Some("invalid_request"), 3, "the request comes from another site, or does not say from which: no cookie is accepted with it";
    /// Not a token of any kind that is accepted here: size, encoding, JSON, or the type of a registered claim.
    Malformed = "malformed", 401, INVALID_TOKEN, 16, "the access token is malformed";
    /// The issuer is not in the registry.
    UnknownIssuer = "unknown_issuer", 401, INVALID_TOKEN, 16, "the issuer of the access token is not trusted here";
    /// The token was issued for somebody else.
    WrongAudience = "wrong_audience", 401, INVALID_TOKEN, 16, "the access token is for another audience";
    /// A token of another kind: an ID token, a logout token, a refresh token.
    WrongType = "wrong_type", 401, INVALID_TOKEN, 16, "this type of token is not accepted here";
    /// The signature algorithm is not one of those agreed with the issuer.
    AlgorithmNotAllowed = "algorithm_not_allowed", 401, INVALID_TOKEN, 16, "the signature algorithm is not allowed";
    /// The issuer publishes no such key.
    UnknownKey = "unknown_key", 401, INVALID_TOKEN, 16, "the access token is signed with an unknown key";
    /// The signature does not belong to this token and key.
    BadSignature = "bad_signature", 401, INVALID_TOKEN, 16, "the signature of the access token is invalid";
    /// The token is encrypted (RFC 7516), and none of this server's keys opens it, or not by what is agreed. One kind for all that may be wrong
    /// with it, so that nobody learns how far it got.
    Undecryptable = "undecryptable", 401, INVALID_TOKEN, 16, "the access token is encrypted and cannot be decrypted here";
    /// The ticket in the query is unknown, was used, is too old, or was bought for another path or origin. One kind for all of it.
    InvalidTicket = "invalid_ticket", 401, INVALID_TOKEN, 16, "the ticket is unknown, used, too old or for another place: get a new one";
    /// `exp` has passed.
    Expired = "expired", 401, INVALID_TOKEN, 16, "the access token expired";
    /// `nbf` has not come yet.
    NotYetValid = "not_yet_valid", 401, INVALID_TOKEN, 16, "the access token is not valid yet";
    /// Revoked, or its issuer says that it is not active.
    Inactive = "inactive", 401, INVALID_TOKEN, 16, "the access token is not active";
    /// A claim that is required is missing or not what is required.
    ClaimsMismatch = "claims_mismatch", 401, INVALID_TOKEN, 16, "the claims of the access token are not what is required here";
    /// The token is bound to a key or a certificate of its sender (`cnf`), or has to be here, and no proof of it was shown.
    SenderConstrained = "sender_constrained", 401, INVALID_TOKEN, 16, "the access token needs a proof of possession";
    /// The token came with a proof of possession, or has to be bound here, and is bound to nothing (RFC 9449 section 7.1).
    Unbound = "unbound", 401, INVALID_TOKEN, 16, "the access token is not bound to its sender";
    /// The DPoP proof is missing, sent twice, not well formed, not for this request and token, too old, or was used before
    /// (RFC 9449 section 4.3).
    InvalidDpopProof = "invalid_dpop_proof", 401, Some("invalid_dpop_proof"), 16, "the DPoP proof is not valid for this request";
    /// The DPoP proof is good but for its nonce; a fresh one goes with the answer (RFC 9449 section 9).
    DpopNonceRequired = "use_dpop_nonce", 401, Some("use_dpop_nonce"), 16, "the DPoP proof needs a nonce of this server";
    /// Verified, but not allowed to do this.
    InsufficientScope = "insufficient_scope", 403, Some("insufficient_scope"), 7, "the access token lacks a scope that is needed here";
    /// Verified and allowed, but the user has to sign in in another way or anew (RFC 9470).
    InsufficientUserAuthentication = "insufficient_user_authentication", 401, Some("insufficient_user_authentication"), 16, "this needs the user to sign in in another way, or anew";
    /// Verified, but its authorization details do not permit this (RFC 9396).
    InsufficientDetails = "insufficient_details", 403, Some("insufficient_scope"), 7, "the authorization details of the access token do not permit this";
    /// Keys or introspection are out of reach: our trouble, not the caller's fault.
    Unavailable = "unavailable", 503, None, 14, "the token cannot be verified right now";
    /// The token is good; a service that a handler needs to answer, such as the authorization server for a token on behalf of the caller, is
    /// out of reach.
    DownstreamUnavailable = "downstream_unavailable", 503, None, 14, "a service that is needed to answer is out of reach right now";
    /// A layer is missing, or the server is put together wrongly.
    Misconfigured = "misconfigured", 500, None, 13, "the server is misconfigured";
}

impl ErrorKind {
    /// The kind's stable name in snake case, for logs, metrics and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// The HTTP status that answers it.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.row().status
    }

    /// The `error` code of RFC 6750 section 3.1, where one applies.
    #[must_use]
    pub const fn code(self) -> Option<&'static str> {
        self.row().code
    }

    /// The gRPC status code that answers it: 16 unauthenticated, 7 permission denied, 3 invalid argument, 14 unavailable, 13 internal.
    #[must_use]
    pub const fn grpc_status(self) -> u8 {
        self.row().grpc
    }

    /// The one sentence that the client reads.
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
