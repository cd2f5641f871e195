//! EXEC: a client's queued commands as one transaction.
//!
//! Owns: where a transaction runs and how its replies come together. Refuses to know: what its commands mean, how intents are granted.
//! Start at [`Shard::exec`], which takes the shortest of three ways:
//!
//! - all keys, and all watched keys, are here: the commands run at once, in this tick;
//! - all are on one other shard: the queue travels there as one frame of EXEC and runs in one tick ([`run_batch`]);
//! - else the keys are held under intents, the owners of watched keys vote, and the commands run in *steps*: neighbouring commands of one shard each are one
//!   step on all shards together; a command over several shards is a step of its own. Nobody sees the keys before the last step.

use super::busy::replied;
use super::commit::Conclusion;
use super::execute::{count, execute_merged};
use super::intents::{KeyMark, Mode, Scope};
use super::message::{
    Call, Fetch, Finish, Outcome, Part, ReplyTo, ShardId, TxnId, TxnMessage, WaiterNews, Work, read_frame,
    write_request,
};
use super::plan::{Assembly, Plan, plan};
use super::session::Session;
use super::transaction::{Gathered, Step, Target, merge_outcomes, scope_of};
use super::watch;
use super::{Flow, Shard};
use crate::argv::{Argv, ArgvBuf, Span};
use crate::error::CommandError;
use crate::keyspace::{DATABASES, Keyspace};
use crate::limits;
use crate::reply::ReplyBuf;
use crate::resp::number::parse_i64;
use crate::shard::clients::{Multi, ReplyMode};
use crate::shard::core::Core;
use crate::table::{CommandId, Flags, Merge, Route};

/// The first word of an EXEC that travels: something is watched where it runs.
const WATCHED: &[u8] = b"w";
const UNWATCHED: &[u8] = b"";

/// An EXEC in steps.
#[derive(Debug)]
pub(super) struct Run {
    session: u32,
    generation: u32,
    to: ReplyTo,
    call: Call,
    multi: Box<Multi>,
    /// The database of each command, as SELECT among them leaves it.
    dbs: Vec<u8>,
    /// The next command.
    next: usize,
    replies: ReplyBuf,
    participants: Vec<ShardId>,
    /// Those that have something to log.
    wrote: Vec<ShardId>,
    step: RunStep,
}

/// What a step's outcomes are to be made of.
#[derive(Debug)]
enum RunStep {
    /// The owners of watched keys have voted.
    Vote,
    /// Commands of one shard each: for each of them, in order, the part that ran it.
    Batch(Vec<usize>),
    /// One command in parts; `owners` as in [`Assembly::Merge`].
    Merge { merge: Merge, owners: Vec<usize> },
    /// One command that needs the values here.
    Gather { fetches: Vec<Vec<Fetch>>, from: Vec<ShardId> },
}

/// Where the commands of a transaction have to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Wherever the client is.
    Anywhere,
    /// On one shard.
    One(ShardId),
    /// On several, or as a command over several shards.
    Several,
}

impl Reach {
    fn and(self, shard: ShardId) -> Self {
        match self {
            Self::Anywhere => Self::One(shard),
            Self::One(other) if other == shard => self,
            _ => Self::Several,
        }
    }
}

