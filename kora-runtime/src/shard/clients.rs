//! What a shard knows of its clients besides their bytes: what CLIENT commands show and change.
//!
//! Owns: one [`Client`] per session. Refuses to know: buffers, replies, sockets.

use std::collections::BTreeMap;

use super::gate;
use super::message::{TxnId, frame_command};
use super::tracking::mode::Mode;
use crate::config::ClientClass;
use crate::reply::Protocol;
use crate::table::CommandId;

/// Where a client came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peer {
    /// Its address as CLIENT LIST shows it, `127.0.0.1:50000`, `/path/socket:0` or `embedded:0`.
    pub addr: String,
    /// The address it reached.
    pub laddr: String,
    /// The socket's file descriptor, or -1.
    pub fd: i64,
    /// Came over a Unix socket.
    pub unix: bool,
    /// Which listeners it came through; 0 for none.
    pub origin: u32,
}

/// When replies are sent (CLIENT REPLY).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReplyMode {
    /// Always.
    #[default]
    On,
    /// Never.
    Off,
    /// Not for the command that is running, and not for the next one.
    SkipNext,
    /// Not for this command; then always again.
    Skip,
}

/// What a client has queued since MULTI.
#[derive(Debug, Clone, Default)]
pub struct Multi {
    /// The commands' frames, one behind another.
    pub frames: Vec<u8>,
    /// Where each frame ends.
    pub ends: Vec<usize>,
    /// A command was refused: EXEC discards the transaction.
    pub aborted: bool,
}

impl Multi {
    /// One command's frame.
    pub fn frame(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.frames[start..self.ends[at]]
    }

    /// The commands, each with its frame.
    pub fn commands(&self) -> impl Iterator<Item = (CommandId, &[u8])> {
        (0..self.ends.len()).map(|at| self.frame(at)).map(|frame| (frame_command(frame), frame))
    }
}

/// One client.
#[derive(Debug, Clone)]
pub struct Client {
    /// Unique in the process, in order of arrival on one shard.
    pub id: u64,
    /// Where it came from.
    pub peer: Peer,
    /// CLIENT SETNAME.
    pub name: Vec<u8>,
    /// CLIENT SETINFO LIB-NAME.
    pub lib_name: Vec<u8>,
    /// CLIENT SETINFO LIB-VER.
    pub lib_ver: Vec<u8>,
    /// Selected database.
    pub db: u8,
    /// RESP version.
    pub protocol: Protocol,
    /// May run commands that need authentication.
    pub authenticated: bool,
    /// CLIENT REPLY.
    pub reply_mode: ReplyMode,
    /// CLIENT NO-EVICT.
    pub no_evict: bool,
    /// CLIENT NO-TOUCH.
    pub no_touch: bool,
    /// What it reads is remembered for it (CLIENT TRACKING); goes into every call.
    pub tracks: bool,
    /// CLIENT TRACKING, while it is on.
    pub tracking: Option<Box<Mode>>,
    /// Its reads may be remembered by some shard.
    pub tracked: bool,
    /// Channels it has subscribed to.
    pub channels: u32,
    /// Patterns it has subscribed to.
    pub patterns: u32,
    /// Shard channels it has subscribed to.
    pub shard_channels: u32,
    /// What makes its commands stop at the gate: bits of [`gate`].
    pub gate: u8,
    /// Its transaction, between MULTI and EXEC.
    pub multi: Option<Box<Multi>>,
    /// What it watches.
    pub watching: Vec<(u8, Box<[u8]>)>,
    /// Bytes of those keys.
    pub watching_bytes: usize,
    /// What it waits for, by the waiter's name.
    pub waiting: Option<TxnId>,
    /// It waits no longer than a timeout.
    pub waits_for_time: bool,
    /// When it connected, Unix milliseconds.
    pub created_ms: u64,
    /// When its last command came, Unix milliseconds.
    pub last_ms: u64,
    /// The last command.
    pub last_command: Option<CommandId>,
    /// Close it as soon as its replies are out.
    pub kill: bool,
    /// Its session is over; nothing reaches it any more.
    pub over: bool,
    /// Bytes of its query buffer at the end of its last turn.
    pub query_bytes: usize,
    /// Free bytes of its query buffer.
    pub query_free: usize,
    /// Bytes of replies waiting for the socket.
    pub output_bytes: usize,
}

