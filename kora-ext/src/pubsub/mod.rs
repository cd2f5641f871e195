//! Publish and subscribe, and the notifications of changed keys.
//!
//! Owns: what SUBSCRIBE, PUBLISH and their relatives mean. Refuses to know: sockets, how replies and messages reach a client's output.
//! Start at [`PubSub`]; `directory.rs` says who wants what, `commands.rs` is the commands, `message.rs` what travels, `notifications.rs` the changes of keys.
//!
//! Every shard has the same directory: for each channel, pattern and shard channel how many subscribers each shard has. The shard of a client changes its
//! own part and sends the new count to all others in a note. SUBSCRIBE and its relatives are scattered, so that the reply leaves when every shard has answered;
//! the note travels in the envelope that asks for that answer and is read before the answer leaves. So whoever publishes after the reply of SUBSCRIBE, on
//! whatever shard, reaches the subscriber.
//!
//! PUBLISH is scattered to the shards that have a subscriber, and to no other; each delivers to its own clients and says to how many.

mod commands;
mod directory;
mod message;
mod notifications;

use kora_runtime::argv::Argv;
use kora_runtime::error::CommandError;
use kora_runtime::extension::Extension;
use kora_runtime::limits;
use kora_runtime::shard::core::Effect;
use kora_runtime::shard::cx::ShardCx;
use kora_runtime::shard::message::ShardId;
use kora_runtime::table::{CommandId, Extensions};

use self::directory::{Directory, Kind};
use self::message::Note;

/// Publish and subscribe on one shard.
#[derive(Debug)]
pub struct PubSub {
    directory: Directory,
}

impl PubSub {
    /// For a shard of this number, which has no subscribers yet.
    pub fn new(shard: ShardId) -> Self {
        Self { directory: Directory::new(shard) }
    }

    /// Tells the other shards how many subscribers of these names are left or new here.
    fn tell_counts<N: AsRef<[u8]>>(&self, cx: &mut ShardCx<'_>, names: impl Iterator<Item = (Kind, N)>) {
        if cx.shards() == 1 {
            return;
        }
        let mut note = Note::counts();
        for (kind, name) in names {
            note.add_count(kind, self.directory.here(kind, name.as_ref()), name.as_ref());
            // Many names travel in several notes, so that none becomes long.
            if note.bytes().len() >= limits::BATCH_BYTES_MAX {
                send_to_others(cx, note.bytes());
                note = Note::counts();
            }
        }
        if !note.is_bare() {
            send_to_others(cx, note.bytes());
        }
    }

    /// Delivers a message to the subscribers on this shard and has the others of the audience deliver it to theirs; nobody waits for that.
    fn announce(&self, cx: &mut ShardCx<'_>, kind: Kind, channel: &[u8], message: &[u8]) {
        let mut note = None;
        for shard in self.directory.audience(kind, channel) {
            if shard == cx.shard() {
                self.deliver(cx, kind, channel, message);
            } else {
                let note = note.get_or_insert_with(|| Note::message(kind, channel, message));
                cx.send(shard, Extensions::PUBSUB, note.bytes());
            }
        }
    }

    /// Delivers a message to the subscribers on this shard; returns how many get it, each once for every way in which it has subscribed.
    fn deliver(&self, cx: &mut ShardCx<'_>, kind: Kind, channel: &[u8], message: &[u8]) -> i64 {
        let mut receivers = 0;
        if let Some(sessions) = self.directory.sessions(kind, channel) {
            receivers += message::push(cx, sessions, |reply| message::encode(reply, kind, channel, message));
        }
        if kind == Kind::Channel {
            for (pattern, sessions) in self.directory.matching_here(channel) {
                receivers += message::push(cx, sessions, |reply| {
                    message::encode_matched(reply, pattern, channel, message);
                });
            }
        }
        receivers
    }
}

fn send_to_others(cx: &mut ShardCx<'_>, note: &[u8]) {
    for shard in (0..cx.shards()).filter(|shard| *shard != cx.shard()).collect::<Vec<_>>() {
        cx.send(shard, Extensions::PUBSUB, note);
    }
}

impl Extension for PubSub {
    fn audience(&self, id: CommandId, argv: Argv<'_>) -> Option<Vec<ShardId>> {
        let kind = match id {
            CommandId::Publish => Kind::Channel,
            CommandId::Spublish => Kind::ShardChannel,
            _ => return None,
        };
        Some(self.directory.audience(kind, argv.get(0)?))
    }

    fn receive(&mut self, cx: &mut ShardCx<'_>, from: ShardId, note: &[u8]) {
        match Note::read(note) {
            message::Heard::Counts(counts) => {
                for (kind, count, name) in counts {
                    self.directory.set_elsewhere(from, kind, name, count);
                }
            }
            message::Heard::Message(kind, channel, message) => {
                self.deliver(cx, kind, channel, message);
            }
        }
    }

    fn client_gone(&mut self, cx: &mut ShardCx<'_>, session: u32) {
        let left = self.directory.forget(session);
        if !left.is_empty() {
            cx.set_subscriptions(session, 0, 0, 0);
            self.tell_counts(cx, left.into_iter());
        }
    }

    fn facts(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        tell("pubsub_channels", self.directory.len(Kind::Channel) as u64);
        tell("pubsub_patterns", self.directory.len(Kind::Pattern) as u64);
        tell("pubsubshard_channels", self.directory.len(Kind::ShardChannel) as u64);
    }

    fn changed(&mut self, cx: &mut ShardCx<'_>, effects: &[Effect]) {
        self.notify(cx, effects);
    }
}

/// One client wants to subscribe to more than it may.
fn too_many(what: &str, limit: usize) -> CommandError {
    CommandError::message(format!("ERR a client may subscribe to at most {limit} {what}"))
}