impl Shard {
    /// Runs a client's transaction. Everything the client asked for before has been answered.
    pub(super) fn exec(&mut self, index: u32, session: &mut Session, call: Call) -> Flow {
        let client = self.core.clients.of(index);
        let Some(multi) = client.leave_multi() else { return Flow::Next };
        if multi.aborted {
            self.core.unwatch(index);
            let error = CommandError::Text("EXECABORT Transaction discarded because of previous errors.");
            self.refuse_here(index, session, call.protocol, &error);
            return Flow::Next;
        }
        let call = Call { nested: true, ..call };
        let (dbs, mut reach, on_session) = self.reach_of(&multi, call);
        let client = self.core.clients.of(index);
        client.watching_bytes = 0;
        let watching = std::mem::take(&mut client.watching);
        for (db, key) in &watching {
            reach = reach.and(self.core.routing.owner(*db, key));
        }
        let here = self.core.id;
        match reach {
            Reach::Anywhere => self.exec_here(index, session, call, multi, dbs, false),
            Reach::One(owner) if owner == here => {
                if self.is_saving() {
                    for ((id, frame), db) in multi.commands().zip(&dbs) {
                        let mut spans = Vec::new();
                        read_frame(frame, &mut spans);
                        self.transactions.guard(&mut self.core, *db, id, Argv::new(frame, &spans));
                    }
                }
                let free = self.transactions.intents.is_empty() || {
                    let scopes = self.scopes_of(&multi, &dbs, &watching, call);
                    scopes.iter().all(|(_, scope)| !self.transactions.intents.scope_conflicts(scope))
                };
                if free {
                    self.exec_here(index, session, call, multi, dbs, !watching.is_empty());
                } else {
                    self.exec_in_steps(index, session, call, multi, dbs, &watching);
                }
            }
            Reach::One(owner) if !on_session => {
                let mut words = ArgvBuf::new();
                words.push(if watching.is_empty() { UNWATCHED } else { WATCHED });
                let mut word = Vec::new();
                for ((_, frame), db) in multi.commands().zip(&dbs) {
                    word.clear();
                    word.push(*db);
                    word.extend_from_slice(frame);
                    words.push(&word);
                }
                let discard = self.discards_reply(index);
                let to = session.await_reply(index, discard);
                session.barrier = true;
                write_request(&mut self.outboxes[owner].requests, to, call, CommandId::Exec, words.as_argv());
                self.congested |= self.outboxes[owner].requests.len() > limits::BATCH_BYTES_MAX;
                self.core.stats.forwarded_commands += 1;
            }
            Reach::One(_) | Reach::Several => self.exec_in_steps(index, session, call, multi, dbs, &watching),
        }
        Flow::Next
    }

    /// The database of each command, where they run, and whether some are about the connection itself.
    fn reach_of(&mut self, multi: &Multi, call: Call) -> (Vec<u8>, Reach, bool) {
        let mut spans = std::mem::take(&mut self.spans);
        let (mut db, mut dbs) = (call.db, Vec::with_capacity(multi.ends.len()));
        let (mut reach, mut on_session) = (Reach::Anywhere, false);
        for (_, frame) in multi.commands() {
            let id = read_frame(frame, &mut spans);
            let argv = Argv::new(frame, &spans);
            dbs.push(db);
            if id == CommandId::Select {
                let selected = argv.get(0).and_then(parse_i64).and_then(|db| usize::try_from(db).ok());
                db = selected.filter(|db| *db < DATABASES).map_or(db, |selected| selected as u8);
            }
            match plan(id, argv, Call { db, ..call }, &self.core.routing) {
                Plan::Here => {}
                Plan::Session => on_session = true,
                Plan::One(owner) => reach = reach.and(owner),
                // With one shard, and what is told to others by notes, a scattered command runs in its place.
                Plan::Scatter(_) if id.info().flags.contains(Flags::MAY_REPLICATE) => {}
                Plan::Scatter(_) | Plan::Several(_) => reach = Reach::Several,
            }
        }
        self.spans = spans;
        (dbs, reach, on_session)
    }

    /// What a transaction touches on each shard.
    fn scopes_of(
        &mut self,
        multi: &Multi,
        dbs: &[u8],
        watching: &[(u8, Box<[u8]>)],
        call: Call,
    ) -> Vec<(ShardId, Scope)> {
        let mut spans = std::mem::take(&mut self.spans);
        let mut scopes: Vec<(ShardId, Scope)> = Vec::new();
        let mut add = |shard: ShardId, scope: Scope| match scopes.iter_mut().find(|(known, _)| *known == shard) {
            Some((_, known)) => known.join(scope),
            None => scopes.push((shard, scope)),
        };
        for ((_, frame), db) in multi.commands().zip(dbs) {
            let id = read_frame(frame, &mut spans);
            let argv = Argv::new(frame, &spans);
            match plan(id, argv, Call { db: *db, ..call }, &self.core.routing) {
                Plan::One(owner) => add(owner, scope_of(id, argv)),
                Plan::Several(transaction) => {
                    transaction.parts.into_iter().for_each(|(shard, part)| add(shard, part.scope));
                }
                Plan::Here | Plan::Session | Plan::Scatter(_) => {}
            }
        }
        for (db, key) in watching {
            add(self.core.routing.owner(*db, key), Scope::Keys(vec![(KeyMark::of(key), Mode::Shared)]));
        }
        self.spans = spans;
        scopes
    }

