//! From the files of a data directory into the shards.
//!
//! Owns: the stages of loading, and who loads which files. Refuses to know: bytes of files, what records mean.
//! Start at [`load`], which runs on every shard's thread while its clients are answered with LOADING. [`Store::read_back`] reads the files of an engine that
//! runs.
//!
//! ```text
//! every shard: its snapshot, then its log ─► [all: a snapshot by the new routing] ─► incarnation raised ─► every shard: a fresh segment ─► serve
//! ```
//! Files are loaded as they were written: by the old number of shards and the old routing. Where that is also the new one, a shard loads its own files into
//! itself. Else the old shards are dealt out; each is filled as a shard of its own, and then hands every key to its new owner. So a record always meets the
//! keys that it met when it was logged, whatever has changed since. The manifest names the old files until all is saved anew.

use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kora_runtime::host::ReadBack;
use kora_runtime::keyspace::Detached;
use kora_runtime::shard::Shard;
use kora_runtime::shard::loading::{Expired, LoadError, Progress};
use kora_storage::dir::{File, read_at_most};
use kora_storage::manifest::snapshot_name;
use kora_storage::rdb::{RdbFile, Source};
use kora_storage::recovery::{Mode, recover};

use super::bare::bare_shard;
use super::store::{Fatal, Store};
use crate::driver::Driver;

/// How long a slice of loading may take: others on the thread wait for it.
const SLICE: Duration = Duration::from_millis(5);
/// Items of a file, or records of a log, between two looks at the clock.
const ITEMS: usize = 256;
/// Keys that go to their new owner at a time.
const HANDED_OVER: usize = 512;
/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Loads this shard's share of the files, then sees to the stages that follow when it is the last.
pub(crate) async fn load(driver: Rc<Driver>, store: Arc<Store>) {
    if let Err(why) = load_share(&driver, &store).await {
        return store.fail(Fatal::Loading, &why);
    }
    if store.is_rerouted() {
        // What goes to each shard arrives in order: behind this, nothing of ours comes any more.
        store.on_every_shard(|driver| {
            if driver.share_arrived() {
                arrive_loaded(driver);
            }
        });
    } else {
        arrive_loaded(&driver);
    }
}

/// The last of all shards at a stage's end goes on with the next.
fn is_last(store: &Store) -> bool {
    let last = store.loading.arrived.fetch_add(1, Ordering::SeqCst) + 1 == store.shards();
    if last {
        store.loading.arrived.store(0, Ordering::SeqCst);
    }
    last
}

fn arrive_loaded(driver: &Rc<Driver>) {
    let Some(store) = driver.store() else { return };
    if !is_last(store) {
        return;
    }
    let loading = &store.loading;
    tracing::info!(
        keys = loading.keys.load(Ordering::Relaxed),
        records = loading.records.load(Ordering::Relaxed),
        milliseconds = store.started.elapsed().as_millis() as u64,
        "loaded"
    );
    // All is sound: now what is not needed may go, and make room.
    if let Err(error) = store.sweep() {
        return store.fail(Fatal::Loading, &error.to_string());
    }
    store.decide_about_log();
    if store.needs_snapshot() {
        store.on_every_shard(save_anew);
    } else {
        begin_incarnation(store);
    }
}

/// Saves what was loaded before anything new is logged: it lies in files that mean something else from now on.
fn save_anew(driver: &Rc<Driver>) {
    let Some(store) = driver.store() else { return };
    if let Err(error) = driver.tick(|shard| shard.save_now(1)) {
        return store.fail(Fatal::Loading, &format!("what was loaded cannot be saved anew: {error:?}"));
    }
    if is_last(store) {
        begin_incarnation(store);
    }
}

fn begin_incarnation(store: &Arc<Store>) {
    match store.raise_incarnation().and_then(|()| store.sweep()) {
        Ok(()) => store.on_every_shard(open_log),
        Err(error) => store.fail(Fatal::Loading, &error.to_string()),
    }
}

fn open_log(driver: &Rc<Driver>) {
    let Some(store) = driver.store() else { return };
    driver.tick(Shard::end_loading);
    if store.logs_from_start()
        && let Err(error) = driver.open_log(store.next_lsn(driver.id()))
    {
        return store.fail(Fatal::Loading, &error);
    }
    if !is_last(store) {
        return;
    }
    if store.logs_from_start()
        && let Err(error) = store.adopt_logs()
    {
        return store.fail(Fatal::Loading, &error.to_string());
    }
    store.loading.over.store(true, Ordering::SeqCst);
    store.on_every_shard(|driver| {
        driver.tick(|shard| shard.set_loading(false));
        if let Some(store) = driver.store()
            && is_last(store)
        {
            tracing::info!(milliseconds = store.started.elapsed().as_millis() as u64, "ready to serve what was loaded");
            store.set_ready();
        }
    });
}

