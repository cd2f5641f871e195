//! Tools on a directory that a server has left.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use super::*;
use crate::{Server, Settings};

/// A directory in which a server has run these lines.
fn directory(shards: usize, lines: &[&str]) -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a temporary directory");
    let mut settings = Settings::for_embedding();
    settings.config.shards = shards;
    settings.config.appendonly = true;
    settings.data_directory = Some(place.path().to_owned());
    let server = Server::start(settings).expect("a server starts");
    let mut client = TcpStream::connect(server.addresses()[0]).expect("it listens");
    let mut replies = BufReader::new(client.try_clone().expect("one more handle")).lines();
    let mut ask = |line: &str| {
        client.write_all(format!("{line}\r\n").as_bytes()).expect("the server reads");
        replies.next().expect("a reply").expect("the server answers")
    };
    while ask("PING").starts_with("-LOADING") {}
    for line in lines {
        let reply = ask(line);
        assert!(!reply.starts_with('-'), "{line}: {reply}");
    }
    server.stop();
    place
}

fn run(tool: &Tool) -> (Exit, String) {
    let mut out = Vec::new();
    let exit = tool.run(&mut out);
    (exit, String::from_utf8(out).expect("text"))
}

fn log(directory: &Path, selection: log::Selection) -> Vec<String> {
    let (exit, text) = run(&Tool::Log(directory.to_owned(), selection));
    assert_eq!(exit, Exit::Clean);
    text.lines().map(str::to_owned).collect()
}

fn all() -> log::Selection {
    log::Selection { records: 0..=u64::MAX, key: None, shard: None }
}

fn last_segment(directory: &Path) -> PathBuf {
    let entries = std::fs::read_dir(directory).expect("it is there").map(|entry| entry.expect("an entry").path());
    let segments = entries.filter(|path| path.extension().is_some_and(|ending| ending == "wal"));
    segments.max().expect("there is a log")
}

#[test]
fn a_log_is_printed_entry_by_entry() {
    // So many that some are on either shard, whatever the seeds.
    let pairs: Vec<String> = ('a'..='p').map(|tag| format!("{{{tag}}}k 1")).collect();
    let mset = format!("MSET {}", pairs.join(" "));
    let place = directory(2, &["SET {a}k \"v w\\n\"", "SET other 1", "DEL {a}k", &mset, "FLUSHALL"]);
    let lines = log(place.path(), all());
    let has = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!(has(" database 0 \"SET\" \"{a}k\" \"v w\\n\""), 1, "{lines:#?}");
    assert_eq!(has("\"DEL\" \"{a}k\""), 1, "{lines:#?}");
    assert_eq!((has("\"FLUSHALL\""), has(" of shards ")), (2, 4), "{lines:#?}");

    let of_key = log(place.path(), log::Selection { key: Some(b"{a}k".to_vec()), ..all() });
    assert!(of_key.len() < lines.len() && of_key.iter().all(|line| line.contains("{a}k") || line.contains("FLUSHALL")));
    let of_shard = |shard| log(place.path(), log::Selection { shard: Some(shard), ..all() }).len();
    assert_eq!((of_shard(0) + of_shard(1), of_shard(2)), (lines.len(), 0));
    let of_records = log(place.path(), log::Selection { records: 1..=1, ..all() });
    assert!(of_records.len() <= 2 && of_records.iter().all(|line| line.contains(" record 1 ")), "{of_records:?}");
}

