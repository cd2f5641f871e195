//! One database: entries in a table, and the values too big for their entry.
//!
//! Owns: finding, adding and removing entries; keeping handles and the slab of big values in step.
//! Refuses to know: commands, the clock (an expired entry is an entry like any other here), other databases.
//! Start at [`Database::find`].

use ahash::RandomState;

use super::entry::{Entry, Kind};
use super::saving::Saving;
use crate::types::table::{Slot, Sweep, Table};
use crate::types::{Big, Slab, ValueMut, hash_of};

/// The keys of one database on one shard.
#[derive(Debug, Default)]
pub struct Database {
    pub(super) table: Table<Entry>,
    pub(super) bigs: Slab<Big>,
    /// The side of entries that are saved, or new since the last snapshot's cut.
    pub(super) side: bool,
    pub(super) saving: Option<Box<Saving>>,
}

/// A key's value and everything that belongs to it, taken out of a keyspace: it can be put back under another key, in another database
/// or on another shard.
#[derive(Debug, Clone)]
pub struct Detached {
    /// What `inline` or `big` is.
    pub kind: Kind,
    /// The payload, when the value is not big.
    pub inline: Box<[u8]>,
    /// The value, when it is big.
    pub big: Option<Big>,
    /// When it expires, in Unix milliseconds.
    pub expiry_ms: Option<u64>,
    /// The access clock.
    pub access: u32,
    /// A command failed while it changed this value.
    pub fenced: bool,
    /// A string that was last changed in place.
    pub raw: bool,
}

impl Database {
    /// Number of keys, expired ones that were not yet removed included.
    #[inline]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// True without keys.
    pub fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    /// Number of keys that have an expiry.
    #[inline]
    pub fn expires_len(&self) -> usize {
        self.table.marked_len()
    }

    /// The entry of `key`, whose hash is `hash`.
    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<Slot> {
        self.table.find(hash, |entry| entry.key() == key)
    }

    /// An entry.
    #[inline]
    pub fn entry(&self, slot: Slot) -> &Entry {
        self.table.get(slot)
    }

    /// An entry, to change its clock or its marks; whatever a snapshot has goes through the methods below. Expiry changes go through [`Database::set_expiry`].
    #[inline]
    pub fn entry_mut(&mut self, slot: Slot) -> &mut Entry {
        self.table.get_mut(slot)
    }

    /// An entry and the slab its handle points into.
    #[inline]
    pub fn value(&self, slot: Slot) -> (&Entry, &Slab<Big>) {
        (self.table.get(slot), &self.bigs)
    }

    /// Sees to it that a snapshot has an entry before it is changed. Everything here that changes one calls this first.
    #[inline]
    fn preserve(&mut self, slot: Slot) {
        if self.saving.is_some() {
            self.preserve_now(slot);
        }
    }

    /// The guard that types change their value through.
    #[inline]
    pub fn value_mut<'a>(&'a mut self, slot: Slot, seeds: &'a RandomState) -> ValueMut<'a> {
        self.preserve(slot);
        ValueMut { entry: self.table.get_mut(slot), bigs: &mut self.bigs, seeds }
    }

    /// Adds an entry for a key that is not there.
    #[inline]
    pub fn insert(&mut self, hash: u64, mut entry: Entry, seeds: &RandomState) -> Slot {
        entry.set_side(self.side);
        let marked = entry.expiry_ms().is_some();
        self.table.insert(hash, entry, marked, |entry| hash_of(seeds, entry.key()))
    }

    /// Sets or clears an expiry.
    pub fn set_expiry(&mut self, slot: Slot, expiry_ms: Option<u64>) {
        self.preserve(slot);
        self.table.get_mut(slot).set_expiry_ms(expiry_ms);
        self.table.set_mark(slot, expiry_ms.is_some());
    }

    /// Replaces the value of an entry, keeping key, clock and expiry. The old big value, if there was one, is handed back.
    #[inline]
    pub fn replace_inline(&mut self, slot: Slot, kind: Kind, payload: &[u8]) -> Option<Big> {
        self.preserve(slot);
        let entry = self.table.get_mut(slot);
        let old = entry.kind().is_big().then(|| self.bigs.remove(entry.handle()));
        entry.set_payload(kind, payload);
        old
    }

    /// Replaces the value of an entry by a big one. The old big value, if there was one, is handed back.
    pub fn replace_big(&mut self, slot: Slot, kind: Kind, big: Big) -> Option<Big> {
        self.preserve(slot);
        let entry = self.table.get_mut(slot);
        let old = entry.kind().is_big().then(|| self.bigs.remove(entry.handle()));
        let handle = self.bigs.insert(big);
        entry.set_payload(kind, &handle.to_le_bytes());
        old
    }

