//! Streams against a `BTreeMap` of ids and pairs.
//!
//! Owns: blocks that fill up, are cut and dropped, and the entries in them. Refuses to know: how an entry's bytes lie. Start at [`run`].

use std::collections::BTreeMap;

use ahash::RandomState;

use super::*;
use crate::types::testing::Random;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;
type Model = BTreeMap<StreamId, Pairs>;

fn id(ms: u64, seq: u64) -> StreamId {
    StreamId::new(ms, seq)
}

fn append(stream: &mut Stream, id: StreamId, pairs: &Pairs, limits: &StreamLimits) {
    stream.append(id, pairs.iter().map(|(name, value)| (name.as_slice(), value.as_slice())), limits);
}

fn numbered(count: u64, limits: &StreamLimits) -> Stream {
    let mut stream = Stream::new();
    let pairs = vec![(b"name".to_vec(), b"value".to_vec())];
    (1..=count).for_each(|ms| append(&mut stream, id(ms, 0), &pairs, limits));
    stream
}

fn shown(entry: &StreamEntry<'_>) -> (StreamId, Pairs) {
    assert_eq!(entry.pairs().count(), entry.fields);
    (entry.id, entry.pairs().map(|(name, value)| (name.to_vec(), value.to_vec())).collect())
}

fn all(stream: &Stream, from: StreamId, to: StreamId, direction: Direction) -> Vec<(StreamId, Pairs)> {
    let mut seen = Vec::new();
    stream.visit(from, to, direction, |entry| {
        seen.push(shown(&entry));
        ControlFlow::Continue(())
    });
    seen
}

fn check(stream: &Stream, model: &Model, random: &mut Random) {
    assert_eq!((stream.len(), stream.is_empty()), (model.len() as u64, model.is_empty()));
    assert_eq!(stream.first().map(|entry| shown(&entry)), model.first_key_value().map(|(id, p)| (*id, p.clone())));
    assert_eq!(stream.last().map(|entry| shown(&entry)), model.last_key_value().map(|(id, p)| (*id, p.clone())));
    let top = stream.last_id().ms + 2;
    let mut ends = [id(random.below(top), random.below(3)), id(random.below(top), random.below(3))];
    if random.below(4) == 0 {
        ends = [StreamId::MIN, StreamId::MAX];
    }
    ends.sort();
    let [from, to] = ends;
    let mut expected: Vec<_> = model.range(from..=to).map(|(id, pairs)| (*id, pairs.clone())).collect();
    assert_eq!(all(stream, from, to, Direction::Forward), expected);
    expected.reverse();
    assert_eq!(all(stream, from, to, Direction::Backward), expected);
    if from != to {
        assert_eq!(all(stream, to, from, Direction::Forward), []);
    }
    // The invariants of the blocks.
    assert!(stream.sealed.values().chain(stream.tail.iter().map(|(_, block)| block)).all(|block| block.len() > 0));
    assert_eq!(stream.sealed_bytes, stream.sealed.values().map(Block::bytes_len).sum::<usize>());
    let in_blocks: usize = stream.blocks(StreamId::MIN, StreamId::MAX).map(|(_, block)| block.len()).sum();
    assert_eq!(in_blocks as u64, stream.len());
}

fn word(random: &mut Random, bytes_max: u64) -> Vec<u8> {
    match random.below(6) {
        0 => Vec::new(),
        1 => (random.next() as i64 >> random.below(64)).to_string().into_bytes(),
        2 => (0..random.below(bytes_max)).map(|_| random.next() as u8).collect(),
        _ => format!("value:{}", random.below(100)).into_bytes(),
    }
}

fn pairs(random: &mut Random, bytes_max: u64) -> Pairs {
    let names: &[&[u8]] = match random.below(5) {
        0 => &[b"a"],
        1 => &[b"a", b"a", b"7"],
        2 => &[b"a", b"c"],
        _ => &[b"a", b"b"],
    };
    names.iter().map(|name| (name.to_vec(), word(random, bytes_max))).collect()
}

