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

use std::collections::{BTreeMap, HashMap};

use ahash::RandomState;

use super::commit::{Committing, Conclusion};
use super::core::{Core, Effect, EffectSink};
use super::execute::{count_merged, execute, execute_frame, execute_merged, execute_part};
use super::fault::Fault;
use super::guard::Guard;
use super::intents::{Intents, KeyMark, Mode, Scope, Ticket};
use super::merge;
use super::message::{
    Call, Fetch, Finish, Outcome, Part, ReplyTo, ShardId, TxnId, TxnMessage, WaiterNews, Work, Write, read_frame,
};
use super::plan::{Assembly, Transaction};
use super::script::{GatheredScript, may_run_script};
use super::waiters::Waiter;
use super::watch;
use crate::argv::{Argv, Span};
use crate::keyspace::{Detached, Keyspace};
use crate::reply::ReplyBuf;
use crate::table::{Access, CommandId, Flags, Merge};

/// The shard that gives transactions their order.
pub const SEQUENCER: ShardId = 0;

/// What waits for its turn on this shard, or holds its intents.
#[derive(Debug)]
enum Waiting {
    /// A part of a transaction.
    Part { txn: TxnId, part: Part },
    /// An ordinary command of one shard that met an intent.
    Command { to: Target, call: Call, frame: Vec<u8> },
    /// A part of a scattered command that names keys, and met an intent.
    Scattered { txn: TxnId, call: Call, frame: Vec<u8> },
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
    /// Participants whose parts have something to log.
    wrote: Vec<ShardId>,
    assembly: Assembly,
    /// It is another try of a blocking command: the waiter it is for.
    retry_of: Option<TxnId>,
}

impl Coordination {
    /// One that waits for a report of each participant.
    fn new(to: ReplyTo, call: Call, frame: Vec<u8>, participants: Vec<ShardId>, assembly: Assembly) -> Self {
        Self {
            to,
            call,
            frame,
            fetches: Vec::new(),
            outcomes: participants.iter().map(|_| None).collect(),
            missing: participants.len(),
            wrote: Vec::new(),
            participants,
            assembly,
            retry_of: None,
        }
    }
}

/// What a step of the protocol asks the shard to do.
#[derive(Debug)]
pub enum Step {
    /// Send this.
    Send(ShardId, TxnMessage),
    /// A command's reply is ready.
    Reply(Target, Vec<u8>),
    /// All parts of an EXEC's step are done; the shards that have something to log because of it.
    Resume(TxnId, Vec<Outcome>, Vec<ShardId>),
    /// A blocking command found nothing: its client waits.
    Block(Box<Block>),
    /// Another try of a blocking command is over: its reply, or `None` when there was still nothing.
    Tried(TxnId, Option<Vec<u8>>),
    /// Another try of a blocking command has served its client; the reply goes out when that transaction is on disk.
    Served(TxnId, TxnId, Vec<u8>),
    /// A parked command that may run a script has its intents, which are released when it is done.
    RunParked(Ticket, Target, Call, Vec<u8>),
    /// The keys of a script are here.
    RunGathered(Box<GatheredScript>),
    /// A key may be ready for a waiter whose home is here.
    Offered(TxnId, ShardId),
    /// Someone waits until what is logged now is on disk.
    Sync(TxnId),
    /// Another shard's log is on disk, for a waiter of this shard.
    Synced(TxnId),
    /// A waiter waits no more, or stays and lets those behind it in these lines have their turn.
    Lines(Vec<(u8, Box<[u8]>, usize)>),
}

