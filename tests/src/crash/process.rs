//! A server as a process: any that speaks RESP, from a command line.
//!
//! Owns: starting it on a free port, waiting until it serves, ending it gently or not. Refuses to know: what it holds.
//! Start at [`Template`], then [`Process::start`].
//!
//! Breaks the rule: sleep, because the start and the end of another process cannot be waited for otherwise.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::resp::{Client as Connection, Value};
use crate::words;

/// Longer than any start or end takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at a process.
const GLANCE: Duration = Duration::from_millis(1);
/// Starts on another port when somebody was faster to take the first one.
const STARTS_MAX: usize = 3;
/// What is quoted of a log.
const LOG_BYTES_MAX: usize = 4_000;

/// A command line with `{port}`, `{dir}`, `{shards}` and `{policy}`.
#[derive(Debug, Clone)]
pub struct Template(pub String);

/// What stands in a template's places, but for the port.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// Where data is kept.
    pub dir: &'a Path,
    /// Shards.
    pub shards: usize,
    /// `always`, `everysec` or `no`.
    pub policy: &'a str,
}

impl Template {
    /// The program and its arguments.
    fn words(&self, port: u16, places: Places<'_>) -> Result<Vec<String>, String> {
        let fill = |word: Vec<u8>| {
            let word = String::from_utf8(word).map_err(|error| error.to_string())?;
            let word = word.replace("{port}", &port.to_string()).replace("{dir}", &places.dir.to_string_lossy());
            Ok(word.replace("{shards}", &places.shards.to_string()).replace("{policy}", places.policy))
        };
        words::split(&self.0)?.into_iter().map(fill).collect()
    }
}

/// A server that runs; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    log: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It is ours; one that has ended already is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts a server; it may not serve yet. What it says goes to the file `log`.
    pub fn start(template: &Template, places: Places<'_>, log: &Path) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("cannot start `{}`: {error}", template.0);
        let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        let address = probe.local_addr().map_err(failed)?;
        drop(probe);
        let words = template.words(address.port(), places)?;
        let (program, arguments) = words.split_first().ok_or("an empty command line")?;
        let output = File::create(log).map_err(failed)?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(failed)?)
            .stderr(output)
            .spawn()
            .map_err(failed)?;
        Ok(Self { child, address, log: log.to_owned() })
    }

    /// Starts a server and waits until it has loaded its data.
    pub fn start_ready(template: &Template, places: Places<'_>, log: &Path) -> Result<Self, String> {
        let mut starts = 0;
        loop {
            starts += 1;
            let mut process = Self::start(template, places, log)?;
            match process.wait_until_ready() {
                Ok(()) => return Ok(process),
                Err(_) if starts < STARTS_MAX && process.said().to_lowercase().contains("in use") => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.status()? {
                return Err(format!("the server ended before it was ready: {status}\n{}", self.said()));
            }
            // A connection that fails is one to a server that is not there yet.
            match Connection::connect(self.address).and_then(|mut connection| connection.call(&["PING"])) {
                Ok(Value::Simple(text)) if text == b"PONG" => return Ok(()),
                Ok(Value::Error(text)) if text.starts_with(b"LOADING") => {}
                Ok(other) => return Err(format!("PING: {other:?}")),
                Err(_) => {}
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("the server is not ready after {PATIENCE:?}\n{}", self.said()));
            }
            std::thread::sleep(GLANCE);
        }
    }

    fn status(&mut self) -> Result<Option<ExitStatus>, String> {
        self.child.try_wait().map_err(|error| error.to_string())
    }

    /// True while it runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.status(), Ok(None))
    }

    /// SIGKILL, at once.
    pub fn kill(mut self) -> Result<(), String> {
        self.child.kill().and_then(|()| self.child.wait()).map(drop).map_err(|error| error.to_string())
    }

    /// Lets it run for a while, then SIGKILL.
    pub fn kill_after(self, after: Duration) -> Result<(), String> {
        std::thread::sleep(after);
        self.kill()
    }

    /// SIGTERM.
    pub fn terminate(self) -> Result<(), String> {
        let sent = Command::new("kill").args(["-s", "TERM", &self.child.id().to_string()]).status();
        match sent {
            Ok(status) if status.success() => self.wait_for_exit("SIGTERM"),
            other => Err(format!("kill: {other:?}")),
        }
    }

    /// The command SHUTDOWN, whose reply is the end of the connection.
    pub fn shut_down(self) -> Result<(), String> {
        let told = Connection::connect(self.address).and_then(|mut connection| {
            connection.send(&["SHUTDOWN"])?;
            connection.receive()
        });
        match told {
            Ok(None) => self.wait_for_exit("SHUTDOWN"),
            other => Err(format!("SHUTDOWN: {other:?}\n{}", self.said())),
        }
    }

    /// A clean end has exit code 0.
    fn wait_for_exit(mut self, why: &str) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            match self.status()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("{why}: {status}\n{}", self.said())),
                None if begun.elapsed() > PATIENCE => {
                    return Err(format!("{why}: it runs after {PATIENCE:?}\n{}", self.said()));
                }
                None => std::thread::sleep(GLANCE),
            }
        }
    }

    /// The end of its log.
    pub fn said(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_BYTES_MAX)..]).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_in_word_by_word() {
        let template = Template(r#"x --save "" {port}/{shards} '{dir}/a b' {policy}"#.to_owned());
        let places = Places { dir: Path::new("/d d"), shards: 4, policy: "always" };
        assert_eq!(template.words(7, places).expect("words"), ["x", "--save", "", "7/4", "/d d/a b", "always"]);
    }
}
