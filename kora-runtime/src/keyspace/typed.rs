//! The types a handler can ask for: which kinds of entry they are, and their views for reading and changing.
//!
//! Owns: the map from a type to its views. Refuses to know: what is done with them.

use ahash::RandomState;

use super::{Entry, Kind};
use crate::types::{self, Big, HashMut, HashRef, ListMut, ListRef, SetMut, SetRef, Slab, ValueMut, ZsetMut, ZsetRef};

/// A type that a key can hold.
pub trait Type {
    /// How it is read.
    type Ref<'a>;
    /// How it is changed.
    type Mut<'a>;
    /// The kind of an empty new value, whose payload is empty.
    const NEW: Kind;
    /// A view for reading; `None` when the entry holds another type.
    fn reference<'a>(entry: &'a Entry, bigs: &'a Slab<Big>) -> Option<Self::Ref<'a>>;
    /// A view for changing; `None` when the entry holds another type.
    fn mutable(value: ValueMut<'_>) -> Option<Self::Mut<'_>>;
}

/// Strings.
#[derive(Debug)]
pub struct Str;
/// Lists.
#[derive(Debug)]
pub struct List;
/// Hashes.
#[derive(Debug)]
pub struct Hash;
/// Sets.
#[derive(Debug)]
pub struct Set;
/// Sorted sets.
#[derive(Debug)]
pub struct Zset;
/// Streams.
#[derive(Debug)]
pub struct Stream;

/// A string as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StrRef<'a> {
    /// Bytes.
    Bytes(&'a [u8]),
    /// A canonical decimal integer.
    Int(i64),
}

impl<'a> StrRef<'a> {
    /// Length in bytes of the text.
    pub fn len(self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Int(number) => itoa::Buffer::new().format(number).len(),
        }
    }

    /// True for the empty string.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The text; `scratch` is used when the string is stored as an integer.
    pub fn bytes(self, scratch: &'a mut itoa::Buffer) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Int(number) => scratch.format(number).as_bytes(),
        }
    }

    /// The text in a vector of its own.
    pub fn to_vec(self) -> Vec<u8> {
        self.bytes(&mut itoa::Buffer::new()).to_vec()
    }
}

impl<'a> From<StrRef<'a>> for crate::reply::Bulk<'a> {
    #[inline]
    fn from(value: StrRef<'a>) -> Self {
        match value {
            StrRef::Bytes(bytes) => Self::Borrowed(bytes),
            StrRef::Int(number) => Self::Integer(number),
        }
    }
}

/// A string that is being changed in place.
#[derive(Debug)]
pub struct StrMut<'a> {
    value: ValueMut<'a>,
}

/// Strings longer than this live outside their entry, where they can grow without moving the key.
pub const INLINE_STRING_BYTES_MAX: usize = 1024;

impl StrMut<'_> {
    /// The string as it is.
    pub fn get(&self) -> StrRef<'_> {
        Str::reference(self.value.entry, self.value.bigs).expect("a StrMut is made for strings only")
    }

    /// Changes the bytes in place: an integer becomes text first, a long result moves out of the entry. Says that the result is `raw`.
    pub fn edit(&mut self, result_len: usize, edit: impl FnOnce(&mut Vec<u8>)) {
        if let Kind::StrBig = self.value.entry.kind() {
            if let Big::Str(bytes) = self.value.bigs.get_mut(self.value.entry.handle()) {
                edit(bytes);
            }
            return;
        }
        let mut bytes = Vec::with_capacity(result_len);
        bytes.extend_from_slice(self.get().bytes(&mut itoa::Buffer::new()));
        edit(&mut bytes);
        if bytes.len() > INLINE_STRING_BYTES_MAX {
            self.value.promote(Kind::StrBig, Big::Str(bytes));
        } else {
            self.value.entry.set_payload(Kind::Str, &bytes);
        }
        self.value.entry.set_raw();
    }

    /// Stores an integer.
    #[inline]
    pub fn set_int(&mut self, number: i64) {
        if self.value.entry.kind().is_big() {
            self.value.bigs.remove(self.value.entry.handle());
        }
        self.value.entry.set_payload(Kind::Int, &number.to_le_bytes());
    }
}

impl Type for Str {
    type Ref<'a> = StrRef<'a>;
    type Mut<'a> = StrMut<'a>;
    const NEW: Kind = Kind::Str;

    #[inline]
    fn reference<'a>(entry: &'a Entry, bigs: &'a Slab<Big>) -> Option<StrRef<'a>> {
        match entry.kind() {
            Kind::Str => Some(StrRef::Bytes(entry.payload())),
            Kind::Int => {
                Some(StrRef::Int(i64::from_le_bytes(entry.payload().try_into().expect("an Int payload has 8 bytes"))))
            }
            Kind::StrBig => match bigs.get(entry.handle()) {
                Big::Str(bytes) => Some(StrRef::Bytes(bytes)),
                other => unreachable!("the handle of a string names {other:?}"),
            },
            _ => None,
        }
    }

    #[inline]
    fn mutable(value: ValueMut<'_>) -> Option<StrMut<'_>> {
        matches!(value.entry.kind(), Kind::Str | Kind::Int | Kind::StrBig).then_some(StrMut { value })
    }
}

macro_rules! collection {
    ($name:ident, $reference:ident, $mutable:ident, $new:ident) => {
        impl Type for $name {
            type Ref<'a> = $reference<'a>;
            type Mut<'a> = $mutable<'a>;
            const NEW: Kind = Kind::$new;

            #[inline]
            fn reference<'a>(entry: &'a Entry, bigs: &'a Slab<Big>) -> Option<$reference<'a>> {
                $reference::open(entry, bigs)
            }

            #[inline]
            fn mutable(value: ValueMut<'_>) -> Option<$mutable<'_>> {
                $mutable::open(value)
            }
        }
    };
}

collection!(List, ListRef, ListMut, ListPacked);
collection!(Hash, HashRef, HashMut, HashPacked);
collection!(Set, SetRef, SetMut, SetInts);
collection!(Zset, ZsetRef, ZsetMut, ZsetPacked);

impl Type for Stream {
    type Ref<'a> = &'a types::Stream;
    type Mut<'a> = &'a mut types::Stream;
    const NEW: Kind = Kind::StreamNew;

    fn reference<'a>(entry: &'a Entry, bigs: &'a Slab<Big>) -> Option<&'a types::Stream> {
        types::Stream::open(entry, bigs)
    }

    fn mutable(value: ValueMut<'_>) -> Option<&mut types::Stream> {
        types::Stream::open_mut(value)
    }
}

/// The hasher seeds of one data directory, expanded from four numbers.
pub fn random_state(seeds: [u64; 4]) -> RandomState {
    RandomState::with_seeds(seeds[0], seeds[1], seeds[2], seeds[3])
}
