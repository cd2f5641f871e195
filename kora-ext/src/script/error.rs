//! What went wrong in a script, and the line that its client gets.
//!
//! Owns: the shape of Redis's error lines and the texts of refusals. Refuses to know: what was run. Start at [`ScriptError`] for what refuses
//! a script before it runs, at [`Failure`] for what ends it.

use mlua::{Lua, Value};

use super::budget::Fault;
use super::state::{Told, told};

/// Why a script, a library or a payload was refused; the keyspace is unchanged. The text is the wire text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// The script does not compile.
    #[error("ERR Error compiling script (new function): {0}")]
    Compile(String),
    /// The library does not compile.
    #[error("ERR Error compiling function: {0}")]
    CompileLibrary(String),
    /// The library failed while it registered its functions.
    #[error("ERR Error registering functions: {0}")]
    Register(String),
    /// EVALSHA of a script that is not there.
    #[error("NOSCRIPT No matching script. Please use EVAL.")]
    NoScript,
    /// The cache is full of scripts that were loaded to stay.
    #[error("ERR script cache is full: SCRIPT FLUSH makes room")]
    CacheFull,
    /// The text alone is larger than the cache.
    #[error("ERR script is too long for the script cache")]
    ScriptTooLong,
    /// More libraries than there may be, or more text.
    #[error("ERR function libraries take more room than there is")]
    LibrariesFull,
    /// `#!` without the end of its line.
    #[error("ERR Invalid script shebang")]
    Shebang,
    /// Words of the shebang line that cannot be split.
    #[error("ERR Invalid engine in script shebang")]
    ShebangWords,
    /// An engine that is not Lua.
    #[error("ERR Unexpected engine in script shebang: {0}")]
    ShebangEngine(String),
    /// A flag that scripts do not have.
    #[error("ERR Unexpected flag in script shebang: {0}")]
    ShebangFlag(String),
    /// An option that scripts do not have.
    #[error("ERR Unknown lua shebang option: {0}")]
    ShebangOption(String),
    /// A library without its first line.
    #[error("ERR Missing library metadata")]
    MissingMetadata,
    /// The first line of a library cannot be read.
    #[error("ERR Invalid library metadata")]
    InvalidMetadata,
    /// The first line of a library has a word that means nothing.
    #[error("ERR Invalid metadata value given: {0}")]
    MetadataValue(String),
    /// Two names.
    #[error("ERR Invalid metadata value, name argument was given multiple times")]
    NameTwice,
    /// No name.
    #[error("ERR Library name was not given")]
    NameMissing,
    /// A name with other characters.
    #[error(
        "ERR Library names can only contain letters, numbers, or underscores(_) and must be at least one character long"
    )]
    BadName,
    /// An engine that is not Lua.
    #[error("ERR Engine '{0}' not found")]
    Engine(String),
    /// A library without functions.
    #[error("ERR No functions registered")]
    NoFunctions,
    /// FUNCTION LOAD of a name that is taken.
    #[error("ERR Library '{0}' already exists")]
    LibraryExists(String),
    /// FUNCTION RESTORE of a name that is taken.
    #[error("ERR Library {0} already exists")]
    RestoredLibraryExists(String),
    /// A function's name that is taken.
    #[error("ERR Function {0} already exists")]
    FunctionExists(String),
    /// No library of this name.
    #[error("ERR Library not found")]
    LibraryNotFound,
    /// No function of this name.
    #[error("ERR Function not found")]
    FunctionNotFound,
    /// FCALL_RO of a function that may write.
    #[error("ERR Can not execute a script with write flag using *_ro command.")]
    ReadOnly,
    /// A payload of another version, or damaged.
    #[error("ERR DUMP payload version or checksum are wrong")]
    Payload,
    /// A payload of something else.
    #[error("ERR given type is not a function")]
    NotAFunction,
    /// A payload whose library cannot be read.
    #[error("ERR Failed loading library payload")]
    LibraryData,
    /// The interpreter could not be started or is out of memory.
    #[error("ERR {0}")]
    Interpreter(String),
}

