//! Kora inside a program: the same shards, sessions, limits and commands as the server, without a socket.
//!
//! Owns: opening an engine, sessions of the program's own, typed calls. Refuses to know: what commands mean.
//! Start at [`Database::open`]; [`Connection`] has one method for each command, generated from `commands.toml`, and
//! [`Connection::execute`] takes any command as words. A server can serve a running database: see `kora_server::serve`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kora_runtime::argv::{Argv, ArgvBuf};
use kora_runtime::client::{FromReply, ReplyError, Value};
use kora_runtime::config::Config;
use kora_runtime::resp::value::skip_value;
use kora_runtime::shard::clients::Peer;
use kora_runtime::table::{AsyncClient, Client, CommandId};
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::driver::{Driver, Outlet};
use crate::engine::{Engine, EngineOptions};

/// How an embedded database is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Number of shards, each a thread.
    pub shards: usize,
    /// Settings, as CONFIG SET would change them.
    pub config: Config,
    /// The clock that expiry goes by.
    pub clock: Clock,
}

impl Default for Options {
    /// As many shards as the machine has cores, default settings, the machine's clock.
    fn default() -> Self {
        let shards = std::thread::available_parallelism().map_or(1, usize::from);
        Self { shards, config: Config::default(), clock: Clock::System }
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
    /// Opens an empty database in memory.
    ///
    /// # Errors
    /// When threads cannot be started or the number of shards is out of range.
    pub fn open(options: Options) -> std::io::Result<Self> {
        let Options { shards, config, clock } = options;
        let mut engine = EngineOptions::with_random_seeds(shards, config)?;
        engine.clock = clock;
        Ok(Self::of(Arc::new(Engine::start(engine)?)))
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
        let shard = self.next_shard.fetch_add(1, Ordering::Relaxed) % self.engine.shards();
        let (sender, receiver) = oneshot::channel();
        self.engine.on_shard(shard, move |driver| {
            let outlet = Rc::new(CallOutlet::default());
            let peer = Peer { addr: "embedded:0".to_owned(), laddr: "embedded:0".to_owned(), fd: -1, unix: false };
            let session = driver.open(peer, Rc::clone(&outlet) as Rc<dyn Outlet>);
            let state = SHARD_SESSIONS.with_borrow_mut(|sessions| {
                sessions.push(Some((session, outlet)));
                sessions.len() - 1
            });
            // The caller may have gone away; then the session is closed with the shard.
            let _ = sender.send(state);
        });
        let state = receiver.blocking_recv_anywhere()?;
        let connection = Connection { engine: Arc::clone(&self.engine), shard, state };
        // RESP3 tells every type of reply apart.
        connection.execute(&["HELLO", "3"]).map_err(|_| Error::Closed)?;
        Ok(connection)
    }
}

thread_local! {
    /// Embedded sessions of the shard on this thread.
    static SHARD_SESSIONS: RefCell<Vec<Option<(u32, Rc<CallOutlet>)>>> = const { RefCell::new(Vec::new()) };
}

/// Hands replies to whoever awaits them, in order.
#[derive(Default)]
struct CallOutlet {
    waiting: RefCell<VecDeque<oneshot::Sender<Vec<u8>>>>,
    input: RefCell<VecDeque<Vec<u8>>>,
    shut: Cell<bool>,
}

impl Outlet for CallOutlet {
    fn write(&self, output: &[u8]) -> usize {
        let mut at = 0;
        while let Some(len) = skip_value(&output[at..]) {
            if let Some(waiting) = self.waiting.borrow_mut().pop_front() {
                // A caller that no longer waits has dropped its end.
                let _ = waiting.send(output[at..at + len].to_vec());
            }
            at += len;
        }
        at
    }

    fn wake(&self) {}

    fn shut(&self) {
        self.shut.set(true);
        self.waiting.borrow_mut().clear();
    }
}

/// One connection of the program to its database. Calls of one connection take effect in order; use several for parallel work.
#[derive(Debug)]
pub struct Connection {
    engine: Arc<Engine>,
    shard: usize,
    state: usize,
}

impl Connection {
    /// Runs a command given as words and waits for its reply.
    ///
    /// # Errors
    /// [`Error::Refused`] with Redis's text, or [`Error::Closed`].
    pub fn execute(&self, words: &[impl AsRef<[u8]>]) -> Result<Value, Error> {
        decode(&self.send(encode(words.iter().map(AsRef::as_ref))).blocking_recv_anywhere()?)
    }

