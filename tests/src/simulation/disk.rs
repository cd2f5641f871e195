//! The data directory of a world: logs, snapshots and the manifest on a disk that may lose what was not synced.
//!
//! Owns: when what is written, synced and renamed, each a move of its own, and what is known to be on disk. Refuses to know: what shards do; how a
//! directory becomes shards again, which is for [`rebirth`](super::rebirth).
//! Start at [`Disk::make_move`]. The rules are those of the store of the real process; only the threads are moves here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kora_runtime::config::AppendFsync;
use kora_runtime::host::{SnapshotRefusal, SnapshotSink};
use kora_runtime::shard::journal::Batch;
use kora_storage::dir::{Dir, FailingDir, File, MemoryDir, write_all_at};
use kora_storage::log::{LogOptions, LogWriter, PrepareJob, SyncJob};
use kora_storage::manifest::{Manifest, parse_snapshot_name, snapshot_name};
use kora_storage::rdb::Checksum;
use kora_storage::rdb::write::{end, header};

/// A way in which this store is wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFault {
    /// The manifest names a snapshot whose parts were not synced.
    UnsyncedSnapshot,
    /// Segments go before the manifest says that nobody needs them.
    EarlyRetirement,
    /// A shard hears that its log is on disk when the sync begins.
    EarlySync,
}

/// Why a life ended.
#[derive(Debug)]
pub enum Trouble {
    /// The process died at a call to the disk.
    Died,
    /// Something that must never happen.
    Wrong(String),
}

/// One shard's log.
#[derive(Debug)]
struct Log {
    writer: LogWriter,
    sync: Option<Sync>,
    /// A sync is due.
    due: bool,
    prepare: Option<(PrepareJob, bool)>,
    /// When the last sync that is done began.
    covered: u64,
}

/// A sync that is under way.
#[derive(Debug)]
struct Sync {
    job: SyncJob,
    began: u64,
    /// What it has brought to the disk.
    done: Option<u64>,
}

/// One shard's part of a snapshot.
#[derive(Debug, Default)]
struct Part {
    first_lsn: u64,
    /// Bytes that are to be written.
    waiting: Vec<u8>,
    ended: bool,
    file: Option<Arc<dyn File>>,
    written: u64,
    checksum: Checksum,
    done: bool,
}

/// The snapshot that is being written.
#[derive(Debug)]
struct Running {
    generation: u64,
    token: u64,
    parts: Vec<Option<Part>>,
}

#[derive(Debug)]
struct State {
    shards: usize,
    /// The last one that counts.
    generation: u64,
    running: Option<Running>,
    refused: Option<u64>,
}

/// Snapshots of one life, as shards and the store see them.
#[derive(Debug, Clone)]
pub struct Snapshots(Arc<Mutex<State>>);

impl Snapshots {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a shard's part.
    ///
    /// # Errors
    /// When another one is being written.
    pub fn begin(&self, shard: usize, token: u64, first_lsn: u64) -> Result<Box<dyn SnapshotSink>, SnapshotRefusal> {
        let mut state = self.lock();
        let (shards, generation) = (state.shards, state.generation + 1);
        let joins = |running: &Running| shards > 1 && running.token == token && running.parts[shard].is_none();
        if (shards > 1 && state.refused == Some(token)) || state.running.as_ref().is_some_and(|running| !joins(running))
        {
            state.refused = Some(token);
            return Err(SnapshotRefusal::Running);
        }
        let fresh = || Running { generation, token, parts: (0..shards).map(|_| None).collect() };
        let mut waiting = Vec::new();
        header(&mut waiting);
        state.running.get_or_insert_with(fresh).parts[shard] = Some(Part { first_lsn, waiting, ..Part::default() });
        Ok(Box::new(Sink { snapshots: self.clone(), shard }))
    }
}

struct Sink {
    snapshots: Snapshots,
    shard: usize,
}

impl Sink {
    fn with_part(&self, act: impl FnOnce(&mut Part)) {
        let mut state = self.snapshots.lock();
        if let Some(part) = state.running.as_mut().and_then(|running| running.parts[self.shard].as_mut()) {
            act(part);
        }
    }
}