impl ScriptError {
    /// What the interpreter itself refused.
    pub(super) fn of_interpreter(error: mlua::Error) -> Self {
        Self::Interpreter(Fault::Lua(error).text())
    }
}

/// Where in a script something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    /// The name of the chunk, with the mark in front that says what kind of name it is.
    pub(super) source: String,
    /// As errors show it.
    pub(super) short: String,
    /// The line, where known.
    pub(super) line: Option<usize>,
}

impl Position {
    /// What Lua puts in front of an error's text.
    pub(super) fn prefix(&self) -> String {
        self.line.map_or_else(String::new, |line| format!("{}:{line}: ", self.short))
    }
}

/// What ended a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    text: Vec<u8>,
    position: Option<Position>,
}

impl Failure {
    /// From the value that was raised.
    pub(super) fn new(lua: &Lua, problem: &Value, position: Option<Position>) -> Self {
        let raised = match problem {
            Value::Table(table) => table.raw_get::<Value>("err").ok().and_then(|text| text_of(lua, &text)),
            Value::Error(error) => match told(error) {
                Told::Table(raised) => Some(raised.text),
                Told::Text(_) => None,
            },
            _ => None,
        };
        let text = raised.unwrap_or_else(|| {
            let mut text = b"ERR ".to_vec();
            match problem {
                Value::Nil => text.extend_from_slice(b"nil"),
                Value::Boolean(value) => text.extend_from_slice(if *value { b"true" } else { b"false" }),
                Value::Error(error) => {
                    if let Told::Text(told) = told(error) {
                        text.extend_from_slice(told.as_bytes());
                    }
                }
                other => match text_of(lua, other) {
                    Some(told) => text.extend_from_slice(&relocated(told, position.as_ref())),
                    // Redis 7.0.15 stops the server when a table without `err` is raised.
                    None => text.extend_from_slice(b"(error object is a table value)"),
                },
            }
            text
        });
        Self { text, position }
    }

    /// With a text and no position.
    pub(super) fn plain(text: Vec<u8>) -> Self {
        Self { text, position: None }
    }

    /// What the interpreter itself refused.
    pub(super) fn of_interpreter(error: mlua::Error) -> Self {
        Self::plain(format!("ERR {}", Fault::Lua(error).text()).into_bytes())
    }

    /// Of a script that was ended from outside, where the last error was found.
    pub(super) fn stopped(text: &str, found: Option<Self>) -> Self {
        Self { text: text.as_bytes().to_vec(), position: found.and_then(|failure| failure.position) }
    }

    /// The text without the place.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// The line for the client, with what was run and where in it the error happened.
    pub(super) fn line(&self, name: &[u8]) -> Vec<u8> {
        let mut line = self.text.clone();
        if let Some(position) = &self.position {
            line.extend_from_slice(b" script: ");
            line.extend_from_slice(name);
            line.extend_from_slice(b", on ");
            line.extend_from_slice(position.source.as_bytes());
            line.extend_from_slice(format!(":{}.", position.line.map_or(-1, |line| line as i64)).as_bytes());
        }
        line
    }
}

fn text_of(lua: &Lua, value: &Value) -> Option<Vec<u8>> {
    lua.coerce_string(value.clone()).ok().flatten().map(|text| text.as_bytes().to_vec())
}

/// An error that a wrapped function raised, with the script's place instead of the wrapper's.
fn relocated(text: Vec<u8>, position: Option<&Position>) -> Vec<u8> {
    let Some(rest) = text.strip_prefix(b"[kora]:") else { return text };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let Some(message) = rest[digits..].strip_prefix(b": ") else { return text };
    let mut told = position.map(Position::prefix).unwrap_or_default().into_bytes();
    told.extend_from_slice(message);
    told
}
