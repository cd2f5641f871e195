//! One file of RDB for a whole data directory, into it and out of it, while no server runs on it.
//!
//! Owns: what both ways share: shards without threads, their errors, the file at the end of a shard. Refuses to know: the command line.
//! Start at [`import()`] and [`export()`].
//!
//! Both go through one shard that has everything, by the directory's own seeds: its keys are handed to the shards of the directory, or taken from them. So every key
//! is in memory once, and one thread does it all.

mod export;
mod import;

use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use kora_runtime::config::Config;
use kora_runtime::host::SnapshotSink;
use kora_runtime::shard::Shard;
use kora_runtime::shard::loading::{Expired, LoadError, Progress};
use kora_runtime::shard::saving::SaveError;
use kora_storage::dir::{Dir, RealDir};
use kora_storage::manifest::{Manifest, ManifestError};
use kora_storage::rdb::{RdbError, RdbFile};
use kora_storage::recovery::RecoveryError;

pub use export::{Exported, export};
pub use import::{ImportOptions, Imported, import};

use super::bare::bare_shard;
use super::directory::{DataDirectoryError, Rules};
use super::rdb_out::RdbOut;
use crate::clock::Clock;
use crate::host::ProcessHost;

/// Items of a file that are loaded at a time.
const ITEMS: usize = 4096;
/// Keys that are handed over at a time.
const HANDED_OVER: usize = 4096;

/// Why nothing was imported or exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The data directory is in use, or its rules are not known.
    #[error(transparent)]
    Directory(#[from] DataDirectoryError),
    /// Its manifest is damaged, or cannot be read or written.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Its logs are damaged.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// What its logs have cannot be run again.
    #[error("record {lsn} of shard {shard}'s log: {why}")]
    Replay {
        /// The shard.
        shard: usize,
        /// The record.
        lsn: u64,
        /// What is wrong.
        why: String,
    },
    /// There is no data directory.
    #[error("{} is no data directory: it has no manifest", .0.display())]
    NoManifest(PathBuf),
    /// Importing would replace what is there.
    #[error("{} has data already; --force replaces it", .0.display())]
    Occupied(PathBuf),
    /// Exporting would replace a file.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// The file is no RDB, or damaged.
    #[error(transparent)]
    Rdb(#[from] RdbError),
    /// What is in a file cannot be loaded.
    #[error("{}: {source}", .path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: LoadError,
    },
    /// A file could not be read or written.
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io {
        /// `open`, `write`, …
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {why}", .path.display())]
    Save {
        /// The file.
        path: PathBuf,
        /// What was said of it.
        why: String,
    },
}

impl ExchangeError {
    /// True when it is not the data directory that is to be looked at.
    pub fn is_about_the_file(&self) -> bool {
        matches!(self, Self::Exists(_) | Self::Rdb(_) | Self::Load { .. } | Self::Io { .. } | Self::Save { .. })
    }

    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}

/// A directory that must be there.
fn directory(path: &Path) -> Result<RealDir, ExchangeError> {
    RealDir::open(path).map_err(|source| DataDirectoryError::Open { directory: path.to_owned(), source }.into())
}

/// Shards without threads, of a directory with this manifest. `shards` may be another number than the manifest's.
fn shards_of(manifest: &Manifest, path: &Path, shards: usize) -> Result<Vec<Shard>, ExchangeError> {
    let Rules { locality, pinned_databases } = Rules::of(manifest, path)?;
    let config = Config { shards, locality, pinned_databases, ..Config::default() };
    let host = Arc::new(ProcessHost::new(0, None, &config));
    let now_ms = Clock::System.now_ms();
    let shard = |id| bare_shard(id, shards, manifest.routing_seeds, config.clone(), &host, now_ms);
    Ok((0..shards).map(shard).collect())
}

/// Loads all of a file, which errors call `path`, into a shard.
fn load_all(
    shard: &mut Shard,
    file: &mut RdbFile<'_>,
    path: &Path,
    expired: Expired,
) -> Result<Progress, ExchangeError> {
    let mut progress = Progress::default();
    let told = |source| ExchangeError::Load { path: path.to_owned(), source };
    while shard.load_some(file, &mut progress, expired, ITEMS).map_err(told)? {}
    Ok(progress)
}

/// Writes all that a shard has to a new file, which is on disk then. Its keys and bytes.
fn save(shard: &mut Shard, dir: &dyn Dir, name: &str, facts: &[(&str, &str)]) -> Result<(u64, u64), ExchangeError> {
    let path = dir.path().join(name);
    let file = dir.create(name).map_err(ExchangeError::io("create", &path))?;
    let out = RdbOut::begin(file, true, Clock::System.now_ms() / 1000, facts);
    let out = out.map_err(ExchangeError::io("write", &path))?;
    let size = Rc::new(Cell::new((0, 0)));
    let sink = FileSink { out, failure: None, size: Rc::clone(&size) };
    let saved = shard.save_to(Box::new(sink)).map_err(|error| match error {
        SaveError::Refused(why) => format!("{why:?}"),
        SaveError::Failed(why) => why,
    });
    match saved {
        Ok(()) => Ok(size.get()),
        Err(why) => {
            // The first failure is the one to tell of.
            let _ = dir.remove(name);
            Err(ExchangeError::Save { path, why })
        }
    }
}

/// A file at the end of a shard.
struct FileSink {
    out: RdbOut,
    failure: Option<io::Error>,
    size: Rc<Cell<(u64, u64)>>,
}

impl SnapshotSink for FileSink {
    fn has_room(&self) -> bool {
        true
    }

    fn write(&mut self, bytes: Vec<u8>, _keys: u64) {
        if self.failure.is_none() {
            self.failure = self.out.put(&bytes).err();
        }
    }

    fn abandon(self: Box<Self>, _why: &str) {
        // Whoever saves hears of it, and removes the file.
    }

    fn finish(self: Box<Self>, keys: u64) {
        // Only slices in the background end like this.
        let _ = self.finish_and_wait(keys);
    }

    fn finish_and_wait(self: Box<Self>, keys: u64) -> Result<(), String> {
        let bytes = match self.failure {
            Some(failure) => Err(failure),
            None => self.out.end(),
        };
        self.size.set((keys, bytes.map_err(|error| error.to_string())?));
        Ok(())
    }
}
