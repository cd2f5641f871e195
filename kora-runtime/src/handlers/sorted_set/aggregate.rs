//! Union, intersection and difference of sorted sets and sets.
//!
//! Owns: weights, how scores come together, in which order sources are walked. Refuses to know: what becomes of the result.
//! Start at [`sources`]: every key is judged before anything is done.
//!
//! The order of the sources decides how sums of floats are rounded, so it is Redis's: ascending by size.

use std::cmp::Reverse;

use ahash::RandomState;

use super::limits;
use crate::argv::Many;
use crate::error::CommandError;
use crate::keyspace::Draft;
use crate::keyspace::typed::{Set, Zset};
use crate::shard::cx::ShardCx;
use crate::table::args;
use crate::types::set::SetIter;
use crate::types::zset::ZsetIter;
use crate::types::{BigSet, Digits, Element, PackedLimits, SetRef, ZsetMut, ZsetRef};

/// How the scores of one member in several sources become one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Aggregate {
    /// They are added; infinities that cancel each other give 0.
    Sum,
    /// The lowest.
    Min,
    /// The highest.
    Max,
}

macro_rules! aggregate_of {
    ($($choice:ident)+) => {$(
        impl From<Option<args::$choice>> for Aggregate {
            fn from(choice: Option<args::$choice>) -> Self {
                match choice {
                    None | Some(args::$choice::Sum) => Self::Sum,
                    Some(args::$choice::Min) => Self::Min,
                    Some(args::$choice::Max) => Self::Max,
                }
            }
        }
    )+};
}

aggregate_of!(ZunionAggregate ZunionstoreAggregate ZinterAggregate ZinterstoreAggregate);

impl Aggregate {
    /// `one` and `other` as one score. `other` may be NaN (a weight of 0 on an infinite score): it makes a sum 0 and is no extreme.
    fn join(self, one: f64, other: f64) -> f64 {
        match self {
            Self::Sum => number(one + other),
            Self::Min => {
                if other < one {
                    other
                } else {
                    one
                }
            }
            Self::Max => {
                if other > one {
                    other
                } else {
                    one
                }
            }
        }
    }
}

/// The score, 0 in place of NaN.
fn number(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// A sorted set, or a set whose members all have the score 1.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a> {
    Set(SetRef<'a>),
    Zset(ZsetRef<'a>),
}

impl<'a> Source<'a> {
    fn len(&self) -> usize {
        match self {
            Self::Set(set) => set.len(),
            Self::Zset(zset) => zset.len(),
        }
    }

    fn score(&self, member: Element<'_>) -> Option<f64> {
        match self {
            Self::Set(set) => set.contains_element(member).then_some(1.0),
            Self::Zset(zset) => zset.score(member.bytes(&mut Digits::new())),
        }
    }

    fn iter(&self) -> SourceIter<'a> {
        match self {
            Self::Set(set) => SourceIter::Set(set.iter()),
            Self::Zset(zset) => SourceIter::Zset(zset.iter()),
        }
    }
}

/// Members with their scores.
enum SourceIter<'a> {
    Set(SetIter<'a>),
    Zset(ZsetIter<'a>),
}

impl<'a> Iterator for SourceIter<'a> {
    type Item = (Element<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Set(set) => set.next().map(|member| (member, 1.0)),
            Self::Zset(zset) => zset.next(),
        }
    }
}

/// What is at the keys, in their order; `None` where nothing is.
fn sources<'c>(cx: &'c mut ShardCx<'_>, keys: Many<'_, &[u8]>) -> Result<Vec<Option<Source<'c>>>, CommandError> {
    for key in keys.iter() {
        let judged = cx.read::<Zset>(key).map(|_| ());
        if judged != Err(CommandError::WrongType) || cx.view::<Set>(key).is_none() {
            judged?;
        }
    }
    let cx = &*cx;
    let at = |key| cx.view::<Zset>(key).map(Source::Zset).or_else(|| cx.view::<Set>(key).map(Source::Set));
    Ok(keys.iter().map(at).collect())
}

/// A source and what its scores are multiplied by.
type Weighted<'c> = (Source<'c>, f64);

fn weighted<'c>(sources: Vec<Option<Source<'c>>>, weights: Many<'_, f64>) -> Vec<Option<Weighted<'c>>> {
    let weights = weights.iter().chain(std::iter::repeat(1.0));
    sources.into_iter().zip(weights).map(|(source, weight)| source.map(|source| (source, weight))).collect()
}

/// A result that is being made.
struct Collected<'z> {
    zset: ZsetMut<'z>,
    limits: PackedLimits,
    digits: Digits,
}

impl Collected<'_> {
    /// Gives a member the score that `decide` makes of the one it has in the result.
    fn put(&mut self, member: Element<'_>, decide: impl FnOnce(Option<f64>) -> f64) {
        self.zset.update(member.bytes(&mut self.digits), &self.limits, |before| Some(decide(before)));
    }
}

