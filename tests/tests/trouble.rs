//! What clients hear while data is being loaded, cannot be logged, or was not saved.
//!
//! Owns: LOADING and MISCONF on a whole server, 1 shard and 4. Refuses to know: why a shard is in trouble; the tests say so themselves.
//! Start at [`Stage`]. Texts are those of redis-server 7.0.15.

use std::sync::mpsc;

use kora_ext::clock::Clock;
use kora_runtime::config::SaveRules;
use kora_runtime::shard::Shard;
use kora_server::{Server, Settings};
use kora_tests::resp::{Client, Value};

const LOADING: &str = "LOADING Redis is loading the dataset in memory";
const LOG: &str = "MISCONF Errors writing to the AOF file: No space left on device";
const SNAPSHOT: &str = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify \
     the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails \
     (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error.";

struct Stage {
    server: Server,
    client: Client,
}

impl Stage {
    fn new(shards: usize) -> Self {
        let mut settings = Settings::for_embedding();
        settings.config.shards = shards;
        settings.config.save = SaveRules::of_redis();
        let server = Server::start_with_clock(settings, Clock::default()).expect("a server starts");
        let port = server.port().expect("it listens");
        let client = kora_tests::kora::connect(([127, 0, 0, 1], port).into());
        Self { server, client }
    }

    /// Tells every shard, and returns when all know.
    fn tell(&self, what: fn(&mut Shard)) {
        let (told, all) = mpsc::channel();
        for shard in 0..self.server.shards() {
            let told = told.clone();
            self.server.engine().on_shard(shard, move |driver| {
                driver.tick(what);
                told.send(()).expect("the test waits");
            });
        }
        assert_eq!(all.iter().take(self.server.shards()).count(), self.server.shards());
    }

    /// Sends lines, whose words have no blanks, and compares the replies.
    fn check(&mut self, cases: &[(&str, &str)]) {
        for (line, expected) in cases {
            let words: Vec<&str> = line.split(' ').collect();
            self.client.send(&words).expect("the server reads");
            let reply = self.client.receive().expect("a reply comes").expect("the connection stays open");
            assert_eq!(text(&reply), *expected, "{line} with {} shards", self.server.shards());
        }
    }
}

fn for_shards(test: impl Fn(Stage)) {
    [1, 4].into_iter().for_each(|shards| test(Stage::new(shards)));
}

fn text(value: &Value) -> String {
    match value {
        Value::Null | Value::NullArray => "nil".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Array(items) => format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(", ")),
        other => String::from_utf8_lossy(other.bytes().unwrap_or_default()).into_owned(),
    }
}

#[test]
fn while_data_is_loaded_few_commands_run() {
    for_shards(|mut stage| {
        stage.check(&[("SET k v", "OK"), ("MULTI", "OK"), ("GET k", "QUEUED")]);
        stage.tell(|shard| shard.set_loading(true));
        let discarded = format!("EXECABORT Transaction discarded because of: {LOADING}");
        stage.check(&[
            // What was queued before is refused as a whole.
            ("EXEC", &discarded),
            ("GET k", LOADING),
            ("SET k w", LOADING),
            ("PING", LOADING),
            ("DBSIZE", LOADING),
            ("EVAL return(1) 0", LOADING),
            ("BGSAVE", LOADING),
            ("SELECT 0", "OK"),
            ("CONFIG SET timeout 0", "OK"),
            ("GET k extra", "ERR wrong number of arguments for 'get' command"),
            ("NOSUCH", "ERR unknown command 'NOSUCH', with args beginning with: "),
            ("MULTI", "OK"),
            ("SELECT 0", "QUEUED"),
            ("EXEC", "[OK]"),
            ("MULTI", "OK"),
            ("GET k", LOADING),
            ("EXEC", "EXECABORT Transaction discarded because of previous errors."),
        ]);
        stage.tell(|shard| shard.set_loading(false));
        stage.check(&[("GET k", "v"), ("PING", "PONG")]);
    });
}

