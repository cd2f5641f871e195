//! What transcripts do not show of lists: events, and lists of several chunks.

use std::collections::VecDeque;

use crate::config::Config;
use crate::random::Random;
use crate::testing::TestShard;

#[test]
fn tells_what_changed_as_redis_does() {
    let mut shard = TestShard::new();
    let cases: &[(&str, &[&str])] = &[
        ("RPUSH l a b c a d", &["0 rpush l"]),
        ("LPUSHX l z", &["0 lpush l"]),
        ("RPUSHX none z", &[]),
        ("LTRIM l 0 -1", &[]),
        ("LTRIM l 1 -1", &["0 ltrim l"]),
        ("LPOP l 0", &[]),
        ("LPOP none", &[]),
        ("LINSERT l BEFORE b x", &["0 linsert l"]),
        ("LINSERT l BEFORE none x", &[]),
        ("LSET l 0 y", &["0 lset l"]),
        ("LSET l 100 y", &[]),
        ("LREM l 0 none", &[]),
        ("LREM l 0 a", &["0 lrem l"]),
        ("LMOVE l l LEFT RIGHT", &["0 rpush l", "0 lpop l"]),
        ("LMOVE l m RIGHT LEFT", &["0 lpush m", "0 rpop l"]),
        ("LMPOP 2 none l LEFT COUNT 3", &["0 lpop l"]),
        ("RPOPLPUSH l m", &["0 lpush m", "0 rpop l", "0 del l"]),
        ("RPOPLPUSH none m", &[]),
        ("RPOP m", &["0 rpop m"]),
        ("RPOP m 5", &["0 rpop m", "0 del m"]),
        ("RPUSH one x", &["0 rpush one"]),
        ("LMOVE one one LEFT LEFT", &["0 lpush one", "0 lpop one"]),
        ("LREM one 1 x", &["0 lrem one", "0 del one"]),
        ("RPUSH one x", &["0 rpush one"]),
        ("LTRIM one 1 0", &["0 ltrim one", "0 del one"]),
        ("RPUSH one x", &["0 rpush one"]),
        ("LMPOP 1 one RIGHT", &["0 rpop one", "0 del one"]),
    ];
    for (command, events) in cases {
        shard.run(command);
        assert_eq!(shard.changes(), *events, "{command}");
    }
}

#[test]
fn a_failed_move_leaves_both_lists() {
    let mut shard = TestShard::new();
    shard.check(&[("RPUSH l a", ":1"), ("SET s v", "+OK")]);
    shard.changes();
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    shard.check(&[("LMOVE l s LEFT LEFT", wrong), ("LMOVE s l LEFT LEFT", wrong), ("LRANGE l 0 -1", "*1 $1 a")]);
    assert!(shard.changes().is_empty());
}

/// The reply to a command that shows these elements.
fn shown<'e>(elements: impl ExactSizeIterator<Item = &'e String>) -> String {
    let mut reply = format!("*{}", elements.len());
    for element in elements {
        reply += &format!(" ${} {element}", element.len());
    }
    reply
}

/// Long lists in small chunks, some compressed, against a deque.
#[test]
fn does_what_a_deque_does() {
    let config = Config { list_max_listpack_size: 16, list_compress_depth: 1, ..Config::default() };
    let mut shard = TestShard::with(config);
    let mut random = Random::new(3);
    let mut model: VecDeque<String> = VecDeque::new();
    for step in 0..3_000 {
        let element = match random.below(3) {
            0 => random.below(50).to_string(),
            1 => format!("v{}", random.below(50)),
            _ => "long".repeat(1 + random.below(30) as usize),
        };
        let len = model.len();
        let at = if len == 0 { 0 } else { random.below(len as u64) as usize };
        match random.below(9) {
            0..3 => {
                model.push_back(element.clone());
                shard.check(&[(&format!("RPUSH l {element}"), &format!(":{}", len + 1))]);
            }
            3 => {
                model.push_front(element.clone());
                shard.check(&[(&format!("LPUSH l {element}"), &format!(":{}", len + 1))]);
            }
            4 => {
                let expected = model.pop_front().map_or("$-1".into(), |gone| format!("${} {gone}", gone.len()));
                shard.check(&[("LPOP l", &expected)]);
            }
            5 => {
                let expected = if len == 0 {
                    "*-1".into()
                } else {
                    let kept = len.saturating_sub(3);
                    shown(model.split_off(kept).iter().rev().collect::<Vec<_>>().into_iter())
                };
                shard.check(&[("RPOP l 3", &expected)]);
            }
            6 if len > 0 => {
                model[at] = element.clone();
                shard.check(&[(&format!("LSET l {at} {element}"), "+OK")]);
            }
            7 if len > 0 => {
                let pivot = model[at].clone();
                let first = model.iter().position(|element| *element == pivot).expect("it came from there");
                model.insert(first + 1, element.clone());
                shard.check(&[(&format!("LINSERT l AFTER {pivot} {element}"), &format!(":{}", len + 1))]);
            }
            8 if step % 5 == 0 => {
                model.retain(|other| *other != element);
                shard.check(&[(&format!("LREM l 0 {element}"), &format!(":{}", len - model.len()))]);
            }
            _ => {}
        }
        if step % 50 == 0 {
            shard.check(&[("LRANGE l 0 -1", &shown(model.iter())), ("LLEN l", &format!(":{}", model.len()))]);
        }
    }
    assert!(model.len() > 100, "only {} elements", model.len());
}
