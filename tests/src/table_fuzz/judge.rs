//! What must be true of every exchange, whatever was said.
//!
//! Owns: the checks of one command with its replies, and the few commands that may answer otherwise. Refuses to know: who sent the
//! command and where it ran. Start at [`judge`].

use kora_runtime::argv::ArgvBuf;
use kora_runtime::error::CommandError;
use kora_runtime::table::{CommandId, CommandInfo, Flags, Merge, Resolved, Route, keys, reencode, resolve};

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
    /// It waited, for keys or for time, until that was ended in vain.
    pub waited: bool,
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
    /// It may wait until somebody or time lets it go.
    may_wait: bool,
}

/// The commands that do not simply answer once, all of them.
fn manners(info: Option<&CommandInfo>, last_word: &[u8]) -> Manners {
    let id = info.map(|info| info.id);
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
        answers_by_messages: info.is_some_and(subscribes),
        may_wait: info.is_some_and(waits_for_keys)
            || matches!(id, Some(CommandId::Wait | CommandId::Waitaof | CommandId::Shutdown)),
    }
}

/// Commands that change what a client has subscribed to: all shards take part, and the client's own puts the reply together.
pub fn subscribes(info: &CommandInfo) -> bool {
    info.group == "pubsub" && matches!(info.route, Route::Scatter(Merge::Custom(_)))
}

/// False for commands after which a connection may not be as it was before.
pub fn leaves_its_connection_as_it_was(info: &CommandInfo) -> bool {
    let changes = info.route == Route::Connection
        && !matches!(info.id, CommandId::Wait | CommandId::Waitaof | CommandId::Shutdown);
    !changes && !subscribes(info) && info.group != "transactions"
}

/// Commands that may wait for keys. Whatever they declare, who waited in vain gets the null of arrays.
fn waits_for_keys(info: &CommandInfo) -> bool {
    info.flags.contains(Flags::BLOCKING)
}

/// What has to be said before a command, which else is refused whatever its words are.
pub fn said_before(id: CommandId) -> &'static [&'static str] {
    match id {
        CommandId::Exec | CommandId::Discard => &["MULTI"],
        CommandId::ClientCaching => &["CLIENT", "TRACKING", "ON", "OPTIN"],
        _ => &[],
    }
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
    let manners = manners(named.map(|(info, _)| info), exchange.words.last().map_or(&[][..], Vec::as_slice));
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
    let value = whole_value(reply)?;
    if exchange.waited {
        if !manners.may_wait {
            return Err(format!("waited, and then the reply was {}", shape::shown(&value)));
        }
        check_waited(named.is_some_and(|(info, _)| waits_for_keys(info)), exchange.protocol, &value)?;
    }
    if let Value::Error(text) = &value
        && manners.may_fail
        && is_failure(text)
    {
        return Ok(Some(value));
    }
    let in_vain = value == Value::NullArray && exchange.protocol == Protocol::Resp2;
    if in_vain && named.is_some_and(|(info, arguments)| waits_for_keys(info) && info.arity_allows(arguments)) {
        return Ok(Some(value));
    }
    let protocols: &[Protocol] = if manners.may_change_protocol { &Protocol::ALL } else { &[exchange.protocol] };
    check_value(named, exchange.whole, protocols, &value).map(|()| Some(value))
}

/// Checks the reply to a command that waited, and was not served.
fn check_waited(for_keys: bool, protocol: Protocol, value: &Value) -> Result<(), String> {
    let is_right = match value {
        // Who waits for the end hears that there is none.
        Value::Error(text) => text.starts_with(b"UNBLOCKED ") || text.starts_with(b"ERR Errors trying to SHUTDOWN"),
        Value::NullArray => for_keys && protocol == Protocol::Resp2,
        Value::Null => for_keys && protocol == Protocol::Resp3,
        // Those that wait for time say what they have.
        _ => !for_keys,
    };
    if is_right { Ok(()) } else { Err(format!("waited in vain, but the reply is {}", shape::shown(value))) }
}

