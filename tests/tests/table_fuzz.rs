//! Every row of the table gets right words, wrong words and the largest numbers, and has to answer as it declares.
//!
//! `KORA_SEED=n` runs one seed, the one that a failure names; `KORA_ROUNDS=n` runs n of them.

use kora_tests::table_fuzz::judge::Bounds;
use kora_tests::table_fuzz::{Options, Plan, run};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// Runs a plan with every seed that is asked for.
fn check(plan: Plan, shards: usize) {
    let first = number("KORA_SEED").unwrap_or(1);
    for seed in first..first + number("KORA_ROUNDS").unwrap_or(1) {
        let problems = run(plan, Options::new(seed, shards));
        assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
    }
}

#[test]
fn every_row_keeps_its_word_on_one_shard() {
    check(Plan::Rows { lines: 250 }, 1);
}

#[test]
fn every_row_keeps_its_word_on_four_shards() {
    check(Plan::Rows { lines: 150 }, 4);
}

#[test]
fn every_number_may_be_at_an_edge_on_one_shard() {
    check(Plan::Edges, 1);
}

#[test]
fn every_number_may_be_at_an_edge_on_four_shards() {
    check(Plan::Edges, 4);
}

#[test]
fn pipelines_of_all_rows_are_answered_in_order() {
    check(Plan::Pipelines { pipelines: 2000 }, 4);
    check(Plan::Pipelines { pipelines: 1000 }, 1);
}

#[test]
fn transactions_of_all_rows_are_answered_element_by_element() {
    check(Plan::Transactions { rounds: 1000 }, 4);
    check(Plan::Transactions { rounds: 500 }, 1);
}

#[test]
fn a_handler_that_panics_is_noticed() {
    for shards in [1, 4] {
        let problems = run(Plan::Rows { lines: 5 }, Options { planted_panic: true, ..Options::new(1, shards) });
        let of_info = problems.iter().find(|problem| problem.contains("row info:")).expect("INFO asks for facts");
        assert!(of_info.contains("a handler failed"), "{of_info}");
    }
}

#[test]
fn replies_beyond_their_bound_are_noticed() {
    let bounds = Bounds { reply_bytes_max: 1000, ..Bounds::default() };
    let problems = run(Plan::Pipelines { pipelines: 50 }, Options { bounds, ..Options::new(1, 1) });
    assert!(problems.iter().any(|problem| problem.contains("the bound is 1000")), "{problems:?}");
}

#[test]
fn a_seed_always_tells_the_same_story() {
    // A bound that is too small makes for plenty to tell.
    let bounds = Bounds { reply_bytes_max: 20, ..Bounds::default() };
    let story = |seed| run(Plan::Pipelines { pipelines: 30 }, Options { bounds, ..Options::new(seed, 4) });
    assert_eq!(story(3), story(3));
    assert_ne!(story(3), story(4));
}
