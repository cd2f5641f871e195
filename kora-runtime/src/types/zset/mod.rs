//! Sorted sets: packed pairs in the entry, or members with an index and an order.
//!
//! Owns: both forms and the step from the first to the second, which is never taken back. Refuses to know: which limits are
//! configured, how bounds are written, what NX and GT mean. Start at [`ZsetRef`] and [`ZsetMut`].
//!
//! Everything that names a part of the set names an interval of ranks: [`ZsetRef::score_range`] and [`ZsetRef::lex_range`] give one.
//! Scores are never NaN; 0 and -0 are equal.

mod big;
mod members;
mod packed;
mod range;

use std::ops::Range;

pub use big::{BigIter, BigZset};
pub use packed::{PairIter, ZsetPacked};
pub use range::{LexEnd, LexRange, ScoreRange};

use self::packed::ScoreText;
use super::big::{Big, Slab};
use super::chance;
use super::packed::{Digits, Element, Encoded, PACKED_BYTES_MAX, Packed, PackedLimits};
use super::value::ValueMut;
use crate::keyspace::entry::{Entry, Kind};

/// One of the two ends of a sorted set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extreme {
    /// The lowest score.
    Min,
    /// The highest.
    Max,
}

/// What [`ZsetMut::insert`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// The member is new.
    Added,
    /// It had another score.
    Changed,
    /// It had this score.
    Same,
}

/// The score of a member before and after an update; None: not in the set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Update {
    /// Before.
    pub before: Option<f64>,
    /// After.
    pub after: Option<f64>,
}

impl Update {
    /// True when the set is not what it was.
    #[inline]
    pub fn changed(&self) -> bool {
        self.before != self.after
    }
}

/// A sorted set, to read.
#[derive(Debug, Clone, Copy)]
pub enum ZsetRef<'a> {
    /// Pairs in the entry.
    Packed(ZsetPacked<'a>),
    /// A big one.
    Big(&'a BigZset),
}

impl<'a> ZsetRef<'a> {
    /// The sorted set that `entry` holds; `None` when it holds another type.
    #[inline]
    pub fn open(entry: &'a Entry, bigs: &'a Slab<Big>) -> Option<Self> {
        match entry.kind() {
            Kind::ZsetPacked => Some(Self::Packed(ZsetPacked(Packed(entry.payload())))),
            Kind::ZsetBig => match bigs.get(entry.handle()) {
                Big::Zset(big) => Some(Self::Big(big)),
                other => unreachable!("the handle of a sorted set names {other:?}"),
            },
            _ => None,
        }
    }

    /// Number of members.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Self::Packed(packed) => packed.len(),
            Self::Big(big) => big.len(),
        }
    }

    /// True when there is no member.
    #[inline]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Packed(packed) => packed.is_empty(),
            Self::Big(big) => big.is_empty(),
        }
    }

    /// The score of a member.
    #[inline]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Packed(packed) => packed.score(member),
            Self::Big(big) => big.score(member),
        }
    }

    /// The rank of a member, counted from the lowest score, and its score.
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        match self {
            Self::Packed(packed) => packed.rank(member),
            Self::Big(big) => big.rank(member),
        }
    }

    /// The member of a rank, and its score.
    pub fn nth(&self, rank: usize) -> Option<(Element<'a>, f64)> {
        match self {
            Self::Packed(packed) => packed.iter().nth(rank),
            Self::Big(big) => big.nth(rank).map(|(member, score)| (Element::Bytes(member), score)),
        }
    }

    /// A member chosen by `random`, each with the same chance, and its score.
    pub fn random(&self, random: u64) -> Option<(Element<'a>, f64)> {
        let len = self.len();
        if len == 0 { None } else { self.nth(chance::pick(random, len)) }
    }

    /// The ranks of a range of scores. Its length is the count.
    pub fn score_range(&self, range: &ScoreRange) -> Range<usize> {
        match self {
            Self::Packed(packed) => packed.score_range(range),
            Self::Big(big) => big.score_range(range),
        }
    }

    /// The ranks of a range of members. Its length is the count.
    pub fn lex_range(&self, range: &LexRange<'_>) -> Range<usize> {
        match self {
            Self::Packed(packed) => packed.lex_range(range),
            Self::Big(big) => big.lex_range(range),
        }
    }

    /// The members of these ranks with their scores, in ascending order. Ranks past the end are left out.
    pub fn range(&self, ranks: Range<usize>) -> ZsetIter<'a> {
        match self {
            Self::Packed(packed) => ZsetIter(Form::Packed(packed.range(&ranks))),
            Self::Big(big) => ZsetIter(Form::Big(big.range(ranks))),
        }
    }

    /// The same in descending order, from the last of these ranks to the first.
    pub fn range_backward(&self, ranks: Range<usize>) -> ZsetIter<'a> {
        match self {
            Self::Packed(packed) => {
                let mut pairs: Vec<_> = packed.range(&ranks).collect();
                pairs.reverse();
                ZsetIter(Form::Collected(pairs.into_iter()))
            }
            Self::Big(big) => ZsetIter(Form::Backward(big.range(ranks))),
        }
    }

    /// All members with their scores, in ascending order.
    pub fn iter(&self) -> ZsetIter<'a> {
        match self {
            Self::Packed(packed) => ZsetIter(Form::Packed(packed.iter())),
            Self::Big(big) => ZsetIter(Form::Big(big.range(0..big.len()))),
        }
    }

    /// Visits some members and returns the next position, 0 at the end; see [`Table::scan`](super::Table::scan). Packed members are
    /// visited at once.
    pub fn scan(&self, position: u64, visit: &mut impl FnMut(Element<'a>, f64)) -> u64 {
        match self {
            Self::Packed(packed) => {
                packed.iter().for_each(|(member, score)| visit(member, score));
                0
            }
            Self::Big(big) => big.scan(position, visit),
        }
    }
}

