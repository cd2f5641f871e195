//! Files that are missing, damaged, of others, or that lie: each is refused with its text and left as it is.
//!
//! Start at [`check`].

use std::time::{Duration, Instant};

use kora_runtime::table::CommandId;
use kora_storage::log::{LogOptions, LogWriter, record, segment_name};
use kora_storage::manifest::{self, Manifest, snapshot_name};
use kora_storage::recovery::{Mode, recover};

use crate::stage::{Place, Setup};

/// A directory of two shards with a snapshot and, behind it, logs of several segments.
fn made() -> Place {
    let place = Place::new();
    let setup = Setup::new(2);
    let life = setup.open(&place);
    for at in 0..20 {
        life.ok(&format!("SET snapshot{at} {at}"));
    }
    life.snapshot();
    // Each write is on disk before the next, so that what is behind a gap says so.
    life.ok("CONFIG SET appendfsync always");
    let value = "v".repeat(2000);
    for at in 0..200 {
        life.ok(&format!("SET log{at} {value}"));
    }
    life.end();
    // What a start removes is gone.
    setup.open(&place).end();
    let segments = [place.names("log-0000", ""), place.names("log-0001", "")];
    assert!(segments.iter().all(|names| names.len() >= 3), "{segments:?}");
    place
}

/// Breaks a copy of the directory: it must be refused with this text, and be left as it is.
#[track_caller]
fn check(place: &Place, what: impl FnOnce(&Place), expected: &str) {
    let broken = place.copy();
    what(&broken);
    let before = broken.files();
    let begun = Instant::now();
    assert_eq!(Setup::new(2).refusal(&broken), expected);
    assert!(begun.elapsed() < Duration::from_secs(5), "{expected}: only after {:?}", begun.elapsed());
    let after = broken.files();
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>(), "{expected}");
    assert!(after == before, "{expected}: a file was changed");
    // Nothing was taken that would be in the way of another try.
    assert_eq!(Setup::new(2).refusal(&broken), expected);
}

/// Changes one byte.
fn flip(place: &Place, name: &str, at: usize) {
    let mut bytes = place.read(name);
    bytes[at] ^= 0x10;
    place.write(name, &bytes);
}

fn set(place: &Place, name: &str, at: usize, byte: u8) {
    let mut bytes = place.read(name);
    bytes[at] = byte;
    place.write(name, &bytes);
}

fn manifest_of(place: &Place) -> Manifest {
    Manifest::read(&*place.dir()).expect("a manifest").expect("it is there")
}

#[test]
fn missing_files_are_named() {
    let place = made();
    let manifest = manifest_of(&place);
    let lsn = manifest.first_lsns[1];
    let segments = place.names("log-0001", "");
    check(
        &place,
        |place| place.names("log-0001", "").iter().for_each(|name| place.remove(name)),
        &format!("DIR/{} is missing: shard 1 has no log from record {lsn} on", segment_name(1, lsn)),
    );
    check(
        &place,
        |place| place.remove(&segments[0]),
        &format!("DIR/{} is missing: shard 1 has no log from record {lsn} on", segment_name(1, lsn)),
    );
    check(
        &place,
        |place| place.remove(&segments[1]),
        &format!(
            "DIR/{} is missing: shard 1 has no log from record {} on",
            segments[1],
            u64::from_str_radix(&segments[1][9..25], 16).expect("a number")
        ),
    );
    let dump = snapshot_name(manifest.generation, 1);
    check(&place, |place| place.remove(&dump), &format!("DIR/{dump} is missing, which the manifest names"));
}

#[test]
fn damaged_snapshots_are_refused() {
    let place = made();
    let dump = snapshot_name(manifest_of(&place).generation, 1);
    let whole = place.read(&dump);
    let len = whole.len();
    check(&place, |place| place.write(&dump, b""), &format!("DIR/{dump} at offset 0: not an RDB file"));
    check(
        &place,
        |place| place.write(&dump, &whole[..len - 1]),
        &format!("DIR/{dump} at offset {}: the bytes end in the middle of something", len - 8),
    );
    check(
        &place,
        |place| place.write(&dump, &whole[..len - 9]),
        &format!("DIR/{dump} at offset {}: the bytes end in the middle of something", len - 9),
    );
    check(
        &place,
        |place| place.write(&dump, &[b"REDIS0099", &whole[9..]].concat()),
        &format!("DIR/{dump} at offset 5: RDB version 99 is not known; versions 1 to 11 are"),
    );
    // A bit of a value, which only the checksum can tell.
    let at = whole.windows(8).position(|bytes| bytes == b"snapshot").expect("a key");
    let broken = place.copy();
    flip(&broken, &dump, at + 1);
    let text = Setup::new(2).refusal(&broken);
    assert!(text.starts_with(&format!("DIR/{dump} at offset {}: the checksum is 0x", len - 8)), "{text}");
}

