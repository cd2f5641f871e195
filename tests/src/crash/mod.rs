//! Real server processes that are killed at random moments while clients write, and started again.
//!
//! Owns: cycles of load, end, start and verification on one data directory, from a seed. Refuses to know: which server it is; a command line with
//! places for port, directory and shards is enough, so that a real redis-server proves the tests themselves.
//! Start at [`run`], then at a part:
//!
//! | part | what it knows |
//! |---|---|
//! | [`process`] | a server: start, wait, end |
//! | [`client`] | one connection's load, and its history |
//! | [`object`], [`mod@write`] | what clients write, and a model of it |
//! | [`bank`] | transfers between accounts that all clients share |
//! | [`mod@verify`] | what must be there after a start |
//!
//! A crash is a matter of time, so a seed repeats the load and its end roughly, not exactly.
//!
//! Breaks the rule: sleep, because what a second makes durable can only be told after that second.

pub mod bank;
pub mod brief;
pub mod client;
pub mod object;
pub mod process;
pub mod progress;
pub mod verify;
pub mod write;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kora_runtime::random::Random;

use self::bank::{Bank, BankKind};
use self::brief::brief;
use self::client::{Client, exchange_all};
use self::process::{Places, Process, Template};
use self::progress::Progress;
use self::verify::{Ended, Promise, Seen, verify};
use crate::resp::{Client as Connection, Value};

/// Shards of one start after the other.
const SHARDS: [usize; 4] = [1, 2, 4, 8];
/// `everysec` may lose one second and the time of a sync on a busy disk.
const AGE_MAX: Duration = Duration::from_secs(2);
/// Each has one of the sixteen databases that every server has; the first is everybody's.
const CLIENTS_MAX: usize = 15;
/// A directory that is bigger is not copied before each start.
const COPIED_BYTES_MAX: u64 = 256 << 20;

/// When a server promises that an acknowledged write is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// At once.
    Always,
    /// After a second.
    EverySec,
    /// After a clean end.
    No,
}

impl Policy {
    /// By the name that servers use.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Always, Self::EverySec, Self::No].into_iter().find(|policy| policy.name() == name)
    }

    /// The name that servers use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::EverySec => "everysec",
            Self::No => "no",
        }
    }

    fn after_kill(self) -> Promise {
        match self {
            Self::Always => Promise::Everything,
            Self::EverySec => Promise::Older(AGE_MAX),
            Self::No => Promise::Order,
        }
    }
}

/// A run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The server.
    pub template: Template,
    /// What it promises; stands in the template as `{policy}`.
    pub policy: Policy,
    /// From load to verification.
    pub cycles: usize,
    /// What randomness comes from.
    pub seed: u64,
    /// Clients.
    pub clients: usize,
    /// Most operations that are acknowledged in a cycle, roughly.
    pub operations_max: u64,
    /// In one of so many cycles writes stop for longer than [`Policy::EverySec`] may lose, and go on; 0 for none.
    pub pause_every: usize,
    /// Starts a snapshot; empty for none.
    pub snapshot_commands: Vec<String>,
    /// Where everything is kept; it must not exist. Removed at the end, but for what a failure left.
    pub folder: PathBuf,
    /// A line for each cycle.
    pub is_talkative: bool,
}

impl Plan {
    /// A plan for a server with this command line.
    pub fn new(template: &str, policy: Policy, cycles: usize, seed: u64) -> Self {
        // Tests of one process run side by side.
        static PLANS: AtomicUsize = AtomicUsize::new(0);
        let number = PLANS.fetch_add(1, Ordering::Relaxed);
        let name = format!("kora-crash-{}-{number}-{}-{seed}", std::process::id(), policy.name());
        Self {
            template: Template(template.to_owned()),
            policy,
            cycles,
            seed,
            clients: 4,
            operations_max: 600,
            pause_every: 0,
            snapshot_commands: vec!["BGSAVE".to_owned(), "BGREWRITEAOF".to_owned()],
            folder: std::env::temp_dir().join(name),
            is_talkative: false,
        }
    }
}

/// The seed that `KORA_CRASH_SEED` asks for, or one of the moment.
pub fn seed() -> u64 {
    let asked = std::env::var("KORA_CRASH_SEED").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or_else(|| client::now_ms() % 1_000_000)
}

/// How a cycle's server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Kill,
    /// Killed, and then twice while it starts.
    KillThrice,
    Terminate,
    ShutDown,
}

/// What a whole run has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// In all verifications.
    pub seen: Seen,
    /// Servers killed while they served.
    pub kills: usize,
    /// Servers killed while they started.
    pub kills_at_start: usize,
    /// Servers ended cleanly.
    pub clean_ends: usize,
    /// Snapshots begun.
    pub snapshots: usize,
    /// Writes that stopped and went on.
    pub pauses: usize,
}

