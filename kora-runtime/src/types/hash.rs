//! Hashes: packed pairs in the entry, or a table of pairs.
//!
//! Owns: both forms and the step from the first to the second, which is never taken back. Refuses to know: which limits
//! are configured, what a field means. Start at [`HashRef`] and [`HashMut`].
//!
//! ```text
//! packed    field, value, field, value…                           elements, see `packed`, in order of insertion
//! a pair    field_len u8, or 255 and u32 LE │ field │ value       of a big hash: one allocation
//! ```

use ahash::RandomState;

use super::big::{Big, Slab};
use super::chance;
use super::hash_of;
use super::packed::{Element, Encoded, PACKED_BYTES_MAX, Packed, PackedIter, PackedLimits, end_of};
use super::table::{self, Table};
use super::value::ValueMut;
use crate::keyspace::entry::{Entry, Kind};

/// A field and its value.
pub type Pair<'a> = (Element<'a>, Element<'a>);

/// A hash, to read.
#[derive(Debug, Clone, Copy)]
pub enum HashRef<'a> {
    /// Pairs in the entry.
    Packed(Packed<'a>),
    /// A table of pairs.
    Big(&'a BigHash),
}

impl<'a> HashRef<'a> {
    /// The hash that `entry` holds; `None` when it holds another type.
    #[inline]
    pub fn open(entry: &'a Entry, bigs: &'a Slab<Big>) -> Option<Self> {
        match entry.kind() {
            Kind::HashPacked => Some(Self::Packed(Packed(entry.payload()))),
            Kind::HashBig => match bigs.get(entry.handle()) {
                Big::Hash(big) => Some(Self::Big(big)),
                other => unreachable!("the handle of a hash names {other:?}"),
            },
            _ => None,
        }
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        match self {
            Self::Packed(packed) => packed.len() / 2,
            Self::Big(big) => big.len(),
        }
    }

    /// True when there is no field.
    #[inline]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Packed(packed) => packed.is_empty(),
            Self::Big(big) => big.is_empty(),
        }
    }

    /// The value of `field`.
    #[inline]
    pub fn get(&self, field: &[u8]) -> Option<Element<'a>> {
        match self {
            Self::Packed(packed) => {
                let found = packed.find(&Encoded::of(field), 2).ok()?;
                Some(super::packed::decode(packed.0, found.end).0)
            }
            Self::Big(big) => big.get(field).map(Element::Bytes),
        }
    }

    /// True when `field` has a value.
    #[inline]
    pub fn contains(&self, field: &[u8]) -> bool {
        match self {
            Self::Packed(packed) => packed.find(&Encoded::of(field), 2).is_ok(),
            Self::Big(big) => big.get(field).is_some(),
        }
    }

    /// Number of bytes of the value of `field`, 0 when it has none.
    pub fn value_len(&self, field: &[u8]) -> usize {
        self.get(field).map_or(0, |value| value.len())
    }

    /// All pairs: a packed hash in order of insertion, a big one in no particular order.
    pub fn iter(&self) -> HashIter<'a> {
        HashIter(match self {
            Self::Packed(packed) => Form::Packed(packed.iter()),
            Self::Big(big) => Form::Big(big.pairs.iter()),
        })
    }

    /// A pair chosen by `random`: all alike in a packed hash, nearly so in a big one (see [`Table::sample_slot`]).
    pub fn random(&self, random: u64) -> Option<Pair<'a>> {
        match self {
            Self::Packed(packed) if packed.is_empty() => None,
            Self::Packed(packed) => self.iter().nth(chance::pick(random, packed.len() / 2)),
            Self::Big(big) => big.pairs.sample(random).map(|pair| elements(pair)),
        }
    }

    /// Visits some pairs and returns the next position, 0 at the end; see [`Table::scan`]. A packed hash is visited at
    /// once.
    pub fn scan(&self, position: u64, visit: &mut impl FnMut(Element<'a>, Element<'a>)) -> u64 {
        match self {
            Self::Packed(_) => {
                self.iter().for_each(|(field, value)| visit(field, value));
                0
            }
            Self::Big(big) => big.scan(position, visit),
        }
    }
}

/// The pairs of a hash.
#[derive(Debug, Clone)]
pub struct HashIter<'a>(Form<'a>);

#[derive(Debug, Clone)]
enum Form<'a> {
    Packed(PackedIter<'a>),
    Big(table::Iter<'a, Box<[u8]>>),
}

impl<'a> Iterator for HashIter<'a> {
    type Item = Pair<'a>;

    #[inline]
    fn next(&mut self) -> Option<Pair<'a>> {
        match &mut self.0 {
            Form::Packed(packed) => Some((packed.next()?, packed.next()?)),
            Form::Big(pairs) => pairs.next().map(|pair| elements(pair)),
        }
    }
}

