//! Scripts that do not end: what everybody else hears meanwhile, and how they are ended.
//!
//! Owns: BUSY, SCRIPT KILL and FUNCTION KILL on a whole server with real time, 1 shard and 4. Refuses to know: what scripts compute.
//! Start at [`Stage`]; each test is told what to do by replies alone, and asks again as long as the reply is that of a script that is not stuck yet.

use std::net::SocketAddr;

use kora_ext::clock::Clock;
use kora_server::Server;
use kora_tests::kora::{connect, start_server};
use kora_tests::resp::{Client, Value};

const FOREVER: &str = "while true do end";
/// Longer than anybody needs to ask whether it can be ended.
const WRITES_AND_LINGERS: &str =
    "redis.call('SET', KEYS[1], 'written') local n = 0 while n < 30000000 do n = n + 1 end return n";
const LIBRARY: &str = "#!lua name=lib\nredis.register_function('stuck', function() while true do end end)";
const BUSY_SCRIPT: &str = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
const BUSY_FUNCTION: &str = "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.";
const KILLED: &str = "ERR Script killed by user with SCRIPT KILL... script: ";
const TRIES: usize = 1_000_000;

/// A server whose scripts are late after a millisecond.
struct Stage {
    shards: usize,
    address: SocketAddr,
    _server: Server,
}

impl Stage {
    fn new(shards: usize) -> Self {
        let (server, address) = start_server(shards, Clock::default()).expect("a server starts");
        let stage = Self { shards, address, _server: server };
        assert_eq!(say(&mut stage.client(), "CONFIG SET busy-reply-threshold 1"), "OK");
        stage
    }

    fn client(&self) -> Client {
        connect(self.address)
    }

    /// A client whose script, with this key, is stuck by now: reading the key is refused.
    fn stuck(&self, key: &str) -> Client {
        let mut owner = self.client();
        send(&mut owner, &["EVAL", FOREVER, "1", key]);
        self.wait_until_busy(key);
        owner
    }

    fn wait_until_busy(&self, key: &str) {
        let mut asking = self.client();
        until(|| say(&mut asking, &format!("GET {key}")).starts_with("BUSY").then_some(()));
    }
}

fn for_shards(test: impl Fn(&Stage)) {
    for shards in [1, 4] {
        test(&Stage::new(shards));
    }
}

fn until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    (0..TRIES).find_map(|_| ask()).expect("what was waited for happens")
}

fn send(client: &mut Client, words: &[&str]) {
    client.send(words).expect("the server reads");
}

fn receive(client: &mut Client) -> String {
    text(&client.receive().expect("a reply comes").expect("the connection stays open"))
}

fn call(client: &mut Client, words: &[&str]) -> String {
    send(client, words);
    receive(client)
}

/// Sends words without blanks in them, and returns the reply in one line.
fn say(client: &mut Client, line: &str) -> String {
    call(client, &line.split(' ').collect::<Vec<_>>())
}

fn text(value: &Value) -> String {
    match value {
        Value::Null | Value::NullArray => "nil".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Array(items) => format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(", ")),
        other => String::from_utf8_lossy(other.bytes().unwrap_or_default()).into_owned(),
    }
}

/// Asks for a script's end until there is one to end.
fn kill(stage: &Stage) {
    let mut killer = stage.client();
    until(|| match &*say(&mut killer, "SCRIPT KILL") {
        "OK" => Some(()),
        "NOTBUSY No scripts in execution right now." => None,
        other => panic!("{other}"),
    });
}

fn assert_killed(reply: &str) {
    assert!(reply.starts_with(KILLED), "{reply}");
}

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("key{number}")).collect()
}

#[test]
fn a_stuck_script_is_ended_by_script_kill_and_by_nothing_else() {
    for_shards(|stage| {
        let mut owner = stage.stuck("k");
        let mut other = stage.client();
        assert_eq!(say(&mut other, "SET k 1"), BUSY_SCRIPT);
        // Clients of the stuck shard ask all shards as well as those of others do.
        let mut anywhere: Vec<Client> = (0..16).map(|_| stage.client()).collect();
        for asking in &mut anywhere {
            assert_eq!(say(asking, "FUNCTION KILL"), BUSY_SCRIPT);
            assert_eq!(say(asking, "FUNCTION STATS"), BUSY_SCRIPT);
        }
        assert_eq!(say(&mut other, "SCRIPT KILL"), "OK");
        assert_killed(&receive(&mut owner));
        assert_eq!(say(&mut other, "SET k 1"), "OK");
        assert_eq!(say(&mut owner, "GET k"), "1");
        assert_eq!(say(&mut other, "SCRIPT KILL"), "NOTBUSY No scripts in execution right now.");
        assert_eq!(call(&mut owner, &["EVAL", "return redis.call('INCR', KEYS[1])", "1", "k"]), "2");
    });
}

