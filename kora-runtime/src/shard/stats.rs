//! Counters of one shard; INFO adds them up over all shards.
//!
//! Owns: what is counted. Refuses to know: how it is shown.

use kora_macros::Counters;

use crate::table::CommandId;

/// Counters of one shard.
#[derive(Debug, Clone, Default, PartialEq, Eq, Counters)]
pub struct Stats {
    /// Commands that ran or were refused.
    pub total_commands_processed: u64,
    /// Bytes read from clients.
    pub total_net_input_bytes: u64,
    /// Bytes written to clients.
    pub total_net_output_bytes: u64,
    /// Keys that expired.
    pub expired_keys: u64,
    /// Keys evicted to stay under `maxmemory`.
    pub evicted_keys: u64,
    /// Lookups for reading that found the key.
    pub keyspace_hits: u64,
    /// Lookups for reading that did not.
    pub keyspace_misses: u64,
    /// Error replies.
    pub total_error_replies: u64,
    /// Commands that read.
    pub total_reads_processed: u64,
    /// Commands that write.
    pub total_writes_processed: u64,
    /// Changes of keys.
    pub dirty: u64,
    /// What that was at the last snapshot's cut.
    pub dirty_at_snapshot: u64,
    /// Connections closed because their output passed its limit.
    pub output_limit_disconnections: u64,
    /// Connections closed because their input passed its limit.
    pub query_limit_disconnections: u64,
    /// Failed authentications.
    pub acl_access_denied_auth: u64,
    /// Commands sent to another shard.
    pub forwarded_commands: u64,
    /// Commands that ran as a transaction over several shards.
    pub multi_shard_commands: u64,
    /// Handlers that panicked.
    pub handler_panics: u64,
}

/// How far counters moved in one stretch of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stretch {
    /// How long it was.
    pub elapsed_ms: u64,
    /// Commands.
    pub commands: u64,
    /// Bytes from clients.
    pub input_bytes: u64,
    /// Bytes to clients.
    pub output_bytes: u64,
}

impl Stretch {
    /// A count in this stretch as a count per second.
    pub fn per_second(&self, count: u64) -> u64 {
        (u128::from(count) * 1000).checked_div(u128::from(self.elapsed_ms)).unwrap_or(0) as u64
    }
}

/// The shortest time between two samples of a [`Meter`].
const SAMPLE_MS: u64 = 100;
/// Samples that a [`Meter`] remembers: as many as Redis averages over.
const SAMPLES: usize = 16;

/// How fast counters moved lately, from samples that the upkeep of the shard takes.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    /// What the counters were at the last sample, and when it was taken.
    last: Option<(u64, Stretch)>,
    recent: [Stretch; SAMPLES],
    next: usize,
}

impl Meter {
    /// Takes a sample, unless the last one is quite fresh.
    pub fn sample(&mut self, now_ms: u64, stats: &Stats) {
        let total = Stretch {
            elapsed_ms: 0,
            commands: stats.total_commands_processed,
            input_bytes: stats.total_net_input_bytes,
            output_bytes: stats.total_net_output_bytes,
        };
        if let Some((at_ms, before)) = self.last {
            let elapsed_ms = now_ms.saturating_sub(at_ms);
            if now_ms >= at_ms && elapsed_ms < SAMPLE_MS {
                return;
            }
            self.recent[self.next] = Stretch {
                elapsed_ms,
                commands: total.commands.saturating_sub(before.commands),
                input_bytes: total.input_bytes.saturating_sub(before.input_bytes),
                output_bytes: total.output_bytes.saturating_sub(before.output_bytes),
            };
            self.next = (self.next + 1) % SAMPLES;
        }
        self.last = Some((now_ms, total));
    }

    /// All remembered samples together.
    pub fn recent(&self) -> Stretch {
        self.recent.iter().fold(Stretch::default(), |sum, one| Stretch {
            elapsed_ms: sum.elapsed_ms + one.elapsed_ms,
            commands: sum.commands + one.commands,
            input_bytes: sum.input_bytes + one.input_bytes,
            output_bytes: sum.output_bytes + one.output_bytes,
        })
    }

