//! Compact forms made by hand, and every way to damage them.

use super::intset::Intset;
use super::listpack::Listpack;
use super::lzf;
use super::ziplist::Ziplist;
use super::zipmap::Zipmap;
use super::*;

const LONG: &[u8] = &[b'x'; 300];

fn text(bytes: &[u8]) -> Element<'_> {
    Element::Bytes(bytes)
}

/// Every way to write an element, with the element.
fn listpack() -> (Vec<u8>, Vec<Element<'static>>) {
    let mut elements: Vec<(Vec<u8>, Element<'static>)> = vec![
        (vec![0x7f], Element::Int(127)),
        (vec![0x80], text(b"")),
        (vec![0x83, b'a', b'b', b'c'], text(b"abc")),
        (vec![0xcf, 0xff], Element::Int(4095)),
        (vec![0xd0, 0x00], Element::Int(-4096)),
        (vec![0xf1, 0x00, 0x80], Element::Int(-32_768)),
        (vec![0xf2, 0xff, 0xff, 0x7f], Element::Int(8_388_607)),
        (vec![0xf3, 0, 0, 0, 0x80], Element::Int(-2_147_483_648)),
        (vec![0xf4, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], Element::Int(i64::MAX)),
        ([&[0xe1, 0x2c], LONG].concat(), text(LONG)),
        ([&[0xf0, 0x2c, 1, 0, 0], LONG].concat(), text(LONG)),
    ];
    let mut bytes = vec![0; 6];
    for (stored, _) in &mut elements {
        let len = stored.len();
        bytes.append(stored);
        if len > 127 {
            bytes.extend([(len >> 7) as u8, (len & 0x7f) as u8 | 0x80]);
        } else {
            bytes.push(len as u8);
        }
    }
    bytes.push(0xff);
    let total = bytes.len() as u32;
    bytes[..4].copy_from_slice(&total.to_le_bytes());
    bytes[4] = elements.len() as u8;
    (bytes, elements.into_iter().map(|(_, element)| element).collect())
}

