//! Crashes, faults and damage of every kind, against a model of what must survive.

mod world;

use std::sync::Arc;

use super::*;
use crate::dir::{Call, FailingDir, Fault, MemoryDir, xorshift};
use crate::log::LogWriter;
use crate::log::segment::{BATCH_HEADER_BYTES, BatchHeader};
use world::{OPTIONS, World, look, manifest, open, records};

/// Power fails at a random moment, several times in one life of a directory; each time also while it is opened. Says how
/// many records were cut off and skipped because of half transactions.
fn power_loss(seed: u64, settles_when_synced: bool) -> [u64; 2] {
    let mut random = xorshift(seed);
    let mut lost = [0; 2];
    let memory = MemoryDir::new();
    let mut world = World::new(Arc::new(memory.clone()), 3);
    world.settles_when_synced = settles_when_synced;
    for _life in 0..3 {
        for _step in 0..random(35) {
            let shard = random(3) as usize;
            match random(16) {
                0..4 => world.plain(shard),
                4 | 5 => {
                    let participants: &[u16] = [&[0, 1][..], &[1, 2], &[0, 2], &[0, 1, 2]][random(4) as usize];
                    world.txn(participants);
                }
                6..9 => world.append(shard).expect("nothing fails"),
                9 | 10 => world.sync(shard).expect("nothing fails"),
                11..14 => world.settle(shard),
                14 => world.prepare(shard),
                _ if random(3) == 0 => world.snapshot().expect("nothing fails"),
                _ => world.writers[shard].rotate().expect("nothing fails"),
            }
        }
        match random(4) {
            0 => memory.kill(),
            _ => memory.crash(&mut random),
        }
        // Once recovery has ended, nothing changes any more; before that, what was not synced may still go.
        let mode = [Mode::Normal, Mode::Inspect][random(2) as usize];
        let expected = look(&memory, mode).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        lost = [lost[0] + expected.cut_records, lost[1] + expected.skipped_records];
        let expected = records(&memory, &expected);
        // Opening it fails half-way, and power with it, before it is opened for good.
        for _ in 0..random(3) {
            let failing = FailingDir::new(Arc::new(memory.clone()));
            failing.stop_at(random(60));
            let half: Arc<dyn Dir> = Arc::new(failing);
            let _ = open(&half);
            match random(3) {
                0 => memory.kill(),
                _ => memory.crash(&mut random),
            }
        }
        let after = look(&memory, Mode::Inspect).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert!(mode == Mode::Inspect || records(&memory, &after) == expected, "seed {seed}: something changed");
        world.reopen(&memory);
    }
    lost
}

fn world_manifest(dir: &dyn Dir) -> Manifest {
    Manifest::read(dir).expect("it is whole").expect("it is there")
}