#[test]
fn a_stuck_function_is_ended_by_function_kill() {
    for_shards(|stage| {
        let mut other = stage.client();
        assert_eq!(call(&mut other, &["FUNCTION", "LOAD", LIBRARY]), "lib");
        let mut owner = stage.client();
        send(&mut owner, &["FCALL", "stuck", "1", "k", "argument"]);
        stage.wait_until_busy("k");
        assert_eq!(say(&mut other, "GET k"), BUSY_FUNCTION);
        assert_eq!(say(&mut other, "SCRIPT KILL"), BUSY_FUNCTION);
        let stats = say(&mut other, "FUNCTION STATS");
        let begin = "[running_script, [name, stuck, command, [FCALL, stuck, 1, k, argument], duration_ms, ";
        assert!(stats.starts_with(begin), "{stats}");
        assert!(stats.ends_with("engines, [LUA, [libraries_count, 1, functions_count, 1]]]"), "{stats}");
        assert_eq!(say(&mut other, "FUNCTION KILL"), "OK");
        assert_eq!(receive(&mut owner), format!("{KILLED}stuck, on @user_function:2."));
        assert_eq!(say(&mut other, "GET k"), "nil");
        assert_eq!(say(&mut other, "FUNCTION KILL"), "NOTBUSY No scripts in execution right now.");
    });
}

#[test]
fn a_script_that_has_written_cannot_be_ended() {
    for_shards(|stage| {
        let mut killer = stage.client();
        let mut owner = stage.client();
        send(&mut owner, &["EVAL", WRITES_AND_LINGERS, "1", "k"]);
        stage.wait_until_busy("k");
        let refused = say(&mut killer, "SCRIPT KILL");
        assert_eq!(
            refused,
            "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script termination or kill \
             the server in a hard way using the SHUTDOWN NOSAVE command."
        );
        assert_eq!(receive(&mut owner), "30000000");
        assert_eq!(say(&mut killer, "GET k"), "written");
    });
}

#[test]
fn a_script_whose_keys_are_on_several_shards_is_ended_too() {
    for_shards(|stage| {
        let keys = keys(16);
        let mut owner = stage.client();
        let words = ["EVAL", FOREVER, "16"].into_iter().chain(keys.iter().map(String::as_str));
        send(&mut owner, &words.collect::<Vec<_>>());
        // Readers of its keys are refused, or wait until it is over.
        let mut readers: Vec<Client> = keys.iter().map(|_| stage.client()).collect();
        for (reader, key) in readers.iter_mut().zip(&keys) {
            send(reader, &["GET", key]);
        }
        kill(stage);
        assert_killed(&receive(&mut owner));
        for (reader, key) in readers.iter_mut().zip(&keys) {
            let reply = receive(reader);
            assert!(reply == "nil" || reply == BUSY_SCRIPT, "{reply}");
            assert_eq!(say(reader, &format!("SET {key} 1")), "OK");
        }
    });
}

#[test]
fn a_stuck_script_inside_exec_is_ended_and_the_rest_runs() {
    for_shards(|stage| {
        let mut owner = stage.client();
        assert_eq!(say(&mut owner, "MULTI"), "OK");
        assert_eq!(say(&mut owner, "GET {t}a"), "QUEUED");
        assert_eq!(call(&mut owner, &["EVAL", FOREVER, "1", "{t}a"]), "QUEUED");
        assert_eq!(say(&mut owner, "SET {t}b 2"), "QUEUED");
        send(&mut owner, &["EXEC"]);
        stage.wait_until_busy("{t}b");
        kill(stage);
        let reply = receive(&mut owner);
        assert!(reply.starts_with(&format!("[nil, {KILLED}")) && reply.ends_with(", OK]"), "{reply}");
        assert_eq!(say(&mut owner, "GET {t}b"), "2");
    });
}

