//! Short elements one after another in a byte slice.
//!
//! Owns: the byte layout of one element. Refuses to know: what a sequence of elements means (pairs, members, a list)
//! and where the bytes live; changes go through
//! [`Entry::splice_payload`](crate::keyspace::entry::Entry::splice_payload). Start at [`Encoded`] to write, at
//! [`Packed`] to read.
//!
//! ```text
//! 0lllllll                bytes…  string of l = 0..=127 bytes
//! 10vvvvvv                        integer v = 0..=63
//! 110vvvvv vvvvvvvv               integer of 13 bits, two's complement, high bits first: -4096..=4095
//! 1110nnnn                v…      integer of n = 2..=8 bytes, two's complement, little endian
//! 11110000 l              bytes…  string of 128 + l bytes
//! 11110001 l l            bytes…  string of l bytes, u16 little endian
//! 11110010 l l l l        bytes…  string of l bytes, u32 little endian
//! ```
//! A string that is the canonical decimal of an `i64` ("0", "-7"; not "+1", "01", "-0") is stored as that integer,
//! anything in its shortest form. So equal elements have equal bytes, and a search compares bytes without reading any
//! number.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use crate::resp::number::parse_i64;

const INT6: u8 = 0x80;
const INT13: u8 = 0xc0;
const INT_BYTES: u8 = 0xe0;
const STRING8: u8 = 0xf0;
const STRING16: u8 = 0xf1;
const STRING32: u8 = 0xf2;

/// Length of the longest string with a head of one byte.
pub(super) const SHORT_MAX: usize = 0x7f;

/// Longest text of an `i64`, in bytes.
const INT_TEXT_MAX: usize = 20;

/// Most bytes of a packed collection: what one change may have to search and move, however large the configured limits
/// are.
pub const PACKED_BYTES_MAX: usize = 256 << 10;

/// Up to where a collection stays packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedLimits {
    /// Most entries: fields, members.
    pub entries: usize,
    /// Most bytes of one element: of a field, a value, a member.
    pub value_bytes: usize,
}

impl Default for PackedLimits {
    /// Redis's defaults for hashes, sets and sorted sets.
    fn default() -> Self {
        Self { entries: 128, value_bytes: 64 }
    }
}

/// Room for the text of an integer: what [`Element::bytes`] may write to.
pub type Digits = itoa::Buffer;

/// The integer whose canonical decimal text this is.
#[inline]
pub fn canonical_int(bytes: &[u8]) -> Option<i64> {
    // Most strings are told by their length or first byte.
    match bytes.first() {
        Some(b'0'..=b'9' | b'-') if bytes.len() <= INT_TEXT_MAX => parse_i64(bytes),
        _ => None,
    }
}

/// One element: what a client sees as a string.
#[derive(Debug, Clone, Copy)]
pub enum Element<'a> {
    /// The bytes themselves.
    Bytes(&'a [u8]),
    /// The decimal text of an integer.
    Int(i64),
}

impl<'a> Element<'a> {
    /// Its bytes, written to `digits` when it is an integer.
    #[inline]
    pub fn bytes<'b>(&self, digits: &'b mut Digits) -> &'b [u8]
    where
        'a: 'b,
    {
        match *self {
            Self::Bytes(bytes) => bytes,
            Self::Int(int) => digits.format(int).as_bytes(),
        }
    }

    /// Number of its bytes.
    #[expect(clippy::len_without_is_empty, reason = "an element is a string, not a collection")]
    pub fn len(&self) -> usize {
        self.bytes(&mut Digits::new()).len()
    }

    /// The integer that it is, if it is one.
    pub fn int(&self) -> Option<i64> {
        match *self {
            Self::Bytes(bytes) => canonical_int(bytes),
            Self::Int(int) => Some(int),
        }
    }

    /// True when these are its bytes.
    #[inline]
    pub fn eq_bytes(&self, bytes: &[u8]) -> bool {
        self.bytes(&mut Digits::new()) == bytes
    }

    /// Its place before or after these bytes, in the order of bytes.
    pub fn cmp_bytes(&self, bytes: &[u8]) -> Ordering {
        self.bytes(&mut Digits::new()).cmp(bytes)
    }

    /// Appends its bytes.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.bytes(&mut Digits::new()));
    }

    /// Its bytes in a vector.
    pub fn to_vec(&self) -> Vec<u8> {
        self.bytes(&mut Digits::new()).to_vec()
    }

    /// Its bytes, owned when they are the text of an integer.
    pub fn as_cow(&self) -> Cow<'a, [u8]> {
        match *self {
            Self::Bytes(bytes) => Cow::Borrowed(bytes),
            Self::Int(_) => Cow::Owned(self.to_vec()),
        }
    }
}

