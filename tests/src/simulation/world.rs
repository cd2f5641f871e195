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
use crate::resp::encode;

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
    /// What has come to each client of a reply that is not whole yet.
    begun: Vec<Vec<u8>>,
    /// Clients that do not read.
    idle: Vec<bool>,
    /// Shards whose tick has not ended.
    in_tick: Vec<bool>,
}

fn peer_of(client: usize) -> Peer {
    Peer { addr: format!("client:{client}"), laddr: "world:0".to_owned(), fd: -1, unix: false, origin: 0 }
}

/// What may happen next.
enum Move {
    Deliver(usize, usize),
    EndTick(usize),
}

impl World {
    /// An empty world in a process where nothing may be asked for.
    pub fn new(seed: u64, shape: Shape) -> Self {
        Self::in_process(seed, shape, Arc::new(NoHost))
    }

    /// An empty world in a process of the caller's.
    pub fn in_process(seed: u64, shape: Shape, host: Arc<dyn Host>) -> Self {
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
                    extensions: kora_ext::extensions(id),
                    busy_extensions: kora_runtime::table::Extensions::default(),
                })
            })
            .collect();
        if shape.planted_early_release {
            shards.iter_mut().for_each(Shard::plant_early_release);
        }
        let clients = (0..shape.clients)
            .map(|client| {
                let shard = client % shape.shards;
                (shard, shards[shard].open(peer_of(client)))
            })
            .collect();
        let ways = (0..shape.shards).map(|_| (0..shape.shards).map(|_| VecDeque::new()).collect()).collect();
        Self {
            in_tick: vec![false; shape.shards],
            shards,
            ways,
            clients,
            replies: Vec::new(),
            begun: vec![Vec::new(); shape.clients],
            idle: vec![false; shape.clients],
        }
    }

    /// A client sends a command.
    pub fn send<W: AsRef<[u8]>>(&mut self, client: usize, words: &[W]) {
        self.send_bytes(client, &encode(words));
    }

    /// A client sends bytes, a part of a command or several.
    pub fn send_bytes(&mut self, client: usize, bytes: &[u8]) {
        let (shard, session) = self.clients[client];
        self.shards[shard].input(session).extend_from_slice(bytes);
        self.shards[shard].run(session);
        self.in_tick[shard] = true;
    }

    fn possible(&self) -> Vec<Move> {
        let shards = 0..self.shards.len();
        let ticks = shards.clone().filter(|&at| self.in_tick[at]).map(Move::EndTick);
        let ways = shards.clone().flat_map(|from| shards.clone().map(move |to| (from, to)));
        let arrivals =
            ways.filter(|&(from, to)| !self.ways[from][to].is_empty()).map(|(from, to)| Move::Deliver(from, to));
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
        while !dirty.is_empty() {
            for &session in &dirty {
                let client =
                    self.clients.iter().position(|place| *place == (at, session)).expect("sessions are clients'");
                if !self.idle[client] {
                    self.take_output(client);
                }
            }
            // Room in the output lets a client that had stalled go on.
            self.shards[at].take_dirty(&mut dirty);
        }
        self.in_tick[at] |= self.shards[at].has_outgoing();
    }

    /// Lets a client read what its shard has for it now. A big message comes in pieces.
    fn take_output(&mut self, client: usize) {
        let (at, session) = self.clients[client];
        let output = std::mem::take(self.shards[at].output(session));
        if output.is_empty() {
            return;
        }
        self.shards[at].wrote(session, output.len());
        let begun = &mut self.begun[client];
        begun.extend_from_slice(&output);
        let mut done = 0;
        while let Some(len) = skip_value(&begun[done..]) {
            self.replies.push((client, begun[done..done + len].to_vec()));
            done += len;
        }
        begun.drain(..done);
    }

    /// Whether a client reads what comes for it.
    pub fn set_reading(&mut self, client: usize, reads: bool) {
        self.idle[client] = !reads;
        if reads {
            self.take_output(client);
            self.collect(self.clients[client].0);
        }
    }

    /// True when no reply has come in part.
    pub fn has_whole_replies(&self) -> bool {
        self.begun.iter().all(Vec::is_empty)
    }

    /// Sets the clock of all shards.
    pub fn set_clock(&mut self, now_ms: u64) {
        self.shards.iter_mut().for_each(|shard| shard.begin_tick(now_ms));
    }

    /// Does all background work that waits.
    pub fn maintain(&mut self) {
        self.shards.iter_mut().for_each(|shard| while shard.maintain() {});
        self.in_tick.fill(true);
    }

    /// Does one slice of background work on each shard.
    pub fn maintain_once(&mut self) {
        for shard in &mut self.shards {
            shard.maintain();
        }
    }

    /// Closes the clients that have been idle for too long.
    pub fn close_idle(&mut self) {
        self.shards.iter_mut().for_each(Shard::close_idle);
    }

    /// True when a client's connection is to be closed.
    pub fn is_over(&mut self, client: usize) -> bool {
        let (shard, session) = self.clients[client];
        self.shards[shard].is_over(session)
    }

    /// Closes a client's connection and opens a new one on the same shard. Nothing may be on its way to it.
    pub fn reconnect(&mut self, client: usize) {
        let (shard, session) = self.clients[client];
        self.shards[shard].close(session);
        self.clients[client].1 = self.shards[shard].open(peer_of(client));
        self.begun[client].clear();
        self.in_tick[shard] = true;
    }

    /// The shards, to look at.
    pub fn shards(&self) -> &[Shard] {
        &self.shards
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
