//! What each command means, one file a group.
//!
//! Owns: the meaning. Refuses to know: where a command came from, where its reply goes, other shards.
//! Start at [`string`]; the other groups are variations on it. Handlers implement the traits that `commands.toml` generates.

pub mod connection;
pub mod generic;
pub mod hash;
pub mod info;
pub mod list;
pub mod memory;
pub mod page;
pub mod server;
pub mod session;
pub mod set;
pub mod sorted_set;
pub mod string;

use crate::reply::{ArrayReply, Simple};
use crate::table::CommandId;

/// HELP of a container: its subcommands with their syntax and summary, from the table.
pub fn help(container: &'static str, reply: ArrayReply<'_, Simple>) {
    let rows: Vec<_> = CommandId::ALL
        .iter()
        .map(|id| id.info())
        .filter(|info| info.container.is_some_and(|name| name.eq_ignore_ascii_case(container)))
        .collect();
    let mut lines = reply.open(2 * rows.len());
    for info in rows {
        lines.push(Simple(info.upper));
        lines.push(Simple(info.summary));
    }
}