/// Members of a sorted set with their scores.
#[derive(Debug, Clone)]
pub struct ZsetIter<'a>(Form<'a>);

#[derive(Debug, Clone)]
enum Form<'a> {
    Packed(PairIter<'a>),
    Collected(std::vec::IntoIter<(Element<'a>, f64)>),
    Big(BigIter<'a>),
    Backward(BigIter<'a>),
}

impl<'a> Iterator for ZsetIter<'a> {
    type Item = (Element<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (member, score) = match &mut self.0 {
            Form::Packed(pairs) => return pairs.next(),
            Form::Collected(pairs) => return pairs.next(),
            Form::Big(items) => items.next()?,
            Form::Backward(items) => items.next_back()?,
        };
        Some((Element::Bytes(member), score))
    }
}

/// A sorted set, to change. One that has become empty is for the caller to delete.
#[derive(Debug)]
pub struct ZsetMut<'a>(ValueMut<'a>);

impl<'a> ZsetMut<'a> {
    /// The sorted set that the entry of `value` holds; `None` when it holds another type. A new one is [`Kind::ZsetPacked`] with an empty
    /// payload.
    #[inline]
    pub fn open(value: ValueMut<'a>) -> Option<Self> {
        matches!(value.entry.kind(), Kind::ZsetPacked | Kind::ZsetBig).then_some(Self(value))
    }

    /// The same sorted set, to read.
    #[inline]
    pub fn as_ref(&self) -> ZsetRef<'_> {
        ZsetRef::open(self.0.entry, self.0.bigs).expect("`open` saw a sorted set")
    }

    /// Number of members.
    #[inline]
    pub fn len(&self) -> usize {
        self.as_ref().len()
    }

    /// True when there is no member: the key is to be deleted.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }

    /// Gives a member a score.
    pub fn insert(&mut self, member: &[u8], score: f64, limits: &PackedLimits) -> Inserted {
        let update = self.update(member, limits, |_| Some(score));
        match update.before {
            None => Inserted::Added,
            Some(_) if update.changed() => Inserted::Changed,
            Some(_) => Inserted::Same,
        }
    }

    /// Gives a member the score that `decide` makes of the one it has. When it decides for none, nothing changes. A score that
    /// equals the old one (as -0 equals 0) changes nothing, either.
    pub fn update(
        &mut self,
        member: &[u8],
        limits: &PackedLimits,
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> Update {
        if let Some(big) = self.big() {
            return big.update(member, decide);
        }
        let packed = self.packed();
        let pair = packed.find(member);
        let before = pair.map(|pair| pair.score);
        let after = decide(before).or(before);
        let update = Update { before, after };
        let Some(score) = after.filter(|_| update.changed()) else { return update };
        assert!(!score.is_nan(), "NaN has no place in an order");
        let text = ScoreText::new(score);
        let [member_parts, score_parts] = [Encoded::of(member), text.encoded()];
        let [a, b] = member_parts.parts();
        let [c, d] = score_parts.parts();
        let at = packed.place(member, score);
        let payload = self.0.entry.payload();
        match pair {
            None => {
                let added = member_parts.stored_len() + score_parts.stored_len();
                if member.len() > limits.value_bytes
                    || payload.len() + added > PACKED_BYTES_MAX
                    || packed.len() >= limits.entries
                {
                    self.grow_big().add_new(member, score);
                } else {
                    self.0.entry.splice_payload(at..at, &[a, b, c, d]);
                }
            }
            Some(pair) if at == pair.start || at == pair.end => {
                self.0.entry.splice_payload(pair.score_at..pair.end, &[c, d]);
            }
            Some(pair) if at < pair.start => {
                let moved = payload[at..pair.start].to_vec();
                self.0.entry.splice_payload(at..pair.end, &[a, b, c, d, &moved]);
            }
            Some(pair) => {
                let moved = payload[pair.end..at].to_vec();
                self.0.entry.splice_payload(pair.start..at, &[&moved, a, b, c, d]);
            }
        }
        update
    }

    /// Takes a member out and returns its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        if let Some(big) = self.big() {
            return big.remove(member);
        }
        let pair = self.packed().find(member)?;
        self.0.entry.splice_payload(pair.start..pair.end, &[]);
        Some(pair.score)
    }

    /// Takes out the members of these ranks, once `sink` has seen each of them in ascending order, and says how many.
    pub fn remove_range(&mut self, ranks: Range<usize>, mut sink: impl FnMut(Element<'_>, f64)) -> usize {
        if let Some(big) = self.big() {
            return big.remove_range(ranks, |member, score| sink(Element::Bytes(member), score));
        }
        let packed = self.packed();
        let bytes = packed.bytes_of(&ranks);
        let removed = packed.range(&ranks).map(|(member, score)| sink(member, score)).count();
        if removed > 0 {
            self.0.entry.splice_payload(bytes, &[]);
        }
        removed
    }

    /// Takes out the member with the lowest or highest score, once `take` has seen it.
    pub fn pop<R>(&mut self, extreme: Extreme, take: impl FnOnce(Element<'_>, f64) -> R) -> Option<R> {
        if let Some(big) = self.big() {
            return big.pop(extreme, take);
        }
        let packed = self.packed();
        let rank = match extreme {
            Extreme::Min => 0,
            Extreme::Max => packed.len().checked_sub(1)?,
        };
        let bytes = packed.bytes_of(&(rank..rank + 1));
        let (member, score) = packed.range(&(rank..rank + 1)).next()?;
        let result = take(member, score);
        self.0.entry.splice_payload(bytes, &[]);
        Some(result)
    }

    #[inline]
    fn packed(&self) -> ZsetPacked<'_> {
        ZsetPacked(Packed(self.0.entry.payload()))
    }

    /// The big sorted set, if it is one.
    #[inline]
    fn big(&mut self) -> Option<&mut BigZset> {
        if self.0.entry.kind() == Kind::ZsetPacked {
            return None;
        }
        match self.0.big_mut() {
            Big::Zset(big) => Some(big),
            other => unreachable!("the handle of a sorted set names {other:?}"),
        }
    }

    fn grow_big(&mut self) -> &mut BigZset {
        let mut big = BigZset::new(self.0.seeds);
        let mut digits = Digits::new();
        for (member, score) in self.packed().iter() {
            big.add_new(member.bytes(&mut digits), score);
        }
        self.0.promote(Kind::ZsetBig, Big::Zset(Box::new(big)));
        self.big().expect("it was made a big one")
    }
}

#[cfg(test)]
mod tests;
