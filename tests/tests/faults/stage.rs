//! An embedded engine on a directory whose disk does what the test wants.
//!
//! Owns: starting and ending it, saying lines to its shards, and what all its keys are. Refuses to know: faults.
//! Start at [`Setup`] and [`Life`].
//!
//! Breaks the rule: sleep, because threads of the engine and of its disk do what is waited for.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use kora_ext::embedded::Conversation;
use kora_ext::persistence::{Fatal, Rules, Store, StoreOptions, fingerprint};
use kora_ext::{Clock, Database, Engine, EngineOptions};
use kora_runtime::config::Config;
use kora_storage::dir::{Dir, FailingDir, MemoryDir, RealDir};
use kora_storage::manifest::Manifest;
use kora_tests::resp::{self, Value};
use kora_tests::words;
use tempfile::TempDir;

use crate::gate::Gate;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks.
const GLANCE: Duration = Duration::from_millis(1);

/// Waits until something is so.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "not after {PATIENCE:?}: {what}");
        std::thread::sleep(GLANCE);
    }
}

/// A data directory.
#[derive(Debug)]
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    fn all_names(&self) -> impl Iterator<Item = String> {
        let entries = std::fs::read_dir(self.path()).expect("a directory");
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        // The content of the lock is a process number.
        names.filter(|name| name != "kora.lock")
    }

    /// Its files but the lock.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.all_names().map(|name| (name.clone(), self.read(&name))).collect()
    }

    /// Names of its files that begin and end like this, in order.
    pub(crate) fn names(&self, begin: &str, end: &str) -> Vec<String> {
        let mut found: Vec<_> =
            self.all_names().filter(|name| name.starts_with(begin) && name.ends_with(end)).collect();
        found.sort();
        found
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path().join(name)).expect("a file")
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path().join(name), bytes).expect("a writable directory");
    }

    pub(crate) fn remove(&self, name: &str) {
        std::fs::remove_file(self.path().join(name)).expect("a file");
    }

    /// Another directory with the same files.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::new();
        self.files().iter().for_each(|(name, bytes)| copy.write(name, bytes));
        copy
    }

    /// The directory, to be worked on without an engine.
    pub(crate) fn dir(&self) -> Arc<dyn Dir> {
        Arc::new(RealDir::open(self.path()).expect("a directory"))
    }

    /// The same files in memory, where power can be lost.
    pub(crate) fn in_memory(&self) -> MemoryDir {
        let memory = MemoryDir::new();
        self.files().iter().for_each(|(name, bytes)| memory.put(name, bytes));
        memory
    }

    /// Makes the files those that are in memory.
    pub(crate) fn become_like(&self, memory: &MemoryDir) {
        self.all_names().for_each(|name| self.remove(&name));
        for name in memory.list().expect("names in memory") {
            self.write(&name, &memory.content(&name).expect("it was listed"));
        }
    }

    /// A text in which the directory is called DIR.
    pub(crate) fn anonymous(&self, text: &str) -> String {
        text.replace(&*self.path().to_string_lossy(), "DIR")
    }
}

/// What stands between an engine and its files.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    /// The files behind both.
    pub(crate) files: Arc<dyn Dir>,
    pub(crate) faults: FailingDir,
    pub(crate) gate: Gate,
}

type Between = Box<dyn FnOnce(Arc<dyn Dir>) -> Arc<dyn Dir>>;

thread_local! {
    /// What the next store of this thread reaches its files through.
    static BETWEEN: RefCell<Option<Between>> = const { RefCell::new(None) };
}

/// How an engine is started.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) shards: usize,
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) salvage: bool,
    pub(crate) on_fatal: Option<fn(Fatal, &str)>,
    /// Files are those in memory, which were those of the directory.
    pub(crate) memory: Option<MemoryDir>,
}

impl Setup {
    /// With a log that is synced once a second, and no snapshots by themselves.
    pub(crate) fn new(shards: usize) -> Self {
        let (config, clock) = (Config::default(), Clock::System);
        let setup = Self { shards, config, clock, salvage: false, on_fatal: None, memory: None };
        setup.with("appendonly", "yes").with("log-segment-bytes", "65536")
    }

