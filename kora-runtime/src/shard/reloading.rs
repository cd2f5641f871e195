//! DEBUG RELOAD: a shard's keys through the snapshot's format and back.
//!
//! Owns: what stays as it is meanwhile: the log, the counters, the clients. Refuses to know: files, and what is in the bytes.
//! Start at [`ShardCx::reload`].
//!
//! Nothing is logged, because nothing changes. Keys that have expired come back too, to expire as they would have. Clients that watch keys or cache them are
//! told as after FLUSHALL, as in Redis. Each shard has its own keys as bytes in memory once.

use std::cell::RefCell;
use std::rc::Rc;

use kora_storage::rdb::{RdbFile, write};

use super::core::Core;
use super::cx::ShardCx;
use super::loading::{Expired, LoadError, Progress};
use super::saving::{NO_DIRECTORY, SaveError};
use super::watch;
use crate::error::CommandError;
use crate::host::SnapshotSink;
use crate::keyspace::{DATABASES, Database};

impl ShardCx<'_> {
    /// DEBUG RELOAD on one shard: takes a snapshot where there is a data directory, and loads what the keys are as bytes.
    ///
    /// # Errors
    /// When nothing can be saved now. The keys are as they were then.
    pub fn reload(&mut self) -> Result<(), CommandError> {
        match self.save_and_wait() {
            Err(error) if error == NO_DIRECTORY => {}
            saved => saved?,
        }
        let bytes = self.core.save_in_memory().map_err(|error| match error {
            SaveError::Refused(_) => super::saving::RUNNING,
            SaveError::Failed(error) => CommandError::message(format!("ERR {error}")),
        })?;
        self.core.load_anew(&bytes).map_err(|error| CommandError::message(format!("ERR {error}")))
    }
}

impl Core {
    /// Everything here, as a file of RDB.
    fn save_in_memory(&mut self) -> Result<Vec<u8>, SaveError> {
        let mut head = Vec::new();
        write::header(&mut head);
        let written = Rc::new(RefCell::new(head));
        self.save_to(Box::new(MemorySink(Rc::clone(&written))))?;
        let mut bytes = written.take();
        write::end(&mut bytes, None);
        Ok(bytes)
    }

    /// Replaces everything here with what is in `bytes`, without telling the log.
    fn load_anew(&mut self, bytes: &[u8]) -> Result<(), LoadError> {
        for db in 0..DATABASES {
            watch::touch_existing(self, db as u8);
        }
        let (dirty, journal) = (self.stats.dirty, std::mem::take(&mut self.journal));
        let old: Vec<Database> = (0..DATABASES).map(|db| self.keyspace.flush(db)).collect();
        let loaded = self.load_all(bytes);
        (self.stats.dirty, self.journal) = (dirty, journal);
        match loaded {
            Ok(()) => {
                old.into_iter().for_each(|database| self.discard(database));
                self.flushed();
                Ok(())
            }
            Err(error) => {
                for (db, database) in old.into_iter().enumerate() {
                    let half = std::mem::replace(self.keyspace.database_mut(db).0, database);
                    self.discard(half);
                }
                Err(error)
            }
        }
    }

    fn load_all(&mut self, bytes: &[u8]) -> Result<(), LoadError> {
        let mut file = RdbFile::of_bytes("what was saved", bytes)?;
        let mut progress = Progress::default();
        while self.load_some(&mut file, &mut progress, Expired::Kept, usize::MAX)? {}
        Ok(())
    }
}

/// Keeps what is written.
struct MemorySink(Rc<RefCell<Vec<u8>>>);

impl SnapshotSink for MemorySink {
    fn has_room(&self) -> bool {
        true
    }

    fn write(&mut self, bytes: Vec<u8>, _keys: u64) {
        self.0.borrow_mut().extend_from_slice(&bytes);
    }

    fn abandon(self: Box<Self>, _why: &str) {}

    fn finish(self: Box<Self>, _keys: u64) {}

    fn finish_and_wait(self: Box<Self>, _keys: u64) -> Result<(), String> {
        Ok(())
    }
}
