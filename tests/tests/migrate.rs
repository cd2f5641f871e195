//! MIGRATE between servers: what arrives, what stays, what is logged.
//!
//! Owns: two servers that talk, a redis-server on either side with `KORA_ORACLE=1`, and others that do not do as they should. Refuses to know: what is said
//! without another server (the transcript), what RESTORE takes (`rdb_lies.rs`).
//! Start at [`move_all`].

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kora_ext::{Clock, Database, Options};
use kora_runtime::config::{AppendFsync, Config};
use kora_runtime::error::CommandError;
use kora_runtime::host::{Host, HostFacts, Remote, RemoteError, SaveAtEnd};
use kora_tests::kora::{connect, start_server};
use kora_tests::oracle::{Oracle, VARIABLE};
use kora_tests::remote::Obliging;
use kora_tests::replay::entries_of;
use kora_tests::resp::{Client, Value};
use kora_tests::simulation::Shape;
use kora_tests::simulation::log::records;
use kora_tests::simulation::world::World;

/// More than one batch of requests takes.
const LONG_BYTES: usize = 300_000;

fn say<W: AsRef<[u8]>>(client: &mut Client, words: &[W]) -> Value {
    client.call(words).expect("the server answers")
}

fn line(client: &mut Client, words: &str) -> String {
    text(&say(client, &words.split(' ').collect::<Vec<_>>()))
}

fn text(value: &Value) -> String {
    match value {
        Value::Integer(number) => number.to_string(),
        other => other.bytes().map_or_else(|| format!("{other:?}"), |text| String::from_utf8_lossy(text).into_owned()),
    }
}

/// Keys of all types, small and big; some are longer than a batch.
fn fill(client: &mut Client) -> Vec<String> {
    let many = |command: &str, count: usize, element: &dyn Fn(usize) -> String| {
        let elements = (0..count).map(element).collect::<Vec<_>>().join(" ");
        format!("{command} {elements}")
    };
    let long = "x1y2".repeat(LONG_BYTES / 4);
    let mut lines = vec![format!("SET long1 {long}"), format!("SET long2 {long}"), "SET int 12345".to_owned()];
    for (name, count) in [("small", 3), ("big", 700)] {
        lines.push(many(&format!("RPUSH list-{name}"), count, &|at| format!("element{at}")));
        lines.push(many(&format!("HSET hash-{name}"), count, &|at| format!("field{at} {at}")));
        lines.push(many(&format!("SADD set-{name}"), count, &|at| format!("member{at}")));
        lines.push(many(&format!("SADD ints-{name}"), count, &|at| at.to_string()));
        lines.push(many(&format!("ZADD zset-{name}"), count, &|at| format!("{at}.5 member{at}")));
        lines.extend((1..=count).map(|at| format!("XADD stream-{name} {at}-1 field value{at}")));
    }
    lines.extend((0..200).map(|at| format!("SET key{at} value{at}")));
    for line in &lines {
        let words: Vec<&str> = line.split(' ').collect();
        assert!(!say(client, &words).is_error(), "{}", &line[..line.len().min(60)]);
    }
    assert_eq!(line(client, "PEXPIRE hash-big 1000000"), "1");
    let mut keys: Vec<String> = lines.iter().filter_map(|line| line.split(' ').nth(1)).map(str::to_owned).collect();
    keys.dedup();
    keys
}

/// What a key holds, in an order that does not depend on the server.
fn content(client: &mut Client, key: &str) -> Vec<String> {
    let kind = line(client, &format!("TYPE {key}"));
    let reply = match kind.as_str() {
        "string" => say(client, &["GET", key]),
        "list" => say(client, &["LRANGE", key, "0", "-1"]),
        "hash" => say(client, &["HGETALL", key]),
        "set" => say(client, &["SMEMBERS", key]),
        "zset" => say(client, &["ZRANGE", key, "0", "-1", "WITHSCORES"]),
        "stream" => say(client, &["XRANGE", key, "-", "+"]),
        other => panic!("{key}: {other}"),
    };
    let mut items = match reply {
        Value::Array(items) => items.iter().map(|item| format!("{item:?}")).collect(),
        other => vec![format!("{other:?}")],
    };
    match kind.as_str() {
        "set" => items.sort_unstable(),
        "hash" => {
            let mut pairs: Vec<String> = items.chunks(2).map(|pair| pair.join(" ")).collect();
            pairs.sort_unstable();
            items = pairs;
        }
        _ => {}
    }
    items.push(kind);
    items
}

