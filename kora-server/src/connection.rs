//! One connection: bytes from a socket to its session and back.
//!
//! Owns: reading, writing, and when to do neither. Refuses to know: the protocol, commands, other connections.
//! Start at [`serve`].
//!
//! The usual turn is one read here and one write in the tick's flush. A socket that does not take a whole reply gets a task that waits until it does;
//! meanwhile the session fills up and reading stops by itself.

use std::cell::Cell;
use std::io;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

use kora_ext::driver::{Driver, Outlet};
use kora_runtime::shard::clients::Peer;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UnixStream, tcp, unix};
use tokio::sync::Notify;

/// A stream socket of either family.
pub enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// Unix.
    Unix(UnixStream),
}

impl Stream {
    /// Writes a last word to a peer that is not served; what does not fit at once is lost.
    pub(crate) fn say(&self, words: &[u8]) {
        let _ = match self {
            Self::Tcp(stream) => stream.try_write(words),
            Self::Unix(stream) => stream.try_write(words),
        };
    }

    fn split(self) -> (Reader, Writer) {
        match self {
            Self::Tcp(stream) => {
                let (reader, writer) = stream.into_split();
                (Reader::Tcp(reader), Writer::Tcp(writer))
            }
            Self::Unix(stream) => {
                let (reader, writer) = stream.into_split();
                (Reader::Unix(reader), Writer::Unix(writer))
            }
        }
    }
}

enum Reader {
    Tcp(tcp::OwnedReadHalf),
    Unix(unix::OwnedReadHalf),
}

impl Reader {
    /// Reads what is there behind what `buffer` holds. After a read that did not fill the buffer the socket is known to be empty, so it is not asked
    /// again before the system says that there is more: one call for each request at pipeline 1.
    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(half) => pin!(half.read_buf(buffer)).poll(context),
            Self::Unix(half) => pin!(half.read_buf(buffer)).poll(context),
        }
    }
}

enum Writer {
    Tcp(tcp::OwnedWriteHalf),
    Unix(unix::OwnedWriteHalf),
}

impl Writer {
    async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(half) => half.writable().await,
            Self::Unix(half) => half.writable().await,
        }
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(half) => half.try_write(bytes),
            Self::Unix(half) => half.try_write(bytes),
        }
    }

    fn shut(&self) {
        let how = std::net::Shutdown::Both;
        // The peer may be gone already, which is just as well.
        let _ = match self {
            Self::Tcp(half) => socket2::SockRef::from(half.as_ref()).shutdown(how),
            Self::Unix(half) => socket2::SockRef::from(half.as_ref()).shutdown(how),
        };
    }
}

/// The writing side of a connection.
struct Socket {
    writer: Writer,
    wake: Notify,
    /// Set while the reading side waits for [`Outlet::wake`].
    paused: Cell<bool>,
    /// A task waits for the socket to take more.
    draining: Cell<bool>,
    session: Cell<u32>,
    driver: Weak<Driver>,
    this: Weak<Self>,
}

impl Outlet for Socket {
    fn write(&self, output: &[u8]) -> usize {
        if self.draining.get() {
            return 0;
        }
        self.write_now(output)
    }

    fn wake(&self) {
        if self.paused.get() {
            self.wake.notify_one();
        }
    }

    fn shut(&self) {
        self.writer.shut();
        self.wake.notify_one();
    }
}

impl Socket {
    /// Writes as much as the socket takes. A dead socket takes everything: its reader finds out.
    fn write_now(&self, output: &[u8]) -> usize {
        let mut written = 0;
        while written < output.len() {
            match self.writer.try_write(&output[written..]) {
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.drain_later();
                    return written;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.writer.shut();
                    return output.len();
                }
            }
        }
        written
    }

    fn drain_later(&self) {
        let (Some(socket), Some(driver)) = (self.this.upgrade(), self.driver.upgrade()) else { return };
        if self.draining.replace(true) {
            return;
        }
        tokio::task::spawn_local(async move {
            let ready = socket.writer.writable().await.is_ok();
            socket.draining.set(false);
            if ready && Rc::strong_count(&socket) > 1 {
                driver.flush_session(socket.session.get());
            }
        });
    }
}

/// Serves a connection until either side ends it. Its place at the door has been taken; it is given back here.
pub async fn serve(driver: Rc<Driver>, stream: Stream, peer: Peer) {
    let (mut reader, writer) = stream.split();
    let socket = Rc::new_cyclic(|this| Socket {
        writer,
        wake: Notify::new(),
        paused: Cell::new(false),
        draining: Cell::new(false),
        session: Cell::new(0),
        driver: Rc::downgrade(&driver),
        this: this.clone(),
    });
    let session = driver.open(peer, Rc::clone(&socket) as Rc<dyn Outlet>);
    socket.session.set(session);
    loop {
        if !driver.wants_input(session) {
            socket.paused.set(true);
            if !driver.wants_input(session) && !driver.is_over(session) {
                socket.wake.notified().await;
            }
            socket.paused.set(false);
            if driver.is_over(session) {
                break;
            }
            continue;
        }
        let read =
            std::future::poll_fn(|context| driver.poll_read(session, |buffer| reader.poll_read(context, buffer)));
        match read.await {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    driver.close(session);
    driver.host().leave();
}
