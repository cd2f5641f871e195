//! A data directory filled from a file of RDB, and written to one; a server that reloads what is in one.
//!
//! What a directory of some shards has goes out to a file, into a directory of another number of shards and out again, and is compared key by key. With
//! `KORA_ORACLE=1` redis-server loads what was exported, and Kora imports what redis-server saved: both must have the digest of a redis-server
//! that was sent the same commands.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use kora_ext::persistence::exchange::{ExchangeError, ImportOptions, Imported, export, import};
use kora_server::{Server, Settings};
use kora_storage::dir::{Dir, RealDir};
use kora_storage::manifest::Manifest;
use kora_storage::rdb::write;
use kora_tests::oracle::{Oracle, VARIABLE};
use kora_tests::resp::{Client, Value};
use tempfile::TempDir;

const LIBRARY: &str = "#!lua name=numbers\nredis.register_function{function_name='seven', callback=function() return 7 end, flags={'no-writes'}}";

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// A server on a directory, and whether it logs.
fn serve(directory: &Path, shards: usize, log: bool) -> Server {
    let mut settings = Settings::for_embedding();
    settings.config.shards = shards;
    settings.config.appendonly = log;
    settings.data_directory = Some(directory.to_owned());
    Server::start(settings).expect("a server starts")
}

fn connect(address: SocketAddr) -> Client {
    let mut client = Client::connect(address).expect("a connection");
    while client.call(&["PING"]).expect("a reply").is_error() {}
    client
}

fn ask<W: AsRef<[u8]>>(client: &mut Client, words: &[W]) -> Value {
    let reply = client.call(words).expect("a reply");
    let shown = || words.iter().map(|word| String::from_utf8_lossy(word.as_ref())).collect::<Vec<_>>();
    assert!(!reply.is_error(), "{:?}: {reply:?}", shown());
    reply
}

/// Values of every type, small and large, in three databases; some expire.
fn commands() -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = Vec::new();
    let mut add = |line: &str| all.push(line.split(' ').map(str::to_owned).collect());
    for db in [0, 3, 15] {
        add(&format!("SELECT {db}"));
        for number in 0..40 {
            add(&format!("SET key:{number} value-{number}-of-{db}"));
            add(&format!("SET int:{number} {}", number * 1_000_003));
        }
        add(&format!("SET long {}", "abcdefgh".repeat(3000 + db)));
        add("PEXPIREAT key:1 4102444800123");
        add("PEXPIREAT key:2 1");
        for number in 0..700 {
            add(&format!("RPUSH list element-{number}"));
            add(&format!("SADD set member-{number}"));
            add(&format!("SADD integers {}", number * 7));
            add(&format!("HSET hash field-{number} value-{}", number * 3));
            add(&format!("ZADD zset {}.25 member-{number}", (number * 37) % 101));
            add(&format!("XADD stream {}-1 field {number} other text", number + 1));
        }
        add("ZADD zeros 0 a -0 b 0 c");
        add("ZADD zset -0 minus 0 plus inf infinite");
        add("XDEL stream 5-1");
        add("HSET small a 1 b two");
        add("SADD smallset 1 2 x");
        add("RPUSH smalllist 1 two 3");
        add("PEXPIREAT hash 4102444800000");
    }
    all.push(vec!["FUNCTION".to_owned(), "LOAD".to_owned(), LIBRARY.to_owned()]);
    all
}

fn fill(client: &mut Client) {
    for words in commands() {
        ask(client, &words);
    }
}

/// What is in all databases, in a form that does not depend on order or place.
fn content(client: &mut Client) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for db in 0..16 {
        ask(client, &["SELECT", &db.to_string()]);
        let Value::Array(keys) = ask(client, &["KEYS", "*"]) else { panic!("KEYS gives an array") };
        for key in keys {
            let key = key.bytes().expect("a key").to_vec();
            let kind = ask(client, &[&b"TYPE"[..], &key]);
            let kind = String::from_utf8_lossy(kind.bytes().expect("a word")).into_owned();
            let words: Vec<&[u8]> = match &*kind {
                "string" => vec![b"GET", &key],
                "list" => vec![b"LRANGE", &key, b"0", b"-1"],
                "set" => vec![b"SMEMBERS", &key],
                "hash" => vec![b"HGETALL", &key],
                "zset" => vec![b"ZRANGE", &key, b"0", b"-1", b"WITHSCORES"],
                "stream" => vec![b"XRANGE", &key, b"-", b"+"],
                other => panic!("a {other}"),
            };
            let mut value = ask(client, &words);
            if let Value::Array(items) = &mut value {
                match &*kind {
                    "set" => items.sort_by_key(|item| item.bytes().map(<[u8]>::to_vec)),
                    "hash" => {
                        let mut pairs: Vec<_> = items.chunks_exact(2).map(<[Value]>::to_vec).collect();
                        pairs.sort_by_key(|pair| pair[0].bytes().map(<[u8]>::to_vec));
                        *items = pairs.concat();
                    }
                    _ => {}
                }
            }
            let expiry = ask(client, &[&b"PEXPIRETIME"[..], &key]);
            found.insert(format!("{db} {}", key.escape_ascii()), format!("{kind} {expiry:?} {value:?}"));
        }
    }
    found.insert("seven".to_owned(), format!("{:?}", ask(client, &["FCALL", "seven", "0"])));
    found
}

