//! A verifier written by hand, with one check taken out on purpose: what an attack list must find. It shares nothing with the one under test.

use std::collections::HashMap;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};
use token_test::TestIssuer;
use token_test::attacks::Target;

/// What is taken out, and the name of an attack that has to get in then.
pub(super) const FLAWS: &[(Flaw, &str)] = &[
    (Flaw::NoneInAnySpelling, "alg nOnE, no signature"),
    (Flaw::PublicKeyAsSecret, "the public key as PEM for an HS256 secret"),
    (Flaw::EmptySecret, "an empty HS256 secret"),
    (Flaw::SignatureNotChecked, "signed by somebody else under a published name"),
    (Flaw::MissingSignatureIsFine, "no signature"),
    (Flaw::UnknownKidIsFine, "a kid that is a path"),
    (Flaw::KeyFromTheToken, "its own key in the header (jwk)"),
    (Flaw::CritIgnored, "a critical extension that nobody knows"),
    (Flaw::ZipIgnored, "a compressed payload"),
    (Flaw::TypIgnored, "a security event"),
    (Flaw::MarksOfIdTokensIgnored, "an ID token that names this API"),
    (Flaw::IssuerByPrefix, "the issuer as a prefix"),
    (Flaw::IssuerWithoutSlash, "the issuer with another end"),
    (Flaw::IssuerInList, "the issuer in a list"),
    (Flaw::IssuerNotChecked, "another issuer"),
    (Flaw::AudienceByPart, "the audience as a prefix"),
    (Flaw::AudienceMayBeAbsent, "no audience"),
    (Flaw::AudienceNotChecked, "another audience"),
    (Flaw::ExpiryMayBeAbsent, "no expiry"),
    (Flaw::WrongTypesAreAbsent, "an expiry that is a text"),
    (Flaw::ExpiryNotChecked, "expired an hour ago"),
    (Flaw::LeewayOfFiveMinutes, "expired a second past the leeway"),
    (Flaw::StartNotChecked, "not good for another hour"),
    (Flaw::LastMemberWins, "a subject twice"),
    (Flaw::PaddingIsFine, "padded parts"),
    (Flaw::BindingIgnored, "bound to a key, sent as a bearer token"),
    (Flaw::ScopeByPart, "the scope as a prefix"),
    (Flaw::ScopeInAnyCase, "the scope in capitals"),
    (Flaw::ScopeNotChecked, "no scope"),
    (Flaw::FirstFieldWins, "a good field and a forged one"),
    (Flaw::AnyScheme, "another scheme"),
    (Flaw::TokenInTheQuery, "a good token in the query"),
    (Flaw::TokenInCookies, "a good token in a cookie"),
    (Flaw::StrangersPass, "no credentials"),
    (Flaw::UsersOfProxies, "who they are, said by themselves"),
    (Flaw::PathInOneSpelling, "no credentials, a slash at the end"),
    (Flaw::HeadPasses, "no credentials, HEAD"),
    (Flaw::CacheByHeaderAndSignature, "another subject under a header and signature seen before"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    NoneInAnySpelling,
    PublicKeyAsSecret,
    EmptySecret,
    SignatureNotChecked,
    MissingSignatureIsFine,
    UnknownKidIsFine,
    KeyFromTheToken,
    CritIgnored,
    ZipIgnored,
    TypIgnored,
    MarksOfIdTokensIgnored,
    IssuerByPrefix,
    IssuerWithoutSlash,
    IssuerInList,
    IssuerNotChecked,
    AudienceByPart,
    AudienceMayBeAbsent,
    AudienceNotChecked,
    ExpiryMayBeAbsent,
    WrongTypesAreAbsent,
    ExpiryNotChecked,
    LeewayOfFiveMinutes,
    StartNotChecked,
    LastMemberWins,
    PaddingIsFine,
    BindingIgnored,
    ScopeByPart,
    ScopeInAnyCase,
    ScopeNotChecked,
    FirstFieldWins,
    AnyScheme,
    TokenInTheQuery,
    TokenInCookies,
    StrangersPass,
    UsersOfProxies,
    PathInOneSpelling,
    HeadPasses,
    CacheByHeaderAndSignature,
}

/// `GET /users` of an API with that flaw.
pub(super) fn api<'i>(issuer: &'i TestIssuer, flaw: Option<Flaw>) -> impl Target + 'i {
    let mut seen = HashMap::new();
    move |request: Request<Bytes>| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        let mut api = Api { issuer, flaw, now, seen: &mut seen };
        let status = match api.answer(&request) {
            Ok(()) => 200,
            Err(status) => status,
        };
        std::future::ready(Response::builder().status(status).body(Bytes::new()).map_err(|error| error.to_string()))
    }
}

