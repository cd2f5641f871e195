//! Writing one shard's log.
//!
//! Owns: which bytes go where in which segment, and what is known to be on disk. Refuses to know: threads and clocks:
//! what may take long is a job that the caller runs wherever it likes.
//! Start at [`LogWriter::append`].
//!
//! Invariant: records are appended behind whole records only. What a failed append left is overwritten by the next
//! before anything is behind it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::prepare::{Spare, Work, Zone};
use super::segment::{BATCH_HEADER_BYTES, BatchHeader, HEADER_BYTES, Header, padded};
use super::{LOG_BATCH_BYTES_MAX, LogError, LogOptions, PrepareJob, TEMPORARY_SUFFIX, segment_name, segments_of};
use crate::dir::{Dir, File, uninterrupted, write_all_at};
use crate::manifest::Manifest;

/// Bytes of the buffer that is kept from one append to the next.
const BUFFER_BYTES_KEPT: usize = 1 << 20;
/// Bytes between the end of the log and a piece that is zeroed meanwhile, so that they seldom meet.
const GAP_BYTES_MAX: u64 = 256 << 10;

/// The end of one shard's log, where records are added.
#[derive(Debug)]
pub struct LogWriter {
    dir: Arc<dyn Dir>,
    /// What is the same in the headers of all segments, and the first record of the one in use.
    header: Header,
    seed: u32,
    options: LogOptions,
    file: Arc<dyn File>,
    name: String,
    /// Which of the names that were given the segment's is.
    name_number: u64,
    /// Where the next batch begins.
    offset: u64,
    /// Bytes from here to there are zeroed, as far as they are behind `offset`.
    prepared: (u64, u64),
    /// Up to here a failed append may have written.
    dirty_end: u64,
    next_lsn: u64,
    durable_lsn: u64,
    /// What the last batch said is settled.
    settled_lsn: u64,
    /// Earlier segments whose last records may not be on disk.
    left: Vec<Left>,
    /// All earlier segments, the first record's first.
    older: Vec<Older>,
    /// The last name that is known to be on disk; jobs raise it.
    durable_name: Arc<AtomicU64>,
    spare: Option<Spare>,
    spares_made: u64,
    /// A job to make the next segment's file is under way.
    making: bool,
    zeroing: Option<Zeroing>,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Left {
    file: Arc<dyn File>,
    last_lsn: u64,
}

#[derive(Debug)]
struct Older {
    name: String,
    name_number: u64,
    first_lsn: u64,
    bytes: u64,
}

/// The job that zeroes a piece of the segment in use.
#[derive(Debug)]
struct Zeroing {
    zone: Arc<Zone>,
    /// Where the last chunk that it began ends, once the log has stopped it.
    stopped_at: Option<u64>,
}

impl LogWriter {
    /// Goes on with a shard's log at `next_lsn`, in a segment of its own whose name is on disk when this returns. The
    /// manifest is the one on disk, with an incarnation that no log was written under before; what stands before
    /// `next_lsn` in earlier segments must be on disk, as it is after recovery. What stands at `next_lsn` or behind it
    /// counts no more and is removed.
    pub fn create(
        dir: Arc<dyn Dir>,
        manifest: &Manifest,
        shard: u16,
        next_lsn: u64,
        options: LogOptions,
    ) -> Result<Self, LogError> {
        assert!(next_lsn > 0, "records are counted from 1");
        let header = Header {
            shard,
            shards: manifest.shards,
            directory: manifest.directory(),
            incarnation: manifest.incarnation,
            first_lsn: next_lsn,
            durable_lsn: next_lsn - 1,
        };
        let path = dir.path().to_owned();
        let names = uninterrupted(|| dir.list()).map_err(LogError::io("list", &path))?;
        let (mut older, mut dead) = (Vec::new(), Vec::new());
        for (first_lsn, name) in segments_of(&names, shard) {
            if first_lsn < next_lsn {
                let opened = uninterrupted(|| dir.open(&name));
                let bytes = opened.and_then(|file| uninterrupted(|| file.len()));
                let bytes = bytes.map_err(LogError::io("open", &path.join(&name)))?;
                older.push(Older { name, name_number: 0, first_lsn, bytes });
            } else if first_lsn > next_lsn {
                dead.push(name);
            }
        }

        let name = segment_name(shard, next_lsn);
        let spare = Spare::make(&*dir, temporary_name(shard, 0))?;
        let cushion = options.zero_ahead_bytes.min(GAP_BYTES_MAX).min(options.segment_bytes).max(HEADER_BYTES as u64);
        let mut bytes = vec![0; cushion as usize];
        bytes[..HEADER_BYTES].copy_from_slice(&header.encode());
        let written = write_all_at(&*spare.file, &bytes, 0).map_err(io::Error::from);
        written.map_err(LogError::io("write", &spare.path(&path)))?;
        uninterrupted(|| spare.file.sync_all()).map_err(LogError::io("sync", &spare.path(&path)))?;
        uninterrupted(|| dir.rename(&spare.name, &name)).map_err(LogError::io("rename", &spare.path(&path)))?;
        uninterrupted(|| dir.sync()).map_err(LogError::io("sync", &path))?;
        // Only now that the new segment takes over for good, and before it has records.
        for name in &dead {
            uninterrupted(|| dir.remove(name)).map_err(LogError::io("remove", &path.join(name)))?;
        }
        if !dead.is_empty() {
            uninterrupted(|| dir.sync()).map_err(LogError::io("sync", &path))?;
        }
        Ok(Self {
            dir,
            header,
            seed: header.seed(),
            options,
            file: spare.file,
            name,
            name_number: 0,
            offset: HEADER_BYTES as u64,
            prepared: (HEADER_BYTES as u64, cushion),
            dirty_end: 0,
            next_lsn,
            durable_lsn: next_lsn - 1,
            // Recovery has decided about everything before.
            settled_lsn: next_lsn - 1,
            left: Vec::new(),
            older,
            durable_name: Arc::default(),
            spare: None,
            spares_made: 1,
            making: false,
            zeroing: None,
            buffer: Vec::new(),
        })
    }

