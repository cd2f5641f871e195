//! The shard: a deterministic state machine, fed with messages, client bytes and a clock value.
//!
//! Owns: its keys, its sessions, its transactions, what waits for other shards. Refuses to know: sockets, threads, how envelopes travel, what time it is.
//! Start at [`Shard::run`] (a client's bytes) and [`Shard::receive`] (another shard's envelope). A driver calls, in turn:
//!
//! ```text
//! begin_tick(now) → { input(..), run(..) | receive(..) }* → end_tick(send) → take_dirty → output(..) of each → wrote(..)
//! ```
//! ARCHITECTURE.md, "The life of a request", tells the whole story.

mod attention;
pub mod blocking;
pub mod busy;
pub mod clients;
mod commit;
pub mod core;
pub mod cx;
mod exec;
pub mod execute;
pub mod fault;
pub mod gate;
mod guard;
mod hold;
pub mod intents;
pub mod journal;
pub mod loading;
pub mod merge;
pub mod message;
pub mod nested;
mod output;
mod peers;
pub mod places;
pub mod plan;
mod reloading;
pub mod replay;
pub mod route;
pub mod routing;
pub mod saving;
mod script;
pub mod session;
pub mod stats;
mod subscriber;
pub mod tracking;
pub mod transaction;
pub mod waiters;
pub mod watch;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use ahash::RandomState;
use corosensei::stack::DefaultStack;

use self::clients::{Client, Peer, ReplyMode};
use self::core::{Core, CoreOptions, EffectHook, EffectSink};
use self::execute::{count, execute_hot, refuse};
use self::message::{Call, Envelope, ShardId, TxnId, TxnMessage, frame_of, write_request};
use self::plan::{Plan, Transaction, plan_hot};
use self::routing::Routing;
use self::session::Session;
use self::transaction::{Step, Target, Transactions, scope_of};
use crate::argv::{Argv, Span};
use crate::config::Config;
use crate::error::CommandError;
use crate::handlers::session::SessionCx;
use crate::host::Host;
use crate::limits;
use crate::reply::{Protocol, ReplyBuf};
use crate::resp::decode::{DecodeLimits, Decoded};
use crate::table::{self, CommandId, Extensions, Flags, Resolved};

/// What a shard is made with.
pub struct ShardOptions {
    /// Its number.
    pub id: ShardId,
    /// How many shards there are.
    pub shards: usize,
    /// The routing seeds of the data directory, the same on every shard.
    pub seeds: RandomState,
    /// Seed of this shard's random numbers.
    pub random_seed: u64,
    /// Settings.
    pub config: Config,
    /// The process around.
    pub host: Arc<dyn Host>,
    /// The time now, Unix milliseconds.
    pub now_ms: u64,
    /// What kora-ext plugs in; commands of a group that is not there reply with an error.
    pub extensions: Extensions,
    /// Those that answer while a script is stuck and the others are with it: SCRIPT KILL and its kind.
    pub busy_extensions: Extensions,
}

/// What a command about the connection leaves to be done with it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AfterCommand {
    /// It is to be closed once its replies are out.
    pub(crate) closing: bool,
    /// What others keep for the client is to be forgotten, as if it had just connected.
    pub(crate) starts_afresh: bool,
}

/// What one turn of a command came to.
enum Flow {
    /// Go on with the next.
    Next,
    /// It may not start yet; it stays in the input.
    Wait,
}

