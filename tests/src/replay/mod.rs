//! Random commands of every row that writes, what they log, and a second world that knows nothing but the logs.
//!
//! Owns: what is said in which order, the second world and when both are compared. Refuses to know: what commands mean and what they log; the rows say
//! which words they take. Start at [`run_row`]. Everything follows from the seed.
//!
//! The second world replays record by record, so that every beginning of a log is replayed as well, and it is compared with the first every few lines.

pub mod snapshot;

use kora_runtime::config::AppendFsync;
use kora_runtime::random::Random;
use kora_runtime::shard::replay::Entries;
use kora_runtime::table::{CommandId, CommandInfo, Flags, Wal};

use crate::resp::encode;
use crate::simulation::Shape;
use crate::simulation::log::records;
use crate::simulation::world::World;
use crate::table_fuzz::words::{KEYS, Maker};

/// Clients that say something; those before them only look.
const SPEAKERS: usize = 3;
/// Lines between two looks at both worlds.
const LINES_BETWEEN: usize = 6;
/// Unix milliseconds at which every run begins.
const START_MS: u64 = 1_000_000;
/// Moves of a world after which it is given up.
const MOVES_MAX: usize = 100_000;

/// Scripts that write, with the number of their keys. What they change by themselves depends on time and on chance.
const SCRIPTS: [(usize, &str); 6] = [
    (
        1,
        "redis.call('DEL',KEYS[1])redis.call('RPUSH',KEYS[1],'a','b','c')redis.call('EXPIRE',KEYS[1],5)return redis.call('RPOP',KEYS[1])",
    ),
    (1, "redis.call('SET',KEYS[1],1)redis.call('INCRBYFLOAT',KEYS[1],'1.5')return redis.pcall('LPUSH',KEYS[1],'x')"),
    (
        2,
        "redis.pcall('SPOP',KEYS[1])redis.pcall('LMOVE',KEYS[1],KEYS[2],'LEFT','RIGHT')return redis.pcall('RENAME',KEYS[1],KEYS[2])",
    ),
    (
        2,
        "redis.pcall('XADD',KEYS[1],'*','f','v')redis.pcall('APPEND',KEYS[2],'x')return redis.call('SET',KEYS[2],'y','PX',20)",
    ),
    (
        3,
        "redis.call('SELECT',1)redis.pcall('SADD',KEYS[1],'m')redis.pcall('SMOVE',KEYS[1],KEYS[2],'m')return redis.pcall('HSET',KEYS[3],'f',1)",
    ),
    (
        3,
        "return{redis.pcall('LMPOP',2,KEYS[1],KEYS[2],'RIGHT','COUNT',2),redis.pcall('SUNIONSTORE',KEYS[3],KEYS[1],KEYS[2])}",
    ),
];

/// A library whose function writes.
const LIBRARY: &str = "#!lua name=writer\nredis.register_function('put',function(keys,words)return redis.call('SET',keys[1],words[1])end)";

/// The rows whose commands are logged, but for the one that fails on purpose: what it leaves is fenced, and in no log.
pub fn logged_rows() -> impl Iterator<Item = &'static CommandInfo> {
    let rows = CommandId::ALL.iter().map(|id| id.info());
    rows.filter(|info| info.wal != Wal::None && info.id != CommandId::DebugPanic)
}

/// The entries of a record as text, `SET k v`, with the database in front when it is not the first.
///
/// # Panics
/// When they are none.
pub fn entries_of(payload: &[u8]) -> Vec<String> {
    let mut spans = Vec::new();
    let mut entries = Entries::of(payload);
    let mut found = Vec::new();
    while let Some(entry) = entries.next(&mut spans).expect("a shard wrote it") {
        let words = kora_runtime::argv::Argv::new(entry.frame, &spans);
        let words = words.iter().map(|word| word.escape_ascii().to_string());
        let words: Vec<String> = std::iter::once(entry.id.info().upper.to_owned()).chain(words).collect();
        let place = if entry.db == 0 { String::new() } else { format!("[{}] ", entry.db) };
        found.push(format!("{place}{}", words.join(" ")));
    }
    found
}

/// A world that logs, and one that replays.
struct Pair {
    world: World,
    shadow: World,
    /// Bytes of each shard's log that the second world knows.
    replayed: Vec<usize>,
    random: Random,
    now_ms: u64,
    /// What was said since both were alike.
    said: Vec<String>,
    digest: String,
}

