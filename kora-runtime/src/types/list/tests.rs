//! Lists against a `VecDeque` of byte strings.
//!
//! Owns: small ones in an entry, long ones, and the step between. Refuses to know: how a chunk lays out its bytes. Start at [`run`].

use std::collections::VecDeque;

use super::*;
use crate::keyspace::typed;
use crate::types::testing::{Alone, Random};

type Model = VecDeque<Vec<u8>>;

/// A key with a list, and where the list goes when it is long.
type Key = Alone<typed::List>;

impl Key {
    fn chunks(&self) -> Vec<&chunk::Chunk> {
        match self.read() {
            ListRef::Packed(_) => Vec::new(),
            ListRef::Big(list) => list.chunks().collect(),
        }
    }
}

fn all(list: ListRef<'_>, indices: Range<usize>, direction: Direction) -> Vec<Vec<u8>> {
    let mut seen = Vec::new();
    list.visit(indices, direction, |element| seen.push(element.to_vec()));
    seen
}

fn positions(list: ListRef<'_>, indices: Range<usize>, direction: Direction, element: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    list.search(indices, direction, element, |index| {
        found.push(index);
        ControlFlow::Continue(())
    });
    found
}

fn element(random: &mut Random, bytes_max: u64) -> Vec<u8> {
    match random.below(12) {
        0 => Vec::new(),
        1..=3 => (random.next() as i64 >> random.below(64)).to_string().into_bytes(),
        4..=6 => format!("element:{:010}", random.below(50)).into_bytes(),
        7 => [&b"\0\xff\r\n"[..], b"01", b"+1", b"-0"][random.below(4) as usize].to_vec(),
        8 => {
            let len = random.below(bytes_max);
            (0..len).map(|_| random.next() as u8).collect()
        }
        9 => vec![b'z'; random.below(bytes_max) as usize],
        _ => b"often".to_vec(),
    }
}

fn check(key: &Key, model: &Model, limits: &ListLimits, random: &mut Random) {
    let list = key.read();
    assert_eq!(list.len(), model.len());
    assert!(all(list, 0..usize::MAX, Direction::Forward).iter().eq(model.iter()));
    assert!(all(list, 0..model.len(), Direction::Backward).iter().eq(model.iter().rev()));
    let start = random.below(model.len() as u64 + 2) as usize;
    let end = start + random.below(60) as usize;
    let expected: Vec<_> = model.iter().take(end).skip(start).cloned().collect();
    assert_eq!(all(list, start..end, Direction::Forward), expected);
    let backward: Vec<_> = expected.iter().rev().cloned().collect();
    assert_eq!(all(list, start..end, Direction::Backward), backward);
    assert_eq!(list.get(model.len()), None);
    for wanted in [&b"often"[..], b"", b"absent"] {
        let expected: Vec<usize> = (0..model.len()).filter(|&index| model[index] == wanted).collect();
        assert_eq!(positions(list, 0..model.len(), Direction::Forward, wanted), expected);
        assert_eq!(list.position(wanted), expected.first().copied());
        let within: Vec<_> = expected.into_iter().filter(|index| (start..end).contains(index)).rev().collect();
        assert_eq!(positions(list, start..end, Direction::Backward, wanted), within);
    }
    if let ListRef::Packed(payload) = list {
        assert!(payload.len() <= limits.packed_bytes && model.len() <= limits.packed_elements);
    }
    let chunks = key.chunks();
    for chunk in chunks {
        assert!(chunk.count() > 0);
        assert!(chunk.raw_len() <= limits.chunk_bytes || chunk.count() == 1);
        assert!(!chunk.is_compressed() || limits.compress_depth > 0);
    }
}

