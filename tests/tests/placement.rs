//! Where keys live: locality patterns and pinned databases, with four shards.
//!
//! Owns: that the rules hold, and that nothing else changes by them. Refuses to know: how a key's shard is found (unit tests of
//! `shard/routing.rs`), and how a directory keeps the rules (`data_directory.rs`).
//! Start at [`replies_do_not_depend_on_where_keys_live`].

use std::collections::BTreeSet;

use kora_ext::embedded::Connection;
use kora_ext::{Clock, Database, Options};
use kora_runtime::client::Value;
use kora_runtime::config::Config;
use kora_server::{Server, Settings};
use kora_tests::kora::{self, EmbeddedTarget};
use kora_tests::resp;
use kora_tests::run;
use kora_tests::transcript::{self, Action, Transcript};

fn config(locality: &str, pinned_databases: &str) -> Config {
    Config {
        locality: locality.parse().expect(locality),
        pinned_databases: pinned_databases.parse().expect(pinned_databases),
        ..Config::default()
    }
}

fn open(shards: usize, locality: &str, pinned_databases: &str) -> Connection {
    let options =
        Options { shards, config: config(locality, pinned_databases), clock: Clock::manual(), directory: None };
    Database::open(options)
        .and_then(|database| database.connect().map_err(std::io::Error::other))
        .expect("an engine starts")
}

/// The reply, or the text of the refusal.
fn call(connection: &Connection, command: &str) -> Result<Value, String> {
    let words: Vec<&str> = command.split(' ').collect();
    connection.execute(&words).map_err(|error| error.to_string())
}

fn check(connection: &Connection, command: &str, expected: Result<Value, &str>) {
    assert_eq!(call(connection, command), expected.map_err(str::to_owned), "{command}");
}

fn ok() -> Result<Value, &'static str> {
    Ok(Value::Simple("OK".to_owned()))
}

/// The shards that serve these keys.
fn owners(connection: &Connection, keys: &str) -> Vec<i64> {
    let Ok(Value::Array(owners)) = call(connection, &format!("KORA OWNER {keys}")) else { panic!("{keys}") };
    let number = |value| if let Value::Integer(shard) = value { shard } else { panic!("{keys}: {value:?}") };
    owners.into_iter().map(number).collect()
}

#[test]
fn keys_of_one_queue_live_together_and_queues_apart() {
    let connection = open(4, "bull:*:", "");
    let mut used = BTreeSet::new();
    for queue in 0..40 {
        let name = format!("bull:q{queue}");
        let found = owners(&connection, &format!("{name} {name}:id {name}:wait {name}:1:lock {name}: x{{{name}}}"));
        assert!(found.iter().all(|shard| *shard == found[0]), "{name}: {found:?}");
        used.insert(found[0]);
        // A tag in braces wins.
        let found = owners(&connection, &format!("{name}:{{tag}} {{tag}} bull:{{tag}}:{queue}"));
        assert!(found.iter().all(|shard| *shard == found[0]), "{found:?}");
    }
    assert_eq!(used.len(), 4, "forty queues leave no shard out");
    let others: BTreeSet<i64> = (0..40).flat_map(|key| owners(&connection, &format!("cat:q:{key}"))).collect();
    assert_eq!(others.len(), 4, "keys that fit no pattern are spread");
    check(&open(1, "bull:*:", ""), "KORA OWNER bull:a:b c", Ok(Value::Array(vec![Value::Integer(0); 2])));
}

#[test]
fn all_keys_of_a_pinned_database_live_on_one_shard() {
    let connection = open(4, "bull:*:", "3 6");
    for (db, expected) in [(3, Some(3)), (6, Some(2)), (0, None), (7, None)] {
        check(&connection, &format!("SELECT {db}"), ok());
        let keys: Vec<String> = (0..40).map(|key| format!("{{t{key}}} bull:q{key}:wait k{key}")).collect();
        let found: BTreeSet<i64> = owners(&connection, &keys.join(" ")).into_iter().collect();
        assert_eq!(found, expected.map_or_else(|| (0..4).collect(), |shard| BTreeSet::from([shard])), "{db}");
    }
}

