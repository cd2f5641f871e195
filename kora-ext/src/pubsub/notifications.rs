//! Notifications of changed keys: `notify-keyspace-events`.
//!
//! Owns: the names of the channels, and which change is told where. Refuses to know: what can happen to a key; `keyspace/event.rs` lists it.
//! Start at [`PubSub::notify`].

use kora_runtime::shard::core::Effect;
use kora_runtime::shard::cx::ShardCx;

use super::PubSub;
use super::directory::Kind;

impl PubSub {
    /// Publishes what happened to keys of this shard, in its order. Nobody waits for it; the owner of a key tells all that happens to it, so what one
    /// subscriber hears of one key is in order.
    pub(super) fn notify(&self, cx: &mut ShardCx<'_>, effects: &[Effect]) {
        let wanted = cx.config().notify_keyspace_events;
        if !wanted.any() || self.directory.is_deaf() {
            return;
        }
        let mut channel = Vec::new();
        for Effect { db, event, key } in effects.iter().filter(|effect| wanted.wants(effect.event.class())) {
            if wanted.on_keyspace() {
                name_into(&mut channel, "keyspace", *db, key);
                self.announce(cx, Kind::Channel, &channel, event.name().as_bytes());
            }
            if wanted.on_keyevent() {
                name_into(&mut channel, "keyevent", *db, event.name().as_bytes());
                self.announce(cx, Kind::Channel, &channel, key);
            }
        }
    }
}

fn name_into(channel: &mut Vec<u8>, what: &str, db: u8, of: &[u8]) {
    channel.clear();
    channel.extend_from_slice(format!("__{what}@{db}__:").as_bytes());
    channel.extend_from_slice(of);
}