#[test]
fn power_may_fail_at_any_moment() {
    // `KORA_SEEDS` makes it longer.
    let seeds = std::env::var("KORA_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(3000);
    for settles_when_synced in [false, true] {
        let mut lost = [0; 2];
        for seed in 0..seeds {
            let [cut, skipped] = power_loss(seed, settles_when_synced);
            lost = [lost[0] + cut, lost[1] + skipped];
        }
        let [cut, skipped] = lost.map(|records| records > 0);
        assert_eq!((cut, skipped), (!settles_when_synced, true), "{lost:?}");
    }
}

/// Everything a log goes through, once; ends at the first call that fails.
fn scenario(world: &mut World) -> Result<(), Box<dyn std::error::Error>> {
    for round in 0..4 {
        for shard in 0..2 {
            world.plain(shard);
            world.append(shard)?;
            world.prepare(shard);
        }
        world.sync(round % 2)?;
        world.txn(&[0, 1]);
        world.append(1)?;
        world.settle(1);
        world.plain(1);
        world.append(0)?;
        world.settle(0);
        world.plain(0);
        world.append(0)?;
        world.settle(1);
        world.append(1)?;
        world.plain(1);
        world.append(1)?;
        world.sync(1 - round % 2)?;
        world.sync(round % 2)?;
        (0..2).for_each(|shard| world.settle(shard));
        if round == 2 {
            world.snapshot()?;
        }
        world.plain(0);
        world.append(0)?;
    }
    Ok(())
}

#[test]
fn the_process_may_end_between_any_two_calls() {
    for settles_when_synced in [false, true] {
        end_between_any_two_calls(settles_when_synced);
    }
}

fn end_between_any_two_calls(settles_when_synced: bool) {
    let mut stops = 0;
    for stop in 0.. {
        let memory = MemoryDir::new();
        let failing = FailingDir::new(Arc::new(memory.clone()));
        let mut world = World::new(Arc::new(failing.clone()), 2);
        world.settles_when_synced = settles_when_synced;
        failing.stop_at(stop);
        let ended = scenario(&mut world).is_err();
        for way in 0..8 {
            let memory = memory.copy();
            match way {
                0 => memory.kill(),
                1 => memory.crash_losing_all(),
                seed => memory.crash(&mut xorshift(seed)),
            }
            let found = look(&memory, Mode::Normal).unwrap_or_else(|error| panic!("{stop} {way}: {error}"));
            world.check(&memory, &world_manifest(&memory), &found);
            let expected = records(&memory, &found);
            if stop % 5 > 0 {
                continue;
            }
            // Opened, and stopped at every call of that; and what that left once more.
            for second in 0.. {
                let left = memory.copy();
                let failing = FailingDir::new(Arc::new(left.clone()));
                failing.stop_at(second);
                let opened = open(&(Arc::new(failing) as Arc<dyn Dir>)).is_ok();
                for seed in 0..2 {
                    let left = left.copy();
                    left.crash(&mut xorshift(seed));
                    let again = look(&left, Mode::Normal).unwrap_or_else(|error| panic!("{stop} {second}: {error}"));
                    assert_eq!(records(&left, &again), expected, "{stop} {way} {second}");
                }
                if opened {
                    break;
                }
            }
        }
        stops = stop;
        if !ended {
            break;
        }
    }
    assert!(stops > 60, "the scenario has more calls: {stops}");
}

#[test]
fn any_call_may_fail() {
    for fault in [Fault::Device, Fault::Full, Fault::Interrupted, Fault::Short] {
        for nth in 0.. {
            let memory = MemoryDir::new();
            let failing = FailingDir::new(Arc::new(memory.clone()));
            let mut world = World::new(Arc::new(failing.clone()), 2);
            world.settles_when_synced = nth % 2 == 1;
            failing.fail_nth(None, nth, fault);
            let outcome = scenario(&mut world);
            let harmless = matches!(fault, Fault::Interrupted | Fault::Short);
            assert!(outcome.is_ok() || !harmless, "{fault:?} at {nth}: {outcome:?}");
            // What failed is tried again, together with more.
            let again = outcome.is_err();
            for shard in 0..2 {
                if again {
                    world.plain(shard);
                    world.append(shard).unwrap_or_else(|error| panic!("{fault:?} at {nth}: {error}"));
                }
            }
            let last = failing.calls() <= nth;
            let copy = memory.copy();
            memory.crash_losing_all();
            let found = look(&memory, Mode::Normal).unwrap_or_else(|error| panic!("{fault:?} at {nth}: {error}"));
            world.check(&memory, &world_manifest(&memory), &found);
            // Without a loss of power everything is there.
            let found = look(&copy, Mode::Normal).unwrap_or_else(|error| panic!("{fault:?} at {nth}: {error}"));
            world.check(&copy, &world_manifest(&copy), &found);
            for (log, writer) in found.logs.iter().zip(&world.writers) {
                assert_eq!(log.next_lsn, writer.next_lsn(), "{fault:?} at {nth}");
            }
            if last {
                break;
            }
        }
    }
}

#[test]
fn a_full_disk_takes_what_was_prepared_and_goes_on_when_there_is_room() {
    for room in 0..400 {
        let memory = MemoryDir::new();
        let failing = FailingDir::new(Arc::new(memory.clone()));
        let mut world = World::new(Arc::new(failing.clone()), 1);
        world.prepare(0);
        failing.leave_room(room);
        let mut refused = 0;
        for _ in 0..20 {
            world.plain(0);
            let bytes = world.shards[0].pending.iter().map(|record| record.payload.len() as u64 + 5).sum::<u64>();
            let fits = bytes + 47 <= world.writers[0].remaining_prepared() && bytes + 47 < 200;
            match world.append(0) {
                Ok(()) => {}
                Err(error) => {
                    assert!(error.is_full() && !fits, "room {room}: {error}");
                    refused += 1;
                }
            }
            if refused == 3 {
                failing.lift();
            }
        }
        assert!(refused >= 3, "room {room}");
        world.append(0).expect("there is room");
        memory.kill();
        let found = look(&memory, Mode::Normal).expect("nothing is damaged");
        assert_eq!(found.reports, [] as [&str; 0], "room {room}: no garbage is left");
        world.check(&memory, &world.manifest, &found);
        assert_eq!(found.logs[0].next_lsn, 21);
    }
}

/// A log of one shard: batches of one, two and one record; the first is on disk before the third is written.
fn small(closed: bool) -> (MemoryDir, Vec<(u64, Vec<u8>)>) {
    let memory = MemoryDir::new();
    let mut world = World::new(Arc::new(memory.clone()), 1);
    for (batch, count) in [1, 2, 1].into_iter().enumerate() {
        (0..count).for_each(|_| world.plain(0));
        world.append(0).expect("nothing fails");
        if batch == 0 {
            world.sync(0).expect("nothing fails");
        }
    }
    if closed {
        world.writers[0].finish().expect("nothing fails");
    }
    let found = look(&memory, Mode::Normal).expect("nothing is damaged");
    let all = records(&memory, &found).remove(0);
    assert_eq!(all.len(), 4);
    (memory, all)
}

const SEGMENT: &str = "log-0000-0000000000000001.wal";

#[test]
fn a_log_may_be_torn_at_every_byte() {
    let (memory, all) = small(false);
    let bytes = memory.content(SEGMENT).expect("it is there");
    let mut lengths = Vec::new();
    for length in 0..bytes.len() {
        let torn = memory.copy();
        torn.put(SEGMENT, &bytes[..length]);
        match look(&torn, Mode::Normal) {
            Ok(found) => {
                let left = records(&torn, &found).remove(0);
                assert!(all.starts_with(&left), "{length}");
                lengths.push(left.len());
            }
            // The manifest says that there is a log.
            Err(error) => assert!(length < 56 && error.to_string().contains("at offset 0: the header"), "{error}"),
        }
    }
    assert!(lengths.is_sorted());
    lengths.dedup();
    assert_eq!(lengths, [0, 1, 3, 4]);
}

#[test]
fn a_flipped_bit_never_passes() {
    for closed in [false, true] {
        let (memory, all) = small(closed);
        let bytes = memory.content(SEGMENT).expect("it is there");
        let end = bytes.iter().rposition(|byte| *byte != 0).expect("a log") + 1;
        for bit in 0..end * 8 {
            let flipped = memory.copy();
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            flipped.put(SEGMENT, &changed);
            match look(&flipped, Mode::Normal) {
                Ok(found) => {
                    let left = records(&flipped, &found).remove(0);
                    assert!(all.starts_with(&left), "bit {bit}");
                    // Only the second and third batch may have been in flight, and nothing when the log was closed.
                    assert!(!left.is_empty() && (!closed || left == all), "bit {bit}");
                    if left.len() < all.len() {
                        assert_eq!(found.reports.len(), 1, "bit {bit}: {:?}", found.reports);
                    }
                }
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.starts_with(&format!("memory/{SEGMENT} at offset ")), "{text}");
                    let salvaged = look(&flipped, Mode::Salvage).expect("damage is met");
                    let left = records(&flipped, &salvaged).remove(0);
                    assert!(all.starts_with(&left) && salvaged.reports[0].contains(&text), "bit {bit}");
                }
            }
        }
    }
}

