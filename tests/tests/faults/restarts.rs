//! All that has to survive: every type, every database, libraries, on other numbers of shards, with and without snapshots and logs.
//!
//! Owns: what clients see and what a later start finds. Refuses to know: how files look.

use std::collections::BTreeMap;

use kora_storage::manifest::{FILE_NAME, parse_snapshot_name};

use crate::stage::{Life, Place, Setup, until};

/// Keys of every type in every size, in all databases, some of them changed in every way that is not of one key.
fn fill(life: &Life) {
    let far = 4_000_000_000_000_u64;
    let big = "x".repeat(5000);
    for db in 0..16 {
        life.say_all(&[
            &format!("SELECT {db}"),
            &format!("MSET a{db} 1 b{db} 2 c{db} 3"),
            &format!("SADD set{db} 1 2 three"),
        ]);
    }
    life.say_all(&[
        "SELECT 0",
        &format!("SET big {big}"),
        "INCRBYFLOAT float 1.25",
        "APPEND a0 234",
        "RPUSH list a b c",
        "LMOVE list list2 LEFT RIGHT",
        "HSET hash f v g w",
        "HINCRBY hash n 7",
        "ZADD zset 1 a 2.5 b -inf c",
        "ZUNIONSTORE zset2 2 zset set0",
        "XADD stream 5-1 f v",
        "XADD stream 6-1 f w",
        "XDEL stream 6-1",
        &format!("SET expiring v PXAT {far}"),
        &format!("PEXPIREAT hash {far}"),
        "RENAME b0 renamed",
        "COPY list copied",
        "MOVE c0 9",
        "SWAPDB 4 5",
        "SELECT 6",
        "FLUSHDB",
        "SELECT 0",
        "FUNCTION LOAD \"#!lua name=lib\\nredis.register_function('f',function() return 42 end)\"",
        "EVAL \"redis.call('SET',KEYS[1],'s') redis.call('SADD',KEYS[2],'t')\" 2 script1 script2",
        "SADD ints 3 1 2",
    ]);
    for at in 0..300 {
        life.say_all(&[
            &format!("RPUSH longlist {at}{}", "y".repeat(50)),
            &format!("HSET bighash f{at} {at}"),
            &format!("SADD bigset m{at}"),
            &format!("ZADD bigzset {at} m{at}"),
        ]);
    }
    life.say_all(&["MULTI", "INCR txn1", "INCR txn2", "INCR txn3", "INCR txn4", "EXEC"]);
}

fn check_works(life: &Life) {
    assert_eq!(life.say("FCALL f 0"), "42");
    let refused = life.say("XADD stream 6-1 f again");
    assert!(refused.contains("equal or smaller"), "a stream knows what was deleted: {refused}");
}

/// Goes through the numbers of shards. Each time all must be there; then something is added, by which an order that is wrong is noticed.
fn walk(setup: &Setup, shards: &[usize], end: impl Fn(&Life, usize)) {
    let place = Place::new();
    let life = setup.with_shards(shards[0]).open(&place);
    fill(&life);
    let mut all = life.contents();
    end(&life, 0);
    life.end();
    for (at, shards) in shards.iter().enumerate().skip(1) {
        let life = setup.with_shards(*shards).open(&place);
        assert_eq!(differences(&all, &life.contents()), [""; 0], "start {at} on {shards} shards");
        check_works(&life);
        life.say_all(&[
            &format!("RPUSH list n{at}"),
            &format!("SET start{at} 1"),
            "INCR starts",
            "MSET a0 x renamed y big z",
        ]);
        all = life.contents();
        end(&life, at);
        life.end();
    }
}

fn differences(expected: &BTreeMap<String, String>, found: &BTreeMap<String, String>) -> Vec<String> {
    let names = expected.keys().chain(found.keys().filter(|name| !expected.contains_key(*name)));
    let differ = names.filter(|name| expected.get(*name) != found.get(*name));
    differ.map(|name| format!("{name}: {:?}, not {:?}", found.get(name), expected.get(name))).collect()
}

const SHARDS: [usize; 6] = [1, 4, 2, 8, 1, 1];

#[test]
fn by_logs_alone() {
    walk(&Setup::new(1), &SHARDS, |_, _| {});
}

#[test]
fn by_logs_and_snapshots() {
    walk(&Setup::new(1).with("appendfsync", "always"), &SHARDS, |life, at| {
        if at % 2 == 0 {
            life.snapshot();
        }
        life.ok("SET behind 1");
        life.say_all(&["DEL behind"]);
    });
}

