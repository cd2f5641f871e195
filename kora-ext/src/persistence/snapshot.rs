//! Snapshots of all shards, from the first cut to the new manifest.
//!
//! Owns: which snapshot is being written, the files of its parts, and when it becomes the directory's. Refuses to know: what is in a part.
//! Start at [`Snapshots::begin`].
//!
//! Each part is a file of RDB, written by a thread of its own under a temporary name, synced and renamed. When the last part is there, the directory is synced and
//! the manifest names the new generation, with the record of each shard's log at which replaying begins. Only then what is older goes.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use kora_runtime::host::{SnapshotRefusal, SnapshotSink};
use kora_runtime::shard::message::ShardId;
use kora_storage::manifest::snapshot_name;

use super::rdb_out::RdbOut;
use super::store::Store;

/// Bytes of a part that wait to be written, above which its shard does not go on with slices.
const ROOM_BYTES: usize = 4 << 20;
/// Pieces of a part that wait at most; whoever brings more waits. With pieces of 64 KiB that is 16 MiB.
const PIECES_MAX: usize = 256;

/// The snapshot that is being written.
#[derive(Debug)]
struct Running {
    generation: u64,
    token: u64,
    started: Instant,
    /// For each shard: the record at which replaying begins, once its part has begun.
    first_lsns: Vec<Option<u64>>,
    /// For each shard what its part has come to.
    ended: Vec<Option<Result<(), String>>>,
    keys: u64,
    bytes: u64,
    failure: Option<String>,
    /// Every shard had a log when its part began, and none of the logs has been turned off or on since.
    logged: bool,
    log_turns: u64,
}

/// What is known about snapshots.
#[derive(Debug, Default)]
struct State {
    running: Option<Running>,
    /// A command that was refused on one shard is refused on all.
    refused: Option<u64>,
    last: Last,
    failed_at: Option<Instant>,
}

/// A snapshot whose parts are all on disk.
#[derive(Debug)]
pub struct Adopted {
    /// Its generation.
    pub generation: u64,
    /// For each shard: the record at which replaying begins.
    pub first_lsns: Vec<u64>,
    /// How often logs had been turned off or on when it began, if every shard had a log then.
    pub log_turns: Option<u64>,
}

/// What is known about the last snapshot.
#[derive(Debug, Clone, Default)]
pub struct Last {
    /// Snapshots finished since the start.
    pub count: u64,
    /// When the last good one was finished, Unix seconds.
    pub unix_seconds: u64,
    /// How long it took.
    pub seconds: Option<u64>,
    /// Keys and bytes.
    pub size: (u64, u64),
    /// Why the last one failed, if it did.
    pub failure: Option<String>,
    /// Snapshots that failed since the start.
    pub failures: u64,
}

/// All snapshots of a data directory.
#[derive(Debug, Default)]
pub struct Snapshots {
    state: Mutex<State>,
    ended: Condvar,
}

impl Snapshots {
    /// Seconds that the snapshot that is being written has taken, and what is known about the last one.
    pub fn facts(&self) -> (Option<u64>, Last) {
        let state = self.lock();
        (state.running.as_ref().map(|running| running.started.elapsed().as_secs()), state.last.clone())
    }

    /// Adds to what the snapshot has that was loaded at the start.
    pub fn add_loaded(&self, keys: u64, bytes: u64) {
        let size = &mut self.lock().last.size;
        *size = (size.0 + keys, size.1 + bytes);
    }

    /// True when the last snapshot failed long enough ago for another try.
    pub fn may_try_again(&self, after: std::time::Duration) -> bool {
        self.lock().failed_at.is_none_or(|at| at.elapsed() > after)
    }

