//! What of a shard's changes goes to its log.
//!
//! Owns: the records of the tick, how far the log is known to be on disk, and where entries go while a command is only part of something larger. Refuses to
//! know: files, and what commands mean.
//! Start at [`Core::log_command`], which sees every command that changed something.
//!
//! ```text
//! record  = length u32 │ kind u8 │ [transaction: id u64, participants u16, a u16 for each] │ entries      (kora-storage draws it)
//! entry   = database u8 │ frame                                                        (the frame that also travels between shards)
//! ```
//! A row with `wal = "command"` is logged as it was sent, when it changed something; a handler of one with `wal = "effects"` says what is to be logged.
//! Entries are replayed in order on a keyspace in the same state, with a clock that lets nothing expire: deletions of expired keys are entries of their own.
//!
//! While a command is not alone on this shard, its entries go elsewhere:
//!
//! - a *part* of a transaction over several shards keeps them until the transaction ends: then every shard that has some writes one record, and the
//!   record names them all, so that recovery can tell a whole transaction from half of one;
//! - a command on *gathered* keys sends each key's entries home with the key. What a handler changed without entries of single keys (RENAME, SINTERSTORE)
//!   goes as the key's whole value, or its deletion.

use kora_storage::log::record;

use super::core::{Core, Effect, EffectSink};
use super::cx::ShardCx;
use super::message::{Call, ShardId, TxnId, write_frame, write_words};
use crate::argv::Argv;
use crate::keyspace::{Detached, Event};
use crate::limits;
use crate::table::{self, Access, CommandId, Flags, Wal};

/// Entries of one key, or word that its whole value is to be logged.
#[derive(Debug)]
struct Captured {
    db: u8,
    key: Box<[u8]>,
    /// One entry; `None` for a change that no entry tells.
    entry: Option<Vec<u8>>,
}

/// Where entries go.
#[derive(Debug, Default)]
enum Sink {
    /// Into records of this shard's log.
    #[default]
    Log,
    /// To the other entries of a transaction's part.
    Part(Vec<u8>),
    /// Home with their keys.
    Gathered(Vec<Captured>),
}

/// Where entries went before something began that takes them elsewhere.
#[derive(Debug)]
pub struct Outer(Sink);

/// Records that are ready for the log's file.
#[derive(Debug, Default)]
pub struct Batch {
    /// The records, one behind the other.
    pub records: Vec<u8>,
    /// How many they are.
    pub count: u32,
    /// All transactions up to this record had let their keys go before what comes behind the batch was run.
    pub settled_lsn: u64,
}

/// The state of the log's end, without what is being logged.
#[derive(Debug)]
pub(super) struct Logged {
    batch: Batch,
    strict: bool,
    last_lsn: u64,
    durable_lsn: u64,
    first_unsettled: Option<u64>,
}

/// What of a shard's changes goes to its log.
#[derive(Debug, Default)]
pub struct Journal {
    /// There is a log. Without one a change pays one branch.
    on: bool,
    /// Nothing leaves the shard before what it has logged is on disk (`appendfsync always`).
    strict: bool,
    sink: Sink,
    batch: Batch,
    /// How deep in units we are, and where the record of the outermost begins once it has an entry.
    units: u32,
    open: Option<usize>,
    /// The handler wants its command logged as it was sent.
    as_sent: bool,
    /// Entries so far.
    entries: u64,
    /// The last record's number.
    last_lsn: u64,
    /// The last record that is known to be on disk.
    durable_lsn: u64,
    /// The first record of a transaction whose keys are still held.
    first_unsettled: Option<u64>,
}

/// What a command's beginning looked like, to tell afterwards what it did.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    changes: u64,
    entries: u64,
    units: u32,
    effects: usize,
    captured: usize,
}

impl Journal {
    /// True when there is a log.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Logs from now on; `next_lsn` is the number of the next record.
    pub fn start(&mut self, next_lsn: u64) {
        self.on = true;
        self.last_lsn = next_lsn - 1;
        self.durable_lsn = self.last_lsn;
    }

    /// Logs nothing any more.
    pub fn stop(&mut self) {
        *self = Self::default();
    }

    /// Whether replies wait for the disk.
    pub fn set_strict(&mut self, strict: bool) {
        self.strict = strict;
    }

    /// The number of the last record, on disk or not.
    pub fn last_lsn(&self) -> u64 {
        self.last_lsn
    }

    /// The number of the last record that is known to be on disk.
    pub fn durable_lsn(&self) -> u64 {
        self.durable_lsn
    }

