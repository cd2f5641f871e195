//! Any value, to read.
//!
//! Owns: finding a value's form, whether it lies in a database or on its own. Refuses to know: what is done with it.
//! Start at [`ValueView`].

use crate::keyspace::typed::StrRef;
use crate::keyspace::{Detached, Entry, Kind};
use crate::types::set::ints::Ints;
use crate::types::{Big, HashRef, ListRef, Packed, SetRef, Slab, Stream, ZsetPacked, ZsetRef};

/// A value of any type; it borrows what it shows.
#[derive(Debug, Clone, Copy)]
pub enum ValueView<'a> {
    /// A string.
    Str(StrRef<'a>),
    /// A list.
    List(ListRef<'a>),
    /// A hash.
    Hash(HashRef<'a>),
    /// A set.
    Set(SetRef<'a>),
    /// A sorted set.
    Zset(ZsetRef<'a>),
    /// A stream.
    Stream(&'a Stream),
}

impl<'a> ValueView<'a> {
    /// The value of an entry in a database; [`Database::value`](crate::keyspace::Database::value) gives both.
    #[inline]
    pub fn of_entry(entry: &'a Entry, bigs: &'a Slab<Big>) -> Self {
        match entry.kind() {
            kind if kind.is_big() => Self::big(bigs.get(entry.handle())),
            kind => Self::inline(kind, entry.payload()),
        }
    }

    /// A value that is in no database.
    pub fn of_detached(value: &'a Detached) -> Self {
        match &value.big {
            Some(big) => Self::big(big),
            None => Self::inline(value.kind, &value.inline),
        }
    }

    fn big(big: &'a Big) -> Self {
        match big {
            Big::Str(bytes) => Self::Str(StrRef::Bytes(bytes)),
            Big::List(list) => Self::List(ListRef::Big(list)),
            Big::Hash(hash) => Self::Hash(HashRef::Big(hash)),
            Big::Set(set) => Self::Set(SetRef::Big(set)),
            Big::Zset(zset) => Self::Zset(ZsetRef::Big(zset)),
            Big::Stream(stream) => Self::Stream(stream),
        }
    }

    #[inline]
    fn inline(kind: Kind, payload: &'a [u8]) -> Self {
        match kind {
            Kind::Str => Self::Str(StrRef::Bytes(payload)),
            Kind::Int => {
                Self::Str(StrRef::Int(i64::from_le_bytes(payload.try_into().expect("an Int payload has 8 bytes"))))
            }
            Kind::ListPacked => Self::List(ListRef::Packed(payload)),
            Kind::HashPacked => Self::Hash(HashRef::Packed(Packed(payload))),
            Kind::SetInts => Self::Set(SetRef::Ints(Ints::of(payload))),
            Kind::SetPacked => Self::Set(SetRef::Packed(Packed(payload))),
            Kind::ZsetPacked => Self::Zset(ZsetRef::Packed(ZsetPacked::of(payload))),
            Kind::StreamNew => Self::Stream(&crate::types::stream::EMPTY),
            Kind::StrBig | Kind::ListBig | Kind::HashBig | Kind::SetBig | Kind::ZsetBig | Kind::Stream => {
                unreachable!("a {kind:?} is big")
            }
        }
    }
}
