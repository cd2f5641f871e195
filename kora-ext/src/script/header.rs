//! The first line of a script or library: `#!lua …`.
//!
//! Owns: its words, names and flags. Refuses to know: the text below. Start at [`read_script`] and [`read_library`].

use kora_runtime::limits::KIB;

use super::error::ScriptError;

/// Bytes of a first line that are looked at; a longer one is not a header.
const HEADER_BYTES_MAX: usize = 4 * KIB;

/// What a script or function says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(u8);

/// Name and bit of every flag, in the order in which FUNCTION LIST shows them.
const FLAGS: [(&str, u8); 5] =
    [("no-writes", 1), ("allow-oom", 2), ("allow-stale", 4), ("no-cluster", 8), ("allow-cross-slot-keys", 16)];

impl Flags {
    /// It writes nothing; only such may run where nothing may be written.
    pub fn no_writes(self) -> bool {
        self.0 & 1 != 0
    }

    /// It may run while `maxmemory` is exceeded.
    pub fn allow_oom(self) -> bool {
        self.0 & 2 != 0
    }

    /// It may run on a replica whose data may be old.
    pub fn allow_stale(self) -> bool {
        self.0 & 4 != 0
    }

    /// The names of those that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        FLAGS.into_iter().filter(move |(_, bit)| self.0 & bit != 0).map(|(name, _)| name)
    }

    /// Sets the flag of that name; false when there is none.
    pub(super) fn insert(&mut self, name: &[u8]) -> bool {
        match FLAGS.iter().find(|(known, _)| known.as_bytes() == name) {
            Some((_, bit)) => {
                self.0 |= bit;
                true
            }
            None => false,
        }
    }
}

/// What a script's first line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScriptHeader {
    /// The flags.
    pub flags: Flags,
    /// False for a script without such a line: it is held to the older, laxer rules.
    pub declared: bool,
    /// Bytes of the line, without its end.
    pub(super) bytes: usize,
}

/// Reads the first line of a script.
///
/// # Errors
/// A line that begins with `#!` and is not understood.
pub fn read_script(text: &[u8]) -> Result<ScriptHeader, ScriptError> {
    if !text.starts_with(b"#!") {
        return Ok(ScriptHeader::default());
    }
    let line = first_line(text).ok_or(ScriptError::Shebang)?;
    let words = split_words(line).ok_or(ScriptError::ShebangWords)?;
    let (engine, options) = words.split_first().ok_or(ScriptError::ShebangWords)?;
    if engine != b"#!lua" {
        return Err(ScriptError::ShebangEngine(lossy(engine)));
    }
    let mut flags = Flags::default();
    for option in options {
        let Some(names) = option.strip_prefix(b"flags=") else {
            return Err(ScriptError::ShebangOption(lossy(option)));
        };
        if names.is_empty() {
            continue;
        }
        for name in names.split(|byte| *byte == b',') {
            if !flags.insert(name) {
                return Err(ScriptError::ShebangFlag(lossy(name)));
            }
        }
    }
    Ok(ScriptHeader { flags, declared: true, bytes: line.len() })
}

/// What a library's first line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LibraryHeader {
    pub(super) name: String,
    /// Bytes of the line, without its end.
    pub(super) bytes: usize,
}

/// Reads the first line of a library.
pub(super) fn read_library(text: &[u8]) -> Result<LibraryHeader, ScriptError> {
    if !text.starts_with(b"#!") {
        return Err(ScriptError::MissingMetadata);
    }
    let line = first_line(text).ok_or(ScriptError::InvalidMetadata)?;
    let words = split_words(line).ok_or(ScriptError::InvalidMetadata)?;
    let (engine, options) = words.split_first().ok_or(ScriptError::InvalidMetadata)?;
    let mut name: Option<&[u8]> = None;
    for option in options {
        // Only the name's value is case-sensitive here.
        if option.len() >= 5 && option[..5].eq_ignore_ascii_case(b"name=") {
            if name.replace(&option[5..]).is_some() {
                return Err(ScriptError::NameTwice);
            }
        } else {
            return Err(ScriptError::MetadataValue(lossy(option)));
        }
    }
    let name = name.ok_or(ScriptError::NameMissing)?;
    if !is_name(name) {
        return Err(ScriptError::BadName);
    }
    let engine = &engine[2..];
    if !engine.eq_ignore_ascii_case(b"lua") {
        return Err(ScriptError::Engine(lossy(engine)));
    }
    Ok(LibraryHeader { name: lossy(name), bytes: line.len() })
}

/// True for what libraries and functions may be called.
pub(super) fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

fn first_line(text: &[u8]) -> Option<&[u8]> {
    let end = text.iter().take(HEADER_BYTES_MAX).position(|byte| *byte == b'\n')?;
    Some(&text[..end])
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Splits a line at blanks. Quotes keep blanks together and, when double, know escapes; `None` when they are not balanced.
fn split_words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        let blanks = rest.iter().take_while(|byte| is_blank(**byte)).count();
        rest = &rest[blanks..];
        if rest.is_empty() {
            return Some(words);
        }
        let mut word = Vec::new();
        while let Some((&byte, tail)) = rest.split_first() {
            rest = match byte {
                _ if is_blank(byte) => break,
                b'"' => double_quoted(tail, &mut word)?,
                b'\'' => single_quoted(tail, &mut word)?,
                _ => {
                    word.push(byte);
                    tail
                }
            };
        }
        words.push(word);
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r' | 0)
}

/// What follows the closing quote, which must be a blank or nothing.
fn closed(rest: &[u8]) -> Option<&[u8]> {
    rest.first().is_none_or(|byte| is_blank(*byte)).then_some(rest)
}

fn single_quoted<'t>(mut rest: &'t [u8], word: &mut Vec<u8>) -> Option<&'t [u8]> {
    loop {
        let (&byte, tail) = rest.split_first()?;
        rest = tail;
        match (byte, tail) {
            (b'\\', [b'\'', behind @ ..]) => {
                word.push(b'\'');
                rest = behind;
            }
            (b'\'', _) => return closed(tail),
            _ => word.push(byte),
        }
    }
}

fn double_quoted<'t>(mut rest: &'t [u8], word: &mut Vec<u8>) -> Option<&'t [u8]> {
    loop {
        let (&byte, tail) = rest.split_first()?;
        rest = tail;
        match (byte, tail) {
            (b'\\', [b'x', high, low, behind @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0) as u8;
                word.push(digit(*high) * 16 + digit(*low));
                rest = behind;
            }
            (b'\\', [escaped, behind @ ..]) => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                rest = behind;
            }
            (b'"', _) => return closed(tail),
            _ => word.push(byte),
        }
    }
}
