//! A full disk: writes are refused, reads are served, nothing acknowledged is lost, and room is noticed.
//!
//! Owns: what clients see and what a later start finds. Refuses to know: how files look.

use kora_storage::dir::{Call, Fault};
use kora_tests::resp::Value;

use crate::stage::{Life, Place, Setup, until};

const MISCONF: &str = "MISCONF Errors writing to the AOF file: ";
const SNAPSHOT: &str = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data \
     set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails \
     (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error.";
const POLICIES: [&str; 3] = ["always", "everysec", "no"];

/// Writes from every shard until all refuse; what was acknowledged.
fn write_until_refused(life: &Life, shards: usize, value: &str) -> Vec<String> {
    let mut kept = Vec::new();
    let mut refused = vec![false; shards];
    for at in 0.. {
        let key = format!("k{at}");
        match life.on(at % shards).call(&["SET", &key, value]) {
            Value::Simple(_) => kept.push(key),
            Value::Error(text) => {
                let text = String::from_utf8_lossy(&text).into_owned();
                assert!(text.starts_with(MISCONF) && text.ends_with("no storage space"), "{text}");
                refused[at % shards] = true;
                if refused.iter().all(|refused| *refused) {
                    return kept;
                }
            }
            other => panic!("SET: {other:?}"),
        }
        assert!(at < 100_000, "nothing is ever refused");
    }
    unreachable!("keys do not end")
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room() {
    for policy in POLICIES {
        let place = Place::new();
        let setup = Setup::new(2).with("appendfsync", policy);
        let life = setup.open(&place);
        life.ok("SET before 1");
        let value = "v".repeat(2000);
        life.disk.faults.leave_room(100_000);
        let kept = write_until_refused(&life, 2, &value);
        assert!(kept.len() > 10, "{policy}: {} writes found room", kept.len());
        // Whatever reads is served, on either shard; whatever writes is refused, in any form.
        assert_eq!((life.say("GET before").as_str(), life.on(1).say("DBSIZE")), ("1", (kept.len() + 1).to_string()));
        assert_eq!(life.on(1).call(&["GET", &kept[0]]), Value::Bulk(value.clone().into_bytes()));
        for line in ["INCR n", "DEL before", "EVAL \"return redis.call('SET',KEYS[1],1)\" 1 n", "FLUSHALL"] {
            assert!(life.say(line).contains(MISCONF), "{policy}: {line}: {}", life.say(line));
        }
        assert!(life.fact("aof_last_write_status") == "err", "INFO says so");
        life.disk.faults.lift();
        until("writes work again", || life.say("SET after 1") == "OK");
        assert_eq!(life.fact("aof_last_write_status"), "ok");
        let all = life.contents();
        assert_eq!(all.len(), kept.len() + 2);
        life.end();
        let life = setup.open(&place);
        assert_eq!(life.contents(), all, "{policy}");
        assert_eq!(life.store.facts().recovery_reports, [""; 0]);
        life.end();
    }
}

#[test]
fn what_was_acknowledged_is_there_when_the_disk_stays_full() {
    for policy in POLICIES {
        let place = Place::new();
        let setup = Setup::new(2).with("appendfsync", policy);
        let life = setup.open(&place);
        life.disk.faults.leave_room(50_000);
        write_until_refused(&life, 2, &"v".repeat(700));
        let all = life.contents();
        // A clean end finds no room either, and does not need any.
        life.end();
        let life = setup.open(&place);
        assert_eq!(life.contents(), all, "{policy}");
        life.end();
    }
}

#[test]
fn a_big_value_waits_for_room() {
    let value = "v".repeat(3 << 20);
    for policy in POLICIES {
        let place = Place::new();
        let setup = Setup::new(2).with("appendfsync", policy);
        let life = setup.open(&place);
        let (here, there) = (life.key_on(0, "big"), life.key_on(1, "other"));
        life.ok(&format!("SET {there} 1"));
        life.disk.faults.leave_room(1 << 20);
        let strict = policy == "always";
        life.on(0).send(&["SET", &here, &value]);
        if !strict {
            assert_eq!(life.on(0).receive(), "OK");
        }
        // The other shard hears of it, and reads on.
        until("writes are refused", || life.on(1).say(&format!("SET {there} 1")).starts_with(MISCONF));
        assert_eq!(life.on(1).say(&format!("GET {there}")), "1");
        if !strict {
            assert!(life.say("INCR n").starts_with(MISCONF));
            assert_eq!(life.say(&format!("STRLEN {here}")), value.len().to_string());
        }
        life.disk.faults.lift();
        if strict {
            assert_eq!(life.on(0).receive(), "OK", "it comes as soon as it is on disk");
        }
        until("writes work again", || life.on(1).say(&format!("SET {there} 2")) == "OK");
        until("all is written", || life.fact("aof_buffer_length") == "0");
        life.kill();
        let life = setup.open(&place);
        assert_eq!(life.say(&format!("STRLEN {here}")), value.len().to_string(), "{policy}");
        life.end();
    }
}

#[test]
fn a_segment_that_cannot_be_begun_is_begun_later() {
    for policy in POLICIES {
        let place = Place::new();
        let setup = Setup::new(1).with("appendfsync", policy);
        let life = setup.open(&place);
        // Neither the next file nor a name for it.
        for call in [Call::Create, Call::Rename] {
            life.disk.faults.fail_from(Some(call), 0, Fault::Full);
            let mut at = 0;
            until("writes are refused", || {
                at += 1;
                let key = format!("{call:?}{at}");
                life.on(0).send(&["SET", &key, &"v".repeat(500)]);
                // With `always` the last one is neither refused nor acknowledged.
                let reply = life.on(0).receive_within(std::time::Duration::from_millis(300));
                match reply {
                    Some(Value::Error(_)) => true,
                    None => {
                        life.disk.faults.lift();
                        assert_eq!(life.on(0).receive(), "OK");
                        true
                    }
                    _ => false,
                }
            });
            life.disk.faults.lift();
            until("writes work again", || life.say("SET k v") == "OK");
        }
        let all = life.contents();
        assert!(place.names("log-", ".wal").len() > 1);
        life.end();
        let life = setup.open(&place);
        assert_eq!(life.contents(), all, "{policy}");
        life.end();
    }
}

#[test]
fn a_snapshot_without_room_fails_alone() {
    let place = Place::new();
    let setup = Setup::new(2).with("save", "3600 1");
    let life = setup.open(&place);
    life.say_all(&["SET a 1", "SET b 2", "RPUSH l x y z"]);
    life.snapshot();
    for calls in [Call::Create, Call::WriteAt, Call::SyncAll, Call::Rename] {
        let (saved, last) = (place.names("dump-", ""), life.say("LASTSAVE"));
        assert_eq!(saved.len(), 2);
        let fault = if calls == Call::SyncAll { Fault::Device } else { Fault::Full };
        life.disk.faults.fail_from(Some(calls), 0, fault);
        life.snapshot();
        life.disk.faults.lift();
        assert_eq!(life.fact("rdb_last_bgsave_status"), "err", "{calls:?}");
        assert_eq!((place.names("dump-", ""), life.say("LASTSAVE")), (saved.clone(), last), "{calls:?}");
        until("writes are refused", || life.say("SET a 2") == SNAPSHOT);
        assert_eq!(life.on(1).say("GET a"), "1");
        // Whoever does not mind goes on.
        life.ok("CONFIG SET stop-writes-on-bgsave-error no");
        life.ok("SET c 3");
        life.ok("CONFIG SET stop-writes-on-bgsave-error yes");
        life.ok("SAVE");
        until("writes work again", || life.say("SET a 1") == "OK");
        assert_eq!(life.fact("rdb_last_bgsave_status"), "ok");
        assert_ne!(place.names("dump-", ""), saved, "each snapshot has names of its own");
    }
    let all = life.contents();
    life.kill();
    let life = setup.open(&place);
    assert_eq!(life.contents(), all);
    life.end();
}
