//! Every transcript once more on one shard, with DEBUG RELOAD behind every command: what a snapshot keeps is everything that clients can see.
//!
//! Owns: which transcripts tell a reload from none, and why. Refuses to know: what is in them.
//! Left out besides, by the runner: commands about their connection, those within MULTI, and while a client watches keys, to whom a reload is a change.

use std::collections::BTreeSet;

use kora_tests::kora::EmbeddedTarget;
use kora_tests::resp::Protocol;
use kora_tests::run::run_with;
use kora_tests::transcript::{self, Transcript};

/// Replies to which reloading makes a difference: the end of the transcript's name, what their command begins with, and why.
const DIFFERENT: &[(&str, &str, &str)] = &[
    ("client-caching.resp", "", FORGET),
    ("client-getredir.resp", "", FORGET),
    ("client-tracking-databases.resp", "", FORGET),
    ("client-tracking-redirect.resp", "", FORGET),
    ("client-tracking.resp", "", FORGET),
    ("client-trackinginfo.resp", "", FORGET),
    ("scripts-tracking.resp", "", FORGET),
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
const FORGET: &str = "clients that cache are told to forget everything, as after FLUSHALL";
const PACKED: &str = "what has become small enough is kept as such again";
const BLOCKS: &str = "entries that are gone fill their block no more, so that an approximate trim stops elsewhere";

/// Fewer reloads than this mean that the runner leaves too many out.
const RELOADS_MIN: usize = 5_000;

/// Reloads are refused where a transcript has a command fail half-way, or sets a password behind the runner's back.
const REFUSED_MAX: usize = 100;

#[test]
fn nothing_that_is_seen_depends_on_a_reload() {
    let mut target = EmbeddedTarget::start(1).expect("an engine starts");
    let (mut reloads, mut refused, mut problems, mut used) = (0, 0, Vec::new(), BTreeSet::new());
    for path in transcript::files().expect("the folder of transcripts is there") {
        let (transcript, _) = Transcript::load(&path).unwrap_or_else(|error| panic!("{error}"));
        let protocol = transcript.protocol.unwrap_or(Protocol::Resp3);
        let report = run_with(&mut target, &transcript, protocol, Some(&["DEBUG", "RELOAD"]));
        for mismatch in report.mismatches {
            let differs = |(name, command, _): &(&str, &str, &str)| {
                path.to_string_lossy().ends_with(&format!("/{name}")) && mismatch.command.starts_with(command)
            };
            match DIFFERENT.iter().position(differs) {
                Some(at) => drop(used.insert(at)),
                None => problems.push(mismatch.to_string()),
            }
        }
        refused += report.refused;
        reloads += report.between;
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let unused: Vec<_> = (0..DIFFERENT.len()).filter(|at| !used.contains(at)).map(|at| DIFFERENT[at]).collect();
    assert!(unused.is_empty(), "these do not differ: {unused:?}");
    assert!(reloads >= RELOADS_MIN && refused <= REFUSED_MAX, "{reloads} reloads, {refused} refused");
}
