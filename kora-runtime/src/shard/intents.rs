//! Intents: who may touch which keys while a transaction over several shards is under way.
//!
//! Owns: the queues of one shard, in the order in which transactions (and commands that wait behind them) arrived.
//! Refuses to know: what is done once an intent is granted.
//! Start at [`Intents::enqueue`].
//!
//! Every participant sees transactions in the sequencer's order and grants first come, first served on each key. So who waits for whom always
//! follows one order: nothing can deadlock and nothing has to be retried. An intent on the whole shard conflicts with intents on keys through
//! one more queue, which key intents pass freely among themselves.

use std::collections::{HashMap, VecDeque};

use ahash::RandomState;

use crate::types::hash_of;

/// How a key is going to be touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Only read; shared with other readers.
    Shared,
    /// Changed; alone.
    Exclusive,
}

/// A key as intents see it: a hash of its bytes, so that queues hold no copies of keys. Two keys that share one wait for each other for nothing, which is
/// slow and never wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyMark(u64);

const MARKS: RandomState = RandomState::with_seeds(0x6b6f_7261, 0x696e_7465, 0x6e74_7300, 0x6d61_726b);

impl KeyMark {
    /// The mark of a key.
    #[inline]
    pub fn of(key: &[u8]) -> Self {
        Self(hash_of(&MARKS, key))
    }
}

/// What a transaction or a waiting command touches on this shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// These keys, each named once.
    Keys(Vec<(KeyMark, Mode)>),
    /// Every key.
    Whole(Mode),
}

impl Scope {
    /// A scope over keys that may be named several times; the stronger mode wins.
    pub fn of_keys(mut keys: Vec<(KeyMark, Mode)>) -> Self {
        keys.sort_unstable_by_key(|(key, _)| *key);
        keys.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same && later.1 == Mode::Exclusive {
                kept.1 = Mode::Exclusive;
            }
            same
        });
        Self::Keys(keys)
    }

    /// Widens this scope by another one of the same shard.
    pub fn join(&mut self, other: Scope) {
        let strongest = match (self.mode(), other.mode()) {
            (Mode::Shared, Mode::Shared) => Mode::Shared,
            _ => Mode::Exclusive,
        };
        *self = match (std::mem::replace(self, Self::Whole(strongest)), other) {
            (Self::Keys(mut keys), Self::Keys(more)) => {
                keys.extend(more);
                Self::of_keys(keys)
            }
            _ => Self::Whole(strongest),
        };
    }

    fn mode(&self) -> Mode {
        match self {
            Self::Keys(keys) if keys.iter().all(|(_, mode)| *mode == Mode::Shared) => Mode::Shared,
            Self::Keys(_) => Mode::Exclusive,
            Self::Whole(mode) => *mode,
        }
    }
}

/// A place in the queues, numbered in order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

#[derive(Debug)]
struct Place {
    ticket: Ticket,
    mode: Mode,
    whole: bool,
    granted: bool,
}

impl Place {
    /// Whether two places can be held at once. In a key's own queue no place is `whole`.
    fn admits(&self, other: &Place, in_key_queue: bool) -> bool {
        let both_on_keys = !self.whole && !other.whole && !in_key_queue;
        both_on_keys || (self.mode == Mode::Shared && other.mode == Mode::Shared)
    }
}

type Queue = VecDeque<Place>;

#[derive(Debug)]
struct Held {
    scope: Scope,
    /// Queues in which the ticket still waits.
    waiting_in: usize,
}

/// The intents of one shard.
#[derive(Debug)]
pub struct Intents {
    keys: HashMap<KeyMark, Queue, RandomState>,
    shard: Queue,
    /// Places in `shard` that are whole; while there is none, key intents pass it unseen.
    wholes: usize,
    held: HashMap<Ticket, Held, RandomState>,
    next: u64,
    /// A planted fault for the simulation: everything is granted at once.
    grant_everything: bool,
}

impl Intents {
    /// No intents; the tables hash with `seeds`.
    pub fn new(seeds: RandomState) -> Self {
        Self {
            keys: HashMap::with_hasher(seeds.clone()),
            shard: Queue::new(),
            wholes: 0,
            held: HashMap::with_hasher(seeds),
            next: 0,
            grant_everything: false,
        }
    }

    /// Breaks the lock on purpose, so that a test can prove that it would notice.
    pub fn plant_grant_everything(&mut self) {
        self.grant_everything = true;
    }

    /// True when nothing is held and nothing waits: the one branch that ordinary commands pay.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Tickets held or waiting.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether a command that touches `key` now has to wait its turn.
    pub fn conflicts(&self, key: &[u8], mode: Mode) -> bool {
        self.mark_conflicts(KeyMark::of(key), mode)
    }

    fn mark_conflicts(&self, key: KeyMark, mode: Mode) -> bool {
        if self.grant_everything {
            return false;
        }
        let place = Place { ticket: Ticket(u64::MAX), mode, whole: false, granted: false };
        self.keys.get(&key).is_some_and(|queue| queue.iter().any(|other| !place.admits(other, true)))
            || self.shard.iter().any(|other| !place.admits(other, false))
    }

    /// Whether a command that touches the whole shard now has to wait its turn.
    pub fn whole_conflicts(&self, mode: Mode) -> bool {
        let place = Place { ticket: Ticket(u64::MAX), mode, whole: true, granted: false };
        !self.grant_everything && self.shard.iter().any(|other| !place.admits(other, false))
    }

    /// Whether something with this scope now has to wait its turn.
    pub fn scope_conflicts(&self, scope: &Scope) -> bool {
        match scope {
            Scope::Keys(keys) => keys.iter().any(|(key, mode)| self.mark_conflicts(*key, *mode)),
            Scope::Whole(mode) => self.whole_conflicts(*mode),
        }
    }

