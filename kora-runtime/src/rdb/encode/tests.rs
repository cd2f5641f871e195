//! Values byte for byte where Redis writes the same, and writing in pieces.

use super::*;
use crate::keyspace::typed::{Hash, List, Set, Stream, Type, Zset, random_state};
use crate::keyspace::{Detached, Draft, Kind};
use crate::types::{End, ListLimits, PackedLimits, SetLimits, StreamLimits};

fn made<T: Type>(fill: impl FnOnce(T::Mut<'_>)) -> Detached {
    let mut draft: Draft<T> = Draft::new(&random_state([1, 2, 3, 4]));
    fill(draft.open());
    draft.into_detached(0)
}

fn string(kind: Kind, payload: &[u8]) -> Detached {
    Detached { kind, inline: payload.into(), big: None, expiry_ms: None, access: 0, fenced: false, raw: false }
}

fn list(elements: &[&[u8]]) -> Detached {
    made::<List>(|mut list| elements.iter().for_each(|at| list.push(End::Back, at, &ListLimits::default())))
}

fn hash(pairs: &[(&[u8], &[u8])], limits: &PackedLimits) -> Detached {
    made::<Hash>(|mut hash| {
        for (field, value) in pairs {
            hash.set(field, value, limits);
        }
    })
}

fn set(members: &[&[u8]]) -> Detached {
    made::<Set>(|mut set| {
        for member in members {
            set.insert(member, &SetLimits::default());
        }
    })
}

fn zset(members: &[(&[u8], f64)], limits: &PackedLimits) -> Detached {
    made::<Zset>(|mut zset| {
        for (member, score) in members {
            zset.insert(member, *score, limits);
        }
    })
}

const NONE: PackedLimits = PackedLimits { entries: 0, value_bytes: 0 };

/// Type and value, uncompressed, in hexadecimal digits.
fn written(value: &Detached) -> String {
    let view = ValueView::of_detached(value);
    let mut out = vec![value_type(view)];
    encode_value(&mut out, view, EncodeOptions { compress: false });
    out.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn small_values_are_what_redis_writes() {
    let cases = [
        (string(Kind::Str, b""), "0000"),
        (string(Kind::Str, b"hello"), "000568656c6c6f"),
        (string(Kind::Str, b"-7"), "00c0f9"),
        (string(Kind::Int, &300_i64.to_le_bytes()), "00c12c01"),
        (string(Kind::Int, &10_000_000_000_i64.to_le_bytes()), "000b3130303030303030303030"),
        (list(&[b"a", b"1"]), "1201020c0c00000002008161020101ff"),
        (set(&[b"1", b"-2"]), "0b0c0200000002000000feff0100"),
        (set(&[b"1", b"100000"]), "0b10040000000200000001000000a0860100"),
        (set(&[b"a", b"7"]), "02020161c007"),
        (hash(&[(b"f", b"v")], &PackedLimits::default()), "100d0d0000000200816602817602ff"),
        (hash(&[(b"f", b"v")], &NONE), "040101660176"),
        (zset(&[(b"m", 2.0)], &PackedLimits::default()), "110c0c0000000200816d020201ff"),
        (zset(&[(b"m", 0.5)], &PackedLimits::default()), "110f0f0000000200816d0283302e3504ff"),
        (zset(&[(b"m", 0.5), (b"n", -1.0)], &NONE), "0502016d000000000000e03f016e000000000000f0bf"),
        (zset(&[(b"m", f64::NEG_INFINITY)], &PackedLimits::default()), "1110100000000200816d02842d696e6605ff"),
    ];
    for (value, expected) in cases {
        assert_eq!(written(&value), expected);
    }
}

#[test]
fn a_stream_is_its_blocks_and_what_is_gone() {
    let value = made::<Stream>(|stream| {
        let limits = StreamLimits::default();
        stream.append(StreamId::new(5, 9), [(&b"f"[..], &b"v"[..])].into_iter(), &limits);
        stream.append(StreamId::new(6, 0), [(&b"f"[..], &b"1"[..])].into_iter(), &limits);
        stream.append(StreamId::new(7, 1), [(&b"g"[..], &b"x"[..])].into_iter(), &limits);
        assert!(stream.remove(StreamId::new(5, 9)));
    });
    let expected = [
        "1301",                                     // one listpack
        "1000000000000000050000000000000009",       // its id
        "2e2e0000001100",                           // 17 elements
        "02010001010181660 20001",                  // two entries, none deleted, one name: f, 0
        "0201010 1dff702010104 01",                 // same names, 1 ms later, 9 less, 1
        "0001 0201 dff802 0101 816702 817802 0601", // other names
        "ff",
        "02",   // two entries
        "0701", // last id
        "0600", // first id
        "0509", // greatest deleted id
        "0300", // three were added, no groups
    ];
    assert_eq!(written(&value), expected.concat().replace(' ', ""));
    assert_eq!(written(&string(Kind::StreamNew, b"")), "1300000000000000000000");
}

#[test]
fn a_payload_ends_with_version_and_checksum() {
    let payload = dump_payload(ValueView::of_detached(&string(Kind::Int, &10_i64.to_le_bytes())));
    // What redis-server 7.0 replies to DUMP.
    assert_eq!(payload, b"\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xbb");
}

#[test]
fn usage_goes_by_the_policy() {
    let now_ms = 10_000_000;
    let clock = lfu::fresh(now_ms);
    let cases = [
        (MaxmemoryPolicy::NoEviction, 9_000, Usage::Untold),
        (MaxmemoryPolicy::VolatileTtl, 9_000, Usage::Untold),
        (MaxmemoryPolicy::AllKeysLru, 9_000, Usage::Idle(1_000)),
        (MaxmemoryPolicy::VolatileLru, 11_000, Usage::Idle(0)),
        (MaxmemoryPolicy::AllKeysLfu, clock, Usage::Frequency(5)),
    ];
    for (policy, access, expected) in cases {
        assert_eq!(Usage::of(access, policy, 1, now_ms), expected, "{policy:?}");
    }
    let mut out = Vec::new();
    let value = string(Kind::Str, b"v");
    let mut encoder = ValueEncoder::new(EncodeOptions::default());
    encoder.encode_entry(&mut out, b"k", ValueView::of_detached(&value), Some(1), Usage::Idle(3));
    encoder.encode_entry(&mut out, b"7", ValueView::of_detached(&value), None, Usage::Frequency(4));
    assert_eq!(out, b"\xfc\x01\0\0\0\0\0\0\0\xf8\x03\0\x01k\x01v\xf9\x04\0\xc0\x07\x01v");
}

#[test]
fn pieces_are_the_whole_and_no_piece_is_long() {
    let text = |at: usize| format!("member:{at:05}").into_bytes();
    let long = vec![b'x'; 1 << 20];
    let values = [
        made::<List>(|mut list| {
            (0..20_000).for_each(|at| list.push(End::Back, &text(at % 7_000), &ListLimits::default()));
        }),
        made::<Hash>(|mut hash| {
            (0..5_000).for_each(|at| assert!(hash.set(&text(at), &text(at + 1), &PackedLimits::default())));
        }),
        made::<Set>(|mut set| (0..5_000).for_each(|at| assert!(set.insert(&text(at), &SetLimits::default())))),
        made::<Zset>(|mut zset| {
            for at in 0..5_000 {
                zset.insert(&text(at), (at % 9) as f64, &PackedLimits::default());
            }
        }),
        made::<Stream>(|stream| {
            for at in 1..5_000 {
                let value = text(at);
                let fields = [(&b"name"[..], value.as_slice())].into_iter();
                stream.append(StreamId::new(at as u64, 0), fields, &StreamLimits::default());
            }
        }),
        list(&[b"one"]),
        string(Kind::Str, &long),
        string(Kind::Str, b"12"),
        set(&[b"1", b"2"]),
    ];
    for compress in [false, true] {
        let options = EncodeOptions { compress };
        // One encoder for all: what one value leaves behind must not touch the next.
        let mut encoder = ValueEncoder::new(options);
        for (at, value) in values.iter().enumerate() {
            let view = ValueView::of_detached(value);
            let mut whole = Vec::new();
            encode_value(&mut whole, view, options);
            for piece_bytes in [1, 1000, 100_000] {
                let (mut pieces, mut longest, mut before) = (Vec::new(), 0, 0);
                while !encoder.encode_some(&mut pieces, view, piece_bytes) {
                    longest = longest.max(pieces.len() - before);
                    before = pieces.len();
                }
                longest = longest.max(pieces.len() - before);
                assert!(pieces == whole, "value {at} in pieces of {piece_bytes} bytes");
                assert!(compress || longest <= piece_bytes + 16 * 1024, "value {at}: a piece of {longest} bytes");
                assert!(
                    compress || whole.len() <= piece_bytes + 16 * 1024 || longest < whole.len(),
                    "value {at} came in one piece"
                );
            }
        }
    }
}

#[test]
fn long_elements_of_a_list_are_plain_nodes() {
    let long = vec![b'x'; PLAIN_BYTES_MIN + 1];
    let value = list(&[b"a", &long, &long[1..], b"b"]);
    let mut out = Vec::new();
    encode_value(&mut out, ValueView::of_detached(&value), EncodeOptions { compress: false });
    let plain = [&[NODE_PLAIN as u8, 0x60, 0x01], &long[..]].concat();
    assert_eq!(out[0], 4, "four nodes");
    assert_eq!(out.windows(plain.len()).filter(|window| *window == plain).count(), 1);
    assert_eq!(u64::from(out[1]), NODE_PACKED);
}
