//! Stream commands whose answers depend on the shard's clock, its settings or who listens.
//!
//! Owns: what a transcript cannot see. Refuses to know: several shards. Start at any test.

use crate::config::Config;
use crate::testing::{START_MS, TestShard};

#[test]
fn new_ids_go_by_the_clock_and_never_back() {
    let mut shard = TestShard::new();
    let id = |ms: u64, seq: u64| {
        let text = format!("{ms}-{seq}");
        format!("${} {text}", text.len())
    };
    assert_eq!(shard.run("XADD k * a 1"), id(START_MS, 0));
    assert_eq!(shard.run("XADD k * a 1"), id(START_MS, 1));
    shard.advance_ms(7);
    assert_eq!(shard.run("XADD k * a 1"), id(START_MS + 7, 0));
    let future = START_MS + 1000;
    assert_eq!(shard.run(&format!("XADD k {future}-5 a 1")), id(future, 5));
    assert_eq!(shard.run("XADD k * a 1"), id(future, 6));
    shard.run(&format!("XADD k {future}-18446744073709551615 a 1"));
    assert_eq!(shard.run("XADD k * a 1"), id(future + 1, 0));
}

#[test]
fn every_change_is_told() {
    let mut shard = TestShard::new();
    shard.check(&[
        ("XADD k NOMKSTREAM 1-1 a 1", "$-1"),
        ("XADD k 1-1 a 1", "$3 1-1"),
        ("XADD k MAXLEN 1 1-2 a 1", "$3 1-2"),
        ("XADD k MAXLEN 5 1-3 a 1", "$3 1-3"),
        ("XDEL k 9-9", ":0"),
        ("XDEL k 1-2 1-3 1-3", ":2"),
        ("XTRIM k MAXLEN 0", ":0"),
        ("XSETID k 2-0", "+OK"),
        ("XADD k 2-1 a 1", "$3 2-1"),
        ("XTRIM k MAXLEN 0", ":1"),
        ("XADD k 1-1 a 1", "-ERR The ID specified in XADD is equal or smaller than the target stream top item"),
        ("XRANGE k - +", "*0"),
    ]);
    let told = ["xadd", "xadd", "xtrim", "xadd", "xdel", "xsetid", "xadd", "xtrim"];
    assert_eq!(shard.changes(), told.map(|event| format!("0 {event} k")));
}

#[test]
fn an_error_leaves_no_key() {
    let mut shard = TestShard::new();
    for command in ["XADD k 0-0 a 1", "XADD k x a 1", "XADD k MAXLEN -1 * a 1", "XSETID k 1-1", "XTRIM k MAXLEN 0"] {
        shard.run(command);
        assert_eq!(shard.run("EXISTS k"), ":0", "{command}");
    }
    assert_eq!(shard.changes(), Vec::<String>::new());
}

#[test]
fn blocks_and_rough_trims_follow_the_settings() {
    let removed_of = |entries: usize, bytes: usize, count: usize| {
        let config = Config { stream_node_max_entries: entries, stream_node_max_bytes: bytes, ..Config::default() };
        let mut shard = TestShard::with(config);
        (1..=count).for_each(|ms| drop(shard.run(&format!("XADD k {ms} a 1"))));
        shard.run("XTRIM k MAXLEN ~ 5")
    };
    assert_eq!(removed_of(100, 4096, 250), ":200");
    assert_eq!(removed_of(10, 4096, 250), ":240");
    assert_eq!(removed_of(1, 4096, 250), ":100");
    assert_eq!(removed_of(0, 0, 250), ":0");
    assert_eq!(removed_of(100, 1, 250), ":245");
}

#[test]
fn a_long_stream_is_dropped_in_slices() {
    let mut shard = TestShard::new();
    for ms in 1..=2000 {
        shard.run(&format!("XADD k {ms} a 1"));
    }
    shard.check(&[("COPY k copy", ":1"), ("DEL k", ":1"), ("XLEN k", ":0"), ("XLEN copy", ":2000")]);
    shard.check(&[("RENAME copy other", "+OK"), ("XRANGE other 2000 +", "*1 *2 $6 2000-0 *2 $1 a $1 1")]);
}

/// The reply of XREAD with one entry of one stream, whose field is `a`.
fn one_entry(key: &str, id: &str, value: &str) -> String {
    format!("*1 *2 ${} {key} *1 *2 ${} {id} *2 $1 a ${} {value}", key.len(), id.len(), value.len())
}

#[test]
fn a_client_waits_for_what_comes_after_it_asked() {
    let mut shard = TestShard::new();
    let (one, other) = (shard.connect(), shard.connect());
    shard.run("XADD k 5 a old");
    assert_eq!(shard.run_for(one, "XREAD BLOCK 0 STREAMS k none $ $"), "");
    assert_eq!(shard.run_for(other, "XREAD COUNT 1 BLOCK 0 STREAMS k 7"), "");
    // Not above what the first has seen, gone before anyone could see it, not a stream.
    for command in ["XADD k MAXLEN 0 6 a x", "XDEL k 6", "SET none x", "DEL none", "XADD none NOMKSTREAM 1 a x"] {
        shard.run(command);
        assert_eq!((shard.replies_of(one), shard.replies_of(other)), (String::new(), String::new()), "{command}");
    }
    shard.run("XADD k 7 a new");
    assert_eq!(shard.replies_of(one), one_entry("k", "7-0", "new"));
    assert_eq!(shard.replies_of(other), "");
    // A key that goes does not end the waiting.
    shard.run("DEL k");
    shard.run("XADD k 7 a again");
    assert_eq!(shard.replies_of(other), "");
    assert_eq!(shard.run_for(one, "XREAD BLOCK 0 STREAMS none $"), "");
    shard.run("XADD k 8 a last");
    assert_eq!(shard.replies_of(other), one_entry("k", "8-0", "last"));
    // A stream that takes another's name may have what is waited for.
    shard.run("RENAME k none");
    let both = "*1 *2 $4 none *2 *2 $3 7-0 *2 $1 a $5 again *2 $3 8-0 *2 $1 a $4 last";
    assert_eq!(shard.replies_of(one), both);
    assert_eq!(shard.run_for(one, "PING"), "+PONG");
}

#[test]
fn waiting_has_an_end() {
    let mut shard = TestShard::new();
    let waiter = shard.connect();
    assert_eq!(shard.run_for(waiter, "XREAD BLOCK 5 STREAMS k 0"), "");
    shard.advance_ms(4);
    shard.wake_due();
    assert_eq!(shard.replies_of(waiter), "");
    shard.advance_ms(1);
    shard.wake_due();
    assert_eq!(shard.replies_of(waiter), "*-1");
    shard.run("XADD k 1 a x");
    assert_eq!((shard.replies_of(waiter), shard.run_for(waiter, "PING")), (String::new(), "+PONG".to_owned()));
    assert_eq!(shard.run_for(waiter, "XREAD BLOCK 5 STREAMS k 0"), one_entry("k", "1-0", "x"));
    assert_eq!(shard.run_for(waiter, "XREAD STREAMS k $"), "*-1");
}
