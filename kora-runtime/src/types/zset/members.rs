//! The members of a big sorted set, by number.
//!
//! Owns: each member's bytes and score. Refuses to know: order, hashes. Start at [`Members`].

/// Members in one allocation of slots.
const CHUNK_MEMBERS: usize = 512;

/// A place for a member: 24 bytes.
#[derive(Debug, Clone)]
enum Place {
    Used(Box<[u8]>, f64),
    /// Where this place stands in the list of free ones.
    Free(u32),
}

/// Numbered members with their scores. Numbers are handed out again; [`Members::last`] and [`Members::move_last`] let the owner
/// close gaps.
#[derive(Debug, Clone, Default)]
pub(super) struct Members {
    chunks: Vec<Vec<Place>>,
    free: Vec<u32>,
    places: u32,
    member_bytes: usize,
}

impl Members {
    #[inline]
    fn place(&self, id: u32) -> &Place {
        &self.chunks[id as usize / CHUNK_MEMBERS][id as usize % CHUNK_MEMBERS]
    }

    #[inline]
    fn place_mut(&mut self, id: u32) -> &mut Place {
        &mut self.chunks[id as usize / CHUNK_MEMBERS][id as usize % CHUNK_MEMBERS]
    }

    /// A member and its score.
    #[inline]
    pub(super) fn get(&self, id: u32) -> (&[u8], f64) {
        match self.place(id) {
            Place::Used(member, score) => (member, *score),
            Place::Free(_) => unreachable!("member {id} is gone"),
        }
    }

    /// The bytes of a member.
    #[inline]
    pub(super) fn bytes(&self, id: u32) -> &[u8] {
        self.get(id).0
    }

    pub(super) fn set_score(&mut self, id: u32, new: f64) {
        match self.place_mut(id) {
            Place::Used(_, score) => *score = new,
            Place::Free(_) => unreachable!("member {id} is gone"),
        }
    }

    /// Number of places, free ones included.
    pub(super) fn places(&self) -> usize {
        self.places as usize
    }

    /// Stores a member and numbers it.
    pub(super) fn insert(&mut self, member: &[u8], score: f64) -> u32 {
        self.member_bytes += member.len();
        let place = Place::Used(member.into(), score);
        if let Some(id) = self.free.pop() {
            *self.place_mut(id) = place;
            return id;
        }
        let id = self.places;
        // Ids are 32 bits wide, and a member is at least 24 bytes of memory.
        self.places = id.checked_add(1).expect("fewer than 2^32 members fit into memory");
        if (id as usize).is_multiple_of(CHUNK_MEMBERS) {
            // The first chunk grows as it is filled, the others are filled soon.
            self.chunks.push(Vec::with_capacity(if id == 0 { 0 } else { CHUNK_MEMBERS }));
        }
        self.chunks.last_mut().expect("a chunk was added when the last one was full").push(place);
        id
    }

    /// Takes a member out.
    pub(super) fn remove(&mut self, id: u32) -> Box<[u8]> {
        let free = Place::Free(self.free.len() as u32);
        let Place::Used(member, _) = std::mem::replace(self.place_mut(id), free) else {
            unreachable!("member {id} is gone")
        };
        self.member_bytes -= member.len();
        self.free.push(id);
        member
    }

    /// Drops the last place if it is free; otherwise names its member and a free place for it, if there is one.
    pub(super) fn last(&mut self) -> Option<(u32, u32)> {
        let last = self.places.checked_sub(1)?;
        let &Place::Free(at) = self.place(last) else {
            return self.free.last().map(|&to| (last, to));
        };
        self.free.swap_remove(at as usize);
        if let Some(&moved) = self.free.get(at as usize) {
            *self.place_mut(moved) = Place::Free(at);
        }
        self.drop_last();
        self.shrink_free();
        None
    }

    /// Moves the last member to the place that [`Members::last`] named.
    pub(super) fn move_last(&mut self) {
        if let Some(to) = self.free.pop() {
            let place = self.drop_last();
            *self.place_mut(to) = place;
            self.shrink_free();
        }
    }

    fn shrink_free(&mut self) {
        if self.free.capacity() > 64 && self.free.len() < self.free.capacity() / 4 {
            self.free.shrink_to(self.free.len() * 2);
        }
    }

    fn drop_last(&mut self) -> Place {
        let chunk = self.chunks.last_mut().expect("there is a last place");
        let place = chunk.pop().expect("no chunk is empty");
        if chunk.is_empty() {
            self.chunks.pop();
        }
        self.places -= 1;
        place
    }

    /// Drops up to `max` places, used or free, of members that are being thrown away; no number means anything any more.
    pub(super) fn drain_some(&mut self, max: usize) {
        self.free = Vec::new();
        for _ in 0..max.min(self.places()) {
            if let Place::Used(member, _) = self.drop_last() {
                self.member_bytes -= member.len();
            }
        }
        if self.places == 0 {
            *self = Self::default();
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let slack = self.chunks.last().map_or(0, |chunk| chunk.capacity() - chunk.len());
        (self.places() + slack) * size_of::<Place>()
            + self.chunks.capacity() * size_of::<Vec<Place>>()
            + self.free.capacity() * size_of::<u32>()
            + self.member_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::testing::Random;

    #[test]
    fn a_place_is_a_pointer_a_length_and_a_score() {
        assert_eq!(size_of::<Place>(), 24);
    }

    #[test]
    fn numbers_name_the_same_members_until_gaps_are_closed() {
        let mut random = Random::new(1);
        let mut members = Members::default();
        let mut model: Vec<(u32, Vec<u8>)> = Vec::new();
        for step in 0..20_000_u32 {
            if random.below(100) < if step % 10_000 < 5_000 { 60 } else { 30 } {
                let member = step.to_string().into_bytes();
                model.push((members.insert(&member, f64::from(step)), member));
            } else if let Some(at) = random.index(model.len()) {
                let (id, member) = model.swap_remove(at);
                assert_eq!(*members.remove(id), member[..]);
            }
            while members.places() > 2 * model.len() {
                if let Some((from, to)) = members.last() {
                    members.move_last();
                    model.iter_mut().find(|(id, _)| *id == from).expect("a member").0 = to;
                }
            }
            if step % 1_000 == 0 {
                assert!(model.iter().all(|(id, member)| members.bytes(*id) == &member[..]));
            }
        }
        while members.places() > 0 {
            members.drain_some(700);
        }
        assert_eq!((members.member_bytes, members.chunks.len()), (0, 0));
    }
}
