//! Clients that wait: at their home, the shard that they are connected to, and at the owners of the keys they wait for.
//!
//! Owns: when a blocking command waits, who is served when a key is ready, how waiting ends. Refuses to know: what a blocking command does when it runs; the
//! lines of waiters themselves (`waiters`).
//! Start at [`Shard::start_blocking`], then [`Shard::serve_waiters`]. ARCHITECTURE.md, "Blocking", tells the whole protocol.
//!
//! A blocking command is an ordinary handler that calls [`ShardCx::wait`](super::cx::ShardCx::wait) when it finds nothing. To serve its client is to run it again: at once when
//! all its keys are at its home, else as a transaction that the home coordinates. The home alone decides whether a client still waits, so that no element
//! is taken for one that has timed out, was unblocked or has gone.

use super::execute::execute;
use super::fault::Fault;
use super::message::{Call, ReplyTo, ShardId, TxnId, TxnMessage, frame_of, read_frame};
use super::plan::{Plan, gather_always, plan};
use super::session::Session;
use super::transaction::{Block, Step, Target};
use super::waiters::Waiter;
use super::{Flow, Shard};
use crate::argv::Argv;
use crate::error::CommandError;
use crate::reply::ReplyBuf;
use crate::shard::clients::ReplyMode;
use crate::shard::cx::ShardCx;
use crate::table::CommandId;

/// What a handler that found nothing waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// Keys, any of which may bring what it wants; none for one that only time or CLIENT UNBLOCK ends.
    pub keys: Vec<Box<[u8]>>,
    /// The type that a key must hold, in the words of TYPE.
    pub awaited: &'static str,
    /// When it gives up, Unix milliseconds; `None` for never.
    pub deadline_ms: Option<u64>,
    /// The frame to run from then on, when it is not to be the client's own words: an XREAD that asks for what comes after now must mean the same moment
    /// each time.
    pub retry: Option<Vec<u8>>,
}

/// How a client stops waiting without being served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Its time is over, or CLIENT UNBLOCK said to act as if: the reply of a timeout.
    TimedOut,
    /// CLIENT UNBLOCK … ERROR.
    Unblocked,
    /// It is being closed: nobody reads the reply.
    Killed,
}

/// A client that waits, at its home.
#[derive(Debug)]
pub(super) struct Blocked {
    id: TxnId,
    to: ReplyTo,
    call: Call,
    frame: Vec<u8>,
    owners: Vec<ShardId>,
    deadline_ms: Option<u64>,
    null_reply: Vec<u8>,
    /// Its command is being tried again; until that is over, nothing else can end its waiting.
    trying: bool,
    /// What ends its waiting if the try finds nothing.
    ending: Option<Ending>,
    /// It waits for logs to be on disk.
    disks: Option<Disks>,
}

/// What WAITAOF waits for.
#[derive(Debug, Clone, Copy)]
struct Disks {
    /// Shards that have not told yet.
    missing: usize,
    /// Replicas are wanted besides, and there are none: the time is waited out.
    replicas_too: bool,
}

impl Shard {
    /// Runs a blocking command, or lets its client wait.
    pub(super) fn start_blocking(
        &mut self,
        index: u32,
        session: &mut Session,
        call: Call,
        id: CommandId,
        argv: Argv<'_>,
    ) -> Flow {
        if !session.is_settled() {
            return Flow::Wait;
        }
        let here = self.core.id;
        match plan(id, argv, call, &self.core.routing) {
            Plan::One(owner) if owner == here && !self.meets_any_intent(call.db, id, argv) => {
                let mut reply = ReplyBuf::new(call.protocol);
                execute(&mut self.core, call, id, argv, &mut reply);
                let Some(mut wait) = self.core.wait.take() else {
                    let mode = self.core.clients.of(index).reply_mode;
                    let copy = |out: &mut ReplyBuf| out.bytes_mut().extend_from_slice(reply.as_bytes());
                    session.reply_here(call.protocol, |()| mode == ReplyMode::On, copy);
                    self.after_reply(index, mode);
                    return Flow::Next;
                };
                let frame = wait.retry.take().unwrap_or_else(|| frame_of(id, argv));
                self.wait_here(index, session, call, frame, wait, waited_in_vain(call));
                Flow::Next
            }
            _ => {
                let Some(transaction) = gather_always(id, argv, call, &self.core.routing) else {
                    // Its arguments do not parse.
                    return self.run_here(index, session, call, id, argv, false);
                };
                self.begin_several(index, session, call, (id, argv), transaction)
            }
        }
    }

