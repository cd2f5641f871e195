//! A file of RDB becomes the data of a directory.
//!
//! Owns: which directories may be filled, and the order in which that reaches the disk. Refuses to know: what is in the file.
//! Start at [`import`].
//!
//! Until the manifest is written, at the very end, the directory has what it had before: a file that turns out to be damaged, or a crash, changes nothing.

use std::fs::File;
use std::path::{Path, PathBuf};

use kora_runtime::shard::Shard;
use kora_runtime::shard::loading::{Expired, Progress};
use kora_storage::dir::{Dir, uninterrupted};
use kora_storage::lock::DirectoryLock;
use kora_storage::manifest::{Manifest, snapshot_name, sweep};
use kora_storage::rdb::RdbFile;
use kora_storage::recovery::{Mode, recover};

use super::super::directory::{DataDirectoryError, draw_seeds};
use super::{ExchangeError, HANDED_OVER, directory, load_all, save, shards_of};

/// What is to be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportOptions {
    /// The file of RDB.
    pub file: PathBuf,
    /// The data directory; it is made if it is not there.
    pub directory: PathBuf,
    /// For how many shards it is to be.
    pub shards: usize,
    /// What is in the directory is replaced.
    pub force: bool,
}

/// What was imported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// Keys that are in the directory now.
    pub keys: u64,
    /// Keys of the file that had expired.
    pub expired: u64,
    /// Libraries of functions.
    pub functions: u64,
    /// What was left out, and why; a line each.
    pub skipped: Vec<String>,
}

/// Fills a data directory with what a file has. The directory keeps its seeds and its rules, if it has any yet.
///
/// # Errors
/// When the file is damaged, or the directory is in use, has data, or cannot be written. Its data is as it was then.
pub fn import(options: &ImportOptions) -> Result<Imported, ExchangeError> {
    let ImportOptions { file, directory: path, shards, force } = options;
    let source = File::open(file).map_err(ExchangeError::io("open", file))?;
    let mut source = RdbFile::open(&file.display().to_string(), Box::new(source))?;
    let _lock = DirectoryLock::acquire(path).map_err(DataDirectoryError::from)?;
    let dir = directory(path)?;
    let old = Manifest::read(&dir)?;
    if let Some(old) = &old
        && !force
        && !is_empty(&dir, old)?
    {
        return Err(ExchangeError::Occupied(path.clone()));
    }
    let mut manifest = match old {
        Some(old) => old,
        None => {
            let routing_seeds = draw_seeds();
            Manifest {
                shards: 0,
                routing_seeds,
                fingerprint: 0,
                locality: String::new(),
                pinned_databases: 0,
                incarnation: 0,
                generation: 0,
                has_log: false,
                first_lsns: Vec::new(),
            }
        }
    };
    let mut all = shards_of(&manifest, path, 1)?.remove(0);
    let progress = load_all(&mut all, &mut source, file, Expired::Dropped)?;
    let mut owners = shards_of(&manifest, path, *shards)?;
    deal(&mut all, &mut owners).map_err(|source| ExchangeError::Load { path: file.clone(), source })?;

    manifest.generation += 1;
    manifest.incarnation += 1;
    manifest.fingerprint = super::super::fingerprint(manifest.routing_seeds);
    manifest.has_log = false;
    // No log belongs to this; those that begin anew are numbered past what there ever was a snapshot of.
    let first_lsn = manifest.first_lsns.iter().copied().max().unwrap_or(1);
    (manifest.shards, manifest.first_lsns) = (owners.len() as u32, vec![first_lsn; owners.len()]);
    let keys = save_all(&mut owners, &dir, &manifest)?;
    manifest.write(&dir)?;
    sweep(&dir, &manifest, 0)?;
    let Progress { expired, functions, skipped, .. } = progress;
    Ok(Imported { keys, expired, functions, skipped })
}

/// True when nothing was ever kept in a directory.
fn is_empty(dir: &dyn Dir, manifest: &Manifest) -> Result<bool, ExchangeError> {
    if manifest.generation > 0 {
        return Ok(false);
    }
    let logs = recover(dir, manifest, Mode::Inspect)?.logs;
    Ok(logs.iter().all(|log| log.next_lsn == log.first_lsn))
}

/// Hands all that a shard has to the owners by the new routing.
fn deal(all: &mut Shard, owners: &mut [Shard]) -> Result<(), kora_runtime::shard::loading::LoadError> {
    let functions = all.function_records();
    owners.iter_mut().try_for_each(|owner| owner.load_function_records(&functions))?;
    while all.hand_over_some(HANDED_OVER, &mut |db, key, value| {
        let owner = owners[0].owner(db, key);
        owners[owner].take_over(db, key, value);
    }) {}
    Ok(())
}

/// Writes the files of a snapshot, which nobody knows of yet. Its keys.
fn save_all(owners: &mut [Shard], dir: &dyn Dir, manifest: &Manifest) -> Result<u64, ExchangeError> {
    let shards = owners.len().to_string();
    let mut keys = 0;
    for (number, owner) in (0_u16..).zip(owners) {
        let name = snapshot_name(manifest.generation, number);
        let temporary = format!("{name}.tmp");
        let facts = [("kora-shard", &*number.to_string()), ("kora-shards", &*shards)];
        keys += save(owner, dir, &temporary, &facts)?.0;
        let path = |name: &str| -> PathBuf { Path::new(dir.path()).join(name) };
        uninterrupted(|| dir.rename(&temporary, &name)).map_err(ExchangeError::io("rename", &path(&temporary)))?;
    }
    uninterrupted(|| dir.sync()).map_err(ExchangeError::io("sync", dir.path()))?;
    Ok(keys)
}
