//! A collection that is being made before it has a key.
//!
//! Owns: the entry and the slab that stand in for a database meanwhile. Refuses to know: which key it is for, who listens.
//! Start at [`Draft::open`]; [`ShardCx::store`](crate::shard::cx::ShardCx::store) gives it its key.

use std::marker::PhantomData;

use ahash::RandomState;

use super::typed::Type;
use super::{Detached, Entry};
use crate::types::{Big, Slab, ValueMut};

/// A value of type `T` without a key.
#[derive(Debug)]
pub struct Draft<T> {
    entry: Entry,
    bigs: Slab<Big>,
    seeds: RandomState,
    holds: PhantomData<fn() -> T>,
}

impl<T: Type> Draft<T> {
    /// An empty one whose members are hashed with `seeds`.
    pub fn new(seeds: &RandomState) -> Self {
        Self {
            entry: Entry::new(b"", T::NEW, &[], None, 0),
            bigs: Slab::new(),
            seeds: seeds.clone(),
            holds: PhantomData,
        }
    }

    /// To change it.
    pub fn open(&mut self) -> T::Mut<'_> {
        let value = ValueMut { entry: &mut self.entry, bigs: &mut self.bigs, seeds: &self.seeds };
        T::mutable(value).expect("a draft is of its type from the start")
    }

    /// To read it.
    pub fn view(&self) -> T::Ref<'_> {
        T::reference(&self.entry, &self.bigs).expect("a draft is of its type from the start")
    }

    /// The value, ready to be put under a key.
    pub fn into_detached(mut self, access: u32) -> Detached {
        let kind = self.entry.kind();
        let big = kind.is_big().then(|| self.bigs.remove(self.entry.handle()));
        let inline = if big.is_some() { Box::default() } else { self.entry.payload().into() };
        Detached { kind, inline, big, expiry_ms: None, access, fenced: false, raw: false }
    }
}
