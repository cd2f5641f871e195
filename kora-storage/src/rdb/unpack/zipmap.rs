//! Zipmaps: small hashes of the oldest versions.
//!
//! Owns: their bytes. Refuses to know: what the elements mean. Start at [`Zipmap::open`].
//!
//! ```text
//! pairs u8, 254 for unknown │ field │ value │ … │ 0xff
//!
//! field:  length │ bytes              value:  length │ unused u8 │ bytes │ unused bytes
//! length: u8 below 254, or 254 and u32 LE
//! ```

use super::{END, Element, damaged, length};
use crate::rdb::damage::Damage;

const COUNT_UNKNOWN: u8 = 0xfe;
const FORM: &str = "zipmap";

/// A zipmap that is whole.
#[derive(Debug, Clone, Copy)]
pub struct Zipmap<'a> {
    /// The pairs, without the header and the byte at the end.
    pairs: &'a [u8],
    len: usize,
}

impl<'a> Zipmap<'a> {
    /// Walks over all of a zipmap.
    ///
    /// # Errors
    /// When any of it is not as it must be.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Damage> {
        let Some((&count, rest)) = bytes.split_first() else {
            return Err(damaged(FORM, "no header"));
        };
        let Some((&END, pairs)) = rest.split_last() else {
            return Err(damaged(FORM, "no end mark"));
        };
        let (mut at, mut len) = (0, 0);
        while at < pairs.len() {
            (_, _, at) = pair(pairs, at).ok_or(damaged(FORM, "a pair that goes past the end"))?;
            len += 1;
        }
        if count != COUNT_UNKNOWN && usize::from(count) != len {
            return Err(damaged(FORM, "its number of pairs is wrong"));
        }
        Ok(Self { pairs, len })
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without pairs.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Field, value, field, value…
    pub fn iter(&self) -> impl Iterator<Item = Element<'a>> + use<'a> {
        let (pairs, mut at) = (self.pairs, 0);
        let pairs = std::iter::from_fn(move || {
            let (field, value, end) = pair(pairs, at)?;
            at = end;
            Some([Element::Bytes(field), Element::Bytes(value)])
        });
        pairs.flatten()
    }
}

/// The pair at an offset, and where it ends.
fn pair(bytes: &[u8], at: usize) -> Option<(&[u8], &[u8], usize)> {
    let (len, at) = length(bytes, at)?;
    let field = bytes.get(at..at.checked_add(len)?)?;
    let (len, at) = length(bytes, at + len)?;
    let unused = usize::from(*bytes.get(at)?);
    let value = bytes.get(at + 1..(at + 1).checked_add(len)?)?;
    let end = (at + 1 + len).checked_add(unused).filter(|end| *end <= bytes.len())?;
    Some((field, value, end))
}
