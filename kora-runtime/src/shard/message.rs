//! What shards say to each other.
//!
//! Owns: the message types and the layout of the two byte streams inside an [`Envelope`]. Refuses to know: how envelopes travel.
//!
//! A request in `Envelope::requests`, all integers little endian:
//! ```text
//! total u32 │ session u32 │ generation u32 │ seq u32 │ client_id u64 │ db u8 │ flags u8 │ frame
//! frame = command u16 │ argc u32 │ argc × len u32 │ the arguments' bytes
//! ```
//! The frame is also what the log stores. A reply in `Envelope::replies`:
//! ```text
//! total u32 │ session u32 │ generation u32 │ seq u32 │ the encoded reply
//! ```

use crate::argv::{Argv, Span};
use crate::keyspace::Detached;
use crate::reply::Protocol;
use crate::shard::core::Effect;
use crate::shard::intents::Scope;
use crate::shard::tracking::exchange::TrackingMessage;
use crate::shard::waiters::Waiter;
use crate::table::CommandId;

/// A shard's number, from 0.
pub type ShardId = usize;

/// One transaction over several shards: the coordinating shard in the high 16 bits, a count of its own below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TxnId(pub u64);

impl TxnId {
    /// The `count`th transaction that `coordinator` began.
    pub fn new(coordinator: ShardId, count: u64) -> Self {
        Self((coordinator as u64) << 48 | (count & 0xffff_ffff_ffff))
    }

    /// The shard that began it.
    pub fn coordinator(self) -> ShardId {
        (self.0 >> 48) as ShardId
    }
}

/// Where a reply belongs: a slot of a session of the shard that sent the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyTo {
    /// Index of the session.
    pub session: u32,
    /// Which user of that index: a session that is gone gets no replies.
    pub generation: u32,
    /// Position in the session's order of replies.
    pub seq: u32,
}

/// What a command runs under, besides its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Selected database.
    pub db: u8,
    /// Protocol of the reply.
    pub protocol: Protocol,
    /// Reading does not move access clocks (CLIENT NO-TOUCH).
    pub no_touch: bool,
    /// The client wants to hear when what it reads changes (CLIENT TRACKING).
    pub tracks: bool,
    /// Runs inside EXEC or a script: it must not wait for anyone.
    pub nested: bool,
    /// The client's id, unique in the process.
    pub client_id: u64,
}

impl Call {
    /// What the shard itself does to keys of a database.
    pub fn internal(db: u8) -> Self {
        Self { db, protocol: Protocol::Resp2, no_touch: true, tracks: false, nested: true, client_id: 0 }
    }
}

const FLAG_RESP3: u8 = 1;
const FLAG_NO_TOUCH: u8 = 2;
const FLAG_TRACKS: u8 = 4;
const FLAG_NESTED: u8 = 8;
const REQUEST_HEADER: usize = 26;
const REPLY_HEADER: usize = 16;

/// Everything that one shard has for another at the end of a tick.
#[derive(Debug, Default)]
pub struct Envelope {
    /// Commands for the receiver's keys.
    pub requests: Vec<u8>,
    /// Replies to the receiver's earlier requests.
    pub replies: Vec<u8>,
    /// Transaction traffic.
    pub messages: Vec<TxnMessage>,
    /// What extensions say to each other: see [`write_note`].
    pub notes: Vec<u8>,
    /// What is said about client-side caching.
    pub tracking: Vec<TrackingMessage>,
}

impl Envelope {
    /// True when there is nothing to send.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
            && self.replies.is_empty()
            && self.messages.is_empty()
            && self.notes.is_empty()
            && self.tracking.is_empty()
    }

    /// Bytes waiting in it.
    pub fn bytes(&self) -> usize {
        self.requests.len() + self.replies.len() + self.notes.len()
    }
}

