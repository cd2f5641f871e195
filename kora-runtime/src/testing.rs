//! One shard for the tests of handlers: a command's text goes in, its reply comes out.
//!
//! Owns: the harness. Refuses to know: several shards; the transcripts run on those. Start at [`TestShard::run`].

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crate::config::Config;
use crate::host::{Host, HostFacts, SnapshotRefusal, SnapshotSink};
use crate::keyspace::typed::random_state;
use crate::shard::clients::Peer;
use crate::shard::{Shard, ShardOptions};

/// The clock of a new [`TestShard`], Unix milliseconds.
pub const START_MS: u64 = 1_700_000_000_000;

/// A process in which nothing happens but that snapshots are kept; what is reported fails the test.
struct TestHost {
    written: Sender<Vec<u8>>,
}

struct Sink(Sender<Vec<u8>>);

impl SnapshotSink for Sink {
    fn has_room(&self) -> bool {
        true
    }
    fn write(&mut self, bytes: Vec<u8>, _: u64) {
        // A test that does not listen has dropped the receiver.
        let _ = self.0.send(bytes);
    }
    fn abandon(self: Box<Self>, why: &str) {
        panic!("{why}");
    }
    fn finish(self: Box<Self>, _: u64) {}
    fn finish_and_wait(self: Box<Self>, _: u64) -> Result<(), String> {
        Ok(())
    }
}

impl Host for TestHost {
    fn monotonic_ns(&self) -> u64 {
        0
    }
    fn facts(&self) -> HostFacts {
        HostFacts::default()
    }
    fn sleep(&self, _: Duration) {}
    fn shutdown(&self, _: crate::host::SaveAtEnd, _: bool) -> Result<(), crate::error::CommandError> {
        Ok(())
    }
    fn purge(&self) {}
    fn report(&self, message: &str) {
        panic!("{message}");
    }
    fn config_changed(&self, _: &Config) {}
    fn begin_snapshot(&self, _: usize, _: u64, _: u64) -> Result<Box<dyn SnapshotSink>, SnapshotRefusal> {
        Ok(Box::new(Sink(self.written.clone())))
    }
}

/// A shard with one client.
pub struct TestShard {
    shard: Shard,
    session: u32,
    now_ms: u64,
    changes: Receiver<String>,
    written: Receiver<Vec<u8>>,
}

impl Default for TestShard {
    fn default() -> Self {
        Self::new()
    }
}

impl TestShard {
    /// An empty shard with the settings of a new server.
    pub fn new() -> Self {
        Self::with(Config::default())
    }

    /// An empty shard with these settings.
    pub fn with(config: Config) -> Self {
        let (handed_on, written) = channel();
        let mut shard = Shard::new(ShardOptions {
            id: 0,
            shards: 1,
            seeds: random_state([1, 2, 3, 4]),
            random_seed: 5,
            config,
            host: Arc::new(TestHost { written: handed_on }),
            now_ms: START_MS,
            extensions: crate::table::Extensions::default(),
            busy_extensions: crate::table::Extensions::default(),
        });
        let (told, changes) = channel();
        shard.on_effect(Box::new(move |db, event, key| {
            // A test that does not listen has dropped the receiver.
            let _ = told.send(format!("{db} {} {}", event.name(), key.escape_ascii()));
        }));
        let session = shard.open(Peer::default());
        Self { shard, session, now_ms: START_MS, changes, written }
    }

    /// Runs a command, words and quotes as in redis-cli. The reply is RESP in one line: `*2 $1 a :1`.
    pub fn run(&mut self, command: &str) -> String {
        self.run_for(self.session, command)
    }

    /// One more client.
    pub fn connect(&mut self) -> u32 {
        self.shard.open(Peer::default())
    }

    /// As [`TestShard::run`], for a client of [`TestShard::connect`]. Empty when it waits.
    pub fn run_for(&mut self, client: u32, command: &str) -> String {
        self.send(client, command);
        self.replies_of(client)
    }

    /// Runs a command and leaves its reply where it is.
    pub fn send(&mut self, client: u32, command: &str) {
        self.shard.begin_tick(self.now_ms);
        self.shard.input(client).extend_from_slice(format!("{command}\r\n").as_bytes());
        self.shard.run(client);
    }

    /// What a client has got since its last command.
    pub fn replies_of(&mut self, client: u32) -> String {
        let reply = std::mem::take(self.shard.output(client));
        self.shard.wrote(client, reply.len());
        let reply = String::from_utf8_lossy(&reply);
        reply.strip_suffix("\r\n").unwrap_or(&reply).replace("\r\n", " ")
    }

    /// Runs commands and compares each reply: `[("SET k v", "+OK"), …]`.
    #[track_caller]
    pub fn check(&mut self, cases: &[(&str, &str)]) {
        for (command, expected) in cases {
            assert_eq!(self.run(command), *expected, "{command}");
        }
    }

    /// What was handed on of snapshots since the last call, piece by piece.
    pub fn written(&mut self) -> Vec<Vec<u8>> {
        self.written.try_iter().collect()
    }

    /// The shard itself, for what no command does.
    pub fn shard(&mut self) -> &mut Shard {
        &mut self.shard
    }

    /// Moves the clock.
    pub fn advance_ms(&mut self, ms: u64) {
        self.now_ms += ms;
    }

    /// Does what is due by now.
    pub fn wake_due(&mut self) {
        self.shard.begin_tick(self.now_ms);
        self.shard.wake_due();
    }

    /// What changed since the last call, each as `db event key`.
    pub fn changes(&mut self) -> Vec<String> {
        self.changes.try_iter().collect()
    }
}
