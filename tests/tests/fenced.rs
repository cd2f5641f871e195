//! Keys that a failed command may have left half changed, and what is on disk.
//!
//! Owns: what becomes of such a key in snapshots and at a restart. Refuses to know: how a handler fails (`DEBUG PANIC`).

use kora_ext::{Database, Options};
use kora_runtime::client::Value;
use kora_runtime::config::Config;

#[test]
fn a_fenced_key_keeps_snapshots_away_and_comes_back_from_the_log() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let open = || {
        let config = Config { appendonly: true, ..Config::default() };
        let options = Options { shards: 2, config, directory: Some(place.path().to_owned()), ..Options::default() };
        Database::open(options).expect("a directory")
    };
    let database = open();
    let connection = database.connect().expect("it runs");
    connection.execute(&["SET", "key", "whole"]).expect("it writes");
    connection.execute(&["SET", "other", "whole"]).expect("it writes");
    connection.execute(&["DEBUG", "PANIC", "key"]).expect_err("it panics");
    connection.execute(&["GET", "key"]).expect_err("it is fenced");
    let error = connection.execute(&["SAVE"]).expect_err("what is half changed is not saved").to_string();
    assert!(error.contains("a command failed while it changed a key"), "{error}");
    connection.execute(&["SET", "third", "whole"]).expect("it goes on");
    drop((connection, database));

    let database = open();
    let connection = database.connect().expect("it runs");
    for key in ["key", "other", "third"] {
        assert_eq!(connection.execute(&["GET", key]), Ok(Value::Bulk(b"whole".to_vec())), "{key}");
    }
    connection.execute(&["SAVE"]).expect("nothing is fenced any more");
}
