//! Runs: the elements of a list side by side in a byte slice, readable from both ends.
//!
//! Owns: the bytes of one element. Refuses to know: where a run is kept, how long it may become. Start at [`Encoded`] and [`Run`].
//!
//! ```text
//! element:  packed element (see types/packed.rs) │ its length L, to be read from behind
//! length:   L u8 if L < 0x80;  L u16 LE │ 0x80;  L u32 LE │ 0x81
//! ```
//! One value has one encoding, so equal elements are equal bytes.

use std::ops::{ControlFlow, Range};

use crate::types::packed::{self, Element};

use super::Direction;

const LENGTH_U16: u8 = 0x80;
const LENGTH_U32: u8 = 0x81;

/// An element about to be stored.
#[derive(Debug)]
pub(super) struct Encoded<'e> {
    packed: packed::Encoded<'e>,
    tail: [u8; 5],
    tail_len: u8,
}

impl<'e> Encoded<'e> {
    #[inline]
    pub(super) fn new(element: &'e [u8]) -> Self {
        let packed = packed::Encoded::of(element);
        let len = packed.stored_len();
        let mut tail = [0; 5];
        let tail_len = if len < usize::from(LENGTH_U16) {
            tail[0] = len as u8;
            1
        } else if let Ok(len) = u16::try_from(len) {
            tail[..2].copy_from_slice(&len.to_le_bytes());
            tail[2] = LENGTH_U16;
            3
        } else {
            tail[..4].copy_from_slice(&(len as u32).to_le_bytes());
            tail[4] = LENGTH_U32;
            5
        };
        Self { packed, tail, tail_len }
    }

    /// Bytes of the whole.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.packed.stored_len() + usize::from(self.tail_len)
    }

    /// The bytes, in pieces.
    #[inline]
    pub(super) fn parts(&self) -> [&[u8]; 3] {
        let [head, body] = self.packed.parts();
        [head, body, &self.tail[..usize::from(self.tail_len)]]
    }

    /// The bytes, in one piece.
    pub(super) fn to_vec(&self) -> Vec<u8> {
        self.parts().concat()
    }
}

/// Elements side by side, and how many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) count: usize,
}

impl<'a> Run<'a> {
    /// The element at an offset, and where it ends.
    #[inline]
    pub(super) fn element(self, at: usize) -> (Element<'a>, usize) {
        if let Some(end) = self.short_string_end(at) {
            return (Element::Bytes(&self.bytes[at + 1..end - 1]), end);
        }
        let (element, end) = packed::decode(self.bytes, at);
        (element, end + tail_len(end - at))
    }

    /// Where the element at an offset ends if it is a string with one byte before and one behind it, as most are.
    #[inline]
    fn short_string_end(self, at: usize) -> Option<usize> {
        let len = self.bytes[at];
        (len < packed::SHORT_MAX as u8).then(|| at + usize::from(len) + 2)
    }

    /// Where the element at an offset ends.
    #[inline]
    pub(super) fn end_of(self, at: usize) -> usize {
        if let Some(end) = self.short_string_end(at) {
            return end;
        }
        let end = packed::end_of(self.bytes, at);
        end + tail_len(end - at)
    }

    /// Where the element that ends at an offset begins.
    #[inline]
    pub(super) fn start_of(self, end: usize) -> usize {
        let last = self.bytes[end - 1];
        match last {
            LENGTH_U16 => {
                let len = self.bytes[end - 3..end - 1].try_into().expect("two bytes");
                end - 3 - usize::from(u16::from_le_bytes(len))
            }
            LENGTH_U32 => {
                let len = self.bytes[end - 5..end - 1].try_into().expect("four bytes");
                end - 5 - u32::from_le_bytes(len) as usize
            }
            len => end - 1 - usize::from(len),
        }
    }

    /// Where the element at an index begins, or the run ends; found from the nearer end.
    pub(super) fn offset(self, index: usize) -> usize {
        if index <= self.count / 2 {
            (0..index).fold(0, |at, _| self.end_of(at))
        } else {
            (index..self.count).fold(self.bytes.len(), |end, _| self.start_of(end))
        }
    }

    /// Shows the elements at these indices, and where each begins and ends; backwards from the last if so told.
    #[inline]
    pub(super) fn walk(
        self,
        indices: Range<usize>,
        direction: Direction,
        mut visit: impl FnMut(usize, Range<usize>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match direction {
            Direction::Forward => {
                let mut at = self.offset(indices.start);
                for index in indices {
                    let end = self.end_of(at);
                    visit(index, at..end)?;
                    at = end;
                }
            }
            Direction::Backward => {
                let mut end = self.offset(indices.end);
                for index in indices.rev() {
                    let at = self.start_of(end);
                    visit(index, at..end)?;
                    end = at;
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Where the first or the last `count` elements lie that are stored as these bytes, in ascending order.
    pub(super) fn find_all(self, wanted: &[u8], count: usize, direction: Direction) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let _ = self.walk(0..self.count, direction, |_, bytes| {
            if found.len() == count {
                return ControlFlow::Break(());
            }
            if self.bytes[bytes.clone()] == *wanted {
                found.push(bytes);
            }
            ControlFlow::Continue(())
        });
        if direction == Direction::Backward {
            found.reverse();
        }
        found
    }

    /// The bytes that are left without these ranges, which ascend.
    pub(super) fn without(self, ranges: &[Range<usize>]) -> Vec<u8> {
        let removed: usize = ranges.iter().map(Range::len).sum();
        let mut bytes = Vec::with_capacity(self.bytes.len() - removed);
        let mut at = 0;
        for range in ranges {
            bytes.extend_from_slice(&self.bytes[at..range.start]);
            at = range.end;
        }
        bytes.extend_from_slice(&self.bytes[at..]);
        bytes
    }

    /// Shows the elements at these indices.
    #[inline]
    pub(super) fn visit(
        self,
        indices: Range<usize>,
        direction: Direction,
        visit: &mut impl FnMut(Element<'a>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match direction {
            Direction::Forward => {
                let mut at = self.offset(indices.start);
                for _ in indices {
                    let (element, end) = self.element(at);
                    visit(element)?;
                    at = end;
                }
                ControlFlow::Continue(())
            }
            Direction::Backward => self.walk(indices, direction, |_, bytes| visit(self.element(bytes.start).0)),
        }
    }
}

/// Bytes of the length behind an element of `len` bytes.
#[inline]
fn tail_len(len: usize) -> usize {
    if len < usize::from(LENGTH_U16) {
        1
    } else if len <= usize::from(u16::MAX) {
        3
    } else {
        5
    }
}
