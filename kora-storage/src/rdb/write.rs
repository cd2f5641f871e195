//! The primitives of RDB, written into a vector.
//!
//! Owns: lengths, strings, numbers, the records around keys, the checksum. Refuses to know: values of other types, files.
//! Start at [`StringWriter::write`]; a file is [`header`], aux fields, databases, [`StringWriter`]'s keys, [`end`].

use super::checksum::Checksum;
use super::codes::{MAGIC, VERSION, encoding, length, opcodes};
use super::lzf::Compressor;

/// Longest text that may be that of an `i32`, in bytes.
const INT32_TEXT_MAX: usize = 11;
/// Strings must be longer than this, in bytes, to be compressed.
const COMPRESS_BYTES_MIN: usize = 20;
/// Strings longer than this, in bytes, are written as they are, so that no single step takes long.
pub const COMPRESS_BYTES_MAX: usize = 128 << 10;
/// Compressing must save this much, in bytes.
const SAVED_BYTES_MIN: usize = 4;

/// Appends what a file begins with.
pub fn header(out: &mut Vec<u8>) {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(format!("{VERSION:04}").as_bytes());
}

/// Appends the end of a file: `checksum` has been fed all before it, or is `None` when the file is to have none.
pub fn end(out: &mut Vec<u8>, checksum: Option<Checksum>) {
    out.push(opcodes::EOF);
    let value = checksum.map_or(0, |mut checksum| {
        checksum.update(&[opcodes::EOF]);
        checksum.value()
    });
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends that the next keys are in this database.
pub fn select_db(out: &mut Vec<u8>, database: u64) {
    out.push(opcodes::SELECTDB);
    write_length(out, database);
}

/// Appends how many keys the database has, and how many of them expire. A hint: readers reserve room by it.
pub fn resize_db(out: &mut Vec<u8>, keys: u64, expiring: u64) {
    out.push(opcodes::RESIZEDB);
    write_length(out, keys);
    write_length(out, expiring);
}

/// Appends when the next key expires, Unix milliseconds.
#[inline]
pub fn expire_time_ms(out: &mut Vec<u8>, expiry_ms: u64) {
    out.push(opcodes::EXPIRETIME_MS);
    out.extend_from_slice(&expiry_ms.to_le_bytes());
}

/// Appends how long the next key has not been used.
#[inline]
pub fn idle(out: &mut Vec<u8>, seconds: u64) {
    out.push(opcodes::IDLE);
    write_length(out, seconds);
}

/// Appends how often the next key is used, as OBJECT FREQ counts.
#[inline]
pub fn freq(out: &mut Vec<u8>, frequency: u8) {
    out.extend_from_slice(&[opcodes::FREQ, frequency]);
}

/// Appends a length.
#[inline]
pub fn write_length(out: &mut Vec<u8>, len: u64) {
    match len {
        0..=0x3f => out.push(length::BITS_6 | len as u8),
        0x40..=0x3fff => out.extend_from_slice(&[length::BITS_14 | (len >> 8) as u8, len as u8]),
        0x4000..=0xffff_ffff => {
            out.push(length::BITS_32);
            out.extend_from_slice(&(len as u32).to_be_bytes());
        }
        _ => {
            out.push(length::BITS_64);
            out.extend_from_slice(&len.to_be_bytes());
        }
    }
}

/// Appends a double.
#[inline]
pub fn write_double(out: &mut Vec<u8>, number: f64) {
    out.extend_from_slice(&number.to_le_bytes());
}

/// Appends the string that is the decimal text of an integer.
#[inline]
pub fn write_integer(out: &mut Vec<u8>, int: i64) {
    if let Ok(int) = i8::try_from(int) {
        out.extend_from_slice(&[length::ENCODED | encoding::INT8, int as u8]);
    } else if let Ok(int) = i16::try_from(int) {
        let [low, high] = int.to_le_bytes();
        out.extend_from_slice(&[length::ENCODED | encoding::INT16, low, high]);
    } else if let Ok(int) = i32::try_from(int) {
        out.push(length::ENCODED | encoding::INT32);
        out.extend_from_slice(&int.to_le_bytes());
    } else {
        write_plain(out, itoa::Buffer::new().format(int).as_bytes());
    }
}

/// Appends a string as its length and its bytes.
#[inline]
pub fn write_plain(out: &mut Vec<u8>, bytes: &[u8]) {
    write_length(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes strings in the shortest form.
#[derive(Debug)]
pub struct StringWriter {
    /// None when strings are not to be compressed. The vector holds a block until its length is known.
    compression: Option<(Compressor, Vec<u8>)>,
}

impl StringWriter {
    /// One that compresses strings (`rdbcompression`), or does not.
    pub fn new(compress: bool) -> Self {
        Self { compression: compress.then(Default::default) }
    }

    /// Appends a string.
    #[inline]
    pub fn write(&mut self, out: &mut Vec<u8>, bytes: &[u8]) {
        if bytes.len() <= INT32_TEXT_MAX
            && let Some(int) = canonical_i32(bytes)
        {
            return write_integer(out, int.into());
        }
        self.write_blob(out, bytes);
    }

    /// Appends a string of which it is known that it is not the text of an integer.
    #[inline]
    pub fn write_blob(&mut self, out: &mut Vec<u8>, bytes: &[u8]) {
        if !(self.compresses(bytes.len()) && self.write_compressed(out, bytes)) {
            write_plain(out, bytes);
        }
    }

    /// True when strings of this length are compressed if that saves something.
    #[inline]
    pub fn compresses(&self, len: usize) -> bool {
        self.compression.is_some() && len > COMPRESS_BYTES_MIN && len <= COMPRESS_BYTES_MAX
    }

    /// Appends a fact about the file.
    pub fn aux(&mut self, out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
        out.push(opcodes::AUX);
        self.write(out, name);
        self.write(out, value);
    }

    /// Appends the source of a library of functions.
    pub fn function(&mut self, out: &mut Vec<u8>, source: &[u8]) {
        out.push(opcodes::FUNCTION2);
        self.write(out, source);
    }

    fn write_compressed(&mut self, out: &mut Vec<u8>, bytes: &[u8]) -> bool {
        let Some((compressor, block)) = &mut self.compression else { return false };
        block.clear();
        if !compressor.compress(bytes, block, bytes.len() - SAVED_BYTES_MIN) {
            return false;
        }
        out.push(length::ENCODED | encoding::LZF);
        write_length(out, block.len() as u64);
        write_length(out, bytes.len() as u64);
        out.extend_from_slice(block);
        true
    }
}

/// The integer whose decimal text this is: no sign but `-`, no leading zero.
#[inline]
fn canonical_i32(bytes: &[u8]) -> Option<i32> {
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let canonical = match digits {
        [b'0'] => !negative,
        [b'1'..=b'9', ..] => digits.len() < INT32_TEXT_MAX,
        _ => false,
    };
    if !canonical {
        return None;
    }
    let mut magnitude = 0_i64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        magnitude = magnitude * 10 + i64::from(digit - b'0');
    }
    i32::try_from(if negative { -magnitude } else { magnitude }).ok()
}

#[cfg(test)]
mod tests;