    /// Forgets everything (CONFIG RESETSTAT).
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

/// Calls of one command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Counters)]
pub struct CommandStat {
    /// Commands of clients, each counted where its client is or its transaction began.
    pub calls: u64,
    /// Times its handler ran here: a command over several shards runs on each of them.
    pub runs: u64,
    /// Runs that were timed.
    pub samples: u64,
    /// Nanoseconds of those.
    pub sampled_ns: u64,
    /// Times it was refused before it ran.
    pub rejected: u64,
    /// Times it replied with an error.
    pub failed: u64,
}

/// Every sixteenth run of a command is timed.
pub const SAMPLE_EVERY: u64 = 16;

impl CommandStat {
    /// Estimated time in microseconds of all runs.
    pub fn usec(&self) -> u64 {
        let sum = u128::from(self.sampled_ns) * u128::from(self.runs);
        (sum.checked_div(u128::from(self.samples)).unwrap_or(0) / 1000) as u64
    }
}

/// How long the timed runs of a command took: counts in buckets of about a fifth of their value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latencies([u64; LATENCY_BUCKETS]);

/// Four buckets for each power of two of nanoseconds, up to half an hour.
const LATENCY_BUCKETS: usize = 160;

impl Default for Latencies {
    fn default() -> Self {
        Self([0; LATENCY_BUCKETS])
    }
}

impl Latencies {
    fn bucket_of(ns: u64) -> usize {
        let Some(power) = ns.checked_ilog2().filter(|power| *power >= 2) else { return ns as usize };
        let quarter = (ns >> (power - 2)) & 3;
        ((power as usize - 1) * 4 + quarter as usize).min(LATENCY_BUCKETS - 1)
    }

    /// The largest value that falls in a bucket.
    fn bucket_ns(bucket: usize) -> u64 {
        match bucket {
            0..4 => bucket as u64,
            _ => ((5 + bucket as u64 % 4) << (bucket / 4 - 1)) - 1,
        }
    }

    /// Counts a run.
    pub fn record(&mut self, ns: u64) {
        self.0[Self::bucket_of(ns)] += 1;
    }

    /// Adds runs to a bucket; one that does not exist takes none.
    pub fn add(&mut self, bucket: usize, count: u64) {
        if let Some(sum) = self.0.get_mut(bucket) {
            *sum = sum.saturating_add(count);
        }
    }

    /// Buckets that are not empty, with their counts.
    pub fn counts(&self) -> impl Iterator<Item = (usize, u64)> {
        self.0.iter().copied().enumerate().filter(|(_, count)| *count > 0)
    }

    /// Microseconds within which so many runs of a hundred stayed; `None` without runs.
    pub fn percentiles_usec<const N: usize>(&self, percents: [f64; N]) -> Option<[f64; N]> {
        let total: u64 = self.0.iter().fold(0, |sum, count| sum.saturating_add(*count));
        (total > 0).then(|| {
            percents.map(|percent| {
                let wanted = (total as f64 * percent / 100.0).ceil() as u64;
                let mut seen = 0_u64;
                let reached = self.counts().find(|(_, count)| {
                    seen = seen.saturating_add(*count);
                    seen >= wanted
                });
                Self::bucket_ns(reached.map_or(LATENCY_BUCKETS - 1, |(bucket, _)| bucket)) as f64 / 1000.0
            })
        })
    }
}

/// Calls of every command, and errors by their code word.
#[derive(Debug, Clone)]
pub struct CommandStats {
    by_number: Vec<CommandStat>,
    /// Of commands that were timed.
    latencies: std::collections::BTreeMap<u16, Box<Latencies>>,
    errors: std::collections::BTreeMap<String, u64>,
}

impl Default for CommandStats {
    fn default() -> Self {
        let most = CommandId::ALL.iter().map(|id| usize::from(id.number())).max().unwrap_or(0);
        let by_number = vec![CommandStat::default(); most + 1];
        Self { by_number, latencies: std::collections::BTreeMap::new(), errors: std::collections::BTreeMap::new() }
    }
}

impl CommandStats {
    /// The counters of a command.
    #[inline]
    pub fn of(&mut self, id: CommandId) -> &mut CommandStat {
        &mut self.by_number[usize::from(id.number())]
    }

