//! Drives a target through a transcript and compares.
//!
//! Owns: what happens at each step, and how a mismatch is shown. Refuses to know: files, and what stands behind a target.
//! Start at [`Target`]; [`check`] is what a test calls, [`run`] what it is made of.
//!
//! A new target implements [`Target`] and loops over [`files`](crate::transcript::files), as `tests/oracle.rs` does:
//! `check(&mut target, &Transcript::load(&path)?.0)`. A server behind an address is a [`TcpTarget`](crate::tcp::TcpTarget) already. An
//! engine in this process hands bytes to its sessions: [`encode`](crate::resp::encode) makes them from an argument vector,
//! [`decode`](crate::resp::decode) takes replies from what came back.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;

use kora_runtime::argv::ArgvBuf;
use kora_runtime::table::{CommandId, Resolved, Route, resolve};

use crate::expected::Expected;
use crate::resp::{Protocol, Value};
use crate::transcript::{Action, Audience, Expect, Step, Transcript};
use crate::words;

/// Something that replies: a server, or an engine in this process.
pub trait Target {
    /// Its name, for messages.
    fn name(&self) -> String;
    /// True for redis-server, which skips what is Kora's alone.
    fn is_oracle(&self) -> bool {
        false
    }
    /// Forgets everything: no keys, the settings it started with, no connections.
    fn reset(&mut self) -> Result<(), String>;
    /// Opens a connection, which speaks RESP2, and returns its number.
    fn connect(&mut self) -> Result<usize, String>;
    /// Makes a new connection speak `protocol`; false when the target refuses.
    fn set_protocol(&mut self, client: usize, protocol: Protocol) -> Result<bool, String> {
        if protocol == Protocol::Resp2 {
            return Ok(true);
        }
        self.send(client, &[b"HELLO".to_vec(), b"3".to_vec()])?;
        match self.receive(client)? {
            Received::Value(value) => Ok(!value.is_error()),
            Received::Closed => Err("closed a new connection".into()),
        }
    }
    /// Sends a command. A connection that is closed already is no failure: that shows when a reply is read.
    fn send(&mut self, client: usize, argv: &[Vec<u8>]) -> Result<(), String>;
    /// Sends bytes as they are.
    fn send_raw(&mut self, client: usize, bytes: &[u8]) -> Result<(), String>;
    /// Reads one reply.
    fn receive(&mut self, client: usize) -> Result<Received, String>;
    /// Moves time.
    fn advance(&mut self, ms: u64) -> Result<(), String>;
}

/// What came from a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A reply.
    Value(Value),
    /// The end of the connection.
    Closed,
}

/// One place where a target did not do what the transcript says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// File and line of the reply.
    pub place: String,
    /// Who replied, and in which protocol.
    pub target: String,
    /// The command, as it is written.
    pub command: String,
    /// The lines of the reply that should have come.
    pub expected: Vec<String>,
    /// The lines of the reply that came.
    pub got: Vec<String>,
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(out, "{} ({}): {}", self.place, self.target, self.command)?;
        let same = |pairs: &mut dyn Iterator<Item = (&String, &String)>| pairs.take_while(|(a, b)| a == b).count();
        let front = same(&mut self.expected.iter().zip(&self.got));
        let (expected, got) = (&self.expected[front..], &self.got[front..]);
        let back = same(&mut expected.iter().rev().zip(got.iter().rev()));
        let around = |out: &mut std::fmt::Formatter<'_>, lines: &[String], mark| {
            lines.iter().try_for_each(|line| writeln!(out, "    {mark} {line}"))
        };
        around(out, &self.expected[front.saturating_sub(3)..front], ' ')?;
        around(out, &expected[..expected.len() - back], '-')?;
        around(out, &got[..got.len() - back], '+')?;
        around(out, &got[got.len() - back..got.len() - back.saturating_sub(3)], ' ')
    }
}

