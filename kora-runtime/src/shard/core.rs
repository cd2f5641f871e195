//! The part of a shard that commands work on: keys, clock, randomness, settings, counters.
//!
//! Owns: [`Core`], everything that a handler may reach through [`ShardCx`](super::cx::ShardCx).
//! Refuses to know: other shards, sessions' buffers, intents.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use ahash::RandomState;

use super::blocking::{Ending, Wait};
use super::busy::ScriptState;
use super::clients::{Client, Clients};
use super::fault::Fault;
use super::gate::{self, Pause};
use super::journal::Journal;
use super::message::{ShardId, TxnId};
use super::routing::Routing;
use super::saving::Snapshot;
use super::stats::{CommandStats, Meter, Stats};
use super::tracking::Tracking;
use super::tracking::tell::Open;
use super::waiters::{Waiter, Waiters};
use super::watch::Watches;
use crate::config::{AppendFsync, Config};
use crate::host::{Host, SnapshotSink};
use crate::keyspace::{Database, Entry, Event, EventClass, Keyspace};
use crate::random::Random;
use crate::table::Extensions;
use crate::types::Big;

/// Who wants to hear of every change, in the order in which changes happen on this shard.
pub type EffectHook = Box<dyn FnMut(u8, Event, &[u8]) + Send>;

/// A change that a transaction made while its keys were away from their owner; the owner tells it when the keys come home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// In which database.
    pub db: u8,
    /// What happened.
    pub event: Event,
    /// To which key.
    pub key: Box<[u8]>,
}

/// Where changes are told.
#[derive(Default)]
pub enum EffectSink {
    /// Nobody listens.
    #[default]
    Nobody,
    /// Someone listens on this shard.
    Hook(EffectHook),
    /// Kept for the keys' owners.
    Capture(Vec<Effect>),
}

/// Bytes for clients that did not ask for them just now: messages, invalidations.
#[derive(Debug, Clone)]
pub struct Push {
    /// The sessions of this shard that get them.
    pub sessions: Vec<u32>,
    /// What they get, encoded once for all of them.
    pub bytes: Rc<[u8]>,
}

/// What is left to drop, a slice at a time.
#[derive(Debug, Default)]
pub struct Graveyard {
    bigs: VecDeque<Big>,
    databases: VecDeque<Database>,
}

impl Graveyard {
    /// Leaves a value to be dropped. One that is quick to drop goes at once.
    pub fn bury(&mut self, big: Big) {
        if big.len() > crate::limits::DROP_SLICE_ELEMENTS {
            self.bigs.push_back(big);
        }
    }

    /// Leaves a whole database to be dropped.
    pub fn bury_database(&mut self, database: Database) {
        if !database.is_empty() {
            self.databases.push_back(database);
        }
    }

    /// Values and databases that wait.
    pub fn len(&self) -> usize {
        self.bigs.len() + self.databases.iter().map(Database::len).sum::<usize>()
    }

    /// True when nothing waits.
    pub fn is_empty(&self) -> bool {
        self.bigs.is_empty() && self.databases.is_empty()
    }

    /// Drops one slice. True while there is more.
    pub fn dig(&mut self) -> bool {
        let slice = crate::limits::DROP_SLICE_ELEMENTS;
        if let Some(big) = self.bigs.front_mut() {
            if !big.drain_some(slice) {
                self.bigs.pop_front();
            }
        } else if let Some(database) = self.databases.front_mut() {
            let bigs = &mut self.bigs;
            if !database.drain_some(slice, &mut |big| bigs.push_back(big)) {
                self.databases.pop_front();
            }
        }
        !self.is_empty()
    }
}

