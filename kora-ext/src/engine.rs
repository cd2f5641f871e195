//! The engine: shards on threads.
//!
//! Owns: starting and stopping the threads, the mailboxes between them. Refuses to know: sockets, commands.
//! Start at [`Engine::start`].

use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use kora_runtime::config::Config;
use kora_runtime::keyspace::typed::random_state;
use kora_runtime::shard::ShardOptions;
use kora_runtime::shard::route::SHARDS_MAX;
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::driver::{Driver, Mail};
use crate::host::{AllocatorHooks, ProcessHost};
use crate::persistence::{Store, load};

/// How often the shards are asked at the end whether transactions are under way.
const REST_TRIES_MAX: usize = 10_000;

/// What an engine is started with.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Number of shards, each a thread; at least 1.
    pub shards: usize,
    /// The settings all shards start with; where keys live is among them (`locality`, `pinned_databases`).
    pub config: Config,
    /// The routing seeds of the data directory.
    pub seeds: [u64; 4],
    /// Seed of random choices (SPOP, RANDOMKEY…) and of the run id.
    pub random_seed: u64,
    /// The clock that expiry goes by.
    pub clock: Clock,
    /// What the program's allocator can tell.
    pub allocator: Option<AllocatorHooks>,
    /// Where what is kept is kept; without one nothing is. Its seeds and rules hold.
    pub store: Option<Arc<Store>>,
}

impl EngineOptions {
    /// Options with seeds drawn from the operating system.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn with_random_seeds(shards: usize, config: Config) -> std::io::Result<Self> {
        let mut draws = [0_u64; 5];
        for draw in &mut draws {
            *draw = random_u64()?;
        }
        let [a, b, c, d, random_seed] = draws;
        Ok(Self {
            shards,
            config,
            seeds: [a, b, c, d],
            random_seed,
            clock: Clock::System,
            allocator: None,
            store: None,
        })
    }
}

/// 64 bits of randomness from the operating system.
///
/// # Errors
/// When it gives none.
pub fn random_u64() -> std::io::Result<u64> {
    use std::io::Read;
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Running shards. Dropping the engine stops them.
pub struct Engine {
    mailboxes: Vec<mpsc::UnboundedSender<Mail>>,
    threads: Vec<JoinHandle<()>>,
    host: Arc<ProcessHost>,
    clock: Clock,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("shards", &self.mailboxes.len()).finish_non_exhaustive()
    }
}

impl Engine {
    /// Starts the shards.
    ///
    /// # Errors
    /// When a thread or its runtime cannot be made, or the number of shards is out of range.
    pub fn start(options: EngineOptions) -> std::io::Result<Self> {
        let EngineOptions { shards, mut config, mut seeds, random_seed, clock, allocator, store } = options;
        if shards == 0 || shards > SHARDS_MAX {
            return Err(std::io::Error::other(format!("the number of shards must be 1 to {SHARDS_MAX}, not {shards}")));
        }
        config.shards = shards;
        if let Some(store) = &store {
            let rules = store.rules();
            (config.locality, config.pinned_databases) = (rules.locality.clone(), rules.pinned_databases);
            seeds = store.routing_seeds();
        }
        let host = Arc::new(ProcessHost::new(random_seed, allocator, &config));
        let (mailboxes, receivers): (Vec<_>, Vec<_>) = (0..shards).map(|_| mpsc::unbounded_channel()).unzip();
        if let Some(store) = &store {
            store.attach(&mailboxes, &config);
            host.set_store(Arc::clone(store));
        }
        let mut threads = Vec::with_capacity(shards);
        // Where shards share cores, one that has nothing to do lets the others run before it asks the system for work: what they send it, and what clients
        // send meanwhile, is then handled in one turn instead of one wake-up each.
        let crowded = std::thread::available_parallelism().is_ok_and(|cores| shards > usize::from(cores));
        for (id, mailbox) in receivers.into_iter().enumerate() {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            if crowded {
                runtime.on_thread_park(std::thread::yield_now);
            }
            let runtime = runtime.enable_all().build()?;
            let peers = mailboxes.clone();
            let (clock, host, config, store) = (clock.clone(), Arc::clone(&host), config.clone(), store.clone());
            let run = move || {
                let (extensions, busy_extensions) = crate::extensions(id);
                let options = ShardOptions {
                    id,
                    shards,
                    seeds: random_state(seeds),
                    random_seed: random_seed.wrapping_add(id as u64 + 1),
                    config,
                    host: Arc::clone(&host) as Arc<dyn kora_runtime::host::Host>,
                    now_ms: clock.now_ms(),
                    extensions,
                    busy_extensions,
                };
                let driver = Driver::new(options, peers, clock, host, store.clone());
                let local = tokio::task::LocalSet::new();
                local.spawn_local(Rc::clone(&driver).flush_forever());
                local.spawn_local(Rc::clone(&driver).maintain_forever());
                local.spawn_local(Rc::clone(&driver).wake_forever());
                local.spawn_local(Rc::clone(&driver).resume_forever());
                if let Some(store) = store {
                    driver.tick(|shard| shard.set_loading(true));
                    local.spawn_local(Rc::clone(&driver).sync_forever());
                    local.spawn_local(Rc::clone(&driver).commit_forever());
                    local.spawn_local(Rc::clone(&driver).save_forever());
                    local.spawn_local(load::load(Rc::clone(&driver), store));
                }
                local.block_on(&runtime, driver.receive_forever(mailbox));
            };
            threads.push(std::thread::Builder::new().name(format!("shard-{id}")).spawn(run)?);
        }
        Ok(Self { mailboxes, threads, host, clock })
    }

