//! Union, intersection and difference of sets.
//!
//! Owns: in which order sets are walked, so that the work follows the smaller ones. Refuses to know: what becomes of the result.
//! Start at [`sets`]: every key is judged before anything is done.

use ahash::RandomState;

use super::limits;
use crate::argv::Many;
use crate::error::CommandError;
use crate::keyspace::Draft;
use crate::keyspace::typed::Set;
use crate::shard::cx::ShardCx;
use crate::types::{BigSet, Digits, Element, SetRef};

/// The sets at the keys, in their order; `None` where there is none.
pub(super) fn sets<'c>(
    cx: &'c mut ShardCx<'_>,
    keys: Many<'_, &[u8]>,
) -> Result<Vec<Option<SetRef<'c>>>, CommandError> {
    for key in keys.iter() {
        cx.read::<Set>(key)?;
    }
    let cx = &*cx;
    Ok(keys.iter().map(|key| cx.view::<Set>(key)).collect())
}

/// The new set that `walk` makes of the sets at the keys.
pub(super) fn drafted(
    cx: &mut ShardCx<'_>,
    keys: Many<'_, &[u8]>,
    walk: impl FnOnce(Vec<Option<SetRef<'_>>>, &mut dyn FnMut(Element<'_>)),
) -> Result<Draft<Set>, CommandError> {
    let limits = limits(cx.config());
    let mut draft = cx.draft::<Set>();
    let mut result = draft.open();
    let mut digits = Digits::new();
    walk(sets(cx, keys)?, &mut |member| {
        result.insert(member.bytes(&mut digits), &limits);
    });
    Ok(draft)
}

/// Visits every member of every set; one that is in several is visited several times.
pub(super) fn all(sets: Vec<Option<SetRef<'_>>>, visit: &mut dyn FnMut(Element<'_>)) {
    sets.into_iter().flatten().for_each(|set| set.iter().for_each(&mut *visit));
}

/// Visits the members that are in all sets, at most `limit`.
pub(super) fn intersection<'c>(sets: Vec<Option<SetRef<'c>>>, limit: usize, visit: impl FnMut(Element<'c>)) {
    let Some(mut sets) = sets.into_iter().collect::<Option<Vec<_>>>() else { return };
    sets.sort_by_cached_key(SetRef::len);
    let Some((smallest, others)) = sets.split_first() else { return };
    let common = smallest.iter().filter(|member| others.iter().all(|set| set.contains_element(*member)));
    common.take(limit).for_each(visit);
}

/// Visits the members of the first set that are in no other.
///
/// Each of them is looked up in the other sets, largest first; or, where those are so many that this would be more work, in one table of
/// all their members.
pub(super) fn difference<'c>(mut sets: Vec<Option<SetRef<'c>>>, seeds: &RandomState, visit: impl FnMut(Element<'c>)) {
    let others = sets.split_off(sets.len().min(1));
    let Some(Some(first)) = sets.pop() else { return };
    let mut others: Vec<_> = others.into_iter().flatten().collect();
    let lookups = first.len().saturating_mul(others.len());
    let members = others.iter().map(SetRef::len).sum::<usize>();
    if lookups <= first.len().saturating_add(members) {
        others.sort_by_cached_key(|set| std::cmp::Reverse(set.len()));
        first.iter().filter(|member| !others.iter().any(|set| set.contains_element(*member))).for_each(visit);
        return;
    }
    let mut digits = Digits::new();
    let mut excluded = BigSet::new(seeds);
    for member in others.iter().flat_map(SetRef::iter) {
        excluded.insert(member.bytes(&mut digits));
    }
    first.iter().filter(|member| !excluded.contains(member.bytes(&mut Digits::new()))).for_each(visit);
}
