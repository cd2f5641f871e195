//! A log, run again.
//!
//! Owns: reading entries, and the clock they run by. Refuses to know: files, and which records count.
//! Start at [`Shard::replay`].
//!
//! Time stands still at zero meanwhile: nothing expires but by its own entry, so that every command finds what it found when it was logged. Afterwards
//! the wall clock decides what is dead.

use super::Shard;
use super::core::Core;
use super::execute::execute_part;
use super::message::Call;
use crate::argv::{Argv, Span};
use crate::keyspace::DATABASES;
use crate::reply::ReplyBuf;
use crate::resp::value::error_line;
use crate::table::{CommandId, Wal};

/// Why a record cannot be replayed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The lengths in an entry do not fit the record.
    #[error("entry {0} of the record does not fit into it")]
    Malformed(usize),
    /// An entry's command has a number that this version does not know.
    #[error("entry {0} of the record is command number {1}, which this version does not know")]
    UnknownCommand(usize, u16),
    /// An entry's command is none that is ever logged.
    #[error("entry {0} of the record is {1}, which is never logged")]
    NotLogged(usize, &'static str),
    /// An entry's command replied with an error, which it did not when it was logged.
    #[error("entry {0} of the record, {1}, was refused: {2}")]
    Refused(usize, &'static str, String),
}

/// One entry of a record.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'r> {
    /// In which database.
    pub db: u8,
    /// Which command.
    pub id: CommandId,
    /// Its arguments lie here, at the spans that were read.
    pub frame: &'r [u8],
}

/// Reads the entries of a record one by one; the arguments' places go to `spans`.
#[derive(Debug)]
pub struct Entries<'r> {
    rest: &'r [u8],
    read: usize,
}

impl<'r> Entries<'r> {
    /// The entries of a record's payload.
    pub fn of(payload: &'r [u8]) -> Self {
        Self { rest: payload, read: 0 }
    }

    /// The next entry.
    ///
    /// # Errors
    /// When the bytes are no entry that this version knows: they come from a file.
    pub fn next(&mut self, spans: &mut Vec<Span>) -> Result<Option<Entry<'r>>, ReplayError> {
        let Some((&db, frame)) = self.rest.split_first() else { return Ok(None) };
        let malformed = ReplayError::Malformed(self.read);
        if usize::from(db) >= DATABASES || frame.len() < 6 {
            return Err(malformed);
        }
        let number = u16::from_le_bytes([frame[0], frame[1]]);
        let argc = u32::from_le_bytes([frame[2], frame[3], frame[4], frame[5]]) as usize;
        let lengths = frame.get(6..6 + argc.min(frame.len()) * 4).filter(|lengths| lengths.len() == argc * 4);
        let Some(lengths) = lengths else { return Err(malformed) };
        let mut start = 6 + lengths.len();
        spans.clear();
        spans.reserve(argc);
        for length in lengths.chunks_exact(4) {
            let len = u32::from_le_bytes([length[0], length[1], length[2], length[3]]);
            let end = start.saturating_add(len as usize);
            if end > frame.len() || end > u32::MAX as usize {
                return Err(malformed);
            }
            spans.push(Span { start: start as u32, len });
            start = end;
        }
        let id = CommandId::from_number(number).ok_or(ReplayError::UnknownCommand(self.read, number))?;
        let (frame, rest) = frame.split_at(start);
        self.rest = rest;
        self.read += 1;
        Ok(Some(Entry { db, id, frame }))
    }
}

impl Shard {
    /// Runs a record of the log again; returns how many entries it had. To be called before the shard logs itself.
    ///
    /// # Errors
    /// When the record is none that this version writes. What stands before the wrong entry has been run.
    pub fn replay(&mut self, payload: &[u8]) -> Result<usize, ReplayError> {
        self.core.replay(payload, &mut self.spans)
    }
}

impl Core {
    /// See [`Shard::replay`]; `spans` is room to work in.
    pub(super) fn replay(&mut self, payload: &[u8], spans: &mut Vec<Span>) -> Result<usize, ReplayError> {
        debug_assert!(!self.journal.is_on(), "what is replayed is in the log already");
        let now_ms = std::mem::take(&mut self.now_ms);
        let outcome = self.replay_at_no_time(payload, spans);
        self.now_ms = now_ms;
        outcome
    }

    fn replay_at_no_time(&mut self, payload: &[u8], spans: &mut Vec<Span>) -> Result<usize, ReplayError> {
        let mut reply = ReplyBuf::default();
        let mut entries = Entries::of(payload);
        while let Some(Entry { db, id, frame }) = entries.next(spans)? {
            let info = id.info();
            if info.wal == Wal::None {
                return Err(ReplayError::NotLogged(entries.read - 1, info.name));
            }
            reply.truncate(0);
            execute_part(self, Call::internal(db), id, Argv::new(frame, spans), &mut reply);
            if let Some(text) = error_line(reply.as_bytes()) {
                return Err(ReplayError::Refused(entries.read - 1, info.name, text));
            }
        }
        Ok(entries.read)
    }
}
