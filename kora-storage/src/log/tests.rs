//! The log against its golden file, and what the writer promises beyond what recovery shows.

use std::sync::Arc;

use super::record::{write_plain, write_txn};
use super::segment::{BatchHeader, HEADER_BYTES, Header};
use super::*;
use crate::dir::{Call, Dir, FailingDir, Fault, MemoryDir};
use crate::manifest::{Manifest, check_drawing};

const GOLDEN: &[u8] = include_bytes!("../../tests/golden/segment-v1.bin");
const OPTIONS: LogOptions = LogOptions { segment_bytes: 4096, zero_ahead_bytes: 1024 };

/// That of the golden manifest.
fn manifest() -> Manifest {
    Manifest {
        shards: 8,
        routing_seeds: [0x0101_0101_0101_0101, 0x0202_0202_0202_0202, 0x0303_0303_0303_0303, 0x0404_0404_0404_0404],
        fingerprint: 0,
        locality: String::new(),
        pinned_databases: 0,
        incarnation: 5,
        generation: 0,
        has_log: true,
        first_lsns: vec![1; 8],
    }
}

fn writer(dir: &impl Fn() -> Arc<dyn Dir>, next_lsn: u64) -> LogWriter {
    LogWriter::create(dir(), &manifest(), 1, next_lsn, OPTIONS).expect("nothing fails")
}

fn memory() -> (MemoryDir, impl Fn() -> Arc<dyn Dir>) {
    let memory = MemoryDir::new();
    let same = memory.clone();
    (memory, move || Arc::new(same.clone()) as Arc<dyn Dir>)
}

fn plain(bytes: usize) -> Vec<u8> {
    let mut records = Vec::new();
    write_plain(&mut records, &vec![b'r'; bytes]);
    records
}

/// Appends one record, with everything before it settled.
fn append(writer: &mut LogWriter, bytes: usize) -> Result<(), LogError> {
    writer.append(&plain(bytes), 1, writer.next_lsn() - 1)
}

fn run_sync(writer: &mut LogWriter) -> u64 {
    let lsn = writer.sync_job().expect("something is to be synced").run().expect("nothing fails");
    writer.synced(lsn);
    lsn
}

fn run_prepare(writer: &mut LogWriter) -> bool {
    let Some(job) = writer.prepare_job() else { return false };
    job.run().expect("nothing fails");
    writer.prepared(job);
    true
}

fn segments(memory: &MemoryDir) -> Vec<u64> {
    let names = memory.list().expect("nothing fails");
    segments_of(&names, 1).into_iter().map(|(lsn, _)| lsn).collect()
}

#[test]
fn version_1_is_the_golden_file() {
    check_drawing("<!-- segment-v1.bin -->", GOLDEN);
    let (memory, dir) = memory();
    let mut writer = writer(&dir, 2);
    let mut records = Vec::new();
    write_plain(&mut records, b"ab");
    write_txn(&mut records, 7, &[1, 3], b"c");
    writer.append(&records, 2, 1).expect("nothing fails");
    let mut records = Vec::new();
    write_plain(&mut records, b"d");
    writer.append(&records, 1, 3).expect("nothing fails");
    writer.finish().expect("nothing fails");
    assert_eq!(memory.content(&segment_name(1, 2)).expect("it is there"), GOLDEN);

    let summary = inspect(&*dir()).expect("nothing fails").remove(0);
    let expected = SegmentSummary {
        name: "log-0001-0000000000000002.wal".to_owned(),
        file_bytes: GOLDEN.len() as u64,
        bytes: GOLDEN.len() as u64,
        shard: 1,
        incarnation: 5,
        first_lsn: 2,
        end_lsn: 5,
        batches: 2,
        records: 3,
        transactions: 1,
        is_closed: true,
        problem: None,
    };
    assert_eq!(summary, expected);
}

#[test]
fn a_batch_that_settles_itself_is_none() {
    let (memory, _) = memory();
    let (name, mut bytes) = (segment_name(1, 2), GOLDEN.to_vec());
    let (seed, second) = (Header::decode(&bytes).expect("a header").seed(), 0x80);
    let mut batch = BatchHeader::decode(seed, &bytes[second..]).expect("a batch");
    for (settled_lsn, records) in [(3, 3), (4, 2), (u64::MAX, 2)] {
        batch.settled_lsn = settled_lsn;
        let changed = batch.encode(seed);
        bytes[second..second + changed.len()].copy_from_slice(&changed);
        memory.put(&name, &bytes);
        assert_eq!(inspect(&memory).expect("nothing fails")[0].records, records, "{settled_lsn}");
    }
}

