//! Transactions over several shards: the sequencer, the participants and the coordinators.
//!
//! Owns: the protocol of sequenced intents (ARCHITECTURE.md, "Atomic commands on many shards"). Refuses to know: what commands mean, how messages travel.
//! Start at [`Transactions::begin`], then follow the messages: `Sequence → Begin → Done → Finish`.
//!
//! ```text
//! coordinator ─Sequence─► sequencer ─Begin─► every participant, in one order for all
//!       ▲                                        │ takes its intents, runs its part, keeps holding
//!       └───────────────────Done────────────────┘
//! coordinator: all parts are done → the reply is made ─Finish─► participants store, let go
//! ```
//! Nobody reads a part before every part has run, because the intents are held until then; so a command over several shards is never seen half done.

use std::collections::HashMap;

use ahash::RandomState;

use super::core::{Core, EffectSink};
use super::execute::{count_merged, execute, execute_part};
use super::intents::{Intents, Mode, Scope, Ticket};
use super::merge;
use super::message::{Call, Fetch, Outcome, Part, ReplyTo, ShardId, TxnId, TxnMessage, Work, Write, read_frame};
use super::plan::{Assembly, Transaction};
use crate::argv::{Argv, Span};
use crate::keyspace::{Detached, Keyspace};
use crate::reply::ReplyBuf;
use crate::table::{CommandId, Merge};

/// The shard that gives transactions their order.
pub const SEQUENCER: ShardId = 0;

/// What waits for its turn on this shard, or holds its intents.
#[derive(Debug)]
enum Waiting {
    /// A part of a transaction.
    Part { txn: TxnId, part: Part },
    /// An ordinary command of one shard that met an intent.
    Command { to: Target, call: Call, frame: Vec<u8> },
}

/// Where the reply of a parked command goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The shard of the session.
    pub shard: ShardId,
    /// The slot of the session.
    pub to: ReplyTo,
}

/// A transaction that this shard coordinates.
#[derive(Debug)]
struct Coordination {
    to: ReplyTo,
    call: Call,
    frame: Vec<u8>,
    participants: Vec<ShardId>,
    /// What each participant was to fetch, in its order; empty for merges.
    fetches: Vec<Vec<Fetch>>,
    outcomes: Vec<Option<Outcome>>,
    missing: usize,
    assembly: Assembly,
}

/// What a step of the protocol asks the shard to do.
#[derive(Debug)]
pub enum Step {
    /// Send this.
    Send(ShardId, TxnMessage),
    /// A command's reply is ready.
    Reply(Target, Vec<u8>),
}

/// The transactions of one shard.
#[derive(Debug)]
pub struct Transactions {
    id: ShardId,
    /// Who may touch which keys.
    pub intents: Intents,
    waiting: HashMap<Ticket, Waiting, RandomState>,
    holding: HashMap<TxnId, Ticket, RandomState>,
    coordinating: HashMap<TxnId, Coordination, RandomState>,
    begun: u64,
    overlay: Keyspace,
    spans: Vec<Span>,
}

impl Transactions {
    /// No transactions.
    pub fn new(id: ShardId, seeds: &RandomState) -> Self {
        Self {
            id,
            intents: Intents::new(seeds.clone()),
            waiting: HashMap::with_hasher(seeds.clone()),
            holding: HashMap::with_hasher(seeds.clone()),
            coordinating: HashMap::with_hasher(seeds.clone()),
            begun: 0,
            overlay: Keyspace::new(seeds.clone()),
            spans: Vec::new(),
        }
    }

    /// True when nothing waits, holds or is coordinated.
    pub fn is_idle(&self) -> bool {
        self.intents.is_empty() && self.waiting.is_empty() && self.holding.is_empty() && self.coordinating.is_empty()
    }

