//! Sets: sorted integers or packed members in the entry, or a table of members.
//!
//! Owns: the three forms and the steps between them, which are never taken back. Refuses to know: which limits are
//! configured. Start at [`SetRef`] and [`SetMut`]; the integers are in [`ints`].

pub mod ints;
#[cfg(test)]
mod tests;

use ahash::RandomState;

use self::ints::{Ints, IntsIter};
use super::big::{Big, Slab};
use super::chance;
use super::hash_of;
use super::packed::{
    Digits, Element, Encoded, PACKED_BYTES_MAX, Packed, PackedIter, PackedLimits, canonical_int, decode,
};
use super::table::{self, Table};
use super::value::ValueMut;
use crate::keyspace::entry::{Entry, Kind};

/// Up to where a set keeps its compact forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetLimits {
    /// Most members of a set of integers.
    pub ints: usize,
    /// Up to where other members stay packed.
    pub packed: PackedLimits,
}

impl Default for SetLimits {
    /// Redis's defaults.
    fn default() -> Self {
        Self { ints: 512, packed: PackedLimits::default() }
    }
}

/// A set, to read.
#[derive(Debug, Clone, Copy)]
pub enum SetRef<'a> {
    /// Sorted integers in the entry.
    Ints(Ints<'a>),
    /// Members in the entry.
    Packed(Packed<'a>),
    /// A table of members.
    Big(&'a BigSet),
}

impl<'a> SetRef<'a> {
    /// The set that `entry` holds; `None` when it holds another type.
    #[inline]
    pub fn open(entry: &'a Entry, bigs: &'a Slab<Big>) -> Option<Self> {
        match entry.kind() {
            Kind::SetInts => Some(Self::Ints(Ints::of(entry.payload()))),
            Kind::SetPacked => Some(Self::Packed(Packed(entry.payload()))),
            Kind::SetBig => match bigs.get(entry.handle()) {
                Big::Set(big) => Some(Self::Big(big)),
                other => unreachable!("the handle of a set names {other:?}"),
            },
            _ => None,
        }
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        match self {
            Self::Ints(ints) => ints.len(),
            Self::Packed(packed) => packed.len(),
            Self::Big(big) => big.len(),
        }
    }

    /// True when there is no member.
    #[inline]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Ints(ints) => ints.is_empty(),
            Self::Packed(packed) => packed.is_empty(),
            Self::Big(big) => big.is_empty(),
        }
    }

    /// True when `member` is in the set.
    #[inline]
    pub fn contains(&self, member: &[u8]) -> bool {
        match self {
            Self::Ints(ints) => canonical_int(member).is_some_and(|int| ints.search(int).is_ok()),
            Self::Packed(packed) => packed.find(&Encoded::of(member), 1).is_ok(),
            Self::Big(big) => big.contains(member),
        }
    }

    /// As [`contains`](Self::contains), for a member of another set; integers meet integers without a text between
    /// them.
    #[inline]
    pub fn contains_element(&self, member: Element<'_>) -> bool {
        match (self, member) {
            (Self::Ints(ints), Element::Int(int)) => ints.search(int).is_ok(),
            (Self::Packed(packed), Element::Int(int)) => packed.find(&Encoded::of_int(int), 1).is_ok(),
            _ => self.contains(member.bytes(&mut Digits::new())),
        }
    }

    /// All members: integers in ascending order, packed ones in order of insertion, those of a big set in no particular
    /// order.
    pub fn iter(&self) -> SetIter<'a> {
        SetIter(match self {
            Self::Ints(ints) => Form::Ints(ints.iter()),
            Self::Packed(packed) => Form::Packed(packed.iter()),
            Self::Big(big) => Form::Big(big.members.iter()),
        })
    }

    /// A member chosen by `random`: all alike in the compact forms, nearly so in a big set (see
    /// [`Table::sample_slot`]).
    pub fn random(&self, random: u64) -> Option<Element<'a>> {
        match self {
            _ if self.is_empty() => None,
            Self::Ints(ints) => Some(Element::Int(ints.get(chance::pick(random, ints.len())))),
            Self::Packed(packed) => packed.nth(chance::pick(random, packed.len())),
            Self::Big(big) => big.members.sample(random).map(|member| Element::Bytes(member)),
        }
    }

    /// Visits some members and returns the next position, 0 at the end; see [`Table::scan`]. The compact forms are
    /// visited at once.
    pub fn scan(&self, position: u64, visit: &mut impl FnMut(Element<'a>)) -> u64 {
        match self {
            Self::Ints(_) | Self::Packed(_) => {
                self.iter().for_each(visit);
                0
            }
            Self::Big(big) => big.scan(position, visit),
        }
    }
}

/// The members of a set.
#[derive(Debug, Clone)]
pub struct SetIter<'a>(Form<'a>);

#[derive(Debug, Clone)]
enum Form<'a> {
    Ints(IntsIter<'a>),
    Packed(PackedIter<'a>),
    Big(table::Iter<'a, Box<[u8]>>),
}

impl<'a> Iterator for SetIter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        match &mut self.0 {
            Form::Ints(ints) => ints.next().map(Element::Int),
            Form::Packed(packed) => packed.next(),
            Form::Big(members) => members.next().map(|member| Element::Bytes(member)),
        }
    }
}

