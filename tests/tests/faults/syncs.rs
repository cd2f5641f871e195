//! Syncs that fail, and syncs that take long.
//!
//! Owns: what clients see and what a later start finds. Refuses to know: how files look.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kora_ext::persistence::Fatal;
use kora_ext::persistence::log::WAITING_BYTES_MAX;
use kora_storage::dir::{Call, Fault};
use kora_tests::resp::Value;

use crate::stage::{Life, Place, Setup, text, until};

const MISCONF: &str = "MISCONF Errors writing to the AOF file: ";
/// Long enough for what is not to come.
const LONG: Duration = Duration::from_millis(150);

static FATAL: AtomicUsize = AtomicUsize::new(0);

fn note(what: Fatal, why: &str) {
    assert_eq!(what, Fatal::Sync);
    assert!(why.contains("could not be synced") || why.contains("could not be finished"), "{why}");
    FATAL.fetch_add(1, Ordering::SeqCst);
}

fn setup(shards: usize, policy: &str) -> Setup {
    let mut setup = Setup::new(shards).with("appendfsync", policy);
    setup.on_fatal = Some(note);
    setup
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged() {
    for policy in ["always", "everysec"] {
        FATAL.store(0, Ordering::SeqCst);
        let place = Place::new();
        let life = setup(2, policy).open(&place);
        let (here, there) = (life.key_on(0, "a"), life.key_on(1, "b"));
        life.ok(&format!("SET {here} 1"));
        life.ok(&format!("SET {there} 1"));
        life.disk.faults.fail_nth(Some(Call::SyncData), 0, Fault::Device);
        life.on(0).send(&["SET", &here, "2"]);
        until("somebody is told", || FATAL.load(Ordering::SeqCst) == 1);
        if policy == "always" {
            assert_eq!(life.on(0).receive_within(LONG), None, "an unsynced write was acknowledged");
            // Nor is it told to others.
            life.on(1).send(&["GET", &here]);
            assert_eq!(life.on(1).receive_within(LONG), None, "an unsynced write was shown");
        } else {
            assert_eq!(life.on(0).receive(), "OK");
            until("writes are refused", || life.on(1).say(&format!("SET {there} 2")).starts_with(MISCONF));
            assert_eq!(life.on(1).say(&format!("SET {there} 2")), format!("{MISCONF}a sync failed"));
            assert_eq!(life.on(1).say(&format!("GET {here}")), "2");
        }
        // A sync is not tried again, though it would work now.
        let syncs = life.disk.faults.calls();
        until("a second goes by", {
            let begun = std::time::Instant::now();
            move || begun.elapsed() > Duration::from_millis(1200)
        });
        assert!(life.disk.faults.calls() <= syncs + 1, "only the other shard syncs");
        life.kill();
    }
}

#[test]
fn a_sync_that_fails_at_the_very_end_is_told() {
    for policy in ["everysec", "no"] {
        FATAL.store(0, Ordering::SeqCst);
        let place = Place::new();
        let life = setup(2, policy).open(&place);
        life.say_all(&["MSET a 1 b 1 c 1 d 1 e 1 f 1"]);
        life.disk.faults.fail_from(Some(Call::SyncData), 0, Fault::Device);
        life.end();
        assert!(FATAL.load(Ordering::SeqCst) > 0, "{policy}: nobody was told");
    }
}

#[test]
fn a_sync_that_is_under_way_at_the_end_and_fails_is_told() {
    FATAL.store(0, Ordering::SeqCst);
    let place = Place::new();
    let life = setup(1, "always").open(&place);
    life.disk.gate.shut();
    life.on(0).send(&["SET", "a", "1"]);
    until("a sync is under way", || life.disk.gate.waiting() == 1);
    life.disk.faults.fail_nth(Some(Call::SyncData), 0, Fault::Device);
    // The end waits for the sync, which is let go then.
    let gate = life.disk.gate.clone();
    let opener = std::thread::spawn(move || {
        until("the end has begun", {
            let begun = std::time::Instant::now();
            move || begun.elapsed() > LONG
        });
        gate.open();
    });
    life.end_while_syncs_wait();
    opener.join().expect("it only waits");
    assert!(FATAL.load(Ordering::SeqCst) > 0, "nobody was told");
}

/// Writes from shard 0 until its writes are refused, or what has waited for long was written after all. What waits is bounded meanwhile.
fn fill(life: &Life, key: &str) {
    let value = "v".repeat(4 << 20);
    let mut taken = 0;
    let waiting = || life.fact("aof_buffer_length").parse::<usize>().expect("a number");
    while taken < WAITING_BYTES_MAX + (64 << 20) {
        match life.on(0).call(&["SET", key, &value]) {
            Value::Error(error) => {
                assert_eq!(String::from_utf8_lossy(&error), format!("{MISCONF}the disk is too slow"));
                assert!(taken >= WAITING_BYTES_MAX, "{taken}");
                return;
            }
            other => assert_eq!(text(&other), "OK"),
        }
        taken += value.len();
        assert!(waiting() < WAITING_BYTES_MAX + (8 << 20), "{} bytes wait", waiting());
    }
}

#[test]
fn while_a_sync_stalls_reads_and_writes_go_on_and_memory_is_bounded() {
    let place = Place::new();
    let setup = setup(2, "everysec").with("log-segment-bytes", "64mb");
    let life = setup.open(&place);
    let (here, there) = (life.key_on(0, "a"), life.key_on(1, "b"));
    life.ok(&format!("SET {here} 0"));
    life.disk.gate.shut();
    life.ok(&format!("SET {here} 1"));
    until("a sync stalls", || life.disk.gate.waiting() > 0);
    for at in 0..100 {
        life.ok(&format!("SET {here} {at}"));
        assert_eq!(life.say(&format!("GET {here}")), at.to_string());
        life.on(1).ok(&format!("SET {there} {at}"));
        assert_eq!(
            (life.on(1).say("PING"), life.on(0).say(&format!("GET {there}"))),
            ("PONG".to_owned(), at.to_string())
        );
    }
    until("what is logged waits in memory", || {
        life.ok(&format!("SET {here} x"));
        life.fact("aof_buffer_length") != "0"
    });
    fill(&life, &here);
    assert_eq!((life.say("ECHO there").as_str(), life.say(&format!("STRLEN {here}")).as_str()), ("there", "4194304"));
    life.disk.gate.open();
    until("writes work again", || life.say(&format!("SET {here} last")) == "OK");
    until("all is written", || life.fact("aof_buffer_length") == "0");
    let all = life.contents();
    life.kill();
    let life = setup.open(&place);
    assert_eq!(life.contents(), all);
    life.end();
}

#[test]
fn what_waits_for_a_sync_that_stalls_is_written_within_a_second() {
    let place = Place::new();
    let setup = setup(1, "everysec");
    let life = setup.open(&place);
    life.disk.gate.shut();
    life.ok("SET a 1");
    until("a sync stalls", || life.disk.gate.waiting() > 0);
    until("what is logged waits in memory", || {
        life.ok("SET a 2");
        life.fact("aof_buffer_length") != "0"
    });
    until("it is written", || life.fact("aof_buffer_length") == "0");
    assert_eq!(life.disk.gate.waiting(), 1, "the sync stalls still");
    life.kill();
    assert_eq!(setup.open(&place).say("GET a"), "2");
}

#[test]
fn with_always_replies_wait_for_a_sync_that_stalls() {
    let place = Place::new();
    let setup = setup(2, "always");
    let life = setup.open(&place);
    let (here, there) = (life.key_on(0, "a"), life.key_on(1, "b"));
    life.ok(&format!("SET {here} 0"));
    life.ok(&format!("SET {there} 0"));
    life.disk.gate.shut();
    life.on(0).send(&["SET", &here, "1"]);
    until("a sync stalls", || life.disk.gate.waiting() == 1);
    life.on(0).send(&["GET", &here]);
    assert_eq!(life.on(0).receive_within(LONG), None, "an unsynced write was acknowledged");
    // Whoever has nothing to do with that shard is served.
    assert_eq!((life.on(1).say("PING"), life.on(1).say(&format!("GET {there}"))), ("PONG".to_owned(), "0".to_owned()));
    life.disk.gate.open();
    assert_eq!((life.on(0).receive(), life.on(0).receive()), ("OK".to_owned(), "1".to_owned()));
    life.end();
}

#[test]
fn a_snapshot_whose_syncs_stall_keeps_nobody_waiting() {
    let place = Place::new();
    let setup = setup(2, "no");
    let life = setup.open(&place);
    life.say_all(&["MSET a 1 b 1 c 1 d 1 e 1 f 1"]);
    // Every sync of the snapshot stalls in turn: of its parts, of the directory, of the manifest.
    let mut stalls = 0;
    life.disk.gate.shut();
    assert_eq!(life.say("BGSAVE"), "Background saving started");
    while life.fact("rdb_bgsave_in_progress") == "1" {
        if life.disk.gate.waiting() == 0 {
            continue;
        }
        stalls += 1;
        // Longer than the upkeep's rhythm, in which shard 0 looks after snapshots.
        let begun = std::time::Instant::now();
        while begun.elapsed() < LONG {
            for shard in [0, 1] {
                let asked = std::time::Instant::now();
                assert_eq!(life.on(shard).say("PING"), "PONG");
                life.on(shard).ok("SET a 2");
                assert!(asked.elapsed() < Duration::from_secs(2), "shard {shard} stood still");
            }
        }
        life.disk.gate.let_one_go();
    }
    assert!(stalls >= 4, "{stalls} stalls");
    assert_eq!(life.fact("rdb_last_bgsave_status"), "ok");
    life.disk.gate.open();
    life.end();
}
