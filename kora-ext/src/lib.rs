//! What stands on the shards: the engine that runs them on threads, and the embedded API.
//!
//! Owns: threads, mailboxes, the clock and the process that shards see. Refuses to know: sockets and the RESP server.
//! Start at [`embedded`] to use Kora inside a program, at [`engine`] to see how shards are driven.

pub mod clock;
pub mod driver;
pub mod embedded;
pub mod engine;
pub mod host;
pub mod script;

pub use clock::Clock;
pub use embedded::{Database, Options};
pub use engine::{Engine, EngineOptions};
