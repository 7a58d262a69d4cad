//! The clients that the issuer knows, and what each may ask for (RFC 6749 section 2).

use std::sync::Arc;

use crate::tenant::Tenant;

/// A client as the issuer remembers it.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: String,
    /// None: whatever it asks for.
    pub(crate) scopes: Option<Vec<String>>,
}

impl Client {
    pub(crate) fn new(id: &str, secret: &str) -> Self {
        Self { id: id.to_owned(), secret: secret.to_owned(), scopes: None }
    }
}

/// A client just registered, to be narrowed. Got from [`TestIssuer::client`](crate::TestIssuer::client).
#[derive(Debug)]
pub struct RegisteredClient {
    tenant: Arc<Tenant>,
    id: String,
}

impl RegisteredClient {
    pub(crate) fn register(tenant: Arc<Tenant>, id: &str, secret: &str) -> Self {
        tenant.clients().insert(id.to_owned(), Client::new(id, secret));
        Self { tenant, id: id.to_owned() }
    }

    /// The only scopes, separated by spaces, that the client gets. Asking for another is `invalid_scope`; asking for
    /// none yields all of them.
    pub fn scopes(self, scopes: &str) -> Self {
        if let Some(client) = self.tenant.clients().get_mut(&self.id) {
            client.scopes = Some(scopes.split(' ').map(str::to_owned).collect());
        }
        self
    }
}