    /// All records up to `lsn` are on disk.
    pub fn synced(&mut self, lsn: u64) {
        self.durable_lsn = self.durable_lsn.max(lsn);
    }

    /// True when nothing may leave the shard yet: some of what could be told is not on disk.
    #[inline]
    pub fn holds(&self) -> bool {
        self.strict && self.last_lsn > self.durable_lsn
    }

    /// What is ready for the file, for a core that stands in while this one is away: what was logged before a script that takes long is not to wait for it.
    pub(super) fn lend(&mut self) -> Logged {
        let end = self.open.unwrap_or(self.batch.records.len());
        let rest = self.batch.records.split_off(end);
        let records = std::mem::replace(&mut self.batch.records, rest);
        let batch = Batch { records, count: self.batch.count, settled_lsn: 0 };
        self.batch.count = 0;
        self.open = self.open.map(|_| 0);
        let first_unsettled = self.first_unsettled;
        Logged { batch, strict: self.strict, last_lsn: self.last_lsn, durable_lsn: self.durable_lsn, first_unsettled }
    }

    /// Takes what another core has lent.
    pub(super) fn accept(&mut self, logged: Logged) {
        let Logged { mut batch, strict, last_lsn, durable_lsn, first_unsettled } = logged;
        self.first_unsettled = first_unsettled;
        self.open = self.open.map(|start| start + batch.records.len());
        batch.records.append(&mut self.batch.records);
        batch.count += self.batch.count;
        (self.batch, self.strict, self.last_lsn, self.durable_lsn) = (batch, strict, last_lsn, durable_lsn);
    }

    /// Bytes of records that have not been taken.
    pub fn pending_bytes(&self) -> usize {
        self.batch.records.len()
    }

    /// The payloads of the records that have not been taken.
    pub(super) fn pending_records(&self) -> Vec<Vec<u8>> {
        record::payloads(&self.batch.records).take(self.batch.count as usize).map(<[u8]>::to_vec).collect()
    }

    /// Exchanges the records of this tick for an empty batch, whose buffer is used on.
    pub fn take(&mut self, empty: Batch) -> Batch {
        debug_assert!(self.open.is_none() && empty.records.is_empty());
        let mut batch = std::mem::replace(&mut self.batch, empty);
        batch.settled_lsn = self.settled_before(self.last_lsn - u64::from(batch.count));
        batch
    }

    /// Up to where transactions are settled, at most up to `lsn`.
    fn settled_before(&self, lsn: u64) -> u64 {
        self.first_unsettled.map_or(lsn, |first| lsn.min(first - 1))
    }

    /// Everything logged until [`Journal::end_unit`] is one record: it is replayed wholly or not at all.
    pub fn begin_unit(&mut self) {
        self.units += 1;
    }

    /// Ends what [`Journal::begin_unit`] began.
    pub fn end_unit(&mut self) {
        self.units -= 1;
        if self.units == 0
            && let Some(start) = self.open.take()
        {
            self.seal(start);
        }
    }

    /// Closes the units of a command that panicked. What it logged stays: it had happened.
    pub(super) fn abandon(&mut self, mark: Mark) {
        self.as_sent = false;
        while self.units > mark.units {
            self.end_unit();
        }
    }

    #[inline]
    fn seal(&mut self, start: usize) {
        record::seal(&mut self.batch.records, start);
        self.batch.count += 1;
        self.last_lsn += 1;
    }

    /// The buffer for one entry, with the start of its record when the record is to be sealed behind it.
    #[inline]
    fn place(&mut self) -> (&mut Vec<u8>, Option<usize>) {
        self.entries += 1;
        match &mut self.sink {
            Sink::Log => {
                let records = &mut self.batch.records;
                if self.units == 0 {
                    let start = record::begin_plain(records);
                    return (records, Some(start));
                }
                // A unit that would be too long for one record goes on in another.
                if let Some(start) = self.open.filter(|start| records.len() - start > limits::LOG_RECORD_BYTES_MAX) {
                    record::seal(records, start);
                    self.batch.count += 1;
                    self.last_lsn += 1;
                    self.open = None;
                }
                if self.open.is_none() {
                    self.open = Some(record::begin_plain(records));
                }
                (records, None)
            }
            Sink::Part(entries) => (entries, None),
            Sink::Gathered(captured) => {
                let last = captured.last_mut().and_then(|captured| captured.entry.as_mut());
                (last.expect("whoever captures makes room first"), None)
            }
        }
    }

    fn capture(&mut self, db: u8, key: &[u8], entry: Option<Vec<u8>>) -> bool {
        let Sink::Gathered(captured) = &mut self.sink else { return false };
        captured.push(Captured { db, key: key.into(), entry });
        true
    }

