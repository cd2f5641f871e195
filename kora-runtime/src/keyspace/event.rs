//! What can happen to a key, named as Redis names its keyspace events.
//!
//! Owns: the list of events and their classes. Refuses to know: who listens.

/// The class letter of `notify-keyspace-events` that an event belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventClass {
    /// `g`: commands that are not specific to a type.
    Generic,
    /// `$`: string commands.
    String,
    /// `l`: list commands.
    List,
    /// `s`: set commands.
    Set,
    /// `h`: hash commands.
    Hash,
    /// `z`: sorted set commands.
    SortedSet,
    /// `t`: stream commands.
    Stream,
    /// `x`: a key expired.
    Expired,
    /// `e`: a key was evicted.
    Evicted,
    /// `d`: types of modules; nothing here is of that class.
    Module,
    /// `m`: a key that was to be read is not there. No change: whoever listens to changes does not hear of it.
    Missed,
    /// `n`: a key was added. What it was given is told by another event.
    New,
}

macro_rules! events {
    ($($variant:ident $class:ident $name:literal),+ $(,)?) => {
        /// Something that happened to one key.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Event {
            $(#[doc = concat!("`", $name, "`")] $variant,)+
        }

        impl Event {
            /// Redis's name of the event.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The class the event belongs to.
            pub fn class(self) -> EventClass {
                match self { $(Self::$variant => EventClass::$class,)+ }
            }
        }
    };
}

events! {
    Del Generic "del", Expire Generic "expire", Persist Generic "persist",
    RenameFrom Generic "rename_from", RenameTo Generic "rename_to", CopyTo Generic "copy_to",
    MoveFrom Generic "move_from", MoveTo Generic "move_to", Restore Generic "restore", SortStore List "sortstore",
    Set String "set", SetRange String "setrange", Append String "append",
    IncrBy String "incrby", IncrByFloat String "incrbyfloat",
    Lpush List "lpush", Rpush List "rpush", Lpop List "lpop", Rpop List "rpop", Lset List "lset",
    Linsert List "linsert", Lrem List "lrem", Ltrim List "ltrim",
    Hset Hash "hset", Hdel Hash "hdel", HincrBy Hash "hincrby", HincrByFloat Hash "hincrbyfloat",
    Sadd Set "sadd", Srem Set "srem", Spop Set "spop",
    SinterStore Set "sinterstore", SunionStore Set "sunionstore", SdiffStore Set "sdiffstore",
    Zadd SortedSet "zadd", Zincr SortedSet "zincr", Zrem SortedSet "zrem",
    ZpopMin SortedSet "zpopmin", ZpopMax SortedSet "zpopmax",
    ZremRangeByScore SortedSet "zremrangebyscore", ZremRangeByRank SortedSet "zremrangebyrank",
    ZremRangeByLex SortedSet "zremrangebylex", ZunionStore SortedSet "zunionstore",
    ZinterStore SortedSet "zinterstore", ZdiffStore SortedSet "zdiffstore", ZrangeStore SortedSet "zrangestore",
    Xadd Stream "xadd", Xdel Stream "xdel", Xtrim Stream "xtrim", Xsetid Stream "xsetid",
    Expired Expired "expired", Evicted Evicted "evicted",
    KeyMiss Missed "keymiss", New New "new",
}
