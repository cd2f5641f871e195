//! Every row of the table, with right and wrong words, on one shard and on several.
//!
//! Owns: what is run in which order, the process that the shards believe to be in, and the report of what went wrong. Refuses to know:
//! what commands mean; the rows say which words they take and what they reply. The three parts are files of their own: the words,
//! the declared types, the checks of one exchange.
//! Start at [`run`]. Everything follows from the seed.

pub mod judge;
pub mod shape;
pub mod words;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kora_runtime::config::Config;
use kora_runtime::host::{Host, HostFacts};
use kora_runtime::random::Random;
use kora_runtime::table::{CommandId, CommandInfo, Route};

use self::judge::{Bounds, Exchange, check_parsers, is_failure, judge, named, subscribes};
use self::words::{EDGES, KEYS, Line, Maker, numeric_arguments};
use crate::resp::{Protocol, Value, encode};
use crate::simulation::Shape;
use crate::simulation::world::World;

/// The clients' protocols; the client's number is the index.
const CLIENTS: [Protocol; 3] = [Protocol::Resp2, Protocol::Resp3, Protocol::Resp2];

/// Unix milliseconds at which every run begins.
const START_MS: u64 = 1_000_000;

/// Steps of a world after which a command without a reply is given up.
const MOVES_MAX: usize = 100_000;

/// Different problems of one run that are shown.
const PROBLEMS_MAX: usize = 25;

/// Elements of the values that hold more than their packed form may, which is [`PACKED_ELEMENTS`].
const BIG_VALUE_ELEMENTS: usize = 150;
const PACKED_ELEMENTS: usize = 100;

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

