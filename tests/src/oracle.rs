//! A real redis-server to compare with.
//!
//! Owns: starting it on a free port and ending it. Refuses to know: transcripts.
//! Start at [`Oracle::start`].

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::resp::Protocol;
use crate::run::{Received, Target};
use crate::tcp::{TcpTarget, call};

/// The variable that asks for comparison with redis-server.
pub const VARIABLE: &str = "KORA_ORACLE";

/// A redis-server of our own; ended when dropped.
#[derive(Debug)]
pub struct Oracle {
    server: Server,
    target: TcpTarget,
}

#[derive(Debug)]
struct Server {
    child: Child,
    folder: PathBuf,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Neither can fail in a way that matters: the process is ours, the folder is temporary.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Server {
    fn start(file: Option<&[u8]>, settings: &[&str]) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("redis-server does not start: {error}");
        let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        let address = probe.local_addr().map_err(failed)?;
        drop(probe);
        let folder = std::env::temp_dir().join(format!("kora-oracle-{}-{}", std::process::id(), address.port()));
        std::fs::create_dir_all(&folder).map_err(failed)?;
        if let Some(file) = file {
            std::fs::write(folder.join("dump.rdb"), file).map_err(failed)?;
        }
        let mut child = Command::new("redis-server")
            .args(["--port", &address.port().to_string(), "--bind", "127.0.0.1", "--save", "", "--daemonize", "no"])
            .args(["--enable-debug-command", "yes", "--proto-max-bulk-len", "512mb"])
            .args(settings)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let log = child.stdout.take();
        let server = Self { child, folder, address };
        let lines = BufReader::new(log.ok_or("redis-server has no output")?).lines();
        let ready = lines.map_while(Result::ok).any(|line| line.contains("Ready to accept connections"));
        if ready { Ok(server) } else { Err("redis-server ended before it was ready".into()) }
    }
}

impl Oracle {
    /// True when the environment asks for it.
    pub fn is_wanted() -> bool {
        std::env::var_os(VARIABLE).is_some_and(|value| !value.is_empty() && value != "0")
    }

    /// Starts a server.
    pub fn start() -> Result<Self, String> {
        Self::of(Server::start(None, &[])?)
    }

    /// Starts a server on a file in Redis's format, which it checks thoroughly as it loads it, with more settings on its command line.
    pub fn start_on(file: &[u8], settings: &[&str]) -> Result<Self, String> {
        Self::of(Server::start(Some(file), &[&["--sanitize-dump-payload", "yes"], settings].concat())?)
    }

    fn of(server: Server) -> Result<Self, String> {
        let target = TcpTarget::new(server.address)?;
        Ok(Self { server, target })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }
}

impl Target for Oracle {
    fn name(&self) -> String {
        "redis-server".into()
    }

    fn is_oracle(&self) -> bool {
        true
    }

    /// A transcript may have closed even the harness's connection; then a new server is the clean state.
    fn reset(&mut self) -> Result<(), String> {
        let reset = self.target.reset();
        if reset.and_then(|()| call(self.target.admin(), &["DEBUG", "SET-ACTIVE-EXPIRE", "1"])).is_err() {
            *self = Self::start()?;
        }
        Ok(())
    }

    fn connect(&mut self) -> Result<usize, String> {
        self.target.connect()
    }

    fn set_protocol(&mut self, client: usize, protocol: Protocol) -> Result<bool, String> {
        self.target.set_protocol(client, protocol)
    }

    fn send(&mut self, client: usize, argv: &[Vec<u8>]) -> Result<(), String> {
        self.target.send(client, argv)
    }

    fn send_raw(&mut self, client: usize, bytes: &[u8]) -> Result<(), String> {
        self.target.send_raw(client, bytes)
    }

    fn receive(&mut self, client: usize) -> Result<Received, String> {
        self.target.receive(client)
    }

    fn advance(&mut self, ms: u64) -> Result<(), String> {
        self.target.advance(ms)
    }
}