#[test]
fn names_are_read_back_and_others_are_not() {
    assert_eq!(segment_name(12, 0xabc), "log-0012-0000000000000abc.wal");
    assert_eq!(parse_segment_name("log-0012-0000000000000abc.wal"), Some((12, 0xabc)));
    let others = ["log-12-0000000000000abc.wal", "log-0012-0000000000000ABC.wal", "log-0012-abc.wal"];
    let more = ["log-0012-0000000000000abc.wal.tmp", "log-+012-0000000000000abc.wal", "log-99999-0000000000000abc.wal"];
    for name in others.into_iter().chain(more) {
        assert_eq!(parse_segment_name(name), None, "{name}");
    }
}

#[test]
fn what_is_settled_was_written_and_stays_settled() {
    let (memory, dir) = memory();
    let mut writer = writer(&dir, 3);
    for settled_lsn in [2, 2, 4] {
        writer.append(&plain(0), 1, settled_lsn).expect("nothing fails");
    }
    for wrong in [6, 3] {
        let (_, dir) = self::memory();
        let mut writer = self::writer(&dir, 3);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            [2, 3, 4, wrong].map(|settled_lsn| writer.append(&plain(0), 1, settled_lsn).is_ok())
        }));
        assert!(outcome.is_err(), "{wrong}");
    }
    writer.finish().expect("nothing fails");
    let bytes = memory.content(&segment_name(1, 3)).expect("it is there");
    // Each batch is 48 bytes long.
    let said = [0, 1, 2, 3].map(|batch| bytes[56 + 48 * batch + 24]);
    assert_eq!(said, [2, 2, 4, 4], "the mark repeats what was said last");
}

#[test]
fn an_append_is_one_write() {
    let (memory, dir) = memory();
    let mut writer = writer(&dir, 1);
    let before = memory.all_calls();
    for _ in 0..10 {
        append(&mut writer, 100).expect("nothing fails");
    }
    assert_eq!((memory.all_calls() - before, writer.next_lsn()), (10, 11));
    assert_eq!(run_sync(&mut writer), 10);
    assert!(writer.sync_job().is_none(), "all is on disk");
}

#[test]
fn a_segment_that_is_full_is_followed_by_another() {
    let (memory, dir) = memory();
    let mut writer = writer(&dir, 1);
    let before = writer.bytes();
    for _ in 0..5 {
        append(&mut writer, 1800).expect("nothing fails");
    }
    assert_eq!(segments(&memory), [1, 3, 5]);
    assert!(writer.bytes() > before + 5 * 1800);
    // The sync takes those left behind with it, and their names.
    assert_eq!(run_sync(&mut writer), 5);
    let copy = memory.copy();
    copy.crash_losing_all();
    let summaries = inspect(&copy).expect("nothing fails");
    assert_eq!(summaries.iter().map(|summary| summary.records).collect::<Vec<_>>(), [2, 2, 1]);
    // A batch that is longer than a segment has one of its own.
    append(&mut writer, 9000).expect("nothing fails");
    append(&mut writer, 10).expect("nothing fails");
    assert_eq!(segments(&memory), [1, 3, 5, 6, 7]);
}

#[test]
fn retired_segments_go_once_the_next_has_a_name_on_disk() {
    let (memory, dir) = memory();
    let mut writer = writer(&dir, 1);
    for lsn in 1..=3 {
        append(&mut writer, 10).expect("nothing fails");
        writer.rotate().expect("nothing fails");
        writer.rotate().expect("an empty one stays");
        assert_eq!(writer.next_lsn(), lsn + 1);
    }
    assert_eq!(segments(&memory), [1, 2, 3, 4]);
    assert_eq!(writer.retire(3).expect("nothing fails"), 0, "no name but the first is on disk");
    assert_eq!(run_sync(&mut writer), 3);
    assert_eq!(writer.retire(3).expect("nothing fails"), 2);
    assert_eq!(segments(&memory), [3, 4]);
    // The last one is in use, whatever is asked for.
    assert_eq!(writer.retire(100).expect("nothing fails"), 1);
    assert_eq!((segments(&memory), writer.bytes()), (vec![4], HEADER_BYTES as u64));
    assert!(writer.sync_job().is_none());
}