/// Everything that commands work on. For a script it moves to another place and back, so what is large and seldom used is in boxes.
pub struct Core {
    /// This shard's number.
    pub id: ShardId,
    /// How many shards there are.
    pub shards: usize,
    /// Where keys live, here or on other shards.
    pub routing: Routing,
    /// The keys.
    pub keyspace: Keyspace,
    /// The time of this tick, Unix milliseconds.
    pub now_ms: u64,
    /// The time by which access clocks go: that of the tick, also while a log is replayed and nothing expires.
    pub access_ms: u64,
    /// Random numbers for SPOP, RANDOMKEY and the like.
    pub random: Random,
    /// This shard's copy of the settings.
    pub config: Config,
    /// Counters for INFO.
    pub stats: Stats,
    /// Calls of each command.
    pub command_stats: CommandStats,
    /// How fast some counters move.
    pub meter: Box<Meter>,
    /// Connections that the process had accepted and refused when counters were last set back.
    pub connections_before_reset: (u64, u64),
    /// This shard's clients.
    pub clients: Clients,
    /// Values on their way out.
    pub graveyard: Graveyard,
    /// The process around.
    pub host: Arc<dyn Host>,
    /// Expired keys are swept in the background (DEBUG SET-ACTIVE-EXPIRE).
    pub active_expire: bool,
    /// Where the sweep goes on: database and position in its table.
    pub(super) sweep_at: (usize, u64),
    /// What of the changes goes to the log.
    pub journal: Journal,
    /// A snapshot that is being written, and one that is and waits for its end.
    pub(super) snapshot: Option<Box<Snapshot>>,
    pub(super) saved: Option<(Box<dyn SnapshotSink>, u64)>,
    /// Set by WAITAOF, whose client waits until every shard's log is on disk: whether it waits for replicas besides, in vain. Whoever ran it takes it.
    pub(crate) waits_for_disks: Option<bool>,
    /// Someone waits for the log to be on disk: a sync is to begin at once.
    pub(super) wants_sync: bool,
    /// Why the last snapshot was abandoned, for a SAVE that waits for it.
    pub(super) save_failed: Option<&'static str>,
    /// The transaction whose part runs, 0 for none.
    pub(super) transaction: u64,
    /// Who hears of changes.
    pub(super) effects: EffectSink,
    /// Someone hears of changes at all: the one branch that a change, a missed and a new key pay for it.
    pub(super) listening: bool,
    /// Something was left for the shard to do after the command that runs: the fields below.
    pub(super) attention: bool,
    /// What kora-ext plugged in.
    pub extensions: Extensions,
    /// Changes that extensions have not heard of yet.
    pub(super) told: Vec<Effect>,
    /// What extensions say to themselves on other shards, by shard.
    pub(super) notes: Vec<Vec<u8>>,
    /// Bytes for clients of this shard.
    pub(super) pushes: Vec<Push>,
    /// Which clients hear of which keys (CLIENT TRACKING).
    pub(crate) tracking: Box<Tracking>,
    /// Set by a handler whose command is complete only when other shards have done something; whoever ran it takes it.
    pub(crate) open: Option<Open>,
    /// While a command runs on keys that were brought here: those keys, with their databases.
    pub(super) gathered: Option<Vec<(u8, Box<[u8]>)>>,
    /// What clients watch among the keys here.
    pub watches: Watches,
    /// Who waits for keys here.
    pub waiters: Waiters,
    /// Set by a handler that found nothing and may wait; whoever ran it takes it.
    pub(crate) wait: Option<Wait>,
    /// Clients that stopped watching, with what they watched; their owners are told.
    pub(super) unwatched: Vec<(u64, Vec<(u8, Box<[u8]>)>)>,
    /// Clients that are to wait no more.
    pub(crate) unblocked: Vec<(u32, Ending)>,
    /// What makes every command stop at the gate: bits of [`gate`].
    pub(super) gate: u8,
    /// Data is being loaded, or cannot be kept.
    pub(super) trouble: gate::Trouble,
    /// CLIENT PAUSE.
    pub(super) paused: Option<Pause>,
    /// The client whose command runs, 0 for none: it may not want to hear of its own changes.
    pub(crate) acting_client: u64,
    /// The script that runs here, for those who ask meanwhile.
    pub(crate) script: Rc<ScriptState>,
    /// What a test has broken on purpose.
    pub(super) fault: Option<Fault>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("id", &self.id).field("keys", &self.keyspace.len()).finish_non_exhaustive()
    }
}

