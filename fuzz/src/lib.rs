//! Bytes of a stranger in, nothing out: each function is one target, and panics when the library breaks a promise on them.
//!
//! `cargo fuzz run TARGET` searches for such bytes; the workspace's own tests walk the corpora and their near neighbours.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use serde_json::Value;
use token_core::http::{BoxFuture, HttpClient, HttpError, Limits};
use token_core::jose::encryption::{ContentEncryption, DecryptionKey, EncryptedTokens, KeyManagement};
use token_core::jose::signing::SigningKey;
use token_core::keys::discovery::process_metadata;
use token_core::opaque::client_authentication::ClientAuthentication;
use token_core::policy::Policy;
use token_core::{
    Algorithm, Clock, Error, Issuer, Presented, ResourceServer, ResourceServerBuilder, Rule, StaticKeys, Timestamp,
    Verified, adapter::RequestView, jose::Algorithms, keys::JwksSettings, opaque::OpaqueTokens,
    stores::TokenCacheSettings,
};

/// A target: its name, and what it does with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("authorization_header", authorization_header),
    ("jwt", jwt),
    ("signed_jwt", signed_jwt),
    ("encrypted", encrypted),
    ("jwk_set", jwk_set),
    ("discovery", discovery),
    ("introspection", introspection),
    ("challenge", challenge),
    ("policy", policy),
];

const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "https://api.example";
const NOW: i64 = 1_800_000_000;
const LEEWAY: f64 = 30.0;
const SECRET: &[u8; 64] = b"a secret of sixty-four bytes, which is enough for every HMAC....";
const RSA: (&[u8], &str) =
    (include_bytes!("../../token-test/keys/rsa-1.pem"), include_str!("../../token-test/keys/rsa-1.pub.pem"));
const P256: (&[u8], &str) =
    (include_bytes!("../../token-test/keys/p256-1.pem"), include_str!("../../token-test/keys/p256-1.pub.pem"));
const ED25519: (&[u8], &str) =
    (include_bytes!("../../token-test/keys/ed25519-1.pem"), include_str!("../../token-test/keys/ed25519-1.pub.pem"));

#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(NOW)
    }
}

/// One issuer with four keys of four kinds, and a server that believes them.
fn server() -> &'static ResourceServer {
    static SERVER: OnceLock<ResourceServer> = OnceLock::new();
    SERVER.get_or_init(|| builder().build().expect("a server"))
}

fn builder() -> ResourceServerBuilder {
    let keys = StaticKeys::secret(Algorithm::HS256, SECRET)
        .and_then(|keys| Ok(keys.and(StaticKeys::pem(Algorithm::RS256, RSA.1)?)))
        .and_then(|keys| Ok(keys.and(StaticKeys::pem(Algorithm::ES256, P256.1)?)))
        .and_then(|keys| Ok(keys.and(StaticKeys::pem(Algorithm::EdDSA, ED25519.1)?)))
        .expect("keys that fit");
    let issuer = Issuer::with_keys(ISSUER, keys).expect("an issuer");
    ResourceServer::builder(AUDIENCE).trust(issuer).clock(Stopped).realm("fuzz")
}

fn signers() -> &'static [SigningKey] {
    static SIGNERS: OnceLock<Vec<SigningKey>> = OnceLock::new();
    SIGNERS.get_or_init(|| {
        let pem = |algorithm, pem| SigningKey::from_pem(algorithm, None, pem).expect("a key that fits");
        vec![
            SigningKey::from_secret(Algorithm::HS256, None, SECRET).expect("a long secret"),
            pem(Algorithm::ES256, P256.0),
            pem(Algorithm::EdDSA, ED25519.0),
            pem(Algorithm::RS256, RSA.0),
        ]
    })
}

/// The verdict; keys are at hand, so it never waits.
fn verdict(presented: Presented<'_>) -> Option<Verified> {
    verdict_of(server(), presented)
}

fn verdict_of(server: &ResourceServer, presented: Presented<'_>) -> Option<Verified> {
    let outcome = server.authenticate(presented).now().expect("static keys never wait");
    match outcome {
        Ok(verified) => Some(verified),
        Err(error) => {
            readable(&error);
            None
        }
    }
}

