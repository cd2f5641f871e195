//! Where the engine meets the sockets.
//!
//! Owns: accepting connections on the shards' threads, and whom to turn away at the door. Refuses to know: how shards work, settings that end with the start.
//! Start at [`Attachment::attach`]: it serves the data of any running engine, one that this process started or one that a program embeds.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};

use kora_ext::driver::Driver;
use kora_ext::persistence::Store;
use kora_ext::{Clock, Engine, EngineOptions};
use kora_runtime::shard::clients::Peer;
use tokio::task::AbortHandle;

use crate::connection::{Stream, serve};
use crate::listen::Listeners;
use crate::unix_socket::SocketFile;
use crate::{logging, protection};

const TOO_MANY_CLIENTS: &[u8] = b"-ERR max number of clients reached\r\n";

/// Listeners whose connections are served by an engine. Dropping it closes them and their connections and waits until that is done; the engine goes on.
/// It must not be dropped on a shard's thread, which would wait for itself.
#[derive(Debug)]
pub struct Attachment {
    engine: Arc<Engine>,
    accepting: Vec<AbortHandle>,
    origin: u32,
    /// Ends when every listener and every connection of this attachment is gone: each holds the other end.
    gone: mpsc::Receiver<()>,
    _socket_file: Option<SocketFile>,
}

/// What everything that belongs to an attachment carries.
#[derive(Debug, Clone)]
struct Belonging {
    origin: u32,
    _alive: mpsc::Sender<()>,
}

static ORIGINS: AtomicU32 = AtomicU32::new(1);

/// Starts an engine of the server's own.
///
/// # Errors
/// When threads cannot be started.
pub fn start(
    config: kora_runtime::config::Config,
    seeds: [u64; 4],
    clock: Clock,
    store: Option<Arc<Store>>,
) -> io::Result<Arc<Engine>> {
    let mut options = EngineOptions::with_random_seeds(config.shards, config)?;
    options.seeds = seeds;
    options.clock = clock;
    options.store = store;
    options.allocator = crate::allocator::hooks();
    let engine = Engine::start(options)?;
    engine.host().on_config_change(|config| logging::set_level(config.loglevel));
    Ok(Arc::new(engine))
}

impl Attachment {
    /// Serves `listeners` with `engine`. When it returns, every listener's connections are accepted.
    ///
    /// # Errors
    /// When a shard's thread cannot take its listener over, or the engine has another number of shards than the listeners are for.
    pub fn attach(engine: Arc<Engine>, listeners: Listeners) -> io::Result<Self> {
        let Listeners { tcp, addresses, unix, socket_file } = listeners;
        if !tcp.is_empty() && tcp.len() != engine.shards() {
            let text = format!("listeners for {} shards, but the engine has {}", tcp.len(), engine.shards());
            return Err(io::Error::other(text));
        }
        if let Some(address) = addresses.first() {
            engine.host().set_tcp_port(address.port());
        }
        let (alive, gone) = mpsc::channel();
        let belonging = Belonging { origin: ORIGINS.fetch_add(1, Ordering::Relaxed), _alive: alive };
        let origin = belonging.origin;
        let (report, reports) = mpsc::channel::<io::Result<AbortHandle>>();
        let mut expected = 0;
        for (shard, listener) in
            tcp.into_iter().enumerate().flat_map(|(at, many)| many.into_iter().map(move |one| (at, one)))
        {
            let (report, belonging) = (report.clone(), belonging.clone());
            expected += 1;
            engine.on_shard(shard, move |driver| {
                let accepting = tokio::net::TcpListener::from_std(listener).map(|listener| {
                    tokio::task::spawn_local(accept_tcp(belonging, Rc::clone(driver), listener)).abort_handle()
                });
                // Nobody listens any more only when attaching failed already.
                let _ = report.send(accepting);
            });
        }
        if let Some(listener) = unix {
            let path = socket_file.as_ref().map(|file| file.path().display().to_string()).unwrap_or_default();
            expected += 1;
            engine.on_shard(0, move |driver| {
                let accepting = tokio::net::UnixListener::from_std(listener).map(|listener| {
                    tokio::task::spawn_local(accept_unix(belonging, Rc::clone(driver), listener, path)).abort_handle()
                });
                let _ = report.send(accepting);
            });
        }
        let accepting = reports.iter().take(expected).collect::<io::Result<Vec<_>>>()?;
        Ok(Self { engine, accepting, origin, gone, _socket_file: socket_file })
    }

