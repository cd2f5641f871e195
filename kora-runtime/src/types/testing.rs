//! What the property tests of the data types share: a small seeded source of random numbers, and a value with nothing around it.
//!
//! Owns: [`Random`] (xorshift), [`Alone`]. Refuses to know: what is tested with them.

use std::marker::PhantomData;

use ahash::RandomState;

use super::{Big, Slab, ValueMut};
use crate::keyspace::typed::Type;
use crate::keyspace::{Entry, Kind};

/// A key with a value of type `T`, and where the value goes when it is big.
pub(crate) struct Alone<T> {
    pub(crate) entry: Entry,
    pub(crate) bigs: Slab<Big>,
    seeds: RandomState,
    holds: PhantomData<T>,
}

impl<T: Type> Alone<T> {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self::of_kind(T::NEW)
    }

    /// An empty one that begins as this kind.
    pub(crate) fn of_kind(kind: Kind) -> Self {
        let seeds = RandomState::with_seeds(1, 2, 3, 4);
        Self { entry: Entry::new(b"key", kind, b"", None, 0), bigs: Slab::new(), seeds, holds: PhantomData }
    }

    pub(crate) fn open(&mut self) -> T::Mut<'_> {
        let value = ValueMut { entry: &mut self.entry, bigs: &mut self.bigs, seeds: &self.seeds };
        T::mutable(value).expect("it is of its type from the start")
    }

    pub(crate) fn read(&self) -> T::Ref<'_> {
        T::reference(&self.entry, &self.bigs).expect("it is of its type from the start")
    }
}

/// A reproducible stream of numbers.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    /// An index into something of this length, unless it is empty.
    pub(crate) fn index(&mut self, len: usize) -> Option<usize> {
        (len > 0).then(|| self.below(len as u64) as usize)
    }
}
