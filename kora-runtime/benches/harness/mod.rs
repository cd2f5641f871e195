//! What the benches share: a harness that runs each case for a bounded time and prints nanoseconds per operation.
//!
//! Owns: how a case is measured. Refuses to know: statistics beyond the best and the median batch. Start at [`Bench::case`].

use std::time::{Duration, Instant};

/// How long one case is measured.
const CASE_TIME: Duration = Duration::from_millis(300);

/// Batches that a case is measured in.
const BATCHES: u32 = 30;

/// Which cases are run, and how.
pub(crate) struct Bench {
    filter: Option<String>,
    /// False when run as a test: every case once.
    measure: bool,
}

impl Bench {
    /// As the command line says: `--bench` measures, the first word that is no option picks the cases whose names hold it.
    pub(crate) fn from_arguments() -> Self {
        let measure = std::env::args().any(|argument| argument == "--bench");
        let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
        Self { filter, measure }
    }

    /// Measures `run`, which does `operations` operations a call.
    pub(crate) fn case(&self, name: &str, operations: u32, mut run: impl FnMut()) {
        if self.filter.as_ref().is_some_and(|filter| !name.contains(filter.as_str())) {
            return;
        }
        let started = Instant::now();
        run();
        if !self.measure {
            println!("{name}: runs");
            return;
        }
        // The first call warms up and tells roughly how many fit a batch.
        let call_ns = started.elapsed().as_nanos().max(20);
        let calls = ((CASE_TIME / BATCHES).as_nanos() / call_ns).max(1) as u32;
        let mut batches: Vec<f64> = (0..BATCHES)
            .map(|_| {
                let started = Instant::now();
                for _ in 0..calls {
                    run();
                }
                started.elapsed().as_nanos() as f64 / f64::from(calls) / f64::from(operations)
            })
            .collect();
        batches.sort_by(f64::total_cmp);
        println!("{name:<40} {:>9.1} ns/op  (best {:.1})", batches[batches.len() / 2], batches[0]);
    }
}
