//! A key's value, open for change.
//!
//! Owns: the step from a value inside its entry to a big one. Refuses to know: what a change means; each type brings
//! its own guard around [`ValueMut`]. Start there.

use ahash::RandomState;

use super::big::{Big, Slab};
use crate::keyspace::entry::{Entry, Kind};

/// An entry and where its value may move to when it grows.
#[derive(Debug)]
pub struct ValueMut<'a> {
    /// The entry whose payload is the value, or its handle.
    pub entry: &'a mut Entry,
    /// The big values of the entry's database.
    pub bigs: &'a mut Slab<Big>,
    /// What members of new big values are hashed with.
    pub seeds: &'a RandomState,
}

impl ValueMut<'_> {
    /// Moves the value out of the entry: `big` is what its payload held until now.
    pub fn promote(&mut self, kind: Kind, big: Big) {
        debug_assert!(kind.is_big() && !self.entry.kind().is_big(), "from {:?} to {kind:?}", self.entry.kind());
        let handle = self.bigs.insert(big);
        self.entry.set_payload(kind, &handle.to_le_bytes());
    }

    /// The big value that the entry's handle names. Only for kinds that are big.
    #[inline]
    pub fn big_mut(&mut self) -> &mut Big {
        self.bigs.get_mut(self.entry.handle())
    }
}
