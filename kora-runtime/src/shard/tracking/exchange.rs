//! What shards say to each other about tracking.
//!
//! Owns: the messages, what each leads to, and replies that wait for them. Refuses to know: which keys concern whom.
//! Start at [`TrackingMessage`]; [`Shard::ask_for_tracking`] has a change of mode wait until every shard knows of it.

use super::mode::{Change, NO_SUCH_TARGET};
use super::news::News;
use super::prefixes::ChangedKeys;
use super::tell::Open;
use crate::error::CommandError;
use crate::limits::TRACKING_MESSAGES_MAX;
use crate::reply::ReplyBuf;
use crate::shard::Shard;
use crate::shard::execute::refuse;
use crate::shard::message::{ReplyTo, ShardId, TxnId};
use crate::shard::session::Session;
use crate::table::CommandId;

/// What one shard says to another about tracking. Messages from one shard to another arrive in order, behind the replies of their envelope
/// and ahead of everything else.
#[derive(Debug)]
pub enum TrackingMessage {
    /// To the home of clients: a key has changed that they have read.
    Changed {
        /// The key.
        news: News,
        /// The clients.
        clients: Vec<u64>,
        /// Who changed it, 0 for no client.
        acting: u64,
    },
    /// To a shard that has subscribers of a prefix: these keys have changed.
    Broadcast {
        /// The prefix.
        prefix: Box<[u8]>,
        /// The keys, and who changed each.
        keys: ChangedKeys,
    },
    /// To a shard that takes part in a transaction which flushed all keys: this one has, and has replied to all that was asked before.
    Flushed {
        /// The transaction.
        txn: TxnId,
    },
    /// To every shard: this one flushed keys, and no other did (a script in a pinned database).
    FlushedAlone,
    /// To the home of the target of a redirection.
    Redirected {
        /// Whose news they are.
        source: u64,
        /// Who is to be told.
        target: u64,
        /// What.
        news: News,
    },
    /// Back from there: the target is not there.
    Broken {
        /// Whose redirection it is.
        source: u64,
        /// The target.
        target: u64,
    },
    /// To the home of a client: is it there?
    Exists {
        /// The client.
        client: u64,
        /// Names the question in the answer.
        ticket: u64,
    },
    /// The answer to that.
    Existence {
        /// Which question.
        ticket: u64,
        /// Whether the client is there.
        exists: bool,
    },
    /// To every shard: the sender has clients that want to hear of keys with these prefixes.
    Watch {
        /// The prefixes.
        prefixes: Vec<Box<[u8]>>,
        /// Names this message in the answer, when there is to be one.
        ticket: Option<u64>,
    },
    /// The answer to that.
    Watching {
        /// Which message.
        ticket: u64,
    },
    /// To every shard: the sender has none any more.
    Unwatch {
        /// The prefixes.
        prefixes: Vec<Box<[u8]>>,
    },
    /// To every shard: a client has gone that may have read keys.
    Forget {
        /// The client.
        client: u64,
    },
}

/// A change of mode that waits for other shards.
#[derive(Debug)]
pub struct Ask {
    to: ReplyTo,
    client: u64,
    /// Made when it is known that the target of its redirection is there.
    change: Option<Change>,
    missing: usize,
}

impl Shard {
    /// Has the reply to a CLIENT TRACKING wait until other shards have done what is open; nothing else of the session runs before.
    pub(in crate::shard) fn ask_for_tracking(&mut self, index: u32, session: &mut Session, open: Open) {
        let discard = self.discards_reply(index);
        let to = session.await_reply(index, discard);
        session.barrier = true;
        let client = self.core.clients.of(index).id;
        self.core.tracking.tickets += 1;
        let ticket = self.core.tracking.tickets;
        let ask = Ask { to, client, change: None, missing: 0 };
        self.open_ask(ticket, ask, open);
    }

    fn open_ask(&mut self, ticket: u64, mut ask: Ask, open: Open) {
        match open {
            Open::Existence { target, change } => {
                ask.change = Some(change);
                let home = (target % self.core.shards as u64) as ShardId;
                self.core.send_tracking(home, TrackingMessage::Exists { client: target, ticket });
            }
            Open::Watch(prefixes) => {
                ask.missing = self.core.shards - 1;
                self.core.send_tracking_to_others(|| TrackingMessage::Watch {
                    prefixes: prefixes.clone(),
                    ticket: Some(ticket),
                });
            }
        }
        self.core.tracking.asks.insert(ticket, ask);
    }

    /// Hands what was left for other shards to their outboxes, and tells of flushes.
    pub(in crate::shard) fn attend_tracking(&mut self) {
        self.core.tell_flushes();
        for (shard, message) in std::mem::take(&mut self.core.tracking.outgoing) {
            let messages = &mut self.outboxes[shard].tracking;
            messages.push(message);
            self.congested |= messages.len() > TRACKING_MESSAGES_MAX;
        }
    }

    /// Tells what is told once a tick, before the tick's envelopes leave.
    pub(in crate::shard) fn end_tracking_tick(&mut self) {
        if self.core.tracking.prefixes.changed_bytes() > 0 {
            self.core.broadcast();
            self.attend(None);
        }
    }

