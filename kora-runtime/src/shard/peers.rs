//! A shard among shards: what comes from the others, what goes to them.
//!
//! Owns: serving forwarded commands, putting replies into their sessions' order, carrying out what transactions ask for, bringing a tick to rest.
//! Refuses to know: clients' bytes, and how a command is planned.
//! Start at [`Shard::receive`] and [`Shard::end_tick`].

use super::execute::execute_frame;
use super::message::{Envelope, ReplyTo, ShardId, begin_reply, read_frame, read_reply, read_request, seal};
use super::script::may_run_script;
use super::session::Session;
use super::transaction::{Step, Target, scope_of};
use super::{Shard, keep_spare};
use crate::argv::Argv;
use crate::reply::ReplyBuf;

impl Shard {
    /// Handles what another shard sent.
    pub fn receive(&mut self, from: ShardId, envelope: Envelope) {
        if self.is_busy() {
            return self.receive_busy(from, envelope);
        }
        let Envelope { requests, replies, messages, notes, tracking } = envelope;
        self.deliver_all(&replies);
        self.receive_tracking(from, tracking);
        for message in messages {
            self.transactions.receive(&mut self.core, message, &mut self.steps);
        }
        self.perform_steps();
        self.receive_notes(from, &notes);
        self.serve(from, &requests);
        keep_spare(&mut self.spare, notes);
        keep_spare(&mut self.spare, requests);
        keep_spare(&mut self.spare, replies);
        self.settle();
    }

    /// Runs the commands that another shard forwarded and puts their replies in its outbox.
    fn serve(&mut self, from: ShardId, requests: &[u8]) {
        let mut spans = std::mem::take(&mut self.spans);
        let mut replies = std::mem::take(&mut self.outboxes[from].replies);
        let mut rest = requests;
        while let Some((to, call, frame, next)) = read_request(rest) {
            rest = next;
            let id = read_frame(frame, &mut spans);
            let argv = Argv::new(frame, &spans);
            if self.meets_any_intent(call.db, id, argv) {
                self.transactions.park(Target { shard: from, to }, call, frame.to_vec(), scope_of(id, argv));
                continue;
            }
            if may_run_script(id, argv) {
                self.spans = spans;
                self.outboxes[from].replies = replies;
                let reply = self.serve_unit(Target { shard: from, to }, call, frame);
                replies = std::mem::take(&mut self.outboxes[from].replies);
                spans = std::mem::take(&mut self.spans);
                match reply {
                    Some(reply) => {
                        let start = begin_reply(&mut replies, to);
                        replies.extend_from_slice(&reply);
                        seal(&mut replies, start);
                        continue;
                    }
                    None => break,
                }
            }
            let start = begin_reply(&mut replies, to);
            let mut reply = ReplyBuf::with_bytes(replies, call.protocol);
            execute_frame(&mut self.core, call, id, argv, &mut reply);
            replies = reply.into_bytes();
            seal(&mut replies, start);
        }
        self.outboxes[from].replies = replies;
        self.spans = spans;
        // Behind a script that has stepped aside.
        self.refuse_requests(from, rest);
    }

    /// Puts the replies of an envelope into their sessions' order. Those of one session come in a row, so it is looked up once for all of them.
    pub(super) fn deliver_all(&mut self, replies: &[u8]) {
        let mut rest = replies;
        while let Some((first, ..)) = read_reply(rest) {
            let mut session = self.sessions.get_mut(first.session as usize).and_then(Option::take);
            while let Some((to, reply, next)) = read_reply(rest).filter(|(to, ..)| to.session == first.session) {
                match session.as_deref_mut().filter(|session| session.generation == to.generation) {
                    Some(session) => {
                        self.lend_output(session);
                        session.deliver(to.seq, reply);
                    }
                    None => self.reply_to_departed(to),
                }
                rest = next;
            }
            if let Some(session) = session {
                self.put_back(first.session, session);
            }
        }
    }

    /// Puts one reply into its session's order.
    pub(super) fn deliver(&mut self, to: ReplyTo, reply: &[u8]) {
        let Some(mut session) = self.sessions.get_mut(to.session as usize).and_then(Option::take) else {
            return self.reply_to_departed(to);
        };
        if session.generation == to.generation {
            self.lend_output(&mut session);
            session.deliver(to.seq, reply);
        } else {
            self.reply_to_departed(to);
        }
        self.put_back(to.session, session);
    }

    /// Returns a session to its place after replies came for it, and notes what it may do now.
    fn put_back(&mut self, index: u32, mut session: Box<Session>) {
        if session.is_settled() {
            session.barrier = false;
            session.release_pushes();
        }
        if session.stalled {
            self.resume.push(index);
        }
        if !session.holds_output() {
            self.list(index, &mut session);
        }
        self.sessions[index as usize] = Some(session);
    }

