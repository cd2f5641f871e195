//! Who hears of all keys with a prefix (BCAST).
//!
//! Owns: which shards have clients that want to hear of a prefix, which clients of this shard do, and the keys that have changed in this tick.
//! Refuses to know: what a client is told. Start at [`Prefixes::note`].
//!
//! A prefix is *watched* on every shard for the shards whose clients want it, and *subscribed* to on the home shard of each client.

use std::collections::{BTreeMap, BTreeSet};

use crate::shard::message::ShardId;

/// Keys that changed, each with the client that changed it last (0 for none), in byte order.
pub type ChangedKeys = BTreeMap<Box<[u8]>, u64>;

/// A prefix that somebody on some shard wants to hear of.
#[derive(Debug, Default)]
struct Watched {
    homes: BTreeSet<ShardId>,
    changed: ChangedKeys,
}

/// The prefixes that one shard knows.
#[derive(Debug, Default)]
pub struct Prefixes {
    watched: BTreeMap<Box<[u8]>, Watched>,
    /// How many watched prefixes have each length: a key is looked up once for each length, not compared with each prefix.
    lengths: BTreeMap<usize, usize>,
    subscribers: BTreeMap<Box<[u8]>, BTreeSet<u64>>,
    changed_bytes: usize,
}

impl Prefixes {
    /// Number of prefixes that are watched on any shard's behalf.
    pub fn watched_len(&self) -> usize {
        self.watched.len()
    }

    /// Has this shard tell `home` of keys with these prefixes.
    pub fn watch(&mut self, home: ShardId, prefixes: &[Box<[u8]>]) {
        for prefix in prefixes {
            if !self.watched.contains_key(prefix) {
                *self.lengths.entry(prefix.len()).or_default() += 1;
            }
            self.watched.entry(prefix.clone()).or_default().homes.insert(home);
        }
    }

    /// Has it tell `home` of them no longer. Changes that it was to hear of go untold: nobody there listens.
    pub fn unwatch(&mut self, home: ShardId, prefixes: &[Box<[u8]>]) {
        for prefix in prefixes {
            let Some(watched) = self.watched.get_mut(prefix) else { continue };
            watched.homes.remove(&home);
            if !watched.homes.is_empty() {
                continue;
            }
            let key_bytes: usize = watched.changed.keys().map(|key| key.len()).sum();
            self.changed_bytes -= key_bytes + watched.changed.len();
            self.watched.remove(prefix);
            let count = self.lengths.get_mut(&prefix.len()).expect("every watched prefix is counted");
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&prefix.len());
            }
        }
    }

    /// Notes that a client of this shard wants to hear of a prefix.
    pub fn subscribe(&mut self, prefix: &[u8], client: u64) {
        self.subscribers.entry(prefix.into()).or_default().insert(client);
    }

    /// Takes that back. True when it was the last client of this shard.
    pub fn unsubscribe(&mut self, prefix: &[u8], client: u64) -> bool {
        let Some(clients) = self.subscribers.get_mut(prefix) else { return false };
        clients.remove(&client);
        let last = clients.is_empty();
        if last {
            self.subscribers.remove(prefix);
        }
        last
    }

    /// The clients of this shard that want to hear of a prefix.
    pub fn subscribers(&self, prefix: &[u8]) -> Vec<u64> {
        self.subscribers.get(prefix).into_iter().flatten().copied().collect()
    }

    /// Notes that a client changed a key.
    pub fn note(&mut self, key: &[u8], client: u64) {
        for &len in self.lengths.keys() {
            let Some(watched) = key.get(..len).and_then(|prefix| self.watched.get_mut(prefix)) else { continue };
            if watched.changed.insert(key.into(), client).is_none() {
                self.changed_bytes += key.len() + 1;
            }
        }
    }

    /// Bytes of the keys that changed and have not been told, and one for each of them: more than 0 when there is one.
    pub fn changed_bytes(&self) -> usize {
        self.changed_bytes
    }

    /// Takes what has changed: for each prefix, in byte order, who is to hear of which keys.
    pub fn take_changed(&mut self) -> Vec<(Box<[u8]>, Vec<ShardId>, ChangedKeys)> {
        self.changed_bytes = 0;
        self.watched
            .iter_mut()
            .filter(|(_, watched)| !watched.changed.is_empty())
            .map(|(prefix, watched)| {
                (prefix.clone(), watched.homes.iter().copied().collect(), std::mem::take(&mut watched.changed))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(prefixes: &[&str]) -> Vec<Box<[u8]>> {
        prefixes.iter().map(|prefix| prefix.as_bytes().into()).collect()
    }

    fn changed(prefixes: &mut Prefixes) -> String {
        let shown = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
        let lines = prefixes.take_changed().into_iter().map(|(prefix, homes, keys)| {
            let keys: Vec<String> = keys.iter().map(|(key, client)| format!("{}/{client}", shown(key))).collect();
            format!("{:?} {homes:?} {}", shown(&prefix), keys.join(" "))
        });
        lines.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_key_is_noted_under_each_prefix_that_it_has() {
        let mut prefixes = Prefixes::default();
        prefixes.watch(1, &list(&["x:", "", "x:a"]));
        prefixes.watch(3, &list(&["x:"]));
        for (key, client) in [("x:b", 7), ("x", 8), ("x:a", 7), ("x:b", 9)] {
            prefixes.note(key.as_bytes(), client);
        }
        assert_eq!(changed(&mut prefixes), r#""" [1] x/8 x:a/7 x:b/9; "x:" [1, 3] x:a/7 x:b/9; "x:a" [1] x:a/7"#);
        assert_eq!((changed(&mut prefixes), prefixes.changed_bytes()), (String::new(), 0));
    }

    #[test]
    fn a_prefix_is_watched_until_the_last_shard_has_no_use_for_it() {
        let mut prefixes = Prefixes::default();
        prefixes.watch(0, &list(&["a", "b"]));
        prefixes.watch(2, &list(&["a"]));
        prefixes.note(b"b1", 1);
        prefixes.unwatch(0, &list(&["a", "b", "never"]));
        assert_eq!((prefixes.watched_len(), prefixes.changed_bytes()), (1, 0));
        prefixes.note(b"a1", 1);
        assert_eq!(changed(&mut prefixes), r#""a" [2] a1/1"#);
        prefixes.unwatch(2, &list(&["a"]));
        prefixes.note(b"a1", 1);
        assert_eq!((prefixes.watched_len(), prefixes.changed_bytes()), (0, 0));
    }

    #[test]
    fn the_last_subscriber_is_told_apart() {
        let mut prefixes = Prefixes::default();
        prefixes.subscribe(b"p", 4);
        prefixes.subscribe(b"p", 5);
        assert_eq!(prefixes.subscribers(b"p"), [4, 5]);
        assert!(!prefixes.unsubscribe(b"p", 4));
        assert!(prefixes.unsubscribe(b"p", 5));
        assert!(!prefixes.unsubscribe(b"p", 5));
        assert_eq!(prefixes.subscribers(b"p"), [0; 0]);
    }
}
