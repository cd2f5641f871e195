//! The compact forms of values: one string that holds a whole collection.
//!
//! Owns: what an element is, and how the bytes of each form are walked. Refuses to know: which types use which form, what elements mean.
//! Start at [`Element`] and [`Listpack`](listpack::Listpack).
//!
//! Opening a form walks over all of it; what was opened can be read without a further look at bounds.

pub mod intset;
pub mod listpack;
pub mod lzf;
pub mod ziplist;
pub mod zipmap;

#[cfg(test)]
mod tests;

use super::damage::Damage;

/// One element: a string, or an integer whose decimal text is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element<'a> {
    /// The bytes.
    Bytes(&'a [u8]),
    /// The integer.
    Int(i64),
}

/// The last byte of a form.
const END: u8 = 0xff;
/// The first byte of a length that has four more.
const LONG: u8 = 0xfe;

/// A signed integer of `bytes.len()` bytes, 8 at most, low byte first.
fn signed(bytes: &[u8]) -> i64 {
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    let missing = 64 - 8 * bytes.len() as u32;
    i64::from_le_bytes(wide) << missing >> missing
}

/// The four bytes at an offset, low byte first.
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

/// The two bytes at an offset, low byte first.
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_le_bytes(*bytes))
}

/// The length at an offset, and where it ends: u8 below 254, or 254 and u32 LE.
#[inline]
fn length(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    match *bytes.get(at)? {
        END => None,
        LONG => Some((u32_at(bytes, at + 1)? as usize, at + 5)),
        short => Some((usize::from(short), at + 1)),
    }
}

/// The string of `len` bytes at an offset, and where it ends.
#[inline]
fn string(bytes: &[u8], at: usize, len: usize) -> Option<(Element<'_>, usize)> {
    let end = at.checked_add(len)?;
    Some((Element::Bytes(bytes.get(at..end)?), end))
}

/// The integer of `width` bytes at an offset, and where it ends.
#[inline]
fn integer(bytes: &[u8], at: usize, width: usize) -> Option<(Element<'_>, usize)> {
    Some((Element::Int(signed(bytes.get(at..at + width)?)), at + width))
}

/// The elements of a form that states its length, `total`, in a header and has a mark at its end.
fn between<'a>(form: &'static str, bytes: &'a [u8], total: u32, header_bytes: usize) -> Result<&'a [u8], Damage> {
    if total as usize != bytes.len() {
        return Err(damaged(form, "its length is not that of the string"));
    }
    let Some((&END, before)) = bytes.split_last() else {
        return Err(damaged(form, "no end mark"));
    };
    before.get(header_bytes..).ok_or(damaged(form, "no end mark"))
}

/// A damaged compact form.
fn damaged(form: &'static str, what: &'static str) -> Damage {
    Damage::Compact { form, what }
}
