//! WAITAOF with a log: what was written is on disk when it replies.
//!
//! Owns: its replies on one shard and on several. Refuses to know: what a disk does.

use kora_ext::{Database, Options};
use kora_runtime::client::Value;
use kora_runtime::config::{AppendFsync, Config};

fn counts(value: &Value) -> Vec<i64> {
    match value {
        Value::Array(values) => values
            .iter()
            .map(|value| match value {
                Value::Integer(number) => *number,
                other => panic!("{other:?} is no number"),
            })
            .collect(),
        other => panic!("{other:?} is no array"),
    }
}

fn open(shards: usize, directory: &std::path::Path, appendfsync: AppendFsync) -> Database {
    let config = Config { appendonly: true, appendfsync, ..Config::default() };
    let options = Options { shards, config, directory: Some(directory.to_owned()), ..Options::default() };
    Database::open(options).expect("a new directory")
}

#[test]
fn it_waits_for_the_logs_of_all_shards() {
    for (shards, appendfsync) in
        [(1, AppendFsync::EverySec), (4, AppendFsync::EverySec), (4, AppendFsync::No), (4, AppendFsync::Always)]
    {
        let place = tempfile::tempdir().expect("a temporary directory");
        let database = open(shards, place.path(), appendfsync);
        let connection = database.connect().expect("it runs");
        for round in 0..20 {
            let text = round.to_string();
            connection.execute(&["MSET", "a", &text, "b", &text, "c", &text, "d", &text]).expect("it writes");
            let reply = connection.execute(&["WAITAOF", "1", "0", "0"]).expect("it waits");
            assert_eq!(counts(&reply), [1, 0]);
            let info = connection.execute(&["INFO", "persistence"]).expect("it tells");
            let Value::Verbatim(info) = info else { panic!("{info:?}") };
            for line in String::from_utf8_lossy(&info).lines().filter(|line| line.starts_with("log_shard_")) {
                let fact = |name: &str| {
                    let (_, rest) = line.split_once(&format!("{name}=")).unwrap_or_else(|| panic!("{name} in {line}"));
                    rest.split(',').next().unwrap_or_default().to_owned()
                };
                assert_eq!(fact("last_lsn"), fact("durable_lsn"), "{line}");
            }
        }
        // Replicas are waited for in vain, as long as the client says.
        let reply = connection.execute(&["WAITAOF", "1", "1", "5"]).expect("it waits");
        assert_eq!(counts(&reply), [1, 0]);
    }
}

#[test]
fn inside_a_transaction_it_waits_for_nobody() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let database = open(4, place.path(), AppendFsync::EverySec);
    let connection = database.connect().expect("it runs");
    connection.execute(&["MULTI"]).expect("it begins");
    connection.execute(&["WAITAOF", "1", "0", "0"]).expect("it is queued");
    let reply = connection.execute(&["EXEC"]).expect("it runs");
    let Value::Array(replies) = reply else { panic!("{reply:?}") };
    assert_eq!(counts(&replies[0]), [0, 0]);
}
