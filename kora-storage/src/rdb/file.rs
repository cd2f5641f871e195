//! A file, item by item.
//!
//! Owns: the order of items, the checksum at the end, what is skipped because nobody here can use it. Refuses to know: what values become.
//! Start at [`RdbFile::next_item`].
//!
//! ```text
//! REDIS │ version, four digits │ item… │ 255 │ checksum u64 LE from version 5 on, 0 for none
//!
//! item:  [expiry] [idle or frequency] type │ key │ value        or an opcode and what belongs to it
//! ```

use super::codes::{MAGIC, VERSION_MAX, VERSION_WITH_CHECKSUM, module, opcodes, types};
use super::damage::{Damage, RdbError};
use super::reader::{Reader, Source};
use super::unpack::Element;

/// One thing that a file says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Item<'r> {
    /// Something about the file itself.
    Aux {
        /// Its name.
        name: &'r [u8],
        /// Its value.
        value: Element<'r>,
    },
    /// The keys that follow are in this database.
    Database(u64),
    /// How large this database is. A hint, which may lie.
    Sizes {
        /// Its keys.
        keys: u64,
        /// Those that expire.
        expiring: u64,
    },
    /// The source text of a library of functions.
    Function(&'r [u8]),
    /// What a module kept beside its keys, with the module's name. It was skipped.
    Module(&'r str),
    /// A key. It is [`RdbFile::key`]; its value is to be read from [`RdbFile::parts`], or skipped by [`RdbFile::skip_value`].
    Key(KeyHead),
    /// The end. The checksum was right, or there is none.
    End,
}

/// What a file says of a key before its value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyHead {
    /// The type of the value; see [`types`].
    pub kind: u8,
    /// When it expires, in Unix milliseconds. A time before 1970 is 0.
    pub expiry_ms: Option<u64>,
    /// Seconds since it was used.
    pub idle_seconds: Option<u64>,
    /// How often it is used: the logarithmic count of Redis.
    pub frequency: Option<u8>,
}

/// A file that is being read.
#[derive(Debug)]
pub struct RdbFile<'s> {
    reader: Reader<'s>,
    version: u16,
    key: Vec<u8>,
    value: Vec<u8>,
    module: String,
}

impl<'s> RdbFile<'s> {
    /// Reads how a file begins. `name` is what errors call it.
    ///
    /// # Errors
    /// When it is none, or of a version that is not known.
    pub fn open(name: &str, source: Box<dyn Source + 's>) -> Result<Self, RdbError> {
        Self::begin(Reader::of_source(name, source))
    }

    /// As [`RdbFile::open`], for a file whose bytes are in memory.
    ///
    /// # Errors
    /// As there.
    pub fn of_bytes(name: &str, bytes: &'s [u8]) -> Result<Self, RdbError> {
        Self::begin(Reader::of_bytes(name, bytes))
    }

