//! Sorted sets against a sorted vector.
//!
//! Owns: small ones in an entry, big ones, and the step between. Refuses to know: trees and tables. Start at [`run`].

use super::*;
use crate::keyspace::typed;
use crate::types::testing::{Alone, Random};
use ahash::RandomState;

/// Pairs in order of (score, member).
type Model = Vec<Pair>;
type Pair = (Vec<u8>, f64);

type Key = Alone<typed::Zset>;

fn insert(model: &mut Model, member: &[u8], score: f64) -> Inserted {
    let old = model.iter().position(|(other, _)| other == member);
    let result = match old.map(|at| model[at].1) {
        None => Inserted::Added,
        Some(before) if before == score => return Inserted::Same,
        Some(_) => Inserted::Changed,
    };
    if let Some(at) = old {
        model.remove(at);
    }
    let at = model.partition_point(|(other, stored)| (*stored, &other[..]) < (score, member));
    model.insert(at, (member.to_vec(), score));
    result
}

fn owned<'a>(pairs: impl Iterator<Item = (Element<'a>, f64)>) -> Model {
    pairs.map(|(member, score)| (member.to_vec(), score)).collect()
}

fn member(random: &mut Random, names: u64) -> Vec<u8> {
    match random.below(8) {
        0 => random.below(names).to_string().into_bytes(),
        1 => format!("-{}", random.below(names)).into_bytes(),
        2 => [&b""[..], b"\0\xff", b"01", b"+1"][random.below(4) as usize].to_vec(),
        3 => vec![b'x'; random.below(64) as usize],
        _ => format!("member:{}", random.below(names)).into_bytes(),
    }
}

fn score(random: &mut Random, different: bool) -> f64 {
    if !different {
        return 1.0;
    }
    match random.below(12) {
        0 => f64::INFINITY,
        1 => f64::NEG_INFINITY,
        2 => 0.0,
        3 => -0.0,
        4 => random.below(1 << 40) as f64 / 3.0,
        5 => -(random.below(100) as f64) / 4.0,
        _ => random.below(200) as f64,
    }
}

fn check(key: &Key, model: &Model, random: &mut Random, different: bool) {
    let zset = key.read();
    assert_eq!((zset.len(), zset.is_empty()), (model.len(), model.is_empty()));
    assert_eq!(&owned(zset.iter()), model);
    let start = random.below(model.len() as u64 + 2) as usize;
    let end = start + random.below(60) as usize;
    let expected: Model = model.iter().take(end).skip(start).cloned().collect();
    assert_eq!(owned(zset.range(start..end)), expected);
    assert!(owned(zset.range_backward(start..end)).iter().eq(expected.iter().rev()));
    let range = ScoreRange {
        min: score(random, true),
        max: score(random, true),
        min_exclusive: random.below(2) == 0,
        max_exclusive: random.below(2) == 0,
    };
    let inside = |pair: &Pair| {
        (if range.min_exclusive { pair.1 > range.min } else { pair.1 >= range.min })
            && (if range.max_exclusive { pair.1 < range.max } else { pair.1 <= range.max })
    };
    let ranks = zset.score_range(&range);
    assert_eq!(ranks.len(), model.iter().filter(|pair| inside(pair)).count(), "{range:?}");
    assert!(model[ranks].iter().all(inside));
    if !different {
        let (low, high) = (member(random, 500), member(random, 500));
        let ends = |bound| [LexEnd::Min, LexEnd::Max, LexEnd::Included(bound), LexEnd::Excluded(bound)];
        for (at, min) in ends(&low[..]).into_iter().enumerate() {
            for (to, max) in ends(&high[..]).into_iter().enumerate() {
                let above = |member: &[u8]| [true, false, member >= &low[..], member > &low[..]][at];
                let below = |member: &[u8]| [false, true, member <= &high[..], member < &high[..]][to];
                let inside = |pair: &Pair| above(&pair.0) && below(&pair.0);
                let ranks = zset.lex_range(&LexRange { min, max });
                assert_eq!(ranks.len(), model.iter().filter(|pair| inside(pair)).count(), "{min:?} {max:?}");
                assert!(model[ranks].iter().all(inside));
            }
        }
    }
    let mut scanned = Model::new();
    let mut position = 0;
    loop {
        position = zset.scan(position, &mut |member, score| scanned.push((member.to_vec(), score)));
        if position == 0 {
            break;
        }
    }
    let by_order = |a: &Pair, b: &Pair| a.1.partial_cmp(&b.1).expect("no NaN").then(a.0.cmp(&b.0));
    scanned.sort_by(by_order);
    assert_eq!(&scanned, model);
}

