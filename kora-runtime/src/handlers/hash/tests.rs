//! What transcripts do not show of hashes: events, cursors that nobody gave out, replies that grow too large.

use crate::random::Random;
use crate::testing::TestShard;

#[test]
fn tells_what_changed_as_redis_does() {
    let mut shard = TestShard::new();
    let cases: &[(&str, &[&str])] = &[
        ("HSET h a 1 b 2", &["0 hset h"]),
        ("HSET h a 1", &["0 hset h"]),
        ("HMSET h a 1", &["0 hset h"]),
        ("HSETNX h a 2", &[]),
        ("HSETNX h c x", &["0 hset h"]),
        ("HINCRBY h a 0", &["0 hincrby h"]),
        ("HINCRBY h c 1", &[]),
        ("HINCRBYFLOAT h a 0", &["0 hincrbyfloat h"]),
        ("HINCRBYFLOAT h c 1", &[]),
        ("HINCRBYFLOAT none f x", &[]),
        ("HDEL h none", &[]),
        ("HDEL none a", &[]),
        ("HDEL h a none", &["0 hdel h"]),
        ("HDEL h b c", &["0 hdel h", "0 del h"]),
    ];
    for (command, events) in cases {
        shard.run(command);
        assert_eq!(shard.changes(), *events, "{command}");
    }
    shard.check(&[("EXISTS none h", ":0")]);
}

#[test]
fn any_cursor_will_do() {
    let mut shard = TestShard::new();
    for field in 0..2_000 {
        shard.run(&format!("HSET h f{field} {field}"));
    }
    let mut random = Random::new(1);
    let near_the_ends = [1, 2, 1 << 16, u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) - 1];
    for cursor in near_the_ends.into_iter().chain((0..200).map(|_| random.next_u64())) {
        let reply = shard.run(&format!("HSCAN h {cursor}"));
        assert!(reply.starts_with("*2 $"), "{cursor}: {reply}");
    }
}

#[test]
fn a_reply_that_would_grow_too_large_is_refused() {
    let mut shard = TestShard::new();
    let too_large = "-ERR reply exceeds the limit of 1073741824 bytes";
    shard.check(&[
        ("HSET h f v", ":1"),
        ("HRANDFIELD h -9223372036854775807", too_large),
        ("HRANDFIELD h -4611686018427387903 WITHVALUES", too_large),
        ("HRANDFIELD h -180000000", too_large),
        ("HRANDFIELD h -2", "*2 $1 f $1 f"),
    ]);
}