    /// Runs a command given as words; the reply comes when awaited, on any executor.
    ///
    /// # Errors
    /// As [`Connection::execute`].
    pub async fn execute_async(&self, words: &[impl AsRef<[u8]>]) -> Result<Value, Error> {
        let reply = self.send(encode(words.iter().map(AsRef::as_ref)));
        decode(&reply.await.map_err(|_| Error::Closed)?)
    }

    /// Sends bytes of the protocol as a client of the server would, and waits for `replies` replies, undecoded.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn exchange(&self, bytes: Vec<u8>, replies: usize) -> Result<Vec<Vec<u8>>, Error> {
        let receivers: Vec<_> = self.send_raw(bytes, replies);
        receivers.into_iter().map(Blocking::blocking_recv_anywhere).collect()
    }

    fn send(&self, bytes: Vec<u8>) -> oneshot::Receiver<Vec<u8>> {
        self.send_raw(bytes, 1).pop().expect("one reply was asked for")
    }

    fn send_raw(&self, bytes: Vec<u8>, replies: usize) -> Vec<oneshot::Receiver<Vec<u8>>> {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..replies).map(|_| oneshot::channel()).unzip();
        let state = self.state;
        self.engine.on_shard(self.shard, move |driver| {
            let open = SHARD_SESSIONS.with_borrow(|sessions| sessions[state].clone());
            let Some((session, outlet)) = open.filter(|(_, outlet)| !outlet.shut.get()) else { return };
            outlet.waiting.borrow_mut().extend(senders);
            outlet.input.borrow_mut().push_back(bytes);
            feed(driver, session, &outlet);
        });
        receivers
    }
}

/// Gives a session the input that waits for it. All of it goes in at once: the session itself stalls where its order asks for it.
fn feed(driver: &Rc<Driver>, session: u32, outlet: &CallOutlet) {
    while let Some(bytes) = outlet.input.borrow_mut().pop_front() {
        let read: Result<usize, std::convert::Infallible> = driver.read(session, |buffer| {
            buffer.extend_from_slice(&bytes);
            Ok(bytes.len())
        });
        let Ok(_) = read;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let state = self.state;
        self.engine.on_shard(self.shard, move |driver| {
            let open = SHARD_SESSIONS.with_borrow_mut(|sessions| sessions[state].take());
            if let Some((session, _)) = open {
                driver.close(session);
            }
        });
    }
}

impl Client for Connection {
    type Error = Error;

    fn call<T: FromReply>(&self, id: CommandId, arguments: impl FnOnce(&mut ArgvBuf)) -> Result<T, Error> {
        let mut words = ArgvBuf::new();
        arguments(&mut words);
        typed(&self.send(encode_call(id, words.as_argv())).blocking_recv_anywhere()?)
    }
}

impl AsyncClient for Connection {
    type Error = Error;

    async fn call<T: FromReply>(&self, id: CommandId, words: ArgvBuf) -> Result<T, Error> {
        typed(&self.send(encode_call(id, words.as_argv())).await.map_err(|_| Error::Closed)?)
    }
}

/// Waiting for a reply on any thread, inside an executor's or not.
trait Blocking<T> {
    fn blocking_recv_anywhere(self) -> Result<T, Error>;
}

impl<T> Blocking<T> for oneshot::Receiver<T> {
    fn blocking_recv_anywhere(self) -> Result<T, Error> {
        futures_block_on(self).map_err(|_| Error::Closed)
    }
}

/// Parks this thread until `future` is ready; unlike tokio's, it may be called inside an executor (which it then blocks, as any blocking call does).
fn futures_block_on<F: Future>(future: F) -> F::Output {
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
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::park();
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

fn decode(reply: &[u8]) -> Result<Value, Error> {
    typed(reply)
}

fn typed<T: FromReply>(reply: &[u8]) -> Result<T, Error> {
    kora_runtime::client::decode(reply).map_err(|error| match error {
        ReplyError::Refused(text) => Error::Refused(text),
        other => Error::Shape(other.to_string()),
    })
}
