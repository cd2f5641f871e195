//! One key and its value in one allocation.
//!
//! Owns: the byte layout of an entry. Refuses to know: hashing, databases, what the payload means.
//! Start at [`Entry`].
//!
//! ```text
//! kind u8 │ flags u8 │ access u32 LE │ [expiry_ms u64 LE, if HAS_EXPIRY] │ key_len u8, or u32 LE if LONG_KEY │ key │ payload
//! ```
//! The payload runs to the end of the allocation. It holds the value itself while that is small (a string, a packed collection)
//! and otherwise four bytes: the handle of a [`Big`](crate::types::Big) value in the slab of its database.

/// What an entry's payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// String: the bytes themselves.
    Str = 0,
    /// String that is a canonical decimal integer: i64 LE.
    Int = 1,
    /// String, handle of `Big::Str`.
    StrBig = 2,
    /// List: number of elements u8, then the elements; see `types/list`.
    ListPacked = 3,
    /// List, handle of `Big::List`.
    ListBig = 4,
    /// Hash: packed field, value, field, value….
    HashPacked = 5,
    /// Hash, handle of `Big::Hash`.
    HashBig = 6,
    /// Set of integers: width u8 (2, 4 or 8), then sorted integers LE.
    SetInts = 7,
    /// Set: packed members.
    SetPacked = 8,
    /// Set, handle of `Big::Set`.
    SetBig = 9,
    /// Sorted set: packed member, score, member, score… in order of (score, member).
    ZsetPacked = 10,
    /// Sorted set, handle of `Big::Zset`.
    ZsetBig = 11,
    /// Stream that nothing was done to yet: no payload.
    StreamNew = 12,
    /// Stream, handle of `Big::Stream`.
    Stream = 13,
}

impl Kind {
    const ALL: [Self; 14] = [
        Self::Str,
        Self::Int,
        Self::StrBig,
        Self::ListPacked,
        Self::ListBig,
        Self::HashPacked,
        Self::HashBig,
        Self::SetInts,
        Self::SetPacked,
        Self::SetBig,
        Self::ZsetPacked,
        Self::ZsetBig,
        Self::StreamNew,
        Self::Stream,
    ];

    /// True when the payload is a handle into the slab of big values.
    #[inline]
    pub fn is_big(self) -> bool {
        matches!(self, Self::StrBig | Self::ListBig | Self::HashBig | Self::SetBig | Self::ZsetBig | Self::Stream)
    }

    /// The type's name as TYPE replies it.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Str | Self::Int | Self::StrBig => "string",
            Self::ListPacked | Self::ListBig => "list",
            Self::HashPacked | Self::HashBig => "hash",
            Self::SetInts | Self::SetPacked | Self::SetBig => "set",
            Self::ZsetPacked | Self::ZsetBig => "zset",
            Self::StreamNew | Self::Stream => "stream",
        }
    }
}

const HAS_EXPIRY: u8 = 1;
const LONG_KEY: u8 = 2;
const FENCED: u8 = 4;
const RAW: u8 = 8;
const SIDE: u8 = 16;

const FLAGS_AT: usize = 1;
const ACCESS_AT: usize = 2;
const EXPIRY_AT: usize = 6;

/// A key, its value or the handle of it, its expiry and its access clock: 16 bytes here, one allocation behind it.
#[derive(Debug, Clone)]
pub struct Entry(Box<[u8]>);

impl Entry {
    /// A new entry.
    pub fn new(key: &[u8], kind: Kind, payload: &[u8], expiry_ms: Option<u64>, access: u32) -> Self {
        let long_key = key.len() > usize::from(u8::MAX);
        let expiry_len = if expiry_ms.is_some() { 8 } else { 0 };
        let key_len_len = if long_key { 4 } else { 1 };
        let mut bytes = Vec::with_capacity(EXPIRY_AT + expiry_len + key_len_len + key.len() + payload.len());
        bytes.push(kind as u8);
        bytes.push((u8::from(expiry_ms.is_some()) * HAS_EXPIRY) | (u8::from(long_key) * LONG_KEY));
        bytes.extend_from_slice(&access.to_le_bytes());
        if let Some(expiry_ms) = expiry_ms {
            bytes.extend_from_slice(&expiry_ms.to_le_bytes());
        }
        if long_key {
            bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
        } else {
            bytes.push(key.len() as u8);
        }
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(payload);
        Self(bytes.into_boxed_slice())
    }