/// Checks one reply: an error's text, or that the row declares it, in one of these protocols.
fn check_value(
    named: Option<(&CommandInfo, usize)>,
    whole: bool,
    protocols: &[Protocol],
    value: &Value,
) -> Result<(), String> {
    if let Value::Error(text) = value {
        return check_error(text, named, whole);
    }
    let Some((info, arguments)) = named else {
        return Err(format!("names no command, but the reply is {}", shape::shown(value)));
    };
    if !info.arity_allows(arguments) {
        let (arity, shown) = (info.arity, shape::shown(value));
        return Err(format!("has {arguments} arguments, which its arity {arity} forbids, but the reply is {shown}"));
    }
    let mut verdicts = protocols.iter().map(|protocol| shape::fits(info.reply, value, *protocol));
    let first = verdicts.next().unwrap_or(Ok(()));
    if verdicts.any(|verdict| verdict.is_ok()) { Ok(()) } else { first }
}

/// Checks what came of MULTI, these commands and EXEC, and returns how many commands ran. With watched keys, none may have.
///
/// # Errors
/// What is wrong with it, in a sentence, and the words it is about.
pub fn judge_transaction(
    lines: &[&[Vec<u8>]],
    protocol: Protocol,
    watched: bool,
    replies: &[&Vec<u8>],
    bounds: &Bounds,
) -> Result<usize, (Vec<Vec<u8>>, String)> {
    let plain = |what: String| (Vec::new(), what);
    let bytes: usize = replies.iter().map(|reply| reply.len()).sum();
    if bytes > bounds.reply_bytes_max {
        return Err(plain(format!("replied with {bytes} bytes, the bound is {}", bounds.reply_bytes_max)));
    }
    let [multi, queued @ .., exec] = replies else { return Err(plain(format!("{} replies", replies.len()))) };
    if multi[..] != *b"+OK\r\n" || queued.len() != lines.len() {
        return Err(plain(format!(
            "MULTI and {} commands got {} replies before EXEC's",
            lines.len(),
            queued.len() + 1
        )));
    }
    let mut accepted = Vec::new();
    let mut aborted = false;
    for (words, reply) in lines.iter().zip(queued) {
        let about = |what: String| (words.to_vec(), what);
        let named = named(words);
        let value = whole_value(reply).map_err(about)?;
        match &value {
            Value::Simple(text) if text == b"QUEUED" => match named {
                Some((info, arguments)) if info.arity_allows(arguments) && !info.flags.contains(Flags::NO_MULTI) => {
                    accepted.push((words, info, arguments));
                }
                _ => return Err(about("should not be queued".to_owned())),
            },
            Value::Error(text) => {
                check_error(text, named, false).map_err(about)?;
                // These two are refused without harm to the transaction, unless it is for the number of their words.
                let harmless = |(info, arguments): (&CommandInfo, usize)| {
                    matches!(info.id, CommandId::Multi | CommandId::Watch) && info.arity_allows(arguments)
                };
                aborted |= !named.is_some_and(harmless);
            }
            other => return Err(about(format!("is answered inside MULTI by {}", shape::shown(other)))),
        }
    }
    let results = match whole_value(exec).map_err(plain)? {
        Value::Error(text) if aborted && text.starts_with(b"EXECABORT ") => return Ok(0),
        Value::NullArray if watched && !aborted && protocol == Protocol::Resp2 => return Ok(0),
        Value::Null if watched && !aborted && protocol == Protocol::Resp3 => return Ok(0),
        Value::Array(results) if !aborted => results,
        other => return Err(plain(format!("EXEC (aborted: {aborted}) replies {}", shape::shown(&other)))),
    };
    if results.len() != accepted.len() {
        return Err(plain(format!("{} commands were queued, EXEC has {} replies", accepted.len(), results.len())));
    }
    for ((words, info, arguments), value) in accepted.into_iter().zip(&results) {
        let verdict = check_value(Some((info, arguments)), false, &[protocol], value);
        verdict.map_err(|what| (words.to_vec(), format!("in EXEC: {what}")))?;
    }
    Ok(results.len())
}

