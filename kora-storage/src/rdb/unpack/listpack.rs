//! Listpacks.
//!
//! Owns: their bytes. Refuses to know: what the elements mean. Start at [`Listpack::open`].
//!
//! ```text
//! bytes of all u32 LE │ elements u16 LE, 65535 for unknown │ element, its length to be read from behind │ … │ 0xff
//!
//! 0vvvvvvv                          integer 0..=127
//! 10llllll               bytes…     string
//! 110vvvvv vvvvvvvv                 integer of 13 bits, high bits first
//! 1110llll llllllll      bytes…     string, high bits of the length first
//! 11110000 l l l l       bytes…     string, length u32 LE
//! 11110001 … 11110100    v…         integer of 2, 3, 4, 8 bytes LE
//! ```

use super::{Element, between, damaged, integer, string, u16_at, u32_at};
use crate::rdb::damage::Damage;

const HEADER_BYTES: usize = 6;
const COUNT_UNKNOWN: u16 = u16::MAX;
const FORM: &str = "listpack";

/// A listpack that is whole.
#[derive(Debug, Clone, Copy)]
pub struct Listpack<'a> {
    /// The elements, without the header and the byte at the end.
    elements: &'a [u8],
    len: usize,
}

impl<'a> Listpack<'a> {
    /// Walks over all of a listpack.
    ///
    /// # Errors
    /// When any of it is not as it must be.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Damage> {
        let (Some(total), Some(count)) = (u32_at(bytes, 0), u16_at(bytes, 4)) else {
            return Err(damaged(FORM, "no header"));
        };
        let elements = between(FORM, bytes, total, HEADER_BYTES)?;
        let (mut at, mut len) = (0, 0);
        while at < elements.len() {
            let (_, end) = element(elements, at).ok_or(damaged(FORM, "an element that goes past the end"))?;
            at = check_back_length(elements, at, end).ok_or(damaged(FORM, "an element with a wrong length behind"))?;
            len += 1;
        }
        if count != COUNT_UNKNOWN && usize::from(count) != len {
            return Err(damaged(FORM, "its number of elements is wrong"));
        }
        Ok(Self { elements, len })
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The elements in order.
    pub fn iter(&self) -> ListpackIter<'a> {
        ListpackIter { elements: self.elements, at: 0, left: self.len }
    }
}

/// The elements of a listpack.
#[derive(Debug, Clone)]
pub struct ListpackIter<'a> {
    elements: &'a [u8],
    at: usize,
    left: usize,
}

impl<'a> Iterator for ListpackIter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        let (element, end) = element(self.elements, self.at)?;
        self.at = end + back_length_bytes(end - self.at);
        self.left -= 1;
        Some(element)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for ListpackIter<'_> {}

/// The element at an offset, and where it ends without its length behind.
#[inline]
fn element(bytes: &[u8], at: usize) -> Option<(Element<'_>, usize)> {
    let head = *bytes.get(at)?;
    let byte = |offset: usize| bytes.get(at + offset).map(|byte| usize::from(*byte));
    match head {
        0..0x80 => Some((Element::Int(i64::from(head)), at + 1)),
        0x80..0xc0 => string(bytes, at + 1, usize::from(head & 0x3f)),
        0xc0..0xe0 => {
            let bits = (u16::from(head & 0x1f) << 8) | byte(1)? as u16;
            Some((Element::Int(i64::from((bits << 3) as i16 >> 3)), at + 2))
        }
        0xe0..0xf0 => string(bytes, at + 2, usize::from(head & 0x0f) << 8 | byte(1)?),
        0xf0 => string(bytes, at + 5, u32_at(bytes, at + 1)? as usize),
        0xf1 => integer(bytes, at + 1, 2),
        0xf2 => integer(bytes, at + 1, 3),
        0xf3 => integer(bytes, at + 1, 4),
        0xf4 => integer(bytes, at + 1, 8),
        _ => None,
    }
}

/// Bytes that the length of an element of `len` bytes takes behind it. The odd bounds are Redis's.
#[inline]
fn back_length_bytes(len: usize) -> usize {
    match len {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    }
}

/// Where the element from `start` to `end` ends with its length behind, if that is right. It is written seven bits a byte, the high ones first,
/// the high bit set in all bytes but the first.
fn check_back_length(bytes: &[u8], start: usize, end: usize) -> Option<usize> {
    let len = end - start;
    let width = back_length_bytes(len);
    let stored = bytes.get(end..end + width)?;
    let right = stored.iter().rev().enumerate().all(|(place, &byte)| {
        let more = if place + 1 < width { 0x80 } else { 0 };
        usize::from(byte) == (len >> (7 * place) & 0x7f) | more
    });
    right.then_some(end + width)
}