#[test]
fn damaged_manifests_are_refused() {
    let place = made();
    let name = manifest::FILE_NAME;
    let len = place.read(name).len();
    check(
        &place,
        |place| set(place, name, 8, 9),
        "DIR/kora.manifest at offset 8: version 9 is unknown; this Kora reads versions 1 to 3",
    );
    check(&place, |place| flip(place, name, 0), "DIR/kora.manifest at offset 0: not a manifest of Kora");
    check(
        &place,
        |place| place.write(name, &place.read(name)[..len - 1]),
        &format!("DIR/kora.manifest at offset {}: the file ends here, {len} bytes were expected", len - 1),
    );
    check(
        &place,
        |place| place.write(name, &[&place.read(name)[..], b"x"].concat()),
        &format!("DIR/kora.manifest at offset {len}: bytes follow the end of the manifest"),
    );
    let broken = place.copy();
    flip(&broken, name, 64);
    let text = Setup::new(2).refusal(&broken);
    assert!(text.starts_with(&format!("DIR/kora.manifest at offset {}: the checksum is 0x", len - 4)), "{text}");
}

#[test]
fn damaged_logs_are_refused() {
    let place = made();
    let segments = place.names("log-0001", "");
    let first = &segments[0];
    check(&place, |place| flip(place, first, 0), &format!("DIR/{first} at offset 0: not a log segment of Kora"));
    check(
        &place,
        |place| set(place, first, 8, 2),
        &format!("DIR/{first} at offset 8: version 2 is unknown; this Kora reads version 1"),
    );
    let middle = &segments[1];
    let lsn = u64::from_str_radix(&middle[9..25], 16).expect("a number");
    check(
        &place,
        |place| flip(place, middle, 56 + 40),
        &format!("DIR/{middle} at offset 56: record {lsn} is damaged, though it was on disk once"),
    );
    check(
        &place,
        |place| place.write(middle, &place.read(middle)[..56]),
        &format!("DIR/{middle} at offset 56: record {lsn} is damaged, though it was on disk once"),
    );
    check(
        &place,
        |place| place.write(middle, &place.read(&place.names("log-0000", "")[1])),
        &format!("DIR/{middle} at offset 0: the header is that of {}", place.names("log-0000", "")[1]),
    );
    let other = made();
    let stranger = other.names("log-0001", "")[0].clone();
    check(
        &place,
        |place| place.write(first, &[other.read(&stranger), Vec::new()].concat()),
        &if stranger == *first {
            format!("DIR/{first} at offset 0: the segment belongs to another data directory")
        } else {
            format!("DIR/{first} at offset 0: the header is that of {stranger}")
        },
    );
    // A manifest that is older than the logs.
    let youngest = place.names("log-0000", "").pop().expect("a segment");
    let mut past = manifest_of(&place);
    let newest = past.incarnation;
    past.incarnation = 1;
    check(
        &place,
        |place| past.write(&*place.dir()).expect("a writable directory"),
        &format!("DIR/{youngest} at offset 0: the segment is of incarnation {newest}, the manifest knows 1 at most"),
    );
}

#[test]
fn what_salvage_keeps_is_the_valid_beginning() {
    let place = made();
    let middle = place.names("log-0001", "")[1].clone();
    let lsn = u64::from_str_radix(&middle[9..25], 16).expect("a number");
    flip(&place, &middle, 56 + 40);
    let refused = Setup::new(2).refusal(&place);
    let mut setup = Setup::new(2);
    setup.salvage = true;
    let life = setup.open(&place);
    let kept = life.contents();
    assert!((20..220).contains(&kept.len()), "{}", kept.len());
    assert!((0..20).all(|at| kept.contains_key(&format!("0/snapshot{at}"))));
    // Of the whole shard 0 and of shard 1 up to the damage everything is there.
    let logged: Vec<bool> = (0..200).map(|at| kept.contains_key(&format!("0/log{at}"))).collect();
    let lost = logged.iter().filter(|there| !**there).count();
    let first_lost = logged.iter().position(|there| !there).expect("something is lost");
    assert!(lost > 10 && first_lost > 5, "{lost} from {first_lost} on");
    let reports: Vec<String> =
        life.store.facts().recovery_reports.iter().map(|report| place.anonymous(report)).collect();
    assert_eq!(reports, [format!("shard 1: {refused}; what follows from record {lsn} on is given up")]);
    life.ok("SET new 1");
    let all = life.contents();
    life.end();
    // The second start needs no salvage and has nothing to say.
    let life = Setup::new(2).open(&place);
    assert_eq!(life.store.facts().recovery_reports, [""; 0]);
    assert_eq!(life.contents(), all);
    life.end();
}

