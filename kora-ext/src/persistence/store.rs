//! A data directory that is in use.
//!
//! Owns: the manifest on disk, what recovery has found, and whom to tell when something is wrong for all shards. Refuses to know: sockets, commands.
//! Start at [`Store::open`].
//!
//! The one lock on the manifest is held for as long as a manifest takes to be written: at the start, at the end of a snapshot and when `appendonly`
//! changes. No shard takes it while it serves clients.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use kora_runtime::config::Config;
use kora_runtime::host::PersistenceFacts;
use kora_storage::dir::{Dir, RealDir};
use kora_storage::log::{LogError, LogOptions, LogWriter};
use kora_storage::manifest::{Manifest, ManifestError, parse_snapshot_name, snapshot_name, sweep};
use kora_storage::recovery::{Mode, Recovered, RecoveryError, recover};
use tokio::sync::mpsc::UnboundedSender;

use super::directory::{DataDirectory, DataDirectoryError, Rules};
use super::log::LogFacts;
use super::snapshot::{Adopted, Snapshots};
use crate::driver::Mail;

/// How a data directory is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Where it is.
    pub path: PathBuf,
    /// How many shards there are to be.
    pub shards: usize,
    /// Rules about where keys live; those of the directory hold, and others are refused.
    pub rules: Rules,
    /// What can be kept of a damaged log is kept, and the rest reported, instead of refusing to start.
    pub salvage: bool,
    /// What the files of keys are reached through instead of directly: a test's way to make a disk slow, full or broken. Lock and manifest stay as they
    /// are when the directory is taken.
    pub through: Option<fn(Arc<dyn Dir>) -> Arc<dyn Dir>>,
}

/// Why a data directory cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The directory itself.
    #[error(transparent)]
    Directory(#[from] DataDirectoryError),
    /// Its logs.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// Its manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A snapshot that the manifest names is not there.
    #[error("{} is missing, which the manifest names", .0.display())]
    MissingSnapshot(PathBuf),
    /// The system refused.
    #[error("cannot read {}: {source}", .path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// How far loading has come.
#[derive(Debug, Default)]
pub(super) struct Loading {
    pub(super) over: AtomicBool,
    pub(super) bytes_total: AtomicU64,
    pub(super) bytes_read: AtomicU64,
    pub(super) keys: AtomicU64,
    pub(super) expired: AtomicU64,
    pub(super) records: AtomicU64,
    /// Shards that have come to the end of the present stage.
    pub(super) arrived: AtomicUsize,
    pub(super) began_unix_seconds: AtomicU64,
}

/// A data directory that is in use.
#[derive(Debug)]
pub struct Store {
    dir: Arc<dyn Dir>,
    directory: DataDirectory,
    shards: usize,
    /// What the directory's keys are routed by until they are loaded; as the manifest, unless they are routed anew.
    pub(super) source: Manifest,
    /// What is on disk.
    manifest: Mutex<Manifest>,
    pub(super) recovered: Option<Recovered>,
    snapshots: Snapshots,
    logs: Vec<Arc<LogFacts>>,
    pub(super) loading: Loading,
    pub(super) started: Instant,
    reports: Mutex<Vec<String>>,
    /// Whether logs are to be part of the data from the next manifest on.
    log_wanted: AtomicBool,
    /// As it was when loading was over.
    log_from_start: AtomicBool,
    /// What the manifest says, for those who may not wait for it.
    has_log: AtomicBool,
    log_turns: AtomicU64,
    /// Shards whose logs are still to be turned off or on.
    turning: AtomicUsize,
    last_generation: AtomicU64,
    failed_end: Mutex<Vec<String>>,
    checksums: AtomicBool,
    asked_to_save: AtomicBool,
    saves_by_rule: AtomicBool,
    retain: AtomicUsize,
    /// What loading has come to.
    ready: Mutex<Option<Result<(), String>>>,
    ready_changed: Condvar,
    mailboxes: OnceLock<Vec<UnboundedSender<Mail>>>,
    trouble: Mutex<Vec<Option<String>>>,
    fatal: OnceLock<fn(Fatal, &str)>,
}

/// What ends the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fatal {
    /// What is on disk cannot be loaded.
    Loading,
    /// A sync failed: nobody knows what is on disk.
    Sync,
}

