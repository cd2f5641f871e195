//! Seeds drive one to eight shards with shuffled mailboxes; what clients see must be as if commands and transactions ran one after another.
//!
//! `KORA_SEEDS=1000000 cargo test --release -p kora-tests --test simulation` runs a million of each; a failing seed is replayed with
//! `KORA_SEED=n cargo test -p kora-tests --test simulation NAME`, and tells every move with `KORA_TRACE=1`. [`seeds`] says which seeds are run.

use std::cell::Cell;

use kora_runtime::config::AppendFsync;
use kora_runtime::shard::fault::Fault;
use kora_tests::simulation::append::run_append;
use kora_tests::simulation::bank::run_bank;
use kora_tests::simulation::queue::run_queue;
use kora_tests::simulation::relay::run_relay;
use kora_tests::simulation::seeds::{self, number, story};
use kora_tests::simulation::{Shape, run_seed};

type Run = fn(u64, Shape) -> Result<(), String>;

/// Runs `seeds` seeds, or what the environment says, on one to eight shards.
fn check(name: &str, seeds: u64, shape: Shape, run: impl Fn(u64, Shape) -> Result<(), String>) {
    seeds::check(&format!("simulation {name}"), seeds, &[shape], run);
}

#[test]
fn every_seed_is_strictly_serialisable() {
    check("every_seed", 2500, Shape::default(), run_seed);
}

#[test]
fn every_reader_of_a_bank_sees_the_same_sum() {
    let (committed, aborted) = (Cell::new(0), Cell::new(0));
    check("bank", 150, Shape { clients: 5, commands: 25, ..Shape::default() }, |seed, shape| {
        let (some, none) = run_bank(seed, shape)?;
        committed.set(committed.get() + some);
        aborted.set(aborted.get() + none);
        Ok(())
    });
    if number("KORA_SEED").is_none() {
        assert!(committed.get() > 100 && aborted.get() > 100, "{committed:?}, {aborted:?}: one side is hardly tried");
    }
}

#[test]
fn transactions_that_append_and_read_make_no_circle() {
    check("circle", 100, Shape { clients: 8, commands: 60, ..Shape::default() }, run_append);
}

#[test]
fn elements_that_are_waited_for_go_to_one_client_each_in_order() {
    check("waited_for", 800, Shape { clients: 8, commands: 10, ..Shape::default() }, run_queue);
}

#[test]
fn elements_that_are_handed_on_keep_their_order() {
    check("keep_their_order", 150, QUEUE, run_relay);
}

/// How shards may log; a disk takes its time.
const LOGS: [AppendFsync; 3] = [AppendFsync::Always, AppendFsync::EverySec, AppendFsync::No];

fn check_with_logs(name: &str, seeds: u64, shape: Shape, run: impl Fn(u64, Shape) -> Result<(), String>) {
    let shapes = LOGS.map(|log| Shape { log: Some(log), ..shape });
    seeds::check(&format!("simulation {name}"), seeds, &shapes, run);
}

#[test]
fn every_seed_is_strictly_serialisable_while_shards_log() {
    check_with_logs("while_shards_log", 500, Shape::default(), run_seed);
}

#[test]
fn every_reader_of_a_bank_that_logs_sees_the_same_sum() {
    let shape = Shape { clients: 5, commands: 25, ..Shape::default() };
    check_with_logs("bank_that_logs", 40, shape, |seed, shape| run_bank(seed, shape).map(|_| ()));
}

#[test]
fn transactions_that_are_logged_make_no_circle() {
    check_with_logs("are_logged", 30, Shape { clients: 8, commands: 60, ..Shape::default() }, run_append);
}

#[test]
fn elements_that_are_logged_go_to_one_client_each_in_order() {
    check_with_logs("elements_that_are_logged", 200, QUEUE, run_queue);
}

#[test]
fn elements_that_are_handed_on_and_logged_keep_their_order() {
    check_with_logs("handed_on_and_logged", 50, QUEUE, run_relay);
}

/// Some of the first seeds notice a planted fault.
fn noticed(fault: Fault, seeds: u64, shape: Shape, run: Run) {
    seeds::noticed(seeds, Shape { fault: Some(fault), ..shape }, run);
}

const QUEUE: Shape = Shape { shards: 4, clients: 8, commands: 10, fault: None, log: None, lives: 0, store_fault: None };

#[test]
fn intents_that_are_released_too_early_are_noticed() {
    noticed(Fault::EarlyRelease, 500, Shape::default(), run_seed);
    noticed(Fault::EarlyRelease, 100, Shape { clients: 8, commands: 60, ..Shape::default() }, run_append);
    noticed(Fault::EarlyRelease, 100, Shape { clients: 5, commands: 25, ..Shape::default() }, |seed, shape| {
        run_bank(seed, shape).map(|_| ())
    });
}

#[test]
fn votes_that_are_ignored_are_noticed() {
    noticed(Fault::IgnoredVotes, 500, Shape::default(), run_seed);
    noticed(Fault::IgnoredVotes, 100, Shape { clients: 5, commands: 25, ..Shape::default() }, |seed, shape| {
        run_bank(seed, shape).map(|_| ())
    });
}

#[test]
fn clients_that_are_served_though_they_have_gone_are_noticed() {
    noticed(Fault::ServedThoughGone, 1000, QUEUE, run_queue);
}

#[test]
fn places_that_are_kept_in_line_are_noticed() {
    noticed(Fault::KeptPlaces, 200, QUEUE, run_queue);
}

#[test]
fn lines_that_are_not_paused_are_noticed() {
    noticed(Fault::UnpausedLines, 1000, QUEUE, run_queue);
}

#[test]
fn waiters_that_one_owner_does_not_know_are_noticed() {
    noticed(Fault::HalfRegistered, 500, QUEUE, run_queue);
}

#[test]
fn a_seed_always_tells_the_same_story() {
    let runs: [(Run, Shape); 4] =
        [(run_seed, Shape::default()), (run_queue, QUEUE), (run_append, QUEUE), (run_relay, QUEUE)];
    for (run, shape) in runs {
        let shape = Shape { fault: Some(Fault::EarlyRelease), ..shape };
        for seed in 0..20 {
            assert_eq!(story(run, seed, shape), story(run, seed, shape), "seed {seed}");
        }
    }
}