/// What the same API says of a token at this time, without any flaw.
pub(super) fn judge(issuer: &TestIssuer, token: &str, now: f64) -> Result<(), u16> {
    Api { issuer, flaw: None, now, seen: &mut HashMap::new() }.token(token)
}

struct Api<'a> {
    issuer: &'a TestIssuer,
    flaw: Option<Flaw>,
    now: f64,
    seen: &'a mut HashMap<String, ()>,
}

impl Api<'_> {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn answer(&mut self, request: &Request<Bytes>) -> Result<(), u16> {
        let path = request.uri().path();
        let guarded = path == "/users";
        if !guarded {
            // A router that forgives a slash at the end, behind a guard that does not.
            let forgiven = self.has(Flaw::PathInOneSpelling) && path.trim_end_matches('/') == "/users";
            return if forgiven { Ok(()) } else { Err(404) };
        }
        if self.has(Flaw::HeadPasses) && request.method() == "HEAD" {
            return Ok(());
        }
        let Some(token) = self.credentials(request)? else {
            return if self.has(Flaw::StrangersPass) { Ok(()) } else { Err(401) };
        };
        self.token(&token)
    }

    fn credentials(&self, request: &Request<Bytes>) -> Result<Option<String>, u16> {
        let headers: &HeaderMap = request.headers();
        if self.has(Flaw::UsersOfProxies) && headers.contains_key("x-forwarded-user") {
            return Err(200);
        }
        let after = |text: &str, name: &str| text.split_once(name).map(|(_, token)| token.to_owned());
        let fields: Vec<_> = headers.get_all("authorization").iter().collect();
        let field = match fields[..] {
            [] if self.has(Flaw::TokenInTheQuery) => {
                return Ok(after(request.uri().query().unwrap_or_default(), "access_token="));
            }
            [] if self.has(Flaw::TokenInCookies) => {
                return Ok(headers.get("cookie").and_then(|value| after(value.to_str().ok()?, "access_token=")));
            }
            [] => return Ok(None),
            [one] => one,
            [first, ..] if self.has(Flaw::FirstFieldWins) => first,
            _ => return Err(400),
        };
        let text = field.to_str().map_err(|_| 400_u16)?;
        let (scheme, token) = text.split_once(' ').ok_or(401_u16)?;
        if !scheme.eq_ignore_ascii_case("bearer") && !self.has(Flaw::AnyScheme) {
            return Err(401);
        }
        Ok(Some(token.to_owned()))
    }

    fn token(&mut self, token: &str) -> Result<(), u16> {
        if token.len() > 16 * 1024 {
            return Err(401);
        }
        let parts: Vec<&str> = token.split('.').collect();
        let [header, claims, signature] = parts[..] else { return Err(401) };
        let known = format!("{header}.{signature}");
        if self.has(Flaw::CacheByHeaderAndSignature) && self.seen.contains_key(&known) {
            return Ok(());
        }
        self.header_and_signature(header, claims, signature)?;
        self.claims(&self.object(claims)?)?;
        self.seen.insert(known, ());
        Ok(())
    }

    fn decode(&self, part: &str) -> Result<Vec<u8>, u16> {
        let strict = URL_SAFE_NO_PAD;
        let lax = GeneralPurpose::new(
            &base64::alphabet::URL_SAFE,
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
        );
        let engine = if self.has(Flaw::PaddingIsFine) { lax } else { strict };
        engine.decode(part).map_err(|_| 401)
    }

    fn object(&self, part: &str) -> Result<Map<String, Value>, u16> {
        let bytes = self.decode(part)?;
        if self.has(Flaw::LastMemberWins) {
            return serde_json::from_slice(&bytes).map_err(|_| 401);
        }
        serde_json::from_slice(&bytes).map(|Once(map)| map).map_err(|_| 401)
    }

    fn header_and_signature(&self, header: &str, claims: &str, signature: &str) -> Result<(), u16> {
        let message = format!("{header}.{claims}");
        let members = self.object(header)?;
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        if members.contains_key("crit") && !self.has(Flaw::CritIgnored)
            || members.contains_key("zip") && !self.has(Flaw::ZipIgnored)
        {
            return Err(401);
        }
        let typ = text("typ").unwrap_or("JWT");
        if !["at+jwt", "JWT"].contains(&typ) && !self.has(Flaw::TypIgnored) {
            return Err(401);
        }
        let alg = text("alg").ok_or(401_u16)?;
        let signature = self.decode(signature)?;
        if self.has(Flaw::NoneInAnySpelling) && alg.eq_ignore_ascii_case("none")
            || self.has(Flaw::MissingSignatureIsFine) && signature.is_empty()
            || self.has(Flaw::SignatureNotChecked)
        {
            return Ok(());
        }
        let secret = |secret: &[u8]| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
            alg == "HS256" && hmac::verify(&key, message.as_bytes(), &signature).is_ok()
        };
        let published = self.issuer.published();
        let named = published.iter().find(|jwk| jwk["kid"].as_str() == text("kid"));
        let pem = self.issuer.signing_key().public_pem().unwrap_or_default().to_owned();
        if self.has(Flaw::PublicKeyAsSecret) && secret(pem.as_bytes()) || self.has(Flaw::EmptySecret) && secret(b"") {
            return Ok(());
        }
        let jwk = match named {
            None if self.has(Flaw::UnknownKidIsFine) => return Ok(()),
            _ if self.has(Flaw::KeyFromTheToken) && members.contains_key("jwk") => &members["jwk"],
            Some(jwk) => jwk,
            None => return Err(401),
        };
        let part = |name: &str| jwk[name].as_str().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or(401_u16);
        let key = RsaPublicKeyComponents { n: part("n")?, e: part("e")? };
        let good = alg == "RS256" && key.verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &signature).is_ok();
        if good { Ok(()) } else { Err(401) }
    }

    fn claims(&self, claims: &Map<String, Value>) -> Result<(), u16> {
        let refuse_unless = |good: bool| if good { Ok(()) } else { Err(401_u16) };
        let ours = self.issuer.url();
        let issuer = claims.get("iss");
        let text = issuer.and_then(Value::as_str).unwrap_or_default();
        refuse_unless(
            self.has(Flaw::IssuerNotChecked)
                || text == ours
                || self.has(Flaw::IssuerByPrefix) && text.starts_with(ours)
                || self.has(Flaw::IssuerWithoutSlash) && text.trim_end_matches('/') == ours.trim_end_matches('/')
                || self.has(Flaw::IssuerInList)
                    && issuer.and_then(Value::as_array).is_some_and(|all| all.iter().any(|one| one == ours)),
        )?;
        let ours = self.issuer.audience();
        let is_ours = |one: &Value| {
            one == ours || self.has(Flaw::AudienceByPart) && one.as_str().is_some_and(|text| text.contains(ours))
        };
        refuse_unless(match claims.get("aud") {
            _ if self.has(Flaw::AudienceNotChecked) => true,
            None => self.has(Flaw::AudienceMayBeAbsent),
            Some(Value::Array(all)) => all.iter().any(is_ours),
            Some(one) => is_ours(one),
        })?;
        let now = self.now;
        let leeway = if self.has(Flaw::LeewayOfFiveMinutes) { 300.0 } else { 30.0 };
        let time = |name: &str| match claims.get(name) {
            None => Ok(None),
            Some(value) if self.has(Flaw::WrongTypesAreAbsent) => Ok(value.as_f64()),
            Some(value) => value.as_f64().map(Some).ok_or(401_u16),
        };
        let lax =
            self.has(Flaw::ExpiryMayBeAbsent) || self.has(Flaw::WrongTypesAreAbsent) && claims.contains_key("exp");
        refuse_unless(time("exp")?.map_or(lax, |exp| self.has(Flaw::ExpiryNotChecked) || exp + leeway > now))?;
        refuse_unless(time("nbf")?.is_none_or(|nbf| self.has(Flaw::StartNotChecked) || nbf - leeway <= now))?;
        let marks = ["nonce", "at_hash", "c_hash"].iter().any(|mark| claims.contains_key(*mark));
        refuse_unless(!marks || self.has(Flaw::MarksOfIdTokensIgnored))?;
        refuse_unless(!claims.contains_key("events") && claims.get("typ").is_none_or(|typ| typ != "Refresh"))?;
        refuse_unless(!claims.contains_key("cnf") || self.has(Flaw::BindingIgnored))?;
        refuse_unless(claims.get("sub").is_none_or(Value::is_string))?;
        let scope = claims.get("scope").and_then(Value::as_str).unwrap_or_default();
        let granted = scope
            .split(' ')
            .any(|one| one == "read:users" || self.has(Flaw::ScopeInAnyCase) && one.eq_ignore_ascii_case("read:users"));
        if granted || self.has(Flaw::ScopeNotChecked) || self.has(Flaw::ScopeByPart) && scope.contains("read:users") {
            return Ok(());
        }
        Err(403)
    }
}

/// An object that has no member twice.
struct Once(Map<String, Value>);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Map<String, Value>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object that has no member twice")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
                let mut all = Map::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if all.insert(name, value).is_some() {
                        return Err(serde::de::Error::custom("twice"));
                    }
                }
                Ok(all)
            }
        }
        deserializer.deserialize_map(Members).map(Once)
    }
}
