//! Kora as a target of transcripts: embedded, and as a server in this process behind TCP.
//!
//! Owns: starting an engine whose clock is moved by hand. Refuses to know: what is said to it.
//! Start at [`EmbeddedTarget::start`] and [`ServerTarget::start`].

use std::collections::HashMap;
use std::net::SocketAddr;

use kora_ext::embedded::Conversation;
use kora_ext::{Clock, Database, Options};
use kora_runtime::config::Config;
use kora_server::{Server, Settings};
use tempfile::TempDir;

use crate::resp::{self, Client};
use crate::run::{Received, Target};
use crate::tcp::TcpTarget;

/// An embedded engine. Every reset opens a new one.
#[derive(Debug)]
pub struct EmbeddedTarget {
    shards: usize,
    config: Config,
    /// The engine keeps what it has in a directory of its own.
    kept: Option<TempDir>,
    database: Database,
    clock: Clock,
    clients: HashMap<usize, (Conversation, Vec<u8>)>,
    connected: usize,
}

impl EmbeddedTarget {
    /// Opens an engine with this many shards.
    pub fn start(shards: usize) -> Result<Self, String> {
        Self::with(shards, Config::default())
    }

    /// Opens an engine with this many shards and these settings.
    pub fn with(shards: usize, config: Config) -> Result<Self, String> {
        Self::open(shards, config, None)
    }

    /// Opens an engine with this many shards that has a log.
    pub fn with_log(shards: usize) -> Result<Self, String> {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        Self::open(
            shards,
            Config { appendonly: true, log_segment_bytes: SEGMENT_BYTES, ..Config::default() },
            Some(directory),
        )
    }

    fn open(shards: usize, config: Config, kept: Option<TempDir>) -> Result<Self, String> {
        let (database, clock) = open(shards, &config, kept.as_ref())?;
        Ok(Self { shards, config, kept, database, clock, clients: HashMap::new(), connected: 0 })
    }
}

fn open(shards: usize, config: &Config, directory: Option<&TempDir>) -> Result<(Database, Clock), String> {
    let clock = Clock::manual();
    let directory = directory.map(|directory| directory.path().to_owned());
    let options = Options { shards, config: config.clone(), clock: clock.clone(), directory };
    Ok((Database::open(options).map_err(|error| error.to_string())?, clock))
}

impl Target for EmbeddedTarget {
    fn name(&self) -> String {
        format!("embedded with {} shards", self.shards)
    }

    fn reset(&mut self) -> Result<(), String> {
        self.clients.clear();
        if let Some(directory) = &mut self.kept {
            *directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        }
        (self.database, self.clock) = open(self.shards, &self.config, self.kept.as_ref())?;
        Ok(())
    }

    fn connect(&mut self) -> Result<usize, String> {
        let conversation = self.database.converse().map_err(|error| error.to_string())?;
        self.connected += 1;
        self.clients.insert(self.connected, (conversation, Vec::new()));
        Ok(self.connected)
    }

    fn send(&mut self, client: usize, argv: &[Vec<u8>]) -> Result<(), String> {
        self.send_raw(client, &resp::encode(argv))
    }

    fn send_raw(&mut self, client: usize, bytes: &[u8]) -> Result<(), String> {
        let (conversation, _) = self.clients.get(&client).ok_or_else(|| format!("no connection {client}"))?;
        conversation.send(bytes.to_vec());
        Ok(())
    }

    fn receive(&mut self, client: usize) -> Result<Received, String> {
        let (conversation, bytes) = self.clients.get_mut(&client).ok_or_else(|| format!("no connection {client}"))?;
        loop {
            if let Some((value, len)) = resp::decode(bytes).map_err(|error| error.to_string())? {
                bytes.drain(..len);
                return Ok(Received::Value(value));
            }
            match conversation.receive_within(RECEIVE_WITHIN) {
                Ok(Some(more)) => bytes.extend_from_slice(&more),
                Ok(None) => return Ok(Received::Closed),
                Err(_) => return Err("no reply".to_owned()),
            }
        }
    }

    fn advance(&mut self, ms: u64) -> Result<(), String> {
        self.clock.advance(ms);
        Ok(())
    }
}

/// Small segments, which are read quickly.
const SEGMENT_BYTES: u64 = 64 << 10;

/// Longer than any reply takes on a loaded machine.
const RECEIVE_WITHIN: std::time::Duration = std::time::Duration::from_secs(20);

/// A whole server behind TCP. Every reset starts a new one.
#[derive(Debug)]
pub struct ServerTarget {
    shards: usize,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    tcp: TcpTarget,
    clock: Clock,
    _server: Server,
}

impl ServerTarget {
    /// Starts a server with this many shards on a free port.
    pub fn start(shards: usize) -> Result<Self, String> {
        Ok(Self { shards, running: Some(Running::start(shards)?) })
    }

    fn tcp(&mut self) -> &mut TcpTarget {
        &mut self.running.as_mut().expect("a server runs between resets").tcp
    }
}

impl Running {
    fn start(shards: usize) -> Result<Self, String> {
        let clock = Clock::manual();
        let (server, address) = start_server(shards, clock.clone())?;
        Ok(Self { tcp: TcpTarget::new(address)?, clock, _server: server })
    }
}

/// Starts a server on a free port of the loopback interface.
pub fn start_server(shards: usize, clock: Clock) -> Result<(Server, SocketAddr), String> {
    let mut settings = Settings::for_embedding();
    settings.config.shards = shards;
    settings.config.port = 0;
    settings.config.bind = vec!["127.0.0.1".to_owned()];
    let server = Server::start_with_clock(settings, clock).map_err(|error| error.to_string())?;
    let port = server.port().ok_or("no port")?;
    Ok((server, SocketAddr::from(([127, 0, 0, 1], port))))
}

/// A client of a server that [`start_server`] started.
pub fn connect(address: SocketAddr) -> Client {
    Client::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"))
}

impl Target for ServerTarget {
    fn name(&self) -> String {
        format!("server with {} shards", self.shards)
    }

    fn reset(&mut self) -> Result<(), String> {
        self.running = None;
        self.running = Some(Running::start(self.shards)?);
        Ok(())
    }

    fn connect(&mut self) -> Result<usize, String> {
        self.tcp().connect()
    }

    fn send(&mut self, client: usize, argv: &[Vec<u8>]) -> Result<(), String> {
        self.tcp().send(client, argv)
    }

    fn send_raw(&mut self, client: usize, bytes: &[u8]) -> Result<(), String> {
        self.tcp().send_raw(client, bytes)
    }

    fn receive(&mut self, client: usize) -> Result<Received, String> {
        self.tcp().receive(client)
    }

    fn advance(&mut self, ms: u64) -> Result<(), String> {
        self.running.as_ref().expect("a server runs between resets").clock.advance(ms);
        Ok(())
    }
}