/// A hash, to change.
#[derive(Debug)]
pub struct HashMut<'a>(ValueMut<'a>);

impl<'a> HashMut<'a> {
    /// The hash that the entry of `value` holds; `None` when it holds another type. A new hash is [`Kind::HashPacked`]
    /// with an empty payload.
    #[inline]
    pub fn open(value: ValueMut<'a>) -> Option<Self> {
        matches!(value.entry.kind(), Kind::HashPacked | Kind::HashBig).then_some(Self(value))
    }

    /// The same hash, to read.
    pub fn as_ref(&self) -> HashRef<'_> {
        HashRef::open(self.0.entry, self.0.bigs).expect("`open` saw a hash")
    }

    /// True when there is no field: the key is to be deleted.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }

    /// Gives `field` a value; true when it had none.
    pub fn set(&mut self, field: &[u8], value: &[u8], limits: &PackedLimits) -> bool {
        if self.0.entry.kind() == Kind::HashPacked {
            if let Some(new) = self.set_packed(field, value, limits) {
                return new;
            }
            let big = BigHash::from_pairs(self.as_ref().iter(), self.0.seeds);
            self.0.promote(Kind::HashBig, Big::Hash(Box::new(big)));
        }
        self.big().set(field, value)
    }

    /// Takes `field` and its value away; false when it had none.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        if self.0.entry.kind() == Kind::HashBig {
            return self.big().remove(field);
        }
        let payload = self.0.entry.payload();
        let Ok(found) = Packed(payload).find(&Encoded::of(field), 2) else {
            return false;
        };
        let end = end_of(payload, found.end);
        self.0.entry.splice_payload(found.start..end, &[]);
        true
    }

    /// As [`set`](Self::set); `None`, and nothing changed, when the pair does not fit a packed hash.
    fn set_packed(&mut self, field: &[u8], value: &[u8], limits: &PackedLimits) -> Option<bool> {
        if field.len().max(value.len()) > limits.value_bytes {
            return None;
        }
        let entry = &mut *self.0.entry;
        let payload = entry.payload();
        let (field, value) = (Encoded::of(field), Encoded::of(value));
        if payload.len() + field.stored_len() + value.stored_len() > PACKED_BYTES_MAX {
            return None;
        }
        match Packed(payload).find(&field, 2) {
            Ok(found) => {
                let old = found.end..end_of(payload, found.end);
                if old.len() == value.stored_len() {
                    value.overwrite(&mut entry.payload_mut()[old]);
                } else {
                    entry.splice_payload(old, &value.parts());
                }
                Some(false)
            }
            Err(elements) if elements / 2 < limits.entries => {
                let ([field_head, field_tail], [value_head, value_tail]) = (field.parts(), value.parts());
                let end = payload.len();
                entry.splice_payload(end..end, &[field_head, field_tail, value_head, value_tail]);
                Some(true)
            }
            Err(_) => None,
        }
    }

    fn big(&mut self) -> &mut BigHash {
        match self.0.big_mut() {
            Big::Hash(big) => big,
            other => unreachable!("the handle of a hash names {other:?}"),
        }
    }
}

/// A table of pairs.
#[derive(Debug, Clone)]
pub struct BigHash {
    pairs: Table<Box<[u8]>>,
    seeds: RandomState,
    pair_bytes: usize,
}

impl BigHash {
    /// An empty one that hashes with `seeds`.
    pub fn new(seeds: &RandomState) -> Self {
        Self { pairs: Table::new(), seeds: seeds.clone(), pair_bytes: 0 }
    }

