//! What stands on the shards: the engine that runs them on threads, and the embedded API.
//!
//! Owns: threads, mailboxes, the clock and the process that shards see; what shards are extended by. Refuses to know: sockets and the RESP server.
//! Start at [`embedded`] to use Kora inside a program, at [`engine`] to see how shards are driven, at [`extensions`] to see what is plugged in.

pub mod clock;
pub mod driver;
pub mod embedded;
pub mod engine;
pub mod host;
pub mod persistence;
pub mod pubsub;
mod remote;
pub mod script;
pub mod scripting;

pub use clock::Clock;
pub use embedded::{Database, Options};
pub use engine::{Engine, EngineOptions};

use kora_runtime::shard::message::ShardId;
use kora_runtime::table::Extensions;

/// What a shard of this number is extended by, and by what while a script of it is stuck.
pub fn extensions(shard: ShardId) -> (Extensions, Extensions) {
    let (scripting, twin) = scripting::Scripting::pair();
    let extensions =
        Extensions { pubsub: Some(Box::new(pubsub::PubSub::new(shard))), scripting: Some(Box::new(scripting)) };
    (extensions, Extensions { pubsub: None, scripting: Some(Box::new(twin)) })
}