fn run(seed: u64, limits: &ListLimits, size: u64, bytes_max: u64, steps: usize) {
    let mut random = Random::new(seed);
    let mut key = Key::new();
    let mut model = Model::new();
    for step in 0..steps {
        let growing = (step as u64 / (size * 2)).is_multiple_of(2);
        match random.below(if growing { 60 } else { 100 }) {
            0..=19 => {
                let value = element(&mut random, bytes_max);
                key.open().push(End::Back, &value, limits);
                model.push_back(value);
            }
            20..=39 => {
                let value = element(&mut random, bytes_max);
                key.open().push(End::Front, &value, limits);
                model.push_front(value);
            }
            40..=46 => {
                let index = random.below(model.len() as u64 + 1) as usize;
                let value = element(&mut random, bytes_max);
                key.open().insert(index, &value, limits);
                model.insert(index, value);
            }
            47..=53 => {
                let index = random.below(model.len() as u64 + 2) as usize;
                let value = element(&mut random, bytes_max);
                assert_eq!(key.open().set(index, &value, limits), index < model.len());
                if let Some(place) = model.get_mut(index) {
                    *place = value;
                }
            }
            54..=56 => {
                let index = random.below(model.len() as u64 + 1) as usize;
                let stored = key.read().get(index).map(|fetched| fetched.into_cow().into_owned());
                assert_eq!(stored.as_ref(), model.get(index));
            }
            57 => {
                let wanted = element(&mut random, bytes_max);
                let count = [1, 2, usize::MAX][random.below(3) as usize];
                let direction = [Direction::Forward, Direction::Backward][random.below(2) as usize];
                let mut found: Vec<usize> = (0..model.len()).filter(|&index| model[index] == wanted).collect();
                if direction == Direction::Backward {
                    found.reverse();
                }
                found.truncate(count);
                assert_eq!(key.open().remove(&wanted, count, direction), found.len());
                found.sort_unstable();
                for index in found.into_iter().rev() {
                    model.remove(index);
                }
            }
            58..=59 => check(&key, &model, limits, &mut random),
            60 => {
                let end = model.len() - (random.below(model.len() as u64 / 8 + 1) as usize);
                let start = random.below(end as u64 / 8 + 1) as usize;
                key.open().keep(start..end);
                model.truncate(end);
                model.drain(..start);
            }
            61..=80 => assert_eq!(key.open().pop(End::Front, |element| element.to_vec()), model.pop_front()),
            _ => assert_eq!(key.open().pop(End::Back, |element| element.to_vec()), model.pop_back()),
        }
    }
    check(&key, &model, limits, &mut random);
    while let Some(expected) = model.pop_front() {
        assert_eq!(key.open().pop(End::Front, |element| element.to_vec()), Some(expected));
    }
    assert_eq!(key.open().pop(End::Back, |element| element.to_vec()), None);
    assert!(key.open().is_empty());
}

#[test]
fn small_lists_agree_with_the_model() {
    run(1, &ListLimits { packed_bytes: 100_000, packed_elements: 100, ..ListLimits::default() }, 40, 30, 4_000);
    run(2, &ListLimits { packed_bytes: 70_000, packed_elements: 255, ..ListLimits::default() }, 40, 70_000, 600);
}

#[test]
fn long_lists_agree_with_the_model_whatever_the_limits() {
    let tiny = ListLimits { packed_bytes: 60, packed_elements: 4, chunk_bytes: 200, ..ListLimits::default() };
    for compress_depth in 0..4 {
        run(10 + compress_depth as u64, &ListLimits { compress_depth, ..tiny }, 600, 60, 6_000);
        run(20 + compress_depth as u64, &ListLimits { compress_depth, ..tiny }, 100, 500, 2_000);
        run(30 + compress_depth as u64, &ListLimits { compress_depth, chunk_elements: 3, ..tiny }, 100, 60, 2_000);
    }
    run(40, &ListLimits::default(), 3_000, 100, 12_000);
    run(41, &ListLimits::default(), 300, 20_000, 2_000);
    run(42, &ListLimits { compress_depth: 1, ..ListLimits::default() }, 50, 200_000, 400);
}

