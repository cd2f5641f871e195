//! The table against std models; the guarantee of its scan; how evenly it samples.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::*;

/// Hash of a test value: the value decides it alone, so that tests may also build bad hashes.
fn hash(value: &u64) -> u64 {
    chance::next(*value)
}

fn insert(table: &mut Table<u64>, value: u64, marked: bool) -> Slot {
    table.insert(hash(&value), value, marked, hash)
}

fn find(table: &Table<u64>, value: u64) -> Option<Slot> {
    table.find(hash(&value), |candidate| *candidate == value)
}

fn filled(len: u64) -> Table<u64> {
    let mut table = Table::new();
    for value in 0..len {
        insert(&mut table, value, false);
    }
    table
}

/// Everything that must hold between operations.
fn check(table: &Table<u64>) {
    let segments: Vec<_> = table.chunks.iter().flat_map(|chunk| &chunk.segments).collect();
    assert_eq!(segments.len(), table.shape.segments);
    assert_eq!(segments.iter().map(|segment| segment.len()).sum::<usize>(), table.len());
    assert_eq!(segments.iter().map(|segment| segment.marked()).sum::<usize>(), table.marked_len());
    assert_eq!(segments.iter().map(|segment| segment.heap_bytes()).sum::<usize>(), table.segment_bytes);
    for chunk in &table.chunks {
        assert_eq!(chunk.segments.iter().map(Segment::marked).sum::<usize>(), chunk.marked);
    }
    for (at, segment) in segments.iter().enumerate() {
        for (tag, value) in segment.tags().zip(segment.values()) {
            let (home, base) = table.shape.locate(hash(value));
            assert_eq!((at, tag & TAG_MASK), (home, tag_of(hash(value), base)));
        }
    }
}

#[test]
fn does_what_a_hash_map_does() {
    for seed in 0..6 {
        let mut random = seed;
        let mut table = Table::new();
        let mut model: HashMap<u64, bool> = HashMap::new();
        // Phases of mostly growing and mostly shrinking, through several widths in both directions.
        for phase in 0..8 {
            let growing = phase % 2 == 0;
            for step in 0..3_000 {
                random = chance::next(random);
                let value = chance::pick(random, 4_000) as u64;
                let adding = chance::pick(chance::next(random), 10) < if growing { 8 } else { 1 };
                match (find(&table, value), adding) {
                    (None, true) => {
                        let marked = random % 3 == 0;
                        let slot = insert(&mut table, value, marked);
                        assert_eq!((*table.get(slot), table.is_marked(slot)), (value, marked));
                        assert_eq!(model.insert(value, marked), None);
                    }
                    (Some(slot), true) => {
                        assert_eq!(table.is_marked(slot), model[&value]);
                        table.set_mark(slot, random % 5 == 0);
                        model.insert(value, random % 5 == 0);
                        *table.get_mut(slot) = value;
                    }
                    (Some(slot), false) => {
                        assert_eq!(table.remove(slot, hash), value);
                        assert!(model.remove(&value).is_some());
                    }
                    (None, false) => assert!(!model.contains_key(&value)),
                }
                assert_eq!((table.len(), table.marked_len()), (model.len(), model.values().filter(|it| **it).count()));
                if step % 500 == 0 {
                    check(&table);
                }
            }
            check(&table);
            assert_eq!(table.iter().copied().collect::<BTreeSet<_>>(), model.keys().copied().collect());
        }
        for value in table.iter().copied().collect::<Vec<_>>() {
            let slot = find(&table, value).expect("it was listed");
            table.remove(slot, hash);
        }
        assert_eq!((table.len(), table.heap_bytes()), (0, 0));
    }
}

