//! What a handler sees of its shard.
//!
//! Owns: the one road by which commands read and change keys: expiry is checked, types are checked, clocks are moved, changes are told.
//! Refuses to know: what any command means, other shards, sockets, the log's format.
//! Start at [`ShardCx::read`] and [`ShardCx::write_or_create`].
//!
//! Invariants: a handler changes a key only through this context, and says what it did by [`ShardCx::changed`] (or by a method here that
//! says so for it). A collection is never left empty: whoever takes the last element calls [`ShardCx::remove_emptied`].

use std::rc::Rc;

use ahash::RandomState;

use super::blocking::Wait;
use super::core::{Core, Push};
use super::gate;
use super::message::{Call, ShardId, frame_of, write_note};
use crate::argv::Argv;
use crate::error::CommandError;
use crate::keyspace::typed::{INLINE_STRING_BYTES_MAX, Type};
use crate::keyspace::{Detached, Draft, Entry, Event, Kind};
use crate::rdb::ValueView;
use crate::reply::Protocol;
use crate::resp::number::parse_i64;
use crate::table::CommandId;
use crate::types::table::Slot;
use crate::types::{Big, Slab};

/// The context of one command on one shard.
#[derive(Debug)]
pub struct ShardCx<'s> {
    pub(crate) core: &'s mut Core,
    pub(crate) call: Call,
}

/// What becomes of a key's expiry when its value is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpiryChange {
    /// It goes.
    Clear,
    /// It stays.
    Keep,
    /// It is this one, Unix milliseconds.
    At(u64),
}

impl<'s> ShardCx<'s> {
    /// A context for `call`.
    pub fn new(core: &'s mut Core, call: Call) -> Self {
        Self { core, call }
    }

    /// The time of this tick, Unix milliseconds.
    #[inline]
    pub fn now_ms(&self) -> u64 {
        self.core.now_ms
    }

    /// The selected database.
    #[inline]
    pub fn db(&self) -> u8 {
        self.call.db
    }

    /// The settings.
    #[inline]
    pub fn config(&self) -> &crate::config::Config {
        &self.core.config
    }

    /// This shard's number.
    pub fn shard(&self) -> ShardId {
        self.core.id
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.core.shards
    }

    /// True inside EXEC and scripts.
    pub fn is_nested(&self) -> bool {
        self.call.nested
    }

    /// The session of the client whose command this is, when it is a client of this shard.
    pub fn session(&self) -> Option<u32> {
        self.core.clients.session_of(self.call.client_id)
    }

    /// The protocol that a client of this shard speaks now; `None` when it has gone.
    pub fn protocol_of(&self, session: u32) -> Option<Protocol> {
        self.core.clients.get(session).map(|client| client.protocol)
    }

    /// The protocol of the reply.
    pub fn protocol(&self) -> Protocol {
        self.call.protocol
    }

    /// Notes how much a client of this shard has subscribed to.
    pub fn set_subscriptions(&mut self, session: u32, channels: u32, patterns: u32, shard_channels: u32) {
        let client = self.core.clients.of(session);
        (client.channels, client.patterns, client.shard_channels) = (channels, patterns, shard_channels);
        client.gate &= !gate::SUBSCRIBED;
        if client.is_subscribed() {
            client.gate |= gate::SUBSCRIBED;
        }
    }

    /// Leaves bytes for sessions of this shard; they get them between replies, never inside one.
    pub fn push(&mut self, sessions: Vec<u32>, bytes: Rc<[u8]>) {
        self.core.push(Push { sessions, bytes });
    }

    /// Says something to an extension on another shard; `slot` is its number, a constant of [`Extensions`](crate::table::Extensions).
    pub fn send(&mut self, shard: ShardId, slot: u8, note: &[u8]) {
        assert!(shard != self.core.id, "an extension need not write to itself");
        write_note(&mut self.core.notes[shard], slot, note);
        self.core.attention = true;
    }

