//! Subscriptions of a program to channels of its own database.
//!
//! Owns: the way of a message from a shard's thread to the program, and how many may wait on it. Refuses to know: who publishes.
//! Start at [`Database::subscribe`].
//!
//! A program that does not read is a slow subscriber like any other: when [`EMBEDDED_MESSAGES_MAX`] messages or
//! [`EMBEDDED_MESSAGE_BYTES_MAX`] bytes wait for it, the others stay in its session, which is closed when they pass the limits of the class `pubsub`
//! of `client-output-buffer-limit`.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kora_runtime::client::{Value, decode};
use kora_runtime::limits::{EMBEDDED_MESSAGE_BYTES_MAX, EMBEDDED_MESSAGES_MAX, PUSH_PIECE_BYTES};
use tokio::sync::{mpsc, oneshot};

use super::values::Values;
use super::{Database, Error, SHARD_SESSIONS, Session, TimedOut, block_on, encode, wait};
use crate::driver::Outlet;

/// A message that was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The pattern that matched the channel, when the message came because of one.
    pub pattern: Option<Vec<u8>>,
    /// The channel it was published to.
    pub channel: Vec<u8>,
    /// What was published.
    pub payload: Vec<u8>,
}

impl Message {
    fn len(&self) -> usize {
        self.pattern.as_ref().map_or(0, Vec::len) + self.channel.len() + self.payload.len()
    }
}

/// Messages of channels, in the order in which they reach this database's shard. An iterator over them that waits for the next;
/// [`Subscription::next_within`] waits for some time only, and [`Subscription::next_async`] can be awaited.
///
/// It ends when the database does, when its session is killed, or when too much waits unread. Dropping it unsubscribes.
#[derive(Debug)]
pub struct Subscription {
    session: Session,
    messages: mpsc::UnboundedReceiver<Message>,
    backlog: Arc<Backlog>,
}

impl Database {
    /// Subscribes to channels and to patterns of channels (`news.*`), as SUBSCRIBE and PSUBSCRIBE do. Whatever is published after this returns, on any
    /// connection, is received.
    ///
    /// # Errors
    /// [`Error::Closed`] when the engine has stopped; [`Error::Refused`] when there are too many names, or none.
    pub fn subscribe(
        &self,
        channels: &[impl AsRef<[u8]>],
        patterns: &[impl AsRef<[u8]>],
    ) -> Result<Subscription, Error> {
        if channels.is_empty() && patterns.is_empty() {
            return Err(Error::Refused("ERR a subscription needs a channel or a pattern".to_owned()));
        }
        let mut bytes = encode([&b"HELLO"[..], b"3"].into_iter());
        for (command, names) in [
            ("SUBSCRIBE", channels.iter().map(AsRef::as_ref).collect::<Vec<_>>()),
            ("PSUBSCRIBE", patterns.iter().map(AsRef::as_ref).collect()),
        ] {
            if !names.is_empty() {
                let words: Vec<&[u8]> = [command.as_bytes()].into_iter().chain(names).collect();
                bytes.extend(encode(words.into_iter()));
            }
        }
        let backlog = Arc::new(Backlog::default());
        let (sender, messages) = mpsc::unbounded_channel();
        let (ready, is_ready) = oneshot::channel();
        let outlet = {
            let (backlog, missing) = (Arc::clone(&backlog), channels.len() + patterns.len());
            move || {
                let open = Open { sender, ready: Some((ready, missing)), values: Values::default() };
                (Rc::new(MessageOutlet { open: RefCell::new(Some(open)), backlog }) as Rc<dyn Outlet>, None)
            }
        };
        let session = self.open_session(outlet)?;
        session.feed(bytes, |_| true);
        wait(is_ready)??;
        Ok(Subscription { session, messages, backlog })
    }
}

impl Subscription {
    /// Waits for the next message, but not for ever; `None` when there will be no more.
    ///
    /// # Errors
    /// [`TimedOut`] when nothing came in time.
    pub fn next_within(&mut self, time: Duration) -> Result<Option<Message>, TimedOut> {
        let message = block_on(self.messages.recv(), Some(Instant::now() + time)).ok_or(TimedOut)?;
        Ok(self.taken(message))
    }

    /// The next message, when awaited, on any executor; `None` when there will be no more.
    pub async fn next_async(&mut self) -> Option<Message> {
        let message = self.messages.recv().await;
        self.taken(message)
    }