    /// Adds `count` records as one batch, which may depend on every transaction with a record up to `settled_lsn` and on
    /// no other: those are settled, which means that each of their participants has written its record. It is a record
    /// before this batch, and never falls. After an error nothing of the batch counts, and the same or others may be tried.
    pub fn append(&mut self, records: &[u8], count: u32, settled_lsn: u64) -> Result<(), LogError> {
        assert!(count > 0, "a batch has records");
        assert!(
            (self.settled_lsn..self.next_lsn).contains(&settled_lsn),
            "what is settled was written, and stays settled"
        );
        if records.len() > LOG_BATCH_BYTES_MAX {
            return Err(LogError::TooLong { bytes: records.len() });
        }
        let whole = padded(BATCH_HEADER_BYTES + records.len());
        let too_long = self.offset + whole as u64 > self.options.segment_bytes;
        if (too_long && self.offset > HEADER_BYTES as u64) || !self.evade_zeroing(whole as u64) {
            self.start_segment()?;
        }
        self.write(records, count, settled_lsn)
    }

    /// The number of the next record.
    pub fn next_lsn(&self) -> u64 {
        self.next_lsn
    }

    /// Makes durable what is written and not known to be. Tell [`LogWriter::synced`] what it returned.
    pub fn sync_job(&mut self) -> Option<SyncJob> {
        let names = self.name_number > self.durable_name.load(Ordering::Acquire);
        if self.next_lsn - 1 == self.durable_lsn && !names {
            return None;
        }
        let files = self.left.iter().map(|left| left.file.clone()).chain([self.file.clone()]).collect();
        let dir = names.then(|| self.dir.clone());
        Some(SyncJob {
            files,
            dir,
            name_number: self.name_number,
            durable_name: self.durable_name.clone(),
            last_lsn: self.next_lsn - 1,
        })
    }

    /// All records up to `lsn` are on disk.
    pub fn synced(&mut self, lsn: u64) {
        assert!(lsn < self.next_lsn, "what is on disk was written");
        self.durable_lsn = self.durable_lsn.max(lsn);
        self.left.retain(|left| left.last_lsn > lsn);
    }

    /// Room to be made ahead of need, one job at a time. Give it back to [`LogWriter::prepared`].
    pub fn prepare_job(&mut self) -> Option<PrepareJob> {
        if self.making || self.zeroing.is_some() {
            return None;
        }
        let LogOptions { segment_bytes, zero_ahead_bytes } = self.options;
        let prepared_end = self.prepared.1.max(self.offset);
        if prepared_end < segment_bytes && (prepared_end - self.offset) * 2 < zero_ahead_bytes {
            let gap = GAP_BYTES_MAX.min(zero_ahead_bytes / 8);
            let start = if prepared_end - self.offset >= gap { prepared_end } else { self.offset + gap };
            let end = (start + zero_ahead_bytes).min(segment_bytes);
            if start < end {
                let zone = Arc::new(Zone::new(start, end));
                self.zeroing = Some(Zeroing { zone: zone.clone(), stopped_at: None });
                return Some(PrepareJob { work: Work::Zero { file: self.file.clone(), zone } });
            }
        }
        let near_end = self.offset + zero_ahead_bytes.max(segment_bytes / 4) >= segment_bytes;
        if self.spare.is_some() || !near_end {
            return None;
        }
        self.making = true;
        let (dir, name) = (self.dir.clone(), self.spare_name());
        let bytes = zero_ahead_bytes.min(segment_bytes);
        Some(PrepareJob { work: Work::Make { dir, name, bytes, made: Default::default() } })
    }