impl SnapshotSink for Sink {
    fn has_room(&self) -> bool {
        true
    }
    fn write(&mut self, bytes: Vec<u8>, _: u64) {
        self.with_part(|part| part.waiting.extend_from_slice(&bytes));
    }
    fn abandon(self: Box<Self>, why: &str) {
        panic!("no handler fails here: {why}");
    }
    fn finish(self: Box<Self>, _: u64) {
        self.with_part(|part| part.ended = true);
    }
    fn finish_and_wait(self: Box<Self>, keys: u64) -> Result<(), String> {
        self.finish(keys);
        Ok(())
    }
}

/// What the disk may do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskMove {
    /// The next stage of a shard's sync.
    Sync(usize),
    /// The next stage of making room for a shard's log.
    Prepare(usize),
    /// The next piece of a shard's part of a snapshot.
    Part(usize),
    /// The snapshot becomes the one that counts.
    Adopt,
}

/// The data directory of a world.
#[derive(Debug)]
pub struct Disk {
    /// The disk itself: what it holds outlives the process.
    pub memory: MemoryDir,
    /// As this life sees it.
    pub dir: FailingDir,
    /// What is on disk, once it was read.
    manifest: Option<Manifest>,
    /// Snapshots of this life.
    pub snapshots: Snapshots,
    /// When logs are synced.
    pub policy: AppendFsync,
    /// Power never fails, only processes die.
    pub always_powered: bool,
    /// The time, as whoever drives the world counts it.
    pub time: u64,
    options: LogOptions,
    fault: Option<StoreFault>,
    logs: Vec<Log>,
    /// This life ends before that call.
    fuse: Option<u64>,
}

impl Disk {
    /// An empty disk.
    pub fn new(policy: AppendFsync, options: LogOptions, fault: Option<StoreFault>) -> Self {
        let memory = MemoryDir::new();
        let dir = FailingDir::new(Arc::new(memory.clone()));
        let state = State { shards: 0, generation: 0, running: None, refused: None };
        let snapshots = Snapshots(Arc::new(Mutex::new(state)));
        Self {
            memory,
            dir,
            manifest: None,
            snapshots,
            policy,
            always_powered: false,
            time: 0,
            options,
            fault,
            logs: Vec::new(),
            fuse: None,
        }
    }

    /// A new life on the same disk, which ends before a call to the disk when there is a fuse.
    pub fn begin_life(&mut self, shards: usize, fuse: Option<u64>) {
        self.dir = FailingDir::new(Arc::new(self.memory.clone()));
        self.logs.clear();
        self.manifest = None;
        let state = State { shards, generation: 0, running: None, refused: None };
        self.snapshots = Snapshots(Arc::new(Mutex::new(state)));
        self.set_fuse(fuse);
    }

    /// This life ends before the `fuse`th call from now on, if at all.
    pub fn set_fuse(&mut self, fuse: Option<u64>) {
        self.fuse = fuse;
        match fuse {
            Some(nth) => self.dir.stop_at(nth),
            None => self.dir.lift(),
        }
    }

    /// The process died at a call.
    pub fn is_dead(&self) -> bool {
        self.fuse.is_some_and(|fuse| self.dir.calls() > fuse)
    }

    /// What an error means.
    pub fn trouble(&self, error: impl ToString) -> Trouble {
        if self.is_dead() { Trouble::Died } else { Trouble::Wrong(error.to_string()) }
    }

    /// What is on disk.
    pub fn manifest(&self) -> &Manifest {
        self.manifest.as_ref().expect("a life begins with reading it")
    }

    /// Makes this the manifest on disk.
    ///
    /// # Errors
    /// When the process dies.
    pub fn write_manifest(&mut self, next: Manifest) -> Result<(), Trouble> {
        next.write(&self.dir).map_err(|error| self.trouble(error))?;
        self.set_manifest(next);
        Ok(())
    }

    /// This was found on disk.
    pub fn set_manifest(&mut self, found: Manifest) {
        self.snapshots.lock().generation = found.generation;
        self.manifest = Some(found);
    }

