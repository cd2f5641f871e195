//! Fields chosen at random.
//!
//! Owns: how HRANDFIELD chooses, one, several that differ, or several that may repeat. Refuses to know: replies.
//! Start at [`choose_distinct`].

use std::collections::BTreeSet;

use crate::random::Random;
use crate::types::HashRef;
use crate::types::hash::Pair;

/// A share of the fields below which distinct ones are drawn one by one, as `1 / SPARSE`; above it one walk over all fields is cheaper.
const SPARSE: usize = 8;

/// One pair.
pub(super) fn choose(hash: HashRef<'_>, random: u64) -> Option<Pair<'_>> {
    hash.random(random)
}

/// `count` pairs whose fields all differ, or all there are.
pub(super) fn choose_distinct<'a>(
    hash: HashRef<'a>,
    count: usize,
    random: &mut Random,
    mut visit: impl FnMut(Pair<'a>),
) {
    let len = hash.len();
    if let HashRef::Big(_) = hash
        && count < len / SPARSE
    {
        return draw_distinct(hash, count, random, visit);
    }
    // Selection sampling (Knuth, The Art of Computer Programming, volume 2, 3.4.2, algorithm S): one walk, nothing remembered.
    let mut wanted = count.min(len);
    for (seen, pair) in hash.iter().enumerate() {
        if wanted == 0 {
            return;
        }
        let left = len - seen;
        if wanted == left || random.below(left as u64) < wanted as u64 {
            visit(pair);
            wanted -= 1;
        }
    }
}

/// As [`choose_distinct`], by drawing and drawing again what has been drawn before: `count` is a small share of the fields.
fn draw_distinct<'a>(hash: HashRef<'a>, count: usize, random: &mut Random, mut visit: impl FnMut(Pair<'a>)) {
    let mut chosen = BTreeSet::new();
    // Draws repeat less than once in SPARSE; the bound only matters for a table that is all but empty inside.
    for _ in 0..count.saturating_mul(4).saturating_add(16) {
        if chosen.len() == count {
            return;
        }
        if let Some(pair) = hash.random(random.next_u64())
            && chosen.insert(pair.0)
        {
            visit(pair);
        }
    }
    let missing = count - chosen.len();
    hash.iter().filter(|pair| !chosen.contains(&pair.0)).take(missing).for_each(visit);
}

/// `count` pairs, each chosen from all, until `visit` fails.
pub(super) fn choose_repeated<'a, E>(
    hash: HashRef<'a>,
    count: usize,
    random: &mut Random,
    mut visit: impl FnMut(Pair<'a>) -> Result<(), E>,
) -> Result<(), E> {
    match hash {
        // Each draw from a packed hash walks over it, so that more than a few are drawn from an index of it.
        HashRef::Packed(_) if count > 1 => {
            let pairs: Vec<_> = hash.iter().collect();
            (0..count).try_for_each(|_| visit(pairs[random.below(pairs.len() as u64) as usize]))
        }
        _ => (0..count).try_for_each(|_| match hash.random(random.next_u64()) {
            Some(pair) => visit(pair),
            None => Ok(()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use ahash::RandomState;

    use super::*;
    use crate::types::{BigHash, Element};

    fn hash_of_numbers(len: i64) -> BigHash {
        let pairs = (0..len).map(|number| (Element::Int(number), Element::Int(-number)));
        BigHash::from_pairs(pairs, &RandomState::with_seeds(1, 2, 3, 4))
    }

    #[test]
    fn distinct_choices_differ_and_come_about_equally_often() {
        let big = hash_of_numbers(200);
        let hash = HashRef::Big(&big);
        let mut random = Random::new(7);
        for count in [0, 1, 10, 24, 25, 100, 199, 200, 500] {
            let expected = count.min(200);
            let mut often = [0_usize; 200];
            for _ in 0..400 {
                let mut fields = BTreeSet::new();
                choose_distinct(hash, count, &mut random, |(field, value)| {
                    let number = field.int().expect("fields are numbers");
                    assert_eq!(value.int(), Some(-number));
                    assert!(fields.insert(number), "{number} twice");
                    often[number as usize] += 1;
                });
                assert_eq!(fields.len(), expected, "of {count}");
            }
            // 2 * expected on average; six standard deviations to either side.
            let (mean, slack) = (2.0 * expected as f64, 6.0 * (2.0 * expected as f64).sqrt());
            for (number, &times) in often.iter().enumerate() {
                assert!((times as f64 - mean).abs() <= slack, "{number} came {times} times of {count}");
            }
        }
    }

    #[test]
    fn repeated_choices_stop_when_told() {
        let big = hash_of_numbers(3);
        let mut random = Random::new(7);
        let mut left = 10;
        let outcome = choose_repeated(HashRef::Big(&big), usize::MAX, &mut random, |_| {
            left -= 1;
            if left == 0 { Err("enough") } else { Ok(()) }
        });
        assert_eq!(outcome, Err("enough"));
    }
}