impl Client {
    /// A client that has just connected.
    pub fn new(id: u64, peer: Peer, authenticated: bool, now_ms: u64) -> Self {
        Self {
            id,
            peer,
            name: Vec::new(),
            lib_name: Vec::new(),
            lib_ver: Vec::new(),
            db: 0,
            protocol: Protocol::Resp2,
            authenticated,
            reply_mode: ReplyMode::On,
            no_evict: false,
            no_touch: false,
            tracks: false,
            tracking: None,
            tracked: false,
            channels: 0,
            patterns: 0,
            shard_channels: 0,
            gate: gate::OPEN,
            multi: None,
            watching: Vec::new(),
            watching_bytes: 0,
            waiting: None,
            waits_for_time: false,
            created_ms: now_ms,
            last_ms: now_ms,
            last_command: None,
            kill: false,
            over: false,
            query_bytes: 0,
            query_free: 0,
            output_bytes: 0,
        }
    }

    /// Has subscribed to something.
    #[inline]
    pub fn is_subscribed(&self) -> bool {
        (self.channels | self.patterns | self.shard_channels) != 0
    }

    /// Its class for `client-output-buffer-limit` and CLIENT LIST TYPE.
    #[inline]
    pub fn class(&self) -> ClientClass {
        if self.is_subscribed() { ClientClass::Pubsub } else { ClientClass::Normal }
    }
}

impl Client {
    /// Begins a transaction.
    pub fn enter_multi(&mut self) {
        self.multi = Some(Box::default());
        self.gate |= gate::IN_MULTI;
    }

    /// Ends its transaction and hands it over.
    pub fn leave_multi(&mut self) -> Option<Box<Multi>> {
        self.gate &= !gate::IN_MULTI;
        self.multi.take()
    }
}

/// The clients of one shard, by session index.
#[derive(Debug, Default)]
pub struct Clients {
    slots: Vec<Option<Client>>,
    /// Sessions by client id.
    sessions: BTreeMap<u64, u32>,
    /// Sessions that are to be closed and have not been looked at yet.
    killed: Vec<u32>,
}

impl Clients {
    /// Sets the client of a session.
    pub fn insert(&mut self, session: u32, client: Client) {
        let index = session as usize;
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, || None);
        }
        self.sessions.insert(client.id, session);
        self.slots[index] = Some(client);
    }

    /// Forgets the client of a session.
    pub fn remove(&mut self, session: u32) {
        if let Some(client) = self.slots[session as usize].take() {
            self.sessions.remove(&client.id);
            if client.kill {
                // Who gets this session next was not killed.
                self.killed.retain(|other| *other != session);
            }
        }
    }

    /// The client of an open session.
    #[inline]
    pub fn of(&mut self, session: u32) -> &mut Client {
        self.slots[session as usize].as_mut().expect("an open session has a client")
    }

    /// The client of a session, when there is one.
    #[inline]
    pub fn get(&self, session: u32) -> Option<&Client> {
        self.slots.get(session as usize)?.as_ref()
    }

    /// The session of a client, when it is one of this shard's.
    pub fn session_of(&self, id: u64) -> Option<u32> {
        self.sessions.get(&id).copied()
    }

    /// True while a client is here and still waits as this waiter.
    pub fn waits(&self, id: u64, waiter: TxnId) -> bool {
        let client = self.session_of(id).and_then(|session| self.slots[session as usize].as_ref());
        client.is_some_and(|client| client.waiting == Some(waiter) && !client.kill)
    }

    /// All clients.
    pub fn iter(&self) -> impl Iterator<Item = &Client> {
        self.slots.iter().flatten()
    }

    /// Number of clients.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// True without clients.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets every client in: there is no password any more.
    pub fn authenticate_all(&mut self) {
        self.slots.iter_mut().flatten().for_each(|client| client.authenticated = true);
    }

    /// Marks the clients that `matches` picks to be closed; returns how many.
    pub fn kill(&mut self, mut matches: impl FnMut(&Client) -> bool) -> i64 {
        let mut count = 0;
        for (session, slot) in self.slots.iter_mut().enumerate() {
            if let Some(client) = slot.as_mut().filter(|client| !client.kill)
                && matches(client)
            {
                client.kill = true;
                client.gate |= gate::KILLED;
                self.killed.push(session as u32);
                count += 1;
            }
        }
        count
    }

    /// Marks the client of an open session to be closed; false when it was marked before.
    pub fn kill_session(&mut self, session: u32) -> bool {
        let client = self.of(session);
        let newly = !std::mem::replace(&mut client.kill, true);
        client.gate |= gate::KILLED;
        if newly {
            self.killed.push(session);
        }
        newly
    }

    /// The sessions that were marked since [`Clients::take_killed`].
    pub fn killed(&self) -> &[u32] {
        &self.killed
    }

    /// The sessions that were marked since the last call.
    pub fn take_killed(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.killed)
    }
}
