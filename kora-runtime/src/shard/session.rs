//! One client's conversation: bytes in, replies out, in the order of the requests.
//!
//! Owns: the query buffer, the decoder's state, replies that wait for earlier ones. Refuses to know: sockets, commands, shards.
//! Start at [`Session::reply_here`] and [`Session::deliver`]. What the socket gets lies in [`Output`].
//!
//! ```text
//! input ──decoder──► commands ──► out      while nothing is outstanding, replies are written where the socket takes them from
//!                            └──► slots    as soon as one reply is awaited from elsewhere, every later one gets a slot behind it
//! ```

use std::collections::VecDeque;
use std::rc::Rc;

use super::blocking::Blocked;
use super::message::ReplyTo;
use super::output::Output;
use crate::config::OutputLimit;
use crate::limits;
use crate::reply::{Protocol, ReplyBuf};
use crate::resp::decode::Decoder;

/// A reply that is not in the output yet.
#[derive(Debug, Clone, Copy)]
enum Slot {
    /// Not here yet; `discard` when CLIENT REPLY says that nobody wants it.
    Waiting { discard: bool },
    /// Lies in `parked`.
    Ready { start: usize, len: usize },
}

/// One client's conversation.
#[derive(Debug)]
pub struct Session {
    /// Which user of this session's index it is.
    pub(super) generation: u32,
    /// Bytes from the client; those before `consumed` are done with.
    pub(super) input: Vec<u8>,
    pub(super) consumed: usize,
    pub(super) decoder: Decoder,
    /// Replies and pushes for the socket.
    pub(super) out: Output,
    parked: ReplyBuf,
    slots: VecDeque<Slot>,
    /// Sequence number of `slots[0]`.
    first_seq: u32,
    /// One past the last reply of the batch that is being put together.
    batch_end: u32,
    /// Bytes of commands sent to other shards since nothing was outstanding.
    pub(super) forwarded_bytes: usize,
    /// A command over several shards is under way: nothing else may start.
    pub(super) barrier: bool,
    /// Pushes wait behind the one reply that is awaited: it tells the client what they are about.
    holds_pushes: bool,
    held: Vec<Rc<[u8]>>,
    held_bytes: usize,
    /// Its output passed the hard limit: nothing of it is kept, and the client is to go at once.
    pub(super) overflowed: bool,
    /// Whole commands lie in `input` that may not start yet.
    pub(super) stalled: bool,
    /// No more commands; close when all replies are out.
    pub(super) closing: bool,
    /// Stands in the shard's list of sessions to look at after the tick.
    pub(super) listed: bool,
    /// Bytes that the client has taken so far.
    pub(super) taken_bytes: u64,
    /// Parts of the output that wait for the log, up to which position they reach, and up to where it may go.
    pub(super) holds: u32,
    pub(super) held_to: u64,
    pub(super) released_to: u64,
    /// Since when the client has taken nothing of an output at its pause limit, with what it had taken by then.
    stuck_since: Option<(u64, u64)>,
    /// Since when the output is above the soft limit of `client-output-buffer-limit`, Unix milliseconds.
    soft_since_ms: Option<u64>,
    /// It waits in a blocking command.
    pub(super) blocked: Option<Box<Blocked>>,
    /// The input ends inside a command that wants at least this many bytes more.
    pub(super) wanted: usize,
}

impl Session {
    /// A new conversation.
    pub(super) fn new(generation: u32) -> Self {
        Self {
            generation,
            input: Vec::new(),
            consumed: 0,
            decoder: Decoder::default(),
            out: Output::default(),
            parked: ReplyBuf::new(Protocol::Resp2),
            slots: VecDeque::new(),
            first_seq: 0,
            batch_end: 0,
            forwarded_bytes: 0,
            barrier: false,
            holds_pushes: false,
            held: Vec::new(),
            held_bytes: 0,
            overflowed: false,
            stalled: false,
            closing: false,
            listed: false,
            taken_bytes: 0,
            holds: 0,
            held_to: 0,
            released_to: 0,
            stuck_since: None,
            soft_since_ms: None,
            blocked: None,
            wanted: 0,
        }
    }