impl PartialEq for Element<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a == b,
            (_, Self::Bytes(bytes)) => self.eq_bytes(bytes),
            (Self::Bytes(bytes), _) => other.eq_bytes(bytes),
        }
    }
}

impl Eq for Element<'_> {}

impl PartialOrd for Element<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Element<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.cmp_bytes(other.bytes(&mut Digits::new()))
    }
}

/// An element as it is stored: a head, and the bytes of a string. Made on the stack, to search for or to write.
#[derive(Debug, Clone, Copy)]
pub struct Encoded<'a> {
    head: [u8; 9],
    head_len: u8,
    tail: &'a [u8],
}

impl<'a> Encoded<'a> {
    /// The stored form of a string. It must be shorter than 4 GiB, as every argument is.
    #[inline]
    pub fn of(bytes: &'a [u8]) -> Self {
        match canonical_int(bytes) {
            Some(int) => Self::of_int(int),
            None => Self::of_string(bytes),
        }
    }

    /// The stored form of an integer.
    pub fn of_int(int: i64) -> Self {
        let mut head = [0; 9];
        let head_len = match int {
            0..=63 => {
                head[0] = INT6 | int as u8;
                1
            }
            -4096..=4095 => {
                head[0] = INT13 | (int >> 8) as u8 & 0x1f;
                head[1] = int as u8;
                2
            }
            _ => {
                // One bit more than the magnitude needs, for the sign.
                let bits = u64::BITS + 1 - (int ^ (int >> 63)).leading_zeros();
                let len = bits.div_ceil(u8::BITS) as u8;
                head[0] = INT_BYTES | len;
                head[1..].copy_from_slice(&int.to_le_bytes());
                1 + len
            }
        };
        Self { head, head_len, tail: &[] }
    }

    fn of_string(bytes: &'a [u8]) -> Self {
        let mut head = [0; 9];
        let len = bytes.len();
        let head_len = if len <= SHORT_MAX {
            head[0] = len as u8;
            1
        } else if len <= SHORT_MAX + 1 + usize::from(u8::MAX) {
            head[0] = STRING8;
            head[1] = (len - SHORT_MAX - 1) as u8;
            2
        } else if let Ok(len) = u16::try_from(len) {
            head[0] = STRING16;
            head[1..3].copy_from_slice(&len.to_le_bytes());
            3
        } else {
            let len = u32::try_from(len).expect("arguments and values are shorter than 4 GiB");
            head[0] = STRING32;
            head[1..5].copy_from_slice(&len.to_le_bytes());
            5
        };
        Self { head, head_len, tail: bytes }
    }

    /// The stored bytes, in two parts to be put together.
    #[inline]
    pub fn parts(&self) -> [&[u8]; 2] {
        [&self.head[..usize::from(self.head_len)], self.tail]
    }

    /// Number of stored bytes.
    #[inline]
    pub fn stored_len(&self) -> usize {
        usize::from(self.head_len) + self.tail.len()
    }

    /// True when this is what stands at the start of `packed`.
    #[inline]
    pub fn starts(&self, packed: &[u8]) -> bool {
        let [head, tail] = self.parts();
        // The first byte tells most elements apart.
        packed.first() == head.first()
            && packed.strip_prefix(head).is_some_and(|rest| tail.is_empty() || rest.starts_with(tail))
    }

    /// Writes the stored bytes over `place`, which has their length.
    pub fn overwrite(&self, place: &mut [u8]) {
        let (head, tail) = place.split_at_mut(usize::from(self.head_len));
        head.copy_from_slice(self.parts()[0]);
        tail.copy_from_slice(self.tail);
    }
}

/// Appends the stored form of a string.
pub fn encode_into(out: &mut Vec<u8>, bytes: &[u8]) {
    Encoded::of(bytes).parts().iter().for_each(|part| out.extend_from_slice(part));
}

/// Offset after the element at `at`.
#[inline]
pub fn end_of(bytes: &[u8], at: usize) -> usize {
    match bytes[at] {
        head @ 0..INT6 => at + 1 + usize::from(head),
        INT6..INT13 => at + 1,
        INT13..INT_BYTES => at + 2,
        head @ INT_BYTES..STRING8 => at + 1 + usize::from(head - INT_BYTES),
        _ => {
            let (start, len) = long_string(bytes, at);
            start + len
        }
    }
}