/// Changes the file of the second segment of three, looks, and compares the error.
fn check_second(change: impl FnOnce(&MemoryDir, &str, Vec<u8>), expected: &str) {
    let memory = MemoryDir::new();
    let mut world = World::new(Arc::new(memory.clone()), 1);
    for _ in 0..3 {
        world.plain(0);
        world.append(0).expect("nothing fails");
        world.sync(0).expect("nothing fails");
        world.writers[0].rotate().expect("nothing fails");
    }
    world.plain(0);
    world.append(0).expect("nothing fails");
    let name = "log-0000-0000000000000002.wal";
    let bytes = memory.content(name).expect("it is there");
    change(&memory, name, bytes);
    let error = look(&memory, Mode::Normal).expect_err("it is damaged").to_string();
    assert_eq!(error, format!("memory/{name}{expected}"));
    let salvaged = look(&memory, Mode::Salvage).expect("damage is met");
    assert_eq!((salvaged.logs[0].next_lsn, salvaged.reports.len()), (2, 1), "{:?}", salvaged.reports);
    // What is given up does not come back.
    let manifest = Manifest { incarnation: 9, ..world_manifest(&memory) };
    manifest.write(&memory).expect("nothing fails");
    LogWriter::create(Arc::new(memory.clone()), &manifest, 0, 2, OPTIONS).expect("nothing fails");
    let again = look(&memory, Mode::Normal).expect("a new segment took over");
    assert_eq!((again.logs[0].next_lsn, again.reports.len()), (2, 0), "{:?}", again.reports);
}