/// A client that begins to wait.
#[derive(Debug)]
pub struct Block {
    /// The waiter's name from now on.
    pub id: TxnId,
    /// Where its reply goes.
    pub to: ReplyTo,
    /// What its command runs under.
    pub call: Call,
    /// Its command.
    pub frame: Vec<u8>,
    /// The shards at which it stands in line.
    pub owners: Vec<ShardId>,
    /// When it gives up, Unix milliseconds.
    pub deadline_ms: Option<u64>,
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
    /// What parts here log when their transactions end.
    pub(super) pending: HashMap<TxnId, Vec<u8>, RandomState>,
    /// Transactions over several logs whose records are here, by their numbers; with what becomes of a waiter, once a transaction is over and waits for
    /// those before it.
    pub(super) unsettled: BTreeMap<u64, (TxnId, Option<WaiterNews>)>,
    /// Transactions of this shard that wait for the disks.
    pub(super) committing: HashMap<TxnId, Committing, RandomState>,
    /// Keys that a snapshot reads.
    pub(super) guards: Vec<Guard>,
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
            pending: HashMap::with_hasher(seeds.clone()),
            unsettled: BTreeMap::new(),
            committing: HashMap::with_hasher(seeds.clone()),
            guards: Vec::new(),
            begun: 0,
            overlay: Keyspace::new(seeds.clone()),
            spans: Vec::new(),
        }
    }

    /// This shard's number.
    pub(super) fn id(&self) -> ShardId {
        self.id
    }

    /// True when nothing waits, holds or is coordinated.
    pub fn is_idle(&self) -> bool {
        self.intents.is_empty()
            && self.waiting.is_empty()
            && self.holding.is_empty()
            && self.coordinating.is_empty()
            && self.committing.is_empty()
    }

    /// Begins a transaction that this shard coordinates; `frame` is the whole command. `retry_of` names the waiter whose blocking command is tried again.
    pub fn begin(
        &mut self,
        to: ReplyTo,
        call: Call,
        frame: Vec<u8>,
        transaction: Transaction,
        retry_of: Option<TxnId>,
        steps: &mut Vec<Step>,
    ) {
        let txn = self.fresh_id();
        let Transaction { parts, assembly } = transaction;
        let fetches = parts.iter().map(|(_, part)| part.fetches()).collect();
        let coordination = Coordination::new(to, call, frame, shards_of(&parts), assembly);
        self.coordinating.insert(txn, Coordination { fetches, retry_of, ..coordination });
        sequence(txn, parts, steps);
    }

    /// A name for a transaction or waiter of this shard.
    pub fn fresh_id(&mut self) -> TxnId {
        self.begun += 1;
        TxnId::new(self.id, self.begun)
    }

    /// Begins an EXEC in steps. Its outcomes come back as [`Step::Resume`]; the shard then asks for the next step or finishes.
    pub fn begin_exec(&mut self, to: ReplyTo, call: Call, parts: Vec<(ShardId, Part)>, steps: &mut Vec<Step>) -> TxnId {
        let txn = self.fresh_id();
        let coordination = Coordination::new(to, call, Vec::new(), shards_of(&parts), Assembly::Exec);
        self.coordinating.insert(txn, coordination);
        sequence(txn, parts, steps);
        txn
    }

    /// Has some shards do another step of an EXEC: participants under their intents, anyone what needs none.
    pub fn step_exec(
        &mut self,
        txn: TxnId,
        to: ReplyTo,
        call: Call,
        messages: Vec<(ShardId, TxnMessage)>,
        steps: &mut Vec<Step>,
    ) {
        let coordination = Coordination::new(to, call, Vec::new(), shards_of(&messages), Assembly::Exec);
        self.coordinating.insert(txn, coordination);
        steps.extend(messages.into_iter().map(|(shard, message)| Step::Send(shard, message)));
    }

    /// Runs the parts of a command on several shards without intents, and merges what they reply. `frame` is the whole command.
    pub fn scatter(
        &mut self,
        to: ReplyTo,
        call: Call,
        frame: Vec<u8>,
        merge: Merge,
        parts: Vec<(ShardId, Vec<u8>)>,
        steps: &mut Vec<Step>,
    ) {
        let txn = self.fresh_id();
        let coordination = Coordination::new(to, call, frame, shards_of(&parts), Assembly::Scatter(merge));
        self.coordinating.insert(txn, coordination);
        for (shard, frame) in parts {
            steps.push(Step::Send(shard, TxnMessage::Scatter { txn, call, frame }));
        }
    }

    /// True for a command whose parts run without intents, and whose replies alone are brought together here.
    pub fn is_scattered(&self, txn: TxnId) -> bool {
        let coordination = self.coordinating.get(&txn);
        coordination.is_some_and(|coordination| matches!(coordination.assembly, Assembly::Scatter(_)))
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
                if core.snapshot.is_some() {
                    self.guard_work(core, part.call.db, &part.work);
                }
                let (ticket, granted) = self.intents.enqueue(part.scope.clone());
                self.holding.insert(txn, ticket);
                let waiting = Waiting::Part { txn, part };
                if granted {
                    self.run(core, ticket, waiting, steps);
                } else {
                    self.waiting.insert(ticket, waiting);
                }
            }
            TxnMessage::Scatter { txn, call, frame } => {
                let id = read_frame(&frame, &mut self.spans);
                // A change under way may have been answered already: who watches its key from now on is not to hear of it.
                let scope = (id == CommandId::Watch).then(|| scope_of(id, Argv::new(&frame, &self.spans)));
                match scope.filter(|scope| self.intents.scope_conflicts(scope)) {
                    Some(scope) => {
                        let (ticket, _) = self.intents.enqueue(scope);
                        self.waiting.insert(ticket, Waiting::Scattered { txn, call, frame });
                    }
                    None => self.run_scattered(core, txn, call, &frame, steps),
                }
            }
            TxnMessage::Done { txn, participant, outcome, wrote } => {
                self.done(core, txn, participant, (outcome, wrote), steps);
            }
            TxnMessage::Step { txn, work, call } => {
                assert!(self.holding.contains_key(&txn), "a step is for a participant that holds its intents");
                let holds_flush = matches!(work, Work::Run(_));
                let outcome = self.keep_entries(core, txn, |this, core| this.perform(core, call, work));
                if holds_flush {
                    core.hold_flush(txn);
                }
                self.report(txn, outcome, steps);
            }
            TxnMessage::Store { txn, client_id, finish } => {
                self.keep(txn, &finish.journal);
                store(core, client_id, finish);
            }
            TxnMessage::Commit { txn, client_id, finish, writers } => {
                self.write_record(core, txn, &writers, &finish.journal);
                store(core, client_id, finish);
                steps.push(Step::Send(txn.coordinator(), TxnMessage::Durable { txn }));
            }
            TxnMessage::Durable { txn } => self.durable(txn, steps),
            TxnMessage::Finish { txn, client_id, finish, writers, waiter } => {
                self.write_record(core, txn, &writers, &finish.journal);
                store(core, client_id, finish);
                for (txn, waiter) in self.settle(core, txn, waiter) {
                    self.let_go(core, txn, waiter, steps);
                }
            }
            TxnMessage::Unwatch { client_id } => {
                core.watches.remove(client_id);
                core.listen_anew();
            }
            TxnMessage::Sync { waiter } => steps.push(Step::Sync(waiter)),
            TxnMessage::Synced { waiter } => steps.push(Step::Synced(waiter)),
            TxnMessage::Offer { waiter, owner } => steps.push(Step::Offered(waiter, owner)),
            TxnMessage::Withdraw { waiter } => {
                core.waits_no_more(waiter);
                steps.push(Step::Lines(Vec::new()));
            }
        }
    }

    /// Ends a transaction here: its keys are free, and whoever it was about waits on, or not.
    fn let_go(&mut self, core: &mut Core, txn: TxnId, waiter: WaiterNews, steps: &mut Vec<Step>) {
        match waiter {
            WaiterNews::Nothing => {}
            WaiterNews::Waits { waiter, db, mut keys } => {
                let id = self.id;
                keys.retain(|key| core.routing.owner(db, key) == id);
                core.wait_for(waiter, db, &keys);
            }
            WaiterNews::Stays(waiter) => steps.push(Step::Lines(core.waiters.stays(waiter))),
            WaiterNews::Gone(waiter) => {
                core.waits_no_more(waiter);
                steps.push(Step::Lines(Vec::new()));
            }
        }
        core.finish_flush(txn);
        let ticket = self.holding.remove(&txn).expect("a participant holds until it is told to finish");
        self.release(core, ticket, steps);
    }

    /// Parks a command of this shard behind the intents it meets.
    pub fn park(&mut self, to: Target, call: Call, frame: Vec<u8>, scope: Scope) {
        let (ticket, granted) = self.intents.enqueue(scope);
        assert!(!granted, "a command is parked only when it meets an intent");
        self.waiting.insert(ticket, Waiting::Command { to, call, frame });
    }

    /// Gives a ticket up and runs everything that this lets through.
    pub(super) fn release(&mut self, core: &mut Core, ticket: Ticket, steps: &mut Vec<Step>) {
        let mut granted = self.intents.release(ticket);
        while !granted.is_empty() {
            let mut next = Vec::new();
            for ticket in granted {
                let Some(waiting) = self.waiting.remove(&ticket) else { continue };
                if self.run(core, ticket, waiting, steps) {
                    next.extend(self.intents.release(ticket));
                }
            }
            granted = next;
        }
    }

    /// Runs what was granted. True when its intents can go at once.
    fn run(&mut self, core: &mut Core, ticket: Ticket, waiting: Waiting, steps: &mut Vec<Step>) -> bool {
        match waiting {
            Waiting::Command { to, call, frame } => {
                let id = read_frame(&frame, &mut self.spans);
                if may_run_script(id, Argv::new(&frame, &self.spans)) {
                    steps.push(Step::RunParked(ticket, to, call, frame));
                    return false;
                }
                let reply = self.run_frame(core, call, &frame, execute_frame);
                steps.push(Step::Reply(to, reply));
                true
            }
            Waiting::Scattered { txn, call, frame } => {
                self.run_scattered(core, txn, call, &frame, steps);
                true
            }
            Waiting::Part { txn, part } => {
                let holds_flush = matches!(part.work, Work::Run(_));
                let Part { work, call, .. } = part;
                let outcome = self.keep_entries(core, txn, |this, core| this.perform(core, call, work));
                if holds_flush {
                    core.hold_flush(txn);
                }
                self.report(txn, outcome, steps);
                false
            }
        }
    }

    fn run_scattered(&mut self, core: &mut Core, txn: TxnId, call: Call, frame: &[u8], steps: &mut Vec<Step>) {
        let outcome = Outcome::Reply(self.run_frame(core, call, frame, execute_part));
        self.report(txn, outcome, steps);
    }

    /// Tells the coordinator what came of a part.
    fn report(&self, txn: TxnId, outcome: Outcome, steps: &mut Vec<Step>) {
        let done = TxnMessage::Done { txn, participant: self.id, outcome, wrote: self.wrote(txn) };
        steps.push(Step::Send(txn.coordinator(), done));
    }

    /// Does a participant's work under its intents.
    fn perform(&mut self, core: &mut Core, call: Call, work: Work) -> Outcome {
        match work {
            Work::Run(frame) => Outcome::Reply(self.run_frame(core, call, &frame, execute_part)),
            Work::RunAll(frames) => {
                let run = |(call, frame): (Call, Vec<u8>)| self.run_frame(core, call, &frame, execute_merged);
                Outcome::Replies(frames.into_iter().map(run).collect())
            }
            Work::Fetch(fetches) => {
                core.acting_client = call.client_id;
                if call.tracks {
                    fetches.iter().for_each(|fetch| core.remember_read(&fetch.key, call.client_id));
                }
                Outcome::Values(fetches.iter().map(|fetch| fetch_one(core, fetch)).collect())
            }
            Work::Vote(client) => Outcome::Vote(watch::failed(core, client)),
        }
    }

    fn run_frame(&mut self, core: &mut Core, call: Call, frame: &[u8], run: Run) -> Vec<u8> {
        let id = read_frame(frame, &mut self.spans);
        let mut reply = ReplyBuf::new(call.protocol);
        run(core, call, id, Argv::new(frame, &self.spans), &mut reply);
        reply.into_bytes()
    }

    fn done(
        &mut self,
        core: &mut Core,
        txn: TxnId,
        participant: ShardId,
        (outcome, wrote): (Outcome, bool),
        steps: &mut Vec<Step>,
    ) {
        let coordination = self.coordinating.get_mut(&txn).expect("parts report to a coordinator that waits for them");
        let at = coordination.participants.iter().position(|shard| *shard == participant);
        let at = at.expect("only participants report");
        assert!(coordination.outcomes[at].replace(outcome).is_none(), "a part reports once");
        coordination.missing -= 1;
        if wrote {
            coordination.wrote.push(participant);
        }
        if coordination.missing > 0 {
            return;
        }
        let mut coordination = self.coordinating.remove(&txn).expect("it was there above");
        let outcomes: Vec<Outcome> = std::mem::take(&mut coordination.outcomes).into_iter().flatten().collect();
        if matches!(coordination.assembly, Assembly::Exec) {
            steps.push(Step::Resume(txn, outcomes, coordination.wrote));
            return;
        }
        let id = read_frame(&coordination.frame, &mut self.spans);
        let argv = Argv::new(&coordination.frame, &self.spans);
        let mut reply = ReplyBuf::new(coordination.call.protocol);
        let mut waiter = WaiterNews::Nothing;
        let mut then = Vec::new();
        let finishes = match &coordination.assembly {
            Assembly::Merge { merge, owners } => {
                merge_outcomes(core, *merge, (id, argv), &outcomes, owners, &mut reply);
                coordination.participants.iter().map(|_| Finish::default()).collect()
            }
            Assembly::Scatter(merge) => {
                merge_outcomes(core, *merge, (id, argv), &outcomes, &[], &mut reply);
                Vec::new()
            }
            Assembly::Gather if id.info().flags.contains(Flags::RUNS_SCRIPTS) => {
                let Coordination { to, call, frame, participants, fetches, wrote, .. } = coordination;
                let script = GatheredScript { txn, to, call, frame, participants, fetches, outcomes, wrote };
                steps.push(Step::RunGathered(Box::new(script)));
                return;
            }
            Assembly::Gather => {
                let call = coordination.call;
                // A client that has gone, or was told to wait no more, takes nothing: the values go home as they came.
                let wanted = match coordination.retry_of {
                    Some(waiter) => {
                        core.clients.waits(call.client_id, waiter) || core.is_wrong_by(Fault::ServedThoughGone)
                    }
                    None if id.info().flags.contains(Flags::BLOCKING) => {
                        core.clients.session_of(call.client_id).is_some()
                    }
                    None => true,
                };
                let gathered = Gathered { fetches: &coordination.fetches, outcomes, wanted };
                let finishes = gathered.run(core, &mut self.overlay, call, id, argv, &mut reply);
                let wait = core.wait.take();
                waiter = match (coordination.retry_of, wait) {
                    (None, None) => WaiterNews::Nothing,
                    (None, Some(wait)) => {
                        let keys = wait.keys.clone();
                        let waiter = Waiter { id: txn, awaited: wait.awaited };
                        then.push(Step::Block(Box::new(Block {
                            id: txn,
                            to: coordination.to,
                            call,
                            frame: wait.retry.unwrap_or_else(|| std::mem::take(&mut coordination.frame)),
                            owners: coordination.participants.clone(),
                            deadline_ms: wait.deadline_ms,
                        })));
                        WaiterNews::Waits { waiter, db: call.db, keys }
                    }
                    (Some(id), Some(_)) => {
                        then.push(Step::Tried(id, None));
                        WaiterNews::Stays(id)
                    }
                    (Some(id), None) => {
                        then.push(Step::Tried(
                            id,
                            Some(std::mem::replace(&mut reply, ReplyBuf::new(call.protocol)).into_bytes()),
                        ));
                        WaiterNews::Gone(id)
                    }
                };
                finishes
            }
            Assembly::Exec => unreachable!("an EXEC goes on above"),
        };
        if waiter == WaiterNews::Nothing {
            then.push(Step::Reply(Target { shard: self.id, to: coordination.to }, reply.into_bytes()));
        }
        if matches!(coordination.assembly, Assembly::Scatter(_)) {
            steps.extend(then);
            return;
        }
        let news = |participant: &ShardId| {
            let forgotten = *participant != coordination.participants[0] && core.is_wrong_by(Fault::HalfRegistered);
            if forgotten { WaiterNews::Nothing } else { waiter.clone() }
        };
        let conclusion = Conclusion {
            txn,
            client_id: coordination.call.client_id,
            waiters: coordination.participants.iter().map(news).collect(),
            finishes: coordination.participants.iter().copied().zip(finishes).collect(),
            wrote: coordination.wrote,
            then,
        };
        self.conclude(core, conclusion, steps);
    }
}

