//! Sorted integers of one width.
//!
//! Owns: the payload of `Kind::SetInts`. Refuses to know: texts, limits. Start at [`Ints`].
//!
//! ```text
//! width u8: 2, 4 or 8 │ integer LE, ascending │ integer…
//! ```
//! While a set is being made there may be nothing, not even the width. The width is that of the widest integer there has been.

use crate::keyspace::entry::{Entry, Kind};

/// Bytes of the widest integer.
pub(super) const WIDTH_MAX: usize = 8;

/// The integers of a payload.
#[derive(Debug, Clone, Copy)]
pub struct Ints<'a> {
    width: usize,
    bytes: &'a [u8],
}

impl<'a> Ints<'a> {
    /// The integers of this payload.
    #[inline]
    pub fn of(payload: &'a [u8]) -> Self {
        match payload.split_first() {
            Some((width, bytes)) => Self { width: usize::from(*width), bytes },
            None => Self { width: 2, bytes: &[] },
        }
    }

    /// Bytes of each.
    #[inline]
    pub fn width(self) -> usize {
        self.width
    }

    /// All of them as they are stored.
    #[inline]
    pub fn stored(self) -> &'a [u8] {
        self.bytes
    }

    /// How many there are.
    #[inline]
    pub fn len(self) -> usize {
        // The width is 2, 4 or 8.
        self.bytes.len() >> self.width.trailing_zeros()
    }

    /// True when there is none.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.bytes.is_empty()
    }

    /// The `index`th smallest; `index` must be below the length.
    #[inline]
    pub fn get(self, index: usize) -> i64 {
        let bytes = &self.bytes[index * self.width..][..self.width];
        match *bytes {
            [a, b] => i64::from(i16::from_le_bytes([a, b])),
            [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
            _ => i64::from_le_bytes(bytes.try_into().expect("the width is 2, 4 or 8")),
        }
    }

    /// The index of `int`, or the one where it belongs.
    #[inline]
    pub fn search(self, int: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = (low + high) / 2;
            match self.get(middle).cmp(&int) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// In ascending order.
    pub fn iter(self) -> IntsIter<'a> {
        IntsIter { ints: self, next: 0 }
    }

    /// Bytes of the longest decimal text among them.
    pub(super) fn longest_text(self) -> usize {
        let text_len = |index| itoa::Buffer::new().format(self.get(index)).len();
        // The longest is at one of the ends.
        if self.is_empty() { 0 } else { text_len(0).max(text_len(self.len() - 1)) }
    }
}

/// The integers of an [`Ints`], ascending.
#[derive(Debug, Clone)]
pub struct IntsIter<'a> {
    ints: Ints<'a>,
    next: usize,
}

impl Iterator for IntsIter<'_> {
    type Item = i64;

    #[inline]
    fn next(&mut self) -> Option<i64> {
        let int = (self.next < self.ints.len()).then(|| self.ints.get(self.next))?;
        self.next += 1;
        Some(int)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.ints.len() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for IntsIter<'_> {}

/// Adds an integer at the index where [`Ints::search`] says that it belongs.
pub(super) fn insert(entry: &mut Entry, index: usize, int: i64) {
    let ints = Ints::of(entry.payload());
    let width = width_of(int);
    if entry.payload().is_empty() || width > ints.width {
        let width = width.max(ints.width);
        let mut payload = Vec::with_capacity(1 + (ints.len() + 1) * width);
        payload.push(width as u8);
        let (before, after) = (ints.iter().take(index), ints.iter().skip(index));
        for int in before.chain([int]).chain(after) {
            payload.extend_from_slice(&int.to_le_bytes()[..width]);
        }
        entry.set_payload(Kind::SetInts, &payload);
    } else {
        let width = ints.width;
        let at = 1 + index * width;
        entry.splice_payload(at..at, &[&int.to_le_bytes()[..width]]);
    }
}

/// Takes the `index`th integer away.
pub(super) fn remove(entry: &mut Entry, index: usize) {
    let width = Ints::of(entry.payload()).width;
    let at = 1 + index * width;
    entry.splice_payload(at..at + width, &[]);
}

fn width_of(int: i64) -> usize {
    if i16::try_from(int).is_ok() {
        2
    } else if i32::try_from(int).is_ok() {
        4
    } else {
        8
    }
}
