//! What must be true of every exchange, whatever was said.
//!
//! Owns: the checks of one command with its replies, and the few commands that may answer otherwise. Refuses to know: who sent the
//! command and where it ran. Start at [`judge`].

use kora_runtime::argv::ArgvBuf;
use kora_runtime::error::CommandError;
use kora_runtime::table::{CommandId, CommandInfo, Resolved, keys, reencode, resolve};

use super::shape;
use super::words::{has_groups, most_words};
use crate::resp::{Protocol, Value, decode};

/// A command and what came of it.
#[derive(Debug, Clone)]
pub struct Exchange<'a> {
    /// The words, name included.
    pub words: &'a [Vec<u8>],
    /// The client's protocol when it was sent.
    pub protocol: Protocol,
    /// The words follow the row.
    pub whole: bool,
    /// Encoded replies to this command.
    pub replies: &'a [Vec<u8>],
    /// The connection is to be closed.
    pub over: bool,
}

/// What may be used up.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes of the replies to one command.
    pub reply_bytes_max: usize,
    /// Bytes by which the process may grow while it runs.
    pub resident_growth_bytes_max: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { reply_bytes_max: 64 << 20, resident_growth_bytes_max: 1 << 30 }
    }
}

/// How a command may answer.
struct Manners {
    may_be_silent: bool,
    may_close: bool,
    /// Its reply may already be in the protocol it asks for.
    may_change_protocol: bool,
    /// It is there to fail inside.
    may_fail: bool,
    /// It answers by one message for each of its words.
    answers_by_messages: bool,
}

/// The commands that do not simply answer once, all of them.
fn manners(id: Option<CommandId>, last_word: &[u8]) -> Manners {
    let word = |text: &str| last_word.eq_ignore_ascii_case(text.as_bytes());
    Manners {
        may_be_silent: match id {
            Some(CommandId::ClientReply) => word("OFF") || word("SKIP"),
            Some(CommandId::Shutdown) => true,
            _ => false,
        },
        may_close: matches!(id, Some(CommandId::Quit | CommandId::Shutdown | CommandId::ClientKill)),
        may_change_protocol: matches!(id, Some(CommandId::Hello)),
        may_fail: matches!(id, Some(CommandId::DebugPanic)),
        answers_by_messages: id.is_some_and(subscribes),
    }
}

/// The commands that change what a client has subscribed to.
pub fn subscribes(id: CommandId) -> bool {
    use CommandId::{Psubscribe, Punsubscribe, Ssubscribe, Subscribe, Sunsubscribe, Unsubscribe};
    matches!(id, Subscribe | Psubscribe | Ssubscribe | Unsubscribe | Punsubscribe | Sunsubscribe)
}

/// Checks the confirmations of such a command.
fn check_confirmations(replies: &[Vec<u8>], protocol: Protocol) -> Result<(), String> {
    for reply in replies {
        let three = match decode(reply) {
            Ok(Some((Value::Push(items), _))) if protocol == Protocol::Resp3 => items,
            Ok(Some((Value::Array(items), _))) if protocol == Protocol::Resp2 => items,
            _ => return Err(format!("is not confirmed by {}", reply.escape_ascii())),
        };
        if !matches!(three[..], [Value::Bulk(_), Value::Bulk(_) | Value::Null, Value::Integer(0..)]) {
            return Err(format!("is not confirmed by {}", reply.escape_ascii()));
        }
    }
    Ok(())
}

/// What the words name, and how many arguments follow.
pub fn named(words: &[Vec<u8>]) -> Option<(&'static CommandInfo, usize)> {
    let mut argv = ArgvBuf::new();
    words.iter().for_each(|word| argv.push(word));
    match resolve(argv.as_argv()) {
        Resolved::Command { id, words: name } => Some((id.info(), words.len() - name)),
        _ => None,
    }
}

/// Checks what the parsers make of a command: words that are understood are understood the same when they are written anew, and have the
/// same keys then.
///
/// # Errors
/// What is wrong, in a sentence.
pub fn check_parsers(words: &[Vec<u8>]) -> Result<(), String> {
    let Some((info, arguments)) = named(words) else { return Ok(()) };
    let mut argv = ArgvBuf::new();
    words[words.len() - arguments..].iter().for_each(|word| argv.push(word));
    let mut once = ArgvBuf::new();
    if reencode(info.id, argv.as_argv(), &mut once).is_err() || info.args.is_empty() {
        return Ok(());
    }
    let mut twice = ArgvBuf::new();
    reencode(info.id, once.as_argv(), &mut twice)
        .map_err(|error| format!("is understood, but not when written anew: {error}"))?;
    let list = |argv: &ArgvBuf| argv.as_argv().iter().map(<[u8]>::to_vec).collect::<Vec<_>>();
    compare(&list(&once), &list(&twice))?;
    compare(&keys_of(info.id, &argv)?, &keys_of(info.id, &once)?)
}