/// The same commands on one shard without rules and on four with them: databases 1 and 5 are on one shard, 2 is on another, 0 is spread.
#[test]
fn replies_do_not_depend_on_where_keys_live() {
    let plain = open(1, "", "");
    let ruled = open(4, "a:*:", "1 2 5");
    let mut random = 20_u64;
    let mut below = |bound: usize| {
        // Knuth's 64-bit generator; its high bits are good enough to pick words.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % bound
    };
    for step in 0..4000 {
        let key = |at: usize| ["k", "l", "m", "a:x:1", "a:x:2", "a:y:1", "{k}2"][at];
        let db = |at: usize| [0, 1, 2, 5, 16][at];
        let (one, other) = (key(below(7)), key(below(7)));
        let command = match below(24) {
            0 => format!("SELECT {}", db(below(4))),
            1 | 2 => format!("SET {one} {step}"),
            3 => format!("SET {one} {step} PX {}", 1 + below(5_000_000)),
            4 => format!("RPUSH {one} {step} x"),
            5..=7 => format!("MOVE {one} {}", db(below(5))),
            8 | 9 => format!("COPY {one} {other} DB {}", db(below(5))),
            10 => format!("COPY {one} {one} DB {} REPLACE", db(below(4))),
            11 => format!("COPY {one} {other} REPLACE"),
            12 => format!("RENAME {one} {other}"),
            13 => format!("MSETNX {one} {step} {other} {step}"),
            14 => format!("MGET {one} {other} {one}"),
            15 => format!("PTTL {one}"),
            16 => "DBSIZE".to_owned(),
            17 => "MULTI".to_owned(),
            18..=20 => "EXEC".to_owned(),
            21 => format!("WATCH {one} {other}"),
            22 => format!("RPOPLPUSH {one} {other}"),
            _ if below(20) == 0 => "FLUSHDB".to_owned(),
            _ => format!("DEL {one} {other}"),
        };
        assert_eq!(call(&plain, &command), call(&ruled, &command), "step {step}: {command}");
    }
    assert_eq!(call(&plain, "RESET"), call(&ruled, "RESET"));
    assert_eq!(call(&plain, "HELLO 3").is_ok(), call(&ruled, "HELLO 3").is_ok());
    for db in 0..16 {
        let keys = |connection| {
            check(connection, &format!("SELECT {db}"), ok());
            let Ok(Value::Array(keys)) = call(connection, "KEYS *") else { panic!("KEYS") };
            keys.iter().map(|key| format!("{key:?}")).collect::<BTreeSet<_>>()
        };
        assert_eq!(keys(&plain), keys(&ruled), "{db}");
    }
}

#[test]
fn databases_are_swapped_only_when_their_keys_can_stay_where_they_are() {
    for shards in [1, 4] {
        let connection = open(shards, "", "1 2 5");
        check(&connection, "SET k zero", ok());
        for (first, second) in [(0, 1), (1, 0), (2, 15)] {
            let text = format!(
                "ERR SWAPDB {first} {second} is not possible: one of these databases is pinned to a shard on which the keys of the other are not"
            );
            check(&connection, &format!("SWAPDB {first} {second}"), Err(&text));
        }
        check(&connection, "SWAPDB 1 1", ok());
        check(&connection, "SWAPDB 0 16", Err("ERR DB index is out of range"));
        check(&connection, "GET k", Ok(Value::Bulk(b"zero".to_vec())));
        check(&connection, "SWAPDB 0 3", ok());
        check(&connection, "GET k", Ok(Value::Null));
        // Database 5 modulo 4 is 1.
        check(&connection, "SELECT 5", ok());
        check(&connection, "SET k five", ok());
        check(&connection, "SWAPDB 1 5", ok());
        check(&connection, "SELECT 1", ok());
        check(&connection, "GET k", Ok(Value::Bulk(b"five".to_vec())));
    }
}

