//! Decompression of LZF.
//!
//! Owns: the bytes of a compressed string. Refuses to know: where its lengths come from. Start at [`decompress`].
//!
//! ```text
//! 000lllll               bytes…  l + 1 bytes as they are
//! lllooooo oooooooo              l + 2 bytes from o + 1 bytes back, l = 1..=6
//! 111ooooo llllllll oooooooo     l + 9 bytes from o + 1 bytes back
//! ```

use crate::rdb::damage::Damage;

/// The most bytes that one byte of the compressed form becomes: three bytes make 264.
pub const EXPANSION_MAX: u64 = 88;

/// Decompresses the whole of `packed`, which becomes `len` bytes, behind what is in `out`.
///
/// # Errors
/// When it does not become just that.
pub fn decompress(packed: &[u8], len: usize, out: &mut Vec<u8>) -> Result<(), Damage> {
    if len as u64 > packed.len() as u64 * EXPANSION_MAX {
        return Err(Damage::Lzf);
    }
    let start = out.len();
    out.reserve_exact(len);
    let mut rest = packed;
    while let Some((&control, behind)) = rest.split_first() {
        let control = usize::from(control);
        if control < 32 {
            let (literal, behind) = behind.split_at_checked(control + 1).ok_or(Damage::Lzf)?;
            if out.len() - start + literal.len() > len {
                return Err(Damage::Lzf);
            }
            out.extend_from_slice(literal);
            rest = behind;
            continue;
        }
        let (count, behind) = match control >> 5 {
            7 => {
                let (&more, behind) = behind.split_first().ok_or(Damage::Lzf)?;
                (usize::from(more) + 9, behind)
            }
            short => (short + 2, behind),
        };
        let (&low, behind) = behind.split_first().ok_or(Damage::Lzf)?;
        let back = ((control & 0x1f) << 8 | usize::from(low)) + 1;
        let done = out.len() - start;
        if back > done || done + count > len {
            return Err(Damage::Lzf);
        }
        let from = out.len() - back;
        if back >= count {
            out.extend_from_within(from..from + count);
        } else {
            // What is copied is being made meanwhile: it repeats itself.
            (from..from + count).for_each(|at| out.push(out[at]));
        }
        rest = behind;
    }
    if out.len() - start == len { Ok(()) } else { Err(Damage::Lzf) }
}
