//! What a script may ask of the shard that it runs on.
//!
//! Owns: the trait between the interpreter and the engine, so that either can be tested without the other. Refuses to know: Lua, and what any
//! command does. Start at [`Caller`].

/// How loud a line is that a script logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// `redis.LOG_DEBUG`.
    Debug,
    /// `redis.LOG_VERBOSE`.
    Verbose,
    /// `redis.LOG_NOTICE`.
    Notice,
    /// `redis.LOG_WARNING`.
    Warning,
}

impl LogLevel {
    /// The level with Redis's number.
    pub fn from_number(number: i64) -> Option<Self> {
        match number {
            0 => Some(Self::Debug),
            1 => Some(Self::Verbose),
            2 => Some(Self::Notice),
            3 => Some(Self::Warning),
            _ => None,
        }
    }
}

/// Whether a script goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// It goes on.
    Continue,
    /// It ends now, with the error that `SCRIPT KILL` leads to; nothing in the script can catch it.
    Kill,
}

/// Where `redis.set_repl` lets the effects of a script go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Propagation {
    /// Into the log on disk.
    pub log: bool,
    /// To replicas.
    pub replicas: bool,
}

/// What a script may ask of the shard that it runs on. It is moved into the interpreter for the time of one script and handed back.
pub trait Caller {
    /// Runs a command and appends its reply, in RESP3 when `resp3`, else in RESP2. Every refusal is an encoded error as well: an unknown
    /// command, a wrong number of words, a command that scripts may not run, missing permission.
    fn call(&mut self, words: &[&[u8]], resp3: bool, reply: &mut Vec<u8>);

    /// Writes a line into the server's log.
    fn log(&mut self, level: LogLevel, text: &[u8]);

    /// Whether the script's user may run a command with these words; `None` when there is no such command.
    fn acl_check(&mut self, words: &[&[u8]]) -> Option<bool>;

    /// Changes where the effects of what follows go, until the script ends.
    fn set_propagation(&mut self, propagation: Propagation);

    /// Nanoseconds of a clock that never goes back.
    fn now_ns(&self) -> u64;

    /// Asked every [`INTERRUPT_INSTRUCTIONS`](super::limits::INTERRUPT_INSTRUCTIONS) instructions of a running script; it may take its time.
    fn interrupt(&mut self) -> Interrupt;
}