    /// What the payload is.
    #[inline]
    pub fn kind(&self) -> Kind {
        Kind::ALL[usize::from(self.0[0])]
    }

    /// Says what the payload is from now on.
    #[inline]
    pub fn set_kind(&mut self, kind: Kind) {
        self.0[0] = kind as u8;
    }

    /// True when a command failed while it changed this entry.
    #[inline]
    pub fn is_fenced(&self) -> bool {
        self.0[FLAGS_AT] & FENCED != 0
    }

    /// Marks the entry as half changed.
    pub fn fence(&mut self) {
        self.0[FLAGS_AT] |= FENCED;
    }

    /// True when the string was last changed in place: OBJECT ENCODING calls it `raw` whatever its length, as Redis does.
    pub fn is_raw(&self) -> bool {
        self.0[FLAGS_AT] & RAW != 0
    }

    /// Marks a string as changed in place.
    pub fn set_raw(&mut self) {
        self.0[FLAGS_AT] |= RAW;
    }

    /// Forgets fence and rawness: the value is replaced as a whole.
    #[inline]
    pub fn clear_marks(&mut self) {
        self.0[FLAGS_AT] &= !(FENCED | RAW);
    }

    /// On which side of the last snapshot's cut the entry is; see [`saving`](super::saving).
    #[inline]
    pub fn side(&self) -> bool {
        self.0[FLAGS_AT] & SIDE != 0
    }

    /// Puts the entry on a side.
    #[inline]
    pub fn set_side(&mut self, side: bool) {
        self.0[FLAGS_AT] = (self.0[FLAGS_AT] & !SIDE) | (u8::from(side) * SIDE);
    }

    /// The access clock: seconds for LRU, or minutes and a counter for LFU.
    #[inline]
    pub fn access(&self) -> u32 {
        u32::from_le_bytes(self.0[ACCESS_AT..EXPIRY_AT].try_into().expect("four bytes"))
    }

    /// Sets the access clock.
    #[inline]
    pub fn set_access(&mut self, access: u32) {
        self.0[ACCESS_AT..EXPIRY_AT].copy_from_slice(&access.to_le_bytes());
    }

    /// When the key expires, in Unix milliseconds.
    #[inline]
    pub fn expiry_ms(&self) -> Option<u64> {
        (self.0[FLAGS_AT] & HAS_EXPIRY != 0)
            .then(|| u64::from_le_bytes(self.0[EXPIRY_AT..EXPIRY_AT + 8].try_into().expect("eight bytes")))
    }

