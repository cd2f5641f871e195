//! What a server that was started again must hold.
//!
//! Owns: reading all keys, and finding out how much of each client's history they show. Refuses to know: processes.
//! Start at [`verify`].
//!
//! A client's operations have numbers from 1; those up to `acknowledged` were acknowledged. What is found of an object says after which of them it may
//! have been read: some ranges of numbers. If a number is in the ranges of all objects, the server holds the client's history up to there and has lost the
//! rest; without such a number it has lost something from the middle. What was under way when the server died may be there or not: all that counts as
//! "up to `acknowledged`".

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use super::bank::{Bank, Transfer};
use super::brief::brief;
use super::client::{Client, Target, exchange_all, now_ms};
use super::object::{Kind, Object};
use super::write::{Argv, Bytes, Content, Slot, State, Write, number_of};
use crate::resp::{Client as Connection, Value};
use crate::words;

/// How far a server's clock may be behind, in ms: it is read once for many commands, and the machine may be busy.
const CLOCK_LAG_MS: u64 = 2_000;
/// The same where a key may be gone early: so much is rare, and more would excuse too much.
const EARLY_MS: u64 = 100;

/// What must still be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// All that was acknowledged.
    Everything,
    /// All that was acknowledged earlier than this before the end; and each client loses the last of its operations only.
    Older(Duration),
    /// Each client loses the last of its operations only.
    Order,
}

/// When a server ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// By a clock that nobody sets.
    pub at: Instant,
    /// In ms of Unix time.
    pub at_ms: u64,
}

impl Ended {
    /// Now.
    pub fn now() -> Self {
        Self { at: Instant::now(), at_ms: now_ms() }
    }
}

/// What a verification has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Operations that were acknowledged.
    pub acknowledged: usize,
    /// Those of them that are lost.
    pub lost: usize,
    /// Operations that were under way.
    pub under_way: usize,
}

/// What was read, and when.
struct Reading<'a> {
    between_ms: (u64, u64),
    ended: Ended,
    replies: std::slice::Iter<'a, Value>,
}

/// Reads everything and judges it; then what was found is what the next cycle begins with.
///
/// # Errors
/// What is lost, doubled, halved or invented.
pub fn verify(
    connection: &mut Connection,
    clients: &mut [Client],
    banks: &mut [Bank],
    promise: Promise,
    ended: Ended,
) -> Result<Seen, String> {
    let mut commands: Vec<Argv> = vec![names()];
    commands.extend(banks.iter().flat_map(Bank::read));
    commands.extend(clients.iter().flat_map(|client| &client.objects).flat_map(read_object));
    let began_ms = now_ms();
    let replies = exchange_all(connection, &commands).map_err(|error| format!("reading everything: {error}"))?;
    let mut reading = Reading { between_ms: (began_ms, now_ms()), ended, replies: replies.iter() };

    let objects = clients.iter().flat_map(|client| &client.objects).filter(|object| object.database == 0);
    let keys = objects.flat_map(|object| object.keys.clone()).chain(banks.iter().flat_map(Bank::keys));
    check_names(reading.replies.next(), &keys.collect())?;
    let mut seen = Seen::default();
    let mut shown: Vec<Vec<Shown>> = clients.iter().map(|_| Vec::new()).collect();
    let mut found_banks = Vec::new();
    for (index, bank) in banks.iter().enumerate() {
        let replies: Vec<Value> = reading.replies.by_ref().take(bank.keys().len()).cloned().collect();
        let transfers: Vec<Vec<(usize, Transfer)>> = clients.iter().map(|client| transfers(client, bank)).collect();
        let sent: Vec<Vec<Transfer>> =
            transfers.iter().map(|of| of.iter().map(|(_, transfer)| *transfer).collect()).collect();
        let (found, counts) = bank.explain(&replies, &sent)?;
        for ((client, transfers), count) in transfers.iter().enumerate().zip(counts) {
            let acknowledged = clients[client].acknowledged.len();
            let numbers: Vec<usize> = transfers.iter().map(|(number, _)| *number).collect();
            let ranges = vec![range(&numbers, count, acknowledged)];
            let what = format!("bank {index}, {count} of {} transfers", numbers.len());
            shown[client].push(Shown { what, ranges });
        }
        found_banks.push(found);
    }
    let mut found_objects = Vec::new();
    for client in clients.iter() {
        for (index, object) in client.objects.iter().enumerate() {
            let found = parse_object(object, &mut reading)?;
            shown[client.number].push(show(client, index, &found, &reading));
            found_objects.push(found);
        }
        judge(client, &shown[client.number], promise, ended, &mut seen)?;
    }

    let mut found_objects = found_objects.into_iter();
    for client in clients.iter_mut() {
        for (object, found) in client.objects.iter_mut().zip(found_objects.by_ref()) {
            (object.base, object.latest) = (found.clone(), found);
        }
        client.sent.clear();
        client.acknowledged.clear();
    }
    banks.clone_from_slice(&found_banks);
    Ok(seen)
}

