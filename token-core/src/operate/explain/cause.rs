//! A failed check and what the token says in, the likely cause out: fixed sentences, without any value of the token.

use std::time::Duration;

use super::look::Look;
use crate::answer::check::Check;
use crate::answer::error::ErrorKind;
use crate::base::time::Timestamp;
use crate::jose::Algorithm;
use crate::keys::discovery::two_addresses;
use crate::policy::Policy;

type Cause = Option<&'static str>;

const PADDED: &str =
    "its parts are padded with =, as AWS load balancers write them: accept_padding takes such tokens of this issuer";

pub(super) fn of(kind: ErrorKind, check: Check, look: &Look<'_>, policy: &Policy, now: Timestamp) -> Cause {
    match check {
        Check::Form if kind == ErrorKind::Undecryptable => Some(sealed(look, policy)),
        Check::Form => form(look, policy),
        Check::Claims | Check::Header if look.is_padded() => Some(PADDED),
        Check::Claims if look.claims.get("sub").is_some_and(serde_json::Value::is_number) => Some(
            "the issuer writes sub as a number, where a string is due: accept_numeric_subjects takes whole numbers of this issuer",
        ),
        // Where they can be read, it is one of them that is not what its specification says.
        Check::Claims if look.claims.is_object() => Some(
            "a claim is of another JSON type than its specification says, or is there twice: the issuer's own doing",
        ),
        Check::Claims => Some("a token is base64url without padding; it may have been cut off, re-encoded or edited"),
        Check::Issuer => issuer(look, policy),
        Check::Algorithm => algorithm(look, policy),
        Check::Type => token_type(look, policy),
        Check::Audience => audience(look, policy),
        Check::Expiry => expiry(look, policy, now),
        Check::NotBefore => Some("the issuer's clock is ahead of this one, or the token was made to be used later"),
        Check::Binding => binding(look),
        Check::Profile => Some(profile(look, policy)),
        Check::Key => key(kind, look),
        Check::Signature => Some(
            "the token was changed after it was signed, or comes from another environment whose issuer uses the same name and kid",
        ),
        Check::Proof => proof(kind, look),
        Check::Credentials => pasted(look),
        Check::Demands if kind == ErrorKind::Unavailable => Some(UNASKED),
        Check::Size | Check::Header | Check::Demands => None,
    }
}

/// What is said otherwise where an ID token is expected, by the client that it was issued to.
pub(super) fn of_id_token(check: Check, look: &Look<'_>) -> Cause {
    let typ = look.header_text("typ").unwrap_or_default().to_ascii_lowercase();
    match check {
        Check::Type if look.has("events") || typ.contains("logout") => None,
        Check::Type if look.has_refresh_word() => {
            Some("this is a refresh token: the ID token is the value of id_token in the same answer")
        }
        Check::Type => Some(
            "this is no ID token: that is the value of id_token in the token endpoint's answer, not of access_token",
        ),
        Check::Audience if look.names("aud").iter().any(|name| name.contains("://")) => Some(
            "the audience is an API: this is an access token, or the issuer was asked for one in the ID token's place",
        ),
        Check::Audience => Some("the ID token was issued to another client: compare aud with the client's id"),
        Check::Profile if look.has("azp") && look.names("aud").len() > 1 => {
            Some("the ID token was asked for by another client (azp), and merely names this one too")
        }
        Check::Demands => Some(
            "the ID token is not of this login: nonce, hashes or times are of another one, or what the client remembers of it was lost",
        ),
        _ => None,
    }
}

const UNASKED: &str =
    "the endpoint that knows the token, or a store, could not be asked: nothing is wrong with the token so far";

/// What came along when a token was copied from somewhere.
fn pasted(look: &Look<'_>) -> Cause {
    let text = look.token.trim();
    if text.starts_with('{') {
        Some("this is a whole answer of a token endpoint: the token is the value of access_token in it")
    } else if text.starts_with(['"', '\'']) {
        Some("there are quotes around the token")
    } else if text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("bearer ")) {
        Some("the word Bearer belongs to the header field and not to the token")
    } else if text.contains(char::is_whitespace) {
        Some("there are blanks or line breaks in the token: it was wrapped when it was copied")
    } else {
        None
    }
}

