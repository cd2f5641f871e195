//! Parts of a sorted set: by rank, score or name, from either end, cut by LIMIT.
//!
//! Owns: how bounds become ranks, and how members of ranks are written. Refuses to know: keys.
//! Start at [`Span::ranks`]: everything that names a part names an interval of ascending ranks.

use std::ops::Range;

use crate::argv::{LexBound, ScoreBound};
use crate::error::CommandError;
use crate::reply::{Protocol, ReplyBuf};
use crate::resp::number::parse_i64;
use crate::types::{Element, LexEnd, LexRange, ScoreRange, ZsetRef};

/// Which end comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The lowest.
    Ascending,
    /// The highest.
    Descending,
}

impl Order {
    /// What REV says.
    pub(super) fn of(rev: bool) -> Self {
        if rev { Self::Descending } else { Self::Ascending }
    }
}

/// The words LIMIT takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    /// How many to pass over; nothing is left when negative.
    pub(super) offset: i64,
    /// How many to take; all when negative.
    pub(super) count: i64,
}

/// What the two bounds of a range are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Ranks.
    Rank,
    /// Scores.
    Score,
    /// Members in byte order.
    Name,
}

/// A part of a sorted set, before the set is known.
#[derive(Debug, Clone, Copy)]
pub(super) enum Span<'a> {
    /// From one rank to another, both included; negative ones are counted from the end that comes last.
    Ranks(i64, i64),
    /// Scores.
    Scores(ScoreRange),
    /// Members.
    Names(LexRange<'a>),
}

/// A range of scores.
pub(super) fn scores(min: ScoreBound, max: ScoreBound) -> ScoreRange {
    ScoreRange { min: min.score, max: max.score, min_exclusive: min.exclusive, max_exclusive: max.exclusive }
}

/// A range of members.
pub(super) fn names<'a>(min: LexBound<'a>, max: LexBound<'a>) -> LexRange<'a> {
    let end = |bound| match bound {
        LexBound::Min => LexEnd::Min,
        LexBound::Max => LexEnd::Max,
        LexBound::Included(member) => LexEnd::Included(member),
        LexBound::Excluded(member) => LexEnd::Excluded(member),
    };
    LexRange { min: end(min), max: end(max) }
}

impl<'a> Span<'a> {
    /// Reads the bounds of ZRANGE, which stand in the order of the reply.
    pub(super) fn parse(start: &'a [u8], stop: &'a [u8], unit: Unit, order: Order) -> Result<Self, CommandError> {
        let (min, max) = if order == Order::Descending { (stop, start) } else { (start, stop) };
        match unit {
            Unit::Rank => {
                let rank = |word| parse_i64(word).ok_or(CommandError::NotAnInteger);
                Ok(Self::Ranks(rank(start)?, rank(stop)?))
            }
            Unit::Score => Ok(Self::Scores(scores(ScoreBound::from_word(min)?, ScoreBound::from_word(max)?))),
            Unit::Name => Ok(Self::Names(names(LexBound::from_word(min)?, LexBound::from_word(max)?))),
        }
    }

    /// The ascending ranks of this part, after `limit`.
    pub(super) fn ranks(&self, zset: ZsetRef<'_>, order: Order, limit: Option<Limit>) -> Range<usize> {
        let ranks = match self {
            Self::Ranks(start, stop) => interval(*start, *stop, zset.len(), order),
            Self::Scores(range) => zset.score_range(range),
            Self::Names(range) => zset.lex_range(range),
        };
        match limit {
            Some(limit) if !matches!(self, Self::Ranks(..)) => cut(ranks, limit, order),
            _ => ranks,
        }
    }
}

/// The ascending ranks from `start` to `stop`, both counted in `order`.
pub(super) fn interval(start: i64, stop: i64, len: usize, order: Order) -> Range<usize> {
    // A length fits i64, and what is counted from the end is negative: the sum does not overflow.
    let from_front = |rank: i64| if rank < 0 { rank + len as i64 } else { rank };
    let start = usize::try_from(from_front(start)).unwrap_or(0);
    let end = usize::try_from(from_front(stop)).map_or(0, |stop| stop.saturating_add(1).min(len));
    if start >= end {
        return 0..0;
    }
    match order {
        Order::Ascending => start..end,
        Order::Descending => len - end..len - start,
    }
}

fn cut(ranks: Range<usize>, limit: Limit, order: Order) -> Range<usize> {
    let Ok(offset) = usize::try_from(limit.offset) else { return 0..0 };
    let offset = offset.min(ranks.len());
    let count = usize::try_from(limit.count).unwrap_or(usize::MAX).min(ranks.len() - offset);
    match order {
        Order::Ascending => ranks.start + offset..ranks.start + offset + count,
        Order::Descending => ranks.end - offset - count..ranks.end - offset,
    }
}

