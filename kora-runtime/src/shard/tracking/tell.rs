//! Telling clients that keys have changed.
//!
//! Owns: what a change of a key, a flush and a full table lead to, and whom a client's mode lets hear of it. Refuses to know: sessions' buffers.
//! Start at [`Core::tell_trackers`] for the owner of a key, at [`Core::tell_clients`] for the home of a client.

use std::collections::BTreeMap;

use super::exchange::TrackingMessage;
use super::mode::{Change, Mode, NO_SUCH_TARGET, Wanted};
use super::news::{News, redirection_broken};
use super::prefixes::ChangedKeys;
use crate::argv::Argv;
use crate::error::CommandError;
use crate::limits::{BATCH_BYTES_MAX, TRACKING_EVICT_KEYS, TRACKING_SLICE_KEYS};
use crate::reply::Protocol;
use crate::shard::core::{Core, Push};
use crate::shard::message::{Call, ShardId, TxnId};
use crate::table::{self, Access, CommandId};

/// Transactions that flushed keys and are remembered after they are over.
const FLUSHES_OVER_MAX: usize = 64;

/// Sessions that get the same news, by the form in which they get it.
#[derive(Default)]
struct Recipients {
    pushes: Vec<u32>,
    messages: Vec<u32>,
}

/// What other shards have to do before a change of mode is complete.
#[derive(Debug)]
pub enum Open {
    /// Somebody has to tell whether the target of a redirection is there.
    Existence {
        /// The client.
        target: u64,
        /// The change that depends on it.
        change: Change,
    },
    /// Everybody has to watch prefixes.
    Watch(Vec<Box<[u8]>>),
}

impl Core {
    /// The shard on which a client's connection is.
    fn home_of(&self, client: u64) -> ShardId {
        (client % self.shards as u64) as ShardId
    }

    pub(super) fn send_tracking(&mut self, shard: ShardId, message: TrackingMessage) {
        self.tracking.outgoing.push((shard, message));
        self.attention = true;
    }

    pub(super) fn send_tracking_to_others(&mut self, message: impl Fn() -> TrackingMessage) {
        let me = self.id;
        (0..self.shards).filter(|shard| *shard != me).for_each(|shard| self.send_tracking(shard, message()));
    }

    // ---- the owner of a key -----------------------------------------------------------------------------------------

    /// Remembers that a tracking client has run a command: it hears when a key changes that the command may have read.
    #[cold]
    pub(crate) fn remember_reads(&mut self, call: Call, id: CommandId, argv: Argv<'_>) {
        if id.info().access != Access::Read {
            return;
        }
        // Keys of a command that does not parse have not been read.
        let _ = table::keys(id, argv, &mut |index, _| {
            if let Some(key) = argv.get(index) {
                self.remember_read(key, call.client_id);
            }
        });
    }

    /// Remembers that a tracking client has read a key.
    pub(crate) fn remember_read(&mut self, key: &[u8], client: u64) {
        let was_empty = self.tracking.keys.is_empty();
        self.tracking.keys.remember(key, client);
        if was_empty {
            self.listen_anew();
        }
        self.bound_tracking(TRACKING_EVICT_KEYS);
    }

    /// Tells some clients that keys have changed although they have not, while more are remembered than this shard's share of
    /// `tracking-table-max-keys`. True when there are still more.
    fn bound_tracking(&mut self, keys_max: usize) -> bool {
        let share = match self.config.tracking_table_max_keys {
            0 => return false,
            max => max.div_ceil(self.shards),
        };
        for _ in 0..keys_max {
            if self.tracking.keys.len() <= share {
                return false;
            }
            let random = self.random.next_u64();
            let Some((key, clients)) = self.tracking.keys.take_any(random) else { return false };
            self.tell_readers(&key, clients, 0);
        }
        self.tracking.keys.len() > share
    }

    /// A key of this shard has changed.
    pub(crate) fn tell_trackers(&mut self, key: &[u8]) {
        self.tracking.prefixes.note(key, self.acting_client);
        match self.tracking.prefixes.changed_bytes() {
            0 => {}
            // The end of the tick is too far away.
            bytes if bytes > BATCH_BYTES_MAX => self.broadcast(),
            _ => {}
        }
        if let Some(clients) = self.tracking.keys.take(key) {
            self.tell_readers(key, clients, self.acting_client);
            if self.tracking.keys.is_empty() {
                self.listen_anew();
            }
        }
    }

