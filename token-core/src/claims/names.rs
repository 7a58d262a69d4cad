//! A list of names, whichever way the issuer wrote it, as one iterator.

use super::spans::{List, Text, counted};

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

    pub(crate) fn iter(self) -> NamesIter<'a> {
        match self.list {
            List::Absent => NamesIter::Spaced(""),
            List::Spaced(span) => NamesIter::Spaced(self.text.get(*span)),
            List::Quoted(span) => NamesIter::Quoted(self.text.get(*span)),
            List::Counted(span) => NamesIter::Counted(self.text.get(*span)),
        }
    }
}

/// What is left of a list.
pub(crate) enum NamesIter<'a> {
    Spaced(&'a str),
    Quoted(&'a str),
    /// What stands behind a name that was between quotes: nobody looks for the next one before it is asked for.
    Between(Option<&'a str>),
    Counted(&'a str),
}

impl<'a> Iterator for NamesIter<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        match self {
            // RFC 6749 section 3.3 separates by one blank; issuers that write two mean one.
            Self::Spaced(rest) => {
                let start = rest.bytes().position(|byte| byte != b' ')?;
                let (name, more) = cut(&rest[start..], b' ');
                *rest = more.unwrap_or_default();
                Some(name)
            }
            Self::Between(separator) => {
                *self = Self::Quoted(cut((*separator)?, b'"').1?);
                self.next()
            }
            Self::Quoted(rest) => {
                let (name, separator) = cut(rest, b'"');
                *self = Self::Between(separator);
                Some(name)
            }
            Self::Counted(rest) => {
                let (name, more) = counted(rest)?;
                *rest = more;
                Some(name)
            }
        }
    }
}

/// What stands before the first `byte`, which is ASCII, and what stands behind it.
fn cut(text: &str, byte: u8) -> (&str, Option<&str>) {
    match memchr::memchr(byte, text.as_bytes()) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}