    /// Takes a job back that has run, well or not.
    pub fn prepared(&mut self, job: PrepareJob) {
        match job.work {
            Work::Zero { zone, .. } => {
                if self.zeroing.as_ref().is_some_and(|zeroing| Arc::ptr_eq(&zeroing.zone, &zone)) {
                    self.zeroing = None;
                    self.take_zeroed(&zone);
                }
            }
            Work::Make { name, bytes, made, .. } => {
                self.making = false;
                let Some(file) = made.into_inner() else { return };
                let spare = Spare { file, name, bytes };
                match &self.spare {
                    Some(_) => spare.remove(&*self.dir),
                    None => self.spare = Some(spare),
                }
            }
        }
    }

    /// Bytes that fit without room on the disk, in this segment and in the next if it is made already. Each batch
    /// takes 47 bytes of them besides its records at most.
    pub fn remaining_prepared(&self) -> u64 {
        let (start, end) = self.prepared;
        let here = if self.offset >= start { end.saturating_sub(self.offset) } else { 0 };
        let spare = self.spare.as_ref().map_or(0, |spare| spare.bytes.saturating_sub(HEADER_BYTES as u64));
        here + spare
    }

    /// Bytes of all its segments that have not been retired.
    pub fn bytes(&self) -> u64 {
        self.older.iter().map(|older| older.bytes).sum::<u64>() + self.offset
    }

    /// Removes segments all of whose records are below `before_lsn`, and says how many. The manifest on disk must say
    /// already that nobody needs them. One stays until the name of the next is on disk.
    pub fn retire(&mut self, before_lsn: u64) -> Result<u64, LogError> {
        let durable_name = self.durable_name.load(Ordering::Acquire);
        let mut removed = 0;
        while let Some(first) = self.older.first() {
            let this = (self.header.first_lsn, self.name_number);
            let (next_lsn, next_number) = self.older.get(1).map_or(this, |next| (next.first_lsn, next.name_number));
            if next_lsn > before_lsn || next_number > durable_name {
                break;
            }
            match uninterrupted(|| self.dir.remove(&first.name)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(LogError::io("remove", &self.path(&first.name))(source)),
            }
            self.older.remove(0);
            removed += 1;
        }
        Ok(removed)
    }

    /// Begins a new segment, unless the one in use is empty.
    pub fn rotate(&mut self) -> Result<(), LogError> {
        if self.next_lsn == self.header.first_lsn { Ok(()) } else { self.start_segment() }
    }

    /// Ends the log: everything is on disk, the room that was made is given back, and a closing mark says that nothing
    /// may be missing, and what the last batch said is settled. Jobs have ended before; the log may go on after.
    pub fn finish(&mut self) -> Result<(), LogError> {
        if let Some(spare) = self.spare.take() {
            spare.remove(&*self.dir);
        }
        let path = self.path(&self.name);
        if let Some(job) = self.sync_job() {
            let lsn = job.run().map_err(LogError::io("sync", &path))?;
            self.synced(lsn);
        }
        // A full disk may have no room for the mark, which then is missed by nobody.
        let closed = self.write(&[], 0, self.settled_lsn);
        let cut = uninterrupted(|| self.file.set_len(self.offset));
        cut.map_err(LogError::io("cut", &path))?;
        (self.prepared, self.dirty_end) = ((0, 0), 0);
        uninterrupted(|| self.file.sync_all()).map_err(LogError::io("sync", &path))?;
        closed.or_else(|error| if error.is_full() { Ok(()) } else { Err(error) })
    }

    /// Writes a batch at the end of the segment in use.
    fn write(&mut self, records: &[u8], count: u32, settled_lsn: u64) -> Result<(), LogError> {
        let mut batch = BatchHeader::of(self.seed, records, count, self.next_lsn);
        (batch.durable_lsn, batch.settled_lsn) = (self.durable_lsn, settled_lsn);
        let end = self.offset + batch.whole_bytes();
        self.buffer.clear();
        self.buffer.extend_from_slice(&batch.encode(self.seed));
        self.buffer.extend_from_slice(records);
        // What an append that failed left behind this one is overwritten in the same call.
        self.buffer.resize((end.max(self.dirty_end) - self.offset) as usize, 0);
        let written = write_all_at(&*self.file, &self.buffer, self.offset);
        let attempted_end = self.offset + self.buffer.len() as u64;
        if self.buffer.capacity() > BUFFER_BYTES_KEPT {
            self.buffer = Vec::new();
        }
        if let Err(partial) = written {
            // The system may have written more than it says, but not behind the end of the file.
            let len = uninterrupted(|| self.file.len()).unwrap_or(attempted_end);
            self.dirty_end = self.dirty_end.max(attempted_end.min(len));
            return Err(LogError::io("write", &self.path(&self.name))(partial.source));
        }
        self.dirty_end = 0;
        self.offset = end;
        self.next_lsn += u64::from(count);
        self.settled_lsn = settled_lsn;
        Ok(())
    }