/// Loads the files of the old shards that fall to this shard.
async fn load_share(driver: &Rc<Driver>, store: &Arc<Store>) -> Result<(), String> {
    let (old_shards, rerouted) = (store.source.shards as usize, store.is_rerouted());
    let mut pace = Pace::new(store);
    for old in (driver.id()..old_shards).step_by(store.shards()) {
        if rerouted {
            let mut shard = old_shard(driver, store, old);
            load_files(&mut |act| act(&mut shard), store, old, &mut pace).await?;
            hand_over(driver, store, &mut shard, old, &mut pace).await?;
        } else {
            load_files(&mut |act| driver.tick(|shard| act(shard)), store, old, &mut pace).await?;
        }
    }
    Ok(())
}

/// A shard as it was when the files were written.
fn old_shard(driver: &Driver, store: &Store, old: usize) -> Shard {
    let shards = store.source.shards as usize;
    let (config, now_ms) = driver.look(|shard| (shard.core().config.clone(), shard.core().now_ms));
    bare_shard(old, shards, store.source.routing_seeds, config, driver.host(), now_ms)
}

/// Lets others on the thread have their turn, and tells how far it is.
struct Pace<'s> {
    store: &'s Store,
    slice_began: Instant,
    told: Instant,
    keys_told: u64,
}

impl<'s> Pace<'s> {
    fn new(store: &'s Store) -> Self {
        Self { store, slice_began: Instant::now(), told: Instant::now(), keys_told: 0 }
    }

    async fn breathe(&mut self) {
        if self.slice_began.elapsed() < SLICE {
            return;
        }
        if self.told.elapsed() > PROGRESS_EVERY {
            let loading = &self.store.loading;
            let (total, read) =
                (loading.bytes_total.load(Ordering::Relaxed), loading.bytes_read.load(Ordering::Relaxed));
            let done = loading.keys.load(Ordering::Relaxed) + loading.records.load(Ordering::Relaxed);
            let per_second = (done - self.keys_told) as f64 / self.told.elapsed().as_secs_f64();
            tracing::info!(
                percent = (read * 100).checked_div(total).unwrap_or(100),
                keys = loading.keys.load(Ordering::Relaxed),
                records = loading.records.load(Ordering::Relaxed),
                per_second = per_second as u64,
                "loading"
            );
            (self.told, self.keys_told) = (Instant::now(), done);
        }
        tokio::task::yield_now().await;
        self.slice_began = Instant::now();
    }
}

/// How the shard that is filled is reached.
type Reach<'r> = &'r mut dyn FnMut(&mut dyn FnMut(&mut Shard));

/// A file that counts what is read of it.
struct Counted<C> {
    file: Arc<dyn File>,
    at: u64,
    count: C,
}

impl<C: FnMut(u64)> Source for Counted<C> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = read_at_most(&*self.file, buffer, self.at)?;
        self.at += read as u64;
        (self.count)(read as u64);
        Ok(read)
    }
}

