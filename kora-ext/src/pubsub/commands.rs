//! The commands of publish and subscribe.
//!
//! Owns: what they answer. Refuses to know: which shards they run on; the rows say so. Start at [`PubSub::enter`] and the trait below it.

use kora_runtime::argv::Many;
use kora_runtime::error::CommandError;
use kora_runtime::handlers;
use kora_runtime::limits;
use kora_runtime::reply::{ArrayReply, Bulk, ReplyBuf, Simple};
use kora_runtime::shard::cx::ShardCx;
use kora_runtime::table::{PubsubCommands, args};

use super::PubSub;
use super::directory::{Directory, Kind};
use super::message::confirm;

impl PubSub {
    /// Subscribes the client of a command, when it is one of this shard; every other shard has only to answer.
    fn enter(
        &mut self,
        cx: &mut ShardCx<'_>,
        (kind, word): (Kind, &str),
        names: Many<'_, &[u8]>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let Some(session) = cx.session() else { return Ok(()) };
        self.directory.check_room(session, kind, names.iter())?;
        self.change(cx, session, (kind, word), Directory::subscribe, names.iter(), reply);
        Ok(())
    }

    /// Unsubscribes the client of a command from these names, or from all of that kind.
    fn leave(
        &mut self,
        cx: &mut ShardCx<'_>,
        (kind, word): (Kind, &str),
        names: Many<'_, &[u8]>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let Some(session) = cx.session() else { return Ok(()) };
        if !names.is_empty() {
            self.change(cx, session, (kind, word), Directory::unsubscribe, names.iter(), reply);
            return Ok(());
        }
        let all = self.directory.names_of(session, kind);
        if all.is_empty() {
            confirm(reply, word, None, self.shown(session, kind));
        }
        self.change(cx, session, (kind, word), Directory::unsubscribe, all.iter().map(|name| &**name), reply);
        Ok(())
    }

    /// Subscribes a client to each of these names, or unsubscribes it, and confirms each.
    fn change<'n>(
        &mut self,
        cx: &mut ShardCx<'_>,
        session: u32,
        (kind, word): (Kind, &str),
        how: fn(&mut Directory, u32, Kind, &[u8]) -> bool,
        names: impl Iterator<Item = &'n [u8]>,
        reply: &mut ReplyBuf,
    ) {
        let mut changed = Vec::new();
        for name in names {
            if how(&mut self.directory, session, kind, name) {
                changed.push((kind, name));
            }
            confirm(reply, word, Some(name), self.shown(session, kind));
        }
        let [channels, patterns, shard_channels] = self.directory.counts_of(session);
        cx.set_subscriptions(session, channels, patterns, shard_channels);
        self.tell_counts(cx, changed.into_iter());
    }

    /// The count in a confirmation: channels and patterns together, shard channels alone.
    fn shown(&self, session: u32, kind: Kind) -> u32 {
        let [channels, patterns, shard_channels] = self.directory.counts_of(session);
        if kind == Kind::ShardChannel { shard_channels } else { channels + patterns }
    }

    /// Delivers here what was published. Inside EXEC or a script, which wait for nobody, the other shards are told and the directory says how many clients
    /// they have.
    fn publish_here(&self, cx: &mut ShardCx<'_>, kind: Kind, channel: &[u8], message: &[u8]) -> i64 {
        if cx.is_nested() {
            self.announce(cx, kind, channel, message);
            return self.directory.receivers(kind, channel);
        }
        self.deliver(cx, kind, channel, message)
    }

    fn list(
        &self,
        kind: Kind,
        pattern: Option<&[u8]>,
        reply: ArrayReply<'_, Bulk<'static>>,
    ) -> Result<(), CommandError> {
        let names = self.directory.channels(kind, pattern);
        let bytes: usize = names.iter().map(|name| name.len()).sum();
        if bytes > limits::REPLY_BYTES_MAX {
            return Err(CommandError::TooLarge("reply", limits::REPLY_BYTES_MAX));
        }
        reply.all(names.into_iter());
        Ok(())
    }

    fn count(&self, kind: Kind, names: Many<'_, &[u8]>, reply: &mut ReplyBuf) {
        reply.array(2 * names.len());
        for name in names {
            reply.bulk(name);
            reply.integer(self.directory.total(kind, name));
        }
    }
}

