//! What a test wants of a token goes in, its text comes out: good (RFC 9068, OpenID Connect Core 2) or bad in one way.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use token_core::Algorithm;
use token_core::jose::encryption::{ContentEncryption, EncryptionKey};

use crate::client::Client;
use crate::compact::base64_url;
use crate::draft::{Draft, says_what_a_draft_holds};
use crate::keys::TestKey;
use crate::tenant::Tenant;

/// A token to be minted. Got from [`TestIssuer::token`](crate::TestIssuer::token) or
/// [`TestIssuer::id_token`](crate::TestIssuer::id_token).
///
/// Left alone it mints a good token; each call changes one thing, and of two calls that contradict each other the later wins.
/// Nothing is checked: a token can be as wrong as you like.
#[derive(Clone, Debug)]
#[must_use = "nothing is minted until `mint` is called"]
pub struct TokenBuilder {
    tenant: Arc<Tenant>,
    draft: Draft,
    /// Seconds from now, negative for the past.
    issued: i64,
    expires: i64,
    algorithm: Option<Algorithm>,
    signer: Signer,
    sealed: Option<Sealed>,
}

/// How the signed token is encrypted.
#[derive(Clone, Debug)]
struct Sealed {
    key: EncryptionKey,
    enc: ContentEncryption,
    header: Map<String, Value>,
}

#[derive(Clone, Debug)]
enum Signer {
    Issuer,
    Key(TestKey),
    Forger,
    Nobody,
}

impl TokenBuilder {
    /// `iss`, `aud`, `sub`, `client_id`, `iat`, `exp` and `jti`, type `at+jwt` (RFC 9068 section 2.2).
    pub(crate) fn access(tenant: Arc<Tenant>) -> Self {
        let claims = json!({
            "iss": tenant.issuer,
            "aud": tenant.audience,
            "sub": "test-user",
            "client_id": "test-client",
            "jti": tenant.unique(),
        });
        Self::new(tenant, "at+jwt", claims)
    }

    /// `iss`, `aud` (the client), `sub`, `iat` and `exp`, type `JWT` (OpenID Connect Core section 2).
    pub(crate) fn id(tenant: Arc<Tenant>) -> Self {
        let claims = json!({ "iss": tenant.issuer, "aud": "test-client", "sub": "test-user" });
        Self::new(tenant, "JWT", claims)
    }

    /// `iat` and `exp`, and these claims.
    pub(crate) fn new(tenant: Arc<Tenant>, typ: &str, claims: Value) -> Self {
        Self {
            tenant,
            draft: Draft::of(json!({ "typ": typ }), claims),
            issued: 0,
            expires: 3600,
            algorithm: None,
            signer: Signer::Issuer,
            sealed: None,
        }
    }

    /// The `sub` claim: whom the token speaks of. Default `test-user`.
    pub fn subject(self, subject: &str) -> Self {
        self.claim("sub", subject)
    }

    /// The `scope` claim: scopes separated by spaces. Default: no such claim.
    pub fn scope(self, scope: &str) -> Self {
        self.claim("scope", scope)
    }

    /// The `aud` claim, as one string. Default: the issuer's audience; for an ID token `test-client`.
    pub fn audience(self, audience: &str) -> Self {
        self.claim("aud", audience)
    }

