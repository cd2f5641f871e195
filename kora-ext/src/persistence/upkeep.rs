//! What a shard's thread does for its log and its part of snapshots.
//!
//! Owns: when a log is opened, written, synced and closed; slices of snapshots; when a snapshot is due by itself. Refuses to know: how any of that is done.
//! Start at [`Driver::write_log`].

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kora_runtime::config::AppendFsync;
use kora_runtime::shard::Shard;
use kora_runtime::shard::clients::Peer;
use kora_runtime::shard::saving::Slice;
use kora_storage::log::LogOptions;

use super::log::{Done, ShardLog};
use super::store::{Fatal, Store};
use crate::driver::{Driver, Mail, Outlet};

/// How long slices of a snapshot run before others on the thread have their turn.
const SAVING_TURN: Duration = Duration::from_micros(200);
/// How long they have it then. A thread that never rests loses its precedence with the system's scheduler, and its clients wait for others' turns.
const SAVING_PAUSE: Duration = Duration::from_millis(1);
/// After so many turns in which no command came, turns follow each other without a pause until one comes.
const TURNS_ALONE: u32 = 20;
/// After a snapshot that failed, the next one by itself is begun no sooner than this.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

impl Driver {
    /// Appends what the shard has logged, before anything else of the tick leaves the process. Where replies wait for the disk anyway, the records of
    /// several ticks gather in the shard until [`Driver::commit_forever`] has them written and synced together.
    #[inline]
    pub(crate) fn write_log(&self, shard: &mut Shard) {
        if shard.has_log() {
            let Some(log) = &mut *self.log.borrow_mut() else { return };
            if !log.gathers(shard.log_bytes()) {
                self.append(shard, log);
            }
            if log.policy() == AppendFsync::Always {
                self.gathering.notify_one();
            }
        }
    }

    fn append(&self, shard: &mut Shard, log: &mut ShardLog) {
        if shard.has_log() {
            let empty = log.empty_batch();
            log.append(shard.take_log(empty));
            self.tell_trouble(log);
        }
    }

    /// Tells everyone when something about the log's trouble has changed.
    fn tell_trouble(&self, log: &mut ShardLog) {
        if let Some(trouble) = log.news_of_trouble()
            && let Some(store) = self.store()
        {
            store.set_trouble(self.id(), trouble);
        }
    }

    /// With `always`: has what was logged synced whenever no sync is under way. What comes while one is goes with the next, so a busy shard syncs for many
    /// clients at once, and an idle one at once.
    pub(crate) async fn commit_forever(self: Rc<Self>) {
        loop {
            self.gathering.notified().await;
            self.commit();
        }
    }

    /// With `always`: begins a sync, unless one is under way; its end comes here again.
    fn commit(&self) {
        if self.log.borrow().as_ref().is_some_and(|log| log.policy() == AppendFsync::Always && log.may_sync()) {
            self.sync_log();
        }
    }

    /// Begins to log with the record of this number.
    pub(crate) fn open_log(self: &Rc<Self>, next_lsn: u64) -> Result<(), String> {
        let Some(store) = self.store() else { return Ok(()) };
        let (segment_bytes, policy) = self.look(|shard| {
            let config = &shard.core().config;
            (config.log_segment_bytes, config.appendfsync)
        });
        let standard = LogOptions::default();
        let zero_ahead_bytes = standard.zero_ahead_bytes.min(segment_bytes / 4);
        let options = LogOptions { segment_bytes, zero_ahead_bytes };
        let writer = store.log_writer(self.id(), next_lsn, options).map_err(|error| error.to_string())?;
        let mailbox = self.mailbox();
        let tell = move |done: Done| {
            // A shard that has stopped has synced everything itself.
            let _ = mailbox.send(Mail::Task(Box::new(move |driver| driver.log_done(done))));
        };
        let facts = Arc::clone(store.log_facts(self.id()));
        let log =
            ShardLog::start(writer, policy, facts, &self.id().to_string(), tell).map_err(|error| error.to_string())?;
        *self.log.borrow_mut() = Some(log);
        store.log_facts(self.id()).on.store(true, Ordering::SeqCst);
        self.tick(|shard| shard.start_log(next_lsn));
        Ok(())
    }

    /// The log's own thread has done something.
    fn log_done(self: &Rc<Self>, done: Done) {
        let outcome = match &mut *self.log.borrow_mut() {
            Some(log) => {
                let outcome = log.done(done);
                self.tell_trouble(log);
                outcome
            }
            None => return,
        };
        match outcome {
            Ok(Some(lsn)) => {
                // The next sync is under way while the replies that waited for this one go out.
                self.commit();
                self.tick(|shard| shard.log_synced(lsn));
            }
            Ok(None) => {}
            Err(error) => {
                if let Some(store) = self.store() {
                    store.fail(Fatal::Sync, &format!("the log of shard {} could not be synced: {error}", self.id()));
                }
            }
        }
    }

    /// Removes what a snapshot has made unnecessary.
    pub(crate) fn retire_log(&self, first_lsn: u64) {
        if let Some(log) = &mut *self.log.borrow_mut() {
            log.retire(first_lsn);
        }
    }

    /// Lets the log's thread run where it shares a core with this one and clients wait for it: otherwise it waits for the end of this one's turn, which is far
    /// longer than a sync takes.
    #[inline]
    pub(crate) fn make_way_for_sync(&self) {
        if self.log.borrow().as_ref().is_some_and(|log| log.policy() == AppendFsync::Always && !log.may_sync()) {
            std::thread::yield_now();
        }
    }

    /// Writes everything and asks for a sync now, whatever the setting.
    pub(crate) fn sync_log(&self) {
        self.write_all();
        if let Some(log) = &mut *self.log.borrow_mut() {
            log.sync();
            self.tell_trouble(log);
        }
        self.make_way_for_sync();
    }