fn options(file: &Path, directory: &Path, shards: usize) -> ImportOptions {
    ImportOptions { file: file.to_owned(), directory: directory.to_owned(), shards, force: false }
}

/// What a server finds in a directory.
fn content_of(directory: &Path, shards: usize) -> BTreeMap<String, String> {
    let server = serve(directory, shards, false);
    let found = content(&mut connect(server.addresses()[0]));
    server.stop();
    found
}

/// A directory of three shards with a snapshot and a log behind it, and what is in it.
fn filled(place: &Path) -> BTreeMap<String, String> {
    let server = serve(place, 3, true);
    let mut client = connect(server.addresses()[0]);
    let commands = commands();
    for (at, words) in commands.iter().enumerate() {
        ask(&mut client, words);
        if at == commands.len() / 2 {
            ask(&mut client, &["SAVE"]);
        }
    }
    let expected = content(&mut client);
    drop(client);
    server.stop();
    assert_eq!(expected.len(), 3 * 90 + 1);
    expected
}

#[test]
fn what_is_exported_is_imported_by_any_number_of_shards() {
    let place = folder();
    let (first, file) = (place.path().join("first"), place.path().join("all.rdb"));
    let expected = filled(&first);
    let before = files(&first);
    let exported = export(&file, &first).expect("a whole directory");
    assert_eq!((exported.keys, exported.reports.len()), (3 * 90, 0));
    assert_eq!(exported.bytes, std::fs::metadata(&file).expect("it is there").len());
    assert_eq!(files(&first), before, "exporting changes nothing");
    assert!(matches!(export(&file, &first), Err(ExchangeError::Exists(_))), "no file is replaced");

    for shards in [1, 2, 5] {
        let directory = place.path().join(format!("of-{shards}"));
        let imported = import(&options(&file, &directory, shards)).expect("what was exported");
        assert_eq!(imported, Imported { keys: 3 * 90, expired: 0, functions: 1, skipped: Vec::new() });
        assert!(content_of(&directory, shards) == expected, "{shards} shards");
        let again = place.path().join(format!("again-{shards}.rdb"));
        assert_eq!(export(&again, &directory).expect("a whole directory").keys, 3 * 90);
        let other = place.path().join(format!("other-{shards}"));
        import(&options(&again, &other, 2)).expect("what was exported");
        assert!(content_of(&other, 4) == expected, "{shards} shards, exported again");
    }
}

/// Names and contents of a directory's files, but for the lock's.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let dir = RealDir::open(directory).expect("it is there");
    let names = dir.list().expect("it can be read").into_iter().filter(|name| name != "kora.lock");
    names.map(|name| (name.clone(), std::fs::read(directory.join(name)).expect("it can be read"))).collect()
}

/// A small file: a key in database 2, one that has expired, and what `more` appends.
fn small(more: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    write::header(&mut file);
    write::select_db(&mut file, 2);
    file.extend_from_slice(b"\x00\x01k\x01v");
    write::expire_time_ms(&mut file, 1);
    file.extend_from_slice(b"\x00\x01d\x01v");
    file.extend_from_slice(more);
    write::end(&mut file, None);
    file
}

#[test]
fn data_is_replaced_only_when_that_is_asked_for() {
    let place = folder();
    let (directory, file) = (place.path().join("data"), place.path().join("dump.rdb"));
    std::fs::write(&file, small(b"")).expect("a file");
    // A directory that a server has looked into and left as it was is empty, and keeps its rules.
    serve(&directory, 2, true).stop();
    let manifest = |directory: &Path| {
        Manifest::read(&RealDir::open(directory).expect("it is there")).expect("it is whole").expect("there is one")
    };
    let seeds = manifest(&directory).routing_seeds;
    let imported = import(&options(&file, &directory, 3)).expect("an empty directory");
    assert_eq!((imported.keys, imported.expired), (1, 1));
    assert_eq!((manifest(&directory).routing_seeds, manifest(&directory).shards), (seeds, 3));

    let server = serve(&directory, 3, true);
    let mut client = connect(server.addresses()[0]);
    ask(&mut client, &["SELECT", "2"]);
    assert_eq!(ask(&mut client, &["GET", "k"]).bytes(), Some(&b"v"[..]));
    ask(&mut client, &["SET", "logged", "1"]);
    assert!(import(&options(&file, &directory, 3)).expect_err("it is in use").to_string().contains("in use by"));
    assert!(export(&place.path().join("x"), &directory).expect_err("it is in use").to_string().contains("in use by"));
    drop(client);
    server.stop();

    let before = files(&directory);
    assert!(matches!(import(&options(&file, &directory, 3)), Err(ExchangeError::Occupied(_))));
    let damaged = place.path().join("damaged.rdb");
    let whole = small(b"");
    std::fs::File::create(&damaged).and_then(|mut to| to.write_all(&whole[..whole.len() - 9])).expect("a file");
    let forced = |file: &Path| import(&ImportOptions { force: true, ..options(file, &directory, 1) });
    assert!(forced(&damaged).expect_err("it is cut off").is_about_the_file());
    assert!(forced(&place.path().join("missing")).expect_err("there is none").is_about_the_file());
    assert_eq!(files(&directory), before, "what fails changes nothing");

    assert_eq!(forced(&file).expect("a good file").keys, 1);
    let server = serve(&directory, 1, true);
    let mut client = connect(server.addresses()[0]);
    ask(&mut client, &["SELECT", "2"]);
    assert_eq!(ask(&mut client, &["DBSIZE"]), Value::Integer(1));
    drop(client);
    server.stop();
    assert_eq!(export(&place.path().join("out.rdb"), &directory).expect("a whole directory").keys, 1);
}