#[test]
fn with_rules_about_places() {
    let setup = Setup::new(1).with("locality", "a*: m*: script").with("pinned-databases", "2 6 10");
    walk(&setup, &SHARDS, |life, at| {
        if at == 2 {
            life.snapshot();
        }
    });
}

#[test]
fn by_snapshots_alone() {
    let setup = Setup::new(1).with("appendonly", "no").with("save", "3600 1");
    walk(&setup, &SHARDS, |life, _| {
        // What SHUTDOWN and SIGTERM do with these settings.
        assert!(life.store.saves_at_end());
        life.engine().save().expect("room");
    });
}

#[test]
fn without_a_log_and_without_a_last_snapshot_the_last_snapshot_counts() {
    let place = Place::new();
    let setup = Setup::new(2).with("appendonly", "no");
    let life = setup.open(&place);
    life.ok("SET a 1");
    life.snapshot();
    let all = life.contents();
    life.say_all(&["SET a 2", "SET b 1"]);
    life.end();
    for shards in [2, 3] {
        let life = setup.with_shards(shards).open(&place);
        assert_eq!(life.contents(), all);
        life.end();
    }
}

#[test]
fn flushes_are_kept() {
    for snapshot in [false, true] {
        let place = Place::new();
        let setup = Setup::new(3);
        let life = setup.open(&place);
        fill(&life);
        if snapshot {
            life.snapshot();
        }
        life.say_all(&["FUNCTION FLUSH", "FLUSHALL", "SET new 1"]);
        let all = life.contents();
        assert_eq!(all.len(), 1);
        life.end();
        for shards in [3, 2] {
            let life = setup.with_shards(shards).open(&place);
            assert_eq!(life.contents(), all);
            life.end();
        }
    }
}

#[test]
fn a_snapshot_by_itself_comes_by_rule_and_when_the_log_has_grown() {
    let place = Place::new();
    let life = Setup::new(2).with("save", "1 2").open(&place);
    life.say_all(&["SET a 1", "SET b 2"]);
    until("a snapshot is taken by its rule", || place.names("dump-", ".rdb").len() == 2);
    life.end();
    let place = Place::new();
    let setup = Setup::new(2).with("auto-aof-rewrite-min-size", "300000");
    let life = setup.open(&place);
    let value = "v".repeat(1000);
    until("a snapshot is taken because of the log", || {
        life.say_all(&[&format!("SET a {value}"), &format!("SET b {value}"), &format!("SET c {value}")]);
        place.names("dump-", ".rdb").len() == 2
    });
    life.end();
    let life = setup.open(&place);
    assert_eq!(life.say("STRLEN a"), "1000");
    life.end();
}

#[test]
fn older_snapshots_stay_as_long_as_they_are_wanted() {
    let place = Place::new();
    let setup = Setup::new(2).with("snapshot-retain", "2");
    let generations = |place: &Place| -> Vec<u64> {
        let mut found: Vec<u64> =
            place.names("dump-", "").iter().filter_map(|name| parse_snapshot_name(name)).map(|(of, _)| of).collect();
        found.dedup();
        found
    };
    let life = setup.open(&place);
    for _ in 0..5 {
        life.ok("SET a 1");
        life.snapshot();
    }
    assert_eq!(generations(&place), [3, 4, 5]);
    life.end();
    let life = setup.open(&place);
    assert_eq!(generations(&place), [3, 4, 5], "a start keeps them");
    life.ok("CONFIG SET snapshot-retain 0");
    life.snapshot();
    assert_eq!(generations(&place), [6]);
    life.end();
}

#[test]
fn directories_of_earlier_formats_open() {
    for (golden, shards) in [
        (&include_bytes!("../../../kora-storage/tests/golden/manifest-v1.bin")[..], 8),
        (&include_bytes!("../../../kora-storage/tests/golden/manifest-v2.bin")[..], 8),
        (&include_bytes!("../../../kora-storage/tests/golden/manifest-v2.bin")[..], 3),
    ] {
        let place = Place::new();
        place.write(FILE_NAME, golden);
        let setup = Setup::new(shards);
        let life = setup.open(&place);
        assert_eq!(life.contents().len(), 0);
        life.say_all(&["SET a 1", "MSET b 2 c 3 d 4"]);
        let all = life.contents();
        life.kill();
        assert_eq!(place.read(FILE_NAME)[8], 3, "the manifest is of the present version");
        let life = setup.open(&place);
        assert_eq!(life.contents(), all);
        life.end();
    }
}