/// Runs all cycles.
///
/// # Errors
/// What was wrong, with seed, cycle, the folder that was kept and the end of the server's log.
pub fn run(plan: &Plan) -> Result<Summary, String> {
    if !(1..=CLIENTS_MAX).contains(&plan.clients) {
        return Err(format!("{} clients; 1 to {CLIENTS_MAX} have a database each", plan.clients));
    }
    let data = plan.folder.join("data");
    fs::create_dir_all(&data).map_err(|error| format!("{}: {error}", data.display()))?;
    let mut run = Run::new(plan, data);
    match run.cycles() {
        Ok(()) => {
            // A server that was killed may have left a child that still writes there; then the folder stays.
            let _ = fs::remove_dir_all(&plan.folder);
            Ok(run.summary)
        }
        Err(why) => Err(format!(
            "seed {}, cycle {} of {}, `{}` with policy {} and {} shards: {why}\nthe folder is kept: {} (`data` as it is now, `before` as the server \
             that ended left it, `log`)\nthe server's log ends with\n{}",
            plan.seed,
            run.cycle,
            plan.cycles,
            plan.template.0,
            plan.policy.name(),
            run.shards,
            plan.folder.display(),
            fs::read_to_string(plan.folder.join("log")).unwrap_or_default(),
        )),
    }
}

