//! A file of redis-server, read into databases: what is in it, how it is kept, what is left out.
//!
//! Owns: what depends on settings and on the clock. Refuses to know: replies; the transcript of RESTORE shows values of every type.

use kora_storage::rdb::{Item, RdbFile, payload};

use super::*;
use crate::config::MaxmemoryPolicy;
use crate::keyspace::Database;
use crate::keyspace::typed::{Str, StrRef, Type, random_state};
use crate::rdb::{Loaded, PayloadError, ValueView, load_key, load_payload};
use crate::types::hash_of;

const GOLDEN: &[u8] = include_bytes!("../../../../kora-storage/tests/golden/redis-7.0.15.rdb");
const NOW_MS: u64 = 1_700_000_000_000;
/// When a key of the file expires; another does a millisecond later.
const EXPIRY_MS: u64 = 4_102_444_800_000;

/// What was read of a file.
struct Read {
    databases: Vec<Database>,
    seeds: RandomState,
    /// Keys that are not in a database, with the reason.
    left_out: Vec<(String, Loaded)>,
}

fn read(config: &Config, now_ms: u64) -> Read {
    let seeds = random_state([1, 2, 3, 4]);
    let options = DecodeOptions { config, seeds: &seeds, now_ms };
    let mut databases: Vec<Database> = (0..16).map(|_| Database::default()).collect();
    let mut file = RdbFile::of_bytes("golden", GOLDEN).expect("redis-server wrote it");
    let (mut number, mut left_out) = (0, Vec::new());
    loop {
        match file.next_item().expect("redis-server wrote it") {
            Item::Database(database) => number = database as usize,
            Item::End => return Read { databases, seeds, left_out },
            Item::Key(head) => {
                let loaded =
                    load_key(&mut file, &head, &mut databases[number], &options, options.now_ms).expect("a value");
                if loaded != Loaded::Key {
                    left_out.push((String::from_utf8_lossy(file.key()).into_owned(), loaded));
                }
            }
            _ => {}
        }
    }
}

