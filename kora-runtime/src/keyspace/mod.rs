//! The keyspace of one shard: sixteen databases and the seeds their keys are hashed with.
//!
//! Owns: databases as wholes (flush, swap). Refuses to know: commands, replies, other shards.
//! Begin reading at [`database::Database`].

pub mod database;
pub mod draft;
pub mod entry;
pub mod event;
pub mod saving;
pub mod typed;

use ahash::RandomState;

pub use database::{Database, Detached};
pub use draft::Draft;
pub use entry::{Entry, Kind};
pub use event::{Event, EventClass};
pub use saving::{SaveOptions, Saved};

pub use crate::limits::DATABASES;
use crate::types::hash_of;

/// All keys of one shard.
#[derive(Debug)]
pub struct Keyspace {
    databases: Vec<Database>,
    seeds: RandomState,
}

impl Keyspace {
    /// An empty keyspace whose tables hash with `seeds`.
    pub fn new(seeds: RandomState) -> Self {
        Self { databases: (0..DATABASES).map(|_| Database::default()).collect(), seeds }
    }

    /// The hash of a key, the same on every shard.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        hash_of(&self.seeds, key)
    }

    /// The seeds of all tables.
    #[inline]
    pub fn seeds(&self) -> &RandomState {
        &self.seeds
    }

    /// One database. `index` has been checked against [`DATABASES`].
    #[inline]
    pub fn database(&self, index: usize) -> &Database {
        &self.databases[index]
    }

    /// One database and the seeds, to change.
    #[inline]
    pub fn database_mut(&mut self, index: usize) -> (&mut Database, &RandomState) {
        (&mut self.databases[index], &self.seeds)
    }

    /// Exchanges two databases.
    pub fn swap(&mut self, one: usize, other: usize) {
        self.databases.swap(one, other);
    }

    /// Empties a database; what was in it is handed back to be dropped in slices.
    pub fn flush(&mut self, index: usize) -> Database {
        std::mem::take(&mut self.databases[index])
    }

    /// True when a snapshot is still to have the value of a key that takes it more than a moment.
    pub fn is_saving_large(&self, db: usize, key: &[u8]) -> bool {
        self.database(db).is_saving_large(self.hash(key), key)
    }

    /// Keys in all databases.
    pub fn len(&self) -> usize {
        self.databases.iter().map(Database::len).sum()
    }

    /// True without any key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