    fn tell_readers(&mut self, key: &[u8], clients: Vec<u64>, acting: u64) {
        let news = News::of_keys([key].into_iter());
        let mut by_home: BTreeMap<ShardId, Vec<u64>> = BTreeMap::new();
        for client in clients {
            by_home.entry(self.home_of(client)).or_default().push(client);
        }
        for (home, clients) in by_home {
            if home == self.id {
                self.tell_clients(&news, &clients, acting);
            } else {
                self.send_tracking(home, TrackingMessage::Changed { news: news.clone(), clients, acting });
            }
        }
    }

    /// Tells what has changed under each prefix since the last call.
    pub(crate) fn broadcast(&mut self) {
        for (prefix, homes, keys) in self.tracking.prefixes.take_changed() {
            for home in homes {
                if home == self.id {
                    self.tell_subscribers(&prefix, &keys);
                } else {
                    let (prefix, keys) = (prefix.clone(), keys.clone());
                    self.send_tracking(home, TrackingMessage::Broadcast { prefix, keys });
                }
            }
        }
    }

    /// Keys of this shard were flushed by the command that runs. As in Redis, whichever database it was, every client hears of it.
    pub(crate) fn flushed(&mut self) {
        self.tracking.flush_concerns |= self.tracking.listens();
        self.tracking.keys.clear();
        self.listen_anew();
        self.tracking.flushed = true;
        self.attention = true;
    }

    /// The command that flushed keys was a part of a transaction: clients hear of it when all parts have run, because replies with older values may be on
    /// their way to them from the other shards.
    pub(crate) fn hold_flush(&mut self, txn: TxnId) {
        if std::mem::take(&mut self.tracking.flushed) {
            if !self.tracking.flushing.contains(&txn) {
                self.tracking.flushing.push(txn);
            }
            if std::mem::take(&mut self.tracking.flush_concerns) {
                // They may even be slower than the end of the transaction.
                self.send_tracking_to_others(|| TrackingMessage::Flushed { txn });
            }
        }
    }

    /// All parts of a transaction have run.
    pub(crate) fn finish_flush(&mut self, txn: TxnId) {
        let Some(at) = self.tracking.flushing.iter().position(|flushing| *flushing == txn) else { return };
        self.tracking.flushing.swap_remove(at);
        self.tracking.flushes_over.truncate(FLUSHES_OVER_MAX - 1);
        self.tracking.flushes_over.push_front(txn);
        self.tracking.flushed_all = true;
        self.attention = true;
    }

    /// Another shard flushed its keys, and what it replied before has arrived. Clients that were told already hear it again.
    pub(super) fn flushed_elsewhere(&mut self, txn: TxnId) {
        if self.tracking.flushes_over.contains(&txn) {
            self.tell_flush();
        }
    }

    /// Does what commands have left to do for flushes.
    pub(super) fn tell_flushes(&mut self) {
        let here = std::mem::take(&mut self.tracking.flushed);
        let everywhere = std::mem::take(&mut self.tracking.flushed_all);
        if here {
            self.tracking.flush_concerns = false;
            self.send_tracking_to_others(|| TrackingMessage::FlushedAlone);
        }
        if here || everywhere {
            self.tell_flush();
        }
    }

    /// Tells the clients of this shard of a flush.
    pub(super) fn tell_flush(&mut self) {
        let clients: Vec<u64> =
            self.clients.iter().filter(|client| client.tracking.is_some()).map(|client| client.id).collect();
        let mut recipients = Recipients::default();
        for client in clients {
            self.address(&News::Everything, client, &mut recipients);
        }
        self.hand_out(&News::Everything, recipients);
    }

    /// One slice of background work. True while there is more.
    pub(crate) fn tidy_tracking(&mut self) -> bool {
        self.acting_client = 0;
        let had_keys = !self.tracking.keys.is_empty();
        let more = self.bound_tracking(TRACKING_SLICE_KEYS) | self.tracking.keys.tidy();
        if had_keys && self.tracking.keys.is_empty() {
            self.listen_anew();
        }
        more
    }