#[test]
fn it_becomes_long_when_a_limit_is_passed_and_stays_so() {
    let limits = ListLimits::default();
    let mut key = Key::new();
    for index in 0..128 {
        key.open().push(End::Back, b"1", &limits);
        assert_eq!((key.entry.kind(), key.open().len()), (Kind::ListPacked, index + 1));
    }
    key.open().push(End::Back, b"1", &limits);
    assert_eq!((key.entry.kind(), key.open().len()), (Kind::ListBig, 129));
    key.open().keep(0..1);
    assert_eq!((key.entry.kind(), key.open().len()), (Kind::ListBig, 1));

    let mut key = Key::new();
    key.open().push(End::Front, &[b'x'; 505], &limits);
    assert_eq!((key.entry.kind(), key.entry.payload().len()), (Kind::ListPacked, 512));
    assert!(key.open().set(0, &[b'x'; 506], &limits));
    assert_eq!((key.entry.kind(), key.open().len()), (Kind::ListBig, 1));
    let mut key = Key::new();
    key.open().insert(0, &[b'x'; 506], &limits);
    assert_eq!((key.entry.kind(), key.open().len()), (Kind::ListBig, 1));
}

#[test]
fn inner_chunks_are_compressed_and_the_ends_are_not() {
    let mut list = List::new(&ListLimits::default());
    let count = 100_000;
    for index in 0..count {
        let end = if index % 3 == 0 { End::Front } else { End::Back };
        list.push(end, format!("element:{index:08}").as_bytes());
    }
    let chunks: Vec<_> = list.chunks().collect();
    for (at, chunk) in chunks.iter().enumerate() {
        assert_eq!(chunk.is_compressed(), (2..chunks.len() - 2).contains(&at), "chunk {at} of {}", chunks.len());
        assert!(chunk.heap_bytes() <= 8 * 1024);
    }
    assert!(list.heap_bytes() < count * 15, "{} bytes", list.heap_bytes());
    // A change opens one inner chunk, the next one elsewhere closes it again.
    for index in [40_000, 60_000, 50_000, 50_000] {
        assert!(list.set(index, b"changed"));
        let inner_plain = list.chunks().filter(|chunk| !chunk.is_compressed()).count() - 4;
        assert_eq!(inner_plain, 1);
        assert_eq!(list.get(index), Some(Fetched::Stored(Element::Bytes(b"changed"))));
    }
    list.insert(30_000, b"inserted");
    list.remove(b"inserted", 1, Direction::Backward);
    assert!(list.chunks().filter(|chunk| !chunk.is_compressed()).count() <= 4 + 3);
}

#[test]
fn what_does_not_compress_takes_its_bytes_and_no_more() {
    let mut random = Random::new(5);
    let mut list = List::new(&ListLimits::default());
    let count = 50_000;
    for _ in 0..count {
        let element: Vec<u8> = (0..16).map(|_| random.next() as u8 | 0x80).collect();
        list.push(End::Back, &element);
    }
    assert!(list.chunks().all(|chunk| !chunk.is_compressed()));
    let bytes_per_element = list.heap_bytes() as f64 / f64::from(count);
    assert!(bytes_per_element < 18.3, "{bytes_per_element}");
}

#[test]
fn a_queue_neither_grows_nor_moves_its_bytes_for_every_element() {
    let mut list = List::new(&ListLimits::default());
    for index in 0..200_000_u32 {
        list.push(End::Back, format!("job:{index:012}").as_bytes());
        if index >= 400 {
            list.pop(End::Front, |_| ()).expect("there are 400");
        }
    }
    assert_eq!(list.len(), 400);
    assert!(list.heap_bytes() <= 24 * 1024, "{} bytes", list.heap_bytes());
    while list.len() > 1 {
        list.pop(End::Back, |_| ()).expect("more than one");
    }
    assert!(list.heap_bytes() <= 1024, "{} bytes", list.heap_bytes());
}

#[test]
fn a_list_is_dropped_in_slices() {
    let mut list = List::new(&ListLimits::default());
    for _ in 0..100_000 {
        list.push(End::Front, b"some element");
    }
    let mut slices = 1;
    while list.drain_some(5_000) {
        slices += 1;
    }
    assert!((15..=25).contains(&slices), "{slices}");
}

#[test]
fn listpack_sizes_are_those_of_redis() {
    let size = |size| {
        let limits = ListLimits::default().with_listpack_size(size);
        (limits.chunk_bytes, limits.chunk_elements)
    };
    assert_eq!([size(-1), size(-2), size(-5)], [4096, 8192, 65_536].map(|bytes| (bytes, usize::MAX)));
    assert_eq!([size(-9), size(3)], [(65_536, usize::MAX), (8192, 3)]);
}