#[test]
fn a_segment_finds_near_and_far_tags_and_never_what_is_left_over() {
    for len in 0..150_u16 {
        // Five different tags, every second value marked.
        let tag_of = |value: &u16| (value % 5) << 10;
        let mut segment = Segment::default();
        let mut bytes = 0;
        for value in 0..len {
            bytes += segment.push(tag_of(&value) | if value % 2 == 0 { MARK } else { 0 }, value);
        }
        let mut model: Vec<u16> = (0..len).collect();
        let mut random = u64::from(len);
        loop {
            assert!(segment.values() == model && segment.heap_bytes() == bytes);
            assert_eq!(segment.marked(), model.iter().filter(|value| **value % 2 == 0).count());
            for value in 0..len {
                let found = segment.find(tag_of(&value), |candidate| *candidate == value);
                assert_eq!(found, model.iter().position(|candidate| *candidate == value));
                assert_eq!(segment.find(tag_of(&value) + 1, |_| true), None);
                let tag = found.map(|index| (segment.tag(index), *segment.tag_mut(index)));
                assert!(tag.is_none_or(|(tag, same)| tag & TAG_MASK == tag_of(&value) && tag == same));
            }
            if model.is_empty() {
                break;
            }
            for _ in 0..model.len().min(40) {
                random = chance::next(random);
                let index = chance::pick(random, model.len());
                let (tag, value, freed) = segment.swap_remove(index);
                bytes -= freed;
                assert_eq!((tag & TAG_MASK, tag & MARK != 0), (tag_of(&value), value % 2 == 0));
                assert_eq!(value, model.swap_remove(index));
            }
        }
    }
}

#[test]
fn a_segment_splits_and_comes_together_again() {
    for len in 0..150_u16 {
        let mut segment = Segment::default();
        for value in 0..len {
            segment.push(value | if value % 3 == 0 { MARK } else { 0 }, value);
        }
        let (mut low, high) = segment.split(2);
        assert!(low.values().iter().all(|value| value & 2 == 0) && high.values().iter().all(|value| value & 2 != 0));
        low.append(high);
        low.retag(|value| value + 7);
        assert_eq!(low.len(), usize::from(len));
        for (tag, value) in low.tags().zip(low.values()) {
            assert_eq!((tag & TAG_MASK, tag & MARK != 0), (value + 7, value % 3 == 0));
        }
        let from = low.len() / 2;
        let kept = low.values()[..from].to_vec();
        let mut drained = Vec::new();
        let marked = low.drain_from(from, &mut |value| drained.push(value));
        assert_eq!((low.values(), marked), (&kept[..], drained.iter().filter(|value| **value % 3 == 0).count()));
        assert_eq!(low.tags().count(), from);
    }
}

#[test]
fn equal_hashes_are_slow_but_right() {
    let mut table = Table::new();
    for value in 0..1_000_u64 {
        table.insert(7, value, false, |_| 7);
    }
    let slot = table.find(7, |value| *value == 999).expect("it is there");
    assert_eq!(table.remove(slot, |_| 7), 999);
    assert_eq!(table.find(7, |value| *value == 999), None);
    assert_eq!(table.sample(3).map(|value| *value < 999), Some(true));
}

#[test]
fn growth_splits_one_segment_at_a_time_and_costs_little() {
    let mut table = Table::new();
    for value in 0..100_000 {
        let before = table.shape.segments;
        insert(&mut table, value, false);
        assert!(table.shape.segments - before <= 1);
    }
    let overhead = table.heap_bytes() as f64 / table.len() as f64 - size_of::<u64>() as f64;
    assert!(overhead < 7.0, "{overhead} bytes per value");
    assert!(filled(3).heap_bytes() < 250, "{}", filled(3).heap_bytes());
}

#[test]
fn a_scan_visits_everything_once() {
    for len in [0, 1, 39, 40, 41, 80, 81, 1_000, 5_000] {
        let table = filled(len);
        let mut seen = Vec::new();
        let mut position = 0;
        loop {
            let next = table.scan(position, hash, &mut |value| seen.push(*value));
            assert_eq!(next & 0xffff, 0);
            if next == 0 {
                break;
            }
            assert!(next > position);
            position = next;
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..len).collect::<Vec<_>>());
    }
}

#[test]
fn a_scan_visits_what_stays_exactly_once_while_all_else_comes_and_goes() {
    for seed in 0..40 {
        let mut random = seed;
        let mut table = filled(500);
        let mut seen: BTreeMap<u64, usize> = BTreeMap::new();
        let (mut position, mut steps, mut growing) = (0, 0, seed % 2 == 0);
        let mut passing: Vec<u64> = Vec::new();
        let mut next_value = 1_000_000;
        loop {
            position = table.scan(position, hash, &mut |value| *seen.entry(*value).or_default() += 1);
            if position == 0 {
                break;
            }
            steps += 1;
            // Up to forty times as many segments and back, now and then.
            if steps % 7 == 0 {
                random = chance::next(random);
                growing = random % 2 == 0;
            }
            for _ in 0..chance::pick(chance::next(random), 3_000) {
                random = chance::next(random);
                if growing && passing.len() < 20_000 {
                    insert(&mut table, next_value, random % 2 == 0);
                    passing.push(next_value);
                    next_value += 1;
                } else if !passing.is_empty() {
                    let value = passing.swap_remove(chance::pick(random, passing.len()));
                    let slot = find(&table, value).expect("it was inserted");
                    table.remove(slot, hash);
                }
            }
        }
        for value in 0..500 {
            assert_eq!(seen.get(&value), Some(&1), "value {value} of seed {seed}");
        }
        assert!(seen.values().all(|times| *times == 1));
    }
}