    /// Lets a client of this shard wait, for keys that are all here or for time alone.
    pub(super) fn wait_here(
        &mut self,
        index: u32,
        session: &mut Session,
        call: Call,
        frame: Vec<u8>,
        wait: Wait,
        null_reply: Vec<u8>,
    ) {
        let id = self.transactions.fresh_id();
        let discard = self.discards_reply(index);
        let to = session.await_reply(index, discard);
        session.barrier = true;
        let owners = if wait.keys.is_empty() { Vec::new() } else { vec![self.core.id] };
        self.core.wait_for(Waiter { id, awaited: wait.awaited }, call.db, &wait.keys);
        self.block(session, Block { id, to, call, frame, owners, deadline_ms: wait.deadline_ms }, null_reply);
    }

    /// Has every shard tell when its log is on disk, for a client that has begun to wait for that.
    pub(super) fn ask_for_syncs(&mut self, session: &mut Session, call: Call, replicas_too: bool) {
        let Some(blocked) = &mut session.blocked else { return };
        blocked.disks = Some(Disks { missing: self.core.shards, replicas_too });
        blocked.call = call;
        let waiter = blocked.id;
        self.steps.extend((0..self.core.shards).map(|shard| Step::Send(shard, TxnMessage::Sync { waiter })));
    }

    /// One more shard's log is on disk.
    pub(super) fn synced_elsewhere(&mut self, waiter: TxnId) {
        let Some(&index) = self.blocked.get(&waiter) else { return };
        let session = self.sessions[index as usize].as_mut();
        let Some(blocked) = session.and_then(|session| session.blocked.as_mut()) else { return };
        let Some(disks) = &mut blocked.disks else { return };
        disks.missing -= 1;
        if disks.missing > 0 {
            return;
        }
        let mut reply = ReplyBuf::new(blocked.call.protocol);
        reply.array(2);
        reply.integer(1);
        reply.integer(0);
        if disks.replicas_too {
            blocked.null_reply = reply.into_bytes();
        } else {
            self.end_wait(index, reply.into_bytes(), false);
        }
    }

    /// Notes that a client waits, and the reply when it gives up.
    fn block(&mut self, session: &mut Session, block: Block, null_reply: Vec<u8>) {
        let Block { id, to, call, frame, owners, deadline_ms } = block;
        let client = self.core.clients.of(to.session);
        client.waiting = Some(id);
        client.waits_for_time = deadline_ms.is_some();
        self.blocked.insert(id, to.session);
        if let Some(deadline_ms) = deadline_ms {
            self.deadlines.insert((deadline_ms, id));
        }
        let trying = false;
        session.blocked = Some(Box::new(Blocked {
            id,
            to,
            call,
            frame,
            owners,
            deadline_ms,
            null_reply,
            trying,
            ending: None,
            disks: None,
        }));
    }

    /// As [`Shard::block`], for a command that was tried as a transaction.
    pub(super) fn block_later(&mut self, block: Block) {
        let index = block.to.session;
        let Some(mut session) = self.sessions[index as usize].take() else { return };
        let null_reply = waited_in_vain(block.call);
        self.block(&mut session, block, null_reply);
        // Replies of commands before it may have been held back for its own.
        self.list(index, &mut session);
        self.sessions[index as usize] = Some(session);
        if self.core.clients.of(index).kill {
            // It was killed while its command was tried. Owners have to hear first that it waits.
            self.core.unblocked.push((index, Ending::Killed));
            self.core.attention = true;
        }
    }

    // ---- serving --------------------------------------------------------------------------------------------------------

    /// Serves the waiters of keys that may be ready, in the order in which the keys became so.
    pub(super) fn serve_waiters(&mut self) {
        while let Some((db, key)) = self.core.waiters.next_ready() {
            self.serve_line(db, &key, 0);
        }
    }

