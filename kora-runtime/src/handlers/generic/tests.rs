//! Generic commands on one shard: what transcripts do not see (changes told, clocks, walks over many keys, chances).

use std::collections::HashMap;

use super::randomkey;
use crate::argv::Argv;
use crate::config::{Config, MaxmemoryPolicy};
use crate::reply::{Protocol, ReplyBuf};
use crate::testing::{START_MS, TestShard};

#[test]
fn keys_come_and_go() {
    let mut shard = TestShard::new();
    shard.check(&[
        ("MSET a 1 b 2 c 3", "+OK"),
        ("DEL a a none", ":1"),
        ("UNLINK b", ":1"),
        ("EXISTS a b c c", ":2"),
        ("TYPE c", "+string"),
        ("RENAME c d", "+OK"),
        ("RENAME c d", "-ERR no such key"),
        ("RENAMENX d d", ":0"),
        ("COPY d e", ":1"),
        ("COPY d e", ":0"),
        ("COPY d d DB 1", ":1"),
        ("MOVE d 1", ":0"),
        ("MOVE e 1", ":1"),
        ("MOVE e 16", "-ERR DB index is out of range"),
        ("KEYS *", "*1 $1 d"),
        ("RANDOMKEY", "$1 d"),
        ("OBJECT REFCOUNT d", ":1"),
        ("OBJECT ENCODING d", "$3 int"),
    ]);
}

#[test]
fn keys_expire() {
    let mut shard = TestShard::new();
    shard.check(&[
        ("SET k v", "+OK"),
        ("TTL k", ":-1"),
        ("TTL none", ":-2"),
        ("EXPIRE k 10", ":1"),
        ("EXPIRE k 5 GT", ":0"),
        ("EXPIRE k 5 NX", ":0"),
        ("EXPIRE k 5 NX LT", "-ERR NX and XX, GT or LT options at the same time are not compatible"),
        ("EXPIRE k 9223372036854775807", "-ERR invalid expire time in 'expire' command"),
        ("EXPIRETIME k", &format!(":{}", START_MS / 1000 + 10)),
        ("PEXPIRETIME k", &format!(":{}", START_MS + 10_000)),
    ]);
    shard.advance_ms(9501);
    shard.check(&[("TTL k", ":0"), ("PTTL k", ":499"), ("GET k", "$1 v")]);
    shard.advance_ms(499);
    shard.check(&[("TTL k", ":-2"), ("KEYS *", "*0"), ("EXPIRE k 1", ":0")]);
}

#[test]
fn changes_are_told_as_redis_notifies_them() {
    let mut shard = TestShard::new();
    shard.run("MSET a 1 b 2 c 3 d 4");
    shard.changes();
    for (command, told) in [
        ("DEL a a", vec!["0 del a"]),
        ("EXPIRE b 10", vec!["0 expire b"]),
        ("EXPIRE b 20 NX", vec![]),
        ("PERSIST b", vec!["0 persist b"]),
        ("PERSIST b", vec![]),
        ("EXPIREAT b 1", vec!["0 del b"]),
        ("PEXPIRE c -9223372036854775808", vec!["0 del c"]),
        ("RENAME d d", vec![]),
        ("RENAME d e", vec!["0 rename_from d", "0 rename_to e"]),
        ("COPY e f DB 3", vec!["3 copy_to f"]),
        ("MOVE e 2", vec!["0 move_from e", "2 move_to e"]),
        ("MOVE e 2", vec![]),
        ("PSETEX t 1 v", vec!["0 set t", "0 expire t"]),
    ] {
        shard.run(command);
        assert_eq!(shard.changes(), told, "{command}");
    }
    shard.advance_ms(1);
    shard.check(&[("RANDOMKEY", "$-1")]);
    assert_eq!(shard.changes(), ["0 expired t"]);
}

#[test]
fn reading_moves_the_access_clock_and_asking_does_not() {
    let mut shard = TestShard::new();
    shard.run("SET k v");
    shard.advance_ms(5000);
    shard.check(&[
        ("EXISTS k", ":1"),
        ("TYPE k", "+string"),
        ("TTL k", ":-1"),
        ("OBJECT IDLETIME k", ":5"),
        ("TOUCH k none", ":1"),
        ("OBJECT IDLETIME k", ":0"),
    ]);
    let mut shard = TestShard::with(Config { maxmemory_policy: MaxmemoryPolicy::AllKeysLfu, ..Config::default() });
    shard.check(&[("SET k v", "+OK"), ("OBJECT FREQ k", ":5"), ("SET k w", "+OK"), ("OBJECT FREQ k", ":6")]);
}

#[test]
fn a_scan_finds_every_key_once() {
    let mut shard = TestShard::new();
    for key in 0..1000 {
        shard.run(&format!("SET key:{key} {key}"));
    }
    shard.run("SET other v");
    let (mut cursor, mut steps, mut found) = ("0".to_owned(), 0, HashMap::<String, usize>::new());
    loop {
        let reply = shard.run(&format!("SCAN {cursor} COUNT 20 TYPE string MATCH key:*"));
        // *2 $len cursor *count $len key $len key …
        let words: Vec<&str> = reply.split(' ').collect();
        cursor = words[2].to_owned();
        steps += 1;
        words[4..].chunks(2).for_each(|key| *found.entry(key[1].to_owned()).or_default() += 1);
        if cursor == "0" {
            break;
        }
    }
    assert_eq!((found.len(), found.values().max()), (1000, Some(&1)));
    assert!((10..=50).contains(&steps), "{steps} steps of about 20 keys");
    shard.check(&[
        ("SCAN 0 COUNT 0", "-ERR syntax error"),
        ("SCAN 18446744073709551615", "*2 $1 0 *0"),
        ("SCAN 0 COUNT 9223372036854775807 MATCH other", "*2 $1 0 *1 $5 other"),
    ]);
}

#[test]
fn a_random_key_of_several_shards_comes_up_as_often_as_its_shard_is_full() {
    let part = |keys: u64, random: u64, key: &[u8]| {
        let mut part = ReplyBuf::new(Protocol::Resp2);
        part.bulk(&[&keys.to_le_bytes(), &random.to_le_bytes(), key].concat());
        part.into_bytes()
    };
    let chosen = |random: u64| {
        let parts = [part(1, random, b"a"), b"$-1\r\n".to_vec(), part(3, 0, b"b")];
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let mut reply = ReplyBuf::new(Protocol::Resp2);
        randomkey(Argv::new(b"", &[]), &parts, &mut reply);
        reply.into_bytes()
    };
    let quarter = 1 << 62;
    assert_eq!(chosen(0), b"$1\r\na\r\n");
    assert_eq!(chosen(quarter - 1), b"$1\r\na\r\n");
    assert_eq!(chosen(quarter), b"$1\r\nb\r\n");
    assert_eq!(chosen(u64::MAX), b"$1\r\nb\r\n");
    let mut reply = ReplyBuf::new(Protocol::Resp2);
    randomkey(Argv::new(b"", &[]), &[b"$-1\r\n", b"$-1\r\n"], &mut reply);
    assert_eq!(reply.as_bytes(), b"$-1\r\n");
}
