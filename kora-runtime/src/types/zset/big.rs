//! A big sorted set: members by number, an index by hash, an order by (score, member).
//!
//! Owns: keeping the three together. Refuses to know: how each of them works, small sets inside an entry (`mod.rs`).
//! Start at [`BigZset::update`].
//!
//! ```text
//! member ──hash──► index (Table of ids) ──► members[id]: bytes, score ◄── tree (ids in order, with ranks)
//! ```

use std::cmp::Ordering;
use std::ops::Range;

use ahash::RandomState;

use super::members::Members;
use super::{Extreme, LexRange, ScoreRange, Update};
use crate::types::packed::Element;
use crate::types::table::{Slot, Table};
use crate::types::tree::{self, Tree};
use crate::types::{chance, hash_of};

/// Places for members below which gaps are left alone.
const GAPS_MIN: usize = 1024;

/// A sorted set too large for its entry.
#[derive(Debug, Clone)]
pub struct BigZset {
    members: Members,
    index: Table<u32>,
    tree: Tree,
    seeds: RandomState,
}

/// How a stored item stands to one with this score and member.
#[inline]
fn order(members: &Members, score: f64, member: &[u8]) -> impl FnMut(f64, u32) -> Ordering {
    move |stored, id| {
        if stored < score {
            Ordering::Less
        } else if stored > score {
            Ordering::Greater
        } else {
            members.bytes(id).cmp(member)
        }
    }
}

impl BigZset {
    /// An empty one that hashes with `seeds`.
    pub fn new(seeds: &RandomState) -> Self {
        Self { members: Members::default(), index: Table::new(), tree: Tree::new(), seeds: seeds.clone() }
    }

    /// Number of members.
    #[inline]
    pub fn len(&self) -> usize {
        self.tree.len()
    }

