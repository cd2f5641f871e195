//! A database on its way into a snapshot, a slice at a time, while commands go on changing it.
//!
//! Owns: which entries are still to be saved, and their bytes. Refuses to know: files, other shards, when a slice is due.
//! Start at [`Database::begin_saving`] and [`Database::save_some`].
//!
//! Every entry has a *side*, one bit, and its database says which side is the present one. A snapshot's cut turns the database's side over: all entries
//! are on the old side then, and still to be saved. An entry comes over when the slices reach it, or just before it is changed, whichever is first; one that is
//! new is on the present side from the start, because it was not there at the cut. Nothing else is kept about what has been saved, and when the
//! slices are through, every entry is on the present side.
//!
//! A value that does not fit into a slice is saved in pieces. Commands that are going to change a large one wait until all of it is saved: see
//! [`Database::is_saving_large`]. What changes one all the same in the middle, without having been seen beforehand, has the rest saved at once.

use std::collections::VecDeque;

use ahash::RandomState;

use super::Database;
use crate::config::MaxmemoryPolicy;
use crate::limits;
use crate::rdb::{EncodeOptions, Usage, ValueEncoder, ValueView};
use crate::types::table::Slot;
use crate::types::{Big, hash_of};

/// What entries are written with.
#[derive(Debug, Clone, Copy)]
pub struct SaveOptions {
    /// How values are written.
    pub encode: EncodeOptions,
    /// How much of their use is told.
    pub policy: MaxmemoryPolicy,
    /// `lfu-decay-time`.
    pub decay_minutes: u64,
    /// The time of the cut, Unix milliseconds.
    pub now_ms: u64,
}

/// What is being saved of one database.
pub(super) struct Saving {
    /// The database's number at the cut.
    number: u8,
    options: SaveOptions,
    encoder: ValueEncoder,
    /// Whole entries, and the pieces of the one that is in the middle.
    out: Vec<u8>,
    /// Entries that were changed while one is in the middle; they go behind it.
    aside: Vec<u8>,
    aside_encoder: ValueEncoder,
    /// Where the slices are in the table; `None` when they are through.
    position: Option<u64>,
    /// The entries of one segment.
    batch: Vec<Slot>,
    /// Keys that are to be saved next: someone waits for them.
    urgent: VecDeque<Box<[u8]>>,
    /// The one that is in the middle, once its beginning is written.
    current: Option<Box<[u8]>>,
    keys: u64,
    /// Keys that a failed command may have left half changed: nobody may read them, a snapshot included.
    fenced: u64,
}

impl std::fmt::Debug for Saving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Saving").field("number", &self.number).field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// What one slice has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saved {
    /// The database's number at the cut.
    pub number: u8,
    /// All is saved.
    pub done: bool,
    /// Keys saved since the last slice.
    pub keys: u64,
    /// Keys that cannot be saved: a command failed while it changed them.
    pub fenced: u64,
}

impl Database {
    /// The cut: what is here now is to be saved. `number` is what the file calls this database.
    pub fn begin_saving(&mut self, number: u8, options: SaveOptions) {
        assert!(self.saving.is_none(), "one snapshot at a time");
        self.side = !self.side;
        if self.is_empty() {
            return;
        }
        self.saving = Some(Box::new(Saving {
            number,
            options,
            encoder: ValueEncoder::new(options.encode),
            out: Vec::new(),
            aside: Vec::new(),
            aside_encoder: ValueEncoder::new(options.encode),
            position: Some(0),
            batch: Vec::new(),
            urgent: VecDeque::new(),
            current: None,
            keys: 0,
            fenced: 0,
        }));
    }

    /// True while entries are to be saved.
    pub fn is_saving(&self) -> bool {
        self.saving.is_some()
    }

    /// Saves another slice: some entries, or a piece of a large value. Appends what is ready to `out`; `None` when nothing is being saved here.
    pub fn save_some(&mut self, seeds: &RandomState, out: &mut Vec<u8>) -> Option<Saved> {
        let mut saving = self.saving.take()?;
        let done = !self.save_slice(&mut saving, seeds);
        out.append(&mut saving.out);
        if saving.current.is_none() {
            out.append(&mut saving.aside);
        }
        let saved =
            Saved { number: saving.number, done, keys: std::mem::take(&mut saving.keys), fenced: saving.fenced };
        if !done {
            self.saving = Some(saving);
        }
        Some(saved)
    }