    /// True when the key is dead at `now_ms` and only waits to be removed.
    #[inline]
    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.expiry_ms().is_some_and(|expiry_ms| expiry_ms <= now_ms)
    }

    /// Sets or clears the expiry.
    pub fn set_expiry_ms(&mut self, expiry_ms: Option<u64>) {
        match (self.expiry_ms(), expiry_ms) {
            (None, None) => {}
            (Some(_), Some(new)) => self.0[EXPIRY_AT..EXPIRY_AT + 8].copy_from_slice(&new.to_le_bytes()),
            (None, Some(new)) => {
                self.splice(EXPIRY_AT..EXPIRY_AT, &[&new.to_le_bytes()]);
                self.0[FLAGS_AT] |= HAS_EXPIRY;
            }
            (Some(_), None) => {
                self.splice(EXPIRY_AT..EXPIRY_AT + 8, &[]);
                self.0[FLAGS_AT] &= !HAS_EXPIRY;
            }
        }
    }

    #[inline]
    fn key_at(&self) -> (usize, usize) {
        let flags = self.0[FLAGS_AT];
        let at = EXPIRY_AT + if flags & HAS_EXPIRY != 0 { 8 } else { 0 };
        if flags & LONG_KEY == 0 {
            (at + 1, usize::from(self.0[at]))
        } else {
            (at + 4, u32::from_le_bytes(self.0[at..at + 4].try_into().expect("four bytes")) as usize)
        }
    }

    /// The key.
    #[inline]
    pub fn key(&self) -> &[u8] {
        let (at, len) = self.key_at();
        &self.0[at..at + len]
    }

    /// Offset of the payload.
    #[inline]
    fn payload_at(&self) -> usize {
        let (at, len) = self.key_at();
        at + len
    }

    /// The payload.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        &self.0[self.payload_at()..]
    }

    /// The payload, to change in place.
    #[inline]
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let at = self.payload_at();
        &mut self.0[at..]
    }

    /// The handle of a big value. Only for kinds that are big.
    #[inline]
    pub fn handle(&self) -> u32 {
        debug_assert!(self.kind().is_big());
        u32::from_le_bytes(self.payload().try_into().expect("a big value's payload is its handle"))
    }

    /// Replaces kind and payload; the allocation is kept when the length is the same.
    #[inline]
    pub fn set_payload(&mut self, kind: Kind, payload: &[u8]) {
        let at = self.payload_at();
        self.set_kind(kind);
        if self.0.len() - at == payload.len() {
            self.0[at..].copy_from_slice(payload);
        } else {
            let end = self.0.len();
            self.splice(at..end, &[payload]);
        }
    }

    /// Replaces a range of the payload (offsets within it) by `parts` put together.
    pub fn splice_payload(&mut self, range: std::ops::Range<usize>, parts: &[&[u8]]) {
        let at = self.payload_at();
        self.splice(at + range.start..at + range.end, parts);
    }

    /// Replaces a range of the allocation; moves the tail once and reallocates at most once.
    fn splice(&mut self, range: std::ops::Range<usize>, parts: &[&[u8]]) {
        let added: usize = parts.iter().map(|part| part.len()).sum();
        let mut bytes = std::mem::take(&mut self.0).into_vec();
        let old_len = bytes.len();
        if added > range.len() {
            let growth = added - range.len();
            bytes.reserve_exact(growth);
            bytes.resize(old_len + growth, 0);
            bytes.copy_within(range.end..old_len, range.start + added);
        } else {
            bytes.copy_within(range.end..old_len, range.start + added);
            bytes.truncate(old_len - (range.len() - added));
        }
        let mut at = range.start;
        for part in parts {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        self.0 = bytes.into_boxed_slice();
    }

    /// How the value is stored, in the words of OBJECT ENCODING; `embstr` is a short string that was never changed in place.
    pub fn encoding(&self) -> &'static str {
        const EMBEDDED_BYTES_MAX: usize = 44;
        match self.kind() {
            Kind::Int => "int",
            Kind::Str if self.payload().len() <= EMBEDDED_BYTES_MAX && !self.is_raw() => "embstr",
            Kind::Str | Kind::StrBig => "raw",
            Kind::ListPacked | Kind::ListBig => "quicklist",
            Kind::HashPacked | Kind::SetPacked | Kind::ZsetPacked => "listpack",
            Kind::HashBig | Kind::SetBig => "hashtable",
            Kind::SetInts => "intset",
            Kind::ZsetBig => "skiplist",
            Kind::StreamNew | Kind::Stream => "stream",
        }
    }

    /// Bytes of the allocation.
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_survives_every_change_of_the_others() {
        for key_len in [0, 1, 255, 256, 70_000] {
            let key = vec![b'k'; key_len];
            let mut entry = Entry::new(&key, Kind::Str, b"hello", None, 7);
            entry.set_expiry_ms(Some(42));
            entry.splice_payload(1..3, &[b"EEE", b"L"]);
            assert_eq!((entry.key(), entry.payload(), entry.expiry_ms()), (&key[..], &b"hEEELlo"[..], Some(42)));
            entry.set_expiry_ms(Some(43));
            entry.set_payload(Kind::Int, &9_i64.to_le_bytes());
            entry.set_expiry_ms(None);
            entry.splice_payload(0..7, &[]);
            assert_eq!((entry.key(), entry.payload(), entry.expiry_ms()), (&key[..], &[0_u8][..], None));
            assert_eq!((entry.kind(), entry.access(), entry.is_fenced()), (Kind::Int, 7, false));
        }
    }
}
