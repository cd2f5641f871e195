//! The log: lines on standard error.
//!
//! Owns: the format of a line and what the words of `loglevel` mean. Refuses to know: files and rotation, which are the business of whoever
//! started the process. Start at [`start`].

use std::io::IsTerminal;

use kora_macros::Keyword;
use kora_runtime::config::LogLevel;
use tracing::level_filters::LevelFilter;

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Keyword)]
pub enum LogFormat {
    /// For people: time, level, message, fields.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// Sends the process's log to standard error from now on. A log that something else has set up before is left alone, so that a server
/// can be started inside another program.
pub fn start(level: LogLevel, format: LogFormat) {
    let subscriber = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(filter(level))
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal());
    // The error means that there is a log already.
    let _ = match format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
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
