//! The manifest against its golden file, its drawing in docs/formats.md, and every way in which few bytes can be wrong.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::dir::{Call, FailingDir, Fault, MemoryDir, RealDir, xorshift};
use crate::log::segment_name;

/// Written once, when version 1 was made, and never again: files like it are out there.
const GOLDEN_V1: &[u8] = include_bytes!("../../tests/golden/manifest-v1.bin");
/// The same for versions 2 and 3.
const GOLDEN_V2: &[u8] = include_bytes!("../../tests/golden/manifest-v2.bin");
const GOLDEN_V3: &[u8] = include_bytes!("../../tests/golden/manifest-v3.bin");

fn sample() -> Manifest {
    Manifest {
        incarnation: 5,
        generation: 0x1_0000_0002,
        has_log: true,
        first_lsns: vec![1, 2, 3, 4, 0xff, 0x100, 0x1_0000, 0x0102_0304_0506_0708],
        ..sample_without_logs()
    }
}

fn sample_without_logs() -> Manifest {
    Manifest { locality: "bull:*: q*/".to_owned(), pinned_databases: 1 << 3 | 1 << 5, ..sample_without_rules() }
}

fn sample_without_rules() -> Manifest {
    Manifest {
        shards: 8,
        routing_seeds: [0x0101_0101_0101_0101, 0x0202_0202_0202_0202, 0x0303_0303_0303_0303, 0x0404_0404_0404_0404],
        fingerprint: 0x1122_3344_5566_7788,
        locality: String::new(),
        pinned_databases: 0,
        incarnation: 0,
        generation: 0,
        has_log: false,
        first_lsns: vec![1; 8],
    }
}

#[test]
fn version_1_is_read_as_a_manifest_without_rules() {
    assert_eq!(Manifest::decode(GOLDEN_V1), Ok(sample_without_rules()));
}

#[test]
fn version_2_is_read_as_a_manifest_without_logs() {
    assert_eq!(Manifest::decode(GOLDEN_V2), Ok(sample_without_logs()));
}

#[test]
fn version_3_is_the_golden_file() {
    assert_eq!(sample().encode(), GOLDEN_V3);
    assert_eq!(Manifest::decode(GOLDEN_V3), Ok(sample()));
    for sample in [sample_without_logs(), sample_without_rules()] {
        assert_eq!(Manifest::decode(&sample.encode()), Ok(sample));
    }
}

#[test]
fn the_drawings_in_the_documentation_are_the_golden_files() {
    check_drawing("<!-- manifest-v1.bin -->", GOLDEN_V1);
    check_drawing("<!-- manifest-v2.bin -->", GOLDEN_V2);
    check_drawing("<!-- manifest-v3.bin -->", GOLDEN_V3);
}

/// Compares the block of bytes behind a mark in docs/formats.md with a golden file.
pub(crate) fn check_drawing(mark: &str, golden: &[u8]) {
    let page = include_str!("../../../docs/formats.md");
    let (_, after) = page.split_once(mark).expect("the example is marked");
    let example = after.split("```").nth(1).expect("the example is a block of code");
    let mut bytes = Vec::new();
    for line in example.lines().skip(1) {
        let (_, digits) = line.split_once(": ").expect("an offset, then bytes");
        let numbers = digits.split_whitespace().map(|digits| u8::from_str_radix(digits, 16).expect("a byte"));
        bytes.extend(numbers);
    }
    assert_eq!(bytes, golden, "{mark}");
}

#[test]
fn a_manifest_is_read_back_and_replaced() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let dir = RealDir::open(place.path()).expect("it was made");
    assert_eq!(Manifest::read(&dir).expect("an empty directory"), None);
    sample().write(&dir).expect("a writable directory");
    assert_eq!(Manifest::read(&dir).expect("it was written"), Some(sample()));

    // What a crash before the rename leaves is no manifest, and does not stop the next one.
    std::fs::write(place.path().join(TEMPORARY_FILE_NAME), b"KORA").expect("a writable directory");
    assert_eq!(Manifest::read(&dir).expect("the old one is whole"), Some(sample()));
    let other = Manifest { incarnation: 6, ..sample() };
    other.write(&dir).expect("a writable directory");
    assert_eq!(Manifest::read(&dir).expect("it was written"), Some(other));
    assert!(!place.path().join(TEMPORARY_FILE_NAME).exists());
}

#[test]
fn power_lost_at_any_call_leaves_the_old_manifest_or_the_new() {
    let new = Manifest { incarnation: 6, ..sample() };
    let mut seen = BTreeSet::new();
    for stop in 0.. {
        let memory = MemoryDir::new();
        sample().write(&memory).expect("nothing fails");
        let dir = FailingDir::new(Arc::new(memory.clone()));
        dir.stop_at(stop);
        let outcome = new.write(&dir);
        for seed in 0..8 {
            let memory = memory.copy();
            memory.crash(&mut crate::dir::xorshift(seed));
            let left = Manifest::read(&memory).expect("one is whole").expect("one is there");
            assert!(left == new || (left == sample() && outcome.is_err()), "stopped at {stop}: {left:?}");
            seen.insert((outcome.is_err(), left == new));
            // What is left behind does not stop the next.
            let again = Manifest { incarnation: 7, ..sample() };
            again.write(&memory).expect("nothing fails");
            memory.crash_losing_all();
            assert_eq!(Manifest::read(&memory).expect("it is whole"), Some(again));
        }
        if outcome.is_ok() {
            break;
        }
    }
    assert_eq!(seen.len(), 3, "the old one, the new one after an error and the new one: {seen:?}");
}

