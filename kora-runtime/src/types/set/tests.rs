//! Sets against a std model, in each of their forms and across the steps between them.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::keyspace::typed;
use crate::types::testing::Alone;

type Key = Alone<typed::Set>;

impl Key {
    fn of<M: AsRef<[u8]>>(members: impl IntoIterator<Item = M>) -> Self {
        let mut set = Self::of_kind(Kind::SetPacked);
        for member in members {
            set.open().insert(member.as_ref(), &SetLimits::default());
        }
        set
    }

    fn contents(&self) -> BTreeSet<Vec<u8>> {
        let members: Vec<_> = self.read().iter().map(|member| member.to_vec()).collect();
        let len = members.len();
        let set: BTreeSet<_> = members.into_iter().collect();
        assert_eq!(set.len(), len, "no member comes twice");
        set
    }
}

fn word(random: u64, ints_only: bool) -> Vec<u8> {
    match random % if ints_only { 3 } else { 7 } {
        0 => (random as i64 >> (random >> 8 & 63)).to_string().into_bytes(),
        1 => ((random >> 20 & 0xff) as i64 - 128).to_string().into_bytes(),
        2 => [i64::MIN, i64::MAX, 32_768, -32_769, 1 << 31, -(1 << 31) - 1][chance::pick(random, 6)]
            .to_string()
            .into_bytes(),
        3 => vec![(random >> 8) as u8; chance::pick(random, 90)],
        4 => [&b"+1"[..], b"01", b"-0", b"\0\xff", b"-", b"9223372036854775808", b""][chance::pick(random, 7)].to_vec(),
        _ => format!("member:{}", random >> 20 & 0x1ff).into_bytes(),
    }
}

#[test]
fn does_what_a_set_does_in_all_forms() {
    for seed in 0..24_u64 {
        let limits = SetLimits {
            ints: [512, 0, 20, usize::MAX][chance::pick(chance::next(seed), 4)],
            packed: PackedLimits {
                entries: [128, 0, 1_000][(seed % 3) as usize],
                value_bytes: [64, 5, 100][(seed / 3 % 3) as usize],
            },
        };
        let mut random = seed;
        let mut set = Key::of_kind(if seed % 2 == 0 { Kind::SetInts } else { Kind::SetPacked });
        let mut model: BTreeSet<Vec<u8>> = BTreeSet::new();
        for step in 0..2_000 {
            random = chance::next(random);
            let ints_only = step < 300 * (seed % 4);
            let member = word(chance::next(random ^ 1), ints_only);
            assert_eq!(set.read().contains(&member), model.contains(&member));
            let element = canonical_int(&member).map_or(Element::Bytes(&member), Element::Int);
            assert_eq!(set.read().contains_element(element), model.contains(&member));
            assert_eq!(set.read().contains_element(Element::Bytes(&member)), model.contains(&member));
            match random % 16 {
                0 => {
                    let popped = set.open().pop_random(random, |member| member.to_vec());
                    assert_eq!(popped.is_none(), model.is_empty());
                    assert!(popped.is_none_or(|member| model.remove(&member)));
                }
                15 if step % 5 == 0 => {
                    let count = chance::pick(chance::next(random ^ 2), 8);
                    let (before, mut popped) = (model.len(), 0);
                    set.open().pop_several(count, random, |member| {
                        popped += 1;
                        assert!(model.remove(&member.to_vec()));
                    });
                    assert_eq!(popped, count.min(before));
                }
                1..9 if step < 1_500 => assert_eq!(set.open().insert(&member, &limits), model.insert(member)),
                _ => assert_eq!(set.open().remove(&member), model.remove(&member)),
            }
            assert_eq!((set.read().len(), set.open().is_empty()), (model.len(), model.is_empty()));
            if step % 100 == 0 {
                assert_eq!(set.contents(), model);
                assert!(set.read().random(random).is_none_or(|member| model.contains(&member.to_vec())));
                let mut scanned = BTreeSet::new();
                let mut position = 0;
                loop {
                    position = set.read().scan(position, &mut |member| assert!(scanned.insert(member.to_vec())));
                    if position == 0 {
                        break;
                    }
                }
                assert_eq!(scanned, model);
            }
        }
        if let SetRef::Big(big) = set.read() {
            assert_eq!(big.member_bytes, big.members.iter().map(|member| member.len()).sum());
        }
    }
}

