//! What the data types cost: nanoseconds per operation, printed as a table. `cargo bench -p kora-runtime --bench types [FILTER]`.
//!
//! Owns: the cases. Refuses to know: how they are measured; `harness` does.

mod harness;

use std::hint::black_box;

use ahash::RandomState;
use kora_runtime::keyspace::Draft;
use kora_runtime::keyspace::typed::{Hash, List, Zset, random_state};
use kora_runtime::random::Random;
use kora_runtime::types::{Direction, End, ListLimits, PackedLimits, Table, hash_of};

use crate::harness::Bench;

/// Values of a table, members of a big collection.
const MANY: usize = 100_000;

/// What a table of keys holds.
struct Key(Box<[u8]>);

fn seeds() -> RandomState {
    random_state([1, 2, 3, 4])
}

fn names(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|at| format!("member:{at:08}").into_bytes()).collect()
}

/// Indices in no order, a power of two of them, so that walking them round costs one mask.
fn shuffled(len: usize) -> Vec<usize> {
    let mut random = Random::new(7);
    (0..1 << 14).map(|_| random.below(len as u64) as usize).collect()
}

/// Walks round in a slice.
fn next<'t, T>(from: &'t [T], at: &mut usize) -> &'t T {
    *at = (*at + 1) % from.len();
    &from[*at]
}

fn tables(bench: &Bench) {
    let seeds = seeds();
    let rehash = |key: &Key| hash_of(&seeds, &key.0);
    let keys = names(2 * MANY);
    let mut table: Table<Key> = Table::new();
    for key in &keys[..MANY] {
        table.insert(hash_of(&seeds, key), Key(key.as_slice().into()), false, rehash);
    }
    let order = shuffled(MANY);
    let mut at = 0;
    bench.case("table of 100 k, find", 1, || {
        let key = &keys[*next(&order, &mut at)];
        assert!(table.find(hash_of(&seeds, black_box(key)), |found| *found.0 == **key).is_some());
    });
    bench.case("table of 100 k, find in vain", 1, || {
        let key = &keys[MANY + *next(&order, &mut at)];
        assert!(table.find(hash_of(&seeds, black_box(key)), |found| *found.0 == **key).is_none());
    });
    bench.case("table of 100 k, insert and remove", 1, || {
        let key = &keys[MANY + *next(&order, &mut at)];
        let slot = table.insert(hash_of(&seeds, key), Key(key.as_slice().into()), false, rehash);
        black_box(table.remove(slot, rehash));
    });
    let mut position = 0;
    bench.case("table of 100 k, one step of a scan", 1, || {
        position = table.scan(position, rehash, &mut |value| {
            black_box(value);
        });
    });
}

fn hashes(bench: &Bench) {
    let seeds = seeds();
    let limits = PackedLimits::default();
    for (name, count) in [("packed hash of 8", 8), ("packed hash of 100", 100), ("big hash of 100 k", MANY)] {
        let fields = names(count);
        let mut draft: Draft<Hash> = Draft::new(&seeds);
        for field in &fields {
            draft.open().set(field, b"some value", &limits);
        }
        let order = shuffled(count);
        let mut at = 0;
        bench.case(&format!("{name}, get"), 1, || {
            let view = draft.view();
            assert!(view.get(black_box(&fields[*next(&order, &mut at)])).is_some());
        });
        let mut values = [b"value one!".as_slice(), b"value two!"].into_iter().cycle();
        bench.case(&format!("{name}, set"), 1, || {
            let value = values.next().expect("a cycle does not end");
            assert!(!draft.open().set(black_box(&fields[*next(&order, &mut at)]), value, &limits));
        });
    }
}

fn lists(bench: &Bench) {
    let seeds = seeds();
    let limits = ListLimits::default();
    for (name, count) in [("small list of 8", 8), ("list of 100 k", MANY)] {
        let mut draft: Draft<List> = Draft::new(&seeds);
        for element in names(count) {
            draft.open().push(End::Back, &element, &limits);
        }
        for (how, push, pop) in [("queue", End::Back, End::Front), ("stack", End::Back, End::Back)] {
            bench.case(&format!("{name}, push and pop as a {how}"), 1, || {
                let mut list = draft.open();
                list.push(push, black_box(b"member:00000000"), &limits);
                assert!(list.pop(pop, |element| element.len()).is_some());
            });
        }
        let (order, mut at) = (shuffled(count), 0);
        bench.case(&format!("{name}, get by index"), 1, || {
            assert!(draft.view().get(black_box(*next(&order, &mut at))).is_some());
        });
        let range = count.min(100);
        bench.case(&format!("{name}, walk {range}"), range as u32, || {
            let mut bytes = 0;
            draft.view().visit(0..range, Direction::Forward, |element| bytes += element.len());
            assert!(bytes > 0);
        });
    }
}

fn sorted_sets(bench: &Bench) {
    let seeds = seeds();
    let limits = PackedLimits::default();
    for (name, count) in
        [("packed sorted set of 8", 8), ("packed sorted set of 100", 100), ("sorted set of 100 k", MANY)]
    {
        let members = names(count);
        let mut draft: Draft<Zset> = Draft::new(&seeds);
        for (score, member) in members.iter().enumerate() {
            draft.open().insert(member, score as f64, &limits);
        }
        let (order, mut at) = (shuffled(count), 0);
        bench.case(&format!("{name}, new score"), 1, || {
            let score = *next(&order, &mut at) as f64 + 0.5;
            draft.open().insert(black_box(&members[*next(&order, &mut at)]), score, &limits);
        });
        bench.case(&format!("{name}, score"), 1, || {
            assert!(draft.view().score(black_box(&members[*next(&order, &mut at)])).is_some());
        });
        bench.case(&format!("{name}, rank"), 1, || {
            assert!(draft.view().rank(black_box(&members[*next(&order, &mut at)])).is_some());
        });
        let range = count.min(100);
        bench.case(&format!("{name}, walk {range} by rank"), range as u32, || {
            assert_eq!(draft.view().range(count / 2 - range / 2..count / 2 + range / 2).count(), range / 2 * 2);
        });
    }
}

fn main() {
    let bench = Bench::from_arguments();
    tables(&bench);
    hashes(&bench);
    lists(&bench);
    sorted_sets(&bench);
}
