//! Which keys and commands a script reaches on several shards, and on one.
//!
//! Owns: refusals that redis-server does not know, since it has no shards. Refuses to know: which shard a key is on; the server is asked.
//! Start at [`tags`].

use kora_ext::clock::Clock;
use kora_tests::kora::{connect, start_server};
use kora_tests::resp::{Client, Value};

const FOREIGN: &str = "ERR Script attempted to access an undeclared key that is on another shard: declare it in KEYS, or keep related keys together by a {tag}, a `locality` rule or a pinned database script: ";
const EVERYWHERE: &str = "ERR This command works on all shards and is not allowed from a script on several shards, but in a pinned database script: ";

fn call(client: &mut Client, words: &[&str]) -> Value {
    client.call(words).expect("a reply comes")
}

fn error(client: &mut Client, words: &[&str]) -> String {
    match call(client, words) {
        Value::Error(text) => String::from_utf8_lossy(&text).into_owned(),
        other => panic!("{words:?}: {other:?}"),
    }
}

/// Two keys that are on different shards.
fn tags(client: &mut Client) -> (String, String) {
    let owner = |client: &mut Client, key: &str| call(client, &["KORA", "OWNER", key]);
    let first = owner(client, "{0}");
    let other = (1..1000).map(|number| format!("{{{number}}}")).find(|key| owner(client, key) != first);
    ("{0}".to_owned(), other.expect("of so many keys some are elsewhere"))
}

#[test]
fn undeclared_keys_of_another_shard_are_refused_and_declared_ones_are_brought() {
    let (_server, address) = start_server(4, Clock::default()).expect("a server starts");
    let mut client = connect(address);
    let (here, there) = tags(&mut client);
    let (near, far) = (format!("{here}undeclared"), format!("{there}undeclared"));
    let ok = Value::Simple(b"OK".to_vec());
    let set = "return redis.call('SET', ARGV[1], 'v')";
    assert_eq!(call(&mut client, &["EVAL", set, "1", &here, &near]), ok);
    for words in [&["EVAL", set, "1", &here, &far][..], &["EVAL", set, "1", &there, &near]] {
        assert!(error(&mut client, words).starts_with(FOREIGN), "{words:?}");
    }
    assert_eq!(call(&mut client, &["EXISTS", &far]), Value::Integer(0));
    // With keys on several shards, only those.
    assert_eq!(call(&mut client, &["EVAL", set, "2", &here, &there, &there]), ok);
    for key in [&near, &far] {
        assert!(error(&mut client, &["EVAL", set, "2", &here, &there, key]).starts_with(FOREIGN), "{key}");
    }
    // One foreign key among several is one too many, and nothing of the command is done.
    let mset = "return redis.call('MSET', KEYS[1], 'w', ARGV[1], 'w')";
    assert!(error(&mut client, &["EVAL", mset, "1", &here, &far]).starts_with(FOREIGN));
    assert_eq!(call(&mut client, &["EXISTS", &here]), Value::Integer(0));
    // A script sees the refusal by pcall, and may go on.
    let try_it = "local e = redis.pcall('GET', ARGV[1]) return redis.call('SET', KEYS[1], type(e.err))";
    assert_eq!(call(&mut client, &["EVAL", try_it, "1", &here, &far]), ok);
    assert_eq!(call(&mut client, &["GET", &here]), Value::Bulk(b"string".to_vec()));
    // Functions have the same scope.
    let library =
        "#!lua name=lib\nredis.register_function('get', function(keys, args) return redis.call('GET', args[1]) end)";
    assert_eq!(call(&mut client, &["FUNCTION", "LOAD", library]), Value::Bulk(b"lib".to_vec()));
    assert_eq!(call(&mut client, &["FCALL", "get", "1", &here, &near]), Value::Bulk(b"v".to_vec()));
    assert!(error(&mut client, &["FCALL", "get", "1", &there, &near]).starts_with(FOREIGN));
}

#[test]
fn commands_over_all_shards_are_refused_on_several_shards_and_run_on_one() {
    let commands = ["return redis.call('DBSIZE')", "return redis.call('FLUSHALL')", "return redis.call('KEYS', '*')"];
    for shards in [1, 4] {
        let (_server, address) = start_server(shards, Clock::default()).expect("a server starts");
        let mut client = connect(address);
        for command in commands {
            for keys in [&["0"][..], &["1", "k"], &["8", "a", "b", "c", "d", "e", "f", "g", "h"]] {
                let words = [&["EVAL", command], keys].concat();
                if shards == 1 {
                    let reply = call(&mut client, &words);
                    assert!(!reply.is_error(), "{words:?}: {reply:?}");
                } else {
                    assert!(error(&mut client, &words).starts_with(EVERYWHERE), "{words:?}");
                }
            }
        }
    }
}