/// What one object shows: the numbers of operations after which it may have been read.
struct Shown {
    what: String,
    ranges: Vec<RangeInclusive<usize>>,
}

/// The number up to which a client's history is there, and whether that is enough.
fn judge(client: &Client, shown: &[Shown], promise: Promise, ended: Ended, seen: &mut Seen) -> Result<(), String> {
    let acknowledged = client.acknowledged.len();
    let of_client =
        |why: String| format!("client {} with {acknowledged} acknowledged operations: {why}", client.number);
    if let Some(shown) = shown.iter().find(|shown| shown.ranges.is_empty()) {
        return Err(of_client(format!("never was what it is now: {}", shown.what)));
    }
    let holds = |shown: &Shown, number: usize| shown.ranges.iter().any(|range| range.contains(&number));
    let kept = (0..=acknowledged).rev().find(|number| shown.iter().all(|shown| holds(shown, *number)));
    seen.acknowledged += acknowledged;
    seen.under_way += client.sent.len() - acknowledged;
    if kept == Some(acknowledged) {
        return Ok(());
    }
    let behind: Vec<String> = shown
        .iter()
        .filter(|shown| !holds(shown, acknowledged))
        .map(|shown| format!("after {:?}: {}", shown.ranges, shown.what))
        .collect();
    let behind = behind.join("\n");
    let Some(kept) = kept else {
        return Err(of_client(format!("something from the middle of its history is lost\n{behind}")));
    };
    let lost = acknowledged - kept;
    let age = ended.at.saturating_duration_since(client.acknowledged[kept].at);
    seen.lost += lost;
    match promise {
        Promise::Everything => Err(of_client(format!("the last {lost} are lost\n{behind}"))),
        Promise::Older(limit) if age > limit => {
            Err(of_client(format!("the last {lost} are lost, the first of them {age:?} old, not {limit:?}\n{behind}")))
        }
        Promise::Older(_) | Promise::Order => Ok(()),
    }
}

/// From the operation that made the `count`th version up to the one before the next, within what was acknowledged.
fn range(numbers: &[usize], count: usize, acknowledged: usize) -> RangeInclusive<usize> {
    let first = if count == 0 { 0 } else { numbers[count - 1] };
    let last = numbers.get(count).map_or(acknowledged, |next| next - 1);
    first.min(acknowledged)..=last.min(acknowledged)
}

/// A client's transfers in a bank, with the numbers of their operations.
fn transfers(client: &Client, bank: &Bank) -> Vec<(usize, Transfer)> {
    let numbered = (1..).zip(&client.sent);
    let transfers = numbered.filter_map(|(number, sent)| match sent.target {
        Target::Transfer(transfer) => Some((number, transfer)),
        _ => None,
    });
    transfers.filter(|(_, transfer)| transfer.bank == bank.kind()).collect()
}

