//! What a shard may ask of the process it runs in.
//!
//! Owns: the one trait through which time beyond the tick's clock, the operating system and the other shards' existence are seen.
//! Refuses to know: how any of it is found out. A simulation gives its own.

use std::time::Duration;

use kora_storage::rdb::RdbFile;

use crate::error::CommandError;
use crate::shard::message::ShardId;

/// Facts about the process, read when INFO asks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostFacts {
    /// Process id.
    pub process_id: u32,
    /// Forty hexadecimal digits, drawn at start.
    pub run_id: String,
    /// Port of the TCP listener, 0 without one.
    pub tcp_port: u16,
    /// Seconds since the engine started.
    pub uptime_seconds: u64,
    /// Path of the program.
    pub executable: String,
    /// Path of the configuration file, empty without one.
    pub config_file: String,
    /// Operating system, as `uname` says it.
    pub os: String,
    /// Resident bytes of the process.
    pub resident_bytes: u64,
    /// Seconds of processor time in user mode.
    pub cpu_user_seconds: f64,
    /// Seconds of processor time in the kernel.
    pub cpu_system_seconds: f64,
    /// Seconds of processor time in user mode of the calling thread.
    pub cpu_user_thread_seconds: f64,
    /// Seconds of processor time in the kernel of the calling thread.
    pub cpu_system_thread_seconds: f64,
    /// Bytes of memory in the machine.
    pub system_memory_bytes: u64,
    /// Connections that were refused at the door.
    pub rejected_connections: u64,
    /// Connections accepted.
    pub accepted_connections: u64,
    /// Bytes the allocator has handed out.
    pub allocated_bytes: u64,
    /// Most bytes the allocator ever had handed out.
    pub peak_allocated_bytes: u64,
}

/// What is known about what is on disk, for INFO and those who wait for it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PersistenceFacts {
    /// The data directory; without one nothing is kept.
    pub directory: Option<String>,
    /// What is on disk is being loaded: commands are refused meanwhile.
    pub loading: bool,
    /// When that began, Unix seconds.
    pub loading_since_unix_seconds: u64,
    /// Bytes that are to be read, and that have been.
    pub loading_bytes: (u64, u64),
    /// Keys that were loaded when the engine started, and those that had expired by then.
    pub loaded_keys: (u64, u64),
    /// A snapshot is being written; for how many seconds.
    pub snapshot_running_seconds: Option<u64>,
    /// Keys that the running snapshot has written, and of about how many.
    pub snapshot_keys: (u64, u64),
    /// A snapshot is to begin soon.
    pub snapshot_scheduled: bool,
    /// Snapshots that failed since the last good one.
    pub snapshot_failures: u64,
    /// When the last good snapshot was finished (before the first: when the engine started), Unix seconds.
    pub last_snapshot_unix_seconds: u64,
    /// Seconds that the last snapshot took.
    pub last_snapshot_seconds: Option<u64>,
    /// The last snapshot did not fail.
    pub last_snapshot_ok: bool,
    /// Snapshots finished since the start.
    pub snapshots: u64,
    /// Keys and bytes of the last snapshot.
    pub last_snapshot_size: (u64, u64),
    /// There is a log.
    pub log_on: bool,
    /// Bytes of the log that are newer than the last snapshot.
    pub log_bytes: u64,
    /// Bytes that were logged and not yet written.
    pub log_pending_bytes: u64,
    /// Logs that are being synced.
    pub log_syncs_running: u64,
    /// Syncs that had to wait for an earlier one that took long.
    pub log_syncs_delayed: u64,
    /// Why nothing can be logged now: the disk is full.
    pub log_trouble: Option<String>,
    /// What recovery had to report when the engine started.
    pub recovery_reports: Vec<String>,
}

/// Why no snapshot was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotRefusal {
    /// There is no data directory.
    NoDirectory,
    /// One is being written.
    Running,
    /// The system refused.
    Io(String),
}

/// Where a shard's part of a snapshot goes: the bytes of an RDB file behind its header, up to its end mark.
pub trait SnapshotSink {
    /// True when more is welcome now: what is written sooner waits in memory.
    fn has_room(&self) -> bool;
    /// Takes bytes; blocks while far too many wait. With them, `keys` have been written.
    fn write(&mut self, bytes: Vec<u8>, keys: u64);
    /// There will be no snapshot.
    fn abandon(self: Box<Self>, why: &str);
    /// All was written; the rest is done elsewhere.
    fn finish(self: Box<Self>, keys: u64);
    /// All was written; returns when this shard's file is on disk, and, for the last shard, the snapshot is the directory's.
    ///
    /// # Errors
    /// What the system refused.
    fn finish_and_wait(self: Box<Self>, keys: u64) -> Result<(), String>;
}