struct Run<'a> {
    plan: &'a Plan,
    data: PathBuf,
    random: Random,
    clients: Vec<Client>,
    banks: Vec<Bank>,
    cycle: usize,
    shards: usize,
    starts: usize,
    start_time: Duration,
    summary: Summary,
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan, data: PathBuf) -> Self {
        let mut random = Random::new(plan.seed);
        let clients = (0..plan.clients).map(|number| Client::new(number, Random::new(random.next_u64()))).collect();
        let banks = [BankKind::Counter, BankKind::Book].map(|kind| Bank::new(kind, plan.clients)).into();
        let start_time = Duration::from_millis(20);
        let (summary, cycle, shards, starts) = (Summary::default(), 0, SHARDS[0], 0);
        Self { plan, data, random, clients, banks, cycle, shards, starts, start_time, summary }
    }

    fn cycles(&mut self) -> Result<(), String> {
        let server = self.start()?;
        let mut connection = connect(server.address)?;
        for bank in &self.banks {
            exchange_all(&mut connection, &bank.open())?;
        }
        let mut last = self.end(server, End::Terminate)?;
        for cycle in 1..=self.plan.cycles {
            self.cycle = cycle;
            let begun = Instant::now();
            let server = self.start()?;
            let seen = self.verify(server.address, last)?;
            let end = match self.random.below(16) {
                0 => End::Terminate,
                1 => End::ShutDown,
                2 | 3 => End::KillThrice,
                _ => End::Kill,
            };
            last = self.load(server, end)?;
            if self.plan.is_talkative {
                println!("cycle {cycle}: {} shards, {seen:?} before, {end:?} after {:?}", self.shards, begun.elapsed());
            }
        }
        let server = self.start()?;
        self.verify(server.address, last)?;
        server.terminate()
    }

    /// Starts with the next number of shards.
    fn start(&mut self) -> Result<Process, String> {
        self.next_start();
        let begun = Instant::now();
        let server = Process::start_ready(&self.plan.template, self.places(), &self.plan.folder.join("log"))?;
        self.start_time = begun.elapsed();
        Ok(server)
    }

    fn next_start(&mut self) {
        self.shards = SHARDS[self.starts % SHARDS.len()];
        self.starts += 1;
    }

    fn places(&self) -> Places<'_> {
        Places { dir: &self.data, shards: self.shards, policy: self.plan.policy.name() }
    }

    fn verify(&mut self, address: SocketAddr, (promise, ended): (Promise, Ended)) -> Result<Seen, String> {
        let seen = verify(&mut connect(address)?, &mut self.clients, &mut self.banks, promise, ended)?;
        let sum = &mut self.summary.seen;
        sum.acknowledged += seen.acknowledged;
        sum.lost += seen.lost;
        sum.under_way += seen.under_way;
        Ok(seen)
    }

    /// Lets clients write, with snapshots in between, until the server ends.
    fn load(&mut self, server: Process, end: End) -> Result<(Promise, Ended), String> {
        let goal = self.random.below(self.plan.operations_max);
        let goal = if self.random.below(8) == 0 { goal / 50 } else { goal };
        let mut stops: Vec<u64> = (0..self.random.below(3)).map(|_| self.random.below(goal + 1)).collect();
        // One that is hardly begun when the server is killed.
        stops.extend((self.random.below(4) == 0).then_some(goal));
        stops.sort_unstable();
        let pauses = self.plan.pause_every > 0 && self.cycle.is_multiple_of(self.plan.pause_every);
        let mut connection = connect(server.address)?;
        let progress = Progress::default();
        let clients = std::mem::take(&mut self.clients);
        let address = server.address;
        let (clients, outcome) = std::thread::scope(|scope| {
            let run = |client: Client| scope.spawn(|| client.run(address, &progress));
            let threads: Vec<_> = clients.into_iter().map(run).collect();
            let outcome = self.steer(server, &mut connection, &progress, (&stops, goal, pauses), end);
            let clients: Vec<Client> =
                threads.into_iter().map(|thread| thread.join().expect("clients do not panic")).collect();
            (clients, outcome)
        });
        self.clients = clients;
        if let Some(failure) = self.clients.iter().find_map(|client| client.failure.clone()) {
            return Err(failure);
        }
        outcome
    }

    /// Waits for moments and acts. The server has ended when this returns, so that the clients end too.
    fn steer(
        &mut self,
        mut server: Process,
        connection: &mut Connection,
        progress: &Progress,
        (stops, goal, pauses): (&[u64], u64, bool),
        end: End,
    ) -> Result<(Promise, Ended), String> {
        let early = "the server or a client ended before it was told to";
        if pauses {
            if !progress.wait_for(goal) {
                return Err(early.to_owned());
            }
            progress.hold(true);
            std::thread::sleep(AGE_MAX + AGE_MAX / 10);
            progress.hold(false);
            self.summary.pauses += 1;
        }
        let before = if pauses { goal } else { 0 };
        for stop in stops {
            if !progress.wait_for(before + stop) {
                return Err(early.to_owned());
            }
            self.snapshot(connection)?;
        }
        if !progress.wait_for(before + goal) || !server.is_running() {
            return Err(early.to_owned());
        }
        self.end(server, end)
    }

    fn snapshot(&mut self, connection: &mut Connection) -> Result<(), String> {
        let commands = &self.plan.snapshot_commands;
        if commands.is_empty() {
            return Ok(());
        }
        let command = &commands[self.random.below(commands.len() as u64) as usize];
        match connection.call(&[command]) {
            Ok(Value::Simple(_)) => self.summary.snapshots += 1,
            // One at a time, as redis-server says it for its own kind of snapshot and for the other.
            Ok(Value::Error(text))
                if ["in progress", "child process is active"].iter().any(|why| is_in(&text, why)) => {}
            other => return Err(format!("{command}: {}", brief(&other))),
        }
        Ok(())
    }

    fn end(&mut self, server: Process, end: End) -> Result<(Promise, Ended), String> {
        match end {
            End::Kill | End::KillThrice => {
                server.kill()?;
                let ended = Ended::now();
                keep_copy(&self.data, &self.plan.folder.join("before"));
                self.summary.kills += 1;
                for _ in 0..if end == End::KillThrice { 2 } else { 0 } {
                    self.next_start();
                    let server =
                        Process::start(&self.plan.template, self.places(), &self.plan.folder.join("log-killed"))?;
                    // Some are killed right after they have begun to serve.
                    let micros = self.random.below(1 + self.start_time.as_micros() as u64 * 5 / 4);
                    server.kill_after(Duration::from_micros(micros))?;
                    self.summary.kills_at_start += 1;
                }
                Ok((self.plan.policy.after_kill(), ended))
            }
            End::Terminate | End::ShutDown => {
                if end == End::Terminate {
                    server.terminate()?
                } else {
                    server.shut_down()?
                }
                let ended = Ended::now();
                keep_copy(&self.data, &self.plan.folder.join("before"));
                self.summary.clean_ends += 1;
                Ok((Promise::Everything, ended))
            }
        }
    }
}

fn is_in(text: &[u8], part: &str) -> bool {
    text.windows(part.len()).any(|window| window == part.as_bytes())
}

fn connect(address: SocketAddr) -> Result<Connection, String> {
    Connection::connect(address).map_err(|error| format!("{address}: {error}"))
}

/// Replaces `to` by a copy of `from`, for whoever looks into a failure; one that cannot be made is no failure.
fn keep_copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    if bytes_under(from) <= COPIED_BYTES_MAX {
        let _ = copy(from, to);
    }
}

fn bytes_under(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(
            |entry| {
                if entry.path().is_dir() {
                    bytes_under(&entry.path())
                } else {
                    entry.metadata().map_or(0, |of| of.len())
                }
            },
        )
        .sum()
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (path, to) =
            (entry.as_ref().map(fs::DirEntry::path), entry.as_ref().map(|entry| to.join(entry.file_name())));
        match (path, to) {
            (Ok(path), Ok(to)) if path.is_dir() => copy(&path, &to)?,
            (Ok(path), Ok(to)) => drop(fs::copy(path, to)?),
            _ => {}
        }
    }
    Ok(())
}
