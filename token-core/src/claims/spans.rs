//! Claims as places in a text: a buffer that holds the JSON as it was signed, and behind it what had to be unescaped.

/// Where a piece of text lies in a [`Text`]. Bodies are capped far below 4 GiB before anything is parsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    len: u32,
}

/// A list of names as the issuer wrote it: one text separated by blanks, or an array.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum List {
    #[default]
    Absent,
    Spaced(Span),
    Listed(Box<[Span]>),
}

impl List {
    /// Bytes on the heap.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Listed(spans) => size_of_val(&**spans),
            Self::Absent | Self::Spaced(_) => 0,
        }
    }
}

/// The JSON text of a claims set, and behind it the strings that were written with escapes.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Text {
    buffer: Box<str>,
    json: u32,
}

impl Text {
    pub(crate) fn new(json: String, unescaped: &str) -> Self {
        let length = u32::try_from(json.len()).unwrap_or(u32::MAX);
        let mut buffer = json;
        buffer.push_str(unescaped);
        Self { buffer: buffer.into_boxed_str(), json: length }
    }

    /// The claims set as it was signed.
    pub(crate) fn json(&self) -> &str {
        self.buffer.get(..self.json as usize).unwrap_or_default()
    }

    pub(crate) fn get(&self, span: Span) -> &str {
        self.buffer.get(span.start as usize..span.start as usize + span.len as usize).unwrap_or_default()
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
        // Plain arithmetic on addresses: two live texts never overlap, and a wrong guess would yield other text, not a wild read.
        let start = (piece.as_ptr() as usize)
            .checked_sub(self.json.as_ptr() as usize)
            .filter(|start| start + piece.len() <= self.json.len())
            .unwrap_or_else(|| {
                self.unescaped.push_str(piece);
                self.json.len() + self.unescaped.len() - piece.len()
            });
        Span { start: u32::try_from(start).unwrap_or(u32::MAX), len: u32::try_from(piece.len()).unwrap_or(0) }
    }
}