impl Read {
    fn with<T: Type, R>(&self, number: usize, key: &str, see: impl FnOnce(T::Ref<'_>) -> R) -> R {
        let database = &self.databases[number];
        let slot = database.find(hash_of(&self.seeds, key.as_bytes()), key.as_bytes()).expect("the key");
        let (entry, bigs) = database.value(slot);
        see(T::reference(entry, bigs).expect("the key"))
    }

    fn kind(&self, key: &str) -> Kind {
        let database = &self.databases[0];
        let slot = database.find(hash_of(&self.seeds, key.as_bytes()), key.as_bytes()).expect("the key");
        database.entry(slot).kind()
    }
}

#[test]
fn everything_in_a_file_is_found_again() {
    let read = read(&Config::default(), NOW_MS);
    read.with::<Str, _>(0, "text", |text| assert_eq!(text, StrRef::Bytes(b"hello")));
    read.with::<Str, _>(0, "int", |text| assert_eq!(text, StrRef::Int(12_345)));
    read.with::<Str, _>(0, "lzf", |text| assert_eq!(text, StrRef::Bytes(&b"abcabcabc".repeat(20))));
    read.with::<Str, _>(3, "text", |text| assert_eq!(text, StrRef::Bytes(b"in three")));
    read.with::<List, _>(0, "list", |list| {
        let mut found = Vec::new();
        list.visit(0..9, crate::types::Direction::Forward, |element| found.push(element.to_vec()));
        assert_eq!(found, [&b"a"[..], b"1", b"-70000"]);
    });
    read.with::<Set, _>(0, "set", |set| assert!(set.len() == 2 && set.contains(b"a") && set.contains(b"b")));
    read.with::<Set, _>(0, "set:int", |set| assert!(set.len() == 3 && set.contains(b"-3")));
    read.with::<Hash, _>(0, "hash", |hash| {
        assert!(hash.len() == 2 && hash.get(b"n").is_some_and(|n| n.eq_bytes(b"1")))
    });
    read.with::<Hash, _>(0, "hash:big", |hash| assert!(hash.get(b"f").is_some_and(|f| f.eq_bytes(&[b'v'; 70]))));
    read.with::<Zset, _>(0, "zset", |zset| assert_eq!((zset.score(b"a"), zset.score(b"b")), (Some(1.0), Some(1.5))));
    read.with::<Zset, _>(0, "zset:big", |zset| assert_eq!(zset.score(&[b'm'; 70]), Some(1.25)));
    read.with::<Stream, _>(0, "stream", |stream| {
        let ids = [stream.first(), stream.last()].map(|entry| entry.map(|entry| entry.id));
        assert_eq!(ids, [Some(StreamId::new(1, 1)), Some(StreamId::new(4, 1))]);
        assert_eq!((stream.len(), stream.entries_added(), stream.last_id()), (4, 4, StreamId::new(4, 1)));
    });
    assert_eq!(read.left_out, [("groups".to_owned(), Loaded::Skipped(Skipped::Groups(1)))]);
    assert_eq!(read.databases[0].expires_len(), 2);
}

#[test]
fn values_are_kept_as_the_settings_ask_for_now() {
    let read_with = |config: &Config| {
        let read = read(config, NOW_MS);
        ["hash", "zset", "set", "set:int", "list"].map(|key| read.kind(key))
    };
    let packed = [Kind::HashPacked, Kind::ZsetPacked, Kind::SetPacked, Kind::SetInts, Kind::ListPacked];
    assert_eq!(read_with(&Config::default()), packed);
    let config = Config {
        hash_max_listpack_entries: 1,
        zset_max_listpack_entries: 1,
        set_max_listpack_entries: 0,
        set_max_intset_entries: 0,
        ..Config::default()
    };
    assert_eq!(read_with(&config)[..4], [Kind::HashBig, Kind::ZsetBig, Kind::SetBig, Kind::SetBig]);
}

#[test]
fn what_has_expired_is_left_out() {
    let at = |now_ms| {
        let read = read(&Config::default(), now_ms);
        (read.databases[0].expires_len(), read.left_out.iter().filter(|(_, why)| *why == Loaded::Expired).count())
    };
    assert_eq!([at(EXPIRY_MS - 1), at(EXPIRY_MS), at(EXPIRY_MS + 1)], [(2, 0), (1, 1), (0, 2)]);
}

#[test]
fn the_access_clock_is_what_the_policy_counts() {
    let seeds = random_state([1, 2, 3, 4]);
    let access = |policy, head: KeyHead| {
        let config = Config { maxmemory_policy: policy, ..Config::default() };
        DecodeOptions { config: &config, seeds: &seeds, now_ms: NOW_MS }.access(&head)
    };
    let head = KeyHead { idle_seconds: Some(100), frequency: Some(77), ..KeyHead::default() };
    let now_seconds = (NOW_MS / 1000) as u32;
    assert_eq!(access(MaxmemoryPolicy::AllKeysLru, head), now_seconds - 100);
    assert_eq!(access(MaxmemoryPolicy::AllKeysLru, KeyHead::default()), now_seconds);
    assert_eq!(access(MaxmemoryPolicy::AllKeysLfu, head) & 0xff, 77);
    assert_eq!(access(MaxmemoryPolicy::AllKeysLfu, KeyHead::default()), lfu::fresh(NOW_MS));
    let ancient = KeyHead { idle_seconds: Some(u64::MAX), ..KeyHead::default() };
    assert_eq!(access(MaxmemoryPolicy::AllKeysLru, ancient), 0);
}

#[test]
fn a_key_that_is_there_twice_is_refused() {
    let (config, seeds) = (Config::default(), random_state([1, 2, 3, 4]));
    let options = DecodeOptions { config: &config, seeds: &seeds, now_ms: NOW_MS };
    let mut file = RdbFile::of_bytes("twice", b"REDIS0003\x00\x01k\x01v\x00\x01k\x01w\xff").expect("a file");
    let mut database = Database::default();
    let mut load = |file: &mut RdbFile<'_>| {
        let Ok(Item::Key(head)) = file.next_item() else { panic!("a key") };
        load_key(file, &head, &mut database, &options, options.now_ms)
    };
    assert_eq!(load(&mut file).expect("the first"), Loaded::Key);
    let error = load(&mut file).expect_err("the second").to_string();
    assert_eq!(error, "twice at offset 17: a key that is there twice");
}

