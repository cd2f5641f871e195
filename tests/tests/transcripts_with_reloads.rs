//! Every transcript once more, with DEBUG RELOAD behind every command: what a snapshot keeps is everything that clients can see. And again with DEBUG LOADAOF:
//! so is what the log keeps.
//!
//! Owns: which transcripts tell a reload from none, and why. Refuses to know: what is in them.
//! Left out besides, by the runner: commands about their connection, those within MULTI, and while a client watches keys, to whom a reload is a change.

use std::collections::BTreeSet;

use kora_tests::kora::EmbeddedTarget;
use kora_tests::resp::Protocol;
use kora_tests::run::run_with;
use kora_tests::transcript::{self, Transcript};

/// A reply to which something makes a difference: the end of the transcript's name, what the reply's command begins with, and why.
type Difference = (&'static str, &'static str, &'static str);

/// Differences that loading anything makes.
const LOADED: &[Difference] = &[
    ("client-caching.resp", "", FORGET),
    ("client-getredir.resp", "", FORGET),
    ("client-tracking-databases.resp", "", FORGET),
    ("client-tracking-redirect.resp", "", FORGET),
    ("client-tracking.resp", "", FORGET),
    ("client-trackinginfo.resp", "", FORGET),
    ("scripts-tracking.resp", "", FORGET),
];
const FORGET: &str = "clients that cache are told to forget everything, as after FLUSHALL";

/// Differences that a snapshot makes.
const SNAPSHOT: &[Difference] = &[
    (
        "restore.resp",
        "OBJECT IDLETIME new",
        "without a policy that asks for it a file does not say when a key was used",
    ),
    ("hset.resp", "OBJECT ENCODING", PACKED),
    ("append.resp", "OBJECT ENCODING", PACKED),
    ("xtrim.resp", "XTRIM c MAXLEN ~ 5", BLOCKS),
    ("xtrim.resp", "XRANGE c - +", BLOCKS),
];
const PACKED: &str = "what has become small enough is kept as such again";
const BLOCKS: &str = "entries that are gone fill their block no more, so that an approximate trim stops elsewhere";

/// Differences that a log makes, and that there is a directory at all.
const LOG: &[Difference] = &[
    ("dump.resp", "DUMP k", FENCED),
    ("debug-panic.resp", "", FENCED),
    ("debug-reload.resp", "DEBUG RELOAD", FENCED),
    ("debug-loadaof.resp", "DEBUG LOADAOF", KEPT),
    ("waitaof.resp", "WAITAOF 1", KEPT),
    ("bgrewriteaof.resp", "", KEPT),
    ("bgsave.resp", "", KEPT),
    ("save.resp", "SAVE", KEPT),
    ("config-get.resp", "CONFIG GET appendonly", KEPT),
    ("config-set.resp", "CONFIG SET appendonly yes", KEPT),
    ("config-set.resp", "CONFIG SET save", KEPT),
    ("config-set.resp", "CONFIG SET timeout 7 appendonly yes", KEPT),
    ("config-set.resp", "CONFIG GET timeout", KEPT),
    ("shutdown.resp", "SHUTDOWN SAVE", KEPT),
];
const FENCED: &str = "a key that a failed command may have left half changed comes back as it was";
const KEPT: &str = "other transcripts are about a process without a directory";

/// Fewer reloads than this mean that the runner leaves too many out.
const RELOADS_MIN: usize = 5_000;

/// Reloads are refused where a transcript has a command fail half-way, or sets a password behind the runner's back.
const REFUSED_MAX: usize = 100;

/// Runs all transcripts with `between` behind their commands.
fn check(target: &mut EmbeddedTarget, between: &[&str], different: [&[Difference]; 2]) {
    let different = different.concat();
    let (mut reloads, mut refused, mut problems, mut used) = (0, 0, Vec::new(), BTreeSet::new());
    for path in transcript::files().expect("the folder of transcripts is there") {
        let (transcript, _) = Transcript::load(&path).unwrap_or_else(|error| panic!("{error}"));
        let protocol = transcript.protocol.unwrap_or(Protocol::Resp3);
        let report = run_with(target, &transcript, protocol, Some(between));
        for mismatch in report.mismatches {
            let differs = |(name, command, _): &Difference| {
                path.to_string_lossy().ends_with(&format!("/{name}")) && mismatch.command.starts_with(command)
            };
            match different.iter().position(differs) {
                Some(at) => drop(used.insert(at)),
                None => problems.push(mismatch.to_string()),
            }
        }
        refused += report.refused;
        reloads += report.between;
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let unused: Vec<_> = (0..different.len()).filter(|at| !used.contains(at)).map(|at| different[at]).collect();
    assert!(unused.is_empty(), "these do not differ: {unused:?}");
    assert!(reloads >= RELOADS_MIN && refused <= REFUSED_MAX, "{reloads} reloads, {refused} refused");
}

#[test]
fn nothing_that_is_seen_depends_on_a_reload() {
    check(&mut EmbeddedTarget::start(1).expect("an engine starts"), &["DEBUG", "RELOAD"], [LOADED, SNAPSHOT]);
}

#[test]
fn nothing_that_is_seen_depends_on_loading_the_log() {
    check(&mut EmbeddedTarget::with_log(1).expect("an engine starts"), &["DEBUG", "LOADAOF"], [LOADED, LOG]);
}