/// The value that fills a reply.
fn whole_value(reply: &[u8]) -> Result<Value, String> {
    match decode(reply) {
        Ok(Some((value, len))) if len == reply.len() => Ok(value),
        other => Err(format!("reply is not well-formed ({other:?}): {}", reply.escape_ascii())),
    }
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
    // Whatever keeps EXEC from running ends the transaction, and it says so.
    let cause =
        text.strip_prefix(b"EXECABORT Transaction discarded because of: ").filter(|_| info.id == CommandId::Exec);
    let is_arity =
        text == own.as_bytes() || cause.is_some_and(|cause| own.as_bytes().strip_prefix(b"ERR ") == Some(cause));
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
        let exchange = Exchange { words: &words, protocol, whole: true, replies: &replies, waited: false, over: false };
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

    /// What is made of MULTI, GET, a broken or a whole LPUSH, and EXEC.
    fn transaction(push: &str, watched: bool, replies: &[&str]) -> Result<usize, String> {
        let words = |line: &str| line.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
        let (get, push) = (words("GET k"), words(push));
        let replies: Vec<Vec<u8>> = replies.iter().map(|reply| reply.as_bytes().to_vec()).collect();
        let replies: Vec<&Vec<u8>> = replies.iter().collect();
        let bounds = Bounds { reply_bytes_max: 1000, ..Bounds::default() };
        judge_transaction(&[&get, &push], Protocol::Resp2, watched, &replies, &bounds).map_err(|(_, what)| what)
    }

    #[test]
    fn good_transactions_pass_and_faults_in_them_are_noticed() {
        const QUEUED: &str = "+QUEUED\r\n";
        let arity = "-ERR wrong number of arguments for 'lpush' command\r\n";
        let whole = |watched, exec| transaction("LPUSH l a", watched, &["+OK\r\n", QUEUED, QUEUED, exec]);
        assert_eq!(whole(false, "*2\r\n$-1\r\n:1\r\n"), Ok(2));
        assert_eq!(whole(false, "*2\r\n-WRONGTYPE not this\r\n:1\r\n"), Ok(2));
        assert_eq!(whole(true, "*-1\r\n"), Ok(0));
        let aborted = |exec| transaction("LPUSH l", false, &["+OK\r\n", QUEUED, arity, exec]);
        assert_eq!(aborted("-EXECABORT Transaction discarded because of previous errors.\r\n"), Ok(0));
        for (said, complaint) in [
            (whole(false, "*-1\r\n"), "EXEC (aborted: false) replies"),
            (whole(false, "*1\r\n$-1\r\n"), "2 commands were queued, EXEC has 1 replies"),
            (whole(false, "*2\r\n:1\r\n$-1\r\n"), "in EXEC: declared as `bulk?`"),
            (whole(false, "*2\r\n*-1\r\n:1\r\n"), "in EXEC: declared as `bulk?`"),
            (whole(false, "-EXECABORT why\r\n"), "EXEC (aborted: false) replies"),
            (aborted("*1\r\n$-1\r\n"), "EXEC (aborted: true) replies"),
            (transaction("LPUSH l", false, &["+OK\r\n", QUEUED, QUEUED, "*0\r\n"]), "should not be queued"),
            (
                transaction("LPUSH l a", false, &["+OK\r\n", QUEUED, ":1\r\n", "*1\r\n$-1\r\n"]),
                "is answered inside MULTI",
            ),
            (transaction("LPUSH l a", false, &["+OK\r\n", QUEUED, "*1\r\n$-1\r\n"]), "got 2 replies before"),
        ] {
            let said = said.expect_err(complaint);
            assert!(said.contains(complaint), "{said}");
        }
    }

    #[test]
    fn waiting_ends_with_the_null_of_arrays() {
        let ended = |words: &str, reply: &str| {
            let words: Vec<Vec<u8>> = words.split(' ').map(|word| word.as_bytes().to_vec()).collect();
            let (protocol, replies) = (Protocol::Resp2, [reply.as_bytes().to_vec()]);
            let exchange =
                Exchange { words: &words, protocol, whole: true, replies: &replies, waited: true, over: false };
            judge(&exchange, &Bounds::default()).is_ok()
        };
        assert!(ended("BLMOVE a b LEFT LEFT 0", "*-1\r\n") && ended("BLPOP a 0", "-UNBLOCKED as was asked\r\n"));
        assert!(!ended("BLMOVE a b LEFT LEFT 0", "$-1\r\n") && !ended("BLPOP a 0", "*2\r\n$1\r\na\r\n$1\r\nx\r\n"));
        assert!(ended("WAIT 1 100", ":0\r\n") && !ended("WAIT 1 100", "*-1\r\n"));
        assert!(!ended("LPOP a", "$-1\r\n"), "it may not wait");
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
        let closed =
            Exchange { words: &words, protocol: Resp2, whole: true, replies: &replies, waited: false, over: true };
        let said = judge(&closed, &Bounds::default()).expect_err("GET does not close");
        assert!(said.contains("closed the connection"), "{said}");
    }
}