#[test]
fn a_large_value_is_read_in_slices() {
    let (config, seeds) = (Config::default(), random_state([1, 2, 3, 4]));
    let options = DecodeOptions { config: &config, seeds: &seeds, now_ms: NOW_MS };
    let mut body = b"\x80\x00\x00\x27\x10".to_vec();
    for number in 0..10_000_u32 {
        body.push(6);
        body.extend(format!("{number:06}").bytes());
    }
    let mut reader = Reader::of_bytes("slices", &body);
    let mut decoder = ValueDecoder::begin(types::SET, &mut reader, options).expect("a set");
    let mut slices = 1;
    while decoder.advance(&mut reader, 100).expect("members") {
        slices += 1;
    }
    let Ok(Decoded::Value(value)) = decoder.finish(&mut reader) else { panic!("a value") };
    assert_eq!((slices, value.big.map(|big| big.len())), (100, Some(10_000)));
}

#[test]
fn a_payload_says_what_is_wrong_with_it() {
    let (config, seeds) = (Config::default(), random_state([1, 2, 3, 4]));
    let options = DecodeOptions { config: &config, seeds: &seeds, now_ms: NOW_MS };
    let load = |kind, body: &[u8]| load_payload(&payload::close(kind, body), options);
    assert!(load(types::STRING, b"\x01v").is_ok());
    assert!(matches!(load(types::STRING, b"\x01vw"), Err(PayloadError::Format(_))));
    assert!(matches!(load(types::STRING, b"\x02v"), Err(PayloadError::Format(_))));
    assert!(matches!(load(types::LIST, b"\x00"), Err(PayloadError::Nothing)));
    assert!(matches!(load_payload(b"\x00\x01v", options), Err(PayloadError::Frame)));
    let module = load(types::MODULE_2, b"\x00\x00").expect_err("nobody knows modules").to_string();
    assert_eq!(
        module,
        "ERR The value cannot be restored: it belongs to the module \"AAAAAAAAA\", which is not supported"
    );
}

#[test]
fn a_big_sorted_set_keeps_the_signs_of_its_zeroes() {
    let (config, seeds) = (Config::default(), random_state([1, 2, 3, 4]));
    let options = DecodeOptions { config: &config, seeds: &seeds, now_ms: NOW_MS };
    // Small ones lose them, as in Redis; a long member makes any a big one.
    for (members, long, kept) in [(100, false, false), (1_000, false, true), (3, true, true)] {
        let sign = |number: u32| number.is_multiple_of(3);
        let mut body = Vec::new();
        kora_storage::rdb::write::write_length(&mut body, u64::from(members) + 1);
        // The long one comes last, when the others are there already.
        let last = if long { "l".repeat(100) } else { "l".to_owned() };
        for number in 0..members {
            kora_storage::rdb::write::write_plain(&mut body, number.to_string().as_bytes());
            kora_storage::rdb::write::write_double(&mut body, if sign(number) { -0.0 } else { 0.0 });
        }
        kora_storage::rdb::write::write_plain(&mut body, last.as_bytes());
        kora_storage::rdb::write::write_double(&mut body, 1.0);
        let payload = payload::close(types::ZSET_2, &body);
        let value = load_payload(&payload, options).expect("a good payload");
        let ValueView::Zset(zset) = ValueView::of_detached(&value) else { panic!("a sorted set") };
        for number in 0..members {
            let score = zset.score(number.to_string().as_bytes()).expect("a member");
            assert_eq!((score, score.is_sign_negative()), (0.0, kept && sign(number)), "{number} of {members}");
            assert_eq!(
                zset.rank(number.to_string().as_bytes()).map(|(_, score)| score.to_bits()),
                Some(score.to_bits())
            );
        }
    }
}