#[test]
fn a_log_that_goes_on_takes_over_what_is_behind_it() {
    let (memory, dir) = memory();
    let mut first = writer(&dir, 1);
    for _ in 0..4 {
        append(&mut first, 10).expect("nothing fails");
        first.rotate().expect("nothing fails");
    }
    let second = LogWriter::create(dir(), &Manifest { incarnation: 6, ..manifest() }, 1, 3, OPTIONS);
    let second = second.expect("nothing fails");
    assert_eq!(segments(&memory), [1, 2, 3]);
    let summaries = inspect(&memory).expect("nothing fails");
    assert_eq!(
        summaries.iter().map(|summary| (summary.incarnation, summary.records)).collect::<Vec<_>>(),
        [(5, 1), (5, 1), (6, 0)]
    );
    assert!(second.bytes() > 2 * 50);
}

#[test]
fn room_is_made_ahead_and_given_back() {
    let (memory, dir) = memory();
    let mut writer = writer(&dir, 1);
    let length = |name: &str| memory.content(name).map_or(0, |content| content.len());
    let name = segment_name(1, 1);
    assert_eq!((length(&name), writer.remaining_prepared()), (1024, 1024 - 56));
    assert!(writer.prepare_job().is_none(), "there is enough");
    // With room ahead, an append does not lengthen the file.
    while run_prepare(&mut writer) || length(&name) < 4096 {
        let before = (length(&name), writer.remaining_prepared());
        append(&mut writer, 100).expect("nothing fails");
        assert_eq!(length(&name), before.0);
        assert_eq!(writer.remaining_prepared(), before.1 - 152);
    }
    // Near the end of a segment the next one is made.
    while !writer.prepare_job().is_some_and(|job| {
        job.run().expect("nothing fails");
        writer.prepared(job);
        true
    }) {
        append(&mut writer, 100).expect("nothing fails");
    }
    assert!(memory.list().expect("nothing fails").iter().any(|name| name.ends_with(TEMPORARY_SUFFIX)));
    let creates = memory.calls(Call::Create);
    while segments(&memory).len() == 1 {
        append(&mut writer, 100).expect("nothing fails");
    }
    assert_eq!((memory.calls(Call::Create), writer.remaining_prepared()), (creates, 1024 - 56 - 152));
    writer.finish().expect("nothing fails");
    assert_eq!(
        memory.content(&segment_name(1, segments(&memory)[1])).map(|content| content.len()),
        Some(56 + 152 + 40)
    );
}

#[test]
fn the_log_stays_out_of_a_chunk_that_is_being_zeroed() {
    // A job that was begun and has not run yet is stopped: the log goes where it likes.
    let (memory, dir) = memory();
    let mut first = writer(&dir, 1);
    append(&mut first, 800).expect("nothing fails");
    let job = first.prepare_job().expect("room is short");
    for _ in 0..2 {
        append(&mut first, 800).expect("nothing fails");
    }
    job.run().expect("it has nothing to do");
    first.prepared(job);
    assert_eq!(segments(&memory), [1]);
    assert_eq!(inspect(&memory).expect("nothing fails")[0].records, 3);

    // One that stopped half-way in a chunk is evaded by a new segment.
    let memory = MemoryDir::new();
    let failing = FailingDir::new(Arc::new(memory.clone()));
    let mut second = LogWriter::create(Arc::new(failing.clone()), &manifest(), 1, 1, OPTIONS).expect("nothing fails");
    append(&mut second, 800).expect("nothing fails");
    let job = second.prepare_job().expect("room is short");
    failing.fail_nth(Some(Call::WriteAt), 0, Fault::Full);
    job.run().expect_err("the disk is full");
    failing.lift();
    append(&mut second, 800).expect("nothing fails");
    second.prepared(job);
    assert_eq!(segments(&memory), [1, 2]);
    // So is an empty segment of the same name.
    let mut third = LogWriter::create(Arc::new(failing.clone()), &manifest(), 1, 9, OPTIONS).expect("nothing fails");
    append(&mut third, 800).expect("nothing fails");
    third.rotate().expect("nothing fails");
    assert_eq!(run_sync(&mut third), 9);
    let job = third.prepare_job().expect("room is short");
    failing.fail_nth(Some(Call::WriteAt), 0, Fault::Full);
    job.run().expect_err("the disk is full");
    failing.lift();
    append(&mut third, 800).expect("nothing fails");
    assert_eq!(run_sync(&mut third), 10);
    third.prepared(job);
    third.retire(100).expect("nothing fails");
    assert_eq!(segments(&memory), [10]);
    memory.crash_losing_all();
    let last = inspect(&memory).expect("nothing fails").pop().expect("it is there");
    assert_eq!((last.first_lsn, last.records), (10, 1));
}