fn migrate(client: &mut Client, to: SocketAddr, options: &str, keys: &[String]) -> String {
    let mut words: Vec<String> = ["MIGRATE", "127.0.0.1"].map(str::to_owned).to_vec();
    words.extend([to.port().to_string(), String::new(), "3".to_owned(), "20000".to_owned()]);
    words.extend(options.split_whitespace().map(str::to_owned));
    words.push("KEYS".to_owned());
    words.extend(keys.iter().cloned());
    text(&say(client, &words))
}

/// Moves everything from one server to another's database 3, and compares.
fn move_all(from: SocketAddr, to: SocketAddr) {
    let (mut source, mut target) = (connect(from), connect(to));
    let keys = fill(&mut source);
    let before: Vec<Vec<String>> = keys.iter().map(|key| content(&mut source, key)).collect();
    assert_eq!(line(&mut target, "SELECT 3"), "OK");

    let busy = "ERR Target instance replied with error: BUSYKEY Target key name already exists.";
    assert_eq!(line(&mut target, "SET int old"), "OK");
    assert_eq!(migrate(&mut source, to, "COPY", &keys), busy);
    assert_eq!(line(&mut source, "DBSIZE"), keys.len().to_string());
    assert_eq!(line(&mut target, "DBSIZE"), keys.len().to_string());
    assert_eq!(line(&mut target, "GET int"), "old");

    // What the other side refuses stays, the others go.
    assert_eq!(line(&mut target, "FLUSHALL"), "OK");
    assert_eq!(line(&mut target, "SET int old"), "OK");
    assert_eq!(migrate(&mut source, to, "", &keys), busy);
    assert_eq!(line(&mut source, "DBSIZE"), "1");
    assert_eq!(line(&mut source, "GET int"), "12345");
    assert_eq!(migrate(&mut source, to, "REPLACE", &keys), "OK");
    assert_eq!(line(&mut source, "DBSIZE"), "0");
    assert_eq!(migrate(&mut source, to, "REPLACE", &keys), "NOKEY");

    for (key, before) in keys.iter().zip(before) {
        assert!(content(&mut target, key) == before, "{key} has changed on its way");
        let left_ms: i64 = line(&mut target, &format!("PTTL {key}")).parse().expect("a number");
        let expected = if key == "hash-big" { 900_000..=1_000_000 } else { -1..=-1 };
        assert!(expected.contains(&left_ms), "{key}: {left_ms}");
    }
}

#[test]
fn everything_moves_to_another_kora() {
    for (from, to) in [(1, 1), (4, 3)] {
        let (_from, from) = start_server(from, Clock::default()).expect("a server starts");
        let (_to, to) = start_server(to, Clock::default()).expect("a server starts");
        move_all(from, to);
    }
}

#[test]
fn everything_moves_to_and_from_redis_server() {
    if !Oracle::is_wanted() {
        eprintln!("not tried with redis-server: {VARIABLE} is not set");
        return;
    }
    let oracle = Oracle::start().expect("redis-server is installed");
    let (_kora, kora) = start_server(4, Clock::default()).expect("a server starts");
    move_all(kora, oracle.address());
    for address in [kora, oracle.address()] {
        assert_eq!(line(&mut connect(address), "FLUSHALL"), "OK");
    }
    move_all(oracle.address(), kora);
}