/// Sends a transaction to the sequencer. One with a single participant needs no order among shards: it waits and holds in one place, so it cannot be part
/// of a circle.
fn sequence(txn: TxnId, mut parts: Vec<(ShardId, Part)>, steps: &mut Vec<Step>) {
    if parts.len() == 1
        && let Some((participant, part)) = parts.pop()
    {
        steps.push(Step::Send(participant, TxnMessage::Begin { txn, part }));
    } else {
        steps.push(Step::Send(SEQUENCER, TxnMessage::Sequence { txn, parts }));
    }
}

/// Puts values in place and tells what happened to them.
fn store(core: &mut Core, client_id: u64, finish: Finish) {
    core.acting_client = client_id;
    let Finish { writes, effects, .. } = finish;
    for Write { db, key, value } in writes {
        if let Some(value) = value {
            super::cx::ShardCx::new(core, Call::internal(db)).attach_quietly(db, &key, value);
            // Whoever looked for it while it was away saw nothing and does not look again by itself.
            core.attention |= core.waiters.touched(db, &key);
        }
    }
    for effect in effects {
        core.changed_elsewhere(&effect);
    }
}

/// The shards that something goes to.
fn shards_of<T>(parts: &[(ShardId, T)]) -> Vec<ShardId> {
    parts.iter().map(|(shard, _)| *shard).collect()
}

