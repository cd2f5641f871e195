//! Every row of the table, with right and wrong words, on one shard and on several.
//!
//! Owns: what is run in which order, the process that the shards believe to be in, and the report of what went wrong. Refuses to know:
//! what commands mean; the rows say which words they take and what they reply. The parts are files of their own: the words,
//! the declared types, the checks of one exchange, the world in which it takes place.
//! Start at [`run`]. Everything follows from the seed.

pub mod judge;
mod rig;
pub mod shape;
pub mod words;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kora_runtime::config::Config;
use kora_runtime::host::{Host, HostFacts, Remote, RemoteError, SnapshotRefusal, SnapshotSink};
use kora_runtime::random::Random;
use kora_runtime::table::{CommandId, CommandInfo, Flags};

use crate::remote::Obliging;

use self::judge::{Bounds, leaves_its_connection_as_it_was, named, subscribes};
use self::rig::{CLIENTS, Rig};
use self::words::{EDGES, KEYS, Line, Maker, numeric_arguments};

/// Different problems of one run that are shown.
const PROBLEMS_MAX: usize = 25;

/// What is run.
#[derive(Debug, Clone, Copy)]
pub enum Plan {
    /// Each row in turn, whole and broken lines by turns, other rows between.
    Rows {
        /// Lines of each row.
        lines: usize,
    },
    /// Each row with every numeric argument at every edge.
    Edges,
    /// Lines of all rows, several on their way at once.
    Pipelines {
        /// How many pipelines.
        pipelines: usize,
    },
    /// Lines of all rows between MULTI and EXEC, several transactions on their way at once.
    Transactions {
        /// How many rounds; each client has one transaction in a round.
        rounds: usize,
    },
}

/// How it is run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Everything random follows from it.
    pub seed: u64,
    /// Shards.
    pub shards: usize,
    /// What may be used up.
    pub bounds: Bounds,
    /// The process fails when it is asked for facts, as INFO does.
    pub planted_panic: bool,
}

impl Options {
    /// Without planted faults.
    pub fn new(seed: u64, shards: usize) -> Self {
        Self { seed, shards, bounds: Bounds::default(), planted_panic: false }
    }
}

/// A process that keeps what it was asked for and does none of it.
#[derive(Debug, Default)]
pub struct Recorder {
    reports: Mutex<Vec<String>>,
    planted_panic: bool,
}