    // ---- the home of a client ---------------------------------------------------------------------------------------

    /// Tells clients of this shard that a key has changed which they have read, unless they do not want to hear that of `acting`, or any more.
    pub(super) fn tell_clients(&mut self, news: &News, clients: &[u64], acting: u64) {
        let mut recipients = Recipients::default();
        for &client in clients {
            let wants = |mode: &Mode| !(mode.bcast || mode.noloop && client == acting);
            if self.mode_of(client).is_some_and(wants) {
                self.address(news, client, &mut recipients);
            }
        }
        self.hand_out(news, recipients);
    }

    /// Tells the clients of this shard that subscribed to a prefix which of its keys have changed.
    pub(super) fn tell_subscribers(&mut self, prefix: &[u8], keys: &ChangedKeys) {
        let all = News::of_keys(keys.keys().map(|key| &**key));
        let mut recipients = Recipients::default();
        for client in self.tracking.prefixes.subscribers(prefix) {
            // One that was reset while this core was away for a script still stands here.
            let Some(mode) = self.mode_of(client).filter(|mode| mode.prefixes.contains(prefix)) else {
                self.unsubscribe(client, std::iter::once(prefix.into()));
                continue;
            };
            if mode.noloop && keys.values().any(|changer| *changer == client) {
                let others: Vec<&[u8]> =
                    keys.iter().filter(|(_, changer)| **changer != client).map(|(key, _)| &**key).collect();
                if !others.is_empty() {
                    let mut alone = Recipients::default();
                    let news = News::of_keys(others.into_iter());
                    self.address(&news, client, &mut alone);
                    self.hand_out(&news, alone);
                }
            } else {
                self.address(&all, client, &mut recipients);
            }
        }
        self.hand_out(&all, recipients);
    }

    /// The session of a client of this shard that can still be told something.
    pub(super) fn present(&mut self, client: u64) -> Option<u32> {
        let session = self.clients.session_of(client)?;
        (!self.clients.of(session).over).then_some(session)
    }

    fn mode_of(&mut self, client: u64) -> Option<&Mode> {
        let session = self.clients.session_of(client)?;
        self.clients.of(session).tracking.as_deref()
    }

    /// Finds the session that gets news for a client of this shard; the home of a redirection's target is sent them.
    fn address(&mut self, news: &News, client: u64, recipients: &mut Recipients) {
        let Some(session) = self.clients.session_of(client) else { return };
        let source = self.clients.of(session);
        let target = source.tracking.as_ref().map_or(0, |mode| mode.redirect);
        if target == 0 {
            // A RESP2 client has no place for what it did not ask for.
            if source.protocol == Protocol::Resp3 {
                recipients.pushes.push(session);
            }
        } else if self.home_of(target) == self.id {
            self.address_target(client, target, recipients);
        } else {
            let (source, home) = (client, self.home_of(target));
            self.send_tracking(home, TrackingMessage::Redirected { source, target, news: news.clone() });
        }
    }

    /// The target of a redirection is a client of this shard, or was.
    fn address_target(&mut self, source: u64, target: u64, recipients: &mut Recipients) {
        let Some(session) = self.present(target) else {
            if self.home_of(source) == self.id {
                self.redirection_broken(source, target);
            } else {
                self.send_tracking(self.home_of(source), TrackingMessage::Broken { source, target });
            }
            return;
        };
        let client = self.clients.of(session);
        if client.protocol == Protocol::Resp3 {
            recipients.pushes.push(session);
        } else if client.channels + client.patterns + client.shard_channels > 0 {
            recipients.messages.push(session);
        }
    }

    /// News that another client's mode redirects to a client of this shard.
    pub(super) fn tell_target(&mut self, news: &News, source: u64, target: u64) {
        let mut recipients = Recipients::default();
        self.address_target(source, target, &mut recipients);
        self.hand_out(news, recipients);
    }

    /// The client to be told in place of one of this shard has gone.
    pub(super) fn redirection_broken(&mut self, source: u64, target: u64) {
        let Some(session) = self.clients.session_of(source) else { return };
        let client = self.clients.of(session);
        let Some(mode) = client.tracking.as_mut().filter(|mode| mode.redirect == target) else { return };
        mode.broken = true;
        if client.protocol == Protocol::Resp3 {
            self.push(Push { sessions: vec![session], bytes: redirection_broken(target) });
        }
    }

