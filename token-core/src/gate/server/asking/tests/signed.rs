//! Signed answers (RFC 9701, OpenID Connect Core section 5.3.2) are verified before they are believed.

use super::*;

/// A signed answer, with this header type and these changes to the envelope.
fn signed(typ: &str, envelope: Value, answer: Value) -> String {
    let mut claims = json!({"iss": ISSUER, "aud": "my-api", "iat": NOW, "token_introspection": answer});
    for (name, value) in envelope.as_object().unwrap() {
        claims[name] = value.clone();
    }
    sign(&json!({"alg": "HS256", "typ": typ}), &claims)
}

#[tokio::test]
async fn a_signed_answer_is_verified_before_it_is_believed() {
    use ErrorKind::*;
    const TYP: &str = "token-introspection+jwt";
    const MEDIA: &str = "application/token-introspection+jwt";
    let good = || active(json!({}));
    let table = [
        ("good", signed(TYP, json!({}), good()), None),
        ("for the audience", signed(TYP, json!({"aud": [AUDIENCE]}), good()), None),
        ("inactive", signed(TYP, json!({}), json!({"active": false})), Some(Inactive)),
        ("an access token's type", signed("at+jwt", json!({}), good()), Some(Unavailable)),
        ("no type", signed("JWT", json!({}), good()), Some(Unavailable)),
        ("another issuer", signed(TYP, json!({"iss": "https://other.example"}), good()), Some(Unavailable)),
        ("another audience", signed(TYP, json!({"aud": "other"}), good()), Some(Unavailable)),
        ("of yesterday", signed(TYP, json!({"iat": NOW - 86_400}), good()), Some(Unavailable)),
        ("of tomorrow", signed(TYP, json!({"iat": NOW + 86_400}), good()), Some(Unavailable)),
        ("a token's claims outside", signed(TYP, json!({"sub": "ada"}), good()), Some(Unavailable)),
        ("nothing inside", signed(TYP, json!({"token_introspection": 7}), good()), Some(Unavailable)),
        ("a lie inside", signed(TYP, json!({}), active(json!({"active": "true"}))), Some(Unavailable)),
        ("another audience inside", signed(TYP, json!({}), active(json!({"aud": "x"}))), Some(WrongAudience)),
        ("tampered", format!("{}AAAA", signed(TYP, json!({}), good())), Some(Unavailable)),
        ("not a JWT", "x".to_owned(), Some(Unavailable)),
    ];
    for (name, jwt, expected) in table {
        let endpoint = Endpoint::new();
        endpoint.answers("opaque", 200, MEDIA, jwt);
        let gate = gate(&endpoint, |tokens| tokens.require_signed_answers());
        assert_eq!(gate.refusal("opaque").await, expected, "{name}");
    }
    let endpoint = Endpoint::new();
    endpoint.says("opaque", &good());
    assert_eq!(gate(&endpoint, |tokens| tokens.require_signed_answers()).refusal("opaque").await, Some(Unavailable));
}

/// Answers with one signed userinfo response, whatever the token.
#[derive(Debug)]
struct SignedUserInfo(String);

impl OpaqueVerifier for SignedUserInfo {
    fn identity(&self) -> &str {
        "userinfo"
    }

    fn ask<'a>(&'a self, _: &'a str, _: Timestamp) -> BoxFuture<'a, Result<OpaqueAnswer, OpaqueError>> {
        Box::pin(std::future::ready(Ok(OpaqueAnswer::SignedUserInfo(self.0.clone()))))
    }
}

#[tokio::test]
async fn signed_userinfo_is_verified_and_is_no_other_kind_of_token() {
    let of = |typ: Option<&str>, more: Value| {
        let mut header = json!({"alg": "HS256"});
        if let Some(typ) = typ {
            header["typ"] = json!(typ);
        }
        let mut claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "ada"});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        sign(&header, &claims)
    };
    for (name, jwt, expected) in [
        ("good", of(None, json!({})), None),
        ("type JWT", of(Some("JWT"), json!({})), None),
        ("for another client", of(None, json!({"aud": "other"})), Some(ErrorKind::WrongAudience)),
        ("of another issuer", of(None, json!({"iss": "https://other.example"})), Some(ErrorKind::Unavailable)),
        ("an access token", of(Some("at+jwt"), json!({})), Some(ErrorKind::Unavailable)),
        ("a logout token", of(Some("logout+jwt"), json!({})), Some(ErrorKind::Unavailable)),
        ("tampered", format!("{}AAAA", of(None, json!({}))), Some(ErrorKind::Unavailable)),
        ("expired", of(None, json!({"exp": NOW - 60})), Some(ErrorKind::Expired)),
    ] {
        let gate = Gate::new_with(issuer().opaque_tokens(OpaqueTokens::verifier(SignedUserInfo(jwt))));
        assert_eq!(gate.refusal("opaque").await, expected, "{name}");
    }
}