impl Host for Recorder {
    fn monotonic_ns(&self) -> u64 {
        0
    }
    fn facts(&self) -> HostFacts {
        assert!(!self.planted_panic, "planted");
        HostFacts::default()
    }
    fn sleep(&self, _: Duration) {}
    fn shutdown(&self) {}
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
            Plan::Pipelines { .. } => break,
        }
        if let Err(what) = check_growth(before, resident_bytes(), &options.bounds) {
            problems.note(id.info().name, &[], options, &what);
        }
    }
    if let Plan::Pipelines { pipelines } = plan {
        run_pipelines(pipelines, options, &mut problems);
        if let Err(what) = check_growth(before, resident_bytes(), &options.bounds) {
            problems.note("pipeline", &[], options, &what);
        }
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
    if accepted == 0 && lines >= 100 {
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

/// Commands that change how their connection behaves, or the process around it, stay out of pipelines.
fn fits_a_pipeline(info: &CommandInfo) -> bool {
    use CommandId::{ClientKill, ConfigSet, DebugPanic, Shutdown};
    info.route != Route::Connection
        && !subscribes(info.id)
        && !matches!(info.id, ClientKill | ConfigSet | DebugPanic | Shutdown)
}

fn run_pipelines(pipelines: usize, options: Options, problems: &mut Problems) {
    let seed = options.seed.wrapping_mul(0x1_0000);
    let mut random = Random::new(seed);
    let rows: Vec<_> = CommandId::ALL.iter().map(|id| id.info()).filter(|info| fits_a_pipeline(info)).collect();
    let mut rig = Rig::new(seed, options);
    for turn in 0..pipelines {
        let lines: Vec<Vec<Line>> = CLIENTS
            .iter()
            .map(|_| {
                (0..random.below(8))
                    .map(|_| {
                        let info = rows[random.below(rows.len() as u64) as usize];
                        if random.below(4) == 0 {
                            Maker::new(&mut random).broken(info)
                        } else {
                            Maker::new(&mut random).line(info)
                        }
                    })
                    // A broken name may be another command's.
                    .filter(|line| named(&line.words).is_none_or(|(info, _)| fits_a_pipeline(info)))
                    .collect()
            })
            .collect();
        if let Err((words, what)) = rig.pipeline(&lines) {
            problems.note("pipeline", &words, options, &format!("in pipeline {turn}: {what}"));
            rig = Rig::new(seed + turn as u64, options);
        }
        if turn % 50 == 49 {
            if let Err(what) = rig.find_empty_values() {
                problems.note("pipeline", &[], options, &what);
            }
            rig = Rig::new(seed + turn as u64, options);
        }
    }
}

/// A world with clients of both protocols and keys of all types.
struct Rig {
    world: World,
    host: Arc<Recorder>,
    random: Random,
    now_ms: u64,
    seed: u64,
    options: Options,
}

impl Rig {
    fn new(seed: u64, options: Options) -> Self {
        let host = Arc::new(Recorder { planted_panic: options.planted_panic, ..Recorder::default() });
        let shape = Shape { shards: options.shards, clients: CLIENTS.len(), ..Shape::default() };
        let world = World::in_process(seed, shape, Arc::clone(&host) as Arc<dyn Host>);
        let mut rig = Self { world, host, random: Random::new(seed), now_ms: START_MS, seed, options };
        rig.world.set_clock(rig.now_ms);
        (0..CLIENTS.len()).for_each(|client| rig.greet(client));
        rig.fill(seed);
        rig
    }

    /// Makes a new connection speak its protocol.
    fn greet(&mut self, client: usize) {
        if CLIENTS[client] == Protocol::Resp3 {
            self.world.send(client, &["HELLO", "3"]);
            self.settle().expect("a greeting is answered");
        }
    }

    /// Keys of all types, small and big ones, some with an expiry.
    fn fill(&mut self, seed: u64) {
        let many = |command: &str, element: &dyn Fn(usize) -> String, count: usize| {
            let mut words: Vec<String> = command.split(' ').map(str::to_owned).collect();
            words.extend((0..count).flat_map(|at| element(at).split(' ').map(str::to_owned).collect::<Vec<_>>()));
            words
        };
        let packed = format!("hash-max-listpack-entries {PACKED_ELEMENTS} set-max-intset-entries {PACKED_ELEMENTS}");
        let mut lines: Vec<Vec<String>> = vec![
            many(&format!("CONFIG SET {packed}"), &|_| String::new(), 0),
            many("MSET s0 m0m1m2 s1 m3 i0 7 f0 2.5", &|_| String::new(), 0),
            vec!["SET".into(), "s2".into(), "m1 hello ".repeat(100)],
            many("PEXPIRE s1 5000", &|_| String::new(), 0),
        ];
        for (at, count) in [3, 8, BIG_VALUE_ELEMENTS].into_iter().enumerate() {
            lines.push(many(&format!("RPUSH l{at}"), &|element| format!("m{element}"), count));
            lines.push(many(&format!("HSET h{at}"), &|element| format!("m{element} {element}"), count));
            // One of the sets holds integers only.
            lines.push(many(
                &format!("SADD t{at}"),
                &|element| if at == 1 { element.to_string() } else { format!("m{element}") },
                count,
            ));
            lines.push(many(&format!("ZADD z{at}"), &|element| format!("{element} m{element}"), count));
            lines.extend(
                (1..=count).map(|ms| many(&format!("XADD x{at} {ms}"), &|element| format!("m{element} {ms}"), 2)),
            );
        }
        if seed.is_multiple_of(2) {
            lines.push(many("CONFIG SET maxmemory-policy allkeys-lfu", &|_| String::new(), 0));
        }
        for words in lines {
            self.world.send(0, &words);
            let replies = self.settle().expect("a key is set");
            assert!(replies.iter().all(|(_, reply)| reply[0] != b'-'), "{words:?}: {replies:?}");
        }
    }

    /// Lets everything happen that can, in an order of the seed's, and returns all replies.
    fn settle(&mut self) -> Result<Vec<(usize, Vec<u8>)>, String> {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            for _ in 0..MOVES_MAX {
                match self.world.moves() {
                    0 => return true,
                    moves => self.world.make_move(self.random.below(moves as u64) as usize),
                }
            }
            false
        }));
        match outcome {
            Ok(true) => {}
            Ok(false) => return Err(format!("does not come to rest within {MOVES_MAX} moves")),
            Err(panic) => return Err(unwound(panic.as_ref())),
        }
        Ok(self.world.take_replies())
    }

    /// Sends one command, takes its replies and checks everything.
    fn exchange(&mut self, client: usize, line: &Line, whole: bool) -> Result<Option<Value>, String> {
        check_parsers(&line.words)?;
        self.pass_time();
        let sent = catch_unwind(AssertUnwindSafe(|| self.world.send(client, &line.words)));
        sent.map_err(|panic| unwound(panic.as_ref()))?;
        let all = self.settle()?;
        let replies: Vec<Vec<u8>> =
            all.iter().filter(|(to, _)| *to == client).map(|(_, reply)| reply.clone()).collect();
        if replies.len() < all.len() {
            return Err("others were answered as well".to_owned());
        }
        let over = self.world.is_over(client);
        let exchange = Exchange { words: &line.words, protocol: CLIENTS[client], whole, replies: &replies, over };
        let value = judge(&exchange, &self.options.bounds)?;
        if value.as_ref().is_some_and(|value| value.is_error() && value.bytes().is_some_and(is_failure)) {
            // It was asked for. Keys are fenced now, which would only make the commands to come fail.
            if self.host.take_reports().len() != 1 {
                return Err("failed inside without a report".to_owned());
            }
            *self = Self::new(self.seed, self.options);
            return Ok(None);
        }
        self.check_health()?;
        // Whatever the command made of the connection, the next one is as it was, and needs no password.
        let named = named(&line.words).map(|(info, _)| info);
        if named.is_some_and(|info| info.id == CommandId::ConfigSet) {
            self.world.send(client, &["CONFIG", "SET", "requirepass", ""]);
            self.settle()?;
        }
        if named.is_some_and(|info| info.route == Route::Connection || subscribes(info.id)) {
            self.world.reconnect(client);
            self.greet(client);
        }
        self.reopen();
        Ok(value)
    }

    /// Sends several commands of each client at once, takes their replies and checks everything.
    fn pipeline(&mut self, lines: &[Vec<Line>]) -> Result<(), (Vec<Vec<u8>>, String)> {
        let plain = |what: String| (Vec::new(), what);
        self.pass_time();
        for (client, lines) in lines.iter().enumerate() {
            let bytes: Vec<u8> = lines.iter().flat_map(|line| encode(&line.words)).collect();
            let sent = catch_unwind(AssertUnwindSafe(|| self.world.send_bytes(client, &bytes)));
            sent.map_err(|panic| plain(unwound(panic.as_ref())))?;
        }
        let all = self.settle().map_err(plain)?;
        for (client, lines) in lines.iter().enumerate() {
            let replies: Vec<&Vec<u8>> = all.iter().filter(|(to, _)| *to == client).map(|(_, reply)| reply).collect();
            if replies.len() != lines.len() {
                return Err(plain(format!("{} commands got {} replies", lines.len(), replies.len())));
            }
            for (line, reply) in lines.iter().zip(replies) {
                let replies = std::slice::from_ref(reply);
                let exchange =
                    Exchange { words: &line.words, protocol: CLIENTS[client], whole: false, replies, over: false };
                judge(&exchange, &self.options.bounds).map_err(|what| (line.words.clone(), what))?;
            }
        }
        self.check_health().map_err(plain)?;
        self.reopen();
        Ok(())
    }

    /// Time goes on by little or by much, and background work is done.
    fn pass_time(&mut self) {
        self.now_ms += match self.random.below(40) {
            0 => 10_000,
            1..=10 => self.random.below(50),
            _ => 0,
        };
        self.world.set_clock(self.now_ms);
        if self.random.below(10) == 0 {
            self.world.maintain();
        }
    }

    fn check_health(&mut self) -> Result<(), String> {
        if let Some(report) = self.host.take_reports().first() {
            return Err(format!("reported: {report}"));
        }
        let panics: u64 = self.world.shards().iter().map(|shard| shard.core().stats.handler_panics).sum();
        if panics > 0 {
            return Err(format!("{panics} handlers panicked"));
        }
        if !self.world.is_quiet() {
            return Err("an intent was left behind".to_owned());
        }
        Ok(())
    }

    /// Opens the connections again that were closed.
    fn reopen(&mut self) {
        for client in 0..CLIENTS.len() {
            if self.world.is_over(client) {
                self.world.reconnect(client);
                self.greet(client);
            }
        }
    }

    /// Looks for keys whose collection is empty: those must not exist.
    fn find_empty_values(&mut self) -> Result<(), String> {
        let lengths = [("list", "LLEN"), ("hash", "HLEN"), ("set", "SCARD"), ("zset", "ZCARD")];
        for key in KEYS.iter().flat_map(|(_, keys)| keys) {
            let ask = |rig: &mut Self, command: &str| -> Result<Value, String> {
                let line = Line { words: vec![command.into(), key.as_bytes().to_vec()], values: Vec::new() };
                rig.exchange(0, &line, true).map(|value| value.expect("these are answered"))
            };
            let kind = ask(self, "TYPE")?;
            let known = lengths.iter().find(|(name, _)| kind.bytes() == Some(name.as_bytes()));
            if let Some((name, command)) = known
                && ask(self, command)? == Value::Integer(0)
            {
                return Err(format!("{key} holds an empty {name}"));
            }
        }
        Ok(())
    }
}

fn unwound(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("panicked out of the shard: {}", text.unwrap_or_default())
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
