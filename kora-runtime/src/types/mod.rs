//! Data types: plain containers that know neither RESP nor clock nor log.
//!
//! A small value lies in its [`Entry`](crate::keyspace::entry::Entry), a large one behind a handle in a [`Slab`]. Each
//! collection has a pair of views that hide which: `HashRef` and `HashMut`, `SetRef` and `SetMut`… `open` gives one, or
//! `None` when the entry holds another type.

use std::hash::{BuildHasher, Hasher};

use ahash::RandomState;

pub mod big;
pub mod chance;
pub mod hash;
pub mod list;
pub mod packed;
pub mod set;
pub mod slab;
pub mod stream;
pub mod table;
pub mod tree;
pub mod value;
pub mod zset;

#[cfg(test)]
mod testing;

pub use big::Big;
pub use hash::{BigHash, HashMut, HashRef};
pub use list::{Direction, End, Fetched, List, ListLimits, ListMut, ListRef};
pub use packed::{Digits, Element, Encoded, Packed, PackedLimits};
pub use set::{BigSet, SetLimits, SetMut, SetRef};
pub use slab::Slab;
pub use stream::{Excess, Stream, StreamBlock, StreamEntry, StreamId, StreamLimits};
pub use table::Table;
pub use value::ValueMut;
pub use zset::{BigZset, Extreme, Inserted, LexEnd, LexRange, ScoreRange, Update, ZsetMut, ZsetPacked, ZsetRef};

/// The hash of a key, field or member: what every [`Table`] of byte strings is addressed by.
#[inline]
pub fn hash_of(seeds: &RandomState, bytes: &[u8]) -> u64 {
    let mut hasher = seeds.build_hasher();
    hasher.write(bytes);
    hasher.finish()
}
