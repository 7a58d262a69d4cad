//! A request as plain values, for the tests of every room that looks at one.

use std::net::IpAddr;

use super::presented::{ProofMark, RequestView};

/// `GET` of a target, with the fields and facts that a test adds.
#[derive(Clone, Default)]
pub(crate) struct Sent {
    pub(crate) method: &'static str,
    pub(crate) target: &'static str,
    pub(crate) fields: Vec<(&'static str, Vec<u8>)>,
    pub(crate) authority: Option<String>,
    pub(crate) mark: Option<ProofMark>,
    pub(crate) certificate: Option<&'static [u8]>,
    pub(crate) peer: Option<IpAddr>,
}

impl Sent {
    pub(crate) fn get(target: &'static str) -> Self {
        Self { method: "GET", target, ..Self::default() }
    }

    /// `GET /` with each of these values as a field of this name.
    pub(crate) fn each<T: AsRef<[u8]>>(name: &'static str, values: impl IntoIterator<Item = T>) -> Self {
        values.into_iter().fold(Self::get("/"), |sent, value| sent.field(name, value))
    }

    pub(crate) fn method(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    /// One more field, after those that are there.
    pub(crate) fn field(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.fields.push((name, value.as_ref().to_vec()));
        self
    }

    pub(crate) fn fields<T: AsRef<[u8]>>(self, fields: impl IntoIterator<Item = (&'static str, T)>) -> Self {
        fields.into_iter().fold(self, |sent, (name, value)| sent.field(name, value))
    }

    pub(crate) fn authority(mut self, authority: impl Into<String>) -> Self {
        self.authority = Some(authority.into());
        self
    }

    pub(crate) fn peer(mut self, peer: &str) -> Self {
        self.peer = Some(peer.parse().unwrap());
        self
    }
}

impl RequestView for Sent {
    fn method(&self) -> &str {
        self.method
    }
    fn path_and_query(&self) -> &str {
        self.target
    }
    fn header<'a>(&'a self, name: &str, each: &mut dyn FnMut(&'a [u8])) {
        self.fields.iter().filter(|(field, _)| *field == name).for_each(|(_, value)| each(value));
    }
    fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }
    fn proof_mark(&self) -> Option<&ProofMark> {
        self.mark.as_ref()
    }
    fn client_certificate(&self) -> Option<&[u8]> {
        self.certificate
    }
    fn peer(&self) -> Option<IpAddr> {
        self.peer
    }
}