/// The element at `at`, and the offset after it.
#[inline]
pub fn decode(bytes: &[u8], at: usize) -> (Element<'_>, usize) {
    let end = end_of(bytes, at);
    let element = match bytes[at] {
        0..INT6 => Element::Bytes(&bytes[at + 1..end]),
        head @ INT6..INT13 => Element::Int(i64::from(head & 0x3f)),
        head @ INT13..INT_BYTES => {
            let bits = u16::from(head & 0x1f) << 8 | u16::from(bytes[at + 1]);
            Element::Int(i64::from((bits << 3) as i16 >> 3))
        }
        INT_BYTES..STRING8 => {
            let stored = &bytes[at + 1..end];
            let mut wide = [0; 8];
            wide[..stored.len()].copy_from_slice(stored);
            let missing = u64::BITS - u8::BITS * stored.len() as u32;
            Element::Int(i64::from_le_bytes(wide) << missing >> missing)
        }
        _ => Element::Bytes(&bytes[long_string(bytes, at).0..end]),
    };
    (element, end)
}

/// Where the bytes of a string of 128 bytes and more start, and their number.
#[cold]
fn long_string(bytes: &[u8], at: usize) -> (usize, usize) {
    match bytes[at] {
        STRING8 => (at + 2, SHORT_MAX + 1 + usize::from(bytes[at + 1])),
        STRING16 => (at + 3, usize::from(u16::from_le_bytes([bytes[at + 1], bytes[at + 2]]))),
        STRING32 => {
            let len = bytes[at + 1..at + 5].try_into().expect("four bytes");
            (at + 5, u32::from_le_bytes(len) as usize)
        }
        head => unreachable!("no element starts with {head:#x}"),
    }
}

/// A sequence of elements.
#[derive(Debug, Clone, Copy)]
pub struct Packed<'a>(pub &'a [u8]);

impl<'a> Packed<'a> {
    /// True when there is no element.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Number of elements, counted by walking over them.
    pub fn len(self) -> usize {
        let (mut at, mut len) = (0, 0);
        while at < self.0.len() {
            at = end_of(self.0, at);
            len += 1;
        }
        len
    }

    /// The elements in order.
    #[inline]
    pub fn iter(self) -> PackedIter<'a> {
        PackedIter { bytes: self.0, at: 0 }
    }

    /// Offset of the `index`th element, or of the end when there are just as many.
    pub fn offset(self, index: usize) -> Option<usize> {
        let mut at = 0;
        for _ in 0..index {
            if at >= self.0.len() {
                return None;
            }
            at = end_of(self.0, at);
        }
        Some(at)
    }

    /// The `index`th element.
    pub fn nth(self, index: usize) -> Option<Element<'a>> {
        let at = self.offset(index)?;
        (at < self.0.len()).then(|| decode(self.0, at).0)
    }

    /// Where `needle` lies among every `step`th element (the first, the one `step` after it…), or how many elements
    /// there are in all when it is not among them.
    #[inline]
    pub fn find(self, needle: &Encoded<'_>, step: usize) -> Result<Range<usize>, usize> {
        let (mut at, mut len) = (0, 0);
        while at < self.0.len() {
            if needle.starts(&self.0[at..]) {
                return Ok(at..at + needle.stored_len());
            }
            for _ in 0..step {
                at = end_of(self.0, at);
            }
            len += step;
        }
        Err(len)
    }
}

impl<'a> IntoIterator for Packed<'a> {
    type Item = Element<'a>;
    type IntoIter = PackedIter<'a>;

    fn into_iter(self) -> PackedIter<'a> {
        self.iter()
    }
}

