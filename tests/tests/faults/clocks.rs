//! A wall clock that jumps, while a log is written and between two starts.
//!
//! Owns: what clients see and what a later start finds. Refuses to know: how files look.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kora_ext::Clock;

use crate::stage::{Life, Place, Setup, until};

const YEAR_MS: u64 = 365 * 24 * 3600 * 1000;
const START_MS: u64 = 30 * YEAR_MS;

fn at(now_ms: u64) -> (Setup, Arc<AtomicU64>) {
    let now = Arc::new(AtomicU64::new(now_ms));
    let mut setup = Setup::new(2).with("appendfsync", "always");
    setup.clock = Clock::Manual(Arc::clone(&now));
    (setup, now)
}

/// All keys, `soon` in a minute and `late` in five years from the start, and streams.
fn fill(life: &Life) {
    let (soon, late) = (START_MS + 60_000, START_MS + 5 * YEAR_MS);
    life.say_all(&[
        &format!("SET soon v PXAT {soon}"),
        &format!("SET late v PXAT {late}"),
        "SET ever v",
        "HSET hash f v",
        &format!("PEXPIREAT hash {late}"),
        "XADD stream * f v",
    ]);
}

fn there(life: &Life) -> [String; 5] {
    ["soon", "late", "ever", "hash", "stream"].map(|key| life.say(&format!("EXISTS {key}")))
}

#[test]
fn the_clock_may_jump_while_a_log_is_written() {
    for snapshot in [false, true] {
        let (setup, now) = at(START_MS);
        let place = Place::new();
        let life = setup.open(&place);
        fill(&life);
        let first = life.say("XINFO STREAM stream");
        assert!(first.contains(&format!("{START_MS}-0")), "{first}");
        // Back by a year: what has a time to live has more of it, and ids of streams still grow.
        now.store(START_MS - YEAR_MS, Ordering::SeqCst);
        life.ok("SET back v EX 100");
        assert_eq!(life.say("PTTL soon"), (YEAR_MS + 60_000).to_string());
        assert_eq!(life.say("XADD stream * f w"), format!("{START_MS}-1"));
        assert_eq!(there(&life), ["1"; 5]);
        if snapshot {
            life.snapshot();
        }
        // Ahead by ten.
        now.store(START_MS + 10 * YEAR_MS, Ordering::SeqCst);
        until("what has expired goes by itself", || life.say("DBSIZE") == "2");
        assert_eq!(life.say("XADD stream * f x"), format!("{}-0", START_MS + 10 * YEAR_MS));
        life.ok("SET soon again");
        if snapshot {
            life.snapshot();
        }
        // And back again: what is gone is gone.
        now.store(START_MS, Ordering::SeqCst);
        life.ok("SET mark v EX 10");
        let all = life.contents();
        assert_eq!(all.keys().collect::<Vec<_>>(), ["0/ever", "0/mark", "0/soon", "0/stream"]);
        life.kill();
        let life = setup.open(&place);
        assert_eq!(life.contents(), all);
        life.end();
    }
}

#[test]
fn the_clock_may_jump_between_two_starts() {
    for snapshot in [false, true] {
        let (setup, _) = at(START_MS);
        let place = Place::new();
        let life = setup.open(&place);
        fill(&life);
        if snapshot {
            life.snapshot();
        }
        life.ok("SET back v EX 100");
        life.kill();
        for shards in [2, 3] {
            let place = place.copy();
            let open = |now_ms| at(now_ms).0.with_shards(shards).open(&place);
            let life = open(START_MS - YEAR_MS);
            assert_eq!(life.say("PTTL soon"), (YEAR_MS + 60_000).to_string());
            assert_eq!(life.say("PTTL back"), (YEAR_MS + 100_000).to_string());
            assert_eq!(
                (there(&life), life.say("XADD stream * f w")),
                (["1"; 5].map(str::to_owned), format!("{START_MS}-1"))
            );
            life.kill();
            let life = open(START_MS + 90_000);
            assert_eq!(there(&life), ["0", "1", "1", "1", "1"]);
            assert_eq!(life.say("PTTL back"), "10000");
            life.kill();
            let life = open(START_MS + 10 * YEAR_MS);
            assert_eq!(there(&life), ["0", "0", "1", "0", "1"]);
            until("what has expired goes by itself", || life.say("DBSIZE") == "2");
            life.end();
        }
    }
}

#[test]
fn a_clock_at_the_beginning_of_time_or_at_its_end_is_a_time() {
    let (setup, now) = at(0);
    let place = Place::new();
    let life = setup.open(&place);
    life.say_all(&["SET a v EX 10", "XADD s * f v", "SET b v"]);
    now.store(i64::MAX as u64, Ordering::SeqCst);
    until("what has expired goes by itself", || life.say("DBSIZE") == "2");
    assert!(life.say("SET c v EX 10").starts_with("ERR invalid expire time"));
    life.snapshot();
    let all = life.contents();
    life.kill();
    let life = setup.open(&place);
    assert_eq!(life.contents(), all);
    life.end();
}