fn keys_of(id: CommandId, argv: &ArgvBuf) -> Result<Vec<Vec<u8>>, String> {
    let mut found = Vec::new();
    let argv = argv.as_argv();
    let outcome = keys(id, argv, &mut |at, _| found.push(argv.get(at).map(<[u8]>::to_vec)));
    outcome.map_err(|error| format!("is understood, but its keys are not found: {error}"))?;
    found.into_iter().collect::<Option<Vec<_>>>().ok_or_else(|| "has a key where there is no word".to_owned())
}

fn compare(before: &[Vec<u8>], after: &[Vec<u8>]) -> Result<(), String> {
    let line =
        |words: &[Vec<u8>]| words.iter().map(|word| word.escape_ascii().to_string()).collect::<Vec<_>>().join(" ");
    if before == after {
        Ok(())
    } else {
        Err(format!("changes when written anew: `{}` is `{}` then", line(before), line(after)))
    }
}

/// Checks one exchange. The value is the reply, when there is one.
///
/// # Errors
/// What is wrong with it, in a sentence.
pub fn judge(exchange: &Exchange<'_>, bounds: &Bounds) -> Result<Option<Value>, String> {
    let named = named(exchange.words);
    let manners = manners(named.map(|(info, _)| info.id), exchange.words.last().map_or(&[][..], Vec::as_slice));
    if exchange.over && !manners.may_close {
        return Err("closed the connection".to_owned());
    }
    let bytes: usize = exchange.replies.iter().map(Vec::len).sum();
    if bytes > bounds.reply_bytes_max {
        return Err(format!("replied with {bytes} bytes, the bound is {}", bounds.reply_bytes_max));
    }
    let is_error = |reply: &Vec<u8>| reply.first() == Some(&b'-');
    if manners.answers_by_messages && !exchange.replies.is_empty() && !is_error(&exchange.replies[0]) {
        return check_confirmations(exchange.replies, exchange.protocol).map(|()| None);
    }
    let reply = match exchange.replies {
        [] if manners.may_be_silent => return Ok(None),
        [] => return Err("never answered".to_owned()),
        [reply] => reply,
        several => return Err(format!("answered {} times", several.len())),
    };
    let value = match decode(reply) {
        Ok(Some((value, len))) if len == reply.len() => value,
        other => return Err(format!("reply is not well-formed ({other:?}): {}", reply.escape_ascii())),
    };
    if let Value::Error(text) = &value {
        if manners.may_fail && is_failure(text) {
            return Ok(Some(value));
        }
        check_error(text, named, exchange.whole)?;
        return Ok(Some(value));
    }
    let Some((info, arguments)) = named else {
        return Err(format!("names no command, but the reply is {}", shape::shown(&value)));
    };
    if !info.arity_allows(arguments) {
        let (arity, shown) = (info.arity, shape::shown(&value));
        return Err(format!("has {arguments} arguments, which its arity {arity} forbids, but the reply is {shown}"));
    }
    let fits = shape::fits(info.reply, &value, exchange.protocol);
    if manners.may_change_protocol && Protocol::ALL.iter().any(|one| shape::fits(info.reply, &value, *one).is_ok()) {
        return Ok(Some(value));
    }
    fits.map(|()| Some(value))
}

/// True for the error of a handler that panicked.
pub fn is_failure(error: &[u8]) -> bool {
    error == CommandError::Internal.to_string().as_bytes()
}

