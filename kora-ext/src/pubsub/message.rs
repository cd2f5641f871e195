//! What pub/sub says: to clients, and to itself on other shards.
//!
//! Owns: the form of messages and confirmations, the layout of notes. Refuses to know: who gets them. Start at [`push`] and [`Note`].
//!
//! A note, all integers little endian:
//! ```text
//! 0 │ { kind u8 │ count u32 │ len u32 │ name }…      how many subscribers the sender has of these names
//! 1 │ kind u8 │ len u32 │ channel │ message          deliver this to your subscribers
//! ```

use std::collections::BTreeSet;

use kora_runtime::reply::{Protocol, ReplyBuf};
use kora_runtime::shard::cx::ShardCx;

use super::directory::Kind;

/// Gives a message to sessions of this shard, encoded once for each protocol; returns how many they are.
pub(super) fn push(cx: &mut ShardCx<'_>, sessions: &BTreeSet<u32>, encode: impl Fn(&mut ReplyBuf)) -> i64 {
    let (mut of_resp2, mut of_resp3) = (Vec::new(), Vec::new());
    for &session in sessions {
        match cx.protocol_of(session) {
            Some(Protocol::Resp2) => of_resp2.push(session),
            Some(Protocol::Resp3) => of_resp3.push(session),
            None => {}
        }
    }
    for (protocol, sessions) in [(Protocol::Resp2, of_resp2), (Protocol::Resp3, of_resp3)] {
        if !sessions.is_empty() {
            let mut reply = ReplyBuf::new(protocol);
            encode(&mut reply);
            cx.push(sessions, reply.as_bytes().into());
        }
    }
    sessions.len() as i64
}

/// A message as subscribers of its channel get it.
pub(super) fn encode(reply: &mut ReplyBuf, kind: Kind, channel: &[u8], message: &[u8]) {
    reply.push(3);
    reply.bulk(if kind == Kind::ShardChannel { b"smessage" } else { b"message" });
    reply.bulk(channel);
    reply.bulk(message);
}

/// A message as subscribers of a pattern get it.
pub(super) fn encode_matched(reply: &mut ReplyBuf, pattern: &[u8], channel: &[u8], message: &[u8]) {
    reply.push(4);
    reply.bulk(b"pmessage");
    reply.bulk(pattern);
    reply.bulk(channel);
    reply.bulk(message);
}

/// What SUBSCRIBE and its relatives answer for each name.
pub(super) fn confirm(reply: &mut ReplyBuf, word: &str, name: Option<&[u8]>, count: u32) {
    reply.push(3);
    reply.bulk(word.as_bytes());
    match name {
        Some(name) => reply.bulk(name),
        None => reply.null(),
    }
    reply.integer(i64::from(count));
}

const COUNTS: u8 = 0;
const MESSAGE: u8 = 1;

/// What one shard tells another.
#[derive(Debug)]
pub(super) struct Note(Vec<u8>);

/// What a note says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard<'n> {
    /// How many subscribers the sender has: kind, count and name.
    Counts(Vec<(Kind, u32, &'n [u8])>),
    /// A message for a channel.
    Message(Kind, &'n [u8], &'n [u8]),
}

impl Note {
    /// One that will say how many subscribers there are.
    pub(super) fn counts() -> Self {
        Self(vec![COUNTS])
    }

    /// Says how many subscribers of a name the sender has.
    pub(super) fn add_count(&mut self, kind: Kind, count: u32, name: &[u8]) {
        self.0.push(kind as u8);
        self.0.extend_from_slice(&count.to_le_bytes());
        self.0.extend_from_slice(&(name.len() as u32).to_le_bytes());
        self.0.extend_from_slice(name);
    }

    /// One that hands a message on.
    pub(super) fn message(kind: Kind, channel: &[u8], message: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(6 + channel.len() + message.len());
        bytes.extend_from_slice(&[MESSAGE, kind as u8]);
        bytes.extend_from_slice(&(channel.len() as u32).to_le_bytes());
        bytes.extend_from_slice(channel);
        bytes.extend_from_slice(message);
        Self(bytes)
    }

    /// True when nothing has been said yet.
    pub(super) fn is_bare(&self) -> bool {
        self.0.len() == 1
    }

    /// What travels.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads a note.
    ///
    /// # Panics
    /// On bytes that no shard of this process wrote: notes never come from outside.
    pub(super) fn read(bytes: &[u8]) -> Heard<'_> {
        let mut rest = &bytes[1..];
        if bytes[0] == MESSAGE {
            let kind = kind_of(take(&mut rest, 1)[0]);
            let len = number(take(&mut rest, 4));
            return Heard::Message(kind, take(&mut rest, len as usize), rest);
        }
        let mut counts = Vec::new();
        while !rest.is_empty() {
            let kind = kind_of(take(&mut rest, 1)[0]);
            let count = number(take(&mut rest, 4));
            let len = number(take(&mut rest, 4));
            counts.push((kind, count, take(&mut rest, len as usize)));
        }
        Heard::Counts(counts)
    }
}

fn take<'n>(rest: &mut &'n [u8], count: usize) -> &'n [u8] {
    let (taken, left) = rest.split_at(count);
    *rest = left;
    taken
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes.try_into().expect("four bytes"))
}

fn kind_of(number: u8) -> Kind {
    Kind::ALL[usize::from(number)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let mut note = Note::counts();
        assert!(note.is_bare());
        note.add_count(Kind::Pattern, 3, b"n*");
        note.add_count(Kind::ShardChannel, 0, b"");
        let expected = vec![(Kind::Pattern, 3, &b"n*"[..]), (Kind::ShardChannel, 0, b"")];
        assert_eq!(Note::read(note.bytes()), Heard::Counts(expected));
        let note = Note::message(Kind::Channel, b"news", b"");
        assert_eq!(Note::read(note.bytes()), Heard::Message(Kind::Channel, b"news", b""));
    }
}