    /// Commands that were called or refused, in table order.
    pub fn iter(&self) -> impl Iterator<Item = (CommandId, CommandStat)> {
        CommandId::ALL
            .iter()
            .map(|id| (*id, self.by_number[usize::from(id.number())]))
            .filter(|(_, stat)| *stat != CommandStat::default())
    }

    /// Counts the time that one run took.
    pub fn count_time(&mut self, id: CommandId, ns: u64) {
        let stat = self.of(id);
        stat.samples += 1;
        stat.sampled_ns += ns;
        self.latencies.entry(id.number()).or_default().record(ns);
    }

    /// How long the timed runs of each command took.
    pub fn latencies(&self) -> impl Iterator<Item = (CommandId, &Latencies)> {
        self.latencies.iter().filter_map(|(number, latencies)| Some((CommandId::from_number(*number)?, &**latencies)))
    }

    /// Counts an error by its code word. Words are the program's own, so the map is bounded; a limit holds all the same.
    pub fn count_error(&mut self, text: &str) {
        let word = text.split(' ').next().unwrap_or("ERR");
        if let Some(count) = self.errors.get_mut(word) {
            *count += 1;
        } else if self.errors.len() < crate::limits::ERROR_WORDS_MAX {
            self.errors.insert(word.to_owned(), 1);
        }
    }

    /// Errors by code word.
    pub fn errors(&self) -> impl Iterator<Item = (&str, u64)> {
        self.errors.iter().map(|(word, count)| (word.as_str(), *count))
    }

    /// Forgets everything (CONFIG RESETSTAT).
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_tells_what_happened_lately() {
        let mut meter = Meter::default();
        let mut stats = Stats::default();
        assert_eq!(meter.recent().per_second(meter.recent().commands), 0);
        for now_ms in (0..3000).step_by(50) {
            meter.sample(now_ms, &stats);
            stats.total_commands_processed += 5;
        }
        assert_eq!(meter.recent(), Stretch { elapsed_ms: 1600, commands: 160, ..Stretch::default() });
        assert_eq!(meter.recent().per_second(160), 100);
        // A clock that goes back is a sample of no length.
        meter.sample(1000, &stats);
        assert_eq!(meter.recent().elapsed_ms, 1500);
        meter.reset();
        assert_eq!(meter.recent(), Stretch::default());
    }

    #[test]
    fn a_bucket_holds_values_up_to_its_own() {
        for ns in (0..5000).chain([1 << 20, (1 << 20) + 1, 1 << 38]) {
            let bucket = Latencies::bucket_of(ns);
            assert!(Latencies::bucket_ns(bucket) >= ns, "{ns}");
            assert!(bucket == 0 || Latencies::bucket_ns(bucket - 1) < ns, "{ns}");
        }
        assert_eq!(Latencies::bucket_of(u64::MAX), LATENCY_BUCKETS - 1);
    }

    #[test]
    fn percentiles_come_from_the_buckets() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentiles_usec([50.0]), None);
        (0..99).for_each(|_| latencies.record(1000));
        latencies.record(1_000_000);
        let [half, most, all] = latencies.percentiles_usec([50.0, 99.0, 99.9]).expect("there are runs");
        assert!((1.0..1.3).contains(&half) && (1.0..1.3).contains(&most), "{half} {most}");
        assert!((1000.0..1300.0).contains(&all), "{all}");
    }

    #[test]
    fn time_is_that_of_the_samples_for_all_runs() {
        let stat = CommandStat { calls: 1, runs: 32, samples: 2, sampled_ns: 3000, ..CommandStat::default() };
        assert_eq!(stat.usec(), 48);
        assert_eq!(CommandStat::default().usec(), 0);
    }
}