/// What an [`Expect`] step saw.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Index of the step.
    pub step: usize,
    /// The protocol of the connection at that moment.
    pub protocol: Protocol,
    /// What came; `None` for the end of the connection.
    pub got: Option<Expected>,
    /// True when it is what the transcript says.
    pub right: bool,
}

/// What came of a run.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Where the target was wrong.
    pub mismatches: Vec<Mismatch>,
    /// Every reply that was read for an [`Expect`] step.
    pub seen: Vec<Seen>,
    /// Where and why the run broke off; the last of the mismatches says so too.
    pub broken: Option<String>,
    /// How often something was sent between commands.
    pub between: usize,
    /// How often that was refused.
    pub refused: usize,
}

/// Runs `transcript` in every protocol that it is for and returns all mismatches as text, or nothing.
pub fn check(target: &mut dyn Target, transcript: &Transcript) -> Result<(), String> {
    let mut text = String::new();
    for protocol in Protocol::ALL {
        if transcript.protocol.is_none_or(|only| only == protocol) {
            for mismatch in run(target, transcript, protocol).mismatches {
                let _ = writeln!(text, "{mismatch}");
            }
        }
    }
    if text.is_empty() { Ok(()) } else { Err(text) }
}

/// Runs `transcript` on connections that begin in `protocol`. A failure of the target itself ends the run as a mismatch.
pub fn run(target: &mut dyn Target, transcript: &Transcript, protocol: Protocol) -> Report {
    run_with(target, transcript, protocol, None)
}

/// As [`run`], with `between` sent by a connection of its own behind each command that is not about its connection and has had its replies, while no
/// client is within MULTI, watches keys or is paused.
pub fn run_with(
    target: &mut dyn Target,
    transcript: &Transcript,
    protocol: Protocol,
    between: Option<&[&str]>,
) -> Report {
    let label = format!("{}, RESP{}", target.name(), protocol.number());
    let mut run = Run {
        target,
        transcript,
        protocol,
        clients: HashMap::new(),
        current: "main".into(),
        command: String::new(),
        kept: HashMap::new(),
        observer: None,
        between: None,
        occupied: BTreeMap::new(),
        paused: false,
        is_about_connection: false,
        scan: None,
        label,
        report: Report::default(),
    };
    let mut line = 1;
    let outcome = run.target.reset().and_then(|()| {
        if let Some(words) = between {
            let words = words.iter().map(|word| word.as_bytes().to_vec()).collect();
            run.between = Some((run.target.connect()?, words));
        }
        transcript.steps.iter().enumerate().try_for_each(|(index, step)| {
            line = step.line;
            run.step(index, step)?;
            let is_reply = |step: &Step| matches!(step.action, Action::Expect(_));
            let is_last = is_reply(step) && !transcript.steps.get(index + 1).is_some_and(is_reply);
            if is_last { run.between() } else { Ok(()) }
        })
    });
    if let Err(text) = outcome {
        run.report.broken = Some(format!("{}:{line}: {text}", transcript.name));
        run.mismatch(line, vec![], vec![format!("({text})")]);
    }
    run.report
}

/// Why a client may hear of what is sent between its commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occupied {
    Watching,
    InMulti,
}

/// A connection, as the runner knows it.
struct Client {
    number: usize,
    protocol: Protocol,
    /// The protocol that the HELLO which was just sent asks for.
    asked: Option<Protocol>,
}

struct Run<'a> {
    target: &'a mut dyn Target,
    transcript: &'a Transcript,
    protocol: Protocol,
    clients: HashMap<String, Client>,
    current: String,
    command: String,
    /// Texts of replies, by the names they were kept under.
    kept: HashMap<String, Vec<u8>>,
    /// The connection that asks how many clients wait, once there is one.
    observer: Option<usize>,
    /// What is sent between commands, and by which connection.
    between: Option<(usize, Vec<Vec<u8>>)>,
    /// Clients that queue commands or watch keys.
    occupied: BTreeMap<String, Occupied>,
    /// Commands wait until clients are unpaused.
    paused: bool,
    /// The last command was about its connection.
    is_about_connection: bool,
    /// The command that has to be called again, and where its cursor stands.
    scan: Option<(Vec<Vec<u8>>, usize)>,
    label: String,
    report: Report,
}