/// What a refusal says can be sent: a field value without control characters, a body of JSON.
fn readable(error: &Error) {
    let answer = error.answer();
    assert!((400..=503).contains(&answer.status));
    serde_json::from_str::<Value>(&answer.body).expect("a problem document");
    if let Some(field) = &answer.www_authenticate {
        quoted(field);
    }
}

/// RFC 9110 section 11.6.1: one challenge, its parameters quoted, nothing outside of printable ASCII.
fn quoted(field: &str) {
    assert!(field.starts_with("Bearer"), "{field:?}");
    assert!(field.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{field:?}");
    let (mut inside, mut escaped) = (false, false);
    for character in field.chars() {
        match character {
            _ if escaped => escaped = false,
            '\\' if inside => escaped = true,
            '"' => inside = !inside,
            _ => {}
        }
    }
    assert!(!inside && !escaped, "an open quote: {field:?}");
}

/// What an accepted token must say, read by another reader than ours.
fn check_accepted(token: &str, verified: &Verified) {
    let parts: Vec<_> = token.split('.').collect();
    assert_eq!(parts.len(), 3);
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).expect("base64url");
    let header: Value = serde_json::from_slice(&decoded(parts[0])).expect("a header of JSON");
    let claims = decoded(parts[1]);
    // Half a surrogate pair in a claim that nobody looks at is JSON by its grammar (RFC 8259 section 8.2), and no text to this reader.
    let Ok(claims) = serde_json::from_slice::<Value>(&claims) else {
        serde_json::from_slice::<serde::de::IgnoredAny>(&claims).expect("claims of JSON");
        return;
    };

    // The signature, by the verdict of jsonwebtoken.
    let algorithm = header["alg"].as_str().expect("an algorithm");
    let message = &token[..parts[0].len() + 1 + parts[1].len()];
    assert!(jsonwebtoken_agrees(algorithm, message.as_bytes(), &decoded(parts[2])), "badly signed: {algorithm}");

    assert!(header.get("crit").is_none() && header.get("enc").is_none() && header.get("zip").is_none());
    assert_eq!(claims["iss"], ISSUER);
    let ours = |audience: &Value| audience == AUDIENCE;
    assert!(ours(&claims["aud"]) || claims["aud"].as_array().is_some_and(|list| list.iter().any(ours)));
    let now = NOW as f64;
    assert!(claims["exp"].as_f64().expect("exp is a number") + LEEWAY >= now);
    assert!(claims["nbf"].as_f64().is_none_or(|not_before| not_before <= now + LEEWAY));
    assert!(matches!(claims.get("nbf"), None | Some(Value::Number(_))));
    assert!(claims.get("cnf").is_none(), "bound to a sender, and no proof was asked for");
    assert_eq!(verified.subject(), claims["sub"].as_str());
    assert_eq!(verified.issuer(), ISSUER);
    let raw: Value = serde_json::from_str(verified.claims_json()).expect("claims of JSON");
    assert_eq!(raw, claims);
}

fn jsonwebtoken_agrees(algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
    use jsonwebtoken::{Algorithm, DecodingKey, crypto::aws_lc::DEFAULT_PROVIDER};
    let (algorithm, key) = match algorithm {
        "HS256" => (Algorithm::HS256, DecodingKey::from_secret(SECRET)),
        "RS256" => (Algorithm::RS256, DecodingKey::from_rsa_pem(RSA.1.as_bytes()).expect("a key")),
        "ES256" => (Algorithm::ES256, DecodingKey::from_ec_pem(P256.1.as_bytes()).expect("a key")),
        "EdDSA" | "Ed25519" => (Algorithm::EdDSA, DecodingKey::from_ed_pem(ED25519.1.as_bytes()).expect("a key")),
        _ => return false,
    };
    let verifier = (DEFAULT_PROVIDER.verifier_factory)(&algorithm, &key).expect("a verifier");
    verifier.verify(message, &signature.to_vec()).is_ok()
}

struct Fields<'a>(Vec<&'a [u8]>);

impl RequestView for Fields<'_> {
    fn method(&self) -> &str {
        "GET"
    }

    fn path_and_query(&self) -> &str {
        "/"
    }

    fn header<'a>(&'a self, name: &str, each: &mut dyn FnMut(&'a [u8])) {
        if name == "authorization" {
            self.0.iter().for_each(|value| each(value));
        }
    }
}