    fn hand_out(&mut self, news: &News, recipients: Recipients) {
        let Recipients { pushes, messages } = recipients;
        if !pushes.is_empty() {
            self.push(Push { sessions: pushes, bytes: news.as_push() });
        }
        if !messages.is_empty() {
            self.push(Push { sessions: messages, bytes: news.as_message() });
        }
    }

    // ---- changes of mode --------------------------------------------------------------------------------------------

    /// Carries a CLIENT TRACKING out, as far as this shard can; what is left open is for other shards.
    ///
    /// # Errors
    /// With Redis's text; nothing has changed.
    pub(crate) fn change_tracking(&mut self, session: u32, change: Change) -> Result<Option<Open>, CommandError> {
        if let Some(redirect) = change.redirect {
            let target = u64::try_from(redirect).ok().filter(|target| *target > 0).ok_or(NO_SUCH_TARGET)?;
            if self.home_of(target) != self.id {
                return Ok(Some(Open::Existence { target, change }));
            }
            self.present(target).ok_or(NO_SUCH_TARGET)?;
        }
        self.apply_tracking(session, change)
    }

    /// Does what is open of a change of mode inside EXEC, which cannot wait: whether the target of a redirection is there shows when it is to be told, and other
    /// shards hear of prefixes a moment later than the client.
    pub(crate) fn complete_unasked(&mut self, session: u32, open: Open) -> Result<(), CommandError> {
        let open = match open {
            Open::Existence { change, .. } => self.apply_tracking(session, change)?,
            open => Some(open),
        };
        if let Some(Open::Watch(prefixes)) = open {
            self.send_tracking_to_others(|| TrackingMessage::Watch { prefixes: prefixes.clone(), ticket: None });
        }
        Ok(())
    }

    /// As [`Core::change_tracking`], when it is known that the target of a redirection is there.
    pub(super) fn apply_tracking(&mut self, session: u32, change: Change) -> Result<Option<Open>, CommandError> {
        let redirect = change.redirect.map_or(0, |target| target as u64);
        match change.to {
            Some(wanted) => self.start_tracking(session, redirect, wanted),
            None => {
                self.stop_tracking(session);
                Ok(None)
            }
        }
    }

    fn start_tracking(&mut self, session: u32, redirect: u64, wanted: Wanted) -> Result<Option<Open>, CommandError> {
        let client = self.clients.of(session);
        let now = client.tracking.as_deref();
        wanted.check(now)?;
        let mode = wanted.into_mode(redirect, now);
        let id = client.id;
        let prefixes: Vec<Box<[u8]>> = mode.prefixes.iter().cloned().collect();
        client.tracks = !mode.bcast;
        client.tracked |= !mode.bcast;
        client.tracking = Some(Box::new(mode));
        if prefixes.is_empty() {
            return Ok(None);
        }
        for prefix in &prefixes {
            self.tracking.prefixes.subscribe(prefix, id);
        }
        self.tracking.prefixes.watch(self.id, &prefixes);
        self.listen_anew();
        Ok((self.shards > 1).then_some(Open::Watch(prefixes)))
    }

    /// Turns tracking off for a client. What is remembered of its reads goes when the keys change, or with the client.
    pub(crate) fn stop_tracking(&mut self, session: u32) {
        let client = self.clients.of(session);
        client.tracks = false;
        let id = client.id;
        let Some(mode) = client.tracking.take() else { return };
        self.unsubscribe(id, mode.prefixes.into_iter());
    }

    fn unsubscribe(&mut self, client: u64, prefixes: impl Iterator<Item = Box<[u8]>>) {
        let unused: Vec<Box<[u8]>> =
            prefixes.filter(|prefix| self.tracking.prefixes.unsubscribe(prefix, client)).collect();
        if !unused.is_empty() {
            self.tracking.prefixes.unwatch(self.id, &unused);
            self.send_tracking_to_others(|| TrackingMessage::Unwatch { prefixes: unused.clone() });
            self.listen_anew();
        }
    }
}
