//! Keys that clients watch, at the shard that owns them.
//!
//! Owns: who watches what, and whether it has changed since. Refuses to know: where the watchers are connected, what EXEC does.
//! Start at [`Watches::touched`]; WATCH adds, EXEC asks [`failed`], UNWATCH and everything that ends a transaction removes.
//!
//! A watcher is its client's id, which is unique in the process: its session may live on another shard.

use std::collections::{BTreeMap, HashMap};

use ahash::RandomState;

use super::core::Core;
use super::cx::ShardCx;
use super::fault::Fault;
use super::message::Call;
use crate::limits::DATABASES;

#[derive(Debug, Default)]
struct Watcher {
    changed: bool,
    keys: Vec<(u8, Box<[u8]>)>,
}

/// The watched keys of one shard.
#[derive(Debug)]
pub struct Watches {
    databases: Vec<HashMap<Box<[u8]>, Vec<u64>, RandomState>>,
    watchers: BTreeMap<u64, Watcher>,
}

impl Watches {
    /// Nothing is watched; the tables hash with `seeds`.
    pub fn new(seeds: &RandomState) -> Self {
        let databases = (0..DATABASES).map(|_| HashMap::with_hasher(seeds.clone())).collect();
        Self { databases, watchers: BTreeMap::new() }
    }

    /// True when nobody watches anything here.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.watchers.is_empty()
    }

    /// Clients that watch something here.
    pub fn len(&self) -> usize {
        self.watchers.len()
    }

    /// Keys that are watched here.
    pub fn keys_len(&self) -> usize {
        self.databases.iter().map(HashMap::len).sum()
    }

    /// `client` watches a key from now on.
    pub fn add(&mut self, client: u64, db: u8, key: &[u8]) {
        let watchers = self.databases[usize::from(db)].entry(key.into()).or_default();
        if watchers.contains(&client) {
            return;
        }
        watchers.push(client);
        self.watchers.entry(client).or_default().keys.push((db, key.into()));
    }

    /// `client` watches nothing here any more.
    pub fn remove(&mut self, client: u64) {
        let Some(watcher) = self.watchers.remove(&client) else { return };
        for (db, key) in watcher.keys {
            let database = &mut self.databases[usize::from(db)];
            let Some(watchers) = database.get_mut(&key) else { continue };
            watchers.retain(|other| *other != client);
            if watchers.is_empty() {
                database.remove(&key);
            }
        }
    }

    /// A key changed.
    pub fn touched(&mut self, db: u8, key: &[u8]) {
        let Some(watchers) = self.databases[usize::from(db)].get(key) else { return };
        for client in watchers {
            if let Some(watcher) = self.watchers.get_mut(client) {
                watcher.changed = true;
            }
        }
    }

    /// The watched keys of a database.
    fn keys_of(&self, db: u8) -> Vec<Box<[u8]>> {
        self.databases[usize::from(db)].keys().cloned().collect()
    }
}

/// Marks the watched keys of `db` that exist as changed: the database is about to be emptied or exchanged.
pub fn touch_existing(core: &mut Core, db: u8) {
    for key in core.watches.keys_of(db) {
        if ShardCx::new(core, Call::internal(db)).find(&key).is_some() {
            core.watches.touched(db, &key);
        }
    }
}

/// True when something that `client` watches here has changed or expired since. The client watches nothing here afterwards.
pub fn failed(core: &mut Core, client: u64) -> bool {
    let Some(watcher) = core.watches.watchers.get(&client) else { return false };
    let keys = watcher.keys.clone();
    for (db, key) in keys {
        // Looking at a key that has expired removes it, which is a change.
        ShardCx::new(core, Call::internal(db)).find(&key);
    }
    let changed = core.watches.watchers.get(&client).is_some_and(|watcher| watcher.changed);
    let changed = changed && !core.is_wrong_by(Fault::IgnoredVotes);
    core.watches.remove(client);
    core.listen_anew();
    changed
}