/// Values of `Authorization` fields, one a line.
pub fn authorization_header(bytes: &[u8]) {
    let fields: Vec<_> = bytes.split(|byte| *byte == b'\n').collect();
    let several = fields.len() > 1;
    if let Some(verified) = verdict(Presented::request(&Fields(fields))) {
        assert!(!several, "one of several fields was taken");
        let text = std::str::from_utf8(bytes).expect("an accepted field is text");
        check_accepted(text[6..].trim(), &verified);
    }
}

/// The text of a token.
pub fn jwt(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(verified) = verdict(Presented::token(text)) {
        check_accepted(text, &verified);
    }
}

/// A letter that names the key, then header and claims with a zero byte between them: what follows a good signature.
pub fn signed_jwt(bytes: &[u8]) {
    let Some(token) = signed(bytes) else { return };
    for _ in 0..2 {
        if let Some(verified) = verdict(Presented::token(&token)) {
            check_accepted(&token, &verified);
        }
    }
    both_roads_agree(&token);
}

/// The keys that encrypted tokens are opened with: a secret, P-256, X25519, RSA.
fn sealing() -> &'static [DecryptionKey] {
    static KEYS: OnceLock<Vec<DecryptionKey>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let x25519 = include_bytes!("../../token-core/src/jose/testdata/x25519.pem");
        let pem = |algorithm, kid, pem| DecryptionKey::from_pem(algorithm, Some(kid), pem).expect("a key that fits");
        vec![
            DecryptionKey::direct(ContentEncryption::A256Gcm, Some("secret"), &SECRET[..32]).expect("32 bytes"),
            pem(KeyManagement::EcdhEs, "p256", P256.0),
            pem(KeyManagement::EcdhEs, "x25519", x25519),
            pem(KeyManagement::RsaOaep256, "rsa", RSA.0),
        ]
    })
}

/// A byte that names key and content encryption, members of the outer header, a zero byte, and what is encrypted: a zero byte and anything, or what
/// [`signed_jwt`] takes. From 128 on, the rest is the token as it comes.
pub fn encrypted(bytes: &[u8]) {
    static SERVER: OnceLock<ResourceServer> = OnceLock::new();
    let server = SERVER.get_or_init(|| {
        let keys = EncryptedTokens::with(sealing().iter().cloned());
        builder().encrypted_tokens(keys).token_cache(no_cache()).build().expect("a server")
    });
    let Some((&which, rest)) = bytes.split_first() else { return };
    if which >= 128 {
        // Nobody but us has the keys: whatever is let in came without a cover.
        let Ok(token) = std::str::from_utf8(rest) else { return };
        if let Some(verified) = verdict_of(server, Presented::token(token)) {
            check_accepted(token, &verified);
        }
        return;
    }
    let Some((token, within)) = sealed(which, rest) else { return };
    let Some(verified) = verdict_of(server, Presented::token(&token)) else { return };
    // Let in for what is within alone, as it would be without a cover.
    let within = String::from_utf8(within).expect("a signed token");
    check_accepted(&within, &verified);
    let plain = verdict(Presented::token(&within)).expect("it is good without a cover, too");
    assert_eq!((plain.claims_json(), plain.kind()), (verified.claims_json(), verified.kind()));
}

/// Whether an input of [`encrypted`] is let in.
pub fn opens(bytes: &[u8]) -> bool {
    let Some((which, rest)) = bytes.split_first() else { return false };
    let keys = EncryptedTokens::with(sealing().iter().cloned());
    let server = builder().encrypted_tokens(keys).build().expect("a server");
    sealed(*which, rest).is_some_and(|(token, _)| verdict_of(&server, Presented::token(&token)).is_some())
}

/// The token, and what is within.
fn sealed(which: u8, bytes: &[u8]) -> Option<(String, Vec<u8>)> {
    let key = &sealing()[usize::from(which) % sealing().len()];
    let encs = [
        ContentEncryption::A256Gcm,
        ContentEncryption::A128Gcm,
        ContentEncryption::A128CbcHs256,
        ContentEncryption::A256CbcHs512,
    ];
    let to = key.encryption_key().expect("the key has a public half");
    let enc = to.bound_to().unwrap_or(encs[usize::from(which / 4) % encs.len()]);
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let header = serde_json::from_slice(&bytes[..end]).ok()?;
    let within = match &bytes[end + 1..] {
        [0, anything @ ..] => anything.to_vec(),
        rest => signed(rest)?.into_bytes(),
    };
    Some((to.encrypt(enc, &header, &within).expect("the key goes with this enc"), within))
}