fn ziplist() -> (Vec<u8>, Vec<Element<'static>>) {
    let elements: [(Vec<u8>, Element<'static>); 11] = [
        (vec![0x00], text(b"")),
        ([&[0x41, 0x2c], LONG].concat(), text(LONG)),
        (vec![0x02, b'a', b'b'], text(b"ab")),
        ([&[0x80, 0, 0, 1, 0x2c], LONG].concat(), text(LONG)),
        (vec![0xc0, 0x00, 0x80], Element::Int(-32_768)),
        (vec![0xd0, 0, 0, 0, 0x80], Element::Int(-2_147_483_648)),
        (vec![0xe0, 0, 0, 0, 0, 0, 0, 0, 0x80], Element::Int(i64::MIN)),
        (vec![0xf0, 0xff, 0xff, 0x7f], Element::Int(8_388_607)),
        (vec![0xfe, 0x80], Element::Int(-128)),
        (vec![0xf1], Element::Int(0)),
        (vec![0xfd], Element::Int(12)),
    ];
    let mut bytes = vec![0; 10];
    let (mut before, mut start) = (0, 10);
    for (stored, _) in &elements {
        start = bytes.len();
        if before < 254 {
            bytes.push(before as u8);
        } else {
            bytes.push(254);
            bytes.extend((before as u32).to_le_bytes());
        }
        bytes.extend(stored);
        before = bytes.len() - start;
    }
    bytes.push(0xff);
    let total = bytes.len() as u32;
    bytes[..4].copy_from_slice(&total.to_le_bytes());
    bytes[4..8].copy_from_slice(&(start as u32).to_le_bytes());
    bytes[8] = elements.len() as u8;
    (bytes, elements.into_iter().map(|(_, element)| element).collect())
}

fn zipmap() -> Vec<u8> {
    let mut bytes = b"\x02\x01f\x02\x03vw---\xfe".to_vec();
    bytes.extend(300_u32.to_le_bytes());
    bytes.extend(LONG);
    bytes.extend(b"\x00\x00\xff");
    bytes
}

fn intset(width: u32, count: u32, integers: &[u8]) -> Vec<u8> {
    [&width.to_le_bytes()[..], &count.to_le_bytes(), integers].concat()
}

/// Cuts `good` short at every byte and turns every bit round: `open` may take or refuse what comes of it, but walks all that it takes.
fn harm(good: &[u8], open: impl Fn(&[u8]) -> Option<usize>) {
    assert!(open(good).is_some());
    for len in 0..good.len() {
        assert_eq!(open(&good[..len]), None, "cut at {len}");
    }
    for bit in 0..8 * good.len() {
        let mut bad = good.to_vec();
        bad[bit / 8] ^= 1 << (bit % 8);
        open(&bad);
    }
}

#[test]
fn listpacks_give_what_is_in_them() {
    let (bytes, elements) = listpack();
    let pack = Listpack::open(&bytes).expect("it is whole");
    assert_eq!((pack.len(), pack.iter().len(), pack.is_empty()), (elements.len(), elements.len(), false));
    assert_eq!(pack.iter().collect::<Vec<_>>(), elements);
    let mut uncounted = bytes.clone();
    uncounted[4..6].fill(0xff);
    assert_eq!(Listpack::open(&uncounted).map(|pack| pack.len()).ok(), Some(elements.len()));
    harm(&bytes, |bytes| {
        let pack = Listpack::open(bytes).ok()?;
        assert_eq!(pack.iter().count(), pack.len());
        Some(pack.len())
    });
}

#[test]
fn the_length_behind_an_element_has_the_odd_bounds_of_redis() {
    for (len, behind) in [(127, 1), (128, 2), (16_382, 2), (16_383, 3), (16_384, 3), (2_097_150, 3), (2_097_151, 4)] {
        let body = vec![b'x'; len - 5];
        let mut bytes = [&[0; 6][..], &[0xf0], &((len - 5) as u32).to_le_bytes(), &body].concat();
        bytes.extend(
            (0..behind)
                .rev()
                .map(|place| (len >> (7 * place) & 0x7f) as u8 | if place + 1 < behind { 0x80 } else { 0 }),
        );
        bytes.push(0xff);
        let total = bytes.len() as u32;
        bytes[..4].copy_from_slice(&total.to_le_bytes());
        bytes[4] = 1;
        assert_eq!(Listpack::open(&bytes).map(|pack| pack.len()).ok(), Some(1), "{len}");
    }
}

#[test]
fn ziplists_give_what_is_in_them() {
    let (bytes, elements) = ziplist();
    let list = Ziplist::open(&bytes).expect("it is whole");
    assert_eq!((list.len(), list.is_empty()), (elements.len(), false));
    assert_eq!(list.iter().collect::<Vec<_>>(), elements);
    harm(&bytes, |bytes| {
        let list = Ziplist::open(bytes).ok()?;
        assert_eq!(list.iter().count(), list.len());
        Some(list.len())
    });
}

#[test]
fn a_wrong_length_or_end_is_refused() {
    let (listpack, ziplist) = (listpack().0, ziplist().0);
    for place in [0, listpack.len() - 1] {
        let mut bad = listpack.clone();
        bad[place] ^= 1;
        assert!(Listpack::open(&bad).is_err(), "{place}");
    }
    for place in [0, ziplist.len() - 1] {
        let mut bad = ziplist.clone();
        bad[place] ^= 1;
        assert!(Ziplist::open(&bad).is_err(), "{place}");
    }
}

#[test]
fn zipmaps_give_what_is_in_them() {
    let bytes = zipmap();
    let map = Zipmap::open(&bytes).expect("it is whole");
    assert_eq!((map.len(), map.is_empty()), (2, false));
    assert_eq!(map.iter().collect::<Vec<_>>(), [text(b"f"), text(b"vw"), text(LONG), text(b"")]);
    harm(&bytes, |bytes| {
        let map = Zipmap::open(bytes).ok()?;
        assert_eq!(map.iter().count(), 2 * map.len());
        Some(map.len())
    });
}

#[test]
fn intsets_give_what_is_in_them() {
    let bytes = intset(4, 3, b"\xff\xff\xff\xff\0\0\0\0\x01\0\0\x7f");
    let set = Intset::open(&bytes).expect("it is whole");
    assert_eq!((set.len(), set.iter().collect::<Vec<_>>()), (3, vec![-1, 0, 0x7f00_0001]));
    harm(&bytes, |bytes| Intset::open(bytes).ok().map(|set| set.iter().count()));
    let refused = [
        intset(2, 0, b""),
        intset(3, 1, b"abc"),
        intset(2, 2, b"\x02\0\x01\0"),
        intset(2, 2, b"\x01\0\x01\0"),
        intset(2, 1 << 31, b"\x01\0"),
    ];
    assert!(refused.iter().all(|bytes| Intset::open(bytes).is_err()));
}

fn unpack(packed: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut out = b"before".to_vec();
    lzf::decompress(packed, len, &mut out).ok()?;
    assert!(out.starts_with(b"before"));
    Some(out[6..].to_vec())
}

#[test]
fn compressed_strings_become_what_they_were() {
    assert_eq!(unpack(b"\x02abc", 3).as_deref(), Some(&b"abc"[..]));
    // Three bytes, then six more from three bytes back: they repeat themselves.
    assert_eq!(unpack(b"\x02abc\x80\x02", 9).as_deref(), Some(&b"abcabcabc"[..]));
    assert_eq!(unpack(b"\x00a\xe0\xff\x00", 265), Some(vec![b'a'; 265]));
    assert_eq!(unpack(b"", 0).as_deref(), Some(&b""[..]));
    let refused: [(&[u8], usize); 9] = [
        (b"\x02ab", 3),
        (b"\x02abc", 2),
        (b"\x02abc", 4),
        (b"\x20\x00", 3),
        (b"\x00a\x20\x01", 4),
        (b"\x00a\xe0", 10),
        (b"\x00a\x80", 7),
        (b"\x00a\xe0\xff\x00", 100),
        (b"\x00a", 1 << 40),
    ];
    for (packed, len) in refused {
        assert_eq!(unpack(packed, len), None, "{packed:?} {len}");
    }
}
