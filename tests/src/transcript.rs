//! The text format of a transcript.
//!
//! Owns: reading a file into steps, with a line number for each. Refuses to know: who will run them and what came back.
//! Start at [`Transcript::parse`].
//!
//! ```text
//! # comment
//! > SET "k\x00" 'v'        a command, quoted as in redis-cli
//! < +OK                    its reply, in RESP3 terms (see `expected`); elements of aggregates follow, indented
//! <2 *1                    a reply that RESP2 shows otherwise than the RESP3 form brought down;
//! <3 %1                    one form alone means that there is no reply in the other protocol
//! @ advance 101ms          time moves
//! @ blocked 2              waits until as many clients wait in blocking commands, as INFO counts them
//! @ client NAME            the next steps use another connection, new on first use; the first is `main`
//! @ any                    of the next reply only the kind matters
//! @ match                  in the next reply `*` stands for any bytes of a text or number
//! @ unordered              the elements and pairs of the next reply come in any order (those of a set always do)
//! @ differs REASON         the next reply is Kora's; redis-server gives another
//! @ keep NAME              the text of the next reply stands for %NAME% in later commands and replies
//! @ scan                   the next command is SCAN or a relative: called until its cursor is 0; the reply that is compared has the
//!                          elements of all calls, each once, in byte order
//! @ silent                 the next command has no reply, or its reply comes later
//! @ kora-only              the next command and its replies, or the next `@ blocked`, are not for redis-server
//! @ oracle-only            the next command and its replies are for redis-server alone
//! @ raw "bytes"            bytes sent as they are
//! @ closed                 the server has closed the connection
//! @ resp 3                 the whole file is for this protocol only
//! ```
//!
//! A file begins on an empty server with the settings it was started with and one connection. Directives stand before the
//! command or reply that they are about. A command without a reply is a mistake unless `@ silent` or `@ closed` says so.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::expected::{Expected, Leniency};
use crate::resp::Protocol;
use crate::words;

/// A transcript that was read.
#[derive(Debug, Clone)]
pub struct Transcript {
    /// The file's name, for messages.
    pub name: String,
    /// The only protocol it is for, if there is one.
    pub protocol: Option<Protocol>,
    /// What to do, in order.
    pub steps: Vec<Step>,
}

/// Something to do or to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Where it stands, counted from 1.
    pub line: usize,
    /// Who it is for.
    pub audience: Audience,
    /// What it is.
    pub action: Action,
}

/// Who a step is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Kora and redis-server.
    All,
    /// Kora alone.
    Kora,
    /// redis-server alone.
    Oracle,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Sends a command.
    Send(Vec<Vec<u8>>),
    /// Sends a command of the SCAN family, and again until its cursor is 0.
    Scan(Vec<Vec<u8>>),
    /// Sends bytes.
    Raw(Vec<u8>),
    /// Reads one reply.
    Expect(Expect),
    /// Sees that the connection is closed.
    Closed,
    /// Moves time, in milliseconds.
    Advance(u64),
    /// Goes to the connection of this name.
    Client(String),
    /// Waits until this many clients wait in blocking commands.
    Blocked(u64),
}

/// One reply that must come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// What RESP2 shows; written in RESP3 terms unless it has a form of its own.
    pub resp2: Option<Expected>,
    /// What RESP3 shows.
    pub resp3: Option<Expected>,
    /// How strictly it is compared.
    pub leniency: Leniency,
    /// Why redis-server replies otherwise.
    pub differs: Option<String>,
    /// The name under which its text is kept.
    pub keep: Option<String>,
    /// The lines it takes, counted from 0; none for a reply that is still to be filled in.
    pub lines: Range<usize>,
}

impl Expect {
    /// The reply in one protocol.
    pub fn reply(&self, protocol: Protocol) -> Option<&Expected> {
        match protocol {
            Protocol::Resp2 => self.resp2.as_ref(),
            Protocol::Resp3 => self.resp3.as_ref(),
        }
    }

    /// True when the file has no reply yet.
    pub fn is_draft(&self) -> bool {
        self.lines.is_empty()
    }
}

/// A line that is not in the format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The file's name.
    pub name: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub text: String,
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}:{}: {}", self.name, self.line, self.text)
    }
}

impl std::error::Error for ParseError {}