    fn begin(mut reader: Reader<'s>) -> Result<Self, RdbError> {
        let short_or = |error: RdbError, reader: &Reader<'_>| match error.damage() {
            Damage::Short => reader.error_at(0, Damage::Magic),
            _ => error,
        };
        let magic: [u8; 5] = reader.array().map_err(|error| short_or(error, &reader))?;
        let digits: [u8; 4] = reader.array().map_err(|error| short_or(error, &reader))?;
        if magic != MAGIC || !digits.iter().all(u8::is_ascii_digit) {
            return Err(reader.error_at(0, Damage::Magic));
        }
        let version = digits.iter().fold(0, |version, digit| version * 10 + u16::from(digit - b'0'));
        if !(1..=VERSION_MAX).contains(&version) {
            return Err(reader.error_at(MAGIC.len() as u64, Damage::Version(version)));
        }
        Ok(Self { reader, version, key: Vec::new(), value: Vec::new(), module: String::new() })
    }

    /// The version of its format.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// Bytes that were read.
    pub fn offset(&self) -> u64 {
        self.reader.offset()
    }

    /// The key of the last [`Item::Key`].
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The key of the last [`Item::Key`] and what its value is to be read from.
    pub fn parts(&mut self) -> (&[u8], &mut Reader<'s>) {
        (&self.key, &mut self.reader)
    }

    /// The next item. The value of a key must have been read or skipped before.
    ///
    /// # Errors
    /// When the file is damaged, or holds something that cannot be walked.
    pub fn next_item(&mut self) -> Result<Item<'_>, RdbError> {
        let mut head = KeyHead::default();
        loop {
            let start = self.reader.offset();
            let code = self.reader.byte()?;
            if code < types::END {
                head.kind = code;
                if matches!(code, 8) {
                    return Err(self.reader.error_at(start, Damage::Type(code)));
                }
                let key = self.reader.string()?;
                self.key.clear();
                match key {
                    Element::Bytes(bytes) => self.key.extend_from_slice(bytes),
                    Element::Int(integer) => self.key.extend_from_slice(integer.to_string().as_bytes()),
                }
                return Ok(Item::Key(head));
            }
            match code {
                opcodes::EXPIRETIME_MS => {
                    let expiry_ms = i64::from_le_bytes(self.reader.array()?);
                    head.expiry_ms = Some(u64::try_from(expiry_ms).unwrap_or(0));
                }
                opcodes::EXPIRETIME => {
                    let seconds = i32::from_le_bytes(self.reader.array()?);
                    head.expiry_ms = Some(u64::try_from(seconds).unwrap_or(0) * 1000);
                }
                opcodes::IDLE => head.idle_seconds = Some(self.reader.length()?),
                opcodes::FREQ => head.frequency = Some(self.reader.byte()?),
                _ if head != KeyHead::default() => {
                    return Err(self.reader.error_at(start, Damage::Stray));
                }
                _ => return self.other_item(start, code),
            }
        }
    }

    /// What is no key and belongs to none.
    fn other_item(&mut self, start: u64, code: u8) -> Result<Item<'_>, RdbError> {
        match code {
            opcodes::AUX => {
                self.value.clear();
                self.value.extend_from_slice(self.reader.text()?);
                Ok(Item::Aux { name: &self.value, value: self.reader.string()? })
            }
            opcodes::SELECTDB => self.reader.length().map(Item::Database),
            opcodes::RESIZEDB => Ok(Item::Sizes { keys: self.reader.length()?, expiring: self.reader.length()? }),
            opcodes::FUNCTION2 => self.reader.text().map(Item::Function),
            opcodes::FUNCTION_PRE_GA => {
                Err(self.reader.error_at(start, Damage::Unreadable("a function of a release candidate of Redis 7.0")))
            }
            opcodes::MODULE_AUX => {
                self.module = module_name(self.reader.length()?);
                // When it is to be given to the module: before or after the keys.
                let (form, _when) = (self.reader.length()?, self.reader.length()?);
                if form != module::UINT {
                    return Err(self.reader.error(Damage::ModulePart(form)));
                }
                self.skip_module_parts()?;
                Ok(Item::Module(&self.module))
            }
            opcodes::EOF => self.end(),
            other => Err(self.reader.error_at(start, Damage::Type(other))),
        }
    }

    fn end(&mut self) -> Result<Item<'_>, RdbError> {
        if self.version >= VERSION_WITH_CHECKSUM {
            let computed = self.reader.checksum();
            let start = self.reader.offset();
            let stored = self.reader.u64()?;
            if stored != 0 && stored != computed {
                return Err(self.reader.error_at(start, Damage::Checksum { stored, computed }));
            }
        }
        Ok(Item::End)
    }

    /// True when nothing follows; to be asked after [`Item::End`].
    ///
    /// # Errors
    /// When the source cannot be read.
    pub fn is_at_end(&mut self) -> Result<bool, RdbError> {
        self.reader.is_at_end()
    }

    /// Goes past the value of the last key without looking into it. The name of the module, when it is a module's.
    ///
    /// # Errors
    /// When it cannot be walked.
    pub fn skip_value(&mut self, kind: u8) -> Result<Option<&str>, RdbError> {
        if kind == types::MODULE_2 {
            self.module = module_name(self.reader.length()?);
            self.skip_module_parts()?;
            return Ok(Some(&self.module));
        }
        skip_value(&mut self.reader, kind)?;
        Ok(None)
    }

    fn skip_module_parts(&mut self) -> Result<(), RdbError> {
        skip_module_parts(&mut self.reader)
    }
}

