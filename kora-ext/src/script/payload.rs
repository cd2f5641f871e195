//! What FUNCTION DUMP writes and FUNCTION RESTORE reads.
//!
//! Owns: the format, which is Redis's: for each library the byte 245 and its text as a string of the RDB format, then the format's version and a
//! checksum. Refuses to know: what a library is. Start at [`dump`] and [`read`].
//!
//! ```text
//! 245 string … | version, 2 bytes | CRC-64 of all before it, 8 bytes        numbers: lowest byte first
//! ```
//!
//! Redis may compress strings with LZF, which is read here and not written.

use kora_storage::rdb::Checksum;
use kora_storage::rdb::codes::VERSION;
use kora_storage::rdb::codes::opcodes::FUNCTION2 as FUNCTION;

use super::error::ScriptError;
use super::limits::LIBRARY_BYTES_MAX;

const FOOTER_BYTES: usize = 10;

/// What FUNCTION RESTORE does with libraries that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RestorePolicy {
    /// A library of the same name is an error.
    #[default]
    Append,
    /// All of them are dropped first.
    Flush,
    /// Those of the same names are replaced.
    Replace,
}

/// Writes libraries.
pub(super) fn dump<'c>(codes: impl Iterator<Item = &'c [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for code in codes {
        out.push(FUNCTION);
        write_length(&mut out, code.len());
        out.extend_from_slice(code);
    }
    out.extend_from_slice(&VERSION.to_le_bytes());
    let crc = Checksum::of(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

fn write_length(out: &mut Vec<u8>, len: usize) {
    match len {
        0..64 => out.push(len as u8),
        64..16_384 => out.extend_from_slice(&[0x40 | (len >> 8) as u8, len as u8]),
        _ => {
            out.push(0x80);
            out.extend_from_slice(&(len as u32).to_be_bytes());
        }
    }
}

/// Reads libraries.
pub(super) fn read(payload: &[u8]) -> Result<Vec<Vec<u8>>, ScriptError> {
    let (body, footer) =
        payload.len().checked_sub(FOOTER_BYTES).map(|len| payload.split_at(len)).ok_or(ScriptError::Payload)?;
    let version = u16::from_le_bytes([footer[0], footer[1]]);
    let (checked, crc) = payload.split_at(payload.len() - 8);
    // A checksum of zero means that there is none.
    let crc_matches = crc == Checksum::of(checked).to_le_bytes() || crc == [0; 8];
    if version > VERSION || !crc_matches {
        return Err(ScriptError::Payload);
    }
    let mut reader = Reader { rest: body };
    let mut codes = Vec::new();
    let mut bytes = 0;
    while let Some((&kind, rest)) = reader.rest.split_first() {
        if kind != FUNCTION {
            return Err(ScriptError::NotAFunction);
        }
        reader.rest = rest;
        let code = reader.string().ok_or(ScriptError::LibraryData)?;
        bytes += code.len();
        if bytes > LIBRARY_BYTES_MAX {
            return Err(ScriptError::LibrariesFull);
        }
        codes.push(code);
    }
    Ok(codes)
}

struct Reader<'p> {
    rest: &'p [u8],
}

enum Length {
    Bytes(usize),
    Integer(usize),
    Compressed,
}

impl<'p> Reader<'p> {
    fn take(&mut self, len: usize) -> Option<&'p [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    fn length(&mut self) -> Option<Length> {
        let first = self.take(1)?[0];
        let number = |bytes: &[u8]| {
            bytes.iter().try_fold(0usize, |value, byte| Some(value.checked_mul(256)? | usize::from(*byte)))
        };
        Some(match (first >> 6, first) {
            (0, _) => Length::Bytes(usize::from(first)),
            (1, _) => Length::Bytes(usize::from(first & 0x3f) << 8 | usize::from(self.take(1)?[0])),
            (_, 0x80) => Length::Bytes(number(self.take(4)?)?),
            (_, 0x81) => Length::Bytes(number(self.take(8)?)?),
            (_, 0xc0) => Length::Integer(1),
            (_, 0xc1) => Length::Integer(2),
            (_, 0xc2) => Length::Integer(4),
            (_, 0xc3) => Length::Compressed,
            _ => return None,
        })
    }

    fn bytes(&mut self) -> Option<usize> {
        match self.length()? {
            Length::Bytes(len) => Some(len),
            _ => None,
        }
    }

    fn string(&mut self) -> Option<Vec<u8>> {
        match self.length()? {
            Length::Bytes(len) => Some(self.take(len)?.to_vec()),
            Length::Integer(len) => {
                let bytes = self.take(len)?;
                let sign = if bytes[len - 1] & 0x80 == 0 { 0 } else { 0xff };
                let mut whole = [sign; 8];
                whole[..len].copy_from_slice(bytes);
                Some(i64::from_le_bytes(whole).to_string().into_bytes())
            }
            Length::Compressed => {
                let compressed_len = self.bytes()?;
                let len = self.bytes()?;
                decompress(self.take(compressed_len)?, len)
            }
        }
    }
}

/// Undoes LZF: a byte below 32 announces so many bytes and one more as they are, another one a copy of what stands further in front.
fn decompress(mut input: &[u8], len: usize) -> Option<Vec<u8>> {
    if len > LIBRARY_BYTES_MAX {
        return None;
    }
    let mut out = Vec::with_capacity(len);
    while let Some((&control, rest)) = input.split_first() {
        if control < 32 {
            let (literal, rest) = rest.split_at_checked(usize::from(control) + 1)?;
            out.extend_from_slice(literal);
            input = rest;
        } else {
            let (mut count, mut rest) = (usize::from(control >> 5), rest);
            if count == 7 {
                let (more, behind) = rest.split_first()?;
                count += usize::from(*more);
                rest = behind;
            }
            let (low, behind) = rest.split_first()?;
            let distance = (usize::from(control & 0x1f) << 8 | usize::from(*low)) + 1;
            let start = out.len().checked_sub(distance)?;
            for at in start..start + count + 2 {
                out.push(out[at]);
            }
            input = behind;
        }
        if out.len() > len {
            return None;
        }
    }
    (out.len() == len).then_some(out)
}