fn run(seed: u64, limits: &PackedLimits, names: u64, different: bool, steps: usize) {
    let mut random = Random::new(seed);
    let mut key = Key::new();
    let mut model = Model::new();
    for step in 0..steps {
        let growing = (step as u64 / (names * 2)).is_multiple_of(2);
        match random.below(if growing { 62 } else { 100 }) {
            0..=39 => {
                let (name, score) = (member(&mut random, names), score(&mut random, different));
                assert_eq!(key.open().insert(&name, score, limits), insert(&mut model, &name, score));
            }
            40..=49 => {
                let name = member(&mut random, names);
                let by = if different { random.below(3) as f64 - 1.0 } else { 0.0 };
                let old = model.iter().find(|(other, _)| *other == name).map(|pair| pair.1);
                let new = old.map(|old| old + by);
                assert_eq!(
                    key.open().update(&name, limits, |score| score.map(|score| score + by)),
                    Update { before: old, after: new }
                );
                if let Some(new) = new {
                    insert(&mut model, &name, new);
                }
            }
            50..=56 => {
                let name = member(&mut random, names);
                let at = model.iter().position(|(other, _)| *other == name);
                assert_eq!(key.read().score(&name), at.map(|at| model[at].1));
                assert_eq!(key.read().rank(&name), at.map(|at| (at, model[at].1)));
                let rank = random.below(model.len() as u64 + 1) as usize;
                assert_eq!(
                    key.read().nth(rank).map(|(member, score)| (member.to_vec(), score)),
                    model.get(rank).cloned()
                );
            }
            57 => {
                let start = random.below(model.len() as u64 + 1) as usize;
                let end = start + random.below(model.len() as u64 / 4 + 2) as usize;
                let mut removed = Model::new();
                let count = key.open().remove_range(start..end, |member, score| removed.push((member.to_vec(), score)));
                let expected: Model = model.drain(start..end.min(model.len())).collect();
                assert_eq!((count, &removed), (expected.len(), &expected));
            }
            58 => check(&key, &model, &mut random, different),
            59..=60 => {
                let popped = key.open().pop(Extreme::Min, |member, score| (member.to_vec(), score));
                assert_eq!(popped, (!model.is_empty()).then(|| model.remove(0)));
            }
            61 => {
                let popped = key.open().pop(Extreme::Max, |member, score| (member.to_vec(), score));
                assert_eq!(popped, model.pop());
            }
            _ => {
                let name = match random.index(model.len()) {
                    Some(at) if random.below(2) == 0 => model[at].0.clone(),
                    _ => member(&mut random, names),
                };
                let at = model.iter().position(|(other, _)| *other == name);
                assert_eq!(key.open().remove(&name), at.map(|at| model.remove(at).1));
            }
        }
    }
    check(&key, &model, &mut random, different);
    let count = model.len();
    assert_eq!(key.open().remove_range(0..usize::MAX, |_, _| {}), count);
    assert!(key.open().is_empty());
}

#[test]
fn small_sets_agree_with_the_model() {
    let limits = PackedLimits { entries: 10_000, value_bytes: 64 };
    run(1, &limits, 60, true, 6_000);
    run(2, &limits, 60, false, 3_000);
}

#[test]
fn big_sets_agree_with_the_model() {
    let limits = PackedLimits { entries: 5, value_bytes: 10 };
    run(3, &limits, 60, true, 6_000);
    run(4, &limits, 1_000, true, 20_000);
    run(5, &limits, 1_000, false, 12_000);
    run(6, &PackedLimits::default(), 300, true, 6_000);
}