    /// Begins a transaction that this shard coordinates; `frame` is the whole command.
    pub fn begin(&mut self, to: ReplyTo, call: Call, frame: Vec<u8>, transaction: Transaction, steps: &mut Vec<Step>) {
        self.begun += 1;
        let txn = TxnId::new(self.id, self.begun);
        let Transaction { parts, assembly } = transaction;
        let fetches = parts
            .iter()
            .map(|(_, part)| match &part.work {
                Work::Fetch(fetches) => fetches.clone(),
                Work::Run(_) => Vec::new(),
            })
            .collect();
        let coordination = Coordination {
            to,
            call,
            frame,
            participants: parts.iter().map(|(shard, _)| *shard).collect(),
            fetches,
            outcomes: parts.iter().map(|_| None).collect(),
            missing: parts.len(),
            assembly,
        };
        self.coordinating.insert(txn, coordination);
        steps.push(Step::Send(SEQUENCER, TxnMessage::Sequence { txn, parts }));
    }

    /// Runs a command on several shards without intents, and merges what they reply.
    pub fn scatter(
        &mut self,
        to: ReplyTo,
        call: Call,
        frame: Vec<u8>,
        merge: Merge,
        audience: Vec<ShardId>,
        steps: &mut Vec<Step>,
    ) {
        self.begun += 1;
        let txn = TxnId::new(self.id, self.begun);
        for &shard in &audience {
            steps.push(Step::Send(shard, TxnMessage::Scatter { txn, call, frame: frame.clone() }));
        }
        let coordination = Coordination {
            to,
            call,
            frame,
            fetches: Vec::new(),
            outcomes: audience.iter().map(|_| None).collect(),
            missing: audience.len(),
            participants: audience,
            assembly: Assembly::Scatter(merge),
        };
        self.coordinating.insert(txn, coordination);
    }

    /// Handles one message.
    pub fn receive(&mut self, core: &mut Core, message: TxnMessage, steps: &mut Vec<Step>) {
        match message {
            TxnMessage::Sequence { txn, parts } => {
                assert_eq!(self.id, SEQUENCER, "only the sequencer orders transactions");
                for (participant, part) in parts {
                    steps.push(Step::Send(participant, TxnMessage::Begin { txn, part }));
                }
            }
            TxnMessage::Begin { txn, part } => {
                let (ticket, granted) = self.intents.enqueue(part.scope.clone());
                self.holding.insert(txn, ticket);
                let waiting = Waiting::Part { txn, part };
                if granted {
                    self.run(core, waiting, steps);
                } else {
                    self.waiting.insert(ticket, waiting);
                }
            }
            TxnMessage::Scatter { txn, call, frame } => {
                let outcome = Outcome::Reply(self.run_frame(core, call, &frame, execute_part));
                let done = TxnMessage::Done { txn, participant: self.id, outcome };
                steps.push(Step::Send(txn.coordinator(), done));
            }
            TxnMessage::Done { txn, participant, outcome } => self.done(core, txn, participant, outcome, steps),
            TxnMessage::Finish { txn, client_id, writes, effects } => {
                core.acting_client = client_id;
                for Write { db, key, value } in writes {
                    if let Some(value) = value {
                        super::cx::ShardCx::new(core, Call::internal(db)).attach_quietly(db, &key, value);
                    }
                }
                for effect in effects {
                    core.changed_elsewhere(&effect);
                }
                let ticket = self.holding.remove(&txn).expect("a participant holds until it is told to finish");
                self.release(core, ticket, steps);
            }
        }
    }

    /// Parks a command of this shard behind the intents it meets.
    pub fn park(&mut self, to: Target, call: Call, frame: Vec<u8>, scope: Scope) {
        let (ticket, granted) = self.intents.enqueue(scope);
        assert!(!granted, "a command is parked only when it meets an intent");
        self.waiting.insert(ticket, Waiting::Command { to, call, frame });
    }

    /// Gives a ticket up and runs everything that this lets through.
    fn release(&mut self, core: &mut Core, ticket: Ticket, steps: &mut Vec<Step>) {
        let mut granted = self.intents.release(ticket);
        while !granted.is_empty() {
            let mut next = Vec::new();
            for ticket in granted {
                let Some(waiting) = self.waiting.remove(&ticket) else { continue };
                if self.run(core, waiting, steps) {
                    next.extend(self.intents.release(ticket));
                }
            }
            granted = next;
        }
    }