fn profile(look: &Look<'_>, policy: &Policy) -> &'static str {
    let strict = look.text("iss").and_then(|iss| policy.issuer(iss)).is_some_and(|issuer| issuer.rfc9068);
    if look.text("sub") == Some("") {
        "the issuer writes an empty sub: it names nobody"
    } else if look.names("aud").len() > 1 && !look.has("azp") && !strict {
        "an ID token for several clients says in azp which of them asked for it: the issuer leaves that out"
    } else if strict {
        "the issuer does not write RFC 9068 access tokens: leave out rfc9068, or switch it on at the issuer"
    } else {
        "the issuer leaves out a claim that this kind of token always has"
    }
}

fn form(look: &Look<'_>, policy: &Policy) -> Cause {
    if let Some(pasted) = pasted(look) {
        return Some(pasted);
    }
    Some(match look.parts() {
        1 => "an opaque token, or only a part of one: it is verified by introspection, not with keys",
        2 => "the signature is missing: the token was cut off",
        5 => {
            "an encrypted token (JWE): name the key it is encrypted to (encrypted_tokens), or ask the issuer for signed ones"
        }
        3 if policy.encrypted_tokens.as_ref().is_some_and(|ours| ours.required) => {
            "the issuer does not encrypt yet (id_token_encrypted_response_alg of the client, or its setting for the API): have it encrypt, or leave out required"
        }
        _ => "not a token, or more than one",
    })
}

/// What kept an encrypted token shut, by its header and by which keys there are.
fn sealed(look: &Look<'_>, policy: &Policy) -> &'static str {
    let header = look.cover().unwrap_or_default();
    let text = |name: &str| header.get(name).and_then(serde_json::Value::as_str);
    let Some(ours) = &policy.encrypted_tokens else { return "no key is named that encrypted tokens are opened with" };
    let Some(alg) = text("alg").and_then(|alg| alg.parse().ok()) else {
        return "the issuer encrypts by an alg that is never accepted: ask the issuer for RSA-OAEP-256, ECDH-ES or dir";
    };
    if header.get("zip").is_some() {
        return "the issuer compresses what it encrypts: ask the issuer for tokens without zip";
    }
    if !text("cty").is_some_and(|cty| cty.to_ascii_lowercase().ends_with("jwt")) {
        return "the issuer does not say that a signed token is within: ask the issuer for nested JWTs, whose cty is JWT";
    }
    let mut of_alg = ours.keys.iter().filter(|key| key.algorithm == alg).peekable();
    if of_alg.peek().is_none() {
        return "the keys of this server are for another alg: name one for the token's, or have the issuer encrypt by theirs";
    }
    // A JWK brings its name with it, which the policy does not show.
    let named =
        |key: &crate::policy::DecryptionKeyPolicy| key.kid.as_deref().is_none_or(|kid| Some(kid) == text("kid"));
    if text("kid").is_some() && !of_alg.any(named) {
        return "this server has no key of that name: it was removed before its tokens had expired, or they are for another server";
    }
    "the key of that name is another one, its enc is not agreed, or the token was changed on its way"
}

/// How two names that should be equal differ, if by little.
fn differs(seen: &str, expected: &str) -> Cause {
    let bare = |name: &str| name.trim_end_matches('/').to_ascii_lowercase();
    let without_scheme = |name: &str| bare(name).split_once("://").map(|(_, rest)| rest.to_owned());
    if seen.trim_end_matches('/') == expected.trim_end_matches('/') {
        Some("differs only by a trailing slash")
    } else if seen.trim() == expected.trim() {
        Some("differs only by a blank at an end")
    } else if bare(seen) == bare(expected) {
        Some("differs only in upper and lower case")
    } else if without_scheme(seen).is_some() && without_scheme(seen) == without_scheme(expected) {
        Some("differs only by http and https")
    } else if without_scheme(seen).as_deref() == Some(&bare(expected))
        || without_scheme(expected).as_deref() == Some(&bare(seen))
    {
        Some("differs only by the scheme https://")
    } else {
        None
    }
}

fn issuer(look: &Look<'_>, policy: &Policy) -> Cause {
    let Some(seen) = look.text("iss") else { return Some("the token does not say who issued it") };
    let near = policy.issuers.iter().find_map(|issuer| differs(seen, &issuer.issuer));
    let host = |name: &str| url::Url::parse(name).ok().and_then(|url| url.host_str().map(str::to_owned));
    let here =
        |name: Option<String>| name.is_some_and(|host| matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]"));
    let same_host = || policy.issuers.iter().any(|issuer| host(seen).is_some() && host(&issuer.issuer) == host(seen));
    let port = |name: &str| url::Url::parse(name).ok().and_then(|url| url.port_or_known_default());
    let same_port =
        || policy.issuers.iter().any(|issuer| host(&issuer.issuer) == host(seen) && port(&issuer.issuer) == port(seen));
    let two_addresses = || policy.issuers.iter().any(|issuer| two_addresses(seen, &issuer.issuer).is_some());
    near.or_else(|| {
        if !same_host() && policy.issuers.len() == 1 && two_addresses() && url::Url::parse(seen).is_ok_and(|url| url.path().len() > 1) {
            Some(
                "the same path at another host: one issuer with two addresses? Trust the name in iss, and let reached_at be the address it has here",
            )
        } else if same_host() && !same_port() {
            Some("the same host with another port: another service, or an issuer that does not know its public address")
        } else if same_host() {
            Some("the same host with another path: another realm, tenant or version of the issuer")
        } else if here(host(seen)) {
            Some("the token is from an issuer on a developer's machine")
        } else {
            Some("the token is from another issuer or environment")
        }
    })
}

fn algorithm(look: &Look<'_>, policy: &Policy) -> Cause {
    let agreed = look.text("iss").and_then(|iss| policy.issuer(iss)).and_then(|issuer| issuer.algorithms);
    let by_secret = agreed.is_some_and(|agreed| agreed.iter().any(Algorithm::is_symmetric));
    match look.header_text("alg") {
        Some(alg) if alg.eq_ignore_ascii_case("none") => Some("the token is not signed at all"),
        Some(alg) if Algorithm::from_name(alg).is_none() => {
            Some("alg is not the name of a signature algorithm as RFC 7518 spells them: upper and lower case count")
        }
        Some(alg) if alg.starts_with("HS") && by_secret => Some(
            "signed with a shared secret by another HS algorithm than was agreed: add it to algorithms, or change it at the issuer",
        ),
        Some(alg) if alg.starts_with("HS") => Some(
            "signed with a shared secret, while public keys are expected: a setting of the client or API at the issuer",
        ),
        _ => Some(
            "the issuer signs with another algorithm than was agreed: add it to algorithms, or change it at the issuer",
        ),
    }
}

fn token_type(look: &Look<'_>, policy: &Policy) -> Cause {
    let trusted = look.text("iss").and_then(|iss| policy.issuer(iss));
    let id_marks = ["nonce", "at_hash", "c_hash"].iter().any(|claim| look.has(claim));
    let word = |value: &str| {
        look.text("token_use") == Some(value) || look.text("typ").is_some_and(|typ| typ.eq_ignore_ascii_case(value))
    };
    let typ = look.header_text("typ").unwrap_or_default().to_ascii_lowercase();
    let is_marked = matches!(typ.as_str(), "at+jwt" | "application/at+jwt")
        || matches!(look.text("typ"), Some("Bearer" | "DPoP"))
        || ["token_use", "token_class", "token_type", "type"]
            .iter()
            .any(|claim| matches!(look.text(claim), Some("access" | "access_token")));
    let hashed = look.has("at_hash") || look.has("c_hash");
    if look.has("events") || typ.contains("logout") {
        Some("this is a logout token or a security event")
    } else if look.has("nonce") && !hashed && is_marked {
        Some(
            "an access token with a nonce, as Keycloak before 25 writes it: accept_nonce_in_access_tokens lets its explicit type outrank the nonce",
        )
    } else if id_marks || word("id") {
        Some("this is an ID token: send the access token instead")
    } else if word("refresh") || word("offline") || look.has_refresh_word() {
        Some("this is a refresh token: send the access token instead")
    } else if typ.contains("dpop") {
        Some("this is a DPoP proof, not the token it goes with")
    } else if (typ.is_empty() || typ == "jwt") && trusted.is_some_and(|issuer| issuer.strict && !issuer.rfc9068) {
        Some(
            "the issuer does not mark its access tokens: leave out strict and require a claim that only they have, or let it write at+jwt",
        )
    } else if typ.is_empty() || typ == "jwt" {
        Some("the issuer does not mark its access tokens as at+jwt: leave out rfc9068, or switch it on at the issuer")
    } else {
        Some("this is another kind of token")
    }
}

fn audience(look: &Look<'_>, policy: &Policy) -> Cause {
    let seen = look.names("aud");
    let ours: Vec<String> = look
        .text("iss")
        .and_then(|iss| policy.issuer(iss))
        .map_or_else(|| policy.audience.clone(), |issuer| policy.audience_of(issuer));
    let near = seen.iter().find_map(|seen| ours.iter().find_map(|ours| differs(seen, ours)));
    let client = look.text("client_id").or_else(|| look.text("azp"));
    near.or_else(|| {
        let is_cognito = || look.text("iss").is_some_and(|iss| iss.starts_with("https://cognito-idp."));
        if seen.is_empty() && look.text("token_use") == Some("access") && is_cognito() {
            Some("Cognito writes no aud into access tokens, unless a resource is bound to them")
        } else if seen.is_empty() {
            Some("the token names no audience: the client asked for no API, or the issuer was not told of it")
        } else if seen == ["account"] {
            Some("Keycloak writes account until an audience mapper for this API is added")
        } else if seen.iter().any(|name| name.ends_with("/userinfo")) {
            Some("the client asked the issuer for no API of its own: Auth0 wants the parameter audience")
        } else if seen.len() == 1 && client == seen.first().copied() {
            Some("the audience is the client itself: this is an ID token, or the client asked for no API")
        } else {
            Some("the token was issued for another API")
        }
    })
}

fn expiry(look: &Look<'_>, policy: &Policy, now: Timestamp) -> Cause {
    let Some(expires) = look.date("exp") else { return Some("the issuer was told to make tokens that never end") };
    let ago = now.since(expires);
    let leeway = look.text("iss").and_then(|iss| policy.issuer(iss)).map(|issuer| issuer.leeway);
    if look.life().is_some_and(|life| life.is_zero()) {
        Some("the token had ended when it was issued")
    } else if look.life().zip(leeway).is_some_and(|(life, leeway)| life < leeway) {
        Some("the token lives shorter than the leeway")
    } else if ago < Duration::from_secs(300) {
        Some("it ended a moment ago: the client should renew it earlier, or a clock is wrong")
    } else if ago < Duration::from_secs(86_400) {
        Some("the client goes on using an old token: renew it, or look at the client's clock")
    } else {
        Some("an old token: was it copied from somewhere?")
    }
}

fn binding(look: &Look<'_>) -> Cause {
    let bound_by = |member: &str| look.claims.get("cnf").is_some_and(|cnf| cnf.get(member).is_some());
    if bound_by("jkt") {
        Some("a DPoP token: its proof is checked where dpop is configured")
    } else if bound_by("x5t#S256") {
        Some("a token bound to the client's TLS certificate, which is checked where mutual_tls is configured")
    } else {
        Some("the token is bound to a key of its sender")
    }
}

fn proof(kind: ErrorKind, look: &Look<'_>) -> Cause {
    match kind {
        ErrorKind::Unbound if look.has("cnf") => {
            Some("the token was sent with the scheme DPoP and is bound to a certificate, or the other way round")
        }
        ErrorKind::Unbound => {
            Some("the client asked its authorization server for a token without a proof: it got a bearer token")
        }
        ErrorKind::DpopNonceRequired => {
            Some("the client has no nonce of this server yet, or an old one: it has to try again with the one sent")
        }
        ErrorKind::SenderConstrained => Some(
            "the token was sent as a bearer token: expected the scheme DPoP and a proof, or the client's certificate",
        ),
        ErrorKind::Unavailable => {
            Some("the memory of proofs is full or out of reach: nothing is wrong with token and proof")
        }
        _ => Some(
            "the client makes one proof for each request, with its method and public address, and by the key that the token is bound to",
        ),
    }
}

fn key(kind: ErrorKind, look: &Look<'_>) -> Cause {
    match (kind, look.header_text("kid")) {
        (ErrorKind::Unavailable, _) if look.is_opaque() => Some(UNASKED),
        (ErrorKind::Unavailable, _) => {
            Some("the issuer's keys could not be fetched: nothing is wrong with the token so far")
        }
        (ErrorKind::AlgorithmNotAllowed, _) => {
            Some("the header's alg is not that of the key: the token was edited, or made by a broken client")
        }
        (_, None) => Some("the token names no key and not exactly one of the published keys fits"),
        _ => Some("the key was withdrawn, or the token comes from another environment of the same name"),
    }
}
