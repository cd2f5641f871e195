//! Kora inside a program: the same shards, sessions, limits and commands as the server, without a socket.
//!
//! Owns: opening an engine, sessions of the program's own, typed calls. Refuses to know: what commands mean.
//! Start at [`Database::open`]; [`Connection`] has one method for each command, generated from `commands.toml`, and
//! [`Connection::execute`] takes any command as words. [`Database::subscribe`] receives what is published. A server can serve a running database: see `kora_server::serve`.

mod subscription;
mod values;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::time::{Duration, Instant};

use kora_runtime::argv::{Argv, ArgvBuf};
use kora_runtime::client::{FromReply, ReplyError, Value};
use kora_runtime::config::{Config, RecoverMode};
use kora_runtime::shard::clients::Peer;
use kora_runtime::table::{self, AsyncClient, Client, CommandId, Resolved};
use tokio::sync::oneshot;

pub use self::subscription::{Message, Subscription};
use self::values::Values;

use crate::clock::Clock;
use crate::driver::Outlet;
use crate::engine::{Engine, EngineOptions};
use crate::persistence::{self, Rules, Store, StoreOptions};

/// How an embedded database is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Number of shards, each a thread.
    pub shards: usize,
    /// Settings: those that CONFIG SET changes, and those that hold from the start, `locality` and `pinned_databases` among them.
    pub config: Config,
    /// The clock that expiry goes by.
    pub clock: Clock,
    /// Where keys are kept; without a directory they are gone with the database. How they are kept is in the settings: `appendonly`, `appendfsync`, `save`.
    pub directory: Option<PathBuf>,
}

impl Default for Options {
    /// As many shards as the machine has cores, default settings, the machine's clock.
    fn default() -> Self {
        let shards = std::thread::available_parallelism().map_or(1, usize::from);
        Self { shards, config: Config::default(), clock: Clock::System, directory: None }
    }
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command was refused; the text is the one a client of the server would read.
    #[error("{0}")]
    Refused(String),
    /// The connection was closed: by QUIT, CLIENT KILL, a protocol error or the end of the database.
    #[error("the connection is closed")]
    Closed,
    /// The reply is not of the type that the method promises.
    #[error("the reply has another shape than the command table says: {0}")]
    Shape(String),
}

/// A running database.
#[derive(Debug, Clone)]
pub struct Database {
    engine: Arc<Engine>,
    next_shard: Arc<AtomicUsize>,
}

impl Database {
    /// Opens a database: an empty one in memory, or what is in a directory.
    ///
    /// # Errors
    /// When threads cannot be started, the number of shards is out of range, or the directory cannot be used.
    pub fn open(options: Options) -> std::io::Result<Self> {
        let Options { shards, config, clock, directory } = options;
        let store = match directory {
            None => None,
            Some(path) => {
                let rules = Rules { locality: config.locality.clone(), pinned_databases: config.pinned_databases };
                let options = StoreOptions {
                    path,
                    shards,
                    rules,
                    salvage: config.recover == RecoverMode::Salvage,
                    through: None,
                };
                Some(Store::open(&options, persistence::fingerprint).map_err(std::io::Error::other)?)
            }
        };
        let mut engine = EngineOptions::with_random_seeds(shards, config)?;
        engine.clock = clock;
        engine.store = store.clone();
        let database = Self::of(Arc::new(Engine::start(engine)?));
        if let Some(store) = store {
            store.wait_until_ready().map_err(std::io::Error::other)?;
        }
        Ok(database)
    }

    /// A database over an engine that runs already.
    pub fn of(engine: Arc<Engine>) -> Self {
        Self { engine, next_shard: Arc::default() }
    }

    /// The engine, for a server that is to serve the same data.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Opens a connection. Connections are spread over the shards.
    ///
    /// # Errors
    /// [`Error::Closed`] when the engine has stopped.
    pub fn connect(&self) -> Result<Connection, Error> {
        let session = self.open_session(|| {
            let outlet = Rc::new(CallOutlet::default());
            (Rc::clone(&outlet) as Rc<dyn Outlet>, Some(outlet))
        })?;
        let connection = Connection { session };
        // RESP3 tells every type of reply apart.
        connection.execute(&["HELLO", "3"]).map_err(|_| Error::Closed)?;
        Ok(connection)
    }

    /// Opens a conversation in the bytes of the protocol, as a socket would carry them.
    ///
    /// # Errors
    /// [`Error::Closed`] when the engine has stopped.
    pub fn converse(&self) -> Result<Conversation, Error> {
        let (sender, replies) = mpsc::channel();
        let session = self.open_session(move || (Rc::new(ByteOutlet { sender: RefCell::new(Some(sender)) }), None))?;
        Ok(Conversation { session, replies })
    }

