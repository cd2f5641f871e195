//! CONFIG SET and CONFIG GET over the whole list. The expected texts were taken from redis-server 7.0.15;
//! where a case says `kora`, it is about a parameter or a bound that Redis does not have.

use super::*;

/// `pairs` are words: name value name value …; the outcome is the error text or what CONFIG GET then says of the names.
fn check(pairs: &[&str], expected: Result<&[&str], &str>) {
    let config = Config::default();
    let outcome = config.set(pairs.chunks(2).map(|pair| (pair[0].as_bytes(), pair[1].as_bytes())));
    let shown = outcome.map(|config| {
        let names = pairs.chunks(2).map(|pair| Parameter::named(pair[0].as_bytes()).expect("it was set"));
        names.map(|parameter| parameter.text(&config)).collect::<Vec<_>>()
    });
    assert_eq!(
        shown.map_err(|error| error.to_string()),
        expected.map(|texts| texts.iter().map(|text| (*text).to_owned()).collect()).map_err(str::to_owned),
        "CONFIG SET {pairs:?}"
    );
}

/// One pair whose value is refused for this reason.
fn refused(name: &str, value: &str, reason: &str) {
    check(&[name, value], Err(&format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")));
}

#[test]
fn values_are_shown_as_redis_shows_them() {
    check(&["timeout", "5"], Ok(&["5"]));
    check(&["TIMEOUT", "5"], Ok(&["5"]));
    check(&["hash-max-listpack-value", "1kb"], Ok(&["1024"]));
    check(&["proto-max-bulk-len", "1mb"], Ok(&["1048576"]));
    check(&["maxmemory-policy", "ALLKEYS-LRU"], Ok(&["allkeys-lru"]));
    check(&["protected-mode", "NO"], Ok(&["no"]));
    check(&["list-max-listpack-size", "-5"], Ok(&["-5"]));
    check(&["requirepass", "s3cret"], Ok(&["s3cret"]));
    check(
        &["client-output-buffer-limit", "replica 1mb 2 3"],
        Ok(&["normal 0 0 0 slave 1048576 2 3 pubsub 33554432 8388608 60"]),
    );
    check(&["save", "3600 1 300 100"], Ok(&["3600 1 300 100"]));
    check(&["save", "", "appendonly", "YES"], Ok(&["", "yes"]));
    check(&["auto-aof-rewrite-min-size", "1mb", "auto-aof-rewrite-percentage", "0"], Ok(&["1048576", "0"]));
    check(&["stop-writes-on-bgsave-error", "no"], Ok(&["no"]));
    check(&["pipeline-order", "Strict"], Ok(&["strict"])); // kora
    check(&["snapshot-retain", "3"], Ok(&["3"])); // kora
}

#[test]
fn an_older_name_is_the_same_parameter() {
    check(&["hash-max-listpack-entries", "7", "hash-max-ziplist-entries", "8"], Ok(&["8", "8"]));
    check(&["zset-max-ziplist-value", "9"], Ok(&["9"]));
    let changed = Config::default().set([(b"list-max-ziplist-size".as_slice(), b"4".as_slice())]);
    assert_eq!(changed.map(|config| config.list_max_listpack_size), Ok(4));
}

#[test]
fn wrong_values_are_refused_with_the_reason() {
    refused("maxmemory", "abc", "argument must be a memory value");
    refused("maxmemory", "-1", "argument must be a memory value");
    refused("hash-max-listpack-value", "-1", "argument must be a memory value");
    refused("timeout", "abc", "argument couldn't be parsed into an integer");
    refused("timeout", "010", "argument couldn't be parsed into an integer");
    refused("hash-max-listpack-entries", "1kb", "argument couldn't be parsed into an integer");
    refused("zset-max-listpack-entries", "99999999999999999999", "argument couldn't be parsed into an integer");
    refused("timeout", "-1", "argument must be between 0 and 2147483647 inclusive");
    refused("tcp-keepalive", "99999999999", "argument must be between 0 and 2147483647 inclusive");
    refused("maxclients", "0", "argument must be between 1 and 4294967295 inclusive");
    refused("set-max-intset-entries", "-1", "argument must be between 0 and 9223372036854775807 inclusive");
    refused("list-max-listpack-size", "9999999999", "argument must be between -2147483648 and 2147483647 inclusive");
    refused("active-expire-effort", "11", "argument must be between 1 and 10 inclusive");
    refused("client-query-buffer-limit", "10", "argument must be between 1048576 and 4294967295 inclusive"); // kora
    refused("proto-max-bulk-len", "3gb", "argument must be between 1048576 and 2147483648 inclusive"); // kora
    refused("auto-aof-rewrite-percentage", "-1", "argument must be between 0 and 2147483647 inclusive");
    refused("auto-aof-rewrite-percentage", "abc", "argument couldn't be parsed into an integer");
    refused("save", "900 1 300", "Invalid save parameters");
    refused("snapshot-retain", "101", "argument must be between 0 and 100 inclusive"); // kora
    refused("protected-mode", "maybe", "argument must be 'yes' or 'no'");
    refused("appendonly", "maybe", "argument must be 'yes' or 'no'");
    refused(
        "maxmemory-policy",
        "foo",
        "argument(s) must be one of the following: volatile-lru, volatile-lfu, volatile-random, volatile-ttl, \
         allkeys-lru, allkeys-lfu, allkeys-random, noeviction",
    );
    refused("client-output-buffer-limit", "normal 1 2", "Wrong number of arguments in buffer limit configuration.");
    refused(
        "client-output-buffer-limit",
        "master 1 2 3",
        "Invalid client class specified in buffer limit configuration.",
    );
}

#[test]
fn names_are_looked_at_before_values() {
    check(&["foo", "1"], Err("ERR Unknown option or number of arguments for CONFIG SET - 'foo'"));
    check(&["FOO", "2"], Err("ERR Unknown option or number of arguments for CONFIG SET - 'FOO'"));
    check(&["timeout", "x", "foo", "2"], Err("ERR Unknown option or number of arguments for CONFIG SET - 'foo'"));
    check(
        &["databases", "3", "foo", "2"],
        Err("ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable config"),
    );
    check(
        &["timeout", "1", "TIMEOUT", "2", "foo", "3"],
        Err("ERR CONFIG SET failed (possibly related to argument 'TIMEOUT') - duplicate parameter"),
    );
    refused("unixsocketperm", "700", "can't set immutable config");
    refused("databases", "abc", "can't set immutable config");
    refused("port", "70000", "can't set immutable config"); // kora
    refused("locality", "bull:*:", "can't set immutable config"); // kora
    refused("pinned-databases", "", "can't set immutable config"); // kora
}

#[test]
fn a_fixed_parameter_takes_the_value_it_has() {
    check(&["rdbchecksum", "YES"], Ok(&["yes"]));
    check(&["dbfilename", "dump-*.rdb"], Ok(&["dump-*.rdb"]));
    check(&["maxmemory", "0mb"], Ok(&["0"]));
    refused("rdbchecksum", "no", "snapshots always end with a checksum, and it is always looked at");
    refused("aof-use-rdb-preamble", "no", "a log always begins at a snapshot, which is in the RDB format");
    refused("maxmemory", "1gb", "a memory limit is not supported yet");
    refused("slave-read-only", "no", "replication is not supported");
}

#[test]
fn what_keeps_data_needs_a_directory() {
    let needs = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let config = Config::default().set(pairs).expect("good values");
        config.needs_directory().map(|error| error.to_string())
    };
    let refusal = |name| {
        Some(format!(
            "ERR CONFIG SET failed (possibly related to argument '{name}') - there is no data directory: start with --dir to keep data"
        ))
    };
    assert_eq!(needs(&[]), None);
    assert_eq!(needs(&[("appendonly", "yes")]), refusal("appendonly"));
    assert_eq!(needs(&[("save", "1 1")]), refusal("save"));
    assert_eq!(needs(&[("save", "1 1"), ("appendonly", "yes")]), refusal("appendonly"));
}

#[test]
fn a_change_happens_whole_or_not_at_all() {
    let config = Config::default();
    let half = [(b"timeout".as_slice(), b"5".as_slice()), (b"maxclients", b"none")];
    assert!(config.set(half).is_err());
    assert_eq!(config, Config::default());
    let none: [(&[u8], &[u8]); 0] = [];
    assert_eq!(config.set(none), Ok(Config::default()));
}

#[test]
fn bytes_that_are_not_text_are_refused_without_harm() {
    let binary: &[u8] = b"\xff\r\n";
    for parameter in PARAMETERS {
        let outcome = Config::default().set([(parameter.name.as_bytes(), binary)]);
        assert!(outcome.is_err() || parameter.name == "requirepass", "{}", parameter.name);
    }
    assert!(Config::default().set([(binary, binary)]).is_err());
}

/// CONFIG GET of these patterns: the names in order.
fn check_get(patterns: &[&str], expected: &[&str]) {
    let found = Config::default().matching(patterns.iter().map(|pattern| pattern.as_bytes()));
    assert_eq!(found.iter().map(|(name, _)| *name).collect::<Vec<_>>(), expected, "CONFIG GET {patterns:?}");
}

#[test]
fn matching_gives_every_name_once_in_order() {
    check_get(
        &["hash-max*"],
        &["hash-max-listpack-entries", "hash-max-ziplist-entries", "hash-max-listpack-value", "hash-max-ziplist-value"],
    );
    check_get(&["timeout", "TIMEOUT", "time*"], &["timeout"]);
    check_get(&["slave-read-only", "tcp-*"], &["tcp-backlog", "tcp-keepalive", "slave-read-only"]);
    check_get(&["foo", "", "\\"], &[]);
    assert_eq!(Config::default().matching([b"bind".as_slice()]), [("bind", "* -::*".to_owned())]);
    assert_eq!(Config::default().matching([b"*".as_slice()]).len(), PARAMETERS.len());
}

#[test]
fn what_the_engine_asks_for_follows_the_parameters() {
    let config = Config::default();
    assert!(!config.pipeline_order_strict());
    assert_eq!(config.output_hard_limit_bytes(ClientClass::Normal), crate::limits::OUTPUT_BYTES_MAX);
    let pairs: [(&[u8], &[u8]); 2] =
        [(b"pipeline-order", b"strict"), (b"client-output-buffer-limit", b"normal 1mb 0 0")];
    let config = config.set(pairs).expect("both are good");
    assert!(config.pipeline_order_strict());
    assert_eq!(config.output_hard_limit_bytes(ClientClass::Normal), 1 << 20);
}

#[test]
fn at_start_more_may_change() {
    let mut config = Config::default();
    assert_eq!(config.set_at_start(b"port", b"7000"), Some(Ok(())));
    assert_eq!(config.set_at_start(b"BIND", b" 127.0.0.1   ::1 "), Some(Ok(())));
    assert_eq!(config.set_at_start(b"unixsocketperm", b"770"), Some(Ok(())));
    assert_eq!((config.port, config.bind.join(","), config.unixsocketperm), (7000, "127.0.0.1,::1".to_owned(), 0o770));
    assert_eq!(config.set_at_start(b"port", b"70000"), Some(Err(Refusal::OutOfRange(0, 65535))));
    assert_eq!(config.set_at_start(b"databases", b"4"), Some(Err(Refusal::OutOfRange(16, 16))));
    assert!(matches!(config.set_at_start(b"rdbchecksum", b"no"), Some(Err(Refusal::Fixed(_)))));
    assert_eq!(config.set_at_start(b"prot", b"1"), None);
    assert_eq!(config.port, 7000);
}

#[test]
fn every_row_is_well_formed() {
    let mut names = Vec::new();
    for parameter in PARAMETERS {
        let name = parameter.name;
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{name}");
        assert!(!names.contains(&name), "{name} is listed twice");
        names.push(name);
        assert!(parameter.help.ends_with('.') && !parameter.read_by.is_empty(), "{name}");
        if let Some(newer) = parameter.alias_of {
            assert!(names.contains(&newer), "{name} stands before {newer}");
        }
        // The default can be read back, so that a value copied from CONFIG GET is always taken.
        let mut config = Config::default();
        let text = parameter.text(&config);
        assert_eq!(parameter.assign(&mut config, text.as_bytes()), Ok(()), "{name} {text:?}");
        assert_eq!(config, Config::default(), "{name} {text:?}");
    }
}

/// The ends of every range fit the type that the value is kept in, and one beyond them is refused.
#[test]
fn every_range_fits_its_type() {
    for parameter in PARAMETERS.iter().filter(|parameter| !matches!(parameter.change, Change::Never(_))) {
        let (min, max) = match parameter.kind {
            Kind::Integer(min, max) => (i128::from(min), i128::from(max)),
            Kind::Bytes(min, max) => (i128::from(min), i128::from(max)),
            _ => continue,
        };
        for number in [min, max] {
            let mut config = Config::default();
            let text = number.to_string();
            assert_eq!(parameter.assign(&mut config, text.as_bytes()), Ok(()), "{} {text}", parameter.name);
            assert_eq!(parameter.text(&config), text, "{}", parameter.name);
        }
        for number in [min - 1, max + 1] {
            let text = number.to_string();
            let outcome = parameter.assign(&mut Config::default(), text.as_bytes());
            assert!(outcome.is_err(), "{} {text}", parameter.name);
        }
    }
}