    /// Saves a slice; false when there is nothing left.
    fn save_slice(&mut self, saving: &mut Saving, seeds: &RandomState) -> bool {
        let next = saving.current.clone().or_else(|| saving.urgent.pop_front());
        if let Some(key) = next {
            // It may have been saved, or removed, before its turn.
            if let Some(slot) = self.unsaved(hash_of(seeds, &key), &key) {
                self.save_piece(saving, slot, limits::SAVE_SLICE_BYTES);
            }
            return true;
        }
        let Some(mut position) = saving.position else { return false };
        let mut looked = 0;
        while looked < limits::SAVE_SLICE_KEYS && saving.out.len() < limits::SAVE_SLICE_BYTES {
            let (slots, next) = self.table.slots_at(position);
            let mut batch = std::mem::take(&mut saving.batch);
            batch.extend(slots);
            // Each is touched before the first is written: so nobody waits for one cache miss after another.
            std::hint::black_box(batch.iter().fold(false, |sides, slot| sides ^ self.table.get(*slot).side()));
            for slot in batch.drain(..) {
                looked += 1;
                if self.table.get(slot).side() == self.side {
                    continue;
                }
                let room = limits::SAVE_SLICE_BYTES.saturating_sub(saving.out.len());
                self.save_piece(saving, slot, room);
                if saving.current.is_some() {
                    break;
                }
            }
            batch.clear();
            saving.batch = batch;
            if saving.current.is_some() {
                // What else is here has its turn when this value is through.
                break;
            }
            position = next;
            if position == 0 {
                saving.position = None;
                return true;
            }
        }
        saving.position = Some(position);
        true
    }

    /// Saves a whole entry behind the one that is in the middle.
    fn save_aside(&mut self, saving: &mut Saving, slot: Slot) {
        let entry = self.table.get(slot);
        if entry.is_fenced() {
            saving.fenced += 1;
        } else {
            let usage = usage(entry.access(), saving.options);
            let value = ValueView::of_entry(entry, &self.bigs);
            saving.aside_encoder.encode_entry(&mut saving.aside, entry.key(), value, entry.expiry_ms(), usage);
            saving.keys += 1;
        }
        self.table.get_mut(slot).set_side(self.side);
    }

    /// Saves about `bytes_max` bytes of an entry, which is the one that is in the middle if there is one. What does not fit into them is in the middle
    /// afterwards.
    #[inline]
    fn save_piece(&mut self, saving: &mut Saving, slot: Slot, bytes_max: usize) {
        let entry = self.table.get(slot);
        if entry.is_fenced() {
            saving.fenced += 1;
            return self.table.get_mut(slot).set_side(self.side);
        }
        let value = ValueView::of_entry(entry, &self.bigs);
        if saving.current.is_none() {
            let usage = usage(entry.access(), saving.options);
            saving.encoder.encode_head(&mut saving.out, entry.key(), value, entry.expiry_ms(), usage);
        }
        if saving.encoder.encode_some(&mut saving.out, value, bytes_max) {
            saving.keys += 1;
            saving.current = None;
            self.table.get_mut(slot).set_side(self.side);
        } else if saving.current.is_none() {
            saving.current = Some(entry.key().into());
        }
    }

    /// The place of an entry that is on the old side.
    fn unsaved(&self, hash: u64, key: &[u8]) -> Option<Slot> {
        self.find(hash, key).filter(|slot| self.table.get(*slot).side() != self.side)
    }

    /// True when a snapshot is still to have a value that takes it more than a moment.
    pub fn is_saving_large(&self, hash: u64, key: &[u8]) -> bool {
        let (Some(saving), Some(slot)) = (&self.saving, self.unsaved(hash, key)) else { return false };
        let entry = self.table.get(slot);
        let in_the_middle = saving.current.as_deref() == Some(key);
        let large = || entry.kind().is_big() && is_large(self.bigs.get(entry.handle()));
        !entry.is_fenced() && (in_the_middle || large())
    }

    /// Has the snapshot save this entry before others.
    pub fn save_next(&mut self, key: &[u8]) {
        if let Some(saving) = &mut self.saving {
            saving.urgent.push_back(key.into());
        }
    }

    /// Saves an entry that is about to be changed, if that is still to be done.
    #[cold]
    pub(super) fn preserve_now(&mut self, slot: Slot) {
        if self.table.get(slot).side() == self.side {
            return;
        }
        let Some(mut saving) = self.saving.take() else { return };
        if saving.current.as_deref().is_none_or(|current| current == self.table.get(slot).key()) {
            self.save_piece(&mut saving, slot, usize::MAX);
        } else {
            self.save_aside(&mut saving, slot);
        }
        self.saving = Some(saving);
    }
}

/// True for a value that would keep the shard from other work for too long if it were saved at once.
fn is_large(big: &Big) -> bool {
    match big {
        Big::Str(bytes) => bytes.len() > limits::SAVE_AT_ONCE_BYTES_MAX,
        elements => elements.len() > limits::SAVE_AT_ONCE_ELEMENTS_MAX,
    }
}

fn usage(access: u32, options: SaveOptions) -> Usage {
    Usage::of(access, options.policy, options.decay_minutes, options.now_ms)
}