/// What a core is made with; the fields mean what [`ShardOptions`](super::ShardOptions) says.
pub(super) struct CoreOptions {
    pub(super) id: ShardId,
    pub(super) routing: Routing,
    pub(super) seeds: RandomState,
    pub(super) random_seed: u64,
    pub(super) config: Config,
    pub(super) host: Arc<dyn Host>,
    pub(super) now_ms: u64,
    pub(super) extensions: Extensions,
}

impl Core {
    /// An empty core.
    pub(super) fn new(options: CoreOptions) -> Self {
        let CoreOptions { id, routing, seeds, random_seed, config, host, now_ms, extensions } = options;
        let shards = routing.shards();
        Self {
            tracking: Box::new(Tracking::new(seeds.clone())),
            open: None,
            watches: Watches::new(&seeds),
            waiters: Waiters::new(&seeds),
            wait: None,
            gathered: None,
            unwatched: Vec::new(),
            unblocked: Vec::new(),
            gate: gate::OPEN,
            trouble: gate::Trouble::default(),
            paused: None,
            id,
            shards,
            routing,
            keyspace: Keyspace::new(seeds),
            now_ms,
            access_ms: now_ms,
            random: Random::new(random_seed),
            config,
            stats: Stats::default(),
            command_stats: CommandStats::default(),
            meter: Box::default(),
            connections_before_reset: (0, 0),
            clients: Clients::default(),
            graveyard: Graveyard::default(),
            host,
            active_expire: true,
            sweep_at: (0, 0),
            journal: Journal::default(),
            snapshot: None,
            saved: None,
            save_failed: None,
            waits_for_disks: None,
            wants_sync: false,
            transaction: 0,
            effects: EffectSink::Nobody,
            listening: false,
            attention: false,
            extensions,
            told: Vec::new(),
            notes: vec![Vec::new(); shards],
            pushes: Vec::new(),
            acting_client: 0,
            script: Rc::default(),
            fault: None,
        }
    }

    /// A core without keys that answers for this one while it is away.
    pub(super) fn stand_in(&self, extensions: Extensions) -> Self {
        let mut stand_in = Self::new(CoreOptions {
            id: self.id,
            routing: self.routing.clone(),
            seeds: self.keyspace.seeds().clone(),
            random_seed: 0,
            config: self.config.clone(),
            host: Arc::clone(&self.host),
            now_ms: self.now_ms,
            extensions,
        });
        stand_in.script = Rc::clone(&self.script);
        stand_in
    }

    /// Takes over what was left at its stand-in.
    pub(super) fn adopt(&mut self, stand_in: &mut Self) {
        self.now_ms = stand_in.now_ms;
        self.access_ms = stand_in.access_ms;
        self.pushes.append(&mut stand_in.pushes);
        self.unwatched.append(&mut stand_in.unwatched);
        self.unblocked.append(&mut stand_in.unblocked);
        self.attention = true;
    }

    /// Tells whoever listens that a key changed, and counts it.
    #[inline]
    pub fn changed(&mut self, db: u8, event: Event, key: &[u8]) {
        self.stats.dirty += 1;
        if self.listening {
            self.tell(db, event, key);
        }
    }

    /// Tells a change to everyone who listens.
    #[cold]
    fn tell(&mut self, db: u8, event: Event, key: &[u8]) {
        match &mut self.effects {
            EffectSink::Nobody => {}
            EffectSink::Hook(hook) => hook(db, event, key),
            EffectSink::Capture(effects) => {
                // Its owner counts and tells it.
                self.stats.dirty -= 1;
                effects.push(Effect { db, event, key: key.into() });
                return;
            }
        }
        if self.tracking.listens() {
            self.tell_trackers(key);
        }
        self.watches.touched(db, key);
        self.attention |= self.waiters.touched(db, key);
        if self.config.notify_keyspace_events.wants(event.class()) {
            self.leave(db, event, key);
        }
    }

    /// Leaves something to be told to extensions.
    fn leave(&mut self, db: u8, event: Event, key: &[u8]) {
        self.told.push(Effect { db, event, key: key.into() });
        self.attention = true;
    }

    /// Says that a key was to be read and is not there, to whom it may concern.
    #[cold]
    pub(super) fn missed(&mut self, db: u8, key: &[u8]) {
        if self.config.notify_keyspace_events.wants(EventClass::Missed) {
            self.leave(db, Event::KeyMiss, key);
        }
    }