/// An id above the last: often near it, sometimes far off.
fn following(last: StreamId, random: &mut Random) -> StreamId {
    match random.below(8) {
        0..=2 => id(last.ms, last.seq + 1 + random.below(2)),
        3..=6 => id(last.ms + 1 + random.below(3), random.below(3)),
        _ => id(last.ms + random.below(1 << 20) + 1, random.next() >> random.below(64)),
    }
}

fn trim(stream: &mut Stream, model: &mut Model, random: &mut Random, limits: &StreamLimits) {
    let excess = match random.below(2) {
        0 => Excess::Above(random.below(stream.len() + 3)),
        _ => {
            let at = random.index(model.len().max(1)).unwrap_or(0);
            let near = model.keys().nth(at).copied().unwrap_or_default();
            Excess::Before(if random.below(2) == 0 { near } else { id(near.ms, near.seq.saturating_add(1)) })
        }
    };
    let too_many = match excess {
        Excess::Above(most) => stream.len().saturating_sub(most),
        Excess::Before(end) => model.range(..end).count() as u64,
    };
    let whole_blocks = random.below(2) == 0;
    let limit = (whole_blocks && random.below(2) == 0).then(|| random.below(20));
    let removed = stream.trim(excess, whole_blocks, limit);
    if whole_blocks {
        assert!(removed <= too_many.min(limit.unwrap_or(u64::MAX)));
        // What is left over does not fill the block it is in, unless the limit was in the way.
        assert!(limit.is_some() || too_many - removed < limits.block_entries.max(1) as u64);
    } else {
        assert_eq!(removed, too_many);
    }
    (0..removed).for_each(|_| drop(model.pop_first()));
}

fn run(seed: u64, limits: &StreamLimits, bytes_max: u64, steps: usize) {
    let mut random = Random::new(seed);
    let (mut stream, mut model) = (Stream::new(), Model::new());
    let (mut added, mut max_deleted, mut last) = (0, StreamId::MIN, StreamId::MIN);
    for step in 0..steps {
        match random.below(if step / 200 % 2 == 0 { 60 } else { 110 }) {
            0..50 => {
                let (new, pairs) = (following(last, &mut random), pairs(&mut random, bytes_max));
                append(&mut stream, new, &pairs, limits);
                model.insert(new, pairs);
                (last, added) = (new, added + 1);
            }
            50..100 => {
                let there = random.index(model.len()).and_then(|at| model.keys().nth(at).copied());
                let wanted = match (random.below(4), there) {
                    (1.., Some(there)) => there,
                    _ => id(random.below(last.ms + 2), random.below(3)),
                };
                let removed = stream.remove(wanted);
                assert_eq!(removed, model.remove(&wanted).is_some());
                if removed {
                    max_deleted = max_deleted.max(wanted);
                }
            }
            100..106 => trim(&mut stream, &mut model, &mut random, limits),
            _ => stream = stream.clone(),
        }
        check(&stream, &model, &mut random);
        let remembered = (stream.last_id(), stream.max_deleted_id(), stream.entries_added());
        assert_eq!(remembered, (last, max_deleted, added));
    }
}

#[test]
fn it_is_a_map_of_ids() {
    run(1, &StreamLimits::new(4096, 3), 20, 4_000);
    run(2, &StreamLimits::new(4096, 1), 20, 2_000);
    run(3, &StreamLimits::new(100, 0), 60, 4_000);
    run(4, &StreamLimits::default(), 300, 4_000);
    run(5, &StreamLimits::new(0, 0), 3_000, 1_000);
}