    /// With another value of a setting.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        let set = self.config.set_at_start(name.as_bytes(), value.as_bytes());
        set.expect("a setting").unwrap_or_else(|refusal| panic!("{name} {value}: {refusal}"));
        self
    }

    pub(crate) fn with_shards(&self, shards: usize) -> Self {
        Self { shards, ..self.clone() }
    }

    /// Starts an engine whose data must load.
    #[track_caller]
    pub(crate) fn open(&self, place: &Place) -> Life {
        self.try_open(place, |_| {}).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts an engine that must refuse, and says why.
    #[track_caller]
    pub(crate) fn refusal(&self, place: &Place) -> String {
        match self.try_open(place, |_| {}) {
            Ok(_) => panic!("it starts"),
            Err(error) => place.anonymous(&error),
        }
    }

    /// Starts an engine, on a disk that `prepare` has seen before anything is read.
    pub(crate) fn try_open(&self, place: &Place, prepare: impl FnOnce(&Disk) + 'static) -> Result<Life, String> {
        let (sender, disks) = mpsc::channel();
        let memory = self.memory.clone();
        BETWEEN.set(Some(Box::new(move |real| {
            let files = memory.map_or(real, |memory| Arc::new(memory) as Arc<dyn Dir>);
            let disk = Disk { faults: FailingDir::new(Arc::clone(&files)), files, gate: Gate::default() };
            prepare(&disk);
            sender.send(disk.clone()).expect("whoever opens receives");
            disk.gate.guard(Arc::new(disk.faults))
        })));
        let Self { shards, config, clock, salvage, on_fatal, .. } = self.clone();
        let rules = Rules { locality: config.locality.clone(), pinned_databases: config.pinned_databases };
        let through = |real| BETWEEN.take().expect("one for each store")(real);
        let path = place.path().to_owned();
        let options = StoreOptions { path, shards, rules, salvage, through: Some(through) };
        let store = Store::open(&options, fingerprint).map_err(|error| error.to_string())?;
        if let Some(on_fatal) = on_fatal {
            store.on_fatal(on_fatal);
        }
        let mut engine = EngineOptions::with_random_seeds(shards, config).map_err(|error| error.to_string())?;
        (engine.clock, engine.store) = (clock, Some(Arc::clone(&store)));
        let engine = Engine::start(engine).map_err(|error| error.to_string())?;
        let database = Database::of(Arc::new(engine));
        let disk = disks.recv().expect("the store has made one");
        let ready = store.wait_until_ready();
        let clients: Vec<Client> = (0..shards).map(|_| Client::connect(&database)).collect();
        let life = Life { _release: Release(disk.gate.clone()), clients, database, store, disk };
        match ready {
            Ok(()) => Ok(life),
            Err(why) => {
                life.end();
                Err(why)
            }
        }
    }
}

/// A client, on one of the shards.
#[derive(Debug)]
pub(crate) struct Client {
    conversation: Conversation,
    received: RefCell<Vec<u8>>,
}

impl Client {
    fn connect(database: &Database) -> Self {
        let conversation = database.converse().expect("a running engine");
        Self { conversation, received: RefCell::default() }
    }

    /// Sends a command without waiting for its reply.
    pub(crate) fn send(&self, argv: &[impl AsRef<[u8]>]) {
        self.conversation.send(resp::encode(argv));
    }

    /// The next reply, if it comes in time.
    pub(crate) fn receive_within(&self, time: Duration) -> Option<Value> {
        let begun = Instant::now();
        loop {
            let mut received = self.received.borrow_mut();
            if let Some((value, len)) = resp::decode(&received).expect("replies of Kora") {
                received.drain(..len);
                return Some(value);
            }
            let left = time.saturating_sub(begun.elapsed());
            match self.conversation.receive_within(left) {
                Ok(Some(bytes)) => received.extend_from_slice(&bytes),
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// The next reply, as text.
    #[track_caller]
    pub(crate) fn receive(&self) -> String {
        text(&self.receive_within(PATIENCE).expect("a reply in time"))
    }

    pub(crate) fn call(&self, argv: &[impl AsRef<[u8]>]) -> Value {
        self.send(argv);
        self.receive_within(PATIENCE)
            .unwrap_or_else(|| panic!("{:?}: no reply in time", argv[0].as_ref().escape_ascii()))
    }

    /// Says a line and returns the reply as text.
    #[track_caller]
    pub(crate) fn say(&self, line: &str) -> String {
        text(&self.call(&words::split(line).expect(line)))
    }

    /// Says a line whose reply must be OK.
    #[track_caller]
    pub(crate) fn ok(&self, line: &str) {
        assert_eq!(self.say(line), "OK", "{line}");
    }
}

/// A value as text: arrays in brackets.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null | Value::NullArray => "nil".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Array(items) => format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(", ")),
        other => String::from_utf8_lossy(other.bytes().unwrap_or_default()).into_owned(),
    }
}

/// A test that fails does not wait for what it has kept waiting.
#[derive(Debug)]
struct Release(Gate);

impl Drop for Release {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.open();
        }
    }
}

/// An engine that runs.
#[derive(Debug)]
pub(crate) struct Life {
    /// The first to be dropped.
    _release: Release,
    clients: Vec<Client>,
    database: Database,
    pub(crate) store: Arc<Store>,
    pub(crate) disk: Disk,
}

