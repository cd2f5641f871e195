//! Who has subscribed to what.
//!
//! Owns: the subscriptions of this shard's clients, and how many subscribers every other shard has. Refuses to know: messages, replies, how shards talk.
//! Start at [`Directory::subscribe`] and [`Directory::audience`].
//!
//! Invariant: a topic is there as long as some shard has a subscriber of it, and no longer.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use kora_runtime::error::CommandError;
use kora_runtime::glob::matches;
use kora_runtime::limits;
use kora_runtime::shard::message::ShardId;

use super::too_many;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A channel.
    Channel,
    /// A pattern of channels' names.
    Pattern,
    /// A shard channel.
    ShardChannel,
}

impl Kind {
    /// All kinds; a kind's place is its number.
    pub(super) const ALL: [Self; 3] = [Self::Channel, Self::Pattern, Self::ShardChannel];
}

/// The subscribers of one name.
#[derive(Debug, Default)]
struct Topic {
    /// Sessions of this shard.
    sessions: BTreeSet<u32>,
    /// How many each other shard has; those that have none are left out.
    elsewhere: Vec<(ShardId, u32)>,
}

impl Topic {
    fn is_unused(&self) -> bool {
        self.sessions.is_empty() && self.elsewhere.is_empty()
    }

    fn total(&self) -> i64 {
        self.sessions.len() as i64 + self.elsewhere.iter().map(|(_, count)| i64::from(*count)).sum::<i64>()
    }
}

/// One client's subscriptions, by kind.
#[derive(Debug, Default)]
struct Subscriber {
    names: [BTreeSet<Rc<[u8]>>; 3],
    bytes: usize,
}

/// The subscriptions of all clients, as one shard knows them.
#[derive(Debug)]
pub(super) struct Directory {
    shard: ShardId,
    channels: HashMap<Rc<[u8]>, Topic>,
    shard_channels: HashMap<Rc<[u8]>, Topic>,
    /// In order, because all of them are tried for each message.
    patterns: BTreeMap<Rc<[u8]>, Topic>,
    subscribers: HashMap<u32, Subscriber>,
}

impl Directory {
    /// Nobody has subscribed to anything; this is the shard of that number.
    pub(super) fn new(shard: ShardId) -> Self {
        Self {
            shard,
            channels: HashMap::new(),
            shard_channels: HashMap::new(),
            patterns: BTreeMap::new(),
            subscribers: HashMap::new(),
        }
    }

    fn topic(&self, kind: Kind, name: &[u8]) -> Option<&Topic> {
        match kind {
            Kind::Channel => self.channels.get(name),
            Kind::Pattern => self.patterns.get(name),
            Kind::ShardChannel => self.shard_channels.get(name),
        }
    }

    /// The topic of a name, made when it is not there, with the name as it is kept.
    fn topic_mut(&mut self, kind: Kind, name: &[u8]) -> (Rc<[u8]>, &mut Topic) {
        let kept = |found: Option<&Rc<[u8]>>| found.cloned().unwrap_or_else(|| name.into());
        match kind {
            Kind::Pattern => {
                let name = kept(self.patterns.get_key_value(name).map(|(name, _)| name));
                (Rc::clone(&name), self.patterns.entry(name).or_default())
            }
            Kind::Channel | Kind::ShardChannel => {
                let topics = if kind == Kind::Channel { &mut self.channels } else { &mut self.shard_channels };
                let name = kept(topics.get_key_value(name).map(|(name, _)| name));
                (Rc::clone(&name), topics.entry(name).or_default())
            }
        }
    }

    /// Drops a topic that nobody has subscribed to any more.
    fn tidy(&mut self, kind: Kind, name: &[u8]) {
        if self.topic(kind, name).is_some_and(Topic::is_unused) {
            match kind {
                Kind::Channel => self.channels.remove(name),
                Kind::Pattern => self.patterns.remove(name),
                Kind::ShardChannel => self.shard_channels.remove(name),
            };
        }
    }

    // ---- clients of this shard ------------------------------------------------------------------------------------------

