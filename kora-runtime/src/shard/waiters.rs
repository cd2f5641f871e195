//! Clients that wait for keys, at the shard that owns the keys.
//!
//! Owns: one line of waiters for each key, first come first served, and which keys may be ready. Refuses to know: how a waiter is served, sessions.
//! Start at [`Waiters::touched`]. ARCHITECTURE.md, "Blocking", tells the protocol between owner and home.
//!
//! A line is *paused* while its first waiter, whose client is connected elsewhere or who waits on several shards, has been offered the key and has not
//! answered: nobody behind it is served before.

use std::collections::{BTreeMap, HashMap, VecDeque};

use ahash::RandomState;

use super::message::TxnId;
use crate::limits::DATABASES;

/// One waiter in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiter {
    /// Who: the transaction that found nothing, which also names the home shard.
    pub id: TxnId,
    /// What type of value it waits for, in the words of TYPE.
    pub awaited: &'static str,
}

#[derive(Debug, Default)]
struct Line {
    queue: VecDeque<Waiter>,
    /// Who has been offered the key and has not answered.
    offered: Option<TxnId>,
    /// The key changed while the line was paused.
    again: bool,
    /// Stands in `ready`.
    listed: bool,
}

/// The waiters of one shard.
#[derive(Debug)]
pub struct Waiters {
    databases: Vec<HashMap<Box<[u8]>, Line, RandomState>>,
    places: BTreeMap<TxnId, Vec<(u8, Box<[u8]>)>>,
    ready: VecDeque<(u8, Box<[u8]>)>,
}

impl Waiters {
    /// Nobody waits; the tables hash with `seeds`.
    pub fn new(seeds: &RandomState) -> Self {
        let databases = (0..DATABASES).map(|_| HashMap::with_hasher(seeds.clone())).collect();
        Self { databases, places: BTreeMap::new(), ready: VecDeque::new() }
    }

    /// True when nobody waits here.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Waiters that stand in some line.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Keys that somebody waits for.
    pub fn keys_len(&self) -> usize {
        self.databases.iter().map(HashMap::len).sum()
    }

    /// Puts a waiter at the end of the lines of `keys`.
    pub fn add(&mut self, waiter: Waiter, db: u8, keys: &[Box<[u8]>]) {
        let places = self.places.entry(waiter.id).or_default();
        for key in keys {
            if places.iter().any(|(_, known)| known == key) {
                continue;
            }
            places.push((db, key.clone()));
            self.databases[usize::from(db)].entry(key.clone()).or_default().queue.push_back(waiter);
        }
    }

    /// Takes a waiter out of all its lines; those that it paused go on.
    pub fn remove(&mut self, id: TxnId) {
        for (db, key) in self.places.remove(&id).unwrap_or_default() {
            let database = &mut self.databases[usize::from(db)];
            let Some(line) = database.get_mut(&key) else { continue };
            line.queue.retain(|waiter| waiter.id != id);
            if line.queue.is_empty() {
                database.remove(&key);
            } else if line.offered == Some(id) {
                line.offered = None;
                self.list(db, &key);
            }
        }
    }

    /// A waiter found nothing for it and waits on. Returns the lines that it had paused and that go on behind it; one whose key has changed since begins
    /// anew.
    pub fn stays(&mut self, id: TxnId) -> Vec<(u8, Box<[u8]>, usize)> {
        let mut behind = Vec::new();
        for (db, key) in self.places.get(&id).cloned().unwrap_or_default() {
            let Some(line) = self.databases[usize::from(db)].get_mut(&key) else { continue };
            if line.offered != Some(id) {
                continue;
            }
            line.offered = None;
            if std::mem::take(&mut line.again) {
                self.list(db, &key);
            } else if let Some(at) = line.queue.iter().position(|waiter| waiter.id == id) {
                behind.push((db, key, at + 1));
            }
        }
        behind
    }

    /// A key changed. True when somebody may have to be served.
    pub fn touched(&mut self, db: u8, key: &[u8]) -> bool {
        let Some(line) = self.databases[usize::from(db)].get_mut(key) else { return false };
        if line.offered.is_some() {
            line.again = true;
            return false;
        }
        self.list(db, key);
        true
    }