    /// The engine that is served.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        for accepting in &self.accepting {
            accepting.abort();
        }
        for shard in 0..self.engine.shards() {
            let origin = self.origin;
            self.engine.on_shard(shard, move |driver| {
                driver.tick(|shard| shard.kill_clients(|client| client.peer.origin == origin));
            });
        }
        // Nothing is ever sent: this ends when the last holder of the other end is gone.
        let _ = self.gone.recv();
    }
}

// `belonging` comes first because parameters are dropped last to first: the listener is closed by the time the attachment hears of it.
async fn accept_tcp(belonging: Belonging, driver: Rc<Driver>, listener: tokio::net::TcpListener) {
    loop {
        let Some((stream, address)) = accepted(listener.accept().await).await else { continue };
        let keepalive_seconds = driver.look(|shard| shard.core().config.tcp_keepalive);
        tune(&stream, keepalive_seconds);
        let laddr = stream.local_addr().map(|address| address.to_string()).unwrap_or_default();
        let fd = i64::from(std::os::fd::AsRawFd::as_raw_fd(&stream));
        let peer = Peer { addr: address.to_string(), laddr, fd, unix: false, origin: belonging.origin };
        welcome(&driver, Stream::Tcp(stream), peer, Some(address.ip()), &belonging);
    }
}

async fn accept_unix(belonging: Belonging, driver: Rc<Driver>, listener: tokio::net::UnixListener, path: String) {
    loop {
        let Some((stream, _)) = accepted(listener.accept().await).await else { continue };
        let fd = i64::from(std::os::fd::AsRawFd::as_raw_fd(&stream));
        let peer =
            Peer { addr: format!("{path}:0"), laddr: format!("{path}:0"), fd, unix: true, origin: belonging.origin };
        welcome(&driver, Stream::Unix(stream), peer, None, &belonging);
    }
}

/// What was accepted. When the system has no room for another connection, waits a moment: the next try would fail the same way.
async fn accepted<T>(result: io::Result<T>) -> Option<T> {
    match result {
        Ok(accepted) => Some(accepted),
        Err(error) => {
            tracing::warn!("a connection could not be accepted: {error}");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            None
        }
    }
}

fn tune(stream: &tokio::net::TcpStream, keepalive_seconds: u32) {
    let socket = socket2::SockRef::from(stream);
    // A connection without these works too.
    let _ = socket.set_tcp_nodelay(true);
    if keepalive_seconds > 0 {
        let time = std::time::Duration::from_secs(u64::from(keepalive_seconds));
        let interval = std::time::Duration::from_secs(u64::from(keepalive_seconds / 3).max(1));
        let keepalive = socket2::TcpKeepalive::new().with_time(time).with_interval(interval).with_retries(3);
        let _ = socket.set_tcp_keepalive(&keepalive);
    }
}

/// Serves a connection, or says why not and closes it.
fn welcome(driver: &Rc<Driver>, stream: Stream, peer: Peer, address: Option<IpAddr>, belonging: &Belonging) {
    if let Some(denial) = driver.look(|shard| protection::denial(&shard.core().config, address)) {
        stream.say(denial);
    } else if driver.host().admit() {
        let (driver, belonging) = (Rc::clone(driver), belonging.clone());
        tokio::task::spawn_local(async move {
            serve(driver, stream, peer).await;
            drop(belonging);
        });
    } else {
        stream.say(TOO_MANY_CLIENTS);
    }
}

/// The addresses that an attachment's listeners have.
pub fn describe(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(" ")
}
