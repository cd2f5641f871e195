//! Large values that are changed while a snapshot is under way: who changes them waits, everyone else goes on, and the snapshot has what there was.

use kora_storage::rdb::{RdbFile, write};

use crate::argv::ArgvBuf;
use crate::limits;
use crate::shard::loading::{Expired, Progress};
use crate::shard::message::write_frame;
use crate::shard::saving::Slice;
use crate::table::CommandId;
use crate::testing::TestShard;

const FIELDS: usize = 5_000;
const SLICES_MAX: usize = 10_000;

/// A shard with large values of every kind, small ones, and a snapshot that has just begun.
fn saving() -> TestShard {
    let mut shard = TestShard::new();
    for chunk in (0..FIELDS).collect::<Vec<_>>().chunks(500) {
        let each = |word: &dyn Fn(usize) -> String| chunk.iter().map(|at| word(*at)).collect::<String>();
        shard.run(&format!("HSET hash{}", each(&|at| format!(" f{at} {at}"))));
        shard.run(&format!("RPUSH list{}", each(&|at| format!(" e{at}"))));
        shard.run(&format!("SADD set{}", each(&|at| format!(" m{at}"))));
        shard.run(&format!("ZADD zset{}", each(&|at| format!(" {at} m{at}"))));
    }
    for at in 0..3_000 {
        shard.run(&format!("SET small{at} {at}"));
    }
    shard.run("SETRANGE string 1000000 end");
    assert_eq!(shard.run("BGSAVE"), "+Background saving started");
    shard
}

/// Saves one slice.
fn slice(shard: &mut TestShard) -> Slice {
    shard.shard().save_slice()
}

/// The rest of the snapshot, loaded into a shard of its own.
fn finish(mut shard: TestShard) -> TestShard {
    assert!((0..SLICES_MAX).any(|_| slice(&mut shard) == Slice::Idle), "a snapshot ends");
    let pieces = shard.written();
    let longest = pieces.iter().map(Vec::len).max();
    assert!(longest <= Some(limits::SAVE_WRITE_BYTES + 2 * limits::SAVE_SLICE_BYTES), "a slice of {longest:?} bytes");
    let mut bytes = Vec::new();
    write::header(&mut bytes);
    bytes.extend(pieces.concat());
    write::end(&mut bytes, None);
    let mut loaded = TestShard::new();
    let mut file = RdbFile::of_bytes("the snapshot", &bytes).expect("it has a header");
    let mut progress = Progress::default();
    while loaded.shard().load_some(&mut file, &mut progress, Expired::Kept, 64).expect("it is whole") {}
    loaded
}

/// Sends a command that changes a large value, and lets the snapshot go on until it is answered. What it says, and after how many slices.
fn wait(shard: &mut TestShard, command: &str) -> (String, usize) {
    let client = shard.connect();
    let mut reply = shard.run_for(client, command);
    let mut slices = 0;
    while reply.is_empty() {
        assert_eq!(shard.run("SET other 1"), "+OK", "nobody else waits");
        assert_eq!(slice(shard), Slice::More, "{command} is answered before the snapshot is over");
        slices += 1;
        reply = shard.replies_of(client);
    }
    (reply, slices)
}

#[test]
fn who_changes_a_large_value_waits_until_the_snapshot_has_it() {
    for (command, reply, look, before) in [
        ("HSET hash f7 new", ":0", "HGET hash f7", "$1 7"),
        ("LSET list 7 new", "+OK", "LINDEX list 7", "$2 e7"),
        ("SREM set m7", ":1", "SISMEMBER set m7", ":1"),
        ("ZADD zset 1 m7", ":0", "ZSCORE zset m7", "$1 7"),
        ("APPEND string more", ":1000007", "STRLEN string", ":1000003"),
        ("DEL small1 hash small2", ":3", "HLEN hash", ":5000"),
        ("RENAME hash elsewhere", "+OK", "HLEN hash", ":5000"),
        ("PEXPIRE set 10", ":1", "PTTL set", ":-1"),
        ("LMOVE list list LEFT RIGHT", "$2 e0", "LINDEX list 0", "$2 e0"),
    ] {
        let mut shard = saving();
        let (got, slices) = wait(&mut shard, command);
        assert_eq!(got, reply, "{command}");
        assert!(slices > 0, "{command} waits");
        assert_ne!(shard.run(look), before, "{command}");
        assert_eq!(finish(shard).run(look), before, "{command}");
    }
}

#[test]
fn an_exec_waits_as_a_whole() {
    let mut shard = saving();
    shard.check(&[("MULTI", "+OK"), ("SET small1 new", "+QUEUED"), ("HSET hash f7 new", "+QUEUED")]);
    assert_eq!(shard.run("EXEC"), "");
    let client = shard.connect();
    assert_eq!(shard.run_for(client, "GET small1"), "", "it holds its other keys, too");
    let mut slices = 0;
    let mut read = String::new();
    while read.is_empty() {
        assert_eq!(slice(&mut shard), Slice::More);
        slices += 1;
        read = shard.replies_of(client);
    }
    assert_eq!(read, "$3 new");
    assert!(slices > 1, "{slices} slices");
    assert_eq!(shard.run("HGET hash f7"), "*2 +OK :0 $3 new", "its reply, and that of this");
    let mut saved = finish(shard);
    saved.check(&[("HGET hash f7", "$1 7"), ("GET small1", "$1 1")]);
}

#[test]
fn an_exec_from_another_shard_waits_too() {
    let mut shard = saving();
    let mut word = vec![0];
    let mut words = ArgvBuf::new();
    ["hash", "f7", "new"].iter().for_each(|text| words.push(text.as_bytes()));
    write_frame(&mut word, CommandId::Hset, words.as_argv());
    let mut batch = ArgvBuf::new();
    batch.push(b"unwatched");
    batch.push(&word);
    assert!(shard.shard().meets_any_intent(0, CommandId::Exec, batch.as_argv()));
    assert!(shard.shard().has_guards());
    let mut script = ArgvBuf::new();
    ["return 1", "1", "set"].iter().for_each(|text| script.push(text.as_bytes()));
    assert!(shard.shard().meets_any_intent(0, CommandId::Eval, script.as_argv()));
}

#[test]
fn readers_and_small_values_do_not_wait() {
    let mut shard = saving();
    shard.check(&[
        ("HGET hash f7", "$1 7"),
        ("LLEN list", ":5000"),
        ("SET small7 new", "+OK"),
        ("SUNIONSTORE new small-set set", ":5000"),
        ("COPY hash copy", ":1"),
        ("FLUSHALL", "+OK"),
    ]);
    assert!(!shard.shard().has_guards());
    let mut saved = finish(shard);
    saved.check(&[("GET small7", "$1 7"), ("EXISTS new copy", ":0"), ("DBSIZE", ":3005")]);
}

/// An expiry is nobody's command.
#[test]
fn what_expires_is_saved_at_once() {
    let mut shard = TestShard::new();
    for chunk in (0..FIELDS).collect::<Vec<_>>().chunks(500) {
        let words = chunk.iter().map(|at| format!(" f{at} {at}")).collect::<String>();
        shard.run(&format!("HSET hash{words}"));
    }
    shard.check(&[("PEXPIRE hash 10", ":1"), ("BGSAVE", "+Background saving started")]);
    assert_eq!(slice(&mut shard), Slice::More);
    shard.advance_ms(11);
    shard.check(&[("EXISTS hash", ":0")]);
    assert_eq!(finish(shard).run("HLEN hash"), ":5000");
}