/// One shard.
pub struct Shard {
    core: Box<Core>,
    /// What takes the core's place while a unit owns it.
    stand_in: Option<Box<Core>>,
    /// What the stand-in is to have; taken when there is one.
    busy_extensions: Option<Extensions>,
    /// The stack that the last unit ran on.
    script_stack: Option<DefaultStack>,
    /// A unit that runs for too long.
    aside: Option<busy::Aside>,
    transactions: Transactions,
    held: hold::Held,
    /// Transactions of clients of this shard that run in steps.
    execs: BTreeMap<TxnId, exec::Run>,
    /// Sessions that wait, by the waiter's name.
    blocked: BTreeMap<TxnId, u32>,
    /// Clients that went while replies to them were under way, and who watched keys: by session and generation.
    departed: BTreeMap<(u32, u32), attention::Departed>,
    /// When they give up, Unix milliseconds.
    deadlines: BTreeSet<(u64, TxnId)>,
    sessions: Vec<Option<Box<Session>>>,
    free: Vec<u32>,
    generations: u32,
    clients_made: u64,
    outboxes: Vec<Envelope>,
    to_self: VecDeque<TxnMessage>,
    /// Sessions to look at after the tick: output, closing, room for input.
    dirty: Vec<u32>,
    /// Sessions whose input may go on.
    resume: Vec<u32>,
    spans: Vec<Span>,
    steps: Vec<Step>,
    /// Some outbox is full: nothing new starts before the tick has ended.
    congested: bool,
    /// Buffers that came in envelopes and go out in others.
    spare: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard").field("core", &self.core).finish_non_exhaustive()
    }
}

impl Shard {
    /// An empty shard.
    pub fn new(options: ShardOptions) -> Self {
        let ShardOptions { id, shards, seeds, random_seed, config, host, now_ms, extensions, busy_extensions } =
            options;
        assert!(id < shards && shards <= route::SHARDS_MAX, "shard {id} of {shards}");
        let routing = Routing::new(seeds.clone(), shards, config.locality.clone(), config.pinned_databases);
        let mut shard = Self {
            transactions: Transactions::new(id, &seeds),
            held: hold::Held::default(),
            execs: BTreeMap::new(),
            blocked: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            departed: BTreeMap::new(),
            core: Box::new(Core::new(CoreOptions {
                id,
                routing,
                seeds,
                random_seed,
                config,
                host,
                now_ms,
                extensions,
            })),
            stand_in: None,
            busy_extensions: Some(busy_extensions),
            script_stack: None,
            aside: None,
            sessions: Vec::new(),
            free: Vec::new(),
            generations: 0,
            clients_made: 0,
            outboxes: (0..shards).map(|_| Envelope::default()).collect(),
            to_self: VecDeque::new(),
            dirty: Vec::new(),
            resume: Vec::new(),
            spans: Vec::new(),
            steps: Vec::new(),
            congested: false,
            spare: Vec::new(),
        };
        shard.core.listen_anew();
        shard
    }

    /// The part that commands work on, to look at.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// Calls `hook` for every change on this shard, in the order in which they happen.
    pub fn on_effect(&mut self, hook: EffectHook) {
        self.core.effects = EffectSink::Hook(hook);
        self.core.listen_anew();
    }

    /// Sets the clock. Time may stand still or jump; expiry goes by it.
    pub fn begin_tick(&mut self, now_ms: u64) {
        self.core.now_ms = now_ms;
        self.core.access_ms = now_ms;
        // The alarm may ring later than what this tick brings, a new pause among it.
        if self.core.paused.is_some_and(|pause| pause.until_ms <= now_ms) {
            self.end_pause();
        }
    }

    // ---- sessions -------------------------------------------------------------------------------------------------------

    /// Opens a session for a client.
    pub fn open(&mut self, peer: Peer) -> u32 {
        self.generations = self.generations.wrapping_add(1);
        let index = self.free.pop().unwrap_or_else(|| {
            self.sessions.push(None);
            self.sessions.len() as u32 - 1
        });
        self.sessions[index as usize] = Some(Box::new(Session::new(self.generations)));
        self.clients_made += 1;
        // Ids are unique in the process without asking anyone: each shard counts in its own residue class.
        let id = self.clients_made * self.core.shards as u64 + self.core.id as u64;
        let authenticated = self.core.config.requirepass.is_empty();
        self.core.clients.insert(index, Client::new(id, peer, authenticated, self.core.now_ms));
        index
    }

