//! The process ends, or power is lost, at every call to storage: of a start, of a snapshot, of a change of `appendonly`, of a clean end.
//!
//! Start at [`at_every_call`].

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use kora_runtime::random::Random;
use kora_storage::dir::{Fault, MemoryDir};
use kora_storage::manifest::Manifest;

use crate::stage::{Disk, Life, Place, Setup, until};

/// More calls than any of these makes.
const CALLS_MAX: u64 = 2_000;

/// A directory with keys of all kinds of origin, and what is in it. Nothing in it can be done twice unnoticed.
fn made(setup: &Setup, snapshot: bool) -> (Place, BTreeMap<String, String>) {
    let place = Place::new();
    let life = setup.open(&place);
    life.say_all(&[
        "MSET a 1 b 2 c 3 d 4",
        "RPUSH list x y",
        "INCRBY n 5",
        "FUNCTION LOAD \"#!lua name=lib\\nredis.register_function('f',function() return 1 end)\"",
    ]);
    if snapshot {
        life.snapshot();
    }
    life.say_all(&[
        "RPUSH list z",
        "INCR n",
        "SELECT 3",
        "SET other 1 PX 100000000",
        "SELECT 0",
        "MSET a 5 b 6 c 7 d 8",
    ]);
    let all = life.contents();
    life.end();
    (place, all)
}

/// What an engine does that is interrupted at a call.
type Act<'a> = &'a dyn Fn(&Life, u64);

/// What an interruption leaves: all that was written, or what power failure makes of it.
fn interrupt(memory: &MemoryDir, random: &mut Random) {
    match random.below(3) {
        0 => memory.kill(),
        1 => memory.crash_losing_all(),
        _ => memory.crash(&mut |below| random.below(below)),
    }
}

/// Starts an engine on `place` that ends before the `nth` call that `act` makes, or that the start makes when there is nothing to do after it.
/// True when it came that far.
fn run_until(place: &Place, setup: &Setup, nth: u64, random: &mut Random, act: Option<Act<'_>>) -> bool {
    let memory = place.in_memory();
    let setup = Setup { memory: Some(memory.clone()), ..setup.clone() };
    let disk: Rc<RefCell<Option<Disk>>> = Rc::default();
    let (slot, at_start) = (Rc::clone(&disk), act.is_none());
    let opened = setup.try_open(place, move |disk| {
        if at_start {
            disk.faults.stop_at(nth);
        }
        *slot.borrow_mut() = Some(disk.clone());
    });
    let disk = disk.take().expect("the store has made one");
    let calls = match (opened, act) {
        (Ok(life), Some(act)) => {
            life.disk.faults.stop_at(nth);
            act(&life, nth);
            let ended = life.disk.faults.calls();
            if ended > nth {
                life.kill()
            } else {
                life.end()
            }
            ended.max(disk.faults.calls())
        }
        (Ok(life), None) => {
            let calls = life.disk.faults.calls();
            life.kill();
            calls
        }
        (Err(why), _) => {
            assert!(why.contains("the process has ended"), "{why}");
            nth + 1
        }
    };
    interrupt(&memory, random);
    place.become_like(&memory);
    calls > nth
}

/// Interrupts `act` (or the start) at every call, twice in a row; afterwards all data is there exactly once.
#[track_caller]
fn at_every_call(made: &(Place, BTreeMap<String, String>), setup: &Setup, act: Option<Act<'_>>) {
    let (place, all) = made;
    let mut random = Random::new(7);
    for nth in 0..CALLS_MAX {
        let place = place.copy();
        let mut reached = false;
        for _ in 0..2 {
            reached |= run_until(&place, setup, nth, &mut random, act);
        }
        let life = setup.open(&place);
        assert_eq!(&life.contents(), all, "after the end at call {nth}");
        life.end();
        if !reached {
            assert!(nth > 3, "only {nth} calls");
            return;
        }
    }
    panic!("more than {CALLS_MAX} calls");
}

fn strict(shards: usize) -> Setup {
    Setup::new(shards).with("appendfsync", "always")
}

#[test]
fn a_start() {
    let made = made(&strict(2), true);
    at_every_call(&made, &strict(2), None);
}

#[test]
fn a_start_on_more_shards() {
    let made = made(&strict(1), false);
    at_every_call(&made, &strict(3), None);
}

#[test]
fn a_start_on_fewer_shards() {
    let made = made(&strict(3), true);
    at_every_call(&made, &strict(2), None);
}

#[test]
fn a_start_without_the_log_that_was_there() {
    let made = made(&strict(2), true);
    at_every_call(&made, &strict(2).with("appendonly", "no"), None);
}

#[test]
fn a_snapshot() {
    let made = made(&strict(2), true);
    at_every_call(&made, &strict(2), Some(&|life, _| life.snapshot()));
}

