//! A shard's part of a snapshot.
//!
//! Owns: the cut, the order in which databases are saved, and handing the bytes on. Refuses to know: files (a [`SnapshotSink`] takes the bytes), and how
//! entries are written ([`keyspace::saving`](crate::keyspace::saving)).
//! Start at [`ShardCx::save_in_background`].
//!
//! BGSAVE and SAVE hold every shard's keyspace with a shared intent when they run, so no transaction over several shards is under way: the cut is one point of
//! the order of transactions. On each shard it is the moment in which its part runs, and takes no longer than turning sixteen bits over. The slices
//! follow in the background, or, for SAVE, at once.

use super::Shard;
use super::core::Core;
use super::cx::ShardCx;
use crate::error::CommandError;
use crate::host::{SnapshotRefusal, SnapshotSink};
use crate::keyspace::{DATABASES, Database, SaveOptions};
use crate::limits;
use crate::rdb::EncodeOptions;

/// A key cannot be saved. The log has what it held before.
const FENCED: &str =
    "a command failed while it changed a key, which nobody can read until it is deleted or overwritten";
/// There is nothing to save to.
pub const NO_DIRECTORY: CommandError =
    CommandError::Text("ERR there is no data directory: start with --dir to keep data");
/// One is being written.
pub const RUNNING: CommandError = CommandError::Text("ERR Background save already in progress");

/// A snapshot that is being written.
pub(super) struct Snapshot {
    sink: Box<dyn SnapshotSink>,
    out: Vec<u8>,
    /// The database that what comes next in `out` belongs to.
    selected: Option<u8>,
    /// Databases that were flushed before they were saved.
    flushed: Vec<Database>,
    keys: u64,
    fenced: u64,
}

/// Why nothing was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaveError {
    /// No snapshot could be begun.
    Refused(SnapshotRefusal),
    /// It could not be finished.
    Failed(String),
}

/// What a slice has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slice {
    /// Nothing is being saved.
    Idle,
    /// There is more.
    More,
    /// There is more, and no room for it at the moment.
    Full,
}

impl Core {
    /// The cut of a snapshot, on this shard.
    fn begin_snapshot(&mut self) -> Result<(), SnapshotRefusal> {
        if self.snapshot.is_some() {
            return Err(SnapshotRefusal::Running);
        }
        let sink = self.host.begin_snapshot(self.id, self.transaction, self.journal.last_lsn() + 1)?;
        self.cut(sink);
        self.stats.dirty_at_snapshot = self.stats.dirty;
        Ok(())
    }

    /// From now on what was here at this moment goes to `sink`, a slice at a time.
    fn cut(&mut self, sink: Box<dyn SnapshotSink>) {
        let options = SaveOptions {
            encode: EncodeOptions { compress: self.config.rdbcompression },
            policy: self.config.maxmemory_policy,
            decay_minutes: u64::from(self.config.lfu_decay_time),
            now_ms: self.now_ms,
        };
        for number in 0..DATABASES {
            self.keyspace.database_mut(number).0.begin_saving(number as u8, options);
        }
        let out = self.extension_records();
        self.snapshot = Some(Box::new(Snapshot { sink, out, selected: None, flushed: Vec::new(), keys: 0, fenced: 0 }));
    }

    /// What extensions have in a snapshot.
    pub(super) fn extension_records(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.extensions.each(&mut |_, extension| extension.save(&mut out));
        out
    }

    /// Saves everything at once.
    pub(super) fn save_and_wait(&mut self) -> Result<(), SaveError> {
        self.begin_snapshot().map_err(SaveError::Refused)?;
        self.finish_saving()
    }

    /// Saves everything at once to `sink` instead of the data directory.
    pub(super) fn save_to(&mut self, sink: Box<dyn SnapshotSink>) -> Result<(), SaveError> {
        if self.snapshot.is_some() {
            return Err(SaveError::Refused(SnapshotRefusal::Running));
        }
        self.cut(sink);
        self.finish_saving()
    }

    fn finish_saving(&mut self) -> Result<(), SaveError> {
        while self.save_slice() != Slice::Idle {}
        match self.saved.take() {
            Some((sink, keys)) => sink.finish_and_wait(keys).map_err(SaveError::Failed),
            None => self.save_failed.take().map_or(Ok(()), |why| Err(SaveError::Failed(why.to_owned()))),
        }
    }

