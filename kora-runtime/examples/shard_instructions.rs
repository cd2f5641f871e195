//! Commands through one shard and nothing else, for counting instructions: `shard_instructions WORKLOAD COMMANDS`, or `list`.
//!
//! Owns: the workloads, made before the first command runs. Refuses to know: sockets, clocks, how instructions are counted
//! (`tests/bench/instructions.py` does). Start at [`WORKLOADS`]; each line runs the whole way of a request: decode, plan, execute, reply.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use kora_runtime::config::Config;
use kora_runtime::host::{Host, HostFacts};
use kora_runtime::keyspace::typed::random_state;
use kora_runtime::random::Random;
use kora_runtime::reply::{Protocol, ReplyBuf};
use kora_runtime::shard::clients::Peer;
use kora_runtime::shard::{Shard, ShardOptions};

/// Commands that a client has on their way at once.
const PIPELINE: usize = 16;

/// Different commands of one workload; then they come round again. A multiple of the pipeline.
const COMMANDS: usize = 256 * PIPELINE;

/// Keys of each type.
const KEYS: u64 = 1000;

/// Name of a workload, what is there before it, and how one of its commands is made.
type Workload = (&'static str, &'static [Preparation], fn(&mut Random) -> Vec<String>);

/// What is there before a workload runs.
#[derive(Debug, Clone, Copy)]
enum Preparation {
    /// A string under every key.
    Strings,
    /// A list of so many elements under every key.
    Lists(usize),
}

const WORKLOADS: &[Workload] = &[
    ("ping", &[], |_| words("PING")),
    ("get", &[Preparation::Strings], |random| vec!["GET".into(), key(random)]),
    ("set", &[Preparation::Strings], |random| vec!["SET".into(), key(random), value()]),
    ("incr", &[], |random| vec!["INCR".into(), key(random)]),
    ("lpush", &[], |random| vec!["LPUSH".into(), key(random), value()]),
    ("lpop", &[Preparation::Lists(250)], |random| vec!["LPOP".into(), key(random)]),
    ("sadd", &[], |random| vec!["SADD".into(), key(random), element(random)]),
    ("hset", &[], |random| vec!["HSET".into(), key(random), element(random), value()]),
    ("zadd", &[], |random| {
        let score = random.below(1_000_000).to_string();
        vec!["ZADD".into(), key(random), score, element(random)]
    }),
    ("lrange100", &[Preparation::Lists(100)], |random| vec!["LRANGE".into(), key(random), "0".into(), "99".into()]),
    ("mset10", &[Preparation::Strings], |random| {
        let pairs = (0..10).flat_map(|_| [key(random), value()]);
        std::iter::once("MSET".to_owned()).chain(pairs).collect()
    }),
];

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn key_of(number: u64) -> String {
    format!("key:{number:012}")
}

fn key(random: &mut Random) -> String {
    key_of(random.below(KEYS))
}

/// One of a hundred members of a collection.
fn element(random: &mut Random) -> String {
    format!("element:{:02}", random.below(100))
}

fn value() -> String {
    "x".repeat(64)
}

/// A process in which nothing happens.
struct NoHost;

impl Host for NoHost {
    fn monotonic_ns(&self) -> u64 {
        0
    }
    fn facts(&self) -> HostFacts {
        HostFacts::default()
    }
    fn sleep(&self, _: Duration) {}
    fn shutdown(&self, _: kora_runtime::host::SaveAtEnd, _: bool) -> Result<(), kora_runtime::error::CommandError> {
        Ok(())
    }
    fn purge(&self) {}
    fn report(&self, message: &str) {
        panic!("{message}");
    }
    fn config_changed(&self, _: &Config) {}
}

/// Encoded commands one after another, and where each ends.
#[derive(Default)]
struct Input {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Input {
    fn push(&mut self, words: &[String]) {
        let mut command = ReplyBuf::new(Protocol::Resp2);
        command.array(words.len());
        words.iter().for_each(|word| command.bulk(word.as_bytes()));
        self.bytes.extend_from_slice(command.as_bytes());
        self.ends.push(self.bytes.len());
    }

    /// The bytes of `count` commands from the `at`th on.
    fn commands(&self, at: usize, count: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[start..self.ends[at + count - 1]]
    }
}

/// One shard with one client.
struct Subject {
    shard: Shard,
    session: u32,
    dirty: Vec<u32>,
    now_ms: u64,
}

impl Subject {
    fn new() -> Self {
        let now_ms = 1_700_000_000_000;
        let mut shard = Shard::new(ShardOptions {
            id: 0,
            shards: 1,
            seeds: random_state([1, 2, 3, 4]),
            random_seed: 5,
            config: Config::default(),
            host: Arc::new(NoHost),
            now_ms,
            extensions: kora_runtime::table::Extensions::default(),
            busy_extensions: kora_runtime::table::Extensions::default(),
        });
        let session = shard.open(Peer::default());
        Self { shard, session, dirty: Vec::new(), now_ms }
    }

    /// One tick, as a driver has it: a read, the commands in it, a write. Returns how many bytes were written.
    fn tick(&mut self, input: &[u8]) -> usize {
        self.shard.begin_tick(self.now_ms);
        self.shard.input(self.session).extend_from_slice(input);
        self.shard.count_input(input.len());
        self.shard.run(self.session);
        self.shard.end_tick(&mut |_, _| unreachable!("one shard has nobody to send to"));
        self.shard.take_dirty(&mut self.dirty);
        let output = self.shard.output(self.session);
        let written = output.len();
        output.clear();
        self.shard.wrote(self.session, written);
        written
    }

    fn prepare(&mut self, preparation: Preparation) {
        for number in 0..KEYS {
            let (name, values) = match preparation {
                Preparation::Strings => ("SET", 1),
                Preparation::Lists(elements) => ("RPUSH", elements),
            };
            let mut words = vec![name.to_owned()];
            words.push(key_of(number));
            words.extend((0..values).map(|_| value()));
            let mut input = Input::default();
            input.push(&words);
            assert!(self.tick(&input.bytes) > 0);
        }
    }
}

fn run(workload: &Workload, commands: usize) {
    let (_, preparations, make) = workload;
    let mut random = Random::new(11);
    let mut input = Input::default();
    (0..COMMANDS).for_each(|_| input.push(&make(&mut random)));
    let mut subject = Subject::new();
    preparations.iter().for_each(|preparation| subject.prepare(*preparation));
    let mut done = 0;
    while done < commands {
        let count = PIPELINE.min(commands - done);
        assert!(subject.tick(input.commands(done % COMMANDS, count)) >= count, "every command is answered");
        done += count;
    }
    assert_eq!(subject.shard.core().stats.total_error_replies, 0, "no command failed");
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["list"] => {
            WORKLOADS.iter().for_each(|(name, ..)| println!("{name}"));
            ExitCode::SUCCESS
        }
        [name, commands] => match (WORKLOADS.iter().find(|(known, ..)| *known == name), commands.parse()) {
            (Some(workload), Ok(commands)) => {
                run(workload, commands);
                ExitCode::SUCCESS
            }
            _ => usage(),
        },
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("shard_instructions WORKLOAD COMMANDS, or: shard_instructions list");
    ExitCode::from(64)
}