    /// Opens the log of the next shard.
    ///
    /// # Errors
    /// When the process dies.
    pub fn open_log(&mut self, next_lsn: u64) -> Result<(), Trouble> {
        let dir: Arc<dyn Dir> = Arc::new(self.dir.clone());
        let shard = self.logs.len() as u16;
        let writer = LogWriter::create(dir, self.manifest(), shard, next_lsn, self.options);
        let writer = writer.map_err(|error| self.trouble(error))?;
        self.logs.push(Log { writer, sync: None, due: false, prepare: None, covered: self.time });
        Ok(())
    }

    /// Writes what a shard has logged.
    ///
    /// # Errors
    /// When the process dies.
    pub fn append(&mut self, at: usize, batch: &Batch) -> Result<(), Trouble> {
        let log = &mut self.logs[at];
        log.due |= self.policy == AppendFsync::Always;
        let written = log.writer.append(&batch.records, batch.count, batch.settled_lsn);
        written.map_err(|error| self.trouble(error))
    }

    /// What is due now and then, if the setting says so: every log is to be synced.
    pub fn second(&mut self) {
        if self.policy == AppendFsync::EverySec {
            self.logs.iter_mut().for_each(|log| log.due = true);
        }
    }

    /// Brings everything to the disk.
    ///
    /// # Errors
    /// When the process dies.
    pub fn sync_all(&mut self) -> Result<(), Trouble> {
        for at in 0..self.logs.len() {
            let log = &mut self.logs[at];
            let Some(job) = log.writer.sync_job() else { continue };
            let lsn = job.run().map_err(|error| self.trouble(error))?;
            self.logs[at].writer.synced(lsn);
            self.logs[at].covered = self.time;
        }
        Ok(())
    }

    /// What was acknowledged before this is on disk.
    pub fn covered(&mut self) -> u64 {
        let covered = self.logs.iter_mut().map(|log| match log.writer.sync_job() {
            None => u64::MAX,
            Some(_) => log.covered,
        });
        covered.min().unwrap_or(u64::MAX)
    }

    /// What may happen next.
    pub fn moves(&mut self) -> Vec<DiskMove> {
        let mut moves = Vec::new();
        for (at, log) in self.logs.iter_mut().enumerate() {
            if log.sync.is_none() && log.due {
                log.due = false;
                let began = self.time;
                log.sync = log.writer.sync_job().map(|job| Sync { job, began, done: None });
            }
            if log.prepare.is_none() {
                log.prepare = log.writer.prepare_job().map(|job| (job, false));
            }
            moves.extend(log.sync.as_ref().map(|_| DiskMove::Sync(at)));
            moves.extend(log.prepare.as_ref().map(|_| DiskMove::Prepare(at)));
        }
        let state = self.snapshots.lock();
        let Some(running) = &state.running else { return moves };
        for (at, part) in running.parts.iter().enumerate() {
            let busy = |part: &&Part| !part.done && (!part.waiting.is_empty() || part.ended);
            moves.extend(part.as_ref().filter(busy).map(|_| DiskMove::Part(at)));
        }
        if running.parts.iter().all(|part| part.as_ref().is_some_and(|part| part.done)) {
            moves.push(DiskMove::Adopt);
        }
        moves
    }

    /// Makes a move. When it was the end of a sync: the shard, and up to which record its log is on disk.
    ///
    /// # Errors
    /// When the process dies.
    pub fn make_move(&mut self, step: DiskMove) -> Result<Option<(usize, u64)>, Trouble> {
        match step {
            DiskMove::Sync(at) => return self.go_on_syncing(at),
            DiskMove::Prepare(at) => match &mut self.logs[at].prepare {
                Some((job, ran @ false)) => {
                    *ran = true;
                    let outcome = job.run();
                    outcome.map_err(|error| self.trouble(error))?;
                }
                prepare => {
                    if let Some((job, _)) = prepare.take() {
                        self.logs[at].writer.prepared(job);
                    }
                }
            },
            DiskMove::Part(at) => self.write_part(at)?,
            DiskMove::Adopt => self.adopt()?,
        }
        Ok(None)
    }