/// Transaction traffic between shards.
#[derive(Debug)]
pub enum TxnMessage {
    /// Coordinator to sequencer: give this an order and pass its parts on.
    Sequence {
        /// Which transaction.
        txn: TxnId,
        /// What each participant has to do.
        parts: Vec<(ShardId, Part)>,
    },
    /// Sequencer to participant, in the one order that all participants see.
    Begin {
        /// Which transaction.
        txn: TxnId,
        /// What to do once the intents are granted.
        part: Part,
    },
    /// Coordinator to a participant that holds its intents: do this too, and report again.
    Step {
        /// Which transaction.
        txn: TxnId,
        /// What to do.
        work: Work,
        /// What it runs under.
        call: Call,
    },
    /// Coordinator to a participant that holds its intents: put these in place, and go on holding.
    Store {
        /// Which transaction.
        txn: TxnId,
        /// Whose it is.
        client_id: u64,
        /// What to store, tell and keep for the log.
        finish: Finish,
    },
    /// Coordinator to participant: every part is done; store these, write the record, go on holding, and report when it is on disk.
    Commit {
        /// Which transaction.
        txn: TxnId,
        /// Whose it is.
        client_id: u64,
        /// What to store, tell and log.
        finish: Finish,
        /// All shards that write a record.
        writers: Vec<ShardId>,
    },
    /// Participant to coordinator: the record is on disk. Nothing leaves a shard before what it has logged is on disk, so that sending it is proof enough.
    Durable {
        /// Which transaction.
        txn: TxnId,
    },
    /// Coordinator to a shard: run this now, without any intent.
    Scatter {
        /// Which transaction.
        txn: TxnId,
        /// What it runs under.
        call: Call,
        /// The command.
        frame: Vec<u8>,
    },
    /// Participant to coordinator: done, and still holding the intents.
    Done {
        /// Which transaction.
        txn: TxnId,
        /// Who is done.
        participant: ShardId,
        /// What came of it.
        outcome: Outcome,
        /// Its parts have something to log.
        wrote: bool,
    },
    /// Coordinator to participant: every part is done; store these and let the intents go.
    Finish {
        /// Which transaction.
        txn: TxnId,
        /// Whose it is.
        client_id: u64,
        /// What to store, tell and log.
        finish: Finish,
        /// All shards that write a record of it.
        writers: Vec<ShardId>,
        /// What becomes of a client that waits, or waited, for keys here.
        waiter: WaiterNews,
    },
    /// Home to shard: tell when all that is logged now is on disk.
    Sync {
        /// Who waits.
        waiter: TxnId,
    },
    /// Shard to home: what was logged then is on disk.
    Synced {
        /// Who waits.
        waiter: TxnId,
    },
    /// Home to owner: a client watches nothing any more.
    Unwatch {
        /// Which client.
        client_id: u64,
    },
    /// Owner to home: a key that this waiter waits for may be ready; its line is paused until the answer.
    Offer {
        /// Who is first in line.
        waiter: TxnId,
        /// Who asks.
        owner: ShardId,
    },
    /// Home to owner: this waiter waits no more.
    Withdraw {
        /// Who.
        waiter: TxnId,
    },
}

/// What a participant has to do with values that were away.
#[derive(Debug, Default)]
pub struct Finish {
    /// Values to put in place, `None` for a key that is to be absent.
    pub writes: Vec<Write>,
    /// What happened to them, for those who listen at their owner.
    pub effects: Vec<Effect>,
    /// What the log is to have of it: entries.
    pub journal: Vec<u8>,
}

/// What a transaction that a blocking command began means for the lines of waiters at an owner.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum WaiterNews {
    /// Nothing: it was no such transaction, or it found something at once.
    #[default]
    Nothing,
    /// It found nothing: its client waits for those of these keys that live here.
    Waits {
        /// The client as a waiter.
        waiter: Waiter,
        /// In which database.
        db: u8,
        /// All keys it waits for.
        keys: Vec<Box<[u8]>>,
    },
    /// It was tried again, found nothing and stays in line.
    Stays(TxnId),
    /// It was tried again and is done.
    Gone(TxnId),
}

