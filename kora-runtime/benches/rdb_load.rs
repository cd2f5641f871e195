//! What a key of an RDB file costs until it is in a database: nanoseconds, printed as a table.
//! `cargo bench -p kora-runtime --bench rdb_load [FILTER]`.
//!
//! Owns: the files. Refuses to know: how the cases are measured; `harness` does.

mod harness;

use ahash::RandomState;
use kora_runtime::config::Config;
use kora_runtime::keyspace::Database;
use kora_runtime::keyspace::typed::random_state;
use kora_runtime::rdb::{DecodeOptions, load_key};
use kora_storage::rdb::codes::{opcodes, types};
use kora_storage::rdb::{Checksum, Item, RdbFile};

use crate::harness::Bench;

/// The server's, which decides about half of what an entry costs.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const MANY: u32 = 1_000_000;

/// A file of `count` keys of 16 bytes, whose values `value` writes.
fn file(count: u32, kind: u8, value: impl Fn(&mut Vec<u8>, u32)) -> Vec<u8> {
    let mut bytes = b"REDIS0010".to_vec();
    for number in 0..count {
        bytes.extend([kind, 16]);
        bytes.extend(format!("key:{number:012}").bytes());
        value(&mut bytes, number);
    }
    bytes.push(opcodes::EOF);
    let mut checksum = Checksum::new();
    checksum.update(&bytes);
    bytes.extend(checksum.value().to_le_bytes());
    bytes
}

/// Loads all of a file, whose bytes come through a buffer as those of a real one do.
fn load(bytes: &[u8], config: &Config, seeds: &RandomState, count: u32) {
    let options = DecodeOptions { config, seeds, now_ms: 0 };
    let mut file = RdbFile::open("bench", Box::new(bytes)).expect("a file");
    let mut database = Database::default();
    while let Item::Key(head) = file.next_item().expect("an item") {
        load_key(&mut file, &head, &mut database, &options, options.now_ms).expect("a key");
    }
    assert_eq!(database.len(), count as usize);
}

fn main() {
    let bench = Bench::from_arguments();
    let (config, seeds) = (Config::default(), random_state([1, 2, 3, 4]));
    let strings = file(MANY, types::STRING, |bytes, number| {
        bytes.push(32);
        bytes.extend(format!("value:{number:026}").bytes());
    });
    bench.case("strings of 32 bytes", MANY, || load(&strings, &config, &seeds, MANY));
    let integers = file(MANY, types::STRING, |bytes, number| {
        bytes.push(0xc2);
        bytes.extend(number.to_le_bytes());
    });
    bench.case("integers", MANY, || load(&integers, &config, &seeds, MANY));
    let hashes = file(MANY / 10, types::HASH_LISTPACK, |bytes, number| {
        let mut pack = vec![0; 6];
        for field in 0..10 {
            pack.extend([0x86]);
            pack.extend(format!("field{field}").bytes());
            pack.extend([7, 0x88]);
            pack.extend(format!("v{number:07}").bytes());
            pack.push(9);
        }
        pack.push(0xff);
        let total = pack.len() as u32;
        pack[..4].copy_from_slice(&total.to_le_bytes());
        pack[4] = 20;
        bytes.extend([0x40 | (pack.len() >> 8) as u8, pack.len() as u8]);
        bytes.extend(pack);
    });
    bench.case("hashes of 10 fields", MANY / 10, || load(&hashes, &config, &seeds, MANY / 10));
}