    /// Closes a session. Replies that are still on their way to it are dropped when they come.
    pub fn close(&mut self, session: u32) {
        if self.close_when_done(session) {
            return;
        }
        if let Some(mut open) = self.sessions[session as usize].take() {
            // The reply of a blocking command never comes; any other does.
            let awaited = open.awaited() - usize::from(open.blocked.is_some());
            self.leave_lines(&mut open);
            self.unwatch_departed(session, open.generation, awaited);
        }
        self.forget_tracking(session);
        self.client_gone(session);
        self.core.clients.remove(session);
        self.free.push(session);
        self.settle();
    }

    /// The buffer that a session's bytes are read into, behind what is there. [`Shard::run`] takes them from there.
    pub fn input(&mut self, session: u32) -> &mut Vec<u8> {
        let session = self.sessions[session as usize].as_mut().expect("the driver reads for open sessions only");
        if session.input.capacity() == 0 {
            session.input = self.spare.pop().unwrap_or_default();
        }
        // A large command grows its buffer by doubling, however much it announces.
        let room = limits::READ_BYTES.max(session.wanted.min(session.input.len().max(limits::READ_BYTES)));
        session.input.reserve(room);
        &mut session.input
    }

    /// Reads into a session's input with `read`; a buffer into which nothing came goes back to the shard.
    pub fn read_with<T>(&mut self, session: u32, read: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let outcome = read(self.input(session));
        let open = self.sessions[session as usize].as_mut().expect("the driver reads for open sessions only");
        if open.input.is_empty() {
            keep_spare(&mut self.spare, std::mem::take(&mut open.input));
        }
        outcome
    }

    /// True when more input is welcome: nothing is stalled and the client takes its replies.
    pub fn wants_input(&self, session: u32) -> bool {
        self.session(session).is_some_and(|session| {
            // A client that waits is read on, so that its going is noticed.
            let waits = session.blocked.is_some() && session.input.len() < limits::BLOCKED_INPUT_BYTES_MAX;
            (!session.stalled || waits) && !session.closing
        })
    }

    /// Bytes that wait for the socket. There may be more behind them: the session is dirty again when these were written.
    pub fn output(&mut self, session: u32) -> &mut Vec<u8> {
        self.sessions[session as usize].as_mut().expect("the driver writes for open sessions only").out.next()
    }

    /// Tells that `count` bytes at the front of the output were written and removed.
    pub fn wrote(&mut self, session: u32, count: usize) {
        self.core.stats.total_net_output_bytes += count as u64;
        let Some(open) = self.sessions[session as usize].as_deref_mut() else { return };
        open.taken_bytes += count as u64;
        self.core.clients.of(session).output_bytes = open.unsent_bytes();
        if open.out.is_empty() {
            // Idle sessions hold no buffers; the shard lends its own to whoever has something to say.
            let buffer = std::mem::take(open.out.buffer());
            keep_spare(&mut self.spare, buffer);
        } else if open.out.buffer().is_empty() && !open.listed {
            open.listed = true;
            self.dirty.push(session);
        }
        if open.stalled {
            // Later: what its commands log is to be written before anything that comes of them leaves.
            self.resume.push(session);
        }
    }

    /// True when the session is over: everything was answered and written, or its client is to go at once.
    pub fn is_over(&mut self, session: u32) -> bool {
        let Some(open) = self.sessions[session as usize].as_deref() else { return true };
        let client = self.core.clients.of(session);
        if open.overflowed {
            client.over = true;
            return true;
        }
        if open.unsent_bytes() > output_hard_limit_bytes(&self.core.config, client) {
            self.core.stats.output_limit_disconnections += 1;
            client.over = true;
            return true;
        }
        client.over = open.is_settled() && (client.kill || open.closing && open.out.is_empty());
        client.over
    }

    fn session(&self, session: u32) -> Option<&Session> {
        self.sessions.get(session as usize)?.as_deref()
    }

    /// Sessions that have output, may be over or may want input again, since the last call.
    pub fn take_dirty(&mut self, into: &mut Vec<u32>) {
        into.clear();
        std::mem::swap(&mut self.dirty, into);
        for &session in into.iter() {
            if let Some(open) = self.sessions[session as usize].as_mut() {
                open.listed = false;
            }
        }
        for session in self.core.clients.take_killed() {
            self.stop_waiting(session, blocking::Ending::Killed);
            into.push(session);
        }
        if self.core.holds() {
            into.iter().for_each(|&session| self.hold_session(session));
        }
    }