/// What follows a snapshot in which a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Nothing,
    /// Writes, a snapshot, and writes.
    Another,
    /// Writes, and a snapshot that ends at this call.
    HalfOfAnother(u64),
}

#[test]
fn a_snapshot_in_which_one_call_fails() {
    let (place, all) = made(&strict(2), true);
    let mut random = Random::new(7);
    for nth in 0..CALLS_MAX {
        for then in [Then::Nothing, Then::Another, Then::HalfOfAnother(10), Then::HalfOfAnother(14)] {
            let place = place.copy();
            let memory = place.in_memory();
            let life = Setup { memory: Some(memory.clone()), ..strict(2) }.open(&place);
            life.disk.faults.fail_nth(None, nth, Fault::Device);
            life.snapshot();
            let calls = life.disk.faults.calls();
            life.disk.faults.lift();
            let mut all = all.clone();
            if then != Then::Nothing {
                life.say_all(&["INCR n", "RPUSH list late"]);
                all = life.contents();
                if let Then::HalfOfAnother(call) = then {
                    life.disk.faults.stop_at(call);
                }
                life.snapshot();
            }
            if then == Then::Another {
                life.say_all(&["INCR n"]);
                all = life.contents();
            }
            life.kill();
            match then {
                Then::HalfOfAnother(_) => memory.kill(),
                _ => interrupt(&memory, &mut random),
            }
            place.become_like(&memory);
            let life = strict(2).open(&place);
            assert_eq!(life.contents(), all, "after the failure of call {nth}, then {then:?}");
            life.end();
            if calls <= nth {
                return;
            }
        }
    }
}

#[test]
fn a_clean_end() {
    let made = made(&strict(2), false);
    // Nothing but the end makes calls.
    let (place, all) = &made;
    let mut random = Random::new(7);
    for nth in 0..CALLS_MAX {
        let place = place.copy();
        let memory = place.in_memory();
        let life = Setup { memory: Some(memory.clone()), ..strict(2) }.open(&place);
        life.ok("SET late 1");
        let disk = life.disk.clone();
        disk.faults.stop_at(nth);
        life.end();
        interrupt(&memory, &mut random);
        place.become_like(&memory);
        let life = strict(2).open(&place);
        let mut all = all.clone();
        all.insert("0/late".to_owned(), "string 1 until -1".to_owned());
        assert_eq!(life.contents(), all, "after the end at call {nth}");
        life.end();
        if disk.faults.calls() <= nth {
            return;
        }
    }
}

/// Changes `appendonly` and waits until the manifest has it, or until the process has come to its end.
fn turn(life: &Life, nth: u64, wanted: bool) {
    life.ok(if wanted { "CONFIG SET appendonly yes" } else { "CONFIG SET appendonly no" });
    until("the manifest follows", || {
        let manifest = Manifest::read(&*life.disk.files).expect("a manifest").expect("it is there");
        manifest.has_log == wanted || life.disk.faults.calls() > nth
    });
}

#[test]
fn turning_the_log_off() {
    let made = made(&strict(2), true);
    at_every_call(&made, &strict(2), Some(&|life, nth| turn(life, nth, false)));
}

#[test]
fn turning_the_log_on() {
    let off = strict(2).with("appendonly", "no");
    let place = Place::new();
    let life = off.open(&place);
    life.say_all(&["MSET a 1 b 2 c 3 d 4", "RPUSH list x y"]);
    life.snapshot();
    let all = life.contents();
    life.end();
    at_every_call(&(place, all), &off, Some(&|life, nth| turn(life, nth, true)));
}

#[test]
fn the_log_can_be_turned_on_and_off_while_clients_write() {
    let place = Place::new();
    let setup = strict(3);
    let life = setup.open(&place);
    let mut value = 0;
    let mut write = |life: &Life, times: usize| {
        for _ in 0..times {
            value += 1;
            for shard in 0..3 {
                life.on(shard).ok(&format!("MSET a {value} b {value} c {value} d {value} e {value} f {value}"));
            }
        }
    };
    for round in 0..6 {
        write(&life, 5);
        life.on(round % 3).ok("CONFIG SET appendonly no");
        if round % 2 == 0 {
            life.wait_for_log(false);
        }
        write(&life, 5);
        life.on((round + 1) % 3).ok("CONFIG SET appendonly yes");
        life.on((round + 2) % 3).ok("CONFIG SET appendonly no");
        life.on(round % 3).ok("CONFIG SET appendonly yes");
        write(&life, 5);
    }
    until("the log is on again", || life.fact("aof_enabled") == "1");
    life.wait_for_log(true);
    until("no snapshot runs", || life.fact("rdb_bgsave_in_progress") == "0");
    write(&life, 20);
    let all = life.contents();
    life.kill();
    let life = setup.open(&place);
    assert_eq!(life.contents(), all);
    assert_eq!(life.store.facts().recovery_reports, [""; 0]);
    life.end();
}