/// Over several shards an EXEC cannot step aside, and a script in it that has not written ends by itself.
#[test]
fn a_stuck_script_inside_exec_over_several_shards_ends_by_itself() {
    let stage = Stage::new(4);
    let keys = keys(16);
    let mut owner = stage.client();
    assert_eq!(say(&mut owner, "MULTI"), "OK");
    for key in &keys {
        assert_eq!(say(&mut owner, &format!("SET {key} 1")), "QUEUED");
    }
    assert_eq!(call(&mut owner, &["EVAL", FOREVER, "1", "key0"]), "QUEUED");
    assert_eq!(say(&mut owner, "INCR key1"), "QUEUED");
    let reply = say(&mut owner, "EXEC");
    assert!(reply.starts_with("[OK, OK,") && reply.ends_with(", 2]") && reply.contains(KILLED), "{reply}");
    assert_eq!(say(&mut owner, "GET key0"), "1");
}

#[test]
fn a_transaction_can_be_begun_but_not_filled_while_a_script_is_stuck() {
    let stage = Stage::new(1);
    let mut owner = stage.stuck("k");
    let mut other = stage.client();
    assert_eq!(say(&mut other, "MULTI"), "OK");
    assert_eq!(say(&mut other, "GET k"), BUSY_SCRIPT);
    assert_eq!(say(&mut other, "EXEC"), format!("EXECABORT Transaction discarded because of: {BUSY_SCRIPT}"));
    assert_eq!(say(&mut other, "WATCH k"), "OK");
    assert_eq!(say(&mut other, "UNWATCH"), "OK");
    for refused in ["PING", "SCRIPT FLUSH", "FUNCTION FLUSH", "FLUSHALL", "CONFIG GET port", "EVAL x 0", "SHUTDOWN"] {
        assert_eq!(say(&mut other, refused), BUSY_SCRIPT, "{refused}");
    }
    assert_eq!(say(&mut other, "QUIT"), "OK");
    kill(&stage);
    assert_killed(&receive(&mut owner));
}

#[test]
fn a_script_outlives_its_client_until_it_is_ended() {
    for_shards(|stage| {
        drop(stage.stuck("k"));
        let mut other = stage.client();
        assert_eq!(say(&mut other, "GET k"), BUSY_SCRIPT);
        assert_eq!(say(&mut other, "SCRIPT KILL"), "OK");
        until(|| (say(&mut other, "SET k 1") == "OK").then_some(()));
    });
}

#[test]
fn clients_come_and_go_while_a_script_is_stuck() {
    for_shards(|stage| {
        let mut owner = stage.stuck("k");
        // Enough for some to be on the shard of the script.
        for number in 0..16 {
            let mut client = stage.client();
            send(&mut client, &["SET", &format!("n{number}"), "1"]);
            if number % 2 == 0 {
                let reply = receive(&mut client);
                assert!(reply == "OK" || reply == BUSY_SCRIPT, "{reply}");
            }
        }
        kill(stage);
        assert_killed(&receive(&mut owner));
        until(|| (say(&mut owner, "INFO clients").contains("connected_clients:1\r\n")).then_some(()));
    });
}

#[test]
fn subscribers_and_waiting_clients_are_served_once_the_script_is_over() {
    for_shards(|stage| {
        let mut subscribers: Vec<Client> = (0..8).map(|_| stage.client()).collect();
        for subscriber in &mut subscribers {
            assert_eq!(say(subscriber, "SUBSCRIBE news"), "[subscribe, news, 1]");
        }
        let mut waiting = stage.client();
        send(&mut waiting, &["BLPOP", "list", "0"]);
        let mut main = stage.client();
        until(|| say(&mut main, "INFO clients").contains("blocked_clients:1\r\n").then_some(()));

        let mut owner = stage.stuck("list");
        let mut pushing = stage.client();
        assert_eq!(say(&mut pushing, "RPUSH list early"), BUSY_SCRIPT);
        // Some of those who hear this are on the shard that is stuck.
        let mut publishing = stage.client();
        send(&mut publishing, &["PUBLISH", "news", "meanwhile"]);
        drop(subscribers.pop());
        kill(stage);
        assert_killed(&receive(&mut owner));
        let told = receive(&mut publishing);
        assert_eq!(say(&mut pushing, "RPUSH list late"), "1");
        assert_eq!(receive(&mut waiting), "[list, late]");
        until(|| (say(&mut main, "PUBLISH news after") == "7").then_some(()));
        for subscriber in &mut subscribers {
            let mut first = receive(subscriber);
            if told != BUSY_SCRIPT {
                assert_eq!(first, "[message, news, meanwhile]");
                first = receive(subscriber);
            }
            assert_eq!(first, "[message, news, after]", "on {} shards", stage.shards);
        }
    });
}
