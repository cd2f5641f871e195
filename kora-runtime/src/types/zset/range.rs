//! Ranges of a sorted set by score or by member.
//!
//! Owns: on which side of a range an item stands. Refuses to know: how ranges are written on the wire, where items are.
//! Start at [`ScoreRange`]; both kinds are turned into intervals of ranks, and everything else works on those.

use crate::types::packed::Element;

/// All members with a score between two bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreRange {
    /// The lower bound; may be infinite.
    pub min: f64,
    /// The upper bound; may be infinite.
    pub max: f64,
    /// The lower bound itself is outside.
    pub min_exclusive: bool,
    /// The upper bound itself is outside.
    pub max_exclusive: bool,
}

impl ScoreRange {
    /// True when the score is below the range.
    #[inline]
    pub(super) fn starts_after(&self, score: f64) -> bool {
        score < self.min || (self.min_exclusive && score == self.min)
    }

    /// True when the score is not above the range.
    #[inline]
    pub(super) fn ends_after(&self, score: f64) -> bool {
        score < self.max || (!self.max_exclusive && score == self.max)
    }
}

/// A bound among members in byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LexEnd<'a> {
    /// Before every member.
    Min,
    /// After every member.
    Max,
    /// This member, inside.
    Included(&'a [u8]),
    /// This member, outside.
    Excluded(&'a [u8]),
}

/// All members between two bounds, in a set whose scores are all the same. With different scores the range is one of the intervals of
/// ranks that such bounds could mean, as Redis leaves it open, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LexRange<'a> {
    /// The lower bound.
    pub min: LexEnd<'a>,
    /// The upper bound.
    pub max: LexEnd<'a>,
}

impl LexRange<'_> {
    /// True when the member is below the range.
    #[inline]
    pub(super) fn starts_after(&self, member: Element<'_>) -> bool {
        match self.min {
            LexEnd::Min => false,
            LexEnd::Max => true,
            LexEnd::Included(bound) => member.cmp_bytes(bound).is_lt(),
            LexEnd::Excluded(bound) => member.cmp_bytes(bound).is_le(),
        }
    }

    /// True when the member is not above the range.
    #[inline]
    pub(super) fn ends_after(&self, member: Element<'_>) -> bool {
        match self.max {
            LexEnd::Min => false,
            LexEnd::Max => true,
            LexEnd::Included(bound) => member.cmp_bytes(bound).is_le(),
            LexEnd::Excluded(bound) => member.cmp_bytes(bound).is_lt(),
        }
    }
}
