//! Which seeds are run, and what is said of one that finds something.
//!
//! Owns: the variables of the environment that pick seeds, how many shards a seed has. Refuses to know: what is run.
//! Start at [`check`].
//!
//! | variable | |
//! |---|---|
//! | `KORA_SEED` | this seed alone |
//! | `KORA_SEEDS` | so many seeds of every workload, in place of the test's own number |
//! | `KORA_FIRST_SEED` | the first of them; 0 without it |

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Shape;

/// The number in a variable of the environment.
///
/// # Panics
/// When it is none.
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// The seeds to run, `count` of them unless the environment says otherwise.
fn seeds(count: u64) -> Range<u64> {
    if let Some(seed) = number("KORA_SEED") {
        return seed..seed + 1;
    }
    let first = number("KORA_FIRST_SEED").unwrap_or(0);
    first..first + number("KORA_SEEDS").unwrap_or(count)
}

/// Runs one seed, on as many shards as the seed says. A shard that panics is as wrong as a reply.
///
/// # Errors
/// What was wrong.
pub fn story(run: impl Fn(u64, Shape) -> Result<(), String>, seed: u64, shape: Shape) -> Result<(), String> {
    let shape = Shape { shards: [4, 2, 3, 8, 1, 4, 5, 2, 6, 7][(seed % 10) as usize], ..shape };
    catch_unwind(AssertUnwindSafe(|| run(seed, shape))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("panicked: {}", text.unwrap_or_default()))
    })
}

/// Runs `count` seeds, or those of the environment, in each of the shapes. `test` is the file and the name by which one is replayed.
///
/// # Panics
/// When one of them is wrong.
pub fn check(test: &str, count: u64, shapes: &[Shape], run: impl Fn(u64, Shape) -> Result<(), String>) {
    for seed in seeds(count) {
        for shape in shapes {
            if let Err(error) = story(&run, seed, *shape) {
                let log = shape.log.map_or_else(String::new, |log| format!(", {log:?}"));
                panic!("seed {seed}{log}: {error}\nreplay: KORA_SEED={seed} cargo test -p kora-tests --test {test}");
            }
        }
    }
}

/// Some of the first `count` seeds notice what is broken on purpose.
///
/// # Panics
/// When none does.
pub fn noticed(count: u64, shape: Shape, run: impl Fn(u64, Shape) -> Result<(), String>) {
    let found = (0..count).find(|&seed| story(&run, seed, shape).is_err());
    assert!(found.is_some(), "{count} seeds did not notice {shape:?}");
}
