//! The world: shards, the envelopes between them, one session for each client.
//!
//! Owns: what may happen next, the time, who is connected where. Refuses to know: what the clients say. An envelope from one shard to another arrives after those sent before it on the same way,
//! as in a mailbox; envelopes on different ways arrive in any order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use kora_runtime::config::{AppendFsync, Config};
use kora_runtime::host::{Host, HostFacts, Remote, RemoteError};
use kora_runtime::keyspace::typed::random_state;
use kora_runtime::random::Random;
use kora_runtime::resp::value::skip_value;
use kora_runtime::shard::clients::{Client, Peer};
use kora_runtime::shard::fault::Remains;
use kora_runtime::shard::journal::Batch;
use kora_runtime::shard::message::Envelope;
use kora_runtime::shard::replay::ReplayError;
use kora_runtime::shard::{Shard, ShardOptions};

use kora_storage::log::LogOptions;

use super::Shape;
use super::disk::{Disk, DiskMove, Trouble};
use super::log::Log;
use crate::remote::Obliging;
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
    fn shutdown(&self, _: kora_runtime::host::SaveAtEnd, _: bool) -> Result<(), kora_runtime::error::CommandError> {
        Ok(())
    }
    fn connect(&self, _: &str, _: u16, _: Duration) -> Result<Box<dyn Remote>, RemoteError> {
        Ok(Box::new(Obliging::default()))
    }
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
    /// Shard and session of each client that is connected.
    clients: Vec<Option<(usize, u32)>>,
    /// Clients whose sessions had something to look at.
    looked_at: Vec<usize>,
    /// Every move is told on the error output (KORA_TRACE).
    traced: bool,
    /// Unix milliseconds; a shard reads it when a tick begins.
    now_ms: u64,
    replies: Vec<(usize, Vec<u8>)>,
    /// What has come to each client of a reply that is not whole yet.
    begun: Vec<Vec<u8>>,
    /// Clients that do not read.
    idle: Vec<bool>,
    /// Shards whose tick has not ended.
    in_tick: Vec<bool>,
    /// What each shard has logged; empty when they do not, or log to a disk.
    logs: Vec<Log>,
    /// Where shards log to that may die.
    disk: Option<Disk>,
    /// The process has died.
    dead: bool,
    shape: Shape,
    seed: u64,
}

fn peer_of(client: usize) -> Peer {
    Peer { addr: format!("client:{client}"), laddr: "world:0".to_owned(), fd: -1, unix: false, origin: 0 }
}

/// What may happen next.
enum Move {
    Deliver(usize, usize),
    EndTick(usize),
    Wake(usize),
    /// With `always`, records of several ticks are written together.
    Write(usize),
    Sync(usize),
    Save(usize),
    Disk(DiskMove),
}

/// The seeds of the hash by which a world's keys are routed.
pub fn seeds_of(seed: u64) -> [u64; 4] {
    [seed, 2, 3, 4]
}

/// An empty shard of a world.
pub fn new_shard(seed: u64, shape: Shape, id: usize, host: &Arc<dyn Host>, now_ms: u64) -> Shard {
    let default = Config::default();
    let (extensions, busy_extensions) = kora_ext::extensions(id);
    Shard::new(ShardOptions {
        id,
        shards: shape.shards,
        seeds: random_state(seeds_of(seed)),
        random_seed: seed + id as u64,
        config: Config { appendfsync: shape.log.unwrap_or(default.appendfsync), ..default },
        host: Arc::clone(host),
        now_ms,
        extensions,
        busy_extensions,
    })
}

const START_MS: u64 = 1_000_000;

impl World {
    /// An empty world in a process where nothing may be asked for.
    pub fn new(seed: u64, shape: Shape) -> Self {
        Self::in_process(seed, shape, Arc::new(NoHost))
    }

