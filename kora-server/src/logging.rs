//! The log: lines on standard error.
//!
//! Owns: the format of a line and what the words of `loglevel` mean. Refuses to know: files and rotation, which are the business of whoever
//! started the process. Start at [`start`].

use std::io::IsTerminal;
use std::sync::OnceLock;

use kora_macros::Keyword;
use kora_runtime::config::LogLevel;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Keyword)]
pub enum LogFormat {
    /// For people: time, level, message, fields.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// Changes the level of the log that this process has started; set once.
static LEVEL: OnceLock<SetLevel> = OnceLock::new();
type SetLevel = Box<dyn Fn(LogLevel) + Send + Sync>;

/// Sends the process's log to standard error from now on. A log that something else has set up before is left alone, so
/// that a server can be started inside another program.
pub fn start(level: LogLevel, format: LogFormat) {
    let subscriber = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(filter(level))
        .with_filter_reloading()
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal());
    let text_level = subscriber.reload_handle();
    let (outcome, set_level): (_, SetLevel) = match format {
        // A handle outlives its log only when the process ends.
        LogFormat::Text => (subscriber.try_init(), Box::new(move |level| drop(text_level.reload(filter(level))))),
        LogFormat::Json => {
            let subscriber = subscriber.json().flatten_event(true);
            let level_handle = subscriber.reload_handle();
            (subscriber.try_init(), Box::new(move |level| drop(level_handle.reload(filter(level)))))
        }
    };
    if outcome.is_ok() {
        // Only one log is ever started, so that nothing is there yet.
        let _ = LEVEL.set(set_level);
    }
}

/// Changes how much is logged, if the log is ours; for CONFIG SET loglevel.
pub fn set_level(level: LogLevel) {
    if let Some(set_level) = LEVEL.get() {
        set_level(level);
    }
}

/// The least severe level that is logged.
fn filter(level: LogLevel) -> EnvFilter {
    let level = match level {
        LogLevel::Debug => LevelFilter::TRACE,
        LogLevel::Verbose => LevelFilter::DEBUG,
        LogLevel::Notice => LevelFilter::INFO,
        LogLevel::Warning => LevelFilter::WARN,
    };
    EnvFilter::default().add_directive(level.into())
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