    /// Runs a transaction whose keys are all here.
    fn exec_here(
        &mut self,
        index: u32,
        session: &mut Session,
        call: Call,
        multi: Box<Multi>,
        dbs: Vec<u8>,
        watched: bool,
    ) {
        count(&mut self.core, CommandId::Exec);
        if multi.commands().any(|(id, _)| id.info().flags.contains(Flags::RUNS_SCRIPTS)) {
            let product = self.run_unit(move |core| {
                replied(call, Vec::new(), |reply| {
                    // QUIT is never queued, so nothing here closes the connection.
                    run_queue(core, index, call, &multi, &dbs, watched, reply);
                })
            });
            self.reply_later(index, session, call, product);
            return;
        }
        let mode = self.core.clients.of(index).reply_mode;
        let core = &mut self.core;
        let mut closing = false;
        let write = |reply: &mut ReplyBuf| closing = run_queue(core, index, call, &multi, &dbs, watched, reply);
        session.reply_here(call.protocol, |()| mode == ReplyMode::On, write);
        session.closing |= closing;
        self.after_reply(index, mode);
    }

    /// Runs a transaction under intents.
    fn exec_in_steps(
        &mut self,
        index: u32,
        session: &mut Session,
        call: Call,
        multi: Box<Multi>,
        dbs: Vec<u8>,
        watching: &[(u8, Box<[u8]>)],
    ) {
        count(&mut self.core, CommandId::Exec);
        self.core.stats.multi_shard_commands += 1;
        let scopes = self.scopes_of(&multi, &dbs, watching, call);
        // Values that it has read and then changed, channels that it begins to listen to: the client hears of either behind the reply.
        session.hold_pushes();
        let discard = self.discards_reply(index);
        let to = session.await_reply(index, discard);
        session.barrier = true;
        let mut replies = ReplyBuf::new(call.protocol);
        replies.array(multi.ends.len());
        let mut run = Run {
            session: index,
            generation: session.generation,
            to,
            call,
            multi,
            dbs,
            next: 0,
            replies,
            participants: scopes.iter().map(|(shard, _)| *shard).collect(),
            wrote: Vec::new(),
            step: RunStep::Vote,
        };
        // Without votes the first step goes with the intents, when it is one that every shard can begin by itself.
        let mut first = if watching.is_empty() { self.batch(&mut run) } else { Vec::new() };
        let parts: Vec<(ShardId, Part)> = scopes
            .into_iter()
            .map(|(shard, scope)| {
                let at = first.iter().position(|(owner, _)| *owner == shard);
                let share = at.map_or_else(Vec::new, |at| first.swap_remove(at).1);
                // Only who watches asks for votes: what it watched before, an owner may not have forgotten yet.
                let work = if watching.is_empty() { Work::RunAll(share) } else { Work::Vote(call.client_id) };
                (shard, Part { scope, work, call })
            })
            .collect();
        // The parts report in the order of the participants, whoever has something to run.
        if let RunStep::Batch(order) = &mut run.step {
            let ran: Vec<ShardId> = run.participants.clone();
            for part in order.iter_mut() {
                *part = ran.iter().position(|shard| shard == part).unwrap_or(0);
            }
        }
        if parts.is_empty() {
            // Nothing but commands that run anywhere, and some that concern other shards without touching keys.
            let txn = self.transactions.fresh_id();
            self.execs.insert(txn, run);
            self.steps.push(Step::Resume(txn, Vec::new(), Vec::new()));
        } else {
            let txn = self.transactions.begin_exec(to, call, parts, &mut self.steps);
            self.execs.insert(txn, run);
        }
    }

