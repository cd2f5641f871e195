//! Values that are too large to lie in their entry.
//!
//! Owns: the list of what such a value can be. Refuses to know: which key it belongs to. Start at [`Big`].

use std::sync::Arc;

use super::hash::BigHash;
use super::list::List;
use super::set::BigSet;
use super::stream::Stream;
use super::zset::BigZset;

pub use super::slab::Slab;

/// A value behind a handle, in the slab of its database. Collections are boxed, so that the slab pays for a string no
/// more than a string needs.
#[derive(Debug, Clone)]
pub enum Big {
    /// A long string.
    Str(Vec<u8>),
    /// A list.
    List(Box<List>),
    /// A hash.
    Hash(Box<BigHash>),
    /// A set.
    Set(Box<BigSet>),
    /// A sorted set.
    Zset(Box<BigZset>),
    /// A stream. Shared, so that it costs nothing to show it to another shard for the time of an XREAD there.
    Stream(Arc<Stream>),
}

impl Big {
    /// Bytes of everything behind the value, without walking over its elements.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Str(bytes) => bytes.capacity(),
            Self::List(list) => size_of::<List>() + list.heap_bytes(),
            Self::Hash(hash) => size_of::<BigHash>() + hash.heap_bytes(),
            Self::Set(set) => size_of::<BigSet>() + set.heap_bytes(),
            Self::Zset(zset) => size_of::<BigZset>() + zset.heap_bytes(),
            Self::Stream(stream) => size_of::<Stream>() + stream.heap_bytes(),
        }
    }

    /// Number of elements; 1 for a string.
    pub fn len(&self) -> usize {
        match self {
            Self::Str(_) => 1,
            Self::List(list) => list.len(),
            Self::Zset(zset) => zset.len(),
            Self::Hash(hash) => hash.len(),
            Self::Set(set) => set.len(),
            Self::Stream(stream) => usize::try_from(stream.len()).unwrap_or(usize::MAX),
        }
    }

    /// True when nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops up to `max` elements and says whether any are left. The value is given up by the first call: it only gets
    /// smaller, until it can be dropped at no cost.
    pub fn drain_some(&mut self, max: usize) -> bool {
        match self {
            Self::Str(bytes) => {
                *bytes = Vec::new();
                false
            }
            Self::List(list) => list.drain_some(max),
            Self::Hash(hash) => hash.drain_some(max),
            Self::Set(set) => set.drain_some(max),
            Self::Zset(zset) => zset.drain_some(max),
            // One that is still shared is not the last: whoever is drops it.
            Self::Stream(stream) => Arc::get_mut(stream).is_some_and(|stream| stream.drain_some(max)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_big_value_costs_the_slab_no_more_than_a_vector() {
        assert_eq!(size_of::<Big>(), size_of::<Vec<u8>>());
        assert_eq!(size_of::<Option<Big>>(), size_of::<Vec<u8>>());
    }
}