    /// Says that a key is new. While a transaction has the keys of other shards, their owners tell it.
    #[cold]
    pub(super) fn created(&mut self, db: u8, key: &[u8]) {
        if !self.config.notify_keyspace_events.wants(EventClass::New) {
            return;
        }
        match &mut self.effects {
            EffectSink::Capture(effects) => effects.push(Effect { db, event: Event::New, key: key.into() }),
            EffectSink::Nobody | EffectSink::Hook(_) => self.leave(db, Event::New, key),
        }
    }

    /// Tells a change that a transaction made elsewhere to a key of this shard.
    pub(super) fn changed_elsewhere(&mut self, effect: &Effect) {
        if effect.event == Event::New {
            self.leave(effect.db, Event::New, &effect.key);
        } else {
            self.changed(effect.db, effect.event, &effect.key);
        }
    }

    /// Has what depends on settings follow them; to be called when they, or what they are about, have changed.
    pub(crate) fn follow_settings(&mut self) {
        self.journal.set_strict(self.config.appendfsync == AppendFsync::Always);
        self.listen_anew();
    }

    /// Finds out again whether anyone hears of changes; to be called whenever someone starts or stops to.
    pub(crate) fn listen_anew(&mut self) {
        self.listening = !matches!(self.effects, EffectSink::Nobody)
            || self.config.notify_keyspace_events.any()
            || !self.watches.is_empty()
            || !self.waiters.is_empty()
            || self.tracking.listens();
    }

    /// Puts a waiter in line for keys of this shard.
    pub(super) fn wait_for(&mut self, waiter: Waiter, db: u8, keys: &[Box<[u8]>]) {
        self.waiters.add(waiter, db, keys);
        self.listen_anew();
    }

    /// A database's contents were exchanged: what waiters wait for may be there.
    pub(crate) fn database_touched(&mut self, db: u8) {
        self.attention |= self.waiters.database_touched(db);
    }

    /// Takes a waiter out of all lines of this shard.
    pub(super) fn waits_no_more(&mut self, waiter: TxnId) {
        self.waiters.remove(waiter);
        self.listen_anew();
    }

    /// The client of a session watches nothing any more.
    pub(crate) fn unwatch(&mut self, session: u32) {
        let client = self.clients.of(session);
        client.watching_bytes = 0;
        let watched = std::mem::take(&mut client.watching);
        if !watched.is_empty() {
            self.unwatched.push((client.id, watched));
            self.attention = true;
        }
    }

    /// Pauses clients; a pause that is longer, or for more commands, is not shortened.
    pub(crate) fn pause(&mut self, until_ms: u64, all: bool) {
        let earlier = self.paused.unwrap_or(Pause { until_ms: 0, all: false });
        self.paused = Some(Pause { until_ms: until_ms.max(earlier.until_ms), all: all || earlier.all });
        self.gate |= gate::PAUSED;
    }

    /// Has the gate follow what keeps the shard from taking commands.
    pub(super) fn follow_trouble(&mut self) {
        self.gate = self.gate & !(gate::LOADING | gate::NOT_KEEPING) | self.trouble.gate();
    }

    /// Ends a pause. Commands that waited go on after the command that runs.
    pub(crate) fn unpause(&mut self) {
        self.attention |= self.paused.take().is_some();
    }

    /// Has a client of this shard wait no more; false when it does not wait.
    pub(crate) fn unblock(&mut self, client_id: u64, ending: Ending) -> bool {
        let Some(session) = self.clients.session_of(client_id) else { return false };
        let waits = self.clients.of(session).waiting.is_some();
        if waits {
            self.unblocked.push((session, ending));
            self.attention = true;
        }
        waits
    }

    /// Marks the clients that `matches` picks to be closed; returns how many. Nothing more of their pipelines runs, the caller's included.
    pub(crate) fn kill(&mut self, matches: impl FnMut(&Client) -> bool) -> i64 {
        let killed = self.clients.kill(matches);
        self.attention |= killed > 0;
        killed
    }

