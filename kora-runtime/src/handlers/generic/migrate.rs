//! MIGRATE: keys that move to another server.
//!
//! Owns: what is said to the other server, and what becomes of the keys here. Refuses to know: sockets; the host connects. Start at [`migrate`].
//!
//! The shard that runs the command does nothing else meanwhile, as in Redis; each step of the talk takes at most the time that the client allows. Values go
//! out a batch at a time, so that memory holds one batch of them in Redis's format and not all.
//!
//! Invariant: a key goes from here only when the other server has said that it has it. Whatever goes wrong, it is on one of the two servers at least.

use std::time::Duration;

use crate::error::CommandError;
use crate::host::{Remote, RemoteError};
use crate::limits::MIGRATION_BATCH_BYTES;
use crate::rdb::dump_payload;
use crate::reply::{Protocol, ReplyBuf};
use crate::shard::cx::ShardCx;
use crate::table::args::MigrateLogin;
use crate::table::{CommandId, args};

/// What a timeout of 0 or less means.
const STEP_MS_DEFAULT: u64 = 1000;

/// MIGRATE. An error may stand for keys that stayed while others went.
pub(super) fn migrate(cx: &mut ShardCx<'_>, args: args::Migrate<'_>) -> Result<&'static str, CommandError> {
    let single = (!args.key.is_empty()).then_some(args.key);
    if single.is_some() && !args.keys.is_empty() {
        return Err(CommandError::Text(
            "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
        ));
    }
    let mut migration = Migration {
        started_ns: cx.core.host.monotonic_ns(),
        remote: None,
        request: ReplyBuf::new(Protocol::Resp2),
        asked: Vec::new(),
        found: false,
        refusal: None,
        args,
    };
    let outcome = cx.log_together(|cx| {
        for key in single.into_iter().chain(args.keys.iter()) {
            migration.add(cx, key)?;
        }
        migration.hand_over(cx)
    });
    match (migration.refusal, outcome) {
        (Some(refusal), _) => Err(refusal),
        (None, Err(error)) => Err(error),
        (None, Ok(())) => Ok(if migration.found { "OK" } else { "NOKEY" }),
    }
}

/// The talk with the other server.
struct Migration<'a> {
    started_ns: u64,
    /// Called when there is something to say.
    remote: Option<Box<dyn Remote>>,
    /// What is to be sent next, and the keys in it; a request is an array of strings, as some replies are.
    request: ReplyBuf,
    asked: Vec<&'a [u8]>,
    /// There was a key.
    found: bool,
    /// What the other server would not do, when it was first.
    refusal: Option<CommandError>,
    args: args::Migrate<'a>,
}

impl<'a> Migration<'a> {
    /// Adds a key to the batch, if there is one, and hands the batch over when it is full.
    fn add(&mut self, cx: &mut ShardCx<'_>, key: &'a [u8]) -> Result<(), CommandError> {
        let Some(payload) = cx.read_any(key)?.map(dump_payload) else { return Ok(()) };
        self.found = true;
        let left_ms = match cx.expiry_ms(key).flatten() {
            None => 0,
            Some(expiry_ms) => match expiry_ms.saturating_sub(self.now_ms(cx)) {
                // It has died on the way.
                0 => return Ok(()),
                left_ms => left_ms,
            },
        };
        let mut digits = itoa::Buffer::new();
        let words: [&[u8]; 5] = [b"RESTORE", key, digits.format(left_ms).as_bytes(), &payload, b"REPLACE"];
        write(&mut self.request, &words[..if self.args.replace { 5 } else { 4 }]);
        self.asked.push(key);
        if self.request.len() < MIGRATION_BATCH_BYTES { Ok(()) } else { self.hand_over(cx) }
    }

    /// The time now: the tick's, which does not pass while a command runs, and what the talk has taken.
    fn now_ms(&self, cx: &ShardCx<'_>) -> u64 {
        let talked_ns = cx.core.host.monotonic_ns().saturating_sub(self.started_ns);
        cx.now_ms() + talked_ns / 1_000_000
    }

    /// Hands the batch over, and lets go what the other server has taken.
    fn hand_over(&mut self, cx: &mut ShardCx<'_>) -> Result<(), CommandError> {
        if self.asked.is_empty() {
            return Ok(());
        }
        let mut remote = match self.remote.take() {
            Some(remote) => remote,
            None => self.call(cx)?,
        };
        remote.send(self.request.as_bytes()).map_err(|_| NOT_WRITTEN)?;
        self.request.truncate(0);
        for key in self.asked.drain(..) {
            match answer(remote.as_mut())? {
                Ok(()) => {
                    if !self.args.copy && cx.remove(key) {
                        cx.log(CommandId::Del, &[key]);
                    }
                }
                Err(refusal) => {
                    self.refusal.get_or_insert(refusal);
                }
            }
        }
        self.remote = Some(remote);
        Ok(())
    }

    /// Connects, logs in and selects the database. Nothing is handed over before the other server has agreed to both: else it would come to the wrong place.
    fn call(&self, cx: &ShardCx<'_>) -> Result<Box<dyn Remote>, CommandError> {
        let step_ms = u64::try_from(self.args.timeout).ok().filter(|ms| *ms > 0).unwrap_or(STEP_MS_DEFAULT);
        let host = String::from_utf8_lossy(self.args.host);
        let port = std::str::from_utf8(self.args.port).ok().and_then(|port| port.parse::<u16>().ok());
        // As for Redis, a port that is none is one at which nobody is found.
        let port = port.ok_or(NOT_WRITTEN)?;
        let connected = cx.core.host.connect(&host, port, Duration::from_millis(step_ms));
        let mut remote = connected.map_err(|error| match error {
            RemoteError::Unreachable => NOT_REACHED,
            RemoteError::Lost => NOT_WRITTEN,
        })?;
        let mut greeting = ReplyBuf::new(Protocol::Resp2);
        match &self.args.login {
            None => {}
            Some(MigrateLogin::Auth(password)) => write(&mut greeting, &[b"AUTH", password]),
            Some(MigrateLogin::Auth2(login)) => write(&mut greeting, &[b"AUTH", login.username, login.password]),
        }
        let mut digits = itoa::Buffer::new();
        write(&mut greeting, &[b"SELECT", digits.format(self.args.database).as_bytes()]);
        remote.send(greeting.as_bytes()).map_err(|_| NOT_WRITTEN)?;
        for _ in 0..1 + usize::from(self.args.login.is_some()) {
            answer(remote.as_mut())??;
        }
        Ok(remote)
    }
}

const NOT_REACHED: CommandError = CommandError::Text("IOERR error or timeout connecting to the client");
const NOT_WRITTEN: CommandError = CommandError::Text("IOERR error or timeout writing to target instance");
const NOT_READ: CommandError = CommandError::Text("IOERR error or timeout reading to target instance");

fn write(request: &mut ReplyBuf, words: &[&[u8]]) {
    request.array(words.len());
    words.iter().for_each(|word| request.bulk(word));
}

/// What the other server says to one request; the outer error is one of the connection.
fn answer(remote: &mut dyn Remote) -> Result<Result<(), CommandError>, CommandError> {
    let line = remote.line().map_err(|_| NOT_READ)?;
    match line.split_first() {
        Some((b'+', _)) => Ok(Ok(())),
        Some((b'-', error)) => {
            let error = String::from_utf8_lossy(error);
            Ok(Err(CommandError::message(format!("ERR Target instance replied with error: {error}"))))
        }
        // It is no Redis.
        _ => Err(NOT_READ),
    }
}