    fn go_on_syncing(&mut self, at: usize) -> Result<Option<(usize, u64)>, Trouble> {
        let early = self.fault == Some(StoreFault::EarlySync);
        let written = self.logs[at].writer.next_lsn() - 1;
        let Some(sync) = &mut self.logs[at].sync else { return Ok(None) };
        match sync.done {
            None if early => sync.done = Some(written),
            None => {
                let lsn = sync.job.run();
                let began = sync.began;
                let lsn = lsn.map_err(|error| self.trouble(error))?;
                let log = &mut self.logs[at];
                log.covered = began;
                if let Some(sync) = &mut log.sync {
                    sync.done = Some(lsn);
                }
            }
            Some(lsn) => {
                let log = &mut self.logs[at];
                if !early {
                    log.writer.synced(lsn);
                }
                log.sync = None;
                return Ok(Some((at, lsn)));
            }
        }
        Ok(None)
    }

    fn write_part(&mut self, at: usize) -> Result<(), Trouble> {
        let mut state = self.snapshots.lock();
        let Some(running) = &mut state.running else { return Ok(()) };
        let name = snapshot_name(running.generation, at as u16);
        let Some(part) = &mut running.parts[at] else { return Ok(()) };
        let outcome = write_piece(&self.dir, &name, part, self.fault == Some(StoreFault::UnsyncedSnapshot));
        drop(state);
        outcome.map_err(|error| self.trouble(error))
    }

    /// Makes the finished snapshot the one that counts, and removes what it replaces.
    fn adopt(&mut self) -> Result<(), Trouble> {
        let Some(first_lsns) = self.finished() else { return Ok(()) };
        if self.fault == Some(StoreFault::EarlyRetirement) {
            self.retire(&first_lsns)?;
        }
        let generation = self.manifest().generation + 1;
        self.name_snapshot(Manifest { generation, first_lsns: first_lsns.clone(), ..self.manifest().clone() })?;
        self.retire(&first_lsns)
    }

    /// The records at which replaying begins after the snapshot that is finished, which is forgotten.
    fn finished(&mut self) -> Option<Vec<u64>> {
        let running = self.snapshots.lock().running.take()?;
        Some(running.parts.iter().flatten().map(|part| part.first_lsn).collect())
    }

    fn name_snapshot(&mut self, next: Manifest) -> Result<(), Trouble> {
        let generation = next.generation;
        self.dir.sync().map_err(|error| self.trouble(error))?;
        self.write_manifest(next)?;
        for name in self.dir.list().map_err(|error| self.trouble(error))? {
            if parse_snapshot_name(&name).is_some_and(|(found, _)| found < generation) {
                self.dir.remove(&name).map_err(|error| self.trouble(error))?;
            }
        }
        Ok(())
    }

    fn retire(&mut self, first_lsns: &[u64]) -> Result<(), Trouble> {
        for (at, first_lsn) in first_lsns.iter().enumerate() {
            let retired = self.logs[at].writer.retire(*first_lsn);
            retired.map_err(|error| self.trouble(error))?;
        }
        Ok(())
    }

    /// Writes the snapshot of shards that were filled by another routing, and makes it the directory's, with no log.
    ///
    /// # Errors
    /// When the process dies.
    pub fn adopt_rerouted(&mut self, shards: usize, first_lsn: u64) -> Result<(), Trouble> {
        while let Some(step) = self.moves().into_iter().find(|step| *step != DiskMove::Adopt) {
            self.make_move(step)?;
        }
        self.finished();
        let mut next = self.manifest().clone();
        next.generation += 1;
        (next.shards, next.has_log, next.first_lsns) = (shards as u32, false, vec![first_lsn; shards]);
        self.name_snapshot(next)
    }
}

fn write_piece(dir: &FailingDir, name: &str, part: &mut Part, unsynced: bool) -> std::io::Result<()> {
    let temporary = format!("{name}.tmp");
    let file = match &part.file {
        Some(file) => Arc::clone(file),
        None => part.file.insert(dir.create(&temporary)?).clone(),
    };
    let mut bytes = std::mem::take(&mut part.waiting);
    let ends = bytes.is_empty();
    if ends {
        end(&mut bytes, Some(std::mem::take(&mut part.checksum)));
    } else {
        part.checksum.update(&bytes);
    }
    write_all_at(&*file, &bytes, part.written)?;
    part.written += bytes.len() as u64;
    if ends {
        if !unsynced {
            file.sync_all()?;
        }
        dir.rename(&temporary, name)?;
        part.done = true;
    }
    Ok(())
}