#[test]
fn a_sync_that_fails_is_said() {
    let (memory, _) = memory();
    let failing = FailingDir::new(Arc::new(memory.clone()));
    let mut writer = LogWriter::create(Arc::new(failing.clone()), &manifest(), 1, 1, OPTIONS).expect("nothing fails");
    append(&mut writer, 10).expect("nothing fails");
    failing.fail_nth(Some(Call::SyncData), 0, Fault::Device);
    let job = writer.sync_job().expect("something is to be synced");
    job.run().expect_err("the device fails");
    failing.fail_nth(Some(Call::SyncData), 0, Fault::Interrupted);
    assert_eq!(job.run().expect("a signal is no failure"), 1);
}

#[test]
fn a_batch_that_is_too_long_is_refused() {
    let (memory, dir) = memory();
    let mut writer = writer(&dir, 1);
    let before = memory.all_calls();
    let error = writer.append(&vec![0; LOG_BATCH_BYTES_MAX + 1], 1, 0).expect_err("it is too long").to_string();
    assert_eq!(error, "a batch of 1073741825 bytes, at most 1073741824 can be written at once");
    assert_eq!((memory.all_calls(), writer.next_lsn()), (before, 1));
}

#[test]
fn a_directory_of_the_file_system_does_as_the_one_in_memory() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let real: Arc<dyn Dir> = Arc::new(crate::dir::RealDir::open(place.path()).expect("it was made"));
    let (_, dir) = memory();
    let [left, right] = [real, dir()].map(|dir| {
        let mut writer = LogWriter::create(dir.clone(), &manifest(), 1, 1, OPTIONS).expect("nothing fails");
        for lsn in 1..=30 {
            append(&mut writer, 300).expect("nothing fails");
            while run_prepare(&mut writer) {}
            if lsn % 4 == 0 {
                assert_eq!(run_sync(&mut writer), lsn);
            }
        }
        assert_eq!(writer.retire(15).expect("nothing fails"), 1);
        writer.finish().expect("nothing fails");
        inspect(&*dir).expect("nothing fails")
    });
    assert_eq!(left, right);
    assert_eq!(left.iter().map(|segment| segment.records).sum::<u64>(), 19);
}

#[test]
fn what_a_failed_append_left_is_gone_after_the_next() {
    let memory = MemoryDir::new();
    let failing = FailingDir::new(Arc::new(memory.clone()));
    let mut writer = LogWriter::create(Arc::new(failing.clone()), &manifest(), 1, 1, OPTIONS).expect("nothing fails");
    failing.fail_nth(Some(Call::WriteAt), 0, Fault::Full);
    let error = append(&mut writer, 800).expect_err("the disk is full");
    assert!(error.is_full() && writer.next_lsn() == 1, "{error}");
    failing.lift();
    append(&mut writer, 10).expect("there is room");
    let summary = inspect(&memory).expect("nothing fails").remove(0);
    assert_eq!((summary.records, summary.problem), (1, None));
}

#[test]
fn room_is_made_on_another_thread_while_the_log_goes_on() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let dir: Arc<dyn Dir> = Arc::new(crate::dir::RealDir::open(place.path()).expect("it was made"));
    let options = LogOptions { segment_bytes: 4 << 20, zero_ahead_bytes: 1 << 20 };
    let mut writer = LogWriter::create(dir.clone(), &manifest(), 1, 1, options).expect("nothing fails");
    let (send_job, jobs) = std::sync::mpsc::channel::<PrepareJob>();
    let (send_back, done) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for job in jobs {
                job.run().expect("nothing fails");
                send_back.send(job).expect("it is waited for");
            }
        });
        for lsn in 1..=6000_usize {
            append(&mut writer, lsn * 37 % 5000).expect("nothing fails");
            done.try_iter().for_each(|job| writer.prepared(job));
            if let Some(job) = writer.prepare_job() {
                send_job.send(job).expect("it is waited for");
            }
        }
        drop(send_job);
    });
    done.iter().for_each(|job| writer.prepared(job));
    let summaries = inspect(&*dir).expect("nothing fails");
    assert_eq!(summaries.iter().map(|summary| summary.records).sum::<u64>(), 6000);
    // Segments end in zeroes at most, whatever was zeroed when.
    assert!(summaries.iter().all(|summary| summary.problem.is_none()), "{summaries:?}");
}