    /// Has what is to come behind the tick's envelopes leave in envelopes of their own.
    pub(in crate::shard) fn bid_farewell(&mut self) {
        for (shard, message) in std::mem::take(&mut self.core.tracking.farewells) {
            self.outboxes[shard].tracking.push(message);
        }
    }

    /// Forgets a client that goes.
    pub(in crate::shard) fn forget_tracking(&mut self, index: u32) {
        self.core.stop_tracking(index);
        let client = self.core.clients.of(index);
        if !client.tracked {
            return;
        }
        let client = client.id;
        self.core.tracking.keys.forget(client);
        // Behind the commands that it has just sent there: they would be remembered for nobody.
        let others = (0..self.core.shards).filter(|shard| *shard != self.core.id);
        self.core.tracking.farewells.extend(others.map(|shard| (shard, TrackingMessage::Forget { client })));
    }

    /// Handles what another shard said.
    pub(in crate::shard) fn receive_tracking(&mut self, from: ShardId, messages: Vec<TrackingMessage>) {
        for message in messages {
            match message {
                TrackingMessage::Changed { news, clients, acting } => self.core.tell_clients(&news, &clients, acting),
                TrackingMessage::Broadcast { prefix, keys } => self.core.tell_subscribers(&prefix, &keys),
                TrackingMessage::Flushed { txn } => self.core.flushed_elsewhere(txn),
                TrackingMessage::FlushedAlone => self.core.tell_flush(),
                TrackingMessage::Redirected { source, target, news } => self.core.tell_target(&news, source, target),
                TrackingMessage::Broken { source, target } => self.core.redirection_broken(source, target),
                TrackingMessage::Exists { client, ticket } => {
                    let exists = self.core.present(client).is_some();
                    self.core.send_tracking(from, TrackingMessage::Existence { ticket, exists });
                }
                TrackingMessage::Existence { ticket, exists } => self.existence(ticket, exists),
                TrackingMessage::Watch { prefixes, ticket } => {
                    self.core.tracking.prefixes.watch(from, &prefixes);
                    self.core.listen_anew();
                    if let Some(ticket) = ticket {
                        self.core.send_tracking(from, TrackingMessage::Watching { ticket });
                    }
                }
                TrackingMessage::Watching { ticket } => self.watching(ticket),
                TrackingMessage::Unwatch { prefixes } => {
                    self.core.tracking.prefixes.unwatch(from, &prefixes);
                    self.core.listen_anew();
                }
                TrackingMessage::Forget { client } => self.core.tracking.keys.forget(client),
            }
        }
    }

    /// It is known whether the target of a redirection is there.
    fn existence(&mut self, ticket: u64, exists: bool) {
        let mut ask = self.core.tracking.asks.remove(&ticket).expect("an answer comes once, to a question");
        // The client may have gone meanwhile; then nobody waits for the reply either.
        let Some(session) = self.core.clients.session_of(ask.client) else { return };
        let change = ask.change.take().expect("a change waits for this answer");
        let outcome = if exists { self.core.apply_tracking(session, change) } else { Err(NO_SUCH_TARGET) };
        match outcome {
            Ok(Some(open)) => self.open_ask(ticket, ask, open),
            Ok(None) => self.answer(ask, Ok(())),
            Err(error) => self.answer(ask, Err(error)),
        }
    }

    /// One more shard watches prefixes.
    fn watching(&mut self, ticket: u64) {
        let ask = self.core.tracking.asks.get_mut(&ticket).expect("every shard answers once");
        ask.missing -= 1;
        if ask.missing == 0 {
            let ask = self.core.tracking.asks.remove(&ticket).expect("it was there above");
            self.answer(ask, Ok(()));
        }
    }

    fn answer(&mut self, ask: Ask, outcome: Result<(), CommandError>) {
        let Some(session) = self.core.clients.session_of(ask.client) else { return };
        let mut reply = ReplyBuf::new(self.core.clients.of(session).protocol);
        match outcome {
            Ok(()) => reply.ok(),
            Err(error) => {
                self.core.command_stats.of(CommandId::ClientTracking).failed += 1;
                refuse(&mut self.core, &error, &mut reply);
            }
        }
        self.deliver(ask.to, reply.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use crate::shard::clients::Peer;
    use crate::testing::TestShard;

    #[test]
    fn a_subscriber_that_speaks_resp2_is_told_by_a_message() {
        let mut test = TestShard::new();
        let target = test.shard().open(Peer::default());
        let id = test.shard().core.clients.of(target).id;
        let told = |test: &mut TestShard| {
            let output = std::mem::take(test.shard().output(target));
            String::from_utf8_lossy(&output).replace("\r\n", " ")
        };
        test.check(&[(&format!("CLIENT TRACKING ON REDIRECT {id}"), "+OK"), ("GET k", "$-1"), ("SET k 1", "+OK")]);
        assert_eq!(told(&mut test), "", "it has not subscribed to anything");
        test.shard().core.clients.of(target).channels = 1;
        test.check(&[("GET k", "$1 1"), ("SET k 2", "+OK"), ("SET k 3", "+OK"), ("FLUSHALL", "+OK")]);
        let channel = "$7 message $20 __redis__:invalidate";
        assert_eq!(told(&mut test), format!("*3 {channel} *1 $1 k *3 {channel} $-1 "));
    }
}