    /// Makes room for what waits in the session.
    fn taken(&self, message: Option<Message>) -> Option<Message> {
        let message = message?;
        if self.backlog.remove(message.len()) {
            let place = self.session.place;
            self.session.engine.on_shard(self.session.shard, move |driver| {
                let open = SHARD_SESSIONS.with_borrow(|sessions| sessions[place].clone());
                if let Some((session, _)) = open {
                    driver.flush_session(session);
                }
            });
        }
        Some(message)
    }
}

impl Iterator for Subscription {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        let message = block_on(self.messages.recv(), None).flatten();
        self.taken(message)
    }
}

/// What waits for the program.
#[derive(Debug, Default)]
struct Backlog {
    messages: AtomicUsize,
    bytes: AtomicUsize,
    /// The session has more and waits for room.
    stalled: AtomicBool,
}

impl Backlog {
    fn is_full(&self) -> bool {
        self.messages.load(Ordering::SeqCst) >= EMBEDDED_MESSAGES_MAX
            || self.bytes.load(Ordering::SeqCst) >= EMBEDDED_MESSAGE_BYTES_MAX
    }

    /// Whether there is room; without it, the program makes some and says so later. It may do so right between the two looks, hence the second.
    fn has_room(&self) -> bool {
        if !self.is_full() {
            return true;
        }
        self.stalled.store(true, Ordering::SeqCst);
        !self.is_full()
    }

    fn add(&self, len: usize) {
        self.messages.fetch_add(1, Ordering::SeqCst);
        self.bytes.fetch_add(len, Ordering::SeqCst);
    }

    /// Takes one out. True when there is room again for a session that waits for it.
    fn remove(&self, len: usize) -> bool {
        let messages = self.messages.fetch_sub(1, Ordering::SeqCst) - 1;
        let bytes = self.bytes.fetch_sub(len, Ordering::SeqCst) - len;
        messages <= EMBEDDED_MESSAGES_MAX / 2
            && bytes <= EMBEDDED_MESSAGE_BYTES_MAX / 2
            && self.stalled.swap(false, Ordering::SeqCst)
    }
}

/// Hands messages on to the program, as far as there is room.
struct MessageOutlet {
    open: RefCell<Option<Open>>,
    backlog: Arc<Backlog>,
}

struct Open {
    sender: mpsc::UnboundedSender<Message>,
    /// Who waits for the confirmations, and how many are missing.
    ready: Option<(oneshot::Sender<Result<(), Error>>, usize)>,
    values: Values,
}

impl Outlet for MessageOutlet {
    fn write(&self, output: &[u8]) -> usize {
        let mut open = self.open.borrow_mut();
        let Some(open) = &mut *open else { return output.len() };
        let mut at = 0;
        while at < output.len() && self.backlog.has_room() {
            let piece = &output[at..output.len().min(at + PUSH_PIECE_BYTES)];
            let Open { sender, ready, values } = open;
            values.cut(piece, |value| match decode::<Value>(value) {
                Ok(Value::Push(items)) => match message_of(items) {
                    Some(message) => {
                        self.backlog.add(message.len());
                        // A program that dropped its end wants no more.
                        let _ = sender.send(message);
                    }
                    None => confirmed(ready),
                },
                // What HELLO says of the server.
                Ok(_) => {}
                Err(error) => {
                    if let Some((ready, _)) = ready.take() {
                        let _ = ready.send(Err(Error::Refused(error.to_string())));
                    }
                }
            });
            at += piece.len();
        }
        at
    }

    fn wake(&self) {}

    fn shut(&self) {
        self.open.borrow_mut().take();
    }
}

fn confirmed(ready: &mut Option<(oneshot::Sender<Result<(), Error>>, usize)>) {
    if let Some((_, missing)) = ready {
        *missing -= 1;
        if *missing == 0
            && let Some((ready, _)) = ready.take()
        {
            let _ = ready.send(Ok(()));
        }
    }
}

/// The message that a push carries; `None` for a confirmation.
fn message_of(items: Vec<Value>) -> Option<Message> {
    let mut texts = items.into_iter().map(|item| match item {
        Value::Bulk(text) => Some(text),
        _ => None,
    });
    let mut next = || texts.next().flatten();
    match next()?.as_slice() {
        b"message" => Some(Message { pattern: None, channel: next()?, payload: next()? }),
        b"pmessage" => Some(Message { pattern: Some(next()?), channel: next()?, payload: next()? }),
        _ => None,
    }
}
