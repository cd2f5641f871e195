//! Which segment a hash belongs to.
//!
//! Owns: addresses, positions and tags as functions of the number of segments. Refuses to know: the segments.
//! Start at [`Shape::locate`]; the page of [`Table`](super::Table) draws what the bits are for.

use super::segment::TAG_MASK;

/// Widths of a segment that one set of tags serves.
const TAG_SERVES: u32 = 5;

/// How many segments there are, and what follows from it for addresses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) segments: usize,
    /// The address bits of a wide segment.
    pub(super) mask: u64,
    /// The highest of them, 0 while there is one segment.
    half: u64,
    base_wide: u8,
    base_narrow: u8,
}

impl Shape {
    pub(super) const EMPTY: Self = Self { segments: 0, mask: 0, half: 0, base_wide: 0, base_narrow: 0 };

    pub(super) fn of(segments: usize) -> Self {
        if segments <= 1 {
            return Self { segments, ..Self::EMPTY };
        }
        let width = (segments - 1).ilog2() + 1;
        assert!(width <= 32, "a slot numbers its segment in 32 bits");
        Self {
            segments,
            mask: (1 << width) - 1,
            half: 1 << (width - 1),
            base_wide: base_of(width),
            base_narrow: base_of(width - 1),
        }
    }

    /// The segment that a hash belongs to, and the base of its tags.
    #[inline]
    pub(super) fn locate(&self, hash: u64) -> (usize, u8) {
        let low = hash & (self.mask >> 1);
        if (low | self.half) as usize >= self.segments {
            (low as usize, self.base_narrow)
        } else {
            ((hash & self.mask) as usize, self.base_wide)
        }
    }

    /// The segment that covers `position`, where what it covers starts, and where the next segment's part starts, 0 at
    /// the end.
    pub(super) fn interval(&self, position: u64) -> (usize, u64, u64) {
        let hash = position.reverse_bits();
        let (segment, _) = self.locate(hash);
        let narrow = ((hash & (self.mask >> 1)) | self.half) as usize >= self.segments;
        let covered = if narrow { self.mask >> 1 } else { self.mask };
        let start = (hash & covered).reverse_bits();
        // The size of the interval is the lowest of the covered bits, reversed; with no bit covered it is everything.
        let size = 1_u64.checked_shl(64 - covered.count_ones()).unwrap_or(0);
        (segment, start, if size == 0 { 0 } else { start.wrapping_add(size) })
    }
}

/// The tag of a hash in segments whose tags start at bit `base`.
#[inline]
pub(super) fn tag_of(hash: u64, base: u8) -> u16 {
    (hash >> base) as u16 & TAG_MASK
}

/// The first bit of the hash that tags hold in a segment of this width.
#[inline]
pub(super) fn base_of(width: u32) -> u8 {
    (width - width % TAG_SERVES) as u8
}
