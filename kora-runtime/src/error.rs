//! Why a command was refused.
//!
//! Owns: the wire text of every error a command can give, written once. Texts are Redis's, so that clients that match on
//! them keep working. Refuses to know: where an error is shown.

use std::borrow::Cow;

/// How much of a word an error quotes, as Redis does for the names of unknown commands.
const QUOTED_WORD_BYTES_MAX: usize = 128;

/// Why a command was refused. The connection stays open; the keyspace is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The key holds another type.
    #[error("WRONGTYPE Operation against a key holding the wrong kind of value")]
    WrongType,
    /// The arguments do not follow the command's syntax.
    #[error("ERR syntax error")]
    Syntax,
    /// Too few or too many arguments; the command's name in lower case.
    #[error("ERR wrong number of arguments for '{0}' command")]
    WrongArity(&'static str),
    /// Not a decimal integer, or outside `i64`.
    #[error("ERR value is not an integer or out of range")]
    NotAnInteger,
    /// Not a floating point number.
    #[error("ERR value is not a valid float")]
    NotAFloat,
    /// A stored hash field that should be an integer is not.
    #[error("ERR hash value is not an integer")]
    HashValueNotAnInteger,
    /// A stored hash field that should be a float is not.
    #[error("ERR hash value is not a float")]
    HashValueNotAFloat,
    /// A count that must not be negative.
    #[error("ERR value is out of range, must be positive")]
    NotPositive,
    /// A number outside what the command takes.
    #[error("ERR value is out of range")]
    OutOfRange,
    /// INCR and friends past the ends of `i64`.
    #[error("ERR increment or decrement would overflow")]
    Overflow,
    /// A sum of floats that is not a number or is infinite.
    #[error("ERR increment would produce NaN or Infinity")]
    NanOrInfinity,
    /// A score that would become NaN.
    #[error("ERR resulting score is not a number (NaN)")]
    ScoreNan,
    /// A SCAN cursor that is not a number.
    #[error("ERR invalid cursor")]
    InvalidCursor,
    /// A bound of a score range.
    #[error("ERR min or max is not a float")]
    MinMaxNotAFloat,
    /// A bound of a lexicographic range.
    #[error("ERR min or max not valid string range item")]
    MinMaxNotALexBound,
    /// The key does not exist and the command needs it.
    #[error("ERR no such key")]
    NoSuchKey,
    /// A list or string index that is not there.
    #[error("ERR index out of range")]
    IndexOutOfRange,
    /// A database number that is not there.
    #[error("ERR DB index is out of range")]
    DbIndexOutOfRange,
    /// Source and destination are the same object.
    #[error("ERR source and destination objects are the same")]
    SameObject,
    /// An expiry that is zero, negative or overflows; the command's name in lower case.
    #[error("ERR invalid expire time in '{0}' command")]
    InvalidExpire(&'static str),
    /// A string would pass `proto-max-bulk-len`.
    #[error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")]
    StringTooLong,
    /// A reply or value that a limit forbids building.
    #[error("ERR {0} exceeds the limit of {1} bytes")]
    TooLarge(&'static str, usize),
    /// `maxmemory` is reached and the command may need memory.
    #[error("OOM command not allowed when used memory > 'maxmemory'.")]
    OutOfMemory,
    /// The connection has not authenticated.
    #[error("NOAUTH Authentication required.")]
    NoAuth,
    /// The password or user name is wrong.
    #[error("WRONGPASS invalid username-password pair or user is disabled.")]
    WrongPass,
    /// HELLO with a version that is not 2 or 3.
    #[error("NOPROTO unsupported protocol version")]
    NoProto,
    /// The key was being changed when a command failed inside; nothing may be read from it until it is deleted or overwritten.
    #[error("ERR this key was being changed when a command failed; delete it or overwrite it")]
    Fenced,
    /// A handler failed by a mistake of ours; its keys are fenced.
    #[error("ERR internal error: the command failed and its keys were fenced; see the server log")]
    Internal,
    /// Any other text, code word included, fixed when the program was written.
    #[error("{0}")]
    Text(&'static str),
    /// A text with parts that are known only at run time, code word included.
    #[error("{0}")]
    Message(Cow<'static, str>),
}

impl CommandError {
    /// An error whose text is put together at run time; starts with its code word, as in `ERR …`.
    pub fn message(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Message(text.into())
    }

    /// An error that quotes a word as it was sent, or the beginning of a long one.
    pub fn with_word(before: &str, word: &[u8], after: &str) -> Self {
        let shown = &word[..word.len().min(QUOTED_WORD_BYTES_MAX)];
        Self::message(format!("{before}{}{after}", String::from_utf8_lossy(shown)))
    }

    /// The text a row gives for a value that is there but wrong; a missing word stays a syntax error.
    pub fn or_text(self, text: &'static str) -> Self {
        self.or_else(|| Self::Text(text))
    }

    /// As [`CommandError::or_text`], for an error that has to be put together.
    pub fn or_else(self, error: impl FnOnce() -> Self) -> Self {
        match self {
            Self::Syntax => Self::Syntax,
            _ => error(),
        }
    }
}