impl Run<'_> {
    fn step(&mut self, index: usize, step: &Step) -> Result<(), String> {
        let skipped = if self.target.is_oracle() { Audience::Kora } else { Audience::Oracle };
        if step.audience == skipped {
            return Ok(());
        }
        match &step.action {
            Action::Client(name) => {
                self.current.clone_from(name);
                self.client().map(|_| ())
            }
            Action::Advance(ms) => self.target.advance(*ms),
            Action::Blocked(count) => self.until_blocked(*count),
            Action::Send(argv) => self.send(argv),
            Action::Scan(argv) => {
                let cursor_at = if argv[0].eq_ignore_ascii_case(b"SCAN") { 1 } else { 2 };
                if argv.len() <= cursor_at {
                    return Err("`@ scan` is for a command with a cursor".into());
                }
                self.scan = Some((argv.clone(), cursor_at));
                self.send(argv)
            }
            Action::Raw(bytes) => {
                let bytes = self.filled_in(bytes);
                self.command = format!("raw {}", words::quote(&bytes));
                let number = self.client()?.number;
                self.target.send_raw(number, &bytes)
            }
            Action::Closed => {
                let number = self.client()?.number;
                let received = self.target.receive(number)?;
                self.clients.remove(&self.current);
                if let Received::Value(value) = received {
                    self.mismatch(
                        step.line,
                        vec!["(the end of the connection)".into()],
                        Expected::from(&value).lines(),
                    );
                }
                Ok(())
            }
            Action::Expect(expect) => self.expect(index, step.line, expect),
        }
    }

    /// Asks until this many clients wait: what they sent has arrived then, and nobody has served them.
    fn until_blocked(&mut self, count: u64) -> Result<(), String> {
        const CALLS_MAX: usize = 100_000;
        let observer = match self.observer {
            Some(observer) => observer,
            None => *self.observer.insert(self.target.connect()?),
        };
        let mut last = None;
        for _ in 0..CALLS_MAX {
            self.target.send(observer, &[b"INFO".to_vec(), b"clients".to_vec()])?;
            let Received::Value(reply) = self.target.receive(observer)? else {
                return Err("closed the connection that asks for waiting clients".into());
            };
            last = reply.bytes().and_then(blocked_clients);
            if last == Some(count) {
                return Ok(());
            }
            std::thread::yield_now();
        }
        let found = last.map_or_else(|| "an unknown number".to_owned(), |last| last.to_string());
        Err(format!("{found} of {count} clients wait in blocking commands"))
    }

    fn send(&mut self, argv: &[Vec<u8>]) -> Result<(), String> {
        let argv: Vec<Vec<u8>> = argv.iter().map(|word| self.filled_in(word)).collect();
        self.command = show(&argv);
        self.note(&argv);
        let client = self.client()?;
        client.asked = asked_protocol(&argv);
        let number = client.number;
        self.target.send(number, &argv)
    }

    /// Notes what decides whether anything is sent behind a command.
    fn note(&mut self, argv: &[Vec<u8>]) {
        let mut words = ArgvBuf::new();
        argv.iter().for_each(|word| words.push(word));
        let Resolved::Command { id, .. } = resolve(words.as_argv()) else { return };
        let client = || self.current.clone();
        match id {
            CommandId::Multi => drop(self.occupied.insert(client(), Occupied::InMulti)),
            CommandId::Watch => drop(self.occupied.entry(client()).or_insert(Occupied::Watching)),
            CommandId::Unwatch if self.occupied.get(&self.current) == Some(&Occupied::InMulti) => {}
            CommandId::Exec | CommandId::Discard | CommandId::Unwatch | CommandId::Reset => {
                self.occupied.remove(&self.current);
            }
            CommandId::ClientPause => self.paused = true,
            CommandId::ClientUnpause => self.paused = false,
            _ => {}
        }
        self.is_about_connection = id.info().route == Route::Connection && id != CommandId::Exec;
    }

    /// Sends what is to be sent between commands.
    fn between(&mut self) -> Result<(), String> {
        let Some((number, words)) = &mut self.between else { return Ok(()) };
        if !self.occupied.is_empty() || self.paused || self.is_about_connection {
            return Ok(());
        }
        self.target.send(*number, words)?;
        match self.target.receive(*number)? {
            Received::Value(reply) if reply.is_error() => self.report.refused += 1,
            Received::Value(_) => self.report.between += 1,
            // The transcript has closed it.
            Received::Closed => *number = self.target.connect()?,
        }
        Ok(())
    }

    /// A word with what was kept in the place of its name.
    fn filled_in(&self, word: &[u8]) -> Vec<u8> {
        let mut filled = word.to_vec();
        for (name, text) in &self.kept {
            let mark = format!("%{name}%");
            while let Some(at) = filled.windows(mark.len()).position(|part| part == mark.as_bytes()) {
                filled.splice(at..at + mark.len(), text.iter().copied());
            }
        }
        filled
    }

    /// Goes on with a scan that has begun with the reply `first`, until its cursor is 0.
    fn scan_on(&mut self, first: Value, argv: &[Vec<u8>], cursor_at: usize) -> Result<Value, String> {
        const CALLS_MAX: usize = 100_000;
        let pairs = argv[0].eq_ignore_ascii_case(b"HSCAN") || argv[0].eq_ignore_ascii_case(b"ZSCAN");
        let mut argv = argv.to_vec();
        let mut found: BTreeSet<Vec<Vec<u8>>> = BTreeSet::new();
        let mut page = first;
        for _ in 0..CALLS_MAX {
            let Value::Array(parts) = &page else { return Ok(page) };
            let [Value::Bulk(cursor), Value::Array(items)] = &parts[..] else { return Ok(page) };
            let texts: Vec<Vec<u8>> = items.iter().filter_map(|item| item.bytes().map(<[u8]>::to_vec)).collect();
            found.extend(texts.chunks(if pairs { 2 } else { 1 }).map(<[_]>::to_vec));
            if cursor == b"0" {
                let items = found.into_iter().flatten().map(Value::Bulk).collect();
                return Ok(Value::Array(vec![Value::Bulk(b"0".to_vec()), Value::Array(items)]));
            }
            argv[cursor_at].clone_from(cursor);
            let number = self.client()?.number;
            self.target.send(number, &argv)?;
            page = match self.target.receive(number)? {
                Received::Value(value) => value,
                Received::Closed => return Err("closed in the middle of a scan".into()),
            };
        }
        Err(format!("a scan did not end within {CALLS_MAX} calls"))
    }

    fn expect(&mut self, index: usize, line: usize, expect: &Expect) -> Result<(), String> {
        let protocol = self.client()?.protocol;
        if !expect.is_draft() && expect.reply(protocol).is_none() {
            return Ok(());
        }
        let client = self.client()?;
        let (number, asked) = (client.number, client.asked.take());
        let scan = self.scan.take();
        let got = match (self.target.receive(number)?, scan) {
            (Received::Closed, _) => None,
            (Received::Value(value), None) => Some(Expected::from(&value)),
            (Received::Value(value), Some((argv, cursor_at))) => {
                Some(Expected::from(&self.scan_on(value, &argv, cursor_at)?))
            }
        };
        if let (Some(name), Some(got)) = (&expect.keep, &got) {
            self.kept.insert(name.clone(), got.text.clone());
        }
        let mut protocol = protocol;
        if let (Some(asked), Some(got)) = (asked, &got)
            && got.kind != crate::expected::Kind::Error
            && got.text != b"QUEUED"
        {
            protocol = asked;
            self.client()?.protocol = asked;
        }
        let wanted = expect.reply(protocol).map(|wanted| wanted.map_texts(&|text| self.filled_in(text)));
        let excused = self.target.is_oracle() && expect.differs.is_some();
        let right = match (&wanted, &got) {
            (Some(wanted), Some(got)) => excused || wanted.admits(got, protocol, expect.leniency),
            _ => false,
        };
        if !right {
            let lines = wanted.as_ref().map(|wanted| wanted.in_protocol(protocol).lines()).unwrap_or_default();
            let got = got.as_ref().map_or_else(|| vec!["(the end of the connection)".into()], Expected::lines);
            self.mismatch(line, lines, got);
        }
        let closed = got.is_none();
        self.report.seen.push(Seen { step: index, protocol, got, right });
        if closed { Err("the connection was closed".into()) } else { Ok(()) }
    }

    fn client(&mut self) -> Result<&mut Client, String> {
        if !self.clients.contains_key(&self.current) {
            let number = self.target.connect()?;
            let agreed = self.target.set_protocol(number, self.protocol)?;
            let protocol = if agreed { self.protocol } else { Protocol::Resp2 };
            self.clients.insert(self.current.clone(), Client { number, protocol, asked: None });
        }
        Ok(self.clients.get_mut(&self.current).expect("it was put there above"))
    }

    fn mismatch(&mut self, line: usize, expected: Vec<String>, got: Vec<String>) {
        self.report.mismatches.push(Mismatch {
            place: format!("{}:{line}", self.transcript.name),
            target: self.label.clone(),
            command: self.command.clone(),
            expected,
            got,
        });
    }
}