    /// The next commands that run on one shard each, by shard; sets the run's step, whose parts are named by their shard.
    fn batch(&mut self, run: &mut Run) -> Vec<(ShardId, Vec<(Call, Vec<u8>)>)> {
        let mut spans = std::mem::take(&mut self.spans);
        let mut shares: Vec<(ShardId, Vec<(Call, Vec<u8>)>)> = Vec::new();
        let mut order = Vec::new();
        for ((_, frame), db) in run.multi.commands().zip(&run.dbs).skip(run.next) {
            let id = read_frame(frame, &mut spans);
            let argv = Argv::new(frame, &spans);
            let call = Call { db: *db, protocol: run.replies.protocol(), ..run.call };
            let Plan::One(owner) = plan(id, argv, call, &self.core.routing) else { break };
            // Parts of a step run side by side, which only keys cannot tell. CLIENT UNBLOCK is about a client, who may wait for a key of another part.
            let alone = matches!(id.info().route, Route::Custom(_));
            if alone && !order.is_empty() {
                break;
            }
            match shares.iter_mut().find(|(shard, _)| *shard == owner) {
                Some((_, share)) => share.push((call, frame.to_vec())),
                None => shares.push((owner, vec![(call, frame.to_vec())])),
            }
            order.push(owner);
            if alone {
                break;
            }
        }
        self.spans = spans;
        if !order.is_empty() {
            run.next += order.len();
            run.step = RunStep::Batch(order);
        }
        shares
    }

    /// Goes on with an EXEC whose step is done.
    pub(super) fn resume_exec(&mut self, txn: TxnId, outcomes: Vec<Outcome>, wrote: Vec<ShardId>) {
        let Some(mut run) = self.execs.remove(&txn) else { unreachable!("an EXEC that is under way is kept") };
        run.wrote_too(wrote);
        let failed = outcomes.iter().any(|outcome| matches!(outcome, Outcome::Vote(true)));
        if failed {
            run.replies.truncate(0);
            run.replies.null_array();
            self.finish_exec(txn, run);
            return;
        }
        match std::mem::replace(&mut run.step, RunStep::Vote) {
            RunStep::Vote => {}
            RunStep::Batch(order) => {
                let mut parts: Vec<_> = outcomes
                    .into_iter()
                    .map(|outcome| match outcome {
                        Outcome::Replies(replies) => replies.into_iter(),
                        _ => Vec::new().into_iter(),
                    })
                    .collect();
                for part in order {
                    let reply = parts[part].next().expect("a participant replies to each of its commands");
                    run.append(&reply);
                }
            }
            RunStep::Merge { merge, owners } => {
                let frame = run.frame(run.next - 1).to_vec();
                let id = read_frame(&frame, &mut self.spans);
                let command = (id, Argv::new(&frame, &self.spans));
                let mut reply = ReplyBuf::new(run.replies.protocol());
                merge_outcomes(&mut self.core, merge, command, &outcomes, &owners, &mut reply);
                run.append(reply.as_bytes());
            }
            RunStep::Gather { fetches, from } => {
                let frame = run.frame(run.next - 1).to_vec();
                let id = read_frame(&frame, &mut self.spans);
                let call = run.call_of(run.next - 1);
                let mut reply = ReplyBuf::new(call.protocol);
                let gathered = Gathered { fetches: &fetches, outcomes, wanted: true };
                let mut overlay = Keyspace::new(self.core.keyspace.seeds().clone());
                let argv = Argv::new(&frame, &self.spans);
                let finishes = gathered.run(&mut self.core, &mut overlay, call, id, argv, &mut reply);
                run.append(reply.as_bytes());
                for (shard, finish) in from.into_iter().zip(finishes) {
                    if !finish.journal.is_empty() {
                        run.wrote_too(vec![shard]);
                    }
                    let message = TxnMessage::Store { txn, client_id: call.client_id, finish };
                    self.steps.push(Step::Send(shard, message));
                }
            }
        }
        self.advance_exec(txn, run);
    }

