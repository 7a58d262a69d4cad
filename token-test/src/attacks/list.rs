//! The list of attacks: what is sent, its class, the clause that forbids it, and the advisory about a product that let it in.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::header::{AUTHORIZATION, COOKIE, HeaderName};
use http::{HeaderValue, Method, Request};
use serde_json::json;
use token_core::Algorithm;

use crate::mint::TokenBuilder;
use crate::{TestIssuer, TestKey, TestStatusList};

/// What an attack goes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Class {
    /// No attack: a request that has to be let in.
    Good,
    /// The algorithm is the attacker's choice.
    Algorithm,
    /// The key is, or there is no signature.
    Key,
    /// Somebody else's token.
    Issuer,
    /// A token for somebody else.
    Audience,
    /// A token of another kind: ID token, logout token, refresh token, proof.
    Kind,
    /// Claims of wrong types, twice, or missing.
    Claim,
    /// Too late or too early.
    Time,
    /// Other spellings of a token.
    Encoding,
    /// Header members that demand something.
    Header,
    /// Credentials in other places, several, or none.
    Credentials,
    /// Other spellings of the path and of the method.
    Path,
    /// Scopes that are nearly right.
    Scope,
    /// Tokens that are bound to somebody else's key.
    Binding,
    /// What was judged before.
    Cache,
    /// Tokens that their status list says are not good; tried where [`status_lists`](super::Attacks::status_lists) says so.
    Status,
}

impl Class {
    /// Every class but [`Good`](Self::Good).
    pub const ALL: &'static [Self] = &[
        Self::Algorithm,
        Self::Key,
        Self::Issuer,
        Self::Audience,
        Self::Kind,
        Self::Claim,
        Self::Time,
        Self::Encoding,
        Self::Header,
        Self::Credentials,
        Self::Path,
        Self::Scope,
        Self::Binding,
        Self::Cache,
        Self::Status,
    ];

    /// Its name, in small letters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Algorithm => "algorithm",
            Self::Key => "key",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Kind => "kind",
            Self::Claim => "claim",
            Self::Time => "time",
            Self::Encoding => "encoding",
            Self::Header => "header",
            Self::Credentials => "credentials",
            Self::Path => "path",
            Self::Scope => "scope",
            Self::Binding => "binding",
            Self::Cache => "cache",
            Self::Status => "status",
        }
    }
}

/// One request, and what it stands for.
#[derive(Clone, Debug)]
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) class: Class,
    pub(crate) clause: &'static str,
    pub(crate) advisory: &'static str,
    /// So large that hanging up is an answer.
    pub(crate) giant: bool,
    method: Method,
    target: String,
    fields: Vec<(HeaderName, HeaderValue)>,
}

impl Attack {
    pub(crate) fn request(&self) -> Request<Bytes> {
        let mut request = Request::builder().method(self.method.clone()).uri(&self.target);
        for (name, value) in &self.fields {
            request = request.header(name, value);
        }
        request.body(Bytes::new()).expect("a target and fields that the list wrote")
    }
}

/// What the list is made of.
pub(crate) struct Bait<'i> {
    pub(crate) issuer: &'i TestIssuer,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) granted: Option<String>,
    pub(crate) leeway: u64,
    /// The list that tokens point to, where the API looks at it.
    pub(crate) status_list: Option<TestStatusList>,
    pub(crate) shape: Option<fn(TokenBuilder) -> TokenBuilder>,
}

