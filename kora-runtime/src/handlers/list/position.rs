//! The positions that clients name in a list.
//!
//! Owns: what a negative index means, and where a range ends. Refuses to know: lists.

use std::ops::Range;

/// The index that a client's `index` means in a list of `len` elements: a negative one counts from the back, -1 being the last.
#[inline]
pub(super) fn index_in(index: i64, len: usize) -> Option<usize> {
    match usize::try_from(index) {
        Ok(index) => (index < len).then_some(index),
        Err(_) => len.checked_sub(usize::try_from(index.unsigned_abs()).ok()?),
    }
}

/// The indices from `start` to `stop`, both included, in a list of `len` elements; what lies outside is left out.
#[inline]
pub(super) fn range_in(start: i64, stop: i64, len: usize) -> Range<usize> {
    let len = len as i64;
    // No overflow: a negative number and a length.
    let from_front = |index: i64| if index < 0 { index + len } else { index };
    let start = from_front(start).max(0);
    let stop = from_front(stop).min(len - 1);
    if start > stop { 0..0 } else { start as usize..stop as usize + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_count_from_both_ends() {
        let cases = [
            (0, 3, Some(0)),
            (2, 3, Some(2)),
            (3, 3, None),
            (-1, 3, Some(2)),
            (-3, 3, Some(0)),
            (-4, 3, None),
            (0, 0, None),
            (-1, 0, None),
            (i64::MIN, 3, None),
            (i64::MAX, 3, None),
        ];
        for (index, len, expected) in cases {
            assert_eq!(index_in(index, len), expected, "{index} of {len}");
        }
    }

    #[test]
    fn ranges_are_cut_to_the_list() {
        let cases = [
            (0, -1, 3, 0..3),
            (1, 1, 3, 1..2),
            (-2, -1, 3, 1..3),
            (-100, 100, 3, 0..3),
            (3, 5, 3, 0..0),
            (2, 1, 3, 0..0),
            (0, -4, 3, 0..0),
            (0, 0, 0, 0..0),
            (0, -1, 0, 0..0),
            (i64::MIN, i64::MAX, 3, 0..3),
            (i64::MAX, i64::MIN, 3, 0..0),
        ];
        for (start, stop, len, expected) in cases {
            assert_eq!(range_in(start, stop, len), expected, "{start} to {stop} of {len}");
        }
    }
}