/// The elements of a [`Packed`], in order.
#[derive(Debug, Clone)]
pub struct PackedIter<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl PackedIter<'_> {
    /// Offset of the next element.
    #[inline]
    pub fn offset(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for PackedIter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let (element, end) = decode(self.bytes, self.at);
        self.at = end;
        Some(element)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::chance;

    fn encoded(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode_into(&mut out, bytes);
        out
    }

    #[test]
    fn integers_come_back_in_the_shortest_form() {
        let mut ints = vec![0, 63, 64, 4095, 4096, -1, -4096, -4097, i64::MAX, i64::MIN];
        for bit in 0..63 {
            ints.extend([(1 << bit) - 1, 1 << bit, (1 << bit) + 1, -(1 << bit) - 1, -(1 << bit), 1 - (1 << bit)]);
        }
        for int in ints {
            let text = int.to_string();
            let bytes = encoded(text.as_bytes());
            let (element, end) = decode(&bytes, 0);
            assert!(matches!(element, Element::Int(decoded) if decoded == int), "{int}: {element:?}");
            assert_eq!((end, end_of(&bytes, 0)), (bytes.len(), bytes.len()));
            assert!(bytes.len() <= text.len() + 1);
            let needed = (2..=8).find(|len| (int << (64 - 8 * len) >> (64 - 8 * len)) == int).expect("eight do");
            let shortest = match int {
                0..=63 => 1,
                -4096..=4095 => 2,
                _ => 1 + needed,
            };
            assert_eq!(bytes.len(), shortest, "{int}");
            assert!(element.eq_bytes(text.as_bytes()) && element.to_vec() == text.as_bytes());
            assert_eq!((element.len(), element.int()), (text.len(), Some(int)));
        }
    }

    #[test]
    fn strings_come_back_as_they_were() {
        let odd: [&[u8]; 12] = [
            b"",
            b"-",
            b"+1",
            b"01",
            b"-0",
            b"00",
            b" 1",
            b"1 ",
            b"1.0",
            b"9223372036854775808",
            b"-9223372036854775809",
            b"\xff\0",
        ];
        let lens = [1, 126, 127, 128, 129, 382, 383, 384, 385, 65_535, 65_536, 70_000];
        for bytes in odd.iter().map(|odd| odd.to_vec()).chain(lens.iter().map(|len| vec![b'1'; *len].repeat(1))) {
            let stored = encoded(&bytes);
            let (element, end) = decode(&stored, 0);
            assert_eq!((element.to_vec(), end), (bytes.clone(), stored.len()));
            assert_eq!(matches!(element, Element::Int(_)), bytes == b"1");
            let overhead = stored.len() as i64 - bytes.len() as i64;
            assert!(overhead <= if bytes.len() <= SHORT_MAX { 1 } else { 5 });
        }
    }

    #[test]
    fn a_sequence_reads_like_the_vector_it_was_made_of() {
        let mut random = 3;
        for _ in 0..300 {
            let mut model: Vec<Vec<u8>> = Vec::new();
            let mut stored = Vec::new();
            random = chance::next(random);
            for _ in 0..chance::pick(random, 40) {
                random = chance::next(random);
                let element = match random % 4 {
                    0 => (random as i64 >> (random >> 8 & 63)).to_string().into_bytes(),
                    1 => vec![random as u8; chance::pick(random, 300)],
                    2 => (random % 100).to_string().into_bytes(),
                    _ => format!("k{}", random % 50).into_bytes(),
                };
                encode_into(&mut stored, &element);
                model.push(element);
            }
            let packed = Packed(&stored);
            assert_eq!((packed.len(), packed.is_empty()), (model.len(), model.is_empty()));
            assert!(packed.iter().map(|element| element.to_vec()).eq(model.iter().cloned()));
            let mut iter = packed.iter();
            for (index, expected) in model.iter().enumerate() {
                assert_eq!(packed.offset(index), Some(iter.offset()));
                let element = iter.next().expect("as many as the model");
                assert!(element.eq_bytes(expected) && packed.nth(index) == Some(element));
                assert_eq!(element.as_cow(), &expected[..]);
                let found = packed.find(&Encoded::of(expected), 1).expect("it is there");
                let first = model.iter().position(|other| other == expected).expect("it is there");
                assert_eq!((Some(found.start), Some(found.end)), (packed.offset(first), packed.offset(first + 1)));
            }
            assert_eq!((packed.nth(model.len()), packed.offset(model.len() + 1)), (None, None));
            assert_eq!(packed.find(&Encoded::of(b"absent"), 1), Err(model.len()));
        }
    }

    #[test]
    fn a_search_may_look_at_every_second_element_only() {
        let mut stored = Vec::new();
        for element in ["a", "b", "b", "a", "7", "8"] {
            encode_into(&mut stored, element.as_bytes());
        }
        let packed = Packed(&stored);
        assert_eq!(packed.find(&Encoded::of(b"b"), 2), Ok(4..6));
        assert_eq!(packed.find(&Encoded::of(b"7"), 2), Ok(8..9));
        assert_eq!(packed.find(&Encoded::of(b"8"), 2), Err(6));
    }

    #[test]
    fn elements_are_equal_and_ordered_as_their_texts() {
        let texts: [&[u8]; 8] = [b"", b"-1", b"10", b"9", b"09", b"a", b"\xff", b"1"];
        let elements = texts.iter().flat_map(|text| {
            let int = canonical_int(text).map(|int| (Element::Int(int), *text));
            int.into_iter().chain([(Element::Bytes(text), *text)])
        });
        let elements: Vec<_> = elements.collect();
        for (a, a_text) in &elements {
            for (b, b_text) in &elements {
                assert_eq!((a == b, a.cmp(b)), (a_text == b_text, a_text.cmp(b_text)));
            }
        }
    }

    #[test]
    fn overwrite_writes_what_parts_holds() {
        for bytes in [&b"hello"[..], b"-77777", b""] {
            let encoded = Encoded::of(bytes);
            let mut place = vec![9; encoded.stored_len()];
            encoded.overwrite(&mut place);
            assert_eq!(place, encoded.parts().concat());
            assert!(encoded.starts(&place) && !encoded.starts(b""));
        }
    }
}
