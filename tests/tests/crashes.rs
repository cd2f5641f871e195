//! Seeds drive shards that log to a disk; processes die, power fails, and what is on the disk lives again, on as many shards or others.
//!
//! `KORA_SEEDS=1000000 cargo test --release -p kora-tests --test crashes` runs a million of each; a failing seed is replayed with
//! `KORA_SEED=n cargo test -p kora-tests --test crashes NAME`, and tells every move with `KORA_TRACE=1`. [`seeds`] says which seeds are run.

use kora_runtime::config::AppendFsync;
use kora_runtime::shard::fault::Fault;
use kora_tests::simulation::append::run_append;
use kora_tests::simulation::bank::run_bank;
use kora_tests::simulation::disk::StoreFault;
use kora_tests::simulation::queue::run_queue;
use kora_tests::simulation::relay::run_relay;
use kora_tests::simulation::seeds::{self, story};
use kora_tests::simulation::{Shape, run_seed};

type Run = fn(u64, Shape) -> Result<(), String>;

/// Runs `seeds` seeds, or what the environment says, by each way to log.
fn check(name: &str, seeds: u64, shape: Shape, run: Run) {
    let logs = [AppendFsync::Always, AppendFsync::EverySec, AppendFsync::No];
    seeds::check(&format!("crashes {name}"), seeds, &logs.map(|log| Shape { log: Some(log), ..shape }), run);
}

const BANK: Shape = Shape { shards: 4, clients: 5, commands: 15, fault: None, log: None, lives: 4, store_fault: None };
const APPEND: Shape = Shape { clients: 6, commands: 20, ..BANK };
const QUEUE: Shape = Shape { clients: 8, commands: 12, ..BANK };
const RELAY: Shape = Shape { clients: 8, commands: 12, ..BANK };
const MIXED: Shape = Shape { clients: 4, commands: 6, lives: 3, ..BANK };

fn bank(seed: u64, shape: Shape) -> Result<(), String> {
    run_bank(seed, shape).map(|_| ())
}

#[test]
fn a_bank_has_the_same_sum_after_every_crash() {
    check("a_bank", 100, BANK, bank);
}

#[test]
fn transactions_are_whole_or_absent_after_every_crash() {
    check("whole_or_absent", 100, APPEND, run_append);
}

#[test]
fn histories_with_crashes_in_them_are_strictly_serialisable() {
    check("histories", 30, MIXED, run_seed);
}

#[test]
fn elements_that_are_waited_for_are_in_one_place_after_every_crash() {
    check("one_place", 60, QUEUE, run_queue);
}

#[test]
fn elements_that_are_handed_on_never_go_back() {
    check("handed_on", 60, RELAY, run_relay);
}

#[test]
fn segments_are_not_removed_for_others_that_are_not_on_disk() {
    for (run, seed, shape) in [(bank as Run, 122, BANK), (run_append, 150, APPEND)] {
        assert_eq!(story(run, seed, Shape { log: Some(AppendFsync::No), ..shape }), Ok(()), "seed {seed}");
    }
}

/// Some of the first thousand seeds notice a planted fault.
fn noticed(log: AppendFsync, shape: Shape, run: Run) {
    seeds::noticed(1000, Shape { log: Some(log), ..shape }, run);
}

#[test]
fn replies_that_do_not_wait_for_the_disk_are_noticed() {
    for (shape, run) in [(APPEND, run_append as Run), (QUEUE, run_queue), (RELAY, run_relay)] {
        noticed(AppendFsync::Always, Shape { fault: Some(Fault::EarlyReplies), ..shape }, run);
    }
}

#[test]
fn transactions_that_end_before_all_records_are_written_are_noticed() {
    for (shape, run) in [(APPEND, run_append as Run), (QUEUE, run_queue), (RELAY, run_relay)] {
        noticed(AppendFsync::EverySec, Shape { fault: Some(Fault::EarlyFinish), ..shape }, run);
    }
}

#[test]
fn parts_that_are_not_logged_are_noticed() {
    noticed(AppendFsync::No, Shape { fault: Some(Fault::UnloggedPart), ..BANK }, bank);
    for (shape, run) in [(APPEND, run_append as Run), (QUEUE, run_queue), (RELAY, run_relay)] {
        for log in [AppendFsync::Always, AppendFsync::EverySec] {
            noticed(log, Shape { fault: Some(Fault::UnloggedPart), ..shape }, run);
        }
    }
}

#[test]
fn stores_that_do_things_in_the_wrong_order_are_noticed() {
    for fault in [StoreFault::UnsyncedSnapshot, StoreFault::EarlyRetirement, StoreFault::EarlySync] {
        for (shape, run) in [(APPEND, run_append as Run), (QUEUE, run_queue), (RELAY, run_relay)] {
            noticed(AppendFsync::Always, Shape { store_fault: Some(fault), ..shape }, run);
        }
    }
}