    /// True without members.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The score of a member.
    #[inline]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        let slot = self.find(hash_of(&self.seeds, member), member)?;
        Some(self.members.get(*self.index.get(slot)).1)
    }

    /// Gives a member the score that `decide` makes of the one it has; None leaves it as it is, or out.
    pub fn update(&mut self, member: &[u8], decide: impl FnOnce(Option<f64>) -> Option<f64>) -> Update {
        let hash = hash_of(&self.seeds, member);
        let Some(slot) = self.find(hash, member) else {
            let after = decide(None);
            if let Some(score) = after {
                self.add(hash, member, score);
            }
            return Update { before: None, after };
        };
        let id = *self.index.get(slot);
        let before = self.members.get(id).1;
        let after = decide(Some(before)).unwrap_or(before);
        assert!(!after.is_nan(), "NaN has no place in an order");
        if after != before {
            let stands = order(&self.members, before, member);
            if !self.tree.rescore(after, stands, order(&self.members, after, member)) {
                self.tree.remove(order(&self.members, before, member));
                self.tree.insert(after, id, order(&self.members, after, member));
            }
            self.members.set_score(id, after);
        }
        Update { before: Some(before), after: Some(after) }
    }

    /// Adds a member that is not there yet.
    fn add(&mut self, hash: u64, member: &[u8], score: f64) {
        assert!(!score.is_nan(), "NaN has no place in an order");
        let id = self.members.insert(member, score);
        let (members, seeds) = (&self.members, &self.seeds);
        self.index.insert(hash, id, false, |&id| hash_of(seeds, members.bytes(id)));
        self.tree.insert(score, id, order(members, score, member));
    }

    /// Adds a member that is not there yet.
    pub(super) fn add_new(&mut self, member: &[u8], score: f64) {
        self.add(hash_of(&self.seeds, member), member, score);
    }

    /// Takes a member out and returns its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let slot = self.find(hash_of(&self.seeds, member), member)?;
        let (members, seeds) = (&self.members, &self.seeds);
        let id = self.index.remove(slot, |&id| hash_of(seeds, members.bytes(id)));
        let score = members.get(id).1;
        self.tree.remove(order(members, score, member));
        self.members.remove(id);
        self.close_gaps();
        Some(score)
    }

    /// Takes out the members of these ranks; `sink` sees each of them.
    pub fn remove_range(&mut self, ranks: Range<usize>, mut sink: impl FnMut(&[u8], f64)) -> usize {
        let Self { members, index, tree, seeds } = self;
        let before = tree.len();
        tree.remove_range(ranks, |item| {
            let hash = hash_of(seeds, members.bytes(item.id));
            let slot = index.find(hash, |&id| id == item.id).expect("every item of the tree is indexed");
            index.remove(slot, |&id| hash_of(seeds, members.bytes(id)));
            sink(&members.remove(item.id), item.score);
        });
        let removed = before - tree.len();
        for _ in 0..removed {
            self.close_gaps();
        }
        removed
    }

    /// Takes out the first or the last member, once `take` has seen it.
    pub fn pop<R>(&mut self, extreme: Extreme, take: impl FnOnce(Element<'_>, f64) -> R) -> Option<R> {
        let rank = match extreme {
            Extreme::Min => 0,
            Extreme::Max => self.len().checked_sub(1)?,
        };
        let (mut take, mut result) = (Some(take), None);
        self.remove_range(rank..rank + 1, |member, score| {
            result = take.take().map(|take| take(Element::Bytes(member), score));
        });
        result
    }

    /// The rank of a member, and its score.
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let score = self.score(member)?;
        Some((self.tree.rank_of(order(&self.members, score, member))?, score))
    }

    /// The member of a rank, and its score.
    pub fn nth(&self, rank: usize) -> Option<(&[u8], f64)> {
        let item = self.tree.nth(rank)?;
        Some((self.members.bytes(item.id), item.score))
    }

    /// A member chosen by `random`, each with the same chance.
    pub fn random(&self, random: u64) -> Option<(&[u8], f64)> {
        if self.is_empty() { None } else { self.nth(chance::pick(random, self.len())) }
    }

    /// The ranks of a range of scores.
    pub fn score_range(&self, range: &ScoreRange) -> Range<usize> {
        let start = self.tree.rank_where(|score, _| range.starts_after(score));
        let end = self.tree.rank_where(|score, _| range.ends_after(score));
        start..end.max(start)
    }

    /// The ranks of a range of members.
    pub fn lex_range(&self, range: &LexRange<'_>) -> Range<usize> {
        let member = |id| Element::Bytes(self.members.bytes(id));
        let start = self.tree.rank_where(|_, id| range.starts_after(member(id)));
        let end = self.tree.rank_where(|_, id| range.ends_after(member(id)));
        start..end.max(start)
    }

    /// Members by rank with their scores, from either end.
    #[inline]
    pub fn range(&self, ranks: Range<usize>) -> BigIter<'_> {
        BigIter { members: &self.members, items: self.tree.range(ranks) }
    }

    /// Visits some members and returns the next position, 0 at the end; see [`Table::scan`].
    pub fn scan<'a>(&'a self, position: u64, visit: &mut impl FnMut(Element<'a>, f64)) -> u64 {
        let hash = |&id: &u32| hash_of(&self.seeds, self.members.bytes(id));
        self.index.scan(position, hash, &mut |&id| {
            let (member, score) = self.members.get(id);
            visit(Element::Bytes(member), score);
        })
    }

    /// Drops up to `max` members and says whether any are left; nothing can be found any more.
    pub fn drain_some(&mut self, max: usize) -> bool {
        self.members.drain_some(max);
        self.index.drain_some(max, &mut |_| {});
        let nodes = self.tree.dismantle(max / 16 + 1);
        self.members.places() > 0 || !self.index.is_empty() || nodes > 0
    }

    /// Bytes behind the set.
    pub fn heap_bytes(&self) -> usize {
        self.members.heap_bytes() + self.index.heap_bytes() + self.tree.heap_bytes()
    }

    #[inline]
    fn find(&self, hash: u64, member: &[u8]) -> Option<Slot> {
        self.index.find(hash, |&id| self.members.bytes(id) == member)
    }

    /// After a member has gone: no more than half of the places stay free, so that memory comes back.
    fn close_gaps(&mut self) {
        // One member less allows for two places less.
        for _ in 0..2 {
            if self.members.places() > GAPS_MIN.max(2 * self.len()) {
                self.close_gap();
            }
        }
    }

    /// Drops the last place, moving its member to a free one.
    fn close_gap(&mut self) {
        let Some((from, to)) = self.members.last() else { return };
        let (member, score) = self.members.get(from);
        let slot = self.index.find(hash_of(&self.seeds, member), |&id| id == from).expect("every member is indexed");
        *self.index.get_mut(slot) = to;
        let renamed = self.tree.set_id(to, order(&self.members, score, member));
        assert!(renamed, "every member is in the tree");
        self.members.move_last();
    }
}

/// Members by rank with their scores.
#[derive(Debug, Clone)]
pub struct BigIter<'a> {
    members: &'a Members,
    items: tree::Iter<'a>,
}

impl<'a> Iterator for BigIter<'a> {
    type Item = (&'a [u8], f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.items.next().map(|item| (self.members.bytes(item.id), item.score))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}

impl DoubleEndedIterator for BigIter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.items.next_back().map(|item| (self.members.bytes(item.id), item.score))
    }
}

impl ExactSizeIterator for BigIter<'_> {}
