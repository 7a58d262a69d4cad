//! A verified token in, the header fields that the service behind the proxy reads out: listed claims only, encoded, bounded, always sent.

use http::{HeaderName, HeaderValue};
use token_core::Verified;
use token_core::policy::gate::{HeaderPolicy, UpstreamPolicy};

use super::claim::Source;

/// The longest value of a header field, in bytes, where the policy says nothing else.
const LONGEST: usize = 1024;
/// The most header fields.
const MOST: usize = 32;

/// What the service is told.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) fields: Box<[Field]>,
}

/// One header field.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: HeaderName,
    source: Source,
    max: usize,
}

/// A value that is longer than its field may be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong {
    pub(crate) name: HeaderName,
    pub(crate) max: usize,
}

impl Upstream {
    /// # Errors
    /// Which header field cannot be written, and why.
    pub(crate) fn new(policy: &UpstreamPolicy) -> Result<Self, String> {
        if policy.headers.len() > MOST {
            return Err(format!("gate.upstream.headers: expected at most {MOST} header fields"));
        }
        let mut fields: Vec<Field> = Vec::new();
        for (name, source) in &policy.headers {
            let field = Field::new(name, source).map_err(|why| format!("gate.upstream.headers.{name}: {why}"))?;
            if fields.iter().any(|other| other.name == field.name) {
                return Err(format!("gate.upstream.headers.{name}: named twice, since case does not matter"));
            }
            fields.push(field);
        }
        Ok(Self { fields: fields.into() })
    }

    /// Every field with its value, empty where there is no token or the token says nothing.
    ///
    /// # Errors
    /// [`TooLong`]: a claim is longer than its field may be. It is never cut: half a list of groups is another list.
    pub(crate) fn values(&self, token: Option<&Verified>) -> Result<Vec<(HeaderName, HeaderValue)>, TooLong> {
        self.fields.iter().map(|field| Ok((field.name.clone(), field.value(token)?))).collect()
    }

    /// Whether servers that do not tell `-` from `_` (CGI, WSGI) would take a client's field of this name for one of ours.
    pub(crate) fn is_lookalike(&self, name: &str) -> bool {
        let alike = |ours: &str| {
            ours.len() == name.len()
                && ours.bytes().zip(name.bytes()).all(|(our, their)| match our {
                    b'-' | b'_' => matches!(their, b'-' | b'_'),
                    our => our.eq_ignore_ascii_case(&their),
                })
                && !ours.eq_ignore_ascii_case(name)
        };
        self.fields.iter().any(|field| alike(field.name.as_str()))
    }
}

impl Field {
    fn new(name: &str, policy: &HeaderPolicy) -> Result<Self, String> {
        let name = HeaderName::try_from(name).map_err(|_| "expected the name of a header field".to_owned())?;
        if is_reserved(name.as_str()) {
            return Err(
                "this field has a meaning of its own for proxies: expected another name, such as X-Token-Subject"
                    .to_owned(),
            );
        }
        let (source, max) = Source::of(policy)?;
        Ok(Self { name, source, max: max.unwrap_or(LONGEST) })
    }

    fn value(&self, token: Option<&Verified>) -> Result<HeaderValue, TooLong> {
        let text = token.map_or_else(String::new, |token| self.source.text(token));
        if text.len() > self.max {
            return Err(TooLong { name: self.name.clone(), max: self.max });
        }
        Ok(HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).expect("everything but visible ASCII is encoded"))
    }
}