    /// Runs what was granted. True when its intents can go at once.
    fn run(&mut self, core: &mut Core, waiting: Waiting, steps: &mut Vec<Step>) -> bool {
        match waiting {
            Waiting::Command { to, call, frame } => {
                let reply = self.run_frame(core, call, &frame, execute);
                steps.push(Step::Reply(to, reply));
                true
            }
            Waiting::Part { txn, part } => {
                let outcome = match part.work {
                    Work::Run(frame) => Outcome::Reply(self.run_frame(core, part.call, &frame, execute_part)),
                    Work::Fetch(fetches) => {
                        Outcome::Values(fetches.iter().map(|fetch| fetch_one(core, fetch)).collect())
                    }
                };
                let done = TxnMessage::Done { txn, participant: self.id, outcome };
                steps.push(Step::Send(txn.coordinator(), done));
                false
            }
        }
    }

    fn run_frame(&mut self, core: &mut Core, call: Call, frame: &[u8], run: Run) -> Vec<u8> {
        let id = read_frame(frame, &mut self.spans);
        let mut reply = ReplyBuf::new(call.protocol);
        run(core, call, id, Argv::new(frame, &self.spans), &mut reply);
        reply.into_bytes()
    }

    fn done(&mut self, core: &mut Core, txn: TxnId, participant: ShardId, outcome: Outcome, steps: &mut Vec<Step>) {
        let coordination = self.coordinating.get_mut(&txn).expect("parts report to a coordinator that waits for them");
        let at = coordination.participants.iter().position(|shard| *shard == participant);
        let at = at.expect("only participants report");
        assert!(coordination.outcomes[at].replace(outcome).is_none(), "a part reports once");
        coordination.missing -= 1;
        if coordination.missing > 0 {
            return;
        }
        let mut coordination = self.coordinating.remove(&txn).expect("it was there above");
        let outcomes = std::mem::take(&mut coordination.outcomes);
        let id = read_frame(&coordination.frame, &mut self.spans);
        let argv = Argv::new(&coordination.frame, &self.spans);
        let mut reply = ReplyBuf::new(coordination.call.protocol);
        let finishes = match &coordination.assembly {
            Assembly::Merge { merge, owners } => {
                merge_outcomes(*merge, argv, outcomes, owners, &mut reply);
                count_merged(core, id, reply.as_bytes());
                coordination.participants.iter().map(|_| (Vec::new(), Vec::new())).collect()
            }
            Assembly::Scatter(merge) => {
                merge_outcomes(*merge, argv, outcomes, &[], &mut reply);
                count_merged(core, id, reply.as_bytes());
                Vec::new()
            }
            Assembly::Gather => {
                let call = coordination.call;
                run_gathered(core, &mut self.overlay, call, id, argv, &coordination.fetches, outcomes, &mut reply)
            }
        };
        let client_id = coordination.call.client_id;
        for (participant, (writes, effects)) in coordination.participants.iter().zip(finishes) {
            steps.push(Step::Send(*participant, TxnMessage::Finish { txn, client_id, writes, effects }));
        }
        steps.push(Step::Reply(Target { shard: self.id, to: coordination.to }, reply.into_bytes()));
    }
}

/// One reply out of those of all parts.
fn merge_outcomes(
    merge: Merge,
    argv: Argv<'_>,
    outcomes: Vec<Option<Outcome>>,
    owners: &[usize],
    reply: &mut ReplyBuf,
) {
    let replies: Vec<Vec<u8>> = outcomes
        .into_iter()
        .map(|outcome| match outcome {
            Some(Outcome::Reply(bytes)) => bytes,
            _ => unreachable!("a merged part replies"),
        })
        .collect();
    let parts: Vec<&[u8]> = replies.iter().map(Vec::as_slice).collect();
    merge::merge(merge, argv, &parts, owners, reply);
}