impl Transcript {
    /// Reads a transcript in which every command has its replies.
    pub fn parse(name: &str, text: &str) -> Result<Self, ParseError> {
        let transcript = Self::parse_draft(name, text)?;
        let draft =
            transcript.steps.iter().find(|step| matches!(&step.action, Action::Expect(expect) if expect.is_draft()));
        match draft {
            Some(step) => Err(ParseError {
                name: name.to_owned(),
                line: step.line,
                text: "a command without a reply (write one, run with UPDATE_EXPECT=1, or say `@ silent`)".into(),
            }),
            None => Ok(transcript),
        }
    }

    /// Reads a transcript in which replies may be missing; they stand as empty [`Expect`]s.
    pub fn parse_draft(name: &str, text: &str) -> Result<Self, ParseError> {
        let lines: Vec<&str> = text.lines().collect();
        let mut parser = Parser { name, ..Parser::default() };
        let mut at = 0;
        while at < lines.len() {
            let mut end = at + 1;
            if lines[at].starts_with('<') {
                end += lines[end..].iter().take_while(|line| line.starts_with(' ')).count();
            }
            parser.read(&lines[at..end], at).map_err(|text| ParseError {
                name: name.to_owned(),
                line: at + 1,
                text,
            })?;
            at = end;
        }
        let problem = parser.finish();
        problem.map_err(|text| ParseError { name: name.to_owned(), line: lines.len(), text })?;
        Ok(Self { name: name.to_owned(), protocol: parser.protocol, steps: parser.steps })
    }

    /// Reads a file.
    pub fn load(path: &Path) -> Result<(Self, String), ParseError> {
        let name = display_name(path);
        let failed = |error: std::io::Error| ParseError { name: name.clone(), line: 0, text: error.to_string() };
        let text = std::fs::read_to_string(path).map_err(failed)?;
        Ok((Self::parse(&name, &text)?, text))
    }
}

/// The folder that holds all transcripts, one folder per group.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts")
}

/// A file's name as messages show it: from the root of the repository.
pub fn display_name(path: &Path) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(""));
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