/// Fills a shard from its snapshot and its log.
async fn load_files(reach: Reach<'_>, store: &Arc<Store>, old: usize, pace: &mut Pace<'_>) -> Result<(), String> {
    let has_log = store.recovered.is_some();
    if store.source.generation > 0 {
        let name = snapshot_name(store.source.generation, old as u16);
        let path = store.path().join(&name);
        let cannot = |error| format!("cannot open {}: {error}", path.display());
        let file = store.dir().open(&name).map_err(cannot)?;
        let bytes = file.len().map_err(cannot)?;
        store.loading.bytes_total.fetch_add(bytes, Ordering::Relaxed);
        let counting = Arc::clone(store);
        let count = move |read| {
            counting.loading.bytes_read.fetch_add(read, Ordering::Relaxed);
        };
        let source = Box::new(Counted { file, at: 0, count });
        let mut file = RdbFile::open(&path.display().to_string(), source).map_err(|error| error.to_string())?;
        let mut progress = Progress::default();
        // Only a log can bring back to life what has expired by now.
        let expired = if has_log { Expired::Kept } else { Expired::Dropped };
        loop {
            let (mut more, before) = (Ok(false), progress.keys);
            reach(&mut |shard| more = shard.load_some(&mut file, &mut progress, expired, ITEMS));
            store.loading.keys.fetch_add(progress.keys - before, Ordering::Relaxed);
            if !more.map_err(|error| match error {
                // It names the file itself.
                LoadError::Rdb(error) => error.to_string(),
                error => format!("{}: {error}", path.display()),
            })? {
                break;
            }
            pace.breathe().await;
        }
        store.loading.expired.fetch_add(progress.expired, Ordering::Relaxed);
        store.snapshots().add_loaded(progress.keys, bytes);
        progress.skipped.drain(..).for_each(|what| store.report(format!("{name}: left out: {what}")));
    }
    let Some(recovered) = &store.recovered else { return Ok(()) };
    let log = &recovered.logs[old];
    store.loading.bytes_total.fetch_add(log.bytes(), Ordering::Relaxed);
    let mut reader = log.reader(&**store.dir());
    let mut read = 0;
    while let Some(batch) = reader.next_batch().map_err(|error| error.to_string())? {
        let mut outcome = Ok(());
        let mut records = 0;
        let mut each = batch.records();
        reach(&mut |shard| {
            for record in each.by_ref() {
                records += 1;
                if let Err(error) = shard.replay(record.payload) {
                    outcome = Err(format!("record {} of shard {old}'s log: {error}", record.lsn));
                    break;
                }
            }
        });
        drop(each);
        outcome?;
        store.loading.records.fetch_add(records, Ordering::Relaxed);
        let now = reader.bytes();
        store.loading.bytes_read.fetch_add(now.saturating_sub(read), Ordering::Relaxed);
        read = now;
        pace.breathe().await;
    }
    Ok(())
}

impl Store {
    /// Reads back what the directory has of a shard by now, while the engine runs (DEBUG LOADAOF); returns the number of the record that comes next.
    ///
    /// # Errors
    /// What is wrong with the files, and what `into` says.
    pub(crate) fn read_back(&self, shard: usize, into: &mut dyn ReadBack) -> Result<u64, String> {
        let manifest = self.manifest().clone();
        if !manifest.has_log {
            return Err("the log has not begun yet: a snapshot is under way that it follows".to_owned());
        }
        let recovered = recover(&**self.dir(), &manifest, Mode::Inspect).map_err(|error| error.to_string())?;
        if manifest.generation > 0 {
            let name = snapshot_name(manifest.generation, shard as u16);
            let path = self.path().join(&name).display().to_string();
            let file = self.dir().open(&name).map_err(|error| format!("cannot open {path}: {error}"))?;
            let source = Box::new(Counted { file, at: 0, count: |_| {} });
            into.snapshot(&mut RdbFile::open(&path, source).map_err(|error| error.to_string())?)?;
        }
        let log = &recovered.logs[shard];
        let mut outcome = Ok(());
        let read = log.read(&**self.dir(), &mut |record| {
            outcome = into.record(record.payload).map_err(|error| format!("record {}: {error}", record.lsn));
            if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        read.map_err(|error| error.to_string()).and(outcome).map(|()| log.next_lsn)
    }
}

/// Hands the keys of an old shard to their new owners.
async fn hand_over(
    driver: &Rc<Driver>,
    store: &Arc<Store>,
    shard: &mut Shard,
    old: usize,
    pace: &mut Pace<'_>,
) -> Result<(), String> {
    if old == 0 {
        // Every shard has the same libraries of functions.
        let records = shard.function_records();
        store.on_every_shard(move |driver| {
            if let Err(error) = driver.tick(|shard| shard.load_function_records(&records))
                && let Some(store) = driver.store()
            {
                store.fail(Fatal::Loading, &error.to_string());
            }
        });
    }
    let mut batches: Vec<Vec<(u8, Box<[u8]>, Detached)>> = (0..store.shards()).map(|_| Vec::new()).collect();
    loop {
        let more = shard.hand_over_some(HANDED_OVER, &mut |db, key, value| {
            let owner = driver.look(|here| here.owner(db, key));
            batches[owner].push((db, key.into(), value));
        });
        for (owner, batch) in batches.iter_mut().enumerate() {
            if batch.len() >= HANDED_OVER || (!more && !batch.is_empty()) {
                let batch = std::mem::take(batch);
                driver.on_shard(owner, move |driver| {
                    driver
                        .tick(|shard| batch.into_iter().for_each(|(db, key, value)| shard.take_over(db, &key, value)));
                });
            }
        }
        if !more {
            return Ok(());
        }
        pace.breathe().await;
    }
}