    /// Runs the next commands of an EXEC until some have to run elsewhere.
    fn advance_exec(&mut self, txn: TxnId, mut run: Run) {
        while run.next < run.multi.ends.len() {
            let shares = self.batch(&mut run);
            if !shares.is_empty() {
                let mut messages = Vec::with_capacity(shares.len());
                if let RunStep::Batch(order) = &mut run.step {
                    for part in order.iter_mut() {
                        *part = shares.iter().position(|(shard, _)| shard == part).unwrap_or(0);
                    }
                }
                for (shard, frames) in shares {
                    messages.push((shard, TxnMessage::Step { txn, work: Work::RunAll(frames), call: run.call }));
                }
                return self.step_exec(txn, run, messages);
            }
            let at = run.next;
            run.next += 1;
            let frame = run.frame(at).to_vec();
            let mut spans = Vec::<Span>::new();
            let id = read_frame(&frame, &mut spans);
            let argv = Argv::new(&frame, &spans);
            let call = run.call_of(at);
            match plan(id, argv, call, &self.core.routing) {
                Plan::Session => self.run_session_step(&mut run, id, argv),
                Plan::Several(transaction) => {
                    let from: Vec<ShardId> = transaction.parts.iter().map(|(shard, _)| *shard).collect();
                    run.step = match transaction.assembly {
                        Assembly::Merge { merge, owners } => RunStep::Merge { merge, owners },
                        _ => RunStep::Gather {
                            fetches: transaction.parts.iter().map(|(_, part)| part.fetches()).collect(),
                            from,
                        },
                    };
                    let messages = transaction
                        .parts
                        .into_iter()
                        .map(|(shard, part)| (shard, TxnMessage::Step { txn, work: part.work, call: part.call }))
                        .collect();
                    return self.step_exec(txn, run, messages);
                }
                Plan::Scatter(merge) if !id.info().flags.contains(Flags::MAY_REPLICATE) => {
                    let audience = self.audience(id, argv);
                    run.step = RunStep::Merge { merge, owners: Vec::new() };
                    let message = |shard| (shard, TxnMessage::Scatter { txn, call, frame: frame.clone() });
                    let messages = audience.into_iter().map(message).collect();
                    return self.step_exec(txn, run, messages);
                }
                Plan::Here | Plan::One(_) | Plan::Scatter(_) => {
                    let mut reply = ReplyBuf::new(call.protocol);
                    execute_merged(&mut self.core, call, id, argv, &mut reply);
                    run.append(reply.as_bytes());
                }
            }
        }
        self.finish_exec(txn, run);
    }

    fn step_exec(&mut self, txn: TxnId, run: Run, messages: Vec<(ShardId, TxnMessage)>) {
        let (to, call) = (run.to, run.call);
        self.execs.insert(txn, run);
        self.transactions.step_exec(txn, to, call, messages, &mut self.steps);
    }

    /// A command about the connection, in an EXEC in steps. A client that has gone meanwhile needs none.
    fn run_session_step(&mut self, run: &mut Run, id: CommandId, argv: Argv<'_>) {
        let alive = self.session(run.session).is_some_and(|session| session.generation == run.generation);
        if !alive {
            return;
        }
        let mark = run.replies.len();
        let after = super::session_command(&mut self.core, run.session, id, argv, true, &mut run.replies);
        bound_reply(0, mark, &mut run.replies);
        if let Some(session) = &mut self.sessions[run.session as usize] {
            session.closing |= after.closing;
        }
        let protocol = self.core.clients.of(run.session).protocol;
        run.replies.set_protocol(protocol);
    }

    fn finish_exec(&mut self, txn: TxnId, run: Run) {
        let target = Target { shard: self.core.id, to: run.to };
        let conclusion = Conclusion {
            txn,
            client_id: run.call.client_id,
            waiters: vec![WaiterNews::Nothing; run.participants.len()],
            finishes: run.participants.into_iter().map(|shard| (shard, Finish::default())).collect(),
            wrote: run.wrote,
            then: vec![Step::Reply(target, run.replies.into_bytes())],
        };
        self.transactions.conclude(&self.core, conclusion, &mut self.steps);
    }
}