/// One participant's part of a transaction.
#[derive(Debug)]
pub struct Part {
    /// What it touches.
    pub scope: Scope,
    /// What it does.
    pub work: Work,
    /// What it runs under.
    pub call: Call,
}

impl Part {
    /// The values it hands over.
    pub fn fetches(&self) -> Vec<Fetch> {
        match &self.work {
            Work::Fetch(fetches) => fetches.clone(),
            Work::Run(_) | Work::RunAll(_) | Work::Vote(_) => Vec::new(),
        }
    }
}

/// What a participant does once its intents are granted.
#[derive(Debug)]
pub enum Work {
    /// Runs a command on its own keys and hands the encoded reply back.
    Run(Vec<u8>),
    /// Runs commands on its own keys, each under its own call, and hands the encoded replies back.
    RunAll(Vec<(Call, Vec<u8>)>),
    /// Hands values over: moved out when the transaction may change them, copied when it only reads.
    Fetch(Vec<Fetch>),
    /// Nothing but holding, and telling whether something that this client watches here has changed.
    Vote(u64),
}

/// One key to hand over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// In which database.
    pub db: u8,
    /// Which key.
    pub key: Box<[u8]>,
    /// Move it (an exclusive intent is held) or copy it.
    pub take: bool,
}

/// What came of a part.
#[derive(Debug)]
pub enum Outcome {
    /// An encoded reply.
    Reply(Vec<u8>),
    /// Encoded replies, in order.
    Replies(Vec<Vec<u8>>),
    /// The values of the keys that were to be fetched, in that order.
    Values(Vec<Option<Detached>>),
    /// Whether something watched has changed.
    Vote(bool),
}

impl Outcome {
    /// The reply of a part that makes one.
    pub fn reply(&self) -> &[u8] {
        match self {
            Self::Reply(bytes) => bytes,
            Self::Replies(_) | Self::Values(_) | Self::Vote(_) => unreachable!("a merged part replies"),
        }
    }
}

/// A value on its way to its owner.
#[derive(Debug)]
pub struct Write {
    /// In which database.
    pub db: u8,
    /// Which key.
    pub key: Box<[u8]>,
    /// Its value from now on.
    pub value: Option<Detached>,
}

/// Appends what an extension says to itself on another shard: `total u32 │ slot u8 │ bytes`.
pub fn write_note(out: &mut Vec<u8>, slot: u8, note: &[u8]) {
    out.extend_from_slice(&(note.len() as u32 + 5).to_le_bytes());
    out.push(slot);
    out.extend_from_slice(note);
}

/// The first note of `bytes`: its slot, what it says, and the rest.
pub fn read_note(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    if bytes.is_empty() {
        return None;
    }
    let (note, rest) = bytes.split_at(u32_at(bytes, 0) as usize);
    Some((note[4], &note[5..], rest))
}

/// Appends a frame.
pub fn write_frame(out: &mut Vec<u8>, command: CommandId, argv: Argv<'_>) {
    write_words(out, command, argv.iter());
}

/// Appends a frame of a command that nobody sent.
#[inline]
pub fn write_words<'w>(out: &mut Vec<u8>, command: CommandId, words: impl ExactSizeIterator<Item = &'w [u8]> + Clone) {
    let mut header = [0; 6];
    header[..2].copy_from_slice(&command.number().to_le_bytes());
    header[2..].copy_from_slice(&(words.len() as u32).to_le_bytes());
    out.extend_from_slice(&header);
    for word in words.clone() {
        out.extend_from_slice(&(word.len() as u32).to_le_bytes());
    }
    for word in words {
        out.extend_from_slice(word);
    }
}

/// A frame of its own.
pub fn frame_of(command: CommandId, argv: Argv<'_>) -> Vec<u8> {
    let mut frame = Vec::new();
    write_frame(&mut frame, command, argv);
    frame
}

