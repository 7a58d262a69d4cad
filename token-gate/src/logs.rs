//! Events in, lines on standard error out.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt;

use crate::arguments::{LogFormat, LogLevel};

/// Writes events from now on. Where the program has logs of its own already, those stay.
pub(crate) fn start(format: LogFormat, level: LogLevel) {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let lines = fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false);
    // Only the first one counts, and whoever set it knows why.
    let _ = match format {
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
            tracing::subscriber::set_global_default(lines.finish())
        }
        LogFormat::Text => tracing::subscriber::set_global_default(lines.with_ansi(false).finish()),
    };
}