    #[inline]
    fn lend_output(&mut self, session: &mut Session) {
        if session.out.is_empty()
            && let Some(buffer) = self.spare.pop()
        {
            let idle = std::mem::replace(session.out.buffer(), buffer);
            keep_spare(&mut self.spare, idle);
        }
    }

    #[inline]
    fn list(&mut self, index: u32, session: &mut Session) {
        if !session.listed {
            session.listed = true;
            self.dirty.push(index);
        }
    }

    // ---- commands -------------------------------------------------------------------------------------------------------

    /// Runs every whole command that a session's input holds, as far as its order and limits allow.
    pub fn run(&mut self, index: u32) {
        self.advance(index);
        self.settle();
    }

    fn advance(&mut self, index: u32) {
        let Some(mut session) = self.sessions[index as usize].take() else { return };
        session.stalled = false;
        self.lend_output(&mut session);
        let authenticated = self.core.clients.of(index).authenticated;
        let mut limits_now = self.decode_limits(authenticated);
        let mut decoder = std::mem::take(&mut session.decoder);
        let input = std::mem::take(&mut session.input);
        // A client that is to be closed runs nothing more, also when it was held back by a pause and goes on only now.
        let mut killed = self.core.clients.of(index).kill;
        while !session.closing && !killed {
            if session.barrier || session.is_full() || self.congested {
                session.stalled = session.consumed < input.len();
                break;
            }
            let rest = &input[session.consumed..];
            if rest.is_empty() {
                break;
            }
            match decoder.next(rest, &limits_now) {
                Ok(Decoded::Incomplete { at_least }) => {
                    session.wanted = at_least;
                    if rest.len() > self.core.config.client_query_buffer_limit {
                        self.core.stats.query_limit_disconnections += 1;
                        session.closing = true;
                    }
                    break;
                }
                Ok(Decoded::Empty { consumed }) => session.consumed += consumed,
                Ok(Decoded::Command { consumed }) => {
                    let words = decoder.words(rest);
                    match self.command(index, &mut session, words) {
                        Flow::Next => {
                            session.consumed += consumed;
                            if self.core.attention {
                                self.attend(Some((index, &mut session)));
                                killed = self.core.clients.of(index).kill;
                            }
                        }
                        Flow::Wait => {
                            self.core.clients.of(index).keep_caching();
                            session.stalled = true;
                            break;
                        }
                    }
                    if !authenticated && self.core.clients.of(index).authenticated {
                        limits_now = self.decode_limits(true);
                    }
                }
                Err(error) => {
                    let protocol = self.core.clients.of(index).protocol;
                    let core = &mut self.core;
                    let error = CommandError::message(error.to_string());
                    session.reply_here(protocol, |()| true, |reply| refuse(core, &error, reply));
                    session.closing = true;
                }
            }
        }
        session.decoder = decoder;
        session.input = input;
        session.compact_input();
        if session.input.is_empty() {
            keep_spare(&mut self.spare, std::mem::take(&mut session.input));
        }
        let client = self.core.clients.of(index);
        client.query_bytes = session.input.len();
        client.query_free = session.input.capacity() - session.input.len();
        client.output_bytes = session.unsent_bytes();
        session.end_batch();
        if !session.holds_output() {
            self.list(index, &mut session);
        }
        self.sessions[index as usize] = Some(session);
    }

    /// Counts bytes that came in for a session.
    pub fn count_input(&mut self, bytes: usize) {
        self.core.stats.total_net_input_bytes += bytes as u64;
    }

    fn decode_limits(&self, authenticated: bool) -> DecodeLimits {
        DecodeLimits {
            bulk_bytes_max: self.core.config.proto_max_bulk_len,
            request_bytes_max: self.core.config.client_query_buffer_limit,
            ..DecodeLimits::new(authenticated)
        }
    }