/// What KORA ROUTING and CONFIG GET say over a server's socket.
fn shown(settings: &Settings) -> Result<String, String> {
    let server = Server::start(settings.clone()).map_err(|error| error.to_string())?;
    let mut client = kora::connect(server.addresses()[0]);
    let mut lines = Vec::new();
    flatten(&client.call(&["KORA", "ROUTING"]).expect("a reply"), &mut lines);
    assert_eq!(lines.remove(3).len(), 16, "the fingerprint has 64 bits");
    flatten(&client.call(&["CONFIG", "GET", "locality", "pinned-databases"]).expect("a reply"), &mut lines);
    let refused = client.call(&["CONFIG", "SET", "locality", "z*:"]).expect("a reply");
    let text = "ERR CONFIG SET failed (possibly related to argument 'locality') - can't set immutable config";
    assert_eq!(refused, resp::Value::Error(text.into()));
    Ok(lines.join(","))
}

fn flatten(value: &resp::Value, lines: &mut Vec<String>) {
    match value {
        resp::Value::Array(items) => items.iter().for_each(|item| flatten(item, lines)),
        resp::Value::Integer(number) => lines.push(number.to_string()),
        other => lines.push(String::from_utf8_lossy(other.bytes().expect("a text")).into_owned()),
    }
}

#[test]
fn a_server_shows_its_rules_and_takes_those_of_its_directory() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let with = |locality: &str, pinned: &str| {
        let mut settings = Settings::for_embedding();
        settings.config = Config { shards: 2, port: 0, bind: settings.config.bind, ..config(locality, pinned) };
        settings.data_directory = Some(place.path().to_owned());
        settings
    };
    let expected =
        "shards,2,fingerprint,locality,bull:*:,q*/,pinned-databases,3,5,locality,bull:*: q*/,pinned-databases,3 5";
    let mut without_directory = with("bull:*: q*/", "5 3");
    without_directory.data_directory = None;
    assert_eq!(shown(&without_directory).as_deref(), Ok(expected));
    assert_eq!(shown(&with("bull:*: q*/", "5 3")).as_deref(), Ok(expected));
    assert_eq!(shown(&with("", "")).as_deref(), Ok(expected), "the directory's own are used when none are given");
    assert_eq!(
        shown(&with("bull:*:", "")),
        Err(format!(
            "{} was made with locality \"bull:*: q*/\", but the settings say \"bull:*:\"; a directory keeps what it was made with",
            place.path().display()
        ))
    );
}

/// What only databases whose keys all lie by the same rules can do.
fn joins_databases(transcript: &Transcript) -> bool {
    let swaps =
        |step: &transcript::Step| matches!(&step.action, Action::Send(argv) if argv[0].eq_ignore_ascii_case(b"SWAPDB"));
    // Who has read a key hears of the same name in another database, if both are on one shard; a script goes from one to another, if both are.
    let names = ["client-tracking-databases.resp", "scripts-select.resp", "scripts-notifications.resp"];
    transcript.steps.iter().any(swaps) || names.iter().any(|name| transcript.name.ends_with(name))
}

/// Those of the server group speak of settings and of databases as wholes.
#[test]
fn transcripts_about_keys_are_the_same_under_rules() {
    let mut pinned = EmbeddedTarget::with(4, config("*: *1", "0 2")).expect("an engine starts");
    let mut unpinned = EmbeddedTarget::with(4, config("*: *1", "")).expect("an engine starts");
    let mut problems = Vec::new();
    let mut joined = 0;
    for path in transcript::files().expect("the folder of transcripts is there") {
        let (transcript, _) = Transcript::load(&path).unwrap_or_else(|error| panic!("{error}"));
        if transcript.name.contains("server/") {
            continue;
        }
        let joins = joins_databases(&transcript);
        joined += usize::from(joins);
        problems.extend(run::check(if joins { &mut unpinned } else { &mut pinned }, &transcript).err());
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!((1..10).contains(&joined), "{joined} transcripts join databases, the others are what this is about");
}