#[test]
fn errors_name_file_offset_and_reason() {
    let header = |change: fn(&mut crate::log::segment::Header)| {
        move |dir: &MemoryDir, name: &str, mut bytes: Vec<u8>| {
            let mut header = crate::log::segment::Header::decode(&bytes).expect("a header");
            change(&mut header);
            bytes[..56].copy_from_slice(&header.encode());
            dir.put(name, &bytes);
        }
    };
    let byte = |at: usize, value: u8| {
        move |dir: &MemoryDir, name: &str, mut bytes: Vec<u8>| {
            bytes[at] = value;
            dir.put(name, &bytes);
        }
    };
    check_second(byte(0, b'k'), " at offset 0: not a log segment of Kora");
    check_second(byte(8, 2), " at offset 8: version 2 is unknown; this Kora reads version 1");
    check_second(
        header(|header| header.shard = 3),
        " at offset 0: the header is that of log-0003-0000000000000002.wal",
    );
    check_second(
        header(|header| header.first_lsn = 7),
        " at offset 0: the header is that of log-0000-0000000000000007.wal",
    );
    check_second(header(|header| header.directory ^= 1), " at offset 0: the segment belongs to another data directory");
    let shards = " at offset 0: the segment is of a directory of 4 shards, the manifest has 1";
    check_second(header(|header| header.shards = 4), shards);
    let later = " at offset 0: the segment is of incarnation 2, the manifest knows 1 at most";
    check_second(header(|header| header.incarnation = 2), later);
    check_second(byte(100, 0xff), " at offset 56: record 2 is damaged, though it was on disk once");
    let missing = " is missing: shard 0 has no log from record 2 on";
    check_second(|dir, name, _| dir.remove(name).expect("it is there"), missing);
}

#[test]
fn a_log_that_should_be_there_is_missed() {
    let memory = MemoryDir::new();
    let manifest = Manifest { has_log: true, first_lsns: vec![5], ..manifest(1) };
    manifest.write(&memory).expect("nothing fails");
    let error = look(&memory, Mode::Normal).expect_err("nothing is there").to_string();
    assert_eq!(error, "memory/log-0000-0000000000000005.wal is missing: shard 0 has no log from record 5 on");
    let salvaged = look(&memory, Mode::Salvage).expect("damage is met");
    assert_eq!(salvaged.logs[0].next_lsn, 5);
    Manifest { has_log: false, ..manifest }.write(&memory).expect("nothing fails");
    assert_eq!(look(&memory, Mode::Normal).expect("there is none").logs[0].next_lsn, 5);
}