/// The clients that wait in blocking commands, by the text of INFO.
fn blocked_clients(info: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(info).ok()?;
    text.lines().find_map(|line| line.strip_prefix("blocked_clients:")).and_then(|count| count.parse().ok())
}

/// The protocol that the connection speaks if this command succeeds; from the reply to the command itself on.
fn asked_protocol(argv: &[Vec<u8>]) -> Option<Protocol> {
    let name = argv.first()?.to_ascii_uppercase();
    match (&name[..], argv.get(1).map(Vec::as_slice)) {
        (b"HELLO", Some(b"2")) | (b"RESET", None) => Some(Protocol::Resp2),
        (b"HELLO", Some(b"3")) => Some(Protocol::Resp3),
        _ => None,
    }
}

fn show(argv: &[Vec<u8>]) -> String {
    const WORDS_MAX: usize = 20;
    let plain = |word: &Vec<u8>| !word.is_empty() && word.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'"');
    let mut shown: Vec<String> = argv
        .iter()
        .take(WORDS_MAX)
        .map(|word| if plain(word) { String::from_utf8_lossy(word).into_owned() } else { words::quote(word) })
        .collect();
    if argv.len() > WORDS_MAX {
        shown.push("…".into());
    }
    shown.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// Replies to everything with what it was given, in order.
    struct Scripted {
        replies: VecDeque<&'static str>,
        oracle: bool,
        clients: usize,
        log: Vec<String>,
    }

    impl Scripted {
        fn new(replies: &[&'static str]) -> Self {
            Self { replies: replies.iter().copied().collect(), oracle: false, clients: 0, log: Vec::new() }
        }
    }

    impl Target for Scripted {
        fn name(&self) -> String {
            "scripted".into()
        }
        fn is_oracle(&self) -> bool {
            self.oracle
        }
        fn reset(&mut self) -> Result<(), String> {
            self.log.push("reset".into());
            Ok(())
        }
        fn connect(&mut self) -> Result<usize, String> {
            self.clients += 1;
            Ok(self.clients)
        }
        fn set_protocol(&mut self, client: usize, protocol: Protocol) -> Result<bool, String> {
            self.log.push(format!("{client} speaks {}", protocol.number()));
            Ok(true)
        }
        fn send(&mut self, client: usize, argv: &[Vec<u8>]) -> Result<(), String> {
            self.log.push(format!("{client} {}", show(argv)));
            Ok(())
        }
        fn send_raw(&mut self, client: usize, bytes: &[u8]) -> Result<(), String> {
            self.log.push(format!("{client} raw {}", bytes.len()));
            Ok(())
        }
        fn receive(&mut self, _: usize) -> Result<Received, String> {
            match self.replies.pop_front() {
                None => Err("no reply in time".into()),
                Some("") => Ok(Received::Closed),
                Some(bytes) => {
                    let decoded = crate::resp::decode(bytes.as_bytes()).map_err(|error| error.to_string())?;
                    decoded.map(|(value, _)| Received::Value(value)).ok_or_else(|| "half a reply".into())
                }
            }
        }
        fn advance(&mut self, ms: u64) -> Result<(), String> {
            self.log.push(format!("{ms} ms"));
            Ok(())
        }
    }

    fn mismatches(text: &str, protocol: Protocol, replies: &[&'static str]) -> (Vec<Mismatch>, Vec<String>) {
        let transcript = Transcript::parse("t", text).expect(text);
        let mut target = Scripted::new(replies);
        let report = run(&mut target, &transcript, protocol);
        (report.mismatches, target.log)
    }

    #[test]
    fn steps_reach_the_connection_they_are_for() {
        let text =
            "> A b\n< +OK\n@ client x\n@ raw \"zz\"\n< :1\n@ advance 5ms\n@ client main\n> C\n@ closed\n> D\n< nil\n";
        let (wrong, log) = mismatches(text, Protocol::Resp2, &["+OK\r\n", ":1\r\n", "", "$-1\r\n"]);
        assert_eq!(wrong, []);
        let steps = ["reset", "1 speaks 2", "1 A b", "2 speaks 2", "2 raw 2", "5 ms", "1 C", "3 speaks 2", "3 D"];
        assert_eq!(log, steps);
    }

    #[test]
    fn a_mismatch_shows_place_command_and_difference() {
        let text = "> MGET a b c\n< *3\n  $1\n  nil\n  $3\n";
        let (wrong, _) = mismatches(text, Protocol::Resp2, &["*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n"]);
        let shown = "t:2 (scripted, RESP2): MGET a b c\n      *3\n        $1\n    -   nil\n    +   $2\n        $3\n";
        assert_eq!(wrong.iter().map(Mismatch::to_string).collect::<String>(), shown);
    }

    #[test]
    fn a_target_that_fails_ends_the_run() {
        let text = "> A\n< +OK\n> B\n< +OK\n";
        let (wrong, _) = mismatches(text, Protocol::Resp3, &[]);
        assert_eq!(wrong.len(), 1);
        assert_eq!(wrong[0].got, ["(no reply in time)"]);
        let transcript = Transcript::parse("t", text).expect(text);
        let report = run(&mut Scripted::new(&[]), &transcript, Protocol::Resp2);
        assert_eq!(report.broken.as_deref(), Some("t:2: no reply in time"));
        let (wrong, _) = mismatches(text, Protocol::Resp3, &["+OK\r\n", ""]);
        assert_eq!((wrong.len(), &wrong[0].place[..]), (2, "t:4"));
        let (wrong, _) = mismatches("> A\n@ closed\n", Protocol::Resp3, &["+OK\r\n"]);
        assert_eq!(wrong[0].got, ["+OK"]);
    }

    #[test]
    fn hello_changes_what_is_expected_of_its_connection() {
        let text =
            "> HELLO 3\n<2 *0\n<3 %0\n> Z\n< ,1\n> HELLO 9\n< -NOPROTO no\n> Z\n< ,1\n> RESET\n< +RESET\n> Z\n< ,1\n";
        let replies = ["%0\r\n", ",1\r\n", "-NOPROTO no\r\n", ",1\r\n", "+RESET\r\n", "$1\r\n1\r\n"];
        for protocol in Protocol::ALL {
            assert_eq!(mismatches(text, protocol, &replies).0, []);
        }
        let text = "> HELLO 2\n< +QUEUED\n> Z\n< ,1\n";
        assert_eq!(mismatches(text, Protocol::Resp3, &["+QUEUED\r\n", ",1\r\n"]).0, []);
    }

    #[test]
    fn a_reply_that_is_kept_fills_later_commands() {
        let text = "@ keep id\n@ match\n> CLIENT ID\n< :*\n> KILL a%id%b %id% %other%\n< +OK\n@ silent\n@ raw \"id%id%\"\n> CLIENT ID\n< :%id%\n";
        let (wrong, log) = mismatches(text, Protocol::Resp2, &[":17\r\n", "+OK\r\n", ":17\r\n"]);
        assert_eq!(wrong, []);
        assert_eq!(log[log.len() - 3..], ["1 KILL a17b 17 %other%", "1 raw 4", "1 CLIENT ID"]);
    }

    #[test]
    fn a_scan_goes_on_until_its_cursor_is_zero() {
        let page = ["*2\r\n$1\r\n7\r\n*2\r\n$1\r\nb\r\n$1\r\nc\r\n", "*2\r\n$1\r\n0\r\n*2\r\n$1\r\na\r\n$1\r\nc\r\n"];
        let (wrong, log) =
            mismatches("@ scan\n> SCAN 0 COUNT 2\n< *2\n  $0\n  *3\n    $a\n    $b\n    $c\n", Protocol::Resp2, &page);
        assert_eq!((wrong, &log[2..]), (vec![], &["1 SCAN 0 COUNT 2".to_owned(), "1 SCAN 7 COUNT 2".to_owned()][..]));
        let text = "@ scan\n> HSCAN h 0\n< *2\n  $0\n  *4\n    $a\n    $c\n    $b\n    $c\n";
        assert_eq!(mismatches(text, Protocol::Resp2, &page).0, []);
        let text = "@ scan\n> SCAN x\n< -ERR invalid cursor\n> PING\n< +PONG\n";
        assert_eq!(mismatches(text, Protocol::Resp2, &["-ERR invalid cursor\r\n", "+PONG\r\n"]).0, []);
    }

    #[test]
    fn waiting_clients_are_asked_for_until_they_are_as_many() {
        let text = "@ client x\n@ silent\n> BLPOP k 0\n@ blocked 1\n@ client main\n> RPUSH k a\n< :1\n@ blocked 0\n";
        let replies = [
            "$17\r\nblocked_clients:0\r\n",
            "$28\r\n# Clients\r\nblocked_clients:1\r\n",
            ":1\r\n",
            "$17\r\nblocked_clients:0\r\n",
        ];
        let (wrong, log) = mismatches(text, Protocol::Resp2, &replies);
        assert_eq!(wrong, []);
        let asked = "2 INFO clients";
        assert_eq!(log[2..], ["1 BLPOP k 0", asked, asked, "3 speaks 2", "3 RPUSH k a", asked]);
        let (wrong, _) = mismatches("@ blocked 1\n", Protocol::Resp2, &[""]);
        assert_eq!(wrong[0].got, ["(closed the connection that asks for waiting clients)"]);
    }

    #[test]
    fn each_target_skips_what_is_for_the_other() {
        let text = "@ kora-only\n> K\n< +k\n@ oracle-only\n> O\n< +o\n@ differs in this\n> D\n< +d\n";
        let transcript = Transcript::parse("t", text).expect(text);
        let mut kora = Scripted::new(&["+k\r\n", "+d\r\n"]);
        assert_eq!(run(&mut kora, &transcript, Protocol::Resp2).mismatches, []);
        let mut oracle = Scripted { oracle: true, ..Scripted::new(&["+o\r\n", "+else\r\n"]) };
        assert_eq!(run(&mut oracle, &transcript, Protocol::Resp2).mismatches, []);
        let mut kora = Scripted::new(&["+k\r\n", "+else\r\n"]);
        assert_eq!(run(&mut kora, &transcript, Protocol::Resp2).mismatches.len(), 1);
    }
}