/// Appends records to the log of shard 0, each in a batch of its own.
fn append(place: &Place, records: &[u8]) {
    let dir = place.dir();
    let mut manifest = manifest_of(place);
    let next_lsn = recover(&*dir, &manifest, Mode::Normal).expect("sound logs").logs[0].next_lsn;
    manifest.incarnation += 1;
    manifest.write(&*dir).expect("a writable directory");
    let mut writer = LogWriter::create(dir, &manifest, 0, next_lsn, LogOptions::default()).expect("a new segment");
    writer.append(records, 1, next_lsn - 1).expect("room");
    writer.finish().expect("room");
}

/// A record with this payload.
fn plain(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    record::write_plain(&mut out, payload);
    out
}

/// An entry: database, command number, number of words, lengths, words.
fn entry(db: u8, number: u16, argc: u32, lengths: &[u32], words: &[u8]) -> Vec<u8> {
    let mut out = vec![db];
    out.extend(number.to_le_bytes());
    out.extend(argc.to_le_bytes());
    lengths.iter().for_each(|length| out.extend(length.to_le_bytes()));
    out.extend(words);
    out
}

#[test]
fn records_that_mean_nothing_are_refused() {
    let place = Place::new();
    let setup = Setup::new(2);
    let life = setup.open(&place);
    life.ok("SET a 1");
    let key = life.key_on(0, "k");
    life.end();
    let lsn = recover(&*place.dir(), &manifest_of(&place), Mode::Inspect).expect("sound logs").logs[0].next_lsn;
    let at = format!("record {lsn} of shard 0's log: entry 0 of the record");
    let set = CommandId::Set.number();
    let good = entry(0, set, 2, &[1, 1], b"kv");
    let second = [good.clone(), entry(16, set, 2, &[1, 1], b"kv")].concat();
    let cases: [(Vec<u8>, String); 10] = [
        (
            entry(0, 65_535, 2, &[1, 1], b"kv"),
            format!("{at} is command number 65535, which this version does not know"),
        ),
        (entry(0, CommandId::Ping.number(), 0, &[], b""), format!("{at} is ping, which is never logged")),
        (entry(0, set, 3, &[1, 1, 1], b"kvx"), format!("{at}, set, was refused: ERR syntax error")),
        (entry(16, set, 2, &[1, 1], b"kv"), format!("{at} does not fit into it")),
        (entry(0, set, 2, &[1, 100], b"kv"), format!("{at} does not fit into it")),
        (entry(0, set, u32::MAX, &[1, 1], b"kv"), format!("{at} does not fit into it")),
        (entry(0, set, 2, &[u32::MAX, u32::MAX], b"kv"), format!("{at} does not fit into it")),
        (vec![0], format!("{at} does not fit into it")),
        (second, format!("record {lsn} of shard 0's log: entry 1 of the record does not fit into it")),
        (
            entry(0, set, 0, &[], b""),
            format!("{at}, set, was refused: ERR wrong number of arguments for 'set' command"),
        ),
    ];
    for (payload, expected) in cases {
        check(&place, |place| append(place, &plain(&payload)), &expected);
    }
    // The record itself lies about its length, or its participants.
    let name = segment_name(0, lsn);
    let unknown = format!("DIR/{name} at offset 56: a batch without damage holds records that this Kora does not know");
    let mut long = plain(&good);
    long[..4].copy_from_slice(&u32::MAX.to_le_bytes());
    check(&place, |place| append(place, &long), &unknown);
    let mut short = plain(&good);
    short[0] -= 1;
    check(&place, |place| append(place, &short), &unknown);
    let mut several = Vec::new();
    record::write_txn(&mut several, 7, &[0, 9], &good);
    check(&place, |place| append(place, &several), &unknown);
    let mut kind = plain(&good);
    kind[4] = 0x80;
    check(&place, |place| append(place, &kind), &unknown);
    let whole = place.copy();
    append(&whole, &plain(&entry(0, set, 2, &[key.len() as u32, 1], format!("{key}v").as_bytes())));
    let life = setup.open(&whole);
    assert_eq!(life.say(&format!("GET {key}")), "v", "a good one is taken");
    life.end();
}

