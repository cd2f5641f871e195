//! Handlers of the `connection` group that run on a shard: PING, ECHO, and the CLIENT commands about other connections.
//!
//! Owns: what they mean, and how the parts of CLIENT LIST and CLIENT KILL from several shards become one reply.
//! Refuses to know: how a killed connection is closed. `handlers/session.rs` has the commands about one's own connection.

use super::session::describe;
use super::timeout;
use crate::argv::Argv;
use crate::config::ClientClass;
use crate::error::CommandError;
use crate::reply::{ArrayReply, Bulk, ReplyBuf, Simple};
use crate::resp::value::{integer_of, text_of};
use crate::shard::blocking::Ending;
use crate::shard::clients::Client;
use crate::shard::cx::ShardCx;
use crate::table::{ConnectionCommands, args};

impl ConnectionCommands for ShardCx<'_> {
    fn ping(&mut self, args::Ping { message }: args::Ping<'_>, reply: &mut ReplyBuf) -> Result<(), CommandError> {
        match message {
            Some(message) => reply.bulk(message),
            None => reply.simple("PONG"),
        }
        Ok(())
    }

    fn echo<'r>(&'r mut self, args::Echo { message }: args::Echo<'_>) -> Result<Bulk<'r>, CommandError> {
        Ok(Bulk::Owned(message.to_vec()))
    }

    fn client_help(&mut self, reply: ArrayReply<'_, Simple>) -> Result<(), CommandError> {
        super::help("CLIENT", reply);
        Ok(())
    }

    /// One line for each client of this shard that the filter lets through.
    fn client_list<'r>(
        &'r mut self,
        args::ClientList { filter }: args::ClientList<'_>,
    ) -> Result<Bulk<'r>, CommandError> {
        use args::{ClientListFilter as Filter, ClientListFilterType as Kind};
        let now_ms = self.core.now_ms;
        let shown = |client: &&Client| match filter {
            None => true,
            Some(Filter::Type(Kind::Normal)) => client.class() == ClientClass::Normal,
            Some(Filter::Type(Kind::Pubsub)) => client.class() == ClientClass::Pubsub,
            Some(Filter::Type(_)) => false,
            Some(Filter::Ids(ids)) => ids.iter().any(|id| id == client.id as i64),
        };
        let mut lines = String::new();
        for client in self.core.clients.iter().filter(shown) {
            lines.push_str(&describe(client, now_ms));
            lines.push('\n');
        }
        Ok(Bulk::Owned(lines.into_bytes()))
    }

    fn client_pause(&mut self, args::ClientPause { timeout, mode }: args::ClientPause) -> Result<(), CommandError> {
        let until_ms = timeout::milliseconds(timeout, self.now_ms())?.unwrap_or(self.now_ms());
        self.core.pause(until_ms, mode != Some(args::ClientPauseMode::Write));
        Ok(())
    }

    fn client_unpause(&mut self) -> Result<(), CommandError> {
        self.core.unpause();
        Ok(())
    }

    /// Runs at the client's home.
    fn client_unblock(
        &mut self,
        args::ClientUnblock { client_id, unblock_type }: args::ClientUnblock,
    ) -> Result<i64, CommandError> {
        let ending = match unblock_type {
            Some(args::ClientUnblockUnblockType::Error) => Ending::Unblocked,
            _ => Ending::TimedOut,
        };
        Ok(i64::from(self.core.unblock(client_id as u64, ending)))
    }

    /// Counts the clients of this shard that were marked; [`client_kill`] makes the reply of it.
    fn client_kill(
        &mut self,
        args::ClientKill { filters }: args::ClientKill<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        check_filters(filters)?;
        let caller = self.call.client_id;
        let killed = self.core.kill(|client| matches(client, filters, caller));
        reply.integer(killed);
        Ok(())
    }
}

/// An address alone is the old form and stands alone; there is one user.
fn check_filters(filters: crate::argv::Many<'_, args::ClientKillFilters<'_>>) -> Result<(), CommandError> {
    for filter in filters {
        match filter {
            args::ClientKillFilters::Address(_) if filters.len() > 1 => return Err(CommandError::Syntax),
            args::ClientKillFilters::User(name) if name != b"default" => {
                let name = String::from_utf8_lossy(name);
                return Err(CommandError::message(format!("ERR No such user '{name}'")));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether every filter of CLIENT KILL picks a client. The old form, an address alone, spares nobody; the new one spares the caller unless told not to.
fn matches(client: &Client, filters: crate::argv::Many<'_, args::ClientKillFilters<'_>>, caller: u64) -> bool {
    use args::{ClientKillFilters as Filter, ClientKillFiltersSkipMe as SkipMe, ClientKillFiltersType as Kind};
    let mut skip_me = true;
    for filter in filters {
        let picked = match filter {
            Filter::Id(id) => client.id as i64 == id,
            Filter::Type(Kind::Normal) => client.class() == ClientClass::Normal,
            Filter::Type(Kind::Pubsub) => client.class() == ClientClass::Pubsub,
            Filter::Type(_) => false,
            Filter::User(name) => name == b"default",
            Filter::Addr(addr) => client.peer.addr.as_bytes() == addr,
            Filter::Laddr(addr) => client.peer.laddr.as_bytes() == addr,
            Filter::SkipMe(answer) => {
                skip_me = answer == SkipMe::Yes;
                true
            }
            Filter::Address(addr) => {
                skip_me = false;
                client.peer.addr.as_bytes() == addr
            }
        };
        if !picked {
            return false;
        }
    }
    !(skip_me && client.id == caller)
}

/// CLIENT LIST of several shards: their lines in order of client id.
pub fn client_list(_: Argv<'_>, parts: &[&[u8]], reply: &mut ReplyBuf) {
    let mut lines: Vec<&[u8]> =
        parts.iter().filter_map(|part| text_of(part)).flat_map(|text| text.split_inclusive(|b| *b == b'\n')).collect();
    let id_of = |line: &[u8]| {
        let digits = line.strip_prefix(b"id=").unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit());
        digits.fold(0_u64, |id, digit| id * 10 + u64::from(digit - b'0'))
    };
    lines.sort_by_key(|line| id_of(line));
    reply.verbatim(&lines.concat());
}

/// CLIENT KILL of several shards: the count, or in the old form whether there was such a client.
pub fn client_kill(argv: Argv<'_>, parts: &[&[u8]], reply: &mut ReplyBuf) {
    let killed: i64 = parts.iter().filter_map(|part| integer_of(part)).sum();
    match (argv.len(), killed) {
        (1, 0) => reply.error(&CommandError::Text("ERR No such client")),
        (1, _) => reply.ok(),
        _ => reply.integer(killed),
    }
}