#[test]
fn a_good_directory_is_told_from_a_damaged_one() {
    let place = directory(1, &["SET a 1", "SET b 2", "SAVE", "SET c 3", "SET d 4", "SET e 5", "SET f 6"]);
    let (exit, text) = run(&Tool::Check(place.path().to_owned()));
    assert_eq!(exit, Exit::Clean, "{text}");
    assert!(text.contains("1 shards") && text.contains("a server can start with this"), "{text}");
    assert!(text.contains("shard 0: snapshot dump-") && text.contains("shard 0: log from record "), "{text}");

    // In a record, which the mark behind it vouches for.
    let segment = last_segment(place.path());
    let mut bytes = std::fs::read(&segment).expect("it is there");
    bytes[110] ^= 1;
    std::fs::write(&segment, bytes).expect("a writable directory");
    let (exit, text) = run(&Tool::Check(place.path().to_owned()));
    assert_eq!(exit, Exit::DataDirectory, "{text}");
    assert!(text.contains("wrong: ") && text.contains("a server would refuse this"), "{text}");
    assert_eq!(run(&Tool::Log(place.path().to_owned(), all())).0, Exit::DataDirectory);
}

#[test]
fn a_damaged_snapshot_is_found() {
    let place = directory(1, &["SET a 1", "SAVE"]);
    let name = std::fs::read_dir(place.path())
        .expect("it is there")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.extension().is_some_and(|ending| ending == "rdb"))
        .expect("there is a snapshot");
    let mut bytes = std::fs::read(&name).expect("it is there");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&name, bytes).expect("a writable directory");
    let (exit, text) = run(&Tool::Check(place.path().to_owned()));
    assert_eq!(exit, Exit::DataDirectory, "{text}");
    assert!(text.contains(&format!("wrong: {}", name.display())), "{text}");
}

#[test]
fn what_is_exported_can_be_imported() {
    let place = directory(2, &["SET a 1", "SELECT 3", "RPUSH l x y"]);
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    let (file, directory) = (elsewhere.path().join("all.rdb"), elsewhere.path().join("data"));
    let export = Tool::Export { file: file.clone(), directory: place.path().to_owned() };
    let (exit, text) = run(&export);
    assert_eq!(exit, Exit::Clean, "{text}");
    assert!(text.starts_with(&format!("{}: 2 keys, ", file.display())), "{text}");
    assert_eq!(run(&export), (Exit::Failed, String::new()), "no file is replaced");

    let import = |force| {
        Tool::Import(exchange::Import { file: file.clone(), directory: directory.clone(), shards: Some(3), force })
    };
    let text =
        format!("{}: 2 keys and 0 libraries of functions for 3 shards; 0 keys had expired\n", directory.display());
    assert_eq!(run(&import(false)), (Exit::Clean, text.clone()));
    assert_eq!(run(&import(false)), (Exit::DataDirectory, String::new()), "no data is replaced");
    assert_eq!(run(&import(true)), (Exit::Clean, text));
    assert_eq!(run(&Tool::Check(directory.clone())).0, Exit::Clean);

    // A stream with a consumer group and nothing else.
    let stream = b"REDIS0009\x0f\x01s\x00\x00\x00\x00\x01\x01g\x00\x00\x00\x00\xff\x00\x00\x00\x00\x00\x00\x00\x00";
    std::fs::write(&file, stream).expect("a writable directory");
    let (exit, text) = run(&import(true));
    assert_eq!(exit, Exit::Partial, "{text}");
    assert!(text.starts_with("left out: key \"s\" in database 0: ") && text.contains(": 0 keys and "), "{text}");
    std::fs::write(&file, b"REDIS0009").expect("a writable directory");
    assert_eq!(run(&import(true)), (Exit::Failed, String::new()), "it is cut off");
}

#[test]
fn what_is_no_data_directory_is_refused() {
    let place = tempfile::tempdir().expect("a temporary directory");
    assert_eq!(run(&Tool::Check(place.path().to_owned())), (Exit::DataDirectory, String::new()));
    assert_eq!(run(&Tool::Log(place.path().join("nosuch"), all())), (Exit::DataDirectory, String::new()));
    for directory in [place.path().to_owned(), place.path().join("nosuch")] {
        let file = place.path().join("x.rdb");
        assert_eq!(run(&Tool::Export { file, directory }), (Exit::DataDirectory, String::new()));
    }
    assert_eq!(std::fs::read_dir(place.path()).expect("it is there").count(), 0, "nothing is made");
}