    /// True when so many bytes can be written while a piece is being zeroed.
    fn evade_zeroing(&mut self, bytes: u64) -> bool {
        let end = (self.offset + bytes).max(self.dirty_end);
        let Some(zeroing) = self.zeroing.as_mut().filter(|zeroing| zeroing.zone.start < end) else { return true };
        let zone = zeroing.zone.clone();
        let stopped_at = *zeroing.stopped_at.get_or_insert_with(|| zone.stop().unwrap_or(zone.end));
        self.take_zeroed(&zone);
        // The chunk that may be half written begins where the zeroes end.
        let zeroed = zone.zeroed();
        zeroed >= stopped_at || self.offset >= stopped_at || end <= zeroed
    }

    /// Notes what a job has zeroed.
    fn take_zeroed(&mut self, zone: &Zone) {
        let zeroed = zone.zeroed();
        if zeroed > self.prepared.1 {
            let start = if zone.start <= self.prepared.1 { self.prepared.0 } else { zone.start };
            self.prepared = (start, zeroed);
        }
    }

    /// Goes on in a new segment. Until the last call of this has succeeded, nothing has changed.
    fn start_segment(&mut self) -> Result<(), LogError> {
        let dir = self.dir.clone();
        let spare = match self.spare.take() {
            Some(spare) => spare,
            None => Spare::make(&*dir, self.spare_name())?,
        };
        let header = Header { first_lsn: self.next_lsn, durable_lsn: self.durable_lsn, ..self.header };
        let name = segment_name(header.shard, header.first_lsn);
        let path = spare.path(dir.path());
        let started = write_all_at(&*spare.file, &header.encode(), 0).map_err(io::Error::from);
        let started = started
            .map_err(LogError::io("write", &path))
            .and_then(|()| uninterrupted(|| dir.rename(&spare.name, &name)).map_err(LogError::io("rename", &path)));
        if let Err(error) = started {
            self.spare = Some(spare);
            return Err(error);
        }
        let number = self.name_number + 1;
        let (before_name, before_number) = (std::mem::replace(&mut self.name, name), self.name_number);
        let before_file = std::mem::replace(&mut self.file, spare.file);
        // An empty segment has had this name, and is gone.
        if self.next_lsn > self.header.first_lsn {
            let last_lsn = self.next_lsn - 1;
            if last_lsn > self.durable_lsn {
                self.left.push(Left { file: before_file, last_lsn });
            }
            let first_lsn = self.header.first_lsn;
            self.older.push(Older { name: before_name, name_number: before_number, first_lsn, bytes: self.offset });
        }
        (self.header, self.seed, self.name_number) = (header, header.seed(), number);
        self.offset = HEADER_BYTES as u64;
        self.prepared = (self.offset, spare.bytes);
        (self.dirty_end, self.zeroing) = (0, None);
        Ok(())
    }

    fn spare_name(&mut self) -> String {
        self.spares_made += 1;
        temporary_name(self.header.shard, self.spares_made)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

fn temporary_name(shard: u16, number: u64) -> String {
    format!("log-{shard:04}-{number}.wal{TEMPORARY_SUFFIX}")
}

/// What makes the records that were written up to some moment durable.
#[derive(Debug)]
pub struct SyncJob {
    files: Vec<Arc<dyn File>>,
    dir: Option<Arc<dyn Dir>>,
    name_number: u64,
    durable_name: Arc<AtomicU64>,
    last_lsn: u64,
}

impl SyncJob {
    /// Does it, and says up to which record the log is on disk now. After an error nobody knows what is: it must not be
    /// tried again, since the system may have dropped what it could not write.
    pub fn run(&self) -> io::Result<u64> {
        for file in &self.files {
            uninterrupted(|| file.sync_data())?;
        }
        if let Some(dir) = &self.dir {
            uninterrupted(|| dir.sync())?;
            self.durable_name.fetch_max(self.name_number, Ordering::AcqRel);
        }
        Ok(self.last_lsn)
    }
}
