//! What a process says about its directory, and how it exits.
//!
//! Owns: exit codes and messages of real servers. Refuses to know: what an engine does inside.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use kora_server::exit::Exit;
use kora_tests::resp::{Client, Value};

use crate::stage::{Place, Setup, text, until};

fn free_port() -> u16 {
    let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    probe.local_addr().expect("an address").port()
}

fn command(dir: &Path, port: u16, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kora-under-test"));
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--shards", "2", "--dir"]).arg(dir).args(more);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A server that must end by itself: its exit code, and what it said.
fn ends(dir: &Path) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command(dir, free_port(), &[]).output().expect("it starts");
    (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

struct Running(Child, Client);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn start(dir: &Path, more: &[&str]) -> Self {
        let port = free_port();
        let mut command = command(dir, port, more);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        let address = (Ipv4Addr::LOCALHOST, port).into();
        let mut client = None;
        until("it serves", || {
            assert!(child.try_wait().expect("our own child").is_none(), "it has ended");
            if client.is_none() {
                client = Client::connect(address).ok();
            }
            client.as_mut().is_some_and(|client| matches!(client.call(&["PING"]), Ok(Value::Simple(_))))
        });
        Self(child, client.expect("it is connected"))
    }

    fn say(&mut self, line: &str) -> String {
        text(&self.1.call(&line.split(' ').collect::<Vec<_>>()).expect("a reply"))
    }

    /// Ends it by a command, whose reply is the end of the connection.
    fn shut_down(mut self, line: &str) -> Option<i32> {
        self.1.send(&line.split(' ').collect::<Vec<_>>()).expect("it reads");
        assert!(!matches!(self.1.receive(), Ok(Some(_))), "{line} has a reply");
        self.0.wait().expect("our own child").code()
    }
}

#[test]
fn a_directory_that_cannot_be_used_ends_the_process_with_its_code() {
    let code = Some(i32::from(Exit::DataDirectory.code()));
    assert_eq!(code, Some(4), "as documented");
    let place = Place::new();
    let mut first = Running::start(place.path(), &[]);
    let (ended, said) = ends(place.path());
    assert_eq!(ended, code, "{said}");
    let expected = format!("the data directory {} is in use by process {}", place.path().display(), first.0.id());
    assert!(said.contains(&expected), "{said}");
    assert_eq!(first.say("SET a 1"), "OK", "the first goes on");
    drop(first);

    let broken = place.copy();
    broken.write("kora.manifest", b"KORAMANI");
    let (ended, said) = ends(broken.path());
    assert_eq!(ended, code, "{said}");
    assert!(said.contains("kora.manifest at offset 8: the file ends here"), "{said}");

    let broken = place.copy();
    broken.names("log-0001", "").iter().for_each(|name| broken.remove(name));
    let (ended, said) = ends(broken.path());
    assert_eq!(ended, code, "{said}");
    assert!(said.contains("is missing: shard 1 has no log from record 1 on"), "{said}");

    // What shows only when it is loaded, while clients can connect already.
    let life = Setup::new(2).open(&place);
    life.snapshot();
    life.end();
    let dump = place.names("dump-", "")[0].clone();
    place.write(&dump, b"REDIS0010\xff");
    let (ended, said) = ends(place.path());
    assert_eq!(ended, code, "{said}");
    assert!(said.contains(&format!("{dump} at offset 10: the bytes end in the middle of something")), "{said}");

    let outer = Place::new();
    outer.write("file", b"");
    let (ended, said) = ends(&outer.path().join("file"));
    assert_eq!(ended, code, "{said}");
    assert!(said.contains("File exists"), "{said}");
}

#[test]
fn shutdown_saves_as_it_is_told() {
    let place = Place::new();
    let without_log = ["--appendonly", "no"];
    let mut server = Running::start(place.path(), &without_log);
    assert_eq!(server.say("SET a 1"), "OK");
    assert_eq!(server.shut_down("SHUTDOWN NOSAVE"), Some(0));
    assert_eq!(place.names("dump-", "").len(), 0);
    let mut server = Running::start(place.path(), &without_log);
    assert_eq!(server.say("GET a"), "nil");
    server.say("SET a 2");
    assert_eq!(server.shut_down("SHUTDOWN SAVE"), Some(0));
    assert_eq!(place.names("dump-", "").len(), 2);
    let mut server = Running::start(place.path(), &without_log);
    assert_eq!(server.say("GET a"), "2");
    // With Redis's rules, which hold without a log, a clean end saves.
    server.say("SET a 3");
    assert_eq!(server.shut_down("SHUTDOWN"), Some(0));
    // With a log nothing has to be saved.
    let mut server = Running::start(place.path(), &[]);
    assert_eq!(server.say("GET a"), "3");
    server.say("SET a 4");
    assert_eq!(server.shut_down("SHUTDOWN NOSAVE"), Some(0));
    let mut server = Running::start(place.path(), &[]);
    assert_eq!(server.say("GET a"), "4");
    assert_eq!(server.shut_down("SHUTDOWN"), Some(0));
}

#[test]
fn a_shutdown_that_cannot_save_says_so_and_the_server_goes_on() {
    let place = Place::new();
    let mut server = Running::start(place.path(), &["--appendonly", "no"]);
    assert_eq!(server.say("SET a 1"), "OK");
    let elsewhere = place.path().with_extension("away");
    std::fs::rename(place.path(), &elsewhere).expect("a directory can be moved");
    // Who has asked waits, and what it sends meanwhile is answered behind the reply.
    for line in ["SHUTDOWN SAVE", "GET a"] {
        server.1.send(&line.split(' ').collect::<Vec<_>>()).expect("it reads");
    }
    let replies: Vec<_> = (0..2).map(|_| text(&server.1.receive().expect("a reply").expect("no end"))).collect();
    assert_eq!(replies, ["ERR Errors trying to SHUTDOWN. Check logs.", "1"]);
    std::fs::rename(&elsewhere, place.path()).expect("and back");
    assert_eq!(server.shut_down("SHUTDOWN SAVE"), Some(0));
    let mut server = Running::start(place.path(), &["--appendonly", "no"]);
    assert_eq!(server.say("GET a"), "1");
}