/// Fields that steer connections, say who asks, or carry credentials: no claim may be written there.
fn is_reserved(name: &str) -> bool {
    const NAMES: [&str; 17] = [
        "authorization",
        "client-cert",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "dpop",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "www-authenticate",
        "x-real-ip",
    ];
    const BEGINNINGS: [&str; 6] = ["proxy-", "x-forwarded-", "x-original-", "x-envoy-", "token-gate-", "sec-"];
    NAMES.contains(&name) || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;
    use token_core::jose::signing::SigningKey;
    use token_core::{Algorithm, Issuer, Presented, ResourceServer, StaticKeys};

    fn upstream(json: &str) -> Result<Upstream, String> {
        Upstream::new(&serde_json::from_str(json).unwrap())
    }

    fn verified(claims: &str) -> Verified {
        let secret = [7; 32];
        let keys = StaticKeys::secret(Algorithm::HS256, &secret).unwrap();
        let issuer = Issuer::with_keys("https://a.example", keys).unwrap();
        let server = ResourceServer::builder("api").trust(issuer).build().unwrap();
        let signer = SigningKey::from_secret(Algorithm::HS256, None, &secret).unwrap();
        let claims = format!(r#"{{"iss":"https://a.example","aud":"api","exp":4102444800{claims}}}"#);
        let token = signer.sign_jwt(r#"{"alg":"HS256"}"#, &claims).unwrap();
        server.authenticate(Presented::token(&token)).now().unwrap().unwrap()
    }

    fn written(headers: &str, claims: &str) -> Vec<(String, String)> {
        let upstream = upstream(&format!(r#"{{"headers": {headers}}}"#)).unwrap();
        let values = upstream.values(Some(&verified(claims))).unwrap();
        values.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
    }

    #[test]
    fn every_shape_of_claim_becomes_one_line_that_decodes_to_what_it_was() {
        for (claims, expected) in [
            (r#","x":"ada""#, "ada"),
            (r#","x":"Ada Lovelace, 1815""#, "Ada%20Lovelace%2C%201815"),
            (r#","x":"a\r\nX-Admin: 1""#, "a%0D%0AX-Admin:%201"),
            (r#","x":"100%""#, "100%25"),
            (r#","x":"Zoë""#, "Zo%C3%AB"),
            (r#","x":9007199254740993"#, "9007199254740993"),
            (r#","x":1.50"#, "1.50"),
            (r#","x":true"#, "true"),
            (r#","x":null"#, ""),
            (r#","x":["a","b,c",3,false]"#, "a,b%2Cc,3,false"),
            (r#","x":[]"#, ""),
            (r#","x":{"a":"b c"}"#, r#"{"a":"b%20c"}"#),
            (r#","x":[["a"]]"#, r#"[["a"]]"#),
            ("", ""),
        ] {
            assert_eq!(
                written(r#"{"X-Claim": "x"}"#, claims),
                [("x-claim".to_owned(), expected.to_owned())],
                "{claims}"
            );
        }
    }

    #[test]
    fn subject_grants_and_claims_in_claims_are_written_and_always_sent() {
        let headers = r#"{"X-Sub": "sub", "X-Scope": {"grants": "scopes"}, "X-Roles": {"grants": "roles"}, "X-Org": ["org", "id"]}"#;
        let claims = r#","sub":"ada","scope":"read write","roles":["a b"],"org":{"id":"acme"}"#;
        let value = |rows: &[(String, String)], name: &str| {
            rows.iter().find(|(row, _)| row == name).map(|(_, value)| value.clone()).unwrap()
        };
        let rows = written(headers, claims);
        for (name, expected) in [("x-sub", "ada"), ("x-scope", "read write"), ("x-roles", "a%20b"), ("x-org", "acme")] {
            assert_eq!(value(&rows, name), expected, "{name}");
        }
        assert!(written(headers, r#","org":["id"]"#).iter().all(|(_, value)| value.is_empty()));
        let nobody = upstream(&format!(r#"{{"headers": {headers}}}"#)).unwrap().values(None).unwrap();
        assert!(nobody.len() == 4 && nobody.iter().all(|(_, value)| value.is_empty()));
    }

    #[test]
    fn a_claim_that_is_too_long_is_refused_and_not_cut() {
        let upstream = upstream(r#"{"headers": {"X-Groups": {"claim": "g", "max_bytes": 5}}}"#).unwrap();
        assert!(upstream.values(Some(&verified(r#","g":["ab","cd"]"#))).is_ok());
        let why = upstream.values(Some(&verified(r#","g":["ab","cd","e"]"#))).unwrap_err();
        assert_eq!((why.name.as_str(), why.max), ("x-groups", 5));
    }

    #[test]
    fn a_field_that_steers_the_proxy_is_no_place_for_a_claim() {
        for name in ["Host", "Authorization", "Transfer-Encoding", "X-Forwarded-For", "Proxy-Authorization", "a b", ""]
        {
            assert!(upstream(&format!(r#"{{"headers": {{"{name}": "sub"}}}}"#)).is_err(), "{name}");
        }
        for source in [r#"{}"#, r#"[]"#, r#"{"claim": "a", "grants": "roles"}"#] {
            assert!(upstream(&format!(r#"{{"headers": {{"X-A": {source}}}}}"#)).is_err(), "{source}");
        }
        assert!(upstream(r#"{"headers": {"X-A": "a", "x-a": "b"}}"#).unwrap_err().contains("twice"));
    }

    #[test]
    fn a_name_that_differs_only_in_its_dashes_is_known() {
        let upstream = upstream(r#"{"headers": {"X-Token-Subject": "sub"}}"#).unwrap();
        for (name, expected) in [
            ("x-token_subject", true),
            ("X_Token_Subject", true),
            ("x-token-subject", false),
            ("x-token-subjects", false),
            ("x_token.subject", false),
        ] {
            assert_eq!(upstream.is_lookalike(name), expected, "{name}");
        }
    }
}