    /// Serves the waiters of one key from a place in its line on, until one is not ready to be served or the key has nothing more.
    pub(super) fn serve_line(&mut self, db: u8, key: &[u8], mut place: usize) {
        while let Some(waiter) = self.core.waiters.at(db, key, place) {
            let held = ShardCx::new(&mut self.core, Call::internal(db)).peek(key).map(|entry| entry.kind().type_name());
            match held {
                None => return,
                Some(held) if held != waiter.awaited => place += 1,
                Some(_) => match self.try_here(waiter.id) {
                    Some(true) => {}
                    Some(false) => place += 1,
                    None => {
                        let offer = TxnMessage::Offer { waiter: waiter.id, owner: self.core.id };
                        self.steps.push(Step::Send(waiter.id.coordinator(), offer));
                        if self.core.is_wrong_by(Fault::UnpausedLines) {
                            place += 1;
                            continue;
                        }
                        self.core.waiters.offer(db, key, waiter.id);
                        return;
                    }
                },
            }
        }
    }

    /// Runs the command of a waiter again when all it needs is here. Whether that ended its waiting; `None` when it takes a transaction.
    fn try_here(&mut self, id: TxnId) -> Option<bool> {
        let index = *self.blocked.get(&id)?;
        let blocked = self.sessions[index as usize].as_ref()?.blocked.as_ref()?;
        let call = blocked.call;
        let frame = blocked.frame.clone();
        let command = read_frame(&frame, &mut self.spans);
        let spans = std::mem::take(&mut self.spans);
        let argv = Argv::new(&frame, &spans);
        let local = matches!(plan(command, argv, call, &self.core.routing), Plan::One(owner) if owner == self.core.id);
        let outcome = (local && !self.meets_any_intent(call.db, command, argv)).then(|| {
            let mut reply = ReplyBuf::new(call.protocol);
            execute(&mut self.core, call, command, argv, &mut reply);
            self.core.wait.take().is_none().then(|| reply.into_bytes())
        });
        self.spans = spans;
        match outcome? {
            Some(reply) => {
                self.end_wait(index, reply, true);
                Some(true)
            }
            None => Some(false),
        }
    }

    /// A key may be ready for a waiter whose home is here: its command is tried again.
    pub(super) fn offered(&mut self, id: TxnId, owner: ShardId) {
        let Some(&index) = self.blocked.get(&id) else {
            // It waits no more, and the owner will hear of it or has heard already.
            self.steps.push(Step::Send(owner, TxnMessage::Withdraw { waiter: id }));
            return;
        };
        let blocked = self.sessions[index as usize].as_mut().and_then(|session| session.blocked.as_mut());
        // While it is being tried, every owner is asked anyway.
        let Some(blocked) = blocked.filter(|blocked| !blocked.trying) else { return };
        blocked.trying = true;
        let (to, call, frame) = (blocked.to, blocked.call, blocked.frame.clone());
        let command = read_frame(&frame, &mut self.spans);
        let transaction = gather_always(command, Argv::new(&frame, &self.spans), call, &self.core.routing);
        let transaction = transaction.expect("a command that waits has parsed");
        self.transactions.begin(to, call, frame, transaction, Some(id), &mut self.steps);
    }

    /// A waiter's command was tried again, with this reply or without finding anything.
    pub(super) fn tried(&mut self, id: TxnId, reply: Option<Vec<u8>>) {
        let Some(&index) = self.blocked.get(&id) else { return };
        if let Some(reply) = reply {
            return self.end_wait(index, reply, false);
        }
        let blocked = self.sessions[index as usize].as_mut().and_then(|session| session.blocked.as_mut());
        let Some(blocked) = blocked else { return };
        blocked.trying = false;
        if let Some(ending) = blocked.ending.take() {
            self.stop_waiting(index, ending);
        }
    }

    /// A waiter's command was tried again with this reply, which goes out when the transaction is on disk.
    pub(super) fn served(&mut self, id: TxnId, txn: TxnId, reply: Vec<u8>) {
        let Some(to) = self.blocked.get(&id).copied().and_then(|index| self.leave_wait(index, false)) else { return };
        let target = Target { shard: self.core.id, to };
        self.transactions.when_committed(txn, Step::Reply(target, reply));
    }

    // ---- the end of waiting ---------------------------------------------------------------------------------------------

