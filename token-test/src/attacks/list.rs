//! The list of attacks: what is sent, its class, the clause that forbids it, and the advisory about a product that let it in.

mod algorithm;
mod binding;
mod claim;
mod credentials;
mod encoding;
mod encryption;
mod good;
mod issuer;
mod key;
mod kind;
mod path;
mod status;
pub(super) mod tickets;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderValue, Method, Request};
use token_core::jose::encryption::EncryptionKey;

use super::class::Class;
use crate::guarded::Guarded;
use crate::mint::TokenBuilder;
use crate::{TestIssuer, TestStatusList};
use tickets::Shop;

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
    pub(crate) guarded: Guarded<'i>,
    pub(crate) leeway: u64,
    /// The list that tokens point to, where the API looks at it.
    pub(crate) status_list: Option<TestStatusList>,
    /// What the API opens encrypted tokens with.
    pub(crate) sealed_to: Option<EncryptionKey>,
    /// Where it sells tickets.
    pub(crate) shop: Option<Shop>,
    /// Where a token ends itself.
    pub(crate) revoked_at: Option<(Method, String)>,
    /// Where no bearer token is taken.
    pub(crate) proofs_alone_at: Option<(Method, String)>,
}

impl Bait<'_> {
    /// A token that has to be let in, until something is done to it.
    pub(crate) fn token(&self) -> TokenBuilder {
        self.status_list.iter().fold(self.guarded.token(), |token, list| token.status(list, 0))
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
        let (method, target) = (self.guarded.method.clone(), self.guarded.path.clone());
        Attack { name, class, clause, advisory: "", giant: false, method, target, fields }
    }

    fn bearer(&self, class: Class, name: &'static str, clause: &'static str, token: &str) -> Attack {
        self.with(class, name, clause, vec![(AUTHORIZATION, field("Bearer ", token))])
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
        self.encryption(&mut all);
        all
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