    /// Saves one slice and hands on what has come together.
    fn save_slice(&mut self) -> Slice {
        let Some(snapshot) = &mut self.snapshot else { return Slice::Idle };
        if snapshot.out.len() >= limits::SAVE_WRITE_BYTES {
            snapshot.sink.write(std::mem::take(&mut snapshot.out), snapshot.keys);
            if !snapshot.sink.has_room() {
                return Slice::Full;
            }
        }
        let flushed = snapshot.flushed.iter().position(Database::is_saving);
        let mut piece = Vec::new();
        let saved = match flushed {
            Some(at) => snapshot.flushed[at].save_some(self.keyspace.seeds(), &mut piece),
            None => {
                let number = (0..DATABASES).find(|number| self.keyspace.database(*number).is_saving());
                number.and_then(|number| {
                    let (database, seeds) = self.keyspace.database_mut(number);
                    database.save_some(seeds, &mut piece)
                })
            }
        };
        let Some(saved) = saved else {
            let Some(mut snapshot) = self.snapshot.take() else { return Slice::Idle };
            snapshot.sink.write(std::mem::take(&mut snapshot.out), snapshot.keys);
            snapshot.flushed.into_iter().for_each(|database| self.graveyard.bury_database(database));
            if snapshot.fenced > 0 {
                snapshot.sink.abandon(FENCED);
                self.save_failed = Some(FENCED);
                return Slice::Idle;
            }
            self.saved = Some((snapshot.sink, snapshot.keys));
            return Slice::Idle;
        };
        if !piece.is_empty() {
            snapshot.append(saved.number, &piece);
        }
        snapshot.keys += saved.keys;
        snapshot.fenced += if saved.done { saved.fenced } else { 0 };
        Slice::More
    }

    /// Throws a database's contents away, once a snapshot that needs them has them.
    pub(crate) fn discard(&mut self, database: Database) {
        match &mut self.snapshot {
            Some(snapshot) if database.is_saving() => snapshot.flushed.push(database),
            _ => self.graveyard.bury_database(database),
        }
    }
}

impl Snapshot {
    fn append(&mut self, number: u8, piece: &[u8]) {
        if self.selected != Some(number) {
            self.selected = Some(number);
            kora_storage::rdb::write::select_db(&mut self.out, u64::from(number));
        }
        self.out.extend_from_slice(piece);
    }
}

impl Shard {
    /// True while a snapshot has to be gone on with.
    pub fn is_saving(&self) -> bool {
        self.core.snapshot.is_some()
    }

    /// Saves all that is here to `sink`, at once and outside of any command.
    ///
    /// # Errors
    /// What kept it from being saved.
    pub fn save_to(&mut self, sink: Box<dyn SnapshotSink>) -> Result<(), SaveError> {
        self.core.save_to(sink)
    }

    /// Goes on with a snapshot for a slice of bounded size.
    pub fn save_slice(&mut self) -> Slice {
        let slice = self.core.save_slice();
        if let Some((sink, keys)) = self.core.saved.take() {
            sink.finish(keys);
        }
        self.lift_guards();
        slice
    }
}

impl ShardCx<'_> {
    /// BGSAVE's part on this shard.
    ///
    /// # Errors
    /// When no snapshot can be begun.
    pub fn save_in_background(&mut self) -> Result<(), CommandError> {
        self.core.begin_snapshot().map_err(refusal)
    }

    /// Has a snapshot begun soon, when none is being written any more.
    ///
    /// # Errors
    /// When there can be none at all.
    pub fn save_soon(&mut self) -> Result<(), CommandError> {
        self.core.host.snapshot_soon().map_err(refusal)
    }

    /// SAVE's part on this shard: returns when it is on disk.
    ///
    /// # Errors
    /// When no snapshot can be begun, or what the system refused.
    pub fn save_and_wait(&mut self) -> Result<(), CommandError> {
        self.core.save_and_wait().map_err(|error| match error {
            SaveError::Refused(why) => refusal(why),
            SaveError::Failed(error) => CommandError::message(format!("ERR {error}")),
        })
    }
}

fn refusal(refusal: SnapshotRefusal) -> CommandError {
    match refusal {
        SnapshotRefusal::NoDirectory => NO_DIRECTORY,
        SnapshotRefusal::Running => RUNNING,
        SnapshotRefusal::Io(error) => CommandError::message(format!("ERR {error}")),
    }
}
