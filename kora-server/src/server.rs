//! A server from start to stop.
//!
//! Owns: the order of the start (directory, sockets, engine, the line that says so), signals, and what a failure exits
//! with. Refuses to know: where settings come from. Start at [`Server::start`].

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use kora_ext::Clock;
use kora_runtime::config::RecoverMode;
use kora_runtime::host::SaveAtEnd;
use kora_runtime::shard::Shard;
use tokio::signal::unix::{SignalKind, signal};

use crate::engine::{self, Attachment};
use crate::exit::Exit;
use crate::listen::{ListenError, Listeners};
use crate::settings::Settings;
use kora_ext::persistence::{self, Fatal, Rules, Store, StoreError, StoreOptions, draw_seeds};

/// Why a server could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is nothing to listen on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDirectory(#[from] StoreError),
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
        // The directory comes first: its lock is what tells two servers of the same data apart.
        let rules = Rules { locality: config.locality.clone(), pinned_databases: config.pinned_databases };
        let store = match data_directory {
            Some(path) => {
                let dump = unread_dump(&path);
                let options = StoreOptions {
                    path: path.clone(),
                    shards,
                    rules,
                    salvage: config.recover == RecoverMode::Salvage,
                    through: None,
                };
                let store = Store::open(&options, persistence::fingerprint)?;
                if let Some(dump) = dump {
                    let (dump, path) = (dump.display(), path.display());
                    tracing::warn!("{dump} is not read; stop, and run `kora-server import {dump} --dir {path}`");
                }
                Some(store)
            }
            None => None,
        };
        if let Some(store) = &store {
            store.on_fatal(end_process);
        }
        let listeners = Listeners::bind(&config, shards)?;
        if let Some(port) = listeners.port() {
            config.port = port;
        }
        let addresses = listeners.addresses.clone();
        let unix_socket = listeners.socket_file.as_ref().map(|file| file.path().to_owned());
        let failed = |source| StartError::System { doing: "start the shards", source };
        let empty = store.clone().filter(|store| store.has_nothing_to_load());
        let engine = engine::start(config, draw_seeds(), clock, store).map_err(failed)?;
        if let Some(store) = empty {
            // It takes no time, and saves the first clients a LOADING. What keeps it from being ready ends the process.
            store.wait_until_ready().map_err(|why| failed(std::io::Error::other(why)))?;
        }
        let attachment = Attachment::attach(engine, listeners).map_err(failed)?;
        Ok(Self { addresses, unix_socket, shards, attachment: Some(attachment) })
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
    loop {
        let name = runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
                () = server.engine().host().stop_requested() => "SHUTDOWN",
            }
        });
        tracing::info!(signal = name, "stopping");
        if save_at_end(&server) {
            break;
        }
        let engine = server.engine();
        engine.host().go_on();
        (0..engine.shards()).for_each(|shard| engine.on_shard(shard, |driver| driver.tick(Shard::shutdown_failed)));
    }
    server.stop();
    tracing::info!("stopped");
    Ok(())
}

/// Takes the snapshot that a clean end is to begin with, if any. False when that failed and the server is to go on.
fn save_at_end(server: &Server) -> bool {
    let engine = server.engine();
    let Some(store) = engine.host().store() else { return true };
    let (asked, force) = engine.host().save_at_end();
    let due = match asked {
        SaveAtEnd::Yes => true,
        SaveAtEnd::No => false,
        SaveAtEnd::AsConfigured => store.saves_at_end(),
    };
    match if due { engine.save() } else { Ok(()) } {
        Ok(()) => true,
        Err(error) => {
            tracing::error!("saving at the end failed: {error}");
            force
        }
    }
}

/// The file that a Redis server would start with, in a directory that Kora has never used.
fn unread_dump(directory: &Path) -> Option<PathBuf> {
    let dump = directory.join("dump.rdb");
    (dump.exists() && !directory.join(kora_storage::manifest::FILE_NAME).exists()).then_some(dump)
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
    match server.engine().host().store() {
        None => tracing::warn!(
            "without a data directory (--dir) keys are kept in memory only: they are gone when this process ends"
        ),
        Some(store) => tracing::info!(directory = %store.path().display(), "keys are kept"),
    }
}

/// Ends the process at once: what it would do from now on could not be trusted.
fn end_process(what: Fatal, _: &str) {
    let exit = match what {
        Fatal::Loading => Exit::DataDirectory,
        Fatal::Sync => Exit::SyncFailed,
    };
    std::process::exit(i32::from(exit.code()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_redis_is_pointed_out_once() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let dump = place.path().join("dump.rdb");
        assert_eq!(unread_dump(place.path()), None);
        std::fs::write(&dump, "").expect("a writable directory");
        assert_eq!(unread_dump(place.path()), Some(dump));
        let mut settings = Settings::for_embedding();
        settings.data_directory = Some(place.path().to_owned());
        Server::start(settings).expect("a server starts").stop();
        assert_eq!(unread_dump(place.path()), None, "the directory has been used");
    }
}
