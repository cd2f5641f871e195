//! What writing RDB costs: nanoseconds per key or element, printed as a table. `cargo bench -p kora-runtime --bench rdb [FILTER]`.
//!
//! Owns: the cases. Refuses to know: how they are measured; `harness` does.

mod harness;

use ahash::RandomState;
use kora_runtime::config::MaxmemoryPolicy;
use kora_runtime::keyspace::typed::{Hash, List, Stream, Zset, random_state};
use kora_runtime::keyspace::{Database, Draft, Entry, Kind, SaveOptions};
use kora_runtime::rdb::{EncodeOptions, ValueEncoder, ValueView};
use kora_runtime::types::{End, ListLimits, PackedLimits, StreamId, StreamLimits, hash_of};
use kora_storage::rdb::Checksum;
use kora_storage::rdb::lzf::Compressor;

use crate::harness::Bench;

const KEYS: usize = 1_000_000;
const MANY: usize = 100_000;

/// Strings of 16 bytes and of `value_bytes` under keys of 16 bytes.
fn strings(seeds: &RandomState, value_bytes: usize) -> Database {
    let mut database = Database::default();
    for at in 0..KEYS {
        let key = format!("key:{at:012}").into_bytes();
        let value = format!("{at:0value_bytes$}x").into_bytes();
        database.insert(hash_of(seeds, &key), Entry::new(&key, Kind::Str, &value[1..], None, 0), seeds);
    }
    database
}

fn keys(bench: &Bench, seeds: &RandomState) {
    for (name, value_bytes, compress) in [("16 B", 16, true), ("32 B", 32, false), ("32 B, compressed", 32, true)] {
        let mut database = strings(seeds, value_bytes);
        let encode = EncodeOptions { compress };
        let options = SaveOptions { encode, policy: MaxmemoryPolicy::NoEviction, decay_minutes: 1, now_ms: 0 };
        let mut out = Vec::with_capacity(1 << 20);
        let mut bytes = 0;
        bench.case(&format!("1 M strings of {name}, with the checksum"), KEYS as u32, || {
            let mut checksum = Checksum::default();
            bytes = 0;
            database.begin_saving(0, options);
            let mut done = false;
            while !done {
                done = database.save_some(seeds, &mut out).is_none_or(|saved| saved.done);
                if out.len() > 1 << 19 || done {
                    checksum.update(&out);
                    bytes += out.len();
                    out.clear();
                }
            }
        });
        println!("  {} bytes a key", bytes / KEYS);
    }
}

fn values(bench: &Bench, seeds: &RandomState) {
    let limits = PackedLimits::default();
    let name = |at: usize| format!("member:{at:08}").into_bytes();
    let mut packed: Draft<Hash> = Draft::new(seeds);
    for at in 0..10 {
        packed.open().set(&name(at), b"some value", &limits);
    }
    let mut hash: Draft<Hash> = Draft::new(seeds);
    for at in 0..MANY {
        hash.open().set(&name(at), b"some value", &limits);
    }
    let mut zset: Draft<Zset> = Draft::new(seeds);
    for at in 0..MANY {
        zset.open().insert(&name(at), at as f64, &limits);
    }
    let mut list: Draft<List> = Draft::new(seeds);
    (0..MANY).for_each(|at| list.open().push(End::Back, &name(at), &ListLimits::default()));
    let mut stream: Draft<Stream> = Draft::new(seeds);
    for at in 0..MANY {
        let value = name(at);
        let fields = [(&b"temperature"[..], value.as_slice()), (b"pressure", b"1013")];
        stream.open().append(StreamId::new(at as u64 + 1, 0), fields.into_iter(), &StreamLimits::default());
    }
    let cases = [
        ("packed hash of 10, a field", 10, ValueView::Hash(packed.view())),
        ("hash of 100 k, a field", MANY, ValueView::Hash(hash.view())),
        ("sorted set of 100 k, a member", MANY, ValueView::Zset(zset.view())),
        ("list of 100 k, an element", MANY, ValueView::List(list.view())),
        ("stream of 100 k, an entry", MANY, ValueView::Stream(stream.view())),
    ];
    for (name, elements, value) in cases {
        for compress in [false, true] {
            let mut encoder = ValueEncoder::new(EncodeOptions { compress });
            let mut out = Vec::new();
            let how = if compress { ", compressed" } else { "" };
            bench.case(&format!("{name}{how}"), elements as u32, || {
                out.clear();
                encoder.encode(&mut out, value);
            });
        }
    }
}

fn primitives(bench: &Bench) {
    let text = include_bytes!("../../commands.toml");
    let noise: Vec<u8> = (0..text.len()).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut compressor = Compressor::default();
    for (name, input) in [("text", &text[..]), ("noise", &noise)] {
        let mut out = Vec::new();
        bench.case(&format!("LZF of {name}, a byte"), input.len() as u32, || {
            out.clear();
            compressor.compress(input, &mut out, input.len() - 4);
        });
    }
    bench.case("CRC-64, a byte", text.len() as u32, || {
        std::hint::black_box(Checksum::of(text));
    });
}

fn main() {
    let bench = Bench::from_arguments();
    let seeds = random_state([1, 2, 3, 4]);
    keys(&bench, &seeds);
    values(&bench, &seeds);
    primitives(&bench);
}