#[test]
fn a_scan_starts_anywhere() {
    let table = filled(1_000);
    for position in [1, 0xffff, 0x8000_0000_0000_0000, u64::MAX] {
        let mut visited = 0;
        let next = table.scan(position, hash, &mut |value| {
            assert!(hash(value).reverse_bits() >= position);
            visited += 1;
        });
        assert!(next == 0 || next > position);
        assert!(visited < 200);
    }
}

#[test]
fn a_sweep_touches_marked_values_only() {
    for (modulus, keep) in [(2, false), (10, true), (1, false)] {
        let mut table = Table::new();
        for value in 0..10_000_u64 {
            insert(&mut table, value, value % modulus == 0);
        }
        let mut swept = Vec::new();
        let (mut position, mut visited) = (0, 0);
        loop {
            let mut visit = |value: &u64| {
                assert_eq!(value % modulus, 0);
                if keep && value.is_multiple_of(20) { Sweep::Keep } else { Sweep::Remove }
            };
            let (next, here) = table.sweep_marked(position, hash, &mut visit, &mut |value| swept.push(value));
            visited += here;
            position = next;
            if next == 0 {
                break;
            }
        }
        check(&table);
        swept.sort_unstable();
        let gone: Vec<_> = (0..10_000).filter(|value| value % modulus == 0 && !(keep && value % 20 == 0)).collect();
        assert_eq!(swept, gone);
        assert_eq!(visited, 10_000_usize.div_ceil(modulus as usize));
        assert_eq!(table.len(), 10_000 - gone.len());
    }
}

#[test]
fn samples_are_fair_while_half_of_the_segments_are_split() {
    let table = filled(2_500);
    assert!(!(table.shape.segments).is_power_of_two(), "both widths are wanted here");
    let mut counts = vec![0_u32; 2_500];
    for draw in 0..250_000_u64 {
        counts[*table.sample(chance::next(draw)).expect("not empty") as usize] += 1;
    }
    // Expected 100 each; chi-square over 2,499 degrees of freedom has a standard deviation of about 71.
    let chi_square: f64 = counts.iter().map(|count| (f64::from(*count) - 100.0).powi(2) / 100.0).sum();
    assert!((2_100.0..2_900.0).contains(&chi_square), "{chi_square}");
    assert_eq!(Table::<u64>::new().sample(1), None);
}

#[test]
fn samples_come_from_thinned_tables_too() {
    let mut table = filled(20_000);
    for value in 300..20_000 {
        let slot = find(&table, value).expect("it was inserted");
        table.remove(slot, hash);
    }
    let seen: BTreeSet<u64> = (0..20_000).filter_map(|draw| table.sample(chance::next(draw)).copied()).collect();
    assert_eq!(seen.len(), 300);
}

#[test]
fn a_marked_sample_finds_the_only_marked_value() {
    let mut table = filled(30_000);
    assert_eq!(table.sample_marked_slot(5), None);
    for value in [0, 77, 29_999] {
        let slot = find(&table, value).expect("it was inserted");
        table.set_mark(slot, true);
        for draw in 0..50 {
            let slot = table.sample_marked_slot(chance::next(draw)).expect("one is marked");
            assert_eq!(*table.get(slot), value);
        }
        let slot = find(&table, value).expect("it was inserted");
        table.set_mark(slot, false);
    }
}

#[test]
fn drains_in_slices() {
    let mut table = Table::new();
    for value in 0..25_000 {
        insert(&mut table, value, value % 7 == 0);
    }
    let mut drained = Vec::new();
    while !table.is_empty() {
        let before = drained.len();
        assert_eq!(table.drain_some(999, &mut |value| drained.push(value)), drained.len() - before);
        assert!(drained.len() - before == 999 || table.is_empty());
    }
    drained.sort_unstable();
    assert_eq!(drained, (0..25_000).collect::<Vec<_>>());
    assert_eq!((table.marked_len(), table.segment_bytes, table.heap_bytes()), (0, 0, 0));
    insert(&mut table, 1, true);
    check(&table);
}