/// How a frame is run: as a command, or as a part of one.
type Run = fn(&mut Core, Call, CommandId, Argv<'_>, &mut ReplyBuf);

/// A key that a participant hands over.
fn fetch_one(core: &mut Core, fetch: &Fetch) -> Option<Detached> {
    let mut cx = super::cx::ShardCx::new(core, Call::internal(fetch.db));
    if fetch.take { cx.detach(fetch.db, &fetch.key) } else { cx.duplicate(fetch.db, &fetch.key) }
}

type Finish = (Vec<Write>, Vec<super::core::Effect>);

/// Runs a command on values that were fetched from their owners: for its time they are this shard's keyspace, so that its handler is the one that also
/// runs when all keys are local. Returns what each participant has to store and tell.
#[expect(clippy::too_many_arguments, reason = "one caller; the parts of a coordination are borrowed separately")]
fn run_gathered(
    core: &mut Core,
    overlay: &mut Keyspace,
    call: Call,
    id: CommandId,
    argv: Argv<'_>,
    fetches: &[Vec<Fetch>],
    outcomes: Vec<Option<Outcome>>,
    reply: &mut ReplyBuf,
) -> Vec<Finish> {
    std::mem::swap(&mut core.keyspace, overlay);
    let listening = std::mem::replace(&mut core.effects, EffectSink::Capture(Vec::new()));
    for (fetches, outcome) in fetches.iter().zip(outcomes) {
        let Some(Outcome::Values(values)) = outcome else { unreachable!("a gathered part hands values over") };
        for (fetch, value) in fetches.iter().zip(values) {
            let Some(value) = value else { continue };
            let hash = core.keyspace.hash(&fetch.key);
            let (database, seeds) = core.keyspace.database_mut(usize::from(fetch.db));
            database.attach(hash, &fetch.key, value, seeds);
        }
    }
    execute(core, call, id, argv, reply);
    let EffectSink::Capture(effects) = std::mem::replace(&mut core.effects, listening) else {
        unreachable!("nobody else changes where effects go");
    };
    let mut finishes: Vec<Finish> = Vec::with_capacity(fetches.len());
    for fetches in fetches {
        let mut writes = Vec::new();
        for fetch in fetches {
            // Copies go too: the overlay is empty again afterwards.
            let value = take_back(core, fetch);
            if fetch.take {
                writes.push(Write { db: fetch.db, key: fetch.key.clone(), value });
            }
        }
        let told =
            effects.iter().filter(|effect| fetches.iter().any(|fetch| fetch.key == effect.key)).cloned().collect();
        finishes.push((writes, told));
    }
    debug_assert!(core.keyspace.is_empty(), "a gathered command made a key that it did not declare");
    std::mem::swap(&mut core.keyspace, overlay);
    finishes
}

/// Takes a value out of the overlay, expired or not: whether it is dead is for its owner to find and tell.
fn take_back(core: &mut Core, fetch: &Fetch) -> Option<Detached> {
    let hash = core.keyspace.hash(&fetch.key);
    let (database, seeds) = core.keyspace.database_mut(usize::from(fetch.db));
    let slot = database.find(hash, &fetch.key)?;
    Some(database.detach(slot, seeds))
}

/// The scope of a command that runs on one shard, from its keys.
pub fn scope_of(id: CommandId, argv: Argv<'_>) -> Scope {
    let mut keys: Vec<(Box<[u8]>, Mode)> = Vec::new();
    let parsed = crate::table::keys(id, argv, &mut |index, access| {
        if let Some(key) = argv.get(index) {
            keys.push((key.into(), super::plan::mode_of(access)));
        }
    });
    match parsed {
        Ok(()) if !keys.is_empty() => Scope::of_keys(keys),
        // SCAN and whatever else looks at keys it does not name.
        _ => Scope::Whole(super::plan::mode_of(id.info().access)),
    }
}
