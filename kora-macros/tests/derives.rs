//! The derives, used as the other crates use them.
//! What must not compile is refused by the derive itself, with the span of the offending item.

use kora_macros::{Counters, Keyword};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Keyword)]
enum Policy {
    NoEviction,
    #[keyword("allkeys-lru")]
    AllKeysLru,
    Random,
}

#[derive(Debug, Default, Clone, PartialEq, Eq, Counters)]
struct Statistics {
    commands_processed: u64,
    keyspace_hits: u64,
}

#[test]
fn a_keyword_is_its_name_in_kebab_case_unless_it_says_otherwise() {
    assert_eq!(Policy::NAMES, ["no-eviction", "allkeys-lru", "random"]);
    assert_eq!(Policy::ALL, [Policy::NoEviction, Policy::AllKeysLru, Policy::Random]);
    for (policy, name) in Policy::ALL.iter().zip(Policy::NAMES) {
        assert_eq!(policy.as_str(), *name);
        assert_eq!(Policy::parse(name.as_bytes()), Some(*policy));
    }
}

#[test]
fn a_keyword_is_read_in_any_case_and_never_in_part() {
    assert_eq!(Policy::parse(b"ALLKEYS-lru"), Some(Policy::AllKeysLru));
    for wrong in [b"".as_slice(), b"all-keys-lru", b"rando", b"randomly", b"\xff"] {
        assert_eq!(Policy::parse(wrong), None, "{wrong:?}");
    }
}

#[test]
fn a_keyword_is_known_when_compiling() {
    const WORD: &str = Policy::NoEviction.as_str();
    assert_eq!(WORD, "no-eviction");
}

#[test]
fn counters_are_summed_listed_and_cleared() {
    let mut sum = Statistics { commands_processed: 3, keyspace_hits: u64::MAX - 1 };
    sum.add(&Statistics { commands_processed: 4, keyspace_hits: 5 });
    assert_eq!(sum.fields(), [("commands_processed", 7), ("keyspace_hits", u64::MAX)]);
    assert_eq!(Statistics::NAMES, ["commands_processed", "keyspace_hits"]);
    sum.reset();
    assert_eq!(sum, Statistics::default());
}

#[test]
fn counters_are_rebuilt_from_their_fields() {
    let statistics = Statistics { commands_processed: 1, keyspace_hits: 2 };
    assert_eq!(Statistics::from_fields(statistics.fields()), statistics);
    let two_shards = [("keyspace_hits", 2), ("from_the_future", 9), ("keyspace_hits", 3)];
    assert_eq!(Statistics::from_fields(two_shards), Statistics { commands_processed: 0, keyspace_hits: 5 });
    let none: [(String, u64); 0] = [];
    assert_eq!(Statistics::from_fields(none), Statistics::default());
}
