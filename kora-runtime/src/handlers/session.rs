//! Handlers of commands that concern one connection: who it is, how it talks.
//!
//! Owns: HELLO, AUTH, SELECT, QUIT, RESET and the CLIENT commands about oneself. Refuses to know: keys, other connections, sockets.
//! Start at [`SessionCommands`]'s `hello`.

use std::fmt::Write;

use super::{saving, timeout, tracking};
use crate::error::CommandError;
use crate::keyspace::DATABASES;
use crate::reply::{ArrayReply, Bulk, Protocol, ReplyBuf};
use crate::shard::AfterCommand;
use crate::shard::blocking::Wait;
use crate::shard::clients::{Client, ReplyMode};
use crate::shard::core::Core;
use crate::table::{SessionCommands, args};

/// The version of Redis whose behaviour clients may count on.
pub const REDIS_VERSION: &str = "7.0.15";
/// The version of Kora.
pub const KORA_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The context of a command about its own connection.
#[derive(Debug)]
pub struct SessionCx<'s> {
    pub(crate) core: &'s mut Core,
    pub(crate) session: u32,
    /// Inside EXEC: it must not wait.
    pub(crate) nested: bool,
    /// What is to be done with the connection then.
    pub(crate) after: AfterCommand,
}

impl SessionCx<'_> {
    fn client(&mut self) -> &mut Client {
        self.core.clients.of(self.session)
    }

    /// Lets the client wait for nothing but time, outside EXEC.
    fn wait_for_time(&mut self, deadline_ms: Option<u64>) {
        if !self.nested {
            self.core.wait = Some(Wait { keys: Vec::new(), awaited: "", deadline_ms, retry: None });
        }
    }

    fn authenticate(&mut self, username: Option<&[u8]>, password: &[u8]) -> Result<(), CommandError> {
        let expected = &self.core.config.requirepass;
        let known_user = username.is_none_or(|name| name == b"default");
        // Without a password the default user takes any; the comparison takes the same time wherever the texts differ.
        let matches = expected.is_empty() || same_in_constant_time(expected, password);
        if known_user && matches {
            self.client().authenticated = true;
            return Ok(());
        }
        self.core.stats.acl_access_denied_auth += 1;
        Err(CommandError::WrongPass)
    }
}

/// Compares without telling by its time where the texts differ, or by how much their lengths do.
fn same_in_constant_time(expected: &[u8], given: &[u8]) -> bool {
    let mut difference = u8::from(expected.len() != given.len());
    for (index, byte) in given.iter().enumerate() {
        difference |= byte ^ expected[index % expected.len().max(1)];
    }
    std::hint::black_box(difference) == 0
}

/// A name that fits a line of CLIENT LIST.
fn check_name(name: &[u8], error: &'static str) -> Result<(), CommandError> {
    let printable = name.iter().all(|byte| (b'!'..=b'~').contains(byte));
    if printable { Ok(()) } else { Err(CommandError::Text(error)) }
}

const NAME_ERROR: &str = "ERR Client names cannot contain spaces, newlines or special characters.";

/// A client as CLIENT LIST and CLIENT INFO show it, without the line's end.
pub fn describe(client: &Client, now_ms: u64) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut flags = String::new();
    if client.is_subscribed() {
        flags.push('P');
    }
    if let Some(mode) = &client.tracking {
        flags.push('t');
        if mode.broken {
            flags.push('R');
        }
        if mode.bcast {
            flags.push('B');
        }
    }
    if client.peer.unix {
        flags.push('U');
    }
    if client.kill {
        flags.push('c');
    }
    if client.no_evict {
        flags.push('e');
    }
    if client.no_touch {
        flags.push('T');
    }
    if client.multi.is_some() {
        flags.push('x');
    }
    if client.waiting.is_some() {
        flags.push('b');
    }
    if flags.is_empty() {
        flags.push('N');
    }
    let mut line = String::with_capacity(256);
    let age = now_ms.saturating_sub(client.created_ms) / 1000;
    let idle = now_ms.saturating_sub(client.last_ms) / 1000;
    let multi = client.multi.as_deref();
    let queued = multi.map_or(-1, |multi| multi.ends.len() as i64);
    let queued_bytes = multi.map_or(0, |multi| multi.frames.len());
    let memory = client.query_bytes + client.query_free + client.output_bytes + queued_bytes;
    let resp = if client.protocol == Protocol::Resp3 { 3 } else { 2 };
    let redirect = tracking::redirection(client);
    let command = client.last_command.map_or("NULL", |id| id.info().name);
    write!(
        line,
        "id={} addr={} laddr={} fd={} name={} age={age} idle={idle} flags={flags} db={} sub={} psub={} ssub={} multi={queued} \
         qbuf={} qbuf-free={} argv-mem=0 multi-mem={queued_bytes} rbs=0 rbp=0 obl={} oll=0 omem=0 tot-mem={memory} events=r cmd={command} \
         user=default redir={redirect} resp={resp} lib-name={} lib-ver={}",
        client.id,
        client.peer.addr,
        client.peer.laddr,
        client.peer.fd,
        text(&client.name),
        client.db,
        client.channels,
        client.patterns,
        client.shard_channels,
        client.query_bytes,
        client.query_free,
        client.output_bytes,
        text(&client.lib_name),
        text(&client.lib_ver),
    )
    .expect("writing to a String cannot fail");
    line
}

