//! Where a command has to run.
//!
//! Owns: the decision from row and keys. Refuses to know: how commands get there and what they do.
//! Start at [`plan`].

use super::intents::{KeyMark, Mode, Scope};
use super::message::Call;
use super::message::{Fetch, Part, ShardId, Work, frame_of};
use super::places::{Place, places};
use super::routing::Routing;
use crate::argv::{Argv, ArgvBuf};
use crate::table::{self, Access, CommandId, Flags, KeySpec, Merge, Route};

/// Where a command runs.
#[derive(Debug)]
pub enum Plan {
    /// Here, whatever the keys are.
    Here,
    /// On the session itself.
    Session,
    /// On this one shard.
    One(ShardId),
    /// On the shards whom it concerns, without intents, merged so.
    Scatter(Merge),
    /// On several shards, as one transaction.
    Several(Transaction),
}

/// A command over several shards, ready to be sequenced.
#[derive(Debug)]
pub struct Transaction {
    /// What each participant does.
    pub parts: Vec<(ShardId, Part)>,
    /// How the outcome is put together.
    pub assembly: Assembly,
}

/// How the outcome of a transaction is put together.
#[derive(Debug)]
pub enum Assembly {
    /// The parts' replies are merged; for `in-order`, `owners` names the part (an index) of each key in turn.
    Merge {
        /// The row's merge.
        merge: Merge,
        /// Index into the parts, one for each key.
        owners: Vec<usize>,
    },
    /// The replies of shards that hold no intents are merged.
    Scatter(Merge),
    /// The command runs on the fetched values.
    Gather,
    /// An EXEC in steps: the shard goes on with it.
    Exec,
}

type KeyModes = Vec<(KeyMark, Mode)>;

/// The intent that an access needs.
pub fn mode_of(access: Access) -> Mode {
    if access == Access::Write { Mode::Exclusive } else { Mode::Shared }
}

/// Decides where a command runs. Arguments that do not parse run here, where they get their error.
#[inline(never)]
pub fn plan(id: CommandId, argv: Argv<'_>, call: Call, routing: &Routing) -> Plan {
    plan_hot(id, argv, call, routing)
}

/// [`plan`] where every command of a client passes: part of its caller.
#[inline(always)]
pub fn plan_hot(id: CommandId, argv: Argv<'_>, call: Call, routing: &Routing) -> Plan {
    let info = id.info();
    let shards = routing.shards();
    if shards == 1 {
        return if matches!(info.route, Route::Connection) { Plan::Session } else { Plan::One(0) };
    }
    match info.route {
        Route::Key => match info.keys {
            KeySpec::One(at) => argv.get(at).map_or(Plan::Here, |key| Plan::One(routing.owner(call.db, key))),
            _ => first_key_owner(id, argv, call.db, routing),
        },
        Route::Any => Plan::Here,
        Route::Connection => Plan::Session,
        Route::Custom(which) => Plan::One(table::custom_route(which, argv, shards)),
        Route::Split(merge) => split(id, argv, call, merge, routing),
        Route::Gather => gather(id, argv, call, routing),
        Route::Scatter(merge) => Plan::Scatter(merge),
        Route::AllShards(merge) => all_shards(id, argv, call, merge, shards),
    }
}

fn first_key_owner(id: CommandId, argv: Argv<'_>, db: u8, routing: &Routing) -> Plan {
    let mut owner = None;
    let parsed = table::keys(id, argv, &mut |index, _| {
        owner = owner.or_else(|| argv.get(index).map(|key| routing.owner(db, key)));
    });
    match (parsed, owner) {
        (Ok(()), Some(owner)) => Plan::One(owner),
        _ => Plan::Here,
    }
}

/// The keys of a command with their owners, or `None` when its arguments do not parse or name no key.
fn owners(id: CommandId, argv: Argv<'_>, db: u8, routing: &Routing) -> Option<Vec<(Place, ShardId)>> {
    let mut keys = Vec::new();
    places(id, argv, db, &mut |place| {
        if let Some(key) = argv.get(place.index) {
            keys.push((place, routing.owner(place.db, key)));
        }
    })
    .ok()?;
    (!keys.is_empty()).then_some(keys)
}

/// The one shard that owns all keys, if there is one.
fn single(keys: &[(Place, ShardId)]) -> Option<ShardId> {
    let first = keys[0].1;
    keys.iter().all(|(_, owner)| *owner == first).then_some(first)
}

