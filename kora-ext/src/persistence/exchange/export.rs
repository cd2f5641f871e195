//! The data of a directory becomes a file of RDB.
//!
//! Owns: the order in which the directory's files are read, and the name that the file gets in the end. Refuses to know: what is in them.
//! Start at [`export`].
//!
//! The directory is locked meanwhile, so the lock file names this process; nothing else in it changes. What recovery would leave out is left out.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kora_runtime::shard::Shard;
use kora_runtime::shard::loading::Expired;
use kora_storage::dir::{Dir, File, RealDir, read_at_most, uninterrupted};
use kora_storage::lock::DirectoryLock;
use kora_storage::manifest::{Manifest, snapshot_name};
use kora_storage::rdb::{RdbFile, Source};
use kora_storage::recovery::{Mode, ShardLog, recover};

use super::super::directory::DataDirectoryError;
use super::{ExchangeError, HANDED_OVER, directory, load_all, save, shards_of};

/// What was exported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exported {
    /// Keys in the file.
    pub keys: u64,
    /// Its length.
    pub bytes: u64,
    /// What recovery, or loading the directory's snapshot, had to say; a line each.
    pub reports: Vec<String>,
}

/// Writes everything in a data directory to a new file.
///
/// # Errors
/// When the directory is none, in use or damaged, or the file is there or cannot be written.
pub fn export(file: &Path, path: &Path) -> Result<Exported, ExchangeError> {
    let no_name = || ExchangeError::io("create", file)(std::io::ErrorKind::InvalidInput.into());
    let name = file.file_name().and_then(|name| name.to_str()).ok_or_else(no_name)?;
    let place = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let place = RealDir::open(place).map_err(ExchangeError::io("open", place))?;
    if uninterrupted(|| file.try_exists()).map_err(ExchangeError::io("look for", file))? {
        return Err(ExchangeError::Exists(file.to_owned()));
    }
    let dir = directory(path)?;
    if Manifest::read(&dir)?.is_none() {
        return Err(ExchangeError::NoManifest(path.to_owned()));
    }
    let _lock = DirectoryLock::acquire(path).map_err(DataDirectoryError::from)?;
    let manifest = Manifest::read(&dir)?.ok_or_else(|| ExchangeError::NoManifest(path.to_owned()))?;
    let recovered = recover(&dir, &manifest, Mode::Inspect)?;
    let mut reports = recovered.reports.clone();
    let mut all = shards_of(&manifest, path, 1)?.remove(0);
    for (number, mut shard) in shards_of(&manifest, path, manifest.shards as usize)?.into_iter().enumerate() {
        load(&mut shard, &dir, &manifest, number, &mut reports)?;
        replay(&mut shard, &dir, &recovered.logs[number], number)?;
        if number == 0 {
            let functions = shard.function_records();
            all.load_function_records(&functions)
                .map_err(|source| ExchangeError::Load { path: path.to_owned(), source })?;
        }
        gather(&mut shard, &mut all);
    }
    let temporary = format!("{name}.tmp");
    let (keys, bytes) = save(&mut all, &place, &temporary, &[])?;
    uninterrupted(|| place.rename(&temporary, name)).map_err(ExchangeError::io("rename", file))?;
    uninterrupted(|| place.sync()).map_err(ExchangeError::io("sync", place.path()))?;
    Ok(Exported { keys, bytes, reports })
}

/// A file that is read from its beginning.
struct FromStart {
    file: Arc<dyn File>,
    at: u64,
}

impl Source for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = read_at_most(&*self.file, buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Fills a shard from its snapshot, if there is one.
fn load(
    shard: &mut Shard,
    dir: &dyn Dir,
    manifest: &Manifest,
    number: usize,
    reports: &mut Vec<String>,
) -> Result<(), ExchangeError> {
    if manifest.generation == 0 {
        return Ok(());
    }
    let name = snapshot_name(manifest.generation, number as u16);
    let path: PathBuf = dir.path().join(&name);
    let file = uninterrupted(|| dir.open(&name)).map_err(ExchangeError::io("open", &path))?;
    let mut file = RdbFile::open(&path.display().to_string(), Box::new(FromStart { file, at: 0 }))?;
    // Only a log can bring back to life what has expired by now.
    let expired = if manifest.has_log { Expired::Kept } else { Expired::Dropped };
    let progress = load_all(shard, &mut file, &path, expired)?;
    reports.extend(progress.skipped.into_iter().map(|what| format!("{name}: left out: {what}")));
    Ok(())
}

/// Runs a shard's log again.
fn replay(shard: &mut Shard, dir: &dyn Dir, log: &ShardLog, number: usize) -> Result<(), ExchangeError> {
    let mut outcome = Ok(());
    log.read(dir, &mut |record| match shard.replay(record.payload) {
        Ok(_) => ControlFlow::Continue(()),
        Err(why) => {
            outcome = Err(ExchangeError::Replay { shard: number, lsn: record.lsn, why: why.to_string() });
            ControlFlow::Break(())
        }
    })?;
    outcome
}

/// Hands all keys of a shard to the one that has everything.
fn gather(shard: &mut Shard, all: &mut Shard) {
    while shard.hand_over_some(HANDED_OVER, &mut |db, key, value| all.take_over(db, key, value)) {}
}