impl Life {
    /// The client whose connection is on this shard.
    pub(crate) fn on(&self, shard: usize) -> &Client {
        &self.clients[shard]
    }

    #[track_caller]
    pub(crate) fn say(&self, line: &str) -> String {
        self.on(0).say(line)
    }

    #[track_caller]
    pub(crate) fn ok(&self, line: &str) {
        self.on(0).ok(line);
    }

    /// Says lines whose replies do not matter, as long as they are no errors.
    #[track_caller]
    pub(crate) fn say_all(&self, lines: &[&str]) {
        for line in lines {
            let reply = self.on(0).call(&words::split(line).expect(line));
            assert!(!reply.is_error(), "{line}: {}", text(&reply));
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.database.engine()
    }

    /// A key of this shard with this name in its beginning, in database 0.
    pub(crate) fn key_on(&self, shard: usize, name: &str) -> String {
        let (sender, receiver) = mpsc::channel();
        let (name, shards) = (name.to_owned(), self.clients.len());
        self.engine().on_shard(shard, move |driver| {
            let mut keys = (0..1000 * shards).map(|at| format!("{name}{at}"));
            let found = keys.find(|key| driver.look(|shard| shard.owner(0, key.as_bytes())) == driver.id());
            sender.send(found).expect("the test waits");
        });
        receiver.recv().expect("a running shard").expect("a key for every shard")
    }

    /// A line of INFO persistence.
    pub(crate) fn fact(&self, name: &str) -> String {
        let info = self.say("INFO persistence");
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {name} in {info}")).to_owned()
    }

    /// Begins a snapshot and waits until it has ended.
    #[track_caller]
    pub(crate) fn snapshot(&self) {
        assert_eq!(self.say("BGSAVE"), "Background saving started");
        until("the snapshot has ended", || self.fact("rdb_bgsave_in_progress") == "0");
    }

    /// Waits until the manifest says that the log belongs to the data, or that it does not.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, has_log: bool) {
        until("the manifest follows appendonly", || {
            Manifest::read(&*self.disk.files).expect("a manifest").is_some_and(|found| found.has_log == has_log)
        });
    }

    /// Ends it in order; syncs that wait are let go.
    pub(crate) fn end(self) {
        self.disk.gate.open();
        self.end_while_syncs_wait();
    }

    /// Ends it in order; whoever keeps syncs waiting lets them go.
    pub(crate) fn end_while_syncs_wait(self) {
        let Self { clients, database, store, .. } = self;
        drop((clients, database));
        // Threads that wrote snapshots may hold it a little longer.
        until("the directory is let go", || Arc::strong_count(&store) == 1);
    }

    /// Ends it as a kill would: nothing more is written.
    pub(crate) fn kill(self) {
        self.disk.faults.stop_at(0);
        self.end();
    }

    /// All keys of all databases, and libraries of functions, in words.
    pub(crate) fn contents(&self) -> BTreeMap<String, String> {
        contents(self.on(0))
    }
}

/// All keys of all databases, and libraries of functions, in words.
pub(crate) fn contents(client: &Client) -> BTreeMap<String, String> {
    let items = |value: Value| match value {
        Value::Array(items) => items.iter().map(text).collect::<Vec<String>>(),
        other => vec![text(&other)],
    };
    let sorted = |value: Value, of: usize| {
        let items = items(value);
        let mut groups: Vec<String> = items.chunks(of).map(|group| group.join("=")).collect();
        groups.sort();
        groups.join(" ")
    };
    let mut found = BTreeMap::new();
    for db in 0..16 {
        client.ok(&format!("SELECT {db}"));
        for key in items(client.call(&["KEYS", "*"])) {
            let key = key.as_str();
            let kind = text(&client.call(&["TYPE", key]));
            let value = match kind.as_str() {
                "string" => text(&client.call(&["GET", key])),
                "list" => text(&client.call(&["LRANGE", key, "0", "-1"])),
                "set" => sorted(client.call(&["SMEMBERS", key]), 1),
                "hash" => sorted(client.call(&["HGETALL", key]), 2),
                "zset" => text(&client.call(&["ZRANGE", key, "0", "-1", "WITHSCORES"])),
                "stream" => text(&client.call(&["XRANGE", key, "-", "+"])),
                other => panic!("{key} is a {other}"),
            };
            let expiry = text(&client.call(&["PEXPIRETIME", key]));
            found.insert(format!("{db}/{key}"), format!("{kind} {value} until {expiry}"));
        }
    }
    client.ok("SELECT 0");
    for library in items(client.call(&["FUNCTION", "LIST", "WITHCODE"])) {
        found.insert("functions".to_owned(), library);
    }
    found
}