    /// Logs a command as it was sent.
    #[inline]
    fn entry(&mut self, db: u8, id: CommandId, argv: Argv<'_>) {
        let (out, seal) = self.place();
        out.push(db);
        write_frame(out, id, argv);
        if let Some(start) = seal {
            self.seal(start);
        }
    }

    /// Logs a command made for the log; `words[0]` is its key.
    pub fn words(&mut self, db: u8, id: CommandId, words: &[&[u8]]) {
        if !self.on {
            return;
        }
        self.capture(db, words.first().copied().unwrap_or_default(), Some(Vec::new()));
        let (out, seal) = self.place();
        out.push(db);
        write_words(out, id, words.iter().copied());
        if let Some(start) = seal {
            self.seal(start);
        }
    }

    // ---- parts of transactions ------------------------------------------------------------------------------------------

    /// What is logged from now on belongs to a part of a transaction.
    pub fn begin_part(&mut self) -> Outer {
        Outer(std::mem::replace(&mut self.sink, Sink::Part(Vec::new())))
    }

    /// Ends a part; its entries.
    pub fn end_part(&mut self, outer: Outer) -> Vec<u8> {
        match std::mem::replace(&mut self.sink, outer.0) {
            Sink::Part(entries) => entries,
            Sink::Log | Sink::Gathered(_) => unreachable!("a part ends where it began"),
        }
    }

    /// Writes this shard's record of a transaction; `writers` are all shards that write one. Returns its number when they are several.
    pub fn transaction(&mut self, txn: TxnId, writers: &[ShardId], entries: &[u8]) -> Option<u64> {
        if !self.on || entries.is_empty() {
            return None;
        }
        let records = &mut self.batch.records;
        let start = match writers {
            [] | [_] => record::begin_plain(records),
            several => record::begin_transaction(records, txn.0, several.iter().map(|shard| *shard as u16)),
        };
        records.extend_from_slice(entries);
        self.seal(start);
        (writers.len() > 1).then_some(self.last_lsn)
    }

    /// Notes the first record of a transaction whose keys are still held here.
    pub(super) fn set_first_unsettled(&mut self, lsn: Option<u64>) {
        self.first_unsettled = lsn;
    }

    // ---- gathered keys --------------------------------------------------------------------------------------------------

    /// What is logged from now on is about keys of other shards.
    pub fn begin_gathered(&mut self) -> Outer {
        Outer(std::mem::replace(&mut self.sink, Sink::Gathered(Vec::new())))
    }

    /// Ends what [`Journal::begin_gathered`] began.
    pub fn end_gathered(&mut self, outer: Outer) -> Homeward {
        match std::mem::replace(&mut self.sink, outer.0) {
            Sink::Gathered(captured) => Homeward { on: self.on, captured },
            Sink::Log | Sink::Part(_) => unreachable!("gathered keys go home from where they came"),
        }
    }
}

/// Entries for the owners of gathered keys.
#[derive(Debug)]
pub struct Homeward {
    on: bool,
    captured: Vec<Captured>,
}

impl Homeward {
    /// Appends what the owner of a key logs, whose value is `value` from now on.
    pub fn entries_of(&self, db: u8, key: &[u8], value: Option<&Detached>, out: &mut Vec<u8>) {
        if !self.on {
            return;
        }
        let of_key = || self.captured.iter().filter(|captured| captured.db == db && *captured.key == *key);
        if of_key().all(|captured| captured.entry.is_some()) {
            of_key().filter_map(|captured| captured.entry.as_deref()).for_each(|entry| out.extend_from_slice(entry));
            return;
        }
        out.push(db);
        match value {
            None => write_words(out, CommandId::Del, [key].into_iter()),
            Some(value) => {
                let payload = crate::rdb::dump_payload(crate::rdb::ValueView::of_detached(value));
                let mut digits = itoa::Buffer::new();
                let expiry = digits.format(value.expiry_ms.unwrap_or(0)).as_bytes();
                let words: [&[u8]; 5] = [key, expiry, &payload, b"REPLACE", b"ABSTTL"];
                write_words(out, CommandId::Restore, words.into_iter());
            }
        }
    }
}

impl Core {
    /// What the shard looks like before a command.
    #[inline]
    pub(super) fn log_mark(&self) -> Mark {
        let (effects, captured) = match (&self.effects, &self.journal.sink) {
            (EffectSink::Capture(effects), Sink::Gathered(captured)) => (effects.len(), captured.len()),
            _ => (0, 0),
        };
        Mark { changes: self.changes(), entries: self.journal.entries, units: self.journal.units, effects, captured }
    }

