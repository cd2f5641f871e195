//! The data directory: locked, and with a manifest that fits.
//!
//! Owns: when the manifest is made, and drawing the routing seeds. Refuses to know: the bytes (kora-storage) and how
//! keys are routed.
//! Start at [`DataDirectory::open`].

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;

use kora_storage::lock::{DirectoryLock, LockError};
use kora_storage::manifest::{Manifest, ManifestError};

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataDirectoryError {
    /// It is in use, or cannot be created or locked.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Its manifest is damaged, or cannot be read or written.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// A data directory that is ours until this is dropped.
#[derive(Debug)]
pub struct DataDirectory {
    /// The right to use it.
    pub lock: DirectoryLock,
    /// What holds from now on.
    pub manifest: Manifest,
    /// What held when it was last used, if keys belong to other shards now; they must be routed anew when they are
    /// loaded.
    pub rerouted_from: Option<Manifest>,
}

impl DataDirectory {
    /// Takes the directory for this many shards, and makes it if it is not there. `fingerprint` is what the running
    /// hash makes of seeds.
    pub fn open(
        directory: &Path,
        shards: u32,
        fingerprint: impl Fn([u64; 4]) -> u64,
    ) -> Result<Self, DataDirectoryError> {
        let lock = DirectoryLock::acquire(directory)?;
        let found = Manifest::read(directory)?;
        let routing_seeds = found.map_or_else(draw_seeds, |found| found.routing_seeds);
        let manifest = Manifest { shards, routing_seeds, fingerprint: fingerprint(routing_seeds) };
        if found != Some(manifest) {
            // No file of keys stands beside the manifest yet; once one does, it is loaded before the manifest changes.
            manifest.write(directory)?;
        }
        Ok(Self { lock, manifest, rerouted_from: found.filter(|found| *found != manifest) })
    }
}

/// Seeds that nobody outside can guess: clients that could, could send all their keys to one shard.
pub fn draw_seeds() -> [u64; 4] {
    // The standard library's hasher is keyed by the operating system's random numbers; what it makes of nothing
    // depends on its key alone.
    std::array::from_fn(|_| RandomState::new().build_hasher().finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(directory: &Path, shards: u32, hash_version: u64) -> Result<DataDirectory, DataDirectoryError> {
        DataDirectory::open(directory, shards, |seeds| seeds[0] ^ hash_version)
    }

    #[test]
    fn seeds_are_drawn_once_for_a_directory() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let first = open(place.path(), 2, 1).expect("a new directory");
        assert_eq!((first.manifest.shards, first.rerouted_from), (2, None));
        let manifest = first.manifest;
        drop(first);

        let again = open(place.path(), 2, 1).expect("the same directory");
        assert_eq!((again.manifest, again.rerouted_from), (manifest, None));
        drop(again);

        let other = tempfile::tempdir().expect("a temporary directory");
        let other = open(other.path(), 2, 1).expect("a new directory");
        assert_ne!(other.manifest.routing_seeds, manifest.routing_seeds);
    }

    #[test]
    fn another_number_of_shards_or_another_hash_routes_anew() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let first = open(place.path(), 2, 1).expect("a new directory").manifest;
        let second = open(place.path(), 3, 1).expect("the same directory");
        assert_eq!(second.rerouted_from, Some(first));
        assert_eq!(second.manifest, Manifest { shards: 3, ..first });
        drop(second);
        let third = open(place.path(), 3, 2).expect("the same directory");
        assert_eq!(third.rerouted_from, Some(Manifest { shards: 3, ..first }));
        assert_eq!(third.manifest.routing_seeds, first.routing_seeds);
        drop(third);
        assert_eq!(open(place.path(), 3, 2).expect("the same directory").rerouted_from, None);
    }

    #[test]
    fn a_directory_in_use_or_with_a_damaged_manifest_is_refused() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let first = open(place.path(), 2, 1).expect("a new directory");
        assert!(matches!(open(place.path(), 2, 1), Err(DataDirectoryError::Lock(LockError::InUse { .. }))));
        drop(first);
        let path = place.path().join(kora_storage::manifest::FILE_NAME);
        std::fs::write(&path, "KORAMANI").expect("a writable directory");
        let error = open(place.path(), 2, 1).expect_err("the manifest is damaged").to_string();
        assert_eq!(error, format!("{} at offset 8: the file ends here, 60 bytes were expected", path.display()));
        assert_eq!(
            std::fs::read(&path).expect("it is there"),
            b"KORAMANI",
            "what is damaged is kept for a closer look"
        );
    }
}
