//! What rows log, and that replaying it leads to the same keys: for every row of the table that writes.
//!
//! `KORA_SEED=n` runs one seed, the one that a failure names; `KORA_ROUNDS=n` runs n of them; `KORA_ROW=name` runs one row.

use kora_runtime::config::AppendFsync;
use kora_runtime::random::Random;
use kora_runtime::table::{Access, CommandId};
use kora_tests::replay::{entries_of, logged_rows, run_row};
use kora_tests::simulation::Shape;
use kora_tests::simulation::log::records;
use kora_tests::simulation::world::World;
use kora_tests::table_fuzz::words::Maker;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

fn check(lines: usize, shards: usize) {
    let only = std::env::var("KORA_ROW").ok();
    let first = number("KORA_SEED").unwrap_or(1);
    let mut problems = Vec::new();
    for seed in first..first + number("KORA_ROUNDS").unwrap_or(1) {
        for info in logged_rows().filter(|info| only.as_deref().is_none_or(|only| only == info.name)) {
            if let Err(what) = run_row(info, lines, seed, shards) {
                problems.push(format!("KORA_SEED={seed} KORA_ROW={}: {what}", info.name));
            }
        }
    }
    assert!(problems.is_empty(), "{} rows:\n\n{}", problems.len(), problems.join("\n\n"));
}

#[test]
fn every_row_replays_on_one_shard() {
    check(60, 1);
}

#[test]
fn every_row_replays_on_four_shards() {
    check(60, 4);
}

/// A world whose shards log, and of which it is asked what they have logged.
struct Logging {
    world: World,
    read: Vec<usize>,
}

impl Logging {
    fn new(shards: usize) -> Self {
        let shape = Shape { shards, clients: 2, log: Some(AppendFsync::EverySec), ..Shape::default() };
        let mut world = World::new(1, shape);
        world.set_clock(1_000_000);
        Self { world, read: vec![0; shards] }
    }

    fn say(&mut self, line: &str) -> Vec<u8> {
        self.world.ask(0, &line.split(' ').collect::<Vec<_>>())
    }

    /// The entries of each record since the last call, all shards' together, joined by `; `.
    fn logged(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        for (log, read) in self.world.logs().iter().zip(&mut self.read) {
            let from = std::mem::replace(read, log.image().len());
            found.extend(records(&log.image()[from..]).iter().map(|record| entries_of(&record.payload).join("; ")));
        }
        found
    }
}

/// Says lines in turn and compares what is logged of each; what begins with a blank only prepares.
#[track_caller]
fn logs(shards: usize, cases: &[(&str, &[&str])]) {
    let mut logging = Logging::new(shards);
    for (line, expected) in cases {
        let reply = logging.say(line.trim_start());
        let logged = logging.logged();
        if !line.starts_with(' ') {
            assert_eq!(logged, *expected, "{line}, answered {}", reply.escape_ascii());
        }
    }
}

#[test]
fn times_are_logged_as_they_are_on_the_clock() {
    logs(
        1,
        &[
            ("SET k v", &["SET k v"]),
            ("SET k v EX 10", &["SET k v PXAT 1010000"]),
            ("SET k v PX 10 GET", &["SET k v PXAT 1000010"]),
            ("SET k v EXAT 2000 XX", &["SET k v PXAT 2000000"]),
            ("SET k w KEEPTTL", &["SET k w KEEPTTL"]),
            ("SET k w XX GET", &["SET k w"]),
            ("SETEX k 5 v", &["SET k v PXAT 1005000"]),
            ("PSETEX k 5 v", &["SET k v PXAT 1000005"]),
            ("GETEX k EX 3", &["PEXPIREAT k 1003000"]),
            ("GETEX k PERSIST", &["PERSIST k"]),
            ("EXPIRE k 7", &["PEXPIREAT k 1007000"]),
            ("PEXPIRE k 8 LT", &["PEXPIREAT k 1000008"]),
            ("EXPIREAT k 3000", &["PEXPIREAT k 3000000"]),
            ("PEXPIREAT k 4000000 GT", &["PEXPIREAT k 4000000"]),
            ("PERSIST k", &["PERSIST k"]),
            ("EXPIRE k -1", &["DEL k"]),
            (" SET k v", &[]),
            ("GETEX k PXAT 1", &["DEL k"]),
        ],
    );
}

#[test]
fn chance_and_settings_are_logged_as_what_came_of_them() {
    logs(
        1,
        &[
            ("INCRBYFLOAT f 1.5", &["SET f 1.5 KEEPTTL"]),
            ("HINCRBYFLOAT h f 0.5", &["HSET h f 0.5"]),
            (" SADD s a", &[]),
            ("SPOP s", &["DEL s"]),
            (" SADD s a b", &[]),
            ("SPOP s 2", &["DEL s"]),
            ("XADD x * f v", &["XADD x 1000000-0 f v"]),
            ("XADD x NOMKSTREAM 1000000-* f v", &["XADD x 1000000-1 f v"]),
            ("XADD x MAXLEN 1 * f v", &["XADD x 1000000-2 f v; XTRIM x MAXLEN = 1"]),
            ("XTRIM x MINID 2000000", &["XTRIM x MAXLEN = 0"]),
            ("EVAL redis.call('SET',KEYS[1],1)redis.call('EXPIRE',KEYS[1],1) 1 k", &["SET k 1; PEXPIREAT k 1001000"]),
        ],
    );
    let mut logging = Logging::new(1);
    logging.say("SADD s a b c d");
    logging.logged();
    let popped = logging.say("SPOP s");
    let popped = String::from_utf8_lossy(&popped).split("\r\n").nth(1).unwrap_or_default().to_owned();
    assert_eq!(logging.logged(), [format!("SREM s {popped}")]);
}