/// Calls `visit` for the members of these ranks in the order of the reply.
pub(super) fn for_each<'a>(
    zset: ZsetRef<'a>,
    ranks: Range<usize>,
    order: Order,
    visit: impl FnMut((Element<'a>, f64)),
) {
    match order {
        Order::Ascending => zset.range(ranks).for_each(visit),
        Order::Descending => zset.range_backward(ranks).for_each(visit),
    }
}

/// Writes members, with their scores if wanted: a flat array in RESP2, pairs in RESP3.
#[derive(Debug)]
pub(super) struct Members<'r> {
    reply: &'r mut ReplyBuf,
    with_scores: bool,
    pairs: bool,
}

impl<'r> Members<'r> {
    /// Opens the reply for `len` members.
    pub(super) fn open(reply: &'r mut ReplyBuf, len: usize, with_scores: bool) -> Self {
        let pairs = with_scores && reply.protocol() == Protocol::Resp3;
        reply.array(if with_scores && !pairs { 2 * len } else { len });
        Self { reply, with_scores, pairs }
    }

    /// Opens the reply for `len` members and their scores, one after another in either protocol.
    pub(super) fn open_flat(reply: &'r mut ReplyBuf, len: usize) -> Self {
        reply.array(2 * len);
        Self { reply, with_scores: true, pairs: false }
    }

    /// Opens the reply for a key and one member with its score, one after another in either protocol.
    pub(super) fn open_keyed_flat(reply: &'r mut ReplyBuf, key: &[u8]) -> Self {
        reply.array(3);
        reply.bulk(key);
        Self { reply, with_scores: true, pairs: false }
    }

    /// Opens the reply for `len` pairs, in either protocol.
    pub(super) fn open_pairs(reply: &'r mut ReplyBuf, len: usize) -> Self {
        reply.array(len);
        Self { reply, with_scores: true, pairs: true }
    }

    /// Writes a member.
    #[inline]
    pub(super) fn push(&mut self, (member, score): (Element<'_>, f64)) {
        if self.pairs {
            self.reply.array(2);
        }
        self.reply.put_bulk(&member.into());
        if self.with_scores {
            self.reply.double(score);
        }
    }

    /// Bytes of all replies written so far.
    pub(super) fn reply_len(&self) -> usize {
        self.reply.len()
    }
}

/// Writes the members of a part.
pub(super) fn write(
    zset: Option<ZsetRef<'_>>,
    span: &Span<'_>,
    order: Order,
    limit: Option<Limit>,
    with_scores: bool,
    reply: &mut ReplyBuf,
) {
    let Some(zset) = zset else { return reply.array(0) };
    let ranks = span.ranks(zset, order, limit);
    let mut members = Members::open(reply, ranks.len(), with_scores);
    for_each(zset, ranks, order, |pair| members.push(pair));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_clamped_and_turned_around() {
        let cases = [
            ((0, -1), 0..4, 0..4),
            ((1, 2), 1..3, 1..3),
            ((0, 0), 0..1, 3..4),
            ((-2, -1), 2..4, 0..2),
            ((-100, 100), 0..4, 0..4),
            ((4, 10), 0..0, 0..0),
            ((3, 1), 0..0, 0..0),
            ((0, -5), 0..0, 0..0),
            ((i64::MIN, i64::MAX), 0..4, 0..4),
            ((i64::MAX, i64::MIN), 0..0, 0..0),
        ];
        for ((start, stop), ascending, descending) in cases {
            assert_eq!(interval(start, stop, 4, Order::Ascending), ascending, "{start} {stop}");
            assert_eq!(interval(start, stop, 4, Order::Descending), descending, "{start} {stop}");
        }
        assert_eq!(interval(0, -1, 0, Order::Ascending), 0..0);
    }

    #[test]
    fn limits_cut_from_the_end_that_comes_first() {
        let cases = [
            ((0, -1), 2..7, 2..7),
            ((1, 2), 3..5, 4..6),
            ((4, 9), 6..7, 2..3),
            ((5, 1), 7..7, 2..2),
            ((0, 0), 2..2, 7..7),
            ((-1, 3), 0..0, 0..0),
            ((i64::MAX, i64::MAX), 7..7, 2..2),
            ((1, i64::MIN), 3..7, 2..6),
        ];
        for ((offset, count), ascending, descending) in cases {
            let limit = Limit { offset, count };
            assert_eq!(cut(2..7, limit, Order::Ascending), ascending, "{limit:?}");
            assert_eq!(cut(2..7, limit, Order::Descending), descending, "{limit:?}");
        }
    }
}
