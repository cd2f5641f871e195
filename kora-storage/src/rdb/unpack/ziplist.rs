//! Ziplists.
//!
//! Owns: their bytes. Refuses to know: what the elements mean. Start at [`Ziplist::open`].
//!
//! ```text
//! bytes of all u32 LE │ offset of the last element u32 LE │ elements u16 LE, 65535 for unknown │ element… │ 0xff
//!
//! element:  bytes of the one before: u8 below 254, or 254 and u32 LE │ one of these
//! 00llllll               bytes…     string
//! 01llllll llllllll      bytes…     string, high bits of the length first
//! 10------ l l l l       bytes…     string, length u32 BE
//! 11000000 11010000 11100000 v…     integer of 2, 4, 8 bytes LE
//! 11110000 11111110      v…         integer of 3 bytes LE, of 1 byte
//! 1111vvvv                          integer v - 1, v = 1..=13
//! ```

use super::{Element, between, damaged, integer, length, string, u16_at, u32_at};
use crate::rdb::damage::Damage;

const HEADER_BYTES: usize = 10;
const COUNT_UNKNOWN: u16 = u16::MAX;
const FORM: &str = "ziplist";

/// A ziplist that is whole.
#[derive(Debug, Clone, Copy)]
pub struct Ziplist<'a> {
    /// The elements, without the header and the byte at the end.
    elements: &'a [u8],
    len: usize,
}

impl<'a> Ziplist<'a> {
    /// Walks over all of a ziplist.
    ///
    /// # Errors
    /// When any of it is not as it must be.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Damage> {
        let (Some(total), Some(last), Some(count)) = (u32_at(bytes, 0), u32_at(bytes, 4), u16_at(bytes, 8)) else {
            return Err(damaged(FORM, "no header"));
        };
        let elements = between(FORM, bytes, total, HEADER_BYTES)?;
        let (mut at, mut len, mut start, mut before) = (0, 0, 0, 0);
        while at < elements.len() {
            let (stated, body) = length(elements, at).ok_or(damaged(FORM, "an element without a head"))?;
            if stated != before {
                return Err(damaged(FORM, "an element with a wrong length before"));
            }
            let (_, end) = element(elements, body).ok_or(damaged(FORM, "an element that goes past the end"))?;
            (start, before, at) = (at, end - at, end);
            len += 1;
        }
        if last as usize != HEADER_BYTES + start {
            return Err(damaged(FORM, "its last element is elsewhere"));
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
    pub fn iter(&self) -> ZiplistIter<'a> {
        ZiplistIter { elements: self.elements, at: 0 }
    }
}

/// The elements of a ziplist.
#[derive(Debug, Clone)]
pub struct ZiplistIter<'a> {
    elements: &'a [u8],
    at: usize,
}

impl<'a> Iterator for ZiplistIter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        let (_, body) = length(self.elements, self.at)?;
        let (element, end) = element(self.elements, body)?;
        self.at = end;
        Some(element)
    }
}

/// The element whose head, without the length of the one before, is at an offset, and where it ends.
#[inline]
fn element(bytes: &[u8], at: usize) -> Option<(Element<'_>, usize)> {
    let head = *bytes.get(at)?;
    match head {
        0..0x40 => string(bytes, at + 1, usize::from(head)),
        0x40..0x80 => string(bytes, at + 2, usize::from(head & 0x3f) << 8 | usize::from(*bytes.get(at + 1)?)),
        0x80..0xc0 => string(bytes, at + 5, u32_at(bytes, at + 1)?.swap_bytes() as usize),
        0xc0 => integer(bytes, at + 1, 2),
        0xd0 => integer(bytes, at + 1, 4),
        0xe0 => integer(bytes, at + 1, 8),
        0xf0 => integer(bytes, at + 1, 3),
        0xfe => integer(bytes, at + 1, 1),
        0xf1..=0xfd => Some((Element::Int(i64::from(head & 0x0f) - 1), at + 1)),
        _ => None,
    }
}
