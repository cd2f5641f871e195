//! Reading the parts of values: lengths, numbers, strings.
//!
//! Owns: the buffer between a source and those who read, the running checksum, and where in the bytes one is. Refuses to know: what the parts
//! mean, files. Start at [`Reader::string`].
//!
//! A string is shown where it lies in the buffer. One that is long is gathered beside it, as far as its bytes really come: what a damaged
//! length says is never allocated.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;

use super::checksum::Checksum;
use super::codes::{STRING_BYTES_MAX, encoding, length};
use super::damage::{Damage, RdbError};
use super::unpack::{Element, lzf};

/// Bytes that are asked of a source at once.
const BUFFER_BYTES: usize = 1 << 20;
/// A longer string is gathered beside the buffer.
const LONG_BYTES: usize = BUFFER_BYTES / 8;
/// Room for the first part of a long string; it doubles as bytes come.
const GATHER_BYTES: usize = 1 << 20;
/// Room beside the buffer that is kept from one string to the next.
const KEPT_BYTES: usize = 1 << 20;

/// Where bytes come from.
pub trait Source {
    /// Puts some bytes at the start of `buffer` and says how many; 0 at the end.
    ///
    /// # Errors
    /// What the system said.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
}

impl Source for File {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Read::read(self, buffer)
    }
}

impl Source for &[u8] {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Read::read(self, buffer)
    }
}

/// Bytes in memory: all there are, or a window that moves.
enum Buffer<'s> {
    Whole(&'s [u8]),
    Window { bytes: Box<[u8]>, source: Box<dyn Source + 's> },
}

/// Reads the parts of values from bytes in memory or from a [`Source`].
pub struct Reader<'s> {
    name: String,
    buffer: Buffer<'s>,
    /// The next byte, in the buffer.
    at: usize,
    /// The end of what is in the buffer.
    end: usize,
    /// Bytes of the source before the buffer.
    before: u64,
    checksum: Checksum,
    /// Where in the buffer the checksum has not yet been.
    summed: usize,
    /// A string that does not lie in the buffer.
    beside: Vec<u8>,
}

impl std::fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("name", &self.name).field("offset", &self.offset()).finish_non_exhaustive()
    }
}

/// A string that is to be kept if it is long.
#[derive(Debug)]
pub enum Text<'r> {
    /// Where it lies.
    Shown(Element<'r>),
    /// Its bytes.
    Owned(Vec<u8>),
}

/// Where a string lies.
enum Place {
    Buffer(Range<usize>),
    Beside,
    Integer(i64),
}

/// What stands where a string or a length begins.
enum Head {
    Length(u64),
    /// A string in the form of this number.
    Special(u8),
}

impl<'s> Reader<'s> {
    /// Reads bytes in memory. `name` is what errors call them.
    pub fn of_bytes(name: &str, bytes: &'s [u8]) -> Self {
        Self::new(name, Buffer::Whole(bytes), bytes.len())
    }

    /// Reads a source.
    pub fn of_source(name: &str, source: Box<dyn Source + 's>) -> Self {
        Self::new(name, Buffer::Window { bytes: vec![0; BUFFER_BYTES].into_boxed_slice(), source }, 0)
    }

    fn new(name: &str, buffer: Buffer<'s>, end: usize) -> Self {
        Self {
            name: name.to_owned(),
            buffer,
            at: 0,
            end,
            before: 0,
            checksum: Checksum::new(),
            summed: 0,
            beside: Vec::new(),
        }
    }

    /// Bytes that were read.
    pub fn offset(&self) -> u64 {
        self.before + self.at as u64
    }

    /// An error about what was read last.
    #[cold]
    pub fn error(&self, damage: Damage) -> RdbError {
        self.error_at(self.offset(), damage)
    }

    /// An error about what is at an offset.
    #[cold]
    pub fn error_at(&self, offset: u64, damage: Damage) -> RdbError {
        RdbError::new(&self.name, offset, damage)
    }

    /// The checksum of all that was read.
    pub fn checksum(&mut self) -> u64 {
        self.sum();
        self.checksum.value()
    }

    fn sum(&mut self) {
        let bytes = match &self.buffer {
            Buffer::Whole(bytes) => &bytes[self.summed..self.at],
            Buffer::Window { bytes, .. } => &bytes[self.summed..self.at],
        };
        self.checksum.update(bytes);
        self.summed = self.at;
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        match &self.buffer {
            Buffer::Whole(bytes) => bytes,
            Buffer::Window { bytes, .. } => bytes,
        }
    }

