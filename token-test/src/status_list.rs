//! Lists of the status of tokens, published by the issuer (Token Status List, draft-ietf-oauth-status-list): a place and a status in, a signed list out.

pub(crate) mod list;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use self::list::List;
use crate::compact::base64_url;
use crate::mint::TokenBuilder;
use crate::tenant::Tenant;

/// Where the lists of a tenant are: this, and a number behind it.
pub(crate) const PATH: &str = "/status-lists/";
/// The smallest number of tokens in a list.
const LEAST: usize = 1024;

/// A status list that an issuer publishes, with two bits for each token. Returned by
/// [`TestIssuer::status_list`](crate::TestIssuer::status_list).
///
/// ```
/// use token_test::{TestIssuer, TestStatusList};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let issuer = TestIssuer::start().await;
/// let list = issuer.status_list();
/// let token = issuer.token().status(&list, 7).mint();
/// list.set(7, TestStatusList::INVALID);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TestStatusList {
    tenant: Arc<Tenant>,
    number: usize,
}

impl TestStatusList {
    /// The token is valid. The default for every token.
    pub const VALID: u8 = 0;
    /// The token is revoked permanently.
    pub const INVALID: u8 = 1;
    /// The token is suspended.
    pub const SUSPENDED: u8 = 2;

    pub(crate) fn publish_by(tenant: Arc<Tenant>) -> Self {
        let mut lists = tenant.status_lists();
        lists.push(List { bits: 2, statuses: BTreeMap::new(), ttl: Some(60), text: None });
        let number = lists.len() - 1;
        drop(lists);
        Self { tenant, number }
    }

    pub(crate) const fn of(tenant: Arc<Tenant>, number: usize) -> Self {
        Self { tenant, number }
    }

    /// The URL of the list.
    #[must_use]
    pub fn uri(&self) -> String {
        self.tenant.endpoint(&format!("{PATH}{}", self.number))
    }

    /// Sets the status of the token at this index. It takes effect for a client with its next fetch of the list.
    ///
    /// # Panics
    /// If the status does not fit into two bits.
    pub fn set(&self, index: usize, status: u8) {
        self.change(|list| {
            assert!(u32::from(status) < 1 << list.bits, "a status of {} bits, not {status}", list.bits);
            list.statuses.insert(index, status);
        });
    }

    /// Sets how long the list may be kept (`ttl`), in whole seconds; `None` leaves the claim out. Default: 60 s.
    pub fn ttl(&self, ttl: Option<Duration>) {
        self.change(|list| list.ttl = ttl.map(|ttl| ttl.as_secs()));
    }

    /// Serves this text instead of the list, until [`heal`](Self::heal).
    pub fn serve(&self, text: impl Into<String>) {
        self.change(|list| list.text = Some(text.into()));
    }

    /// Serves the list again.
    pub fn heal(&self) {
        self.change(|list| list.text = None);
    }

    /// The status list token as it would be served now, valid unless a method of the builder changes that.
    pub fn token(&self) -> TokenBuilder {
        let (mut claims, typ) = (json!({"iss": self.tenant.issuer, "sub": self.uri()}), "statuslist+jwt");
        self.change(|list| {
            let per_byte = usize::from(8 / list.bits);
            let tokens = list.statuses.last_key_value().map_or(0, |(last, _)| last + 1).max(LEAST);
            let mut bytes = vec![0u8; tokens.div_ceil(per_byte)];
            for (index, status) in &list.statuses {
                // The places of a byte begin with its lowest bits.
                bytes[index / per_byte] |= status << ((index % per_byte) as u8 * list.bits);
            }
            let packed = miniz_oxide::deflate::compress_to_vec_zlib(&bytes, 9);
            claims["status_list"] = json!({"bits": list.bits, "lst": base64_url(&packed)});
            if let Some(ttl) = list.ttl {
                claims["ttl"] = ttl.into();
            }
        });
        TokenBuilder::new(Arc::clone(&self.tenant), typ, claims)
    }

    fn change(&self, change: impl FnOnce(&mut List)) {
        change(&mut self.tenant.status_lists()[self.number]);
    }
}

impl TokenBuilder {
    /// Sets the claim `status`: this index in a status list of the issuer (Token Status List section 6.2).
    pub fn status(self, list: &TestStatusList, index: usize) -> Self {
        self.claim("status", json!({"status_list": {"idx": index, "uri": list.uri()}}))
    }
}
