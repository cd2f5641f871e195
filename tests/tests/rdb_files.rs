//! Files that redis-server writes, beside what it says is in them.
//!
//! With `KORA_ORACLE=1` a real server is filled by the payloads of the transcript of RESTORE and told to SAVE; every key of the file must then
//! be known to it, with the same expiry, and DUMP must give the bytes that stand in the file. What the values mean is proved by the transcript.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use kora_runtime::config::Config;
use kora_runtime::keyspace::Database;
use kora_runtime::keyspace::typed::random_state;
use kora_runtime::rdb::{DecodeOptions, Loaded, load_key};
use kora_storage::rdb::{Item, KeyHead, RdbFile, payload};
use kora_tests::oracle::{Oracle, VARIABLE};
use kora_tests::resp::{Client, Value};
use kora_tests::transcript::{Action, Audience, Transcript, folder};

fn bytes(value: &Value) -> Vec<u8> {
    value.bytes().unwrap_or_else(|| panic!("a text: {value:?}")).to_vec()
}

fn config(client: &mut Client, name: &str) -> String {
    let reply = client.call(&["CONFIG", "GET", name]).expect("redis-server answers");
    let Value::Array(words) = reply else { panic!("{reply:?}") };
    String::from_utf8(bytes(&words[1])).expect("a path of text")
}

/// Fills the server: every payload in database 0 under its key, two more in database 5.
fn fill(client: &mut Client) {
    let (transcript, _) = Transcript::load(&folder().join("generic/restore.resp")).expect("the transcript of RESTORE");
    for step in transcript.steps {
        if let Action::Send(words) = step.action
            && step.audience != Audience::Kora
            && words[0] == b"RESTORE"
            && words.len() >= 4
        {
            client.call(&words).expect("redis-server answers");
        }
    }
    for command in [
        &["PEXPIREAT", "h", "4102444800000"][..],
        &["SELECT", "5"],
        &["SET", "five", "5"],
        &["RPUSH", "list", "a"],
        &["SAVE"],
    ] {
        let reply = client.call(command).expect("redis-server answers");
        assert!(!reply.is_error(), "{command:?}: {reply:?}");
    }
}

/// Where each value of a file lies, by database and key.
fn values(file: &[u8]) -> BTreeMap<(u64, Vec<u8>), (KeyHead, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut reader = RdbFile::of_bytes("dump.rdb", file).expect("a file of redis-server");
    let mut database = 0;
    loop {
        match reader.next_item().expect("an item") {
            Item::Database(number) => database = number,
            Item::End => return found,
            Item::Key(head) => {
                let start = reader.offset() as usize;
                reader.skip_value(head.kind).expect("a value");
                let body = file[start..reader.offset() as usize].to_vec();
                found.insert((database, reader.key().to_vec()), (head, body));
            }
            _ => {}
        }
    }
}

#[test]
fn a_saved_file_has_what_the_server_has() {
    if !Oracle::is_wanted() {
        eprintln!("not compared with redis-server: {VARIABLE} is not set");
        return;
    }
    let oracle = Oracle::start().expect("redis-server is installed");
    let mut client = Client::connect(oracle.address()).expect("redis-server listens");
    fill(&mut client);
    let path = Path::new(&config(&mut client, "dir")).join(config(&mut client, "dbfilename"));
    let found = values(&std::fs::read(&path).expect("the file was saved"));
    for database in [0, 5] {
        client.call(&["SELECT", &database.to_string()]).expect("redis-server answers");
        let size = client.call(&["DBSIZE"]).expect("redis-server answers");
        let keys = found.range((database, Vec::new())..(database + 1, Vec::new()));
        assert_eq!(size, Value::Integer(keys.clone().count() as i64));
        for ((_, key), (head, body)) in keys {
            let dumped = client.call(&[&b"DUMP"[..], key]).expect("redis-server answers");
            let dumped = bytes(&dumped);
            assert_eq!(payload::open(&dumped), Some((head.kind, &body[..])), "{}", String::from_utf8_lossy(key));
            let expiry = client.call(&[&b"PEXPIRETIME"[..], key]).expect("redis-server answers");
            assert_eq!(expiry, Value::Integer(head.expiry_ms.map_or(-1, |at_ms| at_ms as i64)));
        }
    }
    assert!(found.len() > 40, "{}", found.len());
    load_all(&path, found.len());
}

/// Loads a file, which has this many keys; streams with consumer groups are skipped.
fn load_all(path: &Path, keys: usize) {
    let (config, seeds) = (Config::default(), random_state([1, 2, 3, 4]));
    let options = DecodeOptions { config: &config, seeds: &seeds, now_ms: 1_700_000_000_000 };
    let mut databases: Vec<Database> = (0..16).map(|_| Database::default()).collect();
    let source = File::open(path).expect("the file was saved");
    let mut file = RdbFile::open("dump.rdb", Box::new(source)).expect("a file of redis-server");
    let (mut database, mut skipped) = (0, 0);
    loop {
        match file.next_item().expect("an item") {
            Item::Database(number) => database = number as usize,
            Item::End => break,
            Item::Key(head) => {
                let loaded =
                    load_key(&mut file, &head, &mut databases[database], &options, options.now_ms).expect("a value");
                skipped += usize::from(matches!(loaded, Loaded::Skipped(_)));
            }
            _ => {}
        }
    }
    let loaded: usize = databases.iter().map(Database::len).sum();
    assert_eq!((loaded + skipped, databases[0].expires_len()), (keys, 1));
}