    /// Takes a place behind everything that has arrived. True when it is granted at once.
    pub fn enqueue(&mut self, scope: Scope) -> (Ticket, bool) {
        let ticket = Ticket(self.next);
        self.next += 1;
        let whole = matches!(scope, Scope::Whole(_));
        self.wholes += usize::from(whole);
        let mut waiting_in = 0;
        let place = |mode| Place { ticket, mode, whole, granted: false };
        waiting_in += usize::from(!join(&mut self.shard, place(scope.mode()), false, self.wholes == 0));
        if let Scope::Keys(keys) = &scope {
            for (key, mode) in keys {
                let queue = self.keys.entry(*key).or_default();
                waiting_in += usize::from(!join(queue, place(*mode), true, false));
            }
        }
        if self.grant_everything {
            waiting_in = 0;
        }
        self.held.insert(ticket, Held { scope, waiting_in });
        (ticket, waiting_in == 0)
    }

    /// Gives a place up; returns the tickets that are granted by that, in order of arrival.
    pub fn release(&mut self, ticket: Ticket) -> Vec<Ticket> {
        let Some(Held { scope, .. }) = self.held.remove(&ticket) else {
            return Vec::new();
        };
        let mut advanced = Vec::new();
        self.wholes -= usize::from(matches!(scope, Scope::Whole(_)));
        leave(&mut self.shard, ticket, false, &mut advanced);
        if let Scope::Keys(keys) = &scope {
            for (key, _) in keys {
                let Some(queue) = self.keys.get_mut(key) else { continue };
                leave(queue, ticket, true, &mut advanced);
                if queue.is_empty() {
                    self.keys.remove(key);
                }
            }
        }
        let mut granted = Vec::new();
        for ticket in advanced {
            let Some(held) = self.held.get_mut(&ticket) else { continue };
            if held.waiting_in > 0 {
                held.waiting_in -= 1;
                if held.waiting_in == 0 {
                    granted.push(ticket);
                }
            }
        }
        granted.sort_unstable();
        granted
    }
}

/// Puts a place at the end of a queue; true when it is granted there.
fn join(queue: &mut Queue, mut place: Place, in_key_queue: bool, certainly_free: bool) -> bool {
    place.granted = certainly_free || queue.iter().all(|earlier| place.admits(earlier, in_key_queue));
    let granted = place.granted;
    queue.push_back(place);
    granted
}

/// Takes a ticket's place out of a queue and notes whom that lets through.
fn leave(queue: &mut Queue, ticket: Ticket, in_key_queue: bool, advanced: &mut Vec<Ticket>) {
    let Some(at) = queue.iter().position(|place| place.ticket == ticket) else {
        return;
    };
    queue.remove(at);
    let places = queue.make_contiguous();
    for index in 0..places.len() {
        let (earlier, rest) = places.split_at_mut(index);
        let place = &mut rest[0];
        if place.granted {
            continue;
        }
        if earlier.iter().all(|other| place.admits(other, in_key_queue)) {
            place.granted = true;
            advanced.push(place.ticket);
        } else if place.mode == Mode::Exclusive && (place.whole || in_key_queue) {
            // It conflicts with everything behind it too: first come, first served.
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intents() -> Intents {
        Intents::new(RandomState::with_seeds(1, 2, 3, 4))
    }

    fn keys(names: &[(&str, Mode)]) -> Scope {
        Scope::of_keys(names.iter().map(|(name, mode)| (KeyMark::of(name.as_bytes()), *mode)).collect())
    }

    #[test]
    fn readers_share_and_writers_wait_in_order() {
        let mut intents = intents();
        let (reader_one, granted) = intents.enqueue(keys(&[("a", Mode::Shared)]));
        assert!(granted);
        let (reader_two, granted) = intents.enqueue(keys(&[("a", Mode::Shared), ("b", Mode::Shared)]));
        assert!(granted);
        let (writer, granted) = intents.enqueue(keys(&[("a", Mode::Exclusive)]));
        assert!(!granted);
        let (late_reader, granted) = intents.enqueue(keys(&[("a", Mode::Shared)]));
        assert!(!granted, "nobody passes a writer who waits");
        assert!(intents.conflicts(b"a", Mode::Shared));
        assert!(!intents.conflicts(b"b", Mode::Shared));
        assert!(intents.conflicts(b"b", Mode::Exclusive));
        assert_eq!(intents.release(reader_one), []);
        assert_eq!(intents.release(reader_two), [writer]);
        assert_eq!(intents.release(writer), [late_reader]);
        assert_eq!(intents.release(late_reader), []);
        assert!(intents.is_empty());
    }

    #[test]
    fn the_whole_shard_conflicts_with_every_key_and_keys_do_not_with_each_other() {
        let mut intents = intents();
        let (a, _) = intents.enqueue(keys(&[("a", Mode::Exclusive)]));
        let (b, granted) = intents.enqueue(keys(&[("b", Mode::Exclusive)]));
        assert!(granted);
        let (all, granted) = intents.enqueue(Scope::Whole(Mode::Shared));
        assert!(!granted);
        let (c, granted) = intents.enqueue(keys(&[("c", Mode::Exclusive)]));
        assert!(!granted, "a writer behind a reader of everything waits");
        let (d, granted) = intents.enqueue(keys(&[("d", Mode::Shared)]));
        assert!(granted, "a reader of another key may be held together with everything before it");
        assert_eq!(intents.release(a), []);
        assert_eq!(intents.release(b), [all]);
        assert_eq!(intents.release(d), []);
        assert_eq!(intents.release(all), [c]);
        assert_eq!(intents.release(c), []);
        assert!(intents.is_empty());
        assert!(!intents.whole_conflicts(Mode::Exclusive));
    }
}