#[test]
fn a_transaction_on_one_shard_is_one_record() {
    let mut logging = Logging::new(1);
    for line in ["MULTI", "SET a 1", "SELECT 3", "INCR b", "GET a", "LPUSH a x", "EXEC"] {
        logging.say(line);
    }
    assert_eq!(logging.logged(), ["SET a 1; [3] INCR b; [3] LPUSH a x"]);
    for line in ["MULTI", "GET a", "EXEC"] {
        logging.say(line);
    }
    assert_eq!(logging.logged(), [""; 0]);
}

#[test]
fn an_expired_key_is_logged_when_it_goes() {
    let mut logging = Logging::new(1);
    logging.say("SET k v PX 5");
    logging.say("SET l v PX 5");
    logging.say("SET m v PX 5");
    logging.logged();
    logging.world.set_clock(1_000_010);
    logging.say("GET k");
    assert_eq!(logging.logged(), ["DEL k"]);
    logging.say("SETNX l w");
    assert_eq!(logging.logged(), ["DEL l", "SETNX l w"]);
    logging.world.maintain();
    logging.say("PING");
    assert_eq!(logging.logged(), ["DEL m"]);
}

#[test]
fn what_changes_nothing_logs_nothing() {
    let nothing = [
        "SETNX s w",
        "SET s w NX",
        "SET none w XX",
        "MSETNX none w s w",
        "GETDEL none",
        "GETEX s",
        "GETEX s PERSIST",
        "GETEX none EX 5",
        "SETRANGE s 0 ",
        "INCR s",
        "INCRBYFLOAT s 1",
        "EXPIRE none 5",
        "EXPIRE s 5 XX",
        "PERSIST s",
        "DEL none",
        "UNLINK none",
        "RENAMENX s l",
        "RENAME s s",
        "RENAME none s",
        "COPY s l",
        "MOVE none 1",
        "RESTORE none 0 nonsense",
        "LPUSHX none a",
        "RPUSHX none a",
        "LPUSH s a",
        "LINSERT l BEFORE none x",
        "LREM l 0 none",
        "LSET l 50 x",
        "LTRIM l 0 -1",
        "LPOP none",
        "LPOP l 0",
        "LMOVE none l LEFT LEFT",
        "RPOPLPUSH none l",
        "LMPOP 1 none LEFT",
        "HDEL h none",
        "HSETNX h f w",
        "HINCRBYFLOAT h g 1",
        "SADD t a",
        "SREM t none",
        "SMOVE t u none",
        "SPOP none",
        "SPOP t 0",
        "SINTERSTORE none t none",
        "ZADD z 1 a",
        "ZADD z NX 2 a",
        "ZADD z XX 2 none",
        "ZADD z GT 0 a",
        "ZINCRBY z 0 a",
        "ZREM z none",
        "ZPOPMIN none",
        "ZPOPMIN z 0",
        "ZMPOP 1 none MIN",
        "ZREMRANGEBYRANK z 5 9",
        "ZREMRANGEBYSCORE z 5 9",
        "ZREMRANGEBYLEX z [q [r",
        "ZUNIONSTORE none 1 none",
        "XADD none NOMKSTREAM * f v",
        "XADD x 0-1 f v",
        "XTRIM x MAXLEN 100",
        "XTRIM none MAXLEN 1",
        "XDEL x 9-9",
        "XSETID none 9-9",
        "SWAPDB 1 1",
        "FUNCTION DELETE none",
        "FUNCTION FLUSH",
        "FUNCTION LOAD nonsense",
        "EVAL return(redis.call('GET',KEYS[1])) 1 s",
    ];
    for shards in [1, 4] {
        let mut logging = Logging::new(shards);
        for line in ["SET s v", "RPUSH l a b", "HSET h f v g w", "SADD t a b", "ZADD z 1 a 2 b", "XADD x 5-5 f v"] {
            logging.say(line);
        }
        logging.logged();
        for line in nothing {
            let reply = logging.say(line);
            assert_eq!(logging.logged(), [""; 0], "{line}, answered {}, on {shards}", reply.escape_ascii());
        }
        // An empty database is left alone.
        logging.say("FLUSHALL");
        logging.logged();
        logging.say("FLUSHALL");
        logging.say("FLUSHDB");
        assert_eq!(logging.logged(), [""; 0], "on {shards}");
    }
}