    /// Handles one command: checks it as Redis does, in Redis's order, then runs it, forwards it or starts a transaction.
    #[inline]
    fn command(&mut self, index: u32, session: &mut Session, words: Argv<'_>) -> Flow {
        let client = self.core.clients.of(index);
        client.last_ms = self.core.now_ms;
        let protocol = client.protocol;
        let (id, argv) = match table::resolve(words) {
            Resolved::Command { id, words: name_words } => (id, words.range(name_words, words.len())),
            unknown => {
                client.drop_caching();
                self.abort_transaction(index);
                self.refuse_here(index, session, protocol, &unknown_command(words, &unknown));
                return Flow::Next;
            }
        };
        let info = id.info();
        if !info.arity_allows(argv.len()) {
            self.reject(index, session, protocol, id, &CommandError::WrongArity(info.name));
            return Flow::Next;
        }
        let client = self.core.clients.of(index);
        if !client.authenticated && !info.flags.contains(Flags::NO_AUTH) {
            self.reject(index, session, protocol, id, &CommandError::NoAuth);
            return Flow::Next;
        }
        client.last_command = Some(id);
        let tracks = client.tracks && client.remembers_reads_of(id);
        let call =
            Call { db: client.db, protocol, no_touch: client.no_touch, tracks, nested: false, client_id: client.id };
        if ((client.gate | self.core.gate) != gate::OPEN || gate::looks_at(id))
            && let Some(flow) = self.at_the_gate(index, session, call, id, argv)
        {
            return flow;
        }
        match plan_hot(id, argv, call, &self.core.routing) {
            Plan::Session => {
                if !session.is_settled() {
                    return Flow::Wait;
                }
                self.run_on_session(index, session, call, id, argv);
                Flow::Next
            }
            Plan::Here => self.run_here(index, session, call, id, argv, false),
            Plan::One(owner) if owner == self.core.id => self.run_here(index, session, call, id, argv, true),
            Plan::One(owner) => {
                if self.core.config.pipeline_order_strict() && !session.is_settled() {
                    return Flow::Wait;
                }
                let discard = self.discards_reply(index);
                let to = session.await_reply(index, discard);
                let outbox = &mut self.outboxes[owner].requests;
                let before = outbox.len();
                write_request(outbox, to, call, id, argv);
                session.forwarded_bytes += outbox.len() - before;
                self.congested |= outbox.len() > limits::BATCH_BYTES_MAX;
                self.core.stats.forwarded_commands += 1;
                Flow::Next
            }
            Plan::Scatter(merge) => {
                if !session.is_settled() {
                    return Flow::Wait;
                }
                let audience = self.audience(id, argv);
                if audience.is_empty() || audience == [self.core.id] {
                    return self.run_here(index, session, call, id, argv, false);
                }
                let discard = self.discards_reply(index) && !subscriber::replies_by_pushes(id);
                let to = session.await_reply(index, discard);
                session.barrier = true;
                session.hold_pushes();
                let frame = frame_of(id, argv);
                let parts = audience.into_iter().map(|shard| (shard, frame.clone())).collect();
                self.transactions.scatter(to, call, frame, merge, parts, &mut self.steps);
                Flow::Next
            }
            Plan::Several(transaction) => {
                if !session.is_settled() {
                    return Flow::Wait;
                }
                self.begin_several(index, session, call, (id, argv), transaction)
            }
        }
    }