/// Reads a frame that [`write_frame`] wrote; the spans go to `spans`.
///
/// # Panics
/// On bytes that no shard of this process wrote: frames never come from outside.
pub fn read_frame(frame: &[u8], spans: &mut Vec<Span>) -> CommandId {
    let number = u16::from_le_bytes(frame[..2].try_into().expect("two bytes"));
    let argc = u32_at(frame, 2) as usize;
    spans.clear();
    spans.reserve(argc);
    let mut start = 6 + 4 * argc as u32;
    for index in 0..argc {
        let len = u32_at(frame, 6 + 4 * index);
        spans.push(Span { start, len });
        start += len;
    }
    CommandId::from_number(number).expect("a frame names a command")
}

/// The command of a frame.
pub fn frame_command(frame: &[u8]) -> CommandId {
    let number = u16::from_le_bytes(frame[..2].try_into().expect("two bytes"));
    CommandId::from_number(number).expect("a frame names a command")
}

/// Appends a request.
pub fn write_request(out: &mut Vec<u8>, to: ReplyTo, call: Call, command: CommandId, argv: Argv<'_>) {
    let start = out.len();
    let resp3 = if call.protocol == Protocol::Resp3 { FLAG_RESP3 } else { 0 };
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    let flags = flag(call.no_touch, FLAG_NO_TOUCH) | flag(call.tracks, FLAG_TRACKS) | flag(call.nested, FLAG_NESTED);
    // One append instead of eight: this is the hot part of a forwarded command.
    let mut header = [0; REQUEST_HEADER];
    header[4..8].copy_from_slice(&to.session.to_le_bytes());
    header[8..12].copy_from_slice(&to.generation.to_le_bytes());
    header[12..16].copy_from_slice(&to.seq.to_le_bytes());
    header[16..24].copy_from_slice(&call.client_id.to_le_bytes());
    header[24] = call.db;
    header[25] = resp3 | flags;
    out.extend_from_slice(&header);
    write_frame(out, command, argv);
    seal(out, start);
}

/// The first request of `bytes`: its parts, and the rest.
pub fn read_request(bytes: &[u8]) -> Option<(ReplyTo, Call, &[u8], &[u8])> {
    if bytes.is_empty() {
        return None;
    }
    let (request, rest) = bytes.split_at(u32_at(bytes, 0) as usize);
    let flags = request[25];
    let call = Call {
        db: request[24],
        protocol: if flags & FLAG_RESP3 != 0 { Protocol::Resp3 } else { Protocol::Resp2 },
        no_touch: flags & FLAG_NO_TOUCH != 0,
        tracks: flags & FLAG_TRACKS != 0,
        nested: flags & FLAG_NESTED != 0,
        client_id: u64::from_le_bytes(request[16..24].try_into().expect("eight bytes")),
    };
    Some((reply_to_at(request), call, &request[REQUEST_HEADER..], rest))
}

/// Begins a reply; the encoded reply is appended behind it, then [`seal`] is called with what this returns.
#[inline]
pub fn begin_reply(out: &mut Vec<u8>, to: ReplyTo) -> usize {
    let start = out.len();
    let mut header = [0; REPLY_HEADER];
    header[4..8].copy_from_slice(&to.session.to_le_bytes());
    header[8..12].copy_from_slice(&to.generation.to_le_bytes());
    header[12..16].copy_from_slice(&to.seq.to_le_bytes());
    out.extend_from_slice(&header);
    start
}

/// Puts the length of what was begun at `start` in place.
#[inline]
pub fn seal(out: &mut [u8], start: usize) {
    let total = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&total.to_le_bytes());
}

/// The first reply of `bytes`: where it belongs, the encoded reply, and the rest.
#[inline]
pub fn read_reply(bytes: &[u8]) -> Option<(ReplyTo, &[u8], &[u8])> {
    if bytes.is_empty() {
        return None;
    }
    let (reply, rest) = bytes.split_at(u32_at(bytes, 0) as usize);
    Some((reply_to_at(reply), &reply[REPLY_HEADER..], rest))
}

#[inline]
fn reply_to_at(message: &[u8]) -> ReplyTo {
    ReplyTo { session: u32_at(message, 4), generation: u32_at(message, 8), seq: u32_at(message, 12) }
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}