impl Store {
    /// Takes a data directory and finds out what of it counts. `fingerprint` is what the running hash makes of routing seeds.
    ///
    /// # Errors
    /// When it is in use, damaged, or made with other rules.
    pub fn open(options: &StoreOptions, fingerprint: impl Fn([u64; 4]) -> u64) -> Result<Arc<Self>, StoreError> {
        let StoreOptions { path, shards, rules, salvage, through } = options;
        let count = u32::try_from(*shards).expect("there are at most limits::SHARDS_MAX shards");
        let directory = DataDirectory::open(path, count, rules, fingerprint)?;
        let io = |source| StoreError::Io { path: path.clone(), source };
        let dir: Arc<dyn Dir> = match through {
            Some(through) => through(Arc::new(RealDir::open(path).map_err(io)?)),
            None => Arc::new(RealDir::open(path).map_err(io)?),
        };
        let source = directory.found.clone();
        let recovered = source
            .has_log
            .then(|| recover(&*dir, &source, if *salvage { Mode::Salvage } else { Mode::Normal }))
            .transpose()?;
        if source.generation > 0 {
            let names = dir.list().map_err(io)?;
            for shard in 0..source.shards {
                let name = snapshot_name(source.generation, shard as u16);
                if !names.contains(&name) {
                    return Err(StoreError::MissingSnapshot(path.join(name)));
                }
            }
        }
        let reports = recovered.as_ref().map_or_else(Vec::new, |recovered| recovered.reports.clone());
        Ok(Arc::new(Self {
            manifest: Mutex::new(source.clone()),
            recovered,
            dir,
            directory,
            shards: *shards,
            snapshots: Snapshots::default(),
            logs: (0..*shards).map(|_| Arc::default()).collect(),
            loading: Loading::default(),
            started: Instant::now(),
            reports: Mutex::new(reports),
            log_wanted: AtomicBool::new(false),
            log_from_start: AtomicBool::new(false),
            has_log: AtomicBool::new(source.has_log),
            log_turns: AtomicU64::new(0),
            turning: AtomicUsize::new(0),
            last_generation: AtomicU64::new(source.generation),
            source,
            failed_end: Mutex::default(),
            checksums: AtomicBool::new(true),
            asked_to_save: AtomicBool::new(false),
            saves_by_rule: AtomicBool::new(false),
            retain: AtomicUsize::new(0),
            ready: Mutex::new(None),
            ready_changed: Condvar::new(),
            mailboxes: OnceLock::new(),
            trouble: Mutex::new(vec![None; *shards]),
            fatal: OnceLock::new(),
        }))
    }

    /// Has the store reach the shards' threads, and follow their settings.
    pub(crate) fn attach(&self, mailboxes: &[UnboundedSender<Mail>], config: &Config) {
        // An engine attaches once.
        let _ = self.mailboxes.set(mailboxes.to_vec());
        self.log_wanted.store(config.appendonly, Ordering::SeqCst);
        self.follow(config);
        self.loading.began_unix_seconds.store(self.unix_seconds(), Ordering::Relaxed);
        self.snapshots.set_last_unix_seconds(self.unix_seconds());
    }

    /// Follows settings that may change at run time.
    pub(crate) fn follow(&self, config: &Config) {
        self.checksums.store(config.rdbchecksum, Ordering::Relaxed);
        self.saves_by_rule.store(!config.save.is_empty(), Ordering::Relaxed);
        self.retain.store(config.snapshot_retain as usize, Ordering::Relaxed);
    }

    /// Calls `end` when the process cannot go on. Without it the engine stops serving, and says why in its log.
    pub fn on_fatal(&self, end: fn(Fatal, &str)) {
        // The first one stays.
        let _ = self.fatal.set(end);
    }

