//! What is said of a header and of claims goes in, a compact JWS comes out: signed as it stands, or spoiled in one way (RFC 7515 section 7.1).

use serde_json::Value;

use crate::compact::{compact, padded, with_claims};
use crate::parts::Parts;

/// A JWS under construction. Nothing in it is checked.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) header: Parts,
    pub(crate) claims: Parts,
    pub(crate) raw_header: Option<String>,
    pub(crate) raw_claims: Option<String>,
    pub(crate) tampered: bool,
    pub(crate) padded: bool,
}

impl Draft {
    pub(crate) fn of(header: Value, claims: Value) -> Self {
        let (header, claims) = (Parts::of(header), Parts::of(claims));
        Self { header, claims, raw_header: None, raw_claims: None, tampered: false, padded: false }
    }

    /// The claims as they are signed, with these where nothing was said of them.
    pub(crate) fn claims_json(&self, defaults: impl IntoIterator<Item = (&'static str, Value)>) -> String {
        self.raw_claims.clone().unwrap_or_else(|| self.claims.with_defaults(defaults).to_json())
    }

    /// The whole, with these members in the header where nothing was said of them.
    pub(crate) fn signed(
        &self,
        defaults: impl IntoIterator<Item = (&'static str, Value)>,
        claims: &str,
        sign: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> String {
        let header = self.raw_header.clone().unwrap_or_else(|| self.header.with_defaults(defaults).to_json());
        let token = if self.padded { padded(&header, claims, sign) } else { compact(&header, claims, sign) };
        if self.tampered { with_claims(&token, &tamper(claims)) } else { token }
    }
}

/// Other claims than were signed; still JSON if it was an object.
fn tamper(claims: &str) -> String {
    match claims.trim_end().strip_suffix('}') {
        Some("{") => r#"{"tampered":true}"#.to_owned(),
        Some(open) => format!(r#"{open},"tampered":true}}"#),
        None => format!("{claims} "),
    }
}

/// The methods of every builder that has a field `draft`.
macro_rules! says_what_a_draft_holds {
    () => {
        /// Sets any claim to any value.
        pub fn claim(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
            self.draft.claims.set(name, value.into());
            self
        }

        /// Removes this claim.
        pub fn without(mut self, name: &str) -> Self {
            self.draft.claims.remove(name);
            self
        }

        /// Sets any member of the header (RFC 7515 section 4), even `alg` and `kid`; it need not match how the token is
        /// really signed.
        pub fn header(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
            self.draft.header.set(name, value.into());
            self
        }

        /// Removes this member of the header.
        pub fn without_header(mut self, name: &str) -> Self {
            self.draft.header.remove(name);
            self
        }

        /// Changes the claims after signing, so that the signature is invalid.
        pub fn tampered(mut self) -> Self {
            self.draft.tampered = true;
            self
        }

        /// Uses this text as the header and signs it as it is; all other header settings are ignored.
        pub fn raw_header(mut self, json: impl Into<String>) -> Self {
            self.draft.raw_header = Some(json.into());
            self
        }

        /// Uses this text as the claims and signs it as it is; all other claim settings are ignored.
        pub fn raw_claims(mut self, json: impl Into<String>) -> Self {
            self.draft.raw_claims = Some(json.into());
            self
        }
    };
}
pub(crate) use says_what_a_draft_holds;
