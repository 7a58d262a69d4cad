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

/// A token to be minted. Returned by [`TestIssuer::token`](crate::TestIssuer::token) or
/// [`TestIssuer::id_token`](crate::TestIssuer::id_token).
///
/// Without further calls, the token is valid. Each method changes one thing; of two contradicting calls, the later one
/// is used. Nothing is checked, so a token can be invalid in any way.
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

    /// Sets `sub`. Default: `test-user`.
    pub fn subject(self, subject: &str) -> Self {
        self.claim("sub", subject)
    }

    /// Sets `scope`: scopes separated by spaces. Default: no such claim.
    pub fn scope(self, scope: &str) -> Self {
        self.claim("scope", scope)
    }

    /// Sets `aud` to one string. Default: the issuer's audience; for an ID token, `test-client`.
    pub fn audience(self, audience: &str) -> Self {
        self.claim("aud", audience)
    }

    /// Sets `aud`: a string for one audience, an array for any other number.
    pub fn audiences<'a>(self, audiences: impl IntoIterator<Item = &'a str>) -> Self {
        let audiences: Vec<&str> = audiences.into_iter().collect();
        match audiences.as_slice() {
            [one] => self.claim("aud", *one),
            _ => self.claim("aud", audiences),
        }
    }

    /// Binds the token to a key of its sender: `cnf` with `jkt` (RFC 9449 section 6.1). Use it with proofs from
    /// [`TestKey::proof`].
    pub fn bound_to(self, key: &TestKey) -> Self {
        self.claim("cnf", json!({"jkt": key.thumbprint()}))
    }

    /// Binds the token to a client certificate in DER: `cnf` with `x5t#S256` (RFC 8705 section 3.1).
    pub fn bound_to_certificate(self, der: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
        self.claim("cnf", json!({"x5t#S256": base64_url(digest.as_ref())}))
    }

    /// Sets `client_id` (RFC 9068 section 2.2). Default: `test-client`.
    pub fn client_id(self, client_id: &str) -> Self {
        self.claim("client_id", client_id)
    }

    /// Sets `iss`, to impersonate another issuer. Default: this issuer.
    pub fn issuer(self, issuer: &str) -> Self {
        self.claim("iss", issuer)
    }

    /// Sets the lifetime from now, in whole seconds. Default: one hour.
    pub fn expires_in(mut self, life: Duration) -> Self {
        self.expires = seconds(life);
        self.computed("exp")
    }

    /// Makes a token that was issued two hours ago and expired one hour ago.
    pub fn expired(mut self) -> Self {
        (self.issued, self.expires) = (-7200, -3600);
        self.computed("exp")
    }

    /// Makes a token that expired this long ago, in whole seconds, to test a verifier's leeway.
    pub fn expired_ago(mut self, ago: Duration) -> Self {
        let ago = seconds(ago);
        (self.issued, self.expires) = (ago.saturating_neg().saturating_sub(3600), ago.saturating_neg());
        self.computed("exp")
    }

    /// Sets `nbf` this far into the future, in whole seconds.
    pub fn not_before_in(self, ahead: Duration) -> Self {
        let not_before = self.tenant.now_secs().saturating_add(seconds(ahead));
        self.claim("nbf", not_before)
    }

    /// Sets `iat` this far into the future, in whole seconds.
    pub fn issued_in(mut self, ahead: Duration) -> Self {
        self.issued = seconds(ahead);
        self.computed("iat")
    }

    /// Moves `iat`, `nbf` and `exp` as if the issuer's clock were wrong by this many seconds (positive: ahead).
    pub fn clock_off(mut self, seconds: i64) -> Self {
        self.issued = self.issued.saturating_add(seconds);
        self.expires = self.expires.saturating_add(seconds);
        let not_before = self.tenant.now_secs().saturating_add(self.issued);
        self.computed("iat").computed("exp").claim("nbf", not_before)
    }

    says_what_a_draft_holds!();

    /// Sets the `kid` in the header, whatever key signs.
    pub fn kid(self, kid: &str) -> Self {
        self.header("kid", kid)
    }

    /// Signs with the issuer's key for this algorithm, which is published now if there was none.
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = Some(algorithm);
        self
    }

    /// Signs with this key and names it in the header. The issuer need not have published it.
    pub fn signed_by(mut self, key: &TestKey) -> Self {
        self.signer = Signer::Key(key.clone());
        self
    }

    /// Signs with a key that the issuer never published, but with the `kid` of the published one.
    pub fn forged(mut self) -> Self {
        self.signer = Signer::Forger;
        self
    }

    /// Pads the parts with `=`, as AWS load balancers do against RFC 7515 section 2.
    pub fn padded(mut self) -> Self {
        self.draft.padded = true;
        self
    }

    /// Makes an unsecured token: `alg` is `none` and the signature is empty (RFC 7519 section 6).
    pub fn alg_none(mut self) -> Self {
        self.signer = Signer::Nobody;
        self
    }

    /// Encrypts the token to this key (RFC 7516): the result is a JWE that contains the signed token. The content
    /// encryption is `A256GCM`, or the one that a secret is for.
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

    /// Sets the content encryption. Call it after [`encrypted_to`](Self::encrypted_to); otherwise it has no effect.
    pub fn content_encryption(mut self, enc: ContentEncryption) -> Self {
        if let Some(sealed) = &mut self.sealed {
            sealed.enc = enc;
        }
        self
    }

    /// Sets a member of the JWE header; null removes it. Call it after [`encrypted_to`](Self::encrypted_to); otherwise
    /// it has no effect.
    pub fn outer_header(mut self, name: &str, value: impl Into<Value>) -> Self {
        if let Some(sealed) = &mut self.sealed {
            sealed.header.insert(name.to_owned(), value.into());
        }
        self
    }

    /// Encrypts the token if this client has registered a key for that.
    pub(crate) fn sealed_for(self, client: &Client) -> Self {
        match &client.id_tokens_to {
            Some(key) => self.encrypted_to(key),
            None => self,
        }
    }

    /// Returns the token in its compact form.
    ///
    /// # Panics
    /// If there is no key for the algorithm, or if a secret is to be used with another `enc` than its own.
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

    /// Returns an opaque token that stands for these claims: random text that only the issuer's introspection and
    /// userinfo endpoints can resolve. Nothing is signed; settings of header and keys are ignored.
    ///
    /// # Panics
    /// If [`raw_claims`](Self::raw_claims) is not a JSON object.
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

    /// A computed time replaces one that was set as a claim before.
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