    /// An empty world in a process of the caller's.
    pub fn in_process(seed: u64, shape: Shape, host: Arc<dyn Host>) -> Self {
        let mut shards: Vec<Shard> = (0..shape.shards).map(|id| new_shard(seed, shape, id, &host, START_MS)).collect();
        if let Some(fault) = shape.fault {
            shards.iter_mut().for_each(|shard| shard.plant(fault));
        }
        if shape.log.is_some() {
            shards.iter_mut().for_each(|shard| shard.start_log(1));
        }
        let logs = shape.log.map_or_else(Vec::new, |_| shards.iter().map(|_| Log::default()).collect());
        let mut world = Self::around(seed, shape, shards);
        world.logs = logs;
        world.connect_all();
        world.in_tick.fill(false);
        world
    }

    /// An empty world; on a disk when it is to have several lives. The sizes of the disk's files come from the seed.
    ///
    /// # Errors
    /// When an empty disk cannot be used.
    pub fn with_lives(seed: u64, shape: Shape) -> Result<Self, String> {
        if shape.lives == 0 {
            return Ok(Self::new(seed, shape));
        }
        let mut random = Random::new(seed ^ 0x6469_736b);
        let mut pick = |sizes: [u64; 4]| sizes[random.below(4) as usize];
        let options = LogOptions {
            segment_bytes: pick([300, 1000, 5000, 100_000]),
            zero_ahead_bytes: pick([0, 100, 1000, 10_000]),
        };
        let disk = Disk::new(shape.log.unwrap_or(AppendFsync::Always), options, shape.store_fault);
        Self::on_disk(seed, shape, disk)
    }

    /// Brings all logs of a world with a disk to it.
    pub fn sync_all(&mut self) {
        if let Some(disk) = &mut self.disk {
            let synced = disk.sync_all();
            self.survive(synced);
        }
    }

    /// An empty world on an empty disk.
    ///
    /// # Errors
    /// When the disk is not empty and cannot be loaded.
    pub fn on_disk(seed: u64, shape: Shape, mut disk: Disk) -> Result<Self, String> {
        disk.begin_life(shape.shards, None);
        let begun = super::rebirth::begin(seed, shape, &mut disk, START_MS);
        let shards = begun.map_err(|trouble| format!("{trouble:?}"))?;
        let mut world = Self::around(seed, shape, shards);
        world.disk = Some(disk);
        world.connect_all();
        Ok(world)
    }

    fn around(seed: u64, shape: Shape, shards: Vec<Shard>) -> Self {
        Self {
            in_tick: vec![false; shape.shards],
            ways: (0..shape.shards).map(|_| (0..shape.shards).map(|_| VecDeque::new()).collect()).collect(),
            clients: vec![None; shape.clients],
            shards,
            looked_at: Vec::new(),
            traced: std::env::var_os("KORA_TRACE").is_some(),
            now_ms: START_MS,
            replies: Vec::new(),
            begun: vec![Vec::new(); shape.clients],
            idle: vec![false; shape.clients],
            logs: Vec::new(),
            disk: None,
            dead: false,
            shape,
            seed,
        }
    }

    fn connect_all(&mut self) {
        for client in 0..self.clients.len() {
            let shard = client % self.shape.shards;
            self.clients[client] = Some((shard, self.shards[shard].open(peer_of(client))));
        }
    }

    // ---- death and birth ------------------------------------------------------------------------------------------------

    /// True when the process has died at a call to the disk.
    pub fn is_dead(&self) -> bool {
        self.dead
    }

    /// The seed from which its shards are made.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The disk of a world that has one.
    pub fn disk(&mut self) -> &mut Disk {
        self.disk.as_mut().expect("the world was made with one")
    }

    /// Ends the process. What is left: its disk, how it was, what time it is.
    pub fn die(&mut self) -> (Disk, Shape, u64) {
        self.trace(|| "dies".to_owned());
        self.dead = true;
        let disk = self.disk.take().expect("the world was made with one");
        (disk, self.shape, self.now_ms)
    }

    /// Goes on as a new process, to which nobody is connected.
    pub fn be_born(&mut self, shape: Shape, shards: Vec<Shard>, disk: Disk) {
        let now_ms = self.now_ms;
        *self = Self { disk: Some(disk), now_ms, ..Self::around(self.seed, shape, shards) };
        self.trace(|| format!("lives again on {} shards", shape.shards));
    }