    /// The `aud` claim: one string for one audience, an array for any other number.
    pub fn audiences<'a>(self, audiences: impl IntoIterator<Item = &'a str>) -> Self {
        let audiences: Vec<&str> = audiences.into_iter().collect();
        match audiences.as_slice() {
            [one] => self.claim("aud", *one),
            _ => self.claim("aud", audiences),
        }
    }

    /// Bound to a key of its sender: `cnf` with `jkt` (RFC 9449 section 6.1). It goes with proofs of [`TestKey::proof`].
    pub fn bound_to(self, key: &TestKey) -> Self {
        self.claim("cnf", json!({"jkt": key.thumbprint()}))
    }

    /// Bound to a certificate of its sender, in DER: `cnf` with `x5t#S256` (RFC 8705 section 3.1).
    pub fn bound_to_certificate(self, der: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
        self.claim("cnf", json!({"x5t#S256": base64_url(digest.as_ref())}))
    }

    /// The `client_id` claim (RFC 9068 section 2.2). Default `test-client`.
    pub fn client_id(self, client_id: &str) -> Self {
        self.claim("client_id", client_id)
    }

    /// The `iss` claim: to speak in another issuer's name. Default: this issuer.
    pub fn issuer(self, issuer: &str) -> Self {
        self.claim("iss", issuer)
    }

    /// How long the token lives, counted from now in whole seconds. Default one hour.
    pub fn expires_in(mut self, life: Duration) -> Self {
        self.expires = seconds(life);
        self.computed("exp")
    }

    /// A token that was issued two hours ago and expired one hour ago.
    pub fn expired(mut self) -> Self {
        (self.issued, self.expires) = (-7200, -3600);
        self.computed("exp")
    }

    /// A token that expired this long ago, in whole seconds: to try out the leeway of a verifier.
    pub fn expired_ago(mut self, ago: Duration) -> Self {
        let ago = seconds(ago);
        (self.issued, self.expires) = (ago.saturating_neg().saturating_sub(3600), ago.saturating_neg());
        self.computed("exp")
    }

    /// A token with an `nbf` claim this far ahead, in whole seconds.
    pub fn not_before_in(self, ahead: Duration) -> Self {
        let not_before = self.tenant.now_secs().saturating_add(seconds(ahead));
        self.claim("nbf", not_before)
    }

    /// A token whose `iat` is this far ahead, in whole seconds.
    pub fn issued_in(mut self, ahead: Duration) -> Self {
        self.issued = seconds(ahead);
        self.computed("iat")
    }

    /// As an issuer mints it whose clock is off by so many seconds, ahead when they are positive: `iat`, `nbf` and `exp` are all moved.
    pub fn clock_off(mut self, seconds: i64) -> Self {
        self.issued = self.issued.saturating_add(seconds);
        self.expires = self.expires.saturating_add(seconds);
        let not_before = self.tenant.now_secs().saturating_add(self.issued);
        self.computed("iat").computed("exp").claim("nbf", not_before)
    }

    says_what_a_draft_holds!();

    /// The `kid` in the header, whatever key signs.
    pub fn kid(self, kid: &str) -> Self {
        self.header("kid", kid)
    }

    /// Signs with the issuer's key for this algorithm, which is published at this moment if there was none.
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = Some(algorithm);
        self
    }

    /// Signs with this key, and says so in the header; the issuer need not have published it.
    pub fn signed_by(mut self, key: &TestKey) -> Self {
        self.signer = Signer::Key(key.clone());
        self
    }

    /// Signs with a key that the issuer never published, under the `kid` of the one that it did.
    pub fn forged(mut self) -> Self {
        self.signer = Signer::Forger;
        self
    }

    /// Pads the parts with `=`, as AWS load balancers do against RFC 7515 section 2.
    pub fn padded(mut self) -> Self {
        self.draft.padded = true;
        self
    }

    /// An unsecured token: `alg` is `none` and the signature empty (RFC 7519 section 6).
    pub fn alg_none(mut self) -> Self {
        self.signer = Signer::Nobody;
        self
    }

    /// Encrypted to this key (RFC 7516): what is minted is a JWE with the signed token in it. By `A256GCM`, or what a secret is for.
    ///
    /// ```
    /// use token_core::jose::encryption::{DecryptionKey, EncryptedTokens, KeyManagement};
    /// use token_core::{Issuer, ResourceServer};
    /// use token_test::TestIssuer;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let issuer = TestIssuer::start().await;
    /// let key = DecryptionKey::generate(KeyManagement::EcdhEs, Some("1"))?;
    /// let token = issuer.token().subject("ada").encrypted_to(&key.encryption_key()?).mint();
    ///
    /// let api = ResourceServer::builder(issuer.audience())
    ///     .trust(Issuer::discover(issuer.url())?.allow_loopback_http())
    ///     .encrypted_tokens(EncryptedTokens::with([key]))
    ///     .build()?;
    /// let verified = api.authenticate(token_core::Presented::token(&token)).await?;
    /// assert_eq!(verified.subject(), Some("ada"));
    /// # Ok(()) }
    /// ```
    pub fn encrypted_to(mut self, key: &EncryptionKey) -> Self {
        let enc = key.bound_to().unwrap_or(ContentEncryption::A256Gcm);
        self.sealed = Some(Sealed { key: key.clone(), enc, header: Map::new() });
        self
    }

    /// By another content encryption. Call it after [`encrypted_to`](Self::encrypted_to); without that it does nothing.
    pub fn content_encryption(mut self, enc: ContentEncryption) -> Self {
        if let Some(sealed) = &mut self.sealed {
            sealed.enc = enc;
        }
        self
    }

    /// A member of the header of the encrypted token; null takes one away. Call it after [`encrypted_to`](Self::encrypted_to); without that it does nothing.
    pub fn outer_header(mut self, name: &str, value: impl Into<Value>) -> Self {
        if let Some(sealed) = &mut self.sealed {
            sealed.header.insert(name.to_owned(), value.into());
        }
        self
    }

    /// In the form that this client has registered for.
    pub(crate) fn sealed_for(self, client: &Client) -> Self {
        match &client.id_tokens_to {
            Some(key) => self.encrypted_to(key),
            None => self,
        }
    }

    /// The token in its compact form.
    ///
    /// # Panics
    /// If no key was ever made for the algorithm, or a secret is to encrypt by another `enc` than its own.
    #[must_use]
    pub fn mint(&self) -> String {
        let signer = self.key();
        let sign = |message: &[u8]| signer.as_ref().map(|key| key.sign(message)).unwrap_or_default();
        let token = self.draft.signed(header_of(signer.as_ref()), &self.claims_json(), sign);
        match &self.sealed {
            None => token,
            Some(Sealed { key, enc, header }) => {
                key.encrypt(*enc, header, token.as_bytes()).expect("a secret is used with its own enc alone")
            }
        }
    }

    /// An opaque token with these claims behind it: a random text that only the issuer's introspection and userinfo endpoints can
    /// make sense of. Nothing is signed; what was said of header and keys does not count.
    ///
    /// # Panics
    /// If [`raw_claims`](Self::raw_claims) is no JSON object.
    #[must_use]
    pub fn mint_opaque(&self) -> String {
        let claims = self.claims_json();
        let token = format!("opaque-{}", self.tenant.unique());
        self.tenant.keep_opaque(&token, serde_json::from_str(&claims).expect("a JSON object"));
        token
    }

    fn key(&self) -> Option<TestKey> {
        let of_issuer = || self.tenant.keys().signing(self.algorithm.unwrap_or(self.tenant.algorithm));
        match &self.signer {
            Signer::Nobody => None,
            Signer::Key(key) => Some(key.clone()),
            Signer::Issuer => Some(of_issuer()),
            Signer::Forger => {
                let published = of_issuer();
                Some(TestKey::forger(published.algorithm(), published.kid()))
            }
        }
    }

    fn claims_json(&self) -> String {
        let now = self.tenant.now_secs();
        let in_so_long = |seconds: i64| Value::from(now.saturating_add(seconds));
        self.draft.claims_json([("iat", in_so_long(self.issued)), ("exp", in_so_long(self.expires))])
    }

    /// A time that is computed takes the place of one that was set as a claim before.
    fn computed(mut self, name: &str) -> Self {
        self.draft.claims.forget(name);
        self
    }
}

/// How a key is named in the header.
fn header_of(signer: Option<&TestKey>) -> impl Iterator<Item = (&'static str, Value)> {
    let alg = signer.map_or("none", |key| key.algorithm().name());
    let kid = signer.and_then(TestKey::kid).map(|kid| ("kid", kid.into()));
    std::iter::once(("alg", alg.into())).chain(kid)
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