#[test]
fn it_becomes_big_when_a_limit_is_passed_and_stays_so() {
    let limits = PackedLimits::default();
    let mut key = Key::new();
    for index in 0..128 {
        key.open().insert(index.to_string().as_bytes(), 1.5, &limits);
        assert_eq!(key.entry.kind(), Kind::ZsetPacked);
    }
    key.open().insert(b"7", 2.5, &limits);
    assert_eq!(key.entry.kind(), Kind::ZsetPacked);
    key.open().insert(b"128", 1.5, &limits);
    assert_eq!((key.entry.kind(), key.open().len()), (Kind::ZsetBig, 129));
    assert_eq!(key.read().rank(b"7"), Some((128, 2.5)));
    key.open().remove_range(1..200, |_, _| {});
    assert_eq!((key.entry.kind(), key.open().len()), (Kind::ZsetBig, 1));

    let mut key = Key::new();
    key.open().insert(&[b'x'; 64], 0.0, &limits);
    assert_eq!(key.entry.kind(), Kind::ZsetPacked);
    key.open().insert(&[b'x'; 65], 0.0, &limits);
    assert_eq!(key.entry.kind(), Kind::ZsetBig);
}

#[test]
fn minus_zero_is_zero_in_a_packed_set_and_stays_in_a_big_one() {
    for (limits, negative) in [(PackedLimits::default(), false), (PackedLimits { entries: 0, value_bytes: 0 }, true)] {
        let mut key = Key::new();
        assert_eq!(key.open().insert(b"a", -0.0, &limits), Inserted::Added);
        assert_eq!(key.open().insert(b"a", 0.0, &limits), Inserted::Same);
        assert!(key.read().score(b"a").is_some_and(|score| score.is_sign_negative() == negative));
    }
}

#[test]
fn a_million_members_cost_little_over_their_bytes() {
    let count = 200_000;
    let mut zset = BigZset::new(&RandomState::with_seeds(1, 2, 3, 4));
    let mut random = Random::new(9);
    for index in 0..count {
        let score = random.below(1 << 30) as f64;
        zset.update(format!("member:{index:09}").as_bytes(), |_| Some(score));
    }
    let overhead = zset.heap_bytes() as f64 / f64::from(count) - 24.0;
    assert!(overhead <= 42.0, "{overhead} bytes per member over 16 + 8");
    zset.remove_range(100..count as usize, |_, _| {});
    assert!(zset.heap_bytes() < 150_000, "{} bytes for 100 members", zset.heap_bytes());
    assert_eq!(zset.range(0..200).filter(|(member, score)| zset.score(member) == Some(*score)).count(), 100);
}

#[test]
fn a_random_member_is_any_of_them() {
    for limits in [PackedLimits::default(), PackedLimits { entries: 0, value_bytes: 0 }] {
        let mut key = Key::new();
        assert_eq!(key.read().random(5), None);
        for index in 0..10 {
            key.open().insert(&[b'a' + index], f64::from(index), &limits);
        }
        let mut random = Random::new(3);
        let mut seen = [0; 10];
        for _ in 0..10_000 {
            let (_, score) = key.read().random(random.next()).expect("ten members");
            seen[score as usize] += 1;
        }
        assert!(seen.iter().all(|times| (850..1_150).contains(times)), "{seen:?}");
    }
}

#[test]
fn a_big_set_is_dropped_in_slices() {
    let mut zset = BigZset::new(&RandomState::with_seeds(1, 2, 3, 4));
    for index in 0..20_000 {
        zset.update(index.to_string().as_bytes(), |_| Some(f64::from(index)));
    }
    let mut slices = 1;
    while zset.drain_some(1_000) {
        slices += 1;
    }
    assert!((20..30).contains(&slices), "{slices}");
    assert!(zset.heap_bytes() < 1_024, "{}", zset.heap_bytes());
}