/// Takes what a data directory has of one shard, in order: the items of its snapshot, if it has one, then the records that are not in it.
pub trait ReadBack {
    /// The snapshot's file.
    ///
    /// # Errors
    /// When it is damaged.
    fn snapshot(&mut self, file: &mut RdbFile<'_>) -> Result<(), String>;
    /// A record's payload.
    ///
    /// # Errors
    /// When it cannot be run again.
    fn record(&mut self, payload: &[u8]) -> Result<(), String>;
}

/// Why another server could not be talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteError {
    /// Its name stands for no address, or it did not answer in time when it was called.
    Unreachable,
    /// It takes no connections, or ended this one, or did not go on in time.
    Lost,
}

/// A connection to another server. Each of its steps blocks the shard, for at most the time that was given when it was opened.
pub trait Remote {
    /// Sends bytes, a part of them in each step.
    ///
    /// # Errors
    /// When not all of them went away.
    fn send(&mut self, bytes: &[u8]) -> Result<(), RemoteError>;
    /// The next line of what the other server says, without its end.
    ///
    /// # Errors
    /// When no whole line came.
    fn line(&mut self) -> Result<Vec<u8>, RemoteError>;
}

/// What a clean end does first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SaveAtEnd {
    /// What the `save` parameter says: a snapshot when there are rules and no log.
    #[default]
    AsConfigured,
    /// A snapshot.
    Yes,
    /// Nothing but what is logged.
    No,
}

/// The process around the shards.
pub trait Host: Send + Sync {
    /// Nanoseconds of a clock that never goes back; read for sampled command times only.
    fn monotonic_ns(&self) -> u64;
    /// Facts for INFO.
    fn facts(&self) -> HostFacts;
    /// Blocks the calling shard (DEBUG SLEEP).
    fn sleep(&self, duration: Duration);
    /// Asks the process to stop cleanly (SHUTDOWN). With `force`, also when saving fails.
    ///
    /// # Errors
    /// When there is nothing to save to.
    fn shutdown(&self, save: SaveAtEnd, force: bool) -> Result<(), CommandError>;
    /// What is known about what is on disk.
    fn persistence(&self) -> PersistenceFacts {
        PersistenceFacts::default()
    }
    /// Begins a shard's part of a snapshot whose cut is now: records before `first_lsn` are in it. Every shard's part of one snapshot has the same `token`,
    /// and gets the same answer.
    ///
    /// # Errors
    /// When there can be none now.
    fn begin_snapshot(
        &self,
        _shard: ShardId,
        _token: u64,
        _first_lsn: u64,
    ) -> Result<Box<dyn SnapshotSink>, SnapshotRefusal> {
        Err(SnapshotRefusal::NoDirectory)
    }
    /// Has a snapshot begun when none is being written any more.
    ///
    /// # Errors
    /// When there can be none at all.
    fn snapshot_soon(&self) -> Result<(), SnapshotRefusal> {
        Err(SnapshotRefusal::NoDirectory)
    }
    /// Reads back what the data directory has of a shard by now; returns the number of the record that would come next.
    ///
    /// # Errors
    /// What is wrong with the files, and what `into` says.
    fn read_back(&self, _shard: ShardId, _into: &mut dyn ReadBack) -> Result<u64, String> {
        Err("there is no data directory".to_owned())
    }
    /// Calls another server (MIGRATE); `step` is how long it is waited for at a time. A host without a network reaches nobody.
    ///
    /// # Errors
    /// When it does not answer.
    fn connect(&self, _host: &str, _port: u16, _step: Duration) -> Result<Box<dyn Remote>, RemoteError> {
        Err(RemoteError::Unreachable)
    }
    /// Gives freed memory back to the operating system (MEMORY PURGE).
    fn purge(&self);
    /// Tells what went wrong inside; one line.
    fn report(&self, message: &str);
    /// A parameter changed that something outside the shards has to know about (maxclients, loglevel…).
    fn config_changed(&self, config: &crate::config::Config);
}