    /// Writes what has gathered, too.
    fn write_all(&self) {
        if self.look(Shard::has_log) {
            // What a tick has logged is whole at its end.
            self.end_tick();
            if let Some(log) = &mut *self.log.borrow_mut() {
                self.append(&mut self.shard_mut(), log);
            }
        }
    }

    /// Ends the log: everything is on disk when this returns.
    ///
    /// # Errors
    /// When it is not.
    pub(crate) fn close_log(&self) -> Result<(), String> {
        self.write_all();
        let log = self.log.borrow_mut().take();
        let failed = |error| format!("the log of shard {} could not be finished: {error}", self.id());
        let outcome = log.map_or(Ok(()), |log| log.finish().map_err(failed));
        if let Some(store) = self.store() {
            store.log_facts(self.id()).on.store(false, Ordering::SeqCst);
        }
        self.tick(Shard::stop_log);
        outcome
    }

    /// Ends the log with the process.
    pub(crate) fn end(&self) {
        if let Err(error) = self.close_log()
            && let Some(store) = self.store()
        {
            store.note_failed_end(error);
        }
    }

    /// What is due ten times a second.
    pub(crate) fn keep_up(self: &Rc<Self>) {
        let Some(store) = self.store() else { return };
        let (changes, keys, policy) = self.look(|shard| {
            let core = shard.core();
            let changes = core.stats.dirty.saturating_sub(core.stats.dirty_at_snapshot);
            (changes, core.keyspace.len() as u64, core.config.appendfsync)
        });
        let known = store.log_facts(self.id());
        known.changes.store(changes, Ordering::Relaxed);
        known.keys.store(keys, Ordering::Relaxed);
        if self.log.borrow().as_ref().is_some_and(|log| log.policy() != policy) {
            self.write_all();
        }
        if let Some(log) = &mut *self.log.borrow_mut() {
            log.set_policy(policy);
            log.retry();
            self.tell_trouble(log);
        }
        if self.id() == 0 {
            self.save_when_due(&Arc::clone(store));
        }
    }

    fn save_when_due(self: &Rc<Self>, store: &Arc<Store>) {
        let facts = store.facts();
        if facts.loading {
            return;
        }
        store.follow_wish();
        if facts.snapshot_running_seconds.is_some() {
            return;
        }
        if !facts.last_snapshot_ok && !store.snapshots().may_try_again(AFTER_FAILURE) {
            return;
        }
        let now = store.unix_seconds();
        let since = now.saturating_sub(facts.last_snapshot_unix_seconds);
        let due = self.look(|shard| {
            let config = &shard.core().config;
            // As Redis measures it: what the last snapshot and the log behind it take together, against the snapshot alone.
            let (base, log) = (facts.last_snapshot_size.1, facts.log_bytes);
            let percentage = u64::from(config.auto_aof_rewrite_percentage);
            let grown = percentage > 0
                && base + log >= config.auto_aof_rewrite_min_size
                && log.saturating_mul(100) >= base.saturating_mul(percentage);
            config.save.due(since, store.changes()) || (facts.log_on && grown)
        });
        if due || store.changes_its_mind() || store.is_asked_to_save() {
            let session = self.run_internal(&[b"BGSAVE"], |_| {});
            self.close(session);
        }
    }

    /// Runs a command for the process itself, in a session that the caller closes when the reply has come.
    pub(crate) fn run_internal(self: &Rc<Self>, words: &[&[u8]], reply: impl Fn(&[u8]) + 'static) -> u32 {
        struct Reader<F>(F);
        impl<F: Fn(&[u8])> Outlet for Reader<F> {
            fn write(&self, output: &[u8]) -> usize {
                self.0(output);
                output.len()
            }
            fn wake(&self) {}
            fn shut(&self) {}
        }
        let peer =
            Peer { addr: "internal:0".to_owned(), laddr: "internal:0".to_owned(), fd: -1, unix: false, origin: 0 };
        let session = self.open(peer, Rc::new(Reader(reply)));
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            bytes.extend_from_slice(word);
            bytes.extend_from_slice(b"\r\n");
        }
        self.tick(|shard| {
            shard.trust(session);
            shard.input(session).extend_from_slice(&bytes);
            shard.run(session);
        });
        session
    }

    /// Syncs every second.
    pub(crate) async fn sync_forever(self: Rc<Self>) {
        let mut rhythm = tokio::time::interval(Duration::from_secs(1));
        rhythm.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            rhythm.tick().await;
            if let Some(log) = &mut *self.log.borrow_mut() {
                log.second();
            }
        }
    }

    /// Goes on with a snapshot, a few slices at a time between other work.
    pub(crate) async fn save_forever(self: Rc<Self>) {
        loop {
            self.saving.notified().await;
            let (mut before, mut turns_alone) = (0, 0);
            loop {
                let began = Instant::now();
                let slice = loop {
                    let slice = self.tick(Shard::save_slice);
                    if slice != Slice::More || began.elapsed() > SAVING_TURN {
                        break slice;
                    }
                };
                if slice == Slice::Idle {
                    break;
                }
                let (commands, waited_for) =
                    self.look(|shard| (shard.core().stats.total_commands_processed, shard.has_guards()));
                if commands != before {
                    (before, turns_alone) = (commands, 0);
                }
                turns_alone += 1;
                // Where nobody else wants the shard, or someone waits for the snapshot, it need not rest.
                if slice == Slice::More && (waited_for || turns_alone > TURNS_ALONE) {
                    tokio::task::yield_now().await;
                } else {
                    tokio::time::sleep(SAVING_PAUSE).await;
                }
            }
        }
    }
}