/// Plays an object's operations again, and compares after each of them.
fn show(client: &Client, index: usize, found: &State, reading: &Reading<'_>) -> Shown {
    let object = &client.objects[index];
    let acknowledged = client.acknowledged.len();
    let operations: Vec<_> = (1..)
        .zip(&client.sent)
        .filter_map(|(number, sent)| match &sent.target {
            Target::Object(of, operation) if *of == index => Some((number, sent.at_ms, operation)),
            _ => None,
        })
        .collect();
    let numbers: Vec<usize> = operations.iter().map(|(number, ..)| *number).collect();
    let mut state = object.base.clone();
    let mut ranges = Vec::new();
    for version in 0..=operations.len() {
        if is_same(object, &state, found, reading.between_ms) {
            ranges.push(range(&numbers, version, acknowledged));
        }
        if let Some((number, sent_ms, operation)) = operations.get(version) {
            let until_ms = client.acknowledged.get(number - 1).map_or(reading.ended.at_ms, |when| when.at_ms);
            for write in &operation.writes {
                state.apply(&guess(write, &state, found), (*sent_ms, until_ms));
            }
        }
    }
    let recent = operations.iter().rev().take(8).rev().map(|(number, _, operation)| {
        let age = client.acknowledged.get(number - 1).map(|when| reading.ended.at.saturating_duration_since(when.at));
        let when = age.map_or("under way".to_owned(), |age| format!("acknowledged {age:?} before the end"));
        format!("  {number} {when}: {:?} {}", operation.wrap, brief(&operation.writes))
    });
    let recent: Vec<String> = recent.collect();
    let what = format!(
        "{:?} {}\n  began as {}\n  found as {}\n{}",
        object.kind,
        words::quote(&object.keys[0]),
        brief(&object.base),
        brief(found),
        recent.join("\n"),
    );
    Shown { what, ranges }
}

/// A member that a server was asked to choose, and whose name did not arrive, may be any that was there: one that is missing now.
fn guess(write: &Write, state: &State, found: &State) -> Write {
    let set = |state: &State, key: &Bytes| match state.0.get(key).map(|slot| &slot.content) {
        Some(Content::Set(members)) => members.clone(),
        _ => BTreeSet::new(),
    };
    match write {
        Write::SPop { key, member: None } => {
            let member = set(state, key).difference(&set(found, key)).next().cloned();
            Write::SPop { key: key.clone(), member }
        }
        other => other.clone(),
    }
}

fn is_same(object: &Object, state: &State, found: &State, between_ms: (u64, u64)) -> bool {
    object.keys.iter().all(|key| match (state.0.get(key), found.0.get(key)) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some(slot), None) => slot.deadline.is_some_and(|(earliest, _)| earliest <= between_ms.1 + EARLY_MS),
        (Some(slot), Some(found)) => {
            let deadlines = match (slot.deadline, found.deadline) {
                (None, None) => true,
                (Some((earliest, latest)), Some((deadline, _))) => {
                    (earliest.saturating_sub(CLOCK_LAG_MS)..=latest).contains(&deadline)
                        && deadline + CLOCK_LAG_MS >= between_ms.0
                }
                _ => false,
            };
            deadlines && slot.content == found.content
        }
    })
}

/// The command that tells all names of a database.
fn names() -> Argv {
    vec![b"KEYS".to_vec(), b"*".to_vec()]
}

/// No key that nobody wrote, and none twice.
fn check_names(reply: Option<&Value>, known: &BTreeSet<Bytes>) -> Result<(), String> {
    let Some(Value::Array(names)) = reply else { return Err(format!("KEYS: {}", brief(&reply))) };
    let mut seen = BTreeSet::new();
    for name in names {
        let name = name.bytes().unwrap_or_default();
        if !known.contains(name) {
            return Err(format!("a key that nobody wrote: {}", words::quote(name)));
        }
        if !seen.insert(name) {
            return Err(format!("a key that is there twice: {}", words::quote(name)));
        }
    }
    Ok(())
}

fn select(database: usize) -> Argv {
    vec![b"SELECT".to_vec(), database.to_string().into_bytes()]
}