fn split(id: CommandId, argv: Argv<'_>, call: Call, merge: Merge, routing: &Routing) -> Plan {
    let KeySpec::Range { first, step, .. } = id.info().keys else {
        unreachable!("the generator lets only ranges of keys be split");
    };
    let Some(keys) = owners(id, argv, call.db, routing) else { return Plan::Here };
    if let Some(owner) = single(&keys) {
        return Plan::One(owner);
    }
    let step = step.max(1);
    if !(argv.len() - first).is_multiple_of(step) {
        return Plan::Here;
    }
    let mode = mode_of(id.info().access);
    let mut shares: Vec<(ShardId, ArgvBuf, KeyModes)> = Vec::new();
    let mut part_of_key = Vec::with_capacity(keys.len());
    for &(Place { index, .. }, owner) in &keys {
        let at = shares.iter().position(|(shard, ..)| *shard == owner).unwrap_or_else(|| {
            shares.push((owner, ArgvBuf::new(), Vec::new()));
            shares.len() - 1
        });
        part_of_key.push(at);
        let words = argv.range(index, index + step);
        shares[at].2.push((KeyMark::of(words.get(0).unwrap_or_default()), mode));
        for word in words.iter() {
            shares[at].1.push(word);
        }
    }
    let parts = shares
        .into_iter()
        .map(|(shard, words, keys)| {
            let frame = frame_of(id, words.as_argv());
            (shard, Part { scope: Scope::of_keys(keys), work: Work::Run(frame), call })
        })
        .collect();
    Plan::Several(Transaction { parts, assembly: Assembly::Merge { merge, owners: part_of_key } })
}

fn gather(id: CommandId, argv: Argv<'_>, call: Call, routing: &Routing) -> Plan {
    let Some(keys) = owners(id, argv, call.db, routing) else { return Plan::Here };
    match single(&keys) {
        Some(owner) => Plan::One(owner),
        None => Plan::Several(gather_keys(argv, gathering(id, call), keys)),
    }
}

/// A command that gathers, as a transaction even when all its keys are on one shard: its coordinator decides at the last moment whether it runs.
/// `None` when its arguments do not parse.
pub fn gather_always(id: CommandId, argv: Argv<'_>, call: Call, routing: &Routing) -> Option<Transaction> {
    Some(gather_keys(argv, gathering(id, call), owners(id, argv, call.db, routing)?))
}

/// What the participants' parts run under: they remember for a tracking client what they hand over; as in Redis, not to a command that writes, unless it is a
/// script, whose commands may read.
fn gathering(id: CommandId, call: Call) -> Call {
    let reads = id.info().access == Access::Read || id.info().flags.contains(Flags::MAY_REPLICATE);
    Call { tracks: call.tracks && reads, ..call }
}

fn gather_keys(argv: Argv<'_>, call: Call, keys: Vec<(Place, ShardId)>) -> Transaction {
    let mut by_shard: Vec<(ShardId, Vec<Fetch>)> = Vec::new();
    for (Place { db, index, access }, owner) in keys {
        let key = argv.get(index).unwrap_or_default().into();
        let fetch = Fetch { db, key, take: mode_of(access) == Mode::Exclusive };
        match by_shard.iter_mut().find(|(shard, _)| *shard == owner) {
            Some((_, share)) => share.push(fetch),
            None => by_shard.push((owner, vec![fetch])),
        }
    }
    let parts = by_shard
        .into_iter()
        .map(|(shard, fetches)| {
            let mode = |fetch: &Fetch| if fetch.take { Mode::Exclusive } else { Mode::Shared };
            let scope = Scope::of_keys(fetches.iter().map(|fetch| (KeyMark::of(&fetch.key), mode(fetch))).collect());
            (shard, Part { scope, work: Work::Fetch(each_once(fetches)), call })
        })
        .collect();
    Transaction { parts, assembly: Assembly::Gather }
}

/// Each key once, taken when it is to be taken by any of its mentions.
fn each_once(mut fetches: Vec<Fetch>) -> Vec<Fetch> {
    fetches.sort_by(|one, other| (&one.key, one.db).cmp(&(&other.key, other.db)));
    fetches.dedup_by(|later, kept| {
        let same = later.key == kept.key && later.db == kept.db;
        kept.take |= same && later.take;
        same
    });
    fetches
}

fn all_shards(id: CommandId, argv: Argv<'_>, call: Call, merge: Merge, shards: usize) -> Plan {
    let mode = mode_of(id.info().access);
    let frame = frame_of(id, argv);
    let parts = (0..shards)
        .map(|shard| (shard, Part { scope: Scope::Whole(mode), work: Work::Run(frame.clone()), call }))
        .collect();
    Plan::Several(Transaction { parts, assembly: Assembly::Merge { merge, owners: Vec::new() } })
}