impl Pair {
    fn new(seed: u64, shards: usize) -> Result<Self, String> {
        let shape = Shape { shards, clients: shards + SPEAKERS, log: Some(AppendFsync::EverySec), ..Shape::default() };
        let mut pair = Self {
            world: World::new(seed, shape),
            shadow: World::new(seed, Shape { log: None, ..shape }),
            replayed: vec![0; shards],
            random: Random::new(seed),
            now_ms: START_MS,
            said: Vec::new(),
            digest: String::new(),
        };
        pair.world.set_clock(START_MS);
        pair.shadow.set_clock(START_MS);
        let reply = pair.world.ask(0, &["SCRIPT", "LOAD", SCRIPTS[0].1]);
        pair.digest = String::from_utf8_lossy(&reply).split("\r\n").nth(1).unwrap_or_default().to_owned();
        pair.fill()?;
        Ok(pair)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random.below(bound as u64) as usize
    }

    /// Keys of all types, small and big ones, some with an expiry.
    fn fill(&mut self) -> Result<(), String> {
        let many = |command: &str, count: usize, element: &dyn Fn(usize) -> String| {
            format!("{command}{}", (0..count).map(|at| format!(" {}", element(at))).collect::<String>())
        };
        let mut lines = vec![
            "MSET s0 m0m1m2 s1 m3 i0 7 f0 2.5".to_owned(),
            format!("SET s2 {}", "m1hello".repeat(300)),
            "FUNCTION LOAD REPLACE".to_owned(),
        ];
        for (at, count) in [3, 8, 140].into_iter().enumerate() {
            lines.push(format!("DEL l{at} h{at} t{at} z{at} x{at}"));
            lines.push(many(&format!("RPUSH l{at}"), count, &|element| format!("m{element}")));
            lines.push(many(&format!("HSET h{at}"), count, &|element| format!("m{element} {element}")));
            lines.push(many(&format!("SADD t{at}"), count, &|element| {
                if at == 1 { element.to_string() } else { format!("m{element}") }
            }));
            lines.push(many(&format!("ZADD z{at}"), count, &|element| format!("{element} m{element}")));
            lines.extend((1..=count.min(9)).map(|ms| format!("XADD x{at} {ms}-1 m1 {ms} m2 {ms}")));
        }
        lines.extend(["s1", "l0", "h0", "t1", "z0"].map(|key| format!("PEXPIRE {key} 4000")));
        for line in lines {
            let mut words: Vec<&str> = line.split(' ').collect();
            if words[0] == "FUNCTION" {
                words.push(LIBRARY);
            }
            self.send(0, &encode(&words))?;
        }
        Ok(())
    }

    /// Sends something and lets everything happen, in an order of the seed's.
    fn send(&mut self, client: usize, bytes: &[u8]) -> Result<(), String> {
        self.world.send_bytes(client, bytes);
        for _ in 0..MOVES_MAX {
            match self.world.moves() {
                0 => {
                    self.world.take_replies();
                    return Ok(());
                }
                moves => {
                    let index = self.below(moves);
                    self.world.make_move(index);
                }
            }
        }
        Err(format!("does not come to rest within {MOVES_MAX} moves"))
    }

    fn script(&mut self) -> Vec<Vec<u8>> {
        let (count, script) = SCRIPTS[self.below(SCRIPTS.len())];
        let mut words: Vec<String> = match self.below(6) {
            0 => vec!["EVALSHA".into(), self.digest.clone(), "1".into()],
            1 => vec!["FCALL".into(), "put".into(), "1".into()],
            _ => vec!["EVAL".into(), script.into(), count.to_string()],
        };
        let keys: usize = words[2].parse().expect("it is a number");
        for _ in 0..keys {
            let (_, of_type) = KEYS[self.below(KEYS.len())];
            words.push(of_type[self.below(of_type.len())].to_owned());
        }
        words.push("word".into());
        words.into_iter().map(String::into_bytes).collect()
    }

    /// A line: of the row more often than not.
    fn line(&mut self, info: &'static CommandInfo) -> Vec<Vec<u8>> {
        match self.below(10) {
            0 => Maker::new(&mut self.random).broken(info).words,
            1 | 2 => {
                let rows: Vec<_> = logged_rows().collect();
                let other = rows[self.below(rows.len())];
                Maker::new(&mut self.random).line(other).words
            }
            3 => self.script(),
            4 => vec![b"SELECT".to_vec(), self.below(2).to_string().into_bytes()],
            _ => Maker::new(&mut self.random).line(info).words,
        }
    }