impl Recorder {
    fn take_reports(&self) -> Vec<String> {
        std::mem::take(&mut *self.reports.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Takes snapshots that nobody wants.
struct Nowhere;

impl SnapshotSink for Nowhere {
    fn has_room(&self) -> bool {
        true
    }
    fn write(&mut self, _: Vec<u8>, _: u64) {}
    fn abandon(self: Box<Self>, _: &str) {}
    fn finish(self: Box<Self>, _: u64) {}
    fn finish_and_wait(self: Box<Self>, _: u64) -> Result<(), String> {
        Ok(())
    }
}

impl Host for Recorder {
    fn monotonic_ns(&self) -> u64 {
        0
    }
    fn facts(&self) -> HostFacts {
        assert!(!self.planted_panic, "planted");
        HostFacts::default()
    }
    fn sleep(&self, _: Duration) {}
    fn shutdown(&self, _: kora_runtime::host::SaveAtEnd, _: bool) -> Result<(), kora_runtime::error::CommandError> {
        Ok(())
    }
    fn begin_snapshot(&self, _: usize, _: u64, _: u64) -> Result<Box<dyn SnapshotSink>, SnapshotRefusal> {
        Ok(Box::new(Nowhere))
    }
    fn snapshot_soon(&self) -> Result<(), SnapshotRefusal> {
        Ok(())
    }
    fn connect(&self, _: &str, _: u16, _: Duration) -> Result<Box<dyn Remote>, RemoteError> {
        Ok(Box::new(Obliging::default()))
    }
    fn purge(&self) {}
    fn report(&self, message: &str) {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).push(message.to_owned());
    }
    fn config_changed(&self, _: &Config) {}
}

/// Runs a plan and returns what was wrong, each with the row it happened in and how to see it again.
pub fn run(plan: Plan, options: Options) -> Vec<String> {
    let mut problems = Problems::default();
    let before = resident_bytes();
    for id in CommandId::ALL {
        match plan {
            Plan::Rows { lines } => run_row(id.info(), lines, options, &mut problems),
            Plan::Edges => run_edges(id.info(), options, &mut problems),
            Plan::Pipelines { .. } | Plan::Transactions { .. } => break,
        }
        if let Err(what) = check_growth(before, resident_bytes(), &options.bounds) {
            problems.note(id.info().name, &[], options, &what);
        }
    }
    let together = match plan {
        Plan::Rows { .. } | Plan::Edges => None,
        Plan::Pipelines { pipelines } => {
            run_pipelines(pipelines, options, &mut problems);
            Some("pipeline")
        }
        Plan::Transactions { rounds } => {
            run_transactions(rounds, options, &mut problems);
            Some("transaction")
        }
    };
    if let (Some(together), Err(what)) = (together, check_growth(before, resident_bytes(), &options.bounds)) {
        problems.note(together, &[], options, &what);
    }
    problems.shown
}

/// Checks what the process has taken since a run began.
fn check_growth(before: u64, now: u64, bounds: &Bounds) -> Result<(), String> {
    let (grown, most) = (now.saturating_sub(before), bounds.resident_growth_bytes_max);
    if grown > most { Err(format!("the process grew by {grown} bytes, the bound is {most}")) } else { Ok(()) }
}

/// Bytes of memory that the process has, 0 where the system does not say.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Option<u64> = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0) * 4096
}

/// What was wrong, each kind of thing once a row.
#[derive(Default)]
struct Problems {
    seen: BTreeSet<(String, String)>,
    shown: Vec<String>,
}

impl Problems {
    fn note(&mut self, row: &str, words: &[Vec<u8>], options: Options, what: &str) {
        let kind: String = what.chars().take(24).collect();
        if !self.seen.insert((row.to_owned(), kind)) || self.shown.len() >= PROBLEMS_MAX {
            return;
        }
        let line: Vec<String> = words
            .iter()
            .map(|word| match word.len() {
                0..=100 => format!("\"{}\"", word.escape_ascii()),
                len => format!("\"{}…\" ({len} bytes)", word[..20].escape_ascii()),
            })
            .collect();
        let Options { seed, shards, .. } = options;
        self.shown.push(format!("KORA_SEED={seed}, {shards} shards, row {row}: {}\n    {what}", line.join(" ")));
    }
}

/// The seed of one row's part of a run: rows do not depend on each other, nor on how many there are.
fn seed_of(options: Options, info: &CommandInfo) -> u64 {
    options.seed.wrapping_mul(0x1_0000).wrapping_add(u64::from(info.id.number()))
}

fn run_row(info: &'static CommandInfo, lines: usize, options: Options, problems: &mut Problems) {
    let seed = seed_of(options, info);
    let mut random = Random::new(seed);
    let mut rig = Rig::new(seed, options);
    let mut accepted = 0;
    for turn in 0..lines {
        let other = CommandId::ALL[random.below(CommandId::ALL.len() as u64) as usize].info();
        let (line, whole) = match turn % 5 {
            0 | 2 => (Maker::new(&mut random).line(info), true),
            1 | 3 => (Maker::new(&mut random).broken(info), false),
            _ => (Maker::new(&mut random).line(other), true),
        };
        match rig.exchange(turn % CLIENTS.len(), &line, whole) {
            Ok(reply) => {
                let is_own = named(&line.words).is_some_and(|(named, _)| named.id == info.id);
                accepted += usize::from(is_own && reply.is_none_or(|reply| !reply.is_error()));
            }
            Err(what) => {
                problems.note(info.name, &line.words, options, &what);
                rig = Rig::new(seed + turn as u64, options);
            }
        }
    }
    // What ends a script that is stuck finds none; there is no log here, and no process that ends.
    let ends_scripts = info.group == "scripting" && info.flags.contains(Flags::ALLOW_BUSY);
    let finds_nothing = ends_scripts || matches!(info.id, CommandId::DebugLoadaof | CommandId::Shutdown);
    if accepted == 0 && lines >= 100 && !finds_nothing {
        problems.note(info.name, &[], options, "not one line was accepted");
    }
    if let Err(what) = rig.find_empty_values() {
        problems.note(info.name, &[], options, &what);
    }
}

fn run_edges(info: &'static CommandInfo, options: Options, problems: &mut Problems) {
    let seed = seed_of(options, info);
    let mut random = Random::new(seed);
    let mut rig = Rig::new(seed, options);
    let mut attempt = |line: &Line, client: usize| {
        if let Err(what) = rig.exchange(client, line, false) {
            problems.note(info.name, &line.words, options, &what);
            rig = Rig::new(seed, options);
        }
    };
    for wanted in numeric_arguments(info.args) {
        for (turn, edge) in EDGES.iter().enumerate() {
            let line = (0..200)
                .map(|_| Maker::new(&mut random).line(info))
                .find(|line| line.values.iter().any(|(_, arg)| std::ptr::eq(*arg, wanted)));
            let Some(mut line) = line else { continue };
            let places: Vec<usize> =
                line.values.iter().filter(|(_, arg)| words::is_numeric(arg)).map(|(at, _)| *at).collect();
            for (at, arg) in line.values.clone() {
                if std::ptr::eq(arg, wanted) {
                    line.words[at] = edge.as_bytes().to_vec();
                }
            }
            attempt(&line, turn % CLIENTS.len());
            // And with every other number at an edge as well.
            let other = EDGES[random.below(EDGES.len() as u64) as usize];
            for at in places {
                if line.words[at] != edge.as_bytes() {
                    line.words[at] = other.as_bytes().to_vec();
                }
            }
            attempt(&line, (turn + 1) % CLIENTS.len());
        }
    }
}

/// Commands that end connections, set a password or break something on purpose have their rows to themselves.
fn fits_into_a_crowd(info: &CommandInfo) -> bool {
    use CommandId::{ClientKill, ConfigSet, DebugPanic, Shutdown};
    !subscribes(info) && !matches!(info.id, ClientKill | ConfigSet | DebugPanic | Shutdown)
}

/// Commands that change how their connection behaves stay out of pipelines.
fn fits_a_pipeline(info: &CommandInfo) -> bool {
    fits_into_a_crowd(info) && leaves_its_connection_as_it_was(info)
}

/// Commands that end a transaction, or change how it replies, stay out of those. (A subscription is confirmed several times, in EXEC too.)
fn fits_a_transaction(info: &CommandInfo) -> bool {
    use CommandId::{ClientReply, Discard, Exec, Hello, Quit, Reset};
    fits_into_a_crowd(info) && !matches!(info.id, ClientReply | Discard | Exec | Hello | Quit | Reset)
}

/// Up to seven lines of rows that fit, for each client.
fn crowd(random: &mut Random, fits: fn(&CommandInfo) -> bool) -> Vec<Vec<Line>> {
    let rows: Vec<_> = CommandId::ALL.iter().map(|id| id.info()).filter(|info| fits(info)).collect();
    let line = |random: &mut Random| {
        let info = rows[random.below(rows.len() as u64) as usize];
        if random.below(4) == 0 { Maker::new(random).broken(info) } else { Maker::new(random).line(info) }
    };
    CLIENTS
        .iter()
        .map(|_| {
            let lines: Vec<Line> = (0..random.below(8)).map(|_| line(random)).collect();
            // A broken name may be another command's.
            lines.into_iter().filter(|line| named(&line.words).is_none_or(|(info, _)| fits(info))).collect()
        })
        .collect()
}

fn run_pipelines(pipelines: usize, options: Options, problems: &mut Problems) {
    run_crowds("pipeline", pipelines, options, problems, |rig, random| {
        let lines = crowd(random, fits_a_pipeline);
        rig.pipeline(&lines)
    });
}

fn run_transactions(rounds: usize, options: Options, problems: &mut Problems) {
    let mut run = 0;
    run_crowds("transaction", rounds, options, problems, |rig, random| {
        let lines = crowd(random, fits_a_transaction);
        // Some watch keys, which others may change.
        let watched: Vec<Vec<&str>> = CLIENTS
            .iter()
            .map(|_| {
                let (_, keys) = KEYS[random.below(KEYS.len() as u64) as usize];
                keys[..random.below(3) as usize].to_vec()
            })
            .collect();
        run += rig.transactions(&watched, &lines)?;
        Ok(())
    });
    if run < rounds {
        problems.note("transaction", &[], options, &format!("only {run} commands ran in {rounds} rounds"));
    }
}

/// Lets a round happen so many times, in a fresh world now and then.
fn run_crowds(
    what: &str,
    rounds: usize,
    options: Options,
    problems: &mut Problems,
    mut round: impl FnMut(&mut Rig, &mut Random) -> Result<(), (Vec<Vec<u8>>, String)>,
) {
    let seed = options.seed.wrapping_mul(0x1_0000);
    let mut random = Random::new(seed);
    let mut rig = Rig::new(seed, options);
    for turn in 0..rounds {
        if let Err((words, wrong)) = round(&mut rig, &mut random) {
            problems.note(what, &words, options, &format!("in {what} {turn}: {wrong}"));
            rig = Rig::new(seed + turn as u64, options);
        }
        if turn % 50 == 49 {
            if let Err(wrong) = rig.find_empty_values() {
                problems.note(what, &[], options, &wrong);
            }
            rig = Rig::new(seed + turn as u64, options);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_measured_and_bounded() {
        let before = resident_bytes();
        let filled = vec![1_u8; 256 << 20];
        let now = resident_bytes();
        // Elsewhere than on Linux nothing is known, and nothing is claimed.
        assert_eq!(before == 0, now == 0);
        let bounds = Bounds { resident_growth_bytes_max: 128 << 20, ..Bounds::default() };
        assert_eq!(check_growth(before, now, &bounds).is_err(), now > 0, "{} bytes more", filled.len());
        assert_eq!(check_growth(now, before, &bounds), Ok(()));
    }
}
