//! One shard's log, on the shard's thread.
//!
//! Owns: when records are written and when they are synced. Refuses to know: what is in them, how a segment looks (kora-storage).
//! Start at [`ShardLog::append`], which every tick that logged something calls.
//!
//! The shard's thread writes, a thread of the log's own syncs, so that a shard runs on while a sync is under way. While one takes long, what is logged waits
//! in memory instead of in `write`, which a busy disk may block; that is bounded in bytes and in time, because a process that is killed loses what waits. So
//! is in bytes what a full disk makes us keep.
//!
//! - `always`: a sync begins when something was logged and none is under way; what comes meanwhile goes with the next. Nothing has to be written before
//!   that, so records stay with the shard until then.
//! - `everysec`: a sync begins every second. `no`: the system decides, but for the end.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use kora_runtime::config::AppendFsync;
use kora_runtime::shard::journal::Batch;
use kora_storage::log::{LogWriter, PrepareJob, SyncJob};

/// A sync that takes longer than this makes what is logged wait in memory.
const SLOW_SYNC: Duration = Duration::from_millis(50);
/// What has waited so long is written even if that blocks the shard.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// Bytes that wait in memory at most before writes are refused.
pub const WAITING_BYTES_MAX: usize = 64 << 20;
/// Prepared bytes below which writes are refused when no more can be prepared: what is under way still fits.
const RESERVE_BYTES: u64 = 64 << 10;
/// Bytes of records above which a batch is written in pieces.
const PIECE_BYTES: usize = 256 << 20;
/// Buffers up to this size are kept for the next tick.
const SPARE_BYTES_MAX: usize = 1 << 20;
/// Bytes of records that stay with a shard at most until its next sync.
const GATHERED_BYTES_MAX: usize = 256 << 10;

/// What INFO tells of one shard's log.
#[derive(Debug, Default)]
pub struct LogFacts {
    /// Bytes that are newer than the last snapshot.
    pub bytes: AtomicU64,
    /// Bytes that wait to be written.
    pub waiting: AtomicU64,
    /// There is a log.
    pub on: AtomicBool,
    /// Syncs under way: 0 or 1.
    pub syncing: AtomicU64,
    /// Syncs that were due while another was under way.
    pub delayed: AtomicU64,
    /// Changes of keys since the last snapshot.
    pub changes: AtomicU64,
    /// Keys of the shard.
    pub keys: AtomicU64,
    /// Keys that its part of the present snapshot has.
    pub saved_keys: AtomicU64,
}

/// What the thread of a log does.
enum Job {
    Sync(SyncJob),
    Prepare(PrepareJob),
    /// Whoever sent this waits until all before it is done, and hears why a sync has failed, if one has.
    Rest(mpsc::Sender<Option<String>>),
}

/// What the thread of a log has done.
pub enum Done {
    /// What was written up to this record is on disk.
    Synced(u64),
    /// A sync failed: what is on disk is not known any more.
    SyncFailed(io::Error),
    /// Room was made ahead of the log.
    Prepared(PrepareJob, io::Result<()>),
}

/// One shard's log.
pub struct ShardLog {
    writer: LogWriter,
    policy: AppendFsync,
    jobs: mpsc::Sender<Job>,
    spare: Vec<u8>,
    waiting: VecDeque<Batch>,
    waiting_bytes: usize,
    waiting_since: Option<Instant>,
    sync_since: Option<Instant>,
    /// Someone asked for a sync while one was under way.
    sync_again: bool,
    preparing: bool,
    /// Making room failed, for this reason.
    no_room: Option<String>,
    /// Writing failed, for this reason.
    stuck: Option<String>,
    /// Bytes of records since the last snapshot.
    since_snapshot: u64,
    /// A sync failed: nothing is ever acknowledged again.
    poisoned: bool,
    /// The trouble that was told of last.
    told: Option<String>,
    facts: Arc<LogFacts>,
}

