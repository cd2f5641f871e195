//! Listening sockets.
//!
//! Owns: which addresses are listened on, that a taken port is refused, and one TCP listener for each shard and
//! address. Refuses to know: who accepts. Start at [`Listeners::bind`]; the Unix socket is made in `unix_socket.rs`.
//!
//! Shards share a port with SO_REUSEPORT, under which the kernel spreads connections over the listeners. With that
//! option alone a second server of the same user would share the port too, so the first listener binds and listens
//! without it, which fails when anyone holds the port, and is given the option only then: between the check and the
//! use there is no gap.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use kora_runtime::config::Config;
use socket2::{Domain, Protocol, Socket, Type};

use crate::unix_socket;
pub use crate::unix_socket::SocketFile;

/// How often a port is chosen anew when the system's choice for the first address is taken at another.
const PORT_CHOICES_MAX: usize = 16;

/// Why there is nothing to listen on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Somebody listens there.
    #[error("cannot listen on {0}: the port is in use by another process")]
    PortTaken(SocketAddr),
    /// The system refused the address or the port.
    #[error("cannot listen on {address}: {source}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A word of `bind` is no address.
    #[error("cannot listen on `{word}`: {source}")]
    Word {
        /// The word.
        word: String,
        /// What the system said.
        source: io::Error,
    },
    /// Every address of `bind` may be missing, and is.
    #[error("cannot listen: this machine has none of the addresses `{0}`")]
    NoAddress(String),
    /// Neither TCP nor a Unix socket was asked for.
    #[error("nothing to listen on: `bind` is empty and there is no `unixsocket`")]
    Nothing,
    /// Somebody listens on the Unix socket.
    #[error("cannot listen on the Unix socket {}: it is in use by another process", .0.display())]
    SocketTaken(PathBuf),
    /// Something that is no socket has the Unix socket's name.
    #[error("cannot listen on the Unix socket {}: a file that is no socket has this name", .0.display())]
    NotASocket(PathBuf),
    /// The Unix socket's path does not fit a socket address.
    #[error("cannot listen on the Unix socket {}: the path has more than {max_bytes} bytes", .path.display())]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// The most that would do.
        max_bytes: usize,
    },
    /// The system refused the Unix socket.
    #[error("cannot listen on the Unix socket {}: {doing}: {source}", .path.display())]
    Socket {
        /// The path.
        path: PathBuf,
        /// What was being done, as in `creating it`.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl ListenError {
    /// True when another process has what we want.
    pub fn is_taken(&self) -> bool {
        matches!(self, Self::PortTaken(_) | Self::SocketTaken(_))
    }
}

/// Everything that is listened on. All sockets are non-blocking and connections queue up in them already.
#[derive(Debug)]
pub struct Listeners {
    /// For each shard one listener for each address.
    pub tcp: Vec<Vec<TcpListener>>,
    /// The addresses, the port filled in.
    pub addresses: Vec<SocketAddr>,
    /// The Unix socket, for one shard.
    pub unix: Option<UnixListener>,
    /// The Unix socket's name, which is removed when this is dropped.
    pub socket_file: Option<SocketFile>,
}

impl Listeners {
    /// Listens on what the configuration says, for this many shards. On error nothing is left behind.
    pub fn bind(config: &Config, shards: usize) -> Result<Self, ListenError> {
        assert!(shards >= 1, "the settings have resolved the number of shards");
        let (addresses, tcp) = bind_tcp(config, shards)?;
        let (unix, socket_file) = match config.unixsocket.as_str() {
            "" => (None, None),
            path => unix_socket::bind(path.as_ref(), config.unixsocketperm, config.tcp_backlog)
                .map(|(listener, file)| (Some(listener), Some(file)))?,
        };
        if addresses.is_empty() && unix.is_none() {
            return Err(match config.bind.as_slice() {
                [] => ListenError::Nothing,
                words => ListenError::NoAddress(words.join(" ")),
            });
        }
        Ok(Self { tcp, addresses, unix, socket_file })
    }