    /// A client sends a command.
    pub fn send<W: AsRef<[u8]>>(&mut self, client: usize, words: &[W]) {
        self.send_bytes(client, &encode(words));
    }

    /// A client sends bytes, a part of a command or several.
    pub fn send_bytes(&mut self, client: usize, bytes: &[u8]) {
        let (shard, session) = self.place(client);
        self.trace(|| format!("client {client} → {shard}: {}", bytes.escape_ascii()));
        self.enter_tick(shard);
        self.shards[shard].input(session).extend_from_slice(bytes);
        self.shards[shard].run(session);
    }

    fn trace(&self, text: impl FnOnce() -> String) {
        if self.traced {
            eprintln!("{:>8} {}", self.now_ms, text());
        }
    }

    fn place(&self, client: usize) -> (usize, u32) {
        self.clients[client].expect("the client is connected")
    }

    fn enter_tick(&mut self, shard: usize) {
        if !std::mem::replace(&mut self.in_tick[shard], true) {
            self.shards[shard].begin_tick(self.now_ms);
        }
    }

    fn possible(&mut self) -> Vec<Move> {
        if self.dead {
            return Vec::new();
        }
        let on_disk: Vec<Move> =
            self.disk.as_mut().map_or_else(Vec::new, Disk::moves).into_iter().map(Move::Disk).collect();
        let shards = 0..self.shards.len();
        let ticks = shards.clone().filter(|&at| self.in_tick[at]).map(Move::EndTick);
        let ways = shards.clone().flat_map(|from| shards.clone().map(move |to| (from, to)));
        let arrivals =
            ways.filter(|&(from, to)| !self.ways[from][to].is_empty()).map(|(from, to)| Move::Deliver(from, to));
        let due = |at: &usize| {
            !self.in_tick[*at]
                && self.shards[*at].next_deadline_ms().is_some_and(|deadline_ms| deadline_ms <= self.now_ms)
        };
        let written = |at: &usize| !self.in_tick[*at] && self.gathers(*at) && self.shards[*at].has_log();
        let writes = shards.clone().filter(written).map(Move::Write);
        let saving = shards.clone().filter(|&at| self.shards[at].is_saving()).map(Move::Save);
        let syncs = (0..self.logs.len()).filter(|&at| self.logs[at].may_sync()).map(Move::Sync);
        ticks
            .chain(arrivals)
            .chain(shards.clone().filter(due).map(Move::Wake))
            .chain(writes)
            .chain(syncs)
            .chain(saving)
            .chain(on_disk)
            .collect()
    }

    /// How many things may happen next.
    pub fn moves(&mut self) -> usize {
        self.possible().len()
    }

    /// Lets one of them happen.
    pub fn make_move(&mut self, index: usize) {
        match self.possible().swap_remove(index) {
            Move::Deliver(from, to) => {
                let envelope = self.ways[from][to].pop_front().expect("only ways with mail are possible");
                self.trace(|| format!("{from} → {to}: {envelope:?}"));
                self.enter_tick(to);
                self.shards[to].receive(from, envelope);
            }
            Move::Wake(at) => {
                self.trace(|| format!("{at} wakes"));
                self.enter_tick(at);
                self.shards[at].wake_due();
            }
            Move::EndTick(at) => {
                self.write_log(at);
                if self.dead {
                    return;
                }
                let ways = &mut self.ways[at];
                self.shards[at].end_tick(&mut |to, envelope| ways[to].push_back(envelope));
                self.in_tick[at] = false;
                self.collect(at);
            }
            Move::Save(at) => {
                self.enter_tick(at);
                self.shards[at].save_slice();
            }
            Move::Disk(step) => {
                let Some(disk) = &mut self.disk else { return };
                let outcome = disk.make_move(step);
                self.trace(|| format!("disk: {step:?}, {outcome:?}"));
                if let Some(Some((at, lsn))) = self.survive(outcome) {
                    self.enter_tick(at);
                    self.shards[at].log_synced(lsn);
                }
            }
            Move::Write(at) => self.write_gathered(at),
            Move::Sync(at) if !self.logs[at].is_syncing() => self.logs[at].begin_sync(),
            Move::Sync(at) => {
                let Some(lsn) = self.logs[at].end_sync() else { return };
                self.trace(|| format!("{at} has {lsn} records on disk"));
                self.enter_tick(at);
                self.shards[at].log_synced(lsn);
            }
        }
    }

