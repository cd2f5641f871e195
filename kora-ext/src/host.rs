//! The process as shards see it.
//!
//! Owns: facts from the operating system, the count of connections, the request to stop. Refuses to know: commands.

use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use kora_runtime::config::Config;
use kora_runtime::error::CommandError;
use kora_runtime::host::{
    Host, HostFacts, PersistenceFacts, ReadBack, Remote, RemoteError, SaveAtEnd, SnapshotRefusal, SnapshotSink,
};
use kora_runtime::shard::message::ShardId;
use tokio::sync::Notify;

use crate::persistence::Store;

/// What an allocator can tell and do; a program that knows its allocator gives one.
#[derive(Debug, Clone, Copy)]
pub struct AllocatorHooks {
    /// Bytes handed out and not given back.
    pub allocated_bytes: fn() -> u64,
    /// Gives free memory back to the operating system.
    pub purge: fn(),
}

/// The process around an engine.
#[derive(Debug)]
pub struct ProcessHost {
    started: Instant,
    run_id: String,
    allocator: Option<AllocatorHooks>,
    tcp_port: AtomicU16,
    config_file: OnceLock<String>,
    peak_bytes: AtomicU64,
    connections: AtomicU64,
    accepted: AtomicU64,
    rejected: AtomicU64,
    clients_max: AtomicU64,
    stopping: AtomicBool,
    stop: Arc<Notify>,
    config_listener: OnceLock<fn(&Config)>,
    store: OnceLock<Arc<Store>>,
    /// What a clean end that was asked for does first, and whether it goes on when that fails.
    save_at_end: Mutex<(SaveAtEnd, bool)>,
}

impl ProcessHost {
    /// A host for a new engine; `run_seed` makes its run id.
    pub fn new(run_seed: u64, allocator: Option<AllocatorHooks>, config: &Config) -> Self {
        let mut random = kora_runtime::random::Random::new(run_seed);
        let run_id = (0..5).map(|_| format!("{:08x}", random.next_u64() as u32)).collect();
        Self {
            started: Instant::now(),
            run_id,
            allocator,
            tcp_port: AtomicU16::new(0),
            config_file: OnceLock::new(),
            peak_bytes: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            clients_max: AtomicU64::new(u64::from(config.maxclients)),
            stopping: AtomicBool::new(false),
            stop: Arc::new(Notify::new()),
            config_listener: OnceLock::new(),
            store: OnceLock::new(),
            save_at_end: Mutex::default(),
        }
    }

    /// Tells the port that INFO shows.
    pub fn set_tcp_port(&self, port: u16) {
        self.tcp_port.store(port, Ordering::Relaxed);
    }

    /// Tells the configuration file that INFO shows.
    pub fn set_config_file(&self, path: &str) {
        // A second call changes nothing: a process reads one file.
        let _ = self.config_file.set(path.to_owned());
    }

    /// Calls `listener` after every CONFIG SET.
    pub fn on_config_change(&self, listener: fn(&Config)) {
        let _ = self.config_listener.set(listener);
    }

    /// Tells where what is kept is kept.
    pub(crate) fn set_store(&self, store: Arc<Store>) {
        // An engine has one.
        let _ = self.store.set(store);
    }

    /// The data directory, when there is one.
    pub fn store(&self) -> Option<&Arc<Store>> {
        self.store.get()
    }