    /// Leaves bytes for sessions of this shard.
    pub(crate) fn push(&mut self, push: Push) {
        self.pushes.push(push);
        self.attention = true;
    }

    /// The access clock of a key that is touched now.
    #[inline]
    pub fn access_now(&self) -> u32 {
        if self.config.maxmemory_policy.is_lfu() { lfu::fresh(self.access_ms) } else { (self.access_ms / 1000) as u32 }
    }

    /// Moves an entry's access clock because the key was read or written.
    #[inline]
    pub fn touch(config: &Config, random: &mut Random, now_ms: u64, entry: &mut Entry) {
        let access = if config.maxmemory_policy.is_lfu() {
            lfu::touched(
                entry.access(),
                now_ms,
                u64::from(config.lfu_log_factor),
                u64::from(config.lfu_decay_time),
                random.next_u64(),
            )
        } else {
            (now_ms / 1000) as u32
        };
        entry.set_access(access);
    }

    /// One slice of the background sweep for expired keys; looks at no more than `EXPIRE_SLICE_KEYS`. True when it found many, so that the next
    /// slice should follow soon.
    pub fn sweep_expired(&mut self) -> bool {
        if !self.active_expire || self.paused.is_some() {
            return false;
        }
        let now_ms = self.now_ms;
        let mut looked = 0;
        let mut found = 0;
        let mut segments = 0;
        while looked < crate::limits::EXPIRE_SLICE_KEYS && segments < crate::limits::EXPIRE_SLICE_SEGMENTS {
            let (db, position) = self.sweep_at;
            let (database, seeds) = self.keyspace.database_mut(db);
            if database.expires_len() == 0 {
                self.sweep_at = ((db + 1) % crate::keyspace::DATABASES, 0);
                if self.sweep_at.0 == 0 {
                    break;
                }
                continue;
            }
            let mut dead = Vec::new();
            let (next, seen) = database.sweep_expired(
                position,
                seeds,
                |entry| entry.expiry_ms().is_some_and(|at| at <= now_ms),
                &mut |entry, big| dead.push((entry, big)),
            );
            looked += seen;
            segments += 1;
            found += dead.len();
            for (entry, big) in dead {
                self.stats.expired_keys += 1;
                self.log_removal(db as u8, entry.key());
                self.changed(db as u8, Event::Expired, entry.key());
                if let Some(big) = big {
                    self.graveyard.bury(big);
                }
            }
            self.sweep_at = if next == 0 { ((db + 1) % crate::keyspace::DATABASES, 0) } else { (db, next) };
        }
        found * 4 > looked && found > 0
    }
}

/// The approximate access counter of Redis's LFU policies: minutes of the last change in the high bits, a logarithmic count in the low eight.
pub mod lfu {
    const INITIAL: u64 = 5;

    fn minutes(now_ms: u64) -> u32 {
        ((now_ms / 60_000) as u32) & 0x00ff_ffff
    }

    /// The clock of a new key.
    pub fn fresh(now_ms: u64) -> u32 {
        (minutes(now_ms) << 8) | INITIAL as u32
    }

    /// The clock of a key that came with a count.
    pub fn counted(now_ms: u64, count: u8) -> u32 {
        (minutes(now_ms) << 8) | u32::from(count)
    }

    /// The count after the time since its last change has worn it down by one per `decay_minutes`.
    pub fn count(access: u32, now_ms: u64, decay_minutes: u64) -> u64 {
        let elapsed = u64::from(minutes(now_ms).wrapping_sub(access >> 8) & 0x00ff_ffff);
        let decay = elapsed.checked_div(decay_minutes).unwrap_or(0);
        u64::from(access & 0xff).saturating_sub(decay)
    }

    /// The clock after one more access: the higher the count, the less likely it grows.
    pub fn touched(access: u32, now_ms: u64, log_factor: u64, decay_minutes: u64, random: u64) -> u32 {
        let count = count(access, now_ms, decay_minutes);
        let base = count.saturating_sub(INITIAL);
        let grows = count < 255 && (u128::from(random) * u128::from(base * log_factor + 1)) >> 64 == 0;
        (minutes(now_ms) << 8) | (count + u64::from(grows)) as u32
    }
}
