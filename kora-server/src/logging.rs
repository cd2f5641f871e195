//! The log: lines on standard error.
//!
//! Owns: the format of a line and what the words of `loglevel` mean. Refuses to know: files and rotation, which are
//! the business of whoever started the process. Start at [`start`].

use std::io::IsTerminal;
use std::sync::OnceLock;

use kora_macros::Keyword;
use kora_runtime::config::LogLevel;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Keyword)]
pub enum LogFormat {
    /// For people: time, level, message, fields.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// The level of the log that this process has started; set once.
static LEVEL: OnceLock<reload::Handle<LevelFilter, Registry>> = OnceLock::new();

/// Sends the process's log to standard error from now on. A log that something else has set up before is left alone, so
/// that a server can be started inside another program.
pub fn start(level: LogLevel, format: LogFormat) {
    let (filter, handle) = reload::Layer::new(filter(level));
    let ansi = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false).with_ansi(ansi);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    if tracing_subscriber::registry().with(filter).with(lines).try_init().is_ok() {
        // Only one log is ever started, so that nothing is there yet.
        let _ = LEVEL.set(handle);
    }
}

/// Changes how much is logged, if the log is ours; for CONFIG SET loglevel.
pub fn set_level(level: LogLevel) {
    if let Some(handle) = LEVEL.get() {
        // It fails only when the log is gone, with nothing left to change.
        let _ = handle.reload(filter(level));
    }
}

/// The least severe level that is logged.
fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Debug => LevelFilter::TRACE,
        LogLevel::Verbose => LevelFilter::DEBUG,
        LogLevel::Notice => LevelFilter::INFO,
        LogLevel::Warning => LevelFilter::WARN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test's process has this one log.
    #[test]
    fn the_level_can_be_changed_while_the_log_runs() {
        start(LogLevel::Warning, LogFormat::Json);
        let is_logged = || [tracing::enabled!(tracing::Level::WARN), tracing::enabled!(tracing::Level::DEBUG)];
        assert_eq!(is_logged(), [true, false]);
        set_level(LogLevel::Verbose);
        assert_eq!(is_logged(), [true, true]);
        set_level(LogLevel::Warning);
        assert_eq!(is_logged(), [true, false]);
    }
}