    /// True when no reply is outstanding.
    #[inline]
    pub(super) fn is_settled(&self) -> bool {
        self.slots.is_empty()
    }

    /// Replies that are to come from elsewhere.
    pub(super) fn awaited(&self) -> usize {
        self.slots.iter().filter(|slot| matches!(slot, Slot::Waiting { .. })).count()
    }

    /// True when the next command has to wait until replies have gone out or come in.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.out.len() + self.parked.len() > limits::OUTPUT_PAUSE_BYTES
            || self.slots.len() >= limits::PIPELINE_PENDING_MAX
            || self.forwarded_bytes > limits::FORWARDED_BYTES_MAX
    }

    /// Notes that a batch of commands has been read. Their replies go to the socket together, not as each shard sends its share, unless they become
    /// many bytes; a batch that comes while one is put together waits for no more than that one.
    pub(super) fn end_batch(&mut self) {
        if !self.holds_output() {
            self.batch_end = self.first_seq.wrapping_add(self.slots.len() as u32);
        }
    }

    /// True while replies of the batch are still missing, and those that are here may wait for them. Behind a command that blocks nobody knows when
    /// more will come.
    #[inline]
    pub(super) fn holds_output(&self) -> bool {
        let missing = self.batch_end.wrapping_sub(self.first_seq) as i32;
        missing > 0 && !self.slots.is_empty() && self.out.len() < limits::OUTPUT_HOLD_BYTES && self.blocked.is_none()
    }

    /// True when the client does not read its replies: for `OUTPUT_STUCK_MS` it took nothing of an output at which its commands are no longer run, or
    /// the output was above the soft limit for as long as that allows. To be asked now and then. A subscriber's limits are those of its class alone:
    /// what fills its output are not its own commands.
    pub(super) fn is_unread(&mut self, now_ms: u64, soft: OutputLimit, subscribed: bool) -> bool {
        let len = self.unsent_bytes();
        let stuck = match self.stuck_since {
            _ if subscribed || len <= limits::OUTPUT_PAUSE_BYTES => None,
            Some((since_ms, taken)) if taken == self.taken_bytes => Some((since_ms, taken)),
            _ => Some((now_ms, self.taken_bytes)),
        };
        let has_soft_limit = soft.soft_bytes > 0 && soft.soft_seconds > 0;
        let above = (has_soft_limit && len as u64 > soft.soft_bytes).then(|| self.soft_since_ms.unwrap_or(now_ms));
        (self.stuck_since, self.soft_since_ms) = (stuck, above);
        stuck.is_some_and(|(since_ms, _)| now_ms.saturating_sub(since_ms) >= limits::OUTPUT_STUCK_MS)
            || above.is_some_and(|since_ms| now_ms.saturating_sub(since_ms) >= u64::from(soft.soft_seconds) * 1000)
    }

    /// Runs `write` on the buffer where the next reply of this shard belongs. `keep` false throws the reply away.
    #[inline]
    pub(super) fn reply_here<T>(
        &mut self,
        protocol: Protocol,
        keep: impl FnOnce(&T) -> bool,
        write: impl FnOnce(&mut ReplyBuf) -> T,
    ) -> T {
        let (buffer, settled) = if self.slots.is_empty() { (self.out.tail(), true) } else { (&mut self.parked, false) };
        buffer.set_protocol(protocol);
        let start = buffer.len();
        let result = write(buffer);
        if !keep(&result) {
            buffer.truncate(start);
        }
        if !settled {
            let len = self.parked.len() - start;
            self.slots.push_back(Slot::Ready { start, len });
        }
        result
    }

    /// Appends bytes that are no reply, behind every reply that is here: a client that hears that a value has changed must not be told the old one
    /// afterwards. They wait for no reply that is still to come, unless it is ahead of one that is here, or tells what the pushes are about.
    pub(super) fn push(&mut self, bytes: &Rc<[u8]>) {
        if self.holds_pushes {
            self.held_bytes += bytes.len();
            self.held.push(Rc::clone(bytes));
            return;
        }
        let ready = self.slots.iter_mut().rev().find_map(|slot| match slot {
            Slot::Ready { start, len } => Some((start, len)),
            Slot::Waiting { .. } => None,
        });
        let Some((start, len)) = ready else {
            self.out.push(bytes);
            self.batch_end = self.first_seq;
            return;
        };
        let parked = self.parked.bytes_mut();
        if *start + *len < parked.len() {
            let moved = *start..*start + *len;
            *start = parked.len();
            parked.extend_from_within(moved);
        }
        parked.extend_from_slice(bytes);
        *len += bytes.len();
    }

    /// Lets pushes wait for the reply that was asked for last.
    pub(super) fn hold_pushes(&mut self) {
        self.holds_pushes = true;
    }

    /// Sends the pushes on that waited for a reply, which is there now.
    pub(super) fn release_pushes(&mut self) {
        if std::mem::take(&mut self.holds_pushes) && !self.held.is_empty() {
            self.held_bytes = 0;
            for bytes in std::mem::take(&mut self.held) {
                self.push(&bytes);
            }
        }
    }

    /// Forgets all output: the client takes too little of it.
    pub(super) fn overflow(&mut self) {
        self.overflowed = true;
        self.out = Output::default();
        self.held = Vec::new();
        self.held_bytes = 0;
    }

    /// Bytes of replies and pushes that the socket has not taken.
    #[inline]
    pub(super) fn unsent_bytes(&self) -> usize {
        self.out.len() + self.held_bytes
    }

    /// Takes a place in the order of replies for one that comes from elsewhere.
    #[inline]
    pub(super) fn await_reply(&mut self, session: u32, discard: bool) -> ReplyTo {
        let seq = self.first_seq.wrapping_add(self.slots.len() as u32);
        self.slots.push_back(Slot::Waiting { discard });
        ReplyTo { session, generation: self.generation, seq }
    }

    /// Puts a reply in its place and moves everything that is now in order to the output.
    pub(super) fn deliver(&mut self, seq: u32, reply: &[u8]) {
        let index = seq.wrapping_sub(self.first_seq) as usize;
        let Some(Slot::Waiting { discard }) = self.slots.get(index).copied() else {
            unreachable!("a reply came for a slot that does not wait");
        };
        let reply = if discard { &[] } else { reply };
        if index == 0 {
            self.out.tail().bytes_mut().extend_from_slice(reply);
            self.slots.pop_front();
            self.first_seq = self.first_seq.wrapping_add(1);
        } else {
            let start = self.parked.len();
            self.parked.bytes_mut().extend_from_slice(reply);
            self.slots[index] = Slot::Ready { start, len: reply.len() };
            return;
        }
        while let Some(&Slot::Ready { start, len }) = self.slots.front() {
            self.out.tail().bytes_mut().extend_from_slice(&self.parked.as_bytes()[start..start + len]);
            self.slots.pop_front();
            self.first_seq = self.first_seq.wrapping_add(1);
        }
        if self.slots.is_empty() {
            self.parked.truncate(0);
            self.forwarded_bytes = 0;
            self.release_pushes();
        }
    }

    /// Forgets what has been consumed of the input; keeps a big buffer only while it is used.
    pub(super) fn compact_input(&mut self) {
        if self.consumed == self.input.len() {
            self.input.clear();
            if self.input.capacity() > limits::IDLE_BUFFER_BYTES_MAX {
                self.input = Vec::new();
            }
        } else if self.consumed > 0 {
            self.input.drain(..self.consumed);
        }
        self.consumed = 0;
    }
}
