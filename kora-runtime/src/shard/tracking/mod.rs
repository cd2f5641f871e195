//! Client-side caching: which clients hear when keys change that they have read (CLIENT TRACKING).
//!
//! Owns: [`Tracking`], one shard's part of it. Refuses to know: how bytes get to a session, how messages travel.
//! Start at `Core::tell_trackers` in [`tell`], which runs when a key has changed; [`exchange`] has what shards say to each other about it.
//!
//! ```text
//! owner of a key:     reads of tracking clients ─► KeyTable ─┐
//!                     BCAST ─► Prefixes ─────────────────────┴─ a key changes ─► home shard of each client that is to hear
//! home of a client:   is it still there, in which mode? ─► its session, or the home of the client that REDIRECT names
//! ```
//! A client's id tells its home. What a client may not hear too early are changes of values whose reads are still on their way to it: replies come before
//! these messages in every envelope, and [`Session::push`](super::session::Session::push) keeps their order.

pub mod exchange;
pub mod keys;
pub mod mode;
pub mod news;
pub mod prefixes;
pub mod tell;

use std::collections::{BTreeMap, VecDeque};

use ahash::RandomState;

use self::exchange::{Ask, TrackingMessage};
use self::keys::KeyTable;
use self::prefixes::Prefixes;
use super::message::{ShardId, TxnId};

/// What a shard knows of who tracks what.
#[derive(Debug)]
pub struct Tracking {
    /// Who has read which of this shard's keys.
    pub keys: KeyTable,
    /// Who hears of keys by their prefixes.
    pub prefixes: Prefixes,
    /// For other shards, to be passed on after the command that runs.
    outgoing: Vec<(ShardId, TrackingMessage)>,
    /// The same, to leave when everything else of this tick has.
    farewells: Vec<(ShardId, TrackingMessage)>,
    /// Changes of mode that wait for other shards, by ticket.
    asks: BTreeMap<u64, Ask>,
    tickets: u64,
    /// Keys were flushed by a command that is over.
    flushed: bool,
    /// A transaction that flushed keys on all shards is over.
    flushed_all: bool,
    /// Somebody may have read or watched those keys.
    flush_concerns: bool,
    /// Transactions that flushed keys here and are not over on all shards.
    flushing: Vec<TxnId>,
    /// Such transactions that are over, the last few.
    flushes_over: VecDeque<TxnId>,
}

impl Tracking {
    /// Nobody tracks anything.
    pub fn new(seeds: RandomState) -> Self {
        Self {
            keys: KeyTable::new(seeds),
            prefixes: Prefixes::default(),
            outgoing: Vec::new(),
            farewells: Vec::new(),
            asks: BTreeMap::new(),
            tickets: 0,
            flushed: false,
            flushed_all: false,
            flush_concerns: false,
            flushing: Vec::new(),
            flushes_over: VecDeque::new(),
        }
    }

    /// True when some change of a key might concern somebody.
    pub fn listens(&self) -> bool {
        !self.keys.is_empty() || self.prefixes.watched_len() > 0
    }
}
