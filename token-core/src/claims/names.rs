//! A list of names, whichever way the issuer wrote it, as one iterator.

use super::spans::{List, Text};

/// Names out of one or more claims, borrowed from the token they belong to.
#[derive(Clone, Copy)]
pub(crate) struct Names<'a> {
    text: &'a Text,
    list: &'a List,
}

impl<'a> Names<'a> {
    pub(crate) fn new(text: &'a Text, list: &'a List) -> Self {
        Self { text, list }
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = &'a str> + use<'a> {
        let (spaced, listed) = match self.list {
            List::Absent => ("", &[][..]),
            List::Spaced(span) => (self.text.get(*span), &[][..]),
            List::Listed(spans) => ("", &**spans),
        };
        let text = self.text;
        // RFC 6749 section 3.3 separates by one blank; issuers that write two mean one.
        spaced.split(' ').filter(|name| !name.is_empty()).chain(listed.iter().map(move |span| text.get(*span)))
    }
}