    /// Number of shards.
    pub fn shards(&self) -> usize {
        self.mailboxes.len()
    }

    /// The process around the shards.
    pub fn host(&self) -> &Arc<ProcessHost> {
        &self.host
    }

    /// The clock the shards go by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Runs `task` on the thread of a shard.
    pub fn on_shard(&self, shard: usize, task: impl FnOnce(&Rc<Driver>) + Send + 'static) {
        // A shard that has stopped runs nothing more; only `stop` makes it stop.
        let _ = self.mailboxes[shard].send(Mail::Task(Box::new(task)));
    }

    /// Takes a snapshot, and returns when it is on disk.
    ///
    /// # Errors
    /// The text of what SAVE replied.
    pub fn save(&self) -> Result<(), String> {
        let (sender, replies) = std::sync::mpsc::channel();
        let (opened, session) = std::sync::mpsc::channel();
        self.on_shard(0, move |driver| {
            // Whoever saves waits for both.
            let _ = opened.send(driver.run_internal(&[b"SAVE"], move |reply| drop(sender.send(reply.to_vec()))));
        });
        let stopped = |_| "the shards have stopped".to_owned();
        let reply = replies.recv().map_err(stopped)?;
        let session = session.recv().map_err(stopped)?;
        self.on_shard(0, move |driver| driver.close(session));
        if reply.starts_with(b"-") {
            return Err(String::from_utf8_lossy(&reply[1..]).trim_end().to_owned());
        }
        Ok(())
    }

    /// Waits until no transaction over several shards is under way, so that every log has all of it. Clients have been closed.
    fn come_to_rest(&self) {
        for _ in 0..REST_TRIES_MAX {
            let (sender, quiet) = std::sync::mpsc::channel();
            for shard in 0..self.shards() {
                let sender = sender.clone();
                self.on_shard(shard, move |driver| {
                    // Who asked waits for all of them.
                    let _ = sender.send(driver.look(kora_runtime::shard::Shard::is_quiet));
                });
            }
            drop(sender);
            if quiet.iter().all(|quiet| quiet) {
                return;
            }
            std::thread::yield_now();
        }
        tracing::warn!("a transaction over several shards was under way at the end");
    }

    fn stop(&mut self) {
        if self.host.store().is_some() {
            self.come_to_rest();
        }
        for mailbox in &self.mailboxes {
            let _ = mailbox.send(Mail::Stop);
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a shard's thread ended by a panic");
            }
        }
        if let Some(store) = self.host.store() {
            store.tell_failed_end();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}