#[test]
fn who_may_not_come_in_leaves_nothing_there() {
    let (_from, from) = start_server(2, Clock::default()).expect("a server starts");
    let (_to, to) = start_server(2, Clock::default()).expect("a server starts");
    let (mut source, mut target) = (connect(from), connect(to));
    assert_eq!(line(&mut target, "CONFIG SET requirepass secret"), "OK");
    let keys = ["a".to_owned(), "b".to_owned()];
    assert_eq!(line(&mut source, "MSET a 1 b 2"), "OK");
    let error = |text: &str| format!("ERR Target instance replied with error: {text}");
    let wrong = error("WRONGPASS invalid username-password pair or user is disabled.");
    let cases: &[(&str, String)] = &[
        ("", error("NOAUTH Authentication required.")),
        ("AUTH guess", wrong.clone()),
        ("AUTH2 nobody secret", wrong),
        ("AUTH guess AUTH2 default secret COPY", "OK".to_owned()),
        ("AUTH secret REPLACE", "OK".to_owned()),
    ];
    for (options, expected) in cases {
        assert_eq!(migrate(&mut source, to, options, &keys), *expected, "{options}");
    }
    assert_eq!(line(&mut source, "DBSIZE"), "0");
    // A database that the other server has not.
    assert_eq!(line(&mut source, "SET c 3"), "OK");
    let port = to.port();
    let reply = line(&mut source, &format!("MIGRATE 127.0.0.1 {port} c 99 20000 AUTH secret"));
    assert_eq!(reply, error("ERR DB index is out of range"));
    assert_eq!(line(&mut source, "GET c"), "3");
    assert_eq!(line(&mut target, "AUTH secret"), "OK");
    assert_eq!(line(&mut target, "DBSIZE"), "0");
}

/// A server that answers the requests of the one client that it has with these lines in turn, and then says nothing more; it ends its side when it is not to
/// stay.
fn answering(lines: &'static [&'static str], stays: bool) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("somebody calls");
        let mut requests = BufReader::new(stream.try_clone().expect("one more handle"));
        for reply in lines {
            if request(&mut requests).is_none() {
                return;
            }
            (&stream).write_all(format!("{reply}\r\n").as_bytes()).expect("the client listens");
        }
        if !stays {
            stream.shutdown(Shutdown::Write).expect("the client listens");
        }
        // What the client still sends is taken until it goes: an end with something unread would overtake the replies.
        let _ = std::io::copy(&mut requests, &mut std::io::sink());
    });
    address
}

/// The words of one request.
fn request(from: &mut impl BufRead) -> Option<Vec<String>> {
    let number = |from: &mut dyn BufRead| {
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        line.get(1..)?.trim_end().parse::<usize>().ok()
    };
    let count = number(from)?;
    (0..count)
        .map(|_| {
            let mut word = vec![0; number(from)? + 2];
            from.read_exact(&mut word).ok()?;
            word.truncate(word.len() - 2);
            Some(String::from_utf8_lossy(&word).into_owned())
        })
        .collect()
}

#[test]
fn only_what_the_other_side_has_taken_goes() {
    const READING: &str = "IOERR error or timeout reading to target instance";
    const BUSY: &str = "ERR Target instance replied with error: BUSYKEY taken";
    let cases: &[(&'static [&'static str], bool, &str, &str)] = &[
        (&["+OK", "+OK"], false, READING, "b c"),
        (&["+OK", "+OK"], true, READING, "b c"),
        (&["+OK", "-BUSYKEY taken", "+OK"], false, BUSY, "a c"),
        (&["+OK", "-BUSYKEY taken", "+OK", "+OK"], true, BUSY, "a"),
        (&["+OK", ":1", "+OK", "+OK"], true, READING, "a b c"),
        (&["+OK"], false, READING, "a b c"),
        (&[], true, READING, "a b c"),
    ];
    for (lines, stays, expected, left) in cases {
        for shards in [1, 4] {
            let directory = tempfile::tempdir().expect("a directory");
            let open = || {
                let directory = Some(directory.path().to_owned());
                let config = Config { appendonly: true, ..Config::default() };
                Database::open(Options { shards, config, directory, ..Options::default() }).expect("it opens")
            };
            let call = |database: &Database, words: &[&str]| {
                let connection = database.connect().expect("a connection");
                let value = connection.execute(words);
                format!("{value:?}")
            };
            let here = |database: &Database| {
                let is_here = |key: &&str| call(database, &["EXISTS", key]).contains("Integer(1)");
                ["a", "b", "c"].into_iter().filter(is_here).collect::<Vec<_>>().join(" ")
            };
            let database = open();
            call(&database, &["MSET", "a", "1", "b", "2", "c", "3"]);
            let port = answering(lines, *stays).port().to_string();
            let timeout = if *stays { "100" } else { "20000" };
            let reply = call(&database, &["MIGRATE", "127.0.0.1", &port, "", "0", timeout, "KEYS", "a", "b", "c"]);
            assert!(reply.contains(expected), "{lines:?}: {reply}");
            assert_eq!(here(&database), *left, "{lines:?}");
            drop(database);
            assert_eq!(here(&open()), *left, "{lines:?} after a restart");
        }
    }
}