    /// One with these pairs, whose fields all differ.
    pub fn from_pairs<'p>(pairs: impl Iterator<Item = Pair<'p>>, seeds: &RandomState) -> Self {
        let mut big = Self::new(seeds);
        let (mut field_digits, mut value_digits) = (itoa::Buffer::new(), itoa::Buffer::new());
        for (field, value) in pairs {
            big.set(field.bytes(&mut field_digits), value.bytes(&mut value_digits));
        }
        big
    }

    /// Number of fields.
    #[inline]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// True when there is no field.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The value of `field`.
    #[inline]
    pub fn get(&self, field: &[u8]) -> Option<&[u8]> {
        Some(split(self.pairs.get(self.find(field)?)).1)
    }

    /// Gives `field` a value; true when it had none.
    pub fn set(&mut self, field: &[u8], value: &[u8]) -> bool {
        match self.find(field) {
            Some(slot) => {
                let pair = self.pairs.get_mut(slot);
                let old_len = split(pair).1.len();
                if old_len == value.len() {
                    let at = pair.len() - old_len;
                    pair[at..].copy_from_slice(value);
                } else {
                    *pair = join(field, value);
                    self.pair_bytes = self.pair_bytes + value.len() - old_len;
                }
                false
            }
            None => {
                let pair = join(field, value);
                self.pair_bytes += pair.len();
                let seeds = &self.seeds;
                self.pairs.insert(hash_of(seeds, field), pair, false, |pair| hash_of(seeds, split(pair).0));
                true
            }
        }
    }

    /// Takes `field` and its value away; false when it had none.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        let Some(slot) = self.find(field) else {
            return false;
        };
        let seeds = &self.seeds;
        let pair = self.pairs.remove(slot, |pair| hash_of(seeds, split(pair).0));
        self.pair_bytes -= pair.len();
        true
    }

    /// As [`HashRef::scan`].
    pub fn scan<'a>(&'a self, position: u64, visit: &mut impl FnMut(Element<'a>, Element<'a>)) -> u64 {
        self.pairs.scan(position, |pair| hash_of(&self.seeds, split(pair).0), &mut |pair| {
            let (field, value) = elements(pair);
            visit(field, value);
        })
    }

    /// Drops up to `max` pairs and says whether any are left; nothing can be found any more.
    pub fn drain_some(&mut self, max: usize) -> bool {
        let pair_bytes = &mut self.pair_bytes;
        self.pairs.drain_some(max, &mut |pair| *pair_bytes -= pair.len());
        !self.pairs.is_empty()
    }

    /// Bytes behind the hash.
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        self.pairs.heap_bytes() + self.pair_bytes
    }

    #[inline]
    fn find(&self, field: &[u8]) -> Option<table::Slot> {
        self.pairs.find(hash_of(&self.seeds, field), |pair| split(pair).0 == field)
    }
}

/// The first byte of a pair whose field is longer than what one byte says.
const LONG_FIELD: u8 = u8::MAX;

fn join(field: &[u8], value: &[u8]) -> Box<[u8]> {
    let long = field.len() >= usize::from(LONG_FIELD);
    let mut pair = Vec::with_capacity(if long { 5 } else { 1 } + field.len() + value.len());
    if long {
        let len = u32::try_from(field.len()).expect("arguments are shorter than 4 GiB");
        pair.push(LONG_FIELD);
        pair.extend_from_slice(&len.to_le_bytes());
    } else {
        pair.push(field.len() as u8);
    }
    pair.extend_from_slice(field);
    pair.extend_from_slice(value);
    pair.into_boxed_slice()
}

#[inline]
fn split(pair: &[u8]) -> (&[u8], &[u8]) {
    match pair[0] {
        LONG_FIELD => {
            let (len, rest) = pair[1..].split_first_chunk().expect("four bytes of length");
            rest.split_at(u32::from_le_bytes(*len) as usize)
        }
        len => pair[1..].split_at(usize::from(len)),
    }
}

