//! Making room ahead of the log, away from the shard.
//!
//! Owns: zeroing a piece of a segment while its log goes on, and making the next segment's file. Refuses to know: on
//! which thread, and when. Start at [`PrepareJob::run`].
//!
//! The log may catch up with the piece that is being zeroed. It then stops the job ([`Zone::stop`]), and what matters
//! is only the one chunk that may be half written: the log stays out of it.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::LogError;
use crate::dir::{Dir, File, uninterrupted, write_all_at};

/// Bytes that are zeroed by one call.
const CHUNK_BYTES: u64 = 128 << 10;
const STOPPED: u64 = u64::MAX;

/// Room to be made. Give it back with [`LogWriter::prepared`](super::LogWriter::prepared), whether it ran well or not.
#[derive(Debug)]
pub struct PrepareJob {
    pub(super) work: Work,
}

#[derive(Debug)]
pub(super) enum Work {
    /// A piece of the segment in use.
    Zero { file: Arc<dyn File>, zone: Arc<Zone> },
    /// The file of the next segment.
    Make { dir: Arc<dyn Dir>, name: String, bytes: u64, made: OnceLock<Arc<dyn File>> },
}

impl PrepareJob {
    /// Does it. An error costs nothing but the room: of what the log holds nothing is lost.
    pub fn run(&self) -> io::Result<()> {
        match &self.work {
            Work::Zero { file, zone } => zone.fill(&**file),
            Work::Make { dir, name, bytes, made } => {
                let file = make(&**dir, name, *bytes).inspect_err(|_| {
                    // What a full disk has room for is better left to the log.
                    let _ = dir.remove(name);
                })?;
                drop(made.set(file));
                Ok(())
            }
        }
    }
}

/// A new file of zeroes that is on disk, but for its name.
fn make(dir: &dyn Dir, name: &str, bytes: u64) -> io::Result<Arc<dyn File>> {
    let file = uninterrupted(|| dir.create(name))?;
    Zone::new(0, bytes).fill(&*file)?;
    // Nobody relies on this file yet, so a sync that fails costs the file only.
    uninterrupted(|| file.sync_all())?;
    Ok(file)
}

/// The piece of a file that one job zeroes, chunk by chunk.
#[derive(Debug)]
pub(super) struct Zone {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Where the next chunk begins, or [`STOPPED`].
    claimed: AtomicU64,
    zeroed: AtomicU64,
}

impl Zone {
    pub(super) fn new(start: u64, end: u64) -> Self {
        Self { start, end, claimed: AtomicU64::new(start), zeroed: AtomicU64::new(start) }
    }

    fn fill(&self, file: &dyn File) -> io::Result<()> {
        let zeroes = vec![0; CHUNK_BYTES.min(self.end - self.start) as usize];
        let mut start = self.start;
        while start < self.end {
            let end = (start + CHUNK_BYTES).min(self.end);
            if self.claimed.compare_exchange(start, end, Ordering::AcqRel, Ordering::Acquire).is_err() {
                break; // The log has come here by itself.
            }
            write_all_at(file, &zeroes[..(end - start) as usize], start)?;
            self.zeroed.store(end, Ordering::Release);
            start = end;
        }
        Ok(())
    }

    /// No further chunk is begun; says where the last one that was begun ends, to the first who asks.
    pub(super) fn stop(&self) -> Option<u64> {
        let claimed = self.claimed.swap(STOPPED, Ordering::AcqRel);
        (claimed != STOPPED).then_some(claimed)
    }

    /// Up to where it is surely zeroed, from its start.
    pub(super) fn zeroed(&self) -> u64 {
        self.zeroed.load(Ordering::Acquire)
    }
}

/// A file that waits to become a segment.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) file: Arc<dyn File>,
    pub(super) name: String,
    /// Bytes from its beginning that need no room any more.
    pub(super) bytes: u64,
}

impl Spare {
    /// A file without room of its own, made in haste.
    pub(super) fn make(dir: &dyn Dir, name: String) -> Result<Self, LogError> {
        let file = uninterrupted(|| dir.create(&name)).map_err(LogError::io("create", &dir.path().join(&name)))?;
        Ok(Self { file, name, bytes: 0 })
    }

    /// Gives it up; one that cannot be removed now is swept away at the next start.
    pub(super) fn remove(self, dir: &dyn Dir) {
        let _ = uninterrupted(|| dir.remove(&self.name));
    }

    pub(super) fn path(&self, dir: &Path) -> std::path::PathBuf {
        dir.join(&self.name)
    }
}