impl ShardLog {
    /// A log that goes on with `writer`; `tell` is called on the log's own thread with what was done there.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(
        writer: LogWriter,
        policy: AppendFsync,
        facts: Arc<LogFacts>,
        name: &str,
        tell: impl Fn(Done) + Send + 'static,
    ) -> io::Result<Self> {
        let (jobs, received) = mpsc::channel();
        std::thread::Builder::new().name(format!("log-{name}")).spawn(move || work(&received, &tell))?;
        let since_snapshot = writer.bytes();
        Ok(Self {
            writer,
            since_snapshot,
            policy,
            jobs,
            spare: Vec::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            waiting_since: None,
            sync_since: None,
            sync_again: false,
            preparing: false,
            no_room: None,
            stuck: None,
            poisoned: false,
            told: None,
            facts,
        })
    }

    /// An empty batch for the shard to log into.
    pub fn empty_batch(&mut self) -> Batch {
        Batch { records: std::mem::take(&mut self.spare), ..Batch::default() }
    }

    /// Writes a tick's records, or keeps them while the disk is slow or full.
    pub fn append(&mut self, batch: Batch) {
        if batch.count == 0 {
            return self.recycle(batch.records);
        }
        self.waiting_bytes += batch.records.len();
        if batch.records.len() > PIECE_BYTES {
            self.waiting.extend(pieces(batch));
        } else {
            self.waiting.push_back(batch);
        }
        if !self.is_slow() {
            self.write_waiting();
        } else if self.waiting_since.is_none() {
            self.waiting_since = Some(Instant::now());
        }
        self.publish();
    }

    /// True when records, `bytes` of them by now, may stay with the shard until the next sync begins.
    pub fn gathers(&self, bytes: usize) -> bool {
        self.policy == AppendFsync::Always && bytes < GATHERED_BYTES_MAX && !self.is_slow()
    }

    /// True when no sync is under way.
    pub fn may_sync(&self) -> bool {
        self.sync_since.is_none()
    }

    /// True while it is better not to write: a sync takes long, and nothing has waited for too long.
    fn is_slow(&self) -> bool {
        self.sync_since.is_some_and(|since| since.elapsed() > SLOW_SYNC) && !self.has_waited()
    }

    fn has_waited(&self) -> bool {
        self.waiting_since.is_some_and(|since| since.elapsed() > WAIT_MAX)
    }

    /// Writes what waits, until something fails.
    fn write_waiting(&mut self) {
        while let Some(batch) = self.waiting.front() {
            match self.writer.append(&batch.records, batch.count, batch.settled_lsn) {
                Ok(()) => {
                    self.stuck = None;
                    self.waiting_bytes -= batch.records.len();
                    self.since_snapshot += batch.records.len() as u64;
                    if let Some(batch) = self.waiting.pop_front() {
                        self.recycle(batch.records);
                    }
                }
                Err(error) => {
                    self.stuck = Some(error.to_string());
                    break;
                }
            }
        }
        self.waiting_since = None;
        self.prepare();
    }

    /// Begins a sync, if anything is to be synced; when one is under way, after that.
    pub fn sync(&mut self) {
        if self.poisoned {
            return;
        }
        self.sync_again = self.sync_since.is_some();
        if self.sync_again {
            return;
        }
        if let Some(job) = self.writer.sync_job() {
            self.sync_since = Some(Instant::now());
            self.facts.syncing.store(1, Ordering::Relaxed);
            self.send(Job::Sync(job));
        }
    }

    /// What is due every second.
    pub fn second(&mut self) {
        match self.policy {
            AppendFsync::EverySec if self.sync_since.is_some() => {
                self.facts.delayed.fetch_add(1, Ordering::Relaxed);
            }
            AppendFsync::EverySec => self.sync(),
            AppendFsync::Always | AppendFsync::No => {}
        }
    }

    /// Tries again what a full disk has refused, and writes what has waited for a slow one for long.
    pub fn retry(&mut self) {
        if self.stuck.is_some() || self.has_waited() {
            self.write_waiting();
            if self.policy == AppendFsync::Always {
                self.sync();
            }
            self.publish();
        }
        if self.no_room.is_some() {
            self.prepare();
        }
    }

    fn prepare(&mut self) {
        if !self.preparing
            && let Some(job) = self.writer.prepare_job()
        {
            self.preparing = true;
            self.send(Job::Prepare(job));
        }
    }

    fn send(&self, job: Job) {
        // The thread ends only when this does.
        let _ = self.jobs.send(job);
    }

    /// Takes note of what the log's thread has done. The last record that is known to be on disk, if there is a new one.
    ///
    /// # Errors
    /// When a sync failed: nothing may be acknowledged any more.
    pub fn done(&mut self, done: Done) -> io::Result<Option<u64>> {
        match done {
            Done::Synced(lsn) => {
                self.sync_since = None;
                self.facts.syncing.store(0, Ordering::Relaxed);
                self.writer.synced(lsn);
                // What has waited for a slow sync.
                self.write_waiting();
                if self.sync_again || self.policy == AppendFsync::Always {
                    self.sync();
                }
                self.publish();
                Ok(Some(lsn))
            }
            Done::SyncFailed(error) => {
                self.poisoned = true;
                Err(error)
            }
            Done::Prepared(job, outcome) => {
                self.preparing = false;
                self.writer.prepared(job);
                self.no_room = outcome.err().map(|error| error.to_string());
                // What a full disk has refused is tried again later.
                if self.no_room.is_none() {
                    self.prepare();
                }
                Ok(None)
            }
        }
    }

    /// Why nothing more may be logged now.
    fn trouble(&self) -> Option<String> {
        if self.poisoned {
            return Some("a sync failed".to_owned());
        }
        if self.stuck.is_some() {
            return self.stuck.clone();
        }
        if self.waiting_bytes > WAITING_BYTES_MAX {
            return Some("the disk is too slow".to_owned());
        }
        self.no_room.clone().filter(|_| self.writer.remaining_prepared() < RESERVE_BYTES)
    }

    /// The trouble, or that there is none any more, when that has changed since the last call.
    pub fn news_of_trouble(&mut self) -> Option<Option<String>> {
        let trouble = self.trouble();
        (self.told != trouble).then(|| {
            self.told.clone_from(&trouble);
            trouble
        })
    }

    /// The rule by which it syncs.
    pub fn policy(&self) -> AppendFsync {
        self.policy
    }

    /// Follows the `appendfsync` parameter.
    pub fn set_policy(&mut self, policy: AppendFsync) {
        if std::mem::replace(&mut self.policy, policy) != policy {
            // What was written under the old rule is not to wait for a write under the new one.
            self.sync();
        }
    }

    /// Removes what a snapshot has made unnecessary.
    pub fn retire(&mut self, first_lsn: u64) {
        // What is in the segment in use goes with the next snapshot, if it is not in use any more then.
        if let Err(error) = self.writer.retire(first_lsn).and_then(|_| self.writer.rotate()) {
            tracing::warn!("old segments of the log could not be removed: {error}");
        }
        self.since_snapshot = 0;
        self.publish();
    }

    /// Writes and syncs everything, and ends.
    ///
    /// # Errors
    /// What the system refused.
    pub fn finish(mut self) -> Result<(), String> {
        self.rest()?;
        self.write_waiting();
        if let Some(error) = self.stuck.take() {
            return Err(error);
        }
        self.rest()?;
        self.writer.finish().map_err(|error| error.to_string())
    }

    /// Waits until the log's thread has nothing to do. What it tells comes too late for whoever ends, so a sync that has failed is an error here.
    fn rest(&self) -> Result<(), String> {
        let (sender, rest) = mpsc::channel();
        self.send(Job::Rest(sender));
        match rest.recv() {
            Ok(None) => Ok(()),
            Ok(Some(error)) => Err(error),
            Err(_) => Err("the thread that syncs the log is gone".to_owned()),
        }
    }

    fn recycle(&mut self, mut records: Vec<u8>) {
        if records.capacity() <= SPARE_BYTES_MAX {
            records.clear();
            self.spare = records;
        }
    }

    fn publish(&self) {
        self.facts.waiting.store(self.waiting_bytes as u64, Ordering::Relaxed);
        self.facts.bytes.store(self.since_snapshot, Ordering::Relaxed);
    }
}

