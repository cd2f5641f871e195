//! What survives the process: logs and snapshots of a data directory, and how the shards get back what is in them.
//!
//! Owns: the threads that write and sync, the order of loading, when the manifest changes. Refuses to know: bytes of files (kora-storage), what keys and
//! commands are (kora-runtime).
//! Start at [`Store::open`]; then [`load`] fills the shards, [`log`] writes what they log, and [`snapshot`] what they save.

mod bare;
pub mod directory;
pub mod exchange;
pub mod load;
pub mod log;
mod rdb_out;
pub mod snapshot;
pub mod store;
mod upkeep;

pub use directory::{DataDirectory, DataDirectoryError, Rules, draw_seeds};
pub use store::{Fatal, Store, StoreError, StoreOptions};

/// What the routing hash makes of these seeds: it differs between builds whose hashes differ.
pub fn fingerprint(seeds: [u64; 4]) -> u64 {
    kora_runtime::shard::routing::fingerprint(&kora_runtime::keyspace::typed::random_state(seeds))
}
