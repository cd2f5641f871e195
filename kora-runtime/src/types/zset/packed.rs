//! A small sorted set: packed pairs in order.
//!
//! Owns: the stored form of a score, and where a pair stands among the others. Refuses to know: the entry that the bytes lie in.
//! Start at [`ZsetPacked::place`].
//!
//! ```text
//! member, score, member, score…   elements, see types/packed.rs, in ascending order of (score, member)
//! score:  an integer when it is one (-0 is stored as 0, as in Redis);  'f' and f32 LE when that is exact;  otherwise 'd' and f64 LE
//! ```

use std::ops::Range;

use super::{LexRange, ScoreRange};
use crate::types::packed::{Element, Encoded, Packed, PackedIter, decode, end_of};

/// What a stored score is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScoreText {
    bytes: [u8; 9],
    len: usize,
    int: Option<i64>,
}

impl ScoreText {
    pub(super) fn new(score: f64) -> Self {
        let mut bytes = [0; 9];
        let int = score as i64;
        if int as f64 == score && int != i64::MAX {
            return Self { bytes, len: 0, int: Some(int) };
        }
        let narrow = score as f32;
        let len = if f64::from(narrow) == score {
            bytes[0] = b'f';
            bytes[1..5].copy_from_slice(&narrow.to_le_bytes());
            5
        } else {
            bytes[0] = b'd';
            bytes[1..].copy_from_slice(&score.to_le_bytes());
            9
        };
        Self { bytes, len, int: None }
    }

    #[inline]
    pub(super) fn encoded(&self) -> Encoded<'_> {
        match self.int {
            Some(int) => Encoded::of_int(int),
            None => Encoded::of(&self.bytes[..self.len]),
        }
    }
}

#[inline]
fn score_of(element: Element<'_>) -> f64 {
    match element {
        Element::Int(int) => int as f64,
        Element::Bytes([b'f', bytes @ ..]) => {
            f64::from(f32::from_le_bytes(bytes.try_into().expect("a short score has four bytes")))
        }
        Element::Bytes([_, bytes @ ..]) => f64::from_le_bytes(bytes.try_into().expect("a long score has eight bytes")),
        Element::Bytes([]) => unreachable!("a score has a first byte"),
    }
}

/// A pair that is stored: where it begins, where its score does, where it ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    pub(super) start: usize,
    pub(super) score_at: usize,
    pub(super) end: usize,
    pub(super) score: f64,
}

/// Pairs of a member and a score, in order.
#[derive(Debug, Clone, Copy)]
pub struct ZsetPacked<'a>(pub(super) Packed<'a>);

impl<'a> ZsetPacked<'a> {
    /// The pairs of this payload.
    #[inline]
    pub fn of(payload: &'a [u8]) -> Self {
        Self(Packed(payload))
    }

    /// Number of members.
    pub fn len(self) -> usize {
        self.0.len() / 2
    }

    /// True without members.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The pair at an offset.
    #[inline]
    fn pair(self, start: usize) -> (Pair, Element<'a>) {
        let (member, score_at) = decode(self.0.0, start);
        let (score, end) = decode(self.0.0, score_at);
        (Pair { start, score_at, end, score: score_of(score) }, member)
    }

    /// The pair with this member.
    #[inline]
    pub(super) fn find(self, member: &[u8]) -> Option<Pair> {
        let found = self.0.find(&Encoded::of(member), 2).ok()?;
        Some(self.pair(found.start).0)
    }

    /// The score of a member.
    #[inline]
    pub fn score(self, member: &[u8]) -> Option<f64> {
        self.find(member).map(|pair| pair.score)
    }

    /// The rank of a member, and its score.
    pub fn rank(self, member: &[u8]) -> Option<(usize, f64)> {
        let wanted = Encoded::of(member);
        let (mut at, mut rank) = (0, 0);
        while at < self.0.0.len() {
            if wanted.starts(&self.0.0[at..]) {
                return Some((rank, self.pair(at).0.score));
            }
            at = end_of(self.0.0, end_of(self.0.0, at));
            rank += 1;
        }
        None
    }

    /// Where a member belongs with this score.
    pub(super) fn place(self, member: &[u8], score: f64) -> usize {
        let mut at = 0;
        while at < self.0.0.len() {
            let (pair, stored) = self.pair(at);
            if pair.score > score || (pair.score == score && stored.cmp_bytes(member).is_gt()) {
                break;
            }
            at = pair.end;
        }
        at
    }

    /// The ranks of the pairs from the first that is not `before` to the last that is `within`, which is also true before the first.
    fn ranks(
        self,
        before: impl Fn(Element<'a>, f64) -> bool,
        within: impl Fn(Element<'a>, f64) -> bool,
    ) -> Range<usize> {
        let mut start = 0;
        let mut pairs = self.iter().peekable();
        while pairs.next_if(|&(member, score)| before(member, score)).is_some() {
            start += 1;
        }
        start..start + pairs.take_while(|&(member, score)| within(member, score)).count()
    }

    /// The ranks of a range of scores.
    pub fn score_range(self, range: &ScoreRange) -> Range<usize> {
        self.ranks(|_, score| range.starts_after(score), |_, score| range.ends_after(score))
    }

    /// The ranks of a range of members.
    pub fn lex_range(self, range: &LexRange<'_>) -> Range<usize> {
        self.ranks(|member, _| range.starts_after(member), |member, _| range.ends_after(member))
    }

    /// The bytes of these ranks.
    pub(super) fn bytes_of(self, ranks: &Range<usize>) -> Range<usize> {
        let mut ends = [0; 2];
        let (mut at, mut rank) = (0, 0);
        for (end, target) in ends.iter_mut().zip([ranks.start, ranks.end]) {
            while rank < target && at < self.0.0.len() {
                at = end_of(self.0.0, end_of(self.0.0, at));
                rank += 1;
            }
            *end = at;
        }
        ends[0]..ends[1]
    }

    /// All pairs in order.
    #[inline]
    pub fn iter(self) -> PairIter<'a> {
        PairIter(self.0.iter())
    }

    /// The pairs of these ranks, in order.
    pub(super) fn range(self, ranks: &Range<usize>) -> PairIter<'a> {
        PairIter(Packed(&self.0.0[self.bytes_of(ranks)]).iter())
    }
}

/// Pairs in order.
#[derive(Debug, Clone)]
pub struct PairIter<'a>(PackedIter<'a>);

impl<'a> Iterator for PairIter<'a> {
    type Item = (Element<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let member = self.0.next()?;
        self.0.next().map(|score| (member, score_of(score)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_come_back_bit_for_bit_in_few_bytes() {
        let odd = f64::from_le_bytes(*b"12345678");
        let cases: [(f64, usize); 15] = [
            (0.0, 1),
            (63.0, 1),
            (-1.0, 2),
            (1e6, 4),
            (1_700_000_000_000.0, 7),
            (0.5, 6),
            (0.1, 10),
            (f64::INFINITY, 6),
            (f64::NEG_INFINITY, 6),
            (f64::MAX, 10),
            (f64::MIN_POSITIVE, 10),
            (9_223_372_036_854_774_784.0, 9),
            (9_223_372_036_854_775_808.0, 6),
            (-9_223_372_036_854_775_808.0, 9),
            (odd, 10),
        ];
        for (score, len) in cases {
            let text = ScoreText::new(score);
            let stored = text.encoded().parts().concat();
            assert_eq!(stored.len(), len, "{score}");
            assert_eq!(score_of(decode(&stored, 0).0).to_bits(), score.to_bits(), "{score}");
        }
    }
}