#[test]
fn what_there_is_no_place_for_is_named() {
    let place = folder();
    // A stream without entries that has a consumer group without consumers.
    let mut stream = vec![15, 1, b's', 0, 0, 0, 0, 1, 1, b'g', 0, 0, 0, 0];
    stream.extend_from_slice(b"\x00\x01z\x01v");
    let file = place.path().join("dump.rdb");
    std::fs::write(&file, small(&stream)).expect("a file");
    let imported = import(&options(&file, &place.path().join("data"), 2)).expect("a good file");
    assert_eq!((imported.keys, imported.expired, imported.skipped.len()), (2, 1, 1));
    assert!(
        imported.skipped[0].starts_with("key \"s\" in database 2: the stream has 1 consumer groups"),
        "{imported:?}"
    );
}

#[test]
fn a_reload_saves_first_and_changes_nothing() {
    let place = folder();
    let expected = filled(place.path());
    let generation = || {
        let dir = RealDir::open(place.path()).expect("it is there");
        Manifest::read(&dir).expect("it is whole").expect("there is one").generation
    };
    let server = serve(place.path(), 3, true);
    let mut client = connect(server.addresses()[0]);
    let before = generation();
    ask(&mut client, &["DEBUG", "RELOAD"]);
    assert_eq!(generation(), before + 1);
    assert!(content(&mut client) == expected, "reloaded");
    // What comes next is logged as ever.
    ask(&mut client, &["SET", "after", "1"]);
    drop(client);
    server.stop();
    let found = content_of(place.path(), 3);
    assert_eq!((found.len(), found.contains_key("15 after")), (expected.len() + 1, true));
}

fn digest(file: &[u8]) -> (Value, Value) {
    let oracle = Oracle::start_on(file, &[]).expect("redis-server loads the file");
    digest_of(&mut Client::connect(oracle.address()).expect("a connection"))
}

fn digest_of(client: &mut Client) -> (Value, Value) {
    (ask(client, &["DEBUG", "DIGEST"]), ask(client, &["FUNCTION", "DUMP"]))
}

#[test]
fn redis_server_finds_in_the_file_what_it_would_have_itself() {
    if !Oracle::is_wanted() {
        eprintln!("not shown to redis-server: {VARIABLE} is not set");
        return;
    }
    let oracle = Oracle::start().expect("redis-server starts");
    let mut client = Client::connect(oracle.address()).expect("a connection");
    fill(&mut client);
    let expected = digest_of(&mut client);
    ask(&mut client, &["SAVE"]);
    let Value::Array(words) = ask(&mut client, &["CONFIG", "GET", "dir"]) else { panic!("CONFIG GET gives an array") };
    let saved = String::from_utf8_lossy(words[1].bytes().expect("a path")).into_owned() + "/dump.rdb";

    let place = folder();
    let (ours, file) = (place.path().join("ours"), place.path().join("ours.rdb"));
    let content = filled(&ours);
    export(&file, &ours).expect("a whole directory");
    let output = Command::new("redis-check-rdb").arg(&file).output().expect("redis-check-rdb is installed");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("Checksum OK") && text.contains("RDB looks OK"), "{text}");
    assert_eq!(digest(&std::fs::read(&file).expect("it was written")), expected);

    let (theirs, back) = (place.path().join("theirs"), place.path().join("theirs.rdb"));
    assert_eq!(import(&options(Path::new(&saved), &theirs, 3)).expect("redis-server's file").skipped, [""; 0]);
    assert!(content_of(&theirs, 3) == content, "redis-server's file has what its commands made");
    export(&back, &theirs).expect("a whole directory");
    assert_eq!(digest(&std::fs::read(&back).expect("it was written")), expected);
}
