//! Scripts on their way: where a command that runs one is run as a unit that may step aside.
//!
//! Owns: the cases of where such a command comes from. Refuses to know: the script's language, and what a unit is made of (`busy`).
//! Start at [`Shard::start_script`].
//!
//! A script that runs inside a step of an EXEC over several shards is no unit: it cannot step aside there, and ends by itself when it is late.

use super::busy::{Product, replied};
use super::commit::Conclusion;
use super::execute::{execute_frame, execute_merged};
use super::intents::Ticket;
use super::message::{Call, Outcome, ReplyTo, ShardId, TxnId, WaiterNews, read_frame, write_frame};
use super::plan::{Plan, plan};
use super::session::Session;
use super::transaction::{Gathered, Step, Target, scope_of};
use super::{Flow, Shard, keep_spare};
use crate::argv::Argv;
use crate::keyspace::Keyspace;
use crate::reply::ReplyBuf;
use crate::shard::clients::ReplyMode;
use crate::shard::core::Core;
use crate::shard::message::Fetch;
use crate::table::{CommandId, Flags};

/// A script whose keys have been brought here.
#[derive(Debug)]
pub struct GatheredScript {
    pub(super) txn: TxnId,
    pub(super) to: ReplyTo,
    pub(super) call: Call,
    pub(super) frame: Vec<u8>,
    pub(super) participants: Vec<ShardId>,
    pub(super) fetches: Vec<Vec<Fetch>>,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) wrote: Vec<ShardId>,
}

/// True for a frame that may run a script: the command itself, or an EXEC with one inside.
pub(super) fn may_run_script(id: CommandId, argv: Argv<'_>) -> bool {
    if id == CommandId::Exec {
        return argv.iter().skip(1).any(|word| runs_script(super::message::frame_command(&word[1..])));
    }
    runs_script(id)
}

fn runs_script(id: CommandId) -> bool {
    id.info().flags.contains(Flags::RUNS_SCRIPTS)
}

impl Shard {
    /// Runs a script of one of this shard's clients when all it declares is here; `None` leaves it to the router.
    pub(super) fn start_script(
        &mut self,
        index: u32,
        session: &mut Session,
        call: Call,
        id: CommandId,
        argv: Argv<'_>,
    ) -> Option<Flow> {
        let here = match plan(id, argv, call, &self.core.routing) {
            Plan::Here => true,
            Plan::One(owner) => owner == self.core.id,
            _ => false,
        };
        if !here {
            return None;
        }
        let mut frame = self.spare.pop().unwrap_or_default();
        write_frame(&mut frame, id, argv);
        if self.meets_any_intent(call.db, id, argv) {
            let discard = self.discards_reply(index);
            let to = Target { shard: self.core.id, to: session.await_reply(index, discard) };
            session.forwarded_bytes += frame.len();
            self.transactions.park(to, call, frame, scope_of(id, argv));
            return Some(Flow::Next);
        }
        let buffer = self.spare.pop().unwrap_or_default();
        let product = self.run_unit(move |core| run_frame(core, call, frame, buffer, execute_merged));
        self.reply_later(index, session, call, product);
        Some(Flow::Next)
    }

    /// Gives a session the reply of a unit, now or when the unit is done.
    pub(super) fn reply_later(&mut self, index: u32, session: &mut Session, call: Call, product: Option<Product>) {
        match product {
            Some(product) => {
                let mode = self.core.clients.of(index).reply_mode;
                let copy = |out: &mut ReplyBuf| out.bytes_mut().extend_from_slice(&product.reply);
                session.reply_here(call.protocol, |()| mode == ReplyMode::On, copy);
                self.after_reply(index, mode);
                keep_spare(&mut self.spare, product.reply);
                keep_spare(&mut self.spare, product.spent);
            }
            None => {
                let discard = self.discards_reply(index);
                let to = session.await_reply(index, discard);
                session.barrier = true;
                self.when_done(move |shard, product| shard.deliver(to, &product.reply));
            }
        }
    }

    /// Runs what another shard sent and what may run a script. `None` when it stepped aside: its reply follows.
    pub(super) fn serve_unit(&mut self, target: Target, call: Call, frame: &[u8]) -> Option<Vec<u8>> {
        let frame = frame.to_vec();
        let product = self.run_unit(move |core| run_frame(core, call, frame, Vec::new(), execute_frame));
        if product.is_none() {
            self.when_done(move |shard, product| shard.steps.push(Step::Reply(target, product.reply)));
        }
        product.map(|product| product.reply)
    }

    /// Runs what had to wait for its intents and may run a script.
    pub(super) fn run_parked_unit(&mut self, ticket: Ticket, target: Target, call: Call, frame: Vec<u8>) {
        let finish = move |shard: &mut Self, product: Product| {
            shard.steps.push(Step::Reply(target, product.reply));
            shard.transactions.release(&mut shard.core, ticket, &mut shard.steps);
        };
        match self.run_unit(move |core| run_frame(core, call, frame, Vec::new(), execute_frame)) {
            Some(product) => finish(self, product),
            None => self.when_done(finish),
        }
    }

    /// Runs a script on the keys that were brought here for it.
    pub(super) fn run_gathered_script(&mut self, script: GatheredScript) {
        let GatheredScript { txn, to, call, frame, participants, fetches, outcomes, wrote } = script;
        let here = self.core.id;
        let finish = move |shard: &mut Self, product: Product| {
            let conclusion = Conclusion {
                txn,
                client_id: call.client_id,
                waiters: vec![WaiterNews::Nothing; participants.len()],
                finishes: participants.into_iter().zip(product.finishes).collect(),
                wrote,
                then: vec![Step::Reply(Target { shard: here, to }, product.reply)],
            };
            shard.transactions.conclude(&shard.core, conclusion, &mut shard.steps);
        };
        let body = move |core: &mut Core| {
            let mut spans = Vec::new();
            let id = read_frame(&frame, &mut spans);
            let mut overlay = Keyspace::new(core.keyspace.seeds().clone());
            let mut finishes = Vec::new();
            let mut product = replied(call, Vec::new(), |reply| {
                let gathered = Gathered { fetches: &fetches, outcomes, wanted: true };
                finishes = gathered.run(core, &mut overlay, call, id, Argv::new(&frame, &spans), reply);
            });
            product.finishes = finishes;
            product
        };
        match self.run_unit(body) {
            Some(product) => finish(self, product),
            None => self.when_done(finish),
        }
    }
}

/// Runs what is in a frame and replies into an empty buffer.
fn run_frame(core: &mut Core, call: Call, frame: Vec<u8>, buffer: Vec<u8>, run: super::transaction::Run) -> Product {
    let mut spans = Vec::new();
    let id = read_frame(&frame, &mut spans);
    let argv = Argv::new(&frame, &spans);
    // What a script writes is replayed wholly or not at all.
    core.journal.begin_unit();
    let product = replied(call, buffer, |reply| run(core, call, id, argv, reply));
    core.journal.end_unit();
    Product { spent: frame, ..product }
}