/// Where one issuer is trusted, a token like the last one has its claims read behind its signature; where there are two, before it. Nobody can
/// tell from the outcome. (With debug assertions, as here, the quick scanner holds itself against `serde_json` each time.)
fn both_roads_agree(token: &str) {
    static SERVERS: OnceLock<[ResourceServer; 2]> = OnceLock::new();
    let [straight, long] = SERVERS.get_or_init(|| {
        let keys = || StaticKeys::secret(Algorithm::HS256, SECRET).expect("a long secret");
        let builder = || {
            let issuer = Issuer::with_keys(ISSUER, keys()).expect("an issuer");
            ResourceServer::builder(AUDIENCE).trust(issuer).clock(Stopped).token_cache(no_cache())
        };
        let another = Issuer::with_keys("https://another.example", keys()).expect("an issuer");
        [builder().build().expect("a server"), builder().trust(another).build().expect("a server")]
    });
    let seen = |server: &ResourceServer| {
        let outcome = server.authenticate(Presented::token(token)).now().expect("static keys never wait");
        outcome.map_err(|error| (error.kind(), error.detail().to_owned())).map(|verified| {
            let names = [verified.subject(), verified.client_id(), verified.token_id(), verified.session_id()];
            let names = names.map(|name| name.map(str::to_owned));
            let [audience, scopes, roles] = [
                verified.audience().map(str::to_owned).collect::<Vec<_>>(),
                verified.scopes().iter().map(str::to_owned).collect(),
                verified.roles().iter().map(str::to_owned).collect(),
            ];
            let times = (verified.expires_at(), verified.issued_at(), verified.kind());
            (names, audience, scopes, roles, times, verified.actor().cloned(), verified.claims_json().to_owned())
        })
    };
    assert_eq!(seen(straight), seen(long), "{token}");
}

/// So that each look at a token is the first.
fn no_cache() -> TokenCacheSettings {
    TokenCacheSettings::default().entries(0)
}

fn signed(bytes: &[u8]) -> Option<String> {
    let (which, rest) = bytes.split_first()?;
    let (header, claims) = std::str::from_utf8(rest).ok()?.split_once('\0')?;
    let signer = &signers()[usize::from(*which) % signers().len()];
    Some(signer.sign_jwt(header, claims).expect("a key that can sign"))
}

/// Whether the bytes are a token that is accepted: as text, or after signing.
pub fn accepts(bytes: &[u8], after_signing: bool) -> bool {
    let token = if after_signing { signed(bytes) } else { String::from_utf8(bytes.to_vec()).ok() };
    token.is_some_and(|token| verdict(Presented::token(&token)).is_some())
}

/// A JWK Set that an operator gives.
pub fn jwk_set(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(keys) = StaticKeys::jwk_set(text) else { return };
    let document: Value = serde_json::from_str(text).expect("a usable set is JSON");
    assert!(document["keys"].as_array().is_some_and(|keys| !keys.is_empty()));
    let issuer = Issuer::with_keys(ISSUER, keys).expect("an issuer");
    if let Ok(server) = ResourceServer::builder(AUDIENCE).trust(issuer).clock(Stopped).build() {
        // A token that nobody with a key of the set has signed.
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoiaHR0cHM6Ly9hcGkuZXhhbXBsZSIsImV4cCI6MjAwMDAwMDAwMH0.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert!(server.authenticate(Presented::token(token)).now().expect("static keys never wait").is_err());
    }
}

/// A metadata document of an issuer.
pub fn discovery(bytes: &[u8]) {
    let Ok(metadata) = process_metadata(ISSUER, StatusCode::OK, &HeaderMap::new(), bytes) else { return };
    assert_eq!(metadata.issuer, ISSUER);
    let addresses =
        [&metadata.jwks_uri, &metadata.token_endpoint, &metadata.introspection_endpoint, &metadata.userinfo_endpoint];
    for address in addresses.into_iter().flatten() {
        assert!(address.to_ascii_lowercase().trim_start().starts_with("https:"), "{address}");
    }
}