#[test]
fn blocks_are_full_by_entries_or_by_bytes() {
    assert_eq!(numbered(1000, &StreamLimits::default()).blocks_len(), 10);
    let bytes = |bytes, entries| numbered(1000, &StreamLimits::new(bytes, entries)).blocks_len();
    assert_eq!([bytes(4096, 1), bytes(1, 100), bytes(0, 0)], [1000, 1000, 1]);
    assert_eq!(bytes(1000, 0), 11);
}

#[test]
fn entries_that_are_alike_take_little() {
    let stream = numbered(100_000, &StreamLimits::default());
    let bytes_per_entry = stream.heap_bytes() / 100_000;
    assert!(bytes_per_entry <= 12, "{bytes_per_entry}");
    let mut stream = numbered(100, &StreamLimits::default());
    (1..=99).for_each(|ms| assert!(stream.remove(id(ms, 0))));
    assert!(stream.heap_bytes() < 64, "{}", stream.heap_bytes());
}

#[test]
fn what_was_removed_still_fills_its_block() {
    let limits = StreamLimits::default();
    let mut stream = Stream::new();
    let pairs = vec![(b"name".to_vec(), b"value".to_vec())];
    append(&mut stream, id(1, 0), &pairs, &limits);
    for ms in 2..=100 {
        append(&mut stream, id(ms, 0), &pairs, &limits);
        assert!(stream.remove(id(ms, 0)));
    }
    append(&mut stream, id(101, 0), &pairs, &limits);
    assert_eq!((stream.len(), stream.blocks_len()), (2, 2));
}

#[test]
fn a_rough_trim_drops_whole_blocks_up_to_its_limit() {
    let trimmed = |excess, limit| numbered(1000, &StreamLimits::default()).trim(excess, true, limit);
    assert_eq!(trimmed(Excess::Above(555), None), 400);
    assert_eq!(trimmed(Excess::Above(500), None), 500);
    assert_eq!(trimmed(Excess::Above(500), Some(299)), 200);
    assert_eq!(trimmed(Excess::Above(0), Some(99)), 0);
    assert_eq!(trimmed(Excess::Before(id(200, 0)), None), 100);
    assert_eq!(trimmed(Excess::Before(id(201, 0)), None), 200);
    assert_eq!(numbered(1000, &StreamLimits::default()).trim(Excess::Above(555), false, None), 445);
}

#[test]
fn a_stream_is_dropped_in_slices() {
    let mut stream = numbered(100_000, &StreamLimits::default());
    let mut slices = 1;
    while stream.drain_some(500) {
        slices += 1;
    }
    assert_eq!((slices, stream.heap_bytes()), (200, 0));
}

#[test]
fn a_new_key_reads_as_an_empty_stream_and_becomes_one_when_it_is_opened() {
    let seeds = RandomState::with_seeds(1, 2, 3, 4);
    let (mut entry, mut bigs) = (Entry::new(b"key", Kind::StreamNew, b"", None, 0), Slab::new());
    assert!(Stream::open(&entry, &bigs).is_some_and(Stream::is_empty));
    let value = ValueMut { entry: &mut entry, bigs: &mut bigs, seeds: &seeds };
    let pairs = vec![(b"name".to_vec(), b"value".to_vec())];
    append(Stream::open_mut(value).expect("a stream"), id(1, 1), &pairs, &StreamLimits::default());
    assert_eq!((entry.kind(), Stream::open(&entry, &bigs).map(Stream::len)), (Kind::Stream, Some(1)));
    let other = Entry::new(b"key", Kind::Str, b"", None, 0);
    assert!(Stream::open(&other, &bigs).is_none());
}

#[test]
fn ids_have_neighbours_but_at_the_ends() {
    let edge = id(5, u64::MAX);
    assert_eq!((edge.next(), id(6, 0).previous()), (Some(id(6, 0)), Some(edge)));
    assert_eq!((StreamId::MAX.next(), StreamId::MIN.previous()), (None, None));
    assert_eq!((edge.text(), edge.to_string()), (b"5-18446744073709551615".to_vec(), "5-18446744073709551615".into()));
}
