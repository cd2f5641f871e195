//! A server from start to stop.
//!
//! Owns: the order of the start (directory, sockets, engine, the line that says so), signals, and what a failure exits
//! with. Refuses to know: where settings come from. Start at [`Server::start`].

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use kora_ext::Clock;
use tokio::signal::unix::{SignalKind, signal};

use crate::data_directory::{DataDirectory, DataDirectoryError, Rules, draw_seeds};
use crate::engine::{self, Attachment};
use crate::exit::Exit;
use crate::listen::{ListenError, Listeners};
use crate::settings::Settings;

/// Why a server could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is nothing to listen on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDirectory(#[from] DataDirectoryError),
    /// The system refused threads, signals or the like.
    #[error("cannot {doing}: {source}")]
    System {
        /// `start the shards`, …
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl StartError {
    /// What the process exits with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Listen(error) if error.is_taken() => Exit::AddressTaken,
            Self::DataDirectory(_) => Exit::DataDirectory,
            Self::Listen(_) | Self::System { .. } => Exit::Failed,
        }
    }
}

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<SocketAddr>,
    unix_socket: Option<PathBuf>,
    shards: usize,
    attachment: Option<Attachment>,
    /// Given up last, when nothing writes any more.
    _directory: Option<DataDirectory>,
}

impl Server {
    /// Starts a server. When it returns, clients can connect.
    pub fn start(settings: Settings) -> Result<Self, StartError> {
        Self::start_with_clock(settings, Clock::System)
    }

    /// Starts a server whose keys expire by `clock`.
    pub fn start_with_clock(settings: Settings, clock: Clock) -> Result<Self, StartError> {
        let Settings { mut config, data_directory, .. } = settings;
        if config.shards == 0 {
            config.shards = crate::settings::cores();
        }
        let shards = config.shards;
        let count = u32::try_from(shards).expect("there are at most limits::SHARDS_MAX shards");
        // The directory comes first: its lock is what tells two servers of the same data apart.
        let rules = Rules { locality: config.locality.clone(), pinned_databases: config.pinned_databases };
        let directory =
            data_directory.map(|path| DataDirectory::open(&path, count, &rules, fingerprint)).transpose()?;
        let Rules { locality, pinned_databases } =
            directory.as_ref().map_or(rules, |directory| directory.rules.clone());
        (config.locality, config.pinned_databases) = (locality, pinned_databases);
        let routing_seeds = directory.as_ref().map_or_else(draw_seeds, |directory| directory.manifest.routing_seeds);
        let listeners = Listeners::bind(&config, shards)?;
        if let Some(port) = listeners.port() {
            config.port = port;
        }
        let addresses = listeners.addresses.clone();
        let unix_socket = listeners.socket_file.as_ref().map(|file| file.path().to_owned());
        let failed = |source| StartError::System { doing: "start the shards", source };
        let engine = engine::start(config, routing_seeds, clock).map_err(failed)?;
        let attachment = Attachment::attach(engine, listeners).map_err(failed)?;
        Ok(Self { addresses, unix_socket, shards, attachment: Some(attachment), _directory: directory })
    }

    /// The engine that this server runs.
    pub fn engine(&self) -> &std::sync::Arc<kora_ext::Engine> {
        self.attachment.as_ref().expect("it is taken only when the server stops").engine()
    }

    /// The TCP addresses, with the port that was chosen.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The TCP port, when there is one.
    pub fn port(&self) -> Option<u16> {
        self.addresses.first().map(SocketAddr::port)
    }

    /// Where the Unix socket is, when there is one.
    pub fn unix_socket(&self) -> Option<&Path> {
        self.unix_socket.as_deref()
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// Stops: no new connections, open ones closed, files let go.
    pub fn stop(mut self) {
        self.stop_engine();
    }

    fn stop_engine(&mut self) {
        self.attachment.take();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop_engine();
    }
}

/// Serves until SIGTERM or SIGINT.
pub fn serve_until_signal(settings: Settings) -> Result<(), StartError> {
    let failed = |source| StartError::System { doing: "wait for signals", source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    // Before anything is to be cleaned up, so that no signal can come too early.
    let (mut terminate, mut interrupt) = {
        let _context = runtime.enter();
        (signal(SignalKind::terminate()).map_err(failed)?, signal(SignalKind::interrupt()).map_err(failed)?)
    };
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let server = Server::start(settings)?;
    announce(&server);
    let name = runtime.block_on(async {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            () = server.engine().host().stop_requested() => "SHUTDOWN",
        }
    });
    tracing::info!(signal = name, "stopping");
    server.stop();
    tracing::info!("stopped");
    Ok(())
}

/// The line that scripts wait for.
fn announce(server: &Server) {
    let unix_socket = server.unix_socket().map(|path| path.display().to_string());
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        process = std::process::id(),
        port = server.port().unwrap_or(0),
        addresses = engine::describe(server.addresses()),
        unixsocket = unix_socket.unwrap_or_default(),
        shards = server.shards(),
        "ready to accept connections"
    );
    tracing::warn!("keys are kept in memory only: this version writes none of them to disk");
}

/// What the routing hash makes of these seeds: it differs between builds whose hashes differ.
fn fingerprint(seeds: [u64; 4]) -> u64 {
    kora_runtime::shard::routing::fingerprint(&kora_runtime::keyspace::typed::random_state(seeds))
}
