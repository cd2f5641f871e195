//! A shard's keys through the format of what is kept and back: DEBUG RELOAD through the snapshot's, DEBUG LOADAOF through the log's.
//!
//! Owns: what stays as it is meanwhile: the log, the counters, the clients. Refuses to know: files, and what is in the bytes.
//! Start at [`ShardCx::reload`] and [`ShardCx::load_log`].
//!
//! Nothing is logged, because nothing changes. Keys that have expired come back too, to expire as they would have. Clients that watch keys or cache them are
//! told as after FLUSHALL, as in Redis. RELOAD has each shard's keys as bytes in memory once. LOADAOF holds every shard while it reads the directory's files
//! and what this tick has not written yet, so each log is read up to the same point of the order of transactions.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use kora_storage::rdb::{RdbFile, write};

use super::core::Core;
use super::cx::ShardCx;
use super::execute::execute_part;
use super::message::Call;
use super::saving::{NO_DIRECTORY, SaveError};
use super::watch;
use crate::argv::{ArgvBuf, Span};
use crate::error::CommandError;
use crate::host::{ReadBack, SnapshotSink};
use crate::keyspace::{DATABASES, Database};
use crate::reply::ReplyBuf;
use crate::resp::value::error_line;
use crate::table::CommandId;

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
        self.core
            .replace_all(|core| core.load_bytes("what was saved", &bytes).map_err(|error| error.to_string()))
            .map_err(failed)
    }

    /// DEBUG LOADAOF on one shard: what its snapshot and its log say takes the place of what is here.
    ///
    /// # Errors
    /// When there is no log, or it cannot be read back. The keys are as they were then.
    pub fn load_log(&mut self) -> Result<(), CommandError> {
        if !self.core.journal.is_on() {
            return Err(NO_LOG);
        }
        if self.core.snapshot.is_some() {
            return Err(super::saving::RUNNING);
        }
        let pending = self.core.journal.pending_records();
        let next_lsn = self.core.journal.last_lsn() + 1 - pending.len() as u64;
        self.core.replace_all(|core| core.read_back(next_lsn, &pending)).map_err(failed)
    }
}

/// There is nothing to read back.
const NO_LOG: CommandError = CommandError::Text("ERR there is no log: CONFIG SET appendonly yes begins one");

fn failed(why: String) -> CommandError {
    CommandError::message(format!("ERR {why}"))
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

    /// Replaces everything here with what `load` makes of a shard without keys and functions, without telling the log.
    fn replace_all(&mut self, load: impl FnOnce(&mut Self) -> Result<(), String>) -> Result<(), String> {
        for db in 0..DATABASES {
            watch::touch_existing(self, db as u8);
        }
        let (dirty, told, journal) = (self.stats.dirty, self.told.len(), std::mem::take(&mut self.journal));
        let old: Vec<Database> = (0..DATABASES).map(|db| self.keyspace.flush(db)).collect();
        let functions = self.extension_records();
        let loaded = self.flush_functions().and_then(|()| load(self));
        let outcome = match loaded {
            Ok(()) => {
                old.into_iter().for_each(|database| self.discard(database));
                Ok(())
            }
            Err(error) => {
                for (db, database) in old.into_iter().enumerate() {
                    let half = std::mem::replace(self.keyspace.database_mut(db).0, database);
                    self.discard(half);
                }
                let again = self.flush_functions();
                again.and_then(|()| self.load_records(&functions).map_err(|error| error.to_string())).and(Err(error))
            }
        };
        (self.stats.dirty, self.journal) = (dirty, journal);
        // That records ran again is nobody's news.
        self.told.truncate(told);
        self.flushed();
        outcome
    }

    fn flush_functions(&mut self) -> Result<(), String> {
        let mut words = ArgvBuf::new();
        words.push(b"SYNC");
        let mut reply = ReplyBuf::default();
        execute_part(self, Call::internal(0), CommandId::FunctionFlush, words.as_argv(), &mut reply);
        error_line(reply.as_bytes()).map_or(Ok(()), Err)
    }

    /// Fills a shard without keys from the directory, whose log must end before `next_lsn`, and the records that follow.
    fn read_back(&mut self, next_lsn: u64, pending: &[Vec<u8>]) -> Result<(), String> {
        let (host, id) = (Arc::clone(&self.host), self.id);
        let found = host.read_back(id, &mut Reader { core: self, spans: Vec::new() })?;
        if found != next_lsn {
            return Err(format!("the log on disk ends before record {found}, of {next_lsn} that should be there"));
        }
        let mut spans = Vec::new();
        for payload in pending {
            self.replay(payload, &mut spans).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

/// Fills a core.
struct Reader<'c> {
    core: &'c mut Core,
    spans: Vec<Span>,
}

impl ReadBack for Reader<'_> {
    fn snapshot(&mut self, file: &mut RdbFile<'_>) -> Result<(), String> {
        self.core.load_whole(file).map_err(|error| error.to_string())
    }

    fn record(&mut self, payload: &[u8]) -> Result<(), String> {
        self.core.replay(payload, &mut self.spans).map(drop).map_err(|error| error.to_string())
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
