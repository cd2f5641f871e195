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

/// A damaged compact form.
fn damaged(form: &'static str, what: &'static str) -> Damage {
    Damage::Compact { form, what }
}
