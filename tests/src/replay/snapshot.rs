//! All that a world's shards hold, in a form that can be compared.
//!
//! Owns: what counts as the same: keys and where they are, types, elements in their order where there is one, expiry times, ids and counters of streams,
//! libraries of functions. Forms of storage and access clocks do not. Refuses to know: how the world came to be so.
//! Start at [`take`].

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use kora_runtime::keyspace::DATABASES;
use kora_runtime::keyspace::typed::StrRef;
use kora_runtime::rdb::ValueView;
use kora_runtime::shard::Shard;
use kora_runtime::types::{Digits, Direction, Element, StreamId};

use crate::simulation::world::World;

/// What each shard holds, by name.
pub type Snapshot = BTreeMap<String, String>;

/// What a world holds at a time; keys that have expired by then count as absent. The client of each number below the number of shards is on the
/// shard of that number, and idle.
pub fn take(world: &mut World, now_ms: u64) -> Snapshot {
    let mut found = Snapshot::new();
    for (at, shard) in world.shards().iter().enumerate() {
        (0..DATABASES).for_each(|db| keys(shard, &format!("shard {at} db {db}"), db, now_ms, &mut found));
    }
    for at in 0..world.shards().len() {
        let functions = world.ask(at, &["FUNCTION", "DUMP"]);
        found.insert(format!("shard {at} functions"), functions.escape_ascii().to_string());
    }
    found
}

fn keys(shard: &Shard, place: &str, db: usize, now_ms: u64, found: &mut Snapshot) {
    let keyspace = &shard.core().keyspace;
    let database = keyspace.database(db);
    for entry in database.iter().filter(|entry| !entry.is_expired(now_ms)) {
        let slot = database.find(keyspace.hash(entry.key()), entry.key()).expect("it was just seen");
        let (entry, bigs) = database.value(slot);
        let value = shown(ValueView::of_entry(entry, bigs));
        let text = format!("{} {:?} {value}", entry.kind().type_name(), entry.expiry_ms());
        found.insert(format!("{place} {}", entry.key().escape_ascii()), text);
    }
}

fn text(element: Element<'_>) -> String {
    element.bytes(&mut Digits::new()).escape_ascii().to_string()
}

fn pair((name, value): (Element<'_>, Element<'_>)) -> String {
    format!("{}={}", text(name), text(value))
}

fn sorted(items: impl Iterator<Item = String>) -> Vec<String> {
    let mut items: Vec<String> = items.collect();
    items.sort();
    items
}

fn shown(value: ValueView<'_>) -> String {
    match value {
        ValueView::Str(StrRef::Int(number)) => number.to_string(),
        ValueView::Str(StrRef::Bytes(bytes)) => bytes.escape_ascii().to_string(),
        ValueView::List(list) => {
            let mut elements = Vec::new();
            list.visit(0..list.len(), Direction::Forward, |element| elements.push(text(element)));
            format!("{elements:?}")
        }
        ValueView::Hash(hash) => format!("{:?}", sorted(hash.iter().map(pair))),
        ValueView::Set(set) => format!("{:?}", sorted(set.iter().map(text))),
        ValueView::Zset(zset) => {
            let scored = |(member, score): (Element<'_>, f64)| format!("{}={score:?}", text(member));
            format!("{:?}", zset.iter().map(scored).collect::<Vec<_>>())
        }
        ValueView::Stream(stream) => {
            let mut entries = Vec::new();
            stream.visit(StreamId::MIN, StreamId::MAX, Direction::Forward, |entry| {
                entries.push(format!("{:?} {:?}", entry.id, entry.pairs().map(pair).collect::<Vec<_>>()));
                ControlFlow::Continue(())
            });
            let (last, deleted) = (stream.last_id(), stream.max_deleted_id());
            format!("{} last {last:?} deleted {deleted:?} added {} {entries:?}", stream.len(), stream.entries_added())
        }
    }
}
