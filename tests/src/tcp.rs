//! A server behind an address, as a target.
//!
//! Owns: its connections, and putting it back into the state it started in. Refuses to know: who started it.
//! Start at [`TcpTarget::new`].

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use crate::resp::{Client, Value};
use crate::run::{Received, Target};

/// A running server.
#[derive(Debug)]
pub struct TcpTarget {
    address: SocketAddr,
    admin: Client,
    /// Settings when the target was made.
    settings: BTreeMap<Vec<u8>, Vec<u8>>,
    clients: HashMap<usize, Client>,
    connected: usize,
}

impl TcpTarget {
    /// Takes a server whose present settings are those to come back to. One connection of its own stays open, so that a
    /// transcript may set a password.
    pub fn new(address: SocketAddr) -> Result<Self, String> {
        let mut admin = Client::connect(address).map_err(|error| format!("{address}: {error}"))?;
        call(&mut admin, &["CLIENT", "SETNAME", "harness"])?;
        let settings = settings(&mut admin)?;
        Ok(Self { address, admin, settings, clients: HashMap::new(), connected: 0 })
    }

    /// The connection that is no transcript's.
    pub fn admin(&mut self) -> &mut Client {
        &mut self.admin
    }

    /// Closes all connections of transcripts, restores the settings and drops all keys and statistics.
    pub fn reset(&mut self) -> Result<(), String> {
        for (_, client) in self.clients.drain() {
            client.close();
        }
        for (name, value) in settings(&mut self.admin)? {
            if let Some(old) = self.settings.get(&name).filter(|old| **old != value) {
                call(&mut self.admin, &[&b"CONFIG"[..], b"SET", &name, old])?;
            }
        }
        call(&mut self.admin, &["FLUSHALL", "SYNC"])?;
        call(&mut self.admin, &["SCRIPT", "FLUSH"])?;
        call(&mut self.admin, &["FUNCTION", "FLUSH"])?;
        call(&mut self.admin, &["CONFIG", "RESETSTAT"])?;
        Ok(())
    }

    /// Opens a connection.
    pub fn connect(&mut self) -> Result<usize, String> {
        let client = Client::connect(self.address).map_err(|error| format!("{}: {error}", self.address))?;
        self.connected += 1;
        self.clients.insert(self.connected, client);
        Ok(self.connected)
    }

    fn client(&mut self, number: usize) -> Result<&mut Client, String> {
        self.clients.get_mut(&number).ok_or_else(|| format!("no connection {number}"))
    }
}

/// Sends a command of the harness's own; an error in reply is a failure.
pub(crate) fn call<W: AsRef<[u8]>>(client: &mut Client, argv: &[W]) -> Result<Value, String> {
    let words: Vec<_> = argv.iter().map(|word| String::from_utf8_lossy(word.as_ref())).collect();
    match client.call(argv) {
        Ok(Value::Error(text)) => Err(format!("{}: {}", words.join(" "), String::from_utf8_lossy(&text))),
        Ok(value) => Ok(value),
        Err(error) => Err(format!("{}: {error}", words.join(" "))),
    }
}

fn settings(client: &mut Client) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, String> {
    let Value::Array(items) = call(client, &["CONFIG", "GET", "*"])? else {
        return Err("CONFIG GET did not give an array".into());
    };
    let texts: Vec<Vec<u8>> = items.iter().filter_map(|item| item.bytes().map(<[u8]>::to_vec)).collect();
    Ok(texts.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
}

impl Target for TcpTarget {
    fn name(&self) -> String {
        format!("server at {}", self.address)
    }

    fn reset(&mut self) -> Result<(), String> {
        Self::reset(self)
    }

    fn connect(&mut self) -> Result<usize, String> {
        Self::connect(self)
    }

    fn send(&mut self, client: usize, argv: &[Vec<u8>]) -> Result<(), String> {
        // A server that has closed the connection may refuse the bytes; the next receive tells.
        let _ = self.client(client)?.send(argv);
        Ok(())
    }

    fn send_raw(&mut self, client: usize, bytes: &[u8]) -> Result<(), String> {
        let _ = self.client(client)?.send_raw(bytes);
        Ok(())
    }

    fn receive(&mut self, client: usize) -> Result<Received, String> {
        let received = self.client(client)?.receive().map_err(|error| format!("no reply: {error}"))?;
        Ok(received.map_or(Received::Closed, Received::Value))
    }

    /// The server really waits.
    fn advance(&mut self, ms: u64) -> Result<(), String> {
        let seconds = format!("{}.{:03}", ms / 1000, ms % 1000);
        call(&mut self.admin, &["DEBUG", "SLEEP", &seconds]).map(|_| ())
    }
}