#[test]
fn the_members_choose_the_form() {
    let numbers = |count: i64| (0..count).map(|int| int.to_string());
    let words = |count: i64| (0..count).map(|int| format!("w{int}"));
    assert_eq!(Key::of(["5", "-7", "9223372036854775807"]).entry.kind(), Kind::SetInts);
    assert_eq!(Key::of(["5", "05"]).entry.kind(), Kind::SetPacked);
    assert_eq!(Key::of([""]).entry.kind(), Kind::SetPacked);
    assert_eq!(Key::of(numbers(512)).entry.kind(), Kind::SetInts);
    assert_eq!(Key::of(numbers(513)).entry.kind(), Kind::SetBig);
    assert_eq!(Key::of(words(128)).entry.kind(), Kind::SetPacked);
    assert_eq!(Key::of(words(129)).entry.kind(), Kind::SetBig);
    assert_eq!(Key::of(numbers(127).chain(words(1))).entry.kind(), Kind::SetPacked);
    assert_eq!(Key::of(numbers(128).chain(words(1))).entry.kind(), Kind::SetBig);
    assert_eq!(Key::of([[b'm'; 64]]).entry.kind(), Kind::SetPacked);
    assert_eq!(Key::of([[b'm'; 65]]).entry.kind(), Kind::SetBig);
    assert_eq!(Key::of(numbers(513)).read().len(), 513);
    assert_eq!(Key::of(numbers(128).chain(words(1))).read().len(), 129);
}

#[test]
fn integers_are_sorted_and_as_narrow_as_their_widest() {
    let mut set = Key::of_kind(Kind::SetInts);
    for (int, width) in
        [(5, 2), (-32_768, 2), (32_768, 4), (7, 4), (i64::MIN, 8), (i64::from(i32::MAX), 8), (i64::MAX, 8)]
    {
        assert!(set.open().insert(int.to_string().as_bytes(), &SetLimits::default()));
        assert_eq!(set.entry.payload().len(), 1 + set.read().len() * width);
    }
    let sorted = [i64::MIN, -32_768, 5, 7, 32_768, i64::from(i32::MAX), i64::MAX];
    assert!(set.read().iter().eq(sorted.map(Element::Int)));
}

#[test]
fn a_random_member_is_any_of_them() {
    for members in [["1", "2", "3"], ["a", "2", "c"]] {
        let set = Key::of(members);
        let mut counts = BTreeMap::new();
        for draw in 0..3_000 {
            *counts.entry(set.read().random(chance::next(draw)).expect("not empty").to_vec()).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 3);
        assert!(counts.values().all(|count| (900..1_100).contains(count)), "{counts:?}");
    }
    let mut set = Key::of((0..700).map(|int| format!("m{int}")));
    let mut popped = BTreeSet::new();
    for draw in 0..700 {
        assert!(popped.insert(set.open().pop_random(chance::next(draw), |member| member.to_vec()).expect("not empty")));
    }
    assert_eq!((set.open().pop_random(1, |_| ()), set.read().random(1)), (None, None));
}

#[test]
fn members_of_a_big_set_cost_little() {
    let mut big = BigSet::new(&RandomState::with_seeds(1, 2, 3, 4));
    for int in 0..50_000 {
        big.insert(format!("member:{int:09}").as_bytes());
    }
    let overhead = (big.heap_bytes() - 50_000 * 16) as f64 / 50_000.0;
    assert!(overhead < 23.5, "{overhead} bytes");
    let mut big = Big::Set(Box::new(big));
    while big.drain_some(1_000) {}
    assert_eq!(big.heap_bytes(), size_of::<BigSet>());
}

#[test]
fn another_type_is_refused() {
    let entry = Entry::new(b"key", Kind::HashPacked, b"", None, 0);
    assert!(SetRef::open(&entry, &Slab::new()).is_none());
}
