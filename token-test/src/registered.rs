//! A client that was just registered in, its settings changed out.

use std::sync::Arc;

use serde_json::{Value, json};
use token_core::jose::encryption::EncryptionKey;

use crate::client::{Client, Proof};
use crate::tenant::Tenant;

/// A registered client whose settings can be changed. Returned by [`TestIssuer::client`](crate::TestIssuer::client).
#[derive(Debug)]
pub struct RegisteredClient {
    tenant: Arc<Tenant>,
    id: String,
}

impl RegisteredClient {
    pub(crate) fn register(tenant: Arc<Tenant>, id: &str, secret: &str) -> Self {
        tenant.clients().insert(id.to_owned(), Client::with_secret(id, secret));
        Self { tenant, id: id.to_owned() }
    }

    /// Limits the client to these scopes, separated by spaces. Requesting another one is `invalid_scope`; requesting
    /// none yields all of them.
    pub fn scopes(self, scopes: &str) -> Self {
        self.change(|client| client.scopes = Some(scopes.split(' ').map(str::to_owned).collect()))
    }

    /// Adds a redirect URI; may be called several times. Without one, users cannot sign in with this client. For a
    /// loopback address the port is ignored.
    pub fn redirect_uri(self, uri: &str) -> Self {
        self.change(|client| client.redirect_uris.push(uri.to_owned()))
    }

    /// Makes the client public: its secret is no longer used, and codes are protected by PKCE alone.
    pub fn public(self) -> Self {
        self.change(|client| client.proof = Proof::Nothing)
    }

    /// Makes the client authenticate by `private_key_jwt` with one of these keys instead of its secret.
    pub fn keys<'a>(self, jwks: impl IntoIterator<Item = &'a Value>) -> Self {
        let set = json!({ "keys": jwks.into_iter().collect::<Vec<_>>() });
        self.change(|client| client.proof = Proof::Keys(set))
    }

    /// Issues a refresh token at every sign-in, even if `offline_access` is not requested.
    pub fn refreshes(self) -> Self {
        self.change(|client| client.refreshes = true)
    }

    /// The client has registered for encrypted ID tokens (`id_token_encrypted_response_alg`): those of sign-ins and refreshes are encrypted to this key, by
    /// `A256GCM` or what a secret is for.
    ///
    /// ```
    /// use token_core::Issuer;
    /// use token_core::jose::encryption::{DecryptionKey, EncryptedTokens, KeyManagement};
    /// use token_core::login::IdTokenVerifier;
    /// use token_test::TestIssuer;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let issuer = TestIssuer::start().await;
    /// let key = DecryptionKey::generate(KeyManagement::EcdhEs, Some("1"))?;
    /// issuer.client("web", "secret").redirect_uri("https://web.example/cb").encrypted_id_tokens(&key.encryption_key()?);
    ///
    /// let trusted = Issuer::discover(issuer.url())?.allow_loopback_http();
    /// let verifier = IdTokenVerifier::encrypted("web", trusted, EncryptedTokens::with([key]))?;
    /// # let _ = verifier; Ok(()) }
    /// ```
    pub fn encrypted_id_tokens(self, key: &EncryptionKey) -> Self {
        self.change(|client| client.id_tokens_to = Some(key.clone()))
    }

    fn change(self, change: impl FnOnce(&mut Client)) -> Self {
        if let Some(client) = self.tenant.clients().get_mut(&self.id) {
            change(client);
        }
        self
    }
}
