//! Files and payloads that Kora writes, read by redis-server and redis-check-rdb.
//!
//! Owns: values of every type and form, and reading them back by commands. Refuses to know: how a value is encoded.
//! Start at [`redis_server_loads_what_was_written`]. Without `KORA_ORACLE=1` files are made and not shown to anybody.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use kora_runtime::keyspace::typed::{Hash, List, Set, Stream, Type, Zset, random_state};
use kora_runtime::keyspace::{Entry, Keyspace, Kind};
use kora_runtime::random::Random;
use kora_runtime::rdb::{EncodeOptions, Usage, ValueEncoder, ValueView, dump_payload};
use kora_runtime::resp::number::{parse_f64, parse_i64};
use kora_runtime::types::packed::encode_into;
use kora_runtime::types::{End, ListLimits, PackedLimits, SetLimits, StreamId, StreamLimits};
use kora_storage::rdb::Checksum;
use kora_storage::rdb::write;
use kora_tests::oracle::{Oracle, VARIABLE};
use kora_tests::resp::{Client, Value};

type Bytes = Vec<u8>;
type Pairs = Vec<(Bytes, Bytes)>;

/// What a key holds.
#[derive(Debug, Clone, PartialEq)]
enum Content {
    Str(Bytes),
    List(Vec<Bytes>),
    Hash(BTreeMap<Bytes, Bytes>),
    Set(BTreeSet<Bytes>),
    Zset(BTreeMap<Bytes, f64>),
    Stream { entries: Vec<(String, Pairs)>, last: String, max_deleted: String, added: i64 },
}

/// A key as it should be found.
struct Expected {
    db: u8,
    key: Bytes,
    content: Content,
    expiry_ms: Option<u64>,
}

struct World {
    keyspace: Keyspace,
    random: Random,
    expected: Vec<Expected>,
}

const FAR_MS: u64 = 4_000_000_000_000;

impl World {
    fn new(seed: u64) -> Self {
        Self { keyspace: Keyspace::new(random_state([1, 2, 3, seed])), random: Random::new(seed), expected: Vec::new() }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random.below(bound)
    }

    fn word(&mut self, bytes_max: u64) -> Bytes {
        match self.below(8) {
            0 => Bytes::new(),
            1 | 2 => {
                let shift = self.below(64);
                (self.random.next_u64() as i64 >> shift).to_string().into_bytes()
            }
            3 => (0..self.below(bytes_max)).map(|_| self.random.next_u64() as u8).collect(),
            4 => vec![b'a' + self.below(3) as u8; self.below(bytes_max) as usize],
            _ => format!("member:{}", self.below(5000)).into_bytes(),
        }
    }

    fn score(&mut self) -> f64 {
        match self.below(6) {
            0 => [f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, f64::MAX, f64::MIN_POSITIVE, 1e17, 1e300]
                [self.below(8) as usize],
            1 => self.below(1 << 53) as f64 - (1u64 << 52) as f64,
            2 => self.below(100) as f64 / 8.0,
            3 => (self.random.next_u64() as i64) as f64,
            4 => f64::from_bits(self.random.next_u64() >> 2),
            _ => self.below(50) as f64,
        }
    }

