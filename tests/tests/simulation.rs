//! Seeds drive four shards with shuffled mailboxes; every history must be strictly serialisable.
//!
//! `KORA_SEEDS=1000000 cargo test --release -p kora-tests --test simulation` runs a million; a failing seed is replayed with `KORA_SEED=n`.

use kora_tests::simulation::{Shape, run_seed};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

#[test]
fn every_seed_is_strictly_serialisable() {
    let seeds = number("KORA_SEED").map_or(0..number("KORA_SEEDS").unwrap_or(3000), |seed| seed..seed + 1);
    for seed in seeds {
        let shape = Shape { shards: 1 + (seed % 4) as usize + usize::from(seed % 4 == 0) * 3, ..Shape::default() };
        run_seed(seed, shape).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn intents_that_are_released_too_early_are_noticed() {
    let shape = Shape { planted_early_release: true, ..Shape::default() };
    let found = (0..500).find(|&seed| std::panic::catch_unwind(|| run_seed(seed, shape)).map_or(true, |r| r.is_err()));
    assert!(found.is_some(), "500 seeds did not notice that nothing is held");
}

#[test]
fn a_seed_always_tells_the_same_story() {
    let shape = Shape { planted_early_release: true, ..Shape::default() };
    let story = |seed| std::panic::catch_unwind(|| run_seed(seed, shape)).map_err(|_| "panic");
    for seed in 0..50 {
        assert_eq!(story(seed), story(seed), "seed {seed}");
    }
}