/// A batch in pieces of about [`PIECE_BYTES`], each of whole records.
fn pieces(batch: Batch) -> Vec<Batch> {
    let Batch { records, settled_lsn, .. } = batch;
    let mut pieces: Vec<Batch> = Vec::new();
    let mut rest = records.as_slice();
    while let Some(length) = rest.first_chunk::<4>() {
        let (record, behind) = rest.split_at(4 + u32::from_le_bytes(*length) as usize);
        rest = behind;
        match pieces.last_mut().filter(|piece| piece.records.len() < PIECE_BYTES) {
            Some(piece) => {
                piece.records.extend_from_slice(record);
                piece.count += 1;
            }
            None => pieces.push(Batch { records: record.to_vec(), count: 1, settled_lsn }),
        }
    }
    pieces
}

/// The log's own thread: does what may block.
fn work(jobs: &mpsc::Receiver<Job>, tell: &dyn Fn(Done)) {
    let mut failed = None;
    for job in jobs {
        match job {
            Job::Sync(job) => match job.run() {
                Ok(lsn) => tell(Done::Synced(lsn)),
                Err(error) => {
                    failed = Some(error.to_string());
                    tell(Done::SyncFailed(error));
                }
            },
            Job::Prepare(job) => {
                let outcome = job.run();
                tell(Done::Prepared(job, outcome));
            }
            // Whoever asked may have given up.
            Job::Rest(sender) => drop(sender.send(failed.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use kora_storage::log::record;

    use super::*;

    #[test]
    fn a_large_batch_is_cut_between_records() {
        let mut records = Vec::new();
        let sizes = [10, PIECE_BYTES - 100, 200, 5, PIECE_BYTES + 7, 1];
        for (number, size) in sizes.iter().enumerate() {
            record::write_plain(&mut records, &vec![number as u8; *size]);
        }
        let whole = records.clone();
        let pieces = pieces(Batch { records, count: sizes.len() as u32, settled_lsn: 3 });
        assert_eq!(pieces.iter().map(|piece| piece.count).collect::<Vec<_>>(), [3, 2, 1]);
        assert!(pieces.iter().all(|piece| piece.settled_lsn == 3));
        assert!(pieces.iter().flat_map(|piece| piece.records.iter()).eq(whole.iter()), "nothing is lost");
    }
}