    /// Every key of a database that somebody waits for may be ready: its contents were exchanged.
    pub fn database_touched(&mut self, db: u8) -> bool {
        let mut keys: Vec<Box<[u8]>> = self.databases[usize::from(db)].keys().cloned().collect();
        keys.sort_unstable();
        keys.iter().fold(false, |any, key| self.touched(db, key) || any)
    }

    fn list(&mut self, db: u8, key: &[u8]) {
        let Some(line) = self.databases[usize::from(db)].get_mut(key) else { return };
        if !std::mem::replace(&mut line.listed, true) {
            self.ready.push_back((db, key.into()));
        }
    }

    /// True when some line is to be looked at.
    #[inline]
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next key that may be ready, in the order in which they became so.
    pub fn next_ready(&mut self) -> Option<(u8, Box<[u8]>)> {
        let (db, key) = self.ready.pop_front()?;
        if let Some(line) = self.databases[usize::from(db)].get_mut(&key) {
            line.listed = false;
        }
        Some((db, key))
    }

    /// The waiter at a place of a line, unless the line is paused.
    pub fn at(&self, db: u8, key: &[u8], place: usize) -> Option<Waiter> {
        let line = self.databases[usize::from(db)].get(key)?;
        if line.offered.is_some() { None } else { line.queue.get(place).copied() }
    }

    /// Pauses a line until `id` has answered.
    pub fn offer(&mut self, db: u8, key: &[u8], id: TxnId) {
        if let Some(line) = self.databases[usize::from(db)].get_mut(key) {
            line.offered = Some(id);
            line.again = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::typed::random_state;

    fn waiter(count: u64) -> Waiter {
        Waiter { id: TxnId::new(0, count), awaited: "list" }
    }

    fn keys(names: &[&str]) -> Vec<Box<[u8]>> {
        names.iter().map(|name| name.as_bytes().into()).collect()
    }

    #[test]
    fn a_line_is_first_come_first_served_and_leaves_nothing() {
        let mut waiters = Waiters::new(&random_state([1, 2, 3, 4]));
        waiters.add(waiter(1), 0, &keys(&["a", "b", "a"]));
        waiters.add(waiter(2), 0, &keys(&["a"]));
        assert!(!waiters.touched(0, b"c") && !waiters.touched(1, b"a"));
        assert!(waiters.touched(0, b"a") && waiters.touched(0, b"b") && waiters.touched(0, b"a"));
        assert_eq!(waiters.next_ready(), Some((0, b"a"[..].into())));
        assert_eq!(waiters.at(0, b"a", 0), Some(waiter(1)));
        assert_eq!(waiters.at(0, b"a", 1), Some(waiter(2)));
        waiters.remove(waiter(1).id);
        assert_eq!(waiters.at(0, b"a", 0), Some(waiter(2)));
        assert_eq!(waiters.keys_len(), 1);
        waiters.remove(waiter(2).id);
        assert!(waiters.is_empty() && waiters.keys_len() == 0);
    }

    #[test]
    fn an_offered_line_is_paused_until_the_answer() {
        let mut waiters = Waiters::new(&random_state([1, 2, 3, 4]));
        for count in 1..=2 {
            waiters.add(waiter(count), 0, &keys(&["a"]));
        }
        waiters.offer(0, b"a", waiter(1).id);
        assert_eq!(waiters.at(0, b"a", 0), None);
        assert_eq!(waiters.stays(waiter(1).id), [(0, b"a"[..].into(), 1)]);
        assert_eq!(waiters.at(0, b"a", 0), Some(waiter(1)));
        // A change during the pause begins the line anew.
        waiters.offer(0, b"a", waiter(1).id);
        assert!(!waiters.touched(0, b"a"));
        assert_eq!(waiters.stays(waiter(1).id), []);
        assert_eq!(waiters.next_ready(), Some((0, b"a"[..].into())));
        // One that goes lets the next in.
        waiters.offer(0, b"a", waiter(1).id);
        waiters.remove(waiter(1).id);
        assert!(waiters.has_ready());
        assert_eq!(waiters.at(0, b"a", 0), Some(waiter(2)));
    }
}