/// All transcripts, sorted; those alone whose name has `KORA_TRANSCRIPTS` in it when that is set.
pub fn files() -> std::io::Result<Vec<PathBuf>> {
    let wanted = std::env::var("KORA_TRANSCRIPTS").unwrap_or_default();
    let mut found = Vec::new();
    for group in std::fs::read_dir(folder())? {
        for file in std::fs::read_dir(group?.path())? {
            let path = file?.path();
            if path.extension().is_some_and(|end| end == "resp") && display_name(&path).contains(&wanted) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[derive(Debug, Default, PartialEq)]
struct About {
    leniency: Leniency,
    differs: Option<String>,
    keep: Option<String>,
}

#[derive(Default)]
struct Parser<'a> {
    name: &'a str,
    protocol: Option<Protocol>,
    steps: Vec<Step>,
    /// What was said about the next reply.
    about: About,
    silent: bool,
    scan: bool,
    audience: Option<Audience>,
    /// The line of a command that has no reply yet, and what was said about it.
    unanswered: Option<(usize, About)>,
    /// The audience of the last command, which its replies share.
    of_command: Option<Audience>,
}

impl Parser<'_> {
    fn read(&mut self, lines: &[&str], at: usize) -> Result<(), String> {
        let line = lines[0];
        let Some(mark) = line.chars().next().filter(|mark| *mark != '#') else { return Ok(()) };
        match mark {
            '>' => {
                let argv = words::split(&line[1..])?;
                if argv.is_empty() {
                    return Err("a command without words".into());
                }
                let scan = std::mem::take(&mut self.scan);
                self.command(if scan { Action::Scan(argv) } else { Action::Send(argv) }, at)
            }
            '<' => self.reply(lines, at),
            '@' => {
                let (word, rest) = line[1..].trim().split_once(' ').unwrap_or((line[1..].trim(), ""));
                self.directive(word, rest.trim(), at)
            }
            _ => Err("a line begins with `#`, `>`, `<` or `@`".into()),
        }
    }

    fn command(&mut self, action: Action, at: usize) -> Result<(), String> {
        self.fill_in();
        let audience = self.audience.take().unwrap_or(Audience::All);
        self.of_command = Some(audience);
        self.push(action, at);
        if !std::mem::take(&mut self.silent) {
            self.unanswered = Some((at, std::mem::take(&mut self.about)));
        }
        Ok(())
    }

    fn reply(&mut self, lines: &[&str], at: usize) -> Result<(), String> {
        let (only, first) = match lines[0].as_bytes() {
            [b'<', b' ', ..] => (None, &lines[0][2..]),
            [b'<', b'2', b' ', ..] => (Some(Protocol::Resp2), &lines[0][3..]),
            [b'<', b'3', b' ', ..] => (Some(Protocol::Resp3), &lines[0][3..]),
            _ => return Err("a reply begins with `< `, `<2 ` or `<3 `".into()),
        };
        let mut written = vec![first];
        written.extend(&lines[1..]);
        let expected = Expected::parse(&written)?;
        let range = at..at + lines.len();
        if let Some((_, about)) = self.unanswered.take() {
            let Leniency { any, globs, unordered } = about.leniency;
            self.about.leniency.any |= any;
            self.about.leniency.globs |= globs;
            self.about.leniency.unordered |= unordered;
            self.about.differs = about.differs.or(self.about.differs.take());
            self.about.keep = about.keep.or(self.about.keep.take());
        }
        if let Some(Step { action: Action::Expect(last), .. }) = self.steps.last_mut()
            && only == Some(Protocol::Resp3)
            && last.lines.end == at
            && last.resp3.is_none()
            && self.about == About::default()
        {
            last.resp3 = Some(expected);
            last.lines.end = range.end;
            return Ok(());
        }
        let About { leniency, differs, keep } = std::mem::take(&mut self.about);
        let expect = Expect {
            resp2: (only != Some(Protocol::Resp3)).then(|| expected.clone()),
            resp3: (only != Some(Protocol::Resp2)).then_some(expected),
            leniency,
            differs,
            keep,
            lines: range,
        };
        self.push(Action::Expect(expect), at);
        Ok(())
    }

    fn directive(&mut self, word: &str, rest: &str, at: usize) -> Result<(), String> {
        match (word, rest) {
            ("any", "") => self.about.leniency.any = true,
            ("match", "") => self.about.leniency.globs = true,
            ("unordered", "") => self.about.leniency.unordered = true,
            ("scan", "") => self.scan = true,
            ("keep", name) if !name.is_empty() => self.about.keep = Some(name.to_owned()),
            ("silent", "") => self.silent = true,
            ("differs", "") => return Err("`@ differs` needs a reason".into()),
            ("differs", reason) => self.about.differs = Some(reason.to_owned()),
            ("kora-only", "") => self.audience = Some(Audience::Kora),
            ("oracle-only", "") => self.audience = Some(Audience::Oracle),
            ("closed", "") => {
                self.unanswered = None;
                self.push(Action::Closed, at);
            }
            ("raw", written) => {
                let mut words = words::split(written)?;
                let bytes = words.pop().filter(|_| words.is_empty()).ok_or("`@ raw` takes one quoted word")?;
                self.command(Action::Raw(bytes), at)?;
            }
            ("client", name) if !name.is_empty() && !name.contains(' ') => {
                self.fill_in();
                self.of_command = None;
                self.push(Action::Client(name.to_owned()), at);
            }
            ("advance", time) => {
                let ms = time.strip_suffix("ms").and_then(|digits| digits.parse().ok());
                self.fill_in();
                self.of_command = None;
                self.push(Action::Advance(ms.ok_or("time is written `101ms`")?), at);
            }
            ("blocked", count) => {
                let count = count.parse().map_err(|_| "`@ blocked` takes a number of clients")?;
                self.fill_in();
                self.of_command = self.audience.take();
                self.push(Action::Blocked(count), at);
                self.of_command = None;
            }
            ("resp", version @ ("2" | "3")) if self.steps.is_empty() => {
                self.protocol = Some(if version == "2" { Protocol::Resp2 } else { Protocol::Resp3 });
            }
            ("resp", "2" | "3") => return Err("`@ resp` stands before all commands".into()),
            _ => return Err(format!("no such directive: @ {word} {rest}").trim_end().to_owned()),
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), String> {
        self.fill_in();
        let idle = self.about == About::default() && !self.silent && !self.scan && self.audience.is_none();
        if idle { Ok(()) } else { Err(format!("{} ends with a directive that is about nothing", self.name)) }
    }

    /// Puts an empty reply behind a command that got none.
    fn fill_in(&mut self) {
        if let Some((at, About { leniency, differs, keep })) = self.unanswered.take() {
            let expect = Expect { resp2: None, resp3: None, leniency, differs, keep, lines: at + 1..at + 1 };
            self.push(Action::Expect(expect), at);
        }
    }

    fn push(&mut self, action: Action, at: usize) {
        let audience = self.of_command.unwrap_or(Audience::All);
        self.steps.push(Step { line: at + 1, audience, action });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions(text: &str) -> Vec<Action> {
        Transcript::parse("t", text).expect(text).steps.into_iter().map(|step| step.action).collect()
    }

    #[test]
    fn a_file_becomes_steps() {
        let steps = actions(
            "# hello\n\n> SET \"k\\x00\" 'v w'\n< +OK\n@ advance 101ms\n@ client other\n@ raw \"PING\\r\\n\"\n< +PONG\n\
             @ silent\n> QUIT\n@ closed\n> MGET a b\n< *2\n  $a\n  nil\n@ blocked 2\n",
        );
        let Action::Send(argv) = &steps[0] else { panic!("{steps:?}") };
        assert_eq!(argv, &[&b"SET"[..], b"k\x00", b"v w"]);
        let Action::Expect(ok) = &steps[1] else { panic!("{steps:?}") };
        assert_eq!((ok.lines.clone(), &ok.resp2), (3..4, &ok.resp3));
        assert_eq!(steps[2], Action::Advance(101));
        assert_eq!(steps[3], Action::Client("other".into()));
        assert_eq!(steps[4], Action::Raw(b"PING\r\n".to_vec()));
        assert_eq!(steps[7], Action::Closed);
        let Action::Expect(array) = &steps[9] else { panic!("{steps:?}") };
        assert_eq!((array.lines.clone(), array.resp3.as_ref().map(|array| array.items.len())), (12..15, Some(2)));
        assert_eq!(steps[10], Action::Blocked(2));
    }

    #[test]
    fn directives_are_about_the_next_command_or_reply() {
        let steps = Transcript::parse("t", "@ kora-only\n@ blocked 1\n@ blocked 0\n").expect("in the format").steps;
        assert_eq!([steps[0].audience, steps[1].audience], [Audience::Kora, Audience::All]);
        let text = "@ resp 3\n@ kora-only\n@ match\n@ differs since 7.2\n> A\n< $*\n<2 *0\n<3 %0\n> B\n<3 %0\n";
        let transcript = Transcript::parse("t", text).expect("in the format");
        assert_eq!(transcript.protocol, Some(Protocol::Resp3));
        let audiences: Vec<_> = transcript.steps.iter().map(|step| step.audience).collect();
        assert_eq!(audiences, [Audience::Kora, Audience::Kora, Audience::Kora, Audience::All, Audience::All]);
        let [_, first, second, _, third] = &actions(text)[..] else { panic!("five steps") };
        let (Action::Expect(first), Action::Expect(second), Action::Expect(third)) = (first, second, third) else {
            panic!("three replies")
        };
        assert!(first.leniency.globs && first.differs.as_deref() == Some("since 7.2"));
        assert!(!second.leniency.globs && second.resp2 != second.resp3 && second.lines == (6..8));
        assert!(third.resp2.is_none() && third.resp3.is_some());
    }

    #[test]
    fn a_reply_left_out_is_a_draft_only() {
        let text = "> GET a\n> GET b\n< nil\n";
        let error = Transcript::parse("t", text).expect_err("no reply");
        assert_eq!((error.line, error.to_string().starts_with("t:1: a command without a reply")), (1, true));
        let drafts = Transcript::parse_draft("t", text).expect("a draft").steps;
        let text = "> A\n@ any\n> B\n< nil\n";
        let Action::Expect(a) = &Transcript::parse_draft("t", text).expect("a draft").steps[1].action else { panic!() };
        assert!(!a.leniency.any, "what is said about the next command is not about this one");
        assert!(matches!(&drafts[1].action, Action::Expect(expect) if expect.is_draft() && expect.lines == (1..1)));
    }

    #[test]
    fn mistakes_name_their_line() {
        for (text, line, part) in [
            ("> GET a\n< nil\nfoo\n", 3, "a line begins with"),
            ("> GET \"a\n", 1, "unbalanced"),
            (">\n", 1, "without words"),
            ("> A\n<nil\n", 2, "a reply begins with"),
            ("> A\n< *1\n", 2, "before its last element"),
            ("> A\n< *1\n  $a\n  $b\n", 2, "one too many"),
            ("@ differs\n", 1, "needs a reason"),
            ("@ advance 5s\n", 1, "written `101ms`"),
            ("> A\n< nil\n@ resp 3\n", 3, "before all commands"),
            ("@ blocked many\n", 1, "takes a number of clients"),
            ("@ sideways\n", 1, "no such directive: @ sideways"),
            ("@ raw a b\n", 1, "one quoted word"),
            ("> A\n< nil\n@ any\n", 3, "about nothing"),
        ] {
            let error = Transcript::parse("t", text).expect_err(text);
            assert!(error.line == line && error.text.contains(part), "{text:?}: {error}");
        }
    }
}