    /// Whether a client may subscribe to all these names as well.
    ///
    /// # Errors
    /// The text says which limit it would pass.
    pub(super) fn check_room<'n>(
        &self,
        session: u32,
        kind: Kind,
        names: impl Iterator<Item = &'n [u8]>,
    ) -> Result<(), CommandError> {
        let subscriber = self.subscribers.get(&session);
        let (mut count, mut bytes) =
            subscriber.map_or((0, 0), |subscriber| (subscriber.names[kind as usize].len(), subscriber.bytes));
        for name in names {
            if subscriber.is_none_or(|subscriber| !subscriber.names[kind as usize].contains(name)) {
                count += 1;
                bytes += name.len();
            }
        }
        let (what, limit) = match kind {
            Kind::Channel => ("channels", limits::SUBSCRIPTIONS_MAX),
            Kind::Pattern => ("patterns", limits::PATTERN_SUBSCRIPTIONS_MAX),
            Kind::ShardChannel => ("shard channels", limits::SUBSCRIPTIONS_MAX),
        };
        if count > limit {
            return Err(too_many(what, limit));
        }
        if bytes > limits::SUBSCRIPTION_NAME_BYTES_MAX {
            return Err(too_many("bytes of names", limits::SUBSCRIPTION_NAME_BYTES_MAX));
        }
        Ok(())
    }

    /// Notes that a client of this shard wants a name's messages. False when it did already.
    pub(super) fn subscribe(&mut self, session: u32, kind: Kind, name: &[u8]) -> bool {
        let (name, topic) = self.topic_mut(kind, name);
        if !topic.sessions.insert(session) {
            return false;
        }
        let subscriber = self.subscribers.entry(session).or_default();
        subscriber.bytes += name.len();
        subscriber.names[kind as usize].insert(name);
        true
    }

    /// Notes that a client of this shard does not want a name's messages any more. False when it did not.
    pub(super) fn unsubscribe(&mut self, session: u32, kind: Kind, name: &[u8]) -> bool {
        let Some(subscriber) = self.subscribers.get_mut(&session) else { return false };
        if !subscriber.names[kind as usize].remove(name) {
            return false;
        }
        subscriber.bytes -= name.len();
        if subscriber.names.iter().all(BTreeSet::is_empty) {
            self.subscribers.remove(&session);
        }
        self.topic_mut(kind, name).1.sessions.remove(&session);
        self.tidy(kind, name);
        true
    }

    /// Forgets a client; returns what it had subscribed to.
    pub(super) fn forget(&mut self, session: u32) -> Vec<(Kind, Rc<[u8]>)> {
        let Some(subscriber) = self.subscribers.remove(&session) else { return Vec::new() };
        let mut left = Vec::new();
        for (kind, names) in Kind::ALL.into_iter().zip(subscriber.names) {
            for name in names {
                self.topic_mut(kind, &name).1.sessions.remove(&session);
                self.tidy(kind, &name);
                left.push((kind, name));
            }
        }
        left
    }

    /// What a client has subscribed to, in order.
    pub(super) fn names_of(&self, session: u32, kind: Kind) -> Vec<Rc<[u8]>> {
        let subscriber = self.subscribers.get(&session);
        subscriber.map_or_else(Vec::new, |subscriber| subscriber.names[kind as usize].iter().cloned().collect())
    }

    /// How many names of each kind a client has subscribed to.
    pub(super) fn counts_of(&self, session: u32) -> [u32; 3] {
        let subscriber = self.subscribers.get(&session);
        Kind::ALL.map(|kind| subscriber.map_or(0, |subscriber| subscriber.names[kind as usize].len() as u32))
    }

    // ---- all shards -----------------------------------------------------------------------------------------------------

    /// How many clients of this shard have subscribed to a name.
    pub(super) fn here(&self, kind: Kind, name: &[u8]) -> u32 {
        self.topic(kind, name).map_or(0, |topic| topic.sessions.len() as u32)
    }

    /// Notes how many clients of another shard have subscribed to a name.
    pub(super) fn set_elsewhere(&mut self, from: ShardId, kind: Kind, name: &[u8], count: u32) {
        let (_, topic) = self.topic_mut(kind, name);
        topic.elsewhere.retain(|(shard, _)| *shard != from);
        if count > 0 {
            topic.elsewhere.push((from, count));
        }
        self.tidy(kind, name);
    }

    /// How many clients of all shards have subscribed to a name.
    pub(super) fn total(&self, kind: Kind, name: &[u8]) -> i64 {
        self.topic(kind, name).map_or(0, Topic::total)
    }

    /// How many clients get a message of a channel, each counted once for every way in which it has subscribed.
    pub(super) fn receivers(&self, kind: Kind, channel: &[u8]) -> i64 {
        self.total(kind, channel) + self.matching(kind, channel).map(|(_, topic)| topic.total()).sum::<i64>()
    }

    /// The shards that have a subscriber who gets the messages of a channel, in order.
    pub(super) fn audience(&self, kind: Kind, channel: &[u8]) -> Vec<ShardId> {
        let mut audience = BTreeSet::new();
        let exact = self.topic(kind, channel).into_iter();
        for topic in exact.chain(self.matching(kind, channel).map(|(_, topic)| topic)) {
            audience.extend(topic.elsewhere.iter().map(|(shard, _)| *shard));
            if !topic.sessions.is_empty() {
                audience.insert(self.shard);
            }
        }
        audience.into_iter().collect()
    }

    /// The patterns that match a channel.
    fn matching(&self, kind: Kind, channel: &[u8]) -> impl Iterator<Item = (&[u8], &Topic)> {
        let patterns = self.patterns.iter().filter(move |_| kind == Kind::Channel);
        patterns
            .map(|(pattern, topic)| (&**pattern, topic))
            .filter(move |(pattern, _)| matches(pattern, channel, false))
    }

    /// The clients of this shard that have subscribed to a name.
    pub(super) fn sessions(&self, kind: Kind, name: &[u8]) -> Option<&BTreeSet<u32>> {
        self.topic(kind, name).map(|topic| &topic.sessions)
    }

    /// The patterns that match a channel, with the clients of this shard that have subscribed to them.
    pub(super) fn matching_here(&self, channel: &[u8]) -> impl Iterator<Item = (&[u8], &BTreeSet<u32>)> {
        let here = self.matching(Kind::Channel, channel).map(|(pattern, topic)| (pattern, &topic.sessions));
        here.filter(|(_, sessions)| !sessions.is_empty())
    }

    /// How many names of a kind somebody has subscribed to.
    pub(super) fn len(&self, kind: Kind) -> usize {
        match kind {
            Kind::Channel => self.channels.len(),
            Kind::Pattern => self.patterns.len(),
            Kind::ShardChannel => self.shard_channels.len(),
        }
    }

    /// True when nobody can hear of anything that is published to a channel.
    pub(super) fn is_deaf(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty()
    }

    /// The channels, or shard channels, that somebody has subscribed to and a pattern matches, in order.
    pub(super) fn channels(&self, kind: Kind, pattern: Option<&[u8]>) -> Vec<&[u8]> {
        let topics = if kind == Kind::ShardChannel { &self.shard_channels } else { &self.channels };
        let shown = |name: &&[u8]| pattern.is_none_or(|pattern| matches(pattern, name, false));
        let mut names: Vec<&[u8]> = topics.keys().map(|name| &**name).filter(shown).collect();
        names.sort_unstable();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing_is_kept(directory: &Directory) -> bool {
        Kind::ALL.iter().all(|kind| directory.len(*kind) == 0) && directory.subscribers.is_empty()
    }

    #[test]
    fn what_nobody_wants_any_more_is_gone() {
        let mut directory = Directory::new(1);
        assert!(directory.subscribe(7, Kind::Channel, b"news"));
        assert!(!directory.subscribe(7, Kind::Channel, b"news"));
        assert!(directory.subscribe(8, Kind::Channel, b"news"));
        assert!(directory.subscribe(7, Kind::Pattern, b"n*"));
        assert!(directory.subscribe(7, Kind::ShardChannel, b"news"));
        directory.set_elsewhere(3, Kind::Channel, b"news", 2);
        directory.set_elsewhere(0, Kind::Pattern, b"*s", 5);
        assert_eq!(directory.audience(Kind::Channel, b"news"), [0, 1, 3]);
        assert_eq!(directory.audience(Kind::ShardChannel, b"news"), [1]);
        assert_eq!(directory.audience(Kind::Channel, b"nobody"), [1]);
        assert_eq!(directory.audience(Kind::Channel, b"x"), [0; 0]);
        assert_eq!(directory.receivers(Kind::Channel, b"news"), 2 + 2 + 1 + 5);
        assert_eq!(directory.counts_of(7), [1, 1, 1]);

        assert!(directory.unsubscribe(8, Kind::Channel, b"news"));
        assert!(!directory.unsubscribe(8, Kind::Channel, b"news"));
        assert_eq!(directory.forget(7).len(), 3);
        assert_eq!(directory.audience(Kind::Channel, b"news"), [0, 3]);
        directory.set_elsewhere(3, Kind::Channel, b"news", 0);
        directory.set_elsewhere(0, Kind::Pattern, b"*s", 0);
        directory.set_elsewhere(2, Kind::Channel, b"never", 0);
        assert!(nothing_is_kept(&directory), "{directory:?}");
    }

    #[test]
    fn a_client_has_room_for_so_many_names() {
        let mut directory = Directory::new(0);
        let name = |number: usize| number.to_string().into_bytes();
        for number in 0..limits::PATTERN_SUBSCRIPTIONS_MAX {
            directory.subscribe(1, Kind::Pattern, &name(number));
        }
        let check = |session, kind, name: &[u8]| directory.check_room(session, kind, [name].into_iter());
        assert_eq!(check(1, Kind::Pattern, b"0"), Ok(()), "it has that one");
        assert_eq!(check(1, Kind::Pattern, b"x"), Err(too_many("patterns", limits::PATTERN_SUBSCRIPTIONS_MAX)));
        assert_eq!(check(2, Kind::Pattern, b"x"), Ok(()));
        let long = vec![b'x'; limits::SUBSCRIPTION_NAME_BYTES_MAX];
        assert_eq!(check(2, Kind::Channel, &long), Ok(()));
        assert!(check(1, Kind::Channel, &long).is_err());
    }
}