    /// Removes an entry; its big value, if it had one, is handed back to be dropped in slices.
    pub fn remove(&mut self, slot: Slot, seeds: &RandomState) -> Option<Big> {
        self.preserve(slot);
        let entry = self.table.remove(slot, |entry| hash_of(seeds, entry.key()));
        entry.kind().is_big().then(|| self.bigs.remove(entry.handle()))
    }

    /// Takes a value out.
    pub fn detach(&mut self, slot: Slot, seeds: &RandomState) -> Detached {
        self.preserve(slot);
        let entry = self.table.remove(slot, |entry| hash_of(seeds, entry.key()));
        let big = entry.kind().is_big().then(|| self.bigs.remove(entry.handle()));
        Self::detached(&entry, big)
    }

    /// A copy of a value.
    pub fn duplicate(&self, slot: Slot) -> Detached {
        let entry = self.table.get(slot);
        let big = entry.kind().is_big().then(|| self.bigs.get(entry.handle()).clone());
        Self::detached(entry, big)
    }

    fn detached(entry: &Entry, big: Option<Big>) -> Detached {
        Detached {
            kind: entry.kind(),
            inline: if big.is_some() { Box::default() } else { entry.payload().into() },
            big,
            expiry_ms: entry.expiry_ms(),
            access: entry.access(),
            fenced: entry.is_fenced(),
            raw: entry.is_raw(),
        }
    }

    /// Puts a value under a key that is not there.
    pub fn attach(&mut self, hash: u64, key: &[u8], value: Detached, seeds: &RandomState) -> Slot {
        let Detached { kind, inline, big, expiry_ms, access, fenced, raw } = value;
        let mut entry = match big {
            Some(big) => Entry::new(key, kind, &self.bigs.insert(big).to_le_bytes(), expiry_ms, access),
            None => Entry::new(key, kind, &inline, expiry_ms, access),
        };
        if fenced {
            entry.fence();
        }
        if raw {
            entry.set_raw();
        }
        self.insert(hash, entry, seeds)
    }

    /// Visits some entries from a scan position on; see [`Table::scan`].
    pub fn scan<'d>(&'d self, position: u64, seeds: &RandomState, visit: &mut impl FnMut(&'d Entry)) -> u64 {
        self.table.scan(position, |entry| hash_of(seeds, entry.key()), visit)
    }

    /// All entries in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.table.iter()
    }

    /// A key chosen at random.
    pub fn sample(&self, random: u64) -> Option<&Entry> {
        self.table.sample(random)
    }

    /// A key with an expiry, chosen at random.
    pub fn sample_expiring(&self, random: u64) -> Option<&Entry> {
        self.table.sample_marked_slot(random).map(|slot| self.table.get(slot))
    }

    /// Looks at the entries with an expiry from a position on and hands those that `expired` picks to `sink` with their big value.
    /// Returns the next position and how many entries were looked at.
    pub fn sweep_expired(
        &mut self,
        position: u64,
        seeds: &RandomState,
        expired: impl Fn(&Entry) -> bool,
        sink: &mut impl FnMut(Entry, Option<Big>),
    ) -> (u64, usize) {
        if self.saving.is_some() {
            let (slots, _) = self.table.slots_at(position);
            for slot in slots.filter(|slot| expired(self.table.get(*slot))).collect::<Vec<_>>() {
                self.preserve_now(slot);
            }
        }
        let bigs = &mut self.bigs;
        self.table.sweep_marked(
            position,
            |entry| hash_of(seeds, entry.key()),
            &mut |entry| if expired(entry) { Sweep::Remove } else { Sweep::Keep },
            &mut |entry: Entry| {
                let big = entry.kind().is_big().then(|| bigs.remove(entry.handle()));
                sink(entry, big);
            },
        )
    }

    /// Drops up to `max` entries of a database that is being thrown away; big values go to `sink`. True while there is more.
    pub fn drain_some(&mut self, max: usize, sink: &mut impl FnMut(Big)) -> bool {
        let bigs = &mut self.bigs;
        self.table.drain_some(max, &mut |entry: Entry| {
            if entry.kind().is_big() {
                sink(bigs.remove(entry.handle()));
            }
        });
        !self.table.is_empty()
    }

    /// Takes up to `max` entries of a database that is being emptied for good. True while there is more.
    pub fn take_some(&mut self, max: usize, sink: &mut impl FnMut(&[u8], Detached)) -> bool {
        let bigs = &mut self.bigs;
        self.table.drain_some(max, &mut |entry: Entry| {
            let big = entry.kind().is_big().then(|| bigs.remove(entry.handle()));
            sink(entry.key(), Self::detached(&entry, big));
        });
        !self.table.is_empty()
    }

    /// Bytes that the table itself takes, without the entries' allocations.
    pub fn table_bytes(&self) -> usize {
        self.table.heap_bytes()
    }
}