/// A process in which every look at the clock takes ten milliseconds, and whose other server takes everything.
#[derive(Default)]
struct Slow {
    looks: AtomicU64,
    other: Obliging,
}

impl Host for Slow {
    fn monotonic_ns(&self) -> u64 {
        self.looks.fetch_add(1, Ordering::Relaxed) * 10_000_000
    }
    fn facts(&self) -> HostFacts {
        HostFacts::default()
    }
    fn sleep(&self, _: Duration) {}
    fn shutdown(&self, _: SaveAtEnd, _: bool) -> Result<(), CommandError> {
        Ok(())
    }
    fn connect(&self, _: &str, _: u16, _: Duration) -> Result<Box<dyn Remote>, RemoteError> {
        Ok(Box::new(self.other.clone()))
    }
    fn purge(&self) {}
    fn report(&self, message: &str) {
        panic!("{message}");
    }
    fn config_changed(&self, _: &Config) {}
}

fn slow_world(shards: usize) -> (World, Obliging) {
    let host = Slow::default();
    let other = host.other.clone();
    let shape = Shape { shards, clients: 1, log: Some(AppendFsync::EverySec), ..Shape::default() };
    (World::in_process(1, shape, Arc::new(host)), other)
}

fn ask(world: &mut World, line: &str) -> String {
    String::from_utf8_lossy(&world.ask(0, &line.split(' ').collect::<Vec<_>>())).trim_end().replace("\r\n", " ")
}

#[test]
fn what_lives_on_has_the_time_that_is_left() {
    let (mut world, other) = slow_world(1);
    for line in ["SET a 1 PX 1000", "SET b 2", "SET c 3 PX 15"] {
        assert_eq!(ask(&mut world, line), "+OK");
    }
    assert_eq!(ask(&mut world, "MIGRATE h 1  0 0 KEYS a b c"), "+OK");
    let heard = other.heard();
    let mut requests = &heard[..];
    let requests: Vec<Vec<String>> = std::iter::from_fn(|| request(&mut requests)).collect();
    let shown: Vec<String> = requests.iter().map(|words| words[..words.len().min(3)].join(" ")).collect();
    // The third has died on the way; here its time comes with the clock.
    assert_eq!(shown, ["SELECT 0", "RESTORE a 990", "RESTORE b 0"]);
    assert_eq!(ask(&mut world, "EXISTS a b c"), ":1");
}

#[test]
fn keys_that_went_are_logged_as_one() {
    let (mut world, _) = slow_world(4);
    let keys: Vec<String> = (0..30).map(|at| format!("k{at}")).collect();
    let set = keys.iter().map(|key| format!("{key} v")).collect::<Vec<_>>().join(" ");
    assert_eq!(ask(&mut world, &format!("MSET {set}")), "+OK");
    let before: Vec<usize> = world.logs().iter().map(|log| records(log.image()).len()).collect();
    assert_eq!(ask(&mut world, &format!("MIGRATE h 1  0 0 COPY KEYS {}", keys.join(" "))), "+OK");
    assert_eq!(ask(&mut world, &format!("MIGRATE h 1  0 0 KEYS {}", keys.join(" "))), "+OK");
    let mut gone = Vec::new();
    for (log, before) in world.logs().iter().zip(before) {
        let new = records(log.image()).split_off(before);
        assert_eq!(new.len(), 1, "{new:?}");
        assert!(new[0].transaction.as_ref().is_some_and(|(_, participants)| participants.len() == 4));
        gone.extend(entries_of(&new[0].payload));
    }
    gone.sort_unstable();
    let mut expected: Vec<String> = keys.iter().map(|key| format!("DEL {key}")).collect();
    expected.sort_unstable();
    assert_eq!(gone, expected);

    // On one shard it is one record as well.
    let (mut world, _) = slow_world(1);
    assert_eq!(ask(&mut world, "MSET a 1 b 2"), "+OK");
    assert_eq!(ask(&mut world, "MIGRATE h 1  0 0 KEYS b c a"), "+OK");
    let last = records(world.logs()[0].image()).pop().expect("a record");
    assert_eq!(entries_of(&last.payload), ["DEL b", "DEL a"]);
}
