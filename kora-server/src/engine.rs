//! Where the engine meets the process.
//!
//! Owns: what the engine is given and how it is asked to stop. Refuses to know: settings that end with the start.
//! [`Engine::start`] is the one place where shards are attached to the listeners.

use std::io;

use kora_runtime::config::Config;

use crate::listen::Listeners;

/// What the engine is given.
#[derive(Debug)]
pub struct Parts {
    /// The parameters; every shard gets its copy. `config.shards` is the number of shards.
    pub config: Config,
    /// Seeds of the routing hash.
    pub routing_seeds: [u64; 4],
    /// What is listened on. Connections are queueing up already.
    pub listeners: Listeners,
}

/// The running engine.
#[derive(Debug)]
pub struct Engine {
    parts: Parts,
}

impl Engine {
    /// Starts a shard for each of `parts.listeners.tcp`. When it returns, every shard accepts connections.
    //
    // ATTACH THE ENGINE HERE: until shards take the listeners over, they stay open and nobody accepts. What belongs to
    // it: a pump between sockets and sessions, `protection::denial` and `maxclients` for every accepted connection,
    // and `logging::set_level` for changes of `loglevel`.
    pub fn start(parts: Parts) -> io::Result<Self> {
        Ok(Self { parts })
    }

    /// Asks every shard to finish what it is doing, and waits for them. Listeners are closed and the Unix socket's
    /// file is gone afterwards.
    pub fn stop(self) {
        drop(self.parts);
    }
}