/// Checks the text of an error, and that it complains of the number of words exactly when that is wrong.
fn check_error(text: &[u8], named: Option<(&CommandInfo, usize)>, whole: bool) -> Result<(), String> {
    let shown = text.escape_ascii();
    let code = text.split(|byte| *byte == b' ').next().unwrap_or_default();
    if code.is_empty() || !code.iter().all(u8::is_ascii_uppercase) {
        return Err(format!("an error without a code word: {shown}"));
    }
    if text.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        return Err(format!("an error over several lines: {shown}"));
    }
    let is_fenced = text == CommandError::Fenced.to_string().as_bytes();
    if is_failure(text) || is_fenced {
        return Err(format!("a handler failed: {shown}"));
    }
    let Some((info, arguments)) = named else { return Ok(()) };
    let own = CommandError::WrongArity(info.name).to_string();
    let is_arity = text == own.as_bytes();
    if !info.arity_allows(arguments) && !is_arity {
        return Err(format!(
            "has {arguments} arguments, which its arity {} forbids, but the error is: {shown}",
            info.arity
        ));
    }
    let of_another = text.starts_with(b"ERR wrong number of arguments for ") && !is_arity;
    if of_another {
        return Err(format!("complains of another command's arity: {shown}"));
    }
    // Beyond what the arity says, a row may refuse words that are left over, and groups that are not full.
    let surplus = most_words(info.args).is_none_or(|most| arguments > most);
    if is_arity && info.arity_allows(arguments) && (whole || !(surplus || has_groups(info.args))) {
        return Err(format!("has {arguments} arguments, which its arity {} allows, but: {shown}", info.arity));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(words: &str, protocol: Protocol, replies: &[&str]) -> Result<(), String> {
        let words: Vec<Vec<u8>> = words.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        let replies: Vec<Vec<u8>> = replies.iter().map(|reply| reply.as_bytes().to_vec()).collect();
        let exchange = Exchange { words: &words, protocol, whole: true, replies: &replies, over: false };
        judge(&exchange, &Bounds { reply_bytes_max: 1000, ..Bounds::default() }).map(drop)
    }

    #[track_caller]
    fn noticed(words: &str, protocol: Protocol, replies: &[&str], complaint: &str) {
        let said = verdict(words, protocol, replies).expect_err(words);
        assert!(said.contains(complaint), "{words}: {said}");
    }

    #[test]
    fn good_exchanges_pass() {
        use Protocol::{Resp2, Resp3};
        for (words, protocol, reply) in [
            ("GET k", Resp2, "$1\r\nv\r\n"),
            ("get k", Resp3, "_\r\n"),
            ("GET k", Resp2, "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
            ("GET", Resp2, "-ERR wrong number of arguments for 'get' command\r\n"),
            ("LPOP k 1", Resp2, "*-1\r\n"),
            ("NOSUCH k", Resp2, "-ERR unknown command 'NOSUCH', with args beginning with: 'k' \r\n"),
            ("HELLO 3", Resp2, "%0\r\n"),
            ("SMEMBERS k", Resp3, "~0\r\n"),
        ] {
            assert_eq!(verdict(words, protocol, &[reply]), Ok(()), "{words}");
        }
        assert_eq!(verdict("CLIENT REPLY OFF", Resp2, &[]), Ok(()));
        assert_eq!(verdict("SHUTDOWN", Resp2, &[]), Ok(()));
    }

    #[test]
    fn words_that_change_are_noticed() {
        let words = |line: &str| line.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
        assert_eq!(check_parsers(&words("set k v px 100 nx")), Ok(()));
        assert_eq!(check_parsers(&words("ZUNIONSTORE d 2 a b WEIGHTS 1 2.5 AGGREGATE MAX")), Ok(()));
        let said = compare(&words("k v NX"), &words("k v")).expect_err("a word is gone");
        assert!(said.contains("changes when written anew"), "{said}");
    }

    #[test]
    fn every_planted_fault_is_noticed() {
        use Protocol::{Resp2, Resp3};
        noticed("GET k", Resp2, &[], "never answered");
        noticed("CLIENT REPLY ON", Resp2, &[], "never answered");
        noticed("GET k", Resp2, &["$-1\r\n", "$-1\r\n"], "answered 2 times");
        noticed("GET k", Resp2, &["$5\r\nab\r\n"], "well-formed");
        noticed("GET k", Resp2, &["$-1\r\n+OK\r\n"], "well-formed");
        noticed("GET k", Resp2, &["?\r\n"], "well-formed");
        noticed("GET k", Resp2, &[":1\r\n"], "declared as `bulk?`");
        noticed("GET k", Resp2, &["*-1\r\n"], "declared as `bulk?`");
        noticed("SET k v", Resp2, &["+QUEUED\r\n"], "declared as `ok|bulk?`");
        noticed("SMEMBERS k", Resp2, &["~0\r\n"], "does not exist in Resp2");
        noticed("SMEMBERS k", Resp3, &["*0\r\n"], "declared as `set<bulk>`");
        noticed("ZSCORE k m", Resp2, &[",1\r\n"], "does not exist in Resp2");
        noticed("GET", Resp2, &["$-1\r\n"], "forbids");
        noticed("GET k k", Resp2, &["-ERR syntax error\r\n"], "forbids");
        noticed("GET k", Resp2, &["-ERR wrong number of arguments for 'get' command\r\n"], "allows");
        noticed("LMPOP 1 k LEFT", Resp2, &["-ERR wrong number of arguments for 'lmpop' command\r\n"], "allows");
        noticed("GET k", Resp2, &["-ERR wrong number of arguments for 'set' command\r\n"], "another command's arity");
        noticed("GET k", Resp2, &["-no code word\r\n"], "code word");
        noticed("GET k", Resp2, &["-ERR two\nlines\r\n"], "several lines");
        noticed("GET k", Resp2, &[&format!("-{}\r\n", CommandError::Internal)], "a handler failed");
        noticed("NOSUCH k", Resp2, &["+OK\r\n"], "names no command");
        noticed("GET k", Resp2, &[&format!("$2000\r\n{}\r\n", "x".repeat(2000))], "the bound is 1000");
        let words = [b"GET".to_vec(), b"k".to_vec()];
        let replies = [b"$-1\r\n".to_vec()];
        let closed = Exchange { words: &words, protocol: Resp2, whole: true, replies: &replies, over: true };
        let said = judge(&closed, &Bounds::default()).expect_err("GET does not close");
        assert!(said.contains("closed the connection"), "{said}");
    }
}