/// One reply out of those of all parts. The command is counted as the one that it is.
pub(super) fn merge_outcomes(
    core: &mut Core,
    merge: Merge,
    (id, argv): (CommandId, Argv<'_>),
    outcomes: &[Outcome],
    owners: &[usize],
    reply: &mut ReplyBuf,
) {
    let parts: Vec<&[u8]> = outcomes.iter().map(Outcome::reply).collect();
    merge::merge(merge, argv, &parts, owners, reply);
    count_merged(core, id, reply.as_bytes());
}

/// How a frame is run: as a command, or as a part of one.
pub(super) type Run = fn(&mut Core, Call, CommandId, Argv<'_>, &mut ReplyBuf);

/// A key that a participant hands over.
fn fetch_one(core: &mut Core, fetch: &Fetch) -> Option<Detached> {
    let mut cx = super::cx::ShardCx::new(core, Call::internal(fetch.db));
    if fetch.take { cx.detach(fetch.db, &fetch.key) } else { cx.duplicate(fetch.db, &fetch.key) }
}

/// Values that were fetched from their owners, for a command that needs them in one place.
#[derive(Debug)]
pub struct Gathered<'g> {
    /// What each participant was to hand over.
    pub fetches: &'g [Vec<Fetch>],
    /// What they handed over.
    pub outcomes: Vec<Outcome>,
    /// The command is to run; else the values go home untouched.
    pub wanted: bool,
}

impl Gathered<'_> {
    /// Runs a command on the values: for its time they are this shard's keyspace, so that its handler is the one that also runs when all keys are local.
    /// Returns what each participant has to store, tell and log.
    pub fn run(
        self,
        core: &mut Core,
        overlay: &mut Keyspace,
        call: Call,
        id: CommandId,
        argv: Argv<'_>,
        reply: &mut ReplyBuf,
    ) -> Vec<Finish> {
        let Gathered { fetches, outcomes, wanted } = self;
        // The keys' owners have remembered who reads them.
        let call = Call { tracks: false, ..call };
        std::mem::swap(&mut core.keyspace, overlay);
        let listening = std::mem::replace(&mut core.effects, EffectSink::Capture(Vec::new()));
        core.listen_anew();
        let outer = core.journal.begin_gathered();
        for (fetches, outcome) in fetches.iter().zip(outcomes) {
            let Outcome::Values(values) = outcome else { unreachable!("a gathered part hands values over") };
            for (fetch, value) in fetches.iter().zip(values) {
                let Some(value) = value else { continue };
                let hash = core.keyspace.hash(&fetch.key);
                let (database, seeds) = core.keyspace.database_mut(usize::from(fetch.db));
                database.attach(hash, &fetch.key, value, seeds);
            }
        }
        if wanted {
            let keys = fetches.iter().flatten().map(|fetch| (fetch.db, fetch.key.clone()));
            core.gathered = Some(keys.collect());
            execute(core, call, id, argv, reply);
            core.gathered = None;
        }
        let EffectSink::Capture(effects) = std::mem::replace(&mut core.effects, listening) else {
            unreachable!("nobody else changes where effects go");
        };
        core.listen_anew();
        let homeward = core.journal.end_gathered(outer);
        let mut finishes: Vec<Finish> = Vec::with_capacity(fetches.len());
        for fetches in fetches {
            let (mut writes, mut journal) = (Vec::new(), Vec::new());
            for fetch in fetches {
                // Copies go too: the overlay is empty again afterwards.
                let value = take_back(core, fetch);
                if fetch.take {
                    homeward.entries_of(fetch.db, &fetch.key, value.as_ref(), &mut journal);
                    writes.push(Write { db: fetch.db, key: fetch.key.clone(), value });
                }
            }
            let is_of = |effect: &Effect| fetches.iter().any(|fetch| fetch.db == effect.db && fetch.key == effect.key);
            let effects = effects.iter().filter(|effect| is_of(effect)).cloned().collect();
            finishes.push(Finish { writes, effects, journal });
        }
        debug_assert!(core.keyspace.is_empty(), "a gathered command made a key that it did not declare");
        std::mem::swap(&mut core.keyspace, overlay);
        finishes
    }
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
    if id == CommandId::Exec {
        return super::exec::scope_of_batch(argv);
    }
    if id.info().flags.contains(Flags::RUNS_SCRIPTS) {
        // It may touch keys of its shard that it does not declare.
        let may_write = id.info().key_groups.iter().any(|group| group.access == Access::Write);
        return Scope::Whole(if may_write { Mode::Exclusive } else { Mode::Shared });
    }
    let mut keys: Vec<(KeyMark, Mode)> = Vec::new();
    let parsed = crate::table::keys(id, argv, &mut |index, access| {
        if let Some(key) = argv.get(index) {
            keys.push((KeyMark::of(key), super::plan::mode_of(access)));
        }
    });
    match parsed {
        Ok(()) if !keys.is_empty() => Scope::of_keys(keys),
        // SCAN and whatever else looks at keys it does not name.
        _ => Scope::Whole(super::plan::mode_of(id.info().access)),
    }
}
