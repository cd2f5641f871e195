//! A shard filled from files.
//!
//! Owns: what becomes of the items of a snapshot's file, and how a shard's keys are handed to others when they are routed anew. Refuses to know: files, logs
//! (see [`replay`](super::replay)), which files belong to this shard.
//! Start at [`Shard::load_some`].

use kora_storage::rdb::{Item, RdbError, RdbFile};

use super::Shard;
use super::core::Core;
use super::execute::execute_part;
use super::message::{Call, ShardId};
use crate::argv::ArgvBuf;
use crate::keyspace::{DATABASES, Detached};
use crate::rdb::{DecodeOptions, Loaded, load_key};
use crate::reply::ReplyBuf;
use crate::resp::value::error_line;
use crate::shard::saving::SaveError;
use crate::table::CommandId;

/// Why a file was not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Its bytes are damaged.
    #[error(transparent)]
    Rdb(#[from] RdbError),
    /// It has a database that there is none of here.
    #[error("database {0}, of {DATABASES}")]
    Database(u64),
    /// A library of functions was refused.
    #[error("a library of functions: {0}")]
    Function(String),
}

/// What a file has come to so far.
#[derive(Debug, Default)]
pub struct Progress {
    db: usize,
    /// Keys loaded.
    pub keys: u64,
    /// Keys that had expired, when those are left out.
    pub expired: u64,
    /// Libraries of functions loaded.
    pub functions: u64,
    /// What was left out, and why.
    pub skipped: Vec<String>,
}

/// What is left out of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expired {
    /// Keys that are dead by now.
    Dropped,
    /// Nothing: a log follows that was written while they were alive.
    Kept,
}

/// Items that are named among what was left out; more are only counted.
const SKIPPED_NAMED_MAX: usize = 100;

impl Core {
    /// See [`Shard::load_some`].
    pub(super) fn load_some(
        &mut self,
        file: &mut RdbFile<'_>,
        progress: &mut Progress,
        expired: Expired,
        items: usize,
    ) -> Result<bool, LoadError> {
        let mut sources = Vec::new();
        let now_ms = self.now_ms;
        for _ in 0..items {
            match file.next_item()? {
                Item::Aux { .. } | Item::Sizes { .. } => {}
                Item::Database(number) => {
                    progress.db =
                        usize::try_from(number).ok().filter(|db| *db < DATABASES).ok_or(LoadError::Database(number))?;
                }
                Item::Function(source) => sources.push(source.to_vec()),
                Item::Module(name) => progress.skip(format!("what the module {name:?} kept beside its keys")),
                Item::Key(head) => {
                    let core = &mut *self;
                    let seeds = core.keyspace.seeds().clone();
                    let options = DecodeOptions { config: &core.config, seeds: &seeds, now_ms };
                    let (database, _) = core.keyspace.database_mut(progress.db);
                    let dead_at_ms = if expired == Expired::Dropped { now_ms } else { 0 };
                    match load_key(file, &head, database, &options, dead_at_ms)? {
                        Loaded::Key => progress.keys += 1,
                        Loaded::Expired => progress.expired += 1,
                        Loaded::Skipped(why) => {
                            let key = file.key().escape_ascii().to_string();
                            progress.skip(format!("key \"{key}\" in database {}: {why}", progress.db));
                        }
                    }
                }
                Item::End => return self.load_functions(sources, progress).map(|()| false),
            }
        }
        self.load_functions(sources, progress)?;
        Ok(true)
    }

    /// Loads a file to its end.
    pub(super) fn load_whole(&mut self, file: &mut RdbFile<'_>) -> Result<(), LoadError> {
        let mut progress = Progress::default();
        while self.load_some(file, &mut progress, Expired::Kept, usize::MAX)? {}
        Ok(())
    }

    /// Loads a file that is in memory.
    pub(super) fn load_bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), LoadError> {
        self.load_whole(&mut RdbFile::of_bytes(name, bytes)?)
    }

    /// Loads records of RDB that make no file by themselves.
    pub(super) fn load_records(&mut self, records: &[u8]) -> Result<(), LoadError> {
        let mut bytes = Vec::new();
        kora_storage::rdb::write::header(&mut bytes);
        bytes.extend_from_slice(records);
        kora_storage::rdb::write::end(&mut bytes, None);
        self.load_bytes("libraries of functions", &bytes)
    }

    fn load_functions(&mut self, sources: Vec<Vec<u8>>, progress: &mut Progress) -> Result<(), LoadError> {
        for source in sources {
            let mut words = ArgvBuf::new();
            words.push(b"REPLACE");
            words.push(&source);
            let mut reply = ReplyBuf::default();
            execute_part(self, Call::internal(0), CommandId::FunctionLoad, words.as_argv(), &mut reply);
            if let Some(text) = error_line(reply.as_bytes()) {
                return Err(LoadError::Function(text));
            }
            progress.functions += 1;
        }
        Ok(())
    }
}

impl Shard {
    /// Loads up to `items` items of a file whose keys are not here yet. True while there is more.
    ///
    /// # Errors
    /// When the file is damaged. What stands before the damage has been loaded.
    pub fn load_some(
        &mut self,
        file: &mut RdbFile<'_>,
        progress: &mut Progress,
        expired: Expired,
        items: usize,
    ) -> Result<bool, LoadError> {
        self.core.load_some(file, progress, expired, items)
    }

    /// Forgets what loading has left in the counters: nothing of it was a client's doing.
    pub fn end_loading(&mut self) {
        self.core.stats.reset();
        self.core.stats.dirty = 0;
        self.core.stats.dirty_at_snapshot = 0;
        self.core.command_stats.reset();
    }

    /// Hands up to `max` keys to `sink`. True while there is more; the shard is good for nothing else from the first call on.
    pub fn hand_over_some(&mut self, max: usize, sink: &mut impl FnMut(u8, &[u8], Detached)) -> bool {
        for db in 0..DATABASES {
            let (database, _) = self.core.keyspace.database_mut(db);
            if !database.is_empty() {
                database.take_some(max, &mut |key, value| sink(db as u8, key, value));
                return true;
            }
        }
        false
    }

    /// Takes a key over that was loaded elsewhere and is not here.
    pub fn take_over(&mut self, db: u8, key: &[u8], value: Detached) {
        let hash = self.core.keyspace.hash(key);
        let (database, seeds) = self.core.keyspace.database_mut(usize::from(db));
        database.attach(hash, key, value, seeds);
    }

    /// The owner of a key by the present routing.
    pub fn owner(&self, db: u8, key: &[u8]) -> ShardId {
        self.core.routing.owner(db, key)
    }

    /// The libraries of functions here, as records of RDB.
    pub fn function_records(&mut self) -> Vec<u8> {
        self.core.extension_records()
    }

    /// Loads libraries of functions from such records.
    ///
    /// # Errors
    /// When they are none.
    pub fn load_function_records(&mut self, records: &[u8]) -> Result<(), LoadError> {
        self.core.load_records(records)
    }

    /// Saves this shard's part of a snapshot at once, outside of any command.
    ///
    /// # Errors
    /// What kept it from being saved.
    pub fn save_now(&mut self, token: u64) -> Result<(), SaveError> {
        self.core.transaction = token;
        let outcome = self.core.save_and_wait();
        self.core.transaction = 0;
        outcome
    }
}

impl Progress {
    fn skip(&mut self, what: String) {
        if self.skipped.len() < SKIPPED_NAMED_MAX {
            self.skipped.push(what);
        } else if self.skipped.len() == SKIPPED_NAMED_MAX {
            self.skipped.push("and more".to_owned());
        }
    }
}
