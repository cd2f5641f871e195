//! Every transcript against redis-server, in RESP2 and RESP3.
//!
//! With `KORA_ORACLE=1` each file must hold for the real server too; `UPDATE_EXPECT=1` beside it rewrites the replies. Without,
//! the files are only read, so that a mistake in one is found everywhere. `KORA_TRANSCRIPTS=string/set` picks files by name.

use kora_tests::oracle::{Oracle, VARIABLE};
use kora_tests::{run, transcript, update};

#[test]
fn every_transcript_is_well_formed() {
    let files = transcript::files().expect("the folder of transcripts is there");
    assert!(!files.is_empty(), "no transcripts");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        return; // they are drafts until the other test has written them
    }
    let problems: Vec<String> = files
        .iter()
        .filter_map(|path| transcript::Transcript::load(path).err())
        .map(|error| error.to_string())
        .collect();
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn redis_server_says_the_same() {
    if !Oracle::is_wanted() {
        eprintln!("not compared with redis-server: {VARIABLE} is not set");
        return;
    }
    let mut oracle = Oracle::start().expect("redis-server is installed");
    let mut problems = Vec::new();
    for path in transcript::files().expect("the folder of transcripts is there") {
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            let text = std::fs::read_to_string(&path).expect("a readable file");
            match update::update(&mut oracle, &transcript::display_name(&path), &text) {
                Ok(new) if new != text => std::fs::write(&path, new).expect("a writable file"),
                Ok(_) => {}
                Err(problem) => problems.push(problem),
            }
            continue;
        }
        match transcript::Transcript::load(&path) {
            Ok((transcript, _)) => problems.extend(run::check(&mut oracle, &transcript).err()),
            Err(error) => problems.push(error.to_string()),
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}
