//! Values behind numbers.
//!
//! Owns: handing out `u32` handles and reusing them. Refuses to know: what the values are, who holds a handle.
//! Start at [`Slab`].

/// Values per chunk; growth allocates one chunk and moves none but the first, while it is small.
const CHUNK_LEN: usize = 256;

const NO_FREE: u32 = u32::MAX;

/// A place: taken, or free and naming the next free one.
#[derive(Debug, Clone)]
enum Place<T> {
    Taken(T),
    Free(u32),
}

/// Values behind `u32` handles. Whoever holds a handle to a free place has lost count, which is an error of ours: such
/// access panics.
#[derive(Debug, Clone)]
pub struct Slab<T> {
    chunks: Vec<Vec<Place<T>>>,
    first_free: u32,
    len: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Slab<T> {
    /// An empty slab, which allocates nothing.
    pub const fn new() -> Self {
        Self { chunks: Vec::new(), first_free: NO_FREE, len: 0 }
    }

    /// Number of values.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there is no value.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts a value somewhere and says where.
    pub fn insert(&mut self, value: T) -> u32 {
        self.len += 1;
        if self.first_free != NO_FREE {
            let handle = self.first_free;
            let place = self.place_mut(handle);
            let Place::Free(next) = std::mem::replace(place, Place::Taken(value)) else {
                unreachable!("the free list names free places");
            };
            self.first_free = next;
            return handle;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK_LEN) {
            let room = if self.chunks.is_empty() { 1 } else { CHUNK_LEN };
            self.chunks.push(Vec::with_capacity(room));
        }
        let last = self.chunks.len() - 1;
        let chunk = &mut self.chunks[last];
        if chunk.len() == chunk.capacity() {
            chunk.reserve_exact((1 + chunk.len() / 4).min(CHUNK_LEN - chunk.len()));
        }
        chunk.push(Place::Taken(value));
        let handle = u32::try_from(last * CHUNK_LEN + chunk.len() - 1).expect("fewer values than 2^32");
        assert!(handle != NO_FREE, "fewer values than 2^32");
        handle
    }

    /// The value behind `handle`.
    #[inline]
    pub fn get(&self, handle: u32) -> &T {
        match &self.chunks[handle as usize / CHUNK_LEN][handle as usize % CHUNK_LEN] {
            Place::Taken(value) => value,
            Place::Free(_) => panic!("handle {handle} is free"),
        }
    }

    /// The value behind `handle`, to change.
    #[inline]
    pub fn get_mut(&mut self, handle: u32) -> &mut T {
        match self.place_mut(handle) {
            Place::Taken(value) => value,
            Place::Free(_) => panic!("handle {handle} is free"),
        }
    }

    /// Takes out the value behind `handle`, which may be handed out again.
    pub fn remove(&mut self, handle: u32) -> T {
        let next = self.first_free;
        let place = self.place_mut(handle);
        assert!(matches!(place, Place::Taken(_)), "handle {handle} is free");
        let Place::Taken(value) = std::mem::replace(place, Place::Free(next)) else {
            unreachable!("the line above looked");
        };
        self.first_free = handle;
        self.len -= 1;
        if self.len == 0 {
            *self = Self::new();
        }
        value
    }

    /// All values with their handles.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.chunks.iter().flatten().enumerate().filter_map(|(handle, place)| match place {
            Place::Taken(value) => Some((handle as u32, value)),
            Place::Free(_) => None,
        })
    }

    /// Bytes of the slab's own allocations; what values own is the caller's to add.
    pub fn heap_bytes(&self) -> usize {
        let places = match self.chunks.first() {
            None => 0,
            Some(first) => first.capacity() + (self.chunks.len() - 1) * CHUNK_LEN,
        };
        places * size_of::<Place<T>>() + self.chunks.capacity() * size_of::<Vec<Place<T>>>()
    }

    #[inline]
    fn place_mut(&mut self, handle: u32) -> &mut Place<T> {
        &mut self.chunks[handle as usize / CHUNK_LEN][handle as usize % CHUNK_LEN]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::types::chance;

    #[test]
    fn keeps_values_apart_and_reuses_handles() {
        let mut slab = Slab::new();
        let mut model = BTreeMap::new();
        let mut random = 1;
        for step in 0..20_000_u64 {
            random = chance::next(random);
            let growing = step / 2_500 % 2 == 0;
            if model.is_empty() || random % 10 < if growing { 8 } else { 3 } {
                let handle = slab.insert(step.to_string());
                assert_eq!(model.insert(handle, step.to_string()), None);
            } else {
                let nth = chance::pick(random, model.len());
                let (&handle, _) = model.iter().nth(nth).expect("below the length");
                slab.get_mut(handle).push('!');
                let value = model.remove(&handle).expect("it was listed");
                assert_eq!(slab.remove(handle), value + "!");
            }
            assert_eq!(slab.len(), model.len());
        }
        assert!(slab.iter().eq(model.iter().map(|(handle, value)| (*handle, value))));
        let places = slab.heap_bytes() / size_of::<Place<String>>();
        assert!(places < 10_000, "{places}");
        for handle in model.into_keys() {
            slab.remove(handle);
        }
        assert_eq!((slab.is_empty(), slab.heap_bytes()), (true, 0));
    }

    #[test]
    #[should_panic(expected = "handle 0 is free")]
    fn a_free_handle_is_refused() {
        let mut slab = Slab::new();
        slab.insert(1);
        slab.insert(2);
        slab.remove(0);
        slab.get(0);
    }
}
