//! Claims as places in a text: a buffer that holds the JSON as it was signed, and behind it what had to be unescaped.

use std::num::NonZeroU32;

/// Where a piece of text lies in a [`Text`]. Bodies are capped far below 4 GiB before anything is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    /// One more than the length, so that a claim which is not there takes no room of its own.
    len: NonZeroU32,
}

impl Span {
    pub(super) fn new(start: usize, len: usize) -> Self {
        Self {
            start: u32::try_from(start).unwrap_or(u32::MAX),
            len: u32::try_from(len).ok().and_then(|len| NonZeroU32::MIN.checked_add(len)).unwrap_or(NonZeroU32::MIN),
        }
    }

    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        self.len == NonZeroU32::MIN
    }

    fn range(self) -> std::ops::Range<usize> {
        let (start, len) = (self.start as usize, self.len.get() as usize - 1);
        start..start + len
    }

    /// From where this one starts to where `last` ends.
    fn through(self, last: Self) -> Self {
        let (start, end) = (self.range().start, last.range().end);
        Self::new(start, end.saturating_sub(start))
    }
}

/// A list of names as the issuer wrote it. None of them takes memory of its own: the list is where it was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum List {
    #[default]
    Absent,
    /// One text, separated by blanks.
    Spaced(Span),
    /// What stands between the first and the last quote of an array whose strings hold no escapes: `a","b", "c`. Every other piece
    /// between quotes is a name.
    Quoted(Span),
    /// Strings that had to be unescaped, each behind its length: `1:a2:"b`.
    Counted(Span),
}

/// The JSON text of a claims set, and behind it the token it came from and the strings that were written with escapes: one piece of
/// memory for all that is text.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Text {
    buffer: Box<str>,
    json: u32,
    token: u32,
}

impl Text {
    /// `token` is empty where it is not to be kept. Nothing is moved when `json` has room for it and there was nothing to unescape.
    pub(crate) fn new(json: String, unescaped: &str, token: &str) -> Self {
        let fits = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let (length, kept) = (fits(json.len()), fits(token.len()));
        let mut buffer = json;
        // Spans count on what was unescaped to follow the JSON at once.
        buffer.push_str(unescaped);
        buffer.push_str(token);
        Self { buffer: buffer.into_boxed_str(), json: length, token: kept }
    }

    /// The claims set as it was signed.
    pub(crate) fn json(&self) -> &str {
        self.buffer.get(..self.json as usize).unwrap_or_default()
    }

    /// The token that the claims came in, if it was kept.
    pub(crate) fn token(&self) -> Option<&str> {
        let start = self.buffer.len().checked_sub(self.token as usize)?;
        self.buffer.get(start..).filter(|token| !token.is_empty())
    }

    pub(crate) fn get(&self, span: Span) -> &str {
        self.buffer.get(span.range()).unwrap_or_default()
    }

    /// Bytes on the heap.
    pub(crate) fn size(&self) -> usize {
        self.buffer.len()
    }
}

/// Turns borrowed strings into spans of the text they were borrowed from.
pub(crate) struct Spans<'a> {
    json: &'a str,
    pub(crate) unescaped: String,
}

impl<'a> Spans<'a> {
    pub(crate) fn of(json: &'a str) -> Self {
        Self { json, unescaped: String::new() }
    }

    /// The place of `piece`, which was read from the text or, having been written with escapes, made anew.
    pub(crate) fn span(&mut self, piece: &str) -> Span {
        self.place(piece).unwrap_or_else(|| {
            let start = self.json.len() + self.unescaped.len();
            self.unescaped.push_str(piece);
            Span::new(start, piece.len())
        })
    }

    /// The place of `piece` in the JSON; `None` when it does not lie there.
    fn place(&self, piece: &str) -> Option<Span> {
        // Plain arithmetic on addresses: two live texts never overlap, and a wrong guess would yield other text, not a wild read.
        let start = (piece.as_ptr() as usize).checked_sub(self.json.as_ptr() as usize)?;
        (start + piece.len() <= self.json.len()).then(|| Span::new(start, piece.len()))
    }
}

/// The strings of one array, as they come.
pub(super) enum Names {
    None,
    /// All of them stand in the JSON, from here to there.
    Quoted(Span, Span),
    /// What has been unescaped starts here.
    Counted(usize),
}

impl Names {
    pub(super) fn add(&mut self, name: &str, spans: &mut Spans<'_>) {
        match (&*self, spans.place(name)) {
            (Self::None, Some(place)) => *self = Self::Quoted(place, place),
            (Self::Quoted(first, _), Some(place)) => *self = Self::Quoted(*first, place),
            (Self::None, None) => {
                *self = Self::Counted(spans.unescaped.len());
                spans.count(name);
            }
            (Self::Quoted(first, last), None) => {
                let before = &spans.json[first.through(*last).range()];
                *self = Self::Counted(spans.unescaped.len());
                quoted(before).for_each(|name| spans.count(name));
                spans.count(name);
            }
            (Self::Counted(_), _) => spans.count(name),
        }
    }

    pub(super) fn list(self, spans: &Spans<'_>) -> List {
        match self {
            Self::None => List::Absent,
            Self::Quoted(first, last) => List::Quoted(first.through(last)),
            Self::Counted(from) => List::Counted(Span::new(spans.json.len() + from, spans.unescaped.len() - from)),
        }
    }
}

impl Spans<'_> {
    fn count(&mut self, name: &str) {
        self.unescaped.push_str(&name.len().to_string());
        self.unescaped.push(':');
        self.unescaped.push_str(name);
    }
}

/// The names in what [`List::Quoted`] points to.
pub(super) fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').step_by(2)
}

/// The first name in what [`List::Counted`] points to, and what follows it.
pub(super) fn counted(text: &str) -> Option<(&str, &str)> {
    let (length, rest) = text.split_once(':')?;
    rest.split_at_checked(length.parse().ok()?)
}