    fn open_session(
        &self,
        outlet: impl FnOnce() -> (Rc<dyn Outlet>, Option<Rc<CallOutlet>>) + Send + 'static,
    ) -> Result<Session, Error> {
        let shard = self.next_shard.fetch_add(1, Ordering::Relaxed) % self.engine.shards();
        let (sender, receiver) = oneshot::channel();
        self.engine.on_shard(shard, move |driver| {
            let (outlet, calls) = outlet();
            let peer =
                Peer { addr: "embedded:0".to_owned(), laddr: "embedded:0".to_owned(), fd: -1, unix: false, origin: 0 };
            let session = driver.open(peer, outlet);
            let place = SHARD_SESSIONS.with_borrow_mut(|sessions| {
                let free = sessions.iter().position(Option::is_none).unwrap_or(sessions.len());
                if free == sessions.len() {
                    sessions.push(None);
                }
                sessions[free] = Some((session, calls));
                free
            });
            // The caller may have gone away; then the session is closed with the shard.
            let _ = sender.send(place);
        });
        let place = wait(receiver)?;
        Ok(Session { engine: Arc::clone(&self.engine), shard, place })
    }
}

type OpenSession = (u32, Option<Rc<CallOutlet>>);

thread_local! {
    /// Embedded sessions of the shard on this thread, by the place that their handle knows.
    static SHARD_SESSIONS: RefCell<Vec<Option<OpenSession>>> = const { RefCell::new(Vec::new()) };
}

/// A session on a shard's thread. Dropping it closes the session.
#[derive(Debug)]
struct Session {
    engine: Arc<Engine>,
    shard: usize,
    place: usize,
}

impl Session {
    /// Hands bytes to the session, after `prepare` has run on its thread. All of them go in at once: the session itself stalls where its order asks for it.
    fn feed(&self, bytes: Vec<u8>, prepare: impl FnOnce(&OpenSession) -> bool + Send + 'static) {
        let place = self.place;
        self.engine.on_shard(self.shard, move |driver| {
            let open = SHARD_SESSIONS.with_borrow(|sessions| sessions[place].clone());
            let Some(open) = open else { return };
            if prepare(&open) {
                let _: Poll<Result<usize, std::convert::Infallible>> = driver.poll_read(open.0, |buffer| {
                    buffer.extend_from_slice(&bytes);
                    Poll::Ready(Ok(bytes.len()))
                });
            }
        });
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let place = self.place;
        self.engine.on_shard(self.shard, move |driver| {
            let open = SHARD_SESSIONS.with_borrow_mut(|sessions| sessions[place].take());
            if let Some((session, _)) = open {
                driver.close(session);
            }
        });
    }
}

/// Hands replies to whoever awaits them, in order.
#[derive(Default)]
struct CallOutlet {
    waiting: RefCell<VecDeque<oneshot::Sender<Vec<u8>>>>,
    values: RefCell<Values>,
    shut: Cell<bool>,
}

impl Outlet for CallOutlet {
    fn write(&self, output: &[u8]) -> usize {
        self.values.borrow_mut().cut(output, |value| {
            // A push answers nothing.
            if value.first() != Some(&b'>')
                && let Some(waiting) = self.waiting.borrow_mut().pop_front()
            {
                // A caller that no longer waits has dropped its end.
                let _ = waiting.send(value.to_vec());
            }
        });
        output.len()
    }

    fn wake(&self) {}

    fn shut(&self) {
        self.shut.set(true);
        self.waiting.borrow_mut().clear();
    }
}

/// Hands output on as it comes.
struct ByteOutlet {
    sender: RefCell<Option<mpsc::Sender<Vec<u8>>>>,
}

impl Outlet for ByteOutlet {
    fn write(&self, output: &[u8]) -> usize {
        if let Some(sender) = &*self.sender.borrow() {
            // A program that dropped its end wants no more.
            let _ = sender.send(output.to_vec());
        }
        output.len()
    }

    fn wake(&self) {}

    fn shut(&self) {
        self.sender.borrow_mut().take();
    }
}

/// Nothing came in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nothing came in time")]
pub struct TimedOut;

/// A conversation in the bytes of the protocol.
#[derive(Debug)]
pub struct Conversation {
    session: Session,
    replies: mpsc::Receiver<Vec<u8>>,
}

impl Conversation {
    /// Sends bytes, whole commands or parts of them.
    pub fn send(&self, bytes: Vec<u8>) {
        self.session.feed(bytes, |_| true);
    }

    /// Waits for more bytes; `None` when the session has been closed.
    pub fn receive(&self) -> Option<Vec<u8>> {
        self.replies.recv().ok()
    }