    /// What a clean end that was asked for does first, and whether it goes on when that fails.
    pub fn save_at_end(&self) -> (SaveAtEnd, bool) {
        *self.save_at_end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The end that was asked for does not come: saving failed.
    pub fn go_on(&self) {
        self.stopping.store(false, Ordering::SeqCst);
    }

    /// Takes a place for a connection; false when `maxclients` are there. Every place taken is given back by [`ProcessHost::leave`].
    pub fn admit(&self) -> bool {
        let admitted = self.connections.fetch_add(1, Ordering::Relaxed) < self.clients_max.load(Ordering::Relaxed);
        if admitted {
            self.accepted.fetch_add(1, Ordering::Relaxed);
        } else {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            self.rejected.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }

    /// Gives a connection's place back.
    pub fn leave(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// Waits until something asks the process to stop.
    pub async fn stop_requested(&self) {
        let notified = self.stop.notified();
        if self.stopping.load(Ordering::SeqCst) {
            return;
        }
        notified.await;
    }
}

impl Host for ProcessHost {
    fn monotonic_ns(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }

    fn facts(&self) -> HostFacts {
        let resident_bytes = resident_bytes();
        let allocated_bytes = self.allocator.map_or(resident_bytes, |hooks| (hooks.allocated_bytes)());
        let peak = self.peak_bytes.fetch_max(allocated_bytes, Ordering::Relaxed).max(allocated_bytes);
        let (cpu_user_seconds, cpu_system_seconds) = cpu_seconds("/proc/self/stat");
        let (cpu_user_thread_seconds, cpu_system_thread_seconds) = cpu_seconds("/proc/thread-self/stat");
        HostFacts {
            process_id: std::process::id(),
            run_id: self.run_id.clone(),
            tcp_port: self.tcp_port.load(Ordering::Relaxed),
            uptime_seconds: self.started.elapsed().as_secs(),
            executable: std::env::current_exe().map(|path| path.display().to_string()).unwrap_or_default(),
            config_file: self.config_file.get().cloned().unwrap_or_default(),
            os: operating_system(),
            resident_bytes,
            cpu_user_seconds,
            cpu_system_seconds,
            cpu_user_thread_seconds,
            cpu_system_thread_seconds,
            system_memory_bytes: system_memory_bytes(),
            rejected_connections: self.rejected.load(Ordering::Relaxed),
            accepted_connections: self.accepted.load(Ordering::Relaxed),
            allocated_bytes,
            peak_allocated_bytes: peak,
        }
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }

    fn shutdown(&self, save: SaveAtEnd, force: bool) -> Result<(), CommandError> {
        if save == SaveAtEnd::Yes && self.store.get().is_none() {
            return Err(CommandError::Text(
                "ERR SHUTDOWN SAVE is not possible: there is no data directory, start with --dir to keep data",
            ));
        }
        *self.save_at_end.lock().unwrap_or_else(PoisonError::into_inner) = (save, force);
        self.stopping.store(true, Ordering::SeqCst);
        self.stop.notify_waiters();
        Ok(())
    }

    fn connect(&self, host: &str, port: u16, step: Duration) -> Result<Box<dyn Remote>, RemoteError> {
        crate::remote::call(host, port, step)
    }

    fn purge(&self) {
        if let Some(hooks) = self.allocator {
            (hooks.purge)();
        }
    }

    fn report(&self, message: &str) {
        tracing::error!("{message}");
    }

    fn persistence(&self) -> PersistenceFacts {
        self.store.get().map_or_else(PersistenceFacts::default, |store| store.facts())
    }

    fn begin_snapshot(
        &self,
        shard: ShardId,
        token: u64,
        first_lsn: u64,
    ) -> Result<Box<dyn SnapshotSink>, SnapshotRefusal> {
        let store = self.store.get().ok_or(SnapshotRefusal::NoDirectory)?;
        store.snapshots().begin(store, shard, token, first_lsn)
    }

    fn snapshot_soon(&self) -> Result<(), SnapshotRefusal> {
        let store = self.store.get().ok_or(SnapshotRefusal::NoDirectory)?;
        store.save_soon();
        Ok(())
    }

    fn read_back(&self, shard: ShardId, into: &mut dyn ReadBack) -> Result<u64, String> {
        let store = self.store.get().ok_or_else(|| "there is no data directory".to_owned())?;
        store.read_back(shard, into)
    }

    fn config_changed(&self, config: &Config) {
        if let Some(store) = self.store.get() {
            store.follow(config);
            store.want_log(config.appendonly);
        }
        self.clients_max.store(u64::from(config.maxclients), Ordering::Relaxed);
        if let Some(listener) = self.config_listener.get() {
            listener(config);
        }
    }
}

/// Resident bytes of this process, 0 where the system does not tell.
fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    kib_after(&text, "VmRSS:")
}

fn system_memory_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    kib_after(&text, "MemTotal:")
}

fn kib_after(text: &str, label: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse::<u64>().ok()).unwrap_or(0)
        * 1024
}

/// Seconds in user mode and in the kernel, from a `stat` file of proc(5); ticks are hundredths on every Linux.
fn cpu_seconds(path: &str) -> (f64, f64) {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let seconds = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(0.0) / 100.0;
    (seconds(11), seconds(12))
}

fn operating_system() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{} {} {}", "Linux", release.trim(), std::env::consts::ARCH)
}
