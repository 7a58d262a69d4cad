//! What the code under test tells a `tracing` subscriber, kept for a test to look at.

use std::fmt::{Debug, Write};
use std::sync::{Arc, LazyLock, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

/// An event or a span: its name, and its fields as ` name=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) name: &'static str,
    pub(crate) level: Level,
    pub(crate) fields: String,
}

/// Of a single subscriber `tracing` asks only the thread that comes to an event first, and remembers a no for all threads: a test that runs beside would make
/// a listener deaf. Where there are two it asks both, wherever they are.
static BESIDE: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::new()));

/// Events and spans up to a level, in the order they came. A clone hears the same.
#[derive(Clone)]
pub(crate) struct Listener {
    loudest: Level,
    events: Arc<Mutex<Vec<Said>>>,
    spans: Arc<Mutex<Vec<Said>>>,
}

impl Listener {
    pub(crate) fn all() -> Self {
        Self::at(Level::TRACE)
    }

    /// Up to this level only.
    pub(crate) fn at(loudest: Level) -> Self {
        LazyLock::force(&BESIDE);
        Self { loudest, events: Arc::default(), spans: Arc::default() }
    }

    pub(crate) fn events(&self) -> Vec<Said> {
        self.events.lock().unwrap().clone()
    }

    /// The spans so far, which are forgotten.
    pub(crate) fn take_spans(&self) -> Vec<Said> {
        std::mem::take(&mut self.spans.lock().unwrap())
    }
}

impl Said {
    fn new(metadata: &Metadata<'static>, record: impl FnOnce(&mut dyn Visit)) -> Self {
        let mut said = Self { name: metadata.name(), level: *metadata.level(), fields: String::new() };
        record(&mut said);
        said
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.fields, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.loudest
    }
    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut spans = self.spans.lock().unwrap();
        spans.push(Said::new(attributes.metadata(), |said| attributes.record(said)));
        Id::from_u64(spans.len() as u64)
    }
    fn record(&self, id: &Id, values: &Record<'_>) {
        let at = usize::try_from(id.into_u64()).unwrap() - 1;
        if let Some(span) = self.spans.lock().unwrap().get_mut(at) {
            values.record(span);
        }
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        self.events.lock().unwrap().push(Said::new(event.metadata(), |said| event.record(said)));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