#[inline]
fn elements(pair: &[u8]) -> Pair<'_> {
    let (field, value) = split(pair);
    (Element::Bytes(field), Element::Bytes(value))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::keyspace::typed;
    use crate::types::testing::Alone;

    type Key = Alone<typed::Hash>;

    impl Key {
        fn contents(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
            self.read().iter().map(|(field, value)| (field.to_vec(), value.to_vec())).collect()
        }
    }

    fn word(random: u64) -> Vec<u8> {
        match random % 7 {
            0 => Vec::new(),
            1 => (random as i64 >> (random >> 8 & 63)).to_string().into_bytes(),
            2 => (random >> 20 & 0xff).to_string().into_bytes(),
            3 => vec![(random >> 8) as u8; chance::pick(random, 400)],
            4 => [&b"+1"[..], b"01", b"-0", b"\0\xff", b"-", b"9223372036854775808"][chance::pick(random, 6)].to_vec(),
            _ => format!("field:{}", random >> 20 & 0x1ff).into_bytes(),
        }
    }

    #[test]
    fn does_what_a_map_does_in_both_forms() {
        let limits = [(128, 64), (usize::MAX, usize::MAX), (0, 64), (10, 400), (128, 3)];
        for (seed, (entries, value_bytes)) in limits.into_iter().enumerate() {
            let limits = PackedLimits { entries, value_bytes };
            let mut random = seed as u64;
            let mut hash = Key::new();
            let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
            for step in 0..4_000 {
                random = chance::next(random);
                let (field, value) = (word(chance::next(random ^ 1)), word(chance::next(random ^ 2)));
                assert_eq!(hash.read().get(&field).map(|value| value.to_vec()), model.get(&field).cloned());
                assert_eq!(hash.read().contains(&field), model.contains_key(&field));
                assert_eq!(hash.read().value_len(&field), model.get(&field).map_or(0, Vec::len));
                if random % 8 < 5 - step / 1_000 {
                    let new = hash.open().set(&field, &value, &limits);
                    assert_eq!(new, model.insert(field, value).is_none());
                } else {
                    assert_eq!(hash.open().remove(&field), model.remove(&field).is_some());
                }
                assert_eq!((hash.read().len(), hash.open().is_empty()), (model.len(), model.is_empty()));
                if step % 250 == 0 {
                    assert_eq!(hash.contents(), model);
                    let random = hash.read().random(random).map(|(field, value)| (field.to_vec(), value.to_vec()));
                    assert!(random.is_none_or(|(field, value)| model[&field] == value));
                    let mut scanned = BTreeMap::new();
                    let mut position = 0;
                    loop {
                        position = hash.read().scan(position, &mut |field, value| {
                            assert_eq!(scanned.insert(field.to_vec(), value.to_vec()), None);
                        });
                        if position == 0 {
                            break;
                        }
                    }
                    assert_eq!(scanned, model);
                }
            }
            if let HashRef::Big(big) = hash.read() {
                assert_eq!(big.pair_bytes, big.pairs.iter().map(|pair| pair.len()).sum());
            }
        }
    }

    #[test]
    fn grows_big_at_redis_limits_and_stays_so() {
        let limits = PackedLimits::default();
        let mut hash = Key::new();
        for field in 0..128 {
            hash.open().set(field.to_string().as_bytes(), &[b'v'; 64], &limits);
        }
        hash.open().set(b"5", b"", &limits);
        assert_eq!((hash.entry.kind(), hash.read().len()), (Kind::HashPacked, 128));
        assert!(hash.open().set(b"one more", b"", &limits));
        assert_eq!((hash.entry.kind(), hash.read().len(), hash.bigs.len()), (Kind::HashBig, 129, 1));
        assert_eq!(hash.read().get(b"5"), Some(Element::Bytes(b"")));
        for field in 0..128 {
            hash.open().remove(field.to_string().as_bytes());
        }
        assert_eq!((hash.entry.kind(), hash.read().len()), (Kind::HashBig, 1));

        for (field, value) in [(64, 65), (65, 64)] {
            let mut hash = Key::new();
            hash.open().set(&[b'f'; 64], &[b'v'; 64], &limits);
            assert_eq!(hash.entry.kind(), Kind::HashPacked);
            hash.open().set(&vec![b'f'; field], &vec![b'v'; value], &limits);
            assert_eq!(hash.entry.kind(), Kind::HashBig);
        }
    }

    #[test]
    fn packed_pairs_keep_their_order_and_their_place() {
        let mut hash = Key::new();
        for (field, value) in [("b", "1"), ("a", "x"), ("c", "3"), ("a", "yy"), ("b", "2")] {
            hash.open().set(field.as_bytes(), value.as_bytes(), &PackedLimits::default());
        }
        let pairs: Vec<_> = hash.read().iter().map(|(field, value)| (field.to_vec(), value.to_vec())).collect();
        assert_eq!(
            pairs,
            [("b", "2"), ("a", "yy"), ("c", "3")].map(|(f, v)| (f.as_bytes().to_vec(), v.as_bytes().to_vec()))
        );
    }

    #[test]
    fn a_random_pair_is_any_of_them() {
        for entries in [5, 500] {
            let mut hash = Key::new();
            for field in 0..entries {
                hash.open().set(field.to_string().as_bytes(), b"", &PackedLimits::default());
            }
            let mut counts = BTreeMap::new();
            for draw in 0..entries * 100 {
                let (field, _) = hash.read().random(chance::next(draw)).expect("it is not empty");
                *counts.entry(field.to_vec()).or_insert(0) += 1;
            }
            assert_eq!(counts.len(), entries as usize);
            assert!(counts.values().all(|count| (50..170).contains(count)), "{counts:?}");
        }
        assert_eq!(Key::new().read().random(1), None);
    }

    #[test]
    fn drains_in_slices_and_counts_its_bytes() {
        let mut big = BigHash::new(&RandomState::with_seeds(1, 2, 3, 4));
        for field in 0..1_000 {
            assert!(big.set(format!("{field:0400}").as_bytes(), b"value"));
        }
        assert!(!big.set(format!("{:0400}", 7).as_bytes(), b"longer value"));
        let pairs = 1_000 * (5 + 400 + 5) + 7;
        assert!((pairs + 18_000..pairs + 25_000).contains(&big.heap_bytes()));
        let mut big = Big::Hash(Box::new(big));
        let mut slices = 0;
        while big.drain_some(100) {
            slices += 1;
        }
        assert_eq!((slices, big.heap_bytes()), (9, size_of::<BigHash>()));
    }

    #[test]
    fn another_type_is_refused() {
        let entry = Entry::new(b"key", Kind::Str, b"", None, 0);
        assert!(HashRef::open(&entry, &Slab::new()).is_none());
    }
}