    /// Notes when what is on disk at the start was saved.
    pub fn set_last_unix_seconds(&self, unix_seconds: u64) {
        self.lock().last.unix_seconds = unix_seconds;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic while it was held has changed nothing half.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a shard's part.
    pub fn begin(
        &self,
        store: &Arc<Store>,
        shard: ShardId,
        token: u64,
        first_lsn: u64,
    ) -> Result<Box<dyn SnapshotSink>, SnapshotRefusal> {
        let mut state = self.lock();
        let alone = store.shards() == 1;
        if !alone && state.refused == Some(token) {
            return Err(SnapshotRefusal::Running);
        }
        let joins = |running: &Running| !alone && running.token == token && running.first_lsns[shard].is_none();
        if state.running.as_ref().is_some_and(|running| !joins(running)) {
            state.refused = Some(token);
            return Err(SnapshotRefusal::Running);
        }
        let running = state.running.get_or_insert_with(|| Running {
            generation: store.next_generation(),
            token,
            started: Instant::now(),
            first_lsns: vec![None; store.shards()],
            ended: vec![None; store.shards()],
            keys: 0,
            bytes: 0,
            failure: None,
            logged: true,
            log_turns: store.log_turns(),
        });
        running.logged &= store.log_facts(shard).on.load(Ordering::SeqCst);
        running.first_lsns[shard] = Some(first_lsn);
        let generation = running.generation;
        drop(state);
        let (pieces, received) = mpsc::sync_channel(PIECES_MAX);
        let waiting = Arc::new(AtomicUsize::new(0));
        let failed = Arc::new(AtomicBool::new(false));
        let (thread_store, thread_waiting, thread_failed) =
            (Arc::clone(store), Arc::clone(&waiting), Arc::clone(&failed));
        let thread = std::thread::Builder::new().name(format!("save-{shard}")).spawn(move || {
            let written = write_part(&thread_store, generation, shard, &received, &thread_waiting, &thread_failed);
            thread_store.snapshots().end_part(&thread_store, shard, written);
        });
        if let Err(error) = thread {
            let text = error.to_string();
            self.end_part(store, shard, Err(error));
            return Err(SnapshotRefusal::Io(text));
        }
        Ok(Box::new(Sink { store: Arc::clone(store), generation, shard, pieces, waiting, failed }))
    }

    /// A part is written, or could not be. With the last one the snapshot is the directory's.
    fn end_part(&self, store: &Store, shard: ShardId, written: io::Result<(u64, u64)>) {
        let mut state = self.lock();
        let Some(running) = &mut state.running else { return };
        let ended = match written {
            Ok((keys, bytes)) => {
                running.keys += keys;
                running.bytes += bytes;
                Ok(())
            }
            Err(error) => {
                running.failure = Some(error.to_string());
                Err(error.to_string())
            }
        };
        // The last part ends with the snapshot.
        if running.ended.iter().filter(|ended| ended.is_none()).count() > 1 {
            running.ended[shard] = Some(ended);
            drop(state);
            return self.ended.notify_all();
        }
        let adopted = Adopted {
            generation: running.generation,
            first_lsns: running.first_lsns.iter().map(|lsn| lsn.unwrap_or(1)).collect(),
            log_turns: running.logged.then_some(running.log_turns),
        };
        let failure = running.failure.clone();
        // It counts as running until the manifest has it, and nobody waits for that who only wants to know.
        drop(state);
        let failure = match failure {
            Some(failure) => {
                store.drop_snapshot(adopted.generation);
                Some(failure)
            }
            // What the manifest on disk names now nobody knows: the files stay.
            None => store.adopt_snapshot(adopted).err().map(|error| error.to_string()),
        };
        let mut state = self.lock();
        let Some(running) = state.running.take() else { return };
        match &failure {
            Some(failure) => {
                tracing::error!(generation = running.generation, "the snapshot failed: {failure}");
            }
            None => {
                state.last.count += 1;
                state.last.failures = 0;
                state.last.unix_seconds = store.unix_seconds();
                state.last.seconds = Some(running.started.elapsed().as_secs());
                state.last.size = (running.keys, running.bytes);
                tracing::info!(
                    generation = running.generation,
                    keys = running.keys,
                    bytes = running.bytes,
                    milliseconds = running.started.elapsed().as_millis() as u64,
                    "snapshot saved"
                );
            }
        }
        let trouble = failure.is_some();
        state.last.failures += u64::from(trouble);
        state.failed_at = trouble.then(Instant::now);
        state.last.failure = failure;
        drop(state);
        store.tell_snapshot_trouble(trouble);
        self.ended.notify_all();
    }

    /// Waits until a shard's part of the snapshot of this generation has ended; with the last part the snapshot has. Whoever has more to do before the others
    /// begin, and the coordinator of a transaction has, must not wait for them.
    fn wait(&self, generation: u64, shard: ShardId) -> Result<(), String> {
        let mut state = self.lock();
        loop {
            match state.running.as_ref().filter(|running| running.generation == generation) {
                None => return state.last.failure.clone().map_or(Ok(()), Err),
                Some(running) => {
                    if let Some(ended) = &running.ended[shard] {
                        return ended.clone();
                    }
                }
            }
            state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

enum Piece {
    Bytes(Vec<u8>),
    End(u64),
    Abandon(String),
}

/// Where one shard's part goes.
struct Sink {
    store: Arc<Store>,
    generation: u64,
    shard: ShardId,
    pieces: SyncSender<Piece>,
    waiting: Arc<AtomicUsize>,
    failed: Arc<AtomicBool>,
}

impl SnapshotSink for Sink {
    fn has_room(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) < ROOM_BYTES
    }

    fn write(&mut self, bytes: Vec<u8>, keys: u64) {
        self.store.log_facts(self.shard).saved_keys.store(keys, Ordering::Relaxed);
        if !self.failed.load(Ordering::Relaxed) {
            self.waiting.fetch_add(bytes.len(), Ordering::Relaxed);
            // A part that has failed takes nothing more; its end says so.
            let _ = self.pieces.send(Piece::Bytes(bytes));
        }
    }

    fn abandon(self: Box<Self>, why: &str) {
        let _ = self.pieces.send(Piece::Abandon(why.to_owned()));
    }

    fn finish(self: Box<Self>, keys: u64) {
        let _ = self.pieces.send(Piece::End(keys));
    }

    fn finish_and_wait(self: Box<Self>, keys: u64) -> Result<(), String> {
        let _ = self.pieces.send(Piece::End(keys));
        let Self { store, generation, shard, pieces, .. } = *self;
        drop(pieces);
        store.snapshots().wait(generation, shard)
    }
}

/// Writes one part; its keys and bytes.
fn write_part(
    store: &Store,
    generation: u64,
    shard: ShardId,
    pieces: &mpsc::Receiver<Piece>,
    waiting: &AtomicUsize,
    failed: &AtomicBool,
) -> io::Result<(u64, u64)> {
    let name = snapshot_name(generation, shard as u16);
    let temporary = format!("{name}.tmp");
    let outcome = write_file(store, shard, &temporary, pieces, waiting).and_then(|written| {
        store.dir().rename(&temporary, &name)?;
        Ok(written)
    });
    if outcome.is_err() {
        failed.store(true, Ordering::Relaxed);
        // Whoever waits for room goes on; what it brings is thrown away.
        for piece in pieces {
            if let Piece::End(_) | Piece::Abandon(_) = piece {
                break;
            }
        }
    }
    outcome
}

fn write_file(
    store: &Store,
    shard: ShardId,
    name: &str,
    pieces: &mpsc::Receiver<Piece>,
    waiting: &AtomicUsize,
) -> io::Result<(u64, u64)> {
    let file = store.dir().create(name)?;
    let (shard, shards) = (shard.to_string(), store.shards().to_string());
    let facts = [("kora-shard", &*shard), ("kora-shards", &*shards)];
    let mut file = RdbOut::begin(file, store.checksums(), store.unix_seconds(), &facts)?;
    let keys = loop {
        // The shard went away without an end: the process is stopping.
        let Ok(piece) = pieces.recv() else { return Err(io::Error::other("the shard has stopped")) };
        match piece {
            Piece::Bytes(bytes) => {
                file.put(&bytes)?;
                waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
            }
            Piece::End(keys) => break keys,
            Piece::Abandon(why) => return Err(io::Error::other(why)),
        }
    };
    Ok((keys, file.end()?))
}
