//! What the transcripts of the set group cannot show: events, draws, limits.
//!
//! Owns: one shard's view of these. Refuses to know: replies that a transcript shows. Start at [`events`].

use std::collections::BTreeSet;

use crate::config::Config;
use crate::testing::TestShard;

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

/// The members in a reply of bulk strings.
fn members(reply: &str) -> Vec<String> {
    reply.split(' ').skip(2).step_by(2).map(str::to_owned).collect()
}

#[test]
fn changes_are_told_as_redis_tells_them() {
    let mut shard = TestShard::new();
    events(
        &mut shard,
        &[
            ("SADD k a b c", &["sadd k"]),
            ("SADD k a", &[]),
            ("SREM k x", &[]),
            ("SREM k a x", &["srem k"]),
            ("SMOVE k d x", &[]),
            ("SMOVE k d b", &["srem k", "sadd d"]),
            ("SADD d c", &["sadd d"]),
            ("SMOVE k d c", &["srem k", "del k"]),
            ("SMOVE d d c", &[]),
            ("SPOP d", &["spop d"]),
            ("SPOP d 0", &[]),
            ("SPOP d 5", &["spop d", "del d"]),
            ("SADD a 1 2 3", &["sadd a"]),
            ("SADD b 2 3 4", &["sadd b"]),
            ("SUNIONSTORE u a b", &["sunionstore u"]),
            ("SINTERSTORE i a b", &["sinterstore i"]),
            ("SDIFFSTORE d a b", &["sdiffstore d"]),
            ("SDIFFSTORE d a a", &["del d"]),
            ("SINTERSTORE d a missing", &[]),
            ("SREM a 1 2 3 4", &["srem a", "del a"]),
            ("SINTER b u", &[]),
            ("SRANDMEMBER b -5", &[]),
        ],
    );
}

#[test]
fn every_form_pops_and_draws_the_members_it_has() {
    for make in ["SADD k 1 2 3 4 5 6 7 8 9 10", "SADD k 1 b 3 d 5 f 7 h 9 j"] {
        for big in [false, true] {
            let config = Config::default();
            let mut shard = TestShard::with(if big {
                Config { set_max_intset_entries: 0, set_max_listpack_entries: 0, ..config }
            } else {
                config
            });
            shard.check(&[(make, ":10")]);
            let all: BTreeSet<_> = members(&shard.run("SMEMBERS k")).into_iter().collect();
            for count in [1, 2, 5, 9, 10, 12] {
                let chosen = members(&shard.run(&format!("SRANDMEMBER k {count}")));
                let different: BTreeSet<_> = chosen.iter().cloned().collect();
                assert_eq!((chosen.len(), different.len()), (count.min(10), count.min(10)));
                assert!(different.is_subset(&all));
            }
            let drawn = members(&shard.run("SRANDMEMBER k -200"));
            assert_eq!(drawn.len(), 200);
            assert_eq!(drawn.into_iter().collect::<BTreeSet<_>>(), all);
            let mut popped: BTreeSet<_> = members(&shard.run("SPOP k 4")).into_iter().collect();
            assert_eq!(popped.len(), 4);
            popped.extend(members(&shard.run("SPOP k 3")));
            popped.extend(members(&shard.run("SMEMBERS k")));
            assert_eq!(popped, all);
            shard.check(&[("SCARD k", ":3")]);
        }
    }
}

#[test]
fn a_reply_that_the_client_makes_too_long_is_refused() {
    let mut shard = TestShard::new();
    shard.check(&[
        ("SADD k a", ":1"),
        ("SRANDMEMBER k -9223372036854775807", "-ERR reply exceeds the limit of 1073741824 bytes"),
        ("SRANDMEMBER k 9223372036854775807", "*1 $1 a"),
    ]);
}

#[test]
fn both_ways_of_difference_agree() {
    let mut shard = TestShard::new();
    shard.run("SADD first 1 2 3 4 5 6 a b c d");
    for int in 0..12 {
        shard.run(&format!("SADD k{int} {int} {}", if int == 7 { "c" } else { "x" }));
    }
    // Few others are looked up one by one, many are put into one table first.
    shard.check(&[
        ("SDIFFSTORE few first k1 k2", ":8"),
        ("SDIFFSTORE many first k1 k2 k3 k4 k5 k6 k7 k8 k9 k10 k11", ":3"),
        ("SISMEMBER many c", ":0"),
        ("SMISMEMBER many a b d", "*3 :1 :1 :1"),
    ]);
}

#[test]
fn a_page_goes_on_until_it_has_seen_as_many_as_were_asked_for() {
    let mut shard = TestShard::new();
    let members: Vec<String> = (0..2000).map(|member| format!("m{member}")).collect();
    shard.run(&format!("SADD k {}", members.join(" ")));
    for count in [10, 400, 1500] {
        let page = shard.run(&format!("SSCAN k 0 COUNT {count}"));
        let shown: usize = page
            .split(' ')
            .filter(|word| word.starts_with('*'))
            .nth(1)
            .map_or(0, |len| len[1..].parse().expect("a length"));
        assert!((count..count + 64).contains(&shown), "{shown} for {count}");
    }
}