    /// A client that does not wait, who says it; when all do, one is let go.
    fn speaker(&mut self) -> Result<usize, String> {
        let first = self.world.shards().len();
        let free: Vec<usize> = (first..first + SPEAKERS).filter(|client| !self.world.is_waiting(*client)).collect();
        if !free.is_empty() {
            return Ok(free[self.below(free.len())]);
        }
        let client = first + self.below(SPEAKERS);
        let id = self.world.client_id(client).expect("it is connected").to_string();
        self.send(0, &encode(&["CLIENT", "UNBLOCK", &id]))?;
        Ok(client)
    }

    fn step(&mut self, info: &'static CommandInfo) -> Result<(), String> {
        self.now_ms += match self.below(40) {
            0 => 10_000,
            1..=8 => self.random.below(2000),
            _ => 0,
        };
        self.world.set_clock(self.now_ms);
        if self.below(10) == 0 {
            self.world.maintain();
        }
        if self.below(40) == 0 {
            self.fill()?;
        }
        let client = self.speaker()?;
        let lines: Vec<_> = if self.below(4) == 0 {
            let count = 1 + self.below(4);
            let lines = (0..count).map(|_| self.line(info)).collect::<Vec<_>>();
            let word = |word: &str| vec![word.as_bytes().to_vec()];
            std::iter::once(word("MULTI")).chain(lines).chain([word("EXEC")]).collect()
        } else {
            vec![self.line(info)]
        };
        for words in &lines {
            let words: Vec<String> = words.iter().map(|word| word.escape_ascii().to_string()).collect();
            self.said.push(format!("client {client} at {}: {}", self.now_ms, words.join(" ")));
        }
        self.send(client, &lines.iter().flat_map(|words| encode(words)).collect::<Vec<u8>>())
    }

    /// Replays what is new in the logs and compares.
    fn compare(&mut self) -> Result<(), String> {
        let mut entries = Vec::new();
        for at in 0..self.replayed.len() {
            let from = std::mem::replace(&mut self.replayed[at], self.world.logs()[at].image().len());
            for record in records(&self.world.logs()[at].image()[from..]) {
                let texts = entries_of(&record.payload);
                if texts.is_empty() {
                    return Err(format!("{}\nshard {at} wrote a record of nothing", self.said.join("\n")));
                }
                entries.extend(texts.iter().map(|text| format!("shard {at} {:?} {text}", record.transaction)));
                if let Err(error) = self.shadow.replay(at, &record.payload) {
                    return Err(format!("{}\n{}\n{error}", self.said.join("\n"), entries.join("\n")));
                }
            }
        }
        let there = snapshot::take(&mut self.world, self.now_ms);
        let here = snapshot::take(&mut self.shadow, self.now_ms);
        let names: Vec<&String> = there.keys().chain(here.keys()).collect();
        if let Some(name) = names.into_iter().find(|name| there.get(*name) != here.get(*name)) {
            return Err(format!(
                "{}\nlogged:\n{}\n{name} is {:?}\nreplayed {:?}",
                self.said.join("\n"),
                entries.join("\n"),
                there.get(name),
                here.get(name)
            ));
        }
        self.said.clear();
        Ok(())
    }

    fn logged_bytes(&self) -> usize {
        self.world.logs().iter().map(|log| log.image().len()).sum()
    }
}

/// Says lines of a row, and others between, and compares.
///
/// # Errors
/// What was said, what was logged and what differs.
pub fn run_row(info: &'static CommandInfo, lines: usize, seed: u64, shards: usize) -> Result<(), String> {
    let seed = seed.wrapping_mul(0x1_0000).wrapping_add(u64::from(info.id.number()));
    let explain = |what: String| format!("row {}, {shards} shards: {what}", info.name);
    let mut pair = Pair::new(seed, shards).map_err(explain)?;
    pair.compare().map_err(explain)?;
    let before = pair.logged_bytes();
    for line in 1..=lines {
        pair.step(info).map_err(explain)?;
        if line % LINES_BETWEEN == 0 || line == lines {
            pair.compare().map_err(explain)?;
        }
    }
    if pair.logged_bytes() == before && !info.flags.contains(Flags::RUNS_SCRIPTS) {
        return Err(explain("nothing was logged".to_owned()));
    }
    Ok(())
}