/// CRC-32C going on from another.
fn crc32c(seed: u32, bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(!seed, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// Address space of the process, in bytes: the most that it ever had.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:")).expect("it is there");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

#[test]
fn lengths_that_lie_are_refused_before_anything_is_allocated() {
    let place = Place::new();
    let setup = Setup::new(2);
    let life = setup.open(&place);
    let key = life.key_on(0, "k");
    life.ok(&format!("SET {key} 1"));
    life.snapshot();
    life.ok(&format!("SET {key} 2"));
    life.end();
    // Once, so that threads and arenas are there.
    setup.open(&place).end();
    let before = peak_bytes();

    // The header of a batch, with a checksum that is right: it was never on disk as a whole.
    let name = place.names("log-0000", "").pop().expect("a segment");
    for length in [u32::MAX, 1 << 30] {
        let torn = place.copy();
        let mut bytes = torn.read(&name);
        let lsn = u64::from_str_radix(&name[9..25], 16).expect("a number");
        bytes.truncate(56);
        let seed = crc32c(0, &bytes[..40]);
        let mut batch = Vec::new();
        batch.extend(length.to_le_bytes());
        batch.extend(1_u32.to_le_bytes());
        batch.extend(lsn.to_le_bytes());
        batch.extend((lsn - 1).to_le_bytes());
        batch.extend(0_u64.to_le_bytes());
        batch.extend(7_u32.to_le_bytes());
        batch.extend(crc32c(seed, &batch).to_le_bytes());
        bytes.extend(batch);
        bytes.extend([1; 100]);
        torn.write(&name, &bytes);
        let life = setup.open(&torn);
        let reports = life.store.facts().recovery_reports;
        let expected =
            format!("DIR/{name} at offset 56: the log ends with a torn write of 140 bytes; record {lsn} is the next");
        assert_eq!(reports.iter().map(|report| torn.anonymous(report)).collect::<Vec<_>>(), [expected]);
        life.end();
    }

    // A string of 100 GB in a snapshot, and as many elements.
    let dump = snapshot_name(manifest_of(&place).generation, 0);
    let hundred = [&[0x81][..], &100_000_000_000_u64.to_be_bytes()].concat();
    let head = b"REDIS0010\xfe\x00";
    let string = [&head[..], b"\x00\x01k", &hundred, b"abc"].concat();
    check(
        &place,
        |place| place.write(&dump, &string),
        &format!("DIR/{dump} at offset 23: a string of 100000000000 bytes, at most 2147483648 are read"),
    );
    for (kind, name) in [(1_u8, "list"), (2, "set"), (4, "hash"), (5, "zset")] {
        let lie = [&head[..], &[kind], b"\x01k", &hundred, b"\x01a\x01b"].concat();
        let broken = place.copy();
        broken.write(&dump, &lie);
        let text = setup.refusal(&broken);
        assert!(text.starts_with(&format!("DIR/{dump} at offset ")), "{name}: {text}");
        assert!(text.ends_with("the bytes end in the middle of something"), "{name}: {text}");
    }
    let sizes = [&head[..], b"\xfb", &hundred, &hundred, b"\x00\x01k\x01v\xff", &[0; 8]].concat();
    let hinted = place.copy();
    hinted.write(&dump, &sizes);
    hinted.names("log-0000", "");
    setup.open(&hinted).end();
    let grown = peak_bytes() - before;
    assert!(grown < 1 << 30, "{grown} bytes of address space were taken");
}

#[test]
fn directories_that_cannot_be_used_are_refused() {
    let place = Place::new();
    let life = Setup::new(2).open(&place);
    life.ok("SET k v");
    let text = Setup::new(2).refusal(&place);
    assert_eq!(text, format!("the data directory DIR is in use by process {}", std::process::id()));
    assert_eq!(life.say("GET k"), "v");
    life.end();

    let outer = Place::new();
    outer.write("file", b"something else");
    let file = outer.path().join("file");
    let options = kora_ext::Options { shards: 1, directory: Some(file.clone()), ..kora_ext::Options::default() };
    let error = kora_ext::Database::open(options).expect_err("it is no directory").to_string();
    assert_eq!(outer.anonymous(&error), "cannot create DIR/file: File exists (os error 17)");
    assert_eq!(outer.read("file"), b"something else");
}

#[test]
fn a_read_only_directory_is_refused() {
    let place = made();
    let before = place.files();
    let opened = Setup::new(2).try_open(&place, |disk| disk.gate.set_read_only(true));
    let text = place.anonymous(&opened.expect_err("nothing can be written"));
    assert_eq!(text, "cannot create DIR/kora.manifest.new: read-only filesystem or storage medium");
    assert!(place.files() == before, "a file was changed");

    // A superuser may write anywhere.
    let closed = Place::new();
    let set_mode = |mode| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(closed.path(), std::fs::Permissions::from_mode(mode)).expect("our own directory");
    };
    set_mode(0o555);
    let is_closed = std::fs::write(closed.path().join("probe"), "").is_err();
    if is_closed {
        assert_eq!(Setup::new(2).refusal(&closed), "cannot open DIR/kora.lock: Permission denied (os error 13)");
    }
    set_mode(0o755);
}