    /// Whether what a shard logs may be left for later ticks: nothing that tells of it leaves the shard before.
    fn gathers(&self, at: usize) -> bool {
        self.shards[at].core().config.appendfsync == AppendFsync::Always
    }

    /// Writes what a shard has logged in this tick, if that is the time.
    fn write_log(&mut self, at: usize) {
        if !self.gathers(at) {
            self.write_gathered(at);
        }
    }

    fn write_gathered(&mut self, at: usize) {
        if self.shards[at].has_log() {
            let batch = self.shards[at].take_log(Batch::default());
            self.trace(|| format!("{at} writes {} records, of which {} is settled", batch.count, batch.settled_lsn));
            match &mut self.disk {
                None => self.logs[at].append(&batch),
                Some(disk) => {
                    let written = disk.append(at, &batch);
                    self.survive(written);
                }
            }
        }
    }

    /// What came of a call to the disk, if the process outlives it.
    fn survive<T>(&mut self, outcome: Result<T, Trouble>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(Trouble::Died) => {
                self.trace(|| "dies at a call to its disk".to_owned());
                self.dead = true;
                None
            }
            Err(Trouble::Wrong(why)) => panic!("the disk refused what it must not refuse: {why}"),
        }
    }

    fn collect(&mut self, at: usize) {
        let mut dirty = Vec::new();
        self.write_log(at);
        if self.dead {
            return;
        }
        self.shards[at].take_dirty(&mut dirty);
        while !dirty.is_empty() {
            for &session in &dirty {
                // One that is listed may have gone before the tick ended.
                let Some(client) = self.clients.iter().position(|place| *place == Some((at, session))) else {
                    continue;
                };
                self.looked_at.push(client);
                if !self.idle[client] {
                    self.take_output(client);
                }
            }
            // Room in the output lets a client that had stalled go on.
            self.write_log(at);
            if self.dead {
                return;
            }
            self.shards[at].take_dirty(&mut dirty);
        }
        self.in_tick[at] |= self.shards[at].has_outgoing();
    }

    /// Lets a client read what its shard has for it now. A big message comes in pieces.
    fn take_output(&mut self, client: usize) {
        let (at, session) = self.place(client);
        let sendable_bytes = self.shards[at].sendable_bytes(session);
        let waiting = self.shards[at].output(session);
        let output: Vec<u8> = waiting.drain(..waiting.len().min(sendable_bytes)).collect();
        if output.is_empty() {
            return;
        }
        self.shards[at].wrote(session, output.len());
        let mut begun = std::mem::take(&mut self.begun[client]);
        begun.extend_from_slice(&output);
        let mut done = 0;
        while let Some(len) = skip_value(&begun[done..]) {
            self.trace(|| format!("{at} → client {client}: {}", begun[done..done + len].escape_ascii()));
            self.replies.push((client, begun[done..done + len].to_vec()));
            done += len;
        }
        begun.drain(..done);
        self.begun[client] = begun;
    }

    /// Whether a client reads what comes for it.
    pub fn set_reading(&mut self, client: usize, reads: bool) {
        self.idle[client] = !reads;
        if reads {
            self.take_output(client);
            self.collect(self.place(client).0);
        }
    }

    /// True when no reply has come in part.
    pub fn has_whole_replies(&self) -> bool {
        self.begun.iter().all(Vec::is_empty)
    }

    /// Lets time pass; shards see it when they begin a tick.
    pub fn pass(&mut self, ms: u64) {
        self.now_ms += ms;
    }

    /// How long nothing happens by itself, when something ever does.
    pub fn next_wake_in_ms(&self) -> Option<u64> {
        let next = self.shards.iter().filter_map(Shard::next_deadline_ms).min();
        next.map(|deadline_ms| deadline_ms.saturating_sub(self.now_ms))
    }

    /// Sets the clock of all shards.
    pub fn set_clock(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
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
        let (shard, session) = self.place(client);
        self.shards[shard].is_over(session)
    }

    /// True while a client has a connection.
    pub fn is_connected(&self, client: usize) -> bool {
        self.clients[client].is_some()
    }

    /// Ends a client's connection, whatever is on its way to it. Replies that its session had are taken before.
    pub fn disconnect(&mut self, client: usize) {
        let (shard, session) = self.place(client);
        // What a tick has not written to the disk yet, nobody has got.
        if self.disk.is_none() || !self.in_tick[shard] {
            self.take_output(client);
        }
        self.trace(|| format!("client {client} leaves {shard}"));
        self.enter_tick(shard);
        self.shards[shard].close(session);
        self.clients[client] = None;
    }

    /// Connects a client that has no connection.
    pub fn connect(&mut self, client: usize, shard: usize) {
        assert!(self.clients[client].is_none(), "one connection each");
        self.enter_tick(shard);
        self.clients[client] = Some((shard, self.shards[shard].open(peer_of(client))));
    }

    /// Ends the connections that the shards want to end, as a driver does, and says whose.
    pub fn close_over(&mut self) -> Vec<usize> {
        let mut looked_at = std::mem::take(&mut self.looked_at);
        looked_at.sort_unstable();
        looked_at.dedup();
        looked_at.retain(|&client| self.is_connected(client) && self.is_over(client));
        looked_at.iter().for_each(|&client| self.disconnect(client));
        looked_at
    }

    fn client_of(&self, client: usize) -> Option<&Client> {
        let (shard, session) = self.clients[client]?;
        let clients = &self.shards[shard].core().clients;
        clients.iter().find(|client| clients.session_of(client.id) == Some(session))
    }

    /// What a client may do to another of the first `clients`: end its waiting, or close it.
    pub fn disturbance(&self, client: usize, clients: usize, random: &mut Random) -> String {
        let victim = random.below(clients as u64) as usize;
        match (self.client_id(victim), random.below(3)) {
            (Some(id), 0) => format!("CLIENT UNBLOCK {id} ERROR"),
            (Some(id), 1) => format!("CLIENT UNBLOCK {id}"),
            (Some(id), _) if victim != client => format!("CLIENT KILL ID {id}"),
            _ => "PING".to_owned(),
        }
    }

    /// A client's number, as CLIENT ID tells it.
    pub fn client_id(&self, client: usize) -> Option<u64> {
        self.client_of(client).map(|client| client.id)
    }

    /// True while a client stands in line for a key, or for time, and nobody has asked it to go.
    pub fn is_waiting(&self, client: usize) -> bool {
        self.client_of(client).is_some_and(|client| client.waiting.is_some() && !client.kill)
    }

    /// Closes a client's connection and opens a new one on the same shard. Nothing may be on its way to it.
    pub fn reconnect(&mut self, client: usize) {
        let (shard, session) = self.place(client);
        self.shards[shard].close(session);
        self.clients[client] = Some((shard, self.shards[shard].open(peer_of(client))));
        self.begun[client].clear();
        self.in_tick[shard] = true;
    }

    /// What the shards have logged.
    pub fn logs(&self) -> &[Log] {
        &self.logs
    }

    /// Runs a record of a shard's log on the same shard of this world, which does not log itself.
    ///
    /// # Errors
    /// When the record cannot be replayed.
    pub fn replay(&mut self, shard: usize, payload: &[u8]) -> Result<usize, ReplayError> {
        self.shards[shard].replay(payload)
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

    /// What each shard holds on behalf of clients.
    pub fn remains(&self) -> Vec<Remains> {
        self.shards.iter().map(Shard::remains).collect()
    }

    /// Sends a command and lets everything happen, in a fixed order, until nothing more can.
    ///
    /// # Panics
    /// When there is no reply then, or more than one.
    pub fn ask<W: AsRef<[u8]>>(&mut self, client: usize, words: &[W]) -> Vec<u8> {
        self.send(client, words);
        while self.moves() > 0 {
            self.make_move(0);
        }
        let mut replies = self.take_replies();
        assert!(replies.len() == 1 && replies[0].0 == client, "one reply to one command: {replies:?}");
        replies.remove(0).1
    }
}
