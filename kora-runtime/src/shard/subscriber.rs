//! What is different for a client that has subscribed to something.
//!
//! Owns: which commands such a client of RESP2 may send, how PING answers it, which replies are pushes. Refuses to know: what it has subscribed to;
//! the pub/sub extension does. Start at [`Shard::in_subscriber_mode`].

use super::Shard;
use super::clients::ReplyMode;
use super::execute::count;
use super::session::Session;
use crate::argv::Argv;
use crate::error::CommandError;
use crate::reply::{Protocol, ReplyBuf};
use crate::table::CommandId;

/// True for the commands whose replies are pushes: CLIENT REPLY does not suppress them.
pub(super) fn replies_by_pushes(id: CommandId) -> bool {
    matches!(
        id,
        CommandId::Subscribe
            | CommandId::Unsubscribe
            | CommandId::Psubscribe
            | CommandId::Punsubscribe
            | CommandId::Ssubscribe
            | CommandId::Sunsubscribe
    )
}

impl Shard {
    /// Handles a command of a client that has subscribed and speaks RESP2, where a message and a reply look alike. False when it runs as usual.
    pub(super) fn in_subscriber_mode(
        &mut self,
        index: u32,
        session: &mut Session,
        id: CommandId,
        argv: Argv<'_>,
    ) -> bool {
        if replies_by_pushes(id) || matches!(id, CommandId::Quit | CommandId::Reset) {
            return false;
        }
        if id == CommandId::Ping {
            if argv.len() > 1 {
                // Its own parser says what is wrong with that.
                return false;
            }
            count(&mut self.core, id);
            let mode = self.core.clients.of(index).reply_mode;
            session.reply_here(
                Protocol::Resp2,
                |()| mode == ReplyMode::On,
                |reply| pong(argv.get(0).unwrap_or_default(), reply),
            );
            self.after_reply(index, mode);
            return true;
        }
        self.core.command_stats.of(id).rejected += 1;
        let error = CommandError::message(format!(
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
            id.info().name
        ));
        self.refuse_here(index, session, Protocol::Resp2, &error);
        true
    }
}

/// PONG in the form of a message.
fn pong(word: &[u8], reply: &mut ReplyBuf) {
    reply.array(2);
    reply.bulk(b"pong");
    reply.bulk(word);
}
