//! What each command means, one file a group.
//!
//! Owns: the meaning. Refuses to know: where a command came from, where its reply goes, other shards.
//! Start at [`string`]; the other groups are variations on it. Handlers implement the traits that `commands.toml` generates.

pub mod config;
pub mod connection;
pub mod debug;
pub mod generic;
pub mod hash;
pub mod help;
pub mod info;
pub mod introspection;
pub mod list;
pub mod memory;
pub mod page;
pub mod placement;
pub mod saving;
pub mod server;
pub mod session;
pub mod set;
pub mod sorted_set;
pub mod stream;
pub mod string;
pub mod timeout;
pub mod tracking;
pub mod transactions;

pub use help::help;