/// Makes a new sorted set of what is at the keys.
fn drafted(
    cx: &mut ShardCx<'_>,
    keys: Many<'_, &[u8]>,
    make: impl FnOnce(Vec<Option<Source<'_>>>, &mut Collected<'_>),
) -> Result<Draft<Zset>, CommandError> {
    let mut draft = cx.draft::<Zset>();
    let mut result = Collected { limits: limits(cx.config()), zset: draft.open(), digits: Digits::new() };
    make(sources(cx, keys)?, &mut result);
    Ok(draft)
}

/// All members of all sources.
pub(super) fn union(
    cx: &mut ShardCx<'_>,
    keys: Many<'_, &[u8]>,
    weights: Many<'_, f64>,
    aggregate: Aggregate,
) -> Result<Draft<Zset>, CommandError> {
    drafted(cx, keys, |sources, result| {
        let mut sources: Vec<_> = weighted(sources, weights).into_iter().flatten().collect();
        sources.sort_by_cached_key(|(source, _)| source.len());
        for (source, weight) in sources {
            for (member, score) in source.iter() {
                let score = number(score * weight);
                result.put(member, |before| before.map_or(score, |before| aggregate.join(before, score)));
            }
        }
    })
}

/// The members that are in every source.
pub(super) fn intersection(
    cx: &mut ShardCx<'_>,
    keys: Many<'_, &[u8]>,
    weights: Many<'_, f64>,
    aggregate: Aggregate,
) -> Result<Draft<Zset>, CommandError> {
    drafted(cx, keys, |sources, result| {
        let Some(mut sources) = weighted(sources, weights).into_iter().collect::<Option<Vec<_>>>() else { return };
        sources.sort_by_cached_key(|(source, _)| source.len());
        let Some(((smallest, weight), others)) = sources.split_first() else { return };
        for (member, score) in smallest.iter() {
            let joined = others.iter().try_fold(number(score * weight), |joined, (other, weight)| {
                Some(aggregate.join(joined, other.score(member)? * weight))
            });
            if let Some(score) = joined {
                result.put(member, |_| score);
            }
        }
    })
}

/// How many members are in every source; counting stops at `limit`.
pub(super) fn intersection_len(
    cx: &mut ShardCx<'_>,
    keys: Many<'_, &[u8]>,
    limit: usize,
) -> Result<usize, CommandError> {
    let Some(mut sources) = sources(cx, keys)?.into_iter().collect::<Option<Vec<_>>>() else { return Ok(0) };
    sources.sort_by_cached_key(Source::len);
    let Some((smallest, others)) = sources.split_first() else { return Ok(0) };
    let common = smallest.iter().filter(|(member, _)| others.iter().all(|other| other.score(*member).is_some()));
    Ok(common.take(limit).count())
}

/// The members of the first source that are in no other, with their scores there.
///
/// Each of them is looked up in the other sources, largest first; or, where those are so many that this would be more work, in one table
/// of all their members.
pub(super) fn difference(cx: &mut ShardCx<'_>, keys: Many<'_, &[u8]>) -> Result<Draft<Zset>, CommandError> {
    let seeds: RandomState = cx.seeds();
    drafted(cx, keys, |mut sources, result| {
        let others = sources.split_off(sources.len().min(1));
        let Some(Some(first)) = sources.pop() else { return };
        let mut others: Vec<_> = others.into_iter().flatten().collect();
        let lookups = first.len().saturating_mul(others.len());
        let members = others.iter().map(Source::len).sum::<usize>();
        let mut excluded = BigSet::new(&seeds);
        if lookups <= first.len().saturating_add(members) {
            others.sort_by_cached_key(|other| Reverse(other.len()));
        } else {
            for (member, _) in others.drain(..).flat_map(|other| other.iter()) {
                excluded.insert(member.bytes(&mut result.digits));
            }
        }
        for (member, score) in first.iter() {
            let is_elsewhere = others.iter().any(|other| other.score(member).is_some())
                || (!excluded.is_empty() && excluded.contains(member.bytes(&mut result.digits)));
            if !is_elsewhere {
                result.put(member, |_| score);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_that_are_no_numbers_join_as_in_redis() {
        let infinity = f64::INFINITY;
        assert_eq!(Aggregate::Sum.join(infinity, -infinity), 0.0);
        assert_eq!(Aggregate::Sum.join(5.0, f64::NAN), 0.0);
        assert_eq!(Aggregate::Min.join(5.0, f64::NAN), 5.0);
        assert_eq!(Aggregate::Max.join(5.0, f64::NAN), 5.0);
        assert_eq!(Aggregate::Max.join(5.0, infinity), infinity);
    }
}
