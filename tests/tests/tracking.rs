//! Client-side caches stay true: whatever a tracking client still holds when all is quiet is what the server holds.
//!
//! Owns: CLIENT TRACKING over several shards, whose envelopes arrive in any order that real mailboxes allow. Refuses to know: sockets. Start at [`Caching`].
//! `KORA_SEEDS=100000` runs more of them. The transcripts of CLIENT TRACKING have the forms of what clients are told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kora_runtime::random::Random;
use kora_tests::resp::{Value, decode};
use kora_tests::simulation::Shape;
use kora_tests::simulation::world::World;

const KEYS: u64 = 12;

/// What a reply leads to when it comes.
enum Awaited {
    /// The values of these keys may be cached.
    Values(Vec<String>),
    /// Tracking is off: nothing may be cached any more.
    Off,
    /// Nothing.
    Other,
}

/// Clients with caches.
struct Caching {
    world: World,
    random: Random,
    awaited: Vec<VecDeque<Awaited>>,
    caches: Vec<BTreeMap<String, Value>>,
    /// Keys that each client was told of, in that order; `*` for all.
    told: Vec<Vec<String>>,
    last: Vec<Option<Value>>,
}

fn text(value: &Value) -> String {
    String::from_utf8_lossy(value.bytes().expect("a text")).into_owned()
}

impl Caching {
    fn new(seed: u64, shards: usize, clients: usize) -> Self {
        let mut caching = Self {
            world: World::new(seed, Shape { shards, clients, ..Shape::default() }),
            random: Random::new(seed),
            awaited: (0..clients).map(|_| VecDeque::new()).collect(),
            caches: vec![BTreeMap::new(); clients],
            told: vec![Vec::new(); clients],
            last: vec![None; clients],
        };
        (0..clients).for_each(|client| caching.send(client, "HELLO 3", Awaited::Other));
        caching.rest();
        caching
    }

    fn send(&mut self, client: usize, command: &str, awaited: Awaited) {
        self.awaited[client].push_back(awaited);
        self.world.send(client, &command.split(' ').collect::<Vec<_>>());
        self.read();
    }

    /// Sends a command and lets everything happen that follows.
    fn call(&mut self, client: usize, command: &str) -> Value {
        self.send(client, command, Awaited::Other);
        self.rest();
        self.last[client].take().expect("a command is answered")
    }

    fn step(&mut self) {
        if self.world.moves() > 0 {
            let pick = self.random.below(self.world.moves() as u64) as usize;
            self.world.make_move(pick);
            self.read();
        }
    }

    fn rest(&mut self) {
        while self.world.moves() > 0 {
            self.step();
        }
    }

    /// Reads what came, in order, as a client does that keeps a cache.
    fn read(&mut self) {
        for (client, bytes) in self.world.take_replies() {
            let (value, _) = decode(&bytes).expect("well-formed").expect("whole");
            if let Value::Push(parts) = &value {
                let [kind, keys] = &parts[..] else { panic!("{value:?}") };
                assert_eq!(text(kind), "invalidate");
                match keys {
                    Value::Array(keys) => {
                        for key in keys.iter().map(text) {
                            self.caches[client].remove(&key);
                            self.told[client].push(key);
                        }
                    }
                    _ => {
                        self.caches[client].clear();
                        self.told[client].push("*".to_owned());
                    }
                }
                continue;
            }
            match self.awaited[client].pop_front().expect("a reply answers a command") {
                Awaited::Values(keys) => {
                    let values = if let Value::Array(values) = &value { values.clone() } else { vec![value.clone()] };
                    self.caches[client].extend(keys.into_iter().zip(values));
                }
                Awaited::Off => self.caches[client].clear(),
                Awaited::Other => {}
            }
            self.last[client] = Some(value);
        }
    }

    fn key(&mut self) -> String {
        format!("k{}", self.random.below(KEYS))
    }

    fn random_read(&mut self, client: usize) {
        let (one, two, three) = (self.key(), self.key(), self.key());
        match self.random.below(6) {
            0 => {
                // What it reads here may be changed further on in the same transaction.
                self.send(client, "MULTI", Awaited::Other);
                for command in [&format!("GET {one}"), &format!("SET {two} t"), &format!("GET {three}")] {
                    self.send(client, command, Awaited::Other);
                }
                self.send(client, "EXEC", Awaited::Values(vec![one, String::new(), three]));
            }
            1..=2 => self.send(client, &format!("MGET {one} {two} {three}"), Awaited::Values(vec![one, two, three])),
            _ => self.send(client, &format!("GET {one}"), Awaited::Values(vec![one])),
        }
    }

    fn random_write(&mut self, client: usize, step: usize) {
        let (one, two) = (self.key(), self.key());
        let command = match self.random.below(10) {
            0 => format!("MSET {one} {step} {two} -{step}"),
            1 => format!("RENAME {one} {two}"),
            2 => format!("COPY {one} {two} REPLACE"),
            3 => format!("DEL {one} {two}"),
            4 => "FLUSHALL".to_owned(),
            5 => format!("APPEND {one} x"),
            _ => format!("SET {one} {step}"),
        };
        self.send(client, &command, Awaited::Other);
    }

    /// What INFO says under a name that begins with `tracking_`.
    fn count(&mut self, name: &str) -> u64 {
        let info = text(&self.call(0, "INFO"));
        let line = info.lines().find_map(|line| line.strip_prefix(&format!("tracking_{name}:")));
        line.unwrap_or_else(|| panic!("no {name} in {info}")).parse().expect("a number")
    }
}

