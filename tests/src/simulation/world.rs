//! The world: shards, the envelopes between them, one session for each client.
//!
//! Owns: what may happen next. Refuses to know: what the clients say. An envelope from one shard to another arrives after those sent before it on the same way,
//! as in a mailbox; envelopes on different ways arrive in any order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use kora_runtime::config::Config;
use kora_runtime::host::{Host, HostFacts};
use kora_runtime::keyspace::typed::random_state;
use kora_runtime::resp::value::skip_value;
use kora_runtime::shard::clients::Peer;
use kora_runtime::shard::message::Envelope;
use kora_runtime::shard::{Shard, ShardOptions};

use super::Shape;

/// A process in which no time passes and nothing can be asked for.
struct NoHost;

impl Host for NoHost {
    fn monotonic_ns(&self) -> u64 {
        0
    }
    fn facts(&self) -> HostFacts {
        HostFacts::default()
    }
    fn sleep(&self, _: Duration) {}
    fn shutdown(&self) {}
    fn purge(&self) {}
    fn report(&self, message: &str) {
        panic!("{message}");
    }
    fn config_changed(&self, _: &Config) {}
}

/// Shards and what is on its way between them.
pub struct World {
    shards: Vec<Shard>,
    /// `ways[from][to]`
    ways: Vec<Vec<VecDeque<Envelope>>>,
    /// Shard and session of each client.
    clients: Vec<(usize, u32)>,
    replies: Vec<(usize, Vec<u8>)>,
    /// Shards whose tick has not ended.
    in_tick: Vec<bool>,
}

/// What may happen next.
enum Move {
    Deliver(usize, usize),
    EndTick(usize),
}

impl World {
    /// An empty world.
    pub fn new(seed: u64, shape: Shape) -> Self {
        let host: Arc<dyn Host> = Arc::new(NoHost);
        let mut shards: Vec<Shard> = (0..shape.shards)
            .map(|id| {
                Shard::new(ShardOptions {
                    id,
                    shards: shape.shards,
                    seeds: random_state([seed, 2, 3, 4]),
                    random_seed: seed + id as u64,
                    config: Config::default(),
                    host: Arc::clone(&host),
                    now_ms: 1_000_000,
                })
            })
            .collect();
        if shape.planted_early_release {
            shards.iter_mut().for_each(Shard::plant_early_release);
        }
        let clients = (0..shape.clients)
            .map(|client| {
                let shard = client % shape.shards;
                (shard, shards[shard].open(Peer::default()))
            })
            .collect();
        let ways = (0..shape.shards).map(|_| (0..shape.shards).map(|_| VecDeque::new()).collect()).collect();
        Self { in_tick: vec![false; shape.shards], shards, ways, clients, replies: Vec::new() }
    }

    /// A client sends a command.
    pub fn send(&mut self, client: usize, words: &[String]) {
        let (shard, session) = self.clients[client];
        let mut bytes = format!("*{}\r\n", words.len());
        for word in words {
            bytes.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.shards[shard].input(session).extend_from_slice(bytes.as_bytes());
        self.shards[shard].run(session);
        self.in_tick[shard] = true;
    }

    fn possible(&self) -> Vec<Move> {
        let shards = 0..self.shards.len();
        let ticks = shards.clone().filter(|&at| self.in_tick[at]).map(Move::EndTick);
        let ways = shards.clone().flat_map(|from| shards.clone().map(move |to| (from, to)));
        let arrivals = ways.filter(|&(from, to)| !self.ways[from][to].is_empty()).map(|(from, to)| Move::Deliver(from, to));
        ticks.chain(arrivals).collect()
    }

    /// How many things may happen next.
    pub fn moves(&self) -> usize {
        self.possible().len()
    }

    /// Lets one of them happen.
    pub fn make_move(&mut self, index: usize) {
        match self.possible().swap_remove(index) {
            Move::Deliver(from, to) => {
                let envelope = self.ways[from][to].pop_front().expect("only ways with mail are possible");
                self.shards[to].receive(from, envelope);
                self.in_tick[to] = true;
            }
            Move::EndTick(at) => {
                let ways = &mut self.ways[at];
                self.shards[at].end_tick(&mut |to, envelope| ways[to].push_back(envelope));
                self.in_tick[at] = false;
                self.collect(at);
            }
        }
    }

    fn collect(&mut self, at: usize) {
        let mut dirty = Vec::new();
        self.shards[at].take_dirty(&mut dirty);
        for session in dirty {
            let output = std::mem::take(self.shards[at].output(session));
            self.shards[at].wrote(session, output.len());
            let client = self.clients.iter().position(|place| *place == (at, session)).expect("sessions are clients'");
            let mut rest = output.as_slice();
            while let Some(len) = skip_value(rest) {
                self.replies.push((client, rest[..len].to_vec()));
                rest = &rest[len..];
            }
            assert!(rest.is_empty(), "half a reply: {rest:?}");
        }
    }

    /// Replies since the last call.
    pub fn take_replies(&mut self) -> Vec<(usize, Vec<u8>)> {
        std::mem::take(&mut self.replies)
    }

    /// True when no transaction is under way anywhere.
    pub fn is_quiet(&self) -> bool {
        self.shards.iter().all(Shard::is_quiet)
    }
}