    /// The process cannot go on.
    pub(crate) fn fail(&self, what: Fatal, why: &str) {
        tracing::error!("{why}");
        if what == Fatal::Loading {
            self.end_loading(Err(why.to_owned()));
        }
        if let Some(end) = self.fatal.get() {
            end(what, why);
        }
    }

    /// Runs `task` on the thread of every shard.
    pub(crate) fn on_every_shard(&self, task: impl Fn(&std::rc::Rc<crate::driver::Driver>) + Clone + Send + 'static) {
        for mailbox in self.mailboxes.get().into_iter().flatten() {
            let task = task.clone();
            // A shard that has stopped does nothing more.
            let _ = mailbox.send(Mail::Task(Box::new(move |driver| task(driver))));
        }
    }

    /// Files.
    pub(crate) fn dir(&self) -> &Arc<dyn Dir> {
        &self.dir
    }

    /// Where they are.
    pub fn path(&self) -> &Path {
        self.directory.lock.directory()
    }

    /// The seeds that keys are routed by.
    pub fn routing_seeds(&self) -> [u64; 4] {
        self.source.routing_seeds
    }

    /// The rules that keys are placed by.
    pub fn rules(&self) -> &Rules {
        &self.directory.rules
    }

    /// How many shards there are.
    pub(crate) fn shards(&self) -> usize {
        self.shards
    }

    /// True when keys live on other shards than those whose files they are in.
    pub(crate) fn is_rerouted(&self) -> bool {
        self.directory.is_rerouted()
    }

