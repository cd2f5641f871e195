//! Which clients are to hear when a key of this shard changes.
//!
//! Owns: the table from keys to the ids of clients that read them. Refuses to know: whether those clients are still there, what they are told.
//! Start at [`KeyTable::remember`] and [`KeyTable::take`]. As in Redis the table has no databases: a key is its name, in all of them.

use std::collections::HashSet;

use ahash::RandomState;

use crate::limits::{DROP_SLICE_ELEMENTS, TRACKING_SLICE_SEGMENTS};
use crate::types::hash_of;
use crate::types::table::Table;

/// A key that somebody has read since it last changed.
#[derive(Debug)]
struct Read {
    key: Box<[u8]>,
    /// Client ids, in order.
    clients: Vec<u64>,
}

/// Who has read what.
#[derive(Debug)]
pub struct KeyTable {
    seeds: RandomState,
    table: Table<Read>,
    items: usize,
    /// Clients that have gone and may still be named in the part of the table that the walk has not reached.
    gone: HashSet<u64, RandomState>,
    /// Those that went after the walk began: they need one of their own.
    gone_since: HashSet<u64, RandomState>,
    /// Where the walk goes on; 0 before it begins.
    position: u64,
    /// Tables that were given up, to be dropped in slices.
    dropped: Vec<Table<Read>>,
}

impl KeyTable {
    /// A table without keys.
    pub fn new(seeds: RandomState) -> Self {
        Self {
            table: Table::new(),
            items: 0,
            gone: HashSet::with_hasher(seeds.clone()),
            gone_since: HashSet::with_hasher(seeds.clone()),
            position: 0,
            dropped: Vec::new(),
            seeds,
        }
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// True without keys.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Number of pairs of a key and a client.
    pub fn items(&self) -> usize {
        self.items
    }

    /// Notes that a client has read a key.
    pub fn remember(&mut self, key: &[u8], client: u64) {
        let hash = hash_of(&self.seeds, key);
        let Some(slot) = self.table.find(hash, |read| *read.key == *key) else {
            let seeds = &self.seeds;
            let read = Read { key: key.into(), clients: vec![client] };
            self.table.insert(hash, read, false, |read| hash_of(seeds, &read.key));
            self.items += 1;
            return;
        };
        let clients = &mut self.table.get_mut(slot).clients;
        if let Err(at) = clients.binary_search(&client) {
            clients.insert(at, client);
            self.items += 1;
        }
    }

    /// Takes a key out, with the clients that have read it.
    pub fn take(&mut self, key: &[u8]) -> Option<Vec<u64>> {
        let slot = self.table.find(hash_of(&self.seeds, key), |read| *read.key == *key)?;
        let seeds = &self.seeds;
        let read = self.table.remove(slot, |read| hash_of(seeds, &read.key));
        self.items -= read.clients.len();
        Some(read.clients)
    }

    /// Takes any key out.
    pub fn take_any(&mut self, random: u64) -> Option<(Box<[u8]>, Vec<u64>)> {
        let slot = self.table.sample_slot(random)?;
        let seeds = &self.seeds;
        let read = self.table.remove(slot, |read| hash_of(seeds, &read.key));
        self.items -= read.clients.len();
        Some((read.key, read.clients))
    }

    /// Gives all keys up.
    pub fn clear(&mut self) {
        if !self.table.is_empty() {
            self.dropped.push(std::mem::take(&mut self.table));
        }
        self.items = 0;
        self.position = 0;
        self.gone.clear();
        self.gone_since.clear();
    }

    /// Has a client that is no more taken out of the table, a slice at a time. Ids are never used again.
    pub fn forget(&mut self, client: u64) {
        if self.table.is_empty() {
            return;
        }
        let set = if self.position == 0 { &mut self.gone } else { &mut self.gone_since };
        set.insert(client);
    }

    /// One slice of dropping and forgetting. True while there is more.
    pub fn tidy(&mut self) -> bool {
        if let Some(table) = self.dropped.last_mut() {
            table.drain_some(DROP_SLICE_ELEMENTS, &mut drop);
            if table.is_empty() {
                self.dropped.pop();
            }
        }
        for _ in 0..TRACKING_SLICE_SEGMENTS {
            if self.gone.is_empty() || self.tidy_segment() == 0 {
                break;
            }
        }
        !self.dropped.is_empty() || !self.gone.is_empty()
    }

    /// Takes the clients that have gone out of one segment; returns where the next one lies, 0 after the last.
    fn tidy_segment(&mut self) -> u64 {
        let Self { seeds, table, gone, .. } = self;
        let rehash = |read: &Read| hash_of(seeds, &read.key);
        let mut stale: Vec<Box<[u8]>> = Vec::new();
        let next = table.scan(self.position, rehash, &mut |read| {
            if read.clients.iter().any(|client| gone.contains(client)) {
                stale.push(read.key.clone());
            }
        });
        for key in stale {
            let slot = table.find(hash_of(seeds, &key), |read| read.key == key).expect("it was seen just now");
            let clients = &mut table.get_mut(slot).clients;
            let before = clients.len();
            clients.retain(|client| !gone.contains(client));
            self.items -= before - clients.len();
            if clients.is_empty() {
                table.remove(slot, rehash);
            }
        }
        self.position = next;
        if next == 0 {
            self.gone = std::mem::replace(&mut self.gone_since, HashSet::with_hasher(self.seeds.clone()));
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::typed::random_state;

    fn table() -> KeyTable {
        KeyTable::new(random_state([1, 2, 3, 4]))
    }

    #[test]
    fn a_key_is_taken_once_with_everybody_who_read_it() {
        let mut keys = table();
        for client in [9, 3, 9, 5] {
            keys.remember(b"k", client);
        }
        keys.remember(b"other", 3);
        assert_eq!((keys.len(), keys.items()), (2, 4));
        assert_eq!(keys.take(b"k"), Some(vec![3, 5, 9]));
        assert_eq!(keys.take(b"k"), None);
        assert_eq!(keys.take_any(7), Some((b"other"[..].into(), vec![3])));
        assert_eq!((keys.take_any(7), keys.items()), (None, 0));
    }

    #[test]
    fn clients_that_have_gone_leave_nothing_behind() {
        let mut keys = table();
        for number in 0..20_000_u32 {
            keys.remember(&number.to_be_bytes(), u64::from(number % 5));
            keys.remember(&number.to_be_bytes(), 7);
        }
        keys.forget(7);
        assert!(keys.tidy());
        assert!((20_001..40_000).contains(&keys.items()), "a slice is not all of it: {}", keys.items());
        // One more goes while the walk for the first is under way.
        keys.forget(0);
        while keys.tidy() {}
        assert_eq!((keys.len(), keys.items()), (16_000, 16_000));
        (1..5).for_each(|client| keys.forget(client));
        while keys.tidy() {}
        assert!(keys.is_empty());
    }

    #[test]
    fn a_table_that_is_given_up_is_dropped_in_slices() {
        let mut keys = table();
        (0..2000_u32).for_each(|number| keys.remember(&number.to_be_bytes(), 1));
        keys.clear();
        assert_eq!((keys.len(), keys.items()), (0, 0));
        keys.remember(b"new", 2);
        assert!(keys.tidy());
        while keys.tidy() {}
        assert_eq!(keys.take(b"new"), Some(vec![2]));
    }
}