    /// The TCP port, when there is one.
    pub fn port(&self) -> Option<u16> {
        self.addresses.first().map(SocketAddr::port)
    }
}

/// One word of `bind`.
struct BindAddress {
    address: SocketAddr,
    /// It may be missing on this machine.
    is_optional: bool,
}

type Bound = (Vec<SocketAddr>, Vec<Vec<TcpListener>>);

fn bind_tcp(config: &Config, shards: usize) -> Result<Bound, ListenError> {
    let mut wanted = Vec::new();
    for word in &config.bind {
        addresses_of(word, config.port, &mut wanted)
            .map_err(|source| ListenError::Word { word: word.clone(), source })?;
    }
    let mut choices = 1;
    loop {
        match bind_all(&wanted, shards, config.tcp_backlog) {
            // Only a port that the system chose can be chosen again.
            Err(ListenError::PortTaken(_)) if config.port == 0 && choices < PORT_CHOICES_MAX => choices += 1,
            outcome => return outcome,
        }
    }
}

/// Adds the addresses that a word of `bind` names. Names of hosts are looked up.
fn addresses_of(word: &str, port: u16, wanted: &mut Vec<BindAddress>) -> io::Result<()> {
    let (host, is_optional) = match word.strip_prefix('-') {
        Some(host) => (host, true),
        None => (word, false),
    };
    let host = match host {
        "*" => "0.0.0.0",
        "::*" => "::",
        host => host,
    };
    for address in (host, port).to_socket_addrs()? {
        if !wanted.iter().any(|earlier| earlier.address == address) {
            wanted.push(BindAddress { address, is_optional });
        }
    }
    Ok(())
}

/// Listens on all addresses; a port of 0 becomes the one that the system chooses for the first of them.
fn bind_all(wanted: &[BindAddress], shards: usize, backlog: u32) -> Result<Bound, ListenError> {
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    let mut addresses: Vec<SocketAddr> = Vec::new();
    let mut tcp: Vec<Vec<TcpListener>> = (0..shards).map(|_| Vec::new()).collect();
    for BindAddress { address, is_optional } in wanted {
        let mut address = *address;
        if let Some(first) = addresses.first() {
            address.set_port(first.port());
        }
        let first = match listen_alone(address, backlog) {
            Ok(first) => first,
            Err(error) if *is_optional && is_missing(&error) => continue,
            Err(error) => return Err(refused(address, error)),
        };
        let shared = share(first, address, shards, backlog).map_err(|error| refused(address, error))?;
        addresses.push(shared.address);
        for (listeners, listener) in tcp.iter_mut().zip(shared.listeners) {
            listeners.push(listener);
        }
    }
    Ok((addresses, tcp))
}

/// A socket that listens on the address as the only one; the error when there is another is that the address is in use.
fn listen_alone(address: SocketAddr, backlog: i32) -> io::Result<Socket> {
    let socket = new_socket(address)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    Ok(socket)
}

struct Shared {
    address: SocketAddr,
    listeners: Vec<TcpListener>,
}

/// The first listener and as many more as there are shards.
fn share(first: Socket, mut address: SocketAddr, shards: usize, backlog: i32) -> io::Result<Shared> {
    if let Some(bound) = first.local_addr()?.as_socket() {
        address.set_port(bound.port());
    }
    let mut listeners = vec![TcpListener::from(first)];
    if shards > 1 {
        socket2::SockRef::from(&listeners[0]).set_reuse_port(true)?;
    }
    for _ in 1..shards {
        let socket = new_socket(address)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        socket.listen(backlog)?;
        listeners.push(socket.into());
    }
    Ok(Shared { address, listeners })
}

fn new_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections that the last server closed must not keep the next one from its port.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `*` and `::*` stand side by side.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// True when the machine does not have the address, or does not speak its protocol.
fn is_missing(error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = if cfg!(target_os = "linux") { 97 } else { 47 };
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(EAFNOSUPPORT)
}

fn refused(address: SocketAddr, source: io::Error) -> ListenError {
    match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::PortTaken(address),
        _ => ListenError::Address { address, source },
    }
}

#[cfg(test)]
mod tests;