    /// Begins a command over several shards, for a session of which nothing else is under way.
    fn begin_several(
        &mut self,
        index: u32,
        session: &mut Session,
        call: Call,
        (id, argv): (CommandId, Argv<'_>),
        transaction: Transaction,
    ) -> Flow {
        let discard = self.discards_reply(index);
        let to = session.await_reply(index, discard);
        session.barrier = true;
        self.core.stats.multi_shard_commands += 1;
        self.transactions.begin(to, call, frame_of(id, argv), transaction, None, &mut self.steps);
        Flow::Next
    }

    /// Runs a command on this shard; behind the intents it meets, when it meets any.
    #[inline]
    fn run_here(
        &mut self,
        index: u32,
        session: &mut Session,
        call: Call,
        id: CommandId,
        argv: Argv<'_>,
        touches_keys: bool,
    ) -> Flow {
        if touches_keys && self.meets_any_intent(call.db, id, argv) {
            let discard = self.discards_reply(index);
            let to = Target { shard: self.core.id, to: session.await_reply(index, discard) };
            let frame = frame_of(id, argv);
            session.forwarded_bytes += frame.len();
            self.transactions.park(to, call, frame, scope_of(id, argv));
            return Flow::Next;
        }
        let mode = self.core.clients.of(index).reply_mode;
        let core = &mut self.core;
        session.reply_here(
            call.protocol,
            |()| mode == ReplyMode::On || subscriber::replies_by_pushes(id),
            |reply| execute_hot(core, call, id, argv, reply),
        );
        self.after_reply(index, mode);
        Flow::Next
    }

    fn run_on_session(&mut self, index: u32, session: &mut Session, call: Call, id: CommandId, argv: Argv<'_>) {
        let core = &mut self.core;
        let mut after = AfterCommand::default();
        let mut wait = None;
        let mut null_reply = Vec::new();
        let mut open = None;
        session.reply_here(
            core.clients.of(index).protocol,
            |keep| *keep,
            |reply| {
                let mark = reply.len();
                after = session_command(core, index, id, argv, false, reply);
                wait = core.wait.take();
                if wait.is_some() {
                    null_reply = reply.as_bytes()[mark..].to_vec();
                }
                open = core.open.take();
                wait.is_none() && open.is_none() && core.clients.of(index).reply_mode == ReplyMode::On
            },
        );
        session.closing |= after.closing;
        if after.starts_afresh {
            self.client_gone(index);
        }
        if let Some(wait) = wait {
            self.wait_here(index, session, call, Vec::new(), wait, null_reply);
            if let Some(replicas_too) = self.core.waits_for_disks.take() {
                self.ask_for_syncs(session, call, replicas_too);
            }
            return;
        }
        if let Some(open) = open {
            return self.ask_for_tracking(index, session, open);
        }
        let mode = self.core.clients.of(index).reply_mode;
        self.after_reply(index, mode);
    }

    fn refuse_here(&mut self, index: u32, session: &mut Session, protocol: Protocol, error: &CommandError) {
        let mode = self.core.clients.of(index).reply_mode;
        let core = &mut self.core;
        session.reply_here(protocol, |()| mode == ReplyMode::On, |reply| refuse(core, error, reply));
        self.after_reply(index, mode);
    }

    fn discards_reply(&mut self, index: u32) -> bool {
        let mode = self.core.clients.of(index).reply_mode;
        self.after_reply(index, mode);
        mode != ReplyMode::On
    }

    /// CLIENT REPLY SKIP holds for one command after it.
    #[inline]
    fn after_reply(&mut self, index: u32, mode: ReplyMode) {
        match mode {
            ReplyMode::On | ReplyMode::Off => {}
            ReplyMode::SkipNext => self.core.clients.of(index).reply_mode = ReplyMode::Skip,
            ReplyMode::Skip => self.core.clients.of(index).reply_mode = ReplyMode::On,
        }
    }

    // ---- upkeep ---------------------------------------------------------------------------------------------------------

    /// One slice of background work: expired keys, values to drop. True when more waits, so that the next slice should follow soon.
    pub fn maintain(&mut self) -> bool {
        if self.is_busy() {
            return false;
        }
        self.core.meter.sample(self.core.now_ms, &self.core.stats);
        self.core.acting_client = 0;
        let expiring = self.core.sweep_expired();
        let dropping = self.core.graveyard.dig();
        let tidying = self.core.tidy_tracking();
        self.attend(None);
        expiring || dropping || tidying
    }

    /// Closes the clients that `matches` picks, once their outstanding replies are in. A script that is stuck would never let that happen: it ends.
    pub fn kill_clients(&mut self, matches: impl FnMut(&Client) -> bool) {
        if self.is_busy() {
            self.core.script.killed.set(true);
        }
        self.core.clients.kill(matches);
    }

    /// Marks clients to be closed that said nothing for `timeout` seconds, or do not read their replies.
    pub fn close_idle(&mut self) {
        let now_ms = self.core.now_ms;
        let timeout_ms = u64::from(self.core.config.timeout) * 1000;
        for index in 0..self.sessions.len() {
            let Some(session) = &mut self.sessions[index] else { continue };
            let client = self.core.clients.of(index as u32);
            let (class, subscribed) = (client.class(), client.is_subscribed());
            let limit = self.core.config.client_output_buffer_limit.of(class);
            if session.unsent_bytes() > 0 && session.is_unread(now_ms, limit, subscribed) {
                let killed = self.core.clients.kill_session(index as u32);
                self.core.stats.output_limit_disconnections += u64::from(killed);
            }
            // Who waits for keys, or for the end of a pause, is not idle.
            let waits = session.blocked.is_some() || session.stalled && self.core.paused.is_some();
            let idle_ms = now_ms.saturating_sub(self.core.clients.of(index as u32).last_ms);
            if timeout_ms > 0 && !waits && idle_ms > timeout_ms {
                self.core.clients.kill_session(index as u32);
            }
        }
    }

    /// True when no transaction is under way here: nothing waits, holds or is coordinated.
    pub fn is_quiet(&self) -> bool {
        self.transactions.is_idle()
    }
}

/// Bytes of unsent output at which a client is closed at once.
fn output_hard_limit_bytes(config: &Config, client: &Client) -> usize {
    if client.authenticated {
        config.output_hard_limit_bytes(client.class())
    } else {
        limits::OUTPUT_UNAUTHENTICATED_BYTES_MAX
    }
}

/// Keeps an empty buffer for whoever needs one next.
#[inline]
fn keep_spare(spare: &mut Vec<Vec<u8>>, mut buffer: Vec<u8>) {
    let worth_keeping = buffer.capacity() > 0 && buffer.capacity() <= limits::SPARE_BUFFER_BYTES_MAX;
    if worth_keeping && spare.len() < limits::SPARE_BUFFERS_MAX {
        buffer.clear();
        spare.push(buffer);
    }
}

/// Runs a command about the connection itself and appends its reply. True when the connection is to be closed.
fn session_command(
    core: &mut Core,
    index: u32,
    id: CommandId,
    argv: Argv<'_>,
    nested: bool,
    reply: &mut ReplyBuf,
) -> AfterCommand {
    count(core, id);
    let protocol = core.clients.of(index).protocol;
    reply.set_protocol(protocol);
    let mark = reply.len();
    let mut cx = SessionCx { core: &mut *core, session: index, nested, after: AfterCommand::default() };
    let outcome = table::dispatch_session(&mut cx, id, argv, reply);
    let after = cx.after;
    if let Err(error) = outcome {
        reply.truncate(mark);
        core.command_stats.of(id).failed += 1;
        refuse(core, &error, reply);
    }
    after
}

/// The error for words that name no command, with Redis's text.
fn unknown_command(words: Argv<'_>, resolved: &Resolved) -> CommandError {
    let shown = |word: &[u8]| String::from_utf8_lossy(&word[..word.len().min(128)]).into_owned();
    match resolved {
        Resolved::UnknownSubcommand { container } => {
            let word = words.get(1).unwrap_or_default();
            CommandError::message(format!(
                "ERR unknown subcommand '{}'. Try {} HELP.",
                shown(word),
                container.to_uppercase()
            ))
        }
        Resolved::ContainerAlone { container } => {
            CommandError::message(format!("ERR wrong number of arguments for '{container}' command"))
        }
        _ => {
            let mut arguments = String::new();
            for word in words.iter().skip(1) {
                if arguments.len() >= 128 {
                    break;
                }
                let room = 128 - arguments.len();
                arguments.push('\'');
                arguments.push_str(&String::from_utf8_lossy(&word[..word.len().min(room)]));
                arguments.push_str("' ");
            }
            let name = shown(words.get(0).unwrap_or_default());
            CommandError::message(format!("ERR unknown command '{name}', with args beginning with: {arguments}"))
        }
    }
}