#[test]
fn a_call_that_fails_is_an_error_or_made_again() {
    for (fault, passes) in [(Fault::Device, false), (Fault::Interrupted, true), (Fault::Short, true)] {
        for nth in 0.. {
            let memory = MemoryDir::new();
            let dir = FailingDir::new(Arc::new(memory.clone()));
            dir.fail_nth(None, nth, fault);
            let outcome = sample().write(&dir);
            let all = dir.calls() <= nth;
            assert_eq!(outcome.is_ok(), passes || all, "{fault:?} at {nth}");
            memory.crash_losing_all();
            if outcome.is_ok() {
                assert_eq!(Manifest::read(&memory).expect("it is whole"), Some(sample()));
            }
            if all {
                break;
            }
        }
    }
}

#[test]
fn what_the_manifest_makes_superfluous_is_swept_away() {
    let dir = MemoryDir::new();
    let manifest = Manifest { shards: 2, generation: 4, first_lsns: vec![10, 20], ..sample() };
    let header = |shard: u16, first_lsn| {
        let directory = manifest.directory();
        Header { shard, shards: 2, directory, incarnation: 5, first_lsn, durable_lsn: 0 }.encode()
    };
    let kept = [
        segment_name(0, 9),
        segment_name(0, 11),
        segment_name(1, 20),
        segment_name(1, 21),
        snapshot_name(4, 0),
        snapshot_name(4, 1),
        FILE_NAME.to_owned(),
        "notes.tmp".to_owned(),
        "dump.rdb".to_owned(),
    ];
    let gone = [
        segment_name(0, 1),
        segment_name(0, 8),
        segment_name(1, 3),
        segment_name(2, 1),
        snapshot_name(3, 0),
        snapshot_name(5, 0),
        snapshot_name(4, 0) + TEMPORARY_SUFFIX,
        "log-0000-3.wal.tmp".to_owned(),
        TEMPORARY_FILE_NAME.to_owned(),
    ];
    for name in kept.iter().chain(&gone) {
        let (shard, first_lsn) = parse_segment_name(name).unwrap_or_default();
        dir.put(name, &header(shard, first_lsn));
    }
    // A segment that was never written replaces nothing.
    dir.put(&segment_name(0, 10), &[0; 100]);
    assert_eq!(sweep(&dir, &manifest, 0).expect("nothing fails"), gone.len() as u64);
    let mut expected = kept.to_vec();
    expected.push(segment_name(0, 10));
    expected.sort();
    assert_eq!(dir.list().expect("nothing fails"), expected);

    let without = Manifest { has_log: false, ..manifest };
    assert_eq!(sweep(&dir, &without, 0).expect("nothing fails"), 5, "without a log no segment counts");
}

#[test]
fn nothing_goes_for_the_sake_of_what_is_not_on_disk() {
    let old = Manifest { shards: 1, generation: 4, first_lsns: vec![3], ..sample() };
    let new = Manifest { generation: 5, first_lsns: vec![9], ..old.clone() };
    let header = |first_lsn| {
        let (directory, incarnation) = (old.directory(), 5);
        Header { shard: 0, shards: 1, directory, incarnation, first_lsn, durable_lsn: 0 }.encode()
    };
    for seed in 0..100 {
        let memory = MemoryDir::new();
        memory.put(&segment_name(0, 3), &header(3));
        memory.put(&segment_name(0, 9), &[0; 100]);
        let all: [&[u8]; 2] = [b"old", b"new"];
        for (generation, bytes) in (4..).zip(all) {
            memory.put(&snapshot_name(generation, 0), bytes);
        }
        old.write(&memory).expect("nothing fails");
        // A process died when it had written the next manifest and before it synced the directory, or its log.
        let dying = FailingDir::new(Arc::new(memory.clone()));
        dying.fail_nth(Some(Call::SyncDir), 0, Fault::Device);
        new.write(&dying).expect_err("the directory is not synced");
        let segment = memory.open(&segment_name(0, 9)).expect("it is there");
        write_all_at(&*segment, &header(9), 0).expect("nothing fails");
        memory.kill();
        let found = Manifest::read(&memory).expect("nothing fails").expect("it is there");
        assert_eq!(found, new);
        sweep(&memory, &found, 0).expect("nothing fails");
        memory.crash(&mut xorshift(seed));

        let found = Manifest::read(&memory).expect("nothing fails").expect("it is there");
        assert!(memory.content(&snapshot_name(found.generation, 0)).is_some(), "seed {seed}: {found:?}");
        let whole = |lsn| memory.content(&segment_name(0, lsn)).is_some_and(|bytes| Header::decode(&bytes).is_ok());
        assert!(whole(3) || whole(9), "seed {seed}: {found:?}");
    }
}