    /// Changes of keys so far; those that have expired count as what they are and not as a command's.
    #[inline]
    fn changes(&self) -> u64 {
        self.stats.dirty.wrapping_sub(self.stats.expired_keys)
    }

    /// Logs a command that has run, if it changed anything.
    #[inline]
    pub(super) fn log_command(&mut self, mark: Mark, call: Call, id: CommandId, argv: Argv<'_>) {
        if matches!(self.journal.sink, Sink::Gathered(_)) {
            return self.capture_command(mark, call, id, argv);
        }
        match id.info().wal {
            Wal::None => {}
            Wal::Command => {
                if self.changes() != mark.changes {
                    self.journal.entry(call.db, id, argv);
                }
            }
            Wal::Effects => {
                if std::mem::take(&mut self.journal.as_sent) {
                    self.journal.entry(call.db, id, argv);
                }
                debug_assert!(
                    self.changes() == mark.changes
                        || self.journal.entries != mark.entries
                        || id.info().flags.contains(Flags::RUNS_SCRIPTS),
                    "{} changed something and logged nothing",
                    id.info().name
                );
            }
        }
    }

    /// Finds out what a command on gathered keys changed without an entry of a single key.
    #[cold]
    fn capture_command(&mut self, mark: Mark, call: Call, id: CommandId, argv: Argv<'_>) {
        let as_sent = std::mem::take(&mut self.journal.as_sent) || id.info().wal == Wal::Command;
        let (EffectSink::Capture(effects), Sink::Gathered(captured)) = (&self.effects, &mut self.journal.sink) else {
            return;
        };
        let is_told =
            |db: u8, key: &[u8]| captured[mark.captured..].iter().any(|entry| entry.db == db && *entry.key == *key);
        let changed: Vec<(u8, Box<[u8]>)> = effects[mark.effects..]
            .iter()
            .filter(|effect| effect.event != Event::New && !is_told(effect.db, &effect.key))
            .map(|Effect { db, key, .. }| (*db, key.clone()))
            .collect();
        if id.info().flags.contains(Flags::RUNS_SCRIPTS) || changed.is_empty() {
            // What a script changed, its commands have logged.
            return;
        }
        let mut written = Vec::new();
        let _ = table::keys(id, argv, &mut |index, access| {
            if access == Access::Write {
                written.extend(argv.get(index));
            }
        });
        if let ([key], true) = (written.as_slice(), as_sent)
            && changed.iter().all(|(db, changed)| *db == call.db && **changed == **key)
            && id.info().key_groups.len() == 1
        {
            let mut entry = vec![call.db];
            write_frame(&mut entry, id, argv);
            captured.push(Captured { db: call.db, key: (*key).into(), entry: Some(entry) });
            return;
        }
        captured.extend(changed.into_iter().map(|(db, key)| Captured { db, key, entry: None }));
    }

    /// Logs that a key is gone because it has expired or was evicted: no command says so.
    #[inline]
    pub(super) fn log_removal(&mut self, db: u8, key: &[u8]) {
        if self.journal.on && !self.journal.capture(db, key, None) {
            self.journal.words(db, CommandId::Del, &[key]);
        }
    }
}

impl ShardCx<'_> {
    /// True when there is a log: what is made for it alone need not be made otherwise.
    #[inline]
    pub fn logs(&self) -> bool {
        self.core.journal.on
    }

    /// True when there is a log and the keys have been brought here from their owners. What a command says of single keys then goes home with each; a
    /// change of which it says nothing takes the key's whole value home.
    #[inline]
    pub fn logs_keys_apart(&self) -> bool {
        self.core.journal.on && self.core.gathered.is_some()
    }

    /// Has the command logged as it was sent; for handlers of rows with `wal = "effects"` that changed something.
    #[inline]
    pub fn log_as_sent(&mut self) {
        self.core.journal.as_sent = self.core.journal.on;
    }

    /// Logs another command in place of the one that runs; `words[0]` is its key, in the selected database. When several are logged for one command, the
    /// handler puts [`ShardCx::log_together`] around them.
    #[inline]
    pub fn log(&mut self, id: CommandId, words: &[&[u8]]) {
        if self.core.journal.on {
            self.core.journal.words(self.call.db, id, words);
        }
    }

    /// Everything that `run` logs is replayed wholly or not at all.
    pub fn log_together<R>(&mut self, run: impl FnOnce(&mut Self) -> R) -> R {
        self.core.journal.begin_unit();
        let result = run(self);
        self.core.journal.end_unit();
        result
    }
}