    /// Says that the command found nothing and that its client may wait for `keys` to hold an `awaited` value (a word of TYPE). The reply that the handler then
    /// makes is the one of a client that may not wait because it is inside EXEC or a script; who waits for keys in vain gets a null array whatever it is.
    pub fn wait<'k>(
        &mut self,
        keys: impl IntoIterator<Item = &'k [u8]>,
        awaited: &'static str,
        deadline_ms: Option<u64>,
    ) {
        if !self.call.nested {
            let keys = keys.into_iter().map(Box::from).collect();
            self.core.wait = Some(Wait { keys, awaited, deadline_ms, retry: None });
        }
    }

    /// After [`ShardCx::wait`]: other words than the client's own are run when it is tried again. They name the same keys.
    pub fn retry_as(&mut self, command: CommandId, argv: Argv<'_>) {
        if let Some(wait) = &mut self.core.wait {
            let frame = frame_of(command, argv);
            wait.retry = Some(frame);
        }
    }

    /// Watches a key for the client.
    pub fn watch(&mut self, key: &[u8]) {
        // A key that has expired is gone before it is watched.
        self.find(key);
        self.core.watches.add(self.call.client_id, self.call.db, key);
        self.core.listen_anew();
    }

    /// 64 random bits.
    pub fn random(&mut self) -> u64 {
        self.core.random.next_u64()
    }

    /// Finds a live key in a database; one that has expired is removed on the way and told of.
    #[inline]
    pub fn find_in(&mut self, db: u8, key: &[u8]) -> Option<Slot> {
        self.find_hashed(db, self.core.keyspace.hash(key), key)
    }

    /// As [`ShardCx::find_in`], for a caller that needs the key's hash again.
    #[inline]
    fn find_hashed(&mut self, db: u8, hash: u64, key: &[u8]) -> Option<Slot> {
        let database = self.core.keyspace.database(usize::from(db));
        let slot = database.find(hash, key)?;
        if database.entry(slot).is_expired(self.core.now_ms) {
            self.expire_now(db, slot, key);
            return None;
        }
        Some(slot)
    }

    /// Finds a live key in the selected database.
    #[inline]
    pub fn find(&mut self, key: &[u8]) -> Option<Slot> {
        self.find_in(self.call.db, key)
    }

    #[cold]
    fn expire_now(&mut self, db: u8, slot: Slot, key: &[u8]) {
        let (database, seeds) = self.core.keyspace.database_mut(usize::from(db));
        if let Some(big) = database.remove(slot, seeds) {
            self.core.graveyard.bury(big);
        }
        self.core.stats.expired_keys += 1;
        self.core.log_removal(db, key);
        self.core.changed(db, Event::Expired, key);
    }

    #[inline]
    fn touch(&mut self, slot: Slot) {
        if self.call.no_touch {
            return;
        }
        let core = &mut *self.core;
        let (database, _) = core.keyspace.database_mut(usize::from(self.call.db));
        Core::touch(&core.config, &mut core.random, core.access_ms, database.entry_mut(slot));
    }

    /// The entry of a live key in the selected database, its access clock moved and the lookup counted as a hit or miss.
    pub fn lookup(&mut self, key: &[u8]) -> Option<&Entry> {
        let found = self.find(key);
        self.count_lookup(found.is_some(), key);
        let slot = found?;
        self.touch(slot);
        Some(self.core.keyspace.database(usize::from(self.call.db)).entry(slot))
    }

    /// The entry of a live key, with nothing moved and nothing counted (OBJECT, DEBUG, TYPE of SCAN).
    pub fn peek(&mut self, key: &[u8]) -> Option<&Entry> {
        let slot = self.find(key)?;
        Some(self.core.keyspace.database(usize::from(self.call.db)).entry(slot))
    }

    /// The entry of a live key, counted as a hit or miss, its access clock not moved (EXISTS, TTL, TYPE).
    pub fn glance(&mut self, key: &[u8]) -> Option<&Entry> {
        let found = self.find(key);
        self.count_lookup(found.is_some(), key);
        Some(self.core.keyspace.database(usize::from(self.call.db)).entry(found?))
    }

    #[inline]
    fn count_lookup(&mut self, hit: bool, key: &[u8]) {
        self.core.stats.keyspace_hits += u64::from(hit);
        self.core.stats.keyspace_misses += u64::from(!hit);
        if self.core.listening && !hit {
            self.core.missed(self.call.db, key);
        }
    }

    /// What `view` makes of a live key's entry and the big values of its database; counted and touched. `None` when the key does not exist.
    #[inline]
    fn read_by<'r, R>(
        &'r mut self,
        key: &[u8],
        view: impl FnOnce(&'r Entry, &'r Slab<Big>) -> Result<R, CommandError>,
    ) -> Result<Option<R>, CommandError> {
        let found = self.find(key);
        self.count_lookup(found.is_some(), key);
        let Some(slot) = found else { return Ok(None) };
        self.touch(slot);
        let (entry, bigs) = self.core.keyspace.database(usize::from(self.call.db)).value(slot);
        if entry.is_fenced() {
            return Err(CommandError::Fenced);
        }
        view(entry, bigs).map(Some)
    }

    /// A key's value of type `T` for reading; `None` when the key does not exist.
    ///
    /// # Errors
    /// `WRONGTYPE` when the key holds another type; `Fenced` when a command failed while changing it.
    #[inline]
    pub fn read<T: Type>(&mut self, key: &[u8]) -> Result<Option<T::Ref<'_>>, CommandError> {
        self.read_by(key, |entry, bigs| T::reference(entry, bigs).ok_or(CommandError::WrongType))
    }

    /// A key's value of whatever type; `None` when the key does not exist.
    ///
    /// # Errors
    /// `Fenced` when a command failed while changing it.
    pub fn read_any(&mut self, key: &[u8]) -> Result<Option<ValueView<'_>>, CommandError> {
        self.read_by(key, |entry, bigs| Ok(ValueView::of_entry(entry, bigs)))
    }

    /// A key's value of type `T` for changing; `None` when the key does not exist.
    ///
    /// # Errors
    /// As [`ShardCx::read`].
    #[inline]
    pub fn write<T: Type>(&mut self, key: &[u8]) -> Result<Option<T::Mut<'_>>, CommandError> {
        let Some(slot) = self.find(key) else { return Ok(None) };
        self.mutable::<T>(slot).map(Some)
    }

    /// A key's value of type `T` for changing; an empty one is created when the key does not exist. A handler that then adds nothing
    /// calls [`ShardCx::remove_emptied`].
    ///
    /// # Errors
    /// As [`ShardCx::read`].
    #[inline]
    pub fn write_or_create<T: Type>(&mut self, key: &[u8]) -> Result<T::Mut<'_>, CommandError> {
        let slot = match self.find(key) {
            Some(slot) => slot,
            None => self.insert(key, T::NEW, &[], None),
        };
        self.mutable::<T>(slot)
    }

    #[inline]
    fn mutable<T: Type>(&mut self, slot: Slot) -> Result<T::Mut<'_>, CommandError> {
        self.touch(slot);
        let (database, seeds) = self.core.keyspace.database_mut(usize::from(self.call.db));
        if database.entry(slot).is_fenced() {
            return Err(CommandError::Fenced);
        }
        T::mutable(database.value_mut(slot, seeds)).ok_or(CommandError::WrongType)
    }

    #[inline]
    fn insert(&mut self, key: &[u8], kind: Kind, payload: &[u8], expiry_ms: Option<u64>) -> Slot {
        let access = self.core.access_now();
        let hash = self.core.keyspace.hash(key);
        let (database, seeds) = self.core.keyspace.database_mut(usize::from(self.call.db));
        let slot = database.insert(hash, Entry::new(key, kind, payload, expiry_ms, access), seeds);
        if self.core.listening {
            self.core.created(self.call.db, key);
        }
        slot
    }

    /// The value of a key that [`ShardCx::read`] has judged, for commands that look at several keys at once. Nothing is moved, counted
    /// or removed; `None` for another type, too.
    pub fn view<T: Type>(&self, key: &[u8]) -> Option<T::Ref<'_>> {
        let database = self.core.keyspace.database(usize::from(self.call.db));
        let (entry, bigs) = database.value(database.find(self.core.keyspace.hash(key), key)?);
        if entry.is_expired(self.core.now_ms) { None } else { T::reference(entry, bigs) }
    }

    /// What members are hashed with, for tables that live as long as a command.
    pub fn seeds(&self) -> RandomState {
        self.core.keyspace.seeds().clone()
    }

    /// An empty collection that has no key yet.
    pub fn draft<T: Type>(&self) -> Draft<T> {
        Draft::new(self.core.keyspace.seeds())
    }

    /// Gives a collection a key, replacing what is there; says nothing.
    pub fn store<T: Type>(&mut self, key: &[u8], draft: Draft<T>) {
        let value = draft.into_detached(self.core.access_now());
        let was_there = self.attach_quietly(self.call.db, key, value);
        if self.core.listening && !was_there {
            self.core.created(self.call.db, key);
        }
    }

    /// Drops a collection that was made for a reply.
    pub fn discard<T: Type>(&mut self, draft: Draft<T>) {
        if let Some(big) = draft.into_detached(0).big {
            self.core.graveyard.bury(big);
        }
    }

    /// True when the key exists; counts as a lookup, and does not move its access clock.
    pub fn exists(&mut self, key: &[u8]) -> bool {
        self.glance(key).is_some()
    }

    /// Sets a key to a string, whatever it held before. Says nothing: the caller tells the event.
    #[inline]
    pub fn set_string(&mut self, key: &[u8], value: &[u8], expiry: ExpiryChange) {
        let number = if value.len() <= 20 { parse_i64(value) } else { None };
        match number {
            Some(number) => self.set_inline(key, Kind::Int, &number.to_le_bytes(), expiry),
            None if value.len() <= INLINE_STRING_BYTES_MAX => self.set_inline(key, Kind::Str, value, expiry),
            None => self.set_big(key, Kind::StrBig, Big::Str(value.to_vec()), expiry),
        }
    }

    #[inline]
    fn set_inline(&mut self, key: &[u8], kind: Kind, payload: &[u8], expiry: ExpiryChange) {
        let hash = self.core.keyspace.hash(key);
        if let Some(slot) = self.find_hashed(self.call.db, hash, key) {
            let (database, _) = self.core.keyspace.database_mut(usize::from(self.call.db));
            let old = database.replace_inline(slot, kind, payload);
            database.entry_mut(slot).clear_marks();
            self.finish_set(slot, expiry, old);
            return;
        }
        let access = self.core.access_now();
        let expiry_ms = if let ExpiryChange::At(at_ms) = expiry { Some(at_ms) } else { None };
        let (database, seeds) = self.core.keyspace.database_mut(usize::from(self.call.db));
        database.insert(hash, Entry::new(key, kind, payload, expiry_ms, access), seeds);
        if self.core.listening {
            self.core.created(self.call.db, key);
        }
    }

    fn set_big(&mut self, key: &[u8], kind: Kind, big: Big, expiry: ExpiryChange) {
        let slot = match self.find(key) {
            Some(slot) => slot,
            None => self.insert(key, Kind::Str, &[], None),
        };
        let (database, _) = self.core.keyspace.database_mut(usize::from(self.call.db));
        let old = database.replace_big(slot, kind, big);
        database.entry_mut(slot).clear_marks();
        self.finish_set(slot, expiry, old);
    }

    #[inline]
    fn finish_set(&mut self, slot: Slot, expiry: ExpiryChange, old: Option<Big>) {
        if let Some(old) = old {
            self.core.graveyard.bury(old);
        }
        // A new value is fresh even for a client that does not touch; its use counter goes on from the old one's, as in Redis.
        let core = &mut *self.core;
        let (database, _) = core.keyspace.database_mut(usize::from(self.call.db));
        Core::touch(&core.config, &mut core.random, core.access_ms, database.entry_mut(slot));
        match expiry {
            ExpiryChange::Clear => database.set_expiry(slot, None),
            ExpiryChange::At(at_ms) => database.set_expiry(slot, Some(at_ms)),
            ExpiryChange::Keep => {}
        }
    }

    /// Says that a key of the selected database changed. Every change of a key is told exactly as Redis would notify it.
    #[inline]
    pub fn changed(&mut self, event: Event, key: &[u8]) {
        self.core.changed(self.call.db, event, key);
    }

    /// Says that a key of another database changed.
    pub fn changed_in(&mut self, db: u8, event: Event, key: &[u8]) {
        self.core.changed(db, event, key);
    }

    /// Says that something changed that is no key and that the log is to have all the same.
    pub fn changed_beside_keys(&mut self) {
        self.core.stats.dirty += 1;
    }

    /// Removes a live key and tells `del`. True when it was there.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        self.remove_quietly(key) && {
            self.changed(Event::Del, key);
            true
        }
    }

    /// Removes a live key without telling; for commands that tell something else (RENAME). True when it was there.
    pub fn remove_quietly(&mut self, key: &[u8]) -> bool {
        let Some(slot) = self.find(key) else { return false };
        let (database, seeds) = self.core.keyspace.database_mut(usize::from(self.call.db));
        if let Some(big) = database.remove(slot, seeds) {
            self.core.graveyard.bury(big);
        }
        true
    }

    /// Removes a collection that has become empty and tells `del`.
    pub fn remove_emptied(&mut self, key: &[u8]) {
        self.remove(key);
    }

    /// When a live key expires: `None` without the key, `Some(None)` without an expiry.
    pub fn expiry_ms(&mut self, key: &[u8]) -> Option<Option<u64>> {
        let slot = self.find(key)?;
        Some(self.core.keyspace.database(usize::from(self.call.db)).entry(slot).expiry_ms())
    }

    /// Sets or clears the expiry of a live key; says nothing. False without the key.
    pub fn set_expiry_ms(&mut self, key: &[u8], expiry_ms: Option<u64>) -> bool {
        let Some(slot) = self.find(key) else { return false };
        let (database, _) = self.core.keyspace.database_mut(usize::from(self.call.db));
        database.set_expiry(slot, expiry_ms);
        true
    }

    /// Takes a live key's value out of a database; says nothing.
    pub fn detach(&mut self, db: u8, key: &[u8]) -> Option<Detached> {
        let slot = self.find_in(db, key)?;
        let (database, seeds) = self.core.keyspace.database_mut(usize::from(db));
        Some(database.detach(slot, seeds))
    }

    /// A copy of a live key's value; says nothing.
    pub fn duplicate(&mut self, db: u8, key: &[u8]) -> Option<Detached> {
        let slot = self.find_in(db, key)?;
        Some(self.core.keyspace.database(usize::from(db)).duplicate(slot))
    }

    /// Puts a value under a key, replacing what is there. The key is new, as in Redis, even where there was one.
    pub fn attach(&mut self, db: u8, key: &[u8], value: Detached) {
        self.attach_quietly(db, key, value);
        if self.core.listening {
            self.core.created(db, key);
        }
    }

    /// Puts a value under a key, replacing what is there; says nothing. True when there was something.
    pub(crate) fn attach_quietly(&mut self, db: u8, key: &[u8], value: Detached) -> bool {
        let hash = self.core.keyspace.hash(key);
        let found = self.find_in(db, key);
        let (database, seeds) = self.core.keyspace.database_mut(usize::from(db));
        if let Some(slot) = found
            && let Some(big) = database.remove(slot, seeds)
        {
            self.core.graveyard.bury(big);
        }
        database.attach(hash, key, value, seeds);
        found.is_some()
    }

    /// Marks keys that a failed command may have left half changed; nothing can be read from them until they are deleted or overwritten.
    pub(crate) fn fence(&mut self, keys: &[usize], argv: Argv<'_>) {
        for &index in keys {
            let Some(key) = argv.get(index) else { continue };
            if let Some(slot) = self.find(key) {
                let (database, _) = self.core.keyspace.database_mut(usize::from(self.call.db));
                database.entry_mut(slot).fence();
            }
        }
    }
}