    /// Does what the transactions asked for, until they ask for nothing more here.
    pub(super) fn perform_steps(&mut self) {
        while !self.steps.is_empty() || !self.to_self.is_empty() {
            let steps = std::mem::take(&mut self.steps);
            for step in steps {
                match step {
                    Step::Send(to, message) if to == self.core.id => self.to_self.push_back(message),
                    Step::Send(to, message) => self.outboxes[to].messages.push(message),
                    Step::Reply(target, reply) if target.shard == self.core.id => self.deliver(target.to, &reply),
                    Step::RunParked(ticket, target, call, frame) => self.run_parked_unit(ticket, target, call, frame),
                    Step::RunGathered(script) => self.run_gathered_script(*script),
                    Step::Resume(txn, outcomes, wrote) => self.resume_exec(txn, outcomes, wrote),
                    Step::Block(block) => self.block_later(*block),
                    Step::Tried(waiter, reply) => self.tried(waiter, reply),
                    Step::Sync(waiter) => self.sync_for(waiter),
                    Step::Synced(waiter) => self.synced_elsewhere(waiter),
                    Step::Served(waiter, txn, reply) => self.served(waiter, txn, reply),
                    Step::Offered(waiter, owner) => self.offered(waiter, owner),
                    Step::Lines(behind) => {
                        for (db, key, place) in behind {
                            self.serve_line(db, &key, place);
                        }
                        self.core.attention |= self.core.waiters.has_ready();
                    }
                    Step::Reply(target, reply) => {
                        let replies = &mut self.outboxes[target.shard].replies;
                        let start = begin_reply(replies, target.to);
                        replies.extend_from_slice(&reply);
                        seal(replies, start);
                    }
                }
            }
            if let Some(message) = self.to_self.pop_front() {
                if self.is_busy() {
                    self.admit_or_defer(self.core.id, message);
                    continue;
                }
                self.transactions.receive(&mut self.core, message, &mut self.steps);
            }
        }
    }

    /// Brings everything to rest: transactions' steps, then sessions that may go on, until nothing moves.
    pub(super) fn settle(&mut self) {
        self.rest();
        while let Some(session) = self.resume.pop() {
            let may_go_on = self.session(session).is_some_and(|open| open.stalled && !open.barrier && !open.is_full());
            if may_go_on && !self.congested {
                // A session that still has to wait marks itself stalled again and is resumed by what it waits for.
                self.advance(session);
                self.rest();
            }
        }
    }

    /// Takes steps and attends to what they cause, which may be more steps: a key that is ready is offered to a waiter on another shard.
    fn rest(&mut self) {
        loop {
            self.perform_steps();
            self.attend(None);
            if self.steps.is_empty() {
                break;
            }
        }
    }

    /// Runs the commands of sessions that had to wait until their clients took output. To be called before the tick's records are taken.
    pub fn catch_up(&mut self) {
        if !self.resume.is_empty() {
            self.settle();
        }
    }

    /// Ends the tick: everything that waits for other shards leaves, one envelope each.
    pub fn end_tick(&mut self, send: &mut impl FnMut(ShardId, Envelope)) {
        self.catch_up();
        self.end_tracking_tick();
        let was_congested = std::mem::take(&mut self.congested);
        if !self.core.clients.killed().is_empty() {
            self.forget_killed();
        }
        for (peer, envelope) in self.released_envelopes() {
            send(peer, envelope);
        }
        let holds = self.core.holds();
        for peer in 0..self.outboxes.len() {
            if self.outboxes[peer].is_empty() {
                continue;
            }
            let empty = Envelope {
                requests: self.spare.pop().unwrap_or_default(),
                replies: self.spare.pop().unwrap_or_default(),
                ..Envelope::default()
            };
            let mut envelope = std::mem::replace(&mut self.outboxes[peer], empty);
            if holds {
                envelope = self.hold_envelope(peer, envelope);
            }
            if !envelope.is_empty() {
                send(peer, envelope);
            }
        }
        self.bid_farewell();
        if was_congested {
            self.resume_stalled();
            self.settle();
        }
    }

    /// Has every session with commands that had to wait try again.
    pub(super) fn resume_stalled(&mut self) {
        let stalled = (0..self.sessions.len() as u32).filter(|&at| self.session(at).is_some_and(|open| open.stalled));
        self.resume = stalled.collect();
    }

    /// True when [`Shard::end_tick`] has something to send.
    pub fn has_outgoing(&self) -> bool {
        self.core.shards > 1 && (self.has_released() || self.outboxes.iter().any(|outbox| !outbox.is_empty()))
    }
}
