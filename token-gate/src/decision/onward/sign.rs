//! A verified token in, a short-lived token of the gate's own out, for the service alone (RFC 7519, RFC 7515 section 5.1).

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderValue;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};
use token_core::jose::signing::SigningKey;
use token_core::policy::gate::SignPolicy;
use token_core::{Clock, SystemClock, Timestamp, Verified};

use crate::decision::claim::Source;
use crate::decision::refusal::Refusal;

/// The longest token, in bytes: with the rest of a head it fits into what servers take by default.
const LONGEST: usize = 6 * 1024;
/// The shortest life of a token.
const SHORTEST: Duration = Duration::from_secs(1);

/// Signs anew for each request: a token is never seen twice.
#[derive(Debug)]
pub(crate) struct Signer {
    key: SigningKey,
    header: String,
    issuer: Box<RawValue>,
    audience: Box<RawValue>,
    life: Duration,
    claims: Box<[(String, Source)]>,
    jwk_set: String,
    /// Makes each `jti` another one than those of other processes and of this one.
    process: u64,
    signed: AtomicU64,
}

impl Signer {
    /// # Errors
    /// Which member cannot be, and why.
    pub(crate) fn new(policy: &SignPolicy) -> Result<Self, String> {
        let keys = policy.signing_keys().map_err(|error| format!("keys: {error}"))?;
        let public: Option<Vec<_>> = keys.iter().map(SigningKey::public_jwk).collect();
        let public = public.ok_or("keys: expected keys with a public half")?;
        let key = keys.into_iter().next().ok_or("keys: expected at least one")?;
        let claims = policy.claims.iter().map(|(name, source)| {
            let (source, _) = Source::of(source).map_err(|why| format!("claims.{name}: {why}"))?;
            Ok((name.clone(), source))
        });
        Ok(Self {
            header: json!({ "alg": key.algorithm().name(), "kid": key.kid(), "typ": "JWT" }).to_string(),
            issuer: raw(&policy.issuer)?,
            audience: match &policy.audience[..] {
                [one] => raw(one)?,
                several => raw(&several)?,
            },
            life: policy.life,
            claims: claims.collect::<Result<_, String>>()?,
            jwk_set: json!({ "keys": public }).to_string(),
            process: RandomState::new().hash_one(std::process::id()),
            signed: AtomicU64::new(0),
            key,
        })
    }

    pub(crate) fn jwk_set(&self) -> &str {
        &self.jwk_set
    }

    /// # Errors
    /// When the claims make a token that is too long, or the key cannot sign.
    pub(crate) fn token(&self, caller: &Verified) -> Result<HeaderValue, Refusal> {
        self.token_at(caller, SystemClock.now())
    }

    fn token_at(&self, caller: &Verified, now: Timestamp) -> Result<HeaderValue, Refusal> {
        let unsigned = || Refusal::Unsigned("the token for the service could not be signed");
        let claims = self.claims_at(caller, now).ok_or_else(unsigned)?;
        let token = self.key.sign_jwt(&self.header, &claims).map_err(|_| unsigned())?;
        if token.len() > LONGEST {
            return Err(Refusal::Unsigned(
                "the token for the service would be longer than 6 KiB: let gate.upstream.sign.claims say less",
            ));
        }
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| unsigned())?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn claims_at(&self, caller: &Verified, now: Timestamp) -> Option<String> {
        // Within the leeway, a caller's token may have ended a moment ago.
        let latest = caller.expires_at().map_or(Timestamp::MAX, |end| end.max(now.saturating_add(SHORTEST)));
        let end = now.saturating_add(self.life).min(latest);
        let jti = format!("{:016x}-{:x}", self.process, self.signed.fetch_add(1, Ordering::Relaxed));
        let text = |text: &str| to_raw_value(text).ok();
        let mut claims: BTreeMap<&str, Box<RawValue>> = BTreeMap::new();
        for (name, source) in &self.claims {
            claims.extend(source.json(caller).map(|value| (name.as_str(), value)));
        }
        claims.insert("iss", self.issuer.clone());
        claims.insert("aud", self.audience.clone());
        claims.extend(caller.subject().and_then(text).map(|subject| ("sub", subject)));
        claims.extend(caller.client_id().and_then(text).map(|client| ("client_id", client)));
        claims.insert("iat", to_raw_value(&now.as_secs()).ok()?);
        claims.insert("exp", to_raw_value(&end.as_secs()).ok()?);
        claims.insert("jti", text(&jti)?);
        serde_json::to_string(&claims).ok()
    }
}