    /// Sees to it that `len` bytes, fewer than fit the buffer, are in it.
    #[inline]
    fn need(&mut self, len: usize) -> Result<(), RdbError> {
        if self.end - self.at >= len { Ok(()) } else { self.fill(len) }
    }

    #[cold]
    fn fill(&mut self, len: usize) -> Result<(), RdbError> {
        self.sum();
        let Buffer::Window { bytes, source } = &mut self.buffer else {
            return Err(self.error(Damage::Short));
        };
        bytes.copy_within(self.at..self.end, 0);
        self.before += self.at as u64;
        (self.end, self.at, self.summed) = (self.end - self.at, 0, 0);
        while self.end < len {
            match source.read(&mut bytes[self.end..]) {
                Ok(0) => return Err(self.error(Damage::Short)),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(Damage::Io(error))),
            }
        }
        Ok(())
    }

    /// The next bytes, as many as there must be.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], RdbError> {
        self.need(N)?;
        let array = *self.bytes()[self.at..].first_chunk().expect("they are in the buffer");
        self.at += N;
        Ok(array)
    }

    /// One byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, RdbError> {
        self.array().map(|[byte]| byte)
    }

    /// Eight bytes, low byte first.
    pub fn u64(&mut self) -> Result<u64, RdbError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A float of eight bytes.
    pub fn double(&mut self) -> Result<f64, RdbError> {
        self.array().map(f64::from_le_bytes)
    }

    /// A float as a text, in the old form. NaN is for the caller to refuse.
    pub fn text_double(&mut self) -> Result<f64, RdbError> {
        let start = self.offset();
        let len = match self.byte()? {
            253 => return Ok(f64::NAN),
            254 => return Ok(f64::INFINITY),
            255 => return Ok(f64::NEG_INFINITY),
            len => usize::from(len),
        };
        self.need(len)?;
        let text = &self.bytes()[self.at..self.at + len];
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        self.at += len;
        number.ok_or_else(|| self.error_at(start, Damage::Score))
    }

    /// A length, or any other number that is written as one.
    #[inline]
    pub fn length(&mut self) -> Result<u64, RdbError> {
        match self.head()? {
            Head::Length(length) => Ok(length),
            Head::Special(_) => Err(self.error(Damage::NotALength)),
        }
    }

    #[inline]
    fn head(&mut self) -> Result<Head, RdbError> {
        let first = self.byte()?;
        match first >> 6 {
            0 => Ok(Head::Length(u64::from(first))),
            1 => Ok(Head::Length(u64::from(first & 0x3f) << 8 | u64::from(self.byte()?))),
            2 => self.wide_length(first),
            _ => Ok(Head::Special(first & 0x3f)),
        }
    }

    fn wide_length(&mut self, first: u8) -> Result<Head, RdbError> {
        match first {
            length::BITS_32 => Ok(Head::Length(u64::from(u32::from_be_bytes(self.array()?)))),
            length::BITS_64 => Ok(Head::Length(u64::from_be_bytes(self.array()?))),
            _ => Err(self.error(Damage::LengthForm(first))),
        }
    }

    /// A string, where it lies.
    #[inline]
    pub fn string(&mut self) -> Result<Element<'_>, RdbError> {
        Ok(match self.place()? {
            Place::Buffer(range) => Element::Bytes(&self.bytes()[range]),
            Place::Beside => Element::Bytes(&self.beside),
            Place::Integer(integer) => Element::Int(integer),
        })
    }

    /// A string: where it lies up to `shown_max` bytes, to be kept when it is longer. A long one is not copied for it.
    #[inline]
    pub fn text_or_owned(&mut self, shown_max: usize) -> Result<Text<'_>, RdbError> {
        Ok(match self.place()? {
            Place::Buffer(range) if range.len() <= shown_max => Text::Shown(Element::Bytes(&self.bytes()[range])),
            Place::Buffer(range) => Text::Owned(self.bytes()[range].to_vec()),
            Place::Beside if self.beside.len() <= shown_max => Text::Shown(Element::Bytes(&self.beside)),
            // What was left from a longer string is not worth keeping with this one.
            Place::Beside if self.beside.capacity() / 8 * 7 > self.beside.len() => Text::Owned(self.beside.clone()),
            Place::Beside => Text::Owned(std::mem::take(&mut self.beside)),
            Place::Integer(integer) => Text::Shown(Element::Int(integer)),
        })
    }

    /// A string as bytes, where they lie.
    #[inline]
    pub fn text(&mut self) -> Result<&[u8], RdbError> {
        match self.place()? {
            Place::Buffer(range) => Ok(&self.bytes()[range]),
            Place::Beside => Ok(&self.beside),
            Place::Integer(integer) => {
                self.beside.clear();
                self.beside.extend_from_slice(integer.to_string().as_bytes());
                Ok(&self.beside)
            }
        }
    }

    /// Goes past a string.
    pub fn skip_string(&mut self) -> Result<(), RdbError> {
        self.place().map(|_| ())
    }

    /// Goes past bytes.
    pub fn skip(&mut self, len: usize) -> Result<(), RdbError> {
        let mut left = len;
        while left > 0 {
            self.need(1)?;
            let here = left.min(self.end - self.at);
            self.at += here;
            left -= here;
        }
        Ok(())
    }

    #[inline]
    fn place(&mut self) -> Result<Place, RdbError> {
        match self.head()? {
            Head::Length(len) if len <= LONG_BYTES as u64 => {
                let len = len as usize;
                self.need(len)?;
                let start = self.at;
                self.at += len;
                Ok(Place::Buffer(start..self.at))
            }
            Head::Length(len) => self.long_place(len),
            Head::Special(form) => self.special_place(form),
        }
    }

    /// A string that is not short.
    #[cold]
    fn long_place(&mut self, len: u64) -> Result<Place, RdbError> {
        if len > STRING_BYTES_MAX {
            return Err(self.error(Damage::TooLong(len)));
        }
        let len = len as usize;
        if self.end - self.at >= len {
            self.at += len;
            return Ok(Place::Buffer(self.at - len..self.at));
        }
        let mut bytes = self.room_beside();
        self.gather(len, &mut bytes)?;
        self.beside = bytes;
        Ok(Place::Beside)
    }

    /// An empty buffer for a string that cannot be shown where it lies: the last one's, unless that was huge.
    fn room_beside(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.beside);
        bytes.clear();
        if bytes.capacity() > KEPT_BYTES { Vec::new() } else { bytes }
    }

    /// Appends `len` bytes to `out`, whose room grows with what has come.
    fn gather(&mut self, len: usize, out: &mut Vec<u8>) -> Result<(), RdbError> {
        if let Buffer::Whole(_) = self.buffer {
            self.need(len)?;
        }
        let mut left = len;
        while left > 0 {
            if out.len() == out.capacity() {
                out.reserve_exact(left.min(out.len().max(GATHER_BYTES)));
            }
            self.need(1)?;
            let here = left.min(self.end - self.at).min(out.capacity() - out.len());
            out.extend_from_slice(&self.bytes()[self.at..self.at + here]);
            self.at += here;
            left -= here;
        }
        Ok(())
    }

    fn special_place(&mut self, form: u8) -> Result<Place, RdbError> {
        match form {
            encoding::INT8 => Ok(Place::Integer(i64::from(i8::from_le_bytes(self.array()?)))),
            encoding::INT16 => Ok(Place::Integer(i64::from(i16::from_le_bytes(self.array()?)))),
            encoding::INT32 => Ok(Place::Integer(i64::from(i32::from_le_bytes(self.array()?)))),
            encoding::LZF => self.compressed_place(),
            other => Err(self.error(Damage::LengthForm(length::ENCODED | other))),
        }
    }

    fn compressed_place(&mut self) -> Result<Place, RdbError> {
        let start = self.offset();
        let (packed_len, len) = (self.length()?, self.length()?);
        if let Some(long) = [packed_len, len].into_iter().find(|len| *len > STRING_BYTES_MAX) {
            return Err(self.error_at(start, Damage::TooLong(long)));
        }
        if len > packed_len.saturating_mul(lzf::EXPANSION_MAX) {
            return Err(self.error_at(start, Damage::Lzf));
        }
        let (packed_len, len) = (packed_len as usize, len as usize);
        let mut out = self.room_beside();
        let unpacked = if packed_len <= LONG_BYTES || self.end - self.at >= packed_len {
            self.need(packed_len)?;
            self.at += packed_len;
            lzf::decompress(&self.bytes()[self.at - packed_len..self.at], len, &mut out)
        } else {
            let mut packed = Vec::new();
            self.gather(packed_len, &mut packed)?;
            lzf::decompress(&packed, len, &mut out)
        };
        self.beside = out;
        unpacked.map_err(|damage| self.error_at(start, damage))?;
        Ok(Place::Beside)
    }

    /// True when nothing follows.
    pub fn is_at_end(&mut self) -> Result<bool, RdbError> {
        match self.need(1) {
            Ok(()) => Ok(false),
            Err(error) if matches!(error.damage(), Damage::Short) => Ok(true),
            Err(error) => Err(error),
        }
    }
}