impl SessionCommands for SessionCx<'_> {
    fn hello(&mut self, args::Hello { handshake }: args::Hello<'_>, reply: &mut ReplyBuf) -> Result<(), CommandError> {
        let mut protocol = self.client().protocol;
        if let Some(handshake) = handshake {
            protocol = match handshake.version {
                2 => Protocol::Resp2,
                3 => Protocol::Resp3,
                _ => return Err(CommandError::NoProto),
            };
            if let Some(auth) = handshake.auth {
                self.authenticate(Some(auth.username), auth.password)?;
            }
            if !self.client().authenticated {
                return Err(HELLO_NEEDS_AUTH);
            }
            if let Some(name) = handshake.client_name {
                check_name(name, NAME_ERROR)?;
                self.client().name = name.to_vec();
            }
        } else if !self.client().authenticated {
            return Err(HELLO_NEEDS_AUTH);
        }
        let client = self.client();
        client.protocol = protocol;
        let id = client.id as i64;
        reply.set_protocol(protocol);
        reply.map(7);
        for (name, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
            reply.bulk(name.as_bytes());
            reply.bulk(value.as_bytes());
        }
        reply.bulk(b"proto");
        reply.integer(if protocol == Protocol::Resp3 { 3 } else { 2 });
        reply.bulk(b"id");
        reply.integer(id);
        for (name, value) in [("mode", "standalone"), ("role", "master")] {
            reply.bulk(name.as_bytes());
            reply.bulk(value.as_bytes());
        }
        reply.bulk(b"modules");
        reply.array(0);
        Ok(())
    }

    fn auth(&mut self, args::Auth { username, password }: args::Auth<'_>) -> Result<(), CommandError> {
        if username.is_none() && self.core.config.requirepass.is_empty() {
            return Err(CommandError::Text(
                "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
            ));
        }
        self.authenticate(username, password)
    }

    fn select(&mut self, args::Select { index }: args::Select) -> Result<(), CommandError> {
        let db = usize::try_from(index).ok().filter(|db| *db < DATABASES).ok_or(CommandError::DbIndexOutOfRange)?;
        self.client().db = db as u8;
        Ok(())
    }

    fn quit(&mut self, _: args::Quit<'_>) -> Result<(), CommandError> {
        self.after.closing = true;
        // Nothing is sent to it any more, from before its last reply on.
        self.after.starts_afresh = true;
        Ok(())
    }

    fn reset(&mut self) -> Result<&'static str, CommandError> {
        let authenticated = self.core.config.requirepass.is_empty();
        self.core.stop_tracking(self.session);
        let client = self.client();
        client.db = 0;
        client.name.clear();
        client.protocol = Protocol::Resp2;
        client.authenticated = authenticated;
        client.reply_mode = ReplyMode::On;
        client.no_evict = false;
        client.no_touch = false;
        client.leave_multi();
        self.after.starts_afresh = true;
        self.core.unwatch(self.session);
        Ok("RESET")
    }

    fn multi(&mut self) -> Result<(), CommandError> {
        self.client().enter_multi();
        Ok(())
    }

    /// Without MULTI; with it, the shard runs the transaction.
    fn exec(&mut self, _: &mut ReplyBuf) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR EXEC without MULTI"))
    }

    fn discard(&mut self) -> Result<(), CommandError> {
        if self.client().leave_multi().is_none() {
            return Err(CommandError::Text("ERR DISCARD without MULTI"));
        }
        self.core.unwatch(self.session);
        Ok(())
    }

    fn unwatch(&mut self) -> Result<(), CommandError> {
        self.core.unwatch(self.session);
        Ok(())
    }

    /// When the process is going to stop the end of the connection is the answer, as in Redis. Until then the client waits; what is written here it gets when
    /// saving fails and the process goes on.
    fn shutdown(&mut self, args: args::Shutdown, reply: &mut ReplyBuf) -> Result<(), CommandError> {
        saving::shutdown(self.core, args)?;
        reply.error(&CommandError::Text("ERR Errors trying to SHUTDOWN. Check logs."));
        self.wait_for_time(None);
        Ok(())
    }

    /// There are no replicas, so that whoever asks for none has them all and anyone else waits in vain.
    fn wait(&mut self, args::Wait { numreplicas, timeout }: args::Wait) -> Result<i64, CommandError> {
        let deadline_ms = timeout::milliseconds(timeout, self.core.now_ms)?;
        if numreplicas > 0 {
            self.wait_for_time(deadline_ms);
        }
        Ok(0)
    }

    /// All that this connection wrote before has been run; where, nobody remembers, so every shard's log is to be on disk as it is now. Inside EXEC it waits for
    /// nobody.
    fn waitaof(
        &mut self,
        args::Waitaof { numlocal, numreplicas, timeout }: args::Waitaof,
        reply: ArrayReply<'_, i64>,
    ) -> Result<(), CommandError> {
        if !(0..=1).contains(&numlocal) {
            return Err(CommandError::OutOfRange);
        }
        if numreplicas < 0 {
            return Err(CommandError::NotPositive);
        }
        let deadline_ms = timeout::milliseconds(timeout, self.core.now_ms)?;
        if numlocal > 0 && !self.core.journal.is_on() {
            let text = "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.";
            return Err(CommandError::Text(text));
        }
        if numreplicas > 0 || numlocal > 0 {
            self.wait_for_time(deadline_ms);
        }
        if numlocal > 0 && !self.nested {
            self.core.waits_for_disks = Some(numreplicas > 0);
        }
        let alone = self.nested && self.core.shards == 1 && self.core.journal.is_on();
        let mut counts = reply.open(2);
        counts.push(i64::from(alone && self.core.journal.durable_lsn() == self.core.journal.last_lsn()));
        counts.push(0);
        Ok(())
    }

    fn client_id(&mut self) -> Result<i64, CommandError> {
        Ok(self.client().id as i64)
    }

    fn client_getname(&mut self) -> Result<Option<Bulk<'_>>, CommandError> {
        let name = &self.client().name;
        Ok((!name.is_empty()).then_some(Bulk::Borrowed(name)))
    }

    fn client_setname(
        &mut self,
        args::ClientSetname { connection_name }: args::ClientSetname<'_>,
    ) -> Result<(), CommandError> {
        check_name(connection_name, NAME_ERROR)?;
        self.client().name = connection_name.to_vec();
        Ok(())
    }

    fn client_setinfo(
        &mut self,
        args::ClientSetinfo { attribute }: args::ClientSetinfo<'_>,
    ) -> Result<(), CommandError> {
        match attribute {
            args::ClientSetinfoAttribute::LibName(name) => {
                check_name(name, "ERR LIB-NAME cannot contain spaces, newlines or special characters.")?;
                self.client().lib_name = name.to_vec();
            }
            args::ClientSetinfoAttribute::LibVer(version) => {
                check_name(version, "ERR LIB-VER cannot contain spaces, newlines or special characters.")?;
                self.client().lib_ver = version.to_vec();
            }
        }
        Ok(())
    }

    fn client_info(&mut self) -> Result<Bulk<'_>, CommandError> {
        let now_ms = self.core.now_ms;
        let mut line = describe(self.client(), now_ms);
        line.push('\n');
        Ok(Bulk::Owned(line.into_bytes()))
    }

    fn client_reply(
        &mut self,
        args::ClientReply { mode }: args::ClientReply,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        // EXEC has announced an element for it, and counts as one command with all that is in it.
        let nested = self.nested;
        let client = self.client();
        match mode {
            args::ClientReplyMode::On => client.reply_mode = ReplyMode::On,
            args::ClientReplyMode::Off => client.reply_mode = ReplyMode::Off,
            args::ClientReplyMode::Skip if client.reply_mode == ReplyMode::Off => {}
            args::ClientReplyMode::Skip if nested => client.reply_mode = ReplyMode::Skip,
            args::ClientReplyMode::Skip => client.reply_mode = ReplyMode::SkipNext,
        }
        if nested || mode == args::ClientReplyMode::On {
            reply.ok();
        }
        Ok(())
    }

    fn client_tracking(&mut self, args: args::ClientTracking<'_>) -> Result<(), CommandError> {
        let open = self.core.change_tracking(self.session, tracking::change(args))?;
        match open {
            Some(open) if self.nested => self.core.complete_unasked(self.session, open),
            open => {
                self.core.open = open;
                Ok(())
            }
        }
    }

    fn client_caching(&mut self, args::ClientCaching { mode }: args::ClientCaching) -> Result<(), CommandError> {
        let nested = self.nested;
        tracking::cache_next(self.client(), mode, nested)
    }

    fn client_getredir(&mut self) -> Result<i64, CommandError> {
        Ok(tracking::redirection(self.client()))
    }

    fn client_trackinginfo(&mut self, reply: &mut ReplyBuf) -> Result<(), CommandError> {
        tracking::info(self.client(), reply);
        Ok(())
    }

    fn client_no_evict(&mut self, args::ClientNoEvict { enabled }: args::ClientNoEvict) -> Result<(), CommandError> {
        self.client().no_evict = enabled == args::ClientNoEvictEnabled::On;
        Ok(())
    }

    fn client_no_touch(&mut self, args::ClientNoTouch { enabled }: args::ClientNoTouch) -> Result<(), CommandError> {
        self.client().no_touch = enabled == args::ClientNoTouchEnabled::On;
        Ok(())
    }
}

const HELLO_NEEDS_AUTH: CommandError = CommandError::Text(
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to \
     authenticate the client and select the RESP protocol version at the same time",
);

#[cfg(test)]
mod tests {
    use super::same_in_constant_time;

    #[test]
    fn only_the_whole_password_matches() {
        assert!(same_in_constant_time(b"secret", b"secret"));
        for wrong in [&b""[..], b"secre", b"secrets", b"Secret", b"secretsecret"] {
            assert!(!same_in_constant_time(b"secret", wrong), "{wrong:?}");
        }
    }
}
