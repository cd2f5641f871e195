//! What rows log, and that replaying it leads to the same keys: for every row of the table that writes.
//!
//! `KORA_SEED=n` runs one seed, the one that a failure names; `KORA_ROUNDS=n` runs n of them; `KORA_ROW=name` runs one row.

use kora_tests::replay::{logged_rows, run_row};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

fn check(lines: usize, shards: usize) {
    let only = std::env::var("KORA_ROW").ok();
    let first = number("KORA_SEED").unwrap_or(1);
    let mut problems = Vec::new();
    for seed in first..first + number("KORA_ROUNDS").unwrap_or(1) {
        for info in logged_rows().filter(|info| only.as_deref().is_none_or(|only| only == info.name)) {
            if let Err(what) = run_row(info, lines, seed, shards) {
                problems.push(format!("KORA_SEED={seed} KORA_ROW={}: {what}", info.name));
            }
        }
    }
    assert!(problems.is_empty(), "{} rows:\n\n{}", problems.len(), problems.join("\n\n"));
}

#[test]
fn every_row_replays_on_one_shard() {
    check(60, 1);
}

#[test]
fn every_row_replays_on_four_shards() {
    check(60, 4);
}
