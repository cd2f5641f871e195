//! What can be wrong with a file or a payload.
//!
//! Owns: the words for it. Refuses to know: what is done about it.

use std::io;

/// What is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The system refused.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The bytes end early.
    #[error("the bytes end in the middle of something")]
    Short,
    /// Bytes follow the end of a value.
    #[error("bytes follow the end of the value")]
    Long,
    /// It does not begin as a file does.
    #[error("not an RDB file")]
    Magic,
    /// A version that is not read.
    #[error("RDB version {0} is not known; versions 1 to {max} are", max = super::codes::VERSION_MAX)]
    Version(u16),
    /// The bytes are not those that were written.
    #[error("the checksum is {stored:#018x}, but that of the bytes before it is {computed:#018x}")]
    Checksum {
        /// What the bytes say.
        stored: u64,
        /// What they have.
        computed: u64,
    },
    /// A length that is written in no known way.
    #[error("a length in an unknown form, {0:#04x}")]
    LengthForm(u8),
    /// A number where a length must stand, or the other way round.
    #[error("a string in a special form stands where a plain length is expected")]
    NotALength,
    /// A string longer than any.
    #[error("a string of {0} bytes, at most {max} are read", max = super::codes::STRING_BYTES_MAX)]
    TooLong(u64),
    /// A compressed string that does not become what it says.
    #[error("a compressed string is damaged")]
    Lzf,
    /// A type of values that nobody has.
    #[error("{0} is no type of values")]
    Type(u8),
    /// A type that cannot be walked.
    #[error("a value or function of an unreadable old form ({0})")]
    Unreadable(&'static str),
    /// Something about a key stands before something else than the key.
    #[error("an expiry or an access time stands before something that is no key")]
    Stray,
    /// A database that cannot be.
    #[error("there is no database {0}")]
    Database(u64),
    /// A compact form that is damaged.
    #[error("a damaged {form}: {what}")]
    Compact {
        /// `listpack`, …
        form: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Elements that should be unique are not.
    #[error("a {0} that is there twice")]
    Duplicate(&'static str),
    /// Elements that do not follow in their order.
    #[error("{0} out of order")]
    Order(&'static str),
    /// Pairs of which the last lacks its second half.
    #[error("an odd number of elements in pairs")]
    Odd,
    /// A score that is no number.
    #[error("a score that is not a number")]
    Score,
    /// A part of a list of an unknown kind.
    #[error("a node of a list of unknown kind {0}")]
    Node(u64),
    /// A damaged stream.
    #[error("a damaged stream: {0}")]
    Stream(&'static str),
    /// A damaged value of a module.
    #[error("a part of unknown kind {0} in a module's value")]
    ModulePart(u64),
    /// A key that the file has twice.
    #[error("a key that is there twice")]
    DuplicateKey,
}

/// What is wrong, and where.
#[derive(Debug, thiserror::Error)]
#[error("{name} at offset {offset}: {damage}", name = .0.name, offset = .0.offset, damage = .0.damage)]
pub struct RdbError(Box<Located>);

#[derive(Debug)]
struct Located {
    name: String,
    offset: u64,
    damage: Damage,
}

impl RdbError {
    /// `damage` found in what is called `name`, at an offset in bytes.
    #[cold]
    pub fn new(name: &str, offset: u64, damage: Damage) -> Self {
        Self(Box::new(Located { name: name.to_owned(), offset, damage }))
    }

    /// What is wrong.
    pub fn damage(&self) -> &Damage {
        &self.0.damage
    }

    /// Bytes before what is wrong, or before the string that it is in.
    pub fn offset(&self) -> u64 {
        self.0.offset
    }
}