/// While `trouble` holds, what writes is refused with `error`, and what reads is not.
fn check_writes_refused(trouble: fn(&mut Shard), relief: fn(&mut Shard), error: &str) {
    for_shards(|mut stage| {
        stage.check(&[("SET k v", "OK"), ("RPUSH l a", "1")]);
        stage.check(&[("MULTI", "OK"), ("GET k", "QUEUED"), ("SET k w", "QUEUED")]);
        stage.tell(trouble);
        let discarded = format!("EXECABORT Transaction discarded because of: {error}");
        stage.check(&[("EXEC", &discarded)]);
        for line in ["SET k w", "DEL k", "MSET a 1 b 2 c 3 d 4", "FLUSHALL", "BLPOP l 0", "RENAME k m", "PING"] {
            stage.check(&[(line, error)]);
        }
        stage.check(&[
            ("GET k", "v"),
            ("LRANGE l 0 -1", "[a]"),
            ("MULTI", "OK"),
            ("GET k", "QUEUED"),
            ("EXEC", "[v]"),
            ("MULTI", "OK"),
            ("SET k w", error),
            ("EXEC", "EXECABORT Transaction discarded because of previous errors."),
            ("EVAL return(redis.call('get',KEYS[1])) 1 k", "v"),
        ]);
        stage.client.send(&["EVAL", "return redis.call('set',KEYS[1],'w')", "1", "k"]).expect("the server reads");
        let reply = stage.client.receive().expect("a reply comes").expect("the connection stays open");
        assert!(text(&reply).starts_with(&format!("{error} script: ")), "{}", text(&reply));
        stage.check(&[("GET k", "v")]);
        stage.tell(relief);
        stage.check(&[("SET k w", "OK"), ("GET k", "w"), ("PING", "PONG")]);
    });
}

#[test]
fn what_cannot_be_logged_is_refused() {
    check_writes_refused(
        |shard| shard.set_log_trouble(Some("No space left on device".to_owned())),
        |shard| shard.set_log_trouble(None),
        LOG,
    );
}

#[test]
fn what_cannot_be_saved_is_refused() {
    check_writes_refused(|shard| shard.set_snapshot_trouble(true), |shard| shard.set_snapshot_trouble(false), SNAPSHOT);
}

#[test]
fn a_snapshot_that_failed_matters_only_where_the_settings_say_so() {
    for_shards(|mut stage| {
        stage.tell(|shard| shard.set_snapshot_trouble(true));
        stage.check(&[
            ("SET k v", SNAPSHOT),
            ("CONFIG SET stop-writes-on-bgsave-error no", "OK"),
            ("SET k v", "OK"),
            ("CONFIG SET stop-writes-on-bgsave-error yes", "OK"),
            ("SET k v", SNAPSHOT),
        ]);
        stage.client.send(&["CONFIG", "SET", "save", ""]).expect("the server reads");
        assert!(matches!(stage.client.receive(), Ok(Some(reply)) if text(&reply) == "OK"));
        stage.check(&[("SET k w", "OK")]);
    });
}

#[test]
fn trouble_of_several_kinds_ends_one_by_one() {
    for_shards(|mut stage| {
        stage.tell(|shard| {
            shard.set_loading(true);
            shard.set_log_trouble(Some("No space left on device".to_owned()));
            shard.set_snapshot_trouble(true);
        });
        stage.check(&[("SET k v", SNAPSHOT), ("GET k", LOADING)]);
        stage.tell(|shard| shard.set_snapshot_trouble(false));
        stage.check(&[("SET k v", LOG), ("GET k", LOADING)]);
        stage.tell(|shard| shard.set_log_trouble(None));
        stage.check(&[("SET k v", LOADING), ("GET k", LOADING)]);
        stage.tell(|shard| shard.set_loading(false));
        stage.check(&[("SET k v", "OK"), ("GET k", "v")]);
    });
}