#[test]
fn libraries_are_logged() {
    let library = "#!lua name=lib\nredis.register_function('f',function()return(1)end)";
    for shards in [1, 4] {
        let mut logging = Logging::new(shards);
        logging.world.ask(0, &["FUNCTION", "LOAD", library]);
        let load = format!("FUNCTION|LOAD {}", library.escape_default());
        assert_eq!(logging.logged(), vec![load.clone(); shards]);
        logging.world.ask(0, &["FUNCTION", "LOAD", library]);
        assert_eq!(logging.logged(), [""; 0]);
        logging.say("FUNCTION DELETE lib");
        assert_eq!(logging.logged(), vec!["FUNCTION|DELETE lib"; shards]);
        logging.world.ask(0, &["FUNCTION", "LOAD", library]);
        logging.logged();
        logging.say("FUNCTION FLUSH");
        assert_eq!(logging.logged(), vec!["FUNCTION|FLUSH"; shards]);
    }
}

#[test]
fn elements_that_go_from_shard_to_shard_are_logged_alone() {
    // Keys of two shards: of the first that are elsewhere than `a`.
    let (a, b) = two_shards();
    let check = |prepare: &[String], line: String, expected: &[String]| {
        let mut logging = Logging::new(4);
        prepare.iter().for_each(|line| drop(logging.say(line)));
        logging.logged();
        let reply = logging.say(&line);
        let mut logged = logging.logged();
        logged.sort();
        let mut expected = expected.to_vec();
        expected.sort();
        assert_eq!(logged, expected, "{line}, answered {}", reply.escape_ascii());
    };
    let lists = [format!("RPUSH {a} x y z"), format!("RPUSH {b} q")];
    check(&lists, format!("LMOVE {a} {b} LEFT RIGHT"), &[format!("LPOP {a} 1"), format!("RPUSH {b} x")]);
    check(&lists, format!("RPOPLPUSH {a} {b}"), &[format!("RPOP {a} 1"), format!("LPUSH {b} z")]);
    check(&lists, format!("BLMOVE {a} {b} RIGHT RIGHT 0"), &[format!("RPOP {a} 1"), format!("RPUSH {b} z")]);
    check(&lists, format!("BRPOPLPUSH {a} {b} 0"), &[format!("RPOP {a} 1"), format!("LPUSH {b} z")]);
    check(&lists, format!("LMPOP 2 {a} {b} LEFT COUNT 2"), &[format!("LPOP {a} 2")]);
    check(&lists, format!("BLMPOP 0 2 {b} {a} RIGHT"), &[format!("RPOP {b} 1")]);
    check(&lists, format!("BLPOP {a} {b} 0"), &[format!("LPOP {a} 1")]);
    check(&lists, format!("BRPOP {b} {a} 0"), &[format!("RPOP {b} 1")]);
    let sets = [format!("SADD {a} x y"), format!("SADD {b} y")];
    check(&sets, format!("SMOVE {a} {b} x"), &[format!("SREM {a} x"), format!("SADD {b} x")]);
    check(&sets, format!("SMOVE {a} {b} y"), &[format!("SREM {a} y")]);
    let scored = [format!("ZADD {a} 1 x 2 y"), format!("ZADD {b} 1 q")];
    check(&scored, format!("ZMPOP 2 {a} {b} MAX COUNT 2"), &[format!("ZPOPMAX {a} 2")]);
    check(&scored, format!("BZMPOP 0 2 {a} {b} MIN"), &[format!("ZPOPMIN {a} 1")]);
    check(&scored, format!("BZPOPMIN {b} {a} 0"), &[format!("ZPOPMIN {b} 1")]);
    check(&scored, format!("BZPOPMAX {b} {a} 0"), &[format!("ZPOPMAX {b} 1")]);
}

/// Names of keys on two different shards of four.
fn two_shards() -> (String, String) {
    let world = World::new(1, Shape::default());
    let owner = |key: &String| world.shards()[0].core().routing.owner(0, key.as_bytes());
    let first = "key0".to_owned();
    let other = (1..).map(|at| format!("key{at}")).find(|key| owner(key) != owner(&first));
    (first, other.expect("not all keys are on one shard"))
}

#[test]
fn reads_log_nothing() {
    for shards in [1, 4] {
        let mut logging = Logging::new(shards);
        let lines =
            ["MSET s0 v i0 7", "RPUSH l0 m1 m2", "HSET h0 m1 1", "SADD t0 m1", "ZADD z0 1 m1", "XADD x0 1-1 f v"];
        lines.iter().for_each(|line| drop(logging.say(line)));
        logging.logged();
        let mut random = Random::new(1);
        for info in CommandId::ALL.iter().map(|id| id.info()).filter(|info| info.access == Access::Read) {
            for _ in 0..10 {
                let line = Maker::new(&mut random).line(info);
                logging.world.send(0, &line.words);
                while logging.world.moves() > 0 {
                    logging.world.make_move(0);
                }
                logging.world.take_replies();
                logging.world.reconnect(0);
                assert_eq!(logging.logged(), [""; 0], "{}, on {shards}", info.name);
            }
        }
    }
}
