//! String commands on one shard: what transcripts do not see (changes told, clocks, encodings after changes in place).

use crate::config::Config;
use crate::testing::TestShard;

#[test]
fn a_string_is_set_and_read() {
    let mut shard = TestShard::new();
    shard.check(&[
        ("GET k", "$-1"),
        ("SET k hello", "+OK"),
        ("GET k", "$5 hello"),
        ("SET k other NX", "$-1"),
        ("SET k other XX GET", "$5 hello"),
        ("MSET a 1 b two", "+OK"),
        ("MGET a b k none", "*4 $1 1 $3 two $5 other $-1"),
        ("MSETNX c 1 a 2", ":0"),
        ("GETSET a x", "$1 1"),
        ("GETDEL a", "$1 x"),
        ("GETDEL a", "$-1"),
        ("INCR n", ":1"),
        ("INCRBY n 41", ":42"),
        ("DECRBY n -9223372036854775808", "-ERR decrement would overflow"),
        ("INCRBYFLOAT n 0.5", "$4 42.5"),
        ("INCRBYFLOAT n 3.00000000000000001", "$20 45.50000000000000001"),
        ("SETRANGE k 7 !", ":8"),
        ("GETRANGE k -3 -1", "$3 \0\0!"),
        ("SUBSTR n 0 1", "$2 45"),
        ("STRLEN k", ":8"),
    ]);
}

#[test]
fn changes_are_told_as_redis_notifies_them() {
    let mut shard = TestShard::new();
    for (command, told) in [
        ("SET k 1 EX 10", vec!["0 set k", "0 expire k"]),
        ("SET k 2 NX", vec![]),
        ("APPEND k 3", vec!["0 append k"]),
        ("INCR k", vec!["0 incrby k"]),
        ("INCRBYFLOAT k 1.5", vec!["0 incrbyfloat k"]),
        ("SETRANGE k 0 ''", vec![]),
        ("SETRANGE k 0 x", vec!["0 setrange k"]),
        ("GETEX k PERSIST", vec!["0 persist k"]),
        ("GETEX k PERSIST", vec![]),
        ("GETEX k EX 10", vec!["0 expire k"]),
        ("GETEX k EXAT 1", vec!["0 del k"]),
        ("GETEX k EX 10", vec![]),
        ("MSET a 1 b 2", vec!["0 set a", "0 set b"]),
        ("MSETNX a 1 c 2", vec![]),
        ("GETDEL a", vec!["0 del a"]),
        ("GETSET b x", vec!["0 set b"]),
        ("PSETEX b 100 x", vec!["0 set b", "0 expire b"]),
        ("SET b x EX 0", vec![]),
    ] {
        shard.run(command);
        assert_eq!(shard.changes(), told, "{command}");
    }
    shard.advance_ms(100);
    shard.run("SET b y KEEPTTL");
    assert_eq!(shard.changes(), ["0 expired b", "0 set b"], "what is overwritten had expired");
    shard.check(&[("TTL b", ":-1")]);
}

#[test]
fn a_string_changed_in_place_is_raw_until_it_is_replaced() {
    let mut shard = TestShard::new();
    shard.check(&[
        ("APPEND k abc", ":3"),
        ("OBJECT ENCODING k", "$6 embstr"),
        ("APPEND k d", ":4"),
        ("OBJECT ENCODING k", "$3 raw"),
        ("RENAME k l", "+OK"),
        ("OBJECT ENCODING l", "$3 raw"),
        ("SET l abcd", "+OK"),
        ("OBJECT ENCODING l", "$6 embstr"),
        ("SETRANGE m 0 12", ":2"),
        ("OBJECT ENCODING m", "$3 raw"),
        ("INCR m", ":13"),
        ("OBJECT ENCODING m", "$3 int"),
    ]);
}

#[test]
fn a_string_grows_out_of_its_entry_and_no_further_than_allowed() {
    let mut shard = TestShard::with(Config { proto_max_bulk_len: 1 << 20, ..Config::default() });
    let half = "x".repeat(600);
    shard.check(&[
        (&format!("APPEND k {half}"), ":600"),
        (&format!("APPEND k {half}"), ":1200"),
        ("GETRANGE k 598 601", "$4 xxxx"),
        ("SETRANGE k 1048575 y", ":1048576"),
        ("APPEND k z", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)"),
        ("SETRANGE k 1048576 z", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)"),
        ("SETRANGE none 9223372036854775807 z", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)"),
        ("EXISTS none", ":0"),
        ("STRLEN k", ":1048576"),
        ("LCS k k", "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"),
    ]);
}

#[test]
fn common_subsequences() {
    let mut shard = TestShard::new();
    shard.check(&[
        ("MSET a ohmytext b mynewtext", "+OK"),
        ("LCS a b", "$6 mytext"),
        ("LCS a b LEN", ":6"),
        ("LCS a b IDX WITHMATCHLEN MINMATCHLEN 3", "*4 $7 matches *1 *3 *2 :4 :7 *2 :5 :8 :4 $3 len :6"),
        ("LCS a none", "$0 "),
    ]);
}