impl Run {
    fn frame(&self, at: usize) -> &[u8] {
        self.multi.frame(at)
    }

    fn call_of(&self, at: usize) -> Call {
        Call { db: self.dbs[at], protocol: self.replies.protocol(), ..self.call }
    }

    fn wrote_too(&mut self, wrote: Vec<ShardId>) {
        for shard in wrote {
            if !self.wrote.contains(&shard) {
                self.wrote.push(shard);
            }
        }
    }

    fn append(&mut self, reply: &[u8]) {
        let mark = self.replies.len();
        self.replies.bytes_mut().extend_from_slice(reply);
        bound_reply(0, mark, &mut self.replies);
    }
}

/// Runs queued commands, all of whose keys are here, for a client of this shard. True when the connection is to be closed.
fn run_queue(
    core: &mut Core,
    index: u32,
    call: Call,
    multi: &Multi,
    dbs: &[u8],
    watched: bool,
    reply: &mut ReplyBuf,
) -> bool {
    if watched && watch::failed(core, call.client_id) {
        reply.null_array();
        return false;
    }
    reply.array(multi.ends.len());
    core.journal.begin_unit();
    let (start, mut closing) = (reply.len(), false);
    let mut spans = Vec::new();
    for ((id, frame), db) in multi.commands().zip(dbs) {
        read_frame(frame, &mut spans);
        let argv = Argv::new(frame, &spans);
        let mark = reply.len();
        if id.info().route == Route::Connection {
            closing |= super::session_command(core, index, id, argv, true, reply).closing;
        } else {
            let protocol = core.clients.of(index).protocol;
            reply.set_protocol(protocol);
            execute_merged(core, Call { db: *db, protocol, ..call }, id, argv, reply);
        }
        bound_reply(start, mark, reply);
    }
    core.journal.end_unit();
    closing
}

/// Replaces what stands behind `mark` by an error when the replies of one transaction would become too many bytes. The command has run all the same.
fn bound_reply(start: usize, mark: usize, reply: &mut ReplyBuf) {
    if reply.len() - start > limits::REPLY_BYTES_MAX {
        reply.truncate(mark);
        reply.error(&CommandError::TooLarge("reply of EXEC", limits::REPLY_BYTES_MAX));
    }
}

/// Runs an EXEC that came from another shard, or waited for its intents, with all its keys here.
pub(super) fn run_batch(core: &mut Core, call: Call, argv: Argv<'_>, reply: &mut ReplyBuf) {
    count(core, CommandId::Exec);
    if argv.get(0) == Some(WATCHED) && watch::failed(core, call.client_id) {
        reply.null_array();
        return;
    }
    reply.array(argv.len() - 1);
    core.journal.begin_unit();
    let start = reply.len();
    let mut spans = Vec::new();
    for word in argv.iter().skip(1) {
        let (db, frame) = word.split_at(1);
        let id = read_frame(frame, &mut spans);
        let mark = reply.len();
        execute_merged(core, Call { db: db[0], ..call }, id, Argv::new(frame, &spans), reply);
        bound_reply(start, mark, reply);
    }
    core.journal.end_unit();
}

/// What an EXEC that travels touches where it runs.
pub(super) fn scope_of_batch(argv: Argv<'_>) -> Scope {
    let mut spans = Vec::new();
    let mut scope = Scope::Keys(Vec::new());
    for (_, frame) in frames_of_batch(argv) {
        let id = read_frame(frame, &mut spans);
        if id.info().route != Route::Any {
            scope.join(scope_of(id, Argv::new(frame, &spans)));
        }
    }
    scope
}

/// The commands of an EXEC that travels, each with its database.
pub(super) fn frames_of_batch(argv: Argv<'_>) -> impl Iterator<Item = (u8, &[u8])> {
    argv.iter().skip(1).filter_map(|word| word.split_first().map(|(db, frame)| (*db, frame)))
}