    pub(crate) fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }

    pub(crate) fn log_facts(&self, shard: usize) -> &Arc<LogFacts> {
        &self.logs[shard]
    }

    pub(crate) fn checksums(&self) -> bool {
        self.checksums.load(Ordering::Relaxed)
    }

    pub(crate) fn unix_seconds(&self) -> u64 {
        // A clock before 1970 is no reason to fail.
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
    }

    pub(super) fn manifest(&self) -> std::sync::MutexGuard<'_, Manifest> {
        // A panic while it was held has changed nothing half.
        self.manifest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- the manifest ---------------------------------------------------------------------------------------------------

    /// The generation that the next snapshot is to have. None has a generation twice: the manifest on disk may name one whose end seemed to fail.
    pub(crate) fn next_generation(&self) -> u64 {
        self.last_generation.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The number of the first record that a shard logs when its keys came from other shards: larger than any that is in a file.
    pub(crate) fn first_lsn_when_rerouted(&self) -> u64 {
        let logged = self.recovered.as_ref().and_then(|found| found.logs.iter().map(|log| log.next_lsn).max());
        logged.into_iter().chain(self.source.first_lsns.iter().copied()).max().unwrap_or(1)
    }

    /// Makes a finished snapshot the one that counts, and removes what it replaces.
    pub(crate) fn adopt_snapshot(&self, adopted: Adopted) -> Result<(), ManifestError> {
        let Adopted { generation, first_lsns, log_turns } = adopted;
        let path = self.path().to_owned();
        self.dir.sync().map_err(|source| ManifestError::Io { doing: "sync", path, source })?;
        let mut manifest = self.manifest();
        let over = self.loading.over.load(Ordering::SeqCst);
        let mut next = Manifest { generation, ..manifest.clone() };
        next.shards = self.shards as u32;
        next.fingerprint = self.directory.fingerprint;
        // Before the shards log, no log belongs to what they hold.
        next.has_log = over && self.wants_log() && log_turns == Some(self.log_turns()) && self.all_log();
        next.first_lsns = if over { first_lsns } else { vec![self.first_lsn_when_rerouted(); self.shards] };
        self.replace_manifest(&mut manifest, next)?;
        let (has_log, first_lsns) = (manifest.has_log, manifest.first_lsns.clone());
        drop(manifest);
        self.remove_old_snapshots(generation);
        if has_log {
            self.on_every_shard(move |driver| driver.retire_log(first_lsns[driver.id()]));
        }
        Ok(())
    }

    /// Writes a manifest and holds it for the one on disk.
    fn replace_manifest(&self, manifest: &mut Manifest, next: Manifest) -> Result<(), ManifestError> {
        next.write(&*self.dir)?;
        self.has_log.store(next.has_log, Ordering::SeqCst);
        *manifest = next;
        Ok(())
    }

    /// Snapshots that are kept besides the present one are the last ones.
    fn remove_old_snapshots(&self, generation: u64) {
        let retain = self.retain.load(Ordering::Relaxed) as u64;
        let Ok(names) = self.dir.list() else { return };
        for name in names {
            let old = parse_snapshot_name(&name).is_some_and(|(found, _)| found + retain < generation);
            if old && let Err(error) = self.dir.remove(&name) {
                tracing::warn!("{name} could not be removed: {error}");
            }
        }
    }

    /// Removes the files of a snapshot that failed.
    pub(crate) fn drop_snapshot(&self, generation: u64) {
        for shard in 0..self.shards {
            let name = snapshot_name(generation, shard as u16);
            // Those that were never there need no removing.
            let _ = self.dir.remove(&name);
            let _ = self.dir.remove(&format!("{name}.tmp"));
        }
    }

    /// Raises the incarnation: no log was ever written under the new one.
    pub(super) fn raise_incarnation(&self) -> Result<(), ManifestError> {
        let mut manifest = self.manifest();
        self.raise_incarnation_of(&mut manifest)
    }

    fn raise_incarnation_of(&self, manifest: &mut Manifest) -> Result<(), ManifestError> {
        let next = Manifest { incarnation: manifest.incarnation + 1, ..manifest.clone() };
        self.replace_manifest(manifest, next)
    }

    /// Removes what no file that counts needs.
    pub(super) fn sweep(&self) -> Result<(), ManifestError> {
        let manifest = self.manifest().clone();
        sweep(&*self.dir, &manifest, self.retain.load(Ordering::Relaxed) as u64).map(|_| ())
    }

    /// From now on the logs belong to the data.
    pub(super) fn adopt_logs(&self) -> Result<(), ManifestError> {
        let mut manifest = self.manifest();
        if !manifest.has_log {
            let next = Manifest { has_log: true, ..manifest.clone() };
            self.replace_manifest(&mut manifest, next)?;
        }
        Ok(())
    }

    /// True when what was found has to be saved as a whole before anything new is logged.
    pub(super) fn needs_snapshot(&self) -> bool {
        self.is_rerouted() || (self.source.has_log && !self.logs_from_start())
    }

    pub(crate) fn wants_log(&self) -> bool {
        self.log_wanted.load(Ordering::SeqCst)
    }

    /// Decides whether there is a log when loading is over: what `appendonly` becomes meanwhile is followed afterwards.
    pub(super) fn decide_about_log(&self) {
        self.log_from_start.store(self.wants_log(), Ordering::SeqCst);
    }

    /// Whether there is a log when loading is over.
    pub(super) fn logs_from_start(&self) -> bool {
        self.log_from_start.load(Ordering::SeqCst)
    }

    /// Follows `appendonly` at run time, soon.
    pub(crate) fn want_log(&self, wanted: bool) {
        self.log_wanted.store(wanted, Ordering::SeqCst);
        // While loading nobody logs; and what cannot be done now the upkeep sees to.
        if self.loading.over.load(Ordering::SeqCst) {
            self.follow_wish();
        }
    }

    /// How often the logs of all shards were begun to be turned off or on.
    pub(crate) fn log_turns(&self) -> u64 {
        self.log_turns.load(Ordering::SeqCst)
    }

    /// True when every shard has a log, and none is on its way.
    fn all_log(&self) -> bool {
        self.turning.load(Ordering::SeqCst) == 0 && self.logs.iter().all(|log| log.on.load(Ordering::SeqCst))
    }

    /// Turns the logs of all shards on or off. Those that are on belong to the data, or do not any more, from the next snapshot on, which is due because of
    /// this; so logs are turned only while they do not belong to it, and all of them before any is turned again.
    pub(crate) fn follow_wish(&self) {
        let wanted = self.wants_log();
        if self.logs.iter().all(|log| log.on.load(Ordering::SeqCst) == wanted) {
            return;
        }
        // Whoever writes the manifest now may take long.
        let Ok(mut manifest) = self.manifest.try_lock() else { return };
        if manifest.has_log || self.turning.load(Ordering::SeqCst) > 0 {
            return;
        }
        let count = self.logs.iter().filter(|log| log.on.load(Ordering::SeqCst)).count();
        // Logs of which some could not be opened are closed first: all are of one incarnation.
        let open = wanted && count == 0;
        if open && let Err(error) = self.raise_incarnation_of(&mut manifest) {
            self.log_wanted.store(false, Ordering::SeqCst);
            return tracing::error!("nothing is logged: {error}");
        }
        self.turning.store(self.shards, Ordering::SeqCst);
        self.log_turns.fetch_add(1, Ordering::SeqCst);
        let first_lsns = manifest.first_lsns.clone();
        drop(manifest);
        self.on_every_shard(move |driver| {
            let Some(store) = driver.store() else { return };
            let outcome = if open { driver.open_log(first_lsns[driver.id()]) } else { driver.close_log() };
            if let Err(error) = outcome {
                if open {
                    store.log_wanted.store(false, Ordering::SeqCst);
                }
                tracing::error!("{error}");
            }
            store.turning.fetch_sub(1, Ordering::SeqCst);
        });
    }

    /// Notes that a log could not be ended with the process.
    pub(crate) fn note_failed_end(&self, why: String) {
        self.failed_end.lock().unwrap_or_else(PoisonError::into_inner).push(why);
    }

    /// Ends the process when a log could not be ended: what was acknowledged may not be on disk.
    pub(crate) fn tell_failed_end(&self) {
        let failed = std::mem::take(&mut *self.failed_end.lock().unwrap_or_else(PoisonError::into_inner));
        if !failed.is_empty() {
            self.fail(Fatal::Sync, &failed.join("; "));
        }
    }

    /// Has a snapshot begun when none is being written any more.
    pub(crate) fn save_soon(&self) {
        self.asked_to_save.store(true, Ordering::SeqCst);
    }

    /// True once for each time that somebody asked for a snapshot.
    pub(crate) fn is_asked_to_save(&self) -> bool {
        self.asked_to_save.swap(false, Ordering::SeqCst)
    }

    /// True when the logs are to belong to the data and do not yet, or the other way round: a snapshot is due.
    pub(crate) fn changes_its_mind(&self) -> bool {
        let (counts, wanted) = (self.has_log.load(Ordering::SeqCst), self.wants_log());
        counts != wanted && (counts || self.all_log())
    }

    /// A log for a shard that goes on at `next_lsn`; what is there at that place counts no more.
    pub(crate) fn log_writer(&self, shard: usize, next_lsn: u64, options: LogOptions) -> Result<LogWriter, LogError> {
        let manifest = self.manifest().clone();
        LogWriter::create(Arc::clone(&self.dir), &manifest, shard as u16, next_lsn, options)
    }

    /// Where a shard's log goes on after loading.
    pub(super) fn next_lsn(&self, shard: usize) -> u64 {
        match &self.recovered {
            Some(recovered) if !self.is_rerouted() => recovered.logs[shard].next_lsn,
            _ => self.manifest().first_lsns[shard],
        }
    }

    // ---- what all have to know ------------------------------------------------------------------------------------------

    /// Notes why a shard cannot log, or that it can again; every shard hears of it.
    pub(crate) fn set_trouble(&self, shard: usize, trouble: Option<String>) {
        let mut all = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if all[shard] == trouble {
            return;
        }
        let before = all.iter().flatten().next().cloned();
        all[shard] = trouble;
        let now = all.iter().flatten().next().cloned();
        drop(all);
        match (&before, &now) {
            (None, Some(why)) => tracing::error!("writes are refused, for nothing can be logged: {why}"),
            (Some(_), None) => tracing::info!("what is written can be logged again"),
            _ => {}
        }
        if before != now {
            self.on_every_shard(move |driver| driver.tick(|shard| shard.set_log_trouble(now.clone())));
        }
    }

    /// Has every shard know whether the last snapshot failed.
    pub(crate) fn tell_snapshot_trouble(&self, trouble: bool) {
        self.on_every_shard(move |driver| driver.tick(|shard| shard.set_snapshot_trouble(trouble)));
    }

    /// Adds something that recovery had to say.
    pub(super) fn report(&self, report: String) {
        tracing::warn!("{report}");
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).push(report);
    }

    /// The shards have everything and serve.
    pub(super) fn set_ready(&self) {
        self.end_loading(Ok(()));
    }

    fn end_loading(&self, outcome: Result<(), String>) {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(outcome);
        self.ready_changed.notify_all();
    }

    /// True when the directory has neither a snapshot nor a record.
    pub fn has_nothing_to_load(&self) -> bool {
        let logs = self.recovered.iter().flat_map(|recovered| &recovered.logs);
        self.source.generation == 0 && logs.map(kora_storage::recovery::ShardLog::bytes).sum::<u64>() == 0
    }

    /// Waits until the shards have everything.
    ///
    /// # Errors
    /// Why what is on disk cannot be loaded.
    pub fn wait_until_ready(&self) -> Result<(), String> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(outcome) = &*ready {
                return outcome.clone();
            }
            ready = self.ready_changed.wait(ready).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// True when a clean end takes a snapshot: there are rules for snapshots, and no log that has everything.
    pub fn saves_at_end(&self) -> bool {
        self.saves_by_rule.load(Ordering::Relaxed) && !self.wants_log()
    }

    /// Changes since the last snapshot.
    pub(crate) fn changes(&self) -> u64 {
        self.logs.iter().map(|facts| facts.changes.load(Ordering::Relaxed)).sum()
    }

    /// What is known, for INFO and LASTSAVE.
    pub fn facts(&self) -> PersistenceFacts {
        let (running, last) = self.snapshots.facts();
        let sum = |read: fn(&LogFacts) -> &AtomicU64| -> u64 {
            self.logs.iter().map(|facts| read(facts).load(Ordering::Relaxed)).sum()
        };
        let loading = &self.loading;
        PersistenceFacts {
            directory: Some(self.path().display().to_string()),
            loading: !loading.over.load(Ordering::SeqCst),
            loading_since_unix_seconds: loading.began_unix_seconds.load(Ordering::Relaxed),
            loading_bytes: (loading.bytes_total.load(Ordering::Relaxed), loading.bytes_read.load(Ordering::Relaxed)),
            snapshot_running_seconds: running,
            last_snapshot_unix_seconds: last.unix_seconds,
            last_snapshot_seconds: last.seconds,
            last_snapshot_ok: last.failure.is_none(),
            snapshots: last.count,
            last_snapshot_size: last.size,
            loaded_keys: (loading.keys.load(Ordering::Relaxed), loading.expired.load(Ordering::Relaxed)),
            snapshot_keys: match running {
                Some(_) => (sum(|facts| &facts.saved_keys), sum(|facts| &facts.keys)),
                None => (0, 0),
            },
            snapshot_scheduled: self.asked_to_save.load(Ordering::Relaxed),
            snapshot_failures: last.failures,
            log_on: self.wants_log(),
            log_bytes: sum(|facts| &facts.bytes),
            log_pending_bytes: sum(|facts| &facts.waiting),
            log_syncs_running: sum(|facts| &facts.syncing),
            log_syncs_delayed: sum(|facts| &facts.delayed),
            log_trouble: self.trouble.lock().unwrap_or_else(PoisonError::into_inner).iter().flatten().next().cloned(),
            recovery_reports: self.reports.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
