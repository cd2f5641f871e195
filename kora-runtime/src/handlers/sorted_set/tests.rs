//! What the transcripts of the sorted-set group cannot show: events, draws, limits, the sign of zero.
//!
//! Owns: one shard's view of these. Refuses to know: replies that a transcript shows. Start at [`events`].

use std::collections::BTreeSet;

use crate::config::Config;
use crate::testing::TestShard;

/// A shard on which no sorted set of more members than this stays packed.
fn packed_up_to(entries: usize) -> TestShard {
    TestShard::with(Config { zset_max_listpack_entries: entries, ..Config::default() })
}

/// Runs commands and compares what each tells of.
#[track_caller]
fn events(shard: &mut TestShard, cases: &[(&str, &[&str])]) {
    for (command, expected) in cases {
        shard.changes();
        shard.run(command);
        let told: Vec<_> = shard.changes().iter().map(|line| line.trim_start_matches("0 ").to_owned()).collect();
        assert_eq!(told, *expected, "{command}");
    }
}

#[test]
fn changes_are_told_as_redis_tells_them() {
    let mut shard = TestShard::new();
    events(
        &mut shard,
        &[
            ("ZADD k 1 a 2 b 3 c 4 d", &["zadd k"]),
            ("ZADD k 1 a", &[]),
            ("ZADD k XX 9 x", &[]),
            ("ZADD k INCR 1 a", &["zincr k"]),
            ("ZADD k INCR 0 a", &[]),
            ("ZADD k NX INCR 1 a", &[]),
            ("ZINCRBY k 1 e", &["zincr k"]),
            ("ZINCRBY k 0 e", &[]),
            ("ZREM k x", &[]),
            ("ZREM k e x", &["zrem k"]),
            ("ZPOPMIN k", &["zpopmin k"]),
            ("ZPOPMAX k 0", &[]),
            ("ZPOPMAX k 2", &["zpopmax k"]),
            ("ZMPOP 2 missing k MAX", &["zpopmax k", "del k"]),
            ("ZADD k 1 a 2 b 3 c 4 d", &["zadd k"]),
            ("ZREMRANGEBYRANK k 9 10", &[]),
            ("ZREMRANGEBYRANK k 0 0", &["zremrangebyrank k"]),
            ("ZREMRANGEBYSCORE k 2 2", &["zremrangebyscore k"]),
            ("ZRANGESTORE r k 0 -1", &["zrangestore r"]),
            ("ZUNIONSTORE u 2 k r", &["zunionstore u"]),
            ("ZINTERSTORE i 2 k r", &["zinterstore i"]),
            ("ZDIFFSTORE d 2 k missing", &["zdiffstore d"]),
            ("ZDIFFSTORE d 2 k r", &["del d"]),
            ("ZDIFFSTORE d 2 k r", &[]),
            ("ZRANGESTORE r k 5 6", &["del r"]),
            ("ZREMRANGEBYLEX k - +", &["zremrangebylex k", "del k"]),
            ("ZREM u c d", &["zrem u", "del u"]),
            ("ZUNION 1 i", &[]),
        ],
    );
}

#[test]
fn minus_zero_answers_as_in_redis() {
    let mut shard = TestShard::new();
    shard.check(&[
        ("ZADD packed -0 a", ":1"),
        ("ZSCORE packed a", "$1 0"),
        ("ZINCRBY packed -0 b", "$2 -0"),
        ("ZSCORE packed b", "$1 0"),
    ]);
    packed_up_to(0).check(&[
        ("ZADD big -0 a", ":1"),
        ("ZSCORE big a", "$2 -0"),
        ("ZADD big 0 a", ":0"),
        ("ZINCRBY big 0 a", "$1 0"),
        ("ZSCORE big a", "$2 -0"),
        ("ZSCAN big 0", "*2 $1 0 *2 $1 a $2 -0"),
    ]);
}

#[test]
fn limit_with_ranks_is_allowed_where_it_does_nothing() {
    let mut shard = TestShard::new();
    shard.check(&[
        ("ZADD k 1 a 2 b", ":2"),
        ("ZRANGE k 0 -1 LIMIT 5 -1", "*2 $1 a $1 b"),
        ("ZRANGE k 0 -1 REV LIMIT 5 -1", "*2 $1 b $1 a"),
    ]);
}

#[test]
fn weights_and_infinities_meet_as_in_redis() {
    let mut shard = TestShard::new();
    shard.check(&[
        ("ZADD a inf x 1 y", ":2"),
        ("ZADD b -inf x 2 y 3 z", ":3"),
        ("ZUNION 2 a b WITHSCORES", "*6 $1 x $1 0 $1 y $1 3 $1 z $1 3"),
        ("ZUNION 2 a b WEIGHTS 0 1 WITHSCORES", "*6 $1 x $4 -inf $1 y $1 2 $1 z $1 3"),
        ("ZINTER 2 a b WEIGHTS 1 0 WITHSCORES", "*4 $1 x $1 0 $1 y $1 1"),
        ("ZINTER 2 a b WEIGHTS 1 0 AGGREGATE MIN WITHSCORES", "*4 $1 y $1 0 $1 x $3 inf"),
        ("ZINTERCARD 2 a b", ":2"),
        ("ZINTERCARD 2 a b LIMIT 1", ":1"),
    ]);
}

#[test]
fn every_form_draws_the_members_it_has() {
    for entries in [128, 0] {
        let mut shard = packed_up_to(entries);
        shard.check(&[("ZADD k 1 a 2 b 3 c 4 d 5 e 6 f 7 g 8 h 9 i 10 j", ":10")]);
        let members = |reply: &str| -> Vec<_> { reply.split(' ').skip(2).step_by(2).map(str::to_owned).collect() };
        let all: BTreeSet<_> = members(&shard.run("ZRANGE k 0 -1")).into_iter().collect();
        for count in [1, 2, 3, 5, 9, 10, 12] {
            let chosen = members(&shard.run(&format!("ZRANDMEMBER k {count}")));
            let different: BTreeSet<_> = chosen.iter().cloned().collect();
            assert_eq!((chosen.len(), different.len()), (count.min(10), count.min(10)));
            assert!(different.is_subset(&all));
        }
        let drawn = members(&shard.run("ZRANDMEMBER k -200"));
        assert_eq!((drawn.len(), drawn.into_iter().collect::<BTreeSet<_>>()), (200, all));
        shard.check(&[
            ("ZRANDMEMBER k -9223372036854775807", "-ERR reply exceeds the limit of 1073741824 bytes"),
            ("ZRANDMEMBER k 4611686018427387904 WITHSCORES", "-ERR value is out of range"),
        ]);
    }
}

#[test]
fn both_ways_of_difference_agree() {
    let mut shard = TestShard::new();
    shard.run("ZADD first 1 1 2 2 3 3 4 4 5 5 6 6 7 a 8 b 9 c 10 d");
    for int in 0..12 {
        shard.run(&format!("ZADD k{int} 0 {int} 0 {}", if int == 7 { "c" } else { "x" }));
    }
    shard.check(&[
        ("ZDIFF 3 first k1 k2", "*8 $1 3 $1 4 $1 5 $1 6 $1 a $1 b $1 c $1 d"),
        ("ZDIFF 12 first k1 k2 k3 k4 k5 k6 k7 k8 k9 k10 k11", "*3 $1 a $1 b $1 d"),
    ]);
}
