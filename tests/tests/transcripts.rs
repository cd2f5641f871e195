//! Every transcript against Kora, in RESP2 and RESP3: embedded with 1 and 4 shards, and over TCP with 1 and 4.
//!
//! `KORA_TRANSCRIPTS=string/set` picks files by name.

use kora_tests::kora::{EmbeddedTarget, ServerTarget};
use kora_tests::run::{self, Target};
use kora_tests::transcript::{self, Transcript};

fn check_all(target: &mut dyn Target) {
    let mut problems = Vec::new();
    let files = transcript::files().expect("the folder of transcripts is there");
    assert!(!files.is_empty(), "no transcripts");
    for path in files {
        let (transcript, _) = Transcript::load(&path).unwrap_or_else(|error| panic!("{error}"));
        problems.extend(run::check(target, &transcript).err());
    }
    assert!(problems.is_empty(), "{} of {}:\n{}", problems.len(), target.name(), problems.join("\n"));
}

#[test]
fn embedded_with_one_shard() {
    check_all(&mut EmbeddedTarget::start(1).expect("an engine starts"));
}

#[test]
fn embedded_with_four_shards() {
    check_all(&mut EmbeddedTarget::start(4).expect("an engine starts"));
}

#[test]
fn over_tcp_with_one_shard() {
    check_all(&mut ServerTarget::start(1).expect("a server starts"));
}

#[test]
fn over_tcp_with_four_shards() {
    check_all(&mut ServerTarget::start(4).expect("a server starts"));
}
