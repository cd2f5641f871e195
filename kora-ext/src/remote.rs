//! Connections to other servers, as a shard that waits for them has them.
//!
//! Owns: looking names up, connecting, and the time that each step may take. Refuses to know: what is said.
//! Start at [`call`].
//!
//! No connection is kept for the next command: it would have to be found out first whether the other server is still there, and in which database and as
//! whom it was left. Whoever moves many keys names them in one command.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use kora_runtime::host::{Remote, RemoteError};

/// The longest that a step may take, whatever was asked for: clocks can be added to it.
const STEP_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Bytes of a line; what is longer is not said by a server of this kind.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Bytes that are sent in one step.
const PIECE_BYTES: usize = 64 * 1024;

/// Names that are looked up at a time. The system's resolver cannot be told to hurry, so one that is given up goes on for a while.
const LOOKUPS_MAX: usize = 16;

static LOOKUPS: AtomicUsize = AtomicUsize::new(0);

/// A connection. Each step of it takes at most as long as it was told.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    step: Duration,
    /// What was read and is not a whole line yet.
    read: Vec<u8>,
}

/// Calls a server.
///
/// # Errors
/// When it has no address, does not answer within `step`, or takes no connections.
pub(crate) fn call(host: &str, port: u16, step: Duration) -> Result<Box<dyn Remote>, RemoteError> {
    let step = step.min(STEP_MAX);
    let deadline = Instant::now() + step;
    let mut failed = RemoteError::Unreachable;
    for address in addresses(host, port, step)? {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(RemoteError::Unreachable);
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => {
                // Without it the last piece of each batch would wait for an acknowledgement.
                let ready = stream.set_nodelay(true).and_then(|()| stream.set_write_timeout(Some(step)));
                ready.map_err(|_| RemoteError::Lost)?;
                return Ok(Box::new(Connection { stream, step, read: Vec::new() }));
            }
            Err(error) if error.kind() == ErrorKind::TimedOut => return Err(RemoteError::Unreachable),
            Err(_) => failed = RemoteError::Lost,
        }
    }
    Err(failed)
}

fn addresses(host: &str, port: u16, step: Duration) -> Result<Vec<SocketAddr>, RemoteError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    if LOOKUPS.fetch_add(1, Ordering::Relaxed) >= LOOKUPS_MAX {
        LOOKUPS.fetch_sub(1, Ordering::Relaxed);
        return Err(RemoteError::Unreachable);
    }
    let (found, wanted) = channel();
    let name = host.to_owned();
    let lookup = move || {
        let addresses = (name.as_str(), port).to_socket_addrs().map(Vec::from_iter);
        LOOKUPS.fetch_sub(1, Ordering::Relaxed);
        // Whoever asked may have given up.
        let _ = found.send(addresses);
    };
    if std::thread::Builder::new().name("kora-lookup".to_owned()).spawn(lookup).is_err() {
        LOOKUPS.fetch_sub(1, Ordering::Relaxed);
        return Err(RemoteError::Unreachable);
    }
    match wanted.recv_timeout(step) {
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(_)) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(RemoteError::Unreachable),
    }
}

impl Remote for Connection {
    fn send(&mut self, bytes: &[u8]) -> Result<(), RemoteError> {
        let sent = bytes.chunks(PIECE_BYTES).try_for_each(|piece| self.stream.write_all(piece));
        sent.map_err(|_| RemoteError::Lost)
    }

    fn line(&mut self) -> Result<Vec<u8>, RemoteError> {
        let deadline = Instant::now() + self.step;
        let mut seen = 0;
        loop {
            if let Some(end) = self.read[seen..].iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.read.drain(..=seen + end).collect();
                line.truncate(line.len() - if line.ends_with(b"\r\n") { 2 } else { 1 });
                return Ok(line);
            }
            seen = self.read.len();
            let left = deadline.saturating_duration_since(Instant::now());
            if seen > LINE_BYTES_MAX || left.is_zero() {
                return Err(RemoteError::Lost);
            }
            self.stream.set_read_timeout(Some(left)).map_err(|_| RemoteError::Lost)?;
            let mut piece = [0; 4096];
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(RemoteError::Lost),
                Ok(len) => self.read.extend_from_slice(&piece[..len]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(RemoteError::Lost),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    const SOON: Duration = Duration::from_millis(50);
    const LATE: Duration = Duration::from_secs(20);

    /// A server that says these bytes to whoever calls, reads until the caller has gone if it is to stay, and goes.
    fn saying(bytes: &'static [u8], stays: bool) -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("somebody calls");
            stream.write_all(bytes).expect("somebody listens");
            if stays {
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
            }
        });
        port
    }

    #[test]
    fn lines_come_whole_or_not_at_all() {
        let mut remote = call("127.0.0.1", saying(b"+OK\r\n-ERR no\n\r\n+O", false), LATE).expect("it listens");
        let lines = [remote.line(), remote.line(), remote.line(), remote.line()];
        assert_eq!(lines, [Ok(b"+OK".to_vec()), Ok(b"-ERR no".to_vec()), Ok(Vec::new()), Err(RemoteError::Lost)]);
    }

    #[test]
    fn a_server_that_says_nothing_more_is_not_waited_for() {
        let mut remote = call("127.0.0.1", saying(b"+O", true), SOON).expect("it listens");
        assert_eq!(remote.line(), Err(RemoteError::Lost));
    }

    #[test]
    fn a_line_without_an_end_is_none() {
        let long: &'static [u8] = vec![b'x'; LINE_BYTES_MAX + 2 * PIECE_BYTES].leak();
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("somebody calls");
            // The caller may go before it has read all.
            let _ = stream.write_all(long);
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        });
        let mut remote = call("127.0.0.1", port, LATE).expect("it listens");
        assert_eq!(remote.line(), Err(RemoteError::Lost));
    }

    #[test]
    fn what_nobody_reads_is_given_up() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let mut remote = call("127.0.0.1", port, SOON).expect("it listens");
        assert_eq!(remote.send(&vec![0; 64 << 20]), Err(RemoteError::Lost));
    }

    #[test]
    fn nobody_is_found() {
        let refused = |host: &str, port| call(host, port, LATE).err();
        assert_eq!(refused("127.0.0.1", 0), Some(RemoteError::Lost));
        assert_eq!(refused("::1", 0), Some(RemoteError::Lost));
        assert_eq!(refused("", 1), Some(RemoteError::Unreachable));
        assert_eq!(refused("no such host", 1), Some(RemoteError::Unreachable));
        assert!(call("localhost", saying(b"", true), LATE).is_ok());
    }
}