#[test]
fn the_mark_of_an_end_does_not_end_the_log_that_goes_on() {
    let memory = MemoryDir::new();
    let mut world = World::new(Arc::new(memory.clone()), 2);
    world.txn(&[0, 1]);
    world.append(0).expect("nothing fails");
    world.writers[0].finish().expect("nothing fails");
    // The mark may say more than the batches before it.
    let mut bytes = memory.content(SEGMENT).expect("it is there");
    let seed = Header::decode(&bytes).expect("a header").seed();
    let mark_at = bytes.len() - BATCH_HEADER_BYTES;
    let mut mark = BatchHeader::decode(seed, &bytes[mark_at..]).expect("a mark");
    assert_eq!((mark.count, mark.first_lsn, mark.settled_lsn), (0, 2, 0));
    mark.settled_lsn = 1;
    bytes[mark_at..].copy_from_slice(&mark.encode(seed));
    memory.put(SEGMENT, &bytes);
    world.reopen(&memory);
    world.plain(0);
    world.append(0).expect("nothing fails");
    world.sync(0).expect("nothing fails");
    let found = look(&memory, Mode::Normal).expect("nothing is damaged");
    world.check(&memory, &world.manifest, &found);
    assert_eq!((found.logs[0].next_lsn, found.cut_records, found.skipped_records), (3, 0, 1));
}

#[test]
fn looking_changes_nothing() {
    let (memory, _) = small(false);
    memory.kill();
    let calls = |call| memory.calls(call);
    let count = || [Call::SyncAll, Call::SyncData, Call::SyncDir, Call::WriteAt, Call::Create, Call::Remove].map(calls);
    let before = count();
    look(&memory, Mode::Inspect).expect("nothing is damaged");
    assert_eq!(count(), before);
    look(&memory, Mode::Normal).expect("nothing is damaged");
    assert_ne!(count(), before, "recovery syncs what it found");
}

#[test]
fn the_header_of_an_empty_segment_tells_what_was_on_disk() {
    let memory = MemoryDir::new();
    let mut world = World::new(Arc::new(memory.clone()), 1);
    world.plain(0);
    world.append(0).expect("nothing fails");
    world.sync(0).expect("nothing fails");
    world.writers[0].rotate().expect("nothing fails");
    let mut bytes = memory.content(SEGMENT).expect("it is there");
    bytes[80] ^= 1;
    memory.put(SEGMENT, &bytes);
    let error = look(&memory, Mode::Normal).expect_err("it was on disk").to_string();
    assert_eq!(error, format!("memory/{SEGMENT} at offset 56: record 1 is damaged, though it was on disk once"));
}

#[test]
fn a_batch_tells_what_was_on_disk_though_its_segment_has_lost_its_header() {
    let memory = MemoryDir::new();
    let mut world = World::new(Arc::new(memory.clone()), 1);
    let name = "log-0000-0000000000000002.wal";
    let write = |world: &mut World| {
        world.plain(0);
        world.append(0).expect("nothing fails");
    };
    let headless = || {
        let copy = memory.copy();
        let mut bytes = memory.content(name).expect("it is there");
        bytes[..56].fill(0);
        copy.put(name, &bytes);
        copy
    };
    write(&mut world);
    world.sync(0).expect("nothing fails");
    world.writers[0].rotate().expect("nothing fails");
    write(&mut world);
    // So far the segment may have been in the making when power failed.
    let found = look(&headless(), Mode::Normal).expect("a torn tail");
    assert_eq!((found.logs[0].next_lsn, found.reports.len()), (2, 1), "{:?}", found.reports);
    world.sync(0).expect("nothing fails");
    write(&mut world);
    let error = look(&headless(), Mode::Normal).expect_err("it was on disk").to_string();
    assert_eq!(error, format!("memory/{name} at offset 0: the header of the segment is missing"));
}