/// Two commands for each key; around them, for an object in another database, two before and one behind.
fn read_object(object: &Object) -> Vec<Argv> {
    let (name, tail): (&str, &[&str]) = match object.kind {
        Kind::Counter | Kind::Text | Kind::Fleeting | Kind::Group | Kind::Elsewhere => ("GET", &[]),
        Kind::List | Kind::Lists | Kind::Journal => ("LRANGE", &["0", "-1"]),
        Kind::Hash => ("HGETALL", &[]),
        Kind::Set | Kind::Sets | Kind::Draw => ("SMEMBERS", &[]),
        Kind::Zset => ("ZRANGE", &["0", "-1", "WITHSCORES"]),
        Kind::Stream => ("XRANGE", &["-", "+"]),
    };
    let mut commands = Vec::new();
    if object.database > 0 {
        commands.extend([select(object.database), names()]);
    }
    for (part, key) in object.keys.iter().enumerate() {
        // The first key of a journal is its counter.
        let (name, tail) = if object.kind == Kind::Journal && part == 0 { ("GET", &[][..]) } else { (name, tail) };
        let mut argv = vec![name.as_bytes().to_vec(), key.clone()];
        argv.extend(tail.iter().map(|word| word.as_bytes().to_vec()));
        commands.push(argv);
        commands.push(vec![b"PEXPIRETIME".to_vec(), key.clone()]);
    }
    commands.extend((object.database > 0).then(|| select(0)));
    commands
}

/// What the replies to [`read_object`] say.
fn parse_object(object: &Object, reading: &mut Reading<'_>) -> Result<State, String> {
    let mut found = BTreeMap::new();
    if object.database > 0 {
        reading.replies.next();
        check_names(reading.replies.next(), &object.keys.iter().cloned().collect())?;
    }
    for (part, key) in object.keys.iter().enumerate() {
        let (Some(content), Some(Value::Integer(expiry))) = (reading.replies.next(), reading.replies.next()) else {
            return Err(format!("{}: no number from PEXPIRETIME", words::quote(key)));
        };
        let kind = if object.kind == Kind::Journal && part == 0 { Kind::Counter } else { object.kind };
        let content = parse_content(kind, content)
            .ok_or_else(|| format!("{}: no {:?}: {content:?}", words::quote(key), object.kind))?;
        let deadline = u64::try_from(*expiry).ok().map(|at_ms| (at_ms, at_ms));
        // An expiry may lie between the two commands.
        if let Some(content) = content.filter(|_| *expiry != -2) {
            found.insert(key.clone(), Slot { content, deadline });
        }
    }
    if object.database > 0 {
        reading.replies.next();
    }
    Ok(State(found))
}

/// A key's content, `Some(None)` when it is missing, `None` when that is no such content.
fn parse_content(kind: Kind, reply: &Value) -> Option<Option<Content>> {
    let items = match reply {
        Value::Null => return Some(None),
        Value::Bulk(text) => return Some(Some(Content::Text(text.clone()))),
        Value::Array(items) if items.is_empty() => return Some(None),
        Value::Array(items) => items,
        _ => return None,
    };
    let texts = || items.iter().map(|item| item.bytes().map(<[u8]>::to_vec));
    let pairs = || items.chunks_exact(2).map(|pair| Some((pair[0].bytes()?.to_vec(), pair[1].bytes()?.to_vec())));
    let content = match kind {
        Kind::List | Kind::Lists | Kind::Journal => Content::List(texts().collect::<Option<_>>()?),
        Kind::Set | Kind::Sets | Kind::Draw => {
            let members: BTreeSet<Bytes> = texts().collect::<Option<_>>()?;
            (members.len() == items.len()).then_some(Content::Set(members))?
        }
        Kind::Hash => {
            let fields: BTreeMap<Bytes, Bytes> = pairs().collect::<Option<_>>()?;
            (fields.len() * 2 == items.len()).then_some(Content::Hash(fields))?
        }
        Kind::Zset => {
            let scores = pairs().map(|pair| pair.and_then(|(member, score)| Some((member, number_of(&score)?))));
            Content::Zset(scores.collect::<Option<_>>()?)
        }
        Kind::Stream => {
            let entries = items.iter().map(|entry| {
                let Value::Array(entry) = entry else { return None };
                let [Value::Bulk(id), Value::Array(fields)] = &entry[..] else { return None };
                let number = number_of(id.strip_suffix(b"-1")?)?;
                Some((number as u64, fields.get(1)?.bytes()?.to_vec()))
            });
            Content::Stream(entries.collect::<Option<_>>()?)
        }
        Kind::Counter | Kind::Text | Kind::Fleeting | Kind::Group | Kind::Elsewhere => return None,
    };
    Some(Some(content))
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