impl PubsubCommands for PubSub {
    fn subscribe(
        &mut self,
        cx: &mut ShardCx<'_>,
        args::Subscribe { channel }: args::Subscribe<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        self.enter(cx, (Kind::Channel, "subscribe"), channel, reply)
    }

    fn psubscribe(
        &mut self,
        cx: &mut ShardCx<'_>,
        args::Psubscribe { pattern }: args::Psubscribe<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        self.enter(cx, (Kind::Pattern, "psubscribe"), pattern, reply)
    }

    fn ssubscribe(
        &mut self,
        cx: &mut ShardCx<'_>,
        args::Ssubscribe { shardchannel }: args::Ssubscribe<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        self.enter(cx, (Kind::ShardChannel, "ssubscribe"), shardchannel, reply)
    }

    fn unsubscribe(
        &mut self,
        cx: &mut ShardCx<'_>,
        args::Unsubscribe { channel }: args::Unsubscribe<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        self.leave(cx, (Kind::Channel, "unsubscribe"), channel, reply)
    }

    fn punsubscribe(
        &mut self,
        cx: &mut ShardCx<'_>,
        args::Punsubscribe { pattern }: args::Punsubscribe<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        self.leave(cx, (Kind::Pattern, "punsubscribe"), pattern, reply)
    }

    fn sunsubscribe(
        &mut self,
        cx: &mut ShardCx<'_>,
        args::Sunsubscribe { shardchannel }: args::Sunsubscribe<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        self.leave(cx, (Kind::ShardChannel, "sunsubscribe"), shardchannel, reply)
    }

    fn publish(
        &mut self,
        cx: &mut ShardCx<'_>,
        args::Publish { channel, message }: args::Publish<'_>,
    ) -> Result<i64, CommandError> {
        Ok(self.publish_here(cx, Kind::Channel, channel, message))
    }

    fn spublish(
        &mut self,
        cx: &mut ShardCx<'_>,
        args::Spublish { shardchannel, message }: args::Spublish<'_>,
    ) -> Result<i64, CommandError> {
        Ok(self.publish_here(cx, Kind::ShardChannel, shardchannel, message))
    }

    fn pubsub_channels(
        &mut self,
        _: &mut ShardCx<'_>,
        args::PubsubChannels { pattern }: args::PubsubChannels<'_>,
        reply: ArrayReply<'_, Bulk<'static>>,
    ) -> Result<(), CommandError> {
        self.list(Kind::Channel, pattern, reply)
    }

    fn pubsub_shardchannels(
        &mut self,
        _: &mut ShardCx<'_>,
        args::PubsubShardchannels { pattern }: args::PubsubShardchannels<'_>,
        reply: ArrayReply<'_, Bulk<'static>>,
    ) -> Result<(), CommandError> {
        self.list(Kind::ShardChannel, pattern, reply)
    }

    fn pubsub_numsub(
        &mut self,
        _: &mut ShardCx<'_>,
        args::PubsubNumsub { channel }: args::PubsubNumsub<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        self.count(Kind::Channel, channel, reply);
        Ok(())
    }

    fn pubsub_shardnumsub(
        &mut self,
        _: &mut ShardCx<'_>,
        args::PubsubShardnumsub { shardchannel }: args::PubsubShardnumsub<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        self.count(Kind::ShardChannel, shardchannel, reply);
        Ok(())
    }

    fn pubsub_numpat(&mut self, _: &mut ShardCx<'_>) -> Result<i64, CommandError> {
        Ok(self.directory.len(Kind::Pattern) as i64)
    }

    fn pubsub_help(&mut self, _: &mut ShardCx<'_>, reply: ArrayReply<'_, Simple>) -> Result<(), CommandError> {
        handlers::help("PUBSUB", reply);
        Ok(())
    }
}