fn raw(value: &impl serde::Serialize) -> Result<Box<RawValue>, String> {
    to_raw_value(value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use token_core::{Algorithm, Issuer, Presented, ResourceServer, StaticKeys};

    const SECRET: [u8; 32] = [7; 32];
    const KEYS: [&str; 2] = [include_str!("../../../tests/keys/one.pem"), include_str!("../../../tests/keys/two.pem")];

    fn caller(claims: &str) -> Verified {
        let keys = StaticKeys::secret(Algorithm::HS256, &SECRET).unwrap();
        let issuer = Issuer::with_keys("https://a.example", keys).unwrap();
        let server = ResourceServer::builder("api").trust(issuer).build().unwrap();
        let signer = SigningKey::from_secret(Algorithm::HS256, None, &SECRET).unwrap();
        let token = signer
            .sign_jwt(r#"{"alg":"HS256"}"#, &format!(r#"{{"iss":"https://a.example","aud":"api"{claims}}}"#))
            .unwrap();
        server.authenticate(Presented::token(&token)).now().unwrap().unwrap()
    }

    fn signer(name: &str, keys: &[&str], more: &str) -> Signer {
        let folder = std::env::temp_dir().join(format!("token-gate-sign-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let files: Vec<_> = keys
            .iter()
            .enumerate()
            .map(|(at, pem)| {
                let file = folder.join(format!("{at}.pem"));
                std::fs::write(&file, pem).unwrap();
                json!({ "file": file, "kid": format!("key-{at}") })
            })
            .collect();
        let mut policy =
            json!({ "issuer": "https://gate.example", "audience": "https://orders.example", "keys": files });
        let more: serde_json::Map<String, serde_json::Value> = serde_json::from_str(more).unwrap();
        policy.as_object_mut().unwrap().extend(more);
        let signer = Signer::new(&serde_json::from_value(policy).unwrap()).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        signer
    }

    fn claims(signer: &Signer, caller: &Verified, now: Timestamp) -> serde_json::Value {
        serde_json::from_str(&signer.claims_at(caller, now).unwrap()).unwrap()
    }

    #[test]
    fn it_says_what_the_policy_lists_and_nothing_else_of_the_callers_token() {
        let more = r#"{"claims": {"scope": {"grants": "scopes"}, "groups": {"grants": "roles"}, "org": ["org", "id"], "big": "n", "none": "missing"}}"#;
        let signer = signer("claims", &[KEYS[0]], more);
        let caller = caller(
            r#","exp":4102444800,"sub":"ada","client_id":"app","scope":"a b","roles":["x y"],"org":{"id":"acme"},"n":9007199254740993,"secret":"canary""#,
        );
        let now = Timestamp::from_secs(1_800_000_000);
        let text = signer.claims_at(&caller, now).unwrap();
        assert!(text.contains(r#""big":9007199254740993"#) && !text.contains("canary"), "{text}");
        let mut said = claims(&signer, &caller, now);
        let jti = said.as_object_mut().unwrap().remove("jti").unwrap();
        assert_ne!(Some(&jti), claims(&signer, &caller, now).get("jti"));
        let expected = json!({
            "iss": "https://gate.example", "aud": "https://orders.example", "sub": "ada", "client_id": "app", "iat": 1_800_000_000,
            "exp": 1_800_000_060, "scope": "a b", "groups": ["x y"], "org": "acme", "big": 9_007_199_254_740_993_u64,
        });
        assert_eq!(said, expected);
    }

    #[test]
    fn it_ends_with_the_callers_token() {
        let signer = signer("life", &[KEYS[0]], r#"{"life": "5m"}"#);
        let end = SystemClock.now().as_secs() + 100;
        let caller = caller(&format!(r#","exp":{end}"#));
        for (now, expected) in
            [(end - 99, end), (end - 300, end), (end - 301, end - 1), (end, end + 1), (end + 10, end + 11)]
        {
            assert_eq!(claims(&signer, &caller, Timestamp::from_secs(now))["exp"], json!(expected), "{}", end - now);
        }
    }

    #[test]
    fn the_first_key_signs_and_all_are_published_without_their_private_half() {
        let signer = signer("keys", &[KEYS[0], KEYS[1]], "{}");
        let set: serde_json::Value = serde_json::from_str(signer.jwk_set()).unwrap();
        let kids: Vec<_> = set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect();
        assert_eq!(kids, ["key-0", "key-1"]);
        assert!(!signer.jwk_set().contains(r#""d""#) && !format!("{signer:?}").contains("MIGH"));
        let token = signer.token(&caller(r#","exp":4102444800,"sub":"ada""#)).unwrap();
        assert!(token.is_sensitive());
        let keys = StaticKeys::published_jwk_set(signer.jwk_set()).unwrap();
        let issuer = Issuer::with_keys("https://gate.example", keys).unwrap();
        let service = ResourceServer::builder("https://orders.example").trust(issuer).build().unwrap();
        let token = token.to_str().unwrap().strip_prefix("Bearer ").unwrap();
        let seen = service.authenticate(Presented::token(token)).now().unwrap().unwrap();
        assert_eq!(seen.subject(), Some("ada"));
    }

    #[test]
    fn a_token_that_servers_could_not_read_is_not_signed() {
        let signer = signer("long", &[KEYS[0]], r#"{"claims": {"note": "note"}}"#);
        let long = "x".repeat(7000);
        let refused = signer.token(&caller(&format!(r#","exp":4102444800,"note":"{long}""#))).unwrap_err();
        assert_eq!((refused.name(), refused.answer().status), ("unsigned", 500));
    }
}