impl Bait<'_> {
    /// A token that has to be let in, until something is done to it.
    pub(crate) fn token(&self) -> TokenBuilder {
        let token = self.issuer.token();
        let token = self.granted.iter().fold(token, |token, scope| token.scope(scope));
        let token = self.status_list.iter().fold(token, |token, list| token.status(list, 0));
        self.shape.map_or(token.clone(), |shape| shape(token))
    }

    fn claims(&self, change: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) -> String {
        let token = self.token().mint();
        let payload = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok()).unwrap_or_default();
        let mut claims = serde_json::from_slice::<serde_json::Map<_, _>>(&payload).unwrap_or_default();
        change(&mut claims);
        serde_json::Value::from(claims).to_string()
    }

    fn with(
        &self,
        class: Class,
        name: &'static str,
        clause: &'static str,
        fields: Vec<(HeaderName, HeaderValue)>,
    ) -> Attack {
        let (method, target) = (self.method.clone(), self.path.clone());
        Attack { name, class, clause, advisory: "", giant: false, method, target, fields }
    }

    fn bearer(&self, class: Class, name: &'static str, clause: &'static str, token: &str) -> Attack {
        self.with(class, name, clause, vec![(AUTHORIZATION, field("Bearer ", token))])
    }

    /// What has to be let in before anything else counts. It begins with the token of this text.
    pub(crate) fn good(&self, first: &str) -> Vec<Attack> {
        let audience = self.issuer.audience();
        vec![
            self.bearer(Class::Good, "a good token", "RFC 6750 2.1", first),
            self.with(
                Class::Good,
                "the scheme in small letters",
                "RFC 9110 11.1",
                vec![(AUTHORIZATION, field("bearer ", &self.token().mint()))],
            ),
            self.bearer(
                Class::Good,
                "a good token for several audiences",
                "RFC 7519 4.1.3",
                &self.token().audiences([audience, "https://another.example"]).mint(),
            ),
            self.bearer(
                Class::Good,
                "claims and header members that nobody knows",
                "RFC 7519 4, RFC 7515 4",
                &self.token().claim("https://example.com/x", json!({"a": [1, null]})).header("x-unknown", 1).mint(),
            ),
        ]
    }

    /// The issuer signs with a new key from here on. This comes before the attacks: made-up key names use up how often an API may ask for new keys.
    pub(crate) fn good_after_rotation(&self) -> Vec<Attack> {
        self.issuer.rotate();
        vec![self.bearer(Class::Good, "the first token of a new key", "RFC 7517 5", &self.token().mint())]
    }

    /// What has to be let in after all that.
    pub(crate) fn good_at_the_end(&self) -> Vec<Attack> {
        vec![self.bearer(Class::Good, "a good token after all that", "RFC 6750 2.1", &self.token().mint())]
    }

    /// Everything that has to be refused, now that the token `seen` was let in.
    pub(crate) fn attacks(&self, seen: &str) -> Vec<Attack> {
        let mut all = Vec::new();
        self.algorithm(&mut all);
        self.key(&mut all);
        self.issuer(&mut all);
        self.audience(&mut all);
        self.kind(&mut all);
        self.claim(&mut all);
        self.time(&mut all);
        self.encoding(&mut all);
        self.header(&mut all);
        self.credentials(&mut all);
        self.path(&mut all);
        self.scope(&mut all);
        self.binding(&mut all);
        self.cache(&mut all, seen);
        self.status(&mut all);
        all
    }

    fn algorithm(&self, all: &mut Vec<Attack>) {
        let key = self.issuer.signing_key();
        let mut add = |name, clause, advisory, token: &str| {
            all.push(Attack { advisory, ..self.bearer(Class::Algorithm, name, clause, token) });
        };
        const NONE: &str = "CVE-2015-9235, CVE-2022-23540";
        for (name, alg) in [
            ("alg none, no signature", "none"),
            ("alg None, no signature", "None"),
            ("alg NONE, no signature", "NONE"),
            ("alg nOnE, no signature", "nOnE"),
            ("an empty alg, no signature", ""),
        ] {
            add(name, "RFC 8725 3.2", NONE, &self.token().alg_none().header("alg", alg).mint());
        }
        let unsigned = self.token().header("alg", "none").mint();
        add("alg none with a signature that is good for another header", "RFC 8725 3.2", NONE, &unsigned);
        add("no alg", "RFC 7515 4.1.1", "", &self.token().raw_header(r#"{"typ":"at+jwt"}"#).mint());
        add("alg is a number", "RFC 7515 4.1.1", "", &self.token().header("alg", 256).mint());
        add("alg is null", "RFC 7515 4.1.1", "", &self.token().header("alg", serde_json::Value::Null).mint());
        add(
            "alg in small letters",
            "RFC 7515 4.1.1",
            "",
            &self.token().header("alg", key.algorithm().name().to_lowercase()).mint(),
        );
        const CONFUSED: &str = "CVE-2016-10555, CVE-2022-29217";
        if let Some(pem) = key.public_pem() {
            let secret = |algorithm, text: &str| {
                self.token().signed_by(&TestKey::from_secret(algorithm, key.kid(), text)).mint()
            };
            add("the public key as PEM for an HS256 secret", "RFC 8725 3.1", CONFUSED, &secret(Algorithm::HS256, pem));
            add(
                "the same without the last line break",
                "RFC 8725 3.1",
                CONFUSED,
                &secret(Algorithm::HS256, pem.trim_end()),
            );
            add("the public key as PEM for an HS512 secret", "RFC 8725 3.1", CONFUSED, &secret(Algorithm::HS512, pem));
        }
        let empty = TestKey::from_secret(Algorithm::HS256, key.kid(), "");
        add("an empty HS256 secret", "RFC 7518 3.2", "CVE-2026-44351", &self.token().signed_by(&empty).mint());
        let guess = TestKey::from_secret(Algorithm::HS256, key.kid(), "secret");
        add("a guessed HS256 secret", "RFC 7518 3.2", "CVE-2026-45363", &self.token().signed_by(&guess).mint());
        let other = if key.algorithm() == Algorithm::ES256 { Algorithm::RS256 } else { Algorithm::ES256 };
        let stranger = TestKey::forger(other, key.kid());
        add(
            "another algorithm under the name of a published key",
            "RFC 8725 3.1",
            "",
            &self.token().signed_by(&stranger).mint(),
        );
    }

    fn key(&self, all: &mut Vec<Attack>) {
        let key = self.issuer.signing_key();
        let forger = TestKey::forger(key.algorithm(), key.kid());
        let jwk = forger.public_jwk().unwrap_or_default();
        let good = self.token().mint();
        let (message, signature) = good.rsplit_once('.').unwrap_or_default();
        let mut add = |name, clause, advisory, token: &str| {
            all.push(Attack { advisory, ..self.bearer(Class::Key, name, clause, token) });
        };
        add("signed by somebody else under a published name", "RFC 7515 5.2", "", &self.token().forged().mint());
        let nameless = TestKey::forger(key.algorithm(), None);
        add(
            "signed by somebody else, no kid",
            "RFC 7515 5.2",
            "",
            &self.token().signed_by(&nameless).without_header("kid").mint(),
        );
        add(
            "signed by somebody else, a kid nobody published",
            "RFC 7515 4.1.4",
            "",
            &self.token().forged().kid("nobody").mint(),
        );
        for (name, kid) in [
            ("a kid that is a path", "../../../../dev/null"),
            ("a kid that is a query", "x' UNION SELECT 'secret'; --"),
            ("a kid that is an address", "https://evil.example/jwks.json"),
        ] {
            add(name, "RFC 7515 4.1.4", "CVE-2025-65945", &self.token().forged().kid(kid).mint());
        }
        add("a kid that is a number", "RFC 7515 4.1.4", "", &self.token().forged().header("kid", 1).mint());
        const OWN: &str = "CVE-2018-0114, CVE-2026-27962";
        add(
            "its own key in the header (jwk)",
            "RFC 7515 4.1.3, RFC 8725 3.5",
            OWN,
            &self.token().signed_by(&forger).header("jwk", jwk).mint(),
        );
        for (name, member) in [
            ("an address of keys in the header (jku)", "jku"),
            ("an address of certificates in the header (x5u)", "x5u"),
        ] {
            let token = self.token().signed_by(&forger).header(member, "https://evil.example/keys");
            add(name, "RFC 7515 4.1.2, RFC 8725 3.10", OWN, &token.mint());
        }
        let token = self.token().signed_by(&forger).header("x5c", json!([STANDARD.encode("no certificate")]));
        add("certificates in the header (x5c)", "RFC 7515 4.1.6", OWN, &token.mint());
        add("no signature", "RFC 7515 5.2", "CVE-2020-28042", &format!("{message}."));
        add(
            "half of the signature",
            "RFC 7515 5.2",
            "",
            &format!("{message}.{}", &signature[..signature.len() / 4 * 2]),
        );
        add(
            "a signature of zeros",
            "RFC 7515 5.2",
            "CVE-2022-21449",
            &format!("{message}.{}", "A".repeat(signature.len())),
        );
        let other = self.token().subject("somebody-else").mint();
        let stolen = other.rsplit('.').next().unwrap_or_default();
        add("the signature of another token", "RFC 7515 5.2", "", &format!("{message}.{stolen}"));
        add("claims changed after signing", "RFC 7515 5.2", "", &self.token().tampered().mint());
    }

    fn issuer(&self, all: &mut Vec<Attack>) {
        let ours = self.issuer.url();
        let mut add = |name, clause, advisory, token: TokenBuilder| {
            all.push(Attack { advisory, ..self.bearer(Class::Issuer, name, clause, &token.mint()) });
        };
        add("another issuer", "RFC 7519 4.1.1", "", self.token().issuer("https://evil.example/"));
        add("no issuer", "RFC 9068 2.2", "", self.token().without("iss"));
        add("an empty issuer", "RFC 7519 4.1.1", "", self.token().issuer(""));
        let slash = ours.strip_suffix('/').map_or_else(|| format!("{ours}/"), str::to_owned);
        add("the issuer with another end", "RFC 9207 2.4", "CVE-2024-53861", self.token().issuer(&slash));
        add("the issuer in capitals", "RFC 7519 4.1.1", "", self.token().issuer(&ours.to_uppercase()));
        add(
            "the issuer as a prefix",
            "RFC 7519 4.1.1",
            "CVE-2024-53861",
            self.token().issuer(&format!("{ours}.evil.example")),
        );
        add("a part of the issuer", "RFC 7519 4.1.1", "CVE-2024-53861", self.token().issuer(&shorter(ours)));
        add(
            "the issuer in a list",
            "RFC 7519 4.1.1",
            "CVE-2025-30144",
            self.token().claim("iss", json!(["https://evil.example/", ours])),
        );
        add("the issuer in an object", "RFC 7519 4.1.1", "", self.token().claim("iss", json!({ours: true})));
    }

    fn audience(&self, all: &mut Vec<Attack>) {
        let ours = self.issuer.audience();
        let mut add = |name, advisory, aud: serde_json::Value| {
            all.push(Attack {
                advisory,
                ..self.bearer(Class::Audience, name, "RFC 7519 4.1.3", &self.token().claim("aud", aud).mint())
            });
        };
        add("another audience", "CVE-2025-62610", json!("https://another.example"));
        add("other audiences", "CVE-2025-62610", json!(["https://another.example", "https://third.example"]));
        add("an empty audience", "CVE-2020-26160", json!(""));
        add("no audience in the list", "CVE-2020-26160", json!([]));
        add("the audience is null", "CVE-2020-26160", json!(null));
        add("the audience in an object", "CVE-2020-26160", json!({ours: true}));
        add("the audience in a list in a list", "CVE-2020-26160", json!([[ours]]));
        add("the audience as a prefix", "", json!(format!("{ours}.evil.example")));
        add("a part of the audience", "", json!(shorter(ours)));
        add("the audience among others in one text", "", json!(format!("https://another.example {ours}")));
        all.push(self.bearer(Class::Audience, "no audience", "RFC 9068 2.2", &self.token().without("aud").mint()));
    }

    fn kind(&self, all: &mut Vec<Attack>) {
        let audience = self.issuer.audience();
        let mut add =
            |name, clause, token: TokenBuilder| all.push(self.bearer(Class::Kind, name, clause, &token.mint()));
        add("an ID token", "RFC 9068 5", self.issuer.id_token());
        add(
            "an ID token that names this API",
            "RFC 9068 5",
            self.token().header("typ", "JWT").claim("nonce", "n").claim("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"),
        );
        add(
            "a logout token",
            "OpenID Connect Back-Channel Logout 2.4",
            self.token()
                .header("typ", "logout+jwt")
                .claim("events", json!({"http://schemas.openid.net/event/backchannel-logout": {}})),
        );
        add("a refresh token that is a JWT", "RFC 6749 1.5", self.token().header("typ", "JWT").claim("typ", "Refresh"));
        for (name, clause, typ) in [
            ("a proof of possession", "RFC 9449 4.2", "dpop+jwt"),
            ("a security event", "RFC 8417 2.3", "secevent+jwt"),
            ("a status list token", "Token Status List 5.1", "statuslist+jwt"),
            ("an introspection answer", "RFC 9701 5", "token-introspection+jwt"),
            ("a client's assertion", "RFC 7523 3", "client-authentication+jwt"),
            ("an authorization request", "RFC 9101 10.8", "oauth-authz-req+jwt"),
        ] {
            add(name, clause, self.token().header("typ", typ).audience(audience));
        }
    }

    fn claim(&self, all: &mut Vec<Attack>) {
        let mut add = |name, clause, advisory, token: &str| {
            all.push(Attack { advisory, ..self.bearer(Class::Claim, name, clause, token) });
        };
        const TYPES: &str = "CVE-2026-25537";
        add(
            "no expiry",
            "RFC 9068 2.2",
            "",
            &self
                .token()
                .raw_claims(self.claims(|claims| {
                    claims.remove("exp");
                }))
                .mint(),
        );
        for (name, value) in [
            ("an expiry that is a text", json!("4102444800")),
            ("an expiry that is null", json!(null)),
            ("an expiry that is true", json!(true)),
            ("an expiry that is a list", json!([4_102_444_800_i64])),
            ("an expiry that is an object", json!({"seconds": 4_102_444_800_i64})),
            ("an expiry before the epoch", json!(-1)),
        ] {
            add(name, "RFC 7519 4.1.4", TYPES, &self.token().claim("exp", value).mint());
        }
        for (name, value) in [("a start that is a text", json!("0")), ("a start that is a list", json!([0]))] {
            add(name, "RFC 7519 4.1.5", TYPES, &self.token().claim("nbf", value).mint());
        }
        add("a subject that is a list", "RFC 7519 4.1.2", "", &self.token().claim("sub", json!(["test-user"])).mint());
        let good = self.claims(|_| ());
        let twice = |member: &str| format!("{{{member},{}", good.trim_start_matches('{'));
        add(
            "a subject twice",
            "RFC 7519 4, RFC 8725 2.4",
            "",
            &self.token().raw_claims(twice(r#""sub":"admin""#)).mint(),
        );
        let expired = self.claims(|claims| {
            claims.insert("exp".to_owned(), json!(1));
        });
        let unclear = format!("{},\"exp\":4102444800}}", expired.trim_end_matches('}'));
        add("an expiry twice, the later one in the future", "RFC 7519 4", "", &self.token().raw_claims(unclear).mint());
        add("claims that are a list", "RFC 7519 7.2", "", &self.token().raw_claims(format!("[{good}]")).mint());
        add("claims that are null", "RFC 7519 7.2", "", &self.token().raw_claims("null").mint());
        add("claims that are a text", "RFC 7519 7.2", "", &self.token().raw_claims(json!(good).to_string()).mint());
        add("something after the claims", "RFC 7519 7.2", "", &self.token().raw_claims(format!("{good} {{}}")).mint());
        add(
            "claims without an end",
            "RFC 7519 7.2",
            "CVE-2019-12995",
            &self.token().raw_claims(good.trim_end_matches('}')).mint(),
        );
        let deep = format!("{},\"x\":{}1{}}}", good.trim_end_matches('}'), "[".repeat(4000), "]".repeat(4000));
        add(
            "claims four thousand lists deep",
            "RFC 8259 9",
            "CVE-2025-53864",
            &self.token().forged().raw_claims(deep).mint(),
        );
        let absurd = format!(
            "{},\"exp\":1e400}}",
            self.claims(|claims| {
                claims.remove("exp");
            })
            .trim_end_matches('}')
        );
        add("an expiry beyond all numbers", "RFC 7519 4.1.4", "", &self.token().raw_claims(absurd).mint());
    }

    fn time(&self, all: &mut Vec<Attack>) {
        let mut add =
            |name, clause, token: TokenBuilder| all.push(self.bearer(Class::Time, name, clause, &token.mint()));
        add("expired an hour ago", "RFC 7519 4.1.4", self.token().expired());
        // A second more than the leeway: the request itself takes part of it.
        add(
            "expired a second past the leeway",
            "RFC 7519 4.1.4",
            self.token().expired_ago(Duration::from_secs(self.leeway.saturating_add(1))),
        );
        add("not good for another hour", "RFC 7519 4.1.5", self.token().not_before_in(Duration::from_secs(3600)));
        add("expired since the epoch", "RFC 7519 4.1.4", self.token().claim("exp", 0));
    }

    fn encoding(&self, all: &mut Vec<Attack>) {
        let good = self.token().mint();
        let parts: Vec<&str> = good.split('.').collect();
        let [header, claims, signature] = parts[..] else { return };
        let mut add = |name, clause, advisory, token: &str| {
            all.push(Attack { advisory, ..self.bearer(Class::Encoding, name, clause, token) });
        };
        add("padded parts", "RFC 7515 2", "", &self.token().padded().claim("pad", "x").mint());
        let standard = |part: &str| STANDARD.encode(URL_SAFE_NO_PAD.decode(part).unwrap_or_default());
        add("the alphabet of plain Base64", "RFC 7515 2", "", &format!("{header}.{claims}.{}", standard(signature)));
        add(
            "a blank in the claims",
            "RFC 7515 2",
            "",
            &format!("{header}.{} {}.{signature}", &claims[..8], &claims[8..]),
        );
        add("one part", "RFC 7519 7.2", "", header);
        add("two parts", "RFC 7519 7.2", "", &format!("{header}.{claims}"));
        add("four parts", "RFC 7519 7.2", "", &format!("{good}.{signature}"));
        add(
            "five parts, as if encrypted",
            "RFC 7519 7.2",
            "CVE-2026-29000",
            &format!("{header}.{claims}.{signature}.{claims}.{signature}"),
        );
        add("a dot before it", "RFC 7519 7.2", "", &format!(".{good}"));
        add("a thousand dots", "RFC 7519 7.2", "CVE-2025-27144, CVE-2025-30204", &".".repeat(1000));
        add("one odd letter at the end", "RFC 7515 2", "", &format!("{good}!"));
        let latin = URL_SAFE_NO_PAD.encode(b"{\"alg\":\"RS256\",\"x\":\"\xe9\"}");
        add("a header that is not UTF-8", "RFC 7515 3", "", &format!("{latin}.{claims}.{signature}"));
        let marked = [b"\xef\xbb\xbf", URL_SAFE_NO_PAD.decode(header).unwrap_or_default().as_slice()].concat();
        add(
            "a header with a byte order mark",
            "RFC 8259 8.1",
            "",
            &format!("{}.{claims}.{signature}", URL_SAFE_NO_PAD.encode(marked)),
        );
        let json = json!({"payload": claims, "protected": header, "signature": signature}).to_string();
        add("the JSON serialization", "RFC 7519 3", "CVE-2022-39227", &json);
        for (name, size) in [("a token of 64 KiB", 64 << 10), ("a token of a megabyte", 1 << 20)] {
            let token = self.token().claim("pad", "x".repeat(size)).mint();
            let giant = self.bearer(Class::Encoding, name, "RFC 9110 5.4", &token);
            all.push(Attack { giant: true, advisory: "CVE-2025-61920", ..giant });
        }
    }

    fn header(&self, all: &mut Vec<Attack>) {
        let mut add = |name, clause, advisory, token: TokenBuilder| {
            all.push(Attack { advisory, ..self.bearer(Class::Header, name, clause, &token.mint()) });
        };
        const CRIT: &str = "CVE-2025-59420, CVE-2026-32597";
        let of = |crit: serde_json::Value| self.token().header("crit", crit).header("x", 1);
        add("a critical extension that nobody knows", "RFC 7515 4.1.11", CRIT, of(json!(["x"])));
        add("an empty list of critical extensions", "RFC 7515 4.1.11", CRIT, of(json!([])));
        add("critical extensions that are a text", "RFC 7515 4.1.11", CRIT, of(json!("x")));
        add(
            "a payload that is not encoded",
            "RFC 7797 6",
            CRIT,
            self.token().header("b64", false).header("crit", json!(["b64"])),
        );
        add("a compressed payload", "RFC 7516 4.1.3", "CVE-2024-28176", self.token().header("zip", "DEF"));
        let good = self.token().mint();
        let json = good.split('.').next().and_then(|part| URL_SAFE_NO_PAD.decode(part).ok()).unwrap_or_default();
        let json = String::from_utf8_lossy(&json).into_owned();
        let twice = format!("{{\"alg\":\"none\",{}", json.trim_start_matches('{'));
        add("an algorithm twice", "RFC 7515 4", "", self.token().raw_header(twice));
        add("a header that is a list", "RFC 7515 4", "", self.token().raw_header(format!("[{json}]")));
    }

    fn credentials(&self, all: &mut Vec<Attack>) {
        let good = self.token().mint();
        let mut add = |name, clause, advisory, fields: Vec<(HeaderName, HeaderValue)>| {
            all.push(Attack { advisory, ..self.with(Class::Credentials, name, clause, fields) });
        };
        let authorization = |scheme: &str, text: &str| (AUTHORIZATION, field(scheme, text));
        add("no credentials", "RFC 6750 3", "", vec![]);
        add("an empty field", "RFC 6750 2.1", "", vec![authorization("", "")]);
        add("the scheme alone", "RFC 6750 2.1", "", vec![authorization("Bearer", "")]);
        add("the token alone", "RFC 6750 2.1", "", vec![authorization("", &good)]);
        add("another scheme", "RFC 6750 2.1", "", vec![authorization("Token ", &good)]);
        add("Basic credentials", "RFC 7617 2", "", vec![authorization("Basic ", &STANDARD.encode("admin:admin"))]);
        add("a scheme that begins alike", "RFC 6750 2.1", "", vec![authorization("Bearerx ", &good)]);
        let forged = self.token().forged().mint();
        const FIRST: &str = "CVE-2026-26308";
        add(
            "a good field and a forged one",
            "RFC 9110 5.3",
            FIRST,
            vec![authorization("Bearer ", &good), authorization("Bearer ", &forged)],
        );
        add(
            "a forged field and a good one",
            "RFC 9110 5.3",
            FIRST,
            vec![authorization("Bearer ", &forged), authorization("Bearer ", &good)],
        );
        add(
            "two tokens in one field",
            "RFC 6750 2.1",
            FIRST,
            vec![authorization("Bearer ", &format!("{good}, Bearer {forged}"))],
        );
        add(
            "something after the token",
            "RFC 6750 2.1",
            "",
            vec![authorization("Bearer ", &format!("{good} admin=true"))],
        );
        for (name, member) in [
            ("a good token in a field of a proxy", "x-forwarded-access-token"),
            ("a good token in another field", "x-access-token"),
            ("a good token in Proxy-Authorization", "proxy-authorization"),
        ] {
            add(name, "RFC 6750 2", "", vec![(HeaderName::from_static(member), field("Bearer ", &good))]);
        }
        add("a good token in a cookie", "RFC 6750 2", "", vec![(COOKIE, field("access_token=", &good))]);
        add(
            "who they are, said by themselves",
            "RFC 9110 17.1",
            "",
            ["x-user", "x-forwarded-user", "x-auth-request-user", "remote-user"]
                .map(|name| (HeaderName::from_static(name), HeaderValue::from_static("admin")))
                .to_vec(),
        );
        let query = self.with(Class::Credentials, "a good token in the query", "RFC 6750 2.3", vec![]);
        let join = if self.path.contains('?') { '&' } else { '?' };
        all.push(Attack { target: format!("{}{join}access_token={good}", self.path), ..query });
    }

    fn path(&self, all: &mut Vec<Attack>) {
        let path = self.path.split('?').next().unwrap_or("/");
        let mut add = |name, method: &Method, target: String, fields: Vec<(HeaderName, HeaderValue)>| {
            let attack = self.with(Class::Path, name, "RFC 3986 6, RFC 9110 4.2.3", fields);
            all.push(Attack { advisory: "CVE-2020-8595, CVE-2025-54576", method: method.clone(), target, ..attack });
        };
        let spelling = |text: &str| text.to_owned();
        add("no credentials, a slash twice", &self.method, format!("/{path}"), vec![]);
        add("no credentials, a slash at the end", &self.method, format!("{}/", path.trim_end_matches('/')), vec![]);
        add("no credentials, a dot segment", &self.method, format!("/.{path}"), vec![]);
        add("no credentials, up and down again", &self.method, format!("/public/..{path}"), vec![]);
        if let Some(first) = path.chars().nth(1).filter(char::is_ascii) {
            add(
                "no credentials, a letter as an escape",
                &self.method,
                format!("/%{:02X}{}", first as u32, &path[2..]),
                vec![],
            );
            add("no credentials, in capitals", &self.method, path.to_ascii_uppercase(), vec![]);
        }
        add("no credentials, a slash as an escape", &self.method, format!("/%2f{}", &path[1..]), vec![]);
        add("no credentials, a parameter in the path", &self.method, format!("{path};x=1"), vec![]);
        add("no credentials, an empty query", &self.method, format!("{path}?"), vec![]);
        add("no credentials, a page's ending", &self.method, format!("{path}.json"), vec![]);
        if self.method == Method::GET {
            add("no credentials, HEAD", &Method::HEAD, spelling(path), vec![]);
        }
        let overriding = [
            ("x-http-method-override", "GET"),
            ("x-original-url", "/"),
            ("x-rewrite-url", "/"),
            ("x-original-uri", "/"),
        ];
        let fields = overriding.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        add("no credentials, fields that say another path and method", &self.method, spelling(path), fields.to_vec());
        let local = [
            ("x-forwarded-for", "127.0.0.1"),
            ("x-real-ip", "127.0.0.1"),
            ("forwarded", "for=127.0.0.1;host=localhost"),
        ];
        let fields = local.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        add("no credentials, fields that say it comes from here", &self.method, spelling(path), fields.to_vec());
    }

    fn scope(&self, all: &mut Vec<Attack>) {
        let Some(granted) = &self.granted else { return };
        let mut add =
            |name, token: TokenBuilder| all.push(self.bearer(Class::Scope, name, "RFC 6749 3.3", &token.mint()));
        add("no scope", self.token().without("scope"));
        add("an empty scope", self.token().scope(""));
        add("another scope", self.token().scope("something:else"));
        add("the scope in capitals", self.token().scope(&granted.to_uppercase()));
        add("a part of the scope", self.token().scope(&shorter(granted)));
        add("the scope as a prefix", self.token().scope(&format!("{granted}x")));
        add("the scope as a suffix", self.token().scope(&format!("x{granted}")));
        add("the scope among others, joined by commas", self.token().scope(&format!("other,{granted},more")));
        add("a star", self.token().scope("*"));
        add("the scope in an object", self.token().claim("scope", json!({granted.as_str(): true})));
    }

    fn binding(&self, all: &mut Vec<Attack>) {
        let thumb = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
        let bound = |cnf: serde_json::Value| self.token().claim("cnf", cnf).mint();
        for (name, clause, cnf) in [
            ("bound to a key, sent as a bearer token", "RFC 9449 7.2", json!({"jkt": thumb})),
            ("bound to a certificate, sent without it", "RFC 8705 3", json!({"x5t#S256": thumb})),
            ("bound by a method that nobody knows", "RFC 7800 3.1", json!({"x-unknown": thumb})),
            ("bound by something that is no object", "RFC 7800 3.1", json!(thumb)),
            ("bound to nothing", "RFC 7800 3.1", json!({})),
        ] {
            all.push(self.bearer(Class::Binding, name, clause, &bound(cnf)));
        }
        let dpop = |token: &str| vec![(AUTHORIZATION, field("DPoP ", token))];
        let token = bound(json!({"jkt": thumb}));
        all.push(self.with(Class::Binding, "bound to a key, without a proof", "RFC 9449 7.1", dpop(&token)));
        all.push(self.with(
            Class::Binding,
            "not bound, sent as if it were",
            "RFC 9449 7.1",
            dpop(&self.token().mint()),
        ));
        let mut fields = dpop(&token);
        fields.push((HeaderName::from_static("dpop"), field("", &self.token().header("typ", "dpop+jwt").mint())));
        all.push(self.with(Class::Binding, "bound to a key, with a token for a proof", "RFC 9449 4.3", fields));
        let mut fields = vec![(AUTHORIZATION, field("Bearer ", &bound(json!({"x5t#S256": thumb}))))];
        fields.push((HeaderName::from_static("client-cert"), HeaderValue::from_static(":AA==:")));
        fields.push((HeaderName::from_static("x-forwarded-client-cert"), HeaderValue::from_static("Hash=00")));
        all.push(self.with(
            Class::Binding,
            "bound to a certificate that the client itself names",
            "RFC 9440 4",
            fields,
        ));
    }

    fn status(&self, all: &mut Vec<Attack>) {
        let Some(list) = &self.status_list else { return };
        const STATUS: &str = "Token Status List 7.1";
        const PLACE: &str = "Token Status List 6.2";
        let mut add = |name, clause, token: TokenBuilder| {
            all.push(self.bearer(Class::Status, name, clause, &token.mint()));
        };
        for (name, index) in [
            ("a token that was revoked", TestStatusList::INVALID),
            ("a token that is suspended", TestStatusList::SUSPENDED),
            ("a token with a status of an application", 3),
        ] {
            add(name, STATUS, self.token().status(list, index.into()));
        }
        add("a place beyond the end of the list", "Token Status List 8.3", self.token().status(list, 10_000_000));
        let place = |index: serde_json::Value, uri: &str| {
            self.token().claim("status", json!({"status_list": {"idx": index, "uri": uri}}))
        };
        let uri = list.uri();
        for (name, index) in [
            ("a place before the start of the list", json!(-1)),
            ("a place that is a text", json!("0")),
            ("a place that is a fraction", json!(0.5)),
            ("a place that is null", json!(null)),
            ("a place past all numbers", json!(1e300)),
        ] {
            add(name, PLACE, place(index, &uri));
        }
        for (name, uri) in [
            ("a list at a stranger's", "https://status.example/lists/1"),
            ("a list at the address of a cloud's metadata", "http://169.254.169.254/latest/meta-data"),
            ("a list that is a file", "file:///etc/passwd"),
            ("a list of no address", ""),
        ] {
            add(name, "Token Status List 11", place(json!(0), uri));
        }
        add("a status that is null", PLACE, self.token().claim("status", json!(null)));
        add("a status that is a text", PLACE, self.token().claim("status", "valid"));
        add("a status of another kind", PLACE, self.token().claim("status", json!({"valid": true})));
        add(
            "a status list token with an access token's claims",
            "Token Status List 5.1",
            self.token().header("typ", "statuslist+jwt"),
        );
    }

    fn cache(&self, all: &mut Vec<Attack>, good: &str) {
        // What looks like a token that was let in before, to a careless cache.
        let (message, signature) = good.rsplit_once('.').unwrap_or_default();
        let (header, _) = message.split_once('.').unwrap_or_default();
        let mut add = |name, token: String| {
            all.push(Attack {
                advisory: "GHSA-rp9m-7r4c-75qg",
                ..self.bearer(Class::Cache, name, "RFC 7515 5.2", &token)
            });
        };
        let admin = self.claims(|claims| {
            claims.insert("sub".to_owned(), json!("admin"));
        });
        add(
            "another subject under a header and signature seen before",
            format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(admin)),
        );
        let swap = |text: &str| text.chars().rev().collect::<String>();
        add("a signature seen before, backwards", format!("{message}.{}", swap(signature)));
        add("a token seen before, one letter longer", format!("{good}A"));
        add("a token seen before, one letter shorter", good[..good.len() - 1].to_owned());
    }
}

/// A list in which the first token is valid, and the next are what their place says.
pub(crate) fn status_list(issuer: &TestIssuer) -> TestStatusList {
    let list = issuer.status_list();
    for status in [TestStatusList::INVALID, TestStatusList::SUSPENDED, 3] {
        list.set(status.into(), status);
    }
    list
}

fn field(before: &str, text: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("{before}{text}")).expect("visible letters")
}

/// The text without its last letter.
fn shorter(text: &str) -> String {
    let mut letters = text.chars();
    letters.next_back();
    letters.collect()
}