#[test]
fn every_flipped_bit_is_found() {
    for golden in [GOLDEN_V1, GOLDEN_V2, GOLDEN_V3] {
        for bit in 0..golden.len() * 8 {
            let mut bytes = golden.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Manifest::decode(&bytes).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn every_missing_end_is_found() {
    for golden in [GOLDEN_V1, GOLDEN_V2, GOLDEN_V3] {
        for length in 0..golden.len() {
            let outcome = Manifest::decode(&golden[..length]);
            let Err((at, Damage::Short { expected })) = outcome else { panic!("{length}: {outcome:?}") };
            assert!(at == length && expected > length && expected <= golden.len(), "{length}: {outcome:?}");
        }
    }
}

/// Changes bytes of a good manifest, puts the checksum right, and says what is wrong then.
fn check(change: impl FnOnce(&mut Vec<u8>), expected: &str) {
    let mut bytes = sample().encode();
    change(&mut bytes);
    // Bytes that are too many stand behind the checksum, or where it should be.
    let checksum_at = bytes.len() - CHECKSUM_LENGTH;
    let checksum = crc32c::crc32c(&bytes[..checksum_at]);
    bytes[checksum_at..checksum_at + CHECKSUM_LENGTH].copy_from_slice(&checksum.to_le_bytes());
    let dir = MemoryDir::new();
    dir.put(FILE_NAME, &bytes);
    let error = Manifest::read(&dir).expect_err("it is damaged").to_string();
    assert_eq!(error, format!("{}{expected}", dir.path().join(FILE_NAME).display()));
}

#[test]
fn errors_name_file_and_offset() {
    check(|bytes| bytes[0] = b'k', " at offset 0: not a manifest of Kora");
    check(|bytes| bytes[VERSION_AT] = 4, " at offset 8: version 4 is unknown; this Kora reads versions 1 to 3");
    check(|bytes| bytes[FLAGS_AT] = 2, " at offset 9: reserved bytes are not zero");
    check(|bytes| bytes[11] = 1, " at offset 10: reserved bytes are not zero");
    check(|bytes| bytes[63] = 1, " at offset 62: reserved bytes are not zero");
    check(|bytes| bytes[SHARDS_AT] = 7, " at offset 151: bytes follow the end of the manifest");
    let too_many = " at offset 12: a manifest of 1025 shards, at most 1024 were expected";
    check(|bytes| bytes[SHARDS_AT..SHARDS_AT + 4].copy_from_slice(&1025_u32.to_le_bytes()), too_many);
    check(|bytes| bytes[FIRST_LSNS_AT + 8] = 0, " at offset 88: a log that begins with record 0");
    check(|bytes| bytes.push(0), " at offset 159: bytes follow the end of the manifest");
    check(|bytes| bytes[LOCALITY_LENGTH_AT] += 1, " at offset 159: the file ends here, 160 bytes were expected");
    let too_many = " at offset 60: 4097 bytes of locality patterns, at most 4096 were expected";
    check(|bytes| bytes[LOCALITY_LENGTH_AT..][..2].copy_from_slice(&4097_u16.to_le_bytes()), too_many);
    check(|bytes| bytes[146] = 0xff, " at offset 146: the locality patterns are not UTF-8 text");
    let none = |bytes: &mut Vec<u8>| {
        bytes[SHARDS_AT] = 0;
        bytes.drain(FIRST_LSNS_AT..FIRST_LSNS_AT + 8 * LSN_LENGTH);
    };
    check(none, " at offset 12: a manifest of 0 shards");

    let mut bytes = sample().encode();
    let checksum_at = bytes.len() - CHECKSUM_LENGTH;
    bytes[SEEDS_AT] ^= 0xff;
    let (stored, computed) = (number(&bytes, checksum_at), crc32c::crc32c(&bytes[..checksum_at]));
    assert_eq!(Manifest::decode(&bytes), Err((checksum_at, Damage::Checksum { stored, computed })));
}

#[test]
fn earlier_versions_have_no_more_shards_than_later_ones() {
    for (golden, checksum_at) in [(GOLDEN_V1, 56), (GOLDEN_V2, 73)] {
        let mut bytes = golden.to_vec();
        bytes[SHARDS_AT..SHARDS_AT + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..checksum_at]);
        bytes[checksum_at..].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(Manifest::decode(&bytes), Err((SHARDS_AT, Damage::Shards(u32::MAX))));
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let missing = place.path().join("missing");
    std::fs::create_dir(&missing).expect("a writable directory");
    let dir = RealDir::open(&missing).expect("it was made");
    std::fs::remove_dir(&missing).expect("it is empty");
    let error = sample().write(&dir).expect_err("there is no such directory").to_string();
    let temporary = missing.join(TEMPORARY_FILE_NAME);
    assert!(error.starts_with(&format!("cannot create {}: ", temporary.display())), "{error}");
}