/// An endpoint that answers every question with these bytes.
#[derive(Debug)]
struct Answering(&'static str, Bytes);

impl HttpClient for Answering {
    fn send(&self, _: Request<Bytes>, _: Limits) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        let mut response = Response::new(self.1.clone());
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(self.0));
        Box::pin(std::future::ready(Ok(response)))
    }
}

/// What an introspection endpoint answers: after a letter `j` a JWT (RFC 9701), after any other JSON (RFC 7662).
pub fn introspection(bytes: &[u8]) {
    let Some(verified) = introspected(bytes) else { return };
    // Nothing signs with the issuer's keys here, so that what was accepted is JSON.
    let answer: Value = serde_json::from_slice(&bytes[1..]).expect("an accepted answer is JSON");
    assert_eq!(answer["active"], true);
    assert!(answer.get("iss").is_none_or(|issuer| issuer == ISSUER));
    let ours = |audience: &Value| audience == AUDIENCE;
    assert!(ours(&answer["aud"]) || answer["aud"].as_array().is_some_and(|list| list.iter().any(ours)));
    assert!(answer.get("exp").is_none_or(|exp| exp.as_f64().expect("exp is a number") + LEEWAY >= NOW as f64));
    assert!(answer.get("cnf").is_none(), "bound to a sender, and no proof was asked for");
    assert_eq!(verified.subject(), answer["sub"].as_str());
}

/// The verdict on an opaque token that is answered about like this.
pub fn introspected(bytes: &[u8]) -> Option<Verified> {
    let (kind, body) = bytes.split_first()?;
    let kind = if *kind == b'j' { "application/token-introspection+jwt" } else { "application/json" };
    let endpoint = Arc::new(Answering(kind, Bytes::copy_from_slice(body)));
    let secret = ClientAuthentication::Basic("secret".into());
    let tokens = OpaqueTokens::introspection("https://issuer.example/introspect", "client", secret)
        .expect("an endpoint")
        .http_client(endpoint);
    let keys = StaticKeys::pem(Algorithm::ES256, P256.1).expect("a key");
    let issuer = Issuer::with_keys(ISSUER, keys).expect("an issuer").opaque_tokens(tokens);
    let server = ResourceServer::builder(AUDIENCE).trust(issuer).clock(Stopped).build().expect("a server");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let outcome = runtime.block_on(async { server.authenticate(Presented::token("an-opaque-token")).await });
    outcome.inspect_err(readable).ok()
}

/// What an operator and a rule put into a challenge: realm, metadata address and scope, one a line.
pub fn challenge(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.splitn(3, '\n').map(str::to_owned);
    let mut part = || parts.next().unwrap_or_default();
    let keys = StaticKeys::secret(Algorithm::HS256, SECRET).expect("a long secret");
    let builder = ResourceServer::builder(AUDIENCE).trust(Issuer::with_keys(ISSUER, keys).expect("an issuer"));
    let Ok(server) = builder.realm(part()).resource_metadata(part()).build() else { return };
    for error in [Error::insufficient_scope(part()), Error::unavailable(part(), Duration::MAX)] {
        let error = server.refusal(error);
        readable(&error);
        if let Some(field) = error.challenge() {
            HeaderValue::from_str(&field).expect("a field value");
        }
    }
}

/// Configuration as text: a policy file, and the settings, algorithms and rules in it.
pub fn policy(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(policy) = Policy::from_json(text)
    {
        let findings = policy.lint();
        assert!(findings.iter().all(|finding| !finding.to_string().is_empty()));
        let text = serde_json::to_string(&policy).expect("a policy is JSON");
        assert_eq!(Policy::from_json(&text).expect("what was written can be read"), policy);
    }
    if let Ok(settings) = serde_json::from_slice::<JwksSettings>(bytes)
        && settings.check().is_ok()
    {
        let text = serde_json::to_string(&settings).expect("settings are JSON");
        assert_eq!(serde_json::from_str::<JwksSettings>(&text).expect("what was written can be read"), settings);
    }
    if let Ok(algorithms) = serde_json::from_slice::<Algorithms>(bytes) {
        assert!(algorithms.iter().all(|algorithm| algorithm.name().parse() == Ok(algorithm)));
    }
    if let Ok(rule) = serde_json::from_slice::<Rule>(bytes) {
        let text = serde_json::to_string(&rule).expect("a rule is JSON");
        assert_eq!(serde_json::from_str::<Rule>(&text).expect("what was written can be read"), rule);
    }
}