/// A set, to change.
#[derive(Debug)]
pub struct SetMut<'a>(ValueMut<'a>);

impl<'a> SetMut<'a> {
    /// The set that the entry of `value` holds; `None` when it holds another type. A new set is [`Kind::SetInts`] or
    /// [`Kind::SetPacked`] with an empty payload: its first member decides.
    #[inline]
    pub fn open(value: ValueMut<'a>) -> Option<Self> {
        matches!(value.entry.kind(), Kind::SetInts | Kind::SetPacked | Kind::SetBig).then_some(Self(value))
    }

    /// The same set, to read.
    pub fn as_ref(&self) -> SetRef<'_> {
        SetRef::open(self.0.entry, self.0.bigs).expect("`open` saw a set")
    }

    /// True when there is no member: the key is to be deleted.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }

    /// Adds `member`; true when it was not in the set.
    ///
    /// Forms change as in Redis 7.2: integers that become too many make a table, integers that meet another member are
    /// packed if all fit, packed members that become too many or too long make a table.
    pub fn insert(&mut self, member: &[u8], limits: &SetLimits) -> bool {
        let kind = self.0.entry.kind();
        if kind != Kind::SetBig {
            let int = canonical_int(member);
            if self.0.entry.payload().is_empty() {
                let kind = if int.is_some() && limits.ints > 0 { Kind::SetInts } else { Kind::SetPacked };
                self.0.entry.set_kind(kind);
            }
            if let (Kind::SetInts, Some(int)) = (self.0.entry.kind(), int) {
                match Ints::of(self.0.entry.payload()).search(int) {
                    Ok(_) => return false,
                    Err(index) if index_fits(self.0.entry.payload(), limits) => {
                        ints::insert(self.0.entry, index, int);
                        return true;
                    }
                    Err(_) => self.grow_big(),
                }
            } else {
                if let Some(new) = self.insert_packed(member, &limits.packed) {
                    return new;
                }
                self.grow_big();
            }
        }
        self.big().insert(member)
    }

    /// Takes `member` away; false when it was not in the set.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        let entry = &mut *self.0.entry;
        match entry.kind() {
            Kind::SetInts => {
                let found = canonical_int(member).and_then(|int| Ints::of(entry.payload()).search(int).ok());
                found.inspect(|index| ints::remove(entry, *index)).is_some()
            }
            Kind::SetPacked => {
                let found = Packed(entry.payload()).find(&Encoded::of(member), 1).ok();
                found.map(|range| entry.splice_payload(range, &[])).is_some()
            }
            _ => self.big().remove(member),
        }
    }

    /// Takes a member away that `random` chooses as in [`SetRef::random`], once `take` has seen it.
    pub fn pop_random<R>(&mut self, random: u64, take: impl FnOnce(Element<'_>) -> R) -> Option<R> {
        if self.is_empty() {
            return None;
        }
        let entry = &mut *self.0.entry;
        match entry.kind() {
            Kind::SetInts => {
                let ints = Ints::of(entry.payload());
                let index = chance::pick(random, ints.len());
                let result = take(Element::Int(ints.get(index)));
                ints::remove(entry, index);
                Some(result)
            }
            Kind::SetPacked => {
                let packed = Packed(entry.payload());
                let at = packed.offset(chance::pick(random, packed.len()))?;
                let (member, end) = decode(packed.0, at);
                let result = take(member);
                entry.splice_payload(at..end, &[]);
                Some(result)
            }
            _ => self.big().pop_random(random).map(|member| take(Element::Bytes(&member))),
        }
    }

    /// Takes `count` members away, or all, that `random` chooses, once `sink` has seen each. One pass over a compact form.
    pub fn pop_several(&mut self, count: usize, random: u64, mut sink: impl FnMut(Element<'_>)) {
        let entry = &mut *self.0.entry;
        let kind = entry.kind();
        let mut kept = Vec::new();
        match kind {
            Kind::SetInts => {
                let ints = Ints::of(entry.payload());
                let mut selection = chance::Selection::new(ints.len(), count, random);
                let (width, values) = entry.payload().split_at(entry.payload().len().min(1));
                kept.extend_from_slice(width);
                for (int, stored) in
                    ints.iter().zip(values.chunks_exact(width.first().map_or(1, |width| usize::from(*width))))
                {
                    if selection.takes_next() {
                        sink(Element::Int(int));
                    } else {
                        kept.extend_from_slice(stored);
                    }
                }
            }
            Kind::SetPacked => {
                let packed = Packed(entry.payload());
                let mut selection = chance::Selection::new(packed.len(), count, random);
                let mut at = 0;
                while at < packed.0.len() {
                    let (member, end) = decode(packed.0, at);
                    if selection.takes_next() {
                        sink(member);
                    } else {
                        kept.extend_from_slice(&packed.0[at..end]);
                    }
                    at = end;
                }
            }
            _ => {
                let (big, mut random) = (self.big(), random);
                for _ in 0..count.min(big.len()) {
                    random = chance::next(random);
                    if let Some(member) = big.pop_random(random) {
                        sink(Element::Bytes(&member));
                    }
                }
                return;
            }
        }
        entry.set_payload(kind, &kept);
    }

    /// Adds `member` to a packed set, or to integers that can be packed with it; `None`, and nothing changed, when that
    /// does not fit.
    fn insert_packed(&mut self, member: &[u8], limits: &PackedLimits) -> Option<bool> {
        let entry = &mut *self.0.entry;
        let stored = Encoded::of(member);
        if entry.kind() == Kind::SetInts {
            let ints = Ints::of(entry.payload());
            if ints.len() >= limits.entries || ints.longest_text() > limits.value_bytes {
                return None;
            }
            if member.len() > limits.value_bytes {
                return None;
            }
            let parts: Vec<_> = ints.iter().map(Encoded::of_int).chain([stored]).collect();
            let packed = parts.iter().flat_map(Encoded::parts).collect::<Vec<_>>().concat();
            if packed.len() > PACKED_BYTES_MAX {
                return None;
            }
            entry.set_payload(Kind::SetPacked, &packed);
            return Some(true);
        }
        let payload = entry.payload();
        match Packed(payload).find(&stored, 1) {
            Ok(_) => Some(false),
            Err(len)
                if len < limits.entries
                    && member.len() <= limits.value_bytes
                    && payload.len() + stored.stored_len() <= PACKED_BYTES_MAX =>
            {
                let end = payload.len();
                entry.splice_payload(end..end, &stored.parts());
                Some(true)
            }
            Err(_) => None,
        }
    }

    fn grow_big(&mut self) {
        let mut big = BigSet::new(self.0.seeds);
        let mut digits = Digits::new();
        for member in self.as_ref().iter() {
            big.insert(member.bytes(&mut digits));
        }
        self.0.promote(Kind::SetBig, Big::Set(Box::new(big)));
    }

    fn big(&mut self) -> &mut BigSet {
        match self.0.big_mut() {
            Big::Set(big) => big,
            other => unreachable!("the handle of a set names {other:?}"),
        }
    }
}

/// True when one more integer may join those in `payload`.
fn index_fits(payload: &[u8], limits: &SetLimits) -> bool {
    Ints::of(payload).len() < limits.ints && payload.len() + ints::WIDTH_MAX <= PACKED_BYTES_MAX
}

/// A table of members.
#[derive(Debug, Clone)]
pub struct BigSet {
    members: Table<Box<[u8]>>,
    seeds: RandomState,
    member_bytes: usize,
}

impl BigSet {
    /// An empty one that hashes with `seeds`.
    pub fn new(seeds: &RandomState) -> Self {
        Self { members: Table::new(), seeds: seeds.clone(), member_bytes: 0 }
    }

    /// Number of members.
    #[inline]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// True when there is no member.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// True when `member` is in the set.
    #[inline]
    pub fn contains(&self, member: &[u8]) -> bool {
        self.find(hash_of(&self.seeds, member), member).is_some()
    }

    /// Adds `member`; true when it was not in the set.
    pub fn insert(&mut self, member: &[u8]) -> bool {
        let seeds = &self.seeds;
        let hash = hash_of(seeds, member);
        if self.find(hash, member).is_some() {
            return false;
        }
        self.member_bytes += member.len();
        self.members.insert(hash, member.into(), false, |member| hash_of(seeds, member));
        true
    }

    /// Takes `member` away; false when it was not in the set.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        let slot = self.find(hash_of(&self.seeds, member), member);
        slot.map(|slot| self.take(slot)).is_some()
    }

    /// Takes a member away that `random` chooses.
    pub fn pop_random(&mut self, random: u64) -> Option<Box<[u8]>> {
        let slot = self.members.sample_slot(random)?;
        Some(self.take(slot))
    }

    /// As [`SetRef::scan`].
    pub fn scan<'a>(&'a self, position: u64, visit: &mut impl FnMut(Element<'a>)) -> u64 {
        self.members.scan(position, |member| hash_of(&self.seeds, member), &mut |member| visit(Element::Bytes(member)))
    }

    /// Drops up to `max` members and says whether any are left; nothing can be found any more.
    pub fn drain_some(&mut self, max: usize) -> bool {
        let member_bytes = &mut self.member_bytes;
        self.members.drain_some(max, &mut |member| *member_bytes -= member.len());
        !self.members.is_empty()
    }

    /// Bytes behind the set.
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        self.members.heap_bytes() + self.member_bytes
    }

    #[inline]
    fn find(&self, hash: u64, member: &[u8]) -> Option<table::Slot> {
        self.members.find(hash, |candidate| **candidate == *member)
    }

    fn take(&mut self, slot: table::Slot) -> Box<[u8]> {
        let seeds = &self.seeds;
        let member = self.members.remove(slot, |member| hash_of(seeds, member));
        self.member_bytes -= member.len();
        member
    }
}
