//! Intsets.
//!
//! Owns: their bytes. Refuses to know: what the integers mean. Start at [`Intset::open`].
//!
//! ```text
//! width u32 LE: 2, 4 or 8 │ integers u32 LE │ integer LE, ascending │ …
//! ```

use super::{damaged, signed, u32_at};
use crate::rdb::damage::Damage;

const HEADER_BYTES: usize = 8;
const FORM: &str = "intset";

/// An intset that is whole. It is not empty.
#[derive(Debug, Clone, Copy)]
pub struct Intset<'a> {
    integers: &'a [u8],
    width: usize,
}

impl<'a> Intset<'a> {
    /// Walks over all of an intset.
    ///
    /// # Errors
    /// When any of it is not as it must be.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Damage> {
        let (Some(width), Some(count)) = (u32_at(bytes, 0), u32_at(bytes, 4)) else {
            return Err(damaged(FORM, "no header"));
        };
        if ![2, 4, 8].contains(&width) {
            return Err(damaged(FORM, "its integers are of no known width"));
        }
        let integers = &bytes[HEADER_BYTES..];
        if u64::from(count) * u64::from(width) != integers.len() as u64 {
            return Err(damaged(FORM, "its length is not that of the string"));
        }
        if count == 0 {
            return Err(damaged(FORM, "it is empty"));
        }
        let set = Self { integers, width: width as usize };
        if !set.iter().is_sorted_by(|left, right| left < right) {
            return Err(damaged(FORM, "its integers are not in ascending order"));
        }
        Ok(set)
    }

    /// Number of integers.
    #[expect(clippy::len_without_is_empty, reason = "none is empty")]
    pub fn len(&self) -> usize {
        self.integers.len() / self.width
    }

    /// The integers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = i64> + use<'a> {
        self.integers.chunks_exact(self.width).map(signed)
    }
}