/// Goes past the value of a module, to which `reader` points, and says the module's name.
///
/// # Errors
/// When it cannot be walked.
pub fn skip_module(reader: &mut Reader<'_>) -> Result<String, RdbError> {
    let name = module_name(reader.length()?);
    skip_module_parts(reader)?;
    Ok(name)
}

fn skip_module_parts(reader: &mut Reader<'_>) -> Result<(), RdbError> {
    loop {
        match reader.length()? {
            module::EOF => return Ok(()),
            module::SINT | module::UINT => drop(reader.length()?),
            module::FLOAT => reader.skip(4)?,
            module::DOUBLE => reader.skip(8)?,
            module::STRING => reader.skip_string()?,
            other => return Err(reader.error(Damage::ModulePart(other))),
        }
    }
}

/// The name of a module: nine characters of six bits each, before ten bits of a version.
fn module_name(id: u64) -> String {
    const CHARACTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..9).map(|place| char::from(CHARACTERS[(id >> (58 - 6 * place) & 0x3f) as usize])).collect()
}

/// Goes past a value.
fn skip_value(reader: &mut Reader<'_>, kind: u8) -> Result<(), RdbError> {
    let strings = |reader: &mut Reader<'_>, each: u64| {
        let count = reader.length()?;
        for _ in 0..count {
            (0..each).try_for_each(|_| reader.skip_string())?;
        }
        Ok(())
    };
    match kind {
        types::STRING
        | types::HASH_ZIPMAP..=types::HASH_ZIPLIST
        | types::HASH_LISTPACK
        | types::ZSET_LISTPACK
        | types::SET_LISTPACK => reader.skip_string(),
        types::LIST | types::SET | types::LIST_QUICKLIST => strings(reader, 1),
        types::HASH => strings(reader, 2),
        types::ZSET | types::ZSET_2 | types::LIST_QUICKLIST_2 => {
            for _ in 0..reader.length()? {
                match kind {
                    types::ZSET => {
                        reader.skip_string()?;
                        reader.text_double()?;
                    }
                    types::ZSET_2 => {
                        reader.skip_string()?;
                        reader.skip(8)?;
                    }
                    _ => {
                        reader.length()?;
                        reader.skip_string()?;
                    }
                }
            }
            Ok(())
        }
        types::STREAM_LISTPACKS | types::STREAM_LISTPACKS_2 | types::STREAM_LISTPACKS_3 => {
            strings(reader, 2)?;
            let remembered = if kind == types::STREAM_LISTPACKS { 3 } else { 8 };
            (0..remembered).try_for_each(|_| reader.length().map(drop))?;
            skip_groups(reader, kind).map(drop)
        }
        types::MODULE_2 => skip_module(reader).map(drop),
        types::MODULE => Err(reader.error(Damage::Unreadable("a value of a module of Redis 4.0's development"))),
        other => Err(reader.error(Damage::Type(other))),
    }
}

/// Goes past the consumer groups of a stream of this type, to which `reader` points, and says how many there are.
///
/// # Errors
/// When they cannot be walked.
pub fn skip_groups(reader: &mut Reader<'_>, kind: u8) -> Result<u64, RdbError> {
    const ID_BYTES: usize = 16;
    const TIME_BYTES: usize = 8;
    let groups = reader.length()?;
    for _ in 0..groups {
        reader.skip_string()?;
        // The last id that was delivered, and how many were.
        let numbers = if kind == types::STREAM_LISTPACKS { 2 } else { 3 };
        (0..numbers).try_for_each(|_| reader.length().map(drop))?;
        for _ in 0..reader.length()? {
            reader.skip(ID_BYTES + TIME_BYTES)?;
            reader.length()?;
        }
        for _ in 0..reader.length()? {
            reader.skip_string()?;
            // When the consumer was seen, and when it last was given something.
            reader.skip(if kind == types::STREAM_LISTPACKS_3 { 2 * TIME_BYTES } else { TIME_BYTES })?;
            for _ in 0..reader.length()? {
                reader.skip(ID_BYTES)?;
            }
        }
    }
    Ok(groups)
}