    /// Ends a client's waiting, unless it is just being served. False when it does not wait.
    pub(super) fn stop_waiting(&mut self, index: u32, ending: Ending) -> bool {
        let session = self.sessions.get_mut(index as usize).and_then(Option::as_mut);
        let Some(blocked) = session.and_then(|session| session.blocked.as_mut()) else { return false };
        if blocked.trying {
            blocked.ending.get_or_insert(ending);
            return true;
        }
        let reply = match ending {
            Ending::TimedOut => std::mem::take(&mut blocked.null_reply),
            Ending::Unblocked => {
                let mut reply = ReplyBuf::new(blocked.call.protocol);
                let error = CommandError::Text("UNBLOCKED client unblocked via CLIENT UNBLOCK");
                super::execute::refuse(&mut self.core, &error, &mut reply);
                reply.into_bytes()
            }
            Ending::Killed => Vec::new(),
        };
        self.end_wait(index, reply, true);
        true
    }

    /// The process goes on though SHUTDOWN was sent: who waits for its end hears that.
    pub fn shutdown_failed(&mut self) {
        let ends = |index: &&u32| {
            self.core.clients.get(**index).is_some_and(|client| client.last_command == Some(CommandId::Shutdown))
        };
        let waiting: Vec<u32> = self.blocked.values().filter(ends).copied().collect();
        for index in waiting {
            self.stop_waiting(index, Ending::TimedOut);
        }
        self.settle();
    }

    fn end_wait(&mut self, index: u32, reply: Vec<u8>, withdraw: bool) {
        if let Some(to) = self.leave_wait(index, withdraw) {
            self.deliver(to, &reply);
        }
    }

    /// Ends a client's waiting but for the reply; where that goes.
    fn leave_wait(&mut self, index: u32, withdraw: bool) -> Option<ReplyTo> {
        let blocked = self.sessions[index as usize].as_mut()?.blocked.take()?;
        let client = self.core.clients.of(index);
        client.waiting = None;
        client.last_ms = self.core.now_ms;
        self.forget_waiter(&blocked, withdraw);
        Some(blocked.to)
    }

    fn forget_waiter(&mut self, blocked: &Blocked, withdraw: bool) {
        self.blocked.remove(&blocked.id);
        if let Some(deadline_ms) = blocked.deadline_ms {
            self.deadlines.remove(&(deadline_ms, blocked.id));
        }
        let withdraw = withdraw && !self.core.is_wrong_by(Fault::KeptPlaces);
        for &owner in blocked.owners.iter().filter(|_| withdraw) {
            if owner == self.core.id && !self.is_busy() {
                self.core.waits_no_more(blocked.id);
                self.core.attention |= self.core.waiters.has_ready();
            } else {
                self.steps.push(Step::Send(owner, TxnMessage::Withdraw { waiter: blocked.id }));
            }
        }
    }

    /// Takes a session that is closed out of every line.
    pub(super) fn leave_lines(&mut self, session: &mut Session) {
        if let Some(blocked) = session.blocked.take() {
            // One that is being tried finds its client gone, and tells the owners.
            let trying = blocked.trying;
            self.forget_waiter(&blocked, !trying);
        }
    }

    /// The next time at which something has to happen though nobody asks, Unix milliseconds.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        let waiting = self.deadlines.first().map(|(deadline_ms, _)| *deadline_ms);
        let paused = self.core.paused.map(|pause| pause.until_ms);
        [waiting, paused].into_iter().flatten().min()
    }

    /// Does what is due at the time of this tick: clients whose waiting is over, the end of a pause.
    pub fn wake_due(&mut self) {
        if self.is_busy() {
            return;
        }
        let now_ms = self.core.now_ms;
        while let Some(&(deadline_ms, id)) = self.deadlines.first() {
            if deadline_ms > now_ms {
                break;
            }
            self.deadlines.pop_first();
            if let Some(&index) = self.blocked.get(&id) {
                self.stop_waiting(index, Ending::TimedOut);
            }
        }
        if self.core.paused.is_some_and(|pause| pause.until_ms <= now_ms) {
            self.end_pause();
        }
        self.settle();
    }
}

/// The reply of a command that waited for keys in vain. Whatever it says when it finds nothing and does not wait: Redis's reply is then the same for all.
fn waited_in_vain(call: Call) -> Vec<u8> {
    let mut reply = ReplyBuf::new(call.protocol);
    reply.null_array();
    reply.into_bytes()
}