    /// Puts an empty value of type `T` under a new key and has it filled.
    fn put<T: Type>(&mut self, content: Content, fill: impl FnOnce(T::Mut<'_>)) {
        self.put_payload(content, T::NEW, &[]);
        let (db, key) = self.expected.last().map(|it| (it.db, it.key.clone())).expect("it was put");
        let hash = self.keyspace.hash(&key);
        let (database, seeds) = self.keyspace.database_mut(usize::from(db));
        let slot = database.find(hash, &key).expect("it was put");
        fill(T::mutable(database.value_mut(slot, seeds)).expect("it is of this type"));
    }

    fn put_payload(&mut self, content: Content, kind: Kind, payload: &[u8]) {
        let number = self.expected.len();
        let key = match number % 7 {
            0 => number.to_string().into_bytes(),
            1 => [format!("{number}:").as_bytes(), &vec![b'k'; 300]].concat(),
            _ => [format!("key:{number}:").as_bytes(), &[0xff, 0, b'\r']].concat(),
        };
        let db = [0, 0, 1, 15][number % 4];
        let expiry_ms = number.is_multiple_of(3).then(|| FAR_MS + number as u64);
        let hash = self.keyspace.hash(&key);
        let (database, seeds) = self.keyspace.database_mut(usize::from(db));
        database.insert(hash, Entry::new(&key, kind, payload, expiry_ms, 77), seeds);
        self.expected.push(Expected { db, key, content, expiry_ms });
    }

    fn string(&mut self, bytes: Bytes) {
        let content = Content::Str(bytes.clone());
        match parse_i64(&bytes) {
            Some(int) => self.put_payload(content.clone(), Kind::Int, &int.to_le_bytes()),
            None if bytes.len() > 1024 => {
                use kora_runtime::keyspace::typed::Str;
                self.put::<Str>(content, |mut string| {
                    string.edit(bytes.len(), |value| value.extend_from_slice(&bytes))
                });
                return;
            }
            None => {}
        }
        // The text of an integer may be stored as text, too.
        self.put_payload(content, Kind::Str, &bytes);
    }

    fn list(&mut self, elements: Vec<Bytes>, limits: ListLimits) {
        self.put::<List>(Content::List(elements.clone()), |mut list| {
            elements.iter().for_each(|element| list.push(End::Back, element, &limits));
        });
    }

    fn hash(&mut self, pairs: Pairs, limits: PackedLimits) {
        self.put::<Hash>(Content::Hash(pairs.iter().cloned().collect()), |mut hash| {
            for (field, value) in &pairs {
                hash.set(field, value, &limits);
            }
        });
    }

    fn set(&mut self, members: Vec<Bytes>, limits: SetLimits) {
        self.put::<Set>(Content::Set(members.iter().cloned().collect()), |mut set| {
            for member in &members {
                set.insert(member, &limits);
            }
        });
    }

    fn zset(&mut self, members: Vec<(Bytes, f64)>, limits: PackedLimits) {
        self.put::<Zset>(Content::Zset(members.iter().cloned().collect()), |mut zset| {
            for (member, score) in &members {
                zset.insert(member, *score, &limits);
            }
        });
    }

    fn stream(&mut self, appended: u64, limits: StreamLimits) {
        let mut stream = kora_runtime::types::Stream::new();
        let mut model: Vec<(StreamId, Pairs)> = Vec::new();
        let mut last = StreamId::MIN;
        for _ in 0..appended {
            last = match self.below(4) {
                0 => StreamId::new(last.ms, last.seq + 1 + self.below(3)),
                1 => StreamId::new(last.ms + 1 + self.below(1 << 40), self.random.next_u64()),
                _ => StreamId::new(last.ms + 1 + self.below(5), self.below(3)),
            };
            let names: &[&str] =
                [&["a", "b"][..], &["a", "b"], &["a", "b"], &["a"], &["7", "a", "a"]][self.below(5) as usize];
            let pairs: Pairs = names.iter().map(|name| (name.as_bytes().to_vec(), self.word(200))).collect();
            stream.append(last, pairs.iter().map(|(name, value)| (name.as_slice(), value.as_slice())), &limits);
            model.push((last, pairs));
            if self.below(4) == 0 {
                let (id, _) = model.remove(self.below(model.len() as u64) as usize);
                assert!(stream.remove(id));
            }
        }
        if self.below(4) == 0 {
            stream.set_last_id(StreamId::new(last.ms + 5, 5));
            stream.set_entries_added(stream.entries_added() + 70_000);
        }
        let content = Content::Stream {
            entries: model.into_iter().map(|(id, pairs)| (id.to_string(), pairs)).collect(),
            last: stream.last_id().to_string(),
            max_deleted: stream.max_deleted_id().to_string(),
            added: stream.entries_added() as i64,
        };
        self.put::<Stream>(content, |place| *place = stream);
    }

    /// What is most likely to be wrong.
    fn boundaries(&mut self) {
        for len in
            [0, 1, 19, 20, 21, 63, 64, 65, 1023, 1024, 1025, 16_383, 16_384, 65_535, 65_536, 70_000, 1 << 20, 5 << 20]
        {
            self.string(vec![b'x'; len]);
            let noise = (0..len).map(|_| self.random.next_u64() as u8).collect();
            self.string(noise);
        }
        for bit in 0..64_u32 {
            let power = 1_i64.wrapping_shl(bit);
            [power.wrapping_sub(1), power, power.wrapping_neg(), power.wrapping_neg().wrapping_sub(1)]
                .into_iter()
                .for_each(|int| self.string(int.to_string().into_bytes()));
        }
        ["-0", "01", "+1", "1 ", "9223372036854775808", "1e5"].into_iter().for_each(|text| self.string(text.into()));

        let lengths = [0, 1, 62, 63, 64, 65, 124, 125, 126, 127, 4094, 4095, 4096, 8191, 8192, 8193];
        let around = |middle: usize| [middle - 1, middle, middle + 1];
        let all: Vec<usize> = lengths.into_iter().chain(around(16_378)).chain(around(65_536)).collect();
        let wide = PackedLimits { entries: 1000, value_bytes: 1 << 20 };
        let filled = |len: usize| vec![b'0' + (len % 10) as u8; len];
        let elements: Vec<Bytes> =
            all.iter().map(|len| [b"_", filled(*len).as_slice()].concat()[1..].to_vec()).collect();
        for default in [
            ListLimits::default(),
            ListLimits::default().with_listpack_size(-5),
            ListLimits::default().with_listpack_size(1),
        ] {
            self.list(elements.clone(), default);
            self.list((0..5000).map(|at| format!("element:{}", at / 3).into_bytes()).collect(), default);
        }
        self.list(
            vec![vec![b'h'; 3 << 20], b"small".to_vec(), (0..1_u64 << 20).map(|at| (at * at / 7) as u8).collect()],
            ListLimits::default(),
        );
        let pairs: Pairs = all.iter().take(19).map(|len| (filled(*len), vec![b'v'; 65_536 - *len])).collect();
        let narrow: Pairs = all.iter().take(19).map(|len| (format!("{len}").into_bytes(), filled(*len))).collect();
        for limits in [wide, PackedLimits::default()] {
            self.hash(pairs.iter().take(3).cloned().collect(), limits);
            self.hash(narrow.clone(), limits);
            self.set(all.iter().map(|len| filled(*len)).collect(), SetLimits { ints: 4, packed: limits });
            self.zset(all.iter().map(|len| (filled(*len), *len as f64 / 3.0)).collect(), limits);
        }
        // More elements than a listpack counts; made by hand, for packed values are not meant to grow so.
        let (mut payload, mut pairs) = (Bytes::new(), BTreeMap::new());
        for at in 0..40_000_i64 {
            let (field, value) = (at.to_string().into_bytes(), (at % 60).to_string().into_bytes());
            encode_into(&mut payload, &field);
            encode_into(&mut payload, &value);
            pairs.insert(field, value);
        }
        self.put_payload(Content::Hash(pairs), Kind::HashPacked, &payload);

        for widest in [100_i64, 40_000, 1 << 40] {
            self.set(
                [0, -1, 1, 5, widest, -widest].iter().map(|int| int.to_string().into_bytes()).collect(),
                SetLimits::default(),
            );
        }
        self.set(
            (0..20_000).map(|at| (at * 7).to_string().into_bytes()).collect(),
            SetLimits { ints: 100_000, ..SetLimits::default() },
        );
        self.set((0..3000).map(|at| at.to_string().into_bytes()).collect(), SetLimits::default());
        self.zset(
            (0..3000).map(|at| (format!("m{at}").into_bytes(), f64::from(at / 10) - 7.5)).collect(),
            PackedLimits::default(),
        );
        self.hash(
            (0..3000).map(|at| (format!("f{at}").into_bytes(), vec![b'v'; at % 90])).collect(),
            PackedLimits::default(),
        );
        self.stream(0, StreamLimits::default());
        self.put_payload(
            Content::Stream { entries: Vec::new(), last: "0-0".into(), max_deleted: "0-0".into(), added: 0 },
            Kind::StreamNew,
            &[],
        );
        for limits in [StreamLimits::default(), StreamLimits::new(300, 3), StreamLimits::new(0, 0)] {
            self.stream(3, limits);
            self.stream(700, limits);
        }
    }

    fn at_random(&mut self, keys: usize) {
        for _ in 0..keys {
            let most = [5, 40, 400][self.below(3) as usize];
            let len = 1 + self.below(most);
            let bytes_max = [10, 80, 2000][self.below(3) as usize];
            let limits = [PackedLimits::default(), PackedLimits { entries: 10_000, value_bytes: 10_000 }]
                [self.below(2) as usize];
            match self.below(7) {
                0 => {
                    let word = self.word(5000);
                    self.string(word);
                }
                1 => {
                    let elements = (0..len).map(|_| self.word(bytes_max)).collect();
                    self.list(elements, ListLimits { compress_depth: 1, ..ListLimits::default() });
                }
                2 => {
                    let pairs = (0..len).map(|_| (self.word(bytes_max), self.word(bytes_max))).collect();
                    self.hash(pairs, limits);
                }
                3 => {
                    let members = (0..len).map(|_| self.word(bytes_max)).collect();
                    self.set(members, SetLimits { packed: limits, ..SetLimits::default() });
                }
                4 => {
                    let shift = self.below(63);
                    let ints = (0..len).map(|_| (self.random.next_u64() as i64 >> shift).to_string().into_bytes());
                    let ints = ints.collect();
                    self.set(ints, SetLimits::default());
                }
                5 => {
                    let members = (0..len).map(|_| (self.word(bytes_max), self.score())).collect();
                    self.zset(members, limits);
                }
                _ => self.stream(len, StreamLimits::default()),
            }
        }
    }

    /// All databases as one file. Each value is written in pieces of about `piece_bytes`.
    fn file(&self, compress: bool, usage: Usage, piece_bytes: usize) -> Bytes {
        let mut encoder = ValueEncoder::new(EncodeOptions { compress });
        let (mut file, mut out, mut checksum) = (Bytes::new(), Bytes::new(), Checksum::default());
        write::header(&mut out);
        encoder.strings().aux(&mut out, b"redis-ver", b"7.0.15");
        encoder.strings().aux(&mut out, b"redis-bits", b"64");
        encoder.strings().function(&mut out, LIBRARY.as_bytes());
        for db in 0..16 {
            let database = self.keyspace.database(db);
            if database.is_empty() {
                continue;
            }
            write::select_db(&mut out, db as u64);
            write::resize_db(&mut out, database.len() as u64, database.expires_len() as u64);
            for entry in database.iter() {
                let slot = database.find(self.keyspace.hash(entry.key()), entry.key()).expect("it is there");
                let (entry, bigs) = database.value(slot);
                let value = ValueView::of_entry(entry, bigs);
                encoder.encode_head(&mut out, entry.key(), value, entry.expiry_ms(), usage);
                while !encoder.encode_some(&mut out, value, piece_bytes) {
                    checksum.update(&out);
                    file.append(&mut out);
                }
            }
        }
        checksum.update(&out);
        file.append(&mut out);
        write::end(&mut file, Some(checksum));
        file
    }
}

const LIBRARY: &str = "#!lua name=written\nredis.register_function('seven', function() return 7 end)";

fn ask(client: &mut Client, words: &[&[u8]]) -> Value {
    client.call(words).expect("redis-server replies")
}

fn texts(value: Value) -> Vec<Bytes> {
    let Value::Array(items) = value else { panic!("{value:?} is no array") };
    items.into_iter().map(|item| item.bytes().expect("a string").to_vec()).collect()
}

fn pairs(value: Value) -> Pairs {
    texts(value).chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

/// What a key of redis-server holds, by the commands of its type.
fn read(client: &mut Client, key: &[u8]) -> Content {
    let kind = ask(client, &[b"TYPE", key]);
    match kind.bytes().expect("a word") {
        b"string" => Content::Str(ask(client, &[b"GET", key]).bytes().expect("a string").to_vec()),
        b"list" => Content::List(texts(ask(client, &[b"LRANGE", key, b"0", b"-1"]))),
        b"hash" => Content::Hash(pairs(ask(client, &[b"HGETALL", key])).into_iter().collect()),
        b"set" => Content::Set(texts(ask(client, &[b"SMEMBERS", key])).into_iter().collect()),
        b"zset" => {
            let members = pairs(ask(client, &[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"]));
            let scored = |(member, score): (Bytes, Bytes)| (member, parse_f64(&score).expect("a score"));
            Content::Zset(members.into_iter().map(scored).collect())
        }
        b"stream" => {
            let Value::Array(entries) = ask(client, &[b"XRANGE", key, b"-", b"+"]) else { panic!("no entries") };
            let entry = |entry| {
                let Value::Array(mut parts) = entry else { panic!("{entry:?} is no entry") };
                let fields = pairs(parts.pop().expect("fields"));
                (String::from_utf8(parts[0].bytes().expect("an id").to_vec()).expect("text"), fields)
            };
            let entries = entries.into_iter().map(entry).collect();
            let Value::Array(facts) = ask(client, &[b"XINFO", b"STREAM", key]) else { panic!("no facts") };
            let fact = |name: &str| {
                let at = facts.iter().position(|fact| fact.bytes() == Some(name.as_bytes())).expect("it is told");
                facts[at + 1].clone()
            };
            let text = |name| String::from_utf8(fact(name).bytes().expect("an id").to_vec()).expect("text");
            let Value::Integer(added) = fact("entries-added") else { panic!("no number") };
            Content::Stream {
                entries,
                last: text("last-generated-id"),
                max_deleted: text("max-deleted-entry-id"),
                added,
            }
        }
        other => panic!("{} is {}", key.escape_ascii(), other.escape_ascii()),
    }
}

/// Compares without printing megabytes.
fn assert_same(found: &Content, expected: &Content, key: &[u8], how: &str) {
    if found != expected {
        let [found, expected] =
            [found, expected].map(|content| format!("{content:?}").chars().take(2000).collect::<String>());
        panic!("{how} {}:\nfound    {found}\nexpected {expected}", key.escape_ascii());
    }
}

fn select(client: &mut Client, db: u8) {
    assert_eq!(ask(client, &[b"SELECT", db.to_string().as_bytes()]), Value::Simple(b"OK".to_vec()));
}

fn check_loaded(world: &World, client: &mut Client) {
    for db in [0, 1, 15] {
        select(client, db);
        let keys = world.expected.iter().filter(|it| it.db == db).count();
        assert_eq!(ask(client, &[b"DBSIZE"]), Value::Integer(keys as i64), "database {db}");
    }
    for Expected { db, key, content, expiry_ms } in &world.expected {
        select(client, *db);
        assert_same(&read(client, key), content, key, "loaded");
        let expiry = expiry_ms.map_or(-1, |ms| ms as i64);
        assert_eq!(ask(client, &[b"PEXPIRETIME", key]), Value::Integer(expiry), "{}", key.escape_ascii());
    }
    assert_eq!(ask(client, &[b"FCALL", b"seven", b"0"]), Value::Integer(7));
}

fn check_rdb(file: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("dump.rdb");
    std::fs::write(&path, file).expect("a file");
    let output = Command::new("redis-check-rdb").arg(&path).output().expect("redis-check-rdb is installed");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("Checksum OK") && text.contains("RDB looks OK"), "{text}");
}

#[test]
fn redis_server_loads_what_was_written() {
    let mut world = World::new(1);
    world.boundaries();
    world.at_random(300);
    for (compress, piece_bytes) in [(true, usize::MAX), (false, usize::MAX), (true, 100), (false, 1)] {
        let file = world.file(compress, Usage::Untold, piece_bytes);
        assert!(file.starts_with(b"REDIS0010"));
        if !Oracle::is_wanted() {
            eprintln!("not shown to redis-server: {VARIABLE} is not set");
            return;
        }
        check_rdb(&file);
        let oracle = Oracle::start_on(&file, &[]).expect("redis-server loads the file");
        let mut client = Client::connect(oracle.address()).expect("a connection");
        check_loaded(&world, &mut client);
    }
}

#[test]
fn redis_server_loads_random_files() {
    if !Oracle::is_wanted() {
        return;
    }
    for seed in 2..6 {
        let mut world = World::new(seed);
        world.at_random(400);
        let file = world.file(seed % 2 == 0, Usage::Untold, 1 << seed);
        check_rdb(&file);
        let oracle = Oracle::start_on(&file, &[]).expect("redis-server loads the file");
        check_loaded(&world, &mut Client::connect(oracle.address()).expect("a connection"));
    }
}

#[test]
fn redis_server_learns_how_much_keys_are_used() {
    if !Oracle::is_wanted() {
        return;
    }
    let mut world = World::new(7);
    world.at_random(20);
    let usages = [
        ("allkeys-lru", Usage::Idle(100_000), &b"IDLETIME"[..], 100_000),
        ("volatile-lfu", Usage::Frequency(201), b"FREQ", 201),
    ];
    for (policy, usage, command, told) in usages {
        let file = world.file(true, usage, usize::MAX);
        check_rdb(&file);
        let oracle = Oracle::start_on(&file, &["--maxmemory-policy", policy, "--lfu-decay-time", "0"]);
        let oracle = oracle.expect("redis-server loads the file");
        let mut client = Client::connect(oracle.address()).expect("a connection");
        for Expected { db, key, .. } in &world.expected {
            select(&mut client, *db);
            let Value::Integer(found) = ask(&mut client, &[b"OBJECT", command, key]) else { panic!("no number") };
            assert!((told..told + 60).contains(&found), "{policy}: {found}");
        }
    }
}

#[test]
fn redis_server_restores_payloads() {
    let mut world = World::new(8);
    world.boundaries();
    world.at_random(300);
    let mut oracle =
        Oracle::is_wanted().then(|| Oracle::start_on(b"", &["--dbfilename", "none"]).expect("redis-server starts"));
    let mut client = oracle.as_mut().map(|oracle| Client::connect(oracle.address()).expect("a connection"));
    for Expected { db, key, content, .. } in &world.expected {
        let database = world.keyspace.database(usize::from(*db));
        let slot = database.find(world.keyspace.hash(key), key).expect("it is there");
        let (entry, bigs) = database.value(slot);
        let payload = dump_payload(ValueView::of_entry(entry, bigs));
        assert_eq!(payload, dump_payload(ValueView::of_detached(&database.duplicate(slot))), "{}", key.escape_ascii());
        if let Some(client) = &mut client {
            let restored = ask(client, &[b"RESTORE", b"k", b"0", &payload, b"REPLACE"]);
            assert_eq!(restored, Value::Simple(b"OK".to_vec()), "{}", key.escape_ascii());
            assert_same(&read(client, b"k"), content, key, "restored");
        }
    }
}
