//! What a shard does between two commands because the first one caused it.
//!
//! Owns: telling extensions of changes, handing out pushes, passing notes on. Refuses to know: what any of them says.
//! Start at [`Shard::attend`]. Commands leave such work in [`Core`] and raise `attention`, so that a command that causes nothing pays
//! one branch.

use super::core::{Core, Push};
use super::cx::ShardCx;
use super::gate::PAUSED;
use super::message::{Call, ReplyTo, ShardId, TxnMessage, read_note};
use super::session::Session;
use super::{Shard, output_hard_limit_bytes};
use crate::argv::Argv;
use crate::extension::Extension;
use crate::table::CommandId;

/// A client that has gone while replies to it were under way.
#[derive(Debug)]
pub(super) struct Departed {
    awaited: usize,
    client_id: u64,
    watched: Vec<(u8, Box<[u8]>)>,
}

impl Shard {
    /// Does what was left to do. `current` is the session whose commands are being run, which is not in its place meanwhile.
    pub(super) fn attend(&mut self, mut current: Option<(u32, &mut Session)>) {
        while std::mem::take(&mut self.core.attention) {
            if self.is_busy() {
                // All else waits for the core that knows of it.
                self.hand_out_pushes(current.as_mut().map(|(index, session)| (*index, &mut **session)));
                break;
            }
            let told = std::mem::take(&mut self.core.told);
            if !told.is_empty() {
                with_extensions(&mut self.core, |_, extension, cx| extension.changed(cx, &told));
            }
            for (client_id, watched) in std::mem::take(&mut self.core.unwatched) {
                self.tell_unwatched(client_id, &watched);
            }
            for (session, ending) in std::mem::take(&mut self.core.unblocked) {
                self.stop_waiting(session, ending);
            }
            if self.core.waiters.has_ready() {
                self.serve_waiters();
            }
            if self.core.paused.is_none() && self.core.gate & PAUSED != 0 {
                self.end_pause();
            }
            self.attend_tracking();
            self.hand_out_pushes(current.as_mut().map(|(index, session)| (*index, &mut **session)));
            for (peer, notes) in self.core.notes.iter_mut().enumerate() {
                if !notes.is_empty() {
                    self.outboxes[peer].notes.append(notes);
                }
            }
        }
    }

    /// A client with watched keys has gone. Its last WATCH may not have reached their owners yet: they are told when all its replies are in.
    pub(super) fn unwatch_departed(&mut self, session: u32, generation: u32, awaited: usize) {
        if awaited == 0 {
            self.core.unwatch(session);
            return;
        }
        let client = self.core.clients.of(session);
        let watched = std::mem::take(&mut client.watching);
        if !watched.is_empty() {
            let departed = Departed { awaited, client_id: client.id, watched };
            self.departed.insert((session, generation), departed);
        }
    }

    /// A reply came for a client that has gone.
    #[cold]
    pub(super) fn reply_to_departed(&mut self, to: ReplyTo) {
        let Some(departed) = self.departed.get_mut(&(to.session, to.generation)) else { return };
        departed.awaited -= 1;
        if departed.awaited == 0
            && let Some(Departed { client_id, watched, .. }) = self.departed.remove(&(to.session, to.generation))
        {
            self.core.unwatched.push((client_id, watched));
            self.core.attention = true;
        }
    }

    /// Tells the owners of what a client watched that it does so no more.
    fn tell_unwatched(&mut self, client_id: u64, watched: &[(u8, Box<[u8]>)]) {
        let mut owners: Vec<ShardId> = watched.iter().map(|(db, key)| self.core.routing.owner(*db, key)).collect();
        owners.sort_unstable();
        owners.dedup();
        for owner in owners {
            if owner == self.core.id {
                self.core.watches.remove(client_id);
                self.core.listen_anew();
            } else {
                self.outboxes[owner].messages.push(TxnMessage::Unwatch { client_id });
            }
        }
    }

    fn hand_out_pushes(&mut self, mut current: Option<(u32, &mut Session)>) {
        for push in std::mem::take(&mut self.core.pushes) {
            self.hand_out(&push, current.as_mut().map(|(index, session)| (*index, &mut **session)));
        }
    }

    fn hand_out(&mut self, push: &Push, mut current: Option<(u32, &mut Session)>) {
        for &index in &push.sessions {
            if let Some((_, session)) = current.as_mut().filter(|(at, _)| *at == index) {
                self.push_to(index, session, push);
                continue;
            }
            // One that has gone since gets nothing.
            let Some(mut session) = self.sessions.get_mut(index as usize).and_then(Option::take) else { continue };
            self.lend_output(&mut session);
            self.push_to(index, &mut session, push);
            self.list(index, &mut session);
            self.sessions[index as usize] = Some(session);
        }
    }

    /// Gives a session a push. One whose output passes the hard limit by it gets nothing any more: it is closed, for a client must not miss messages
    /// without noticing.
    fn push_to(&mut self, index: u32, session: &mut Session, push: &Push) {
        if session.overflowed {
            return;
        }
        session.push(&push.bytes);
        let client = self.core.clients.of(index);
        client.output_bytes = session.unsent_bytes();
        if client.output_bytes > output_hard_limit_bytes(&self.core.config, client) {
            session.overflow();
            self.core.clients.kill_session(index);
            self.core.stats.output_limit_disconnections += 1;
        }
    }

    /// Lets extensions read what they said to themselves on another shard.
    pub(super) fn receive_notes(&mut self, from: ShardId, notes: &[u8]) {
        let mut rest = notes;
        while let Some((slot, note, next)) = read_note(rest) {
            rest = next;
            with_extensions(&mut self.core, |at, extension, cx| {
                if at == slot {
                    extension.receive(cx, from, note);
                }
            });
        }
    }

    /// The shards that a scattered command concerns: this one first where it is among them.
    pub(super) fn audience(&mut self, id: CommandId, argv: Argv<'_>) -> Vec<ShardId> {
        let mut audience = None;
        self.core.extensions.each(&mut |_, extension| {
            if audience.is_none() {
                audience = extension.audience(id, argv);
            }
        });
        let mut audience = audience.unwrap_or_else(|| (0..self.core.shards).collect());
        audience.sort_by_key(|shard| (*shard != self.core.id, *shard));
        audience
    }

    /// Lets extensions forget the clients that were marked to be closed, so that other shards hear of it no later than of what marked them.
    pub(super) fn forget_killed(&mut self) {
        for session in self.core.clients.killed().to_vec() {
            self.client_gone(session);
        }
        self.attend(None);
    }

    /// Lets extensions forget a client.
    pub(super) fn client_gone(&mut self, session: u32) {
        if self.forget_when_done(session) {
            return;
        }
        with_extensions(&mut self.core, |_, extension, cx| extension.client_gone(cx, session));
    }
}

/// Calls every extension with a context of the shard's own.
fn with_extensions(core: &mut Core, mut visit: impl FnMut(u8, &mut dyn Extension, &mut ShardCx<'_>)) {
    let mut extensions = std::mem::take(&mut core.extensions);
    extensions.each(&mut |slot, extension| visit(slot, extension, &mut ShardCx::new(core, Call::internal(0))));
    core.extensions = extensions;
}