    /// Waits for more bytes, but not for ever.
    ///
    /// # Errors
    /// [`TimedOut`] when nothing came in time.
    pub fn receive_within(&self, time: std::time::Duration) -> Result<Option<Vec<u8>>, TimedOut> {
        match self.replies.recv_timeout(time) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(mpsc::RecvTimeoutError::Disconnected) => Ok(None),
            Err(mpsc::RecvTimeoutError::Timeout) => Err(TimedOut),
        }
    }
}

/// One connection of the program to its database. Calls of one connection take effect in order; use several for parallel work.
#[derive(Debug)]
pub struct Connection {
    session: Session,
}

impl Connection {
    /// Runs a command given as words and waits for its reply.
    ///
    /// # Errors
    /// [`Error::Refused`] with Redis's text, or [`Error::Closed`].
    pub fn execute(&self, words: &[impl AsRef<[u8]>]) -> Result<Value, Error> {
        check_words(words)?;
        typed(&wait(self.send(encode(words.iter().map(AsRef::as_ref))))?)
    }

    /// Runs a command given as words; the reply comes when awaited, on any executor.
    ///
    /// # Errors
    /// As [`Connection::execute`].
    pub async fn execute_async(&self, words: &[impl AsRef<[u8]>]) -> Result<Value, Error> {
        check_words(words)?;
        let reply = self.send(encode(words.iter().map(AsRef::as_ref)));
        typed(&reply.await.map_err(|_| Error::Closed)?)
    }

    fn send(&self, bytes: Vec<u8>) -> oneshot::Receiver<Vec<u8>> {
        let (sender, receiver) = oneshot::channel();
        self.session.feed(bytes, |(_, calls)| {
            let Some(calls) = calls.as_ref().filter(|calls| !calls.shut.get()) else { return false };
            calls.waiting.borrow_mut().push_back(sender);
            true
        });
        receiver
    }
}

impl Client for Connection {
    type Error = Error;

    fn call<T: FromReply>(&self, id: CommandId, arguments: impl FnOnce(&mut ArgvBuf)) -> Result<T, Error> {
        check(id)?;
        let mut words = ArgvBuf::new();
        arguments(&mut words);
        typed(&wait(self.send(encode_call(id, words.as_argv())))?)
    }
}

impl AsyncClient for Connection {
    type Error = Error;

    async fn call<T: FromReply>(&self, id: CommandId, words: ArgvBuf) -> Result<T, Error> {
        check(id)?;
        typed(&self.send(encode_call(id, words.as_argv())).await.map_err(|_| Error::Closed)?)
    }
}

/// Refuses commands that are not answered by one reply each; they would be mistaken for the reply of another.
fn check(id: CommandId) -> Result<(), Error> {
    use CommandId::{Psubscribe, Punsubscribe, Ssubscribe, Subscribe, Sunsubscribe, Unsubscribe};
    if matches!(id, Subscribe | Psubscribe | Ssubscribe | Unsubscribe | Punsubscribe | Sunsubscribe) {
        let name = id.info().name;
        return Err(Error::Refused(format!("ERR a connection cannot run '{name}'; use Database::subscribe")));
    }
    Ok(())
}

fn check_words(words: &[impl AsRef<[u8]>]) -> Result<(), Error> {
    // The first two name the command.
    let mut name = ArgvBuf::new();
    words.iter().take(2).for_each(|word| name.push(word.as_ref()));
    match table::resolve(name.as_argv()) {
        Resolved::Command { id, .. } => check(id),
        _ => Ok(()),
    }
}

fn wait<T>(receiver: oneshot::Receiver<T>) -> Result<T, Error> {
    block_on(receiver, None).and_then(Result::ok).ok_or(Error::Closed)
}

/// Parks this thread until the future is done, or until the deadline; unlike tokio's own way it may be used inside an executor, which it then blocks as any
/// blocking call does.
fn block_on<F: Future>(future: F, deadline: Option<Instant>) -> Option<F::Output> {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::task::Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
            None => std::thread::park(),
            Some(Duration::ZERO) => return None,
            Some(left) => std::thread::park_timeout(left),
        }
    }
}

/// A command's name and the words after it, as a client sends them.
fn encode_call(id: CommandId, arguments: Argv<'_>) -> Vec<u8> {
    let words: Vec<&[u8]> = id.info().upper.split('|').map(str::as_bytes).chain(arguments.iter()).collect();
    encode(words.into_iter())
}

fn encode<'w>(words: impl ExactSizeIterator<Item = &'w [u8]>) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn typed<T: FromReply>(reply: &[u8]) -> Result<T, Error> {
    kora_runtime::client::decode(reply).map_err(|error| match error {
        ReplyError::Refused(text) => Error::Refused(text),
        other => Error::Shape(other.to_string()),
    })
}