#[test]
fn caches_are_true_when_all_is_quiet() {
    let mut told = 0;
    let seeds = std::env::var("KORA_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(400);
    for seed in 0..seeds {
        let shards = 1 + (seed % 4) as usize;
        let mut caching = Caching::new(seed, shards, 4);
        // Clients 0 and 1 cache what they read, 2 whatever it has read under a prefix that all keys have; 3 only writes. With a prefix every shard listens to
        // changes all the time, so that it is not always there.
        let modes = ["ON", "ON", if seed % 8 < 4 { "ON" } else { "ON BCAST PREFIX k" }];
        for (client, mode) in modes.iter().enumerate() {
            caching.call(client, &format!("CLIENT TRACKING {mode}"));
        }
        for step in 0..120 {
            match caching.random.below(16) {
                0..=4 => {
                    let client = caching.random.below(3) as usize;
                    caching.random_read(client);
                }
                5..=6 => {
                    let client = caching.random.below(4) as usize;
                    caching.random_write(client, step);
                }
                7 if caching.random.below(4) == 0 => {
                    let client = caching.random.below(3) as usize;
                    caching.send(client, "CLIENT TRACKING OFF", Awaited::Off);
                    caching.send(client, &format!("CLIENT TRACKING {}", modes[client]), Awaited::Off);
                }
                _ => caching.step(),
            }
        }
        caching.rest();
        for key in (0..KEYS).map(|number| format!("k{number}")) {
            let value = caching.call(3, &format!("GET {key}"));
            for client in 0..3 {
                let cached = caching.caches[client].get(&key);
                assert!(
                    cached.is_none_or(|cached| *cached == value),
                    "seed {seed}, client {client}: {key} is {value:?}, not {cached:?}"
                );
            }
        }
        assert!(caching.awaited.iter().all(VecDeque::is_empty), "seed {seed}: a command was not answered");
        told += caching.told.iter().map(Vec::len).sum::<usize>();
    }
    assert!(told > 1000, "{told}");
}

#[test]
fn every_key_that_was_read_is_told_once() {
    let mut caching = Caching::new(7, 4, 3);
    caching.call(0, "CLIENT TRACKING ON");
    caching.call(1, "CLIENT TRACKING ON BCAST NOLOOP PREFIX a PREFIX b");
    let keys: BTreeSet<String> = (0..200).map(|number| format!("a{number}")).collect();
    for key in &keys {
        caching.call(0, &format!("GET {key}"));
    }
    assert_eq!((caching.count("total_keys"), caching.count("total_items")), (200, 200));
    assert_eq!((caching.count("clients"), caching.count("total_prefixes")), (2, 2));
    for key in &keys {
        caching.call(2, &format!("SET {key} 1"));
        caching.call(1, &format!("SET {key} 2"));
    }
    for client in 0..2 {
        assert_eq!(caching.told[client].len(), 200, "client {client}");
        assert_eq!(caching.told[client].iter().cloned().collect::<BTreeSet<_>>(), keys, "client {client}");
    }
    assert_eq!((caching.count("total_keys"), caching.count("total_items")), (0, 0));
}

#[test]
fn a_client_that_goes_leaves_nothing_behind() {
    let mut caching = Caching::new(8, 4, 3);
    for client in [1, 2] {
        caching.call(client, "CLIENT TRACKING ON");
        (0..50).for_each(|number| drop(caching.call(client, &format!("GET k{number}"))));
    }
    caching.call(2, "CLIENT TRACKING OFF");
    caching.call(2, "CLIENT TRACKING ON BCAST PREFIX x PREFIX y");
    assert_eq!((caching.count("total_keys"), caching.count("total_items")), (50, 100));
    assert_eq!((caching.count("clients"), caching.count("total_prefixes")), (2, 2));
    caching.world.reconnect(2);
    // Whatever a shard has to say it says when its tick ends, and a command begins one.
    caching.call(2, "PING");
    caching.rest();
    caching.world.maintain();
    assert_eq!((caching.count("total_keys"), caching.count("total_items")), (50, 50));
    assert_eq!((caching.count("clients"), caching.count("total_prefixes")), (1, 0));
    caching.world.reconnect(1);
    caching.call(1, "PING");
    caching.world.maintain();
    assert_eq!((caching.count("total_keys"), caching.count("total_items")), (0, 0));
}

#[test]
fn a_full_table_tells_of_keys_that_have_not_changed() {
    let mut caching = Caching::new(9, 4, 4);
    caching.call(1, "CONFIG SET tracking-table-max-keys 40");
    caching.call(1, "CLIENT TRACKING ON");
    for number in 0..500 {
        caching.send(1, &format!("GET key{number}"), Awaited::Values(vec![format!("key{number}")]));
        caching.rest();
    }
    let kept = caching.count("total_keys");
    assert!((1..=40).contains(&kept), "{kept}");
    assert_eq!(caching.caches[1].len() as u64, kept, "what is not remembered any more is not cached any more");
    caching.call(0, "CONFIG SET tracking-table-max-keys 4");
    caching.world.maintain();
    // Slices of background work end in no tick of their own here; each shard has one client.
    (0..4).for_each(|client| drop(caching.call(client, "PING")));
    caching.rest();
    assert!(caching.count("total_keys") <= 4);
    assert!(caching.caches[1].len() <= 4);
}
